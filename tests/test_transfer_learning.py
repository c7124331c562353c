"""Transfer: what was taken is there bit for bit and nothing else is, and on few rows it helps."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from problems import problem

import chainrule as cr
from chainrule.datasets import load_digits

X, Y = problem()


def network(*layers, inputs=4, seed=1, trained=True, **options):
    """Return a network that is not as it starts."""
    net = cr.Network(
        layers or [cr.Dense(7), cr.BatchNorm(), cr.Activation("tanh"), cr.Dense(3)], inputs=inputs, seed=seed, **options
    )
    if trained:
        cr.Trainer(net, loss="cross_entropy").fit(X, Y, epochs=2)
    return net


def classifier(outputs=3, seed=1, **options):
    return network(
        cr.Dense(7, activation="tanh"),
        cr.Dense(5, activation="tanh"),
        cr.Dense(outputs),
        seed=seed,
        trained=False,
        **options,
    )


def assert_state(net, expected):
    state = net.state_dict()
    assert list(state) == list(expected)
    for name, value in state.items():
        assert np.array_equal(value, expected[name].astype(net.dtype)), name


# What is taken -------------------------------------------------------------------------------------------------------


def test_by_default_all_that_fits_is_taken_and_the_rest_is_told(dtype):
    source, target = (
        network(),
        network(cr.Dense(7), cr.BatchNorm(), cr.Dense(4), cr.Dense(3), trained=False, seed=9, dtype=dtype),
    )
    before, old = target.state_dict(), source.state_dict()
    done = cr.transfer(source, target)
    names = ["0.weight", "0.bias", "1.gamma", "1.beta", "1.running_mean", "1.running_variance"]
    assert done.taken == {name: name for name in names}
    assert done.layers == (0, 1)
    assert done.not_taken == {
        "2.weight": "source has no '2.weight'",
        "2.bias": "source has no '2.bias'",
        "3.weight": "source has shape (7, 3), target (4, 3)",
        "3.bias": "its layer does not fit",
    }
    assert_state(target, {**before, **{name: old[name] for name in names}})
    assert_state(source, old)
    assert target.frozen == ()
    lines = repr(done).splitlines()
    assert lines[0].split() == ["0.weight", "taken", "from", "0.weight"]
    assert lines[-1] == "6 of 10 arrays taken"
    assert "3.bias              not taken: its layer does not fit" in lines


def test_by_numbers(dtype):
    source, target = network(dtype="float64"), network(seed=2, dtype=dtype)
    before, old = target.state_dict(), source.state_dict()
    done = cr.transfer(source, target, range(1, 3), freeze=True)
    assert set(done.taken) == {"1.gamma", "1.beta", "1.running_mean", "1.running_variance"}
    assert set(done.not_taken.values()) == {"not asked for"}
    assert target.frozen == done.layers == (1,)
    assert_state(target, {**before, **{name: old[name] for name in done.taken}})


def test_from_one_place_to_another():
    source = network(cr.Dense(7), cr.Dense(3))
    target = network(cr.Dropout(rate=0.1), cr.DropConnect(7, rate=0.2), cr.Dense(3), trained=False)
    done = cr.transfer(source, target, {0: 1})
    assert done.taken == {"1.weight": "0.weight", "1.bias": "0.bias"}
    assert np.array_equal(target.parameters()["1.weight"], source.parameters()["0.weight"])
    # Two places of the target may have the same origin, if asked for one by one.
    assert cr.transfer(source, target, {1: 2}).layers == (2,)


def test_by_names():
    source, target = network(), network(seed=2)
    before = target.state_dict()
    done = cr.transfer(source, target, ["0.weight"], freeze=True)
    assert done.taken == {"0.weight": "0.weight"}
    # Half a layer is not frozen, and freeze() of no layer would be that of all.
    assert done.layers == target.frozen == ()
    assert_state(target, {**before, "0.weight": source.state_dict()["0.weight"]})
    swapped = cr.transfer(source, network(cr.Dense(7), cr.Dense(7), trained=False), {"0.bias": "1.bias"})
    assert swapped.taken == {"1.bias": "0.bias"}


def test_from_a_file(tmp_path, dtype):
    pytest.importorskip("safetensors", reason="files need safetensors")
    network(dtype=dtype).save(tmp_path / "net.safetensors")
    target = network(seed=2, trained=False)
    cr.transfer(cr.load(tmp_path / "net.safetensors"), target)
    assert_state(target, network(dtype=dtype).state_dict())


def test_connections_are_heeded():
    masked = network(cr.Dense(7, connections=np.tri(4, 7, 2)), cr.Dense(3))
    full = network(cr.Dense(7), cr.Dense(3), seed=5, trained=False)
    assert cr.transfer(masked, full).layers == (0, 1)
    back = cr.transfer(network(cr.Dense(7), cr.Dense(3)), masked)
    assert back.layers == (1,)
    assert "it must be 0" in back.not_taken["0.weight"]


@pytest.mark.parametrize(
    ("error", "message", "layers"),
    [
        (TypeError, "layers must be a list of layer numbers or names", 0),
        (TypeError, "layers must be a list of layer numbers or names", "0.weight"),
        (TypeError, "layers of source must be a whole number", [0.0]),
        (TypeError, "layers of source must be a whole number", {"0.weight": 1}),
        (ValueError, "layers of source must be a whole number from 0 to 3; got 4", [4]),
        (ValueError, "layers of target must be a whole number from 0 to 3; got -1", {0: -1}),
        (ValueError, "layers must name something that is learned", []),
        (ValueError, "layers must name something that is learned", [2]),
        (ValueError, "nothing twice", {0: 0, 3: 0}),
        (ValueError, "nothing twice", [0, "0.bias"]),
        (ValueError, "source has no '4.weight'", ["4.weight"]),
        (ValueError, "source has no 'weight'", ["weight"]),
        (ValueError, "target has no '2.weight'", {0: 2}),
        (ValueError, r"'3.weight' of target .* '0.weight' .*: source has shape \(4, 7\), target \(7, 3\)", {0: 3}),
        (ValueError, "'0.bias' of Dense .* something else than '1.beta' of BatchNorm", {"0.bias": "1.beta"}),
        (ValueError, "'1.gamma' of BatchNorm is something else than '1.beta'", {"1.gamma": "1.beta"}),
    ],
)
def test_what_cannot_be_taken_changes_nothing(error, message, layers):
    source, target = network(), network(seed=2)
    before = target.state_dict()
    with pytest.raises(error, match=message):
        cr.transfer(source, target, layers, freeze=True)
    assert_state(target, before)
    assert target.frozen == ()


def test_wrong_arguments():
    net = network()
    with pytest.raises(TypeError, match="source must be a Network; got 3"):
        cr.transfer(3, net)
    with pytest.raises(TypeError, match="target must be a Network; got 3"):
        cr.transfer(net, 3)
    with pytest.raises(TypeError, match="freeze must be True or False; got 1"):
        cr.transfer(net, net, freeze=1)
    with pytest.raises(
        ValueError, match=r"target must have a layer that fits one of source; '0.weight': source has shape"
    ):
        cr.transfer(net, network(cr.Dense(8), trained=False))
    with pytest.raises(ValueError, match="it has no parameters"):
        cr.transfer(net, network(cr.Activation("tanh"), trained=False))
    net.parameters()["0.weight"][1, 1] = np.nan
    with pytest.raises(ValueError, match=r"finite parameters to be transferred; '0.weight'"):
        cr.transfer(net, network())
    great = network(dtype="float64")
    great.parameters()["0.weight"][1, 1] = 1e300
    target = network(seed=2)
    before = target.state_dict()
    with pytest.raises(ValueError, match="must fit into float32"):
        cr.transfer(great, target)
    assert_state(target, before)


# Heads ---------------------------------------------------------------------------------------------------------------


def test_a_new_head_on_the_body_as_it_was(dtype):
    net = network(
        cr.Dense(7, activation="tanh"),
        cr.Dropout(rate=0.2),
        cr.Dense(3),
        cr.Activation("softmax"),
        trained=False,
        dtype=dtype,
    )
    net.freeze(0, 2)
    made = cr.with_head(net, cr.Dense(5))
    assert made.layers == (*net.layers[:2], cr.Dense(5))
    assert (made.dtype, made.inputs, made.outputs, made.frozen) == (net.dtype, 4, 5, (0,))
    old = net.state_dict()
    fresh = {name: value for name, value in made.state_dict().items() if name[0] == "2"}
    assert_state(made, {"0.weight": old["0.weight"], "0.bias": old["0.bias"], **fresh})
    # New draws: not those of a network of this seed that starts.
    started = cr.Network(made.layers, inputs=4, seed=1, dtype=dtype).parameters()["2.weight"]
    assert not np.array_equal(fresh["2.weight"], started)
    again = cr.with_head(net, cr.Dense(5), seed=1)
    assert np.array_equal(again.parameters()["2.weight"], started)


def test_how_much_stays_and_whether_it_learns():
    net = network()
    made = cr.with_head(net, [cr.Dense(4, activation="relu"), cr.Dense(2)], keep=3, freeze=True)
    assert made.layers == (*net.layers[:3], cr.Dense(4, activation="relu"), cr.Dense(2))
    assert made.frozen == (0, 1, 2)
    assert cr.with_head(net, cr.Dense(2), keep=4).layers == (*net.layers, cr.Dense(2))
    assert made.core.steps == net.core.steps > 0


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (TypeError, "net must be a Network", lambda net: cr.with_head(3, cr.Dense(2))),
        (TypeError, "head must be a list of layers", lambda net: cr.with_head(net, 3)),
        (TypeError, r"head\[0\] is 3", lambda net: cr.with_head(net, [3])),
        (ValueError, "head must hold 1 to", lambda net: cr.with_head(net, [])),
        (
            ValueError,
            "keep must be a whole number from 1 to 4; got 5",
            lambda net: cr.with_head(net, cr.Dense(2), keep=5),
        ),
        (ValueError, "net must have a layer before", lambda net: cr.with_head(network(cr.Dense(3)), cr.Dense(2))),
        (ValueError, "decay must be a finite number above 0 and at most 1; got 2", lambda net: cr.layerwise_lr(net, 2)),
    ],
)
def test_wrong_heads(error, message, call):
    with pytest.raises(error, match=message):
        call(network())


def test_a_misplaced_head_is_warned_of():
    with pytest.warns(cr.PlacementWarning, match=r"layers\[3\] ends the network with relu"):
        cr.with_head(network(), cr.Dense(2, activation="relu"))


# Training ------------------------------------------------------------------------------------------------------------


def test_rates_that_fall_towards_the_first_layer():
    net = network(cr.Dense(7), cr.BatchNorm(), cr.Activation("tanh"), cr.Dropout(rate=0.1), cr.Dense(3))
    assert cr.layerwise_lr(net, 0.5) == {4: 1.0, 1: 0.5, 0: 0.25}
    assert cr.layerwise_lr(network(cr.Activation("tanh"), trained=False), 0.5) == {}


def test_fine_tuning_heeds_the_rates_of_the_layers_and_what_is_frozen(dtype):
    made = cr.with_head(classifier(dtype=dtype), cr.Dense(3))
    rates, plain = [made.copy() for _ in range(2)]
    rates.freeze(0)
    plain.freeze(0)
    cr.Trainer(rates, loss="cross_entropy", optimizer=cr.SGD(0.5, layer_lr=cr.layerwise_lr(made, 0.125))).fit(
        X, Y, epochs=1, batch_size=60, verbose=False
    )
    cr.Trainer(plain, loss="cross_entropy", optimizer=cr.SGD(0.5)).fit(X, Y, epochs=1, batch_size=60, verbose=False)
    old, slow, fast = made.state_dict(), rates.state_dict(), plain.state_dict()
    for name in ("0.weight", "0.bias"):
        assert np.array_equal(slow[name], old[name])
    # One step of all rows: the same gradient, an eighth of the way; 1/8 is exact, only w - lr g is rounded.
    eps = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(
        8 * (slow["1.weight"] - old["1.weight"]), fast["1.weight"] - old["1.weight"], rtol=0, atol=8 * eps
    )
    assert np.abs(fast["1.weight"] - old["1.weight"]).max() > 1e-3
    assert np.array_equal(slow["2.weight"], fast["2.weight"])


def test_a_network_that_knows_digits_learns_even_from_odd_from_ten_rows():
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's")
    X, digit = load_digits()
    X, even, is_early = X / 16, digit % 2 == 0, np.arange(len(X)) % 2 == 0
    body = [cr.Dense(64, activation="relu"), cr.Dense(32, activation="relu")]
    accuracies = {"transferred": [], "scratch": []}
    for seed in range(3):
        source = cr.Network([*body, cr.Dense(10)], inputs=64, seed=seed)
        cr.Trainer(source, loss="cross_entropy").fit(X[is_early], digit[is_early], epochs=20, verbose=False)
        others = np.random.default_rng(seed).permutation(np.flatnonzero(~is_early))
        few = [others[digit[others] == label][0] for label in range(10)]
        test = np.setdiff1d(others, few)
        for name, net, decay in (
            ("transferred", cr.with_head(source, cr.Dense(1)), 0.1),
            ("scratch", cr.Network([*body, cr.Dense(1)], inputs=64, seed=seed), 1),
        ):
            rates = cr.Adam(0.01, layer_lr=cr.layerwise_lr(net, decay))
            trainer = cr.Trainer(net, loss="binary_cross_entropy", optimizer=rates, metrics=["accuracy"])
            trainer.fit(X[few], even[few], epochs=100, verbose=False)
            accuracies[name].append(trainer.evaluate(X[test], even[test])["accuracy"])
    # 0.84 and 0.77 where this was written.
    assert np.mean(accuracies["transferred"]) > np.mean(accuracies["scratch"]) + 0.05, accuracies


def test_the_function_is_not_hidden_by_its_module():
    code = "import chainrule as cr; cr.with_head; assert callable(cr.transfer)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
