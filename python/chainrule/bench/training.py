"""Training speed on six networks, with SGD and with Adam: microseconds a step, all that a call costs included.

Every turn starts from the same weights and sees the same rows in the same order, so the mean losses of its epochs must
agree with NumPy's: the first one closely, the last one loosely.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule import _engine

from .engines import module_of, variant
from .harness import OURS, Turn, close, contest
from .run import Options, Progress, ceiling_of, finish, made_ready, plan, say, table_lines, taking_part
from .workloads import WORKLOADS, Trainee, Workload, make_setting

BASELINE = "numpy"
LOSS_TOLERANCE = 1e-3  # relative: float32 rounding over an epoch, and no more
# Of the first epoch's loss. Over thousands of steps rounding leads networks apart, though to nearly the same loss; who
# stopped learning, or learns at another rate, is off by far more.
LAST_LOSS_TOLERANCE = 0.05
# A turn. Beyond, networks have learned all, and gradients too small for normal numbers slow everybody.
MOST_EPOCHS = 200


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
    """Return the contest of one workload and optimizer; "loss" is the first epoch's, "epochs" are those of a turn."""
    setting = make_setting(workload, optimizer, options.dtype)
    show.begin(title, (options.rounds + 1) * len(names))
    skipped: dict[str, str] = {}

    def make(name: str) -> tuple[Trainee, int]:
        trainee: Trainee = module_of(name).training(setting, **variant(name))
        return trainee, epochs_within(trainee, options.turn_seconds)

    ready: dict[str, tuple[Trainee, int]] = made_ready(names, skipped, make)
    epochs = {name: count for name, (_, count) in ready.items()}
    baseline = module_of(BASELINE).training(setting)
    baseline.reset()
    expected = baseline.run(max(epochs.values(), default=1))
    engines = {name: turns(trainee, workload, expected[:count]) for name, (trainee, count) in ready.items()}
    return {**contest(engines, plan(options, show)), "loss": expected[0], "epochs": epochs, "skipped": skipped}


def epochs_within(trainee: Trainee, seconds: float) -> int:
    """Return how many epochs an engine trains in some `seconds`, at least one; it is warm afterwards."""
    trainee.reset()
    trainee.run(1)  # compiles, where something is to be compiled
    trainee.reset()
    begin = time.perf_counter()
    trainee.run(1)
    return max(1, min(MOST_EPOCHS, math.ceil(seconds / (time.perf_counter() - begin))))


def turns(trainee: Trainee, workload: Workload, expected: Sequence[float]) -> Callable[[], Turn]:
    """Return the turn of an engine: it starts anew and trains as many epochs as there are expected losses."""

    def turn() -> Turn:
        trainee.reset()
        begin = time.perf_counter()
        losses = trainee.run(len(expected))
        elapsed = time.perf_counter() - begin
        return Turn(elapsed / (workload.steps * len(expected)) * 1e6, agree(losses, expected))

    return turn


def agree(losses: Sequence[float], expected: Sequence[float], tolerance: float = LOSS_TOLERANCE) -> bool:
    """Return whether the mean losses of all epochs are there, are numbers, and begin and end as expected.

    `tolerance` is that of the first one.
    """
    if len(losses) != len(expected) or not np.isfinite(losses).all():
        return False
    ends = abs(losses[-1] - expected[-1]) <= LAST_LOSS_TOLERANCE * expected[0]
    return close(losses[0], expected[0], tolerance) and ends


def lines(title: str, workload: Workload, result: Mapping[str, Any]) -> str:
    """Return the figures of a contest as text: microseconds a step, and how many times faster chainrule was."""
    notes = {}
    if OURS in result["engines"]:
        reached = workload.operations / result["engines"][OURS]["median"] / 1e3
        ceiling = ceiling_of(result, _engine.thread_limit())
        notes[OURS] = f"{reached:.1f} GFLOP/s, {reached / ceiling:.0%} of the ceiling"
    widths = "-".join(map(str, workload.widths))
    head = f"{title}: {widths}, batch {workload.batch_size}; µs a step, and how many times chainrule's"
    return table_lines(head, result, notes)
