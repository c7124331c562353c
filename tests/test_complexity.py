"""Reports on weights and gradients, judged by numbers worked out by hand and by the chain rule written out in NumPy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from problems import problem

import chainrule as cr


def filled(layers, *weights, inputs, dtype="float64"):
    """Return a network whose weights, layer by layer, are these."""
    net = cr.Network(layers, inputs=inputs, dtype=dtype)
    names = [name for name in net.parameters() if name.endswith("weight")]
    for name, w in zip(names, weights, strict=True):
        net.parameters()[name][...] = w
    return net


# Weights -------------------------------------------------------------------------------------------------------------


def test_weights_by_hand():
    net = filled([cr.Dense(3, activation="relu"), cr.Dense(1)], [[3, 0, -4], [0, 0, 3]], [[1], [5], [0.01]], inputs=2)
    report = cr.weight_report(net)
    first, last = report.layers
    assert (first.number, first.label, first.activation) == (0, "Dense relu", "relu")
    assert (first.inputs, first.units, first.weights, first.zeros, first.near_zero) == (2, 3, 6, 3, 3)
    assert (first.least, first.most, first.sparsity) == (-4, 3, 0.5)
    assert first.norm == pytest.approx(math.sqrt(34), rel=1e-15)
    assert first.effective == pytest.approx(34**2 / (81 + 256 + 81), rel=1e-15)
    # Nothing comes into unit 1, and what unit 2 gives is 0.01 against 5.
    assert first.near_dead == 2
    assert (last.activation, last.inputs, last.units, last.weights, last.zeros) == ("identity", 3, 1, 3, 0)
    assert last.near_zero == 1  # 0.01 <= 0.01 * 5
    assert last.near_dead == 0
    assert (report.weights, report.zeros, report.sparsity) == (9, 3, 3 / 9)
    assert (report.near_zero, report.near_dead) == (4 / 9, 2 / 4)
    assert report.norm == pytest.approx(math.sqrt(34 + 26.0001), rel=1e-15)
    assert report.effective == pytest.approx(first.effective + last.effective, rel=1e-15)


def test_what_is_near_is_told():
    net = filled([cr.Dense(5)], [[8, 4, 2, 1, 0]], inputs=1)
    found = {near: cr.weight_report(net, near=near).layers[0] for near in (0, 0.125, 0.24, 0.5)}
    assert [one.near_zero for one in found.values()] == [1, 2, 2, 4]
    assert [one.near_dead for one in found.values()] == [1, 2, 2, 4]


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e200, 1e-200])
def test_the_effective_number_of_weights(scale):
    # That of n weights of one size is n, whatever their signs and how many others are 0; and of any size.
    for weights, effective in (([1, -1, 1, 1], 4), ([1, -1, 0, 0], 2), ([0, 0, 7, 0], 1), ([0, 0, 0, 0], 0)):
        layer = cr.weight_report(filled([cr.Dense(4)], scale * np.array([weights]), inputs=1)).layers[0]
        assert layer.effective == pytest.approx(effective, rel=1e-15)
        assert layer.norm == pytest.approx(scale * math.sqrt(sum(w * w for w in weights)), rel=1e-15)


def test_t23_the_two_classifiers_of_the_cat():
    # [003]: both say 1.5 of x = (1, 2, 1). The one that L1 prefers is sparse; the one that L2 prefers is spread.
    sparse, spread = (filled([cr.Dense(1)], np.transpose([w]), inputs=3) for w in ([0, 0.75, 0], [0.25, 0.5, 0.25]))
    assert sparse.predict([[1, 2, 1]]) == spread.predict([[1, 2, 1]]) == 1.5
    reports = cr.weight_report(sparse), cr.weight_report(spread)
    assert [one.sparsity for one in reports] == [2 / 3, 0]
    # 0.375^2 / (2 / 256 + 1 / 16) = 2 for the second.
    assert [one.effective for one in reports] == [1, 2]
    assert [one.norm**2 for one in reports] == pytest.approx([0.5625, 0.375], rel=1e-15)


def test_units_of_several_pieces():
    # Unit j of two has the columns j and 2 + j: unit 0 has only zeros, unit 1 one weight.
    net = filled([cr.Maxout(2, pieces=2), cr.Dense(1)], [[0, 0, 0, 3]], [[1], [1]], inputs=1)
    layer = cr.weight_report(net).layers[0]
    assert (layer.units, layer.weights, layer.near_dead, layer.label) == (2, 4, 1, "Maxout of 2")


def test_batch_norm_undoes_the_size_of_what_comes_in():
    layers = [cr.Dense(4), cr.BatchNorm(), cr.Activation("relu"), cr.Dropout(rate=0.1), cr.Dense(1)]
    net = filled(layers, [[1, 1e-9, 0, 1]], [[1], [1], [1], [1]], inputs=1)
    # Without it unit 1 would count, too.
    assert cr.weight_report(net).layers[0].near_dead == 1
    net.parameters()["1.gamma"][3] = -1e-9
    assert cr.weight_report(net).layers[0].near_dead == 2
    assert cr.weight_report(net).layers[0].activation == "relu"
    assert [one.number for one in cr.weight_report(net).layers] == [0, 4]


@pytest.mark.parametrize("scale", ["1/2", "1/2m"])
def test_a_larger_lambda_makes_smaller_weights(scale):
    # [002]: "The larger you set the regularization parameter lambda, the smaller the weights will become."
    X, y = problem()
    found = []
    for strength in (0.0, 0.01, 0.1, 1.0):
        strength *= len(X) if scale == "1/2m" else 1
        net = cr.Network([cr.Dense(8, activation="tanh"), cr.Dense(3)], inputs=4)
        penalty = cr.L2(strength, scale=scale)
        cr.Trainer(net, loss="cross_entropy", optimizer=cr.Adam(lr=0.02), penalty=penalty).fit(X, y, epochs=60)
        found.append(cr.weight_report(net).norm)
    assert all(larger > smaller for larger, smaller in itertools.pairwise(found))
    assert found[-1] < found[0] / 10


def test_proximal_l1_makes_sparse_weights():
    X, y = problem()
    found = []
    for strength in (0.0, 0.01, 0.1):
        net = cr.Network([cr.Dense(8, activation="tanh"), cr.Dense(3)], inputs=4)
        penalty = cr.L1(strength, update="proximal")
        cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(lr=0.2), penalty=penalty).fit(X, y, epochs=60)
        report = cr.weight_report(net)
        zeros = sum(int((p == 0).sum()) for name, p in net.parameters().items() if name.endswith("weight"))
        assert report.sparsity == zeros / (4 * 8 + 8 * 3)
        found.append(report)
    assert found[0].sparsity == 0 < found[1].sparsity < found[2].sparsity
    assert found[0].effective > found[1].effective > found[2].effective
    assert found[0].near_dead < found[2].near_dead


def test_a_network_without_weights():
    report = cr.weight_report(cr.Network([cr.Activation("tanh")], inputs=3))
    assert (report.layers, report.weights, report.norm) == ((), 0, 0)
    assert math.isnan(report.sparsity)
    assert "0 weights" in repr(report)


def test_the_table_of_weights(dtype):
    net = filled([cr.Dense(3, activation="relu"), cr.Dense(1)], [[3, 0, -4]], [[1], [5], [0]], inputs=1, dtype=dtype)
    lines = repr(cr.weight_report(net)).splitlines()
    assert " ".join(lines[2].split()) == "0 Dense relu 1 3 3 1 1 1.9 -4 to 3 5 2"
    assert " ".join(lines[3].split()) == "1 Dense identity 3 1 3 1 1 1.1 0 to 5 5.1 0"
    assert lines[-1].startswith("6 weights, 33.3% of them 0, 33.3% near 0 (at most 0.01 of their layer's greatest)")


def test_weights_that_cannot_be_measured():
    net = filled([cr.Dense(1)], [[np.inf]], inputs=1)
    with pytest.raises(ValueError, match=r"finite parameters to be measured; '0\.weight' has NaN or infinity"):
        cr.weight_report(net)
    with pytest.raises(TypeError, match="net must be a Network"):
        cr.weight_report([1.0])
    for near in (-0.1, 1, "much", float("nan")):
        with pytest.raises((TypeError, ValueError), match="near must be a finite number"):
            cr.weight_report(cr.Network([cr.Dense(1)], inputs=1), near=near)


# Gradients -----------------------------------------------------------------------------------------------------------


def test_gradients_by_the_chain_rule():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(9, 4)), rng.normal(size=(9, 2))
    net = cr.Network([cr.Dense(5, activation="tanh"), cr.Dense(2)], inputs=4, dtype="float64")
    W1, b1, W2, b2 = net.state_dict().values()
    h = np.tanh(X @ W1 + b1)
    d2 = 2 * (h @ W2 + b2 - y) / y.size
    g1, g2 = X.T @ (d2 @ W2.T * (1 - h**2)), h.T @ d2
    report = cr.gradient_report(net, X, y, loss="mse")
    # The same weight for each row is a factor of the gradients.
    weighted = cr.gradient_report(net, X, y, loss="mse", sample_weight=np.full(9, 2.0))
    doubled = [2 * layer.norm for layer in report.layers]
    assert [layer.norm for layer in weighted.layers] == pytest.approx(doubled, rel=1e-12)
    for layer, g, W in zip(report.layers, (g1, g2), (W1, W2), strict=True):
        # Sums of at most 9 numbers each, which cancel by less than a factor of 100.
        assert layer.norm == pytest.approx(np.linalg.norm(g), rel=1e-12)
        assert layer.weight_norm == pytest.approx(np.linalg.norm(W), rel=1e-15)
        assert layer.ratio == pytest.approx(np.linalg.norm(g) / np.linalg.norm(W), rel=1e-12)
        counts, _ = np.histogram(np.log10(np.abs(g)), bins=[*report.decades, report.decades[-1] + 1])
        assert layer.counts == tuple(counts)
        assert sum(layer.counts) + layer.zeros == W.size
    assert report.first_to_last == pytest.approx(np.linalg.norm(g1) / np.linalg.norm(g2), rel=1e-12)


def test_decades_by_hand():
    # One row x, p = 0, y = -1, and half a squared sum: the gradient of W is x itself.
    x = np.array([[1e-300, 1e-11, 1e-10, 9.9e-4, 1e-3, 0, 1, -2, 999.9, -1e3, 1e9]])
    net = filled([cr.Dense(1)], 0, inputs=x.shape[1])
    report = cr.gradient_report(net, x, [-1.0], loss=cr.MeanSquaredError(reduction="sum", half=True))
    assert report.decades == tuple(range(-10, 4))
    counted = {k: count for k, count in zip(report.decades, report.layers[0].counts, strict=True) if count}
    assert counted == {-10: 3, -4: 1, -3: 1, 0: 2, 2: 1, 3: 2}
    assert report.layers[0].zeros == 1
    assert report.layers[0].norm == pytest.approx(1e9, rel=1e-9)
    assert (report.layers[0].weight_norm, report.layers[0].ratio) == (0, math.inf)


@pytest.mark.parametrize(("weight", "vanishes"), [(1.0, True), (20.0, False)])
def test_gradients_vanish_and_explode_in_a_chain_of_sigmoids(weight, vanishes):
    # Biases of -weight / 2 keep each sigmoid where it is steepest: every layer's factor is weight / 4.
    depth = 12
    net = cr.Network([cr.Dense(1, activation="sigmoid") for _ in range(depth)], inputs=1)
    for name, parameter in net.parameters().items():
        parameter[...] = weight if name.endswith("weight") else -weight / 2
    loss = cr.MeanSquaredError(reduction="sum", half=True)
    report = cr.gradient_report(net, [[0.5]], [0.0], loss=loss)
    # Of the last layer: (p - y) g' h = 0.5 * 0.25 * 0.5.
    expected = [0.0625 * (weight / 4) ** (depth - 1 - k) for k in range(depth)]
    assert [layer.norm for layer in report.layers] == pytest.approx(expected, rel=1e-12)
    assert report.first_to_last == pytest.approx((weight / 4) ** (depth - 1), rel=1e-12)
    assert (report.first_to_last < 1e-6) == vanishes
    assert (report.first_to_last > 1e6) != vanishes


def test_what_gets_no_gradient_is_not_counted():
    layers = [cr.Dense(3, connections=["101", "011"]), cr.BatchNorm(), cr.Dense(2, activation="tanh"), cr.Dense(1)]
    net = cr.Network(layers, inputs=2)
    net.freeze(2)
    rng = np.random.default_rng(0)
    report = cr.gradient_report(net, rng.normal(size=(6, 2)), rng.normal(size=6), loss="mse")
    assert [layer.number for layer in report.layers] == [0, 3]
    assert sum(report.layers[0].counts) == 4
    assert report.layers[0].zeros == 0


def test_a_report_of_gradients_leaves_the_network_alone():
    X, y = problem()
    layers = [cr.Dense(6), cr.BatchNorm(), cr.Activation("relu"), cr.Dropout(rate=0.5), cr.Dense(3)]
    net = cr.Network(layers, inputs=4)
    before, steps = net.state_dict(), net.core.steps
    loss = cr.CrossEntropy()(net(X), y)
    after = {name: value.copy() for name, value in net.state_dict().items()}
    first, second = (cr.gradient_report(net, X, y, loss="cross_entropy") for _ in range(2))
    assert first == second  # the same masks
    assert net.core.steps == steps + 1
    assert all(np.array_equal(value, after[name]) for name, value in net.state_dict().items())
    assert not np.array_equal(before["1.running_mean"], after["1.running_mean"])
    assert not any(gradient.any() for gradient in net.gradients().values())
    loss.backward()  # still there


def test_gradients_that_are_not_finite_are_shown():
    net = filled([cr.Dense(1), cr.Dense(1)], [[1e200]], [[1e200]], inputs=1)
    report = cr.gradient_report(net, [[1.0]], [0.0], loss="mse")
    assert not any(math.isfinite(layer.norm) for layer in report.layers)
    assert "inf" in repr(report) or "nan" in repr(report)


def test_the_table_of_gradients():
    net = filled([cr.Dense(1)], [[0], [0], [0]], inputs=3)
    report = cr.gradient_report(net, [[1, 0, 300]], [-1.0], loss=cr.MeanSquaredError(reduction="sum", half=True))
    lines = repr(report).splitlines()
    assert " ".join(lines[0].split()) == "layer norm norm of W ratio zeros 1e0 1e1 1e2"
    assert " ".join(lines[2].split()) == "0 Dense identity 3.00e+02 0.00e+00 inf 1 1 0 1"
    assert lines[-1] == "norm of the first layer over that of the last: 1.00e+00"


def test_a_report_of_gradients_checks_its_arguments():
    net = cr.Network([cr.Dense(3)], inputs=4)
    X, y = problem()
    with pytest.raises(TypeError, match="net must be a Network"):
        cr.gradient_report(None, X, y, loss="mse")
    with pytest.raises(ValueError, match="loss='nonsense' is unknown"):
        cr.gradient_report(net, X, y, loss="nonsense")
    with pytest.raises(ValueError, match="X must have shape"):
        cr.gradient_report(net, X[:, :2], y, loss="cross_entropy")
    with pytest.raises(ValueError, match="X must have at least one row"):
        cr.gradient_report(net, X[:0], y[:0], loss="cross_entropy")
    with pytest.raises(ValueError, match="y must have 60 rows"):
        cr.gradient_report(net, X, y[:5], loss="cross_entropy")
