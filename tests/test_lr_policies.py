"""When the learning rate of a running fit is lowered and raised: by hand on scripted losses, and on real runs."""

from __future__ import annotations

import copy
import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from problems import LABELS, classifier, problem, trainer
from problems import X as ROWS_OF_12

import chainrule as cr
from chainrule.history import History


def played(callbacks, losses, val_losses=None, rate=0.1):
    """Let callbacks see an epoch's figures after the other; return the rate of each epoch, and of the one after."""
    names = ["loss", *(["val_loss"] if val_losses is not None else []), "learning_rate"]
    fake = SimpleNamespace(history=History(names), learning_rate=rate, optimizer=cr.SGD(rate))
    for callback in callbacks:
        callback.trainer = fake
        callback.on_train_begin({})
    rates = []
    for number, loss in enumerate(losses, 1):
        logs = {"loss": loss, "learning_rate": fake.learning_rate}
        if val_losses is not None and val_losses[number - 1] is not None:
            logs["val_loss"] = val_losses[number - 1]
        fake.history.add(logs)
        rates.append(fake.learning_rate)
        for callback in callbacks:
            callback.on_epoch_end(number, logs)
    return [*rates, fake.learning_rate]


def changes(rates):
    """Return after which epochs the rate changed, and to what."""
    return {epoch: rates[epoch] for epoch in range(1, len(rates)) if rates[epoch] != rates[epoch - 1]}


# Lower ----------------------------------------------------------------------------------------------------------------


def test_a_loss_that_explodes():
    decay = cr.DecayRate(when=["exploding"], factor=0.5)
    # 2.1 is more than twice the least, 1.0; 2.2 is the first at the new rate; 2.15 falls, though it is still high; 0.9
    # is the new least.
    rates = played([decay], [1.2, 1.0, 1.9, 2.1, 2.2, 2.15, 0.9, 1.8, 1.81])
    assert changes(rates) == {4: 0.05, 9: 0.025}
    assert decay.decisions[0] == cr.RateDecision(4, "exploding: loss is 2.1, after 1", 0.1, 0.05)
    assert changes(played([cr.DecayRate(when=["exploding"], exploded=3.0)], [1.2, 1.0, 1.9, 2.1, 3.1])) == {5: 0.05}
    assert changes(played([decay], [1.0])) == {}
    # What is least is not above 0, so nothing is a multiple of it.
    assert changes(played([decay], [-1.0, 1.0, 5.0])) == {}
    assert changes(played([decay], [1.0, math.nan, 1.0])) == {}


def test_a_loss_that_fluctuates():
    decay = cr.DecayRate(when=["fluctuating"], factor=0.1, window=4)
    # 0.2 up and down four times gets nowhere; it takes four changes to know it.
    rates = played([decay], [1.0, 1.2, 1.0, 1.2, 1.0])
    assert changes(rates) == {5: pytest.approx(0.01)}
    assert decay.decisions[0].reason == "fluctuating: loss went 0.8 up and down, and 0 on, in 4 epochs"
    # On the way down by more than 0.3 of what it goes in all: 0.4 of 1.0; and without any rise, however slow.
    assert changes(played([decay], [1.0, 0.7, 0.85, 0.55, 0.6])) == {}
    assert changes(played([decay], [1.0, 0.7, 0.9, 0.6, 0.85])) == {5: pytest.approx(0.01)}
    assert changes(played([decay], [1.0, 0.99999, 0.99998, 0.99997, 0.99996])) == {}
    assert changes(played([decay], [1.0, 1.0, 1.0, 1.0, 1.0])) == {}


def test_a_loss_that_has_stopped_decreasing():
    decay = cr.DecayRate(when=["stalled"], window=3)
    rates = played([decay], [1.0, 0.8, 0.9, 0.8, 0.85, 0.8, 0.8, 0.8, 0.8])
    # Three epochs without a loss below 0.8. The new rate begins at 0.85, gets to 0.8, and then nowhere for three more.
    assert changes(rates) == {5: 0.05, 9: 0.025}
    assert decay.decisions[0].reason == "stalled: loss is not below 0.8 for 3 epochs"
    assert changes(played([decay], [1.0, 0.9, 0.8, 0.7, 0.6, 0.5])) == {}


def test_the_first_rule_that_holds_gives_the_reason_and_the_rate_is_lowered_once():
    decay = cr.DecayRate(window=2, exploded=1.5)
    rates = played([decay], [1.0, 1.1, 1.6])
    assert changes(rates) == {3: 0.05}
    assert decay.decisions[0].reason.startswith("exploding")


def test_the_rate_is_not_lowered_below_the_least():
    decay = cr.DecayRate(when=["stalled"], window=2, min_lr=0.04)
    assert changes(played([decay], [1.0] * 9)) == {3: 0.05, 6: 0.04}
    assert len(decay.decisions) == 2


def test_another_figure_can_be_looked_at():
    decay = cr.DecayRate("val_loss", when=["stalled"], window=2)
    assert changes(played([decay], [1.0, 0.9, 0.8, 0.7], [1.0, 1.1, 1.0, 1.2])) == {3: 0.05}
    assert decay.decisions[0].reason.startswith("stalled: val_loss")


def by_hand(changed):
    """Return a callback that sets the rate after some epochs."""

    class ByHand(cr.Callback):
        def on_epoch_end(self, epoch, logs):
            self.trainer.learning_rate = changed.get(epoch, self.trainer.learning_rate)

    return ByHand()


@pytest.mark.parametrize(("changed", "expected"), [({4: 0.2}, {4: 0.2}), ({3: 0.2}, {3: 0.2}), ({}, {6: 0.05})])
def test_a_loss_explodes_at_the_same_rate_since_the_look_before(changed, expected):
    seen = [None, None, 1.0, None, None, 3.0]
    decay = cr.DecayRate("val_loss", when=["exploding"])
    assert changes(played([by_hand(changed), decay], [1.0] * 6, seen)) == expected


def test_epochs_between_the_looks_are_counted():
    decay = cr.DecayRate("val_loss", when=["stalled"], window=2)
    assert changes(played([decay], [1.0] * 6, [None, 1.0] * 3)) == {6: 0.05}
    assert decay.decisions[0].reason == "stalled: val_loss is not below 1 for 4 epochs"
    decay = cr.DecayRate("val_loss", when=["fluctuating"], window=2)
    assert changes(played([decay], [1.0] * 6, [None, 1.0, None, 2.0, None, 1.0])) == {6: 0.05}
    assert decay.decisions[0].reason.endswith("and 0 on, in 4 epochs")
    # 1.5 % from look to look, three epochs apart, is 0.5 % an epoch.
    increase = cr.IncreaseRate("val_loss", when=["slow"], window=2, slow=0.01)
    assert changes(played([increase], [1.0] * 7, [1.0, None, None, 0.985, None, None, 0.97])) == {7: 0.2}
    assert increase.decisions[0].reason == "slow: val_loss fell by 0.50% an epoch, less than 1.00%"


# Raise ----------------------------------------------------------------------------------------------------------------


def test_a_loss_that_decreases_very_slowly():
    increase = cr.IncreaseRate(when=["slow"], window=2, slow=0.01)
    # 0.5 % an epoch is slow; 1.5 % is not; nor is what goes up, or stays.
    assert changes(played([increase], [1.0, 0.995, 0.99])) == {3: 0.2}
    assert increase.decisions[0].reason == "slow: loss fell by 0.50% an epoch, less than 1.00%"
    assert changes(played([increase], [1.0, 0.985, 0.97])) == {}
    assert changes(played([increase], [1.0, 0.99, 0.991])) == {}
    assert changes(played([increase], [1.0, 1.0, 1.0])) == {}
    assert changes(played([increase], [0.0, -1.0, -2.0])) == {}
    # After the change three more epochs are waited for, of which the first is where the others begin.
    assert changes(played([increase], [1.0, 0.995, 0.99, 0.985, 0.98, 0.975])) == {3: 0.2, 6: 0.4}


def test_overfitting():
    increase = cr.IncreaseRate(when=["overfitting"], window=2, factor=3.0)
    assert changes(played([increase], [1.0, 0.9, 0.8], [1.0, 1.1, 1.2])) == {3: pytest.approx(0.3)}
    assert increase.decisions[0].reason == "overfitting: loss 1 to 0.8, val_loss 1 to 1.2"
    assert changes(played([increase], [1.0, 0.9, 0.8], [1.0, 0.9, 0.8])) == {}
    assert changes(played([increase], [1.0, 1.1, 1.2], [1.0, 1.1, 1.2])) == {}


def test_overfitting_compares_the_losses_of_the_looks():
    # Looks after epochs 4, 8, 12 and 16. The loss falls from 4 to 16, and rises over the last epochs.
    losses = [1.0] * 4 + [0.5] * 8 + [0.6, 0.7, 0.8, 0.9]
    looks = [None, None, None, 1.0, None, None, None, 1.1, None, None, None, 1.2, None, None, None, 1.3]
    increase = cr.IncreaseRate("val_loss", when=["overfitting"], window=3)
    assert changes(played([increase], losses, looks)) == {16: 0.2}
    assert increase.decisions[0].reason == "overfitting: loss 1 to 0.9, val_loss 1 to 1.3"
    # And the other way round: it falls over the last epochs only.
    assert changes(played([increase], [0.5] * 4 + [1.0] * 8 + [0.9, 0.8, 0.7, 0.6], looks)) == {}


def test_a_jump_and_the_landing():
    increase = cr.IncreaseRate(when=["minimum"], window=2, jump=10.0, jump_epochs=2, max_lr=5.0)
    rates = played([increase], [1.0, 1.0, 1.0, 3.0, 2.0, 0.5, 0.4, 0.3])
    assert changes(rates) == {3: 1.0, 5: 0.1}
    assert [one.reason for one in increase.decisions] == [
        "a jump, stalled: loss is not below 1 for 2 epochs",
        "the jump is over",
    ]
    # Where another callback lowers the rate in mid-air, that rate holds.
    increase = cr.IncreaseRate(when=["minimum"], window=2, jump_epochs=3)
    rates = played([increase, cr.DecayRate(when=["exploding"], window=2)], [1.0, 1.0, 1.0, 3.0, 4.0, 0.5, 0.4, 0.3])
    assert changes(rates) == {3: 1.0, 5: 0.5}


def test_the_rate_is_not_raised_above_the_greatest():
    increase = cr.IncreaseRate(when=["slow"], window=2, max_lr=0.15)
    assert changes(played([increase], [1.0, 0.999, 0.998, 0.997, 0.996, 0.995])) == {3: 0.15}
    assert len(increase.decisions) == 1


def test_two_callbacks_do_not_both_change_a_rate():
    # Without a change the loss stalls, which is a reason for either.
    decay, increase = cr.DecayRate(when=["stalled"], window=2), cr.IncreaseRate(when=["minimum"], window=2)
    assert changes(played([decay, increase], [1.0, 1.0, 1.0])) == {3: 0.05}
    assert (len(decay.decisions), len(increase.decisions)) == (1, 0)
    assert changes(played([increase, decay], [1.0, 1.0, 1.0])) == {3: 1.0}
    assert (len(decay.decisions), len(increase.decisions)) == (0, 1)


# Real runs ------------------------------------------------------------------------------------------------------------


def test_a_rate_that_is_too_high_is_lowered_until_the_loss_falls():
    # A parabola of curvature 7.125: 0.35 multiplies the distance by 1.49375 in each epoch, half of it by 0.246875.
    X = np.array([[1.0], [-2.0], [3.0], [0.5]])

    def last_loss(*callbacks):
        net = cr.Network([cr.Dense(1, bias=False)], inputs=1, dtype="float64")
        net.load_state_dict({"0.weight": [[5.0]]})
        learner = cr.Trainer(net, loss="mse", optimizer=cr.SGD(0.35))
        return learner.fit(X, X[:, 0], epochs=12, batch_size=4, verbose=False, callbacks=callbacks)["loss"][-1]

    decay = cr.DecayRate()
    np.testing.assert_allclose(last_loss(decay), 57 * 1.49375**4 * 0.246875**18, rtol=1e-6)
    np.testing.assert_allclose(last_loss(), 57 * 1.49375**22, rtol=1e-9)
    assert [(one.epoch, one.old, one.new) for one in decay.decisions] == [(2, 0.35, 0.175)]
    assert decay.decisions[0].reason == f"exploding: loss is {57 * 1.49375**2:.4g}, after 57"


def test_steps_that_fluctuate_about_the_minimum_come_closer():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 5))
    y = X @ rng.normal(size=5) + rng.normal(size=120)
    least = float(np.mean((X @ np.linalg.lstsq(X, y, rcond=None)[0] - y) ** 2))

    def excess(*callbacks):
        net = cr.Network([cr.Dense(1, bias=False)], inputs=5)
        learner = cr.Trainer(net, loss="mse", optimizer=cr.SGD(0.08))
        learner.fit(X, y, epochs=60, batch_size=4, verbose=False, callbacks=callbacks)
        return learner.evaluate(X, y)["loss"] - least

    decay = cr.DecayRate()
    lowered, plain = excess(decay), excess()
    assert lowered < plain / 20
    assert {one.reason.partition(":")[0] for one in decay.decisions} <= {"fluctuating", "stalled"}
    assert len(decay.decisions) >= 3


def test_a_rate_that_is_too_low_is_raised():
    X, y = problem()

    def last_loss(*callbacks):
        learner = trainer(classifier(), optimizer=cr.SGD(1e-4))
        return learner.fit(X, y, epochs=60, verbose=False, callbacks=callbacks)["loss"][-1]

    increase = cr.IncreaseRate()
    assert last_loss(increase) < 0.7 * last_loss()
    assert all(one.reason.startswith("slow") for one in increase.decisions)
    assert len(increase.decisions) >= 5


def test_jumps_leave_a_local_minimum():
    # tanh(w x) has two minima over w for these four rows: 0.18 at w = 0.12, where this run begins, and 0.129 at 1.14.
    X, y = np.array([[-0.8], [-0.5], [0.3], [-4.6]]), np.array([-0.6, -0.6, 0.4, -0.3])
    w = np.linspace(-8, 8, 1601)
    surface = ((np.tanh(w[:, None] * X[:, 0]) - y) ** 2).mean(axis=1)
    inner = surface[1:-1]
    minima = 1 + np.flatnonzero((inner < surface[:-2]) & (inner < surface[2:]))
    np.testing.assert_allclose(w[minima], [0.12, 1.14], atol=0.011)

    def ends(*callbacks):
        net = cr.Network([cr.Dense(1, activation="tanh", bias=False)], inputs=1, dtype="float64")
        net.load_state_dict({"0.weight": [[0.12]]})
        learner = cr.Trainer(net, loss="mse", optimizer=cr.SGD(0.05))
        learner.fit(X, y, epochs=120, batch_size=1, verbose=False, callbacks=callbacks)
        return learner.evaluate(X, y)["loss"]

    increase = cr.IncreaseRate(when=["minimum"], max_lr=10.0)
    np.testing.assert_allclose(ends(), surface[minima[0]], rtol=0.05)
    np.testing.assert_allclose(ends(increase), surface[minima[1]], rtol=0.05)
    assert any(one.reason.startswith("a jump") for one in increase.decisions)


def test_a_second_fit_begins_anew():
    X, y = problem()
    decay = cr.DecayRate(when=["stalled"], window=2)
    learner = trainer(classifier(), optimizer=cr.SGD(1e-9))
    for first in (1, 8):
        learner.fit(X, y, epochs=7, batch_size=60, verbose=False, callbacks=[decay])
        assert [one.epoch for one in decay.decisions][:1] in ([], [first + 2])
    for twin in (copy.copy(decay), pickle.loads(pickle.dumps(decay))):
        assert twin == decay


# What does not suit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (cr.DecayRate, {"when": []}, "when must be a list of 'exploding', 'fluctuating', 'stalled'"),
        (cr.DecayRate, {"when": "stalled"}, "when must be a list"),
        (cr.DecayRate, {"when": ["slow"]}, "when='slow' is unknown; known are 'exploding'"),
        (cr.DecayRate, {"factor": 1.0}, "factor must be a finite number above 0 and below 1; got 1.0"),
        (cr.DecayRate, {"window": 1}, "window must be a whole number from 2"),
        (cr.DecayRate, {"exploded": 1}, "exploded must be"),
        (cr.DecayRate, {"steady": 0}, "steady must be"),
        (cr.DecayRate, {"min_lr": -1}, "min_lr must be"),
        (cr.DecayRate, {"monitor": 3}, "monitor must be a name in the history; got 3"),
        (cr.IncreaseRate, {"when": ["stalled"]}, "when='stalled' is unknown; known are 'slow'"),
        (cr.IncreaseRate, {"factor": 1}, "factor must be a finite number above 1; got 1"),
        (cr.IncreaseRate, {"slow": 0}, "slow must be"),
        (cr.IncreaseRate, {"jump": 1}, "jump must be"),
        (cr.IncreaseRate, {"jump_epochs": 0}, "jump_epochs must be"),
        (cr.IncreaseRate, {"max_lr": 0}, "max_lr must be"),
    ],
)
def test_options_that_do_not_suit(kind, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        kind(**options)


def test_fits_that_do_not_suit():
    learner = trainer(classifier(), optimizer=cr.SGD(cr.TimeDecay(0.1, decay=0.1)))
    for callback in (cr.DecayRate(), cr.IncreaseRate(when=["slow"])):
        with pytest.raises(ValueError, match="needs an lr that is a number; lr=TimeDecay"):
            learner.fit(ROWS_OF_12, LABELS, epochs=1, callbacks=[callback], verbose=False)
    raise_ = cr.IncreaseRate(when=["overfitting"])
    with pytest.raises(ValueError, match="'val_loss' is not in the history"):
        trainer(classifier()).fit(ROWS_OF_12, LABELS, epochs=1, callbacks=[raise_], verbose=False)
