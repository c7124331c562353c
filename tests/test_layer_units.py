"""Units and gradients by layer: activations, dead and saturated units, signals, updates; against NumPy by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule.layer_units import MOST_ROWS, signals


def test_units_by_hand(rng: np.random.Generator, dtype: str) -> None:
    layers = [cr.Dense(8, activation="relu"), cr.Dense(4), cr.Activation("tanh"), cr.Dense(2, activation="sigmoid")]
    net = cr.Network(layers, inputs=3, dtype=dtype)
    state = net.state_dict()
    state["0.bias"][:3] = -100  # dead
    state["1.bias"][:2] = (50, -50)  # saturated
    net.load_state_dict(state)
    X = rng.normal(size=(200, 3))
    first, second, last = cr.layer_report(net, X).layers
    h = np.maximum(X @ state["0.weight"] + state["0.bias"], 0)
    z = np.tanh(h @ state["1.weight"] + state["1.bias"])
    assert first.dead == 3 / 8
    assert (first.mean, first.deviation) == (pytest.approx(h.mean(), rel=1e-5), pytest.approx(h.std(), rel=1e-5))
    assert second.activation == "tanh"
    assert (second.mean, second.deviation) == (pytest.approx(z.mean(), rel=1e-5), pytest.approx(z.std(), rel=1e-5))
    assert second.saturated_entries == pytest.approx((1 - z**2 <= 0.05).mean())
    assert second.saturated == pytest.approx(((1 - z**2 <= 0.05).mean(axis=0) >= 0.95).mean())
    assert second.saturated >= 0.5
    assert math.isnan(first.saturated)
    assert math.isnan(second.dead)
    assert [one.is_output for one in (first, second, last)] == [False, False, True]
    assert first.weight_norm == pytest.approx(np.linalg.norm(state["0.weight"]), rel=1e-5)
    assert math.isnan(first.gradient_norm)
    assert "3 Dense sigmoid" in repr(cr.layer_report(net, X))


def test_what_cannot_die_or_saturate_is_not_said_to(rng: np.random.Generator) -> None:
    for kind, saturates in (("leaky_relu", False), ("identity", False), ("elu", True), ("sigmoid", True)):
        net = cr.Network([cr.Dense(4, activation=kind), cr.Dense(1)], inputs=2)
        net.load_state_dict({**net.state_dict(), "0.bias": np.full(4, -60.0)})
        (hidden, _) = cr.layer_report(net, rng.normal(size=(40, 2))).layers
        assert math.isnan(hidden.dead)
        assert hidden.saturated == 1 if saturates else math.isnan(hidden.saturated)


def test_signals_by_the_chain_rule(rng: np.random.Generator) -> None:
    net = cr.Network([cr.Dense(5, activation="tanh"), cr.Dense(1)], inputs=3, dtype="float64")
    X, y = rng.normal(size=(12, 3)), rng.normal(size=12)
    trainer = cr.Trainer(net, loss="mse")
    h = np.tanh(X @ net.parameters()["0.weight"])
    d_out = 2 * (h @ net.parameters()["1.weight"] - y[:, None]) / 12
    d_hidden = d_out @ net.parameters()["1.weight"].T * (1 - h**2)
    report = cr.layer_report(trainer, X, y)
    expected = [math.sqrt((d**2).sum(axis=1).mean()) for d in (d_hidden, d_out)]
    assert [one.signal for one in report.layers] == pytest.approx(expected)
    assert report.first_to_last == pytest.approx(expected[0] / expected[1])


def test_an_update_of_plain_descent_is_the_rate_times_the_gradient(rng: np.random.Generator) -> None:
    net = cr.Network([cr.Dense(5, activation="relu"), cr.Dense(3)], inputs=4, dtype="float64")
    X, y = rng.normal(size=(30, 4)), rng.integers(3, size=30)
    trainer = cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(0.25))
    gradients = cr.gradient_report(net, X, y, loss="cross_entropy").layers
    for one, other in zip(cr.layer_report(trainer, X, y).layers, gradients, strict=True):
        assert one.gradient_norm == other.norm
        assert one.update_ratio == pytest.approx(0.25 * other.ratio)
    # Adam's first step moves each weight by the rate.
    trainer = cr.Trainer(net, loss="cross_entropy", optimizer=cr.Adam(cr.StepDecay(0.01, drop=0.5, every=10)))
    last = cr.layer_report(trainer, X, y).layers[-1]
    assert last.update_ratio == pytest.approx(0.01 * math.sqrt(15) / last.weight_norm, rel=1e-3)


def test_frozen_layers_have_no_gradient_and_normalised_ones_do(rng: np.random.Generator) -> None:
    layers = [cr.Dense(6), cr.BatchNorm(), cr.Activation("relu"), cr.Dropout(rate=0.2), cr.Dense(6), cr.Dense(2)]
    net = cr.Network(layers, inputs=3)
    net.freeze(0)
    trainer = cr.Trainer(net, loss="cross_entropy")
    report = cr.layer_report(trainer, rng.normal(size=(50, 3)), rng.integers(2, size=50))
    assert [one.number for one in report.layers] == [0, 4, 5]
    assert math.isnan(report.layers[0].gradient_norm)
    assert report.layers[0].dead == 0
    assert all(one.signal > 0 and one.update_ratio > 0 for one in report.layers[1:])
    assert set(signals(trainer, np.ones((3, 3)), np.zeros(3, dtype=int))) == {0, 4, 5}


def test_of_many_rows_some_are_looked_at(rng: np.random.Generator) -> None:
    net = cr.Network([cr.Dense(3, activation="relu"), cr.Dense(1)], inputs=2)
    assert cr.layer_report(net, rng.normal(size=(MOST_ROWS, 2))).rows == MOST_ROWS
    assert cr.layer_report(net, rng.normal(size=(MOST_ROWS + 1, 2))).rows == MOST_ROWS // 2 + 1
    assert cr.layer_report(net, np.zeros((1, 2))).rows == 1


def test_bad_rows() -> None:
    net = cr.Network([cr.Dense(3, activation="relu"), cr.Dense(1)], inputs=2)
    trainer = cr.Trainer(net, loss="mse")
    with pytest.raises(TypeError, match="trainer must be a Network"):
        cr.layer_report("net", np.zeros((2, 2)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="y needs a Trainer"):
        cr.layer_report(net, np.zeros((2, 2)), np.zeros(2))
    with pytest.raises(ValueError, match="X must have at least one row"):
        cr.layer_report(net, np.zeros((0, 2)))
    with pytest.raises(ValueError, match="X must have shape"):
        cr.layer_report(net, np.zeros((2, 3)))
    with pytest.raises(ValueError, match="y must have a target for each of the 2 rows"):
        cr.layer_report(trainer, np.zeros((2, 2)), np.zeros(3))
