"""What a network may be made of, where it may run and what may be loaded into it: checks. No network is made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _engine, checks, data
from .layer import Layer

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

# To what a GPU may round the factors of float32 products; the first rounds nothing.
PRECISIONS = ("float32", "tf32", "bfloat16")
# A bound on what a hostile file may ask for; far above what trains well without branches.
MOST_LAYERS = 10_000


def checked_layers(layers: object, argument: str = "layers") -> tuple[Layer, ...]:
    """Return the layers as a tuple."""
    if not isinstance(layers, Sequence) or isinstance(layers, str):
        raise TypeError(f"{argument} must be a list of layers, such as [Dense(10)]; got {checks.shown(layers)}")
    for number, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            came = f"{argument}[{number}] is {checks.shown(layer)}"
            raise TypeError(f"{argument} must hold layers, such as Dense(10); {came}")
    if not 1 <= len(layers) <= MOST_LAYERS:
        raise ValueError(f"{argument} must hold 1 to {MOST_LAYERS} layers; got {len(layers)}")
    return tuple(layers)


def checked_device(device: object) -> str:
    """Return "cpu" or "cuda"; raise RuntimeError for "cuda" where no GPU can be used."""
    word = checks.word("device", device, ("cpu", "cuda", "auto"))
    if word == "auto":
        return "cuda" if _engine.cuda_available() else "cpu"
    if word == "cuda" and not _engine.cuda_available():
        raise RuntimeError(f"device='cuda' is not available: {_engine.cuda_trouble()}; use 'cpu'")
    return word


def checked_precision(precision: object, device: object, dtype: np.dtype[Any]) -> str | None:
    """Return to what factors are rounded, None for not at all; ValueError where device or dtype have no such way."""
    if precision is None:
        return None
    word = checks.word("precision", precision, PRECISIONS)
    if word == "float32" and dtype == np.float32:
        return None
    if device == "cpu":
        raise ValueError(f"precision={word!r} is for device='cuda'; the CPU rounds no factors")
    if dtype != np.float32:
        raise ValueError(f"precision={word!r} is for dtype='float32'; got {dtype.name!r}")
    return word if checked_device(device) == "cuda" else None


def checked_state(
    state: object, own: Mapping[str, Array], layers: Sequence[Layer], dtype: np.dtype[Any]
) -> dict[str, Array]:
    """Return new parameters and statistics in the network's dtype, by the names of its `own`; see `load_state_dict`."""
    if not isinstance(state, Mapping):
        raise TypeError(f"state must be a mapping from names to arrays; got {checks.shown(state)}")
    missing = [name for name in own if name not in state]
    unknown = [name for name in state if name not in own]
    if missing or unknown:
        raise ValueError(f"state must have the names {list(own)}; missing are {missing}, unknown are {unknown}")
    new = {}
    for name, parameter in own.items():
        array = data.real(f"state[{name!r}]", state[name])
        if array.shape != parameter.shape:
            raise ValueError(f"state[{name!r}] must have shape {parameter.shape}; got {array.shape}")
        new[name] = data.cast(f"state[{name!r}]", array, dtype)
        number, own_name = name.split(".")
        flaw = layers[int(number)].flaw(own_name, new[name])
        if flaw:
            raise ValueError(f"state[{name!r}] {flaw}")
    return new


def check_out(out: object, shape: tuple[int, int], dtype: np.dtype[Any], x: object) -> None:
    """Raise TypeError or ValueError unless predictions of `shape` can be written to `out`."""
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray) or out.dtype != dtype:
        raise TypeError(f"out must be an array of {dtype}; got {checks.shown(out)}")
    if out.shape != shape:
        raise ValueError(f"out must have shape {shape}; got {out.shape}")
    if not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
        raise ValueError("out must be writable and C-contiguous")
    if isinstance(x, np.ndarray) and np.may_share_memory(out, x):
        raise ValueError("out must not share memory with X")
