"""The table of a climb: what a contest measured, rung by rung, as lines, and as text. Nothing is measured here."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .rungs import RUNGS


class Line(NamedTuple):
    """What the table has of a rung: microseconds a step, and how many times less than the rung above and the first."""

    name: str
    microseconds: float
    range: tuple[float, float]
    above: float | None
    first: float | None


def lines_of(summed: Mapping[str, Mapping[str, Any]]) -> list[Line]:
    """Return the lines of the table from the sums of a contest: rounds by name, in the order of the rungs."""
    lines: list[Line] = []
    names = list(summed)
    for number, name in enumerate(names):
        one = summed[name]
        above = _times(summed[names[number - 1]]["rounds"], one["rounds"]) if number > 0 else None
        first = _times(summed["python"]["rounds"], one["rounds"]) if "python" in summed else None
        lines.append(Line(name, one["median"], tuple(one["range"]), above, first))
    return lines


def _times(theirs: Sequence[float], ours: Sequence[float]) -> float:
    return statistics.median(their / our for their, our in zip(theirs, ours, strict=True))


def shown(value: float) -> str:
    """Return a number with three digits, or all of its whole ones."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(lines: Sequence[Line]) -> str:
    """Return the table as text, and below it what each rung buys, and why."""
    head = f"{'':<50}{'times as fast as':>22}\n"
    head += f"{'rung':<16}{'µs a step':>12}{'least to greatest':>24}{'the rung above':>16}{'pure Python':>13}"
    text = [head]
    for line in lines:
        low, high = line.range
        above, first = ("" if one is None else shown(one) for one in (line.above, line.first))
        spread = f"{shown(low)} to {shown(high)}"
        text.append(f"{RUNGS[line.name].title:<16}{shown(line.microseconds):>12}{spread:>24}{above:>16}{first:>13}")
    text.append("\nWhat each rung buys, and why:")
    for line in lines:
        words = f"{RUNGS[line.name].title}: {RUNGS[line.name].buys}"
        text += ["", *textwrap.wrap(words, 100, subsequent_indent="  ")]
    return "\n".join(text)
