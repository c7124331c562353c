"""What notebooks show of networks and histories: HTML without scripts or matplotlib. For traces see tracing/view.py."""

from __future__ import annotations

import html as escaping
import math
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .history import History
    from .network import Network

# Rows of the batch of which a network's table tells the memory: the default of `Network.summary`.
BATCH_SIZE = 32
# Of a drawing, in pixels; and the colours of the two parts, which the colour-blind can tell apart.
WIDTH, HEIGHT = 360, 120
COLOURS = {"loss": "#0072b2", "val_loss": "#d55e00"}


def table(rows: Sequence[Sequence[str]], right: Collection[int]) -> str:
    """Return a table whose first row is its head; the columns `right` are of numbers."""

    def cells(row: Sequence[str], tag: str) -> str:
        sides = ("right" if column in right else "left" for column in range(len(row)))
        return "".join(
            f'<{tag} style="text-align:{side}">{escaping.escape(cell)}</{tag}>'
            for side, cell in zip(sides, row, strict=True)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows[1:])
    return f"<table><thead><tr>{cells(rows[0], 'th')}</tr></thead><tbody>{body}</tbody></table>"


def of_network(net: Network) -> str:
    """Return the table of layers, and what they need."""
    from .summary import NUMBERS, table_of, totals, used

    rows = table_of(net, BATCH_SIZE)
    columns = used(rows)
    shown = [[row[column] for column in columns] for row in rows]
    right = {place for place, column in enumerate(columns) if column in NUMBERS}
    below = "".join(f"<p>{escaping.escape(line)}</p>" for line in totals(net, BATCH_SIZE))
    return f"<div>{table(shown, right)}{below}</div>"


def of_history(history: History) -> str:
    """Return the figures of the first, the best and the last epoch, the course of the loss, and why the run ended."""
    if not history.epochs:
        return "<div><p>no epoch is finished</p></div>"
    first, last = history.first_epoch, history.first_epoch + history.epochs - 1
    chosen = {f"epoch {first}": first}
    if history.best_epoch is not None and first <= history.best_epoch <= last:
        chosen[f"best, epoch {history.best_epoch}"] = history.best_epoch
    chosen[f"last, epoch {last}"] = last
    rows = [["", *chosen]]
    rows += [[name, *(f"{history[name][epoch - first]:.4g}" for epoch in chosen.values())] for name in history]
    reason = "running" if history.stop_reason is None else history.stop_reason
    return (
        f"<div>{table(rows, range(1, len(rows[0])))}{curves(history)}"
        f"<p>{history.epochs} epochs; stopped: {escaping.escape(reason)}</p></div>"
    )


def curves(history: History) -> str:
    """Return a drawing of the losses over the epochs; nothing where fewer than two points can be drawn."""
    courses = {
        name: [(epoch, value) for epoch, value in history.measured(name) if math.isfinite(value)]
        for name in COLOURS
        if name in history
    }
    values = [value for course in courses.values() for _, value in course]
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    first, last = history.first_epoch, history.first_epoch + history.epochs - 1

    def points(course: list[tuple[int, float]]) -> Iterator[str]:
        for epoch, value in course:
            x = WIDTH * (epoch - first) / max(last - first, 1)
            y = HEIGHT * (high - value) / (high - low) if high > low else HEIGHT / 2
            yield f"{x:.1f},{y:.1f}"

    lines = "".join(
        f'<polyline fill="none" stroke="{COLOURS[name]}" stroke-width="1.5" points="{" ".join(points(course))}"/>'
        for name, course in courses.items()
    )
    names = ", ".join(f'<span style="color:{COLOURS[name]}">{name}</span>' for name in courses)
    view = f"-2 -2 {WIDTH + 4} {HEIGHT + 4}"
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="{view}" role="img" aria-label="losses by epoch">{lines}</svg>'
        f"<p>{names}: {low:.4g} to {high:.4g}</p>"
    )
