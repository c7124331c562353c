"""A loss that stops being finite: which weights are kept, and whether what is said of them is true."""

from __future__ import annotations

import numpy as np
import pytest
from problems import bits, network, problem

import chainrule as cr

X, LABELS = problem()
Y = np.eye(3)[LABELS]


class Blowing(cr.Callback):
    """Sets a huge learning rate before one epoch, and remembers the weights of each."""

    def __init__(self, at, rate=1e25):
        self.at, self.rate, self.states = at, rate, {}

    def on_train_begin(self, logs):
        self.states[self.trainer.epochs_done] = bits(self.trainer.net)

    def on_epoch_begin(self, epoch, logs):
        if epoch == self.at:
            self.trainer.learning_rate = self.rate

    def on_epoch_end(self, epoch, logs):
        self.states[epoch] = bits(self.trainer.net)

    def on_train_end(self, logs):
        self.seen = logs


def linear(seed=0):
    return cr.Network([cr.Dense(3)], inputs=4, seed=seed)


def descent(net, optimizer=None, **options):
    return cr.Trainer(net, loss="mse", optimizer=optimizer or cr.SGD(0.01), **options)


@pytest.mark.parametrize("epochs", [3, 4, 9])
@pytest.mark.parametrize("optimizer", [cr.SGD, cr.Momentum])
def test_weights_that_the_next_epoch_proves_bad_are_not_kept(epochs, optimizer):
    # One step an epoch: the loss of the update of epoch 3 is first seen in epoch 4, or at the end of the fit.
    learner, blowing = descent(linear(), optimizer(0.01)), Blowing(at=3)
    place = "at the end of epoch 3" if epochs == 3 else "in epoch 4, step 1"
    sentence = rf"{place}, after the updates of epoch 3 with learning rate 1e\+25; .* those of the end of epoch 2\."
    with pytest.warns(cr.DivergenceWarning, match=sentence):
        history = learner.fit(X, Y, epochs=epochs, batch_size=60, validation_data=(X, Y), callbacks=[blowing])
    assert np.isfinite(learner.evaluate(X, Y)["loss"])
    assert bits(learner.net) == blowing.states[2]
    assert history.epochs == learner.epochs_done == 2
    assert [len(values) for values in history.values()] == [2] * len(history)
    assert np.isfinite(history["val_loss"]).all()
    assert learner.evaluate(X, Y)["loss"] == history["val_loss"][-1] == blowing.seen["val_loss"]

    # The optimizer is that of epoch 2 too, with its learning rate.
    assert learner.learning_rate == 0.01
    assert learner.fit(X, Y, epochs=2, batch_size=60).first_epoch == 3
    straight = linear()
    descent(straight, optimizer(0.01)).fit(X, Y, epochs=4, batch_size=60)
    assert bits(learner.net) == bits(straight)


def test_the_rate_that_is_named_is_that_of_the_step():
    learner = descent(linear(), cr.SGD(lambda epoch: 1e25 if epoch == 2 else 0.01))
    sentence = r"in epoch 4, step 1, after the updates of epoch 3 with learning rate 1e\+25; .* the end of epoch 2\."
    with pytest.warns(cr.DivergenceWarning, match=sentence):
        assert learner.fit(X, Y, epochs=9, batch_size=60)["learning_rate"] == [0.01, 0.01]


def test_running_statistics_are_taken_back_too():
    net = cr.Network([cr.Dense(5), cr.BatchNorm(), cr.Dense(3)], inputs=4)
    learner = descent(net)
    learner.fit(X, Y, epochs=2, batch_size=60)
    before = net.state_dict()
    learner.learning_rate = 1e30
    with pytest.warns(cr.DivergenceWarning, match="start of this fit"):
        learner.fit(X, Y, epochs=3, batch_size=7)
    assert {name: value.tobytes() for name, value in net.state_dict().items()} == {
        name: value.tobytes() for name, value in before.items()
    }


def test_statistics_that_overflow_are_told_from_a_loss():
    # Squares of 1e25 are beyond float32, their normalized values are not.
    net = cr.Network([cr.BatchNorm(), cr.Dense(3)], inputs=4)
    sentence = r"^parameters or statistics were no longer finite in epoch 1, step 1, with learning rate 0\.01; .* start"
    with pytest.warns(cr.DivergenceWarning, match=sentence):
        descent(net).fit(X * np.float32(1e25), Y, epochs=2, batch_size=60)
    assert np.isfinite(net.statistics()["0.running_variance"]).all()


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_first_epoch_can_be_taken_back_too(epochs):
    learner = descent(linear())
    learner.fit(X, Y, epochs=2, batch_size=60)
    before = bits(learner.net)
    with pytest.warns(cr.DivergenceWarning, match="updates of epoch 3 .* those of the start of this fit"):
        history = learner.fit(X, Y, epochs=epochs, batch_size=60, callbacks=[Blowing(at=3)])
    assert bits(learner.net) == before
    assert (history.epochs, learner.epochs_done) == (0, 2)


def test_weights_that_were_bad_before_are_not_blamed_on_the_learning_rate():
    net = linear()
    net.parameters()["0.weight"][...] = 1e30
    before = bits(net)
    with pytest.warns(cr.DivergenceWarning, match="in epoch 1, step 1, before any update of this fit") as caught:
        history = descent(net).fit(X, Y, epochs=3)
    assert "with learning rate" not in str(caught[0].message)
    assert bits(net) == before
    assert history.epochs == 0


def test_what_is_not_finite_at_the_start_is_refused():
    net = linear()
    net.parameters()["0.bias"][1] = np.nan
    learner = descent(net)
    history = learner.history
    with pytest.raises(ValueError, match=r"net must have finite parameters to be trained; '0.bias'"):
        learner.fit(X, Y, epochs=1)
    assert learner.history is history


def test_early_stopping_says_whose_weights_are_kept():
    # Labels that mean nothing: validation gets worse, so that the best epoch lies well before the last good one.
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 4)), np.eye(3)[rng.integers(0, 3, size=40)]
    stopping, blowing = cr.EarlyStopping(patience=99), Blowing(at=60, rate=1e30)
    learner = descent(network(), cr.Adam(0.01))
    with pytest.warns(cr.DivergenceWarning) as caught:
        history = learner.fit(x, y, epochs=80, batch_size=4, validation_split=0.5, callbacks=[blowing, stopping])
    assert history.best_epoch == int(np.argmin(history["val_loss"])) + 1 < 59
    assert bits(learner.net) == blowing.states[history.best_epoch]
    assert "the weights are those that a callback set at the end" in history.stop_reason
    assert "epoch 59" not in history.stop_reason
    assert str(caught[0].message) == history.stop_reason


@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping_does_not_take_back_weights_that_are_bad(restore):
    # The training loss of epoch 3 is the best so far: it is that before the update that spoils the weights.
    stopping, blowing = cr.EarlyStopping("loss", patience=5, restore_best_weights=restore), Blowing(at=3)
    learner = descent(linear())
    with pytest.warns(cr.DivergenceWarning, match="those of the end of epoch 2"):
        history = learner.fit(X, Y, epochs=9, batch_size=60, callbacks=[blowing, stopping])
    assert history.best_epoch == 2
    assert bits(learner.net) == blowing.states[2]
    assert np.isfinite(learner.evaluate(X, Y)["loss"])
