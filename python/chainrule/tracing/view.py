"""How a trace looks: as text, as LaTeX, as HTML for a notebook. It shortens large arrays, and computes nothing."""

from __future__ import annotations

import html as escaping
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from . import Line, Trace

    Array = npt.NDArray[Any]

# Rows and columns of an array that are shown at each of its ends, where it has more than twice as many.
ENDS = 4

TITLES = {"forward": "Forward", "loss": "Loss", "backward": "Backward", "update": "Update"}


def groups(trace: Trace) -> Iterator[tuple[str, list[Line]]]:
    """Yield the lines under their titles: "Forward, 0 Dense relu"."""
    title, lines = "", list[Any]()
    for line in trace.lines:
        name = TITLES[line.stage]
        if line.layer is not None:
            name += f", {line.layer} {trace.labels[line.layer]}"
        elif line.stage == "forward":
            name += ", the batch"
        if line.stage == "update":
            name += " (g: the gradient)"
        if name != title and lines:
            yield title, lines
            lines = []
        title = name
        lines.append(line)
    if lines:
        yield title, lines


def number(value: Any, digits: int) -> str:
    """Return one number."""
    # Adding 0 makes -0, which a mask leaves behind, a plain 0.
    return f"{value:d}" if isinstance(value, np.integer) else f"{value + 0:.{digits}g}"


def head(trace: Trace) -> str:
    """Return what stands above all."""
    rows = len(trace["x"])
    update = f", {trace.rule}" if trace.rule else ", no update"
    return f"One step of {rows} {'row' if rows == 1 else 'rows'}{update}: J = {trace.loss:.10g}"


def ends(value: Array) -> Array:
    """Return the numbers of an array that are shown."""
    for axis, size in enumerate(value.shape):
        if size > 2 * ENDS:
            value = np.take(value, [*range(ENDS), *range(size - ENDS, size)], axis)
    return value


def plain(value: Array, digits: int) -> str:
    """Return an array as text, shortened."""
    if value.ndim == 0:
        return number(value[()], digits)
    many = max(value.shape) > 2 * ENDS
    width = max((len(number(one, digits)) for one in ends(value).flat), default=0)
    formatter: Any = {"all": lambda one: number(one, digits).rjust(width)}
    return np.array2string(value, formatter=formatter, threshold=0 if many else value.size, edgeitems=ENDS)


def text(trace: Trace, digits: int) -> str:
    """Return the trace as text."""
    found = [head(trace)]
    for title, lines in groups(trace):
        found += ["", title]
        for line in lines:
            shape = "" if line.value.ndim == 0 else f"   ({', '.join(map(str, line.value.shape))})"
            found.append(f"  {line.equation}{shape}")
            found += [f"      {row}" for row in plain(line.value, digits).splitlines()]
    return "\n".join(found)


def matrix(value: Array, digits: int) -> str:
    """Return an array as a matrix of LaTeX, shortened."""
    if value.ndim == 0:
        return number(value[()], digits)

    def shortened(items: list[str], dots: str) -> list[str]:
        return items if len(items) <= 2 * ENDS else [*items[:ENDS], dots, *items[-ENDS:]]

    table = np.atleast_2d(value)
    columns = min(table.shape[1], 2 * ENDS + 1)
    chosen = [*range(ENDS), *range(len(table) - ENDS, len(table))] if len(table) > 2 * ENDS else range(len(table))
    rows = [" & ".join(shortened([number(one, digits) for one in table[i]], r"\cdots")) for i in chosen]
    if len(table) > 2 * ENDS:
        rows.insert(ENDS, " & ".join([r"\vdots"] * columns))
    return r"\begin{bmatrix} " + r" \\ ".join(rows) + r" \end{bmatrix}"


def latex(trace: Trace, digits: int) -> str:
    """Return the trace as LaTeX."""
    found = [r"\begin{align*}"]
    for title, lines in groups(trace):
        found.append(rf"&\textbf{{{title.replace('_', ' ')}}} \\")
        found += [rf"&{line.latex} && {matrix(line.value, digits)} \\" for line in lines]
    return "\n".join([*found, r"\end{align*}"])


def html(trace: Trace, digits: int) -> str:
    """Return the trace as HTML; equations stand as LaTeX between dollars, which notebooks set."""
    found = [f"<div><p>{escaping.escape(head(trace))}</p>"]
    for title, lines in groups(trace):
        found.append(f"<details open><summary><b>{escaping.escape(title)}</b></summary><table>")
        for line in lines:
            shape = escaping.escape(str(line.value.shape)) if line.value.ndim else ""
            found.append(
                f"<tr><td style='text-align:left'>${escaping.escape(line.latex)}$</td><td>{shape}</td>"
                f"<td style='text-align:left'><pre>{escaping.escape(plain(line.value, digits))}</pre></td></tr>"
            )
        found.append("</table></details>")
    return "".join([*found, "</div>"])
