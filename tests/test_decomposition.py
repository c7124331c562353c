"""Bias and variance: the identities hold to the last digits, by hand and on networks, for numbers and for classes."""

from __future__ import annotations

import sys
from fractions import Fraction

import numpy as np
import pytest
from problems import problem

import chainrule as cr


def sine(rows, seed, noise=0.3):
    """Return rows of a noisy sine, and the sine itself."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-3, 3, size=(rows, 1))
    truth = np.sin(X[:, 0])
    return X, truth + noise * rng.normal(size=rows), truth


def net(units, seed):
    hidden = [cr.Dense(units, activation="tanh")] if units else []
    return cr.Network([*hidden, cr.Dense(1)], inputs=1, seed=seed)


def parts_of(result):
    return result.bias + result.variance + (result.noise or 0.0) + result.remainder


# The sums -------------------------------------------------------------------------------------------------------------


def test_numbers_by_hand():
    # Two models and two rows: means 2 and 0; squares to y: 1 and 9, 4 and 4.
    result = cr.decomposed([[1.0, 2.0], [3.0, -2.0]], [0.0, 0.0], kind="numbers")
    assert (result.error, result.bias, result.variance, result.noise, result.remainder) == (4.5, 2.0, 2.5, None, 0.0)
    assert (result.bias_of_rows.tolist(), result.variance_of_rows.tolist()) == ([4.0, 0.0], [1.0, 4.0])
    assert repr(result) == "<BiasVariance of 2 runs: error 4.5 = 2 bias^2 + 2.5 variance>"
    # The truth being 1 and 0: biases 1 and 0, noise 1 and 0, and 2 (2 - 1)(1 - 0) for the first row.
    known = cr.decomposed([[1.0, 2.0], [3.0, -2.0]], [0.0, 0.0], [1.0, 0.0], kind="numbers")
    assert (known.error, known.bias, known.variance, known.noise, known.remainder) == (4.5, 0.5, 2.5, 0.5, 1.0)
    assert repr(known).endswith("error 4.5 = 0.5 bias^2 + 2.5 variance + 0.5 noise + 1 remainder>")


def test_the_identity_is_exact():
    # In fractions, which do not round: E[(f - y)^2] = (E f - y)^2 + E[(f - E f)^2] for each row.
    rng = np.random.default_rng(0)
    runs, y, t = rng.integers(-9, 9, (5, 7)), rng.integers(-9, 9, 7), rng.integers(-9, 9, 7)
    result = cr.decomposed(runs, y, t, kind="numbers")
    bias = variance = error = noise = Fraction(0)
    for n in range(7):
        f = [Fraction(int(value)) for value in runs[:, n]]
        mean = sum(f) / 5
        bias += (mean - int(t[n])) ** 2 / 7
        variance += sum((one - mean) ** 2 for one in f) / 35
        error += sum((one - int(y[n])) ** 2 for one in f) / 35
        noise += Fraction(int(y[n] - t[n])) ** 2 / 7
    np.testing.assert_allclose(
        [result.bias, result.variance, result.error, result.noise, result.remainder],
        [float(one) for one in (bias, variance, error, noise, error - bias - variance - noise)],
        rtol=1e-14,
    )


@pytest.mark.parametrize("shape", [(2, 1), (3, 5), (4, 6, 1), (4, 6, 3), (50, 33, 2)])
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_the_parts_add_up(shape, precision):
    rng = np.random.default_rng(3)
    runs, y, truth = (rng.normal(size=one).astype(precision) for one in (shape, shape[1:], shape[1:]))
    for given in ((), (truth,)):
        result = cr.decomposed(runs, y, *given, kind="numbers")
        assert result.error == pytest.approx(np.mean((runs.astype(float) - y) ** 2), rel=1e-14)
        assert parts_of(result) == pytest.approx(result.error, rel=1e-13)
        assert (result.harmful, result.helpful, result.spread) == (result.variance, 0.0, result.variance)


def test_the_remainder_is_chance():
    # The same model and truth, y drawn again and again: error - bias^2 - variance - noise is 0 on average.
    rng = np.random.default_rng(5)
    runs, truth = rng.normal(size=(6, 40)) + 1, np.zeros(40)
    remainders = [
        cr.decomposed(runs, truth + 0.5 * rng.normal(size=40), truth, kind="numbers").remainder for _ in range(400)
    ]
    error_of_mean = np.std(remainders) / 20
    assert error_of_mean > 0.001
    assert abs(np.mean(remainders)) < 4 * error_of_mean


def test_classes_by_hand():
    # Five models, three rows; the main predictions are 1, 2 and 0, the targets 1, 0 and 0.
    runs = [[1, 2, 0], [1, 2, 0], [1, 0, 0], [0, 2, 0], [2, 1, 0]]
    result = cr.decomposed(runs, [1, 0, 0], kind="classes")
    # Errors: 2 of 5, 4 of 5, none. The first row's 2 departures harm; of the second's 2, one is right.
    assert result.error == pytest.approx(6 / 15)
    assert result.bias == pytest.approx(1 / 3)
    assert result.harmful == pytest.approx(2 / 15)
    assert result.helpful == pytest.approx(1 / 15)
    assert result.spread == pytest.approx(4 / 15)
    assert result.variance == pytest.approx(1 / 15)
    assert (result.noise, result.remainder) == (None, 0.0)
    assert parts_of(result) == pytest.approx(result.error)
    assert result.bias_of_rows.tolist() == [0.0, 1.0, 0.0]
    np.testing.assert_allclose(result.variance_of_rows, [0.4, -0.2, 0.0])
    assert repr(result) == "<BiasVariance of 5 runs: error 0.4 = 0.3333 bias + 0.06667 variance>"


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_parts_of_classes_add_up(classes):
    rng = np.random.default_rng(classes)
    runs, y, truth = (rng.integers(0, classes, size) for size in ((9, 60), 60, 60))
    result = cr.decomposed(runs, y, kind="classes")
    assert result.error == np.mean(runs != y)
    assert parts_of(result) == pytest.approx(result.error, abs=1e-15)
    main = np.array([np.bincount(column).argmax() for column in runs.T])
    assert result.bias == pytest.approx(np.mean(main != y))
    assert result.spread == pytest.approx(np.mean(runs != main))
    if classes == 2:
        # Domingos 2000 for two classes: variance counts +1 where the main prediction is right and -1 where it is wrong.
        signs = np.where(main == y, 1, -1)
        assert result.variance == pytest.approx(np.mean(signs * (runs != main).mean(axis=0)))
    known = cr.decomposed(runs, y, truth, kind="classes")
    assert known.noise == pytest.approx(np.mean(y != truth))
    assert parts_of(known) == pytest.approx(known.error, abs=1e-15)


def test_of_equal_votes_the_first_class_is_the_main_one():
    result = cr.decomposed([[2], [1]], [1], kind="classes")
    assert (result.bias, result.variance) == (0.0, 0.5)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ([[1.0]], [1.0]),
            ValueError,
            r"predictions must have shape \(runs, rows\) or .*, at least two runs and one row",
        ),
        ((np.zeros((2, 0)), []), ValueError, r"got \(2, 0\)"),
        (
            (np.zeros((2, 3)), np.zeros(2)),
            ValueError,
            r"y must have shape \(3,\), as each run's predictions; got \(2,\)",
        ),
        ((np.zeros((2, 3)), np.zeros(3), np.zeros((3, 2))), ValueError, r"truth must have shape \(3,\)"),
        ((np.zeros((2, 3, 2)), np.zeros(3)), ValueError, r"y must have shape \(3, 2\)"),
        (([[np.nan], [1.0]], [1.0]), ValueError, "predictions must be finite"),
        (([[1.0], [1.0]], ["a"]), TypeError, "y must hold real numbers"),
    ],
)
def test_numbers_that_do_not_suit(arguments, error, message):
    with pytest.raises(error, match=message):
        cr.decomposed(*arguments, kind="numbers")


def test_classes_that_do_not_suit():
    with pytest.raises(TypeError, match="predictions must hold class numbers for kind='classes'; got float64"):
        cr.decomposed([[1.0], [0.0]], [1], kind="classes")
    with pytest.raises(ValueError, match=r"predictions must have shape \(runs, rows\), at least"):
        cr.decomposed(np.zeros((2, 3, 1), int), np.zeros(3, int), kind="classes")
    with pytest.raises(ValueError, match="kind='words' is unknown; known are 'numbers', 'classes'"):
        cr.decomposed([[1], [0]], [1], kind="words")


# Networks -------------------------------------------------------------------------------------------------------------

SETUP = {"loss": "mse", "optimizer": cr.Adam(0.03), "epochs": 600, "batch_size": 40, "repeats": 12}


@pytest.fixture(scope="module")
def models():
    """Return a straight line and a network of 30 units, both trained on 40 rows of a sine."""
    X, y, _ = sine(40, seed=0)
    X_test, y_test, truth = sine(150, seed=1)
    return {
        units: cr.bias_variance(lambda seed, n=units: net(n, seed), X, y, X_test, y_test, truth=truth, **SETUP)
        for units in (0, 30)
    }


def test_consistent_but_inaccurate_and_accurate_on_average(models):
    line, flexible = models[0], models[30]
    # "High bias, low variance algorithms train models that are consistent, but inaccurate on average" [003].
    assert line.bias > 5 * line.variance
    # "High variance, low bias algorithms train models that are accurate on average, but inconsistent" [003].
    assert flexible.variance > flexible.bias
    assert line.bias > 5 * flexible.bias
    assert flexible.variance > 1.5 * line.variance
    for result in (line, flexible):
        assert result.noise == pytest.approx(0.09, rel=0.3)
        assert parts_of(result) == pytest.approx(result.error, rel=1e-12)
        assert abs(result.remainder) < 0.3 * result.error
        assert (result.kind, result.predictions.shape, result.diverged) == ("numbers", (12, 150, 1), 0)


def test_the_bias_of_a_line_is_that_of_least_squares(models):
    # A line through the sine: its squared bias is at least that of the best line through the truth of the test rows.
    X_test, _, truth = sine(150, seed=1)
    columns = np.column_stack([X_test, np.ones(150)])
    best = columns @ np.linalg.lstsq(columns, truth, rcond=None)[0]
    assert np.mean((best - truth) ** 2) < models[0].bias < 2 * np.mean((best - truth) ** 2) + 0.09


def test_bootstrap_sets_and_starts():
    # A line without hidden units, trained to the end, is the least squares of its bootstrap set.
    X, y, _ = sine(30, seed=3)
    X_test, y_test, _ = sine(9, seed=4)
    given = {"loss": "mse", "optimizer": cr.Momentum(0.1), "epochs": 800, "batch_size": 30, "repeats": 3, "seed": 11}
    made = []

    def make(seed):
        made.append(seed)
        return cr.Network([cr.Dense(1)], inputs=1, dtype="float64", seed=seed)

    result = cr.bias_variance(make, X, y, X_test, y_test, **given)
    assert made == [11, 12, 13]
    drawn = [np.random.default_rng([11, r]).integers(0, 30, 30) for r in range(3)]
    columns, asked = (np.column_stack([one, np.ones(len(one))]) for one in (X, X_test))
    expected = [asked @ np.linalg.lstsq(columns[rows], y[rows], rcond=None)[0] for rows in drawn]
    np.testing.assert_allclose(result.predictions[:, :, 0], expected, rtol=1e-9, atol=1e-9)
    again = cr.bias_variance(make, X, y, X_test, y_test, vary_start=False, **given)
    assert made[3:] == [11, 11, 11]
    # The least squares are the same from any start.
    np.testing.assert_allclose(again.predictions, result.predictions, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_networks_of_classes(loss):
    X, labels = problem(rows=150)
    binary = loss == "binary_cross_entropy"
    y = labels % 2 if binary else labels
    flipped = y.copy()
    flipped[100::5] = (flipped[100::5] + 1) % (2 if binary else 3)
    result = cr.bias_variance(
        lambda seed: cr.Network([cr.Dense(8, activation="tanh"), cr.Dense(1 if binary else 3)], inputs=4, seed=seed),
        X[:100],
        y[:100],
        X[100:],
        flipped[100:],
        truth=y[100:],
        loss=loss,
        optimizer=cr.Adam(0.05),
        epochs=10,
        repeats=6,
    )
    assert (result.kind, result.predictions.shape) == ("classes", (6, 50))
    assert result.error == pytest.approx(np.mean(result.predictions != flipped[100:]))
    assert result.noise == pytest.approx(0.2)
    assert result.bias == pytest.approx(np.mean(result.bias_of_rows))
    assert 0 < result.spread < 0.3
    assert np.mean(result.predictions != y[100:]) < 0.3
    assert parts_of(result) == pytest.approx(result.error)


def test_one_hot_targets_are_classes_too():
    X, y = problem(rows=40)
    given = {"loss": "cross_entropy", "epochs": 2, "repeats": 2}

    def make(seed):
        return cr.Network([cr.Dense(3)], inputs=4, seed=seed)

    numbered = cr.bias_variance(make, X, y, X, y, **given)
    one_hot = cr.bias_variance(make, X, np.eye(3)[y], X, np.eye(3)[y], **given)
    assert one_hot.error == numbered.error


def test_runs_that_diverge_are_counted():
    X, y, _ = sine(20, seed=0)
    given = {**SETUP, "optimizer": cr.SGD(1e30), "epochs": 3, "repeats": 2}
    result = cr.bias_variance(lambda seed: net(0, seed), X, y, X, y, **given)
    assert result.diverged == 2
    assert repr(result).endswith("; 2 of 2 runs diverged>")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": 1}, "repeats must be a whole number from 2"),
        ({"seed": -1}, "seed must be"),
        ({"vary_start": 1}, "vary_start must be True or False"),
        ({"epochs": 0}, "epochs must be"),
        ({"loss": "mean"}, "loss='mean' is unknown"),
        ({"truth": np.zeros(3)}, "truth must have 20 rows"),
        ({"y_test": np.zeros(3)}, "test: y must have 20 rows"),
        ({"X_test": np.zeros((3, 2))}, r"test: X must have shape \(rows, 1\)"),
        ({"make_network": 3}, "make_network must be a function of a seed"),
        ({"make_network": lambda seed: net(0, 5)}, r"must hand the seed on, .*; make_network\(0\) has seed 5"),
    ],
)
def test_experiments_that_cannot_be(options, message):
    X, y, _ = sine(20, seed=0)
    given = {"make_network": lambda seed: net(0, seed), "X_test": X, "y_test": y, **SETUP, **options}
    with pytest.raises((ValueError, TypeError), match=message):
        cr.bias_variance(given.pop("make_network"), X, y, given.pop("X_test"), given.pop("y_test"), **given)


def test_several_labels_at_once_are_no_classes():
    X, _ = problem(rows=20)
    with pytest.raises(ValueError, match="loss must have numbers or classes that exclude each other"):
        cr.bias_variance(
            lambda seed: cr.Network([cr.Dense(2)], inputs=4, seed=seed),
            X,
            np.ones((20, 2)),
            X,
            np.ones((20, 2)),
            loss="binary_cross_entropy",
        )


# The picture ----------------------------------------------------------------------------------------------------------


def test_the_picture(models, tmp_path):
    ax = pytest.importorskip("matplotlib.figure").Figure().add_subplot()
    result = models[30]
    assert result.plot(ax) is ax
    assert result.noise > 0
    parts = [result.bias, result.variance, result.noise]
    bars = [bar for (bar,) in ax.containers]
    np.testing.assert_allclose([bar.get_height() for bar in bars], parts)
    np.testing.assert_allclose([bar.get_y() for bar in bars], [0, *np.cumsum(parts[:2])])
    assert ax.get_lines()[0].get_ydata().tolist() == [result.error]
    assert ax.get_ylabel() == "expected squared error"
    result.plot().figure.savefig(tmp_path / "parts.png")


def test_variance_below_0_hangs_below_the_axis():
    pytest.importorskip("matplotlib")
    # The main prediction is wrong and one of three runs is right.
    ax = cr.decomposed([[1], [1], [0]], [0], kind="classes").plot()
    bias, variance = ax.containers
    assert (bias[0].get_height(), variance[0].get_y()) == (1.0, 0.0)
    assert variance[0].get_height() == pytest.approx(-1 / 3)
    assert ax.get_legend_handles_labels()[1] == ["error", "bias", "variance"]
    assert ax.get_ylabel() == "share of wrong classes"


def test_the_picture_needs_matplotlib(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="bias and variance need matplotlib"):
        models[0].plot()
