"""Labels of classes as numbers and as one-hot rows, and back. Networks see numbers alone; people see the labels.

The methods have scikit-learn's names. Its `LabelEncoder` works here too; what it lacks is the one-hot row, the way back
from the outputs of a network, and an order that is given. Its `LabelBinarizer` makes an unknown label a row of zeros,
where this is an error. Labels of several classes at once are not encoded here: they are a column of 0 and 1 for each.

Labels are compared exactly, numbers by value whatever their dtypes. What NumPy's arrays cannot keep is refused: a word
that ends in NUL, and a large whole number beside fractions. An array that has lost these already does not show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

# Labels that an error names at most.
NAMED = 5
# Up to here float64 holds each whole number.
WHOLE_IN_FLOAT64 = 2**53


class LabelEncoder:
    """Labels as class numbers 0 to K - 1 and as one-hot rows ([004]: "a binary feature for each class value").

    Parameters
    ----------
    classes : sequence, optional
        All labels, in the order of their numbers: words or numbers, at least one, each once. None: `fit` finds them,
        and they are sorted.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        The labels; `classes_[k]` is that of number k. Arrays alone, so that `LabelEncoder(classes)` makes it again.

    Examples
    --------
    >>> encoder = cr.LabelEncoder()
    >>> encoder.fit_transform(["no", "yes", "no"]).tolist()
    [0, 1, 0]
    >>> encoder.one_hot(["yes"]).tolist()
    [[0.0, 1.0]]
    >>> encoder.decode(net.predict(X))  # a label for each row
    """

    classes_: Array

    def __init__(self, classes: Sequence[Any] | npt.ArrayLike | None = None) -> None:
        self._given = classes is not None
        if classes is not None:
            self.classes_ = checked_labels("classes", classes)
            if len(np.unique(self.classes_)) < len(self.classes_):
                raise ValueError(f"classes must be different labels; got {checks.shown(classes)}")

    def __repr__(self) -> str:
        """Return what makes it again."""
        return f"LabelEncoder({self.classes_.tolist()!r})" if hasattr(self, "classes_") else "LabelEncoder()"

    def fit(self, y: npt.ArrayLike) -> LabelEncoder:
        """Find the labels in `y` (N,), N at least 1; where they were given, check that no other occurs.

        Parameters
        ----------
        y : array of shape (N,)
            Labels, words or numbers, at least one.

        Returns
        -------
        LabelEncoder
            This one.
        """
        labels = checked_labels("y", y)
        if self._given:
            numbers_among("y", labels, self.classes_)
        else:
            self.classes_ = np.unique(labels)
        return self

    def transform(self, y: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """Return the numbers of labels, (N,): what `CrossEntropy` takes, and, of two classes, `BinaryCrossEntropy`.

        Parameters
        ----------
        y : array of shape (N,)
            Labels, words or numbers.

        Returns
        -------
        ndarray of int32, shape (N,)
            From 0 to K - 1.

        Raises
        ------
        ValueError, TypeError
            If a label is none of the classes, which the message names; or `fit` has not been called.
        """
        known = self._known()
        return numbers_among("y", checked_labels("y", y, least=0), known)

    def fit_transform(self, y: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """Return the numbers of the labels of `y`, which are all there are.

        Parameters
        ----------
        y : array of shape (N,)
            Labels, words or numbers.

        Returns
        -------
        ndarray of int32, shape (N,)
            From 0 to K - 1.
        """
        return self.fit(y).transform(y)

    def one_hot(self, y: npt.ArrayLike, *, dtype: npt.DTypeLike = "float32") -> Array:
        """Return a row for each label, (N, K): 1 in the column of its class, 0 elsewhere; two columns for two classes.

        Parameters
        ----------
        y : array of shape (N,)
            Labels, words or numbers.
        dtype : {"float32", "float64"}
            That of the result.

        Returns
        -------
        ndarray of shape (N, K)
            Of 0 and 1.

        Raises
        ------
        ValueError, TypeError
            As `transform`; or if `dtype` is not "float32" or "float64".
        """
        return one_hot(self.transform(y), len(self._known()), checks.precision("dtype", dtype))

    def inverse_transform(self, numbers: npt.ArrayLike) -> Array:
        """Return the labels of class numbers, (N,).

        Parameters
        ----------
        numbers : array of int, shape (N,)
            Class numbers, from 0 to K - 1.

        Returns
        -------
        ndarray of shape (N,)
            Labels, as `classes_` has them.

        Raises
        ------
        ValueError, TypeError
            If one is no whole number from 0 to K - 1; or `fit` has not been called.
        """
        known, given = self._known(), np.asarray(numbers)
        if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
            raise TypeError(f"numbers must be whole numbers of shape (N,); got {checks.shown(numbers)}")
        wrong = (given < 0) | (given >= len(known))
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(f"numbers must lie from 0 to {len(known) - 1}; numbers[{row}] is {given[row]}")
        labels: Array = known[given.astype(np.intp)]
        return labels

    def decode(self, outputs: npt.ArrayLike, *, threshold: float = 0.0) -> Array:
        """Return the labels that outputs of a network, or one-hot rows, stand for.

        Parameters
        ----------
        outputs : array of shape (N, K) or, for two classes, (N, 1)
            Of K columns the greatest counts, the first of several. One column is that of the second class.
        threshold : float, default 0.0
            Above it one column means the second class: 0 for logits, 0.5 for probabilities.

        Returns
        -------
        ndarray of shape (N,)
            Labels, as `classes_` has them.

        Raises
        ------
        ValueError, TypeError
            If the shape does not suit, or an output is NaN; or `fit` has not been called.
        """
        known, given = self._known(), np.asarray(outputs)
        threshold = checks.number("threshold", threshold)
        expected = f"(N, {len(known)})" + (" or (N, 1)" if len(known) == 2 else "")
        if given.ndim != 2 or given.dtype.kind not in "iufb":
            raise ValueError(f"outputs must be numbers of shape {expected}; got {given.dtype} {given.shape}")
        if len(known) == 2 and given.shape[1] == 1:
            if np.isnan(given).any():
                raise ValueError("outputs have NaN, which is neither great nor small")
            return self.inverse_transform((given[:, 0] > threshold).astype(np.intp))
        if len(known) == 1:
            raise ValueError("outputs of one class tell nothing: all rows are of it")
        return self.inverse_transform(checked_scores("outputs", given, len(known)).argmax(axis=1))

    def _known(self) -> Array:
        """Return the classes, if there are any yet."""
        if not hasattr(self, "classes_"):
            raise ValueError("LabelEncoder knows no classes yet: call fit(y) first, or give classes=")
        return self.classes_


def one_hot(numbers: Array, classes: int, dtype: npt.DTypeLike) -> Array:
    """Return rows (N, classes) with 1 in the column that a number (N,) names, and 0 elsewhere."""
    rows = np.zeros((len(numbers), classes), dtype=dtype)
    rows[np.arange(len(numbers)), numbers] = 1
    return rows


def checked_labels(argument: str, value: object, *, least: int = 1) -> Array:
    """Return labels as an array (N,) of words, or of finite numbers or bools, N at least `least`."""
    array: Array = np.asarray(value)
    # NumPy makes words of numbers beside words, and rounds whole numbers beside fractions: look at what was given.
    items: list[Any] | None = None
    if array.dtype.kind == "O":
        items = array.reshape(-1).tolist()
    elif array.dtype.kind in "Uf" and array.ndim == 1 and isinstance(value, Sequence):
        items = list(value)
    if items is not None and array.dtype.kind in "OU":
        array = np.array(items, dtype=of_one_kind(argument, value, items)).reshape(array.shape)
    if array.ndim != 1 or len(array) < least:
        raise ValueError(f"{argument} must hold labels of shape (N,), at least {least}; got shape {array.shape}")
    if array.size and array.dtype.kind not in "biufU":
        raise TypeError(f"{argument} must hold words or numbers; got dtype {array.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int((~np.isfinite(array)).argmax())
        raise ValueError(f"{argument} must hold finite numbers; {argument}[{row}] is {array[row]}")
    if array.dtype.kind == "f" and items is not None:
        refuse_rounded(argument, items, array)
    return array


def refuse_rounded(argument: str, items: Sequence[Any], array: Array) -> None:
    """Raise ValueError if a whole number among the items is another one in the array of floats made of them."""
    for row in np.flatnonzero(np.abs(array) >= np.float64(WHOLE_IN_FLOAT64)).tolist():
        one = items[row]
        if isinstance(one, (int, np.integer)) and int(one) != array[row].item():
            raise ValueError(
                f"{argument} must hold numbers that {array.dtype}, which all of them together become, holds exactly; "
                f"{argument}[{row}] is {one}"
            )


def of_one_kind(argument: str, value: object, items: Sequence[object]) -> npt.DTypeLike | None:
    """Return the dtype of objects that are all words, or all bools; None, for NumPy to find it, of numbers."""
    words = [one for one in items if isinstance(one, str)]
    if len(words) == len(items):
        for row, word in enumerate(words):
            if word.endswith("\0"):
                raise ValueError(
                    f"{argument} must hold words that do not end in NUL, which NumPy strips; "
                    f"{argument}[{row}] is {checks.shown(word)}"
                )
        return np.str_
    is_bool = [isinstance(one, (bool, np.bool_)) for one in items]
    if all(is_bool):
        return np.bool_
    if any(is_bool) or not all(isinstance(one, (int, float, np.integer, np.floating)) for one in items):
        raise TypeError(f"{argument} must hold words or numbers, and not both; got {checks.shown(value)}")
    return None


def places_among(argument: str, values: Array, known: Array) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return where each value stands among different known ones, and whether it does; else the place means nothing."""
    if values.size and (values.dtype.kind == "U") != (known.dtype.kind == "U"):
        raise TypeError(f"{argument} cannot be compared with those known: {values.dtype} and {known.dtype}")
    values, known = comparable(values, known)
    order = np.argsort(known, kind="stable")
    places = order[np.minimum(np.searchsorted(known, values, sorter=order), len(known) - 1)]
    return places, known[places] == values


def comparable(first: Array, second: Array) -> tuple[Array, Array]:
    """Return two arrays as NumPy compares them exactly: as they are, or as Python's numbers where float64 would round.

    NumPy compares int64, uint64 and floats with each other in float64.
    """
    kinds = {first.dtype.kind, second.dtype.kind}
    if len(kinds) < 2 or not kinds <= set("iuf") or not any(map(holds_large_whole_numbers, (first, second))):
        return first, second
    return first.astype(object), second.astype(object)


def holds_large_whole_numbers(array: Array) -> bool:
    """Return whether the array is of whole numbers and reaches where float64 rounds some."""
    if array.dtype.kind == "f" or array.size == 0:
        return False
    return max(int(array.max()), -int(array.min())) > WHOLE_IN_FLOAT64


def numbers_among(argument: str, values: Array, known: Array) -> npt.NDArray[np.int32]:
    """Return the numbers of values among the known classes; ValueError that names those that are none."""
    if values.size == 0:
        return np.zeros(0, dtype=np.int32)
    places, found = places_among(argument, values, known)
    if not found.all():
        row = int(np.flatnonzero(~found)[0])
        others = [one for one in np.unique(values[~found]).tolist() if one != values[row].item()]
        also = f"; nor are {', '.join(map(repr, others[:NAMED]))}" if others else ""
        more = ", ..." if len(others) > NAMED else ""
        raise ValueError(
            f"{argument}[{row}] is {values[row].item()!r}, which is none of the {len(known)} classes{also}{more}"
        )
    return places.astype(np.int32)


def checked_scores(argument: str, scores: Array, classes: int) -> Array:
    """Return scores of so many classes, at least 2, of which the greatest counts."""
    if scores.dtype.kind not in "iufb" or scores.shape[1] != classes or classes < 2:
        expected = f"numbers of shape (N, {max(classes, 2)})"
        raise ValueError(f"{argument} must be {expected}; got {scores.dtype} {scores.shape}")
    if np.isnan(scores).any():
        raise ValueError(f"{argument} have NaN, which is neither great nor small")
    return scores
