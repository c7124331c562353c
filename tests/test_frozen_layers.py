"""Frozen layers: nothing moves them, and what stands around them learns as ever."""

from __future__ import annotations

import numpy as np
import pytest
from problems import built, rows, subclasses

import chainrule as cr

X, Y = rows(30), np.arange(30) % 3


def network(dtype="float64"):
    layers = [cr.Dense(6, activation="tanh"), cr.Dropout(rate=0.2), cr.Dense(5, activation="tanh"), cr.Dense(3)]
    return cr.Network(layers, inputs=4, seed=1, dtype=dtype)


def changed(net, before):
    return {int(name[0]) for name, value in net.parameters().items() if not np.array_equal(value, before[name])}


def test_layers_are_frozen_by_number():
    net = network()
    assert net.frozen == ()
    net.freeze(2, 0)
    assert net.frozen == (0, 2)
    net.freeze(np.int64(2), 1)
    assert net.frozen == (0, 1, 2)
    net.unfreeze(0)
    assert net.frozen == (1, 2)
    net.freeze()
    assert net.frozen == (0, 1, 2, 3)
    net.unfreeze()
    assert net.frozen == ()


def test_a_refused_number_freezes_nothing():
    net = network()
    with pytest.raises(ValueError, match="layers must be a whole number"):
        net.freeze(0, 4)
    assert net.frozen == ()


def test_gradients_of_frozen_layers_are_0_and_the_others_as_ever():
    nets = [network(), network()]
    nets[1].freeze(0)
    for net in nets:
        cr.CrossEntropy()(net(X), Y).backward()
    for name, gradient in nets[1].gradients().items():
        expected = nets[0].gradients()[name]
        if name.startswith("0."):
            assert expected.any()
            assert not gradient.any()
        else:
            # The same operations on the same numbers.
            assert np.array_equal(gradient, expected)


def test_gradients_from_before_do_not_stay():
    net = network()
    cr.CrossEntropy()(net(X), Y).backward()
    net.freeze(2)
    net.zero_grad()
    cr.CrossEntropy()(net(X), Y).backward()
    assert not net.gradients()["2.weight"].any()
    assert net.gradients()["0.weight"].any()


PENALTIES = [cr.L2(0.1), cr.L2(0.1, decay="decoupled_raw"), cr.L1(0.1, update="proximal", bias_strength=0.1)]


@pytest.mark.parametrize("kind", subclasses(cr.Optimizer), ids=lambda kind: kind.__name__)
def test_nothing_moves_a_frozen_layer(kind):
    net = network()
    # An optimizer with a memory of gradients from before, decay, soft thresholds: all leave it alone.
    trainer = cr.Trainer(net, loss="cross_entropy", optimizer=built(kind), penalty=PENALTIES)
    trainer.fit(X, Y, epochs=1, batch_size=8)
    net.freeze(0, 3)
    before = net.state_dict()
    trainer.fit(X, Y, epochs=2, batch_size=8)
    assert changed(net, before) == {2}
    net.unfreeze(3)
    trainer.fit(X, Y, epochs=1, batch_size=8)
    assert changed(net, before) == {2, 3}


def test_nothing_moves_a_frozen_layer_by_hand():
    net, optimizer = network(), cr.AdamW(0.1, decay_biases=True)
    for frozen in ((), (0, 2)):
        net.unfreeze()
        if frozen:
            net.freeze(*frozen)
        before = net.state_dict()
        net.zero_grad()
        cr.CrossEntropy()(net(X), Y).backward()
        optimizer.step(net)
        assert changed(net, before) == {0, 2, 3} - set(frozen)


def test_a_constraint_leaves_a_frozen_layer_alone():
    net = cr.Network([cr.Dense(3, weight_constraint="unit_norm"), cr.Dense(3)], inputs=4)
    net.freeze(0)
    before = net.state_dict()
    cr.Trainer(net, loss="cross_entropy").fit(X, Y, epochs=1)
    assert changed(net, before) == {1}


def test_the_last_layers_of_a_frozen_network_train_as_alone():
    net = cr.Network([cr.Dense(6, activation="tanh"), cr.Dense(3)], inputs=4, seed=2, dtype="float64")
    first = cr.Network([cr.Dense(6, activation="tanh")], inputs=4, dtype="float64")
    last = cr.Network([cr.Dense(3)], inputs=6, seed=2, dtype="float64")
    state = net.state_dict()
    first.load_state_dict({name: state[name] for name in first.parameters()})
    last.load_state_dict({name: state[name.replace("0", "1")] for name in last.parameters()})
    net.freeze(0)
    for one, x in ((net, X), (last, first.predict(X))):
        cr.Trainer(one, loss="cross_entropy", optimizer=cr.Adam(0.01)).fit(x, Y, epochs=5, batch_size=8)
    for name, value in last.parameters().items():
        # The same operations on the same numbers, but for the order of the sums in the product before.
        np.testing.assert_allclose(net.parameters()[name.replace("0", "1")], value, rtol=0, atol=1e-13)


def test_a_network_that_is_all_frozen_runs_and_stays():
    net = network()
    net.freeze()
    before = net.state_dict()
    history = cr.Trainer(net, loss="cross_entropy").fit(X, Y, epochs=2)
    assert np.isfinite(history["loss"]).all()
    assert changed(net, before) == set()
    assert cr.check_gradients(net, X, Y, loss="cross_entropy").errors == {}
