"""Pictures of a training run. They are made with matplotlib's objects and never touch pyplot's global state.

Only figures are made: showing and saving them is the caller's business. matplotlib is imported when one is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .history import History

__all__ = ["learning_curves"]

# Blue and vermilion of Okabe and Ito's palette, which colour-blind readers tell apart.
_TRAINING, _VALIDATION, _QUIET = "#0072B2", "#D55E00", "0.45"
_NOT_METRICS = ("loss", "penalty", "learning_rate", "seconds")


def learning_curves(history: History, ax: Axes | None = None) -> Any:
    """Draw the loss, and each metric, over the epochs, for training and validation; mark the best epoch.

    Parameters
    ----------
    history : History
        What `Trainer.fit` returned.
    ax : matplotlib Axes, optional
        Where to draw the losses, and nothing else. By default a new figure is made, with a panel for the losses and
        one for each metric.

    Returns
    -------
    matplotlib Figure
        The new figure, or the one that `ax` belongs to.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If the history holds no epoch.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('learning curves need matplotlib: pip install "chainrule[plot]"') from error
    if history.epochs == 0:
        raise ValueError("history holds no finished epoch; there is nothing to draw")
    if ax is not None:
        _panel(ax, history, "loss")
        return ax.figure
    names = ["loss"] + [name for name in history if name not in _NOT_METRICS and not name.startswith("val_")]
    figure = Figure(figsize=(4.8 * len(names), 3.6), layout="constrained")
    for i, name in enumerate(names):
        _panel(figure.add_subplot(1, len(names), i + 1), history, name)
    return figure


def _panel(ax: Axes, history: History, name: str) -> None:
    """Draw one figure of the run over its epochs."""
    from matplotlib.ticker import MaxNLocator

    epochs = range(history.first_epoch, history.first_epoch + history.epochs)
    # A single epoch is a point: a line through it would not be seen.
    marker = "o" if history.epochs == 1 else ""
    ax.plot(epochs, history[name], color=_TRAINING, marker=marker, label="training")
    marked = name
    if f"val_{name}" in history:
        marked = f"val_{name}"
        ax.plot(epochs, history[marked], color=_VALIDATION, marker=marker, label="validation")
    best = history.best_epoch
    if best is not None:
        value = history[marked][best - history.first_epoch]
        ax.axvline(best, color=_QUIET, linewidth=1, linestyle=":", zorder=0)
        ax.plot([best], [value], "o", color=_QUIET, label=f"best epoch: {best} ({value:.4g})")
    ax.set_xlabel("epoch")
    ax.set_ylabel(name)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="0.9")
    ax.set_axisbelow(True)
    ax.legend(frameon=False)
