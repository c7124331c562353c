"""The loop by hand: forward, loss, backward, step, judged by NumPy written out here."""

from __future__ import annotations

import numpy as np
import pytest
from problems import rows, smooth_classifier, softmax

import chainrule as cr


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
    net, x = smooth_classifier(), rows(11)
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
    net, x, loss_fn = smooth_classifier(), rows(6), cr.CrossEntropy()
    labels = [0, 1, 2, 0, 1, 2]
    loss_fn(net(x), labels).backward()
    once = {name: value.copy() for name, value in net.gradients().items()}
    loss_fn(net(x), labels).backward(accumulate=True)
    for name, value in net.gradients().items():
        # Sums of 6 terms below 1, carried on in one order or added at the end: at most 24 roundings in all.
        np.testing.assert_allclose(value, 2 * once[name], rtol=0, atol=24 * 2.0**-53, err_msg=name)
    net.zero_grad()
    assert all(np.all(value == 0) for value in net.gradients().values())


def test_sgd_steps_against_the_gradient():
    net, x = smooth_classifier(), rows(6)
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
    optimizer.step(smooth_classifier())
    with pytest.raises(RuntimeError, match="another network"):
        optimizer.step(smooth_classifier())


def test_a_loss_goes_backward_once():
    net = smooth_classifier()
    loss = cr.CrossEntropy()(net(rows(2)), [0, 1])
    loss.backward()
    with pytest.raises(RuntimeError, match="already called"):
        loss.backward()


def test_a_second_loss_of_one_pass_cannot_go_backward():
    net = smooth_classifier()
    out = net(rows(2))
    cr.CrossEntropy()(out, [0, 1]).backward()
    with pytest.raises(RuntimeError):
        cr.CrossEntropy()(out, [0, 1]).backward()


def test_a_stale_loss_does_not_go_backward():
    net = smooth_classifier()
    loss = cr.CrossEntropy()(net(rows(2)), [0, 1])
    net(rows(2))
    with pytest.raises(RuntimeError, match="stale"):
        loss.backward()


def test_a_fit_makes_a_loss_stale():
    net = smooth_classifier()
    loss = cr.CrossEntropy()(net(rows(2)), [0, 1])
    cr.Trainer(net, loss="cross_entropy").fit(rows(4), [0, 1, 2, 0], epochs=1)
    with pytest.raises(RuntimeError, match="stale"):
        loss.backward()


def test_weights_that_early_stopping_takes_back_make_a_loss_stale():
    kept = []

    class Keeps(cr.Callback):
        def on_epoch_end(self, epoch, logs):
            kept.append(cr.CrossEntropy()(self.trainer.net(rows(4)), [0, 1, 2, 0]))

    # Nothing gets better at such a rate.
    trainer = cr.Trainer(smooth_classifier(), loss="cross_entropy", optimizer=cr.SGD(5.0))
    stopping = cr.EarlyStopping(monitor="loss", patience=2)
    history = trainer.fit(rows(4), [0, 1, 2, 0], epochs=30, callbacks=[Keeps(), stopping])
    assert history.restored_epoch < history.epochs
    with pytest.raises(RuntimeError, match="stale"):
        kept[-1].backward()


CHANGES = {
    "a step": lambda net: cr.SGD().step(net),
    "load_state_dict": lambda net: net.load_state_dict(net.state_dict()),
    "a frozen layer": lambda net: net.freeze(0),
    "a layer that learns again": lambda net: net.unfreeze(0),
    "a fit": lambda net: cr.Trainer(net, loss="cross_entropy").fit(rows(4), [0, 1, 2, 0], epochs=1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_parameters_that_change_make_a_loss_stale(change):
    net = smooth_classifier()
    loss = cr.CrossEntropy()(net(rows(2)), [0, 1])
    change(net)
    with pytest.raises(RuntimeError, match="stale loss"):
        loss.backward()
    # A new pass is fine, and gradients may add up before a step.
    net.zero_grad()
    for _ in range(2):
        cr.CrossEntropy()(net(rows(2)), [0, 1]).backward(accumulate=True)


def test_a_failed_load_leaves_a_loss_good():
    net = smooth_classifier()
    loss = cr.CrossEntropy()(net(rows(2)), [0, 1])
    with pytest.raises(ValueError, match="must have shape"):
        net.load_state_dict({**net.state_dict(), "1.bias": [1.0]})
    loss.backward()


def test_one_output_for_classes_points_to_the_binary_loss():
    net = cr.Network([cr.Dense(1)], inputs=4)
    for call in (
        lambda: cr.CrossEntropy()(net(rows(2)), [0, 0]),
        lambda: cr.CrossEntropy()(np.zeros((2, 1)), [0, 0]),
        lambda: cr.Trainer(net, loss="cross_entropy"),
    ):
        with pytest.raises(ValueError, match=r"^CrossEntropy.*BinaryCrossEntropy") as caught:
            call()
        assert "loss=" not in str(caught.value)


# Outputs and losses as numbers ---------------------------------------------------------------------------------------


def test_output_is_an_array():
    out = smooth_classifier().eval()(rows(6))
    assert out.shape == (6, 3)
    assert out.ndim == 2
    assert len(out) == 6
    assert out.dtype == np.float64
    assert np.asarray(out, dtype="float32").dtype == np.float32
    assert np.argmax(out, axis=1).shape == (6,)
    assert np.array_equal(out[1:3], np.asarray(out)[1:3])
    assert "Output" in repr(out)


def test_operators_of_an_output_give_arrays():
    out = smooth_classifier().eval()(rows(6))
    array, y = np.array(out), rows(6, 3, seed=1)
    pairs = [
        (out > 0, array > 0),
        (out == 0, array == 0),
        (out - 1, array - 1),
        (1 - out, 1 - array),
        (y * out, y * array),
        (out @ y.T, array @ y.T),
        (-out, -array),
        (out - out, array - array),
        (np.exp(out), np.exp(array)),
        (np.add.reduce(out), array.sum(axis=0)),
        (np.mean(out), array.mean()),
    ]
    for found, expected in pairs:
        assert not isinstance(found, cr.Output)
        assert np.array_equal(found, expected)


def test_an_output_cannot_be_written_to():
    net = smooth_classifier()
    out = net(rows(6))
    with pytest.raises(TypeError, match="cannot be written to"):
        out += 1
    with pytest.raises(TypeError, match="cannot be written to"):
        np.exp(rows(6, 3), out=out)
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(out)[0, 0] = 1


def test_a_loss_is_a_number_among_numbers():
    loss = cr.MeanSquaredError()(np.array([[1.0], [3.0]]), [1.0, 1.0])  # 2
    total = 0.0
    total += loss
    total += loss * 3
    assert (total, type(total)) == (8.0, float)
    assert sum([loss, loss]) == 4.0
    assert (loss - 1, 1 - loss, loss / 4, 4 / loss, 3 * loss) == (1.0, -1.0, 0.5, 2.0, 6.0)
    assert type(np.float64(1) + loss) is float
    assert loss < 3
    assert loss <= 2 <= loss
    assert np.float32(1) < loss
    assert loss == 2
    assert loss != 1
    assert loss != "2"
    assert loss in {2.0}
    nan = cr.LossValue(float("nan"), np.zeros((1, 1)), None)
    assert [nan < 1, nan >= 1, nan == 1, nan == float(nan)] == [False] * 4
    with pytest.raises(TypeError):
        loss + "text"


def test_no_backward_in_evaluation_mode():
    net = smooth_classifier().eval()
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
    net = smooth_classifier().eval()
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
    net = smooth_classifier()
    weights = sum(np.sum(value**2) for name, value in net.parameters().items() if name.endswith("weight"))
    assert cr.L2(0.3).value(net) == pytest.approx(0.15 * weights, rel=1e-14)
