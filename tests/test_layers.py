"""What layers with weights do, judged by NumPy written out here: connections, DropConnect, Maxout, constraints.

Layers that disturb are in test_layers_noise.py, batch normalization in test_batch_norm.py, frozen layers in
test_frozen_layers.py. Gradients of all layers: test_gradients.py.
"""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest
from problems import built, rows, subclasses

import chainrule as cr
from chainrule import reference

# Products of at most 6 terms of order 1 and a function: 64 roundings are more than there are.
CLOSE = {"rtol": 0, "atol": 64 * 2.0**-53}

CONNECTIONS = ("1010", "0110", "1000", "0110", "0001")
MASK = np.array([[int(letter) for letter in row] for row in CONNECTIONS], dtype=float)  # (5, 4)


def pull(net, x, y, loss="mse"):
    """Go forward and backward once."""
    net.zero_grad()
    loss_fn = cr.MeanSquaredError() if loss == "mse" else loss
    loss_fn(net(x), y).backward()


# How weights start ---------------------------------------------------------------------------------------------------

BETWEEN = [[], [cr.BatchNorm()], [cr.Dropout(rate=0.1)], [cr.GaussianNoise(std=1), cr.Activation("identity")]]
HE, GLOROT = cr.HeNormal(), cr.GlorotUniform()


def first_weight(*layers, **options):
    """Return the weights of the first of these layers, at the start of a network of 30 inputs."""
    return cr.Network(layers, inputs=30, seed=3, **options).parameters()["0.weight"]


@pytest.mark.filterwarnings("ignore::chainrule.PlacementWarning")
@pytest.mark.parametrize("kind", [cr.Dense, functools.partial(cr.DropConnect, rate=0.1)], ids=["Dense", "DropConnect"])
@pytest.mark.parametrize("between", BETWEEN, ids=repr)
@pytest.mark.parametrize(
    ("function", "start"),
    [("relu", HE), ("leaky_relu", HE), (cr.ELU(alpha=2), HE), ("tanh", GLOROT), ("softmax", GLOROT), ("step", GLOROT)],
    ids=str,
)
def test_weights_start_by_the_function_that_follows(kind, between, function, start):
    found = first_weight(kind(20), *between, cr.Activation(function), cr.Dense(3, activation="tanh"))
    assert np.array_equal(found, first_weight(kind(20, weight_init=start)))
    # It is the rule of an activation of the layer's own.
    assert np.array_equal(found, first_weight(kind(20, activation=function), cr.Dense(3)))


@pytest.mark.filterwarnings("ignore::chainrule.PlacementWarning")
@pytest.mark.parametrize(
    ("layers", "start"),
    [
        ([cr.Dense(20), cr.Activation("tanh"), cr.Activation("relu")], GLOROT),
        ([cr.Dense(20), cr.Activation("relu"), cr.Activation("tanh")], HE),
        ([cr.Dense(20), cr.Dense(5, activation="relu")], GLOROT),
        ([cr.Dense(20), cr.BatchNorm(), cr.Maxout(5), cr.Activation("relu")], GLOROT),
        ([cr.Dense(20), cr.BatchNorm()], GLOROT),
        ([cr.Dense(20, activation="tanh"), cr.Activation("relu")], GLOROT),
        ([cr.Dense(20, weight_init="glorot_uniform"), cr.Activation("relu")], GLOROT),
        ([cr.Maxout(20), cr.Activation("relu")], None),
    ],
    ids=["nearest tanh", "nearest relu", "another's", "beyond weights", "nothing", "its own", "asked for", "maxout"],
)
def test_only_the_nearest_function_counts(layers, start):
    alone = cr.Maxout(20) if start is None else cr.Dense(20, weight_init=start)
    assert np.array_equal(first_weight(*layers), first_weight(alone))


def test_the_summary_names_the_start_and_copies_keep_it(capsys):
    net = cr.Network([cr.Dense(20), cr.BatchNorm(), cr.Activation("relu"), cr.Dense(3)], inputs=30)
    net.summary()
    lines = capsys.readouterr().out.splitlines()
    starts = [re.split(r"  +", line)[-2] for line in (lines[2], lines[5])]
    assert starts == ["he_normal", "glorot_uniform"]
    # The description itself stays as it was given.
    assert net.layers[0] == cr.Dense(20) == net.copy().layers[0]
    assert np.array_equal(net.copy().parameters()["0.weight"], net.parameters()["0.weight"])


# Connections ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [MASK, MASK.astype(bool), MASK.astype(np.int8), MASK.tolist(), np.asfortranarray(MASK), list(CONNECTIONS)],
    ids=["floats", "bools", "int8", "lists", "Fortran order", "strings"],
)
def test_connections_are_kept_as_strings(given):
    layer = cr.Dense(4, connections=given)
    assert layer.connections == CONNECTIONS
    assert layer == cr.Dense(4, connections=CONNECTIONS)
    assert hash(layer) == hash(cr.Dense(4, connections=CONNECTIONS))


def masked(dtype="float64", **options):
    layers = [cr.Dense(4, activation="tanh", connections=MASK, **options), cr.Dense(2)]
    return cr.Network(layers, inputs=5, seed=4, dtype=dtype)


def test_what_is_not_connected_starts_at_0_and_the_rest_as_ever(dtype):
    full = cr.Network([cr.Dense(4, activation="tanh"), cr.Dense(2)], inputs=5, seed=4, dtype=dtype)
    expected = full.parameters()["0.weight"] * MASK
    net = masked(dtype)
    assert np.array_equal(net.parameters()["0.weight"], expected)
    assert np.count_nonzero(net.parameters()["0.weight"]) == MASK.sum()
    assert set(net.parameters()) == set(net.state_dict()) == set(full.parameters())


def test_only_what_is_connected_passes():
    net, x = masked(bias_init=cr.Normal(1)), rows(6, 5)
    p = net.parameters()
    h = np.tanh(x @ (p["0.weight"] * MASK) + p["0.bias"])
    np.testing.assert_allclose(net.predict(x), h @ p["1.weight"] + p["1.bias"], **CLOSE)
    # Input 3 reaches the units 1 and 2 alone.
    other = x.copy()
    other[:, 3] += 1
    moved = np.tanh(other @ p["0.weight"] + p["0.bias"]) != h
    assert moved.any(axis=0).tolist() == [False, True, True, False]


def test_what_is_not_connected_has_no_gradient():
    net, x, y = masked(), rows(6, 5), rows(6, 2, seed=1)
    p = net.state_dict()
    h = np.tanh(x @ p["0.weight"] + p["0.bias"])
    dp = 2 * (h @ p["1.weight"] + p["1.bias"] - y) / y.size
    expected = x.T @ (dp @ p["1.weight"].T * (1 - h * h)) * MASK
    pull(net, x, y)
    np.testing.assert_allclose(net.gradients()["0.weight"], expected, **CLOSE)
    assert np.all(net.gradients()["0.weight"][MASK == 0] == 0)
    pull(net, x, y)
    cr.MeanSquaredError()(net(x), y).backward(accumulate=True)  # adds to what is there
    np.testing.assert_allclose(net.gradients()["0.weight"], 2 * expected, **CLOSE)


@pytest.mark.parametrize("kind", subclasses(cr.Optimizer), ids=lambda kind: kind.__name__)
def test_what_is_not_connected_stays_0(kind, dtype):
    net, start = masked(dtype), masked(dtype).parameters()["0.weight"]
    penalties = [cr.L2(0.1), cr.L2(0.1, decay="decoupled"), cr.L1(0.01, update="proximal")]
    trainer = cr.Trainer(net, loss="mse", optimizer=built(kind), penalty=penalties)
    trainer.fit(rows(30, 5), rows(30, 2, seed=1), epochs=3, batch_size=7)
    w = net.parameters()["0.weight"]
    assert np.all(w[MASK == 0] == 0)
    assert np.all(w[MASK == 1] != start[MASK == 1])


def test_a_unit_and_an_input_without_connections():
    net = cr.Network([cr.Dense(2, connections=["10", "00"], bias_init=cr.Constant(3))], inputs=2, dtype="float64")
    w = net.parameters()["0.weight"][0, 0]
    assert np.array_equal(net.predict([[1, 5], [2, 7]]), [[w + 3, 3], [2 * w + 3, 3]])


# DropConnect ---------------------------------------------------------------------------------------------------------

SHARE = 0.3
# (variant, the factor of what is left in training, that of all in prediction)
VARIANTS = [("inverted", 1 / (1 - SHARE), 1.0), ("classic", 1.0, 1 - SHARE)]


def dropped_weights(net, inputs):
    """Return W' + b of a linear layer in one training pass: what unit vectors give."""
    return np.asarray(net(np.eye(inputs)))


@pytest.mark.parametrize(("variant", "training", "prediction"), VARIANTS)
def test_drop_connect_removes_weights(variant, training, prediction):
    layer = cr.DropConnect(40, rate=SHARE, variant=variant, bias=False)
    net = cr.Network([layer], inputs=50, seed=7, dtype="float64")
    w = net.parameters()["0.weight"]
    first, second = dropped_weights(net, 50), dropped_weights(net, 50)
    for step, found in enumerate((first, second)):
        expected = reference.dropout(w, rate=SHARE, scale=training, seed=7, layer=0, step=step)
        np.testing.assert_allclose(found, expected, rtol=2**-51, atol=0)
        # Five standard errors of a share of 2,000 draws.
        assert abs((found == 0).mean() - SHARE) < 5 * np.sqrt(SHARE * (1 - SHARE) / w.size)
    assert not np.array_equal(first == 0, second == 0)
    np.testing.assert_allclose(net.predict(np.eye(50)), w * prediction, rtol=2**-51, atol=0)


@pytest.mark.parametrize(("variant", "training", "prediction"), VARIANTS)
def test_drop_connect_is_a_dense_layer_of_other_weights(variant, training, prediction):
    layer = cr.DropConnect(4, rate=SHARE, variant=variant, activation="sigmoid", bias_init=cr.Normal(1))
    net, x, y = cr.Network([layer], inputs=5, seed=7, dtype="float64"), rows(6, 5), rows(6, 4, seed=1)
    p = net.state_dict()
    mask = reference.dropout(np.ones((5, 4)), rate=SHARE, scale=training, seed=7, layer=0, step=0)
    # One mask for all rows; the bias is not dropped.
    h = 1 / (1 + np.exp(-(x @ (p["0.weight"] * mask) + p["0.bias"])))
    dz = 2 * (h - y) / y.size * h * (1 - h)
    out = net(x)
    np.testing.assert_allclose(np.asarray(out), h, **CLOSE)
    cr.MeanSquaredError()(out, y).backward()
    np.testing.assert_allclose(net.gradients()["0.weight"], x.T @ dz * mask, **CLOSE)
    np.testing.assert_allclose(net.gradients()["0.bias"], dz.sum(axis=0), **CLOSE)
    z = x @ (p["0.weight"] * prediction) + p["0.bias"]
    np.testing.assert_allclose(net.predict(x), 1 / (1 + np.exp(-z)), **CLOSE)


@pytest.mark.parametrize("variant", ["inverted", "classic"])
def test_the_expected_output_of_drop_connect_is_its_prediction(variant):
    net = cr.Network([cr.DropConnect(3, rate=SHARE, variant=variant)], inputs=6, seed=1, dtype="float64")
    x, w, draws = rows(1, 6), net.parameters()["0.weight"], 4000
    mean = np.mean([np.asarray(net(x)) for _ in range(draws)], axis=0)
    # Each weight is on or off: the variance of a sum of terms t is rate (1 - rate) sum t^2. Five standard errors.
    terms = x.T * w * (1 / (1 - SHARE) if variant == "inverted" else 1)
    bound = 5 * np.sqrt(SHARE * (1 - SHARE) * (terms**2).sum(axis=0) / draws)
    assert np.all(np.abs(mean - net.predict(x))[0] < bound)


def test_keep_prob_is_what_is_left_of_rate():
    nets = [cr.Network([cr.DropConnect(9, **given)], inputs=8) for given in ({"rate": 0.25}, {"keep_prob": 0.75})]
    assert np.array_equal(*[np.asarray(net(np.eye(8))) for net in nets])
    assert nets[0].layers != nets[1].layers
    assert cr.DropConnect(9, keep_prob=1) == cr.DropConnect(9, keep_prob=1.0)


# Maxout --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [1, 2, 3, 5])
@pytest.mark.parametrize("bias", [True, False])
def test_maxout_takes_the_greatest_piece(pieces, bias, dtype):
    layer = cr.Maxout(4, pieces=pieces, bias=bias, bias_init=cr.Normal(1))
    net, x = cr.Network([layer], inputs=5, seed=2, dtype=dtype), rows(7, 5)
    p = {name: value.astype(float) for name, value in net.parameters().items()}
    assert p["0.weight"].shape == (5, 4 * pieces)
    z = x @ p["0.weight"] + (p["0.bias"] if bias else 0)
    # Unit j has the columns j, 4 + j, 8 + j, ...
    expected = np.stack([z[:, j::4].max(axis=1) for j in range(4)], axis=1)
    np.testing.assert_allclose(net.predict(x), expected, rtol=0, atol=64 * np.finfo(dtype).eps)
    np.testing.assert_allclose(np.asarray(net(x)), expected, rtol=0, atol=64 * np.finfo(dtype).eps)


def test_the_gradient_of_maxout_goes_to_the_greatest_piece():
    net, x, y = cr.Network([cr.Maxout(3)], inputs=4, seed=5, dtype="float64"), rows(6), rows(6, 3, seed=1)
    p = net.state_dict()
    z = (x @ p["0.weight"] + p["0.bias"]).reshape(6, 2, 3)
    is_greatest = z == z.max(axis=1, keepdims=True)
    dz = (is_greatest * (2 * (z.max(axis=1) - y) / y.size)[:, None, :]).reshape(6, 6)
    pull(net, x, y)
    np.testing.assert_allclose(net.gradients()["0.weight"], x.T @ dz, **CLOSE)
    np.testing.assert_allclose(net.gradients()["0.bias"], dz.sum(axis=0), **CLOSE)


def test_of_equal_pieces_the_first_learns():
    net = cr.Network([cr.Maxout(2, weight_init="zeros")], inputs=3, dtype="float64")
    pull(net, np.ones((1, 3)), [[1.0, 1.0]])
    assert np.array_equal(net.gradients()["0.bias"], [-1, -1, 0, 0])


@pytest.mark.parametrize(("second", "twin"), [(0.0, np.maximum), (-1.0, lambda z, _: np.abs(z))], ids=["ReLU", "abs"])
def test_maxout_can_be_other_functions(second, twin):
    net, x, w = cr.Network([cr.Maxout(3, bias=False)], inputs=4, dtype="float64"), rows(6), rows(4, 3, seed=3)
    net.load_state_dict({"0.weight": np.hstack([w, second * w])})
    np.testing.assert_allclose(net.predict(x), twin(x @ w, 0), **CLOSE)


# The binary step -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alone", [False, True], ids=["in Dense", "alone"])
def test_a_step_lets_the_gradient_through_if_asked(alone):
    for straight_through in (False, True):
        step = cr.Step(straight_through=straight_through)
        layers = [cr.Dense(2), cr.Activation(step)] if alone else [cr.Dense(2, activation=step)]
        net, x, y = cr.Network(layers, inputs=4, dtype="float64"), rows(6), (rows(6, 2, seed=1) > 0).astype(float)
        h = (x @ net.parameters()["0.weight"] + net.parameters()["0.bias"] >= 0).astype(float)
        out = net(x)
        assert np.array_equal(np.asarray(out), h)
        cr.MeanSquaredError(reduction="sum", half=True)(out, y).backward()
        # The perceptron rule: w <- w + lr (y - h) x.
        expected = x.T @ (h - y) if straight_through else np.zeros((4, 2))
        np.testing.assert_allclose(net.gradients()["0.weight"], expected, **CLOSE)


# Constraints ---------------------------------------------------------------------------------------------------------

WITH_WEIGHTS = [cr.Dense, cr.DropConnect, cr.Maxout]
norms = np.linalg.norm
# What each constraint makes of W: by the formula of its docstring.
CONSTRAINED = {
    cr.MaxNorm(0.7): lambda w: w * 0.7 / np.maximum(norms(w, axis=0), 0.7),
    cr.UnitNorm(): lambda w: w / norms(w, axis=0),
    cr.NonNegative(): lambda w: np.maximum(w, 0),
}


@pytest.mark.parametrize("kind", WITH_WEIGHTS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("constraint", CONSTRAINED, ids=repr)
def test_a_constraint_is_met_after_every_update(kind, constraint):
    def network(**options):
        return cr.Network([built(kind, units=4, **options), cr.Dense(2)], inputs=5, seed=1, dtype="float64")

    x, y = rows(12, 5), rows(12, 2, seed=1)
    net, free = network(weight_constraint=constraint), network()
    start = free.state_dict()["0.weight"]
    # Not at the start.
    assert np.array_equal(net.parameters()["0.weight"], start)
    by_hand = network(weight_constraint=constraint)
    for one in (by_hand, free):
        pull(one, x, y)
        cr.SGD(0.5).step(one)
    cr.Trainer(net, loss="mse", optimizer=cr.SGD(0.5)).fit(x, y, epochs=1, batch_size=12, shuffle=False)
    expected = CONSTRAINED[constraint](free.parameters()["0.weight"])
    assert not np.allclose(expected, free.parameters()["0.weight"])
    for one in (by_hand, net):
        # A norm of 5 squares, a quotient and a product.
        np.testing.assert_allclose(one.parameters()["0.weight"], expected, rtol=1e-14, atol=1e-16)
        # Nothing else is constrained.
        np.testing.assert_allclose(one.parameters()["1.weight"], free.parameters()["1.weight"], rtol=1e-14)
        np.testing.assert_allclose(one.parameters()["0.bias"], free.parameters()["0.bias"], rtol=1e-14)


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_constraints_hold_through_a_fit(optimizer, dtype):
    layers = [
        cr.Dense(6, activation="tanh", weight_constraint=cr.MaxNorm(0.6)),
        cr.Maxout(5, weight_constraint="unit_norm"),
        cr.Dense(2, weight_constraint="non_negative"),
    ]
    net = cr.Network(layers, inputs=4, seed=1, dtype=dtype)
    cr.Trainer(net, loss="mse", optimizer=optimizer).fit(rows(50), rows(50, 2, seed=1), epochs=4, batch_size=8)
    w = {name: value.astype(float) for name, value in net.parameters().items()}
    # 6 squares, a root, a quotient and a product.
    slack = 16 * np.finfo(dtype).eps
    assert norms(w["0.weight"], axis=0).max() <= 0.6 * (1 + slack)
    np.testing.assert_allclose(norms(w["1.weight"], axis=0), 1, rtol=0, atol=slack)
    assert w["2.weight"].min() >= 0


def test_a_unit_whose_weights_are_all_0_keeps_them():
    net = cr.Network([cr.Dense(2, weight_init="zeros", weight_constraint="unit_norm")], inputs=3, dtype="float64")
    pull(net, [[0.0, 0.0, 0.0]], [[1.0, 1.0]])
    cr.SGD(0.1).step(net)
    assert np.array_equal(net.parameters()["0.weight"], np.zeros((3, 2)))


def test_every_constraint_is_tested():
    assert {type(one) for one in CONSTRAINED} == set(subclasses(cr.Constraint))
