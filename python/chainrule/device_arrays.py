"""Arrays in a GPU's memory, as PyTorch, CuPy, JAX and Numba have them: taken where they lie, or copied from there.

What lies there says so by `__cuda_array_interface__` or by DLPack; none of those libraries is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks
from ._engine import DeviceArray

if TYPE_CHECKING:
    import numpy.typing as npt

    from .network import Network

# DLPack's kDLCUDA and kDLCUDAManaged.
GPU_MEMORIES = (2, 13)


def lies_on_gpu(value: object) -> bool:
    """Return whether `value` says that it is an array in a GPU's memory."""
    if isinstance(value, np.ndarray):
        return False
    try:
        if hasattr(value, "__cuda_array_interface__"):
            return True
        return hasattr(value, "__dlpack__") and value.__dlpack_device__()[0] in GPU_MEMORIES  # type: ignore[attr-defined]
    except (RuntimeError, KeyError):  # PyTorch: a tensor there that needs a gradient, or of a dtype without a name
        return True


def taken(argument: str, value: Any) -> DeviceArray:
    """Return `value`, which lies on a GPU, as the engine sees it: no copy.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        If it is no C-contiguous array of float32 or float64 on the GPU in use.
    """
    if isinstance(value, DeviceArray):
        return value
    try:
        if hasattr(value, "block_until_ready"):  # JAX, whose work may not even have been asked for
            value.block_until_ready()
        if hasattr(value, "__cuda_array_interface__"):
            return DeviceArray.from_interface(value)
        return DeviceArray.from_dlpack(value.__dlpack__())
    except (ValueError, TypeError, RuntimeError, KeyError) as error:
        raise type(error)(f"{argument} lies on a GPU, and cannot be taken from there: {error}") from None


def features(argument: str, value: object, inputs: int, dtype: np.dtype[Any]) -> DeviceArray:
    """Return `value`, which lies on a GPU, as (rows, inputs) of `dtype`, finite."""
    array = taken(argument, value)
    if len(array.shape) != 2 or array.shape[1] != inputs:
        raise ValueError(f"{argument} must have shape (rows, {inputs}); got {array.shape}")
    if array.dtype != dtype:
        raise TypeError(f"{argument} lies on a GPU and must have the network's dtype, {dtype}; got {array.dtype}")
    if len(array) > checks.MOST:
        raise ValueError(f"{argument} must have at most {checks.MOST} rows; got {len(array)}")
    if not array.all_finite():
        raise ValueError(f"{argument} must be finite, and must not sum up to more than a float64 holds")
    return array


def on_host(argument: str, value: Any) -> npt.NDArray[Any]:
    """Return a copy in the memory of this process."""
    if hasattr(value, "cpu"):  # PyTorch, any dtype
        return np.asarray(value.cpu())
    if hasattr(value, "get"):  # CuPy
        return np.asarray(value.get())
    if hasattr(value, "copy_to_host"):  # Numba
        return np.asarray(value.copy_to_host())
    if hasattr(value, "__array__"):  # JAX
        return np.asarray(value)
    return taken(argument, value).numpy()


def predicted(net: Network, X: object, out: object) -> Any:
    """Return the outputs of a network for rows that lie on its GPU, as `Network.predict` does."""
    x = features("X", X, net.inputs, net.dtype)
    if out is None:
        return net.core.predict_there(x)
    if not lies_on_gpu(out):
        raise TypeError(f"out must lie on the GPU as X does; got {checks.shown(out)}")
    net.core.predict_there(x, taken("out", out))
    return out
