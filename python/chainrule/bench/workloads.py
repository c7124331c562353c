"""What is trained: six networks from tiny to wide, the data, the start and the order of rows, the same for everybody.

Dense + ReLU, softmax cross-entropy, plain SGD or Adam, shuffled rows gathered for each step. This file trains nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import chainrule as cr
from chainrule import _engine

Array = npt.NDArray[Any]

RATES = {"sgd": 0.01, "adam": 0.001}
# Adam's other numbers, the defaults of every library here.
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Workload(NamedTuple):
    """A network and the steps of an epoch."""

    widths: tuple[int, ...]
    batch_size: int
    steps: int

    @property
    def operations(self) -> int:
        """Floating-point operations of the products of a step: forwards, and backwards twice but for the input."""
        pairs = [a * b for a, b in pairwise(self.widths)]
        return 2 * self.batch_size * (3 * sum(pairs) - pairs[0])


WORKLOADS = {
    "W1": Workload((2, 16, 16, 2), 32, 1000),
    "W2": Workload((64, 32, 10), 32, 1000),
    "W3": Workload((64, 128, 64, 10), 32, 1000),
    "W4": Workload((784, 128, 10), 64, 200),
    "W5": Workload((784, 512, 512, 10), 128, 80),
    "W6": Workload((1024, 2048, 2048, 2048, 10), 512, 4),
}


class Setting(NamedTuple):
    """All that an engine is told: rows X (N, inputs), labels y (N) int32, the start, the optimizer.

    `start` is weight (in, out), bias (out), weight, ...: to be copied, since all engines begin there. Of a network with
    one output y is numbers (N, 1), and the loss is their mean squared error.
    """

    workload: Workload
    X: Array
    y: Array
    start: Sequence[Array]
    optimizer: str
    dtype: str

    @property
    def has_classes(self) -> bool:
        """Whether the targets are labels, for cross-entropy."""
        return self.workload.widths[-1] > 1

    @property
    def rate(self) -> float:
        """The learning rate."""
        return RATES[self.optimizer]

    def order(self, epoch: int) -> npt.NDArray[np.int32]:
        """Return the rows of an epoch in the order of its steps, (N), as chainrule shuffles them."""
        return _engine.shuffled_order(len(self.y), 0, epoch)


class Query(NamedTuple):
    """What is predicted: rows X (B, inputs) through a network of these widths with these parameters, ReLU between."""

    widths: tuple[int, ...]
    X: Array
    parameters: Sequence[Array]
    dtype: str


class Factors(NamedTuple):
    """A product to be computed into `out`: of a and b, each transposed or not, on so many threads."""

    a: Array
    b: Array
    out: Array
    transposes: tuple[bool, bool]
    threads: int


class Course(NamedTuple):
    """How epochs went on a GPU: their mean losses, and the seconds of all by the wall clock and by the GPU's.

    The wall clock runs from the shuffle of an epoch to the moment when its loss is known; the GPU's own stands beside
    it where an engine can ask it.
    """

    losses: Sequence[float]
    seconds: float
    gpu_seconds: float | None = None


class Resident(NamedTuple):
    """An engine made ready for a setting, with data and all on the GPU.

    `reset` goes back to the start; `run` trains so many epochs from there, shuffled or in order.
    """

    reset: Callable[[], None]
    run: Callable[[int, bool], Course]


class Trainee(NamedTuple):
    """An engine made ready for a setting.

    `reset` goes back to the start, optimizer and all; `run` trains so many epochs from there and returns the mean loss
    of each, when all is done.
    """

    reset: Callable[[], None]
    run: Callable[[int], Sequence[float]]


def make_network(widths: Sequence[int], dtype: str) -> cr.Network:
    """Return the network of a workload at its start."""
    hidden = [cr.Dense(width, activation="relu") for width in widths[1:-1]]
    return cr.Network([*hidden, cr.Dense(widths[-1])], inputs=widths[0], seed=0, dtype=dtype)


def make_setting(workload: Workload, optimizer: str, dtype: str, *, start: Sequence[Array] | None = None) -> Setting:
    """Return random rows with targets that can be learned, a linear rule's, and a start: that of chainrule's network.

    The targets are the class whose number is greatest, or, of one output, the number itself, of variance 1.
    """
    rng = np.random.default_rng(0)
    inputs, outputs = workload.widths[0], workload.widths[-1]
    X = rng.standard_normal((workload.batch_size * workload.steps, inputs), np.float32)
    rule = rng.standard_normal((inputs, outputs), np.float32)
    numbers = X @ rule
    y = numbers.argmax(axis=1).astype(np.int32) if outputs > 1 else (numbers / np.sqrt(inputs)).astype(dtype)
    if start is None:
        start = [parameter.copy() for parameter in make_network(workload.widths, dtype).parameters().values()]
    return Setting(workload, X.astype(dtype, copy=False), y, start, optimizer, dtype)


def epoch_by_epoch(setting: Setting, epoch: Callable[[npt.NDArray[np.int32]], Any]) -> Callable[[int], list[float]]:
    """Return the `run` of an engine that trains one epoch at a time on rows in the order (N) it is given.

    What `epoch` returns becomes a number only at the end, so that an engine may go on while it is being computed.
    """

    def run(epochs: int) -> list[float]:
        losses = [epoch(setting.order(number)) for number in range(epochs)]
        return [float(loss) for loss in losses]

    return run
