"""Gradients of every activation, layer, loss and penalty by central differences in float64.

The classes are discovered, not listed: a new one is tested without being named here. Where everything is smooth the
relative error must be below 1e-6: the truncation of a central difference is eps^2 / 6 * J''' / J', about 1e-8 / 6 for
derivatives of like size, and its rounding 1e-16 |J| / (2 eps), about 1e-12.
"""

from __future__ import annotations

import numpy as np
import pytest
from problems import built, measured, subclasses, variants

import chainrule as cr
from chainrule import activations, constraints, initializers, layers, losses, optimizers

SMOOTH = 1e-6
# Where an activation is checked in a place that a network is warned of.
anywhere = pytest.mark.filterwarnings("ignore::chainrule.PlacementWarning")


def batch(inputs=4, rows=6):
    # 6 rows: fewer than a vector register holds, so that edges are met too.
    return np.random.default_rng(7).normal(size=(rows, inputs))


ACTIVATIONS = [built(kind) for kind in subclasses(cr.ActivationFunction)] + [
    cr.LeakyReLU(slope=0.1),
    cr.ELU(alpha=0.5),
]


# Numbers that are nobody's defaults.
ODD = {"label_smoothing": 0.2, "delta": 0.4, "quantile": 0.7, "bias_strength": 0.3, "bias_l1": 0.2, "bias_l2": 0.4}


def loss_variants():
    """Return every loss with every setting of its words and flags, with its own numbers and with odd ones."""
    every = [one for kind in subclasses(cr.Loss) for one in (*variants(kind), *variants(kind, **ODD))]
    return list(dict.fromkeys(every))


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
    """Return the last activations, none of them with a kink, that suit the loss; one for what is no default."""
    suiting = []
    for head in ACTIVATIONS:
        if head.has_kink:
            continue
        net = cr.Network([cr.Dense(outputs, activation=head)], inputs=4)
        try:
            loss.check_head(net)
        except ValueError:
            continue
        suiting.append(head)
    return suiting if loss == built(type(loss)) else suiting[:1]


def test_every_class_is_registered():
    assert set(subclasses(cr.ActivationFunction)) == set(activations.KNOWN.values())
    assert set(subclasses(cr.Layer)) == set(layers.KNOWN.values())
    assert set(subclasses(cr.Loss)) == set(losses.KNOWN.values())
    assert set(subclasses(cr.Optimizer)) == set(optimizers.KNOWN.values())
    assert set(subclasses(cr.Initializer)) == set(initializers.KNOWN.values())
    assert set(subclasses(cr.Constraint)) == set(constraints.KNOWN.values())


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


@anywhere
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
@pytest.mark.parametrize("alone", [False, True], ids=["in Dense", "alone"])
def test_activation(activation, alone):
    hidden = [cr.Dense(5), cr.Activation(activation)] if alone else [cr.Dense(5, activation=activation)]
    net = cr.Network([*hidden, cr.Dense(3, activation="tanh")], inputs=4, seed=3)
    found = cr.check_gradients(net, batch(), batch(3), loss="mse")
    assert found.max_error < SMOOTH, found
    assert activation.has_kink or not found.kinks


@anywhere
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_activation_of_the_last_layer(activation):
    net = cr.Network([cr.Dense(3, activation=activation)], inputs=4, seed=4)
    found = cr.check_gradients(net, batch(), batch(3), loss="mse")
    assert found.max_error < SMOOTH, found


# Every layer as it is made by default, and in the settings that take another way through it.
LAYERS = [
    *(built(kind) for kind in subclasses(cr.Layer)),
    *variants(cr.Dropout),
    cr.Dense(5, activation="sigmoid", connections=[[1, 0, 1, 1, 0]] * 2 + [[0, 1, 0, 1, 0]] * 4),
    cr.DropConnect(5, keep_prob=0.6, variant="classic", activation="tanh"),
    cr.DropConnect(5, rate=0.6, activation="relu", bias=False),
    cr.Maxout(3, pieces=1),
    cr.Maxout(3, pieces=4, bias=False),
    cr.BatchNorm(eps=0.5, momentum=1.0),
]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_layer(layer):
    net = measured(cr.Network([cr.Dense(6, activation="tanh"), layer, cr.Dense(3)], inputs=4, seed=1), batch())
    found = cr.check_gradients(net, batch(), batch(3), loss="mse")
    assert found.max_error < SMOOTH, found
    assert layer.has_kink() or found.kinks == []


@pytest.mark.parametrize("kind", subclasses(cr.Layer), ids=lambda kind: kind.__name__)
def test_layer_that_comes_first(kind):
    net = measured(cr.Network([built(kind), cr.Dense(2)], inputs=4, seed=2), batch())
    assert cr.check_gradients(net, batch(), batch(2), loss="mse").max_error < SMOOTH


@pytest.mark.filterwarnings("ignore::chainrule.PlacementWarning")
@pytest.mark.parametrize("kind", subclasses(cr.Layer), ids=lambda kind: kind.__name__)
def test_layer_that_comes_last(kind):
    net = measured(cr.Network([cr.Dense(3, activation="tanh"), built(kind)], inputs=4, seed=3), batch())
    assert cr.check_gradients(net, batch(), batch(net.outputs), loss="mse").max_error < SMOOTH


@pytest.mark.parametrize("kind", subclasses(cr.Layer), ids=lambda kind: kind.__name__)
def test_layer_that_is_frozen(kind):
    net = cr.Network([cr.Dense(6, activation="tanh"), built(kind), cr.Dense(3)], inputs=4, seed=1, dtype="float64")
    measured(net, batch())(batch())  # a BatchNorm has other statistics now than at its start
    net.freeze(1)
    found = cr.check_gradients(net, batch(), batch(3), loss="mse")
    assert found.max_error < SMOOTH, found
    assert set(found.errors) == {"0.weight", "0.bias", "2.weight", "2.bias"}


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


PENALTIES = [
    *(variant for kind in subclasses(cr.Penalty) for variant in variants(kind, **ODD)),
    *(built(kind, layers=(1,)) for kind in subclasses(cr.Penalty)),
    cr.Lp(0.2, p=1.0),
    cr.Lp(0.2, p=1.5, bias_strength=0.1, norm="norm"),
    cr.Lp(0.2, p=2.0),
]


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_penalty(penalty):
    start = cr.Normal(0.5)
    # No bias is 0, where some penalties have a kink.
    net = cr.Network([cr.Dense(5, activation="tanh", bias_init=start), cr.Dense(3, bias_init=start)], inputs=4, seed=6)
    for penalties in (penalty, [penalty, built(type(penalty))]):
        found = cr.check_gradients(net, batch(), batch(3), loss="mse", penalty=penalties)
        assert found.max_error < SMOOTH, found


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_a_penalty_has_a_value_where_it_has_a_gradient(penalty):
    # Otherwise the test above would check nothing.
    net = cr.Network([cr.Dense(5), cr.Dense(3)], inputs=4, dtype="float64")
    penalty.add_gradient(net, m=6, batch=6)
    moves = any(gradient.any() for gradient in net.gradients().values())
    assert moves == penalty.acts_by_gradient
    assert penalty.value(net, m=6, batch=6) > 0 or not moves


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


def test_another_greatest_piece_is_a_kink():
    net = cr.Network([cr.Maxout(2), cr.Dense(1)], inputs=1, dtype="float64")
    # Pieces of 1 and 1 - 5e-5 in the first unit: closer than eps = 1e-4 lets either be the greatest. Far apart in the
    # second.
    start = {"0.weight": [[1.0, 3.0, 1.0, 2.0]], "0.bias": [0.0, 0.0, -5e-5, 0.0], "1.weight": [[2.0], [1.0]]}
    net.load_state_dict({**start, "1.bias": [0.0]})
    found = cr.check_gradients(net, [[1.0]], [[0.0]], loss="mse")
    expected = [("0.weight", (0, 0)), ("0.weight", (0, 2)), ("0.bias", (0,)), ("0.bias", (2,))]
    assert [(kink.parameter, kink.entry) for kink in found.kinks] == expected
    assert {kink.layer for kink in found.kinks} == {0}
    assert found.passed()
    net.load_state_dict({**start, "0.bias": [0.0, 0.0, -5e-3, 0.0], "1.bias": [0.0]})
    found = cr.check_gradients(net, [[1.0]], [[0.0]], loss="mse")
    assert found.passed()
    assert found.kinks == []


def test_of_several_kinks_the_first_is_named():
    net = cr.Network([cr.Dense(1, activation="relu"), cr.Dense(1, activation="relu"), cr.Dense(1)], inputs=1)
    weights = {f"{layer}.weight": [[1.0]] for layer in range(3)}
    net.load_state_dict({**weights, "0.bias": [-1.0], "1.bias": [0.0], "2.bias": [1.0]})
    # The output is 1, the target too: a kink of both activations and of the loss.
    found = cr.check_gradients(net, [[1.0]], [[1.0]], loss="mae")
    layers = {kink.parameter: kink.layer for kink in found.kinks}
    # Nothing comes in at the last weight, which moves nothing.
    assert layers == {"0.weight": 0, "0.bias": 0, "1.bias": 1, "2.bias": 2}


# The target at which the output 1 + 5e-5 of the network below lies within eps of a kink.
LOSS_KINKS = [(cr.MeanAbsoluteError(), 1.0), (cr.Pinball(quantile=0.2), 1.0), (cr.Huber(delta=0.5), 1.5)]


@pytest.mark.parametrize(("loss", "target"), LOSS_KINKS, ids=repr)
def test_kinks_of_a_loss_are_those_of_the_last_layer(loss, target):
    net = cr.Network([cr.Dense(1, bias=False), cr.Dense(1)], inputs=1, dtype="float64")
    net.load_state_dict({"0.weight": [[1.0]], "1.weight": [[1.0]], "1.bias": [5e-5]})
    found = cr.check_gradients(net, [[1.0]], [[target]], loss=loss)
    assert {kink.layer for kink in found.kinks} == {1}
    assert set(found.checked.values()) == {0}
    away = cr.check_gradients(net, [[1.0]], [[target + 0.01]], loss=loss)
    assert away.passed()
    assert away.kinks == []


def test_every_loss_with_a_kink_is_among_those_cases():
    assert {type(loss) for loss, _ in LOSS_KINKS} == {kind for kind in subclasses(cr.Loss) if kind.has_kink}


@pytest.mark.parametrize(
    "penalty", [cr.L1(0.1), cr.ElasticNet(0.1, 0.2), cr.Lp(0.1, p=1.5), cr.L1(0.1, layers=[1])], ids=repr
)
def test_a_weight_of_0_is_a_kink_of_a_penalty(penalty):
    net = cr.Network([cr.Dense(2, activation="tanh"), cr.Dense(1)], inputs=2, dtype="float64")
    start = net.state_dict()
    start["1.weight"][1] = 5e-5
    net.load_state_dict(start)
    found = cr.check_gradients(net, batch(2), batch(1), loss="mse", penalty=penalty)
    # The biases are 0 too, but no penalty counts them.
    assert [tuple(kink) for kink in found.kinks] == [("1.weight", (1, 0), 1)]
    assert found.passed()


def test_what_is_not_connected_is_not_checked():
    layers = [cr.Dense(3, connections=["110", "011"], activation="tanh"), cr.Dense(1)]
    net = cr.Network(layers, inputs=2, dtype="float64")
    found = cr.check_gradients(net, batch(2), batch(1), loss="mse")
    assert found.passed()
    assert found.checked == {"0.weight": 4, "0.bias": 3, "1.weight": 3, "1.bias": 1}
    assert cr.check_gradients(net, batch(2), batch(1), loss="mse", samples=3).checked["0.weight"] == 3


@anywhere
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

    def add_gradient(self, net, m=None, batch=None):
        super().add_gradient(net, m, batch)
        super().add_gradient(net, m, batch)


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
    # Targets 1e-3 beside the outputs: gradients of about 1e-3, a hundred times the floor of 1e-5. J is a parabola in
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


def test_rows_may_have_weights():
    weight = np.array([1.0, 0.0, 2.0, 0.5, 3.0, 0.0])
    found = cr.check_gradients(small_net(), batch(), batch(2), loss="mse", sample_weight=weight)
    assert found.max_error < SMOOTH
    # Rows of weight 0 do not matter, whatever they ask for; without weights they do.
    y = np.where(weight[:, None] > 0, batch(2), 1e6)
    assert cr.check_gradients(small_net(), batch(), y, loss="mse", sample_weight=weight).errors == found.errors
    with pytest.raises(ValueError, match=r"^sample_weight must have 6 rows"):
        cr.check_gradients(small_net(), batch(), batch(2), loss="mse", sample_weight=weight[:3])


def test_the_report_says_where_nothing_was_checked():
    # Biases start at 0, the kink of the penalty.
    found = cr.check_gradients(small_net(), batch(), batch(2), loss="mse", penalty=cr.L1(0.1, bias_strength=0.1))
    assert np.isnan(found.errors["0.bias"])
    assert not found.passed()
    lines = {line.split()[0]: line for line in repr(found).splitlines()}
    assert lines["0.bias"].endswith("nothing checked: all entries at kinks")
    assert "nothing checked" not in lines["0.weight"]
