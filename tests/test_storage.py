"""Files of networks: faithful when whole, refused with a ValueError when not, never a crash."""

from __future__ import annotations

import json
import os
import threading

import numpy as np
import pytest

import chainrule as cr
from chainrule import _engine, storage

safetensors = pytest.importorskip("safetensors.numpy", reason="needs safetensors")


def network(dtype="float32"):
    layers = [
        cr.Dense(6, activation=cr.LeakyReLU(slope=0.1), weight_init="he_uniform", bias_init=cr.Normal(0.1)),
        cr.BatchNorm(momentum=0.25),
        cr.Dropout(rate=0.25),
        cr.Activation("tanh"),
        cr.Dense(3, bias=False, connections=["101", "011"] * 3, weight_constraint=cr.MaxNorm(0.5)),
    ]
    net = cr.Network(layers, inputs=4, seed=2**64 - 1, dtype=dtype)
    net.freeze(0)
    return net


def parts(net):
    """Return the tensors and the document of a file of `net`."""
    document = {
        "format": 1,
        "version": cr.__version__,
        "inputs": net.inputs,
        "dtype": net.dtype.name,
        "seed": net.seed,
        "steps": 0,
        "frozen": [],
        "layers": [{"kind": "Dense", "options": {"units": 3, "activation": "tanh"}}],
    }
    return net.state_dict(), document


def small():
    return cr.Network([cr.Dense(3, activation="tanh")], inputs=2, seed=5)


def write(path, tensors, document):
    metadata = (
        None if document is None else {"chainrule": document if isinstance(document, str) else json.dumps(document)}
    )
    path.write_bytes(safetensors.save(tensors, metadata))
    return path


def same(net, other):
    assert repr(net) == repr(other)
    assert net.layers == other.layers
    assert net.frozen == other.frozen
    for name, value in net.state_dict().items():
        assert np.array_equal(value, other.state_dict()[name]), name


def test_round_trip(tmp_path, dtype):
    net, x = network(dtype), np.ones((5, 4))
    net(x)
    net.save(tmp_path / "net.safetensors")
    again = cr.load(str(tmp_path / "net.safetensors"))
    same(net, again)
    assert again.core.steps == 1
    assert np.array_equal(net.predict(x), again.predict(x))
    assert np.array_equal(*(np.asarray(one(x, training=True)) for one in (net, again)))


def test_statistics_come_back_and_a_frozen_layer_stays_so(tmp_path):
    net, x = network(), np.random.default_rng(0).normal(size=(9, 4))
    net(x)
    net.freeze(1, 3)
    net.save(tmp_path / "net")
    again = cr.load(tmp_path / "net")
    assert again.frozen == (0, 1, 3)
    assert np.array_equal(again.statistics()["1.running_mean"], net.statistics()["1.running_mean"])
    assert again.statistics()["1.running_mean"].any()
    # The frozen normalization takes them in training too.
    assert np.array_equal(*(np.asarray(one(x, training=True)) for one in (net, again)))


@pytest.mark.filterwarnings("error::chainrule.PlacementWarning")
def test_a_file_is_not_warned_of(tmp_path):
    with pytest.warns(cr.PlacementWarning):
        net = cr.Network([cr.Dense(3, activation="softmax"), cr.Dense(2, activation="relu")], inputs=4)
    net.save(tmp_path / "net")
    same(net, cr.load(tmp_path / "net"))


def test_the_file_is_plain_safetensors(tmp_path):
    net = network()
    net.save(tmp_path / "net.safetensors")
    tensors = safetensors.load_file(tmp_path / "net.safetensors")
    assert set(tensors) == {*net.parameters(), *net.statistics()}
    assert all(np.array_equal(tensors[name], value) for name, value in net.state_dict().items())


def test_a_file_written_by_hand_is_read(tmp_path):
    net = small()
    same(net, cr.load(write(tmp_path / "hand", *parts(net))))


def test_saving_replaces_the_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_text("old")
    network().save(path)
    assert os.listdir(tmp_path) == [path.name]
    same(network(), cr.load(path))


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path, net = tmp_path / "net.safetensors", small()
    net.save(path)
    before = path.read_bytes()
    net.parameters()["0.bias"][1] = np.nan
    with pytest.raises(ValueError, match=r"finite.*'0.bias'"):
        net.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]
    (tmp_path / "folder").mkdir()
    for error, place in ((FileNotFoundError, tmp_path / "nowhere" / "net"), (IsADirectoryError, tmp_path / "folder")):
        with pytest.raises(error) as caught:
            small().save(place)
        assert caught.value.filename == str(place)
        assert ".part" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["folder", path.name]


def test_tuples_come_back_as_tuples():
    # JSON makes lists of them, and options are hashed.
    class Kind:
        def __init__(self, **options):
            self.options = options

    document = json.loads(json.dumps({"kind": "Kind", "options": {"connections": ("10", "01"), "units": 2}}))
    found = storage.described(document, {"Kind": Kind}, depth=0)
    assert found.options == {"connections": ("10", "01"), "units": 2}


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="path"):
        cr.load(tmp_path / "nothing")


@pytest.mark.parametrize("path", [3, None, b"bytes", "", "a\0b"])
def test_paths_that_are_none(path):
    for call in (cr.load, small().save):
        with pytest.raises((TypeError, ValueError), match="path"):
            call(path)


def test_a_wrong_device_is_not_the_files_fault(tmp_path):
    small().save(tmp_path / "net")
    with pytest.raises(ValueError, match=r"^device='gpu' is unknown"):
        cr.load(tmp_path / "net", device="gpu")


def test_a_sound_normalization_is_read(tmp_path):
    # What the hostile ones below change is all that is wrong with them.
    tensors, document = parts(small())
    normalized(tensors, document)
    assert cr.load(write(tmp_path / "sound", tensors, document)).layers == (cr.BatchNorm(),)


def test_folders_and_devices_are_refused(tmp_path):
    for path in (tmp_path, "/dev/zero"):
        with pytest.raises(ValueError, match="not a file"):
            cr.load(path)


def edited(change):
    """Return tensors and document of a small file after `change` of them."""
    tensors, document = parts(small())
    changed = change(tensors, document)
    return changed if isinstance(changed, tuple) else (tensors, document)


def layer(**options):
    return [{"kind": "Dense", "options": {"units": 3, "activation": "tanh", **options}}]


def normalized(tensors, document, variance=1.0, **options):
    """Let the file be of a BatchNorm alone."""
    names = ("gamma", "beta", "running_mean", "running_variance")
    tensors.clear()
    tensors.update({f"0.{name}": np.full(2, variance, np.float32) for name in names})
    document.update(layers=[{"kind": "BatchNorm", "options": options}])


HOSTILE = {
    "no metadata": lambda t, d: (t, None),
    "metadata that is not JSON": lambda t, d: (t, "{"),
    "metadata nested too deep": lambda t, d: (t, "[" * 100_000),
    "metadata that is a list": lambda t, d: (t, "[]"),
    "a number of too many digits": lambda t, d: (t, "1" * 5000),
    "a missing field": lambda t, d: d.pop("seed"),
    "an unknown field": lambda t, d: d.update(extra=1),
    "another format": lambda t, d: d.update(format=2),
    "a format that is no number": lambda t, d: d.update(format=[1]),
    "inputs as text": lambda t, d: d.update(inputs="2"),
    "inputs as a float": lambda t, d: d.update(inputs=2.0),
    "no inputs": lambda t, d: d.update(inputs=0),
    "huge inputs": lambda t, d: d.update(inputs=2**31 - 1),
    "endless inputs": lambda t, d: d.update(inputs=10**400),
    "another dtype": lambda t, d: d.update(dtype="float64"),
    "an unknown dtype": lambda t, d: d.update(dtype="float16"),
    "a dtype that is a list": lambda t, d: d.update(dtype=["float32"]),
    "a negative seed": lambda t, d: d.update(seed=-1),
    "a seed that is true": lambda t, d: d.update(seed=True),
    "negative steps": lambda t, d: d.update(steps=-1),
    "too many steps": lambda t, d: d.update(steps=2**64),
    "frozen that is null": lambda t, d: d.update(frozen=None),
    "frozen that is a number": lambda t, d: d.update(frozen=0),
    "a frozen layer that is not there": lambda t, d: d.update(frozen=[1]),
    "a negative frozen layer": lambda t, d: d.update(frozen=[-1]),
    "a frozen layer that is true": lambda t, d: d.update(frozen=[True]),
    "a frozen layer that is a list": lambda t, d: d.update(frozen=[[0]]),
    "a layer that is frozen twice": lambda t, d: d.update(frozen=[0, 0]),
    "no layers": lambda t, d: d.update(layers=[]),
    "layers that are a dict": lambda t, d: d.update(layers={}),
    "too many layers": lambda t, d: d.update(layers=[{"kind": "Dropout", "options": {"rate": 0.1}}] * 20_000),
    "a layer that is text": lambda t, d: d.update(layers=["Dense"]),
    "a layer without options": lambda t, d: d.update(layers=[{"kind": "Dense"}]),
    "an unknown kind": lambda t, d: d.update(layers=[{"kind": "os.system", "options": {}}]),
    "a kind that is a number": lambda t, d: d.update(layers=[{"kind": 3, "options": {}}]),
    "a kind that is no layer": lambda t, d: d.update(layers=[{"kind": "Adam", "options": {}}]),
    "options that are a list": lambda t, d: d.update(layers=[{"kind": "Dense", "options": [3]}]),
    "an unknown option": lambda t, d: d.update(layers=layer(colour="red")),
    "a missing option": lambda t, d: d.update(layers=[{"kind": "Dense", "options": {}}]),
    "huge units": lambda t, d: d.update(layers=layer(units=2**31 - 1)),
    "endless units": lambda t, d: d.update(layers=layer(units=10**30)),
    "huge units in a second layer": lambda t, d: d.update(layers=layer() + layer(units=2**31 - 1)),
    "negative units": lambda t, d: d.update(layers=layer(units=-3)),
    "units that are true": lambda t, d: d.update(layers=layer(units=True)),
    "units that are NaN": lambda t, d: d.update(layers=layer(units=float("nan"))),
    "an unknown activation": lambda t, d: d.update(layers=layer(activation="magic")),
    "an activation that is null": lambda t, d: d.update(layers=layer(activation=None)),
    "an activation of a wrong kind": lambda t, d: d.update(
        layers=layer(activation={"kind": "HeNormal", "options": {}})
    ),
    "an activation that nests": lambda t, d: d.update(
        layers=layer(activation={"kind": "ELU", "options": {"alpha": {"kind": "ELU", "options": {}}}})
    ),
    "a bias that is text": lambda t, d: d.update(layers=layer(bias="yes")),
    "a start that is infinite": lambda t, d: d.update(
        layers=layer(bias_init={"kind": "Constant", "options": {"value": float("inf")}})
    ),
    "a start beyond float32": lambda t, d: d.update(
        layers=layer(bias_init={"kind": "Constant", "options": {"value": 1e300}})
    ),
    "a slope beyond the engine": lambda t, d: d.update(
        layers=layer(activation={"kind": "LeakyReLU", "options": {"slope": 1e7}})
    ),
    "connections of too few inputs": lambda t, d: d.update(layers=layer(connections=["111"])),
    "connections of too few units": lambda t, d: d.update(layers=layer(connections=["11", "11"])),
    "connections that are no digits": lambda t, d: d.update(layers=layer(connections=["1x1", "111"])),
    "connections that are text": lambda t, d: d.update(layers=layer(connections="111")),
    "connections that are numbers": lambda t, d: d.update(layers=layer(connections=[3, 4])),
    "connections that are mixed": lambda t, d: d.update(layers=layer(connections=["111", 1])),
    "connections nested deep": lambda t, d: d.update(layers=layer(connections=json.loads("[" * 90 + "]" * 90))),
    "connections where weights are not 0": lambda t, d: d.update(layers=layer(connections=["111", "011"])),
    "a constraint that is no constraint": lambda t, d: d.update(
        layers=layer(weight_constraint={"kind": "ELU", "options": {}})
    ),
    "a constraint without its limit": lambda t, d: d.update(
        layers=layer(weight_constraint={"kind": "MaxNorm", "options": {}})
    ),
    "a constraint of a negative limit": lambda t, d: d.update(
        layers=layer(weight_constraint={"kind": "MaxNorm", "options": {"limit": -1}})
    ),
    "a constraint below float32": lambda t, d: d.update(
        layers=layer(weight_constraint={"kind": "MaxNorm", "options": {"limit": 1e-60}})
    ),
    "endless pieces": lambda t, d: d.update(layers=[{"kind": "Maxout", "options": {"units": 3, "pieces": 2**31 - 1}}]),
    "no pieces": lambda t, d: d.update(layers=[{"kind": "Maxout", "options": {"units": 3, "pieces": 0}}]),
    "a dropout that drops all": lambda t, d: d.update(
        layers=[*layer(), {"kind": "Dropout", "options": {"rate": 0.9, "variant": "fixed_count"}}]
    ),
    "a dropout without a rate": lambda t, d: d.update(layers=[*layer(), {"kind": "Dropout", "options": {}}]),
    "a dropout with two rates": lambda t, d: d.update(
        layers=[*layer(), {"kind": "Dropout", "options": {"rate": 0.1, "keep_prob": 0.9}}]
    ),
    "a noise beyond float32": lambda t, d: d.update(
        layers=[*layer(), {"kind": "GaussianNoise", "options": {"std": 1e300}}]
    ),
    "an eps below float32": lambda t, d: normalized(t, d, eps=1e-60),
    "a momentum above 1": lambda t, d: normalized(t, d, momentum=1.5),
    "a negative variance": lambda t, d: normalized(t, d, variance=-1.0),
    "a normalization without statistics": lambda t, d: normalized(t, d) or t.pop("0.running_mean"),
    "a version that is a list": lambda t, d: d.update(version=[1]),
    "a version that is NaN": lambda t, d: d.update(version=float("nan")),
    "a missing tensor": lambda t, d: t.pop("0.bias"),
    "an extra tensor": lambda t, d: t.update({"1.weight": np.zeros(1, np.float32)}),
    "a tensor of another shape": lambda t, d: t.update({"0.weight": np.zeros((3, 2), np.float32)}),
    "a tensor of another rank": lambda t, d: t.update({"0.weight": np.zeros(6, np.float32)}),
    "an empty tensor": lambda t, d: t.update({"0.weight": np.zeros((0, 3), np.float32)}),
    "a tensor of another dtype": lambda t, d: t.update({"0.weight": np.zeros((2, 3))}),
    "a tensor of integers": lambda t, d: t.update({"0.weight": np.zeros((2, 3), np.int32)}),
    "a tensor with NaN": lambda t, d: t["0.weight"].fill(np.nan),
    "a tensor with infinity": lambda t, d: t["0.bias"].fill(np.inf),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files(tmp_path, change):
    path = write(tmp_path / "hostile", *edited(change))
    with pytest.raises(ValueError, match=r"^path .*hostile"):
        cr.load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 8,
        b"\xff" * 64,
        (2**63).to_bytes(8, "little") + b"{}",
        (100 * 2**20).to_bytes(8, "little") + b"{}",
        b"PK\x03\x04" + b"\0" * 100,
        b"\x80\x04\x95" + b"\0" * 100,
    ],
    ids=["empty", "zeros", "ones", "a huge header", "a long header", "a zip", "a pickle"],
)
def test_other_files(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^path .*other"):
        cr.load(path)


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "cut"
    small().save(path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"^path "):
            cr.load(path)


def test_flipped_bytes_are_refused_or_read_as_they_stand(tmp_path):
    path = tmp_path / "flipped"
    small().save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    loaded, refusals = 0, set()
    for _ in range(800):
        content = bytearray(whole)
        for place in rng.integers(0, len(whole), size=rng.integers(1, 4)):
            content[place] ^= int(rng.integers(1, 256))
        path.write_bytes(content)
        try:
            net = cr.load(path)
        except ValueError as error:
            refusals.add(str(error)[:5])
            continue
        loaded += 1
        tensors = safetensors.load(bytes(content))
        for name, value in net.parameters().items():
            assert np.array_equal(value, tensors[name])
    # A flip in the numbers, the seed or an option often leaves a sound file.
    assert 0 < loaded < 800
    assert refusals == {"path "}


def test_the_version_is_written(tmp_path):
    path = tmp_path / "net"
    small().save(path)
    with __import__("safetensors").safe_open(path, framework="numpy") as file:
        document = json.loads(file.metadata()["chainrule"])
    assert document["version"] == _engine.build_info()["version"] == cr.__version__


def test_several_threads_may_save_to_one_path(tmp_path):
    nets = [cr.Network([cr.Dense(3)], inputs=4, seed=seed) for seed in (1, 2)]
    failures = []

    def save(net):
        try:
            for _ in range(60):
                net.save(tmp_path / "net.safetensors")
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=save, args=(net,)) for net in nets]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failures
    assert os.listdir(tmp_path) == ["net.safetensors"]
    assert cr.load(tmp_path / "net.safetensors").seed in (1, 2)
