"""ONNX files: ONNX Runtime gives what `predict` gives, to 1e-5, for each layer and activation in each of its settings.

The layers are discovered, as in test_discovery.py. Estimators are in test_onnx_estimators.py.
"""

from __future__ import annotations

import os
import sys
import warnings

import numpy as np
import pytest
from gpu import needs_gpu
from problems import built
from settings import INPUTS, X, kinds, recipe, settings

import chainrule as cr
from chainrule import onnx as export_of

onnx = pytest.importorskip("onnx", reason="needs onnx")
runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, which is the judge here")

# What float32 allows with room: some hundred roundings of 6e-8, of numbers of size 1.
CLOSE = 1e-5


def run(path, x):
    """Return what ONNX Runtime gives for rows, by the names of the outputs."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, {"X": x}), strict=True))


def assert_same(net, path, x=X):
    (found,) = run(path, x.astype(net.dtype)).values()
    expected = net.predict(x)
    assert found.dtype == expected.dtype == net.dtype
    assert found.shape == expected.shape
    assert (np.abs(found - expected) <= CLOSE).all()


def operators(path):
    return [node.op_type for node in onnx.load(path).graph.node]


def is_about_the_start(one):
    """Return whether the weights' start is all that is special; trained, such layers are like all others."""
    default = built(type(one))
    names = ("weight_init", "bias_init")
    return any(getattr(one, name, None) != getattr(default, name, None) for name in names)


@pytest.mark.parametrize("kind", kinds(cr.Layer, cr.ActivationFunction), ids=lambda kind: kind.__name__)
def test_every_layer_and_activation(kind, dtype, tmp_path):
    tried = [one for one in settings(kind) if not is_about_the_start(one)]
    for number, one in enumerate(tried):
        made = recipe(one)
        net = made.network(dtype)
        made.fit(net)  # statistics that are not those of the start
        cr.onnx.export(net, tmp_path / "net.onnx", fold=number % 2 == 0)
        assert_same(net, tmp_path / "net.onnx")


def normalized(dtype="float32", mean=1.0):
    """Return a network in which normalizations stand everywhere, and rows for it."""
    layers = [
        cr.Standardize(),
        cr.Dense(7),
        cr.BatchNorm(eps=1e-3),
        cr.Activation("tanh"),
        cr.Dropout(rate=0.4, variant="classic"),
        cr.Maxout(5, pieces=3),
        cr.BatchNorm(),
        cr.Dense(4, activation="relu", bias=False),
        cr.BatchNorm(),
        cr.GaussianNoise(std=0.1),
        cr.DropConnect(2, rate=0.25, variant="classic"),
    ]
    net = cr.Network(layers, inputs=INPUTS, seed=3, dtype=dtype)
    x = np.random.default_rng(1).normal(mean, 1.0, size=(64, INPUTS))
    net.adapt(x)
    for _ in range(20):
        net(x)
    for name, value in net.parameters().items():
        if name.endswith(("gamma", "beta", "bias")):  # gammas of both signs
            value[:] = np.random.default_rng(2).normal(size=value.shape)
    net.eval()
    return net, x


def test_normalizations_are_folded_or_kept(dtype, tmp_path):
    net, x = normalized(dtype)
    cr.onnx.export(net, tmp_path / "folded.onnx")
    cr.onnx.export(net, tmp_path / "kept.onnx", fold=False)
    assert_same(net, tmp_path / "folded.onnx", x)
    assert_same(net, tmp_path / "kept.onnx", x)
    # That behind the relu is of the layer behind it.
    assert operators(tmp_path / "folded.onnx") == ["Gemm", "Tanh", "Gemm", "Split", "Max", "Gemm", "Relu", "Gemm"]
    assert operators(tmp_path / "kept.onnx") == [
        *("Sub", "Mul", "Gemm", "BatchNormalization", "Tanh", "Mul", "Gemm", "Split", "Max", "BatchNormalization"),
        *("Gemm", "Relu", "BatchNormalization", "Gemm"),
    ]


def test_folding_is_left_where_it_would_cost_precision(tmp_path):
    # Columns at 2000, such as years: x - mean is exact in float32, x / scale is rounded at 2000.
    net, x = normalized("float32", mean=2000.0)
    cr.onnx.export(net, tmp_path / "net.onnx")
    assert operators(tmp_path / "net.onnx")[:3] == ["Sub", "Mul", "Gemm"]
    assert_same(net, tmp_path / "net.onnx", x)
    net, x = normalized("float64", mean=2000.0)
    cr.onnx.export(net, tmp_path / "net.onnx")
    assert operators(tmp_path / "net.onnx")[0] == "Gemm"
    assert_same(net, tmp_path / "net.onnx", x)


def test_weights_that_would_not_fit_are_not_folded(tmp_path):
    net = cr.Network([cr.BatchNorm(), cr.Dense(1)], inputs=2)
    net.parameters()["0.gamma"][:] = 1e30
    net.parameters()["1.weight"][:] = 1e9
    cr.onnx.export(net, tmp_path / "net.onnx")
    assert operators(tmp_path / "net.onnx") == ["BatchNormalization", "Gemm"]
    rows = np.full((1, 2), 1e-36, np.float32)
    (found,) = run(tmp_path / "net.onnx", rows).values()
    assert np.allclose(found, 2000, rtol=1e-4, atol=0)  # less by eps of the normalization
    assert np.allclose(found, net.predict(rows), rtol=CLOSE, atol=0)


def test_any_number_of_rows(dtype, tmp_path):
    net, x = normalized(dtype)
    cr.onnx.export(net, tmp_path / "net.onnx")
    for rows in (0, 1, 33):
        assert_same(net, tmp_path / "net.onnx", x[:rows])


@needs_gpu
def test_a_network_on_a_gpu(dtype, tmp_path):
    net, x = normalized(dtype)
    cr.onnx.export(net.to("cuda"), tmp_path / "net.onnx")
    assert_same(net, tmp_path / "net.onnx", x)


def test_logits_may_get_their_softmax(dtype, tmp_path):
    net = cr.Network([cr.Dense(3)], inputs=INPUTS, dtype=dtype)
    cr.onnx.export(net, tmp_path / "net.onnx", activation="softmax")
    z = X @ net.parameters()["0.weight"]
    (found,) = run(tmp_path / "net.onnx", X.astype(dtype)).values()
    assert np.allclose(found, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), rtol=0, atol=CLOSE)


def test_a_network_without_nodes(tmp_path):
    net = cr.Network([cr.Dropout(rate=0.5)], inputs=INPUTS)
    cr.onnx.export(net, tmp_path / "net.onnx")
    assert_same(net, tmp_path / "net.onnx")


@pytest.mark.parametrize("kind", kinds(cr.ActivationFunction), ids=lambda kind: kind.__name__)
def test_activations_far_out(kind, dtype, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cr.PlacementWarning)
        net = cr.Network([cr.Activation(built(kind))], inputs=4, dtype=dtype)
    cr.onnx.export(net, tmp_path / "net.onnx")
    assert_same(net, tmp_path / "net.onnx", np.array([[-1e4, -1e-4, 0.0, 1e4], [1e4, -100, 100, 1e-30]]))


def test_a_step_keeps_nan_and_counts_0_as_reached(tmp_path, dtype):
    net = cr.Network([cr.Activation("step")], inputs=4, dtype=dtype)
    cr.onnx.export(net, tmp_path / "net.onnx")
    rows = np.array([[np.nan, 0.0, -1.0, 2.0]], dtype)
    (found,) = run(tmp_path / "net.onnx", rows).values()
    assert np.array_equal(found, [[np.nan, 1, 0, 1]], equal_nan=True)


def test_every_set_of_operators(tmp_path):
    net, x = normalized()
    reference = pytest.importorskip("onnx.reference", reason="onnx has had its own evaluator since 1.13")
    for opset in range(14, onnx.defs.onnx_opset_version() + 1):
        cr.onnx.export(net, tmp_path / "net.onnx", opset=opset, fold=False)
        model = onnx.load(tmp_path / "net.onnx")
        onnx.checker.check_model(model, full_check=True)
        assert [one.version for one in model.opset_import] == [opset]
        # ONNX Runtime does not know the newest ones; onnx's own evaluator does.
        (found,) = reference.ReferenceEvaluator(model).run(None, {"X": x.astype("float32")})
        assert (np.abs(found - net.predict(x)) <= CLOSE).all()


# Refusals ------------------------------------------------------------------------------------------------------------


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_text("old")
    net = cr.Network([cr.Dense(1)], inputs=2)
    net.parameters()["0.bias"][0] = np.inf
    with pytest.raises(ValueError, match=r"finite.*'0.bias'"):
        cr.onnx.export(net, path)
    assert path.read_text() == "old"
    net.parameters()["0.bias"][0] = 1
    cr.onnx.export(net, path)
    assert os.listdir(tmp_path) == ["net.onnx"]
    assert_same(net, path, np.ones((1, 2)))
    with pytest.raises(FileNotFoundError) as caught:
        cr.onnx.export(net, tmp_path / "nowhere" / "net.onnx")
    assert caught.value.filename == str(tmp_path / "nowhere" / "net.onnx")


def test_arguments_that_do_not_suit(tmp_path):
    net, path = cr.Network([cr.Dense(1)], inputs=2), tmp_path / "net.onnx"
    newest = onnx.defs.onnx_opset_version()
    wrong = [
        (TypeError, r"model must be a Network.*got 3", {"model": 3}),
        (TypeError, "path", {"path": 3}),
        (ValueError, "activation='swish' is unknown", {"activation": "swish"}),
        (TypeError, "probabilities must be True or False", {"probabilities": 1}),
        (TypeError, "fold must be True or False", {"fold": "yes"}),
        (ValueError, f"opset must be a whole number from 14 to {newest}; got 13", {"opset": 13}),
        (ValueError, f"opset .* to {newest}; got {newest + 1}", {"opset": newest + 1}),
        (TypeError, "opset", {"opset": 17.0}),
    ]
    for error, message, options in wrong:
        with pytest.raises(error, match=message):
            cr.onnx.export(**{"model": net, "path": path, **options})
    assert not path.exists()


def test_rows_must_have_been_measured(tmp_path):
    net = cr.Network([cr.Standardize(), cr.Dense(1)], inputs=2)
    with pytest.raises(RuntimeError, match="has no mean and scale yet"):
        cr.onnx.export(net, tmp_path / "net.onnx")


def test_a_file_ends_at_2_gib(tmp_path, monkeypatch):
    monkeypatch.setattr(export_of, "MOST_BYTES", 4 * 16 * 8 + 4 * 8)
    cr.onnx.export(cr.Network([cr.Dense(8)], inputs=16), tmp_path / "net.onnx")
    with pytest.raises(ValueError, match="less than 2 GiB"):
        cr.onnx.export(cr.Network([cr.Dense(9)], inputs=16), tmp_path / "net.onnx")


def test_a_layer_of_ones_own_is_refused(tmp_path):
    class Twice(cr.Activation):
        pass

    class Own(cr.Layer):
        def build(self, engine):
            return cr.Activation("tanh").build(engine)

    cr.onnx.export(cr.Network([Twice("tanh")], inputs=2), tmp_path / "net.onnx")
    with pytest.raises(TypeError, match=r"layers\[1\], a Own, is none"):
        cr.onnx.export(cr.Network([cr.Dense(1), Own()], inputs=2), tmp_path / "net.onnx")


def test_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'needs onnx: pip install "chainrule\[export\]"'):
        cr.onnx.export(cr.Network([cr.Dense(1)], inputs=2), tmp_path / "net.onnx")
