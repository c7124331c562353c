"""Augmentation: rows changed at random each time they are trained on, so that few do the work of many [000], [001].

A description says what may happen to a row; `Trainer.fit(augment=...)` does it, in the engine, inside the epoch. What
happens is counted by the trainer's seed, the epoch and the row's number: any number of threads and any size of batches
gives the same rows, and no two epochs do. Rows that are measured, validated on or predicted from stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _engine, checks, data

if TYPE_CHECKING:
    import numpy.typing as npt

    from ._engine import ImageChanges, NoiseChanges

    Array = npt.NDArray[Any]

# The place of a pixel has the precision of the network's dtype: in float32 that is 2^-9 of a pixel at most so far out.
MOST_PIXELS = 2**15
# What both precisions can hold.
GREATEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Augmentation:
    """What all kinds of augmentation share. Use one of the classes derived from it."""

    def check_columns(self, columns: int) -> None:
        """Raise ValueError where rows of so many columns cannot be changed so."""

    def changes(self) -> ImageChanges | NoiseChanges:
        """Return the engine's description."""
        raise NotImplementedError


@dataclass(frozen=True)
class ImageAugmentation(Augmentation):
    """Mirrors, turns, zooms and shifts pictures, each by numbers drawn for it alone, from uniform distributions [000].

    A picture is mirrored, then turned and made larger or smaller around its centre, then shifted. What lies between
    pixels is blended (bilinear interpolation); pictures that are only mirrored and shifted are not blurred.

    Only ask for what leaves the class as it is: a digit in the mirror is another sign, or none.

    Parameters
    ----------
    height, width : int
        Pixels of a picture. A row of X has height * width * channels numbers: pixel after pixel along the first line,
        then the next line; of each pixel all channels side by side, as `pictures.reshape(N, -1)` gives them of an
        array (N, height, width) or (N, height, width, channels).
    channels : int, default 1
        Numbers of a pixel.
    flip_horizontal : bool, default False
        Whether left and right change places, in every second picture.
    flip_vertical : bool, default False
        Whether up and down do.
    max_rotation : float, default 0.0
        Greatest angle, in degrees, 0 to 180, either way.
    max_shift : int, default 0
        Greatest shift, in pixels, up or down, and left or right; shifts are whole pixels.
    max_zoom : float, default 0.0
        Pictures become 1 - max_zoom to 1 + max_zoom times as large; at least 0 and below 1.
    fill : float, default 0.0
        What comes in from beyond the edge. Of standardised data the background is not 0.

    Raises
    ------
    ValueError, TypeError
        If an option does not suit, or none is set: then nothing would change.
    """

    height: int
    width: int
    _: KW_ONLY
    channels: int = 1
    flip_horizontal: bool = False
    flip_vertical: bool = False
    max_rotation: float = 0.0
    max_shift: int = 0
    max_zoom: float = 0.0
    fill: float = 0.0

    def __post_init__(self) -> None:
        """Check the options."""
        for name in ("height", "width", "channels"):
            checks.option(self, name, checks.whole, most=MOST_PIXELS)
        if self.size > checks.MOST:
            raise ValueError(f"height * width * channels must be at most {checks.MOST}; got {self.size}")
        for name in ("flip_horizontal", "flip_vertical"):
            checks.option(self, name, checks.flag)
        checks.option(self, "max_rotation", checks.number, least=0, most=180)
        checks.option(self, "max_shift", checks.whole, least=0, most=MOST_PIXELS)
        checks.option(self, "max_zoom", checks.number, least=0, below=1)
        checks.option(self, "fill", checks.number, least=-GREATEST, most=GREATEST)
        if not (self.flip_horizontal or self.flip_vertical or self.max_rotation or self.max_shift or self.max_zoom):
            raise ValueError(
                "ImageAugmentation must be told what to change: set flip_horizontal, flip_vertical, max_rotation, "
                "max_shift or max_zoom"
            )

    @property
    def size(self) -> int:
        """Numbers of a picture."""
        return self.height * self.width * self.channels

    def check_columns(self, columns: int) -> None:
        """Raise ValueError unless a row is a picture."""
        if columns != self.size:
            pixels = f"{self.height} x {self.width} pixels, {self.channels} a pixel"
            raise ValueError(f"augment: pictures of {pixels}, have {self.size} numbers; the rows of X have {columns}")

    def changes(self) -> ImageChanges:
        """Return the engine's description."""
        return _engine.ImageChanges(
            self.height,
            self.width,
            self.channels,
            self.flip_horizontal,
            self.flip_vertical,
            self.max_rotation / 360,
            self.max_shift,
            self.max_zoom,
            self.fill,
        )


@dataclass(frozen=True)
class NoiseAugmentation(Augmentation):
    """Adds noise to the rows of any data, x + std * N(0, 1), which smooths what is learned [001].

    The noise of a row is another one each epoch. A layer `GaussianNoise` in front does the same by steps; it can also
    stand further back.

    Parameters
    ----------
    std : float
        Standard deviation, at least 0, in the units of X; for standardised data 0.1 is a tenth of theirs. There is no
        default.
    """

    std: float

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "std", checks.number, least=0, most=GREATEST)

    def changes(self) -> NoiseChanges:
        """Return the engine's description."""
        return _engine.NoiseChanges(self.std)


KNOWN: dict[str, type[Augmentation]] = {"image": ImageAugmentation, "noise": NoiseAugmentation}


def checked(augment: object, columns: int) -> tuple[Augmentation, ...]:
    """Return the argument `augment`, for rows of so many columns."""
    given = [] if augment is None else [augment] if isinstance(augment, Augmentation) else augment
    expected = "augment must be an Augmentation, such as NoiseAugmentation(0.1), or a sequence of them"
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise TypeError(f"{expected}; got {checks.shown(augment)}")
    for one in given:
        if not isinstance(one, Augmentation):
            raise TypeError(f"{expected}; got {checks.shown(one)} in it")
        one.check_columns(columns)
    return tuple(given)


def augmented(
    X: npt.ArrayLike,
    augment: Augmentation | Sequence[Augmentation],
    *,
    seed: int = 0,
    epoch: int = 0,
    rows: npt.ArrayLike | None = None,
    dtype: npt.DTypeLike = "float32",
) -> Array:
    """Return rows as `Trainer.fit(X, y, augment=...)` trains on them in an epoch; to be looked at, or a loop by hand.

    On a GPU the fit sees the same pictures and noise to within rounding, on the CPU to the last bit.

    Parameters
    ----------
    X : array of shape (N, inputs)
        Finite numbers.
    augment : Augmentation or sequence of Augmentation
        What happens to the rows, one after the other.
    seed : int, default 0
        The trainer's seed for the same rows.
    epoch : int, default 0
        Epochs done before this one; below 2**32.
    rows : array of int, of shape (N,), optional
        The numbers of the rows among those trained on; 0, 1, ... if None. With a validation part, those that are left
        for training are counted.
    dtype : {"float32", "float64"}
        That of the network.

    Returns
    -------
    ndarray of shape (N, inputs)
        Changed copies, in the network's dtype.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit.

    Examples
    --------
    A loop by hand, over what `Trainer.fit` would see:

    >>> for epoch in range(20):
    ...     changed = cr.augmented(X, cr.NoiseAugmentation(0.1), seed=0, epoch=epoch)
    ...     for xb, yb in cr.batches(changed, y, seed=0, epoch=epoch):
    ...         ...
    """
    kind = checks.precision("dtype", dtype)
    x = np.ascontiguousarray(data.features("X", X, None, kind))
    changes = [one.changes() for one in checked(augment, x.shape[1])]
    numbers = None if rows is None else row_numbers(rows, len(x))
    engine = _engine.float32 if kind == np.float32 else _engine.float64
    epoch = checks.whole("epoch", epoch, least=0, most=2**32 - 1)
    result: Array = engine.augment(x, changes, checks.seed("seed", seed), epoch, numbers)
    return result


def row_numbers(rows: npt.ArrayLike, count: int) -> npt.NDArray[np.int32]:
    """Return `count` numbers of rows, each below 2^31."""
    array = data.real("rows", rows)
    if array.shape != (count,):
        raise ValueError(f"rows must have shape ({count},), a number for each row of X; got {array.shape}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"rows must hold whole numbers; got {array.dtype}")
    if array.size and (array.min() < 0 or array.max() > checks.MOST):
        raise ValueError(f"rows must be numbers from 0 to {checks.MOST}; got {array.min()} to {array.max()}")
    return array.astype(np.int32)
