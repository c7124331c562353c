"""What a run goes back to when loss or parameters stop being finite, and the sentence that says so.

The loss of a step is that before its update, so the last update of an epoch is judged by the next loss only: the
state of the epoch before is therefore kept too. Nothing here decides whether a run diverged; the trainer does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from ._engine import EpochDone, RunContent
    from ._engine.float32 import Fit as CoreFit
    from ._engine.float32 import Network as CoreNetwork
    from ._engine.float32 import Optimizer as CoreOptimizer


class DivergenceWarning(RuntimeWarning):
    """Loss or parameters stopped being finite; the weights are those of the last good epoch, or what a callback set."""


class LastGood:
    """The state at the end of the last epoch, and of the one before it; at first, that of the start.

    Both are kept where the network is: on a GPU an epoch copies nothing out.
    """

    def __init__(self, engine: ModuleType, core: CoreNetwork, optimizer: CoreOptimizer) -> None:
        self._core = core
        self._last, self._spare = (engine.RunState(core, optimizer) for _ in range(2))
        self._has_spare = False
        self._last_is_end = False  # whether `_last` is the end of the last epoch that was done

    def start(self) -> None:
        """Keep the start of a run."""
        self._last.keep()

    def keep(self, *, at_the_end: bool = False) -> bool:
        """Keep the end of an epoch, if all parameters are finite; return whether they are.

        `at_the_end` of a run nobody goes on from there: if it is bad, the run goes back to the epoch before, else it is
        what the network has. Then nothing is copied.
        """
        if not self._core.is_finite():
            return False
        self._last_is_end = not at_the_end
        if at_the_end:
            return True
        self._last, self._spare = self._spare, self._last
        self._last.keep()
        self._has_spare = True
        return True

    def run_epochs(self, run: CoreFit, first: int, count: int, last: int) -> list[EpochDone]:
        """Run epochs one after the other and keep the end of each; but that of the `last` of a run, as `keep` does."""
        try:
            run.run_epochs(first - 1, count, self._last, self._spare, last - 1)
        finally:
            done = run.records()
            good = sum(good for _, _, good in done)
            if good:
                self._last_is_end = first + good - 1 < last
            if good > 1 or (good and self._last_is_end):
                self._has_spare = True
        return done

    def forget_last(self) -> None:
        """Take the end of the last epoch for bad: what was before it is the last good state again."""
        if self._last_is_end:
            self._last, self._spare = self._spare, self._last

    def contents(self) -> tuple[RunContent, RunContent | None]:
        """Return both states; None for one that there is not yet."""
        return self._last.content(), self._spare.content() if self._has_spare else None

    def take(self, last: RunContent, spare: RunContent | None) -> None:
        """Take what `contents` of an earlier run gave."""
        self._last.take(**last)
        self._has_spare = spare is not None
        if spare is not None:
            self._spare.take(**spare)
        self._last_is_end = self._has_spare

    def restore(self) -> None:
        """Set the network and the optimizer back."""
        self._last.restore()

    def is_here(self) -> bool:
        """Return whether the network has the last good weights."""
        return bool(self._last.is_here())


def went_wrong(where: str, loss_is_finite: bool, rate: float) -> str:
    """Return what happened in an epoch: its loss is not finite, or else something that the network learned is not."""
    what = "parameters or statistics were" if loss_is_finite else "the loss was"
    return f"{what} no longer finite {where}, with learning rate {rate:g}"


def updates_went_wrong(where: str, epoch: int, rate: float) -> str:
    """Return what happened when an epoch's updates led to weights whose loss is not finite."""
    return f"the loss was no longer finite {where}, after the updates of epoch {epoch} with learning rate {rate:g}"


def tells_of_divergence(stop_reason: str) -> bool:
    """Return whether a history's `stop_reason` is one of the sentences here."""
    return "no longer finite" in stop_reason or "the loss was not finite" in stop_reason


def whole_sentence(what: str, epochs_done: int, epochs_kept: int, last_good: bool) -> str:
    """Return what happened, which weights the network has now, and what may help."""
    if last_good:
        whose = f"of the end of epoch {epochs_done}" if epochs_kept else "of the start of this fit"
    else:
        whose = "that a callback set at the end, as EarlyStopping does with those of the best epoch"
    return f"{what}; the weights are those {whose}. Try a smaller learning rate, or standardised inputs"
