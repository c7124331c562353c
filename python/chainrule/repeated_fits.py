"""What experiments that train again and again share: a fit that may diverge, builders, tables with notes.

Nothing is tuned or judged here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from . import checks
from .complexity import table
from .network import Network
from .trainer import DivergenceWarning, Trainer


def fit_diverges(trainer: Trainer, X: Any, y: Any, **options: Any) -> bool:
    """Train as `Trainer.fit` does, without a progress bar; return whether the run diverged, instead of a warning."""
    with warnings.catch_warnings():
        # The warning is the last thing that a fit does: all is set back by then.
        warnings.simplefilter("error", DivergenceWarning)
        try:
            trainer.fit(X, y, **{"verbose": False, **options})
        except DivergenceWarning:
            return True
    return False


def checked_builder(argument: str, value: object, of: str) -> Callable[..., Any]:
    """Return a builder; `of` says what it takes and gives, for the message."""
    # A network can be called too, and a class of them makes none from a seed.
    if not callable(value) or isinstance(value, (Network, type)):
        raise TypeError(f"{argument} must be a function of {of}; got {checks.shown(value)}")
    return value


def noted(head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> list[str]:
    """Return the lines of a table with a note after each row."""
    lines = table(head, rows)
    return [*lines[:2], *(f"{line}  {note}".rstrip() for line, note in zip(lines[2:-1], notes, strict=True)), lines[-1]]
