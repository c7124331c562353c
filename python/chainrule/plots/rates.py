"""Learning rates as pictures: the range test, and schedules over the epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from chainrule import checks
from chainrule.schedules import Schedule

from .canvas import (
    BLUE,
    GREEN,
    PURPLE,
    QUIET,
    SKY,
    VERMILION,
    Array,
    legend_beside,
    log_scale,
    named,
    new_axes,
    plain,
    styles,
    vector,
)

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes


def learning_rate_range(
    rates: npt.ArrayLike,
    losses: npt.ArrayLike,
    suggestion: float | Mapping[str, float] | None = None,
    ax: Axes | None = None,
    *,
    unsmoothed: npt.ArrayLike | None = None,
) -> Axes:
    """Draw the loss against a learning rate that was raised step by step (Smith 2017).

    Parameters
    ----------
    rates : array of shape (n,)
        Above 0, ascending, at least two.
    losses : array of shape (n,)
        The loss at each. Where it diverged it may be NaN or infinite; at least one is finite.
    suggestion : float or mapping of str to float, optional
        A rate to mark, or several by name; above 0.
    ax : matplotlib Axes, optional
        Where to draw. By default a new figure is made.
    unsmoothed : array of shape (n,), optional
        Where `losses` are smoothed: what they were before. Drawn as dots, some of which may leave the picture.

    Returns
    -------
    matplotlib Axes
        `ax`, or those of the new figure.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If an argument does not suit.

    Notes
    -----
    The axis of the losses ends a little above the greatest one before the least: what diverges leaves it upwards. Where
    the loss fell and rose again, the rates from the least loss on, the last of equal ones, are shaded.
    """
    tried = vector("rates", rates, least=2)
    if tried[0] <= 0 or (np.diff(tried) <= 0).any():
        raise ValueError(f"rates must be above 0 and ascend; got {checks.shown(rates)}")
    found = vector("losses", losses, length=len(tried), finite=False)
    finite = np.isfinite(found)
    if not finite.any():
        raise ValueError("losses must hold a finite number; all are NaN or infinite")
    marks = _marks(suggestion)
    noisy = None if unsmoothed is None else vector("unsmoothed", unsmoothed, length=len(tried), finite=False)
    ax = new_axes("the range of learning rates", ax, (7.0, 3.4))
    least = len(tried) - 1 - int(np.where(finite, found, np.inf)[::-1].argmin())
    before = found[: least + 1][finite[: least + 1]]
    room = 0.3 * (before.max() - found[least]) or 0.1 * abs(found[least]) or 1.0
    if noisy is not None:
        ax.plot(tried, noisy, ".", color=QUIET, markersize=3, label="loss of a step")
    ax.plot(tried, found, color=BLUE, label="loss" if noisy is None else "smoothed")
    for (name, rate), colour in zip(marks.items(), cycle((GREEN, PURPLE, SKY)), strict=False):
        ax.axvline(rate, color=colour, linewidth=1.2, linestyle="--", zorder=0)
        value = np.interp(np.log(rate), np.log(tried[finite]), found[finite])
        # No loss is known of rates that were not tried.
        place = [value if tried[0] <= rate <= tried[-1] else np.nan]
        ax.plot([rate], place, "o", color=colour, zorder=4, label=f"{name}: {rate:.2g}")
    if 0 < least < len(tried) - 1:
        ax.axvspan(tried[least], tried[-1], color=VERMILION, alpha=0.12, linewidth=0, zorder=0, label="too high")
    plain(ax, "learning rate", "loss")
    ends = [tried[0], tried[-1], *marks.values()]
    ax.set(xlim=(min(ends), max(ends)), ylim=(found[least] - room / 3, before.max() + room))
    log_scale(ax, "x")
    legend_beside(ax)
    return ax


def _marks(suggestion: object) -> dict[str, float]:
    """Return rates to mark, by name."""
    if suggestion is None:
        return {}
    if not isinstance(suggestion, Mapping):
        return {"suggestion": checks.number("suggestion", suggestion, above=0)}
    given = named("suggestion", suggestion, "rates")
    return {name: checks.number(f"suggestion[{name!r}]", rate, above=0) for name, rate in given.items()}


def schedules(
    plans: Mapping[str, Schedule | Callable[[int], float] | float],
    epochs: int,
    *,
    steps_per_epoch: int = 1,
    ax: Axes | None = None,
) -> Axes:
    """Draw learning rates over the epochs, a line a schedule ([002]: decays of the learning rate).

    Parameters
    ----------
    plans : mapping of str to Schedule, callable or float
        What an optimizer takes as `lr`, by name; at least one.
    epochs : int
        How far to draw, at least 1.
    steps_per_epoch : int, default 1
        For schedules that change with each step.
    ax : matplotlib Axes, optional
        Where to draw. By default a new figure is made.

    Returns
    -------
    matplotlib Axes
        `ax`, or those of the new figure.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If an argument does not suit.
    """
    given = named("plans", plans, "schedules, functions or numbers", least=1)
    epochs, steps = checks.whole("epochs", epochs), checks.whole("steps_per_epoch", steps_per_epoch)
    lines = {name: _rates(f"plans[{name!r}]", plan, epochs, steps) for name, plan in given.items()}
    ax = new_axes("schedules", ax, (7.0, 3.4))
    times = np.arange(epochs * steps + 1) / steps
    for (name, rates), style in zip(lines.items(), styles(), strict=False):
        # A rate holds from its step to the next.
        ax.plot(times, np.append(rates, rates[-1]), drawstyle="steps-post", label=name, **style)
    plain(ax, "epoch", "learning rate η")
    ax.set_xlim(0, epochs)
    ax.set_ylim(bottom=0)
    legend_beside(ax)
    return ax


def _rates(argument: str, plan: object, epochs: int, steps: int) -> Array:
    """Return the rate of each step."""
    if isinstance(plan, Schedule):
        return np.array([plan.rate(step, steps_per_epoch=steps) for step in range(epochs * steps)])
    if callable(plan):
        by_epoch = [checks.number(f"{argument}({epoch})", plan(epoch), least=0) for epoch in range(epochs)]
    else:
        by_epoch = [checks.number(argument, plan, above=0)] * epochs
    return np.repeat(np.array(by_epoch), steps)
