"""The matrix product on the GPU beside cuBLAS: square, and the skinny ones of training, in each precision there is.

Factors and result lie on the GPU; what is timed are products in a row between two events, replayed from a graph by both
while another of its kind ends, so that no launch is in the time. The same arrays again and again: what fits into the
cache is read from there, for both. chainrule's result is checked once, as in the group of that name on the CPU.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from chainrule import _engine

from ..harness import OURS, Turn, contest
from ..products import FORMS, Shape, check, title
from ..run import title_of
from ..workloads import Array
from .ledger import Ledger
from .peer import peer_for

# By precision: chainrule's table, and by how much of itself a number of a factor may be off: 0, or half a unit in the
# last of 11 bits, or of 8.
PRECISIONS = {"float32": ("cuda", 0.0), "tf32": ("cuda-tf32", 2.0**-11), "bfloat16": ("cuda-bfloat16", 2.0**-8)}
SQUARE = (512, 1024, 2048, 4096, 8192)
# (batch, inputs, outputs) of layers: W4's and W5's first, wide ones at 8,192 rows, narrow ones at 65,536.
LAYERS = ((64, 784, 128), (128, 784, 512), (8192, 28, 1024), (8192, 1024, 1024), (65536, 64, 64), (65536, 128, 128))
MOST_IN_A_ROW = 200


def shapes(quick: bool) -> list[Shape]:
    """Return what is multiplied: squares and the three products of each layer; what takes longest comes last."""
    square, layers = ((16,), ((40, 5, 3),)) if quick else (SQUARE, LAYERS)
    found = [Shape(size, size, size, "square", "forward") for size in square]
    for batch, inputs, outputs in layers:
        found.append(Shape(batch, inputs, outputs, "skinny", "forward"))
        found.append(Shape(inputs, batch, outputs, "skinny", "weight gradient"))
        found.append(Shape(batch, outputs, inputs, "skinny", "input gradient"))
    return sorted(found, key=lambda shape: shape.operations)


def main(ledger: Ledger) -> None:
    """Measure every shape in every precision."""
    peer = peer_for(ledger)
    tables = {}
    for precision, (isa, _) in PRECISIONS.items():
        try:
            tables[precision] = _engine.float32.Kernels(isa=isa)
        except ValueError:
            ledger.skip(precision, f"products in {precision} are left out: this build has no {isa}")
    for shape in shapes(ledger.options.quick):
        for precision, kernels in tables.items():
            one = Product(shape, precision, kernels)
            ledger.add(one.title, partial(one.measure, peer, ledger), line)


class Product(NamedTuple):
    """A product that is measured."""

    shape: Shape
    precision: str
    kernels: Any

    @property
    def title(self) -> str:
        """Return "512 x 512 x 512 forward, tf32"."""
        return f"{title(self.shape)}, {self.precision}"

    def measure(self, peer: Any, ledger: Ledger) -> dict[str, Any]:
        """Return the contest with `peer`, PyTorch's file or None, and what was multiplied."""
        shape, transposes = self.shape, FORMS[self.shape.form]
        right = self.is_right()
        timed = partial(
            self.kernels.matmul_seconds,
            shape.m,
            shape.n,
            shape.k,
            transpose_a=transposes[0],
            transpose_b=transposes[1],
        )
        rounds = min(MOST_IN_A_ROW, max(1, math.ceil(ledger.turn_seconds / timed())))
        engines = {OURS: lambda: Turn(timed(rounds=rounds) * 1e6, right)}
        if peer is not None:
            theirs = peer.product_seconds((shape.m, shape.k, shape.n), transposes, self.precision, rounds)
            engines["torch"] = lambda: Turn(theirs() * 1e6)
        about = {"title": self.title, **shape._asdict(), "precision": self.precision, "in_a_row": rounds}
        return {**about, **contest(engines, ledger.plan)}

    def is_right(self) -> bool:
        """Return whether chainrule's product of random factors is theirs."""
        transposes = FORMS[self.shape.form]
        a, b = factors(self.shape)
        out = self.kernels.matmul(
            np.ascontiguousarray(a.T) if transposes[0] else a,
            np.ascontiguousarray(b.T) if transposes[1] else b,
            transpose_a=transposes[0],
            transpose_b=transposes[1],
        )
        return check(a, b, PRECISIONS[self.precision][1])(out)


@lru_cache(maxsize=1)  # the precisions of a shape follow one another
def factors(shape: Shape) -> tuple[Array, Array]:
    """Return random a (m, k) and b (k, n)."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((shape.m, shape.k), np.float32), rng.standard_normal((shape.k, shape.n), np.float32)


def line(result: dict[str, Any]) -> str:
    """Return the figures of a contest as a line: TFLOP/s, and how many times as fast as cuBLAS chainrule is."""
    operations = Shape(*(result[key] for key in Shape._fields)).operations
    parts = [f"{result['title']:44}"]
    for name, engine in result["engines"].items():
        wrong = "" if engine["agrees"] else " WRONG"
        parts.append(f"{title_of(name)} {operations / engine['median'] / 1e6:8.2f} TFLOP/s{wrong}")
    if "torch" in result["ratios"]:
        ratio = result["ratios"]["torch"]
        parts.append(f"{ratio['median']:.2f}x {ratio['verdict']}")
    return "  ".join(parts)
