"""Layers in native code, and the engine for native code: judged by NumPy, by differences; and refused."""

from __future__ import annotations

import ctypes
import pickle
import threading

import numpy as np
import pytest
from custom_functions import X, Y, compiled, fitted, tanh, tanh_back
from problems import bits

import chainrule as cr
from chainrule import _engine

INPUTS, OUTPUTS = 17, 3
KEPT = []  # names of capsules, which do not own them


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Return the tables of native_layer.c, compiled."""
    return compiled(tmp_path_factory.mktemp("native"), "native_layer.c")


def capsule(library, name, dtype, *, called="chainrule.layer.{}.1"):
    """Return a capsule with a table."""
    address = ctypes.addressof(ctypes.c_char.in_dll(library, name + dtype[-2:]))
    KEPT.append(called.format(dtype).encode())
    new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    return new(("PyCapsule_New", ctypes.pythonapi))(address, KEPT[-1], None)


def layer(library, name, **options):
    return cr.CustomLayer([capsule(library, name, dtype) for dtype in ("float32", "float64")], **options)


def network(custom, dtype="float64"):
    return cr.Network([cr.Dense(INPUTS, activation="tanh"), custom, cr.Dense(OUTPUTS)], inputs=4, seed=3, dtype=dtype)


def test_it_computes_what_it_says(library, dtype):
    net = cr.Network([layer(library, "affine")], inputs=4, dtype=dtype)
    assert {name: value.shape for name, value in net.parameters().items()} == {"0.parameter": (8,)}
    np.testing.assert_array_equal(net.parameters()["0.parameter"], [1] * 4 + [0.5] * 4)
    np.testing.assert_array_equal(net.predict(X), X.astype(dtype) + np.asarray(0.5, dtype))
    net = cr.Network([layer(library, "doubled")], inputs=4, dtype=dtype)
    assert net.parameters() == {}
    np.testing.assert_array_equal(net.predict(X), 2 * X.astype(dtype))


def test_a_trace_goes_through_it(library, dtype):
    net = network(layer(library, "affine"), dtype)
    step = cr.trace(net, X[:9], Y[:9], "mse", "sgd")
    for number, output in enumerate(net.core.layer_outputs()):
        np.testing.assert_array_equal(step[f"{number}.h"], output)
    # The layer below has its gradient from the dx of this one.
    close = {"float32": 1e-5, "float64": 1e-13}[dtype]
    for name, gradient in net.gradients().items():
        np.testing.assert_allclose(step[f"{name}.gradient"], gradient, rtol=close, atol=close)
    np.testing.assert_array_equal(step["1.parameter.new"], net.parameters()["1.parameter"])
    twice = cr.Network([cr.Dense(4), layer(library, "doubled")], inputs=4, dtype=dtype)
    step = cr.trace(twice, X[:9], np.zeros((9, 4)), "mse")
    np.testing.assert_array_equal(step["1.dx"], 2 * step["1.dh"])


def test_gradients_are_those_of_differences_and_add_up(library):
    net = network(layer(library, "affine"))
    assert cr.check_gradients(net, X[:9], Y[:9], loss="mse").max_error < 1e-6
    loss = cr.MeanSquaredError()
    found = []
    for passes in (1, 2):
        net.zero_grad()
        for _ in range(passes):
            loss(net(X), Y).backward(accumulate=True)
        found.append(net.gradients()["1.parameter"].copy())
    np.testing.assert_allclose(found[1], 2 * found[0], rtol=1e-13)


@pytest.mark.usefixtures("restored_threads")
def test_any_number_of_threads_gives_the_same_bits(library, dtype):
    _engine.set_work_per_thread(1)
    seen = []
    for threads in (1, 2, 3):
        cr.set_num_threads(threads)
        # Wide enough for several blocks of rows, and of what is learned.
        net = cr.Network([cr.Dense(700), layer(library, "affine"), cr.Dense(3)], inputs=4, seed=1, dtype=dtype)
        assert net.core.threads(16) == threads
        fitted(net, loss="mae")
        seen.append((bits(net), net.predict(X).tobytes()))
    assert seen[0] == seen[1] == seen[2]


def test_a_frozen_layer_stays(library):
    net = network(layer(library, "affine"))
    net.freeze(1)
    fitted(net)
    np.testing.assert_array_equal(net.parameters()["1.parameter"], [1] * INPUTS + [0.5] * INPUTS)
    net.unfreeze()
    fitted(net)
    assert (net.parameters()["1.parameter"] != [1] * INPUTS + [0.5] * INPUTS).any()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong_dx", "the gradients of CustomLayer 'CustomLayer' are not those of central differences"),
        ("wrong_dw", "the gradients of CustomLayer 'CustomLayer' are not those of central differences"),
        ("older", r"built against another chainrule/layer.h: its version is 0 .* here they are 1 and"),
        ("shorter", r"built against another chainrule/layer.h: its version is 1 and its size 8;"),
        ("lacking", "the table of the layer lacks a function"),
        ("narrow", "the layer does not take 5 inputs: it says it has 0 outputs for them"),
    ],
)
def test_what_is_no_layer_is_refused(library, name, message):
    with pytest.raises(ValueError, match=message):
        layer(library, name)


def test_capsules_of_another_kind_are_refused(library):
    for called in ("chainrule.layer.float64.2", "chainrule.layer.float32.2", "something"):
        with pytest.raises(ValueError, match=r"must be named \"chainrule.layer.float(32|64).1\"; it is \""):
            cr.CustomLayer(capsule(library, "affine", "float64", called=called))
    with pytest.raises(ValueError, match="tables must have one for float64"):
        cr.CustomLayer(capsule(library, "affine", "float32"))
    with pytest.raises(TypeError, match=r"tables\[0\] must be a capsule"):
        cr.CustomLayer(12345)
    with pytest.raises(ValueError, match="has functions for float64 alone, and the network is of float32"):
        network(cr.CustomLayer(capsule(library, "affine", "float64")), "float32")
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(layer(library, "affine"))


# The engine ----------------------------------------------------------------------------------------------------------

WORDS, DTYPES = ("tanh", "sigmoid"), ("float32", "float64")
SIZE, POINTER = ctypes.c_ssize_t, ctypes.c_void_p


class Engine(ctypes.Structure):
    """The table of chainrule/engine.h."""

    _fields_ = [
        ("abi", ctypes.c_uint32),
        ("error", ctypes.CFUNCTYPE(ctypes.c_char_p)),
        ("inputs", ctypes.CFUNCTYPE(SIZE, POINTER)),
        ("outputs", ctypes.CFUNCTYPE(SIZE, POINTER)),
        ("predict_float32", ctypes.CFUNCTYPE(ctypes.c_int, POINTER, SIZE, POINTER, POINTER)),
        ("predict_float64", ctypes.CFUNCTYPE(ctypes.c_int, POINTER, SIZE, POINTER, POINTER)),
        ("matmul_float32", ctypes.CFUNCTYPE(ctypes.c_int, SIZE, SIZE, SIZE, POINTER, POINTER, POINTER)),
        ("matmul_float64", ctypes.CFUNCTYPE(ctypes.c_int, SIZE, SIZE, SIZE, POINTER, POINTER, POINTER)),
        *((f"{name}_{kind}", ctypes.CFUNCTYPE(None, SIZE, POINTER, POINTER)) for name in WORDS for kind in DTYPES),
    ]


def address(capsule, name):
    get = ctypes.PYFUNCTYPE(POINTER, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", ctypes.pythonapi))
    return get(capsule, name)


@pytest.fixture(scope="module")
def table():
    return Engine.from_address(address(_engine._c_engine, b"chainrule._engine._c_engine"))


def pointer(array):
    return array.ctypes.data


@pytest.mark.parametrize("activation", ["tanh", cr.CustomActivation(tanh, tanh_back)], ids=["built-in", "Python"])
def test_native_code_predicts_what_python_does(table, dtype, activation):
    net = cr.Network([cr.Dense(INPUTS), cr.Activation(activation), cr.Dense(OUTPUTS)], inputs=4, dtype=dtype)
    handle = net.core.handle()
    network = address(handle, b"chainrule.network")
    assert (table.abi, table.inputs(network), table.outputs(network)) == (1, 4, OUTPUTS)
    x = X.astype(dtype)
    predict = getattr(table, f"predict_{dtype}")
    # With the lock of Python, which ctypes can keep, and without it.
    locked = ctypes.PYFUNCTYPE(ctypes.c_int, POINTER, SIZE, POINTER, POINTER)(ctypes.cast(predict, POINTER).value)
    for call in (predict, locked):
        for rows in (0, 1, 60):
            p = np.full((60, OUTPUTS), np.nan, dtype)
            assert call(network, rows, pointer(x), pointer(p)) == 0
            np.testing.assert_array_equal(p[:rows], net.predict(x[:rows]))
            assert np.isnan(p[rows:]).all()
    del net  # the handle keeps it
    assert predict(network, 60, pointer(x), pointer(p)) == 0
    other = {"float32": table.predict_float64, "float64": table.predict_float32}[dtype]
    assert other(network, 60, pointer(x), pointer(p)) == -1
    assert table.error() == f"the network is of {dtype}".encode()
    for wrong in ((network, -1, pointer(x), pointer(p)), (network, 1, None, pointer(p)), (None, 1, None, None)):
        assert predict(*wrong) == -1
        assert table.error()


def test_native_code_waits_for_a_fit(table):
    net = cr.Network([cr.Dense(64, activation="tanh"), cr.Dense(OUTPUTS)], inputs=4, dtype="float64")
    handle = net.core.handle()
    network, p, results = address(handle, b"chainrule.network"), np.empty((60, OUTPUTS)), []

    def predict():
        results.extend(table.predict_float64(network, 60, pointer(X), pointer(p)) for _ in range(50))

    other = threading.Thread(target=predict)
    other.start()
    fitted(net, epochs=50)
    other.join(timeout=60)
    assert results == [0] * 50


def test_what_a_python_function_raises_is_told_to_native_code(table):
    def forward(z):
        if len(z) == 60:
            raise ZeroDivisionError("by nothing")
        return np.tanh(z)

    net = cr.Network([cr.Activation(cr.CustomActivation(forward, tanh_back))], inputs=4, dtype="float64")
    handle, p = net.core.handle(), np.empty((60, 4))
    assert table.predict_float64(address(handle, b"chainrule.network"), 60, pointer(X), pointer(p)) == -1
    assert b"ZeroDivisionError: by nothing" in table.error()


def test_products(table, dtype):
    rng = np.random.default_rng(0)
    multiply = getattr(table, f"matmul_{dtype}")
    for m, n, k in ((1, 1, 1), (7, 5, 3), (73, 41, 130), (3, 0, 2), (3, 2, 0)):
        a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        c = np.full((m, n), np.nan, dtype)
        assert multiply(m, n, k, pointer(a), pointer(b), pointer(c)) == 0
        np.testing.assert_allclose(c, a.astype(np.float64) @ b, rtol=0, atol=50 * max(k, 1) * np.finfo(dtype).eps)
    assert multiply(-1, 1, 1, pointer(a), pointer(b), pointer(c)) == -1
    assert b"a size must be 0 to" in table.error()


@pytest.mark.parametrize("size", [0, 1, 7, 1000])
def test_activations(table, dtype, size):
    z = np.linspace(-9, 9, size).astype(dtype)
    wide = z.astype(np.float64)
    for word, expected in (("tanh", np.tanh(wide)), ("sigmoid", 1 / (1 + np.exp(-wide)))):
        h = np.full(size + 1, np.nan, dtype)
        getattr(table, f"{word}_{dtype}")(size, pointer(z), pointer(h))
        np.testing.assert_allclose(h[:size], expected, rtol=8 * np.finfo(dtype).eps)
        assert np.isnan(h[size])
