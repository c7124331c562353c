"""The four questions about errors, and losses a row with their standard errors: against hand computation and NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import flow_of_errors

BIAS, VARIANCE, MISMATCH, CHOSEN = "bias", "variance", "train-test mismatch", "overfitted validation set"

# The four questions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("errors", "names"),
    [
        ((0.02, 0.03, 0.04, 0.05), ()),
        ((0.20, 0.21, 0.22, 0.22), (BIAS,)),
        ((0.02, 0.11, 0.12, 0.12), (VARIANCE,)),
        ((0.02, 0.03, 0.11, 0.12), (MISMATCH,)),
        ((0.02, 0.03, 0.04, 0.11), (CHOSEN,)),
        ((0.10, 0.20, 0.30, 0.40), (BIAS, VARIANCE, MISMATCH, CHOSEN)),
        ((0.05, 0.05, 0.05, 0.05), ()),
        ((0.00, 0.00, 0.00, 0.06), (CHOSEN,)),
        # Above the target, but not above the part before by more than a quarter of it.
        ((0.04, 0.05, 0.06, 0.07), ()),
    ],
)
def test_the_four_questions_of_lecture_003(errors: tuple[float, ...], names: tuple[str, ...]) -> None:
    training, training_dev, validation, test = errors
    found = cr.error_flow(training, training_dev=training_dev, validation=validation, test=test, target=0.05)
    assert found.names == names
    assert found.healthy == (not names)
    assert all("[003]" in one.source for one in found.findings)


def test_each_answer_has_the_remedies_of_the_slide() -> None:
    found = cr.error_flow(0.1, training_dev=0.2, validation=0.3, test=0.4, target=0.05)
    assert found[BIAS].remedies == ("a bigger model", "a different architecture", "longer training")
    assert found[VARIANCE].remedies == ("more data", "regularization", "a different architecture")
    assert any("generate" in one for one in found[MISMATCH].remedies)
    assert found[CHOSEN].remedies[0] == "more validation data"
    assert found[VARIANCE].numbers == {"training_dev": 0.2, "training": 0.1, "target": 0.05}


def test_a_part_that_is_missing_is_not_asked_about() -> None:
    found = cr.error_flow(0.02, validation=0.11, target=0.05)
    assert found.names == (VARIANCE,)
    assert "it may be train-test mismatch" in found[VARIANCE].evidence
    assert [one.split(":")[0] for one in found.not_looked_at] == ["training-dev error", "test error"]
    assert cr.error_flow(0.02, validation=0.03, test=0.2, target=0.05).names == (CHOSEN,)


def test_a_difference_that_chance_makes_is_none() -> None:
    def names(rows: int) -> tuple[str, ...]:
        return cr.error_flow(0.04, validation=0.10, target=0.05, rows={"training": 1000, "validation": rows}).names

    # The standard error of 0.1 is 0.067 of 20 rows and 0.0067 of 2,000.
    assert names(20) == ()
    assert names(2000) == (VARIANCE,)
    # 1 of 10 wrong is no sign that more than 5 % are.
    assert cr.error_flow(0.1, target=0.05, rows={"training": 10}).healthy


def test_standard_errors() -> None:
    assert flow_of_errors.deviation_of_share("x", 0.5, 98) == 0.05
    assert flow_of_errors.deviation_of_share("x", 0.0, 8) == pytest.approx(0.3 / math.sqrt(10))
    assert math.isnan(flow_of_errors.deviation_of_share("x", 0.5, None))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"training": "0.1"}, TypeError, "training must be a finite number"),
        ({"validation": math.nan}, ValueError, "validation must be a finite number"),
        ({"target": None}, TypeError, "target must be a finite number"),
        ({"rows": 20}, TypeError, "rows must map names of parts to numbers of rows"),
        ({"rows": {"dev": 20}}, ValueError, "rows='dev' is unknown"),
        ({"rows": {"training": 0}}, ValueError, r"rows\['training'\] must be a whole number from 1"),
        ({"training": 1.5, "rows": {"training": 5}}, ValueError, "a share of wrong answers"),
    ],
)
def test_bad_errors(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        cr.error_flow(**{"training": 0.1, "target": 0.05, **options})


# Losses a row, and what to measure them by ----------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("rows", [1, 2, 7, 20])
def test_a_loss_a_row_and_its_standard_error(reduction: str, rows: int, rng: np.random.Generator) -> None:
    p, y = rng.normal(size=(rows, 1)), rng.normal(size=rows)
    errors = (p[:, 0] - y) ** 2
    found = flow_of_errors.mean_loss(cr.MeanSquaredError(reduction=reduction), p, y)
    assert found.error == pytest.approx(errors.mean())
    if rows == 1:
        assert math.isnan(found.deviation)
    else:
        assert found.deviation == pytest.approx(errors.std(ddof=1) / math.sqrt(rows))


def test_the_standard_error_of_many_rows_is_about_that_of_all(rng: np.random.Generator) -> None:
    p, y = rng.normal(size=(2003, 1)), np.zeros(2003)
    found = flow_of_errors.mean_loss(cr.MeanSquaredError(), p, y)
    assert found.error == pytest.approx((p**2).mean())
    assert found.deviation == pytest.approx((p**2).std() / math.sqrt(2003), rel=0.4)
    assert flow_of_errors.mean_loss(cr.MeanSquaredError(), np.array([[math.inf]]), y[:1]).error == math.inf


def entropy(*shares: float) -> float:
    return -sum(one * math.log(one) for one in shares)


LABELS = np.repeat([0, 1, 2], [5, 3, 2])
NUMBERS = np.array([0.0, 1.0, 1.0, 2.0, 6.0, 2.0, 3.0, 1.0, 0.0, 4.0])


@pytest.mark.parametrize(
    ("loss", "y", "outputs", "guess"),
    [
        (cr.CrossEntropy(), LABELS, 3, entropy(0.5, 0.3, 0.2)),
        (cr.CrossEntropy(reduction="sum"), np.eye(3)[LABELS], 3, entropy(0.5, 0.3, 0.2)),
        (cr.CrossEntropy(from_logits=False), LABELS, 3, entropy(0.5, 0.3, 0.2)),
        (cr.BinaryCrossEntropy(), LABELS > 0, 1, math.log(2)),
        (cr.BinaryCrossEntropy(from_logits=False), LABELS > 1, 1, entropy(0.2, 0.8)),
        (cr.MeanSquaredError(), NUMBERS, 1, NUMBERS.var()),
        (cr.MeanSquaredError(reduction="sum", half=True), NUMBERS, 1, NUMBERS.var() / 2),
        (cr.MeanAbsoluteError(), NUMBERS, 1, np.abs(NUMBERS - np.median(NUMBERS)).mean()),
        (cr.Poisson(), NUMBERS, 1, 2 - 2 * math.log(2)),
        (cr.Poisson(from_log=False), NUMBERS, 1, 2 - 2 * math.log(2)),
    ],
)
def test_the_best_constant_answer(loss: cr.Loss, y: Any, outputs: int, guess: float) -> None:
    found, floor = flow_of_errors.scale(loss, np.asarray(y, dtype=None if outputs > 1 else float), outputs)
    assert found == pytest.approx(guess, rel=1e-6)
    if isinstance(loss, cr.Poisson):
        counts = NUMBERS[NUMBERS > 0]
        assert floor == pytest.approx((counts - counts * np.log(counts)).sum() / len(NUMBERS), abs=1e-5)
    else:
        assert floor == 0
