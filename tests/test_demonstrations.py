"""What the examples show of the lectures' claims, in exact cases: by closed formulas, or over all masks there are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import rows, softmax

import chainrule as cr

# REG-6: ill-posed systems ([001]) ------------------------------------------------------------------------------------

SIZE = 6
HILBERT = 1.0 / (np.arange(SIZE)[:, None] + np.arange(SIZE) + 1)
GIVEN = HILBERT.sum(axis=1) + 1e-4 * rows(SIZE, columns=1)[:, 0]  # A (1, ..., 1), with errors


def tikhonov(strength):
    """Return the minimum of 1/2 |A x - y|^2 + strength/2 |x|^2: sum of s / (s^2 + strength) (u.y) v, A = u s v^T."""
    u, s, v = np.linalg.svd(HILBERT)
    return (s / (s**2 + strength) * (GIVEN @ u)) @ v


def trained(strength, reduction, scale):
    """Return what the engine makes of the same problem, by the heavy ball with the best figures for its curvatures."""
    low, high = np.sqrt(strength), np.sqrt(np.linalg.norm(HILBERT, 2) ** 2 + strength)
    rate, beta = (2 / (high + low)) ** 2, ((high - low) / (high + low)) ** 2
    net = cr.Network([cr.Dense(1, bias=False, weight_init="zeros")], inputs=SIZE, dtype="float64")
    trainer = cr.Trainer(
        net,
        loss=cr.MeanSquaredError(reduction=reduction, half=True),
        optimizer=cr.Momentum(rate * (SIZE if reduction == "mean" else 1), beta=beta),
        penalty=cr.L2(strength, scale=scale),
    )
    # Each step leaves about sqrt(beta) of the distance: so many leave 1e-14 of it. It may grow before; hence some more.
    trainer.fit(HILBERT, GIVEN, epochs=int(2 * np.log(1e-14) / np.log(beta)) + 200, batch_size=SIZE)
    return net.parameters()["0.weight"][:, 0]


@pytest.mark.parametrize("strength", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize(("reduction", "scale"), [("sum", "1/2"), ("mean", "1/2m")])
def test_reg_6_l2_is_tikhonovs_method(strength, reduction, scale):
    # Sums with lambda / 2 and means with lambda / 2m have the same minimum.
    assert_allclose(trained(strength, reduction, scale), tikhonov(strength), rtol=0, atol=1e-9)


def test_reg_6_what_it_is_for():
    exact, truth = np.linalg.solve(HILBERT, GIVEN), np.ones(SIZE)
    assert np.linalg.norm(exact - truth) > 10
    assert np.linalg.norm(trained(1e-4, "sum", "1/2") - truth) < 0.5
    norms = [np.linalg.norm(tikhonov(strength)) for strength in (1e-4, 1e-2, 1.0)]
    assert norms == sorted(norms, reverse=True)


# REG-9: dropout as an ensemble ([002], [003]) ------------------------------------------------------------------------

UNITS = 5


def all_masks(variant, rate):
    """Return every mask (masks, units), its probability, and what kept units are multiplied by."""
    masks = np.array(list(itertools.product([0.0, 1.0], repeat=UNITS)))
    if variant == "fixed_count":
        count = round(rate * UNITS)
        masks = masks[masks.sum(axis=1) == UNITS - count]
        return masks, np.full(len(masks), 1 / len(masks)), 1 / (1 - count / UNITS)
    kept = masks.sum(axis=1)
    return masks, (1 - rate) ** kept * rate ** (UNITS - kept), 1.0 if variant == "classic" else 1 / (1 - rate)


def dropout_network(variant, rate, *between):
    dropout = cr.Dropout(rate=rate, variant=variant)
    layers = [cr.Dense(UNITS, activation="tanh"), dropout, *between, cr.Dense(3, activation="softmax")]
    return cr.Network(layers, inputs=4, seed=3, dtype="float64")


def normalised_geometric_mean(chance, members):
    """Return the weighted geometric mean of distributions (members, rows, classes), normalised again."""
    means = np.exp(np.tensordot(chance, np.log(members), axes=1))
    return means / means.sum(axis=-1, keepdims=True)


each_dropout = pytest.mark.parametrize(
    ("variant", "rate"), [("classic", 0.5), ("classic", 0.2), ("inverted", 0.3), ("fixed_count", 0.4)]
)


@each_dropout
def test_reg_9_the_scaled_network_is_the_geometric_mean_of_all(variant, rate):
    net, x = dropout_network(variant, rate), rows(7)
    W, b, V, c = net.parameters().values()
    masks, chance, factor = all_masks(variant, rate)
    assert_allclose(chance.sum(), 1, rtol=1e-14)
    members = np.array([softmax(np.tanh(x @ W + b) * mask * factor @ V + c) for mask in masks])
    assert_allclose(net.predict(x), normalised_geometric_mean(chance, members), rtol=1e-13)
    # It is no arithmetic mean, which is what an ensemble's vote would be.
    assert np.abs(net.predict(x) - np.tensordot(chance, members, axes=1)).max() > 1e-4


@each_dropout
def test_reg_9_passes_in_training_mode_come_near_the_arithmetic_mean(variant, rate):
    passes, x = 20_000, rows(1)
    net = dropout_network(variant, rate)
    W, b, V, c = net.parameters().values()
    masks, chance, factor = all_masks(variant, rate)
    members = softmax(np.tanh(x @ W + b) * masks * factor @ V + c)
    drawn = np.asarray(net(np.repeat(x, passes, axis=0)))
    assert set(map(tuple, drawn.round(9))) <= set(map(tuple, members.round(9)))
    # Five standard errors of the mean.
    spread = np.sqrt(chance @ (members - chance @ members) ** 2 / passes)
    assert (np.abs(drawn.mean(axis=0) - chance @ members) < 5 * spread).all()


def test_reg_9_with_a_layer_in_between_the_geometric_mean_is_an_approximation():
    net, x = dropout_network("classic", 0.5, cr.Dense(4, activation="tanh")), rows(7)
    W, b, U, a, V, c = net.parameters().values()
    masks, chance, _ = all_masks("classic", 0.5)
    members = np.array([softmax(np.tanh(np.tanh(x @ W + b) * mask @ U + a) @ V + c) for mask in masks])
    apart = np.abs(net.predict(x) - normalised_geometric_mean(chance, members)).max()
    assert 1e-4 < apart < 0.1


# ACT-11: saturation and dead units ([003], [004]) --------------------------------------------------------------------


def test_act_11_sigmoids_lose_three_quarters_of_the_gradient_in_each_layer():
    depth = 8
    layers = [cr.Dense(16, activation="sigmoid") for _ in range(depth)]
    net = cr.Network([*layers, cr.Dense(1)], inputs=4, seed=0, dtype="float64")
    cr.MeanSquaredError()(net(rows(1)), [[1.0]]).backward()
    # Of one row the gradient of a bias is delta, and |delta of layer k| <= max g' |W| |delta of layer k + 1|.
    deltas = [np.linalg.norm(net.gradients()[f"{number}.bias"]) for number in range(depth)]
    sizes = [np.linalg.norm(net.parameters()[f"{number}.weight"], 2) for number in range(1, depth)]
    for here, behind, size in zip(deltas, deltas[1:], sizes, strict=False):
        assert 0 < here <= behind * size / 4
    assert deltas[0] < deltas[-1] * np.prod(sizes) / 4 ** (depth - 1)
    assert deltas[0] < 1e-3 * deltas[-1]


def first_layer_after_training(activation):
    """Return the first layer's weights and biases before and after, where its units start far below 0 for every row."""
    net = cr.Network([cr.Dense(6, activation=activation, bias_init=cr.Constant(-30)), cr.Dense(1)], inputs=4, seed=0)
    before = net.state_dict()
    x = rows(60)
    cr.Trainer(net, loss="mse", optimizer=cr.SGD(0.01)).fit(x, x[:, 0], epochs=5)
    return before, net.state_dict()


def test_act_11_a_dead_rectifier_stays_dead():
    before, after = first_layer_after_training("relu")
    for name in ("0.weight", "0.bias"):
        assert np.array_equal(before[name], after[name])
    assert not np.array_equal(before["1.bias"], after["1.bias"])


def test_act_11_a_leaky_one_does_not():
    before, after = first_layer_after_training(cr.LeakyReLU(slope=0.1))
    for name in ("0.weight", "0.bias"):
        assert (before[name] != after[name]).all()


# NET-8: denoising ([004]) --------------------------------------------------------------------------------------------


def test_net_8_a_linear_denoiser_is_wieners_filter():
    # min over W of E |(x + std n) W - x|^2 is W = (C + std^2 I)^-1 C, with C = X^T X / N.
    std, x = 0.5, rows(200) * [2.0, 1.0, 0.5, 0.1]
    net = cr.Network([cr.GaussianNoise(std=std), cr.Dense(4, bias=False)], inputs=4, seed=0, dtype="float64")
    trainer = cr.Trainer(net, loss="mse", optimizer=cr.Adam(cr.CosineDecay(0.05, epochs=300)))
    trainer.fit(x, x, epochs=300, batch_size=20)
    C = x.T @ x / len(x)
    best = np.linalg.solve(C + std**2 * np.eye(4), C)

    def objective(W):
        """Return E |(x + std n) W - x|^2."""
        return np.sum((x @ W - x) ** 2) / len(x) + std**2 * np.sum(W**2)

    # What is left above the least that is possible: below a hundredth of what the filter gains on leaving x as it is.
    W = net.parameters()["1.weight"]
    assert 0 <= objective(W) - objective(best) < 0.01 * (objective(np.eye(4)) - objective(best))
