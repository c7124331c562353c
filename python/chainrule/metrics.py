"""Metrics: the words that `metrics=` takes, which of them suit a loss, and the figures that an epoch's record gives.

The engine has a mean over rows ready: accuracy, top_k_accuracy, mae, mse. For precision, recall and F1, which are no
such mean, it counts classes as it goes; the counts become figures here. What a row scores stands in csrc/train.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import checks
from .class_counts import FIGURES, ClassCounts

if TYPE_CHECKING:
    from ._engine import EpochRecord
    from .loss import Loss

# The words, with an example of those that have a number.
KNOWN = ("accuracy", "top_5_accuracy", *FIGURES, "mae", "mse")
TOP_K = re.compile(r"top_([1-9]\d*)_accuracy")
# What the engine is asked for instead of those that it has not.
CLASS_COUNTS = "class_counts"


def checked(metrics: object, loss: Loss, outputs: int) -> tuple[str, ...]:
    """Return the metrics' words, each once, each suiting the loss."""
    if not isinstance(metrics, (list, tuple)):
        raise TypeError(f"metrics must be a list of words, such as ['accuracy']; got {checks.shown(metrics)}")
    for metric in metrics:
        k = named_k(metric)
        if k == 0:
            checks.word("metrics", metric, KNOWN)
        check_suits(metric, k, loss, outputs)
    if len(set(metrics)) < len(metrics):
        raise ValueError(f"metrics must differ; got {metrics}")
    return tuple(metrics)


def named_k(metric: object) -> int:
    """Return the k of "top_{k}_accuracy"; 0 for anything else."""
    found = TOP_K.fullmatch(metric) if isinstance(metric, str) else None
    return int(found[1]) if found else 0


def check_suits(metric: str, k: int, loss: Loss, outputs: int) -> None:
    """Raise ValueError unless a metric suits the loss of so many outputs."""
    suiting = [*loss.metrics(outputs)]
    ranked = "accuracy" in suiting and outputs > 2
    if metric in suiting or (ranked and 1 < k < outputs):
        return
    if ranked:
        suiting.append("top_k_accuracy" + (" with k = 2" if outputs == 3 else f" with k from 2 to {outputs - 1}"))
    listed = ", ".join(suiting) or "none"
    raise ValueError(f"metrics={metric!r} does not suit {loss!r} with {outputs} outputs; suiting are {listed}")


def of_engine(metrics: Sequence[str]) -> list[str]:
    """Return what the engine is asked for."""
    asked = [metric for metric in metrics if metric not in FIGURES]
    return asked if len(asked) == len(metrics) else [*asked, CLASS_COUNTS]


def figures(metrics: Sequence[str], record: EpochRecord) -> dict[str, float]:
    """Return the metrics of a record by their words, in their order."""
    found = record["scores"]
    if len(found) < len(metrics):
        found = {**found, **ClassCounts(*record["class_counts"]).means()}
    return {metric: found[metric] for metric in metrics}


def large_is_good(name: str) -> bool:
    """Return whether a figure of the history is the better the larger it is: accuracies, precision, recall and F1."""
    return name.endswith("accuracy") or name.removeprefix("val_") in FIGURES
