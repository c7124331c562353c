"""What the targets ask for: the last layer, the loss and the metrics, by the table that closes lecture [004].

Nothing is guessed where two readings fit: that is an error, which names the option that decides. Names of classes are
not numbered here, and targets are not changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, data
from .affine import Dense
from .losses import BinaryCrossEntropy, CrossEntropy, Loss, MeanSquaredError

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

KINDS = ("auto", "regression", "binary", "classes", "labels")
# Fewer rows of each class than this, on average, are more likely a numbering, or counts, than classes.
ROWS_OF_A_CLASS = 2


@dataclass(frozen=True)
class Head:
    """The end of a network that suits some targets.

    Attributes
    ----------
    kind : {"regression", "binary", "classes", "labels"}
        How the targets were read.
    layer : Dense
        The last layer. It is linear: where probabilities are wanted, the loss makes them.
    loss : Loss
    metrics : tuple of str
        What can be counted beside the loss; nothing for several questions at once, where "right" has several meanings.
    """

    kind: str
    layer: Dense
    loss: Loss
    metrics: tuple[str, ...]


def head_for(y: npt.ArrayLike, *, kind: str = "auto") -> Head:
    """Return the last layer, the loss and the metrics that targets ask for.

    ============  ==================================================  ===================  ===========================
    kind          targets that "auto" reads so                        last layer           loss
    ============  ==================================================  ===================  ===========================
    regression    numbers that are not all whole, (N,) or (N, K)      1 or K outputs       `MeanSquaredError()`
    binary        0 and 1, or bools, (N,)                             1 output             `BinaryCrossEntropy()`
    classes       whole numbers 0 to C - 1, each there, (N,);         C outputs            `CrossEntropy()`
                  or one 1 in each row, else 0, (N, C)
    labels        0 and 1, (N, K), any number of ones in a row        K outputs            `BinaryCrossEntropy()`
    ============  ==================================================  ===================  ===========================

    All layers are linear, also where lecture [004] has "one node with a sigmoid" and "one node for each class using the
    softmax": the loss holds that sigmoid or softmax, which is faster and more exact, so what `net.predict` gives are
    logits. Above 0 means yes, and the greatest is the class.

    Lecture [003] lists as a mistake to forget "softmax for multi-label classification". That is a slip: softmax is for
    classes that exclude each other ("multi-class"); questions of which several may be answered with yes ("multi-label")
    take a sigmoid each.

    Parameters
    ----------
    y : array of shape (N,), (N, 1) or (N, K)
        The targets of the training set, as `Trainer.fit` will get them.
    kind : {"auto", "regression", "binary", "classes", "labels"}
        What they are, where that is known better: whole numbers may be classes or counts; questions of which always
        just one happens to be answered with yes look like classes. The greatest class number is taken from `y`, so that
        it has to occur.

    Returns
    -------
    Head
        The layer, the loss and the metrics, and how the targets were read.

    Raises
    ------
    ValueError, TypeError
        If several readings fit, if the targets are not of the kind, or no targets at all.

    Examples
    --------
    >>> head = head_for(y)
    >>> net = Network([Dense(16, activation="relu"), head.layer], inputs=4)
    >>> trainer = Trainer(net, loss=head.loss, metrics=head.metrics)
    """
    checks.word("kind", kind, KINDS)
    array = data.real("y", y)
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"y must have shape (rows,) or (rows, outputs), with at least one of each; got {array.shape}")
    data.converted("y", array, np.dtype(np.float64))
    # A matrix of one column is a column; its head is the same.
    column = array.reshape(-1) if array.ndim == 1 or array.shape[1] == 1 else None
    if kind == "auto":
        kind = kind_of_matrix(array) if column is None else kind_of_column(column)
    head = made(kind, array, column)
    head.loss.targets("y", array, len(array), head.layer.units, np.dtype(np.float64))
    return head


def kind_of_column(y: Array) -> str:
    """Return what a column of targets is, or raise ValueError."""
    present = np.unique(y)
    if len(present) == 1:
        raise ValueError(
            f"y is {present[0]} in every row, which says little of what it is; give kind= one of 'regression', "
            "'binary', 'classes'"
        )
    if (present != np.floor(present)).any():
        return "regression"
    if np.array_equal(present, [0, 1]):
        return "binary"
    numbered = np.array_equal(present, np.arange(len(present)))
    if y.dtype.kind == "f":
        if not numbered:
            return "regression"
        raise ValueError(
            f"y holds whole numbers from 0 to {present[-1]:g} as {y.dtype}, which may be classes or numbers: use "
            "y.astype(int) for classes, or give kind='regression'"
        )
    if numbered and len(y) >= ROWS_OF_A_CLASS * len(present):
        return "classes"
    where = f"{len(present)} different whole numbers from {present[0]} to {present[-1]} in {len(y)} rows"
    raise ValueError(
        f"y holds {where}, which may be classes or numbers: give kind='regression' for numbers; for classes number "
        "them from 0 without gaps (LabelEncoder().fit_transform(y)) and give kind='classes'"
    )


def kind_of_matrix(y: Array) -> str:
    """Return what several columns of targets are, or raise ValueError."""
    sums = y.sum(axis=1, dtype=np.float64)
    if ((y == 0) | (y == 1)).all():
        return "classes" if (sums == 1).all() else "labels"
    if (y == np.floor(y)).all() and y.dtype.kind != "f":
        raise ValueError(
            f"y holds whole numbers in {y.shape[1]} columns, other than 0 and 1: give kind='regression' if they are "
            "numbers. Several columns of classes have no head: one network each, or a column for each class of each"
        )
    if (y >= 0).all() and (np.abs(sums - 1) <= data.SUM_TOLERANCE).all():
        raise ValueError(
            "y holds numbers that sum to 1 in each row, which may be probabilities of classes or numbers: give "
            "kind='classes' or kind='regression'"
        )
    return "regression"


def made(kind: str, y: Array, column: Array | None) -> Head:
    """Return the head of a kind."""
    outputs = y.shape[1] if column is None else 1
    if kind == "regression":
        return Head(kind, Dense(outputs), MeanSquaredError(), ("mae",))
    if kind == "classes":
        return Head(kind, Dense(outputs if column is None else count_of(column)), CrossEntropy(), ("accuracy",))
    if kind == "binary" and column is None:
        raise ValueError(f"kind='binary' needs y of one column; got shape {y.shape}: give kind='labels'")
    return Head(kind, Dense(outputs), BinaryCrossEntropy(), ("accuracy",) if outputs == 1 else ())


def count_of(labels: Array) -> int:
    """Return the number of classes that a column of labels has."""
    if labels.dtype.kind == "f":
        raise TypeError(f"y must hold class labels as whole numbers; got {labels.dtype}: use y.astype(int)")
    if labels.min() < 0:
        raise ValueError(f"y must hold class labels from 0 on; got {labels.min()}")
    return max(checks.whole("the greatest class in y", int(labels.max()), least=0, most=checks.MOST - 1) + 1, 2)
