"""PyTorch's weights in chainrule's networks: the same outputs, by PyTorch; files that do not fit change nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from gpu import DEVICES

import chainrule as cr

safetensors = pytest.importorskip("safetensors.numpy", reason="needs safetensors")

INPUTS, HIDDEN, OUTPUTS = 5, 7, 3
X = np.random.default_rng(0).normal(size=(20, INPUTS))


def network(dtype="float32", **options):
    layers = [
        cr.Dense(HIDDEN, **options),
        cr.BatchNorm(eps=1e-4),
        cr.Activation("tanh"),
        cr.Dropout(rate=0.2),
        cr.DropConnect(OUTPUTS, rate=0.3),
    ]
    return cr.Network(layers, inputs=INPUTS, seed=2, dtype=dtype)


def tensors(seed=3):
    """Return tensors for `network`, under the names that torch.nn.Sequential gives them."""
    rng = np.random.default_rng(seed)
    shapes = {
        "0.weight": (HIDDEN, INPUTS),
        "0.bias": (HIDDEN,),
        "1.weight": (HIDDEN,),
        "1.bias": (HIDDEN,),
        "1.running_mean": (HIDDEN,),
        "1.running_var": (HIDDEN,),
        "4.weight": (OUTPUTS, HIDDEN),
        "4.bias": (OUTPUTS,),
    }
    found = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    found["1.running_var"] = np.abs(found["1.running_var"])
    return {**found, "1.num_batches_tracked": np.array(9)}


def written(path, found):
    safetensors.save_file({name: np.ascontiguousarray(one) for name, one in found.items()}, path)
    return path


@pytest.mark.parametrize("device", DEVICES)
def test_arrays_are_named_and_turned(tmp_path, dtype, device):
    found, net = tensors(), network(dtype).to(device)
    taken = cr.load_torch_weights(net, written(tmp_path / "net", found))
    assert taken == {
        "0.weight": "0.weight",
        "0.bias": "0.bias",
        "1.gamma": "1.weight",
        "1.beta": "1.bias",
        "1.running_mean": "1.running_mean",
        "1.running_variance": "1.running_var",
        "4.weight": "4.weight",
        "4.bias": "4.bias",
    }
    state = net.state_dict()
    assert taken.keys() == state.keys()
    for here, there in taken.items():
        assert state[here].dtype == dtype
        assert np.array_equal(state[here], found[there].T)


@pytest.mark.parametrize("kind", ["float16", "float64"])
def test_precision_is_that_of_the_network(tmp_path, kind):
    found = {name: one.astype(kind) for name, one in tensors().items()}
    net = network()
    cr.load_torch_weights(net, written(tmp_path / "net", found))
    assert np.array_equal(net.parameters()["0.weight"], found["0.weight"].T.astype("float32"))


# PyTorch -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: it is the judge here, and optional")


def trained(torch, modules):
    """Return a model after a few passes, so that its statistics are not those of the start."""
    torch.manual_seed(0)
    model = modules.double()
    for _ in range(3):
        model(torch.tensor(X) * 2 + 1)
    return model.eval()


def assert_gives_the_same(torch, model, net, path, names=None):
    from safetensors.torch import save_file

    save_file(model.state_dict(), path)
    with torch.no_grad():
        expected = model(torch.tensor(X)).numpy()
    assert np.abs(net.predict(X) - expected).max() > 0.1
    cr.load_torch_weights(net, path, names)
    # Two sums of at most 7 products of numbers below 4, and a tanh.
    assert np.abs(net.predict(X) - expected).max() <= 100 * 4 * 2.0**-53


def test_a_sequence_of_modules(torch, tmp_path):
    nn = torch.nn
    rows = [nn.Linear(INPUTS, HIDDEN), nn.BatchNorm1d(HIDDEN, eps=1e-4), nn.Tanh(), nn.Dropout(0.2)]
    model = trained(torch, nn.Sequential(*rows, nn.Linear(HIDDEN, OUTPUTS)))
    assert_gives_the_same(torch, model, network("float64"), tmp_path / "net")


def test_more_than_ten_modules_and_a_name_in_front(torch, tmp_path):
    # Sorted as text, "10" stands before "2".
    nn = torch.nn
    model = nn.Sequential()
    model.body = nn.Sequential(*[part for _ in range(6) for part in (nn.Linear(INPUTS, INPUTS), nn.Sigmoid())])
    net = cr.Network([cr.Dense(INPUTS, activation="sigmoid")] * 6, inputs=INPUTS, dtype="float64", seed=8)
    assert_gives_the_same(torch, trained(torch, model), net, tmp_path / "net")


def test_modules_with_names(torch, tmp_path):
    nn = torch.nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(HIDDEN, OUTPUTS)
            self.unused = nn.Linear(1, 1)
            self.enter = nn.Linear(INPUTS, HIDDEN, bias=False)

        def forward(self, x):
            return self.out(torch.relu(self.enter(x)))

    net = cr.Network(
        [cr.Dense(HIDDEN, activation="relu", bias=False), cr.Dense(OUTPUTS)], inputs=INPUTS, dtype="float64"
    )
    model = trained(torch, Model())
    assert_gives_the_same(torch, model, net, tmp_path / "net", ["enter", "out"])
    with pytest.raises(ValueError, match=r"not numbered in one row, and names= must say .*: enter, out, unused"):
        cr.load_torch_weights(net, tmp_path / "net")


def test_a_single_module(torch, tmp_path):
    net = cr.Network([cr.Standardize(), cr.Dense(OUTPUTS)], inputs=INPUTS, dtype="float64")
    net.adapt(np.array([[1.0], [-1.0]]) * np.ones(INPUTS))  # mean 0, scale 1
    assert_gives_the_same(torch, trained(torch, torch.nn.Linear(INPUTS, OUTPUTS)), net, tmp_path / "net")


def test_pickles_are_not_read(torch, tmp_path):
    torch.save(torch.nn.Linear(INPUTS, OUTPUTS).state_dict(), tmp_path / "net.pt")
    with pytest.raises(ValueError, match="is not a whole safetensors file"):
        cr.load_torch_weights(cr.Network([cr.Dense(OUTPUTS)], inputs=INPUTS), tmp_path / "net.pt")


def test_bfloat16_is_refused(torch, tmp_path):
    from safetensors.torch import save_file

    save_file(torch.nn.Linear(INPUTS, OUTPUTS).bfloat16().state_dict(), tmp_path / "net")
    with pytest.raises(ValueError, match="must be one of F64, F32, F16; it is BF16"):
        cr.load_torch_weights(cr.Network([cr.Dense(OUTPUTS)], inputs=INPUTS), tmp_path / "net")


# Files that do not fit -----------------------------------------------------------------------------------------------


HOSTILE = {
    "nothing": (lambda t: t.clear(), "3 layers of the network take a module, and it has 0: none"),
    "a module too few": (lambda t: (t.pop("4.weight"), t.pop("4.bias")), "and it has 2: 0, 1"),
    "a module too many": (lambda t: t.update({"7.weight": np.ones((1, 1))}), "and it has 4: 0, 1, 4, 7"),
    "names": (lambda t: t.update({"fc.weight": t.pop("4.weight"), "fc.bias": t.pop("4.bias")}), "names= must say"),
    "two rows of numbers": (
        lambda t: t.update({"a.4.weight": t.pop("4.weight"), "a.4.bias": t.pop("4.bias")}),
        "names= must say",
    ),
    "an endless number": (lambda t: t.update({f"{'9' * 5000}.weight": t.pop("4.weight")}), "names= must say"),
    "a tensor too few": (lambda t: t.pop("4.bias"), r"takes the tensors weight, bias; module '4' has weight"),
    "a tensor too many": (lambda t: t.update({"4.scale": np.ones(1)}), r"module '4' has bias, scale, weight"),
    "no statistics": (
        lambda t: (t.pop("1.running_mean"), t.pop("1.running_var")),
        r"layers\[1\], a BatchNorm, takes the tensors weight, bias, running_mean, running_var; module '1' has bias",
    ),
    "not turned": (lambda t: t.update({"0.weight": t["0.weight"].T}), r"must have shape \(7, 5\).*it has \(5, 7\)"),
    "another rank": (lambda t: t.update({"0.bias": t["0.bias"][None]}), r"it has \(1, 7\)"),
    "an empty one": (lambda t: t.update({"0.weight": np.ones((7, 0), np.float32)}), r"it has \(7, 0\)"),
    "whole numbers": (lambda t: t.update({"4.bias": np.ones(3, np.int64)}), "must be one of F64, F32, F16; it is I64"),
    "NaN": (lambda t: t["4.bias"].fill(np.nan), "tensor '4.bias' has NaN or infinity"),
    "infinity": (lambda t: t["0.weight"].__setitem__((0, 0), np.inf), "tensor '0.weight' has NaN or infinity"),
    "a negative variance": (lambda t: t["1.running_var"].fill(-1), r"state\['1.running_variance'\] must be at least 0"),
    "beyond float32": (lambda t: t.update({"4.bias": np.full(3, 1e300)}), r"must fit into float32"),
}


@pytest.mark.parametrize(("change", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_what_does_not_fit_changes_nothing(tmp_path, change, message):
    found, net = tensors(), network()
    change(found)
    before = net.state_dict()
    with pytest.raises(ValueError, match=message):
        cr.load_torch_weights(net, written(tmp_path / "hostile", found))
    assert all(np.array_equal(value, before[name]) for name, value in net.state_dict().items())


def test_weights_where_nothing_is_connected(tmp_path):
    net = network(connections=["1" * HIDDEN] * (INPUTS - 1) + ["0" * HIDDEN])
    with pytest.raises(ValueError, match="must be 0 where connections has a 0"):
        cr.load_torch_weights(net, written(tmp_path / "net", tensors()))


@pytest.mark.parametrize("size", [10**30, -1, 2**40])
def test_headers_that_promise_too_much(tmp_path, size):
    header = json.dumps({"0.weight": {"dtype": "F32", "shape": [size, 5], "data_offsets": [0, 20]}}).encode()
    (tmp_path / "net").write_bytes(len(header).to_bytes(8, "little") + header + bytes(20))
    with pytest.raises(ValueError, match=r"^path .* is not a whole safetensors file"):
        cr.load_torch_weights(network(), tmp_path / "net")


def test_arguments_that_do_not_suit(tmp_path):
    path = written(tmp_path / "net", tensors())
    wrong = [
        (TypeError, "net must be a Network", (3, path)),
        (TypeError, "path must be", (network(), 3)),
        (FileNotFoundError, "does not exist", (network(), tmp_path / "nothing")),
        (TypeError, "names must be a list", (network(), path, "014")),
        (TypeError, "names must be a list", (network(), path, [0, 1, 4])),
        (ValueError, "for each of 3 layers that take one; got 2", (network(), path, ["0", "1"])),
        (ValueError, "no module twice", (network(), path, ["0", "1", "0"])),
        (ValueError, "it has no module '5'; it has 0, 1, 4", (network(), path, ["0", "1", "5"])),
        (ValueError, r"layers\[1\], a Maxout of 2, .* no module", (maxout(), path)),
        (ValueError, "it has none", (cr.Network([cr.Activation("tanh")], inputs=2), path)),
    ]
    for error, message, arguments in wrong:
        with pytest.raises(error, match=message):
            cr.load_torch_weights(*arguments)


def maxout():
    return cr.Network([cr.Dense(3), cr.Maxout(2)], inputs=INPUTS)
