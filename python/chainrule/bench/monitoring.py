"""What watching a fit costs: microseconds a step of W4, with nothing on and with more and more.

No library is compared with another: chainrule's plain fit is the measure, and the ratios are how many times longer the
others take. Validation and snapshots, which do work of their own, are told apart from what only looks.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chainrule as cr

from .harness import OURS, Turn, contest
from .run import Options, Progress, finish, plan, say, table_lines
from .workloads import WORKLOADS, Setting, make_network, make_setting

WATCHED = "W4"
EPOCHS = 5  # of a turn: what a fit costs once is part of it, as it is of everybody's
METRICS = ("accuracy", "top_5_accuracy", "precision", "recall", "f1")
VALIDATED = 0.1  # of the rows, on top of them


def main(options: Options) -> dict[str, Any]:
    """Measure, print and store; return what was stored."""
    setting = make_setting(WORKLOADS[WATCHED], "sgd", options.dtype)
    with Progress(1) as show, tempfile.TemporaryDirectory() as folder:
        ways = ways_of(setting, Path(folder))
        show.begin("monitoring", (options.rounds + 1) * len(ways))
        result = contest({name: turn_of(setting, fit) for name, fit in ways.items()}, plan(options, show, ceilings=()))
        show.clear()
    widths = "-".join(map(str, setting.workload.widths))
    say(table_lines(f"monitoring {widths}: µs a step, and how many times as long as with nothing on", result))
    whole = {"widths": setting.workload.widths, "metrics": METRICS, "epochs": EPOCHS, "monitoring": result}
    finish("monitoring", options, whole)
    return whole


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
