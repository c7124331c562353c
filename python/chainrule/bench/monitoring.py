"""What watching a fit costs: microseconds a step of W4, with nothing on and with more and more.

No library is compared with another: chainrule's plain fit is the measure, and the ratios are how many times as long the
others take. Validation and snapshots, which do work of their own, are told apart from what only looks.

A hundredth is looked for, on machines that are disturbed by a third and more. So turns are short and follow each other
at once, rounds are many, and what is told is the median of the ratios with the interval in which it lies, 19 times out
of 20, whatever their distribution.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import chainrule as cr

from .harness import OURS, Turn, contest
from .run import Options, Progress, finish, plan, say
from .workloads import WORKLOADS, Setting, make_network, make_setting

WATCHED = "W4"
EPOCHS = 1  # of a turn: all that a fit costs once is part of it
MORE_ROUNDS = 20  # times as many as other groups
METRICS = ("accuracy", "top_5_accuracy", "precision", "recall", "f1")
VALIDATED = 0.1  # of the rows, on top of them


def main(options: Options) -> dict[str, Any]:
    """Measure, print and store; return what was stored."""
    setting = make_setting(WORKLOADS[WATCHED], "sgd", options.dtype)
    if not options.quick:
        options = options._replace(rounds=options.rounds * MORE_ROUNDS)
    with Progress(1) as show, tempfile.TemporaryDirectory() as folder:
        ways = ways_of(setting, Path(folder))
        show.begin("monitoring", (options.rounds + 1) * len(ways))
        turns = {name: turn_of(setting, fit) for name, fit in ways.items()}
        result = contest(turns, plan(options, show, rest=0.0, ceilings=()))
        show.clear()
    for ratio in result["ratios"].values():
        ratio["interval"] = interval_of_median(ratio["rounds"])
    widths = "-".join(map(str, setting.workload.widths))
    say(f"\nmonitoring {widths}: µs a step, and how many times as long as with nothing on\n{lines(result)}")
    whole = {"widths": setting.workload.widths, "metrics": METRICS, "epochs": EPOCHS, "monitoring": result}
    finish("monitoring", options, whole)
    return whole


def interval_of_median(values: Sequence[float]) -> list[float]:
    """Return between which values the median lies, 19 times out of 20 at least; their range where they are too few."""
    ordered, n = sorted(values), len(values)
    # The median is below ordered[k] where at most k of n tosses of a coin are heads.
    first, below = 0, 1
    while (below + math.comb(n, first + 1)) / 2**n <= 0.025:
        first += 1
        below += math.comb(n, first)
    return [ordered[first], ordered[n - 1 - first]]


def lines(result: dict[str, Any]) -> str:
    """Return the figures as text."""
    found = []
    for name, one in result["engines"].items():
        line = f"  {name:20} {one['median']:10,.2f}"
        if name in result["ratios"]:
            ratio = result["ratios"][name]
            low, high = ratio["interval"]
            line += f"   {ratio['median']:6.3f}x  (the median lies between {low:.3f} and {high:.3f})"
        found.append(line + ("" if one["agrees"] else "   ENDED EARLY: does not count"))
    return "\n".join(found)


def ways_of(setting: Setting, folder: Path) -> dict[str, Callable[[], cr.History]]:
    """Return fits by what watches them."""
    X, y, batch = setting.X, setting.y, setting.workload.batch_size
    count = max(1, round(len(y) * VALIDATED))
    validation = (-X[:count], y[:count])  # rows that are not trained on; their figures mean nothing
    net = make_network(setting.workload.widths, setting.dtype)

    def fit(*, metrics: bool = True, watched: bool = True, **options: Any) -> cr.History:
        trainer = cr.Trainer(
            net, loss="cross_entropy", optimizer=cr.SGD(setting.rate), metrics=METRICS if metrics else ()
        )
        return trainer.fit(
            X,
            y,
            epochs=EPOCHS,
            batch_size=batch,
            callbacks=watchers(folder) if watched else [],
            verbose=False,
            **options,
        )

    return {
        OURS: lambda: fit(metrics=False, watched=False),
        "metrics": lambda: fit(watched=False),
        "metrics, log, rules": fit,
        "all, and validation": lambda: fit(validation_data=validation),
        "all, and snapshots": lambda: fit(snapshots=folder / "run.snapshot"),
    }


def watchers(folder: Path) -> list[cr.Callback]:
    """Return callbacks that look at each epoch and end no fit."""
    never = cr.Stagnates("loss", epochs=10**6) & cr.ImprovesSlowly("loss", rate=1e-9, epochs=3)
    return [cr.CSVLogger(folder / "log.csv"), cr.StopWhen(never), cr.EarlyStopping("loss", patience=10**6)]


def turn_of(setting: Setting, fit: Callable[[], cr.History]) -> Callable[[], Turn]:
    """Return a turn: one fit, which must do all its epochs."""

    def turn() -> Turn:
        begin = time.perf_counter()
        history = fit()
        elapsed = time.perf_counter() - begin
        return Turn(elapsed / (setting.workload.steps * EPOCHS) * 1e6, history.epochs == EPOCHS)

    return turn
