"""What a fit trains on and validates with: arguments of `Trainer.fit` made into checked rows. Nothing is trained here.

Single arrays are checked in data.py, targets by the losses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, data, device_arrays, sparse
from ._engine import DeviceArray, SparseRows
from .data import Rows
from .layers import BatchNorm

if TYPE_CHECKING:
    import numpy.typing as npt

    from .fit_options import FitOptions
    from .losses import Loss
    from .network import Network

    Array = npt.NDArray[Any]


def checked_rows(
    net: Network,
    loss: Loss,
    X: object,
    y: object,
    sample_weight: object,
    prefix: str = "",
    *,
    takes_sparse: bool = False,
) -> Rows:
    """Return a whole data set as the engine takes it.

    `prefix` stands before the names of arguments in messages. Where `takes_sparse`, X may be sparse, and so is that of
    the result then.
    """
    x: Array | DeviceArray | SparseRows
    if takes_sparse and sparse.is_sparse(X):
        x = sparse.features(f"{prefix}X", X, net)
    elif net.device == "cuda" and device_arrays.lies_on_gpu(X):
        x = device_arrays.features(f"{prefix}X", X, net.inputs, net.dtype)
    else:
        x = np.ascontiguousarray(data.features(f"{prefix}X", X, net.inputs, net.dtype))
    count = x.shape[0]
    if count == 0:
        raise ValueError(f"{prefix}X must have at least one row; got shape {x.shape}")
    targets = loss.targets(f"{prefix}y", y, count, net.outputs, net.dtype)
    name = f"{prefix}sample_weight"
    weight = None if sample_weight is None else data.weights(name, sample_weight, count, net.dtype)
    return Rows(x, targets, weight)


def strata(loss: Loss, targets: Array) -> Array | None:
    """Return the class of each row, to give parts the same share of each; None where targets are no classes."""
    members = loss.memberships(targets)
    return members if members is None or members.ndim == 1 else members.argmax(axis=1)


def split_rows(loss: Loss, targets: Array, share: float, seed: int) -> tuple[Array, Array]:
    """Return the row numbers of the training and of the validation part; of classes each gives the same share."""
    return data.split(len(targets), share, seed, strata(loss, targets))


def validated_apart(
    net: Network, loss: Loss, training: Rows, validation_split: object, validation_data: object, seed: int
) -> tuple[Rows, Rows | None]:
    """Return what is left to train on, and what to validate with; None for nothing."""
    share = checks.number("validation_split", validation_split, least=0, below=1)
    if validation_data is not None:
        if share:
            raise ValueError("validation_split and validation_data exclude each other; both were given")
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
            shown = checks.shown(validation_data)
            raise TypeError(f"validation_data must be (X, y) or (X, y, sample_weight); got {shown}")
        weight = validation_data[2] if len(validation_data) == 3 else None
        X, y = validation_data[0], validation_data[1]
        return training, checked_rows(net, loss, X, y, weight, "validation_data: ", takes_sparse=True)
    if not share:
        return training, None
    trained, held_out = split_rows(loss, training.y, share, seed)
    parts = training.take(trained), training.take(held_out)
    for name, rows in zip(("training", "validation"), parts, strict=True):
        if rows.weight is not None and not rows.weight.any():
            raise ValueError(f"sample_weight must be above 0 in some row of the {name} part; there all are 0")
    return parts


def with_class_weight(net: Network, loss: Loss, training: Rows, class_weight: object) -> Rows:
    """Return the rows with the factors of their classes."""
    if class_weight is None:
        return training
    members = loss.memberships(training.y)
    factors = data.class_weights("class_weight", class_weight, members, net.outputs)
    weight = factors if training.weight is None else factors * training.weight
    if not weight.any():
        raise ValueError("class_weight and sample_weight must leave some row above 0; together all are 0")
    return training._replace(weight=data.converted("class_weight", weight, net.dtype))


def outputs(net: Network, rows: Rows) -> Array:
    """Return what a network gives for checked rows, (N, K), in the memory of this process."""
    x: Any = rows.x
    return net.core.predict_there(x).numpy() if isinstance(x, DeviceArray) else net.core.predict(x)


def check_augmented(x: Array | DeviceArray | SparseRows, options: FitOptions) -> None:
    """Raise ValueError where rows are to be augmented that are sparse."""
    if options.augment and isinstance(x, SparseRows):
        raise ValueError(
            "augment changes all numbers of a row, and X is sparse: give it dense (.toarray()), or neither"
        )


def check_steps(net: Network, rows: int, batch_size: int, drop_last: bool) -> None:
    """Raise ValueError where no step could be made, or none from which a normalization learns."""
    if drop_last and batch_size > rows:
        raise ValueError(f"batch_size={batch_size} with drop_last=True leaves no step of {rows} rows")
    learning = [n for n, layer in enumerate(net.layers) if isinstance(layer, BatchNorm) and n not in net.frozen]
    if learning and min(batch_size, rows) == 1:
        raise ValueError(
            f"batch_size={batch_size} with {rows} rows of training gives steps of one row, whose variance is 0: "
            f"layers[{learning[0]}], a BatchNorm, would give its beta whatever comes in, and nothing before it would "
            "learn. Take more rows a step, or freeze that layer, which then uses its running statistics"
        )
