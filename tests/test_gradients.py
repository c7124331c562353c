"""Gradients of every activation, layer, loss and penalty by central differences in float64.

The classes are discovered, not listed: a new one is tested without being named here. Where everything is smooth the
relative error must be below 1e-6: the truncation of a central difference is eps^2 / 6 * J''' / J', about 1e-8 / 6 for
derivatives of like size, and its rounding 1e-16 |J| / (2 eps), about 1e-12.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

import chainrule as cr
from chainrule import activations, layers, losses
from chainrule.registry import required_options

SMOOTH = 1e-6
# What a discovered class gets for an option that has no default.
OPTIONS = {"units": 5, "kind": "tanh", "rate": 0.3, "strength": 0.1}


def built(kind, **more):
    return kind(**{name: OPTIONS[name] for name in required_options(kind)}, **more)


def subclasses(base):
    return sorted(base.__subclasses__(), key=lambda kind: kind.__name__)


def batch(inputs=4, rows=6):
    # 6 rows: fewer than a vector register holds, so that edges are met too.
    return np.random.default_rng(7).normal(size=(rows, inputs))


ACTIVATIONS = [built(kind) for kind in subclasses(cr.ActivationFunction)] + [
    cr.LeakyReLU(slope=0.1),
    cr.ELU(alpha=0.5),
]


def loss_variants():
    """Yield every loss with every setting of its words and flags."""
    for kind in subclasses(cr.Loss):
        choices = {}
        for field in dataclasses.fields(kind):
            choices[field.name] = [True, False] if isinstance(field.default, bool) else ["mean", "sum"]
        for values in itertools.product(*choices.values()):
            yield kind(**dict(zip(choices, values, strict=True)))


def targets_for(loss, outputs, rows=6):
    """Return every kind of targets that the loss takes."""
    rng = np.random.default_rng(11)
    shares = rng.uniform(0.05, 0.95, size=(rows, outputs))
    candidates = {
        "labels": rng.integers(0, outputs, size=rows),
        "soft": shares / shares.sum(axis=1, keepdims=True),
        "one-hot": np.eye(outputs)[rng.integers(0, outputs, size=rows)],
        "shares": shares,
        "numbers": rng.normal(size=(rows, outputs)),
    }
    taken = {}
    for name, y in candidates.items():
        try:
            loss.targets("y", y, rows, outputs, np.dtype("float64"))
        except (TypeError, ValueError):
            continue
        taken[name] = y
    return taken


def heads_for(loss, outputs):
    """Return the last activations, none of them with a kink, that suit the loss."""
    suiting = []
    for head in ACTIVATIONS:
        net = cr.Network([cr.Dense(outputs, activation=head)], inputs=4)
        try:
            loss.check_head(net)
        except ValueError:
            continue
        if not head.has_kink:
            suiting.append(head)
    return suiting


def test_every_class_is_registered():
    assert set(subclasses(cr.ActivationFunction)) == set(activations.KNOWN.values())
    assert set(subclasses(cr.Layer)) == set(layers.KNOWN.values())
    assert set(subclasses(cr.Loss)) == set(losses.KNOWN.values())


def test_every_activation_of_the_engine_has_a_class():
    from chainrule import _engine

    words = {kind.word for kind in subclasses(cr.ActivationFunction)}
    assert words == {*_engine.activation_names(), "softmax"}


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
@pytest.mark.parametrize("alone", [False, True], ids=["in Dense", "alone"])
def test_activation(activation, alone):
    hidden = [cr.Dense(5), cr.Activation(activation)] if alone else [cr.Dense(5, activation=activation)]
    net = cr.Network([*hidden, cr.Dense(3, activation="tanh")], inputs=4, seed=3)
    found = cr.check_gradients(net, batch(), batch(3), loss="mse")
    assert found.max_error < SMOOTH, found
    assert activation.has_kink or not found.kinks


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_activation_of_the_last_layer(activation):
    net = cr.Network([cr.Dense(3, activation=activation)], inputs=4, seed=4)
    found = cr.check_gradients(net, batch(), batch(3), loss="mse")
    assert found.max_error < SMOOTH, found


@pytest.mark.parametrize("kind", subclasses(cr.Layer), ids=lambda kind: kind.__name__)
def test_layer(kind):
    net = cr.Network([cr.Dense(6, activation="tanh"), built(kind), cr.Dense(3)], inputs=4, seed=1)
    found = cr.check_gradients(net, batch(), batch(3), loss="mse")
    assert found.max_error < SMOOTH, found
    assert found.kinks == []


@pytest.mark.parametrize("kind", subclasses(cr.Layer), ids=lambda kind: kind.__name__)
def test_layer_that_comes_first(kind):
    net = cr.Network([built(kind), cr.Dense(2)], inputs=4, seed=2)
    assert cr.check_gradients(net, batch(), batch(2), loss="mse").max_error < SMOOTH


LOSS_CASES = [
    pytest.param(loss, head, outputs, name, id=f"{loss}-{head.word}-{outputs}-{name}")
    for loss in loss_variants()
    for outputs in (1, 3)
    for name in targets_for(loss, outputs)
    for head in heads_for(loss, outputs)
]


@pytest.mark.parametrize(("loss", "head", "outputs", "name"), LOSS_CASES)
def test_loss(loss, head, outputs, name):
    net = cr.Network([cr.Dense(5, activation="tanh"), cr.Dense(outputs, activation=head)], inputs=4, seed=5)
    found = cr.check_gradients(net, batch(), targets_for(loss, outputs)[name], loss=loss)
    assert found.max_error < SMOOTH, found


def test_every_loss_is_among_the_cases():
    assert {type(case.values[0]) for case in LOSS_CASES} == set(subclasses(cr.Loss))


@pytest.mark.parametrize("kind", subclasses(cr.Penalty), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("biases", [False, True])
def test_penalty(kind, biases):
    start = cr.Normal(0.5)
    net = cr.Network([cr.Dense(5, activation="tanh", bias_init=start), cr.Dense(3)], inputs=4, seed=6)
    found = cr.check_gradients(net, batch(), batch(3), loss="mse", penalty=[built(kind, biases=biases), built(kind)])
    assert found.max_error < SMOOTH, found


def test_one_row_and_wide_layers():
    # 33 and 17 units: one more than a whole number of vectors.
    net = cr.Network(
        [cr.Dense(33, activation="elu"), cr.Dense(17, activation="sigmoid"), cr.Dense(2)], inputs=3, seed=8
    )
    found = cr.check_gradients(net, batch(3, rows=1), [1], loss="cross_entropy", samples=40)
    assert found.max_error < SMOOTH, found
    assert found.checked["0.weight"] == 40
    assert found.checked["2.bias"] == 2


def test_dropout_is_frozen_and_the_network_untouched():
    net = cr.Network([cr.Dense(8, activation="tanh"), cr.Dropout(rate=0.5), cr.Dense(2)], inputs=4, dtype="float32")
    net(batch().astype(np.float32))
    before, steps = net.state_dict(), net.core.steps
    # With other masks in each pass the differences would be noise of the size of the loss over eps.
    assert cr.check_gradients(net, batch(), [0, 1, 1, 0, 1, 0], loss="cross_entropy").passed()
    assert net.core.steps == steps
    assert all(np.array_equal(before[name], value) for name, value in net.parameters().items())


def test_kinks_are_named_and_left_out():
    net = cr.Network([cr.Dense(2, activation="relu"), cr.Dense(1)], inputs=1, dtype="float64")
    # Unit 0 sits 5e-5 from its kink, closer than eps = 1e-4; unit 1 far away.
    net.load_state_dict(
        {"0.weight": [[1.0, 1.0]], "0.bias": [-1.0 + 5e-5, 2.0], "1.weight": [[1.0], [1.0]], "1.bias": [0.0]}
    )
    found = cr.check_gradients(net, [[1.0]], [[0.0]], loss="mse")
    assert [(kink.parameter, kink.entry, kink.layer) for kink in found.kinks] == [
        ("0.weight", (0, 0), 0),
        ("0.bias", (0,), 0),
    ]
    assert found.checked == {"0.weight": 1, "0.bias": 1, "1.weight": 2, "1.bias": 1}
    assert found.passed()


def test_a_parameter_that_is_all_kinks_does_not_pass():
    net = cr.Network([cr.Dense(1, activation="relu")], inputs=1, dtype="float64")
    net.load_state_dict({"0.weight": [[1.0]], "0.bias": [-1.0]})
    found = cr.check_gradients(net, [[1.0]], [[0.5]], loss="mse")
    assert np.isnan(found.max_error)
    assert not found.passed()


class WrongLoss(cr.MeanSquaredError):
    """A loss whose gradient is 0.1 % too long."""

    def build(self, engine):
        right = super().build(engine)

        class Wrong:
            def value(self, p, y, weight=None):
                value, gradient = right.value(p, y, weight)
                return value, gradient * 1.001

        return Wrong()


def test_a_wrong_gradient_is_found():
    net = cr.Network([cr.Dense(3, activation="tanh"), cr.Dense(2)], inputs=4)
    found = cr.check_gradients(net, batch(), batch(2), loss=WrongLoss())
    assert not found.passed()
    assert found.max_error == pytest.approx(1e-3, rel=0.01)


def test_the_report_names_every_parameter():
    net = cr.Network([cr.Dense(3, activation="relu"), cr.Dense(2)], inputs=4)
    text = repr(cr.check_gradients(net, batch(), batch(2), loss="mse"))
    for name in net.parameters():
        assert name in text
