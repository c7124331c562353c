"""The picture of a climb: a bar for each rung, microseconds a step on a logarithmic axis. Nothing is measured here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chainrule.plots.canvas import BLUE, QUIET, VERMILION, figures, new_axes

from .rungs import RUNGS
from .table import Line, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WHAT = "the pictures of the ladder"
OURS = "trainer"


def check(path: Path) -> None:
    """Raise ImportError where there is no matplotlib, ValueError where the file can be no picture."""
    kinds = figures(WHAT)().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in kinds:
        raise ValueError(f"--picture must end with one of .{', .'.join(sorted(kinds))}; got {path}")
    if not path.parent.is_dir():
        raise ValueError(f"--picture must be a file in a folder that is there; got {path}")


def draw(lines: Sequence[Line]) -> Figure:
    """Return a figure with a bar for each rung, from the top down; the line at its end goes from least to greatest."""
    ax = new_axes(WHAT, None, (7.2, 1.2 + 0.42 * len(lines)))
    places = range(len(lines))
    colours = [VERMILION if line.name == OURS else BLUE for line in lines]
    ax.barh(places, [line.microseconds for line in lines], color=colours, height=0.62)
    for place, line in zip(places, lines, strict=True):
        ax.plot(line.range, (place, place), color="black", linewidth=1)
        times = "" if line.above is None else f"   {shown(line.above)} times as fast as the rung above"
        ax.annotate(
            f"{shown(line.microseconds)} µs{times}",
            (max(line.range), place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    ax.set_yticks(places, [RUNGS[line.name].title for line in lines])
    ax.invert_yaxis()
    ax.set_xscale("log")
    least, most = min(line.range[0] for line in lines), max(line.range[1] for line in lines)
    # Bars of a logarithmic axis have no end of their own on the left; room on the right is for the words.
    ax.set_xlim(least / 2, most * (most / least) ** 0.8 * 4)
    ax.set_xlabel("microseconds of a training step", color=QUIET)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("The same step on every rung", loc="left")
    figure: Figure = ax.figure  # type: ignore[assignment]
    return figure
