"""The progress bar of a fit: one bar for all epochs, drawn by tqdm, or nothing at all.

tqdm is imported only when a bar is shown. This file decides whether to show one and what stands beside it; it does
not measure, print tables or know anything of networks.
"""

from __future__ import annotations

import shutil
import sys
import threading
import warnings
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from . import checks
from .history import ABOUT_THE_RUN

__all__ = ["Progress", "bar", "figures", "somebody_watches"]

# Of an epoch's record; they would push what matters off a narrow terminal.
_NOT_SHOWN = ("penalty", *ABOUT_THE_RUN)
_importing = threading.Lock()


class Progress:
    """The silent bar: takes every report and shows nothing. What is shown is a subclass.

    Use it as a context manager, so that the bar is closed when a fit ends by an exception.
    """

    shows = False

    def step(self, steps_done: int, loss: float) -> None:
        """Report that `steps_done` steps of the running epoch are done, with this mean loss so far."""

    def epoch(self, number: int, record: Mapping[str, float]) -> None:
        """Report that epoch `number`, counted from 1, is done; `record` holds its figures by name."""

    def skip(self, epochs: int) -> None:
        """Report that so many epochs were done before the bar was shown."""

    def close(self) -> None:
        """Leave the bar as it stands and end its line."""

    def __enter__(self) -> Progress:
        """Return the bar itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the bar, whatever happened."""
        self.close()


class _Bar(Progress):
    """A bar that fills over all steps of all epochs: an epoch is often too short for a bar of its own."""

    shows = True

    def __init__(self, tqdm: Any, epochs: int, steps_per_epoch: int) -> None:
        self._epochs = epochs
        self._steps_per_epoch = steps_per_epoch
        self._epochs_done = 0
        self._figures = ""
        # Of what does not fit into 80 columns, the rate is missed least.
        rate = ", {rate_fmt}" if shutil.get_terminal_size().columns >= 100 else ""
        self._bar = tqdm(
            total=epochs * steps_per_epoch,
            desc=f"epoch 1/{epochs}",
            unit=" steps",
            unit_scale=True,
            dynamic_ncols=True,
            bar_format="{desc} |{bar}| <{remaining}" + rate + "{postfix}",
        )

    def step(self, steps_done: int, loss: float) -> None:
        number = min(self._epochs_done + 1, self._epochs)
        # The figures of the last whole epoch stay in sight: the running loss alone says nothing of validation.
        self._show(number, min(steps_done, self._steps_per_epoch), self._figures or f"loss={loss:.4g}")

    def epoch(self, number: int, record: Mapping[str, float]) -> None:
        # `number` goes on counting when a network is trained again; the bar fills by the epochs of this fit.
        self._epochs_done += 1
        self._figures = figures(record)
        self._show(self._epochs_done, 0, self._figures)

    def skip(self, epochs: int) -> None:
        self._epochs_done = epochs
        self._bar.initial = self._bar.n = epochs * self._steps_per_epoch  # they count for no rate

    def _show(self, number: int, steps_of_epoch: int, figures: str) -> None:
        position = self._epochs_done * self._steps_per_epoch + steps_of_epoch
        self._bar.set_description_str(f"epoch {number}/{self._epochs}", refresh=False)
        self._bar.set_postfix_str(figures, refresh=False)
        self._bar.update(max(position - self._bar.n, 0))

    def close(self) -> None:
        self._bar.refresh()
        self._bar.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        done = self._bar.n
        if kind is None and 0 < done < self._bar.total:
            # A fit that a callback ended is done: nothing remains, and a notebook shows no red bar.
            self._bar.reset(total=done)
            self._bar.update(done)
        super().__exit__(kind, error, trace)


def figures(record: Mapping[str, float]) -> str:
    """Return "loss=0.123, val_loss=0.234, val_accuracy=0.9": losses, then metrics (of validation, if any)."""
    names = [name for name in record if name == "loss" or f"val_{name}" not in record]
    names = [name for name in names if name.removeprefix("val_") not in _NOT_SHOWN]
    names.sort(key=lambda name: not name.endswith("loss"))
    return ", ".join(f"{name}={record[name]:.3g}" for name in names)


def bar(epochs: int, steps_per_epoch: int, verbose: bool | int | str = "auto") -> Progress:
    """Return the progress bar of a fit.

    Parameters
    ----------
    epochs, steps_per_epoch : int
        How much there is to do.
    verbose : "auto", True or False (1 or 0)
        "auto" shows a bar where somebody can see it (standard error is a terminal, or a notebook runs) and tqdm is
        installed; True always shows one; False never.

    Returns
    -------
    Progress
        With `step`, `epoch` and `close`; a context manager.

    Raises
    ------
    ValueError
        If `verbose` is something else.
    ImportError
        If `verbose` is True and tqdm is missing.
    """
    if not is_wanted(verbose):
        return Progress()
    try:
        tqdm = _imported_tqdm()
    except ImportError as error:
        if verbose == "auto":
            return Progress()
        raise ImportError('verbose=True needs tqdm: pip install "chainrule[plot]"') from error
    return _Bar(tqdm, epochs, steps_per_epoch)


def _imported_tqdm() -> Any:
    """Return tqdm's bar, imported by one thread at a time: filters of warnings are the whole process's."""
    with _importing:
        if (loaded := sys.modules.get("tqdm.auto")) is not None:
            return loaded.tqdm
        with warnings.catch_warnings():
            # In a notebook without ipywidgets tqdm draws with characters, which is no reason to warn.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm
    return tqdm


def is_wanted(verbose: object) -> bool:
    """Return whether progress is shown: "auto" where somebody can see it; ValueError for what is no answer."""
    if isinstance(verbose, str) and verbose == "auto":
        return somebody_watches()
    if not isinstance(verbose, int) or verbose not in (0, 1):  # a bool is an int
        raise ValueError(f'verbose must be "auto", True or False; got {checks.shown(verbose)}')
    return bool(verbose)


def somebody_watches() -> bool:
    """Return whether standard error is a terminal or a notebook runs this code."""
    # sys.stderr is None under pythonw, and a replaced stream may lack isatty.
    is_terminal = getattr(sys.stderr, "isatty", lambda: False)
    return bool(is_terminal()) or _in_notebook()


def _in_notebook() -> bool:
    """Return whether a Jupyter kernel runs this code (IPython in a terminal is a terminal)."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"
