"""The trainer: the same bits by every way, what it learns, and its figures against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from problems import CLOCKED, bits, built, network, problem, subclasses, trainer, variants

import chainrule as cr
from chainrule import _engine, data

# The same bits -------------------------------------------------------------------------------------------------------


OPTIMIZERS = pytest.mark.parametrize("optimizer", subclasses(cr.Optimizer), ids=lambda kind: kind.__name__)


def check_the_loop_by_hand_is_fit(dtype, optimizer, penalty):
    X, y = problem()
    fitted = network(dtype)
    trainer(fitted, optimizer=optimizer(0.01), penalty=penalty).fit(X, y, epochs=3, batch_size=7)

    net, loss_fn, by_hand = network(dtype), cr.CrossEntropy(), optimizer(0.01)
    net.train()
    for epoch in range(3):
        for xb, yb in cr.batches(X, y, batch_size=7, seed=0, epoch=epoch):
            net.zero_grad()
            loss = loss_fn(net(xb), yb)
            loss.backward()
            rows = {"m": len(X), "batch": len(xb)}
            if penalty is not None:
                penalty.add_gradient(net, **rows)
                penalty.before_step(net, 0.01, **rows)
            by_hand.step(net)
            if penalty is not None:
                penalty.after_step(net, 0.01, **rows)
    assert bits(net) == bits(fitted)


@OPTIMIZERS
def test_the_loop_by_hand_is_fit(dtype, optimizer):
    check_the_loop_by_hand_is_fit(dtype, optimizer, None)


@pytest.mark.parametrize("penalty", [one for kind in subclasses(cr.Penalty) for one in variants(kind)], ids=repr)
def test_the_loop_by_hand_is_fit_with_a_penalty(dtype, penalty):
    check_the_loop_by_hand_is_fit(dtype, cr.Adam, penalty)


@pytest.mark.parametrize("decay", ["decoupled", "decoupled_raw"])
@pytest.mark.parametrize("constraint", [cr.NonNegative(), cr.UnitNorm(), cr.MaxNorm(0.5)], ids=repr)
def test_the_loop_by_hand_constrains_behind_the_update(dtype, decay, constraint):
    X = np.random.default_rng(0).standard_normal((6, 4)).astype(dtype)
    y, penalty, nets = X[:, :1] - 0.3, cr.L2(0.5, decay=decay), []
    for _ in range(2):
        nets.append(cr.Network([cr.Dense(1, weight_constraint=constraint)], inputs=4, seed=1, dtype=dtype))
    cr.Trainer(nets[0], loss="mse", optimizer=cr.SGD(0.1), penalty=penalty).fit(X, y, epochs=1, shuffle=False)
    cr.MeanSquaredError()(nets[1].train()(X), y).backward()
    penalty.before_step(nets[1], 0.1, m=6, batch=6)
    cr.SGD(0.1).step(nets[1])
    penalty.after_step(nets[1], 0.1, m=6, batch=6)
    assert bits(nets[1]) == bits(nets[0])


def test_the_loop_by_hand_is_fit_with_a_schedule(dtype):
    X, y = problem()
    fitted, net = network(dtype), network(dtype)
    make = cr.Adam(cr.StepDecay(0.01, drop=0.5, every=2), layer_lr={0: 0.5}, clip_norm=0.3)
    trainer(fitted, optimizer=make).fit(X, y, epochs=5, batch_size=7)
    for epoch in range(5):
        for xb, yb in cr.batches(X, y, batch_size=7, seed=0, epoch=epoch):
            net.zero_grad()
            cr.CrossEntropy()(net(xb), yb).backward()
            make.step(net, epoch=epoch)
    assert bits(net) == bits(fitted)


@OPTIMIZERS
def test_ten_epochs_are_four_and_six(dtype, optimizer):
    X, y = problem()
    options = {"batch_size": 8, "validation_split": 0.2, "class_weight": "balanced"}
    whole, parts = network(dtype), network(dtype)
    ten = trainer(whole, optimizer=optimizer(0.01)).fit(X, y, epochs=10, **options)
    once = trainer(parts, optimizer=optimizer(0.01))
    four, six = once.fit(X, y, epochs=4, **options), once.fit(X, y, epochs=6, **options)
    assert bits(whole) == bits(parts)
    assert ten["loss"] == four["loss"] + six["loss"]
    assert ten["val_loss"] == four["val_loss"] + six["val_loss"]
    assert (six.first_epoch, six.epochs, once.epochs_done) == (5, 6, 10)


@pytest.mark.usefixtures("restored_threads")
def test_any_number_of_threads_gives_the_same_bits(dtype):
    X, y = problem(rows=150)
    _engine.set_work_per_thread(1)
    seen = []
    for threads in (1, 2, 4):
        cr.set_num_threads(threads)
        net = network(dtype)
        assert net.core.threads(32) == threads
        penalty = [cr.L2(1e-3), cr.Lp(1e-3, p=1.5, norm="norm"), cr.L1(1e-2, update="proximal")]
        optimizer = cr.Adam(0.01, clip_norm=0.2, clip_value=0.1, layer_lr={0: 0.5})
        history = trainer(net, optimizer=optimizer, penalty=penalty, metrics=["accuracy"]).fit(
            X, y, epochs=3, batch_size=32, validation_split=0.3
        )
        figures = {name: values for name, values in history.items() if name not in CLOCKED}
        seen.append((bits(net), figures, net.predict(X).tobytes()))
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.usefixtures("restored_threads")
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_wide_layers_give_the_same_bits_too(dtype, loss):
    # Wide enough for the packed product; 257 is off every tile.
    X, y = problem(rows=150, classes=10, columns=300)
    targets = y if loss == "cross_entropy" else np.eye(10)[y]
    _engine.set_work_per_thread(1)
    seen = []
    for threads in (1, 2, 4):
        cr.set_num_threads(threads)
        net = cr.Network([cr.Dense(257, activation="relu"), cr.Dense(10)], inputs=300, dtype=dtype)
        assert net.core.threads(64) == threads
        options = {"optimizer": cr.Adam(0.01, clip_norm=0.2), "penalty": cr.Lp(1e-3, p=2, norm="norm")}
        history = trainer(net, loss=loss, **options).fit(X, targets, epochs=2, batch_size=64)
        seen.append((bits(net), history["loss"], history["penalty"], net.predict(X).tobytes()))
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("initializer", [built(kind) for kind in subclasses(cr.Initializer)], ids=repr)
def test_every_start_is_the_same_each_time(dtype, initializer):
    starts = [
        cr.Network([cr.Dense(5, weight_init=initializer, bias_init=initializer)], inputs=4, seed=seed, dtype=dtype)
        for seed in (3, 3, 4)
    ]
    assert bits(starts[0]) == bits(starts[1])
    constant = np.ptp(starts[0].parameters()["0.weight"]) == 0
    assert (bits(starts[0]) == bits(starts[2])) == constant


def test_save_and_load_go_on_with_the_same_bits(tmp_path, dtype):
    X, y = problem()
    net = network(dtype)
    trainer(net, optimizer="sgd").fit(X, y, epochs=2)
    net.save(tmp_path / "net.safetensors")
    again = cr.load(tmp_path / "net.safetensors")
    assert bits(again) == bits(net)
    # Plain gradient descent has no state, and dropout goes on counting: training on gives the same.
    for one in (net, again):
        trainer(one, optimizer="sgd").fit(X, y, epochs=2)
    assert bits(again) == bits(net)


def test_the_order_of_the_data_layout_does_not_matter():
    X, y = problem()
    frozen = X.astype(np.float32)
    frozen.setflags(write=False)
    seen = []
    for given in (X, X.tolist(), np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], frozen, X[::-1].copy()[::-1]):
        net = network()
        trainer(net).fit(given, y, epochs=2)
        seen.append(bits(net))
    assert all(one == seen[0] for one in seen)


def test_targets_in_every_form_give_the_same_bits():
    X, y = problem()
    seen = []
    for given in (y, y.tolist(), y[:, None], y.astype(np.uint8), y.astype(np.int64)[::-1][::-1]):
        net = network()
        trainer(net).fit(X, given, epochs=2)
        seen.append(bits(net))
    assert all(one == seen[0] for one in seen)


def test_one_hot_targets_learn_as_labels_do():
    X, y = problem()
    nets = [network("float64"), network("float64")]
    histories = [trainer(net).fit(X, given, epochs=2) for net, given in zip(nets, (y, np.eye(3)[y]), strict=True)]
    # The sums over classes may run in another order; ten steps carry a rounding on.
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-12)


# What it learns ------------------------------------------------------------------------------------------------------


def test_xor():
    X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    net = cr.Network([cr.Dense(8, activation="tanh"), cr.Dense(1)], inputs=2, seed=1)
    learner = cr.Trainer(net, loss="binary_cross_entropy", optimizer=cr.Adam(0.05), metrics=["accuracy"])
    learner.fit(X, y, epochs=400, batch_size=4)
    assert learner.evaluate(X, y)["accuracy"] == 1
    assert ((net.predict(X).ravel() > 0) == y).all()


def spirals(rows, seed):
    """Return two spirals of one and a half turns that wind around each other."""
    rng = np.random.default_rng(seed)
    turn = np.sqrt(rng.uniform(0.05, 1, size=rows)) * 3 * np.pi
    label = rng.integers(0, 2, size=rows)
    angle = turn + np.pi * label
    X = np.column_stack([np.cos(angle), np.sin(angle)]) * turn[:, None] / (3 * np.pi)
    return X + rng.normal(scale=0.01, size=X.shape), label


def test_two_spirals():
    net = cr.Network([cr.Dense(32, activation="relu"), cr.Dense(32, activation="relu"), cr.Dense(2)], inputs=2)
    learner = cr.Trainer(net, loss="cross_entropy", optimizer=cr.Adam(0.01), metrics=["accuracy"])
    learner.fit(*spirals(600, seed=1), epochs=300, batch_size=32)
    assert learner.evaluate(*spirals(400, seed=2))["accuracy"] >= 0.98


def test_a_sine():
    x = np.linspace(-np.pi, np.pi, 200)[:, None]
    net = cr.Network([cr.Dense(32, activation="tanh"), cr.Dense(1)], inputs=1, seed=0)
    learner = cr.Trainer(net, loss="mse", optimizer=cr.Adam(0.01), metrics=["mae"])
    learner.fit(x, np.sin(x), epochs=1000, batch_size=20)
    assert np.abs(net.predict(x) - np.sin(x)).max() < 0.05


# Figures -------------------------------------------------------------------------------------------------------------


def test_history_and_evaluate_are_what_numpy_computes():
    X, y = problem(rows=50)
    net = network("float64")
    learner = trainer(net, metrics=["accuracy"], penalty=[cr.L2(0.1), cr.L2(0.01, bias_strength=0.01)])
    history = learner.fit(X[:30], y[:30], epochs=2, validation_data=(X[30:], y[30:]))
    p = net.predict(X[30:])
    log_f = p - p.max(axis=1, keepdims=True)
    log_f -= np.log(np.exp(log_f).sum(axis=1, keepdims=True))
    loss = -log_f[np.arange(20), y[30:]].mean()
    weights = {name: np.sum(value**2) for name, value in net.parameters().items()}
    penalty = 0.05 * sum(v for n, v in weights.items() if n.endswith("weight")) + 0.005 * sum(weights.values())
    assert history["val_loss"][-1] == pytest.approx(loss, rel=1e-13)
    assert history["penalty"][-1] == pytest.approx(penalty, rel=1e-13)
    assert history["val_accuracy"][-1] == (p.argmax(axis=1) == y[30:]).mean()
    assert history["learning_rate"] == [0.01, 0.01]
    found = learner.evaluate(X[30:], y[30:])
    assert found == {
        "loss": history["val_loss"][-1],
        "accuracy": history["val_accuracy"][-1],
        "penalty": history["penalty"][-1],
    }
    of_the_run = ["learning_rate", "gradient_norm", "samples_per_second", "seconds"]
    assert list(history) == ["loss", "accuracy", "penalty", "val_loss", "val_accuracy", *of_the_run]
    assert history.epochs == 2
    assert history.stop_reason == "all 2 epochs done"
    assert "2 epochs" in repr(history)


def test_metrics_of_numbers():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(23, 3)), rng.normal(size=(23, 2))
    net = cr.Network([cr.Dense(2)], inputs=3, dtype="float64")
    found = cr.Trainer(net, loss="mse", metrics=["mae", "mse"]).evaluate(X, y)
    errors = net.predict(X) - y
    assert found["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-13)
    assert found["mse"] == pytest.approx((errors**2).mean(), rel=1e-13)
    assert found["loss"] == pytest.approx(found["mse"], rel=1e-13)


@pytest.mark.parametrize("from_logits", [True, False])
def test_binary_accuracy(from_logits):
    X, y = problem(rows=40, classes=2)
    net = cr.Network([cr.Dense(1, activation="identity" if from_logits else "sigmoid")], inputs=4, seed=2)
    # So small a rate changes nothing: a fit finds the same.
    options = {"optimizer": cr.SGD(1e-30), "metrics": ["accuracy"]}
    learner = cr.Trainer(net, loss=cr.BinaryCrossEntropy(from_logits=from_logits), **options)
    yes = net.predict(X).ravel() > (0 if from_logits else 0.5)
    assert 0 < yes.mean() < 1
    # Means over rows in the network's precision: a few roundings of float32.
    assert learner.evaluate(X, y)["accuracy"] == pytest.approx((yes == y).mean(), rel=1e-6)
    history = learner.fit(X, y, epochs=1, validation_data=(X, y))
    assert history["accuracy"][0] == pytest.approx((yes == y).mean(), rel=1e-6)
    assert history["val_accuracy"][0] == pytest.approx((yes == y).mean(), rel=1e-6)
    assert (yes != (net.predict(X).ravel() > 0.5 - (0 if from_logits else 0.5))).any()


def test_the_loss_of_an_epoch_is_the_mean_over_its_rows():
    X, y = problem(rows=10)
    net = cr.Network([cr.Dense(3)], inputs=4, dtype="float64")
    # So small a rate changes nothing: the ragged last batch must count by its rows.
    learner = cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(1e-30))
    expected = learner.evaluate(X, y)["loss"]
    assert learner.fit(X, y, epochs=1, batch_size=4)["loss"][0] == pytest.approx(expected, rel=1e-14)
    total = cr.Trainer(net, loss=cr.MeanSquaredError(reduction="sum"), optimizer=cr.SGD(1e-30))
    targets = np.eye(3)[y]
    expected = ((net.predict(X) - targets) ** 2).sum()
    assert total.fit(X, targets, epochs=1, batch_size=4)["loss"][0] == pytest.approx(expected, rel=1e-13)


def weighted_step(X, y, weight, rate=0.5):
    """Return W after one step of softmax regression from zeros, written out."""
    f = np.full((len(X), 3), 1 / 3)
    return -rate * X.T @ (weight[:, None] * (f - np.eye(3)[y])) / len(X)


def linear():
    return cr.Network([cr.Dense(3, bias=False, weight_init="zeros")], inputs=4, dtype="float64")


def one_step(X, y, **options):
    net = linear()
    trainer(net, optimizer=cr.SGD(0.5)).fit(X, y, epochs=1, batch_size=len(X), **options)
    return net.parameters()["0.weight"]


# One step: sums over 60 rows of numbers of order 1, divided by 60; a hundred roundings.
STEP = {"rtol": 0, "atol": 100 * 2.0**-53}


def test_sample_weights():
    X, y = problem()
    weight = np.random.default_rng(3).uniform(0, 2, size=60)
    weight[::7] = 0
    np.testing.assert_allclose(one_step(X, y, sample_weight=weight), weighted_step(X, y, weight), **STEP)


def test_a_row_of_weight_0_does_not_count():
    X, y = problem()
    weight = np.ones(60)
    weight[10:] = 0
    heavy = one_step(X[:10], y[:10])
    # The mean runs over all rows: 60 instead of 10.
    np.testing.assert_allclose(one_step(X, y, sample_weight=weight) * 6, heavy, rtol=0, atol=600 * 2.0**-53)


def test_class_weights():
    X, y = problem()
    given = {0: 0.5, 2: 3.0}
    expected = weighted_step(X, y, np.array([0.5, 1.0, 3.0])[y])
    np.testing.assert_allclose(one_step(X, y, class_weight=given), expected, **STEP)
    np.testing.assert_allclose(one_step(X, np.eye(3)[y], class_weight=given), expected, **STEP)
    weight = np.random.default_rng(4).uniform(0.5, 1, size=60)
    both = one_step(X, y, class_weight=given, sample_weight=weight)
    np.testing.assert_allclose(both, weighted_step(X, y, weight * np.array([0.5, 1.0, 3.0])[y]), **STEP)


def test_balanced_class_weights_are_those_of_scikit_learn():
    compute = pytest.importorskip("sklearn.utils.class_weight", reason="needs scikit-learn").compute_sample_weight
    y = np.array([0, 0, 0, 0, 1, 1, 3])
    np.testing.assert_allclose(data.class_weights("class_weight", "balanced", y, 5), compute("balanced", y), rtol=1e-15)
    X = problem(rows=7)[0]
    y = np.minimum(y, 2)
    np.testing.assert_allclose(
        one_step(X, y, class_weight="balanced"), weighted_step(X, y, compute("balanced", y)), **STEP
    )


def test_binary_class_weights():
    y = np.array([0, 1, 1])
    members = cr.BinaryCrossEntropy().memberships(y[:, None].astype(float))
    assert data.class_weights("class_weight", {1: 4}, members, 1).tolist() == [1, 4, 4]


# The validation part -------------------------------------------------------------------------------------------------


def test_the_split_covers_all_rows_once():
    trained, held_out = data.split(103, 0.2, 5, None)
    assert len(held_out) == 21
    assert sorted([*trained, *held_out]) == list(range(103))
    again = data.split(103, 0.2, 5, None)
    assert np.array_equal(again[1], held_out)
    assert not np.array_equal(data.split(103, 0.2, 6, None)[1], held_out)
    # It is shuffled: neither the first nor the last rows.
    assert not np.array_equal(held_out, np.arange(21))
    assert not np.array_equal(held_out, np.arange(82, 103))


@pytest.mark.parametrize("share", [0.01, 0.1, 0.25, 0.5, 0.9])
def test_the_split_is_stratified(share):
    strata = np.repeat([0, 1, 2, 7], [50, 30, 11, 1])
    trained, held_out = data.split(92, share, 1, strata)
    wanted = min(max(round(92 * share), 1), 91)
    assert len(held_out) == wanted
    assert sorted([*trained, *held_out]) == list(range(92))
    for stratum, count in ((0, 50), (1, 30), (2, 11)):
        assert abs((strata[held_out] == stratum).sum() - wanted * count / 92) <= 1
    assert 91 in trained  # the only row of its class


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_the_split_leaves_a_row_on_either_side(share):
    for strata in (None, np.array([0, 1]), np.array([0, 0])):
        trained, held_out = data.split(2, share, 0, strata)
        assert len(trained) == len(held_out) == 1


def test_validation_rows_are_not_trained_on():
    X, y = problem(rows=20)
    held_out = data.split(20, 0.25, 0, y)[1]
    spoilt = X.copy()
    spoilt[held_out] *= -100
    nets = [network(), network()]
    histories = [
        trainer(net).fit(x, y, epochs=2, validation_split=0.25) for net, x in zip(nets, (X, spoilt), strict=True)
    ]
    assert bits(nets[0]) == bits(nets[1])
    assert histories[0]["val_loss"] != histories[1]["val_loss"]


# Batches --------------------------------------------------------------------------------------------------------------


def test_batches_are_rows_of_both():
    X, y = np.arange(22).reshape(11, 2), np.arange(11)
    whole = list(cr.batches(X, y, batch_size=4, seed=3))
    assert [len(xb) for xb, _ in whole] == [4, 4, 3]
    assert all(np.array_equal(xb[:, 0], 2 * yb) for xb, yb in whole)
    order = np.concatenate([yb for _, yb in whole])
    assert sorted(order) == list(range(11))
    assert not np.array_equal(order, np.arange(11))
    assert [len(xb) for xb, _ in cr.batches(X, y, batch_size=4, drop_last=True)] == [4, 4]
    plain = np.concatenate([yb for _, yb in cr.batches(X, y, batch_size=4, shuffle=False)])
    assert np.array_equal(plain, np.arange(11))
    other = np.concatenate([yb for _, yb in cr.batches(X, y, batch_size=4, seed=3, epoch=1)])
    assert not np.array_equal(other, order)


def test_drop_last_counts_only_whole_batches():
    X, y = problem(rows=10)
    net, by_hand = cr.Network([cr.Dense(3)], inputs=4), cr.Network([cr.Dense(3)], inputs=4)
    trainer(net, optimizer="sgd").fit(X, y, epochs=1, batch_size=4, drop_last=True)
    optimizer = cr.SGD()
    for xb, yb in cr.batches(X, y, batch_size=4, drop_last=True):
        by_hand.zero_grad()
        cr.CrossEntropy()(by_hand(xb), yb).backward()
        optimizer.step(by_hand)
    assert bits(net) == bits(by_hand)
