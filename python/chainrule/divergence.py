"""What a run goes back to when loss or parameters stop being finite, and the sentence that says so.

The loss of a step is that before its update, so the last update of an epoch is judged by the next loss only: the
state of the epoch before is therefore kept too. Nothing here decides whether a run diverged; the trainer does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import data

if TYPE_CHECKING:
    import numpy.typing as npt

    from ._engine.float32 import Network as CoreNetwork
    from ._engine.float32 import Optimizer as CoreOptimizer

    Array = npt.NDArray[Any]


class State:
    """A run at one moment: parameters, the optimizer's state and rate, the counts of dropout masks and of updates."""

    def __init__(self, core: CoreNetwork, arena: Array) -> None:
        self._core = core
        self.weights: Array = np.empty_like(arena)

    def keep(self, optimizer: CoreOptimizer, arena: Array) -> None:
        """Keep what is now; `arena` is that of the network, asked for once: on a GPU it is a copy."""
        np.copyto(self.weights, arena)
        self._states = [state.copy() for state in optimizer.state()]
        self._steps = (self._core.steps, optimizer.steps)
        self._rate = optimizer.rate

    def restore(self, optimizer: CoreOptimizer) -> None:
        """Make it now again."""
        self._core.set_arena(self.weights)
        self._core.steps = self._steps[0]
        optimizer.restore(self._steps[1], self._states)
        optimizer.rate = self._rate


class LastGood:
    """The state at the end of the last epoch, and of the one before it; at first, that of the start."""

    def __init__(self, core: CoreNetwork, optimizer: CoreOptimizer) -> None:
        self._core, self._optimizer = core, optimizer
        arena = core.arena()
        self._last = State(core, arena)
        self._last.keep(optimizer, arena)
        self._before: State | None = None

    def take(self) -> bool:
        """Keep the end of an epoch, if all parameters are finite; return whether they are."""
        arena = self._core.arena()
        if not data.all_finite(arena):
            return False
        older = State(self._core, arena) if self._before is None else self._before
        self._before, self._last = self._last, older
        self._last.keep(self._optimizer, arena)
        return True

    def forget_last(self) -> None:
        """Take the end of the last epoch for bad: what was before it is the last good state again."""
        assert self._before is not None
        self._last, self._before = self._before, None

    def restore(self) -> None:
        """Set the network and the optimizer back."""
        self._last.restore(self._optimizer)

    def is_here(self) -> bool:
        """Return whether the network has the last good weights."""
        return np.array_equal(self._core.arena(), self._last.weights)


def went_wrong(where: str, loss_is_finite: bool, rate: float) -> str:
    """Return what happened in an epoch: its loss is not finite, or else something that the network learned is not."""
    what = "parameters or statistics were" if loss_is_finite else "the loss was"
    return f"{what} no longer finite {where}, with learning rate {rate:g}"


def updates_went_wrong(where: str, epoch: int, rate: float) -> str:
    """Return what happened when an epoch's updates led to weights whose loss is not finite."""
    return f"the loss was no longer finite {where}, after the updates of epoch {epoch} with learning rate {rate:g}"


def whole_sentence(what: str, epochs_done: int, epochs_kept: int, last_good: bool) -> str:
    """Return what happened, which weights the network has now, and what may help."""
    if last_good:
        whose = f"of the end of epoch {epochs_done}" if epochs_kept else "of the start of this fit"
    else:
        whose = "that a callback set at the end, as EarlyStopping does with those of the best epoch"
    return f"{what}; the weights are those {whose}. Try a smaller learning rate, or standardised inputs"
