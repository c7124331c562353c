"""Augmentation in `Trainer.fit`: which rows are changed, how, and what it is good for.

What a fit does is held against a fit, without augmentation, on rows that `augmented` changed before: the same bits.
That those rows are right, test_kernels_augmentation.py shows; fits on a GPU are in test_cuda_augmentation.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import bits

import chainrule as cr
from chainrule import _engine, reference
from chainrule._engine import ImageChanges

NOISE = cr.NoiseAugmentation(0.3)
IMAGES = cr.ImageAugmentation(
    3, 2, channels=2, flip_horizontal=True, max_rotation=30, max_shift=1, max_zoom=0.1, fill=-1
)
FLIP = cr.ImageAugmentation(4, 3, flip_vertical=True)
KINDS: dict[str, cr.Augmentation | list[cr.Augmentation]] = {
    "noise": NOISE,
    "images": IMAGES,
    "all": [IMAGES, NOISE, FLIP, IMAGES, NOISE],
}

ROWS, INPUTS, CLASSES = 53, 12, 3
_rng = np.random.default_rng(5)
X = _rng.normal(size=(ROWS, INPUTS))
LABELS = _rng.integers(0, CLASSES, ROWS)


def trainer(dtype: str = "float32", device: str = "cpu", **options: Any) -> cr.Trainer:
    layers = [cr.Dense(7, activation="tanh"), cr.Dense(CLASSES)]
    net = cr.Network(layers, inputs=INPUTS, seed=3, dtype=dtype, device=device)
    return cr.Trainer(net, **{"loss": "cross_entropy", "seed": 11, **options})


def course(augment: Any, dtype: str = "float32", device: str = "cpu", **fit: Any) -> tuple[Any, dict[str, bytes]]:
    """Train three epochs; return the losses and what was learned."""
    one = trainer(dtype, device)
    history = one.fit(X, LABELS, epochs=3, augment=augment, verbose=False, **fit)
    return history["loss"], bits(one.net)


def changed_before(augment: Any, dtype: str, **fit: Any) -> tuple[Any, dict[str, bytes]]:
    """Train on rows that were changed before each epoch."""
    one, losses = trainer(dtype), []
    for epoch in range(3):
        rows = cr.augmented(X, augment, seed=11, epoch=epoch, dtype=dtype)
        losses += one.fit(rows, LABELS, epochs=1, verbose=False, **fit)["loss"]
    return losses, bits(one.net)


# What a fit sees ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fit",
    [{"batch_size": 1}, {"batch_size": 7, "drop_last": True}, {"batch_size": 16, "shuffle": False}, {"batch_size": 99}],
    ids=str,
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_sees_what_augmented_gives(kind: str, fit: dict[str, Any], dtype: str) -> None:
    assert course(KINDS[kind], dtype, **fit) == changed_before(KINDS[kind], dtype, **fit)


def test_ten_epochs_are_four_and_then_six() -> None:
    once, twice = trainer(), trainer()
    once.fit(X, LABELS, epochs=10, augment=NOISE, verbose=False)
    for epochs in (4, 6):
        twice.fit(X, LABELS, epochs=epochs, augment=NOISE, verbose=False)
    assert bits(once.net) == bits(twice.net)


@pytest.mark.usefixtures("restored_threads")
def test_any_number_of_threads_gives_the_same_bits() -> None:
    _engine.set_work_per_thread(1)
    results = []
    for threads in (1, 2, 3):
        cr.set_num_threads(threads)
        results.append((course(KINDS["all"]), cr.augmented(X, KINDS["all"]).tobytes()))
    assert results[0] == results[1] == results[2]


def test_each_epoch_has_other_rows_and_each_seed() -> None:
    seen = [cr.augmented(X, NOISE, seed=seed, epoch=epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({one.tobytes() for one in seen}) == 4


def test_what_comes_twice_is_drawn_twice() -> None:
    once, twice = (cr.augmented(X, augment, dtype="float64") - X for augment in (NOISE, [NOISE, NOISE]))
    assert_array_equal((once + X) - X, once)
    second = twice - once
    assert abs(np.corrcoef(once.ravel(), second.ravel())[0, 1]) < 4 / np.sqrt(X.size)


def test_rows_are_numbered_in_the_training_part() -> None:
    """Behind a validation part they are those that are left, in their order."""
    one, other = trainer(), trainer()
    one.fit(X, LABELS, epochs=1, validation_split=0.2, augment=NOISE, verbose=False)
    from chainrule.training_rows import split_rows

    kept, _ = split_rows(other.loss, LABELS, 0.2, 11)
    other.fit(cr.augmented(X[kept], NOISE, seed=11), LABELS[kept], epochs=1, verbose=False)
    assert bits(one.net) == bits(other.net)


def test_only_training_rows_are_changed() -> None:
    one = trainer(metrics=["accuracy"])
    validation = (X[:20] + 1, LABELS[:20])
    before = X.copy()
    history = one.fit(X, LABELS, epochs=2, shuffle=False, augment=KINDS["all"], validation_data=validation, verbose=0)
    assert_array_equal(X, before)
    measured = one.evaluate(*validation)
    assert history["val_loss"][-1] == measured["loss"]
    assert history["val_accuracy"][-1] == measured["accuracy"]
    weight, bias, last_weight, last_bias = one.net.parameters().values()
    assert_allclose(one.net.predict(X), np.tanh(X @ weight + bias) @ last_weight + last_bias, atol=1e-5)


def test_nothing_to_do_changes_nothing() -> None:
    assert course(()) == course([]) == course(cr.NoiseAugmentation(0.0))


# Looking at it --------------------------------------------------------------------------------------------------------


def test_augmented_is_the_specification(dtype: str) -> None:
    numbers = np.arange(ROWS)[::-1]
    made = ImageChanges(3, 2, 2, True, False, 30 / 360, 1, 0.1, -1.0)
    images = reference.augment_images(X, numbers, made, seed=2, place=0, epoch=7)
    expected = reference.noise_rows(images, numbers, deviation=0.3, seed=2, place=1, epoch=7)
    result = cr.augmented(X, [IMAGES, NOISE], seed=2, epoch=7, rows=numbers, dtype=dtype)
    assert result.dtype == dtype
    assert_allclose(result, expected, rtol=0, atol=1e-5 if dtype == "float32" else 1e-13)


def test_augmented_takes_single_rows_and_none() -> None:
    whole = cr.augmented(X, IMAGES, epoch=2)
    for row in (0, ROWS - 1):
        assert_array_equal(cr.augmented(X[row : row + 1], IMAGES, epoch=2, rows=[row]), whole[row : row + 1])
    assert cr.augmented(X[:0], IMAGES).shape == (0, INPUTS)
    assert cr.augmented(X[:, ::-1].astype(int).tolist(), NOISE).dtype == np.float32


# Bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"height": 0}, ValueError, "height must be a whole number from 1 to 32768; got 0"),
        ({"width": 2.0}, TypeError, "width must be a whole number"),
        ({"channels": True}, TypeError, "channels must be a whole number"),
        ({"height": 32768, "width": 32768, "channels": 3}, ValueError, r"must be at most 2147483647; got 3221225472"),
        ({"flip_horizontal": 1}, TypeError, "flip_horizontal must be True or False; got 1"),
        ({"flip_vertical": "yes"}, TypeError, "flip_vertical must be True or False"),
        ({"max_rotation": 181}, ValueError, "max_rotation must be a finite number at least 0 and at most 180; got 181"),
        ({"max_rotation": -1}, ValueError, "max_rotation must be a finite number at least 0"),
        ({"max_shift": 1.5}, TypeError, "max_shift must be a whole number from 0"),
        ({"max_shift": -1}, ValueError, "max_shift must be a whole number from 0"),
        ({"max_zoom": 1}, ValueError, "max_zoom must be a finite number at least 0 and below 1; got 1"),
        ({"fill": np.nan}, ValueError, "fill must be a finite number"),
        ({"fill": 1e39}, ValueError, "fill must be a finite number"),
        ({"max_shift": 0}, ValueError, "must be told what to change"),
    ],
    ids=str,
)
def test_bad_options_of_images(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        cr.ImageAugmentation(**{"height": 8, "width": 8, "max_shift": 1, **options})


@pytest.mark.parametrize("std", [-0.1, np.inf, np.nan, 1e39])
def test_bad_noise(std: float) -> None:
    with pytest.raises(ValueError, match="std must be a finite number at least 0"):
        cr.NoiseAugmentation(std)


@pytest.mark.parametrize(
    ("augment", "error", "words"),
    [
        ("noise", TypeError, r"augment must be an Augmentation, such as NoiseAugmentation\(0.1\), or a sequence"),
        (0.1, TypeError, "augment must be an Augmentation"),
        ([NOISE, 0.1], TypeError, "got 0.1 in it"),
        (cr.NoiseAugmentation, TypeError, "augment must be an Augmentation"),
        (
            [NOISE, cr.ImageAugmentation(4, 4, max_shift=1)],
            ValueError,
            "pictures of 4 x 4 pixels, 1 a pixel, have 16 numbers; the rows of X have 12",
        ),
    ],
    ids=str,
)
def test_a_fit_refuses_what_cannot_be_done(augment: Any, error: type[Exception], words: str) -> None:
    one = trainer()
    before = bits(one.net)
    with pytest.raises(error, match=words):
        one.fit(X, LABELS, augment=augment, verbose=False)
    assert bits(one.net) == before
    assert one.epochs_done == 0
    with pytest.raises(error, match=words):
        cr.augmented(X, augment)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"epoch": -1}, ValueError, "epoch must be a whole number from 0 to 4294967295"),
        ({"epoch": 2**32}, ValueError, "epoch must be a whole number"),
        ({"seed": 2**64}, ValueError, "seed must be a whole number"),
        ({"rows": [0]}, ValueError, r"rows must have shape \(53,\), a number for each row of X; got \(1,\)"),
        ({"rows": np.arange(53) - 1}, ValueError, "rows must be numbers from 0 to 2147483647; got -1 to 51"),
        ({"rows": np.arange(53.0)}, TypeError, "rows must hold whole numbers; got float64"),
        ({"dtype": "int32"}, ValueError, "dtype must be 'float32' or 'float64'"),
    ],
    ids=str,
)
def test_augmented_refuses(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        cr.augmented(X, NOISE, **options)


# What it is good for --------------------------------------------------------------------------------------------------


def test_noise_smooths_what_is_learned() -> None:
    """[001]: an overfitting network, ten rows about a sine, follows them less closely and the sine more."""

    def errors(augment: Any, seed: int) -> tuple[float, float]:
        rng = np.random.default_rng(seed)
        x, between = rng.uniform(-3, 3, (10, 1)), np.linspace(-3, 3, 200)[:, None]
        y = np.sin(x) + rng.normal(scale=0.3, size=x.shape)
        layers = [cr.Dense(40, activation="tanh"), cr.Dense(40, activation="tanh"), cr.Dense(1)]
        one = cr.Trainer(cr.Network(layers, inputs=1, seed=seed), loss="mse", optimizer=cr.Adam(0.01))
        one.fit(x, y, epochs=800, augment=augment, verbose=False)
        return one.evaluate(x, y)["loss"], one.evaluate(between, np.sin(between))["loss"]

    plain = np.array([errors((), seed) for seed in range(5)])
    noisy = np.array([errors(cr.NoiseAugmentation(0.3), seed) for seed in range(5)])
    assert (noisy[:, 0] > plain[:, 0]).all()
    assert noisy[:, 1].mean() < 0.7 * plain[:, 1].mean()


def spots(rng: np.random.Generator, count: int, left: bool) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return pictures 8 x 8 of a bright spot, which is in the lower half in class 1: in the left half, or anywhere."""
    rows, columns = rng.integers(0, 8, count), rng.integers(0, 4 if left else 8, count)
    pictures = 0.3 * rng.normal(size=(count, 8, 8))
    pictures[np.arange(count), rows, columns] += 3
    return pictures.reshape(count, 64), (rows >= 4).astype(int)


def test_flips_teach_what_is_the_same_in_the_mirror() -> None:
    """[000]: spots on the left are all there is to learn from; in the mirror they are on the right."""
    rng = np.random.default_rng(1)
    training, test = spots(rng, 300, left=True), spots(rng, 1000, left=False)

    def accuracy(augment: Any) -> float:
        net = cr.Network([cr.Dense(16, activation="relu"), cr.Dense(2)], inputs=64, seed=1)
        one = cr.Trainer(net, loss="cross_entropy", metrics=["accuracy"])
        one.fit(*training, epochs=60, augment=augment, verbose=False)
        return one.evaluate(*test)["accuracy"]

    assert accuracy(()) < 0.85
    assert accuracy(cr.ImageAugmentation(8, 8, flip_horizontal=True)) > 0.9


def test_shifts_teach_digits_that_lie_aside() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    digits, classes = datasets.load_digits(return_X_y=True)
    digits = digits / 16
    aside = np.roll(digits.reshape(-1, 8, 8), 1, axis=2)
    aside[:, :, 0] = 0
    training, test = (digits[:900], classes[:900]), (aside[900:].reshape(-1, 64), classes[900:])

    def accuracy(augment: Any) -> float:
        net = cr.Network([cr.Dense(32, activation="relu"), cr.Dense(10)], inputs=64, seed=2)
        one = cr.Trainer(net, loss="cross_entropy", metrics=["accuracy"], optimizer=cr.Adam(0.003))
        one.fit(*training, epochs=40, augment=augment, verbose=False)
        return one.evaluate(*test)["accuracy"]

    assert accuracy(()) < 0.6
    assert accuracy(cr.ImageAugmentation(8, 8, max_shift=1, max_rotation=10)) > 0.8
