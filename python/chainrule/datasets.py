"""Pictures as arrays: scikit-learn's digits and folders of IDX files (MNIST). Tables are in `tables`.

A file is hostile until it is checked: what it declares is compared with what it holds, and each fault is a ValueError
that says where. Nothing is downloaded or repaired here, and nothing is scaled: see `Standardize`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from . import checks

if TYPE_CHECKING:
    import io
    import os

__all__ = ["TrainTest", "load_digits", "load_idx", "read_idx"]

Labels = npt.NDArray[np.int32]


class TrainTest(NamedTuple):
    """Pictures as rows of numbers, in a part to train on and a part to test with."""

    X_train: npt.NDArray[np.float32]  # (N, pixels)
    y_train: Labels  # (N,)
    X_test: npt.NDArray[np.float32]  # (M, pixels)
    y_test: Labels  # (M,)


def load_digits() -> tuple[npt.NDArray[np.float32], Labels]:
    """Return the 1,797 handwritten digits that scikit-learn carries with it.

    The test part of the "Optical Recognition of Handwritten Digits" data (Alpaydin and Kaynak, UCI 1998).

    Returns
    -------
    X : ndarray of float32, shape (1797, 64)
        Pictures of 8 by 8 pixels, each from 0 to 16.
    y : ndarray of int32, shape (1797,)
        The digit in each picture.

    Raises
    ------
    ImportError
        If scikit-learn is missing.
    """
    try:
        from sklearn.datasets import load_digits as sklearn_load_digits
    except ImportError as error:
        raise ImportError('the digits need scikit-learn: pip install "chainrule[sklearn]"') from error
    X, y = sklearn_load_digits(return_X_y=True)
    return np.ascontiguousarray(X, dtype=np.float32), np.ascontiguousarray(y, dtype=np.int32)


# ------------------------------------------------------------------------------------------------------- IDX files

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_IDX_DIMENSIONS = 32  # as many as an array of NumPy 1 may have
_IDX_BYTES = 2**32  # 4 GiB; MNIST's largest file holds 47 MB
_PIECE = 2**20  # read piece by piece, so that memory grows with what is there and not with what is declared


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[np.generic]:
    """Read one IDX file, plain or compressed with gzip (found from its first bytes, not from its name).

    The format (LeCun, Cortes and Burges): two zero bytes, a code for the type of the numbers, the number of
    dimensions, each dimension as a big-endian 32-bit number, then the numbers, big-endian, the last index fastest.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    ndarray
        In the shape that the file declares, in this machine's byte order.

    Raises
    ------
    ValueError
        If the file is not IDX, is cut off, holds more than it declares, or declares more than 4 GiB.
    """
    import gzip
    import zlib

    path = Path(checks.path("path", path))
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            return _idx_array(file, path)
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _idx_array(unpacked, path)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: the gzip data are cut off or damaged ({error})") from error


def _idx_array(file: io.BufferedIOBase, path: Path) -> npt.NDArray[np.generic]:
    """Return what an open, unpacked IDX file holds, after checking each of its claims."""
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES or head[3] == 0:
        raise ValueError(
            f"{path}: not an IDX file: expected two zero bytes, a type code of {', '.join(map(hex, _IDX_TYPES))} "
            f"and the number of dimensions; got the bytes {head.hex(' ') or '(none)'}"
        )
    dimensions = head[3]
    if dimensions > _IDX_DIMENSIONS:
        raise ValueError(f"{path}: declares {dimensions} dimensions; at most {_IDX_DIMENSIONS} are read")
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise ValueError(f"{path}: cut off within its header, after {4 + len(sizes)} bytes")
    shape = tuple(int.from_bytes(sizes[4 * i : 4 * i + 4], "big") for i in range(dimensions))
    dtype = np.dtype(_IDX_TYPES[head[2]])

    # A zero among the dimensions leaves no bytes but must not hide sizes that no array can have.
    largest = dtype.itemsize * math.prod(max(size, 1) for size in shape)
    if largest > _IDX_BYTES:
        raise ValueError(f"{path}: declares an array of shape {shape}, {largest:,} bytes; at most 4 GiB are read")
    expected = dtype.itemsize * math.prod(shape)
    content = bytearray()
    while len(content) <= expected:  # one byte more than declared is asked for, to notice it
        piece = file.read(min(_PIECE, expected + 1 - len(content)))
        if not piece:
            break
        content += piece
    if len(content) != expected:
        found = f"only {len(content):,}" if len(content) < expected else "more"
        raise ValueError(f"{path}: declares shape {shape}, {expected:,} bytes of {dtype.name}, but holds {found}")
    return np.frombuffer(content, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))


def load_idx(folder: str | os.PathLike[str]) -> TrainTest:
    """Load MNIST, or data of its form, from a folder of IDX files.

    The names are MNIST's: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
    `t10k-labels-idx1-ubyte`, each plain or with `.gz`. With both pairs, `train` is to train and `t10k` to test. With
    one pair, its first 80 % are to train and the last 20 % to test, in the order of the file.

    Parameters
    ----------
    folder : path
        The folder that holds the files.

    Returns
    -------
    TrainTest
        `(X_train, y_train, X_test, y_test)`: pictures as float32 rows of pixels, labels as int32.

    Raises
    ------
    ValueError
        If the folder lacks a pair, or a file is damaged, or pictures and labels do not fit together.
    """
    folder = Path(checks.path("folder", folder))
    if not folder.is_dir():
        raise ValueError(f"{folder}: expected a folder of IDX files, but there is no such folder")
    pairs = {name: pair for name in ("train", "t10k") if (pair := _read_pair(folder, name)) is not None}
    if not pairs:
        raise ValueError(
            f"{folder}: holds neither train-images-idx3-ubyte nor t10k-images-idx3-ubyte (plain or with .gz)"
        )
    if len(pairs) == 2:
        (X_train, y_train), (X_test, y_test) = pairs["train"], pairs["t10k"]
        if X_train.shape[1] != X_test.shape[1]:
            raise ValueError(
                f"{folder}: the pictures to train have {X_train.shape[1]} pixels, those to test {X_test.shape[1]}"
            )
        return TrainTest(X_train, y_train, X_test, y_test)
    ((X, y),) = pairs.values()
    border = len(X) * 4 // 5
    if border == 0:
        raise ValueError(f"{folder}: expected at least 2 pictures, to train and to test; got {len(X)}")
    return TrainTest(X[:border], y[:border], X[border:], y[border:])


def _read_pair(folder: Path, name: str) -> tuple[npt.NDArray[np.float32], Labels] | None:
    """Return (pictures (N, pixels), labels (N,)) of `name`, or None where the folder has neither file."""
    images_path = _plain_or_packed(folder, f"{name}-images-idx3-ubyte")
    labels_path = _plain_or_packed(folder, f"{name}-labels-idx1-ubyte")
    if images_path is None and labels_path is None:
        return None
    if images_path is None or labels_path is None:
        missing = f"{name}-{'images-idx3' if images_path is None else 'labels-idx1'}-ubyte"
        raise ValueError(f"{folder}: {missing} (plain or with .gz) is missing")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim < 2 or labels.ndim != 1 or images.shape[0] != labels.shape[0]:
        raise ValueError(
            f"{folder}: expected {name} pictures of shape (N, height, width) and labels of shape (N,); "
            f"got {images.shape} and {labels.shape}"
        )
    if images.size == 0:
        raise ValueError(f"{images_path}: holds no pictures, its shape is {images.shape}")
    if images.dtype != np.uint8 or labels.dtype != np.uint8:
        raise ValueError(f"{folder}: expected {name} files of uint8; got {images.dtype} and {labels.dtype}")
    return images.reshape(len(images), -1).astype(np.float32), labels.astype(np.int32)


def _plain_or_packed(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
