"""Losses, described: words, options, and which targets they take. The maths stands in csrc/formulas/losses.h.

A loss is called in the loop by hand, `loss = loss_fn(net(xb), yb)`, or named to a `Trainer`. Losses take logits,
what a linear last layer gives, unless `from_logits=False` says that probabilities come.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from . import checks, data
from .activations import ActivationFunction, Sigmoid, Softmax
from .engines import engine_of
from .output import LossValue, Output
from .registry import find

if TYPE_CHECKING:
    import numpy.typing as npt

    from ._engine.float32 import Loss as CoreLoss
    from .network import Network

    Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Loss:
    """What all losses share. Use one of the classes derived from it."""

    word: ClassVar[str]

    def __call__(self, output: Output | npt.ArrayLike, y: npt.ArrayLike, sample_weight: object = None) -> LossValue:
        """Return the loss of a network's output (or of a plain array) for the targets `y`.

        Parameters
        ----------
        output : Output or array of shape (B, K)
            What `net(X)` returned. For a plain array the value is right, but there is no backward().
        y : array
            Targets; see the class.
        sample_weight : array of shape (B,), optional
            Factor of each row, at least 0.
        """
        if isinstance(output, Output):
            self.check_head(output.net)
            p, source = output.array, output
        else:
            given = getattr(output, "dtype", None)
            dtype = np.dtype(np.float32) if given == np.float32 else np.dtype(np.float64)
            p, source = data.features("output", output, None, dtype), None
        rows, outputs = p.shape
        if rows == 0:
            raise ValueError("output has no rows; a loss needs at least one")
        targets = self.targets("y", y, rows, outputs, p.dtype)
        weight = None if sample_weight is None else data.weights("sample_weight", sample_weight, rows, p.dtype)
        core: CoreLoss = self.build(engine_of(p.dtype))
        value, gradient = core.value(p, targets, weight)
        return LossValue(value, gradient, source)

    def targets(self, argument: str, y: object, rows: int, outputs: int, dtype: np.dtype[Any]) -> Array:
        """Return `y` as the engine takes it; ValueError or TypeError where it does not suit."""
        raise NotImplementedError

    def check_head(self, net: Network) -> None:
        """Raise ValueError where the last layer of `net` does not give what this loss expects."""

    def metrics(self, outputs: int) -> tuple[str, ...]:
        """Name the metrics that suit this loss."""
        raise NotImplementedError

    def threshold(self) -> float:
        """Return above what a single output means yes."""
        return 0.0

    def memberships(self, targets: Array) -> Array | None:
        """Return to which class each row belongs: labels (B,), or shares (B, classes); None where there are none."""
        return None

    def build(self, engine: ModuleType) -> CoreLoss:
        """Return the engine's object."""
        raise NotImplementedError


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """The sum over all elements of (p - y)^2; times 1/2 if `half`; over the number of elements if the mean is asked.

    Targets: numbers (B, K); (B,) where the network has one output.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        "sum" makes gradients B * K times as large: the learning rate must be smaller by as much.
    half : bool, default False
        With `reduction="sum"`: the textbook's 1/2 sum (y - p)^2, whose derivative is p - y.
    """

    word = "mean_squared_error"
    _: KW_ONLY
    reduction: str = "mean"
    half: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        checks.word("reduction", self.reduction, ("mean", "sum"))
        checks.option(self, "half", checks.flag)

    def targets(self, argument: str, y: object, rows: int, outputs: int, dtype: np.dtype[Any]) -> Array:
        """Return `y` as (rows, outputs)."""
        return data.numbers(argument, y, rows, outputs, dtype)

    def metrics(self, outputs: int) -> tuple[str, ...]:
        """Name the metrics that suit this loss."""
        return ("mae", "mse")

    def build(self, engine: ModuleType) -> CoreLoss:
        """Return the engine's object."""
        built: CoreLoss = engine.SquaredError(self.reduction == "mean", self.half)
        return built


ONE_OUTPUT = (
    "CrossEntropy ('cross_entropy') needs an output for each class; for one output use BinaryCrossEntropy "
    "('binary_cross_entropy')"
)


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross-entropy over K classes that exclude each other: the mean over rows of -sum over j of y_j log f_j.

    Targets: class labels 0..K-1 as whole numbers, (B,) or (B, 1); or probabilities (B, K) that sum to 1 in each
    row, one-hot or soft.

    Parameters
    ----------
    from_logits : bool, default True
        True: the network ends linearly, and f = softmax of its output. False: it ends with a softmax.
    """

    word = "cross_entropy"
    _: KW_ONLY
    from_logits: bool = True

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "from_logits", checks.flag)

    def targets(self, argument: str, y: object, rows: int, outputs: int, dtype: np.dtype[Any]) -> Array:
        """Return `y` as labels (rows,) int32, or as probabilities (rows, outputs)."""
        if outputs == 1:
            raise ValueError(ONE_OUTPUT)
        return data.classes(argument, y, rows, outputs, dtype)

    def check_head(self, net: Network) -> None:
        """Raise ValueError where the last layer of `net` does not give what this loss expects."""
        if net.outputs == 1:
            raise ValueError(ONE_OUTPUT)
        check_probabilities("CrossEntropy", self.from_logits, net.head, Softmax(), "BinaryCrossEntropy")

    def metrics(self, outputs: int) -> tuple[str, ...]:
        """Name the metrics that suit this loss."""
        return ("accuracy",)

    def memberships(self, targets: Array) -> Array | None:
        """Return the targets."""
        return targets

    def build(self, engine: ModuleType) -> CoreLoss:
        """Return the engine's object."""
        built: CoreLoss = engine.CrossEntropy(self.from_logits)
        return built


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Cross-entropy of independent yes-or-no questions: the mean over elements of -y log f - (1 - y) log(1 - f).

    Targets: numbers from 0 to 1, (B, K); (B,) where the network has one output.

    Parameters
    ----------
    from_logits : bool, default True
        True: the network ends linearly, and f = sigmoid of its output. False: it ends with a sigmoid.
    """

    word = "binary_cross_entropy"
    _: KW_ONLY
    from_logits: bool = True

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "from_logits", checks.flag)

    def targets(self, argument: str, y: object, rows: int, outputs: int, dtype: np.dtype[Any]) -> Array:
        """Return `y` as (rows, outputs)."""
        return data.shares(argument, y, rows, outputs, dtype)

    def check_head(self, net: Network) -> None:
        """Raise ValueError where the last layer of `net` does not give what this loss expects."""
        check_probabilities("BinaryCrossEntropy", self.from_logits, net.head, Sigmoid(), "CrossEntropy")

    def metrics(self, outputs: int) -> tuple[str, ...]:
        """Name the metrics that suit this loss."""
        # With several independent questions "right" has several meanings; none is guessed here.
        return ("accuracy",) if outputs == 1 else ()

    def threshold(self) -> float:
        """Return above what a single output means yes."""
        return 0.0 if self.from_logits else 0.5

    def memberships(self, targets: Array) -> Array | None:
        """Return the shares (B, 2) of no and yes, where there is one question."""
        return np.hstack([1 - targets, targets]) if targets.shape[1] == 1 else None

    def build(self, engine: ModuleType) -> CoreLoss:
        """Return the engine's object."""
        built: CoreLoss = engine.BinaryCrossEntropy(self.from_logits)
        return built


def check_probabilities(
    loss: str, from_logits: bool, head: ActivationFunction, expected: ActivationFunction, other: str
) -> None:
    """Raise ValueError where a network that ends with `head` does not suit `loss`."""
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


KNOWN: dict[str, type[Loss]] = {kind.word: kind for kind in (MeanSquaredError, CrossEntropy, BinaryCrossEntropy)}
KNOWN["mse"] = MeanSquaredError


def resolve(argument: str, value: object) -> Loss:
    """Return the loss that `value`, a word or an object, means."""
    if isinstance(value, str) and value == "accuracy":
        raise ValueError(
            f"{argument}='accuracy' cannot be trained: accuracy is not differentiable, it is flat almost everywhere "
            "and jumps where an answer changes. Train loss='cross_entropy' and give metrics=['accuracy']"
        )
    return find(argument, value, Loss, KNOWN)
