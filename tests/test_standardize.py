"""Standardize: x' = (x - mean) / scale by the training rows, judged by NumPy, by scikit-learn and by exact numbers."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
from gpu import needs_gpu
from problems import classifier, measured, problem, rows, trainer

import chainrule as cr
from chainrule import data

# Columns of very different kinds: two decimals of a year, a large and a small unit, one that is constant.
YEARS = 1999.25 + np.random.default_rng(1).normal(scale=10, size=101)
X = np.column_stack([YEARS, rows(101, 2, seed=2) * [1e6, 1e-6] + [-3e6, 5e-6], np.full(101, 0.1)])
Y = np.arange(101) % 3


def alone(inputs=4, dtype="float64", **options):
    """Return a network of a Standardize alone, whose outputs are what it gives."""
    return cr.Network([cr.Standardize(**options)], inputs=inputs, dtype=dtype)


def network(**options):
    return cr.Network([cr.Standardize(), cr.Dense(5, activation="tanh"), cr.Dense(3)], inputs=4, **options)


# The formula ---------------------------------------------------------------------------------------------------------


def test_it_is_the_formula(dtype):
    net = measured(alone(dtype=dtype), X)
    x = X.astype(dtype).astype(np.longdouble)
    mean, scale = x.mean(axis=0), np.where(np.ptp(x, axis=0) == 0, 1, x.std(axis=0))
    # The mean rounded to dtype, the difference, the quotient, the product; and before, sums of 101 in double precision.
    sizes = np.abs(mean) / scale + 3 * np.abs((x - mean) / scale)
    bound = (np.finfo(dtype).eps + 101 * 2.0**-52) * sizes
    assert np.all(np.abs(net.predict(X) - (x - mean) / scale) <= bound)
    assert np.all(net.predict(X)[:, 3] == 0)  # exactly, though a mean of 101 times 0.1 is not 0.1


def test_it_is_scikit_learns():
    preprocessing = pytest.importorskip("sklearn.preprocessing", reason="needs scikit-learn")
    weight = np.random.default_rng(3).integers(0, 3, size=101).astype(float)
    for given in (None, weight):
        net = alone()
        net.adapt(X, given)
        scaler = preprocessing.StandardScaler().fit(X, sample_weight=given)
        np.testing.assert_allclose(net.statistics()["0.mean"], scaler.mean_, rtol=1e-13)
        np.testing.assert_allclose(1 / net.statistics()["0.inverse_scale"], scaler.scale_, rtol=1e-10)
        np.testing.assert_allclose(net.predict(X), scaler.transform(X), rtol=0, atol=1e-10)


def test_one_scale_for_all_columns():
    net = alone(2, shared=True)
    net.adapt([[0, 0], [0, 4]])
    assert net.statistics()["0.mean"].tolist() == [1, 1]
    np.testing.assert_allclose(net.statistics()["0.inverse_scale"], 1 / np.sqrt(3), rtol=1e-15)
    np.testing.assert_allclose(net.predict([[1.0, 1 + np.sqrt(3)]]), [[0, 1]], atol=1e-15)


def test_a_weight_of_two_is_the_row_twice_and_of_zero_no_row():
    weighted, repeated = alone(), alone()
    weighted.adapt(X[:5], [2, 0, 1, 0, 3])
    repeated.adapt(X[[0, 0, 2, 4, 4, 4]])
    for name, value in weighted.statistics().items():
        np.testing.assert_allclose(value, repeated.statistics()[name], rtol=1e-12)


def test_a_year_loses_no_digits_that_matter():
    # float32 has steps of 2^-13 at 1999; the mean and each year are off by at most half of one.
    net, exact = alone(1, "float32"), (YEARS - YEARS.mean()) / YEARS.std()
    net.adapt(YEARS[:, np.newaxis])
    off = np.abs(net.predict(YEARS[:, np.newaxis])[:, 0] - exact).max()
    assert 1e-7 < off < 2.0**-13 / YEARS.std() + 1e-6  # 2e-5: measured, and below the bound


def test_steps_that_blur_a_column_are_told():
    seconds = 1.7e9 + rows(50, 1) * 1000  # float32 has steps of 128 there
    net = alone(1, "float32")
    with pytest.warns(cr.StandardizeWarning, match=r"^column 0 .* around 1\.7e\+09 .* float32 has steps of 1\d\.\d%"):
        net.adapt(seconds)
    exact = (seconds - seconds.mean()) / seconds.std()
    assert 0.05 < np.abs(net.predict(seconds) - exact).max() < 0.15
    for better in (alone(1, "float64"), alone(1, "float32")):
        x = seconds if better.dtype == np.float64 else seconds - 1.7e9
        better.adapt(x)
        assert np.abs(better.predict(x) - exact).max() < 1e-6


@pytest.mark.parametrize("way", ["adapt", "fit", "lr_range_test"])
def test_the_warning_names_the_line_of_the_caller(way):
    seconds, y = 1.7e9 + rows(50, 1) * 1000, np.zeros(50)
    learner = cr.Trainer(cr.Network([cr.Standardize(), cr.Dense(1)], inputs=1), loss="mse")
    calls = {
        "adapt": lambda: learner.net.adapt(seconds),
        "fit": lambda: learner.fit(seconds, y, epochs=1, verbose=False),
        "lr_range_test": lambda: cr.lr_range_test(learner, seconds, y, steps=5),
    }
    with pytest.warns(cr.StandardizeWarning) as said:
        calls[way]()
    assert [one.filename for one in said] == [__file__]


@pytest.mark.parametrize("count", [1, 2, 7, 64, 65])
def test_sizes(dtype, count):
    for width in (1, 3, 17):
        x = rows(count, width, seed=count)
        net = measured(alone(width, dtype), x)
        assert np.isfinite(net.predict(x)).all()
        assert net.predict(np.zeros((0, width))).shape == (0, width)
        if count == 1:
            assert np.all(net.predict(x) == 0)


# When it is measured -------------------------------------------------------------------------------------------------


def test_a_network_without_figures_says_so():
    net = network()
    message = r"^layers\[0\], a Standardize, has no mean and scale yet: .* net\.adapt\(X\)"
    x = np.zeros((2, 4), dtype=np.float32)
    uses = (
        lambda: net.predict(x),
        lambda: net.predict(x.tolist()),
        lambda: net(x),
        lambda: trainer(net).evaluate(x, [0, 1]),
        lambda: trainer(net).scores(x, [0, 1]),
        lambda: cr.gradient_report(net, x, [0, 1], loss="cross_entropy"),
        lambda: cr.layer_report(net, x),
        lambda: cr.layer_report(trainer(net), x, [0, 1]),
        lambda: cr.check_gradients(net, x, [0, 1], loss="cross_entropy"),
        lambda: pickle.loads(pickle.dumps(net)).predict(x),
    )
    for use in uses:
        with pytest.raises(RuntimeError, match=message):
            use()
    net.adapt(X)
    for use in uses:
        use()


def test_asking_whether_there_are_figures_ends_with_the_first_answer():
    quick = type(classifier().predict_as_is)
    net = network()
    assert not isinstance(net.predict_as_is, quick)
    net.adapt(X)
    net.predict(X)
    assert isinstance(net.predict_as_is, quick)
    net.load_state_dict(network().state_dict())  # of one without figures
    with pytest.raises(RuntimeError, match="no mean and scale yet"):
        net.predict(X)


def test_a_fit_measures_the_rows_that_it_trains_on():
    weight = np.ones(101)
    weight[::7] = 0
    net = network(dtype="float64")
    options = {"validation_split": 0.3, "sample_weight": weight, "class_weight": {0: 9.0}}
    trainer(net, seed=5).fit(X, Y, epochs=1, **options, verbose=False)
    training = data.split(101, 0.3, 5, Y)[0]
    used = X[training][weight[training] > 0]
    np.testing.assert_allclose(net.statistics()["0.mean"], used.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(1 / net.statistics()["0.inverse_scale"][:3], used.std(axis=0)[:3], rtol=1e-12)


def test_what_was_measured_stays():
    net = network()
    net.adapt(X[:50])
    before = {name: value.copy() for name, value in net.statistics().items()}
    fitting = trainer(net)
    fitting.fit(X, Y, epochs=2, verbose=False)
    net.train()(X)
    assert all(np.array_equal(value, before[name]) for name, value in net.statistics().items())
    net.adapt(X)  # anew, because asked
    assert not np.array_equal(net.statistics()["0.mean"], before["0.mean"])


def test_four_epochs_and_six_are_ten():
    whole, parts = network(), network()
    trainer(whole).fit(X, Y, epochs=10, verbose=False)
    fitting = trainer(parts)
    fitting.fit(X, Y, epochs=4, verbose=False)
    fitting.fit(X, Y, epochs=6, verbose=False)
    assert all(np.array_equal(value, parts.state_dict()[name]) for name, value in whole.state_dict().items())


def test_it_trains_as_on_rows_standardized_before(dtype):
    """In float64 the two ways differ by rounding alone."""
    inside = network(dtype=dtype)
    trainer(inside).fit(X, Y, epochs=3, verbose=False)
    plain = cr.Network([cr.Dense(5, activation="tanh"), cr.Dense(3)], inputs=4, dtype=dtype)
    inside_start = network(dtype=dtype).parameters()
    for name, value in plain.parameters().items():
        number, own = name.split(".")
        value[...] = inside_start[f"{int(number) + 1}.{own}"]
    ready = measured(alone(dtype=dtype), X).predict(X)
    trainer(plain).fit(ready, Y, epochs=3, verbose=False)
    assert np.array_equal(plain.predict(ready), inside.predict(X))


def test_nothing_is_measured_when_a_fit_refuses_its_arguments():
    net = network()
    with pytest.raises(ValueError, match="epochs"):
        trainer(net).fit(X, Y, epochs=0)
    with pytest.raises(TypeError, match="class_weight"):
        trainer(net).fit(X, Y, class_weight=3)
    assert not net.statistics()["0.inverse_scale"].any()


def test_behind_frozen_layers_it_standardizes_what_they_give():
    layers = [cr.Standardize(), cr.Dense(6, activation="tanh"), cr.Standardize(), cr.Dense(3)]
    net = cr.Network(layers, inputs=4, dtype="float64", seed=1)
    net.freeze(1)
    trainer(net).fit(X, Y, epochs=2, verbose=False)
    hidden = cr.Network(layers[:2], inputs=4, dtype="float64")
    hidden.load_state_dict({name: net.state_dict()[name] for name in hidden.state_dict()})
    assert np.abs(hidden.predict(X).mean(axis=0)).max() > 0.01
    np.testing.assert_allclose(net.statistics()["2.mean"], hidden.predict(X).mean(axis=0), rtol=0, atol=1e-15)
    assert cr.check_gradients(net, X[:7], Y[:7], loss="cross_entropy").max_error < 1e-6


def test_its_way_back_divides_by_the_scale(dtype):
    """dW = x^T dz with dz = dh / scale, exactly, where scales are powers of 2."""
    net = cr.Network([cr.Dense(3, bias=False), cr.Standardize()], inputs=2, dtype=dtype)
    state = net.state_dict()
    state["1.mean"], state["1.inverse_scale"] = np.array([1, 2, 3]), np.array([0.5, 4, 1])
    net.load_state_dict(state)
    x, y = np.array([[1.0, -2], [3, 0.5]]), np.zeros((2, 3))
    loss = cr.MeanSquaredError(reduction="sum", half=True)(net(x), y)
    h = (x @ state["0.weight"].astype(np.float64) - [1, 2, 3]) * [0.5, 4, 1]
    loss.backward()
    expected = x.T @ (h * [0.5, 4, 1])
    np.testing.assert_allclose(net.gradients()["0.weight"], expected, rtol=0, atol=200 * np.finfo(dtype).eps)


# Bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: classifier().adapt(X), r"^adapt\(\) is for networks with a Standardize"),
        (lambda net: net.adapt(np.zeros((0, 4))), r"^X must have at least one row; got shape \(0, 4\)"),
        (lambda net: net.adapt(X[:, :3]), r"^X must have shape \(rows, 4\)"),
        (lambda net: net.adapt(X[:3], [0, 0, 0]), "^sample_weight must be above 0 in some row"),
        (lambda net: net.adapt(X[:3], [1, 1]), "^sample_weight must have 3 rows"),
        (lambda net: net.adapt(np.array([[0, 1e-39, 0, 0], [0] * 4])), "^column 1 .* has a scale of 5e-40, whose inv"),
        (lambda net: net.adapt(np.full((2, 4), np.nan)), "^X must be finite"),
        (
            lambda net: net.load_state_dict({**net.state_dict(), "0.inverse_scale": [1, 0, 1, 1]}),
            r"inverse_scale'\] must be above 0, or 0 everywhere; \[1\] is 0",
        ),
        (
            lambda net: net.load_state_dict({**net.state_dict(), "0.inverse_scale": [1, 1, 1, -2]}),
            r"inverse_scale'\] must be above 0, or 0 everywhere; \[3\] is -2",
        ),
    ],
)
def test_bad_input_changes_nothing(call, message):
    net = network()
    with pytest.raises(ValueError, match=message):
        call(net)
    assert not net.statistics()["0.inverse_scale"].any()


def test_numbers_too_large_are_named():
    with pytest.raises(ValueError, match="column 1 of X holds numbers too large to standardise"):
        alone(2).adapt([[0, 1e300], [0, -1e300]])


# What it is part of --------------------------------------------------------------------------------------------------


def test_it_is_saved_copied_and_pickled(tmp_path, dtype):
    net = network(dtype=dtype)
    trainer(net).fit(X, Y, epochs=1, verbose=False)
    others = [net.copy(), copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
    pytest.importorskip("safetensors", reason="needs safetensors")
    net.save(tmp_path / "net")
    for other in [*others, cr.load(tmp_path / "net")]:
        assert other.predict(X).tobytes() == net.predict(X).tobytes()
    network().save(tmp_path / "raw")
    with pytest.raises(RuntimeError, match="no mean and scale yet"):
        cr.load(tmp_path / "raw").predict(X)


def test_it_learns_nothing_and_no_penalty_counts_it(capsys):
    net = network()
    assert set(net.parameters()) == {"1.weight", "1.bias", "2.weight", "2.bias"}
    net.summary()
    line = capsys.readouterr().out.splitlines()[2].split()
    assert line[:5] == ["0", "Standardize", "(B,", "4)", "0"]
    assert line[5] == "8"


def test_networks_of_another_shape_keep_it():
    net = network(seed=1)
    net.adapt(X)
    for other in (cr.pruned(net, share=0.0), cr.with_units(net, 1, 7)):
        np.testing.assert_allclose(other.predict(X), net.predict(X), rtol=0, atol=1e-6)
    between = cr.Network([cr.Dense(3), cr.Standardize(), cr.Dense(2)], inputs=4)
    between.adapt(X)
    assert cr.with_units(between, 0, 2).predict(X).shape == (101, 2)
    with pytest.raises(ValueError, match=r"^units must not be more .* layers\[1\], a Standardize"):
        cr.with_units(between, 0, 4)


def test_callbacks_and_divergence_bring_it_back():
    net = network()
    with pytest.warns(cr.DivergenceWarning):
        trainer(net, loss="mse", optimizer=cr.SGD(1e30)).fit(X, np.eye(3)[Y], epochs=3, verbose=False)
    assert np.abs(measured(alone(dtype="float32"), X).statistics()["0.mean"] - net.statistics()["0.mean"]).max() == 0


def test_no_warning_where_nothing_is_wrong():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for dtype in ("float32", "float64"):
            trainer(network(dtype=dtype)).fit(X, Y, epochs=1, verbose=False)


@pytest.mark.filterwarnings("ignore::chainrule.scales.DataWarning")  # that raw columns hide it is the point
def test_it_learns_what_raw_columns_hide():
    """Classes that lie apart in a column of small numbers beside one of large numbers."""
    x, y = problem(rows=200)
    x = x * [1e3, 1e-3, 1e3, 1e-3] + [5e3, 0, 0, 0]

    def accuracy(layers):
        net = cr.Network(layers, inputs=4, seed=1)
        fitting = cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(0.3), metrics=["accuracy"])
        fitting.fit(x, y, epochs=30, verbose=False)
        return fitting.evaluate(x, y)["accuracy"]

    hidden = [cr.Dense(8, activation="tanh"), cr.Dense(3)]
    assert accuracy([cr.Standardize(), *hidden]) > 0.85
    assert accuracy(hidden) < 0.75


@needs_gpu
def test_on_the_gpu(dtype):
    net = network(dtype=dtype)
    trainer(net).fit(X, Y, epochs=1, verbose=False)
    there = net.to("cuda")
    # One product and a sum of 5 numbers below 1 a layer come after it.
    np.testing.assert_allclose(there.predict(X), net.predict(X), rtol=0, atol=100 * np.finfo(dtype).eps)
    other = cr.Network([cr.Standardize()], inputs=4, dtype=dtype, device="cuda")
    with pytest.raises(RuntimeError, match="no mean and scale yet"):
        other.predict(X)
    other.adapt(X)
    assert other.predict(X).tobytes() == measured(alone(dtype=dtype), X).predict(X).tobytes()


def test_a_fit_that_is_refused_measures_nothing():
    x, y = problem(rows=50)
    net = cr.Network([cr.Standardize(), cr.Dense(3)], inputs=4)
    learner = cr.Trainer(net, loss="cross_entropy")
    with pytest.raises(ValueError, match="val_loss"):
        learner.fit(x, y, callbacks=[cr.EarlyStopping(patience=2)], verbose=False)
    with pytest.raises(RuntimeError, match="has no mean and scale yet"):
        net.predict(x)
    learner.fit(x + 9, y, epochs=1, verbose=False)
    np.testing.assert_allclose(net.statistics()["0.mean"], (x + 9).mean(axis=0), rtol=1e-6)
