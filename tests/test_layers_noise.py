"""Layers that disturb what passes: every variant of Dropout, and GaussianNoise, judged by counts, moments and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from problems import rows

import chainrule as cr
from chainrule import reference

# (variant, the factor of what is left in training, that of all in prediction), for a rate of 0.3
RATE = 0.3
VARIANTS = [("inverted", 1 / (1 - RATE), 1.0), ("classic", 1.0, 1 - RATE), ("fixed_count", 1 / (1 - RATE), 1.0)]


def alone(width, seed=0, dtype="float64", **options):
    return cr.Network([cr.Dropout(**options)], inputs=width, seed=seed, dtype=dtype)


def trained(net, x):
    return np.asarray(net(x))


@pytest.mark.parametrize("per", ["sample", "batch"])
@pytest.mark.parametrize(("variant", "training", "prediction"), VARIANTS)
def test_dropout_is_its_formula(variant, training, prediction, per, dtype):
    # Of 20 columns a fixed count drops 6, a share of 0.3 exactly.
    net, x = alone(20, seed=3, dtype=dtype, rate=RATE, variant=variant, per=per), rows(9, 20).astype(dtype)
    for step in range(3):
        found = trained(net, x)
        count = 6 if variant == "fixed_count" else -1
        expected = reference.dropout(
            x, rate=RATE, count=count, same=per == "batch", scale=training, seed=3, layer=0, step=step
        )
        np.testing.assert_allclose(found, expected, rtol=2 * np.finfo(dtype).eps, atol=0)
        left = found != 0
        np.testing.assert_allclose(found[left], (x * training)[left], rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_allclose(net.predict(x), x * prediction, rtol=2 * np.finfo(dtype).eps, atol=0)
    net.eval()
    assert np.array_equal(trained(net, x), net.predict(x))


@pytest.mark.parametrize("variant", ["inverted", "classic"])
def test_the_share_that_is_dropped(variant):
    left = trained(alone(400, rate=RATE, variant=variant), np.ones((100, 400))) != 0
    # Five standard errors: of a share of 40,000 draws, of 100 of a column, of 400 of a row (six, being 500 numbers).
    spread = np.sqrt(RATE * (1 - RATE))
    assert abs(left.mean() - (1 - RATE)) < 5 * spread / np.sqrt(40_000)
    assert np.abs(left.mean(axis=0) - (1 - RATE)).max() < 6 * spread / np.sqrt(100)
    assert np.abs(left.mean(axis=1) - (1 - RATE)).max() < 6 * spread / np.sqrt(400)


@pytest.mark.parametrize("width", [1, 2, 5, 7, 16, 100, 101])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.25, 0.5, 0.7])
@pytest.mark.parametrize("per", ["sample", "batch"])
def test_a_fixed_count_is_exact(width, rate, per):
    count = round(rate * width)  # to the even one of two that are equally near
    if count == width:
        with pytest.raises(ValueError, match="drops all of"):
            alone(width, rate=rate, variant="fixed_count", per=per)
        return
    if count == 0 and rate > 0:
        with pytest.raises(ValueError, match=f"of rate {rate:g} drops none of {width} inputs"):
            alone(width, rate=rate, variant="fixed_count", per=per)
        return
    found = trained(alone(width, rate=rate, variant="fixed_count", per=per), np.ones((50, width)))
    assert ((found == 0).sum(axis=1) == count).all()
    # What is left keeps the mean of a row as it was: to within the rounding of a quotient and a sum of `width` terms.
    np.testing.assert_allclose(found.mean(axis=1), 1, rtol=0, atol=2 * width * 2.0**-53 + 2.0**-51)


def test_a_fixed_count_takes_every_unit_equally_often():
    net, draws = alone(7, rate=3 / 7, variant="fixed_count"), 3000
    dropped = trained(net, np.ones((draws, 7))) == 0
    # Each unit is among the three with a share of 3/7, each pair with 3/7 * 2/6. Six standard errors, of 28 numbers.
    pairs = dropped.T.astype(float) @ dropped / draws
    expected = np.full((7, 7), 3 / 7 * 2 / 6)
    np.fill_diagonal(expected, 3 / 7)
    assert (np.abs(pairs - expected) < 6 * np.sqrt(expected * (1 - expected) / draws)).all()


@pytest.mark.parametrize("variant", ["inverted", "classic", "fixed_count"])
def test_a_mask_is_of_a_row_or_of_a_batch_and_new_each_step(variant):
    x = np.ones((8, 64))
    for per in ("sample", "batch"):
        net = alone(64, rate=0.5, variant=variant, per=per)
        first, second = trained(net, x), trained(net, x)
        assert not np.array_equal(first, second)
        assert len(np.unique(first, axis=0)) == (8 if per == "sample" else 1)


@pytest.mark.parametrize("per", ["sample", "batch"])
@pytest.mark.parametrize("variant", ["inverted", "classic", "fixed_count"])
def test_the_expected_output_is_the_prediction(variant, per):
    net, x, draws = alone(10, rate=RATE, variant=variant, per=per), rows(1, 10), 4000
    mean = np.mean([trained(net, x) for _ in range(draws)], axis=0)
    # Each element is on or off; on it is x times the factor. Six standard errors, of ten numbers.
    factor = 1.0 if variant == "classic" else 1 / (1 - RATE)
    bound = 6 * np.abs(x) * factor * np.sqrt(RATE * (1 - RATE) / draws)
    assert (np.abs(mean - net.predict(x)) < bound).all()


def test_classic_training_is_inverted_training_scaled():
    x = rows(5, 30)
    classic, inverted = (trained(alone(30, rate=RATE, variant=variant), x) for variant in ("classic", "inverted"))
    np.testing.assert_allclose(classic, inverted * (1 - RATE), rtol=4 * 2.0**-53, atol=0)


@pytest.mark.parametrize("variant", ["inverted", "classic", "fixed_count"])
def test_keep_prob_is_what_is_left_of_rate(variant):
    x = rows(5, 32)
    of_rate, of_keep_prob = (
        trained(alone(32, variant=variant, **given), x) for given in ({"rate": 0.25}, {"keep_prob": 0.75})
    )
    assert np.array_equal(of_rate, of_keep_prob)
    assert np.array_equal(trained(alone(32, variant=variant, keep_prob=1), x), x)


@pytest.mark.parametrize("layer", [cr.Dropout(rate=0.5, per="batch"), cr.GaussianNoise(std=0.5)], ids=repr)
def test_a_trainer_disturbs_as_the_loop_by_hand_does(layer):
    X, y = rows(24), np.arange(24) % 3
    by_hand, fitted = (cr.Network([cr.Dense(8), layer, cr.Dense(3)], inputs=4, dtype="float64") for _ in range(2))
    loss_fn, optimizer = cr.CrossEntropy(), cr.SGD(0.1)
    for epoch in range(2):
        for xb, yb in cr.batches(X, y, batch_size=7, epoch=epoch):
            by_hand.zero_grad()
            loss_fn(by_hand(xb), yb).backward()
            optimizer.step(by_hand)
    cr.Trainer(fitted, loss=loss_fn, optimizer=cr.SGD(0.1)).fit(X, y, epochs=2, batch_size=7)
    for name, value in fitted.parameters().items():
        np.testing.assert_allclose(value, by_hand.parameters()[name], rtol=0, atol=1e-13, err_msg=name)


# Noise ---------------------------------------------------------------------------------------------------------------


def test_noise_is_added_in_training_alone(dtype):
    net = cr.Network([cr.GaussianNoise(std=0.5)], inputs=7, seed=9, dtype=dtype)
    x = rows(5, 7).astype(dtype)
    first, second = trained(net, x), trained(net, x)
    assert not np.array_equal(first, second)
    for step, found in enumerate((first, second)):
        expected = reference.add_noise(x, deviation=0.5, seed=9, layer=0, step=step)
        # The noise is the same to the rounding of the sum and of its product; below 3 and 5 standard deviations.
        np.testing.assert_allclose(found, expected, rtol=0, atol=8 * np.finfo(dtype).eps)
    assert np.array_equal(net.predict(x), x)


def test_noise_is_normal():
    noise = trained(cr.Network([cr.GaussianNoise(std=2.0)], inputs=200, dtype="float64"), np.zeros((500, 200))) / 2
    n = noise.size
    # Five standard errors of a mean, a variance and a fourth moment (variance 96), and of the share beyond 2.
    assert abs(noise.mean()) < 5 / np.sqrt(n)
    assert abs(noise.var() - 1) < 5 * np.sqrt(2 / n)
    assert abs((noise**4).mean() - 3) < 5 * np.sqrt(96 / n)
    beyond = 0.04550026389635842  # erfc(2 / sqrt(2))
    assert abs((np.abs(noise) > 2).mean() - beyond) < 5 * np.sqrt(beyond / n)
    # Neither neighbours in a row nor in a column know of each other.
    assert abs((noise[:, 1:] * noise[:, :-1]).mean()) < 5 / np.sqrt(n)
    assert abs((noise[1:] * noise[:-1]).mean()) < 5 / np.sqrt(n)


def test_no_noise_is_the_identity():
    x = rows(3)
    assert np.array_equal(trained(cr.Network([cr.GaussianNoise(std=0)], inputs=4, dtype="float64"), x), x)


def test_noise_and_masks_of_two_layers_differ():
    net = cr.Network([cr.GaussianNoise(std=1), cr.GaussianNoise(std=1)], inputs=50, dtype="float64")
    net(np.zeros((4, 50)))
    first, both = net.core.layer_outputs()
    assert not np.allclose(both - first, first)
    net = cr.Network([cr.Dropout(rate=0.5), cr.Dropout(rate=0.5)], inputs=50, dtype="float64")
    net(np.ones((4, 50)))
    first, both = net.core.layer_outputs()
    assert (both == 0).sum() > (first == 0).sum()
