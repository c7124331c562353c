"""The matrix product over square and skinny shapes, in the three forms of training: the kernel alone, from Python.

::

    forward            a (m, k) b (k, n)       skinny: rows x of a batch times weights
    weight gradient    a^T b                   x^T dz
    input gradient     a b^T                   dz W^T

Every engine writes into an array that is there. A product of single numbers shows what a call alone costs. After every
timed loop all rows of its array are checked::

    |out V - a (b V)| <= (8 g + g') |a_i| |b|        V (n, 8) of random signs, |a_i| the norm of a row, |b| Frobenius'

A right product differs from a b by e with |e_ij| <= g |a_i| |b_j|, g = k u / (1 - k u) (N. Higham, Accuracy and
Stability of Numerical Algorithms, 2002, section 3.5), so that a row of e has at most the norm g |a_i| |b|. The signs
know nothing of e: that e_i V exceeds 8 times this norm has a chance below 3e-14 (Hoeffding). g' = sqrt(n) (2 n + k) u'
is the error of the check itself, in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule import _engine

from .engines import ENGINES, module_of
from .harness import OURS, Turn, contest, timed_loop
from .run import Options, Progress, ceiling_of, finish, made_ready, plan, say, taking_part
from .workloads import Array, Factors

SQUARE = (64, 128, 256, 512, 1024, 2048)
BATCHES = (1, 8, 32, 64, 128, 256, 512)
WIDTHS = (512, 1024)
FORMS = {"forward": (False, False), "weight gradient": (True, False), "input gradient": (False, True)}
TURN_SECONDS = 0.03
# Between turns on one thread, which leave no thread that spins; on several, BLAS's go on for a tenth of a second.
REST_SECONDS = 0.05
SIGNS = 8  # columns of V: a row that is wrong may be right by chance in some of them, but not in all


class Shape(NamedTuple):
    """A product (m, k) (k, n), and the square or the batch and width that it comes from."""

    m: int
    k: int
    n: int
    kind: str
    form: str

    @property
    def operations(self) -> int:
        """Floating-point operations."""
        return 2 * self.m * self.k * self.n


def shapes(square: tuple[int, ...], batches: tuple[int, ...], widths: tuple[int, ...]) -> list[Shape]:
    """Return all shapes: of a batch B through a width w, the forms are (B, w, w), (w, B, w) and (B, w, w)."""
    found = [Shape(size, size, size, "square", form) for size in square for form in FORMS]
    for width in widths:
        for batch in batches:
            for form in FORMS:
                m, k = (width, batch) if form == "weight gradient" else (batch, width)
                found.append(Shape(m, k, width, "skinny", form))
    return found


def main(options: Options) -> dict[str, Any]:
    """Measure, print and store; return what was stored."""
    names, skipped = taking_part("products", options)
    for why in skipped.values():
        say(why)
    failed: dict[str, str] = {}
    counts = sorted({1, _engine.thread_limit()})  # before PyTorch is told to use 1, and tells OpenMP
    names = list(made_ready(names, failed, lambda name: module_of(name).set_threads(1)))
    for why in failed.values():
        say(why)
    skipped |= failed
    if skipped and set(names) <= {OURS}:
        say("products are left out: nobody is there to compare with")
        return {}
    every = shapes(SQUARE, BATCHES, WIDTHS) if not options.quick else shapes((64,), (8,), (512,))
    every.insert(0, Shape(1, 1, 1, "call", "forward"))
    products = []
    try:
        with Progress(len(every) * len(counts)) as show:
            for threads in counts:
                for name in names:
                    module_of(name).set_threads(threads)
                for shape in every:
                    result = measure(shape, threads, names, options, show)
                    products.append({**shape._asdict(), "threads": threads, **result})
                    show.clear()
                    say(line(shape, threads, result))
    finally:
        for name in names:
            module_of(name).set_threads(counts[-1])
    whole = {"skipped": skipped, "products": products}
    finish("products", options, whole)
    return whole


def measure(shape: Shape, threads: int, names: list[str], options: Options, show: Progress) -> dict[str, Any]:
    """Return the contest of one shape."""
    rng = np.random.default_rng(0)
    transposes = FORMS[shape.form]
    a = rng.standard_normal((shape.m, shape.k)).astype(options.dtype)
    b = rng.standard_normal((shape.k, shape.n)).astype(options.dtype)
    right = check(a, b)
    a_stored, b_stored = (
        np.ascontiguousarray(one.T if turned else one) for one, turned in zip((a, b), transposes, strict=True)
    )
    skipped: dict[str, str] = {}
    show.begin(f"{title(shape)}, {_threads(threads)}", (options.rounds + 1) * len(names))

    def make(name: str) -> Callable[[], Turn]:
        out = np.zeros((shape.m, shape.n), options.dtype)
        factors = Factors(a_stored, b_stored, out, transposes, threads)
        call: Callable[[], object] = module_of(name).product(factors)
        timed = timed_loop(call, TURN_SECONDS / 10 if options.quick else TURN_SECONDS)

        def turn() -> Turn:
            out.fill(np.nan)
            call()  # wakes its threads
            figure = timed()
            return Turn(figure, right(out))

        return turn

    how = plan(options, show, rest=REST_SECONDS if threads == 1 else None, ceilings=(threads,))
    return {**contest(made_ready(names, skipped, make), how), "skipped": skipped}


def check(a: Array, b: Array, rounding: float = 0.0) -> Callable[[Array], bool]:
    """Return what says of an array (m, n) whether it is a b, see above; NaN is wrong.

    Factors whose numbers are rounded before they are multiplied, each by at most `rounding` of itself, make g larger:
    (1 + g) (1 + rounding)^2 - 1.
    """
    (_, k), (_, n) = a.shape, b.shape
    unit = float(np.finfo(a.dtype).eps) / 2
    g = (1 + k * unit / (1 - k * unit)) * (1 + rounding) ** 2 - 1
    bound = 8 * g + np.sqrt(n) * (2 * n + k) * np.finfo(np.float64).eps / 2
    a_wide, b_wide = a.astype(np.float64), b.astype(np.float64)
    signs = np.random.default_rng(1).choice([-1.0, 1.0], (n, SIGNS))
    expected = a_wide @ (b_wide @ signs)
    most = bound * np.linalg.norm(a_wide, axis=1, keepdims=True) * np.linalg.norm(b_wide)
    return lambda out: bool((abs(out @ signs - expected) <= most).all())


def title(shape: Shape) -> str:
    """Return "32 x 512 x 512 forward"."""
    return f"{shape.m} x {shape.k} x {shape.n} {shape.form}"


def _threads(threads: int) -> str:
    return f"{threads} thread{'' if threads == 1 else 's'}"


def line(shape: Shape, threads: int, result: dict[str, Any]) -> str:
    """Return the figures of a contest as a line: GFLOP/s, the share of the ceiling, the ratio to the better peer."""
    parts = [f"{title(shape):32} {_threads(threads)}:"]
    for name, engine in result["engines"].items():
        reached = shape.operations / engine["median"] / 1e3
        figure = f"{engine['median']:.2f} µs" if shape.kind == "call" else f"{reached:.1f} GFLOP/s"
        parts.append(f"{ENGINES[name].title} {figure}{'' if engine['agrees'] else ' WRONG'}")
    ours, best = result["engines"].get(OURS), result["best_peer"]
    if ours and shape.kind != "call":
        ceiling = ceiling_of(result, threads)
        parts.append(f"({shape.operations / ours['median'] / 1e3 / ceiling:.0%} of the ceiling)")
    if ours and best:
        ratio = result["ratios"][best]
        parts.append(f"{ratio['median']:.2f}x {ENGINES[best].title} {ratio['verdict']}")
    return "  ".join(parts)
