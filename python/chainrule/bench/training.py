"""Training speed on six networks, with SGD and with Adam: microseconds a step, all that a call costs included.

Every turn starts from the same weights and sees the same rows in the same order, so the mean losses of the first epochs
must agree; NumPy's is what they are compared with.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from chainrule import _engine

from .engines import module_of, variant
from .harness import OURS, Turn, contest
from .run import Options, Progress, ceiling_name, finish, made_ready, plan, say, table_lines, taking_part
from .workloads import WORKLOADS, Trainee, Workload, make_setting

BASELINE = "numpy"
LOSS_TOLERANCE = 1e-3  # relative: float32 rounding over an epoch, and no more
MOST_EPOCHS = (
    200  # a turn: beyond, networks have learned all, and gradients too small for normal numbers slow everybody
)


def main(options: Options) -> dict[str, Any]:
    """Measure, print and store; return what was stored."""
    names, skipped = taking_part("training", options)
    contests = [(workload, optimizer) for workload in options.workloads for optimizer in options.optimizers]
    results: dict[str, Any] = {
        name: {
            "widths": WORKLOADS[name].widths,
            "batch_size": WORKLOADS[name].batch_size,
            "operations": WORKLOADS[name].operations,
            "optimizers": {},
        }
        for name in options.workloads
    }
    for why in skipped.values():
        say(why)
    with Progress(len(contests)) as show:
        for workload, optimizer in contests:
            result = measure(WORKLOADS[workload], optimizer, names, options, show, title=f"{workload} {optimizer}")
            results[workload]["optimizers"][optimizer] = result
            show.clear()
            say(lines(f"{workload} {optimizer}", WORKLOADS[workload], result))
    whole = {"skipped": skipped, "workloads": results}
    finish("training", options, whole)
    return whole


def measure(
    workload: Workload, optimizer: str, names: list[str], options: Options, show: Progress, *, title: str
) -> dict[str, Any]:
    """Return the contest of one workload and optimizer; "losses" are those of the first epoch."""
    setting = make_setting(workload, optimizer, options.dtype)
    show.begin(title, (options.rounds + 1) * len(names))
    skipped: dict[str, str] = {}

    def make(name: str) -> Callable[[], Turn]:
        trainee: Trainee = module_of(name).training(setting, **variant(name))
        return turns(trainee, workload, options.turn_seconds)

    baseline = module_of(BASELINE).training(setting)
    baseline.reset()
    expected = baseline.run(1)[0]
    engines = made_ready(names, skipped, make)
    result = contest(engines, plan(options, show), expected=expected, tolerance=LOSS_TOLERANCE)
    return {**result, "loss": expected, "skipped": skipped}


def turns(trainee: Trainee, workload: Workload, seconds: float) -> Callable[[], Turn]:
    """Return the turn of an engine that is warm: it starts anew and trains for some `seconds`, whole epochs."""
    trainee.reset()
    trainee.run(1)  # compiles, where something is to be compiled
    trainee.reset()
    begin = time.perf_counter()
    trainee.run(1)
    epochs = max(1, min(MOST_EPOCHS, math.ceil(seconds / (time.perf_counter() - begin))))

    def turn() -> Turn:
        trainee.reset()
        begin = time.perf_counter()
        losses = trainee.run(epochs)
        elapsed = time.perf_counter() - begin
        return Turn(elapsed / (workload.steps * epochs) * 1e6, losses[0])

    return turn


def lines(title: str, workload: Workload, result: Mapping[str, Any]) -> str:
    """Return the figures of a contest as text: microseconds a step, and how many times faster chainrule was."""
    notes = {}
    if OURS in result["engines"]:
        reached = workload.operations / result["engines"][OURS]["median"] / 1e3
        ceiling = result["between"][ceiling_name(_engine.thread_limit())]["median"]
        notes[OURS] = f"{reached:.1f} GFLOP/s, {reached / ceiling:.0%} of the ceiling"
    widths = "-".join(map(str, workload.widths))
    head = f"{title}: {widths}, batch {workload.batch_size}; µs a step, and how many times chainrule's"
    return table_lines(head, result, notes)
