"""Epochs that the engine runs in one go give what they give one by one: bits, figures, ends, and what callbacks hear.

The judge is the same fit with a callback that wants to see every epoch.
"""

from __future__ import annotations

import math
import re
import warnings

import numpy as np
import pytest
from problems import bits, network, problem

import chainrule as cr

X, LABELS = problem()
Y = np.eye(3)[LABELS]
TIMES = ("seconds", "samples_per_second")


class Each(cr.Callback):
    """Wants to see the network after each epoch."""


class Watching(cr.Callback):
    """Hears of all epochs, whenever; notes what it hears and sees."""

    def __init__(self, at_once=math.inf):
        self.at_once, self.begun, self.heard, self.seen = at_once, [], [], []

    def epochs_at_once(self):
        return self.at_once

    def on_epoch_begin(self, epoch, logs):
        self.begun.append(epoch)

    def on_epoch_end(self, epoch, logs):
        self.heard.append((epoch, logs["loss"]))
        self.seen.append(repr(bits(self.trainer.net)))


def outcome(learner, history):
    figures = {name: history[name] for name in history if name not in TIMES}
    state = learner.net.engine.RunState(learner.net.core, learner.core_optimizer)
    state.keep()
    content = state.content()
    kept = [content["arena"].tobytes(), *(one.tobytes() for one in content["states"])]
    rest = (history.stop_reason, history.first_epoch, learner.epochs_done, learner.learning_rate)
    return figures, kept, [content[name] for name in ("passes", "updates", "rate")], rest


def both_ways(make, epochs, **options):
    """Fit twice, one after the other, with and without somebody who looks; return both outcomes of both fits."""
    ways = []
    for callbacks in ([], [Each()]):
        learner = make()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cr.DivergenceWarning)
            fits = [
                outcome(learner, learner.fit(X, Y, epochs=count, callbacks=callbacks, **options)) for count in epochs
            ]
        ways.append(fits)
    return ways


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "optimizer",
    [
        cr.SGD(0.05),
        cr.Adam(cr.TimeDecay(0.01, decay=0.1)),
        cr.Momentum(cr.OneCycle(0.1, epochs=13)),
        cr.Rprop(),
    ],
    ids=lambda one: type(one).__name__,
)
def test_the_same_bits_and_figures(optimizer, dtype):
    def make():
        layers = [cr.Dense(6, activation="tanh"), cr.Dropout(rate=0.2), cr.BatchNorm(), cr.Dense(3)]
        net = cr.Network(layers, inputs=4, seed=3, dtype=dtype)
        return cr.Trainer(net, loss="mse", optimizer=optimizer, metrics=["mae"], penalty=cr.L2(0.01))

    at_once, one_by_one = both_ways(make, (7, 1, 5), batch_size=16)
    assert at_once == one_by_one


def steep(rate):
    net = cr.Network([cr.Dense(5), cr.Dense(3)], inputs=4, seed=1, dtype="float32")
    return cr.Trainer(net, loss="mse", optimizer=cr.Momentum(rate))


@pytest.mark.parametrize("rate", [3e38, 1e20, 40.0, 3.0, 0.9, 0.45, 0.3, 0.1])
@pytest.mark.parametrize("batch_size", [8, 20, 60])
@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 30, 61])
def test_the_same_end_of_runs_that_diverge(rate, batch_size, epochs):
    at_once, one_by_one = both_ways(lambda: steep(rate), (epochs, 3), batch_size=batch_size)
    assert str(at_once) == str(one_by_one)  # figures that are not finite among them


@pytest.mark.parametrize(
    ("rate", "batch_size", "said"),
    [
        (3e38, 60, "^parameters or statistics were no longer finite in epoch 1, step 1"),
        (1e20, 20, "^the loss was no longer finite in epoch 1, step 2"),
        (0.3, 20, r"^the loss was no longer finite in epoch [2-9], step [23],"),
        (0.9, 60, r"^the loss was no longer finite in epoch [3-9], step 1, after the updates of epoch [2-8]"),
        (0.1, 60, "^all 61 epochs done"),
    ],
)
def test_the_rates_above_end_runs_in_all_ways(rate, batch_size, said):
    ((end,),) = both_ways(lambda: steep(rate), (61,), batch_size=batch_size)[:1]
    assert re.match(said, end[-1][0]), end[-1][0]


def test_what_callbacks_hear():
    learner, watching = cr.Trainer(network(), loss="cross_entropy", optimizer=cr.SGD(0.1)), Watching()
    history = learner.fit(X, LABELS, epochs=20, callbacks=[watching])
    assert watching.heard == list(enumerate(history["loss"], 1))
    # Some epochs were run in one go: their ends look alike. Fewer were begun than ended, the first among them.
    assert len(set(watching.seen)) < 20
    assert watching.begun[0] == 1
    assert len(watching.begun) == len(set(watching.seen))


@pytest.mark.parametrize(("at_once", "most"), [(1, 1), (0, 1), (-3, 1), (1.5, 1), (5, 5)])
def test_how_many_a_callback_lets_pass(at_once, most):
    learner, watching = cr.Trainer(network(), loss="cross_entropy", optimizer=cr.SGD(0.1)), Watching(at_once)
    learner.fit(X, LABELS, epochs=20, callbacks=[Watching(), watching])
    begun = np.array([*watching.begun, 21])
    assert np.diff(begun).max() == most
    assert len(set(watching.seen)) == len(watching.begun)
    assert len(watching.heard) == 20


@pytest.mark.parametrize("wrong", [None, "5", math.nan, -math.inf])
def test_how_many_must_be_a_number(wrong):
    learner = cr.Trainer(network(), loss="cross_entropy", optimizer=cr.SGD(0.1))
    with pytest.raises((TypeError, ValueError), match=r"^Watching\.epochs_at_once\(\) must be a finite number"):
        learner.fit(X, LABELS, epochs=20, callbacks=[Watching(wrong)])


@pytest.mark.parametrize(
    "options",
    [{"validation_split": 0.2}, {"verbose": True}, {"snapshots": "run.safetensors"}],
    ids=lambda options: next(iter(options)),
)
def test_where_somebody_looks_each_epoch_ends_alone(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "verbose" in options:
        pytest.importorskip("tqdm", reason="needs tqdm")
    learner, watching = cr.Trainer(network(), loss="cross_entropy", optimizer=cr.SGD(0.1)), Watching()
    learner.fit(X, LABELS, epochs=6, callbacks=[watching], **options)
    assert len(set(watching.seen)) == 6
    assert watching.begun == [1, 2, 3, 4, 5, 6]


def test_the_epochs_before_an_interrupt_are_in_the_history():
    calls = []

    def tanh(z):
        calls.append(len(calls))
        if len(calls) > first + 3 * 4 + 1:  # in the second step of the fifth epoch
            raise KeyboardInterrupt
        return np.tanh(z)

    first = 10**9
    custom = cr.CustomActivation(tanh, lambda z, h, dh: dh * (1 - h * h))
    net = cr.Network([cr.Dense(5), cr.Activation(custom), cr.Dense(3)], inputs=4, seed=0)
    expected = cr.Trainer(net.copy(), loss="mse", optimizer=cr.SGD(0.1)).fit(X, Y, epochs=4, batch_size=20)
    learner, watching, first = cr.Trainer(net, loss="mse", optimizer=cr.SGD(0.1)), Watching(), len(calls)
    with pytest.raises(KeyboardInterrupt):
        learner.fit(X, Y, epochs=50, batch_size=20, callbacks=[watching])
    assert learner.history["loss"] == expected["loss"]
    assert watching.heard == list(enumerate(expected["loss"], 1))
    assert (learner.epochs_done, learner.history.stop_reason) == (4, "interrupted")


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_epochs_that_were_run_count_whatever_a_callback_does(error):
    class Failing(Watching):
        def on_epoch_end(self, epoch, logs):
            super().on_epoch_end(epoch, logs)
            if epoch == 3:
                raise error

    learner, failing = cr.Trainer(network(), loss="cross_entropy", optimizer=cr.SGD(0.1)), Failing()
    steps = learner.net.core.steps
    with pytest.raises(type(error)):
        learner.fit(X, LABELS, epochs=500, batch_size=20, callbacks=[failing])
    assert learner.history.epochs == learner.epochs_done == (learner.net.core.steps - steps) / 3 > 3
    heard = learner.epochs_done if isinstance(error, KeyboardInterrupt) else 3
    assert failing.heard == list(enumerate(learner.history["loss"], 1))[:heard]
    # So a fit that goes on has the orders of rows of the epochs that come.
    assert learner.fit(X, LABELS, epochs=1).first_epoch == learner.epochs_done


def test_what_the_engine_refuses():
    net, other = network(), network()
    learner, stranger = (cr.Trainer(one, loss="cross_entropy", optimizer=cr.SGD(0.1)) for one in (net, other))
    engine, core = net.engine, net.core
    loss = cr.CrossEntropy().build(engine)
    rows = np.ascontiguousarray(X, net.dtype), LABELS.astype("int32"), None
    run = engine.Fit(core, loss, learner.core_optimizer, [], [], *rows, 16, True, False, 0, 0.0)
    last, before = (engine.RunState(core, learner.core_optimizer) for _ in range(2))
    foreign = engine.RunState(other.core, stranger.core_optimizer)
    with pytest.raises(ValueError, match="count must be at least 1; got 0"):
        run.run_epochs(0, 0, last, before, None)
    with pytest.raises(ValueError, match="the same state"):
        run.run_epochs(0, 1, last, last, None)
    for states in ((foreign, before), (last, foreign)):
        with pytest.raises(ValueError, match="a state of another network"):
            run.run_epochs(0, 1, *states, None)
    run.run_epochs(0, 3, last, before, None)
    assert [good for _, _, good in run.records()] == [True] * 3
    with pytest.raises(ValueError, match="no epoch was begun"):
        run.advance(1)


@pytest.mark.parametrize(
    "options",
    [{}, {"tol": 0.05}, {"n_iter_no_change": 1}, {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.02}],
    ids=["", "tol", "patience", "adaptive"],
)
def test_estimators_end_where_they_would(options, monkeypatch):
    pytest.importorskip("sklearn", reason="the estimators need scikit-learn")
    from chainrule.sklearn import MLPClassifier, iterations

    def fitted():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = MLPClassifier((8,), random_state=0, max_iter=60, **options).fit(X, LABELS)
        weights = [coefs.tobytes() for coefs in model.coefs_]
        return weights, model.loss_curve_, model.n_iter_, model.t_, model.best_loss_, model.history_.stop_reason

    at_once = fitted()
    monkeypatch.setattr(iterations.Iterations, "epochs_at_once", lambda self: 1)
    assert at_once == fitted()
