"""Bayesian search by Optuna, connected: a space as Optuna's suggestions, and a callback that reports epochs to it.

"Each new guess is independent from the previous run" in grid and random search ([002]); here it is not. The search
itself, its samplers and its pruners are Optuna's; nothing of them is repeated here. Optuna is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import checks
from .callbacks import Callback, check_monitored, checked_monitor
from .spaces import Settings, checked_space, is_distribution, plain

# Where an unbounded distribution is infinite: both ends of the shares are left out, by less than anything that counts.
EDGE = 2.0**-20
# What Optuna's storages keep as a choice; other objects are chosen by the words that make them.
PLAIN = (str, int, float, bool, type(None))


def needs_optuna(user: str) -> Any:
    """Return the package optuna, or raise ImportError naming the extra."""
    try:
        import optuna
    except ImportError as error:
        raise ImportError(f'{user} needs Optuna: pip install "chainrule[search]"') from error
    return optuna


class OptunaPruning(Callback):
    """Report each epoch's figure to a trial of Optuna, and end the fit where its pruner says that it is hopeless.

    For `search(method="optuna", prune=True)`, and for an objective of one's own.

    Parameters
    ----------
    trial : optuna.trial.Trial
        A trial takes one report for each epoch: one fit of it, not several folds.
    monitor : str, default "val_loss"
        A name in the history. Whether large is good, the study says: its direction.

    Attributes
    ----------
    pruned : bool
        Whether the last fit was ended.

    Examples
    --------
    >>> def objective(trial):
    ...     lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    ...     trainer = cr.Trainer(make_network(), loss="cross_entropy", optimizer=cr.SGD(lr))
    ...     pruning = cr.OptunaPruning(trial)
    ...     history = trainer.fit(X, y, epochs=50, validation_split=0.2, callbacks=[pruning])
    ...     if pruning.pruned:
    ...         raise optuna.TrialPruned
    ...     return history["val_loss"][-1]
    """

    def __init__(self, trial: Any, monitor: str = "val_loss") -> None:
        if not (hasattr(trial, "report") and hasattr(trial, "should_prune")):
            raise TypeError(f"trial must be a trial of Optuna, with report and should_prune; got {checks.shown(trial)}")
        self.trial = trial
        self.monitor = checked_monitor("monitor", monitor)
        self.pruned = False

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Check that the figure will be there."""
        check_monitored(self.monitor, self.trainer.history)
        self.pruned = False

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Report the figure, and stop if the trial is to be pruned."""
        if self.monitor not in logs:
            return  # not validated after this epoch
        self.trial.report(logs[self.monitor], epoch)
        if self.trial.should_prune():
            self.pruned = True
            self.trainer.stop(f"pruned by Optuna in epoch {epoch}, with {self.monitor}={logs[self.monitor]:g}")


def suggested(trial: Any, space: Mapping[str, Any]) -> Settings:
    """Return the point of a space that a trial of Optuna suggests.

    A list is a categorical choice. Of a distribution Optuna chooses the share u of its draws that are not above the
    value, uniform on [0, 1]: so that any distribution with a `ppf`, of scipy.stats too, is searched as it is meant.
    """
    settings: Settings = {}
    for name, values in checked_space("space", space).items():
        if is_distribution(values):
            settings[name] = plain(values.ppf(trial.suggest_float(name, EDGE, 1 - EDGE)))
        else:
            labels = [value if isinstance(value, PLAIN) else repr(value) for value in values]
            if len(set(labels)) < len(labels):  # 1 and True are equal, and mean different things
                labels = [repr(value) for value in values]
            settings[name] = values[labels.index(trial.suggest_categorical(name, labels))]
    return settings


def new_study(large_is_good: bool, seed: int) -> Any:
    """Return a study in memory, with Optuna's default sampler (TPE) and pruner (the median of earlier trials)."""
    optuna = needs_optuna('method="optuna"')
    # NumPy's RandomState, which the sampler draws with, takes 32 bits.
    sampler = optuna.samplers.TPESampler(seed=seed % 2**32)
    verbosity = optuna.logging.get_verbosity()
    # It logs that a study was created, which is no news here.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(
            direction="maximize" if large_is_good else "minimize", sampler=sampler, pruner=optuna.pruners.MedianPruner()
        )
    finally:
        optuna.logging.set_verbosity(verbosity)


def check_study(study: object, large_is_good: bool) -> None:
    """Raise TypeError or ValueError unless a study searches in the direction of the monitored figure."""
    if not isinstance(study, needs_optuna("study").Study):
        raise TypeError(f"study must be an optuna.Study; got {checks.shown(study)}")
    wanted = "maximize" if large_is_good else "minimize"
    if [one.name.lower() for one in study.directions] != [wanted]:
        raise ValueError(f"study must have direction={wanted!r}, as the monitored figure asks for")
