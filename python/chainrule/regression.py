"""Losses of numbers, described: what is measured is how far the outputs p (B, K) lie from the targets y (B, K).

Each is a sum over single elements, in one of three reductions: the mean over all B K elements, the mean over the B rows
of each row's sum, or the sum. The maths stands in csrc/formulas/losses.h.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, data
from .activations import ELU, Identity, LeakyReLU, Tanh
from .loss import Loss, check_undisturbed

if TYPE_CHECKING:
    import numpy.typing as npt

    from ._engine.float32 import Loss as CoreLoss
    from .network import Network

    Array = npt.NDArray[Any]

REDUCTIONS = ("mean", "mean_rows", "sum")


class OfNumbers:
    """What the losses of this file share: their targets, their metrics, how they are built. No loss itself."""

    reduction: str

    def formula(self) -> tuple[str, float, float]:
        """Return the engine's formula, the number that it takes (0 for none), and the factor before the sum."""
        raise NotImplementedError

    def targets(self, argument: str, y: object, rows: int, outputs: int, dtype: np.dtype[Any]) -> Array:
        """Return `y` as (rows, outputs)."""
        return data.numbers(argument, y, rows, outputs, dtype)

    def metrics(self, outputs: int) -> tuple[str, ...]:
        """Name the metrics that suit this loss."""
        return ("mae", "mse")

    def build(self, engine: ModuleType) -> CoreLoss:
        """Return the engine's object."""
        built: CoreLoss = engine.ElementwiseLoss(*self.formula(), self.reduction)
        return built


@dataclass(frozen=True)
class MeanSquaredError(OfNumbers, Loss):
    """The sum over all elements of (p - y)^2; times 1/2 if `half`; over the number of elements, or of rows, if asked.

    Targets: numbers (B, K); (B,) where the network has one output.

    ======================================  ==================================  =======================================
    formula                                 call                                source
    ======================================  ==================================  =======================================
    1/(B K) sum (y - p)^2                   MeanSquaredError()                  what libraries do
    1/B sum (y - p)^2                       reduction="mean_rows"               [003]; [004], its L_MSE
    sum (y - p)^2                           reduction="sum"
    1/2 sum (y - p)^2                       reduction="sum", half=True          [002]; [004], its E_tot
    ======================================  ==================================  =======================================

    The slide of lecture [002] has lost a minus sign: its (y w^T x)^2 is to be read (y - w^T x)^2.

    Parameters
    ----------
    reduction : {"mean", "mean_rows", "sum"}
        "sum" makes gradients B * K times as large as "mean": the learning rate must be smaller by as much.
    half : bool, default False
        Whether the sum is multiplied by 1/2. With `reduction="sum"` that is the textbook's 1/2 sum (y - p)^2, whose
        derivative is p - y.
    """

    word = "mean_squared_error"
    _: KW_ONLY
    reduction: str = "mean"
    half: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        checks.word("reduction", self.reduction, REDUCTIONS)
        checks.option(self, "half", checks.flag)

    def formula(self) -> tuple[str, float, float]:
        """Return the engine's formula."""
        return "squared_difference", 0.0, 0.5 if self.half else 1.0


@dataclass(frozen=True)
class MeanAbsoluteError(OfNumbers, Loss):
    """The sum of |p - y|: the best constant answer is the median, so single wild targets matter little.

    Targets: numbers (B, K); (B,) where the network has one output. The derivative is sign(p - y), 0 where p = y.

    Parameters
    ----------
    reduction : {"mean", "mean_rows", "sum"}
        Over all elements, over rows, or not divided.
    """

    word = "mean_absolute_error"
    has_kink = True
    _: KW_ONLY
    reduction: str = "mean"

    def __post_init__(self) -> None:
        """Check the options."""
        checks.word("reduction", self.reduction, REDUCTIONS)

    def formula(self) -> tuple[str, float, float]:
        """Return the engine's formula."""
        return "absolute_difference", 0.0, 1.0


# Below the greatest number of float32, 3.4e38, and far above any difference for which it could matter.
MOST_DELTA = 1e30


@dataclass(frozen=True)
class Huber(OfNumbers, Loss):
    """With d = p - y: the sum of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2) (Huber 1964).

    Squared near the target, absolute far from it. Targets: numbers (B, K); (B,) where the network has one output.

    Parameters
    ----------
    delta : float, default 1.0
        Where the one becomes the other, above 0.
    reduction : {"mean", "mean_rows", "sum"}
        Over all elements, over rows, or not divided.
    """

    word = "huber"
    has_kink = True  # only the second derivative jumps; central differences feel that too
    _: KW_ONLY
    delta: float = 1.0
    reduction: str = "mean"

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "delta", checks.number, above=0, most=MOST_DELTA)
        checks.word("reduction", self.reduction, REDUCTIONS)

    def pattern(self, p: Array, y: Array) -> Array:
        """Return which piece each element lies on: -1, 0 in the middle, 1."""
        difference = p - y
        return np.where(np.abs(difference) > self.delta, np.sign(difference), 0)

    def formula(self) -> tuple[str, float, float]:
        """Return the engine's formula."""
        return "huber", self.delta, 1.0


@dataclass(frozen=True)
class Pinball(OfNumbers, Loss):
    """The sum of q (y - p) where y > p, else (1 - q) (p - y): the best constant answer is the targets' quantile q.

    Koenker and Bassett 1978. Targets: numbers (B, K); (B,) where the network has one output. With q = 1/2 it is half
    the absolute error.

    Parameters
    ----------
    quantile : float, default 0.5
        q, above 0 and below 1.
    reduction : {"mean", "mean_rows", "sum"}
        Over all elements, over rows, or not divided.
    """

    word = "pinball"
    has_kink = True
    _: KW_ONLY
    quantile: float = 0.5
    reduction: str = "mean"

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "quantile", checks.number, above=0, below=1)
        checks.word("reduction", self.reduction, REDUCTIONS)

    def formula(self) -> tuple[str, float, float]:
        """Return the engine's formula."""
        return "pinball", self.quantile, 1.0


@dataclass(frozen=True)
class Poisson(OfNumbers, Loss):
    """For counts y: the negative log-likelihood of a Poisson distribution, but for log y!, which no weight changes.

    The sum of exp(p) - y p, where the network gives the logarithm of the rate; or of p - y log p, where it gives the
    rate itself, kept at least 1e-7. Targets: counts, or any numbers of at least 0, (B, K); (B,) where the network has
    one output.

    Parameters
    ----------
    from_log : bool, default True
        True: the network ends linearly, and exp(p) is the rate. False: p is the rate; the last layer must give no
        negative number.
    reduction : {"mean", "mean_rows", "sum"}
        Over all elements, over rows, or not divided.
    """

    word = "poisson"
    _: KW_ONLY
    from_log: bool = True
    reduction: str = "mean"

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "from_log", checks.flag)
        checks.word("reduction", self.reduction, REDUCTIONS)

    def targets(self, argument: str, y: object, rows: int, outputs: int, dtype: np.dtype[Any]) -> Array:
        """Return `y` as (rows, outputs), each at least 0."""
        return data.not_negative(argument, y, rows, outputs, dtype)

    def check_head(self, net: Network) -> None:
        """Raise ValueError where the last layer of `net` does not give what this loss expects."""
        if not self.from_log and isinstance(net.head, (Identity, Tanh, LeakyReLU, ELU)):
            raise ValueError(
                "loss Poisson(from_log=False) takes rates, which are at least 0, but the last layer ends with "
                f"{net.head.word}, which gives negative numbers too: use Poisson(from_log=True) after a linear layer"
            )
        if not self.from_log:
            check_undisturbed("Poisson(from_log=False)", "rates", net)

    def metrics(self, outputs: int) -> tuple[str, ...]:
        """Name the metrics that suit this loss: they compare outputs with targets, and a logarithm is no count."""
        return () if self.from_log else ("mae", "mse")

    def formula(self) -> tuple[str, float, float]:
        """Return the engine's formula."""
        return "poisson_log" if self.from_log else "poisson", 0.0, 1.0
