"""Recorders: callbacks that write down what a fit does, to files or to a function. None of them changes it.

`History` has the same figures when the fit is over; these have them while it runs, and after the power has failed.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from . import checks
from .callbacks import HOOKS, MODES, Callback, check_monitored, checked_monitor, is_better, kept_best
from .data import all_finite
from .storage import check_folder, checked_path, description, needs_safetensors, write_whole

# Numbers the event files that this process opens.
OPENED = itertools.count()


@dataclass
class ModelCheckpoint(Callback):
    """Save the network at the end of each epoch, or of those that are the best so far.

    A file is there whole or not at all; one of an earlier epoch under the same name is replaced. For the state of the
    optimizer see `Trainer`: only the network is saved.

    Parameters
    ----------
    path : str or path-like
        Where to. The epoch and the figures of the history may be named as in `str.format`:
        "net-{epoch:03d}-{val_loss:.3f}.safetensors". The folder must be there.
    monitor : str, default "val_loss"
        What is the best, a name in the history; only looked at with `save_best_only`.
    save_best_only : bool, default False
        Whether only an epoch that is better than all before it in this fit is saved.
    mode : {"auto", "min", "max"}
        Whether small or large is good; "auto" knows: accuracy, precision, recall and F1 up, all else down.
    save_every : int, default 1
        Epochs from one look to the next.
    """

    path: str | os.PathLike[str]
    _: KW_ONLY
    monitor: str = "val_loss"
    save_best_only: bool = False
    mode: str = "auto"
    save_every: int = 1
    _best: float | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the options."""
        checked_path(self.path)
        self.monitor = checked_monitor("monitor", self.monitor)
        self.save_best_only = checks.flag("save_best_only", self.save_best_only)
        checks.word("mode", self.mode, MODES)
        self.save_every = checks.whole("save_every", self.save_every)

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Check that the first file could be written, and forget earlier runs."""
        needs_safetensors("ModelCheckpoint")
        description(self.trainer.net)  # refuses a network that cannot be saved
        history = self.trainer.history
        if self.save_best_only:
            check_monitored(self.monitor, history)
        target = self._target(history.first_epoch, dict.fromkeys(history, 0.0))
        check_folder("path", target)
        self._best = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Save the network, if it is one to save."""
        if (epoch - self.trainer.history.first_epoch + 1) % self.save_every:
            return
        if self.save_best_only:
            value = logs.get(self.monitor, float("nan"))
            if not is_better(value, self._best, self.monitor, self.mode, 0.0):
                return
            self._best = value
        self.trainer.net.save(self._target(epoch, self.trainer.history.last()))

    def chooses_by(self) -> tuple[str, ...]:
        """Return the monitored figure, where it chooses."""
        return (self.monitor,) if self.save_best_only else ()

    def state_dict(self) -> dict[str, Any]:
        """Return the best figure so far."""
        return {"best": self._best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the best figure of an earlier run."""
        self._best = kept_best(state["best"])

    def _target(self, epoch: int, logs: Mapping[str, float]) -> str:
        """Return the name of an epoch's file."""
        try:
            return os.fspath(self.path).format(epoch=epoch, **logs)
        except (AttributeError, LookupError, TypeError, ValueError) as error:  # "{epoch.x}", "{x}", "{epoch[0]}", "{"
            names = ", ".join(["epoch", *logs])
            raise ValueError(f"path={str(self.path)!r} cannot be filled in ({error}); there are {names}") from None


@dataclass
class CSVLogger(Callback):
    """Write a line an epoch to a file of comma-separated values, under a line of names: "epoch" and the history's.

    Every line is in the file before the next epoch begins. An epoch that the trainer takes back because the run
    diverged stays there.

    Parameters
    ----------
    path : str or path-like
        A file that is there already is overwritten, unless `append` is set.
    separator : str, default ","
        One character.
    append : bool, default False
        Whether to write behind what the file has, which must have the same names; for a fit that goes on.
    """

    path: str | os.PathLike[str]
    _: KW_ONLY
    separator: str = ","
    append: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        checked_path(self.path)
        if not isinstance(self.separator, str) or len(self.separator) != 1 or self.separator in '"\r\n':
            raise ValueError(f"separator must be one character, such as ','; got {checks.shown(self.separator)}")
        self.append = checks.flag("append", self.append)

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Write the names, or look whether they are there."""
        history = self.trainer.history
        names = ["epoch", *history]
        if history.epochs:
            self._keep_up_to(history.first_epoch + history.epochs - 1, names)
            return
        if self.append and os.path.exists(self.path) and os.path.getsize(self.path) > 0:
            with open(self.path, newline="", encoding="utf-8") as file:
                found = next(csv.reader(file, delimiter=self.separator), [])
            if found != names:
                raise ValueError(f"{os.fspath(self.path)} has the columns {found}; this fit has {names}")
            return
        self._write("w", names)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Write the figures of an epoch."""
        self._write("a", [epoch, *self.trainer.history.last().values()])

    def _keep_up_to(self, last: int, names: list[str]) -> None:
        """Take the last lines out that are of later epochs: a fit that goes on from a snapshot does them again."""
        lines: list[list[str]] = []
        if os.path.exists(self.path):
            with open(self.path, newline="", encoding="utf-8") as file:
                lines = list(csv.reader(file, delimiter=self.separator))[1:]
        # The last line may be cut.
        while lines and not (len(lines[-1]) == len(names) and lines[-1][0].isdigit() and int(lines[-1][0]) <= last):
            del lines[-1]
        target = checked_path(self.path)
        write_whole(target, self._text([names, *lines]).encode(), f"{target}.part")

    def _write(self, mode: str, values: list[Any]) -> None:
        with open(self.path, mode, newline="", encoding="utf-8") as file:
            file.write(self._text([values]))

    def _text(self, lines: list[list[Any]]) -> str:
        text = io.StringIO()
        csv.writer(text, delimiter=self.separator, lineterminator="\n").writerows(lines)
        return text.getvalue()


@dataclass
class TensorBoard(Callback):
    """Write what TensorBoard shows: the figures of each epoch and, if asked, histograms of weights and gradients.

    `tensorboard --logdir log_dir` shows them while the fit runs, two seconds late at most. There are two runs, as
    Keras makes them: "train" with the history's figures by their names ("loss", "learning_rate"), and "validation"
    with those of the validation part by the same names ("val_loss" is its "loss"), so that both lie in one picture.
    An epoch that the trainer takes back because the run diverged stays there.

    Parameters
    ----------
    log_dir : str or path-like
        The folder, made where there is none. Fits that go on from each other may share it; others want one each.
    histogram_freq : int, default 0
        Epochs from one histogram to the next, 0 for none: "weights/0.weight" of each parameter, and
        "gradients/0.weight" as the last step of the epoch had it, penalties and clipping included. There is none of
        frozen layers and of numbers that are not finite.

    Notes
    -----
    tensorboardX writes the files: pip install "chainrule[tensorboard]". TensorBoard itself is another package.
    """

    log_dir: str | os.PathLike[str]
    _: KW_ONLY
    histogram_freq: int = 0
    _writers: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the options."""
        checked_path(self.log_dir)
        self.histogram_freq = checks.whole("histogram_freq", self.histogram_freq, least=0)

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Open a file for each run."""
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ImportError('TensorBoard needs tensorboardX: pip install "chainrule[tensorboard]"') from error
        self._close()  # of a fit that was interrupted
        history = self.trainer.history
        runs = ["train", *(["validation"] if any(name.startswith("val_") for name in history) else [])]
        # Names of files have the second in which they were opened; two fits of one second must not share one.
        suffix = f".{os.getpid()}.{next(OPENED)}"
        for run in runs:
            folder = os.path.join(os.fspath(self.log_dir), run)
            self._writers[run] = SummaryWriter(folder, filename_suffix=suffix, flush_secs=2)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Write the figures of an epoch."""
        for name, value in logs.items():
            run = "validation" if name.startswith("val_") else "train"
            self._writers[run].add_scalar(name.removeprefix("val_"), value, epoch)
        if self.histogram_freq and (epoch - self.trainer.history.first_epoch + 1) % self.histogram_freq == 0:
            net = self.trainer.net
            for kind, arrays in (("weights", net.parameters()), ("gradients", net.gradients())):
                for name, array in arrays.items():
                    if int(name.split(".")[0]) not in net.frozen and all_finite(array):
                        self._writers["train"].add_histogram(f"{kind}/{name}", array, epoch)

    def on_train_end(self, logs: Mapping[str, float]) -> None:
        """Close the files."""
        self._close()

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


class LambdaCallback(Callback):
    """Call functions at the hooks, without a class of one's own.

    Parameters
    ----------
    on_train_begin, on_train_end : callable, optional
        Called with `logs`.
    on_epoch_begin, on_epoch_end : callable, optional
        Called with the epoch and `logs`.

    Examples
    --------
    >>> cr.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    """

    def __init__(
        self,
        *,
        on_train_begin: Callable[[Mapping[str, float]], object] | None = None,
        on_epoch_begin: Callable[[int, Mapping[str, float]], object] | None = None,
        on_epoch_end: Callable[[int, Mapping[str, float]], object] | None = None,
        on_train_end: Callable[[Mapping[str, float]], object] | None = None,
    ) -> None:
        given = zip(HOOKS, (on_train_begin, on_epoch_begin, on_epoch_end, on_train_end), strict=True)
        self._hooks: dict[str, Callable[..., object]] = {name: hook for name, hook in given if hook is not None}
        if not self._hooks:
            raise TypeError(f"LambdaCallback needs a function for one of {', '.join(HOOKS)}")
        for name, function in self._hooks.items():
            if not callable(function):
                raise TypeError(f"{name} must be a function; got {checks.shown(function)}")

    def __repr__(self) -> str:
        """Return the hooks that are taken."""
        return f"LambdaCallback({', '.join(self._hooks)})"

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Call the function of that name."""
        self._call("on_train_begin", logs)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Call the function of that name."""
        self._call("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Call the function of that name."""
        self._call("on_epoch_end", epoch, logs)

    def on_train_end(self, logs: Mapping[str, float]) -> None:
        """Call the function of that name."""
        self._call("on_train_end", logs)

    def _call(self, hook: str, *arguments: object) -> None:
        if hook in self._hooks:
            self._hooks[hook](*arguments)
