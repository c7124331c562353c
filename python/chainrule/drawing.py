"""What the pictures of experiments share: axes to draw on, colours, and plain frames. Nothing is drawn here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of Okabe and Ito's palette, which colour-blind readers tell apart.
BLUE, VERMILION, GREEN, QUIET = "#0072B2", "#D55E00", "#009E73", "0.45"


def axes(ax: Axes | None, what: str) -> Axes:
    """Return `ax`, or the axes of a new figure if there is none; ImportError where matplotlib is missing.

    `what` begins the message: "curves of errors". pyplot's state is never touched.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f'{what} need matplotlib: pip install "chainrule[plot]"') from error
    if ax is None:
        made: Axes = Figure(figsize=(6.4, 4.0), layout="constrained").add_subplot()
        return made
    return ax


def plain(ax: Axes, across: str, upwards: str) -> None:
    """Name the axes, and take away what carries no information."""
    ax.set(xlabel=across, ylabel=upwards)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="0.9")
    ax.set_axisbelow(True)
