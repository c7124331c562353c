"""The picture of the README: how many times faster chainrule trains, a bar for each peer, as SVG text.

Made of the stored results alone and always the same for the same results, so that a test can compare it. The scale is
logarithmic: twice as fast is as far from 1 as half as fast. The background is white, for dark pages too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from .engines import ENGINES
from .report import PEERS, times

COLOURS = {
    "jax": "#7c3aed",
    "torch": "#dc5a2a",
    "torch-compiled": "#f0a35e",
    "numba": "#0f9d8a",
    "sklearn": "#2b7fd4",
    "numpy": "#64748b",
}
# Pixels. Names stand right-aligned before NAMES_END, bars between LEFT and RIGHT, figures after their bars.
WIDTH, NAMES_END, LEFT, RIGHT = 860, 300, 310, 770
TOP, BAR, ROW, GAP, BOTTOM = 62, 12, 17, 14, 40
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def draw(stored: Mapping[str, Any], optimizer: str = "sgd") -> str:
    """Return the picture of stored training results."""
    shown = []
    for workload in stored["workloads"].values():
        contest = workload["optimizers"].get(optimizer)
        if contest is not None:
            counted = [peer for peer in PEERS if peer in contest["ratios"] and contest["engines"][peer]["agrees"]]
            shown.append((workload, contest, counted))
    ends = [end for _, contest, peers in shown for peer in peers for end in contest["ratios"][peer]["range"]]
    scale = Scale(min(ends, default=1.0), max(ends, default=2.0))
    height = TOP + sum(len(peers) * ROW + GAP for *_, peers in shown) + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="Helvetica, Arial, sans-serif">',
        "<title>How many times faster chainrule trains</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        text(20, 26, "How many times faster chainrule trains, one step of SGD", size=17, bold=True),
        text(20, 45, _subtitle(stored), size=12, colour="#4b5563"),
        *_grid(scale, height),
    ]
    y = TOP + GAP / 2
    for workload, contest, peers in shown:
        parts.append(text(20, y + BAR - 1, "-".join(map(str, workload["widths"])), size=13, bold=True))
        if len(peers) > 1:  # else there is no room below
            parts.append(text(20, y + ROW + BAR, f"batch {workload['batch_size']}", size=12, colour="#4b5563"))
        for peer in peers:
            parts += _bar(y, peer, contest["ratios"][peer], scale)
            y += ROW
        y += GAP
    return "\n".join([*parts, "</svg>"]) + "\n"


class Scale:
    """Where a ratio lies: logarithmic, from a little below the least to a little above the greatest, 1 included."""

    def __init__(self, least: float, most: float) -> None:
        self.least, self.most = min(least / 1.1, 0.8), max(most * 1.1, 2.0)

    def __call__(self, ratio: float) -> float:
        """Return the x of a ratio."""
        return LEFT + (RIGHT - LEFT) * math.log(ratio / self.least) / math.log(self.most / self.least)


def _subtitle(stored: Mapping[str, Any]) -> str:
    machine, settings = stored["machine"], stored["settings"]
    threads = f"{machine['threads']} thread{'' if machine['threads'] == 1 else 's'}"
    return (
        f"{machine['processor']}, {threads}, {machine['instruction_set']}, {settings['dtype']}; "
        f"medians of {settings['rounds']} rounds, line: least to greatest"
    )


def _grid(scale: Scale, height: float) -> list[str]:
    parts = []
    for tick in TICKS:
        if scale.least <= tick <= scale.most:
            x, one = scale(tick), tick == 1
            colour, width = ("#111827", 1.5) if one else ("#e5e7eb", 1)
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - BOTTOM + 4}" stroke="{colour}" '
                f'stroke-width="{width}"/>'
            )
            parts.append(text(x, height - BOTTOM + 20, f"{tick:g}×", size=12, anchor="middle", colour="#4b5563"))
    parts.append(text(scale(1), height - 6, "as fast as chainrule", size=11, anchor="middle", colour="#4b5563"))
    return parts


def _bar(y: float, peer: str, ratio: Mapping[str, Any], scale: Scale) -> list[str]:
    begin, end = sorted((scale(1), scale(ratio["median"])))
    low, high = (scale(value) for value in ratio["range"])
    equal = ratio["verdict"] == "equal"
    middle = y + BAR / 2
    figure = "equal" if equal else f"{times(ratio['median'])}×"
    return [
        text(NAMES_END, y + BAR - 2, ENGINES[peer].title, size=12, anchor="end", colour="#374151"),
        f'<rect x="{begin:.1f}" y="{y:.1f}" width="{end - begin:.1f}" height="{BAR}" fill="{COLOURS[peer]}" '
        f'fill-opacity="{0.35 if equal else 0.9}"/>',
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle:.1f}" y2="{middle:.1f}" stroke="#111827"/>',
        text(max(end, high) + 6, y + BAR - 2, figure, size=12, bold=True),
    ]


def text(
    x: float, y: float, words: str, *, size: int, bold: bool = False, anchor: str = "start", colour: str = "#111827"
) -> str:
    """Return a piece of text."""
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{weight}>'
        f"{escape(words)}</text>"
    )
