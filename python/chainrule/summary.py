"""The table that `Network.summary()` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .network import Network

Row = tuple[str, str, str, str]


def summary(net: Network, batch_size: int) -> str:
    """Return the table of layers, the totals, and the memory of a training step."""
    rows: list[Row] = [("layer", "output shape", "parameters", "start")]
    total = 0
    for number, (layer, info) in enumerate(zip(net.layers, net.core.layers(), strict=True)):
        function = layer.activation_function()
        name = f"{number} {type(layer).__name__}" + (f" {function.word}" if function else "")
        rows.append((name, f"(B, {info['outputs']})", f"{info['parameters']:,}", layer.start()))
        total += info["parameters"]
    step = net.core.step_bytes(batch_size)
    weights = total * net.dtype.itemsize
    return "\n".join(
        [
            *aligned(rows),
            f"{total:,} parameters, {size(weights)} in {net.dtype}, and as much for gradients; {net.inputs} inputs",
            f"a training step of {batch_size} rows needs {size(step)} more, and the optimizer's state",
        ]
    )


def aligned(rows: list[Row]) -> list[str]:
    """Return the lines of a table, numbers to the right, a rule below the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for layer, shape, parameters, start in rows:
        cells = (layer.ljust(widths[0]), shape.ljust(widths[1]), parameters.rjust(widths[2]), start.ljust(widths[3]))
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
