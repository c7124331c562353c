"""Local normalization: columns standardized within groups of rows, such as the recordings of one speaker.

Lecture [001]: microphones and rooms add "an additive mean value to the feature vectors that is unique per speaker";
subtract it. A group is no input of the network, so this stands outside of it; a `Standardize` may follow inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, data
from .labels import checked_labels, places_among
from .moments import moments

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

UNSEEN = ("own", "global", "error")
FIGURES = ("groups", "means", "scales", "mean", "scale")


class GroupStandardizer:
    """Subtract from each row the mean of its group, and divide by the group's scale if asked.

    ::

        x' = x - mean of the group's rows, or (x - mean) / scale              [001]

    Parameters
    ----------
    scale : bool, default False
        Whether also to divide by the standard deviation (over N, not N - 1) within the group; that of a column of equal
        numbers counts as 1.
    unseen : {"own", "global", "error"}
        What a group gets that was not there in `fit`: "own", the figures of its own rows in that call of `transform`,
        of which there must be at least 2; "global", those of all rows of `fit`; "error", a ValueError.

    Attributes
    ----------
    groups_ : ndarray of shape (G,)
        The groups, sorted.
    means_, scales_ : ndarray of float64, shape (G, D)
        Their figures; the scales are 1 unless `scale` is set.
    mean_, scale_ : ndarray of float64, shape (D,)
        The figures of all rows together.

    Notes
    -----
    Fit it to the training part. With "own" the groups of the other parts need no figures from there, so that speakers
    can be in one part alone. Their labels are not looked at, so nothing of what is to be predicted leaks.

    Examples
    --------
    >>> standardizer = cr.GroupStandardizer(unseen="own")
    >>> X_train = standardizer.fit_transform(X_train, speakers_train)
    >>> X_test = standardizer.transform(X_test, speakers_test)
    >>> np.savez("speakers.npz", **standardizer.arrays())
    >>> standardizer = cr.GroupStandardizer.from_arrays(np.load("speakers.npz"))
    """

    groups_: Array
    means_: npt.NDArray[np.float64]
    scales_: npt.NDArray[np.float64]
    mean_: npt.NDArray[np.float64]
    scale_: npt.NDArray[np.float64]

    def __init__(self, *, scale: bool = False, unseen: str = "own") -> None:
        self.scale = checks.flag("scale", scale)
        self.unseen = checks.word("unseen", unseen, UNSEEN)

    def __repr__(self) -> str:
        """Return the options."""
        return f"GroupStandardizer(scale={self.scale}, unseen={self.unseen!r})"

    def fit(self, X: npt.ArrayLike, groups: npt.ArrayLike) -> GroupStandardizer:
        """Measure the groups of some rows.

        Parameters
        ----------
        X : array of shape (N, D)
            At least one row and column; finite numbers.
        groups : array of shape (N,)
            The group of each row: words or numbers.

        Returns
        -------
        GroupStandardizer
            This one.

        Raises
        ------
        ValueError, TypeError
            If an argument does not suit, or numbers are too large to be squared.
        """
        rows, of_rows = checked_rows(X, groups)
        known, numbers = np.unique(of_rows, return_inverse=True)
        figures = [self._figures(rows[own]) for own in members(numbers)]
        self.mean_, self.scale_ = self._figures(rows)
        self.groups_ = known
        self.means_, self.scales_ = (np.array(one) for one in zip(*figures, strict=True))
        return self

    def transform(self, X: npt.ArrayLike, groups: npt.ArrayLike) -> Array:
        """Return the rows with their groups' means subtracted, and divided by the scales if asked.

        Parameters
        ----------
        X : array of shape (N, D)
            Finite numbers, with the columns of `fit`.
        groups : array of shape (N,)
            The group of each row, as in `fit`.

        Returns
        -------
        ndarray of shape (N, D)
            Of float32 where X is, else float64; computed in float64.

        Raises
        ------
        ValueError, TypeError
            If an argument does not suit, `fit` has not been called, or a group is unseen and `unseen` has no figures
            for it.
        """
        if not hasattr(self, "groups_"):
            raise ValueError("GroupStandardizer has no figures yet: call fit(X, groups) first")
        rows, of_rows = checked_rows(X, groups, columns=len(self.mean_), least=0)
        places, seen = places_among("groups", of_rows, self.groups_)
        result = np.empty(rows.shape, dtype=rows.dtype)
        known, numbers = np.unique(of_rows, return_inverse=True)
        with np.errstate(over="ignore"):
            for group, own in zip(known, members(numbers), strict=True):
                place = places[own[0]]
                found = self.means_[place], self.scales_[place]
                mean, scale = found if seen[own[0]] else self._of_unseen(group, rows[own])
                result[own] = (rows[own] - mean) / scale
        data.converted("X, standardized,", result, result.dtype)
        return result

    def fit_transform(self, X: npt.ArrayLike, groups: npt.ArrayLike) -> Array:
        """Return the rows standardized by their own figures, which are kept.

        Parameters
        ----------
        X : array of shape (N, D)
            At least one row and column; finite numbers.
        groups : array of shape (N,)
            The group of each row: words or numbers.

        Returns
        -------
        ndarray of shape (N, D)
            Of float32 where X is, else float64.
        """
        return self.fit(X, groups).transform(X, groups)

    def arrays(self) -> dict[str, Array]:
        """Return all of it as plain arrays by name, for `numpy.savez`; `from_arrays` makes it again."""
        if not hasattr(self, "groups_"):
            raise ValueError("GroupStandardizer has no figures yet: call fit(X, groups) first")
        options = {"divides": np.array(self.scale), "unseen": np.array(self.unseen)}
        return {**options, **{name: getattr(self, f"{name}_").copy() for name in FIGURES}}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> GroupStandardizer:
        """Return the standardizer whose `arrays` these are.

        Parameters
        ----------
        arrays : mapping of str to array
            What `arrays` gave, or `numpy.load` of a file of it.

        Returns
        -------
        GroupStandardizer
            Fitted.

        Raises
        ------
        ValueError, TypeError
            If one is missing or does not fit to the others.
        """
        missing = [name for name in ("divides", "unseen", *FIGURES) if name not in arrays]
        if missing:
            raise ValueError(f"arrays must be those of a GroupStandardizer; missing are {missing}")
        made = cls(scale=np.asarray(arrays["divides"]).item(), unseen=np.asarray(arrays["unseen"]).item())
        made.groups_ = checked_labels("groups", arrays["groups"])
        made.mean_ = np.array(data.real("mean", arrays["mean"]), dtype=np.float64)
        if made.mean_.ndim != 1 or not (made.groups_[1:] > made.groups_[:-1]).all():
            raise ValueError("arrays must have groups in ascending order and a mean of shape (D,)")
        shapes = {
            "means": (len(made.groups_), len(made.mean_)),
            "scales": (len(made.groups_), len(made.mean_)),
            "mean": made.mean_.shape,
            "scale": made.mean_.shape,
        }
        for name, shape in shapes.items():
            array = np.array(data.real(name, arrays[name]), dtype=np.float64)
            if (
                array.shape != shape
                or not np.isfinite(array).all()
                or (name.startswith("scale") and (array <= 0).any())
            ):
                kind = "numbers above 0" if name.startswith("scale") else "finite numbers"
                raise ValueError(f"arrays[{name!r}] must be {kind} of shape {shape}; got {checks.shown(array)}")
            setattr(made, f"{name}_", array)
        return made

    def _figures(self, rows: Array) -> tuple[Array, Array]:
        """Return mean and scale (D,) of some rows."""
        found = moments(rows)
        return found.means, found.scales if self.scale else np.ones_like(found.scales)

    def _of_unseen(self, group: Any, rows: Array) -> tuple[Array, Array]:
        """Return the figures of a group that was not there in `fit`."""
        if self.unseen == "global":
            return self.mean_, self.scale_
        if self.unseen == "error":
            raise ValueError(f"groups holds {group.item()!r}, which was not there in fit, and unseen='error'")
        if len(rows) < 2:
            raise ValueError(
                f"group {group.item()!r} was not there in fit and has one row, of which its own mean leaves 0: give "
                "more rows of it at once, or take unseen='global'"
            )
        return self._figures(rows)


def members(numbers: Array) -> list[Array]:
    """Return the rows of each number, 0 to the greatest, none of which is left out; each ascending."""
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.cumsum(np.bincount(numbers))[:-1]) if len(numbers) else []


def checked_rows(X: object, groups: object, *, columns: int | None = None, least: int = 1) -> tuple[Array, Array]:
    """Return rows as finite float32 (where they are) or float64, and the group of each."""
    given = data.real("X", X)
    dtype = np.dtype(np.float32 if given.dtype == np.float32 else np.float64)
    rows = data.features("X", given, columns, dtype)
    if len(rows) < least or rows.shape[1] == 0:
        raise ValueError(f"X must have at least one row and one column; got shape {rows.shape}")
    of_rows = checked_labels("groups", groups, least=least)
    data.same_rows("groups", of_rows, len(rows))
    return rows, of_rows
