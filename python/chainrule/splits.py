"""Splits: the parts of a data set, and what each is for. Nothing is trained here, and no rows are made.

A network learns from the first part; of the others it learns nothing, and each answers one question [003]::

    training      what the parameters learn from
    training_dev  rows like those of training: does what was learned hold for others of the kind?   (variance)
    validation    rows like those that will come: does it hold for them?                            (mismatch)
                  It chooses epochs and settings.
    test          rows that chose nothing: was too much chosen by the validation part?

"Keep 10-30% of data for validation" [000].
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, data, leakage, sparse

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

# Lecture [000]: fewer rows judge badly, more are missing in training.
VALIDATION_SHARES = (0.1, 0.3)
# In the order in which they are cut off: the later ones of rows in order come first.
SHARES = ("test", "validation", "training_dev")


class SplitWarning(UserWarning):
    """A validation part of less than 10 or more than 30 % of the rows."""


@dataclass(frozen=True)
class Split:
    """The parts of a data set; each is a tuple of arrays, in the order in which they were given.

    Attributes
    ----------
    training, training_dev, validation, test : tuple of arrays
        Empty where there is no such part.
    rows : mapping from str to ndarray of int
        The numbers of each part's rows, ascending.
    """

    training: tuple[Any, ...]
    training_dev: tuple[Any, ...]
    validation: tuple[Any, ...]
    test: tuple[Any, ...]
    rows: Mapping[str, Array]

    def __repr__(self) -> str:
        """Return how many rows the parts have."""
        return f"Split({', '.join(f'{name}={len(rows)}' for name, rows in self.rows.items())})"


def split(
    *arrays: Any,
    validation: float = 0.2,
    test: float = 0.2,
    training_dev: float = 0.0,
    stratify: npt.ArrayLike | None = None,
    shuffle: bool = True,
    seed: int = 0,
) -> Split:
    """Cut the rows of some arrays into training, training-dev, validation and test part; training has what is left.

    Parameters
    ----------
    *arrays : array, data frame or sparse matrix
        As many rows each: `X, y`, or `X, y, sample_weight`. A frame with `iloc` is cut into frames, a sparse matrix of
        SciPy into such ones in CSR, all else into copies of its rows as NumPy has them.
    validation, test, training_dev : float
        Shares of all rows, at least 0 and together below 1; 0 for no such part. A share that is not 0 gives at least
        one row.
    stratify : array of shape (N,), optional
        Classes of the rows: every part gets of each its share, as nearly as whole rows allow. Of a class that is rarer
        than the parts are many, training gets what there is first.
    shuffle : bool, default True
        Whether rows are drawn at random. Without, the parts follow each other in the order of `Split`: what comes last
        in time is tested on.
    seed : int, default 0
        The same seed and as many rows give the same parts on every machine.

    Returns
    -------
    Split
        The parts, each a tuple of as many arrays as were given; empty for a part of share 0.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, or there are fewer rows than parts.

    Warns
    -----
    SplitWarning
        If the validation part has less than 10 or more than 30 % of the rows.
    LeakageWarning
        If the first array is a table of numbers, and a part has copies of rows that are in another one.

    Notes
    -----
    Lecture [003] asks four questions: is the error of training high (bias), that of training-dev (variance), that of
    validation (mismatch), that of the test part (an overfitted validation part)? Where the rows to learn from differ
    from those that will come, split each of the two sets: the one with `training_dev` alone, the other into
    `validation` and `test`. scikit-learn's `train_test_split`, `KFold` and their kin work as well; what they lack is
    the fourth part.

    Examples
    --------
    >>> parts = cr.split(X, y, stratify=y)
    >>> trainer.fit(*parts.training, validation_data=parts.validation)
    >>> trainer.evaluate(*parts.test)
    """
    if not arrays:
        raise TypeError("split needs at least one array")
    given: list[Any] = [_with_rows(array) for array in arrays]
    for number, array in enumerate(given):
        if len(array.shape) == 0:
            raise TypeError(f"array {number} of split has no rows; got {checks.shown(arrays[number])}")
    count = given[0].shape[0]
    for number, array in enumerate(given):
        if array.shape[0] != count:
            raise ValueError(
                f"all arrays of split must have {count} rows, as the first; array {number} has {array.shape[0]}"
            )
    shares = {"test": test, "validation": validation, "training_dev": training_dev}
    shares = {name: checks.number(name, share, least=0, below=1) for name, share in shares.items()}
    if sum(shares.values()) >= 1:
        raise ValueError(
            f"validation, test and training_dev must leave rows to train on; together {sum(shares.values()):g}"
        )
    strata = None if stratify is None else class_numbers(stratify, count)
    if not checks.flag("shuffle", shuffle) and strata is not None:
        raise ValueError("stratify needs shuffle=True: rows in order are not chosen by class")
    wanted = {name: max(round(count * share), 1) if share else 0 for name, share in shares.items()}
    if sum(wanted.values()) >= count:
        raise ValueError(
            f"{count} rows are too few for parts of {', '.join(map(str, wanted.values()))} rows and training"
        )
    least, most = VALIDATION_SHARES
    if shares["validation"] and not least <= shares["validation"] <= most:
        why = "fewer rows judge badly" if shares["validation"] < least else "more are missing in training"
        warnings.warn(
            f"validation={shares['validation']:g}: lecture [000] keeps 10 to 30 % for validation; {why}",
            SplitWarning,
            stacklevel=2,
        )

    rows = _cut(count, wanted, strata, shuffle, checks.seed("seed", seed))
    leakage.warn_of_split(given[0], rows, stacklevel=2)
    parts = {name: tuple(_taken(array, one) for array in given) if len(one) else () for name, one in rows.items()}
    return Split(**parts, rows=MappingProxyType(rows))


def class_numbers(stratify: npt.ArrayLike, rows: int) -> Array:
    """Return the classes of the rows, given as `stratify`, as numbers."""
    classes = np.asarray(stratify)
    if classes.shape != (rows,):
        raise ValueError(f"stratify must have shape ({rows},), a class for each row; got {classes.shape}")
    if classes.dtype.kind == "f" and not np.isfinite(classes).all():
        raise ValueError("stratify has NaN or infinity, which is no class")
    numbers: Array = np.unique(classes, return_inverse=True)[1]
    return numbers


def _cut(count: int, wanted: Mapping[str, int], strata: Array | None, shuffle: bool, seed: int) -> dict[str, Array]:
    """Return the row numbers of the parts, in the order of `Split`; each part is cut off what the others left."""
    left = np.arange(count)
    rows: dict[str, Array] = {}
    for name in SHARES:
        size = wanted[name]
        if size == 0:
            stay, leave = np.arange(len(left)), np.arange(0)
        elif shuffle:
            stay, leave = data.split(len(left), size / len(left), seed, None if strata is None else strata[left])
        else:
            stay, leave = np.split(np.arange(len(left)), [len(left) - size])
        rows[name], left = left[leave], left[stay]
    return {"training": left, **{name: rows[name] for name in reversed(SHARES)}}


def _with_rows(array: Any) -> Any:
    """Return what was given as something whose rows can be taken: a frame, SciPy's CSR, or an array."""
    if sparse.is_sparse(array):
        return array.tocsr()
    return array if hasattr(array, "iloc") else np.asarray(array)


def _taken(array: Any, rows: Array) -> Any:
    """Return rows of an array, of a sparse one or of a frame."""
    return array.iloc[rows] if hasattr(array, "iloc") else array[rows]
