"""Stopping rules, judged by histories written down by hand, and by fits that they end."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import pytest
from problems import network, problem, trainer

import chainrule as cr

NAN = math.nan


def history(**columns: list[float]) -> cr.History:
    """Return a history of these figures; losses and seconds are 1 where none are given."""
    epochs = len(next(iter(columns.values())))
    columns = {"loss": [1.0] * epochs, "seconds": [1.0] * epochs, **columns}
    made = cr.History(list(columns))
    for number in range(epochs):
        made.add({name: values[number] for name, values in columns.items()})
    return made


def first(rule: cr.StoppingRule, **columns: list[float]) -> int | None:
    """Return after which epoch a rule holds first, its reason being there from then on."""
    epochs = len(next(iter(columns.values())))
    for number in range(1, epochs + 1):
        why = rule.reason(history(**{name: values[:number] for name, values in columns.items()}))
        assert why is None or (why and why[0].islower())
        if why is not None:
            return number
    return None


@pytest.mark.parametrize(
    ("options", "losses", "expected"),
    [
        ({}, [5, 4, 3, 3.5], 4),  # "if the loss increase"
        ({}, [5, 4, 4], 3),  # as good is not better
        ({"epochs": 2}, [5, 4, 4.5, 3, 3.1, 3.2], 6),  # "up and down many times"
        ({"epochs": 2}, [5, 4, 4.5, 4.2], 4),  # better than the last, not than the best
        ({"epochs": 3}, [5, 4, 3, 2], None),
        ({"min_delta": 0.5}, [5, 4, 3.6], 3),
        ({"epochs": 2}, [NAN, NAN], 2),  # never a number
        ({"epochs": 2}, [NAN, 3, NAN, NAN], 4),
    ],
)
def test_stagnates(options: dict[str, Any], losses: list[float], expected: int | None) -> None:
    assert first(cr.Stagnates("loss", **options), loss=losses) == expected


@pytest.mark.parametrize(
    ("options", "losses", "expected"),
    [
        ({"rate": 0.1}, [10, 8, 7, 6.5], 4),  # 20 %, 12.5 %, 7 %
        ({"rate": 0.1}, [10, 12], 2),
        ({"rate": 0.1, "epochs": 2}, [10, 9.9, 7.5, 7.4], None),  # 12.5 %, 12.6 % an epoch over two
        ({"rate": 0.1, "epochs": 2}, [10, 7, 8.5], 3),
        ({"rate": 0.3}, [8, 4, 2, 1], None),
        ({"rate": 0.1}, [-1, -2, -2.1], 3),  # 100 %, 5 %
        ({"rate": 0.1}, [0, 0], 2),
        ({"rate": 0.1}, [0, -1], None),
        ({"rate": 0.1}, [1, NAN], 2),
    ],
)
def test_improves_slowly(options: dict[str, Any], losses: list[float], expected: int | None) -> None:
    assert first(cr.ImprovesSlowly("loss", **options), loss=losses) == expected


def test_a_rate_over_two_epochs() -> None:
    rule = cr.ImprovesSlowly("loss", rate=0.105, epochs=2)
    assert rule.reason(history(loss=[10, 9])) is None  # two epochs have not passed
    assert rule.reason(history(loss=[10, 9.5, 7.8])) is None  # 11 % an epoch
    assert rule.reason(history(loss=[10, 9.5, 8])) == "loss improved by 10.00% an epoch, less than 10.50%"


@pytest.mark.parametrize(
    ("options", "values", "expected"),
    [
        ({"goal": 0.5}, [0.9, 0.6, 0.5, 0.4], 3),
        ({"goal": 0.5}, [0.9, 0.6], None),
        ({"goal": 0.5}, [NAN, 0.6], None),
        ({"goal": 0.9, "mode": "max"}, [0.2, 0.95], 2),
        ({"goal": 0.9, "mode": "max"}, [0.2, 0.3], None),
    ],
)
def test_reaches(options: dict[str, Any], values: list[float], expected: int | None) -> None:
    assert first(cr.Reaches("loss", **options), loss=values) == expected


def test_accuracy_goes_up() -> None:
    rising = [0.5, 0.7, 0.9, 0.9]
    assert first(cr.Reaches("accuracy", goal=0.8), accuracy=rising) == 3
    assert first(cr.Stagnates("accuracy"), accuracy=rising) == 4
    assert first(cr.ImprovesSlowly("accuracy", rate=0.3), accuracy=rising) == 3


def test_lasts() -> None:
    assert first(cr.Lasts(3), loss=[1.0] * 5) == 3
    assert first(cr.Lasts(seconds=2.5), seconds=[1.0] * 5) == 3
    assert first(cr.Lasts(2, seconds=2.5), seconds=[1.0] * 5) == 2
    assert cr.Lasts(1).reason(history(loss=[1])) == "it has lasted 1 epoch"
    assert cr.Lasts(seconds=1.5).reason(history(seconds=[1.25, 0.5])) == "it has lasted 1.75 seconds"


def test_rules_combine() -> None:
    long, good = cr.Lasts(3), cr.Reaches("loss", goal=0.5)
    losses = [1.0, 0.4, 0.6, 0.3]
    assert first(long | good, loss=losses) == 2
    assert first(long & good, loss=losses) == 4
    assert first(long & good | cr.Lasts(3), loss=losses) == 3
    both = (long & good).reason(history(loss=losses))
    assert both == "it has lasted 4 epochs and loss has reached 0.3, the goal being 0.5"
    assert (good | long).reason(history(loss=[0.6] * 3)) == "it has lasted 3 epochs"
    with pytest.raises(TypeError, match="unsupported operand"):
        long & 3  # type: ignore[operator]


def test_a_fit_ends_when_a_rule_holds() -> None:
    learner = trainer(network())
    found = learner.fit(*problem(), epochs=50, callbacks=[cr.StopWhen(cr.Reaches("loss", goal=0.5) | cr.Lasts(40))])
    assert found.epochs < 40
    assert found["loss"][-1] <= 0.5 < found["loss"][-2]
    assert found.stop_reason == f"loss has reached {found['loss'][-1]:g}, the goal being 0.5"
    # A fit that goes on counts its own epochs.
    assert learner.fit(*problem(), epochs=9, callbacks=[cr.StopWhen(cr.Lasts(2))]).epochs == 2


def test_a_rule_of_ones_own() -> None:
    class Alternates(cr.StoppingRule):
        def reason(self, history: cr.History) -> str | None:
            return "it is the third epoch" if history.epochs == 3 else None

    found = trainer(network()).fit(*problem(), epochs=9, callbacks=[cr.StopWhen(Alternates() & cr.Lasts(1))])
    assert found.stop_reason == "it is the third epoch and it has lasted 3 epochs"


def test_rules_are_plain_values() -> None:
    rule = cr.Stagnates(epochs=2) & cr.Lasts(3) | cr.Reaches(goal=0.1)
    for copied in (copy.deepcopy(rule), pickle.loads(pickle.dumps(rule))):
        assert copied == rule
    assert repr(cr.Lasts(3)) == "Lasts(epochs=3, seconds=None)"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: cr.Stagnates(3), TypeError, "monitor must be a name in the history; got 3"),
        (lambda: cr.Stagnates(epochs=0), ValueError, "epochs must be"),
        (lambda: cr.Stagnates(min_delta=-1), ValueError, "min_delta must be"),
        (lambda: cr.Stagnates(mode="up"), ValueError, "mode='up' is unknown"),
        (lambda: cr.ImprovesSlowly(rate=0), ValueError, "rate must be a finite number above 0"),
        (lambda: cr.ImprovesSlowly(rate=0.1, epochs=1.5), TypeError, "epochs must be"),
        (lambda: cr.Reaches(goal=NAN), ValueError, "goal must be a finite number"),
        (lambda: cr.Lasts(), ValueError, "Lasts needs epochs or seconds"),
        (lambda: cr.Lasts(seconds=0), ValueError, "seconds must be"),
        (lambda: cr.StopWhen("val_loss"), TypeError, "rule must be a StoppingRule"),
    ],
)
def test_bad_options(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_figure_that_will_not_be_there_is_told_before_the_first_epoch() -> None:
    learner = trainer(network())
    for rule in (cr.Stagnates(), cr.Lasts(2) & cr.Stagnates(), cr.Reaches(goal=1.0) | cr.Lasts(2)):
        with pytest.raises(ValueError, match=r"monitor='val_loss' is not in the history, .*; give validation_split"):
            learner.fit(*problem(), epochs=2, callbacks=[cr.StopWhen(rule)])
    assert learner.epochs_done == 0
