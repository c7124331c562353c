"""scikit-learn's own callbacks, which came with version 1.9: each epoch, or iteration of L-BFGS, is a task of the fit.

With an older scikit-learn there are none: the mixin is empty, and nothing is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ..callbacks import Callback

# Calls between a user's and `fit` itself, which warnings have to look past.
WRAPPED = 1
try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before 1.9
    WRAPPED = 0
    Method = TypeVar("Method", bound=Callable[..., Any])

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method: Method) -> Method:
        """Return the method as it is."""
        return method


if TYPE_CHECKING:
    from .base import BaseMLP

__all__ = ["WRAPPED", "CallbackSupportMixin", "Tasks", "with_callbacks"]


class Tasks(Callback):
    """The tasks of one fit, for the callbacks that `set_callbacks` gave an estimator; nothing where it has none.

    Parameters
    ----------
    est : BaseMLP
    X, y : array
        That a fit was given.
    incremental : bool
        Whether this is `partial_fit`, which is no fit of its own: nobody is called.
    """

    def __init__(self, est: BaseMLP, X: Any, y: Any, incremental: bool) -> None:
        self._est, self._given = est, {"X": X, "y": y}
        self._fit: Any = None
        self._epoch: Any = None
        if not incremental and (hasattr(est, "_skl_callbacks") or hasattr(est, "_parent_callback_ctx")):
            # SciPy tells of the end of an iteration only: one more begins, and is ended by close().
            most = est.max_iter + (est.solver == "lbfgs")
            self._fit = est._init_callback_context(task_name="fit", max_subtasks=most)
            self._fit.call_on_fit_task_begin(estimator=est, **self._given)

    @property
    def wanted(self) -> bool:
        """Whether somebody wants to be called."""
        return self._fit is not None

    def begin(self) -> None:
        """Tell that a task begins."""
        if self._fit is not None:
            self._epoch = self._fit.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(estimator=self._est, **self._given)

    def end(self) -> bool:
        """Tell that it ends; return whether a callback wants the fit to stop."""
        task, self._epoch = self._epoch, None
        if task is None:
            return False
        return bool(task.call_on_fit_task_end(estimator=self._est, **self._given, reconstruction_attributes=self._now))

    def close(self) -> None:
        """Tell that the fit is over."""
        self.end()
        if self._fit is not None:
            self._fit.call_on_fit_task_end(estimator=self._est, **self._given, reconstruction_attributes=self._now)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Begin a task."""
        self.begin()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """End it, and stop if that is wished."""
        if self.end():
            self.trainer.stop("a callback of scikit-learn asked for it")

    def _now(self) -> dict[str, Any]:
        """Return what makes an estimator that is fitted as far as this one is."""
        return {"network_": self._est.network_.copy(), "_trainer": None}
