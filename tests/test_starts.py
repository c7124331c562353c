"""How a network starts: whether it is as its seed makes it, whatever was done to it, and what a fit knows of that."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from gpu import needs_gpu
from problems import LABELS, X, classifier, trainer

import chainrule as cr
from chainrule.starts import is_at_start, start_of


def trained(net: cr.Network) -> cr.Network:
    trainer(net).fit(X, LABELS, epochs=1)
    return net


def other() -> cr.Network:
    """Return a network that has learned, from another start."""
    return trained(classifier(seed=5))


def frozen(net: cr.Network) -> cr.Network:
    net.freeze(0)
    return net


def looked_at(net: cr.Network) -> cr.Network:
    net(X)  # in training mode, which counts as a pass
    return net


def loaded(net: cr.Network) -> cr.Network:
    net.load_state_dict(other().state_dict())
    return net


def transferred(net: cr.Network) -> cr.Network:
    cr.transfer(other(), net, ["1.bias"])
    return net


def with_head(net: cr.Network) -> cr.Network:
    return cr.with_head(other(), cr.Dense(3))


def written(net: cr.Network) -> cr.Network:
    net.parameters()["0.weight"][0, 0] += 0.5
    return net


def stepped(net: cr.Network) -> cr.Network:
    cr.CrossEntropy()(net.train()(X), LABELS).backward()
    cr.SGD(0.01).step(net)
    return net


MADE: dict[Callable[[cr.Network], cr.Network], bool] = {
    cr.Network.copy: True,
    frozen: True,
    looked_at: True,
    loaded: False,
    transferred: False,
    with_head: False,
    written: False,
    stepped: False,
    trained: False,
}


@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)
def test_whether_a_network_is_as_its_seed_makes_it(make: Callable[[cr.Network], cr.Network], dtype: str) -> None:
    net = make(classifier(seed=1, dtype=dtype))
    assert is_at_start(net) == MADE[make]
    for one in ("float32", "float64"):
        assert is_at_start(net.copy(dtype=one)) == MADE[make]
    # A fit asks before its first step; the second one knows.
    learner = trainer(net)
    assert learner.fit(X, LABELS, epochs=1).from_start == MADE[make]
    assert learner.fit(X, LABELS, epochs=1).from_start is False


def test_of_a_large_array_any_row_will_do() -> None:
    net = cr.Network([cr.Dense(300)], inputs=200, seed=1)
    weight = net.parameters()["0.weight"]
    for row in range(200):
        kept = weight[row].copy()
        weight[row] += 0.5
        assert not is_at_start(net)
        weight[row] = kept
    assert is_at_start(net)


@needs_gpu
def test_on_a_gpu(dtype: str) -> None:
    net = classifier(dtype=dtype, device="cuda")
    assert is_at_start(net)
    assert start_of(net).device == "cpu"
    assert not is_at_start(trained(net))


def test_a_network_without_parameters_and_numbers_beyond_float32() -> None:
    net = cr.Network([cr.Standardize()], inputs=2)
    assert is_at_start(net)
    net.adapt(X[:, :2])
    assert is_at_start(net)
    huge = cr.Network([cr.Dense(2, weight_init=cr.Constant(1e300))], inputs=2, dtype="float64")
    assert is_at_start(huge)


def test_the_start_standardizes_as_the_network_does() -> None:
    net = cr.Network([cr.Dense(4), cr.Standardize(), cr.BatchNorm(), cr.Dense(3)], inputs=4, seed=3)
    net.adapt(X)
    before = net.predict(X)
    trained(net)
    np.testing.assert_array_equal(start_of(net).predict(X), before)
    assert not np.array_equal(net.predict(X), before)


def test_what_a_callback_sets_before_the_first_epoch_is_part_of_the_start() -> None:
    class Load(cr.Callback):
        def on_train_begin(self, logs: object) -> None:
            loaded(self.trainer.net)

    assert trainer(classifier()).fit(X, LABELS, epochs=1, callbacks=[Load()]).from_start is False


@pytest.mark.parametrize("make", [cr.Network.copy, loaded], ids=["from the seed", "from a file"])
def test_a_fit_that_is_resumed_knows_how_it_began(make: Callable[[cr.Network], cr.Network], tmp_path) -> None:
    pytest.importorskip("safetensors", reason="snapshots need safetensors")
    path = tmp_path / "fit.snapshot"
    trainer(make(classifier())).fit(X, LABELS, epochs=2, snapshots=path)
    for net in (classifier(), trained(classifier())):  # what the network was before that is of no matter
        assert trainer(net).resume(path, X, LABELS).from_start == MADE[make]
    assert cr.History(["loss"]).from_start is None
