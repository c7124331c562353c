"""Batch normalization, judged by Algorithm 1 of Ioffe and Szegedy 2015 written out here, step by step."""

from __future__ import annotations

import numpy as np
import pytest
from problems import rows

import chainrule as cr

# A mean, a variance and a quotient of at most 12 numbers of order 1, in training or carried on for a few batches.
CLOSE = {"rtol": 0, "atol": 256 * 2.0**-53}


def algorithm_1(x, gamma, beta, eps):
    """Return y, the mean and the variance of a mini-batch x (m, d): the four lines of the algorithm."""
    m, width = x.shape
    y, mean, variance = np.empty_like(x), np.empty(width), np.empty(width)
    for j in range(width):
        mean[j] = sum(x[i, j] for i in range(m)) / m
        variance[j] = sum((x[i, j] - mean[j]) ** 2 for i in range(m)) / m
        for i in range(m):
            normalized = (x[i, j] - mean[j]) / np.sqrt(variance[j] + eps)
            y[i, j] = gamma[j] * normalized + beta[j]
    return y, mean, variance


def normalizing(width=4, dtype="float64", **options):
    """Return a network of a BatchNorm alone, its gamma and beta drawn."""
    net = cr.Network([cr.BatchNorm(**options)], inputs=width, dtype=dtype)
    gamma, beta = rows(2, width, seed=5)
    net.parameters()["0.gamma"][...] = gamma
    net.parameters()["0.beta"][...] = beta
    return net


def arrays(net, layer=0):
    """Return the parameters and the statistics of a layer by their own names, in float64."""
    state = net.state_dict().items()
    return {name.split(".")[1]: value.astype(float) for name, value in state if name.startswith(f"{layer}.")}


def test_the_start():
    net = cr.Network([cr.BatchNorm()], inputs=3)
    expected = {"gamma": 1, "beta": 0, "running_mean": 0, "running_variance": 1}
    assert {name: set(value) for name, value in arrays(net).items()} == {n: {v} for n, v in expected.items()}
    # As it starts, prediction divides by sqrt(1 + eps) alone.
    np.testing.assert_allclose(net.predict([[1, 2, 3]]), [[1, 2, 3]] / np.sqrt(1 + 1e-5), rtol=2**-22)


@pytest.mark.parametrize("count", [2, 3, 12])
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_training_is_algorithm_1(count, eps, dtype):
    net, x = normalizing(dtype=dtype, eps=eps), rows(count) * 2 + 1
    a = arrays(net)
    expected, _, _ = algorithm_1(x.astype(dtype).astype(float), a["gamma"], a["beta"], eps)
    # With two rows the variance may be small, and what is divided by its root loses a digit.
    np.testing.assert_allclose(np.asarray(net(x)), expected, rtol=0, atol=512 * np.finfo(dtype).eps)


def test_a_batch_comes_out_with_mean_0_and_variance_1():
    net = cr.Network([cr.BatchNorm(eps=1e-12)], inputs=4, dtype="float64")
    out = np.asarray(net(rows(50) * [1, 10, 100, 1000] + 7))
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-13)
    # Biased: over the number of rows. eps takes off as much.
    np.testing.assert_allclose(out.var(axis=0), 1, rtol=2e-12)


@pytest.mark.parametrize("momentum", [0.1, 0.3, 1.0, 0.0])
def test_running_statistics_follow_the_batches(momentum):
    net, mean, variance = normalizing(momentum=momentum), np.zeros(4), np.ones(4)
    for seed, count in enumerate((12, 5, 2, 1, 7)):
        x = rows(count, seed=seed) + seed
        net(x)
        if count > 1:  # one row has no variance: it is left alone
            mean = (1 - momentum) * mean + momentum * x.mean(axis=0)
            variance = (1 - momentum) * variance + momentum * x.var(axis=0, ddof=1)
    a = arrays(net)
    np.testing.assert_allclose(a["running_mean"], mean, **CLOSE)
    np.testing.assert_allclose(a["running_variance"], variance, **CLOSE)
    # Prediction takes them, whatever the rows are; and leaves them as they are.
    x = rows(3, seed=9) * 5
    expected = a["gamma"] * (x - a["running_mean"]) / np.sqrt(a["running_variance"] + 1e-5) + a["beta"]
    np.testing.assert_allclose(net.predict(x), expected, rtol=1e-14, atol=1e-13)
    np.testing.assert_allclose(net.predict(x[:1]), expected[:1], rtol=1e-14, atol=1e-13)
    assert np.array_equal(np.asarray(net.eval()(x)), net.predict(x))
    assert all(np.array_equal(value, a[name]) for name, value in arrays(net).items())


def test_a_step_of_one_row_gives_beta():
    net = normalizing()
    before = arrays(net)
    assert np.array_equal(np.asarray(net([[3.0, -1.0, 1e6, 0.0]])), before["beta"][None])
    after = arrays(net)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_the_way_back():
    # The derivatives of the paper, not simplified.
    net, x, dy, eps = normalizing(), rows(7), rows(7, seed=2), 1e-5
    first = cr.Network([cr.Dense(4, bias=False), *net.layers], inputs=4, dtype="float64")
    first.load_state_dict({"0.weight": np.eye(4), **{f"1.{name}": value for name, value in arrays(net).items()}})
    gamma, m = arrays(net)["gamma"], 7
    mean, variance = x.mean(axis=0), x.var(axis=0)
    normalized = (x - mean) / np.sqrt(variance + eps)
    d_normalized = dy * gamma
    d_variance = (d_normalized * (x - mean)).sum(axis=0) * -0.5 * (variance + eps) ** -1.5
    d_mean = -d_normalized.sum(axis=0) / np.sqrt(variance + eps) + d_variance * (-2 * (x - mean)).sum(axis=0) / m
    dx = d_normalized / np.sqrt(variance + eps) + d_variance * 2 * (x - mean) / m + d_mean / m
    out = first(x)
    # A loss whose gradient is dy: half the squared distance from out - dy, summed.
    cr.MeanSquaredError(reduction="sum", half=True)(out, np.asarray(out) - dy).backward()
    g = first.gradients()
    np.testing.assert_allclose(g["1.gamma"], (dy * normalized).sum(axis=0), **CLOSE)
    np.testing.assert_allclose(g["1.beta"], dy.sum(axis=0), **CLOSE)
    np.testing.assert_allclose(g["0.weight"], x.T @ dx, **CLOSE)


PLACES = {
    "before the activation": lambda h, norm: np.tanh(norm(h)),
    "after it": lambda h, norm: norm(np.tanh(h)),
}


@pytest.mark.parametrize("place", PLACES)
def test_it_stands_where_it_is_put(place):
    norm, act = cr.BatchNorm(), cr.Activation("tanh")
    order = [norm, act] if place == "before the activation" else [act, norm]
    net, x = cr.Network([cr.Dense(4), *order, cr.Dense(2)], inputs=3, seed=1, dtype="float64"), rows(8, 3)
    p = net.state_dict()

    def normalize(h):
        return algorithm_1(h, np.ones(4), np.zeros(4), 1e-5)[0]

    h = PLACES[place](x @ p["0.weight"] + p["0.bias"], normalize)
    np.testing.assert_allclose(np.asarray(net(x)), h @ p["3.weight"] + p["3.bias"], **CLOSE)


@pytest.mark.parametrize("batch_size", [8, 7, 25])
def test_a_fit_counts_the_inputs_along(batch_size):
    # 22 rows in steps of 7 leave a last one of a single row.
    X, y, momentum = rows(22) * 3 + 1, np.arange(22) % 2, 0.2
    net = cr.Network([cr.BatchNorm(momentum=momentum), cr.Dense(2)], inputs=4, dtype="float64")
    cr.Trainer(net, loss="cross_entropy", seed=5).fit(X, y, epochs=2, batch_size=batch_size)
    mean, variance = np.zeros(4), np.ones(4)
    for epoch in range(2):
        for xb, _ in cr.batches(X, y, batch_size=batch_size, seed=5, epoch=epoch):
            if len(xb) > 1:
                mean = (1 - momentum) * mean + momentum * xb.mean(axis=0)
                variance = (1 - momentum) * variance + momentum * xb.var(axis=0, ddof=1)
    np.testing.assert_allclose(net.statistics()["0.running_mean"], mean, **CLOSE)
    np.testing.assert_allclose(net.statistics()["0.running_variance"], variance, rtol=1e-13, atol=0)


def test_gamma_and_beta_learn_and_no_weight_penalty_counts_them():
    X, y = rows(20), np.arange(20) % 2
    net = cr.Network([cr.BatchNorm(), cr.Dense(2)], inputs=4, dtype="float64")
    weights = (net.parameters()["1.weight"] ** 2).sum()
    assert cr.L2(2.0, bias_strength=2.0).value(net) == pytest.approx(weights, rel=1e-14)
    cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(0.1)).fit(X, y, epochs=1, batch_size=20)
    assert not np.any(net.parameters()["0.gamma"] == 1)
    assert not np.any(net.parameters()["0.beta"] == 0)


def test_a_frozen_one_takes_its_running_statistics():
    net = cr.Network([cr.Dense(4), cr.BatchNorm(), cr.Dense(2)], inputs=3, seed=1)
    net = net.copy(dtype="float64")
    net(rows(9, 3))
    net.freeze(1)
    before, x, y = arrays(net, 1), rows(6, 3, seed=3), np.arange(6) % 2
    out = net(x)
    assert np.array_equal(np.asarray(out), net.predict(x))
    cr.CrossEntropy()(out, y).backward()
    g, p = net.gradients(), net.state_dict()
    assert not g["1.gamma"].any()
    assert not g["1.beta"].any()
    # The way back through a normalization that does not depend on the batch: a product.
    z = np.asarray(out) - np.asarray(out).max(axis=1, keepdims=True)
    dz = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) - np.eye(2)[y]) / 6
    dx = dz @ p["2.weight"].T * before["gamma"] / np.sqrt(before["running_variance"] + 1e-5)
    np.testing.assert_allclose(g["0.weight"], x.T @ dx, **CLOSE)
    cr.Trainer(net, loss="cross_entropy").fit(x, y, epochs=2, batch_size=3)
    assert all(np.array_equal(value, before[name]) for name, value in arrays(net, 1).items())
    net.unfreeze(1)
    cr.Trainer(net, loss="cross_entropy").fit(x, y, epochs=1, batch_size=3)
    assert all(not np.array_equal(value, before[name]) for name, value in arrays(net, 1).items())


def test_evaluation_within_a_fit_leaves_the_statistics_alone():
    X, y = rows(20), np.arange(20) % 2
    nets = [cr.Network([cr.BatchNorm(), cr.Dense(2)], inputs=4) for _ in range(2)]
    for net, options in zip(nets, ({}, {"validation_data": (X * 100, y)}), strict=True):
        cr.Trainer(net, loss="cross_entropy").fit(X, y, epochs=3, batch_size=6, **options)
    assert all(np.array_equal(value, nets[1].state_dict()[name]) for name, value in nets[0].state_dict().items())


def test_steps_of_one_row_are_refused_while_it_learns():
    net, y = cr.Network([cr.Dense(3), cr.BatchNorm(), cr.Dense(1)], inputs=4), np.zeros(5)
    trainer = cr.Trainer(net, loss="mse")
    before = net.state_dict()
    for x, options in ((rows(5), {"batch_size": 1}), (rows(1), {}), (rows(2), {"validation_split": 0.5})):
        with pytest.raises(ValueError, match=r"^batch_size=.* one row, whose variance is 0: layers\[1\], a BatchNorm"):
            trainer.fit(x, y[: len(x)], epochs=1, **options)
    assert all(np.array_equal(before[name], value) for name, value in net.state_dict().items())
    # A last batch of one row may come, and single rows where it does not learn.
    trainer.fit(rows(5), y, epochs=1, batch_size=2)
    net.freeze(1)
    trainer.fit(rows(5), y, epochs=1, batch_size=1)
