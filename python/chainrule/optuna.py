"""Optuna's studies, met from the other side: their objectives, with a callback that prunes as Optuna's own kind does.

chainrule's own search with Optuna's samplers is `search(method="optuna")`; what both share is in bayesian.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from .bayesian import OptunaPruning, needs_optuna


class PruningCallback(OptunaPruning):
    """Report each epoch's figure to a trial of Optuna, and raise TrialPruned where its pruner says that it is hopeless.

    The fit ends as by any other callback, with its history, and then raises: an objective needs no line about pruning.
    `OptunaPruning` is the one that does not raise.

    Parameters
    ----------
    trial, monitor : as for `OptunaPruning`
        What is told, and what of.

    Examples
    --------
    >>> def objective(trial):
    ...     model = MLPClassifier(
    ...         learning_rate_init=trial.suggest_float("rate", 1e-4, 1e-1, log=True),
    ...         callbacks=[chainrule.optuna.PruningCallback(trial)],
    ...     )
    ...     model.fit(X, y, X_val=X_val, y_val=y_val)
    ...     return model.validation_curve_[-1]
    """

    def on_train_end(self, logs: Mapping[str, float]) -> None:
        """Raise what Optuna takes for a pruned trial."""
        super().on_train_end(logs)
        if self.pruned:
            raise needs_optuna("chainrule.optuna").TrialPruned(self.trainer.history.stop_reason)
