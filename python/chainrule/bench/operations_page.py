"""The table of docs/operations.md: every operation beside NumPy's, and how near it comes to what limits it.

Nothing is measured or judged here; see operations.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .harness import OURS
from .report import Results, machine_line, number, ratio_with_range, table


def section(results: Results) -> str:
    """Return the figures of the page, or a sentence where the operations were not measured."""
    if "operations" not in results:
        return "Not measured yet: `chainrule bench operations`."
    stored = results["operations"]
    rows = [row(one) for one in stored["operations"]]
    head = ["operation", "formula", "on", "NumPy, µs", "chainrule, µs", "times faster", "of the ceiling"]
    return f"{table(head, rows)}\n\n{machine_line({**stored, 'machine': {**stored['machine'], 'threads': 1}})}"


def row(one: Mapping[str, Any]) -> list[str]:
    """Return the cells of an operation; ValueError where the two computed different things."""
    ours, numpy = one["engines"][OURS], one["engines"]["numpy"]
    if not (ours["agrees"] and numpy["agrees"]):
        raise ValueError(f"{one['name']}, {one['formula']}: the results differ, so its figures do not count")
    share = f"{one['least'] / ours['median']:.0%}"
    formula = one["formula"].replace("|", "\\|")
    figures = [number(numpy["median"]), number(ours["median"]), ratio_with_range(one["ratios"]["numpy"]), share]
    return [f"`{one['name']}`", formula, one["shape"], *figures]
