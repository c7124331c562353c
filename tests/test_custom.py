"""Activations and losses by functions of one's own: judged by NumPy, by built-in ones, by differences; and refused."""

from __future__ import annotations

import copy
import ctypes
import pickle

import numpy as np
import pytest
from custom_functions import MEAN_ROWS, X, Y, both, compiled, fitted, function, network, squares, swish, tanh_back
from problems import bits

import chainrule as cr
from chainrule import _engine, native


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Return the functions of native_code.c, compiled."""
    return compiled(tmp_path_factory.mktemp("native"))


# Native functions ----------------------------------------------------------------------------------------------------


def test_it_predicts_what_numpy_does(library, dtype):
    net = network(swish(library), dtype)
    w, b, v, c = (one.astype(np.float64) for one in net.parameters().values())
    z = X @ w + b
    expected = z / (1 + np.exp(-z)) @ v + c
    # Sums of 4 and of 17 products below 10.
    np.testing.assert_allclose(net.predict(X), expected, rtol=0, atol=100 * np.finfo(dtype).eps)


def test_its_gradients_are_those_of_differences(library):
    found = cr.check_gradients(network(swish(library)), X[:7], Y[:7], loss=cr.CustomLoss(both(library, "squares")))
    assert found.max_error < 1e-6, found


@pytest.mark.usefixtures("restored_threads")
def test_relu_is_the_built_in_one_bit_for_bit_on_any_number_of_threads(library, dtype):
    relu = cr.CustomActivation(both(library, "forward_relu"), both(library, "backward_relu"), has_kink=True)
    _engine.set_work_per_thread(1)
    seen = []
    for activation, threads in ((relu, 1), (relu, 2), (relu, 3), ("relu", 1)):
        cr.set_num_threads(threads)
        net = network(activation, dtype)
        assert net.core.threads(16) == threads
        history = fitted(net)
        seen.append((bits(net), history["loss"], net.predict(X).tobytes()))
    assert seen[0] == seen[1] == seen[2] == seen[3]


@pytest.mark.usefixtures("restored_threads")
def test_any_number_of_threads_gives_the_same_bits(library, dtype):
    _engine.set_work_per_thread(1)
    seen = []
    for threads in (1, 2, 3):
        cr.set_num_threads(threads)
        net = network(swish(library), dtype)
        history = fitted(net, cr.CustomLoss(both(library, "squares")))
        seen.append((bits(net), history["loss"], net.predict(X).tobytes()))
    assert seen[0] == seen[1] == seen[2]


def test_blocks_of_an_array_are_all_computed(library):
    # Above a block of the engine, and no multiple of a cache line: 3 rows of 777.
    net = cr.Network([cr.Activation(swish(library))], inputs=777, dtype="float64")
    x = np.random.default_rng(2).normal(size=(3, 777))
    np.testing.assert_allclose(net.predict(x), x / (1 + np.exp(-x)), rtol=1e-13)


@pytest.mark.parametrize(
    ("forward", "backward", "message"),
    [
        ("forward", "backward_wrong", r"backward is not the derivative .* at z = .* central differences give"),
        ("forward", "backward_deaf", r"backward must multiply by dh: at z = "),
        ("forward_neighbour", "backward_plain", r"forward must compute each element for itself: at z = "),
        ("forward_beyond", "backward", r"forward writes outside of its 0 elements"),
        ("forward_writing", "backward", r"forward writes to an array that it may only read"),
        ("forward_root", "backward_root", r"(forward|backward) gives (nan|inf) at z = .*domain=\(low, high\)"),
    ],
)
def test_what_is_no_activation_is_refused(library, dtype, forward, backward, message):
    with pytest.raises(ValueError, match=message):
        cr.CustomActivation(function(library, forward, dtype), function(library, backward, dtype))


def test_a_second_derivative_may_jump():
    # Softsign: both difference quotients at 0 lie below the derivative.
    assert cr.CustomActivation(lambda z: z / (1 + abs(z)), lambda z, h, dh: dh * (1 - abs(h)) ** 2).has_kink is False


def test_a_domain_leaves_out_where_it_is_not_defined(library, dtype):
    options = {"domain": (0.1, 4)}
    pair = function(library, "forward_root", dtype), function(library, "backward_root", dtype)
    assert cr.CustomActivation(*pair, **options).domain == (0.1, 4.0)
    for wrong in ((1, 0), (0, np.nan), (1, 1)):
        with pytest.raises(ValueError, match=r"domain\["):
            cr.CustomActivation(*pair, domain=wrong)
    with pytest.raises(TypeError, match="domain must be two numbers"):
        cr.CustomActivation(*pair, domain=3)


def test_a_precision_without_functions_is_refused(library):
    activation, loss = swish(library, ("float32",)), cr.CustomLoss(function(library, "squares", "float32"))
    with pytest.raises(ValueError, match="'swish' has functions for float32 alone, and the network is of float64"):
        network(activation)
    with pytest.raises(ValueError, match="'squares32' has functions for float32 alone"):
        cr.Trainer(network("relu"), loss=loss)
    fitted(network(activation, "float32"), loss)
    with pytest.raises(ValueError, match=r"forward and backward .* forward is for float32, backward for float64"):
        cr.CustomActivation(function(library, "forward", "float32"), function(library, "backward", "float64"))
    with pytest.raises(ValueError, match=r"forward\[1\] is a second function for float32"):
        cr.CustomActivation([function(library, "forward", "float32")] * 2, tanh_back)


def test_signatures_are_checked(library):
    backward = function(library, "backward", "float64")
    with pytest.raises(
        TypeError, match=r"forward must have the signature void \(ptrdiff_t, const T \*, T \*, void \*\)"
    ):
        cr.CustomActivation(backward, backward)
    bare = ctypes.CDLL(library._name).forward64
    with pytest.raises(TypeError, match="whose argtypes and restype are not set"):
        cr.CustomActivation(bare, backward)
    bare.argtypes = function(library, "forward", "float64").argtypes
    with pytest.raises(TypeError, match="it has c_int"):
        cr.CustomActivation(bare, backward)
    prototype = ctypes.CFUNCTYPE(None, *bare.argtypes)
    with pytest.raises(TypeError, match="give the Python function itself"):
        cr.CustomActivation(prototype(lambda n, z, h, user: None), backward)
    with pytest.raises(ValueError, match="forward is a null pointer"):
        cr.CustomActivation(prototype(0), backward)
    with pytest.raises(TypeError, match="needs no lock of Python"):
        cr.CustomActivation(ctypes.PYFUNCTYPE(None, *bare.argtypes)(("forward64", library)), backward)
    for wrong in (12345, "relu", None):
        with pytest.raises(TypeError, match="forward must be a function: a Python function, a cfunc of Numba"):
            cr.CustomActivation(wrong, backward)
    with pytest.raises(ValueError, match="function must be a function, or one for each precision; got none"):
        cr.CustomLoss([])


@pytest.mark.parametrize(
    "signature",
    [
        "void (ptrdiff_t, const double *, double *, void *)",
        "void (Py_ssize_t, double const *, double*, void*)",
        "none (int64, float64*, float64*, void*)",
        "void(long,double *,double *,void *) noexcept nogil",
    ],
)
def test_signatures_as_c_cython_and_numba_write_them(signature):
    assert native.precision("forward", signature, "forward") == "float64"


@pytest.mark.parametrize("signature", ["", "void", "void (int, double *, double *, void *)", "void (ptrdiff_t, T *)"])
def test_other_signatures_are_none(signature):
    with pytest.raises(TypeError, match="forward must have the signature"):
        native.precision("forward", signature, "forward")


def test_a_low_level_callable_and_its_user_data(library, dtype):
    scipy = pytest.importorskip("scipy", reason="needs scipy.LowLevelCallable")
    factor = ctypes.c_double(2.5)
    user = ctypes.cast(ctypes.pointer(factor), ctypes.c_void_p)
    pair = [
        scipy.LowLevelCallable(function(library, name, dtype), user) for name in ("forward_scaled", "backward_scaled")
    ]
    activation = cr.CustomActivation(*pair)
    del pair
    net = cr.Network([cr.Activation(activation)], inputs=4, dtype=dtype)
    np.testing.assert_array_equal(net.predict(X), (2.5 * X.astype(dtype)).astype(dtype))
    # What it holds is a capsule named by the signature, which is what Cython exports, too.
    capsules = [tuple.__getitem__(one, 0) for one in (activation.forward, activation.backward)]
    again = cr.Network([cr.Activation(cr.CustomActivation(*capsules))], inputs=4, dtype=dtype)
    np.testing.assert_array_equal(again.predict(X), net.predict(X))


def test_numba(dtype):
    numba = pytest.importorskip("numba", reason="needs Numba")
    from numba import types

    number = getattr(types, dtype)
    array = types.CPointer(number)

    @numba.cfunc(types.void(types.intp, array, array, types.voidptr))
    def cube(n, z, h, user):
        for i in range(n):
            h[i] = z[i] * z[i] * z[i]

    @numba.cfunc(types.void(types.intp, array, array, array, array, types.voidptr))
    def cube_back(n, z, h, dh, dz, user):
        for i in range(n):
            dz[i] = dh[i] * 3 * z[i] * z[i]

    @numba.cfunc(types.float64(types.intp, array, array, array, types.voidptr))
    def squares(outputs, p, y, dp, user):
        total = 0.0
        for j in range(outputs):
            dp[j] = 2 * (p[j] - y[j])
            total += (p[j] - y[j]) ** 2
        return total

    activation = cr.CustomActivation(cube, cube_back, domain=(-3, 3))
    assert activation.name == "cube"
    net = cr.Network([cr.Activation(activation)], inputs=4, dtype=dtype)
    np.testing.assert_allclose(net.predict(X), X.astype(dtype) ** 3, rtol=4 * np.finfo(dtype).eps)
    losses = [fitted(network("tanh", dtype), loss)["loss"] for loss in (cr.CustomLoss(squares), MEAN_ROWS)]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_numba_takes_the_engines_tanh(dtype):
    numba = pytest.importorskip("numba", reason="needs Numba")
    from numba import types

    array = types.CPointer(getattr(types, dtype))
    engine_tanh = cr.native_function("tanh", dtype)

    @numba.cfunc(types.void(types.intp, array, array, types.voidptr))
    def forward(n, z, h, user):
        engine_tanh(n, z, h)

    @numba.cfunc(types.void(types.intp, array, array, array, array, types.voidptr))
    def backward(n, z, h, dh, dz, user):
        for i in range(n):
            dz[i] = dh[i] * (1 - h[i] * h[i])

    nets = [network(one, dtype) for one in (cr.CustomActivation(forward, backward), "tanh")]
    assert nets[0].predict(X).tobytes() == nets[1].predict(X).tobytes()
    np.testing.assert_allclose(fitted(nets[0])["loss"], fitted(nets[1])["loss"], rtol=1e-5)


def test_functions_of_the_engine_by_name():
    z, h = np.linspace(-3, 3, 7), np.empty(7)
    pointers = [one.ctypes.data_as(ctypes.POINTER(ctypes.c_double)) for one in (z, h)]
    cr.native_function("sigmoid", "float64")(7, *pointers)
    np.testing.assert_allclose(h, 1 / (1 + np.exp(-z)), rtol=1e-15)
    with pytest.raises(ValueError, match="name='relu' is unknown; known are 'tanh', 'sigmoid'"):
        cr.native_function("relu")
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64'"):
        cr.native_function("tanh", "float16")


def test_a_loss_is_the_built_in_one(library, dtype):
    for reduction, built_in in (("mean", MEAN_ROWS), ("sum", cr.MeanSquaredError(reduction="sum"))):
        for given in (both(library, "squares"), squares):
            loss = cr.CustomLoss(given, reduction=reduction)
            weight = np.linspace(0, 2, 60)
            options = {"sample_weight": weight, "validation_data": (X[:9] + 1, Y[:9])}
            nets = [network("tanh", dtype) for _ in range(2)]
            rate = 0.05 if reduction == "mean" else 0.001
            histories = [
                cr.Trainer(net, loss=one, optimizer=cr.SGD(rate)).fit(X, Y, epochs=2, verbose=False, **options)
                for net, one in zip(nets, (loss, built_in), strict=True)
            ]
            for name in ("loss", "val_loss"):
                np.testing.assert_allclose(
                    histories[0][name], histories[1][name], rtol=1e-5 if dtype == "float32" else 1e-12
                )
            value, expected = loss(nets[0](X), Y, weight), built_in(nets[0](X), Y, weight)
            assert float(value) == pytest.approx(float(expected), rel=1e-5)


def test_what_is_no_loss_is_refused(library, dtype):
    with pytest.raises(ValueError, match=r"wrong gradient .* for p = \[.*\], y = \[.*\] its dp\[0\] is .*, central"):
        cr.CustomLoss(function(library, "squares_wrong", dtype))
    poisson = function(library, "poisson", dtype)
    with pytest.raises(ValueError, match=r"not finite .* given by example=\(p, y\)"):
        cr.CustomLoss(poisson)
    rates = np.random.default_rng(3).uniform(0.5, 2, size=(2, 6, 3))
    loss = cr.CustomLoss(poisson, example=tuple(rates))
    assert hash(loss) == hash(copy.copy(loss))
    for wrong in (3, (rates[0],), (rates[0], rates[1, :2])):
        with pytest.raises((TypeError, ValueError), match="example must be two arrays"):
            cr.CustomLoss(poisson, example=wrong)
    with pytest.raises(ValueError, match="takes at most 131072 outputs"):
        loss(np.ones((1, 131_073)), np.ones((1, 131_073)))


def test_where_it_does_not_belong(library):
    activation = swish(library)
    for layer in (cr.Dense, lambda units, activation: cr.DropConnect(units, rate=0.5, activation=activation)):
        with pytest.raises(ValueError, match=r"activation cannot be .* put a layer Activation\(...\) with it behind"):
            layer(5, activation=activation)
    if _engine.cuda_available():
        with pytest.raises(ValueError, match="runs on the CPU alone"):
            network(activation, device="cuda")
        with pytest.raises(ValueError, match="runs on the CPU alone"):
            cr.Trainer(network("relu", device="cuda"), loss=cr.CustomLoss(both(library, "squares")))


def test_copies_stay_in_the_process(library, tmp_path):
    activation, loss = swish(library), cr.CustomLoss(both(library, "squares"))
    net = network(activation)
    fitted(net, loss)
    for again in (net.copy(), copy.deepcopy(net), net.copy(dtype="float32").copy(dtype="float64")):
        np.testing.assert_allclose(again.predict(X), net.predict(X), rtol=1e-4, atol=1e-5)
    for one in (activation, loss, net):
        with pytest.raises(TypeError, match="cannot be pickled: its functions are addresses in this process"):
            pickle.dumps(one)
    pytest.importorskip("safetensors", reason="needs safetensors")
    with pytest.raises(ValueError, match=r"'swish' cannot be saved: nothing in a file is ever executed"):
        net.save(tmp_path / "net.safetensors")
    assert activation == copy.deepcopy(activation)
    assert activation != swish(library, ("float32",))


def test_functions_live_as_long_as_the_network(library):
    path = library._name
    net = network(swish(ctypes.CDLL(path)))
    expected = net.predict(X)
    assert fitted(net)["loss"][-1] < 10
    assert np.isfinite(expected).all()
