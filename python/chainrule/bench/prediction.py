"""Prediction of 1, 32 and 4,096 rows with three networks: microseconds a call from Python, arrays ready in memory.

What an engine gives after its timed calls is compared with NumPy's outputs in float64. scikit-learn gives
probabilities only: softmax is part of its time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.reference import Mlp

from .engines import module_of, variant
from .harness import Turn, close, contest, timed_loop
from .run import Options, Progress, finish, made_ready, plan, say, table_lines, taking_part
from .workloads import Array, Query, make_network

NETWORKS = ((64, 32, 10), (784, 128, 10), (784, 512, 512, 10))
ROWS = (1, 32, 4096)
TOLERANCE = 1e-3  # relative to the greatest output: a wrong product is off by far more, rounding by far less
TURN_SECONDS = 0.03


def main(options: Options) -> dict[str, Any]:
    """Measure, print and store; return what was stored."""
    names, skipped = taking_part("prediction", options)
    for why in skipped.values():
        say(why)
    networks = []
    with Progress(len(NETWORKS) * len(ROWS)) as show:
        for widths in NETWORKS:
            by_rows = {}
            for rows in ROWS:
                title = f"{'-'.join(map(str, widths))}, {rows} row{'' if rows == 1 else 's'}"
                result = by_rows[str(rows)] = measure(widths, rows, names, options, show, title=title)
                show.clear()
                say(table_lines(f"{title}: µs a call, and how many times chainrule's", result))
            networks.append({"widths": widths, "rows": by_rows})
    whole = {"skipped": skipped, "networks": networks}
    finish("prediction", options, whole)
    return whole


def measure(
    widths: tuple[int, ...], rows: int, names: list[str], options: Options, show: Progress, *, title: str
) -> dict[str, Any]:
    """Return the contest of one network and number of rows."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, widths[0])).astype(options.dtype)
    parameters = [one.copy() for one in make_network(widths, options.dtype).parameters().values()]
    query = Query(widths, X, parameters, options.dtype)
    expected = _expected(query)
    show.begin(title, (options.rounds + 1) * len(names))
    skipped: dict[str, str] = {}

    def make(name: str) -> Callable[[], Turn]:
        call: Callable[[], Any] = module_of(name).prediction(query, **variant(name))
        call()  # compiles, where something is to be compiled
        timed = timed_loop(call, TURN_SECONDS / 10 if options.quick else TURN_SECONDS)

        def turn() -> Turn:
            figure = timed()
            outputs = np.asarray(call()).astype(np.float64)
            if name == "sklearn" and outputs.shape == expected.shape:
                outputs = _logits_of(outputs, expected)
            return Turn(figure, close(outputs, expected, TOLERANCE))

        return turn

    return {**contest(made_ready(names, skipped, make), plan(options, show)), "skipped": skipped}


def _expected(query: Query) -> Array:
    wide = [one.astype(np.float64) for one in query.parameters]
    logits: Array = Mlp(wide[0::2], wide[1::2], rate=0.0).forward(query.X.astype(np.float64))[-1]
    return np.array(logits)


def _logits_of(probabilities: Array, expected: Array) -> Array:
    """Return what probabilities are the softmax of; the number that each row is shifted by is lost in them."""
    logits = np.log(probabilities)
    shifted: Array = logits + (expected - logits).mean(axis=1, keepdims=True)
    return shifted
