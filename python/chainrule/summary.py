"""The table of a network's layers that `Network.summary()` prints, and a notebook shows (display.py).

What a training step keeps for the way back is the price of the chain rule: the outputs of all layers, where a
prediction needs two that take turns. It grows with the rows of a batch; parameters and gradients do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .layers import started

if TYPE_CHECKING:
    from .network import Network

# layer, output shape, parameters, statistics, start, kept for the way back
Row = tuple[str, str, str, str, str, str]
NUMBERS = (2, 3)  # columns


def table_of(net: Network, batch_size: int) -> list[Row]:
    """Return the table of layers, its head first; a column that is empty in all rows is to be left out."""
    rows: list[Row] = [("layer", "output shape", "parameters", "statistics", "start", "kept for the way back")]
    kept = net.core.kept_bytes(batch_size)
    for number, (layer, info) in enumerate(zip(started(net.layers), net.core.layers(), strict=True)):
        name = f"{number} {layer.label()}" + (" (frozen)" if number in net.frozen else "")
        counts = f"{info['parameters']:,}", f"{info['statistics']:,}"
        rows.append((name, f"(B, {info['outputs']})", *counts, layer.start(), f"{layer.kept()}: {size(kept[number])}"))
    if not any(info["statistics"] for info in net.core.layers()):
        rows = [(layer, shape, parameters, "", start, kept) for layer, shape, parameters, _, start, kept in rows]
    return rows


def totals(net: Network, batch_size: int) -> list[str]:
    """Return the sentences below the table."""
    infos = net.core.layers()
    total, statistics = (sum(info[what] for info in infos) for what in ("parameters", "statistics"))
    frozen = sum(infos[number]["parameters"] for number in net.frozen)
    kept, step = sum(net.core.kept_bytes(batch_size)), net.core.step_bytes(batch_size)
    return [
        *([f"{frozen:,} of the parameters are frozen"] if net.frozen else []),
        *([f"{statistics:,} statistics are counted along"] if statistics else []),
        f"{total:,} parameters, {size(total * net.dtype.itemsize)} in {net.dtype}, and as much for gradients; "
        f"{net.inputs} inputs",
        f"a training step of {batch_size} rows needs {size(step)} more, {size(kept)} of it kept for the way back, and "
        "the optimizer's state",
    ]


def summary(net: Network, batch_size: int) -> str:
    """Return the table of layers, the totals, and the memory of a training step."""
    return "\n".join([*aligned(table_of(net, batch_size)), *totals(net, batch_size)])


def used(rows: list[Row]) -> list[int]:
    """Return the columns that are not empty."""
    return [column for column in range(len(rows[0])) if any(row[column] for row in rows)]


def aligned(rows: list[Row]) -> list[str]:
    """Return the lines of a table, numbers to the right, empty columns left out, a rule below the head."""
    columns = used(rows)
    widths = {column: max(len(row[column]) for row in rows) for column in columns}
    lines = []
    for row in rows:
        cells = [row[c].rjust(widths[c]) if c in NUMBERS else row[c].ljust(widths[c]) for c in columns]
        lines.append("  ".join(cells).rstrip())
    rule = "-" * max(len(line) for line in lines)
    return [lines[0], rule, *lines[1:], rule]


def size(count: int) -> str:
    """Return a number of bytes as people read it."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
