"""Rows that should be apart and are not: what a trainer has seen, and what it is told of later.

"Use test data set for hyperparameter tuning!" is a mistake of lecture [003]; [004] makes it where early stopping is to
watch the test set. Kept are fingerprints and weak references, never the data. Judged are inputs alone, by equality:
that two rows are of one patient, or two pictures of one film, cannot be seen. Rows that lie on a GPU are not looked
at.

Where all columns are functions of one number that has few values (the sine and the cosine of the hour, and nothing
else), rows that repeat by nature look like copies; `warnings.filterwarnings("ignore", category=cr.LeakageWarning)`.
So they do in up to 5 of 100 data sets of a few dozen rows where columns are functions of several such numbers (hour,
weekday and month); among 300 rows they did in none of 400.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import fingerprints
from .callbacks import Callback
from .fingerprints import MOST_NUMBERS, NUMBERS_OF_A_FIT, Fingerprints

if TYPE_CHECKING:
    import numpy.typing as npt

    from .data import Rows

    Array = npt.NDArray[Any]

# Fits that are remembered, the last ones: a network that learns from a stream would else remember without end.
FITS = 8
# How far a number of rows that a sample tells may be off, in standard deviations of a count.
SURE = 4.0
DROP = "Drop those that are there twice (np.unique(X, axis=0, return_index=True)), or copy rows after the split only"


class LeakageWarning(UserWarning):
    """Rows that are to judge a network are among those that it was trained on, or that chose its epoch."""


class Seen:
    """What one fit has seen.

    Parameters
    ----------
    training, validation : Fingerprints
        Of the parts, or of samples of them.
    given : sequence
        The arrays that the parts are of. Where fingerprints are a sample, the others are taken from these when they are
        first asked for, if somebody still keeps them and that takes no more than 0.2 s.
    chosen_by : str or None
        Which callback has chosen by the validation part.
    """

    def __init__(
        self, training: Fingerprints, validation: Fingerprints | None, given: Sequence[object], chosen_by: str | None
    ) -> None:
        self.training, self.validation, self.chosen_by = training, validation, chosen_by
        self.sample = self.rows = training if validation is None else training.joined(validation)
        arrays = [] if self.rows.complete else [one for one in given if isinstance(one, np.ndarray)]
        self._given = [weakref.ref(one) for one in arrays] if len(arrays) == len(given) else []

    def repeats(self, other: Seen) -> bool:
        """Return whether another fit has seen the same rows, and chosen in the same way."""
        return self.chosen_by == other.chosen_by and np.array_equal(self.sample.whole, other.sample.whole)

    def all_rows(self, dtype: np.dtype[Any]) -> Fingerprints:
        """Return the fingerprints of all rows, or, where these are gone or were changed since, of the sample."""
        found = [reference() for reference in self._given]
        self._given = []
        arrays = [one for one in found if one is not None]
        if arrays and len(arrays) == len(found) and sum(one.size for one in arrays) <= MOST_NUMBERS:
            parts = [fingerprints.of_rows(one, dtype) for one in arrays]
            whole = parts[0] if len(parts) == 1 else parts[0].joined(parts[1])
            if whole.rows == self.sample.rows and whole.holds(self.sample).all():
                self.rows = whole
        return self.rows


class Memory:
    """What a trainer's fits have seen."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._fits: list[Seen] = []

    def take(
        self,
        given: Sequence[object],
        training: Rows,
        validation: Rows | None,
        callbacks: Sequence[Callback],
        *,
        stacklevel: int,
    ) -> None:
        """Remember the rows of a fit, and warn if the validation part has copies of those to train on.

        Parameters
        ----------
        given : sequence of one or two arrays
            X, and that of `validation_data`.
        training, validation : Rows
            As the engine gets them.
        callbacks : sequence of Callback
        stacklevel : int
            As that of `warnings.warn`, seen from the caller.
        """
        trained = self._prints(training.x, NUMBERS_OF_A_FIT)
        if trained is None:
            return
        validated = None if validation is None else self._prints(validation.x, NUMBERS_OF_A_FIT)
        if validated is not None:
            warn_of_validation(trained, validated, len(given) == 1, stacklevel + 1)
        seen = Seen(trained, validated, given, chooser(callbacks))
        self._fits = [*(one for one in self._fits if not one.repeats(seen)), seen][-FITS:]

    def check(self, x: object, *, stacklevel: int) -> None:
        """Warn if some rows to evaluate on, not all of them, were seen, or if they chose the epoch."""
        rows = self._prints(x, MOST_NUMBERS) if self._fits else None
        if rows is None:
            return
        for fit in self._fits:
            if fit.chosen_by is not None and fit.validation is not None and is_of(fit.validation, rows):
                warnings.warn(
                    f"all {rows.rows} rows of X are of the validation part, by which {fit.chosen_by} has chosen when "
                    "to stop or what to keep: they no longer test. Evaluate on rows that chose nothing (cr.split makes "
                    "such a part); allow_seen=True says that this is meant",
                    LeakageWarning,
                    stacklevel=stacklevel + 1,
                )
                return
        known = [fit.all_rows(self._dtype) for fit in self._fits]
        held = [one.holds(rows) for one in known]
        # For one row that both samples have, so many are in both sets.
        each = max(one.each for one in known) * rows.each
        count = int(np.count_nonzero(np.any(held, axis=0)))
        most = count * each + (SURE * np.sqrt(count) * each if each > 1 else 0)
        # All of them: somebody wants to know the training error.
        if most >= rows.rows:
            return
        if not any(fingerprints.tell_of_copies(one, rows, found) for one, found in zip(known, held, strict=True)):
            return
        warnings.warn(
            f"{told(count * each, rows, each > 1)} of X were trained on or validated with: the figures say too little "
            "of rows that are new. Test with rows of their own (cr.split keeps parts apart); allow_seen=True says that "
            "this is meant",
            LeakageWarning,
            stacklevel=stacklevel + 1,
        )

    def _prints(self, x: object, most: int) -> Fingerprints | None:
        """Return the fingerprints of rows, None where they lie on a GPU."""
        return fingerprints.of_rows(x, self._dtype, most) if isinstance(x, np.ndarray) else None


def chooser(callbacks: Sequence[Callback]) -> str | None:
    """Return the first callback that ends a fit, or keeps weights, by figures of the validation part; None for none."""
    for callback in callbacks:
        if any(name.startswith("val_") for name in callback.chooses_by()):
            return type(callback).__name__
    return None


def is_of(part: Fingerprints, rows: Fingerprints) -> bool:
    """Return whether rows are copies of rows of a part, each of them; where that is a sample, whether they are it."""
    found = part.holds(rows)
    whole = bool(found.all()) if part.complete else rows.rows == part.rows and bool(rows.holds(part).all())
    return whole and fingerprints.tell_of_copies(part, rows, found)


def told(count: float, rows: Fingerprints, estimated: bool) -> str:
    """Return how many of some rows, in words."""
    number = f"about {float(f'{min(count, rows.rows):.2g}'):.0f}" if estimated else f"{count:.0f}"
    return f"{number} of {rows.rows} rows"


def warn_of_validation(training: Fingerprints, validation: Fingerprints, is_split: bool, stacklevel: int) -> None:
    """Warn if a validation part has copies of rows to train on, unless it is the training part itself."""
    found = training.holds(validation)
    if training.is_same_set(validation) or not fingerprints.tell_of_copies(training, validation, found):
        return
    each = training.each * validation.each
    where, advice = "validation_data", "Keep the parts apart, as cr.split does"
    if is_split:
        where, advice = "the validation part", f"X has rows more than once. {DROP}"
    warnings.warn(
        f"{told(int(np.count_nonzero(found)) * each, validation, each > 1)} of {where} are trained on, too: their "
        f"figures say too little of rows that are new. {advice}",
        LeakageWarning,
        stacklevel=stacklevel + 1,
    )


def warn_of_split(array: object, parts: Mapping[str, Array], stacklevel: int) -> None:
    """Warn if parts of a data set have copies of rows of the parts before, the first of which is trained on.

    Parameters
    ----------
    array : array or data frame
        The inputs; nothing is said of what is no table of numbers, or one that takes more than 0.2 s.
    parts : mapping from str to ndarray of int
        The rows of each part.
    stacklevel : int
        As that of `warnings.warn`, seen from the caller.
    """
    x = np.asarray(array)
    if x.ndim != 2 or x.dtype.kind not in "biuf" or x.size > MOST_NUMBERS:
        return
    rows = fingerprints.of_rows(x, np.dtype(np.float64))
    names, evidence = [name for name, numbers in parts.items() if len(numbers)], []
    before = rows.take(parts[names[0]])
    for name in names[1:]:
        own = rows.take(parts[name])
        found = before.holds(own)
        if fingerprints.tell_of_copies(before, own, found):
            evidence.append(f"{told(int(np.count_nonzero(found)), own, False)} of {name}")
        before = before.joined(own)
    if evidence:
        warnings.warn(
            f"{', '.join(evidence)} equal rows of the parts before: what is learned by heart will look like what is "
            f"understood. {DROP}",
            LeakageWarning,
            stacklevel=stacklevel + 1,
        )
