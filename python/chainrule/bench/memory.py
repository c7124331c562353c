"""Peak memory of a process that imports, and of one that trains a few steps: MB resident, nothing taken off.

Every figure is that of a process of its own: what Linux calls the high-water mark. Those that train all hold NumPy, the
same data and start, and chainrule's package, which gives the order of the rows. JAX tries no second way to gather rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import child
from .engines import module_of, variant
from .harness import FEWEST_ROUNDS, best_peer, ratios, summary
from .imports import STATEMENTS
from .run import Options, Progress, finish, made_ready, say, table_lines, taking_part
from .workloads import WORKLOADS, Array, Workload, make_setting

TRAINED = ("W4", "W6")
STEPS = 4
ROUNDS = FEWEST_ROUNDS  # however many were asked for: memory varies far less than time

# VmHWM and not what getrusage says: that is never less than what the parent held when it started the process.
PEAK = """
with open("/proc/self/status") as status:
    peak = next(line for line in status if line.startswith("VmHWM")).split()[1]
"""
TRAINING = "from chainrule.bench.memory import train; train({name!r}, {workload!r}, {dtype!r})"


def main(options: Options) -> dict[str, Any]:
    """Measure, print and store; return what was stored."""
    names, skipped = taking_part("memory", options)
    for why in skipped.values():
        say(why)
    codes = {"import": {name: STATEMENTS[name] for name in names if name in STATEMENTS}}
    for workload in TRAINED:
        if workload in options.workloads:
            codes[workload] = {
                name: TRAINING.format(name=name, workload=workload, dtype=options.dtype) for name in names
            }
    results = {}
    with Progress(len(codes)) as show:
        for title, by_engine in codes.items():
            show.begin(title, ROUNDS * len(by_engine))
            results[title] = measure({name: _peaks(code) for name, code in by_engine.items()}, show)
            show.clear()
            say(table_lines(f"{title}: MB, and how many times chainrule's", results[title]))
    whole = {"skipped": skipped, "steps": STEPS, "memory": results}
    finish("memory", options._replace(rounds=ROUNDS), whole)
    return whole


def measure(peaks: dict[str, Callable[[], float]], show: Progress) -> dict[str, Any]:
    """Return for each engine its peaks, and the ratios to chainrule's."""
    skipped: dict[str, str] = {}

    def measured(name: str) -> list[float]:
        found = []
        for _ in range(ROUNDS):
            found.append(peaks[name]())
            show.tick()
        return found

    figures = made_ready(list(peaks), skipped, measured)
    summed = {name: {**summary(values), "agrees": True} for name, values in figures.items()}
    return {
        "engines": summed,
        "ratios": ratios(figures),
        "best_peer": best_peer(summed),
        "between": {},
        "skipped": skipped,
    }


def _peaks(code: str) -> Callable[[], float]:
    return lambda: peak(code)


def peak(code: str) -> float:
    """Return the peak memory, MB, of a new interpreter that runs this code."""
    return child.figure(code + "\n" + PEAK, "peak") * 1024 / 1e6


def train(name: str, workload: str, dtype: str) -> None:
    """Train a few steps with an engine, from the beginning to the end of a process."""
    short = WORKLOADS[workload]._replace(steps=STEPS)
    chosen = {"both_ways": False} if name == "jax" else variant(name)
    trainee = module_of(name).training(make_setting(short, "sgd", dtype, start=_start(short, dtype)), **chosen)
    trainee.reset()
    trainee.run(1)


def _start(workload: Workload, dtype: str) -> list[Array]:
    """Return a start that no network of chainrule had to be made for: He's normal distribution, and zeros."""
    rng, start = np.random.default_rng(0), []
    for inputs, outputs in zip(workload.widths[:-1], workload.widths[1:], strict=True):
        weight = rng.standard_normal((inputs, outputs), np.float32) * np.float32(np.sqrt(2 / inputs))
        start += [weight.astype(dtype, copy=False), np.zeros(outputs, dtype)]
    return start
