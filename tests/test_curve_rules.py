"""What learning curves tell: the rules one by one, on curves made by hand. Real runs are in test_diagnosis.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diagnosis_runs import HIGH, OVER, UNDER, blobs, dense, fitted, noisy_line

import chainrule as cr
from chainrule import curve_rules


def history(loss: Any, val_loss: Any = None, rows: tuple[int, int] = (1000, 1000), **columns: Any) -> cr.History:
    known = {"loss": loss, **({} if val_loss is None else {"val_loss": val_loss}), **columns}
    result = cr.History([*known, "learning_rate", "seconds"])
    for values in zip(*known.values(), strict=True):
        result.add({**dict(zip(known, values, strict=True)), "learning_rate": 0.1, "seconds": 0.0})
    result.rows = rows
    return result


def looked_at(every: int, loss: Any, val_loss: Any) -> cr.History:
    """Return a history with a look at the validation part every so many epochs, and after the last."""
    result = cr.History(["loss", "val_loss", "learning_rate", "seconds"])
    for number, (t, v) in enumerate(zip(loss, val_loss, strict=True), 1):
        seen = {"val_loss": v} if number % every == 0 or number == len(loss) else {}
        result.add({"loss": t, **seen, "learning_rate": 0.1, "seconds": 0.0})
    result.rows = (1000, 1000)
    return result


def test_the_noise_of_a_curve_is_found_on_a_slope(rng: np.random.Generator) -> None:
    line = np.linspace(5, 1, 4000)
    assert curve_rules.noise(line) == pytest.approx(0, abs=1e-12)
    assert curve_rules.noise(line + 0.1 * rng.normal(size=4000)) == pytest.approx(0.1, rel=0.1)


def test_how_much_of_a_fall_comes_at_its_end(rng: np.random.Generator) -> None:
    assert curve_rules.fall_at_end(np.linspace(2, 1, 21)) == pytest.approx(1)
    # Of 2^-t little is left after three quarters of the way.
    assert curve_rules.fall_at_end(0.5 ** np.arange(20.0)) == pytest.approx(0, abs=1e-3)
    # The bend of a steep beginning is no noise: 0.05 of 0.95 in 2 of 7 steps.
    steep = np.array([1.6, 1.24, 0.99, 0.83, 0.75, 0.7, 0.67, 0.65])
    assert curve_rules.fall_at_end(steep) == pytest.approx(0.05 / 0.95 * 7 / 2)
    assert curve_rules.fall_at_end(np.linspace(1, 2, 21)) == 0
    assert curve_rules.fall_at_end(1 + 0.01 * rng.normal(size=40)) == 0


def test_the_textbook_curve_of_overfitting() -> None:
    epochs = np.arange(30.0)
    loss = np.exp(-epochs / 8)
    val_loss = 0.4 + (epochs / 12 - 1) ** 2 / 3
    (found,) = cr.diagnose(history(loss, val_loss)).findings
    assert found.name == OVER
    assert found.numbers["best_epoch"] == 13
    assert found.numbers["least_val_loss"] == pytest.approx(0.4, abs=0.01)
    # The same in sums over rows, of which there are three times as many to train on.
    summed = history(3 * loss, val_loss, (3000, 1000))
    summed.summed = True
    assert cr.diagnose(summed).names == (OVER,)
    # Where training does not go on falling, it is something else.
    assert OVER not in cr.diagnose(history(np.maximum(loss, 0.4), val_loss)).names
    # On 4 rows it may be chance.
    assert OVER not in cr.diagnose(history(loss, val_loss, (1000, 4))).names


@pytest.mark.parametrize("every", [1, 2, 3, 5, 6])
def test_the_textbook_curves_with_few_looks(every: int) -> None:
    epochs = np.arange(32.0)
    loss, val_loss = np.exp(-epochs / 8), 0.4 + (epochs / 12 - 1) ** 2 / 3
    (found,) = cr.diagnose(looked_at(every, loss, val_loss)).findings
    assert found.name == OVER
    # The least is at number 13, where all epochs are looked at.
    looks = [number for number in range(1, 33) if number % every == 0 or number == 32]
    assert found.numbers["best_epoch"] == min(looks, key=lambda number: abs(number - 13))
    assert found.numbers["last_val_loss"] <= val_loss.max()
    # Both fall, almost in a straight line; at 3, 5 and 6 the last look comes early.
    (found,) = cr.diagnose(looked_at(every, 2 - epochs / 40, 2.1 - epochs / 40)).findings
    assert found.name == UNDER
    assert " in the last " in found.evidence
    # Where both level off, nothing is wrong.
    assert cr.diagnose(looked_at(every, loss, loss)).healthy


def test_four_looks_show_no_shape() -> None:
    loss, val_loss = np.exp(-np.arange(40.0) / 8), np.linspace(0.4, 2.0, 40)
    found = cr.diagnose(looked_at(10, loss, val_loss))
    assert found.healthy
    assert any("4 looks at the validation part, and 5 are needed" in one for one in found.not_looked_at)
    assert not any("looks" in one for one in cr.diagnose(looked_at(8, loss, val_loss)).not_looked_at)


def test_a_rise_without_setbacks_is_no_noise() -> None:
    # Third differences take this bend for noise of 0.1, and the rise, of 0.35, is less than four times as much.
    loss = np.exp(-np.arange(8.0) / 2)
    val_loss = [1.0, 0.5, 0.52, 0.53, 0.54, 0.85, 0.87, 0.9]
    assert curve_rules.NOISE * curve_rules.noise(np.array(val_loss)) > 0.35
    assert cr.diagnose(history(loss, val_loss)).names == (OVER,)
    # A step back of a third of that rise may be chance.
    assert cr.diagnose(history(loss, [1.0, 0.5, 0.66, 0.52, 0.54, 0.85, 0.87, 0.9])).healthy
    assert curve_rules.setback(np.array([1.0, 2.0, 1.5, 3.0, 2.8, 4.0])) == 0.5
    assert curve_rules.setback(np.arange(6.0)) == 0
    assert curve_rules.setback(np.arange(5.0)) == np.inf


@pytest.mark.parametrize("rise", [0.02, 0.05])
def test_a_rise_of_some_percent_is_none(rise: float) -> None:
    val_loss = np.concatenate([np.linspace(1, 0.4, 20), np.linspace(0.4, 0.4 * (1 + rise), 10)])
    assert OVER not in cr.diagnose(history(np.exp(-np.arange(30) / 8), val_loss)).names


def test_noise_of_the_validation_loss_is_no_rise(rng: np.random.Generator) -> None:
    loss = 0.3 + np.exp(-np.arange(40) / 6)
    for _ in range(50):
        found = cr.diagnose(history(loss, 0.4 + np.exp(-np.arange(40) / 6) + 0.03 * rng.normal(size=40)))
        assert found.healthy, found


@pytest.mark.parametrize("seed", range(10))
def test_ten_validation_rows_make_no_false_alarm(seed: int) -> None:
    options: dict[str, Any] = {"loss": "mse", "optimizer": cr.SGD(0.02), "epochs": 25, "seed": seed}
    run = fitted(dense(1), noisy_line(200, seed + 100, 5), noisy_line(10, seed + 500, 5), **options)
    assert cr.diagnose(run.history).healthy
    assert run.diagnose().healthy


def test_accuracies_far_apart_are_overfitting() -> None:
    falling = np.exp(-np.arange(10) / 2)
    columns = {"accuracy": np.linspace(0.5, 0.99, 10), "val_accuracy": np.linspace(0.5, 0.8, 10)}
    assert cr.diagnose(history(falling, 0.5 + falling, **columns)).names == (OVER,)
    assert cr.diagnose(history(falling, 0.5 + falling, (1000, 20), **columns)).healthy
    weighted = history(falling, 0.5 + falling, **columns)
    weighted.weighted = True
    assert cr.diagnose(weighted).healthy


def test_a_loss_that_cannot_get_better_answers_is_done() -> None:
    falling = np.linspace(1, 0.3, 12)
    assert cr.diagnose(history(falling, falling)).names == (UNDER,)
    right = np.linspace(0.9, 1.0, 12)
    assert cr.diagnose(history(falling, falling, accuracy=right, val_accuracy=right)).healthy


def test_the_reason_of_a_divergence_is_known_by_its_words() -> None:
    for words in (
        "the loss was no longer finite in epoch 3, step 2, with learning rate 9",
        "parameters or statistics were no longer finite in epoch 1, step 1, with learning rate 9",
        "the loss was not finite in epoch 1, step 1, before any update of this fit",
    ):
        diverged = history([1.0], [1.0])
        diverged.stop_reason = words
        assert cr.diagnose(diverged).names == (HIGH,)


@pytest.mark.parametrize("loss", [[0.0] * 8, [-2.0 + 0.5**k for k in range(8)]])
def test_losses_of_0_and_below(loss: list[float]) -> None:
    found = cr.diagnose(history(loss, loss))
    assert HIGH not in found.names
    assert OVER not in found.names


def test_weights_do_not_look_like_a_rate_that_is_too_high() -> None:
    X, y = blobs(120, 1)
    trainer = cr.Trainer(cr.Network(dense(8, 3), inputs=2), loss="cross_entropy", optimizer=cr.Adam(0.01))
    trainer.fit(X, y, sample_weight=np.full(120, 10.0), epochs=20, verbose=False)
    assert trainer.history.weighted
    assert cr.diagnose(trainer.history, trainer=trainer, X=X, y=y).healthy


def test_a_validation_loss_that_is_not_finite() -> None:
    falling = np.exp(-np.arange(12.0) / 4)
    for value in (np.inf, np.nan):
        assert cr.diagnose(history(falling, np.append(falling[:8], [value] * 4))).names == (OVER,)
