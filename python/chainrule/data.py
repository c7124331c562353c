"""Data on its way to the engine: checks of arrays, batches, the validation part, weights of classes.

Arrays may come as lists, in any layout, read-only, and of any real dtype: integers, floats, and bools (read as 0 and
1). Objects, strings, complex numbers, dates and masked arrays are refused, because what they mean as numbers would be a
guess. NaN, infinity, and numbers too large for the network's dtype are refused. Sparse inputs go by sparse.py, where a
network takes them; all else refuses them here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from . import checks, device_arrays
from ._engine import DeviceArray, SparseRows, shuffled_order

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

# The shuffle that cuts off the validation part: an epoch number that no run reaches.
SPLIT_EPOCH = 2**62
# How far the sum of a row of probabilities may lie from 1: float16 keeps 11 bits, so each may be off by 2**-12.
SUM_TOLERANCE = 1e-3


def real(argument: str, value: object) -> Array:
    """Return `value` as an array of real numbers, without a copy where it is one."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{argument} is a masked array, whose hidden values cannot be learned; fill or drop them first")
    if hasattr(value, "toarray") and not isinstance(value, np.ndarray):
        raise TypeError(f"{argument} must be a dense array; got {type(value).__name__}: use .toarray()")
    if device_arrays.lies_on_gpu(value):
        value = device_arrays.on_host(argument, value)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{argument} must be a rectangular array of numbers; {error}") from None
    if array.dtype.kind not in "biuf":
        hints = {
            "O": "; if it holds numbers, convert it with .astype(float)",
            "U": "; number the words first: LabelEncoder().fit_transform(words)",
            "c": "; split it into real and imaginary parts",
        }
        hint = hints.get(array.dtype.kind, "")
        raise TypeError(f"{argument} must hold real numbers; got dtype {array.dtype}{hint}")
    return array


def all_finite(array: Array) -> bool:
    """Return whether every number is finite."""
    with np.errstate(all="ignore"):
        # One pass that allocates nothing. The sum may also overflow; only then look at each number.
        return bool(np.isfinite(np.add.reduce(array, axis=None))) or bool(np.isfinite(array).all())


def check_finite(parameters: Mapping[str, Array], purpose: str) -> None:
    """Raise ValueError unless all parameters of a network are finite."""
    for name, value in parameters.items():
        if not all_finite(value):
            raise ValueError(f"net must have finite parameters to be {purpose}; {name!r} has NaN or infinity")


def converted(argument: str, array: Array, dtype: np.dtype[Any]) -> Array:
    """Return `array` in `dtype`, all finite, without a copy where it is so already."""
    with np.errstate(all="ignore"):
        result = array if array.dtype == dtype else array.astype(dtype)
    if not all_finite(result):
        refuse_non_finite(argument, array, result)
    return result if result.flags.aligned else result.copy()


def refuse_non_finite(argument: str, array: Array, result: Array) -> NoReturn:
    """Raise ValueError for the first number of `result` that is not finite, showing what it was in `array`."""
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(result))[0])
    place = f"{argument}[{', '.join(map(str, index))}]"
    value = array[index]
    if np.isfinite(value):
        raise ValueError(f"{argument} must fit into {result.dtype}; {place} is {value}")
    raise ValueError(f"{argument} must be finite; {place} is {value}")


def cast(argument: str, array: Array, dtype: np.dtype[Any]) -> Array:
    """Return a copy of `array` in `dtype`; NaN and infinity stay, but what is finite must stay so."""
    with np.errstate(all="ignore"):
        result = array.astype(dtype)
    lost = np.isfinite(array) & ~np.isfinite(result)
    if lost.any():
        raise ValueError(f"{argument} must fit into {dtype}; it holds {array[lost][0]}")
    return result


def features(argument: str, value: object, inputs: int | None, dtype: np.dtype[Any]) -> Array:
    """Return `value` as (rows, inputs) of `dtype`, finite, in any layout."""
    array = real(argument, value)
    columns = "columns" if inputs is None else str(inputs)
    if array.ndim != 2 or (inputs is not None and array.shape[1] != inputs):
        hint = f"; for a single row use {argument}[None, :]" if array.ndim == 1 and array.shape[0] == inputs else ""
        raise ValueError(f"{argument} must have shape (rows, {columns}); got {array.shape}{hint}")
    if array.shape[0] > checks.MOST:
        raise ValueError(f"{argument} must have at most {checks.MOST} rows; got {array.shape[0]}")
    return converted(argument, array, dtype)


def same_rows(argument: str, array: Array, rows: int) -> None:
    """Raise ValueError unless `array` has as many rows as the inputs."""
    if array.ndim == 0 or array.shape[0] != rows:
        raise ValueError(f"{argument} must have {rows} rows, as many as the inputs; got shape {array.shape}")


def numbers(argument: str, value: object, rows: int, outputs: int, dtype: np.dtype[Any]) -> Array:
    """Return targets as (rows, outputs) of `dtype`; (rows,) is taken where there is one output."""
    array = real(argument, value)
    same_rows(argument, array, rows)
    if array.ndim == 1 and outputs == 1:
        array = array[:, None]
    if array.shape != (rows, outputs):
        also = f" or ({rows},)" if outputs == 1 else ""
        raise ValueError(f"{argument} must have shape ({rows}, {outputs}){also}; got {array.shape}")
    return np.ascontiguousarray(converted(argument, array, dtype))


def shares(argument: str, value: object, rows: int, outputs: int, dtype: np.dtype[Any], hint: str = "") -> Array:
    """Return targets as (rows, outputs), each from 0 to 1; `hint` ends the message where one is not."""
    array = numbers(argument, value, rows, outputs, dtype)
    outside = (array < 0) | (array > 1)
    if outside.any():
        row, column = (int(i) for i in np.argwhere(outside)[0])
        raise ValueError(f"{argument} must lie from 0 to 1; row {row} has {array[row, column]}{hint}")
    return array


def not_negative(argument: str, value: object, rows: int, outputs: int, dtype: np.dtype[Any]) -> Array:
    """Return targets as (rows, outputs), each at least 0."""
    array = numbers(argument, value, rows, outputs, dtype)
    if (array < 0).any():
        row, column = (int(i) for i in np.argwhere(array < 0)[0])
        raise ValueError(f"{argument} must be at least 0; row {row} has {array[row, column]}")
    return array


def classes(argument: str, value: object, rows: int, outputs: int, dtype: np.dtype[Any]) -> Array:
    """Return targets as labels (rows,) int32, or as probabilities (rows, outputs) of `dtype`."""
    array = real(argument, value)
    same_rows(argument, array, rows)
    if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1):
        return labels(argument, array.reshape(rows), outputs)
    if array.shape != (rows, outputs):
        raise ValueError(
            f"{argument} must be class labels of shape ({rows},) or probabilities of shape ({rows}, {outputs}); "
            f"got shape {array.shape}"
        )
    probabilities = shares(argument, array, rows, outputs, dtype)
    sums = probabilities.sum(axis=1, dtype=np.float64)
    off = np.abs(sums - 1) > SUM_TOLERANCE
    if off.any():
        row = int(off.argmax())
        several = probabilities[row].max() == 1 and sums[row] > 1
        hint = ": several labels at once are for BinaryCrossEntropy, a sigmoid each" if several else ""
        raise ValueError(f"{argument} must sum to 1 in each row; row {row} sums to {sums[row]:g}{hint}")
    return probabilities


def labels(argument: str, array: Array, outputs: int) -> Array:
    """Return class labels as int32, each checked to be one of the network's classes."""
    if array.dtype.kind == "f":
        raise TypeError(f"{argument} must hold class labels as whole numbers; got {array.dtype}: use y.astype(int)")
    if array.size and (array.min() < 0 or array.max() >= outputs):
        row = int(((array < 0) | (array >= outputs)).argmax())
        raise ValueError(f"{argument} must hold class labels from 0 to {outputs - 1}; row {row} has {array[row]}")
    # Always a copy: what was checked here must not change while the engine counts on it.
    return array.astype(np.int32)


def weights(argument: str, value: object, rows: int, dtype: np.dtype[Any]) -> Array:
    """Return factors of the rows of a whole data set, as row_factors() does; ValueError where all are 0."""
    result = row_factors(argument, value, rows, dtype)
    if not result.any():
        raise ValueError(f"{argument} must be above 0 in some row; all are 0")
    return result


def row_factors(argument: str, value: object, rows: int, dtype: np.dtype[Any]) -> Array:
    """Return factors of rows as (rows,) of `dtype`: finite, at least 0; in a single batch all may be 0."""
    array = real(argument, value)
    same_rows(argument, array, rows)
    if array.ndim != 1:
        raise ValueError(f"{argument} must have shape ({rows},); got {array.shape}")
    result = np.ascontiguousarray(converted(argument, array, dtype))
    if (result < 0).any():
        row = int((result < 0).argmax())
        raise ValueError(f"{argument} must be at least 0; row {row} has {array[row]}")
    return result


class Rows(NamedTuple):
    """Data as the engine takes it, checked: inputs, targets, and factors of rows."""

    x: Array | DeviceArray | SparseRows  # (N, inputs), C-contiguous
    y: Array  # (N, K), or labels (N,) int32
    weight: Array | None  # (N,)

    def take(self, rows: Array) -> Rows:
        """Return the rows that `rows` numbers."""
        weight = None if self.weight is None else self.weight[rows]
        if isinstance(self.x, SparseRows):
            return Rows(self.x.take(rows.astype(np.int32)), self.y[rows], weight)
        x = self.x.numpy() if isinstance(self.x, DeviceArray) else self.x
        return Rows(x[rows], self.y[rows], weight)

    def first(self, count: int) -> Rows:
        """Return views of the first rows."""
        x = self.x[:count] if isinstance(self.x, np.ndarray) else self.x.first(min(count, len(self.x)))
        return Rows(x, self.y[:count], None if self.weight is None else self.weight[:count])


def class_weights(argument: str, value: object, memberships: Array | None, outputs: int) -> npt.NDArray[np.float64]:
    """Return a factor for each row from a factor for each class.

    Parameters
    ----------
    argument : str
        Name of the argument, for messages.
    value : "balanced" or mapping
        "balanced": N / (number of classes present * rows of the class), as in scikit-learn. A mapping gives the
        factors; classes that it does not name have 1.
    memberships : array or None
        Labels (N,), or shares (N, classes); then a row's factor is the mean of its classes' factors.
    outputs : int
        Number of classes of labels.
    """
    if memberships is None:
        raise ValueError(f"{argument} needs targets of classes that exclude each other; use sample_weight instead")
    known = outputs if memberships.ndim == 1 else memberships.shape[1]
    factors = np.ones(known)
    if isinstance(value, str):
        checks.word(argument, value, ("balanced",))
        one_each = np.bincount(memberships, minlength=known) if memberships.ndim == 1 else memberships.sum(axis=0)
        counts = np.asarray(one_each, dtype=np.float64)
        present = counts > 0
        factors[present] = len(memberships) / (np.count_nonzero(present) * counts[present])
    elif isinstance(value, Mapping):
        for label, factor in value.items():
            number = checks.whole(f"a class of {argument}", label, least=0, most=known - 1)
            factors[number] = checks.number(f"{argument}[{number}]", factor, least=0)
    else:
        raise TypeError(f"{argument} must be 'balanced' or a dict from class to factor; got {checks.shown(value)}")
    result: npt.NDArray[np.float64] = factors[memberships] if memberships.ndim == 1 else memberships @ factors
    if not result.any():
        raise ValueError(f"{argument} must be above 0 for some class in the data; it leaves every row at 0")
    return result


def split(rows: int, share: float, seed: int, strata: Array | None) -> tuple[Array, Array]:
    """Return the row numbers of the training and of the validation part, each in ascending order.

    A pure function of the arguments. With `strata` (rows,), each stratum gives its share as nearly as whole rows
    allow, and the last row of a stratum stays in training as long as others can give.
    """
    if rows < 2:
        raise ValueError(f"validation_split needs at least 2 rows in X; got {rows}")
    wanted = min(max(round(rows * share), 1), rows - 1)
    order = shuffled_order(rows, seed, SPLIT_EPOCH)
    groups = [order] if strata is None else [order[strata[order] == one] for one in np.unique(strata)]
    taken = [wanted * len(group) // rows for group in groups]
    left_over = [wanted * len(group) % rows for group in groups]
    # Largest remainder first; groups that would be emptied come last.
    by_need = sorted(range(len(groups)), key=lambda g: (taken[g] + 1 >= len(groups[g]), -left_over[g]))
    for g in by_need[: wanted - sum(taken)]:
        taken[g] += 1
    validation = np.sort(np.concatenate([group[:count] for group, count in zip(groups, taken, strict=True)]))
    training = np.sort(np.concatenate([group[count:] for group, count in zip(groups, taken, strict=True)]))
    return training, validation


def batches(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    batch_size: int = 32,
    shuffle: bool = True,
    seed: int = 0,
    epoch: int = 0,
    drop_last: bool = False,
) -> Iterator[tuple[Array, Array]]:
    """Walk over the rows of `X` and `y` once, a batch at a time, in the order that `Trainer.fit` takes.

    Parameters
    ----------
    X, y : array
        As many rows in either.
    batch_size : int, default 32
        Rows of a batch; the last one may have fewer.
    shuffle : bool, default True
        Whether rows come in a random order, a pure function of `seed` and `epoch`.
    seed : int, default 0
        The trainer's seed for the same order.
    epoch : int, default 0
        Epochs done before this one. Count it up: each epoch then has another order.
    drop_last : bool, default False
        Whether a last batch with fewer rows is left out.

    Yields
    ------
    tuple of arrays
        (rows of X, rows of y), copies.

    Examples
    --------
    >>> for epoch in range(20):
    ...     for xb, yb in cr.batches(X, y, batch_size=32, seed=0, epoch=epoch):
    ...         ...
    """
    inputs, targets = real("X", X), real("y", y)
    if inputs.ndim == 0 or inputs.shape[0] == 0:
        raise ValueError(f"X must have at least one row; got shape {inputs.shape}")
    same_rows("y", targets, len(inputs))
    size = checks.whole("batch_size", batch_size)
    seed = checks.seed("seed", seed)
    epoch = checks.whole("epoch", epoch, least=0)
    if checks.flag("shuffle", shuffle):
        order = shuffled_order(len(inputs), seed, epoch)
    else:
        order = np.arange(len(inputs), dtype=np.int32)
    end = len(order) // size * size if checks.flag("drop_last", drop_last) else len(order)
    return walk(inputs, targets, order[:end], size)


def walk(inputs: Array, targets: Array, order: npt.NDArray[np.int32], size: int) -> Iterator[tuple[Array, Array]]:
    """Yield the rows that `order` numbers, `size` at a time."""
    for begin in range(0, len(order), size):
        rows = order[begin : begin + size]
        yield inputs[rows], targets[rows]
