"""Sparse rows on their way to the engine: what SciPy's sparse matrices keep, checked, and never made dense.

Any of SciPy's formats is taken and brought to CSR; SciPy itself is not imported. An element that is kept twice is added
up, as SciPy does. What needs all numbers of a row (augmentation, warnings of scales and of copies) does without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, data
from ._engine import DeviceArray, SparseRows
from .affine import Dense

if TYPE_CHECKING:
    import numpy.typing as npt

    from .network import Network

    Array = npt.NDArray[Any]


def is_sparse(value: object) -> bool:
    """Return whether `value` is a sparse matrix or array of SciPy."""
    return hasattr(value, "tocsr") and hasattr(value, "toarray")


def features(argument: str, value: Any, net: Network) -> SparseRows:
    """Return `value`, which is sparse, as rows for a network: finite, of its dtype.

    Raises
    ------
    ValueError, TypeError
        If it has another shape or no real numbers, or the network cannot take sparse rows.
    """
    if len(value.shape) != 2 or value.shape[1] != net.inputs:
        raise ValueError(f"{argument} must have shape (rows, {net.inputs}); got {value.shape}")
    if value.shape[0] > checks.MOST:
        raise ValueError(f"{argument} must have at most {checks.MOST} rows; got {value.shape[0]}")
    check_network(argument, net)
    csr = value.tocsr()
    given = data.real(argument, csr.data[: csr.nnz])
    with np.errstate(all="ignore"):
        values = given.astype(net.dtype, copy=False)
    if not data.all_finite(values):
        refuse_non_finite(argument, csr, given, values)
    offsets, columns = (np.asarray(one) for one in (csr.indptr, csr.indices))
    if len(offsets) != value.shape[0] + 1:
        raise ValueError(
            f"{argument} is no sound CSR matrix: its indptr has {len(offsets)} elements for {value.shape[0]} rows"
        )
    try:
        return SparseRows(offsets, columns, values, net.inputs)
    except ValueError as error:
        raise ValueError(f"{argument} is no sound CSR matrix: its indptr, indices or data are wrong; {error}") from None


def check_network(argument: str, net: Network) -> None:
    """Raise ValueError unless the network takes sparse rows: on the CPU, with a Dense as its first layer."""
    if net.device != "cpu":
        raise ValueError(f"{argument} is sparse, which only networks on the CPU take: use device='cpu', or .toarray()")
    if not isinstance(net.layers[0], Dense):
        kind = type(net.layers[0]).__name__
        raise ValueError(f"{argument} is sparse, which needs a Dense as the first layer; layers[0] is a {kind}")


def refuse_non_finite(argument: str, csr: Any, given: Array, values: Array) -> None:
    """Raise ValueError for the first number that is not finite, if it is one of the matrix."""
    wrong = np.flatnonzero(~np.isfinite(values))
    element = int(wrong[0])
    row = int(np.searchsorted(csr.indptr, element, side="right")) - 1
    place = f"{argument}[{row}, {csr.indices[element]}]"
    if np.isfinite(given[element]):
        raise ValueError(f"{argument} must fit into {values.dtype}; {place} is {given[element]}")
    raise ValueError(f"{argument} must be finite; {place} is {given[element]}")


def as_given(argument: str, value: object) -> Any:
    """Return inputs of which rows can be taken, in the precision they have: an array, or SciPy's CSR."""
    given: Any = value
    return given.tocsr() if is_sparse(value) else data.real(argument, value)


def or_any_layout(argument: str, value: object, net: Network) -> Array | SparseRows:
    """Return the inputs of a network, checked: sparse rows, or an array (rows, inputs) in any layout."""
    if isinstance(value, SparseRows):
        return value  # checked before, and nobody can have changed them
    if is_sparse(value):
        return features(argument, value, net)
    return data.features(argument, value, net.inputs, net.dtype)


def or_dense(argument: str, value: object, net: Network) -> Array | SparseRows:
    """Return the same, arrays in C order."""
    x = or_any_layout(argument, value, net)
    return np.ascontiguousarray(x) if isinstance(x, np.ndarray) else x


def arrays_of(part: Array | DeviceArray | SparseRows | None) -> list[Array | None]:
    """Return the arrays that inputs, targets or weights are made of, in the memory of this process."""
    if isinstance(part, SparseRows):
        return list(part.arrays())
    return [part.numpy() if isinstance(part, DeviceArray) else part]
