"""How everything is measured: engines take turns, ratios are formed within a round, medians and spreads are kept.

A round runs every engine once, so that a machine that slows down slows all of them; the order turns from round to
round. An engine's figures count only if its loss agrees with the baseline's. This file knows no engine and no
workload, and it judges nothing: it stores what it saw.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import chainrule
from chainrule import _engine

RESULTS = Path(__file__).parent / "results"
# Threads of a library go on spinning for a while after its turn; they would run on the next one's cores.
REST_SECONDS = 0.2
LOSS_TOLERANCE = 1e-3  # relative: float32 rounding over an epoch, and no more


class Turn(NamedTuple):
    """What one turn of an engine gives: microseconds a step, and the mean loss of the epoch it ran last."""

    microseconds: float
    loss: float


def contest(engines: Mapping[str, Callable[[], Turn]], *, baseline: str, rounds: int) -> dict[str, dict[str, Any]]:
    """Let the engines take turns, after one turn of warming up, and sum up each: median, spread, ratio, loss.

    `ratio` is how many times faster than the baseline an engine was, the median of the ratios within a round; the
    spread is the least and the greatest of them.
    """
    if rounds < 5:
        raise ValueError(f"rounds must be at least 5; got {rounds}")
    # The first turn warms up, and its losses are compared: later, rounding alone drives two engines apart.
    losses = {name: turn().loss for name, turn in engines.items()}
    times: dict[str, list[float]] = {name: [] for name in engines}
    names = list(engines)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            time.sleep(REST_SECONDS)
            times[name].append(engines[name]().microseconds)
    return {name: _summary(times[name], times[baseline], losses[name], losses[baseline]) for name in names}


def _summary(times: list[float], baseline: list[float], loss: float, baseline_loss: float) -> dict[str, Any]:
    ratios = [slow / fast for slow, fast in zip(baseline, times, strict=True)]
    return {
        "microseconds": statistics.median(times),
        "microseconds_range": [min(times), max(times)],
        "ratio": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
        "loss": loss,
        "loss_agrees": bool(abs(loss - baseline_loss) <= LOSS_TOLERANCE * abs(baseline_loss)),
    }


def machine() -> dict[str, Any]:
    """Describe what the figures were measured on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": _engine.thread_limit(),
        "instruction_set": _engine.isa(),
        "chainrule": chainrule.__version__,
        "compiler": _engine.build_info()["compiler"],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": _blas(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in info.read_text().split("\n\n")[0].splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    numbers = f"family {named.get('cpu family', '?')}, model {named.get('model', '?')}"
    return f"{named.get('model name', platform.machine())} ({numbers})"


def _blas() -> str:
    try:
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[index]
    except (TypeError, KeyError):  # NumPy before 1.26 only prints it
        return "an unknown BLAS"
    return f"{blas['name']} {blas['version']}"


def store(name: str, results: dict[str, Any]) -> Path:
    """Write results, with the machine, to results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **results}, indent=1) + "\n")
    return path
