"""Losses of classes, described; and all losses by their words. The maths stands in csrc/formulas/losses.h.

A loss is called in the loop by hand, `loss = loss_fn(net(xb), yb)`, or named to a `Trainer`. Losses take logits,
what a linear last layer gives, unless `from_logits=False` says that probabilities come. Losses of numbers are in
regression.py, what all share in loss.py.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, data
from .activations import ActivationFunction, Sigmoid, Softmax
from .class_counts import FIGURES
from .loss import Loss as Loss
from .loss import check_undisturbed
from .registry import find
from .regression import REDUCTIONS
from .regression import Huber as Huber
from .regression import MeanAbsoluteError as MeanAbsoluteError
from .regression import MeanSquaredError as MeanSquaredError
from .regression import Pinball as Pinball
from .regression import Poisson as Poisson

if TYPE_CHECKING:
    import numpy.typing as npt

    from ._engine.float32 import Loss as CoreLoss
    from .network import Network

    Array = npt.NDArray[Any]

ONE_OUTPUT = (
    "CrossEntropy ('cross_entropy') needs an output for each class; for one output use BinaryCrossEntropy "
    "('binary_cross_entropy')"
)


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross-entropy over K classes that exclude each other: the mean over rows of -sum over j of y_j log f_j.

    Targets: class labels 0..K-1 as whole numbers, (B,) or (B, 1); or probabilities (B, K) that sum to 1 in each
    row, one-hot or soft.

    One class of many for each row ("multi-class") is a matter of softmax and this loss. Questions of which several may
    be answered with yes ("multi-label") take sigmoids and `BinaryCrossEntropy`; lecture [003], which asks for softmax
    there, means the former.

    Parameters
    ----------
    from_logits : bool, default True
        True: the network ends linearly, and f = softmax of its output. False: it ends with a softmax, and f is its
        output, kept at least 1e-7.
    label_smoothing : float, default 0.0
        eps, at least 0 and below 1: the loss sees y' = (1 - eps) y + eps / K (Szegedy et al. 2016; named in [003]), so
        that no output need grow without end to be right.
    reduction : {"mean", "sum"}
        Over rows, or not divided.
    """

    word = "cross_entropy"
    _: KW_ONLY
    from_logits: bool = True
    label_smoothing: float = 0.0
    reduction: str = "mean"

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "from_logits", checks.flag)
        checks.option(self, "label_smoothing", checks.number, least=0, below=1)
        checks.word("reduction", self.reduction, ("mean", "sum"))

    def targets(self, argument: str, y: object, rows: int, outputs: int, dtype: np.dtype[Any]) -> Array:
        """Return `y` as labels (rows,) int32, or as probabilities (rows, outputs)."""
        if outputs == 1:
            raise ValueError(ONE_OUTPUT)
        return data.classes(argument, y, rows, outputs, dtype)

    def check_head(self, net: Network) -> None:
        """Raise ValueError where the last layer of `net` does not give what this loss expects."""
        if net.outputs == 1:
            raise ValueError(ONE_OUTPUT)
        check_probabilities("CrossEntropy", self.from_logits, net, Softmax(), "BinaryCrossEntropy")

    def metrics(self, outputs: int) -> tuple[str, ...]:
        """Name the metrics that suit this loss."""
        return ("accuracy", *FIGURES)

    def memberships(self, targets: Array) -> Array | None:
        """Return the targets."""
        return targets

    def build(self, engine: ModuleType) -> CoreLoss:
        """Return the engine's object."""
        built: CoreLoss = engine.CrossEntropy(self.from_logits, self.label_smoothing, self.reduction)
        return built


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Cross-entropy of independent yes-or-no questions: the mean over elements of -y log f - (1 - y) log(1 - f).

    Targets: numbers from 0 to 1, (B, K); (B,) where the network has one output. With K outputs: K questions, of which
    any number may be answered with yes ("multi-label"). For classes that exclude each other, see `CrossEntropy`.

    Parameters
    ----------
    from_logits : bool, default True
        True: the network ends linearly, and f = sigmoid of its output. False: it ends with a sigmoid, and f is its
        output, kept 1e-7 away from 0 and 1.
    label_smoothing : float, default 0.0
        eps, at least 0 and below 1: the loss sees y' = (1 - eps) y + eps / 2.
    reduction : {"mean", "mean_rows", "sum"}
        Over all elements, over rows, or not divided.
    """

    word = "binary_cross_entropy"
    _: KW_ONLY
    from_logits: bool = True
    label_smoothing: float = 0.0
    reduction: str = "mean"

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "from_logits", checks.flag)
        checks.option(self, "label_smoothing", checks.number, least=0, below=1)
        checks.word("reduction", self.reduction, REDUCTIONS)

    def targets(self, argument: str, y: object, rows: int, outputs: int, dtype: np.dtype[Any]) -> Array:
        """Return `y` as (rows, outputs)."""
        hint = ": class numbers are for CrossEntropy, with an output for each class" if outputs == 1 else ""
        return data.shares(argument, y, rows, outputs, dtype, hint)

    def check_head(self, net: Network) -> None:
        """Raise ValueError where the last layer of `net` does not give what this loss expects."""
        check_probabilities("BinaryCrossEntropy", self.from_logits, net, Sigmoid(), "CrossEntropy")

    def metrics(self, outputs: int) -> tuple[str, ...]:
        """Name the metrics that suit this loss."""
        # With several independent questions a "right" row has several meanings; none is guessed here.
        return ("accuracy", *FIGURES) if outputs == 1 else FIGURES

    def threshold(self) -> float:
        """Return above what an output means yes."""
        return 0.0 if self.from_logits else 0.5

    def memberships(self, targets: Array) -> Array | None:
        """Return the shares (B, 2) of no and yes, where there is one question."""
        return np.hstack([1 - targets, targets]) if targets.shape[1] == 1 else None

    def build(self, engine: ModuleType) -> CoreLoss:
        """Return the engine's object."""
        form = "logits" if self.from_logits else "probabilities"
        built: CoreLoss = engine.ElementwiseLoss(
            f"binary_cross_entropy_{form}", self.label_smoothing, 1.0, self.reduction
        )
        return built


def check_probabilities(loss: str, from_logits: bool, net: Network, expected: ActivationFunction, other: str) -> None:
    """Raise ValueError where what shapes the outputs of `net` does not suit `loss`."""
    head = net.head
    makes_probabilities = isinstance(head, (Softmax, Sigmoid))
    if from_logits and makes_probabilities:
        raise ValueError(
            f"loss {loss} takes logits, but the last layer ends with {head.word}: drop that activation, which is "
            f"faster and more exact, or use {loss}(from_logits=False)"
        )
    if not from_logits and head != expected:
        instead = f"{other}(from_logits=False)" if makes_probabilities else f"{loss}(from_logits=True)"
        raise ValueError(
            f"loss {loss}(from_logits=False) takes probabilities, but the last layer ends with {head.word}: end it "
            f"with activation={expected.word!r}, or use {instead}"
        )
    if not from_logits:
        check_undisturbed(f"{loss}(from_logits=False)", "probabilities", net)


KNOWN: dict[str, type[Loss]] = {
    kind.word: kind
    for kind in (MeanSquaredError, MeanAbsoluteError, Huber, Pinball, Poisson, CrossEntropy, BinaryCrossEntropy)
}
KNOWN["mse"] = MeanSquaredError
KNOWN["mae"] = MeanAbsoluteError


def resolve(argument: str, value: object) -> Loss:
    """Return the loss that `value`, a word or an object, means."""
    if isinstance(value, str) and value == "accuracy":
        raise ValueError(
            f"{argument}='accuracy' cannot be trained: accuracy is not differentiable, it is flat almost everywhere "
            "and jumps where an answer changes. Train loss='cross_entropy' and give metrics=['accuracy']"
        )
    return find(argument, value, Loss, KNOWN)
