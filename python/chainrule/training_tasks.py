"""What `chainrule train` does, without the printing: split, standardise, train, judge, write.

The parts are 70 % to train, 15 % to validate and 15 % to test, or the data's own test part; of classes each part gets
its share. Which row is in which part depends on the data alone and never on the seed, so that runs can be compared.
Inputs (and the targets of a regression) are standardised by the training part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from . import data as rows_of
from .datasets import load_digits, load_idx
from .preprocessing import Standardiser, confusion_matrix
from .tables import Column, read_csv

if TYPE_CHECKING:
    from .callbacks import Callback
    from .history import History
    from .network import Network
    from .optimizers import Optimizer

Array = npt.NDArray[Any]
Part = tuple[Array, Array]  # X (N, D), y (N,)

_SHARE = 0.15  # of all rows, to validate and to test
_SPLIT_SEED = 0
_MOST_WEIGHTS = 100_000_000  # with gradients and Adam's state 1.6 GB, more than any of these tasks is worth
_PATIENCE = 8  # epochs without a better validation loss; a noisy curve takes a few to go on falling


@dataclass(frozen=True)
class Settings:
    """How to train: the options of the command line, all given."""

    epochs: int
    batch_size: int
    hidden: tuple[int, ...]
    dropout: float
    optimizer: str
    lr: float | None  # None: the optimizer's own
    seed: int


@dataclass(frozen=True)
class Task:
    """What to learn: three parts, and what the numbers in them mean."""

    name: str
    training: Part
    validation: Part
    test: Part
    columns: tuple[Column, ...]
    classes: tuple[str, ...] | None  # None: regression
    target: str
    shared_scale: bool = False  # pictures: one mean and one scale for all pixels

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the columns of X."""
        return tuple(name for column in self.columns for name in column.inputs)

    @property
    def parts(self) -> dict[str, Part]:
        """The three parts by name."""
        return {"training": self.training, "validation": self.validation, "test": self.test}


@dataclass(frozen=True)
class Outcome:
    """A trained network with what was found out about it."""

    task: Task
    net: Network
    history: History
    inputs: Standardiser
    targets: Standardiser | None  # of a regression
    figures: dict[str, dict[str, float]] = field(default_factory=dict)  # part -> name -> figure
    confusion: npt.NDArray[np.int64] | None = None  # (K, K) of the test part; rows are the true classes


# ------------------------------------------------------------------------------------------------------- The tasks


def digits_task() -> Task:
    """Return the task of the 1,797 handwritten digits."""
    X, y = load_digits()
    return _picture_task("digits", *_parts(X, y, classes=True))


def mnist_task(folder: str) -> Task:
    """Return the task of a folder of IDX files, see `datasets.load_idx`."""
    X_train, y_train, X_test, y_test = load_idx(folder)
    return _picture_task("mnist", *_cut(X_train, y_train, _SHARE, classes=True), (X_test, y_test))


def table_task(path: str, target: str, task: Literal["auto", "classification", "regression"] = "auto") -> Task:
    """Return the task of a table in a CSV file, see `tables.read_csv`."""
    table = read_csv(path, target, task=task)
    parts = _parts(table.X, table.y, classes=table.classes is not None)
    return Task(Path(path).stem, *parts, table.columns, table.classes, target)


def _picture_task(name: str, training: Part, validation: Part, test: Part) -> Task:
    """Return the task of telling pictures of classes 0 to K - 1 apart."""
    largest = max(int(y.max()) for _, y in (training, validation, test))
    columns = tuple(Column(f"pixel {i}") for i in range(training[0].shape[1]))
    classes = tuple(map(str, range(max(largest + 1, 2))))
    return Task(name, training, validation, test, columns, classes, "class", shared_scale=True)


def _parts(X: Array, y: Array, *, classes: bool) -> tuple[Part, Part, Part]:
    """Return the training, the validation and the test part."""
    rest, test = _cut(X, y, _SHARE, classes=classes)
    return *_cut(*rest, _SHARE / (1 - _SHARE), classes=classes), test


def _cut(X: Array, y: Array, share: float, *, classes: bool) -> tuple[Part, Part]:
    """Return the rows without a share of them, and the share; of each class its share."""
    if len(X) < 3:
        raise ValueError(f"expected at least 3 rows, to train, to validate and to test; got {len(X)}")
    stay, leave = rows_of.split(len(X), share, _SPLIT_SEED, y if classes else None)
    return (X[stay], y[stay]), (X[leave], y[leave])


# ---------------------------------------------------------------------------------------------------- The training


def train(
    net: Network, task: Task, settings: Settings, *, verbose: bool = False, callbacks: Sequence[Callback] = ()
) -> Outcome:
    """Train `net` for `task` and judge it on all three parts; the weights are those of the best epoch.

    The best epoch is the one with the least validation loss.
    """
    from .callbacks import EarlyStopping
    from .trainer import Trainer

    inputs = Standardiser.fit(task.training[0], shared=task.shared_scale)
    targets = None if task.classes is not None else Standardiser.fit(task.training[1][:, np.newaxis])
    ready = {name: _ready(part, inputs, targets) for name, part in task.parts.items()}

    trainer = Trainer(
        net,
        loss="mean_squared_error" if task.classes is None else "cross_entropy",
        optimizer=optimizer(settings),
        metrics=[] if task.classes is None else ["accuracy"],
    )
    history = trainer.fit(
        *ready["training"],
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        validation_data=ready["validation"],
        callbacks=[EarlyStopping(patience=_PATIENCE), *callbacks],
        verbose=verbose,
    )
    figures = {name: trainer.evaluate(*part, allow_seen=name != "test") for name, part in ready.items()}
    if targets is not None:
        for name, (X, y) in ready.items():
            figures[name] |= _regression_figures(net.predict(X), y, targets.scales)
    confusion = None
    if task.classes is not None:
        X, y = ready["test"]
        confusion = confusion_matrix(y, net.predict(X).argmax(axis=1), len(task.classes))
    return Outcome(task, net, history, inputs, targets, figures, confusion)


def network(task: Task, settings: Settings) -> Network:
    """Return the untrained network: hidden layers of rectifiers, with dropout behind each, and a linear last layer."""
    from .layers import Dense, Dropout, Layer
    from .network import Network

    outputs = 1 if task.classes is None else len(task.classes)
    widths = (len(task.inputs), *settings.hidden, outputs)
    weights = sum(before * after for before, after in pairwise(widths))
    if weights > _MOST_WEIGHTS:
        raise ValueError(f"layers of {'-'.join(map(str, widths))} have {weights:,} weights; at most {_MOST_WEIGHTS:,}")
    layers: list[Layer] = []
    for units in settings.hidden:
        layers.append(Dense(units, activation="relu"))
        if settings.dropout > 0:
            layers.append(Dropout(rate=settings.dropout))
    layers.append(Dense(outputs))
    return Network(layers, inputs=len(task.inputs), seed=settings.seed)


def optimizer(settings: Settings) -> Optimizer:
    """Return the optimizer that the settings name."""
    from .optimizers import KNOWN

    kind: Callable[..., Optimizer] = KNOWN[settings.optimizer]
    return kind() if settings.lr is None else kind(lr=settings.lr)


def _ready(part: Part, inputs: Standardiser, targets: Standardiser | None) -> Part:
    """Return a part as the network takes it."""
    X, y = part
    return inputs.transform(X), y if targets is None else targets.transform(y[:, np.newaxis])


def _regression_figures(predicted: Array, y: Array, scale: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return the root mean squared error, in units of the target, and R^2 = 1 - sum (y - p)^2 / sum (y - mean)^2."""
    y64 = y.astype(np.float64)
    squares = float(np.mean((y64 - predicted) ** 2))
    spread = float(np.var(y64))
    # Targets that are all alike leave nothing to explain: R^2 is not defined there.
    r2 = 1 - squares / spread if spread > 0 else float("nan")
    return {"rmse": float(np.sqrt(squares) * scale[0]), "r2": r2}


# ------------------------------------------------------------------------------------------------------- The files


def write(outcome: Outcome, folder: Path) -> list[tuple[Path, str]]:
    """Write the network, the learning curves and what prepares inputs; return each file with what it is."""
    import json

    from .plots import learning_curves

    files = [
        (folder / "model.safetensors", "the network"),
        (folder / "curves.png", "its learning curves"),
        (folder / "preprocessing.json", "names, means and scales of inputs and targets"),
    ]
    outcome.net.save(files[0][0])
    learning_curves(outcome.history)[0].figure.savefig(files[1][0])
    files[2][0].write_text(json.dumps(preprocessing(outcome), indent=1) + "\n", encoding="utf-8")
    return files


def preprocessing(outcome: Outcome) -> dict[str, Any]:
    """Return what turns a row of the data into inputs, and outputs into an answer; plain lists, text and numbers."""
    task = outcome.task
    description: dict[str, Any] = {
        "task": "regression" if task.classes is None else "classification",
        "columns": [{"name": column.name, "categories": column.categories} for column in task.columns],
        "inputs": task.inputs,
        "means": outcome.inputs.means.tolist(),
        "scales": outcome.inputs.scales.tolist(),
        "target": task.target,
    }
    if outcome.targets is None:
        return description | {"classes": task.classes}
    return description | {
        "target_mean": float(outcome.targets.means[0]),
        "target_scale": float(outcome.targets.scales[0]),
    }
