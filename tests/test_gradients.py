"""Gradients of every activation, layer, loss and penalty by central differences in float64.

The classes are discovered, not listed: a new one is tested without being named here. Where everything is smooth the
relative error must be below 1e-6: the truncation of a central difference is eps^2 / 6 * J''' / J', about 1e-8 / 6 for
derivatives of like size, and its rounding 1e-16 |J| / (2 eps), about 1e-12.
"""

from __future__ import annotations

import numpy as np
import pytest
from problems import built, subclasses, variants

import chainrule as cr
from chainrule import activations, initializers, layers, losses, optimizers

SMOOTH = 1e-6


def batch(inputs=4, rows=6):
    # 6 rows: fewer than a vector register holds, so that edges are met too.
    return np.random.default_rng(7).normal(size=(rows, inputs))


ACTIVATIONS = [built(kind) for kind in subclasses(cr.ActivationFunction)] + [
    cr.LeakyReLU(slope=0.1),
    cr.ELU(alpha=0.5),
]


def loss_variants():
    """Return every loss with every setting of its words and flags."""
    return [variant for kind in subclasses(cr.Loss) for variant in variants(kind)]


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
    assert set(subclasses(cr.Optimizer)) == set(optimizers.KNOWN.values())
    assert set(subclasses(cr.Initializer)) == set(initializers.KNOWN.values())


@pytest.mark.parametrize("kind", subclasses(cr.Loss), ids=lambda kind: kind.__name__)
def test_a_new_option_does_not_break_the_discovery(kind):
    import dataclasses

    more = [("strength", float, dataclasses.field(default=0.5)), ("flag", bool, dataclasses.field(default=False))]
    wider = dataclasses.make_dataclass("Wider", more, bases=(kind,), frozen=True)
    found = list(variants(wider))
    assert len(found) == 2 * len(list(variants(kind)))
    assert all(one.strength == 0.5 for one in found)


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


PENALTIES = [variant for kind in subclasses(cr.Penalty) for variant in variants(kind)]


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_penalty(penalty):
    start = cr.Normal(0.5)
    net = cr.Network([cr.Dense(5, activation="tanh", bias_init=start), cr.Dense(3)], inputs=4, seed=6)
    for penalties in (penalty, [penalty, built(type(penalty))]):
        found = cr.check_gradients(net, batch(), batch(3), loss="mse", penalty=penalties)
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


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "step"])
def test_kinks_are_named_and_left_out(activation):
    net = cr.Network([cr.Dense(2, activation=activation), cr.Dense(1)], inputs=1, dtype="float64")
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


class WrongL2(cr.L2):
    """A penalty whose gradient is twice as long."""

    def add_gradient(self, net):
        super().add_gradient(net)
        super().add_gradient(net)


class BrokenLoss(cr.MeanSquaredError):
    """A loss whose values below the entry are not finite, as if a formula divided by 0."""

    broken = np.nan

    def build(self, engine):
        right, broken = super().build(engine), self.broken

        class Broken:
            calls = 0

            def value(self, p, y, weight=None):
                value, gradient = right.value(p, y, weight)
                self.calls += 1
                return value if self.calls <= 2 or self.calls % 2 else broken, gradient

        return Broken()


def small_net(activation="tanh"):
    return cr.Network([cr.Dense(3, activation=activation), cr.Dense(2)], inputs=4)


def test_the_gradient_of_a_penalty_is_checked():
    assert cr.check_gradients(small_net(), batch(), batch(2), loss="mse", penalty=cr.L2(0.5)).passed()
    found = cr.check_gradients(small_net(), batch(), batch(2), loss="mse", penalty=WrongL2(0.5))
    assert not found.passed()
    assert found.errors["0.weight"] > 0.01
    assert found.errors["0.bias"] < SMOOTH  # a penalty of weights alone


class InfiniteLoss(BrokenLoss):
    broken = np.inf


@pytest.mark.parametrize("loss", [BrokenLoss(), InfiniteLoss()], ids=["NaN", "infinity"])
def test_a_difference_that_is_no_number_does_not_pass(loss):
    found = cr.check_gradients(small_net(), batch(), batch(2), loss=loss)
    assert np.isnan(found.max_error)
    assert not found.passed()
    assert found.checked["0.weight"] == 12
    assert found.kinks == []


def test_small_gradients_are_judged_by_their_own_size():
    # Targets 1e-3 beside the outputs: gradients of about 1e-3, a thousand times the floor of 1e-6. J is a parabola in
    # each parameter of one linear layer, so that its differences have no truncation.
    net, x = cr.Network([cr.Dense(2)], inputs=4), batch()
    y = net.copy(dtype="float64").predict(x) + 1e-3 * batch(2)
    assert cr.check_gradients(net, x, y, loss="mse").passed()
    found = cr.check_gradients(net, x, y, loss=WrongLoss())
    for error in found.errors.values():
        assert error == pytest.approx(1e-3, rel=0.01)


def test_eps_is_the_distance_of_the_differences():
    # The truncation grows as eps^2: a thousand times the distance, a million times the error.
    errors = [cr.check_gradients(small_net(), batch(), batch(2), loss="mse", eps=eps).max_error for eps in (3e-4, 0.3)]
    assert 1e5 * errors[0] < errors[1] < 1


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
