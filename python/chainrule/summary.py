"""The table that `Network.summary()` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .layers import started

if TYPE_CHECKING:
    from .network import Network

# layer, output shape, parameters, statistics, start
Row = tuple[str, str, str, str, str]


def summary(net: Network, batch_size: int) -> str:
    """Return the table of layers, the totals, and the memory of a training step."""
    rows: list[Row] = [("layer", "output shape", "parameters", "statistics", "start")]
    frozen = total = statistics = 0
    for number, (layer, info) in enumerate(zip(started(net.layers), net.core.layers(), strict=True)):
        is_frozen = number in net.frozen
        name = f"{number} {layer.label()}" + (" (frozen)" if is_frozen else "")
        counts = f"{info['parameters']:,}", f"{info['statistics']:,}"
        rows.append((name, f"(B, {info['outputs']})", *counts, layer.start()))
        total += info["parameters"]
        statistics += info["statistics"]
        frozen += info["parameters"] if is_frozen else 0
    if not statistics:
        rows = [(layer, shape, parameters, "", start) for layer, shape, parameters, _, start in rows]
    weights = size(total * net.dtype.itemsize)
    return "\n".join(
        [
            *aligned(rows),
            *([f"{frozen:,} of the parameters are frozen"] if net.frozen else []),
            *([f"{statistics:,} statistics are counted along"] if statistics else []),
            f"{total:,} parameters, {weights} in {net.dtype}, and as much for gradients; {net.inputs} inputs",
            f"a training step of {batch_size} rows needs {size(net.core.step_bytes(batch_size))} more, and the "
            "optimizer's state",
        ]
    )


def aligned(rows: list[Row]) -> list[str]:
    """Return the lines of a table, numbers to the right, empty columns left out, a rule below the head."""
    columns = [column for column in range(len(rows[0])) if any(row[column] for row in rows)]
    widths = {column: max(len(row[column]) for row in rows) for column in columns}
    lines = []
    for row in rows:
        cells = [row[c].rjust(widths[c]) if c in (2, 3) else row[c].ljust(widths[c]) for c in columns]
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
