"""Loss: what every loss can do. The losses there are stand in losses.py (of classes) and regression.py (of numbers)."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from . import data, placement
from .engines import engine_of
from .output import LossValue, Output

if TYPE_CHECKING:
    import numpy.typing as npt

    from ._engine.float32 import Loss as CoreLoss
    from .network import Network

    Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Loss:
    """What all losses share. Use one of the classes derived from it."""

    word: ClassVar[str]
    # A derivative that jumps (or nearly so): gradient checks by differences are wrong within reach of it.
    has_kink: ClassVar[bool] = False

    def __call__(self, output: Output | npt.ArrayLike, y: npt.ArrayLike, sample_weight: object = None) -> LossValue:
        """Return the loss of a network's output (or of a plain array) for the targets `y`.

        Parameters
        ----------
        output : Output or array of shape (B, K)
            What `net(X)` returned. For a plain array the value is right, but there is no backward().
        y : array
            Targets; see the class.
        sample_weight : array of shape (B,), optional
            Factor of each row, at least 0. All may be 0, as they are in some batch where many rows count for nothing.
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
        weight = None if sample_weight is None else data.row_factors("sample_weight", sample_weight, rows, p.dtype)
        core: CoreLoss = self.build(engine_of(p.dtype))
        value, gradient = core.value(p, targets, weight)
        return LossValue(value, gradient, source)

    def targets(self, argument: str, y: object, rows: int, outputs: int, dtype: np.dtype[Any]) -> Array:
        """Return `y` as the engine takes it; ValueError or TypeError where it does not suit."""
        raise NotImplementedError

    @property
    def is_sum(self) -> bool:
        """Whether the loss of a batch is a sum over its rows, which grows with them, and not a mean."""
        return getattr(self, "reduction", "mean") == "sum"

    def check_head(self, net: Network) -> None:
        """Raise ValueError where the last layer of `net` does not give what this loss expects."""

    def metrics(self, outputs: int) -> tuple[str, ...]:
        """Name the metrics that suit this loss; "top_{k}_accuracy" with 1 < k < outputs does where "accuracy" does."""
        raise NotImplementedError

    def threshold(self) -> float:
        """Return above what an output that is a question of its own means yes."""
        return 0.0

    def memberships(self, targets: Array) -> Array | None:
        """Return to which class each row belongs: labels (B,), or shares (B, classes); None where there are none."""
        return None

    def pattern(self, p: Array, y: Array) -> Array:
        """Return what is the same for two outputs p (B, K) only if no kink lies between them; asked where there are."""
        signs: Array = np.sign(p - y)
        return signs

    def build(self, engine: ModuleType) -> CoreLoss:
        """Return the engine's object."""
        raise NotImplementedError


def check_undisturbed(loss: str, expected: str, net: Network) -> None:
    """Raise ValueError where noise stands between the activation that makes what is `expected` and the loss."""
    number = placement.disturbed_by(net.layers)
    if number is not None:
        raise ValueError(
            f"loss {loss} takes {expected}, but layers[{number}], a {net.layers[number].label()}, disturbs them before "
            "the loss sees them: put it before the last layer with weights"
        )
