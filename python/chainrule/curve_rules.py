"""What learning curves tell: a rule for each thing that a history alone can show. They read it and change nothing.

t is the training loss by epoch, v the validation loss, by look: where only some epochs were validated after, v is
compared with t at those. Whether a loss is high, curves do not tell: that is for
diagnosis.py and flow_of_errors.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .divergence import tells_of_divergence
from .findings import Finding

if TYPE_CHECKING:
    import numpy.typing as npt

    from .history import History

    Floats = npt.NDArray[np.float64]

# Fewer epochs show no shape: one for the start, the rest for a middle and an end that is a median of three.
FEWEST_EPOCHS = 5
# A validation loss this share above its least has risen. Training a few epochs too long brings some percent, which
# costs nothing; from a tenth on a better model was thrown away.
RISE = 0.1
# ... if it is also this share of what the curve fell before: where that fall was a hundredfold, a tenth more of what
# little is left is nothing.
RISE_OF_FALL = 0.01
# Times the noise of one epoch, estimated from the curve: four, since the least of many epochs is low by chance by two.
NOISE = 4.0
# Where looks are rare the bend of a curve passes for noise. A rise is then more than chance if it is three times the
# greatest fall in between, over five steps at least: of a dozen looks that differ by chance alone, that adds 1 % to the
# 3 % that are called a rise.
SETBACKS = 3.0
STEPS_OF_RISE = 5
# How far the mean of M losses lies off by chance, as a share of it: sqrt(2 / M) where they are the squares of normal
# errors. A rise, of the same rows, must be above that, a gap to other rows above twice that.
SPREAD = math.sqrt(2.0)
# The training loss "continues to go down" if it has fallen by this share since, and by more than noise.
GOES_DOWN = 0.02
# A fall goes on if the last quarter of the epochs brings at least half of what it would in a straight line, which is
# 1/8 of the whole fall; or a quarter of it, if that is a twentieth of the loss besides.
STRAIGHT = 0.5
BENT = 0.25
STILL = 0.05
# A straight fall is slow if it is less than a quarter of the loss: it would take twice as many epochs to halve it.
SLOW_FALL = 0.25
# A fall of less than 1 % is none.
NO_FALL = 0.01
# Ups and downs: at least a quarter of the steps after the first quarter go up, on average by this share of the loss and
# by this share of what it was at first. Where the rate suits, the training loss rises by up to (0.11, 0.05) if dropout
# or batch normalization shake it, and the validation loss then by (0.03, 0.03); the validation loss by up to (0.3, 0.1)
# where it is small or its rows are few, the training loss then by (0.05, 0.01). A rate that is too high moves both.
UPS = 0.25
TRAINING_UPS = (0.15, 0.08)
BOTH_UPS = ((0.035, 0.025), (0.1, 0.07))
# A validation loss may be infinite where a training loss never is: differences of this are not NaN.
HUGE = 1e100
# A training loss that ends this share of its start above its least has risen.
TRAINING_RISE = 0.1
# With this accuracy on both parts, a loss that still falls makes answers surer, not better.
NOTHING_TO_GAIN = 0.99


def end(values: Floats) -> float:
    """Return the median of the last tenth of the epochs, of three at least."""
    return float(np.median(values[-max(3, len(values) // 10) :]))


def smooth(values: Floats) -> Floats:
    """Return the medians of three neighbours; the ends as they are."""
    middle = np.median([values[:-2], values[1:-1], values[2:]], axis=0)
    result: Floats = np.concatenate([values[:1], middle, values[-1:]])
    return result


def noise(values: Floats) -> float:
    """Return the standard deviation of one epoch around the curve, from third differences: bends hardly show in them.

    The variance of x0 - 3 x1 + 3 x2 - x3 is 1 + 9 + 9 + 1 = 20 times that of x; the median of the sizes of normal
    numbers is 0.6745 of their deviation.
    """
    return float(np.median(np.abs(np.diff(values, 3)))) / (0.6745 * math.sqrt(20))


def setback(rising: Floats) -> float:
    """Return the greatest fall from one look to the next; infinity where they are too few to tell."""
    steps = np.diff(rising)
    return max(0.0, -float(steps.min())) if len(steps) >= STEPS_OF_RISE else math.inf


def fall_at_end(values: Floats) -> float:
    """Return what the last quarter of the epochs brought, over what it would in a straight line from first to last.

    0 where the curve does not fall, or where the last fall is no more than the noise.
    """
    total, quarter = values[0] - values[-1], max(1, len(values) // 4)
    medians = smooth(values)
    last = medians[-1 - quarter] - min(medians[-1], np.median(values[-3:]))
    # A curve that falls at every step has no noise to speak of: what looks like it is the bend of its beginning.
    shaken = 0.0 if (np.diff(values) < 0).all() else noise(values)
    if total <= 0 or last <= NOISE * shaken:
        return 0.0
    return float(last / total * (len(values) - 1) / quarter)


def looks(history: History, epochs: int | None = None) -> list[int]:
    """Return the places of the epochs, of the first `epochs`, after which all was measured that there is."""
    name = next((name for name in history if name.startswith("val_")), "loss")
    places = [number - history.first_epoch for number, _ in history.measured(name)]
    return [place for place in places if epochs is None or place < epochs]


def curve(history: History, name: str) -> Floats | None:
    """Return what was measured of a column, what is not finite as a huge number; None where it is not there."""
    if name not in history:
        return None
    measured = np.array([value for _, value in history.measured(name)], dtype=np.float64)
    values: Floats = np.nan_to_num(measured, nan=HUGE, posinf=HUGE, neginf=-HUGE)
    return values


def per_row(history: History, name: str) -> Floats:
    """Return a curve that is there; losses a row where they are sums over rows, so that two parts can be compared."""
    values = curve(history, name)
    assert values is not None
    return values / rows_in(history, name) if name.endswith("loss") else values


def rows_in(history: History, name: str) -> int:
    """Return over how many rows a loss is a sum; 1 where it is a mean."""
    return history.rows[name.startswith("val_")] if history.rows and history.summed else 1


def goes_on(history: History) -> bool:
    """Return whether the fit began with what was learned before: then its first epoch is no measure for the others."""
    return history.first_epoch > 1 or history.from_start is False


def objective(history: History) -> Floats:
    """Return what training makes small: the loss, and the penalty, for which a loss may rise."""
    parts = [part for part in (curve(history, name) for name in ("loss", "penalty")) if part is not None]
    total: Floats = np.sum(parts, axis=0)
    return total


def too_high(history: History, to_learn: float | None = None) -> Iterator[Finding]:
    """Yield that the learning rate is too high: the loss exploded, rose, or goes up and down.

    How much it did is measured by its first epoch. A fit that goes on from what was learned may begin near 0, where a
    loss shakes by much of itself: there it is measured by what there is to learn, a loss a row, if that is more, and
    not at all where it is not known.
    """
    name, t = "learning rate too high", objective(history)
    reason = str(history.stop_reason)
    if tells_of_divergence(reason):
        yield Finding(name, f"the loss exploded: {reason}", {"epochs": history.epochs})
        return
    if len(t) < FEWEST_EPOCHS or (goes_on(history) and to_learn is None):
        return
    start, least, last = float(t[0]), float(smooth(t).min()), end(t)
    v = curve(history, "val_loss")
    wholes = [abs(float(one[0])) if one is not None and len(one) else 0.0 for one in (t, v)]
    if goes_on(history) and to_learn is not None:
        parts = ("loss", "val_loss")
        wholes = [max(one, to_learn * rows_in(history, part)) for one, part in zip(wholes, parts, strict=True)]
    if last - least > TRAINING_RISE * wholes[0] and last - least > NOISE * noise(t):
        text = (
            f"the training loss rose: {start:.4g} in the first epoch, {least:.4g} at its least, {last:.4g} at the end"
        )
        yield Finding(name, text, {"first": start, "least": least, "last": last})
        return
    ours, theirs = ups(t, wholes[0]), ups(v, wholes[1])
    if exceed(ours, TRAINING_UPS) or (exceed(ours, BOTH_UPS[0]) and exceed(theirs, BOTH_UPS[1])):
        text = f"the losses go up and down: a rise of the training loss is {ours[0]:.0%} of it on average"
        if theirs[0]:
            text += f", one of the validation loss {theirs[0]:.0%}"
        numbers = {"rise": ours[0], "rise_of_whole": ours[1], "val_rise": theirs[0], "val_rise_of_whole": theirs[1]}
        yield Finding(name, text, numbers)


def ups(values: Floats | None, whole: float) -> tuple[float, float]:
    """Return the mean rise after the first quarter, over the loss there and over `whole`; zeros where few rise."""
    if values is None or not len(values):
        return 0.0, 0.0
    later = values[len(values) // 4 :]
    steps = np.diff(later)
    rises = steps[steps > 0]
    if len(rises) < max(2, UPS * len(steps)):
        return 0.0, 0.0
    rise, level = float(rises.mean()), float(np.median(np.abs(later)))
    return rise / level if level else 0.0, rise / whole if whole else 0.0


def exceed(found: tuple[float, float], limits: tuple[float, float]) -> bool:
    """Return whether both shares are above their limits."""
    return found[0] > limits[0] and found[1] > limits[1]


def too_low(history: History) -> Iterator[Finding]:
    """Yield that the learning rate is too low: the loss falls in a straight line, and hardly."""
    t = objective(history)
    if len(t) < FEWEST_EPOCHS or goes_on(history):
        return
    fall = (t[0] - t[-1]) / abs(t[0]) if t[0] else 0.0
    straightness, falling = fall_at_end(t), float(np.mean(np.diff(t) < 0))
    if 0 < fall < SLOW_FALL and straightness > STRAIGHT and falling > 1 - STRAIGHT / 2:
        text = (
            f"the training loss fell in {falling:.0%} of the epochs, almost in a straight line, but from {t[0]:.4g} to "
            f"{t[-1]:.4g} only, {fall:.1%} in {len(t)} epochs; the rate was {history['learning_rate'][-1]:.3g}"
        )
        numbers = {"first": t[0], "last": t[-1], "fall": fall, "straightness": straightness}
        yield Finding("learning rate too low", text, numbers)


def overfitting(history: History, epochs: int) -> Iterator[Finding]:
    """Yield that the validation loss rose while the training loss went on falling, in the first `epochs` epochs."""
    places = looks(history, epochs)
    if "val_loss" not in history or len(places) < FEWEST_EPOCHS:
        return
    t, v = per_row(history, "loss")[places], per_row(history, "val_loss")[: len(places)]
    best, least, last = int(v.argmin()), float(smooth(v).min()), end(v)
    rise, chance = last - least, SPREAD / math.sqrt(history.rows[1]) if history.rows and history.rows[1] else 0.0
    shaken = min(NOISE * noise(v), SETBACKS * setback(v[best:]))
    has_risen = rise > max(max(RISE, chance) * abs(least), RISE_OF_FALL * (v[0] - least), shaken)
    # A loss on few rows may rise on the way down: there it is still as low as that of training.
    is_above = history.rows is None or last - end(t) > 2 * chance * abs(last)
    before, after = float(smooth(t)[best]), end(t)
    if has_risen and is_above and before - after > max(GOES_DOWN * abs(before), NOISE * noise(t)):
        text = (
            f"the validation loss was least in epoch {history.first_epoch + places[best]}, {least:.4g}, and rose to "
            f"{last:.4g}; the training loss went on falling, from {before:.4g} to {after:.4g}"
        )
        numbers = {
            "best_epoch": history.first_epoch + places[best],
            "least_val_loss": least,
            "last_val_loss": last,
            "loss_at_best": before,
            "last_loss": after,
        }
        yield Finding("overfitting", text, numbers)


def still_falling(history: History) -> Iterator[Finding]:
    """Yield that both losses fall even at the end: it was not trained for long enough."""
    places = looks(history)
    if len(places) > FEWEST_EPOCHS and places[-1] - places[-2] < places[1] - places[0]:
        # After the last epoch there is a look in any case: one that comes early has had less time to fall.
        places = places[:-1]
    if len(places) < FEWEST_EPOCHS or "val_loss" not in history or nothing_to_gain(history):
        return
    curves = {"loss": per_row(history, "loss")[places], "val_loss": per_row(history, "val_loss")[: len(places)]}
    quarter = max(1, len(places) // 4)
    shares = {name: fall_at_end(one) for name, one in curves.items()}
    falls = [(one[-1 - quarter] - one[-1]) / abs(one[-1]) if one[-1] else 0.0 for one in curves.values()]
    if goes_on(history) and min(falls) <= STILL:
        return  # the fall that this one would be a share of came before
    if min(shares.values()) <= (BENT if min(falls) > STILL else STRAIGHT):
        return
    told = [f"{name} from {one[-1 - quarter]:.4g} to {one[-1]:.4g}" for name, one in curves.items()]
    last = places[-1] - places[-1 - quarter]
    text = f"the losses fall even at the end: in the last {last} of {places[-1] + 1} epochs " + ", ".join(told)
    yield Finding("underfitting", text, {f"{name}_straightness": share for name, share in shares.items()})


def never_fell(history: History) -> Iterator[Finding]:
    """Yield that the training loss stayed where it was in the first epoch, and validation's too."""
    if history.epochs < FEWEST_EPOCHS or goes_on(history) or nothing_to_gain(history):
        return
    curves = [one for one in (curve(history, name) for name in ("loss", "val_loss")) if one is not None]
    falls = [(one[0] - min(end(one), one[-1])) / abs(one[0]) if len(one) and one[0] else 0.0 for one in curves]
    if max(falls) < NO_FALL:
        first, last = (float(curves[0][place]) for place in (0, -1))
        text = f"the training loss has not fallen since the first epoch: {first:.4g} there, {last:.4g} at the end"
        yield Finding("underfitting", text, {"first": first, "last": last})


def nothing_to_gain(history: History) -> bool:
    """Return whether the answers are right nearly always, on all parts that were measured."""
    columns = [history.measured(name) for name in ("accuracy", "val_accuracy") if name in history]
    known = [column[-1][1] for column in columns if column]
    return bool(known) and min(known) >= NOTHING_TO_GAIN


def judged_epochs(history: History) -> int:
    """Return how many epochs led to the weights that the network has now: fewer where early stopping went back."""
    restored: Any = history.restored_epoch
    return history.epochs if restored is None else restored - history.first_epoch + 1
