"""Rates to begin with: each trial starts anew, is cut by what the lectures say, and is written down."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from problems import bits, network, problem, trainer

import chainrule as cr

# A parabola: a linear network of one weight, all rows in a batch. A rate eta multiplies the distance to the minimum by
# 1 - eta CURVATURE; above 2 / CURVATURE = 0.28 it grows.
X = np.array([[1.0], [-2.0], [3.0], [0.5]])
Y = X[:, 0]
CURVATURE = 7.125


def make_trainer(rate, dtype="float64", **options):
    net = cr.Network([cr.Dense(1, bias=False)], inputs=1, dtype=dtype)
    net.load_state_dict({"0.weight": [[5.0]]})
    return cr.Trainer(net, loss="mse", optimizer=cr.SGD(rate), **options)


FIT = {"epochs": 6, "batch_size": 4}


def test_a_tenth_then_a_third_and_again():
    # 1 - 0.9 * 7.125 = -5.4 and 1 - 0.3 * 7.125 = -1.1 lead away from the minimum, 1 - 0.1 * 7.125 = 0.3 there.
    tried = cr.try_rates(make_trainer, X, Y, start=0.9, **FIT)
    np.testing.assert_allclose(tried.rates, [0.9, 0.3, 0.1], rtol=1e-14)
    assert (tried.works, tried.rate, tried.net) == (True, tried.rates[-1], tried.trainer.net)
    assert [(one.epoch, one.old, one.new) for one in tried.decisions] == [
        (6, 0.9, tried.rates[1]),
        (6, tried.rates[1], tried.rates[2]),
    ]
    # The loss before is 57, and after six epochs it has been multiplied by 1.1375^12.
    after = CURVATURE / 2 * 16 * (0.3 * CURVATURE - 1) ** 12
    assert tried.decisions[1].reason == f"it does not work: the loss was 57 and is {after:.4g}"
    plain = make_trainer(tried.rate)
    plain.fit(X, Y, verbose=False, **FIT)
    assert bits(tried.net) == bits(plain.net)
    assert tried.histories[-1]["loss"] == plain.history["loss"]
    lines = repr(tried).splitlines()
    assert lines[0].split() == ["rate", "epochs"]
    assert [line.split()[0] for line in lines[2:5]] == ["0.9", "0.3", "0.1"]
    assert lines[4].endswith("6  works")


def test_0_1_is_where_it_begins():
    tried = cr.try_rates(make_trainer, X, Y, **FIT)
    assert (tried.rates, tried.decisions, tried.works) == ((0.1,), (), True)


def test_what_works_can_be_said():
    asked = []

    def works(trainer):
        asked.append(trainer.learning_rate)
        return trainer.history["loss"][-1] < 1e-3

    # A step leaves 0.85 of the distance, of which 19 leave 57 * 0.85^38 = 0.1 of the loss; then 0.07, which is enough.
    tried = cr.try_rates(make_trainer, X, Y, start=0.26, divide_by=2, works=works, epochs=20, batch_size=4)
    assert tuple(asked) == tried.rates == (0.26, 0.13)
    assert tried.decisions[0].reason == "it does not work, as `works` says"


def test_a_fit_that_diverged_does_not_work_whatever_is_said():
    def works(trainer):
        raise AssertionError("asked of a fit that diverged")

    tried = cr.try_rates(make_trainer, X, Y, start=1e200, trials=1, works=works, **FIT)
    assert (tried.works, tried.rates) == (False, (1e200,))
    assert tried.decisions[0].reason.startswith("it does not work: the loss was no longer finite in epoch")
    assert tried.decisions[0].reason.endswith("no trial is left")
    assert (tried.decisions[0].old, tried.decisions[0].new) == (1e200, 1e200)
    assert "works" not in repr(tried).splitlines()[2].split()[-1]


def test_trials_are_counted():
    tried = cr.try_rates(make_trainer, X, Y, start=300.0, trials=3, **FIT)
    assert (tried.works, len(tried.rates), len(tried.histories), len(tried.decisions)) == (False, 3, 3, 3)


def test_halves_and_tenths():
    # Each epoch is one step. The loss of epoch e is 57 (1 - rate CURVATURE)^(2 (e - 1)), and 4 * 57 is too much: at 6
    # and 0.6 that is so in the second epoch (41.75^2, 3.275^2); at 0.3 in the seventh, (1.1375)^12 = 4.7.
    tried = cr.cut_rates(make_trainer, X, Y, start=6.0, epochs=8, batch_size=4, quickly=2)
    np.testing.assert_allclose(tried.rates, [6.0, 0.6, 0.06], rtol=1e-14)
    assert [one.epoch for one in tried.decisions] == [2, 2]
    assert all(one.reason.startswith("diverged quickly, in epoch 2: the loss is") for one in tried.decisions)
    tried = cr.cut_rates(make_trainer, X, Y, start=6.0, epochs=8, batch_size=4)
    np.testing.assert_allclose(tried.rates, [6.0, 3.0, 1.5, 0.75, 0.375, 0.1875], rtol=1e-14)
    assert tried.works
    # 0.375: 1.672^2 = 2.8 after one update, 7.8 after two.
    assert [one.epoch for one in tried.decisions] == [2, 2, 2, 2, 3]
    assert (
        tried.decisions[4].reason
        == f"diverged, in epoch 3: the loss is {57 * (0.375 * 7.125 - 1) ** 4:.4g}, and 228 was the limit"
    )
    plain = make_trainer(tried.rate)
    plain.fit(X, Y, epochs=8, batch_size=4, verbose=False)
    assert bits(tried.net) == bits(plain.net)


def test_a_loss_that_is_not_finite_diverges_too():
    # In float32 the second loss at 1e30 is infinite; the first epoch is taken back, and none is left.
    tried = cr.cut_rates(lambda rate: make_trainer(rate, "float32"), X, Y, start=1e30, trials=2, **FIT)
    assert tried.histories[0].epochs == 0
    assert tried.decisions[0].reason.startswith("diverged quickly, in epoch 1: the loss was no longer finite")
    np.testing.assert_allclose(tried.rates, [1e30, 1e29], rtol=1e-6)


def test_what_saturates_diverges_without_being_infinite():
    # The loss of a saturated tanh is at most 4: it never leaves the finite numbers, and never learns.
    def saturating(rate):
        net = cr.Network([cr.Dense(1, activation="tanh")], inputs=1, dtype="float64")
        net.load_state_dict({"0.weight": [[0.2]], "0.bias": [0.0]})
        return cr.Trainer(net, loss="mse", optimizer=cr.Momentum(rate))

    y = 0.1 * Y
    tried = cr.cut_rates(saturating, X, y, start=40.0, epochs=30, batch_size=4)
    assert tried.works
    assert all("was the limit" in one.reason for one in tried.decisions)
    assert 1 < len(tried.rates) < 12
    assert tried.trainer.evaluate(X, y)["loss"] < 0.01


def test_arguments_of_the_fit_are_handed_on():
    seen = []
    callback = cr.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((epoch, sorted(logs))))
    weight = np.array([1.0, 0.0, 2.0, 1.0])
    given = {
        "callbacks": [callback],
        "validation_data": (X + 0.25, Y),
        "sample_weight": weight,
        "epochs": 2,
        "batch_size": 2,
    }
    tried = cr.try_rates(make_trainer, X, Y, **given)
    assert [epoch for epoch, _ in seen] == [1, 2]
    assert all("val_loss" in names for _, names in seen)
    plain = make_trainer(0.1)
    plain.fit(X, Y, verbose=False, **given)
    assert bits(plain.net) == bits(tried.net)
    with pytest.raises(TypeError, match="epoch"):
        cr.try_rates(make_trainer, X, Y, epoch=2)


def test_weights_of_classes_are_no_explosion():
    X, y = problem()

    def classifying(rate):
        return trainer(network(), optimizer=cr.SGD(rate))

    # With a class counted 300 times the loss of an epoch is far above the plain one from the start.
    weights = {"class_weight": {2: 300.0}, "epochs": 2}
    plain = classifying(1e-6).evaluate(X, y)["loss"]
    tried = cr.cut_rates(classifying, X, y, start=1e-6, **weights)
    assert tried.works
    assert tried.rates == (1e-6,)
    assert tried.histories[0]["loss"][0] > 4 * plain
    assert cr.try_rates(classifying, X, y, start=1e-4, **weights).works


def test_no_divergence_is_warned_of_and_other_warnings_are():
    class Talks(cr.Callback):
        def on_train_begin(self, logs):
            warnings.warn("hello", UserWarning, stacklevel=2)

    with pytest.warns(UserWarning, match="hello") as seen:
        cr.cut_rates(make_trainer, X, Y, start=1e200, trials=1, callbacks=[Talks()], **FIT)
    assert {one.category for one in seen} == {UserWarning}


@pytest.mark.parametrize("find", [cr.try_rates, cr.cut_rates])
def test_builders_that_do_not_suit(find):
    with pytest.raises(TypeError, match="make_trainer must be a function of a learning rate"):
        find(make_trainer(0.1), X, Y)
    with pytest.raises(TypeError, match=r"make_trainer\(.*\) must return a Trainer; got Network"):
        find(lambda rate: make_trainer(rate).net, X, Y)
    with pytest.raises(ValueError, match=r"must give the optimizer this rate; it has lr=0.125"):
        find(lambda rate: make_trainer(0.125), X, Y)
    net = make_trainer(0.1).net
    with pytest.raises(ValueError, match="must return a new Trainer of a new Network at each call"):
        find(lambda rate: cr.Trainer(net, loss="mse", optimizer=cr.SGD(rate)), X, Y, start=1e100, **FIT)

    def trained(rate):
        trainer = make_trainer(rate)
        trainer.fit(X, Y, verbose=False, **FIT)
        return trainer

    with pytest.raises(ValueError, match="this one has been trained before"):
        find(trained, X, Y, start=0.01, **FIT)


@pytest.mark.parametrize(
    ("find", "options", "message"),
    [
        (cr.try_rates, {"start": 0}, "start must be a finite number above 0; got 0"),
        (cr.try_rates, {"trials": 0}, "trials must be"),
        (cr.try_rates, {"divide_by": 1}, "divide_by must be a finite number above 1; got 1"),
        (cr.try_rates, {"works": True}, "works must be a function from a Trainer to True or False; got True"),
        (cr.try_rates, {"callbacks": 3}, "callbacks must be a list"),
        (cr.cut_rates, {"start": "x"}, "start must be"),
        (cr.cut_rates, {"quickly": 0}, "quickly must be"),
        (cr.cut_rates, {"exploded": 1.0}, "exploded must be a finite number above 1; got 1.0"),
    ],
)
def test_options_that_do_not_suit(find, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        find(make_trainer, X, Y, **options)


def standardized(rate, figures=None):
    net = cr.Network([cr.Standardize(), cr.Dense(1, bias=False)], inputs=1, dtype="float64", seed=1)
    if figures is not None:
        net.adapt(figures)
    return cr.Trainer(net, loss="mse", optimizer=cr.SGD(rate))


@pytest.mark.parametrize("rule", [cr.try_rates, cr.cut_rates])
@pytest.mark.parametrize("fit", [{}, {"validation_split": 0.25}, {"sample_weight": [1.0, 2.0, 3.0, 4.0]}])
def test_a_network_that_standardizes_was_never_fitted(rule, fit):
    rows = 100 + 10 * X
    tried = rule(standardized, rows, Y, start=3.0, epochs=4, batch_size=4, **fit)
    assert len(tried.rates) > 1
    assert tried.works
    # The fit measured them, from its own rows, as one alone does.
    plain = standardized(tried.rate)
    plain.fit(rows, Y, epochs=4, batch_size=4, verbose=False, **fit)
    assert bits(tried.net) == bits(plain.net)


def test_the_loss_before_is_that_of_the_rows_that_are_trained_on():
    # The mean and scale come from the training part, as in the fit; the loss from all rows.
    rows, share = 100 + 10 * X, 0.25
    fitted = standardized(0.1)
    fitted.fit(rows, Y, epochs=1, validation_split=share, verbose=False)
    known = standardized(0.1)
    statistics = {name: value for name, value in fitted.net.state_dict().items() if name in fitted.net.statistics()}
    known.net.load_state_dict({**known.net.state_dict(), **statistics})
    before = known.evaluate(rows, Y)["loss"]
    tried = cr.try_rates(standardized, rows, Y, start=300.0, trials=1, epochs=2, batch_size=4, validation_split=share)
    assert tried.decisions[0].reason.startswith(f"it does not work: the loss was {before:.4g} and is ")


def test_a_coarse_dtype_is_warned_of_once():
    def make(rate):
        return cr.Trainer(cr.Network([cr.Standardize(), cr.Dense(1)], inputs=1), loss="mse", optimizer=cr.SGD(rate))

    with pytest.warns(cr.StandardizeWarning) as said:
        assert cr.try_rates(make, 1e9 + 100 * X, Y, trials=1, **FIT).works
    assert len([one for one in said if one.category is cr.StandardizeWarning]) == 1
