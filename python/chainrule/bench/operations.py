"""Operation by operation: THE LIST against the same operations in NumPy, one thread each, with what limits them.

::

    a product            as fast as multiply-adds that touch no memory     (the register ceiling)
    everything else      as fast as a copy of as many bytes                (the memory ceiling)

NumPy's side is `chainrule.reference`, which says what each operation is: a formula in arrays, not the fastest way to
write it. Both make a new array for the result, and both results must agree. Nothing here is a step of training; what
that takes is the group `training`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule import _engine, reference
from chainrule.engines import engine_of

from .engines import module_of
from .harness import OURS, Turn, close, contest, timed_loop
from .run import Options, Progress, ceiling_of, finish, plan, say, taking_part
from .workloads import Array

TURN_SECONDS = 0.03
# A layer of 512 units, 512 rows at once: 1 MiB an array in float32, which fits no first-level cache. Ten classes: the
# usual last layer.
ROWS, UNITS, CLASSES = 512, 512, 10
MANY = 1 << 20  # numbers of an arena, rows of a data set
# Rounding: operations add in other orders, and exp has some units in the last place.
TOLERANCE = 1e-4
COPY = "copying as many bytes"


class Case(NamedTuple):
    """An operation with its arguments: what it computes, on what, and what it moves at least.

    `bytes` are read or written; `operations` are those of a product, 0 elsewhere. `call` takes the list of operations:
    the module of NumPy's, or the engine's `Kernels`.
    """

    name: str
    formula: str
    shape: str
    bytes: int
    operations: int
    call: Callable[[Any], Any]


def cases(dtype: str) -> list[Case]:
    """Return the operations, with arguments of this precision."""
    rng = np.random.default_rng(0)

    def random(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(dtype)

    size = np.dtype(dtype).itemsize
    x, y, w, b = random(ROWS, UNITS), random(ROWS, UNITS), random(UNITS, UNITS), random(UNITS)
    mean, variance = x.mean(axis=0), x.var(axis=0)
    p, labels = random(MANY // 64, CLASSES), rng.integers(0, CLASSES, MANY // 64).astype(np.int32)
    chosen = rng.permutation(MANY // 64)[:ROWS].astype(np.int32)
    data = random(MANY // 64, 64)
    g, state = random(MANY), np.zeros(MANY, dtype)
    one = x.size * size  # bytes of an array of a layer
    layer, arena, classes = f"{ROWS} x {UNITS}", f"{MANY:,}", f"{len(p):,} x {CLASSES}"
    adam = {"rate": 0.001, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "correction1": 0.1, "correction2": 0.001}
    drop = {"rate": 0.2, "scale": 1.25, "seed": 1, "layer": 0, "step": 0}
    scale = 1 / len(p)
    return [
        Case("matmul", "z = x W + b, h = max(0, z)", f"{layer} x {UNITS}", 3 * one, 2 * ROWS * UNITS * UNITS,
             lambda k: k.matmul(x, w, bias=b, activation="relu")),
        Case("activation_forward", "h = max(0, z)", layer, 2 * one, 0,
             lambda k: k.activation_forward(x, activation="relu")),
        Case("activation_forward", "h = tanh(z)", layer, 2 * one, 0,
             lambda k: k.activation_forward(x, activation="tanh")),
        Case("activation_backward", "dz = dh (1 - h²)", layer, 3 * one, 0,
             lambda k: k.activation_backward(x, y, activation="tanh")),
        Case("softmax_forward", "h_i = exp(z_i) / Σ exp(z_j)", classes, 2 * p.nbytes, 0,
             lambda k: k.softmax_forward(p)),
        Case("cross_entropy", "J = -1/B Σ log softmax(p)_y, and its gradient", classes, 2 * p.nbytes, 0,
             lambda k: k.cross_entropy(p, labels, scale=scale)[1]),
        Case("column_sum", "db = Σ over rows of dz", layer, one, 0, lambda k: k.column_sum(x)),
        Case("column_moments", "μ, σ² of each column", layer, 2 * one, 0, lambda k: k.column_moments(x)[1]),
        Case("normalize_forward", "h = γ (x - μ) / sqrt(σ² + ε) + β", layer, 2 * one, 0,
             lambda k: k.normalize_forward(x, mean, variance, b, b, epsilon=1e-5)),
        Case("dropout", "h = x mask / (1 - rate), the mask drawn", layer, 2 * one, 0, lambda k: k.dropout(x, **drop)),
        Case("add_noise", "h = x + 0.1 N(0, 1), drawn", layer, 2 * one, 0,
             lambda k: k.add_noise(x, deviation=0.1, seed=1, layer=0, step=0)),
        Case("gather_rows", "the rows of a shuffled batch", f"{ROWS} of {len(data):,} x 64", 2 * ROWS * 64 * size, 0,
             lambda k: k.gather_rows(data, chosen)),
        Case("shuffled_order", "the order of an epoch", f"{MANY // 8:,} rows", MANY // 8 * 4, 0,
             lambda k: k.shuffled_order(MANY // 8, 1, 0)),
        Case("update", "w ← w - lr g", arena, 3 * g.nbytes, 0,
             lambda k: k.update(g, g, state, state, state, rule="gradient_descent", rate=0.01)[0]),
        Case("update", "Adam: v, s and w", arena, 7 * g.nbytes, 0,
             lambda k: k.update(g, g, state, state, state, rule="adam", **adam)[0]),
        Case("penalty_sum", "Σ w²", arena, g.nbytes, 0, lambda k: k.penalty_sum(g, term="square")),
    ]  # fmt: skip


def main(options: Options) -> dict[str, Any]:
    """Measure, print and store; return what was stored."""
    kernels = engine_of(np.dtype(options.dtype)).Kernels(threads=1)
    every = cases(options.dtype)
    measured = []
    names, skipped = taking_part("products", options._replace(engines=("numpy",)))
    if not names:
        say(f"operations are left out: {skipped['numpy']}")
        return {}
    numpy = module_of("numpy")
    numpy.set_threads(1)
    try:
        with Progress(len(every)) as show:
            for case in every[:2] if options.quick else every:
                show.begin(f"{case.name}, {case.shape}", (options.rounds + 1) * 2)
                result = measure(case, kernels, options, show)
                measured.append({"name": case.name, "formula": case.formula, "shape": case.shape, **result})
                show.clear()
                say(line(measured[-1]))
    finally:
        numpy.set_threads(_engine.thread_limit())
    whole = {"skipped": {}, "operations": measured}
    finish("operations", options, whole)
    return whole


def agree(result: Any, expected: Array) -> bool:
    """Return whether a result is NumPy's: to rounding, and whole numbers exactly."""
    return close(result, expected, TOLERANCE if expected.dtype.kind == "f" else 0)


def measure(case: Case, kernels: Any, options: Options, show: Progress) -> dict[str, Any]:
    """Return the contest of one operation, with its ceiling: microseconds of a call that only the ceiling limits."""
    expected = np.asarray(case.call(reference))

    def make(of: Any) -> Callable[[], Turn]:
        timed = timed_loop(lambda: case.call(of), TURN_SECONDS / 10 if options.quick else TURN_SECONDS)
        return lambda: Turn(timed(), agree(case.call(of), expected))

    ceilings = plan(options, show, rest=0.0, ceilings=(1,))
    if not case.operations:
        half = np.ones(max(case.bytes // 2, 1), np.uint8)
        copy = half.copy()
        ceilings = ceilings._replace(between={COPY: timed_loop(lambda: np.copyto(copy, half), TURN_SECONDS / 3)})
    result = contest({"numpy": make(reference), OURS: make(kernels)}, ceilings)
    if case.operations:
        result["least"] = case.operations / ceiling_of(result, 1) / 1e3
    else:
        result["least"] = result["between"][COPY]["range"][0]
    return {"bytes": case.bytes, "operations": case.operations, **result}


def line(one: dict[str, Any]) -> str:
    """Return the figures of an operation as a line."""
    ours, numpy = one["engines"][OURS], one["engines"]["numpy"]
    ratio = one["ratios"]["numpy"]
    wrong = "" if ours["agrees"] and numpy["agrees"] else "  RESULTS DIFFER"
    share = f"{one['least'] / ours['median']:.0%} of the ceiling"
    return (
        f"{one['name']:20} {one['formula']:46} {one['shape']:20} NumPy {numpy['median']:10,.1f} µs  chainrule "
        f"{ours['median']:9,.1f} µs  {ratio['median']:6.2f}x {ratio['verdict']}, {share}{wrong}"
    )
