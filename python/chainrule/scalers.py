"""scikit-learn's scalers as steps of prediction, for a pipeline that is written as one graph with its estimator.

::

    StandardScaler   h = (x - mean_) / scale_
    RobustScaler     h = (x - center_) / scale_
    MaxAbsScaler     h = x / scale_
    MinMaxScaler     h = x scale_ + min_ = (x + min_ / scale_) scale_

x (B, inputs), all else one number a column. Nothing is fitted here, and scikit-learn is not loaded: who has a pipeline
did that.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks
from .inference_steps import Columns

if TYPE_CHECKING:
    import numpy.typing as npt

    from .network import Network

    Array = npt.NDArray[Any]

SCALERS = ("StandardScaler", "RobustScaler", "MaxAbsScaler", "MinMaxScaler")


def without_pipeline(model: Any) -> tuple[list[tuple[str, Any]], Any]:
    """Return the steps in front of a pipeline's last one by their names, and that one; of anything else, none and it.

    Pipelines within pipelines are opened too, and steps that do nothing left out.
    """
    steps = list(opened("", model))
    return [(name, step) for name, step in steps[:-1] if not is_nothing(step)], steps[-1][1]


def opened(name: str, model: Any) -> Iterator[tuple[str, Any]]:
    """Yield the steps of a pipeline by their names; anything else is its only step."""
    loaded = sys.modules.get("sklearn.pipeline")
    if loaded is None or not isinstance(model, loaded.Pipeline) or not model.steps:
        yield name, model
        return
    for own, step in model.steps:
        yield from opened(f"{name}.{own}" if name else own, step)


def is_nothing(step: Any) -> bool:
    """Return whether a step of a pipeline lets everything through as it is."""
    return step is None or (isinstance(step, str) and step == "passthrough")


def columns_of(place: int, name: str, scaler: Any, net: Network) -> Columns:
    """Return a fitted scaler, in front of a network, as a step, the one of this place.

    Raises
    ------
    TypeError
        If it is none of `SCALERS`.
    ValueError
        If it is not fitted, cuts off what lies outside (`clip`), has other columns, or a number that is not finite in
        the network's precision.
    """
    loaded = sys.modules.get("sklearn.preprocessing")
    # A class derived from one of them may do anything.
    if loaded is None or type(scaler) not in [getattr(loaded, one) for one in SCALERS]:
        raise TypeError(
            f"step {name!r} must be one of {', '.join(SCALERS)} to be written; got {checks.shown(scaler)}. The last "
            "step can be written alone: export(pipeline[-1], path)"
        )
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(scaler)
    if getattr(scaler, "clip", False):
        raise ValueError(f"step {name!r} has clip=True, which is not written: what lies outside would not be cut off")
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        mean, scale = shift_and_scale(scaler, net.inputs)
        finite = all(np.isfinite(one.astype(net.dtype)).all() for one in (mean, scale))
    if mean.shape != (net.inputs,) or scale.shape != (net.inputs,):
        raise ValueError(
            f"step {name!r} must have {net.inputs} columns, as the estimator has; got {scaler.n_features_in_}"
        )
    if not finite:
        raise ValueError(f"step {name!r} has a mean, or one over a scale, that is not finite in {net.dtype}")
    # Layers are called by their numbers, and steps by anything: two of nested pipelines may have one name.
    return Columns(f"pipeline.{place}.{name}", mean, scale)


def shift_and_scale(scaler: Any, inputs: int) -> tuple[Array, Array]:
    """Return mean and scale of h = (x - mean) scale, in float64, as the scaler is set now."""

    def numbers(name: str) -> Array:
        return np.asarray(getattr(scaler, name), np.float64)

    none, one = np.zeros(inputs), np.ones(inputs)
    kind = type(scaler).__name__
    if kind == "StandardScaler":
        return numbers("mean_") if scaler.with_mean else none, 1 / (numbers("scale_") if scaler.with_std else one)
    if kind == "RobustScaler":
        return (
            numbers("center_") if scaler.with_centering else none,
            1 / (numbers("scale_") if scaler.with_scaling else one),
        )
    if kind == "MaxAbsScaler":
        return none, 1 / numbers("scale_")
    return -numbers("min_") / numbers("scale_"), numbers("scale_")
