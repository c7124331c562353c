"""What all pictures share: new figures, colours, checks of what is drawn. No picture is drawn here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chainrule import checks, data

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

Array = npt.NDArray[np.float64]
Panels = npt.NDArray[np.object_]

# Okabe and Ito's colours, which colour-blind readers tell apart; those that show on white.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, "black")
QUIET = "0.45"
# A second round of the colours is dashed, a third dotted.
DASHES = ("-", "--", ":")
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
# In inches, of a single panel: text of 10 points is then 1/25 of its height, as on a slide. The dots suit a projector.
SIZE, DPI = (5.6, 3.4), 200


def new_axes(what: str, ax: Axes | None, size: tuple[float, float] = SIZE) -> Axes:
    """Return `ax`, or the axes of a new figure.

    Raises
    ------
    ImportError
        If matplotlib is missing; `what` says what needs it.
    TypeError
        If `ax` is no Axes.
    """
    figure = figures(what)
    if ax is None:
        made: Axes = figure(figsize=size, dpi=DPI, layout="constrained").add_subplot()
        return made
    from matplotlib.axes import Axes as Known

    if not isinstance(ax, Known):
        raise TypeError(f"ax must be an Axes of matplotlib; got {checks.shown(ax)}")
    return ax


def new_panels(
    what: str,
    columns: int,
    figure: FigureBase | None = None,
    *,
    rows: int = 1,
    size: tuple[float, float] = SIZE,
    **options: Any,
) -> Panels:
    """Return (rows, columns) axes in `figure`, or in a new one with panels of a size; options as of `subplots`."""
    known = figures(what)
    if figure is None:
        figure = known(figsize=(size[0] * columns, size[1] * rows), dpi=DPI, layout="constrained")
    from matplotlib.figure import FigureBase as Known

    if not isinstance(figure, Known):
        raise TypeError(f"figure must be a Figure or SubFigure of matplotlib; got {checks.shown(figure)}")
    made: Panels = figure.subplots(rows, columns, squeeze=False, **options)
    return made


def figures(what: str) -> Any:
    """Return matplotlib's class of figures; ImportError that names the extra where there is none."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f'{what} need matplotlib: pip install "chainrule[plot]"') from error
    return Figure


# How things look -----------------------------------------------------------------------------------------------------


def styles() -> Iterator[dict[str, Any]]:
    """Return line styles without end: each colour, then each again with other dashes."""
    return cycle([{"color": colour, "linestyle": dash} for dash in DASHES for colour in COLOURS])


def plain(ax: Axes, across: str, upwards: str) -> None:
    """Name the axes, and take away what carries no information."""
    ax.set(xlabel=across, ylabel=upwards)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="0.9")
    ax.set_axisbelow(True)


def whole_numbers_across(ax: Axes) -> None:
    """Put ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def log_scale(ax: Axes, axis: str) -> None:
    """Make an axis ("x" or "y") logarithmic, with plain numbers at its ticks where it spans few decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set(**{f"{axis}scale": "log"})
    low, high = getattr(ax, f"get_{axis}lim")()
    if high < 1e3 * low:
        shown = ax.xaxis if axis == "x" else ax.yaxis
        shown.set_major_locator(LogLocator(subs=(1, 2, 5)))
        shown.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        shown.set_minor_formatter(NullFormatter())


def legend(ax: Axes, **options: Any) -> None:
    """Put the names where they hide least, on white: no line runs through them."""
    ax.legend(facecolor="white", edgecolor="none", framealpha=0.9, **options)


def legend_beside(ax: Axes) -> None:
    """Put the names to the right of the axes, where they hide no line, if the figure makes room for them there."""
    if ax.figure.get_layout_engine() is None:
        legend(ax)  # beside, they would be cut off, or lie on the next axes
        return
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


# Checks --------------------------------------------------------------------------------------------------------------


def vector(argument: str, value: object, *, least: int = 1, length: int | None = None, finite: bool = True) -> Array:
    """Return `value` as numbers (n,), at least so many, or exactly."""
    array = numbers(argument, value, finite)
    wanted = f"({length},)" if length is not None else f"(n,) with n at least {least}"
    if array.ndim != 1 or len(array) < least or (length is not None and len(array) != length):
        raise ValueError(f"{argument} must have shape {wanted}; got {array.shape}")
    return array


def columns(argument: str, value: object, count: int | None = None, *, finite: bool = True) -> Array:
    """Return `value` as numbers (rows, count), any number of columns if None; at least one of each."""
    array = numbers(argument, value, finite)
    wanted = f"(rows, {'columns' if count is None else count})"
    if array.ndim != 2 or 0 in array.shape or (count is not None and array.shape[1] != count):
        raise ValueError(f"{argument} must have shape {wanted}; got {array.shape}")
    return array


def numbers(argument: str, value: object, finite: bool) -> Array:
    """Return `value` as real numbers of double precision."""
    array: Array = data.real(argument, value).astype(np.float64)
    if finite and not data.all_finite(array):
        raise ValueError(f"{argument} must hold finite numbers; it has NaN or infinity")
    return array


def named(argument: str, value: object, values: str, *, least: int = 0) -> dict[str, Any]:
    """Return a mapping from names to something, at least so many."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise TypeError(f"{argument} must be a mapping from names to {values}; got {checks.shown(value)}")
    if len(value) < least:
        raise ValueError(f"{argument} must hold at least {least} of {values}; got {checks.shown(value)}")
    return dict(value)


def text(argument: str, value: object) -> str:
    """Return `value` if it is a string."""
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a string; got {checks.shown(value)}")
    return value
