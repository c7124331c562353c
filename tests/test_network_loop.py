"""The loop by hand: forward, loss, backward, step, judged by NumPy written out here."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def classifier(dtype="float64", **options):
    return cr.Network([cr.Dense(5, activation="tanh"), cr.Dense(3)], inputs=4, seed=1, dtype=dtype, **options)


def rows(count, columns=4, seed=0):
    return np.random.default_rng(seed).normal(size=(count, columns))


def reference_gradients(p, x, labels):
    """Return the loss and the gradients of tanh, linear, softmax cross-entropy; the chain rule written out."""
    h = np.tanh(x @ p["0.weight"] + p["0.bias"])
    f = softmax(h @ p["1.weight"] + p["1.bias"])
    b = len(x)
    dz2 = (f - np.eye(f.shape[1])[labels]) / b
    dz1 = (dz2 @ p["1.weight"].T) * (1 - h * h)
    gradients = {
        "0.weight": x.T @ dz1,
        "0.bias": dz1.sum(axis=0),
        "1.weight": h.T @ dz2,
        "1.bias": dz2.sum(axis=0),
    }
    return -np.log(f[np.arange(b), labels]).mean(), gradients


def test_backward_is_the_chain_rule():
    net, x = classifier(), rows(11)
    labels = np.arange(11) % 3
    expected_loss, expected = reference_gradients(net.state_dict(), x, labels)
    loss = cr.CrossEntropy()(net(x), labels)
    # Every number is a sum of at most 11 * 5 products of order 1: 1e-14 is 45 roundings.
    assert float(loss) == pytest.approx(expected_loss, abs=1e-14)
    assert f"{loss:.3f}" == f"{expected_loss:.3f}"
    assert all(np.all(gradient == 0) for gradient in net.gradients().values())
    loss.backward()
    for name, gradient in net.gradients().items():
        np.testing.assert_allclose(gradient, expected[name], rtol=0, atol=1e-14, err_msg=name)


def test_gradients_add_up_until_zero_grad():
    net, x, loss_fn = classifier(), rows(6), cr.CrossEntropy()
    labels = [0, 1, 2, 0, 1, 2]
    loss_fn(net(x), labels).backward()
    once = {name: value.copy() for name, value in net.gradients().items()}
    loss_fn(net(x), labels).backward()
    for name, value in net.gradients().items():
        # Sums of 6 terms below 1, carried on in one order or added at the end: at most 24 roundings in all.
        np.testing.assert_allclose(value, 2 * once[name], rtol=0, atol=24 * 2.0**-53, err_msg=name)
    net.zero_grad()
    assert all(np.all(value == 0) for value in net.gradients().values())


def test_sgd_steps_against_the_gradient():
    net, x = classifier(), rows(6)
    before = net.state_dict()
    cr.CrossEntropy()(net(x), [0, 1, 2, 0, 1, 2]).backward()
    cr.SGD(0.5).step(net)
    for name, value in net.parameters().items():
        # One product and one difference, each rounded once (a fused one only once in all).
        np.testing.assert_allclose(value, before[name] - 0.5 * net.gradients()[name], rtol=0, atol=4e-16, err_msg=name)


@pytest.mark.parametrize(
    ("optimizer", "factor"),
    [
        (cr.Adam(0.1), 1.0),
        (cr.Adam(0.1, bias_correction=False), 0.1 / np.sqrt(0.001)),
        (cr.Momentum(0.1), None),
        (cr.Momentum(0.1, style="ema"), None),
        (cr.Momentum(0.1, style="nesterov"), None),
    ],
    ids=repr,
)
def test_first_steps(optimizer, factor):
    net = cr.Network([cr.Dense(1, weight_init="zeros", bias=False)], inputs=1, dtype="float64")
    # Gradient of (w - 1e4)^2 at 0: -2e4, far above eps.
    cr.MeanSquaredError()(net([[1.0]]), [[1e4]]).backward()
    optimizer.step(net)
    moved = net.parameters()["0.weight"].item()
    expected = {"heavy_ball": 0.1 * 2e4, "ema": 0.1 * 0.1 * 2e4, "nesterov": 0.1 * 1.9 * 2e4}
    wanted = 0.1 * factor if factor is not None else expected[optimizer.style]
    # eps shifts Adam's by 1e-8 / (sqrt(0.001) * 2e4) = 1.6e-11 at most; the rest is a few roundings.
    assert moved == pytest.approx(wanted, rel=2e-11)


def test_one_optimizer_serves_one_network():
    optimizer = cr.Adam()
    optimizer.step(classifier())
    with pytest.raises(RuntimeError, match="another network"):
        optimizer.step(classifier())


def test_a_loss_goes_backward_once():
    net = classifier()
    loss = cr.CrossEntropy()(net(rows(2)), [0, 1])
    loss.backward()
    with pytest.raises(RuntimeError, match="already called"):
        loss.backward()


def test_a_second_loss_of_one_pass_cannot_go_backward():
    net = classifier()
    out = net(rows(2))
    cr.CrossEntropy()(out, [0, 1]).backward()
    with pytest.raises(RuntimeError):
        cr.CrossEntropy()(out, [0, 1]).backward()


def test_a_stale_loss_does_not_go_backward():
    net = classifier()
    loss = cr.CrossEntropy()(net(rows(2)), [0, 1])
    net(rows(2))
    with pytest.raises(RuntimeError, match="stale"):
        loss.backward()


def test_a_fit_makes_a_loss_stale():
    net = classifier()
    loss = cr.CrossEntropy()(net(rows(2)), [0, 1])
    cr.Trainer(net, loss="cross_entropy").fit(rows(4), [0, 1, 2, 0], epochs=1)
    with pytest.raises(RuntimeError, match="stale"):
        loss.backward()


def test_no_backward_in_evaluation_mode():
    net = classifier().eval()
    loss = cr.CrossEntropy()(net(rows(2)), [0, 1])
    net.train()
    with pytest.raises(RuntimeError, match="evaluation mode"):
        loss.backward()


def test_the_loss_of_an_array_has_a_value_only():
    loss = cr.MeanSquaredError()(np.array([[1.0], [3.0]]), [1.0, 1.0])
    assert float(loss) == 2.0
    with pytest.raises(RuntimeError, match="plain array"):
        loss.backward()


def test_failed_backward_leaves_gradients():
    net = classifier().eval()
    with pytest.raises(RuntimeError):
        cr.CrossEntropy()(net(rows(2)), [0, 1]).backward()
    assert all(np.all(value == 0) for value in net.gradients().values())


# Loss values against their formulas ----------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [None, [0.5, 2.0, 0.0, 1.0]])
def test_losses_are_their_formulas(weight):
    rng = np.random.default_rng(2)
    p, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    w = np.ones(4) if weight is None else np.array(weight)
    labels = np.array([2, 0, 1, 2])
    shares = rng.uniform(size=(4, 3))
    soft = shares / shares.sum(axis=1, keepdims=True)
    f, g = softmax(p), 1 / (1 + np.exp(-p))
    squares = w[:, None] * (p - y) ** 2
    binary = -(w[:, None] * (shares * np.log(g) + (1 - shares) * np.log(1 - g))).mean()
    cases = [
        (cr.MeanSquaredError(), p, y, squares.mean()),
        (cr.MeanSquaredError(half=True), p, y, squares.mean() / 2),
        (cr.MeanSquaredError(reduction="sum"), p, y, squares.sum()),
        (cr.MeanSquaredError(reduction="sum", half=True), p, y, squares.sum() / 2),
        (cr.CrossEntropy(), p, labels, -(w * np.log(f[np.arange(4), labels])).mean()),
        (cr.CrossEntropy(), p, soft, -(w[:, None] * soft * np.log(f)).sum() / 4),
        (cr.CrossEntropy(from_logits=False), f, labels, -(w * np.log(f[np.arange(4), labels])).mean()),
        (cr.BinaryCrossEntropy(), p, shares, binary),
        (cr.BinaryCrossEntropy(from_logits=False), g, shares, binary),
    ]
    for loss, output, target, expected in cases:
        # 12 terms of order 1, a few roundings each.
        assert float(loss(output, target, weight)) == pytest.approx(expected, rel=0, abs=3e-14), loss


def test_losses_stay_finite_far_out():
    sure = np.array([[1e4, -1e4]])
    assert float(cr.CrossEntropy()(sure, [1])) == 2e4
    assert float(cr.CrossEntropy()(sure, [0])) == 0
    assert float(cr.BinaryCrossEntropy()(sure, [[0.0, 1.0]])) == 1e4
    assert np.isfinite(float(cr.CrossEntropy(from_logits=False)(np.array([[1.0, 0.0]]), [1])))


def test_the_value_of_a_penalty():
    net = classifier()
    weights = sum(np.sum(value**2) for name, value in net.parameters().items() if name.endswith("weight"))
    assert cr.L2(0.3).value(net) == pytest.approx(0.15 * weights, rel=1e-14)
