"""Optimizers: each in odd settings against the update rules in NumPy, their copies, and what a divergence leaves.

The classes are discovered; a new one says in `update_rules.RULES` which rule of the reference it is.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle

import numpy as np
import pytest
from problems import bits, problem, subclasses
from update_rules import EVERY, ODD, Updates

import chainrule as cr

KINDS = pytest.mark.parametrize("kind", subclasses(cr.Optimizer), ids=lambda kind: kind.__name__)
# 12 steps of numbers of order 1, each with at most 16 roundings.
TWELVE_STEPS = {"rtol": 0, "atol": 12 * 16 * 2.0**-53}


def linear(dtype="float64"):
    return cr.Network([cr.Dense(3)], inputs=4, seed=1, dtype=dtype)


def two_layers():
    return cr.Network([cr.Dense(5, activation="tanh"), cr.Dense(3)], inputs=4, seed=1, dtype="float64")


def odd(kind, **more):
    """Return an optimizer with odd numbers."""
    return kind(**{field.name: ODD[field.name] for field in dataclasses.fields(kind) if field.name in ODD}, **more)


def backward(net, seed):
    X, y = problem(rows=9, seed=seed)
    net.zero_grad()
    cr.CrossEntropy()(net(X), y).backward()


def check_twelve_steps(optimizer, net):
    optimizer = dataclasses.replace(optimizer)
    expected = net.state_dict()
    updates = Updates(optimizer, expected)
    for t in range(1, 13):
        backward(net, seed=t)
        gradients = {name: value.copy() for name, value in net.gradients().items()}
        optimizer.step(net)
        expected = updates.step(expected, gradients, optimizer.lr)
    for name, value in net.parameters().items():
        np.testing.assert_allclose(value, expected[name], **TWELVE_STEPS, err_msg=name)


@pytest.mark.parametrize("optimizer", EVERY, ids=repr)
def test_twelve_steps_are_those_of_the_rule(optimizer):
    check_twelve_steps(optimizer, linear())


@KINDS
def test_layers_may_have_rates_of_their_own(kind):
    check_twelve_steps(odd(kind, layer_lr={0: 0.25}), two_layers())
    check_twelve_steps(odd(kind, layer_lr={1: 2.0, 0: 0.5}), two_layers())


# These gradients have norms of 0.5 to 1.3 and largest elements of 0.2 to 0.5: some steps are clipped, some are not.
@KINDS
@pytest.mark.parametrize(
    "limits", [{"clip_norm": 1.0}, {"clip_value": 0.2}, {"clip_value": 0.2, "clip_norm": 0.7}], ids=str
)
def test_gradients_are_clipped_before_the_rule(kind, limits):
    check_twelve_steps(odd(kind, **limits, layer_lr={1: 0.5}), two_layers())


def test_the_norm_of_many_gradients():
    # More than the sums of squares take in one block, 4096.
    net = cr.Network([cr.Dense(70), cr.Dense(3)], inputs=80, seed=1, dtype="float64")
    optimizer, updates = cr.SGD(0.1, clip_norm=0.3), Updates(cr.SGD(0.1, clip_norm=0.3), net.parameters())
    X, y = problem(rows=9, columns=80)
    cr.CrossEntropy()(net(X), y).backward()
    gradients = {name: value.copy() for name, value in net.gradients().items()}
    assert sum((g**2).sum() for g in gradients.values()) > 1
    expected = updates.step(net.state_dict(), gradients, 0.1)
    optimizer.step(net)
    for name, value in net.parameters().items():
        # The norm is a sum of 5883 squares.
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=5883 * 2.0**-53, err_msg=name)


def test_every_setting_is_felt():
    # What the rule gives differs between any two settings: an option that were ignored would make two alike.
    seen = set()
    limits = [cr.SGD(0.03, clip_norm=0.1), cr.SGD(0.03, clip_value=0.01), cr.SGD(0.03, layer_lr={0: 0.5})]
    for optimizer in [*EVERY, *limits]:
        optimizer, net = dataclasses.replace(optimizer), linear()
        for t in range(1, 4):
            backward(net, seed=t)
            optimizer.step(net)
        seen.add(b"".join(bits(net).values()))
    assert len(seen) == len(EVERY) + len(limits)


# The readings of lecture [002] ----------------------------------------------------------------------------------------


def first_step(optimizer, gradient):
    """Return how far the first step takes a weight whose gradient is given."""
    net = cr.Network([cr.Dense(1, bias=False, weight_init="zeros")], inputs=1, dtype="float64")
    net.zero_grad()
    # The loss is p * gradient + a constant, to which 0.5 (p + gradient)^2 has the same slope at p = 0.
    cr.MeanSquaredError(reduction="sum", half=True)(net([[1.0]]), [-gradient]).backward()
    optimizer.step(net)
    return -net.parameters()["0.weight"][0, 0]


@pytest.mark.parametrize(
    ("optimizer", "factor"),
    {
        "RMSprop of the lecture": (cr.RMSprop.lecture(0.01), 1 / math.sqrt(0.001)),  # 31.6228
        "RMSprop": (cr.RMSprop(0.01), 1 / math.sqrt(0.1)),  # 3.1623
        "RMSprop, corrected": (cr.RMSprop(0.01, bias_correction=True), 1.0),
        "Adam of the lecture": (cr.Adam.lecture(0.01), 0.1 / math.sqrt(0.001)),  # 3.1623
        "Adam": (cr.Adam(0.01), 1.0),
        "AMSGrad": (cr.AMSGrad(0.01), 1.0),
        "AdaGrad": (cr.AdaGrad(0.01), 1.0),
        "Rprop": (cr.Rprop(0.01), 1.0),
        "AdaDelta": (cr.AdaDelta(0.01), math.sqrt(1e-6 / 0.1)),
    }.values(),
    ids=repr,
)
@pytest.mark.parametrize("gradient", [30.0, -2000.0])
def test_the_first_step_does_not_depend_on_the_gradient(optimizer, factor, gradient):
    # The largest eps, AdaDelta's 1e-6, beside 0.1 * 30^2 = 90: half of 1.1e-8 is missing from the root.
    step = first_step(dataclasses.replace(optimizer), gradient)
    assert step == pytest.approx(math.copysign(0.01 * factor, gradient), rel=1e-8)


def test_the_presets_are_the_formulas_of_the_lecture():
    eta, beta, eps = 0.01, 0.9, 1e-8
    v = s = 0.0
    w = {"momentum": 0.0, "adam": 0.0}
    for g in (3.0, -1.0, 0.5):
        v, s = beta * v + (1 - beta) * g, 0.999 * s + 0.001 * g**2
        w["momentum"] -= eta * v
        w["adam"] -= eta * v / math.sqrt(s + eps)
    found = {}
    for name, optimizer in (("momentum", cr.Momentum.lecture(eta)), ("adam", cr.Adam.lecture(eta))):
        net = cr.Network([cr.Dense(1, bias=False, weight_init="zeros")], inputs=1, dtype="float64")
        for g in (3.0, -1.0, 0.5):
            net.zero_grad()
            p = net([[1.0]])
            # (p - y)^2 / 2 with y = p - g has the slope g.
            cr.MeanSquaredError(reduction="sum", half=True)(p, p.array - g).backward()
            optimizer.step(net)
        found[name] = net.parameters()["0.weight"][0, 0]
    assert found == pytest.approx(w, rel=1e-13)


# Options and copies ---------------------------------------------------------------------------------------------------


def test_layer_rates_are_given_in_any_order():
    optimizer = cr.SGD(0.1, layer_lr={2: 0.5, np.int64(0): 0.1})
    assert optimizer.layer_lr == ((0, 0.1), (2, 0.5))
    assert optimizer == cr.SGD(0.1, layer_lr=((2, 0.5), (0, 0.1)))
    assert hash(optimizer) == hash(dataclasses.replace(optimizer))
    assert repr(optimizer) == "SGD(lr=0.1, layer_lr=((0, 0.1), (2, 0.5)))"
    assert repr(cr.Adam(clip_norm=1)).endswith("eps_inside_sqrt=False, clip_norm=1.0)")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"layer_lr": {-1: 0.5}}, ValueError, "layer_lr.* must be a whole number from 0"),
        ({"layer_lr": {0.5: 0.5}}, TypeError, "layer_lr.* must be a whole number"),
        ({"layer_lr": {0: 0}}, ValueError, r"layer_lr\[0\] must be a finite number above 0"),
        ({"layer_lr": {}}, ValueError, "layer_lr must name at least one layer"),
        ({"layer_lr": ((0, 0.5), (0, 0.1))}, ValueError, "layer_lr must name .* each once"),
        ({"layer_lr": 0.5}, TypeError, "layer_lr must map layer numbers to factors"),
        ({"layer_lr": [0.5, 0.1]}, TypeError, "layer_lr must map layer numbers to factors"),
        ({"clip_norm": 0}, ValueError, "clip_norm must be a finite number above 0"),
        ({"clip_value": "1"}, TypeError, "clip_value must be a finite number above 0"),
        ({"lr": "0.1"}, TypeError, "lr must be a finite number above 0"),
        ({"lr": cr.StepDecay}, TypeError, r"lr must be a number, a Schedule .* not the class: StepDecay\(...\)"),
    ],
    ids=str,
)
def test_wrong_options_of_every_optimizer(given, error, message):
    for kind in subclasses(cr.Optimizer):
        with pytest.raises(error, match=message):
            kind(**given)


def test_bounds_of_steps_that_exclude_each_other():
    with pytest.raises(ValueError, match=r"least must be a finite number at least 0 and at most 0\.1"):
        cr.Rprop(least=0.2, most=0.1)


def test_layers_that_a_network_does_not_have():
    optimizer, net = cr.SGD(0.1, layer_lr={2: 0.5}), two_layers()
    backward(net, seed=1)
    before = bits(net)
    with pytest.raises(ValueError, match="layer_lr names layer 2; the network has the layers 0 to 1"):
        optimizer.step(net)
    with pytest.raises(ValueError, match="layer_lr names layer 2"):
        cr.Trainer(net, loss="cross_entropy", optimizer=optimizer)
    assert bits(net) == before


@KINDS
def test_copies_have_the_options_and_no_state(kind):
    optimizer, net = kind(0.5), linear()
    backward(net, seed=1)
    optimizer.step(net)
    assert dataclasses.asdict(optimizer) == dataclasses.asdict(kind(0.5))
    for copied in (copy.copy(optimizer), copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert copied == optimizer
        assert repr(copied) == repr(optimizer)
        # It takes another network, and begins there like a new one.
        other, fresh = linear(), linear()
        for one, by in ((other, copied), (fresh, kind(0.5))):
            for seed in (2, 3):
                backward(one, seed)
                by.step(one)
        assert bits(other) == bits(fresh)
    optimizer.step(net)
    with pytest.raises(RuntimeError, match="another network"):
        optimizer.step(linear())


@KINDS
def test_a_divergence_leaves_the_optimizer_as_it_was(dtype, kind):
    X, y = problem()
    huge = 1e200 if dtype == "float64" else 1e30
    # Rprop takes no step beyond its bound, and so would not diverge; a decay that takes a whole weight is refused.
    options = {cr.Rprop: {"most": 10 * huge}, cr.AdamW: {"weight_decay": 0.1 / huge}}.get(kind, {})
    learner = cr.Trainer(linear(dtype), loss="mse", optimizer=kind(0.01, **options))
    learner.fit(X, np.eye(3)[y], epochs=2)
    learner.learning_rate = huge
    with pytest.warns(cr.DivergenceWarning, match="start of this fit"):
        learner.fit(X, np.eye(3)[y], epochs=5, batch_size=4)
    assert learner.learning_rate == huge  # that of the start of the fit
    learner.learning_rate = 0.01
    learner.fit(X, np.eye(3)[y], epochs=2)
    straight = linear(dtype)
    cr.Trainer(straight, loss="mse", optimizer=kind(0.01, **options)).fit(X, np.eye(3)[y], epochs=4)
    assert bits(learner.net) == bits(straight)
