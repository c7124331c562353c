"""The operations that augment, against the specification, NumPy's own flips and turns, and scipy's affine transform."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from kernel_checks import EveryTeam, assert_within, epsilon, random
from numpy.testing import assert_array_equal

from chainrule import reference
from chainrule._engine import ImageChanges

STREAMS: tuple[dict[str, Any], ...] = (
    {"seed": 0, "place": 0, "epoch": 0},
    {"seed": 2**64 - 1, "place": 2**24 - 1, "epoch": 2**32 - 1},
)
ROWS = np.array([0, 2**31 - 1, 7, 3, 8, 1, 2], np.int32)


def changes(height: int, width: int, channels: int = 1, **options: Any) -> ImageChanges:
    given = {"flip_horizontal": False, "flip_vertical": False, "max_turns": 0.0, "max_shift": 0, "max_zoom": 0.0}
    return ImageChanges(height, width, channels, **{**given, "fill": 0.0, **options})


# Noise ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [0, 1, 2, 3, 4, 5, 7, 63, 64, 65, 301])
def test_noise_rows(columns: int, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for count in (0, 1, 7):
        x = random(rng, dtype, count, columns)
        for stream in STREAMS:
            options = {"deviation": 0.3, **stream}
            exact = reference.noise_rows(x.astype(float), ROWS[:count], **options)
            # As for add_noise (test_kernels_random.py).
            bound = epsilon(dtype) * abs(exact) + 2 * epsilon("float64") * 6.8 * 5 * 0.3
            assert_within(kernels.noise_rows(x, ROWS[:count], **options), exact, bound, message=f"{count} rows")


def test_noise_rows_of_a_row_depends_on_its_number_alone(kernels: EveryTeam, dtype: str) -> None:
    zeros, options = np.zeros((40, 9), dtype), {"deviation": 1.0, "seed": 3, "place": 1, "epoch": 4}
    whole = kernels.noise_rows(zeros, np.arange(40, dtype=np.int32), **options)
    for order in (np.arange(40)[::-1], np.arange(5, 22), np.array([39])):
        numbers = order.astype(np.int32)
        assert_array_equal(kernels.noise_rows(zeros[order], numbers, **options), whole[order])
    assert len(np.unique(whole)) == whole.size
    for other in ({"seed": 4}, {"place": 2}, {"epoch": 5}):
        differs = kernels.noise_rows(zeros, np.arange(40, dtype=np.int32), **{**options, **other})
        assert not np.isin(differs, whole).any()


def test_noise_rows_is_normal(kernels: EveryTeam, dtype: str) -> None:
    rows = np.arange(500, dtype=np.int32)
    noise = kernels.noise_rows(np.zeros((500, 7), dtype), rows, deviation=2.0, seed=1, place=0, epoch=0)
    # The mean of n has the deviation 2 / sqrt n, the deviation that of 2 / sqrt(2 n); four of them.
    assert abs(noise.mean()) < 4 * 2 / np.sqrt(noise.size)
    assert abs(noise.std() - 2) < 4 * 2 / np.sqrt(2 * noise.size)
    correlation = np.corrcoef(noise.T) - np.eye(7)
    assert abs(correlation).max() < 5 / np.sqrt(500)


# Pictures -------------------------------------------------------------------------------------------------------------

SIZES = [(1, 1, 1), (1, 7, 1), (6, 1, 2), (8, 8, 1), (5, 17, 3), (3, 65, 1), (28, 28, 1)]
KINDS: dict[str, dict[str, Any]] = {
    "turned": {"max_turns": 0.5},
    "zoomed": {"max_zoom": 0.4, "fill": -1.0},
    "all": {"flip_horizontal": True, "flip_vertical": True, "max_turns": 0.1, "max_shift": 2, "max_zoom": 0.2},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_augment_images(
    size: tuple[int, int, int], kind: str, kernels: EveryTeam, dtype: str, rng: np.random.Generator
) -> None:
    made = changes(*size, **KINDS[kind])
    for count in (0, 1, 7):
        x = random(rng, dtype, count, size[0] * size[1] * size[2])
        for stream in STREAMS:
            exact = reference.augment_images(x.astype(float), ROWS[:count], made, **stream)
            # A place is a sum of two numbers of at most `reach`, each rounded twice, as is the sum. Half a pixel on,
            # the number there may differ by half of all differences, in either direction. The blends round it thrice.
            reach = (size[0] + size[1] + made.max_shift) / (1 - made.max_zoom)
            spread = np.ptp([*x.ravel(), made.fill])
            bound = epsilon(dtype) * (4 * reach * spread + 4 * spread + abs(exact))
            assert_within(kernels.augment_images(x, ROWS[:count], made, **stream), exact, bound, f"{count} pictures")


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_augment_images_is_an_affine_transform(size: tuple[int, int, int], rng: np.random.Generator) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    made, stream = changes(*size, **KINDS["all"], fill=0.7), STREAMS[0]
    x = rng.normal(size=(len(ROWS), size[0] * size[1] * size[2]))
    linear, shift, centre = reference.image_maps(ROWS, made, **stream)
    changed = reference.augment_images(x, ROWS, made, **stream).reshape(-1, *size)
    for picture, turn, moved, result in zip(x.reshape(-1, *size), linear, shift, changed, strict=True):
        for channel in range(size[2]):
            offset = centre - turn @ (centre + moved)
            options = {"order": 1, "mode": "grid-constant", "cval": 0.7}
            expected = ndimage.affine_transform(picture[..., channel], turn, offset, **options)
            np.testing.assert_allclose(result[..., channel], expected, rtol=0, atol=1e-12)


def moved(
    picture: npt.NDArray[Any], linear: npt.NDArray[Any], shift: npt.NDArray[Any], fill: float
) -> npt.NDArray[Any]:
    """Return a picture (height, width, channels) mirrored and shifted by NumPy alone."""
    height, width, _ = picture.shape
    mirrored = picture[:: int(linear[0, 0]), :: int(linear[1, 1])]
    down, right = (int(d) for d in shift)
    far = np.full((3 * height + 20, 3 * width + 20, picture.shape[2]), fill, picture.dtype)  # shifts are at most 3
    far[height + 10 + down :][:height, width + 10 + right :][:, :width] = mirrored
    return far[height + 10 : 2 * height + 10, width + 10 : 2 * width + 10]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("shift", [0, 3])
def test_augment_images_without_turns_moves_whole_pixels(
    size: tuple[int, int, int], shift: int, kernels: EveryTeam, dtype: str, rng: np.random.Generator
) -> None:
    x = random(rng, dtype, 20, size[0] * size[1] * size[2])
    x[rng.random(x.shape) < 0.1] = np.nan
    x[rng.random(x.shape) < 0.1] = -0.0
    x[rng.random(x.shape) < 0.1] = np.inf
    rows = np.arange(20, dtype=np.int32)
    for flips in ((False, False), (True, False), (False, True), (True, True)):
        options = {"flip_horizontal": flips[0], "flip_vertical": flips[1], "max_shift": shift, "fill": 0.25}
        made = changes(*size, **options)
        linear, shifts, _ = reference.image_maps(rows, made, seed=5, place=1, epoch=2)
        pictures = x.reshape(-1, *size)
        expected = [moved(*each, 0.25) for each in zip(pictures, linear, shifts, strict=True)]
        y = kernels.augment_images(x, rows, made, seed=5, place=1, epoch=2)
        assert y.tobytes() == np.array(expected).tobytes()
        if not any(flips) and shift == 0:
            assert y.tobytes() == x.tobytes()
        specified = reference.augment_images(x, rows, made, seed=5, place=1, epoch=2)
        assert_array_equal(specified, y)


def test_augment_images_turns_as_rot90(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    words = [int(reference.philox(0, reference.Purpose.AUGMENTATION, 0, row, 0)[0]) for row in range(5)]
    for row, word in enumerate(words):
        share = (word + 0.5) / 2**31 - 1  # of the greatest angle, which is chosen so that a quarter turn comes out
        for side in (1, 2, 5, 16):
            picture = random(rng, dtype, side, side)
            made = changes(side, side, max_turns=0.25 / abs(share))
            y = kernels.augment_images(picture.reshape(1, -1), np.array([row], np.int32), made, **STREAMS[0])
            expected = np.rot90(picture, 1 if share > 0 else -1)
            bound = 20 * side * epsilon(dtype) * max(np.ptp(picture), abs(picture).max())
            np.testing.assert_allclose(y.reshape(side, side), expected, rtol=0, atol=bound)


def test_augment_images_blends_no_more_than_it_needs(kernels: EveryTeam, dtype: str) -> None:
    """A NaN spoils the pixels that lie less than one from it, and none else."""
    x = np.zeros((7, 81), dtype)
    x[:, 40] = np.nan
    made = changes(9, 9, max_turns=0.1, max_zoom=0.2)
    spoiled = np.isnan(reference.augment_images(x.astype(float), ROWS, made, **STREAMS[0]))
    assert_array_equal(np.isnan(kernels.augment_images(x, ROWS, made, **STREAMS[0])), spoiled)
    assert spoiled.any(axis=1).all()
    assert (spoiled.sum(axis=1) <= 9).all()


def test_augment_images_of_a_row_depends_on_its_number_alone(
    kernels: EveryTeam, dtype: str, rng: np.random.Generator
) -> None:
    x, made = np.tile(random(rng, dtype, 1, 64), (30, 1)), changes(8, 8, **KINDS["all"])
    numbers, options = np.arange(30, dtype=np.int32), {"seed": 3, "place": 1, "epoch": 4}
    whole = kernels.augment_images(x, numbers, made, **options)
    for order in (numbers[::-1], numbers[5:22], numbers[29:]):
        assert_array_equal(kernels.augment_images(x[order], order, made, **options), whole[order])
    assert len(np.unique(whole, axis=0)) == 30
    for other in ({"seed": 4}, {"place": 2}, {"epoch": 5}):
        differs = kernels.augment_images(x, numbers, made, **{**options, **other})
        assert (differs != whole).any(axis=1).all()


def test_augment_images_draws_evenly() -> None:
    rows, made = np.arange(4000), changes(4, 6, **{**KINDS["all"], "max_turns": 0.25, "max_zoom": 0.5})
    linear, shift, _ = reference.image_maps(rows, made, seed=9, place=0, epoch=1)
    # Four deviations of a share of n rows, sqrt(p (1 - p) / n).
    for axis in (0, 1):
        for value in range(-2, 3):
            assert abs((shift[:, axis] == value).mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 4000)
    mirrored = np.linalg.det(linear) < 0
    assert abs(mirrored.mean() - 0.5) < 4 * np.sqrt(0.25 / 4000)
    zoom = abs(np.linalg.det(linear)) ** -0.5
    assert 0.5 < zoom.min() < 0.51
    assert 1.49 < zoom.max() < 1.5
    cosine = abs(linear[:, 0, 0]) * zoom  # of angles spread evenly over a half turn: the mean is 2 / pi
    assert abs(cosine.mean() - 2 / np.pi) < 4 * np.sqrt((0.5 - 4 / np.pi**2) / 4000)


def test_augment_images_refuses_rows_of_another_size(kernels: EveryTeam, dtype: str) -> None:
    with pytest.raises(ValueError, match=r"x must have shape \(any, 64\); got \(2, 63\)"):
        kernels.augment_images(np.zeros((2, 63), dtype), ROWS[:2], changes(8, 8), **STREAMS[0])
    with pytest.raises(ValueError, match=r"rows must have shape \(2\)"):
        kernels.augment_images(np.zeros((2, 64), dtype), ROWS, changes(8, 8), **STREAMS[0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"height": 0}, "height, width and channels must be 1 to 32768; got 0"),
        ({"height": -8, "width": -8}, "must be 1 to 32768; got -8"),
        ({"height": 2**15, "width": 2**15, "channels": 2}, "fewer than 2.31 numbers"),
        ({"max_shift": -1}, "max_shift must be 0 to 32768; got -1"),
        ({"max_turns": np.nan}, "max_turns must be 0 to 2.20; got nan"),
        ({"max_zoom": 1.0}, "max_zoom must be at least 0 and below 1; got 1"),
    ],
    ids=str,
)
def test_augment_images_is_told_possible_changes(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        changes(**{"height": 8, "width": 8, **options})
