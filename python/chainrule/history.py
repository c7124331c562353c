"""What a run of training did, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import display
from .metrics import large_is_good

if TYPE_CHECKING:
    from .plots.canvas import Panels

# Figures of the run, not of the network; the last two depend on the machine and on what else it does.
ABOUT_THE_RUN = ("learning_rate", "gradient_norm", "samples_per_second", "seconds")


class History(Mapping[str, list[float]]):
    """The record of one `Trainer.fit`: a mapping from names to one number an epoch.

    Names are "loss" (of the data, without penalties, while the weights change: the mean over the epoch's rows, or the
    sum over them where the loss has reduction="sum"), the metrics, "penalty" where there is one (at the end of the
    epoch), the same of the validation part with "val_" in front (with the weights of the end of the epoch; NaN in an
    epoch after which nothing was validated), and, of the run, "learning_rate" and "gradient_norm" (of the epoch's last
    step: the Euclidean norm over all parameters that learn, with the penalties' gradients, after clipping),
    "samples_per_second" and "seconds" (of training, without validation). A precision, recall or F1 that has nothing to
    divide by is nan; `Trainer.scores` says of which class.

    Parameters
    ----------
    names : sequence of str
        The figures; a fit gives them.
    first_epoch : int, default 1
        Number of the first epoch.

    Attributes
    ----------
    first_epoch : int
        Number of the first epoch here: 1, or more where the trainer had trained before.
    stop_reason : str or None
        Why the run ended; None while it runs.
    restored_epoch : int or None
        Number of the epoch whose weights `EarlyStopping` brought back; None where the network has the last epoch's.
    rows : tuple of two ints, or None
        How many rows were trained on, and validated with, 0 for none; None where that is not known.
    summed : bool
        Whether "loss" and "val_loss" are sums over these rows, not means.
    weighted : bool
        Whether some of these rows had a weight.
    from_start : bool or None
        Whether the fit began with the parameters that the network's seed makes, not with any that an earlier fit, a
        file or another network had left there; None where that is not known.
    """

    def __init__(self, names: Sequence[str], first_epoch: int = 1) -> None:
        self._columns: dict[str, list[float]] = {name: [] for name in names}
        self._not_validated: set[int] = set()  # the places of those epochs
        self._best_epoch: int | None = None
        self.first_epoch = first_epoch
        self.stop_reason: str | None = None
        self.restored_epoch: int | None = None
        self.rows: tuple[int, int] | None = None
        self.summed = False
        self.weighted = False
        self.from_start: bool | None = None

    def __getitem__(self, name: str) -> list[float]:
        """Return the figures of one name, an epoch each."""
        if name not in self._columns:
            raise KeyError(f"{name!r}; there are {', '.join(self._columns)}")
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        """Return whether there are figures of this name."""
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._columns)

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._columns)

    @property
    def epochs(self) -> int:
        """Number of epochs finished."""
        return len(self._columns["loss"])

    @property
    def best_epoch(self) -> int | None:
        """Number of the epoch that `EarlyStopping` found best; without it, of the smallest val_loss, else loss."""
        if self._best_epoch is not None:
            return self._best_epoch
        values = self._columns.get("val_loss", self._columns["loss"])
        known = [(value, number) for number, value in enumerate(values, self.first_epoch) if not math.isnan(value)]
        return min(known)[1] if known else None

    @best_epoch.setter
    def best_epoch(self, number: int | None) -> None:
        self._best_epoch = number

    def measured(self, name: str) -> list[tuple[int, float]]:
        """Return the number of each epoch that has this figure, and the figure.

        Parameters
        ----------
        name : str
            A name of the history.

        Returns
        -------
        list of (int, float)
            In the order of the epochs; those that were not validated have no figure of the validation part.
        """
        skipped = self._not_validated if name.startswith("val_") else ()
        return [(self.first_epoch + i, value) for i, value in enumerate(self[name]) if i not in skipped]

    def add(self, record: Mapping[str, float]) -> None:
        """Append one epoch, whose record may lack all that is of the validation part."""
        for name, value in record.items():
            self._columns[name].append(float(value))
        if len(record) == len(self._columns):
            return
        for name, values in self._columns.items():
            if name not in record:
                if not name.startswith("val_"):
                    raise KeyError(name)
                values.append(math.nan)
                self._not_validated.add(len(values) - 1)

    def complete_last(self, record: Mapping[str, float]) -> None:
        """Give the last epoch the figures of the validation part, which it lacks."""
        for name, value in record.items():
            self._columns[name][-1] = float(value)
        self._not_validated.discard(self.epochs - 1)

    def drop_last(self) -> None:
        """Take the last epoch back."""
        for values in self._columns.values():
            del values[-1]
        self._not_validated.discard(self.epochs)

    def last(self) -> dict[str, float]:
        """Return the figures of the last epoch; nothing where there is none."""
        return {name: values[-1] for name, values in self._columns.items() if values}

    def state_dict(self) -> dict[str, Any]:
        """Return the figures, and what else is known of the epochs, as JSON's values."""
        columns = {name: list(values) for name, values in self._columns.items()}
        return {
            "columns": columns,
            "not_validated": sorted(self._not_validated),
            "best_epoch": self._best_epoch,
            "from_start": self.from_start,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` of a history with the same names gave; ValueError where it is something else."""
        columns, skipped, best = state["columns"], state["not_validated"], state["best_epoch"]
        if not isinstance(columns, dict) or list(columns) != list(self._columns):
            raise ValueError(f"it has not the figures {', '.join(self._columns)}")
        lengths = {len(values) if isinstance(values, list) else -1 for values in columns.values()}
        numbers = all(isinstance(value, float) for values in columns.values() for value in values)
        if len(lengths) != 1 or -1 in lengths or not numbers:
            raise ValueError("its figures must be lists of numbers, of one length")
        if not isinstance(skipped, list) or not set(map(repr, skipped)) <= set(map(repr, range(*lengths))):
            raise ValueError(f"not_validated is {skipped!r}")
        if not (best is None or type(best) is int):
            raise ValueError(f"best_epoch is {best!r}")
        if not (state["from_start"] is None or type(state["from_start"]) is bool):
            raise ValueError(f"from_start is {state['from_start']!r}")
        self._columns = {name: list(values) for name, values in columns.items()}
        self._not_validated, self._best_epoch = set(skipped), best
        self.from_start = state["from_start"]

    def gap(self, name: str = "loss") -> list[float]:
        """Return the generalisation gap by epoch: by how much a figure is worse on the validation part [004].

        Validation minus training; of accuracy, precision, recall and F1, which should be large, training minus
        validation. The training part is measured while the weights change, with dropout and noise at work: the gap of
        one state of the network is the difference of two calls of `Trainer.evaluate`, on test and training part.

        Parameters
        ----------
        name : str, default "loss"
            The loss or a metric.

        Returns
        -------
        list of float
            A number an epoch, above 0 where the validation part is worse.

        Raises
        ------
        KeyError
            If the history has no such figure of both parts.
        """
        sign = -1 if large_is_good(name) else 1
        return [sign * (held_out - seen) for seen, held_out in zip(self[name], self[f"val_{name}"], strict=True)]

    def plot(self) -> Panels:
        """Draw the learning curves, and return their panels; see `chainrule.plots.learning_curves`."""
        from .plots import learning_curves

        return learning_curves(self)

    def __repr__(self) -> str:
        """Return the last figures in a line."""
        last = ", ".join(f"{name}={value:.4g}" for name, value in self.last().items())
        return f"<History of {self.epochs} epochs; last {last or 'none'}; stopped: {self.stop_reason}>"

    def _repr_html_(self) -> str:
        """Return figures and curves for a notebook."""
        return display.of_history(self)


def names_of(metrics: Sequence[str], penalty: Sequence[object], validated: bool = False) -> list[str]:
    """Return the names of the history of a fit with these metrics and penalties, and perhaps a validation part."""
    measured = ["loss", *metrics]
    validation = [f"val_{name}" for name in measured] if validated else []
    return [*measured, *(["penalty"] if penalty else []), *validation, *ABOUT_THE_RUN]
