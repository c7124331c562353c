"""The trainer: the same bits by every way, what it learns, and how it ends."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import warnings

import numpy as np
import pytest

import chainrule as cr
from chainrule import _engine, data


def problem(rows=60, classes=3, columns=4, seed=0):
    """Return rows around class centres."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, size=rows)
    return rng.normal(size=(rows, columns)) + 2 * np.eye(classes, columns)[labels], labels


def network(dtype="float32", seed=0):
    layers = [cr.Dense(17, activation="relu"), cr.Dropout(rate=0.2), cr.Dense(9, activation="tanh"), cr.Dense(3)]
    return cr.Network(layers, inputs=4, seed=seed, dtype=dtype)


def trainer(net, **options):
    return cr.Trainer(net, **{"loss": "cross_entropy", "optimizer": cr.Adam(0.01), **options})


def bits(net):
    return {name: value.tobytes() for name, value in net.parameters().items()}


# The same bits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [cr.SGD, cr.Momentum, cr.Adam])
@pytest.mark.parametrize("penalty", [None, cr.L2(0.1)], ids=repr)
def test_the_loop_by_hand_is_fit(dtype, optimizer, penalty):
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
            if penalty is not None:
                penalty.add_gradient(net)
            by_hand.step(net)
    assert bits(net) == bits(fitted)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_ten_epochs_are_four_and_six(dtype, optimizer):
    X, y = problem()
    options = {"batch_size": 8, "validation_split": 0.2, "class_weight": "balanced"}
    whole, parts = network(dtype), network(dtype)
    ten = trainer(whole, optimizer=optimizer).fit(X, y, epochs=10, **options)
    once = trainer(parts, optimizer=optimizer)
    four, six = once.fit(X, y, epochs=4, **options), once.fit(X, y, epochs=6, **options)
    assert bits(whole) == bits(parts)
    assert ten["loss"] == four["loss"] + six["loss"]
    assert ten["val_loss"] == four["val_loss"] + six["val_loss"]
    assert (six.first_epoch, six.epochs, once.epochs_done) == (5, 6, 10)


@pytest.fixture
def restored_threads():
    threads, work = cr.get_num_threads(), _engine.work_per_thread()
    yield
    cr.set_num_threads(threads)
    _engine.set_work_per_thread(work)


@pytest.mark.usefixtures("restored_threads")
def test_any_number_of_threads_gives_the_same_bits(dtype):
    X, y = problem(rows=150)
    _engine.set_work_per_thread(1)
    seen = []
    for threads in (1, 2, 4):
        cr.set_num_threads(threads)
        net = network(dtype)
        assert net.core.threads(32) == threads
        history = trainer(net, penalty=cr.L2(1e-3), metrics=["accuracy"]).fit(
            X, y, epochs=3, batch_size=32, validation_split=0.3
        )
        figures = {name: values for name, values in history.items() if name != "seconds"}
        seen.append((bits(net), figures, net.predict(X).tobytes()))
    assert seen[0] == seen[1] == seen[2]


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
    learner = trainer(net, metrics=["accuracy"], penalty=[cr.L2(0.1), cr.L2(0.01, biases=True)])
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
    assert list(history) == ["loss", "accuracy", "penalty", "val_loss", "val_accuracy", "learning_rate", "seconds"]
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
    learner = cr.Trainer(net, loss=cr.BinaryCrossEntropy(from_logits=from_logits), metrics=["accuracy"])
    yes = net.predict(X).ravel() > (0 if from_logits else 0.5)
    assert 0 < yes.mean() < 1
    # Means over rows in the network's precision: a few roundings of float32.
    assert learner.evaluate(X, y)["accuracy"] == pytest.approx((yes == y).mean(), rel=1e-6)


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


# Callbacks and endings -----------------------------------------------------------------------------------------------


class Recorder(cr.Callback):
    def __init__(self):
        self.seen = []
        self.states = {}

    def on_train_begin(self, logs):
        self.seen.append("begin")

    def on_epoch_begin(self, epoch, logs):
        self.seen.append(epoch)

    def on_epoch_end(self, epoch, logs):
        self.seen.append(sorted(logs))
        self.states[epoch] = self.trainer.net.state_dict()

    def on_train_end(self, logs):
        self.seen.append("end")


def test_callbacks_are_called_in_order():
    recorder = Recorder()
    learner = trainer(network())
    learner.fit(*problem(), epochs=2, callbacks=[recorder])
    names = sorted(["loss", "learning_rate", "seconds"])
    assert recorder.seen == ["begin", 1, names, 2, names, "end"]
    learner.fit(*problem(), epochs=1, callbacks=[recorder])
    assert recorder.seen[6:8] == ["begin", 3]


def test_hooks_that_would_never_be_called_are_refused():
    with pytest.raises(TypeError, match="on_batch_end would never be called"):
        type("Wrong", (cr.Callback,), {"on_batch_end": lambda self: None})


def test_a_callback_can_stop_and_set_the_learning_rate():
    class Halving(cr.Callback):
        def on_epoch_end(self, epoch, logs):
            self.trainer.learning_rate /= 2
            if epoch == 3:
                self.trainer.stop("enough")
                self.trainer.stop("not heard")

    history = trainer(network()).fit(*problem(), epochs=9, callbacks=[Halving()])
    assert history["learning_rate"] == [0.01, 0.005, 0.0025]
    assert history.stop_reason == "enough"


def noisy():
    """Return few rows with labels that mean nothing: validation gets worse as training gets better."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 4)), rng.integers(0, 3, size=40)


@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping_takes_the_best_weights(restore):
    recorder = Recorder()
    stopping = cr.EarlyStopping(patience=3, restore_best_weights=restore)
    net = network()
    history = trainer(net).fit(*noisy(), epochs=200, batch_size=4, validation_split=0.5, callbacks=[recorder, stopping])
    best = int(np.argmin(history["val_loss"])) + 1
    assert history.epochs == best + 3 < 200
    assert history.best_epoch == best
    assert "val_loss has not improved for 3 epochs" in history.stop_reason
    expected = recorder.states[best if restore else best + 3]
    assert all(np.array_equal(value, expected[name]) for name, value in net.parameters().items())


def test_early_stopping_of_accuracy_goes_up():
    stopping = cr.EarlyStopping("accuracy", patience=2)
    history = trainer(network(), metrics=["accuracy"]).fit(*problem(), epochs=60, callbacks=[stopping])
    assert history.best_epoch == int(np.argmax(history["accuracy"])) + 1


def test_early_stopping_waits_for_min_delta():
    stopping = cr.EarlyStopping("loss", patience=2, min_delta=1e9)
    history = trainer(network()).fit(*problem(), epochs=60, callbacks=[stopping])
    assert (history.epochs, history.best_epoch) == (3, 1)


def test_early_stopping_takes_the_best_back_when_all_epochs_are_done():
    recorder, net = Recorder(), network()
    stopping = cr.EarlyStopping(patience=199)
    history = trainer(net).fit(*noisy(), epochs=60, batch_size=4, validation_split=0.5, callbacks=[recorder, stopping])
    assert history.stop_reason == "all 60 epochs done"
    best = int(np.argmin(history["val_loss"])) + 1
    assert best < 60
    assert np.array_equal(net.parameters()["0.weight"], recorder.states[best]["0.weight"])


def test_history_plots():
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    figure = trainer(network(), metrics=["accuracy"]).fit(*problem(), epochs=2, validation_split=0.2).plot()
    assert len(figure.axes) == 2


def test_divergence_keeps_the_last_good_weights():
    X, y = problem()
    net = cr.Network([cr.Dense(8, activation="relu"), cr.Dense(3)], inputs=4, seed=0)
    learner = cr.Trainer(net, loss="mse", optimizer=cr.Momentum(0.05))
    learner.fit(X, np.eye(3)[y], epochs=2)
    before, steps = bits(net), net.core.steps
    learner.learning_rate = 1e6
    with pytest.warns(cr.DivergenceWarning, match=r"epoch 3, step \d+, with learning rate 1e\+06"):
        history = learner.fit(X, np.eye(3)[y], epochs=5, batch_size=4)
    assert bits(net) == before
    assert net.core.steps == steps
    assert history.epochs == 0
    assert "the start of this fit" in history.stop_reason
    assert history.stop_reason == learner.history.stop_reason

    # The optimizer is as it was too: training goes on as if nothing had happened.
    learner.learning_rate = 0.05
    learner.fit(X, np.eye(3)[y], epochs=1)
    straight = cr.Network([cr.Dense(8, activation="relu"), cr.Dense(3)], inputs=4, seed=0)
    cr.Trainer(straight, loss="mse", optimizer=cr.Momentum(0.05)).fit(X, np.eye(3)[y], epochs=3)
    assert bits(net) == bits(straight)


def test_divergence_after_good_epochs_keeps_the_last_of_them():
    class Blowing(Recorder):
        def on_epoch_begin(self, epoch, logs):
            if epoch == 3:
                self.trainer.learning_rate = 1e30

    X, y = problem()
    recorder, net = Blowing(), network()
    with pytest.warns(cr.DivergenceWarning, match="those of the end of epoch 2"):
        history = trainer(net, loss="mse").fit(X, np.eye(3)[y], epochs=5, callbacks=[recorder])
    assert history.epochs == 2
    assert all(np.array_equal(value, recorder.states[2][name]) for name, value in net.parameters().items())


def test_one_step_to_infinity_is_noticed():
    # The loss before the only update is finite; the weights after it are not.
    net = cr.Network([cr.Dense(1)], inputs=1)
    learner = cr.Trainer(net, loss="mse", optimizer=cr.SGD(1e30))
    before = bits(net)
    with pytest.warns(cr.DivergenceWarning):
        learner.fit([[1e5]], [1e9], epochs=1)
    assert bits(net) == before


def test_an_exception_in_a_callback_passes_on():
    class Failing(cr.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 2:
                raise ZeroDivisionError("mine")

    learner = trainer(network())
    with pytest.raises(ZeroDivisionError):
        learner.fit(*problem(), epochs=5, callbacks=[Failing()])
    assert learner.history.epochs == 2
    assert learner.history.stop_reason == "ZeroDivisionError: mine"
    assert learner.fit(*problem(), epochs=1).first_epoch == 3


def test_a_trainer_fits_once_at_a_time():
    class Nesting(cr.Callback):
        def on_epoch_end(self, epoch, logs):
            self.trainer.fit(*problem())

    with pytest.raises(RuntimeError, match="fitting already"):
        trainer(network()).fit(*problem(), callbacks=[Nesting()])


def test_a_bar_is_shown_if_asked(capsys):
    pytest.importorskip("tqdm", reason="needs tqdm")
    trainer(network()).fit(*problem(), epochs=2, verbose=True)
    assert "epoch 2/2" in capsys.readouterr().err
    trainer(network()).fit(*problem(), epochs=2)
    trainer(network()).fit(*problem(), epochs=2, verbose=0)
    assert capsys.readouterr().err == ""


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


# Threads, signals, processes -----------------------------------------------------------------------------------------


def wide(seed=0):
    """Return a trainer and data whose epoch takes tens of milliseconds."""
    rng = np.random.default_rng(seed)
    net = cr.Network([cr.Dense(256, activation="relu"), cr.Dense(256, activation="relu"), cr.Dense(10)], inputs=256)
    return trainer(net), rng.normal(size=(6000, 256)), rng.integers(0, 10, size=6000)


def test_another_thread_runs_during_a_fit():
    ticks, ended = [0], threading.Event()

    def tick():
        while not ended.wait(0.001):
            ticks[0] += 1

    class Counting(cr.Callback):
        def on_epoch_begin(self, epoch, logs):
            self.start = ticks[0]

        def on_epoch_end(self, epoch, logs):
            seen.append((ticks[0] - self.start, logs["seconds"]))

    seen = []
    learner, X, y = wide()
    other = threading.Thread(target=tick)
    other.start()
    try:
        learner.fit(X, y, epochs=20, callbacks=[Counting()])
    finally:
        ended.set()
        other.join()
    # With the lock held it could tick when the engine asks for signals, every 50 ms, and never else; without, about
    # once a millisecond.
    ticked, seconds = (sum(part) for part in zip(*seen, strict=True))
    assert ticked > 4 * seconds / 0.05 + 4


def test_two_threads_train_one_network_by_turns():
    learner, X, y = wide()
    other = trainer(learner.net)
    threads = [threading.Thread(target=one.fit, args=(X, y), kwargs={"epochs": 1}) for one in (learner, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert learner.history.epochs == other.history.epochs == 1
    assert np.isfinite(learner.net.predict(X)).all()


def run_script(script, *, timeout=60):
    code = textwrap.dedent(script)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout, check=False)


def test_ctrl_c_ends_a_fit_at_once():
    # The child interrupts itself, as a terminal would, at different places of an epoch.
    done = run_script(
        """
        import os, signal, sys, threading, time
        import numpy as np
        import chainrule as cr

        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(20_000, 256)), rng.integers(0, 10, size=20_000)
        layers = [cr.Dense(512, activation="relu"), cr.Dense(512, activation="relu"), cr.Dense(10)]
        net = cr.Network(layers, inputs=256)
        trainer = cr.Trainer(net, loss="cross_entropy", metrics=["accuracy"])
        delays = []

        class Interrupted(cr.Callback):
            def __init__(self, after):
                self.timer = threading.Timer(after, self.interrupt)

            def on_epoch_begin(self, epoch, logs):
                if self.timer.ident is None:
                    self.timer.start()

            def interrupt(self):
                self.sent = time.monotonic()
                os.kill(os.getpid(), signal.SIGINT)

        for after in (0.05, 0.33, 0.6):
            callback = Interrupted(after)
            try:
                trainer.fit(X, y, epochs=10_000, batch_size=64, callbacks=[callback])
            except KeyboardInterrupt:
                delays.append(time.monotonic() - callback.sent)
            callback.timer.join()
            assert trainer.history.stop_reason == "interrupted", trainer.history
            assert all(len(values) == trainer.history.epochs for values in trainer.history.values())
            assert all(np.isfinite(value).all() for value in net.parameters().values())
        assert np.isfinite(net.predict(X[:100])).all()
        done = trainer.epochs_done
        history = trainer.fit(X[:640], y[:640], epochs=1, batch_size=64)
        assert history.first_epoch == done + 1 and np.isfinite(history["loss"][0])
        print(*delays)
        """
    )
    assert done.returncode == 0, done.stderr
    delays = [float(delay) for delay in done.stdout.split()]
    assert len(delays) == 3
    assert sorted(delays)[1] < 0.2


def test_training_works_in_a_forked_child():
    done = run_script(
        """
        import os, signal, sys
        import numpy as np
        import chainrule as cr
        from chainrule import _engine

        _engine.set_work_per_thread(1)
        cr.set_num_threads(2)
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(200, 8)), rng.integers(0, 3, size=200)

        def trained():
            net = cr.Network([cr.Dense(32, activation="relu"), cr.Dense(3)], inputs=8)
            cr.Trainer(net, loss="cross_entropy").fit(X, y, epochs=3)
            return b"".join(value.tobytes() for value in net.parameters().values())

        expected = trained()
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            os._exit(0 if trained() == expected else 3)
        assert os.waitpid(child, 0)[1] == 0
        assert trained() == expected
        """
    )
    assert done.returncode == 0, done.stderr


def test_no_warning_in_a_plain_fit():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer(network(), metrics=["accuracy"]).fit(*problem(), epochs=1, validation_split=0.1)
