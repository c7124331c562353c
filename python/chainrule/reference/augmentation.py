"""Rows changed at random before they are trained on: noise, and pictures mirrored, turned, zoomed and shifted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chainrule.reference.common import Array, Labels
from chainrule.reference.random_numbers import Purpose, normals_of_words, philox_words

if TYPE_CHECKING:
    from chainrule._engine import ImageChanges

Numbers = npt.NDArray[np.float64]


def row_words(rows: Labels, blocks: int, *, seed: int, place: int, epoch: int) -> npt.NDArray[np.uint64]:
    """Return the words (B, 4 * blocks) of the rows numbered so: the stream's step is epoch * 2^32 + row.

    `place` is that of the change among several.
    """
    counter = (np.arange(blocks), rows.reshape(-1, 1), epoch, Purpose.AUGMENTATION << 24 | place)
    return philox_words(counter, (seed % 2**32, seed >> 32)).reshape(len(rows), 4 * blocks)


@np.errstate(over="ignore", invalid="ignore")
def noise_rows(x: Array, rows: Labels, *, deviation: float, seed: int, place: int, epoch: int) -> Array:
    """Return x + deviation * N(0, 1), (B, d), of the rows numbered so; the sum is computed in double precision."""
    words = row_words(rows, (x.shape[1] + 3) // 4, seed=seed, place=place, epoch=epoch)
    noise = normals_of_words(words.reshape(-1)).reshape(words.shape)[:, : x.shape[1]]
    return (x.astype(np.float64) + float(deviation) * noise).astype(x.dtype)


def image_maps(
    rows: Labels, changes: ImageChanges, *, seed: int, place: int, epoch: int
) -> tuple[Numbers, Numbers, Numbers]:
    """Return what happens to the pictures of the rows numbered so: F R / z (B, 2, 2), d (B, 2), and o (2).

    Seen at pixel p = (row, column) is the place q = o + F R / z (p - o - d): mirrored, then turned counter-clockwise by
    t and made z times as large around the centre o, then shifted by d pixels. ::

        R = [[cos t, sin t], [-sin t, cos t]],  F = diag(+-1, +-1),  o = ((height - 1) / 2, (width - 1) / 2)
        t = max_turns u0 turns,  z = 1 + max_zoom u3,  u = (word + 1/2) / 2^31 - 1
        d = floor((2 max_shift + 1) (word 1, word 2) / 2^32) - max_shift
        F = -1 where that flip is asked for and the highest bit of word 4 (rows) or 5 (columns) is set
    """
    words = row_words(rows, 2, seed=seed, place=place, epoch=epoch)
    u = (words + 0.5) * 2.0**-31 - 1
    angle = 2 * np.pi * changes.max_turns * u[:, 0]
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cosine, sine], axis=-1), np.stack([-sine, cosine], axis=-1)], axis=1)
    flips = np.array([changes.flip_vertical, changes.flip_horizontal]) & (words[:, 4:6] >> np.uint64(31) == 1)
    zoom = 1 + changes.max_zoom * u[:, 3]
    linear = np.where(flips, -1.0, 1.0)[:, :, None] * turn / zoom[:, None, None]
    values = np.uint64(2 * changes.max_shift + 1)
    shift = (words[:, 1:3] * values >> np.uint64(32)).astype(np.float64) - changes.max_shift
    return linear, shift, np.array([changes.height - 1, changes.width - 1]) / 2


def blend(a: Numbers, b: Numbers, share: Numbers) -> Numbers:
    """Return a + share * (b - a), exactly a where share is 0."""
    result: Numbers = np.where(share == 0, a, a + share * (b - a))
    return result


@np.errstate(invalid="ignore")
def augment_images(
    x: Array, rows: Labels, changes: ImageChanges, *, seed: int, place: int, epoch: int
) -> npt.NDArray[Any]:
    """Return pictures (B, height * width * channels) changed as `image_maps` has it, blended between pixels.

    Beyond the edge all is `fill`. All in double precision, but for the result.
    """
    height, width, channels = changes.height, changes.width, changes.channels
    linear, shift, centre = image_maps(rows, changes, seed=seed, place=place, epoch=epoch)
    pixels = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), axis=-1).reshape(-1, 2)
    # One pixel and more beyond the edge all is filled: the frame that is laid around each picture is two pixels wide.
    framed = np.full((len(x), height + 4, width + 4, channels), changes.fill)
    framed[:, 2 : height + 2, 2 : width + 2] = x.reshape(len(x), height, width, channels)
    y = np.empty((len(x), height * width, channels))
    for picture, turn, moved, out in zip(framed, linear, shift, y, strict=True):
        seen = np.clip((pixels - centre - moved) @ turn.T + centre, -1, [height, width])
        corner = np.floor(seen).astype(np.int64)
        share = (seen - corner)[:, :, None]
        row, column = (corner + 2).T
        upper, lower = (blend(picture[line, column], picture[line, column + 1], share[:, 1]) for line in (row, row + 1))
        out[...] = blend(upper, lower, share[:, 0])
    return y.reshape(x.shape).astype(x.dtype)
