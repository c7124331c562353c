"""Predictions of arrays that the engine takes as they are, past the checks in Python.

This short way must give the bits of the long one, refuse what that refuses, and allocate nothing where `out` is given.
"""

from __future__ import annotations

import pickle
import sys
import threading
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from problems import run_script
from test_bad_input_accepted import read_only, unaligned

import chainrule as cr
from chainrule import _engine

Array = np.ndarray
INPUTS, OUTPUTS = 13, 5  # off the tile
NETWORKS = {
    "one layer": [cr.Dense(OUTPUTS)],
    "off the tile": [cr.Dense(31, activation="relu"), cr.Dense(17, activation="tanh"), cr.Dense(OUTPUTS)],
    "softmax at the end": [cr.Dense(8, activation="sigmoid"), cr.Dense(OUTPUTS, activation="softmax")],
    "layers that train in another way": [
        cr.Dense(32, activation="relu"),
        cr.Dropout(rate=0.5, variant="classic"),
        cr.BatchNorm(),
        cr.Maxout(OUTPUTS),
    ],
    "an activation at the end": [cr.Dense(OUTPUTS), cr.Activation("sigmoid")],
}


class Own(np.ndarray):
    """A class of its own: such arrays always take the long way."""


def network(dtype: str, name: str = "off the tile") -> cr.Network:
    return cr.Network(NETWORKS[name], inputs=INPUTS, seed=3, dtype=dtype)


def features(rows: int, dtype: str, columns: int = INPUTS) -> Array:
    return np.random.default_rng(rows).standard_normal((rows, columns)).astype(dtype)


def taken(net: cr.Network, X: object, out: object = None) -> bool:
    """Return whether the engine takes the arrays as they are."""
    return net.core.predictor()(X, out) is not None


# The same bits ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("restored_threads")
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 7, 33, 511, 512, 513, 1025])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_way_gives_the_same_bits(dtype: str, name: str, rows: int) -> None:
    net, X = network(dtype, name), features(rows, dtype)
    expected = net.predict(X.view(Own))
    assert expected.shape == (rows, OUTPUTS)
    assert not taken(net, X.view(Own))
    assert taken(net, X)
    singly = [net.predict(X[i : i + 1]) for i in range(rows)]
    assert np.concatenate([*singly, expected[:0]]).tobytes() == expected.tobytes()
    for threads in (1, 2):
        cr.set_num_threads(threads)
        _engine.set_work_per_thread(1)  # as many threads as there may be, for any work
        # NaN where nothing is written, and a row on either side where nothing may be.
        wide = np.full((rows + 2, OUTPUTS), np.nan, dtype)
        out = wide[1:-1]
        assert net.predict(X, out) is out
        assert out.tobytes() == expected.tobytes()
        assert np.isnan(wide[[0, -1]]).all()
        result = net.predict(X)
        assert result.dtype == dtype
        assert result.tobytes() == expected.tobytes()


@pytest.mark.parametrize("rows", [1, 40])
def test_the_short_way_is_what_numpy_computes(dtype: str, rows: int) -> None:
    net, X = network(dtype), features(rows, dtype)
    p = {name: value.astype(float) for name, value in net.parameters().items()}
    h = np.maximum(X.astype(float) @ p["0.weight"] + p["0.bias"], 0)
    h = np.tanh(h @ p["1.weight"] + p["1.bias"])
    # Sums of at most 32 terms, thrice, of numbers of order 1: 128 roundings are more than there are.
    expected = h @ p["2.weight"] + p["2.bias"]
    np.testing.assert_allclose(net.predict(X), expected, rtol=0, atol=128 * np.finfo(dtype).eps)


def test_parameters_that_change_are_seen() -> None:
    net, X = network("float32", "one layer"), features(1, "float32")
    first = net.predict(X)
    net.parameters()["0.bias"][...] += 1
    np.testing.assert_allclose(net.predict(X), first + 1, rtol=0, atol=8 * np.finfo("float32").eps)
    assert np.array_equal(net.copy().predict(X), net.predict(X))


# What is taken as it is ---------------------------------------------------------------------------------------------


TAKEN: dict[str, Callable[[Array], Array]] = {
    "read-only": read_only,
    "rows of a larger array": lambda x: np.repeat(x, 3, axis=0)[2 : 2 + len(x)],
    "numbers whose sum overflows": lambda x: np.full_like(x, np.finfo(x.dtype).max),
    "the smallest numbers": lambda x: np.full_like(x, np.finfo(x.dtype).smallest_subnormal),
    "out of a pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "from a buffer": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
}


@pytest.mark.parametrize("made", TAKEN.values(), ids=TAKEN.keys())
def test_what_is_taken_as_it_is(dtype: str, made: Callable[[Array], Array]) -> None:
    net, X = cr.Network([cr.Dense(OUTPUTS, activation="tanh")], inputs=INPUTS, dtype=dtype), made(features(6, dtype))
    assert taken(net, X)
    assert net.predict(X).tobytes() == net.predict(X.view(Own)).tobytes()


CONVERTED: dict[str, Callable[[Array], object]] = {
    "a list": lambda x: x.tolist(),
    "Fortran order": np.asfortranarray,
    "every second row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "every second column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "unaligned": unaligned,
    "a subclass": lambda x: x.view(Own),
    "float16": lambda x: x.astype(np.float16),
    "the other precision": lambda x: x.astype("float64" if x.dtype == "float32" else "float32"),
    "whole numbers": lambda x: x.astype(int),
    "the other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
}


@pytest.mark.parametrize("odd", CONVERTED.values(), ids=CONVERTED.keys())
def test_what_must_be_converted_takes_the_long_way(dtype: str, odd: Callable[[Array], object]) -> None:
    net, X = network(dtype), np.round(features(6, dtype))  # whole numbers: the same in every dtype
    assert not taken(net, odd(X))
    assert np.array_equal(net.predict(odd(X)), net.predict(X))


def test_an_out_of_a_class_of_its_own_is_returned(dtype: str) -> None:
    net, X = network(dtype), features(6, dtype)
    out = np.empty((6, OUTPUTS), dtype).view(Own)
    assert not taken(net, X, out)
    assert net.predict(X, out) is out
    assert np.array_equal(out, net.predict(X))


# What is refused ----------------------------------------------------------------------------------------------------


def spoilt(x: Array, value: float, place: int) -> Array:
    x = x.copy()
    x.flat[place] = value
    return x


REFUSED: dict[str, tuple[Callable[[Array], object], type[Exception], str]] = {
    "None": (lambda x: None, TypeError, "X must hold real numbers"),
    "one row": (lambda x: x[0], ValueError, r"X must have shape \(rows, 13\); got \(13,\); for a single row"),
    "rank 3": (lambda x: x[None], ValueError, r"X must have shape \(rows, 13\)"),
    "too narrow": (lambda x: x[:, :-1].copy(), ValueError, r"X must have shape \(rows, 13\); got \(7, 12\)"),
    "no columns": (lambda x: x[:, :0], ValueError, r"X must have shape \(rows, 13\)"),
    "masked": (lambda x: np.ma.masked_less(x, 0), TypeError, "X is a masked array"),
    "complex": (lambda x: x + 0j, TypeError, "X must hold real numbers"),
}


@pytest.mark.parametrize(("odd", "kind", "message"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("given", [False, True], ids=["", "out"])
def test_a_wrong_x_is_refused(
    dtype: str, odd: Callable[[Array], object], kind: type[Exception], message: str, given: bool
) -> None:
    net, X, out = network(dtype), odd(features(7, dtype)), np.zeros((7, OUTPUTS), dtype) if given else None
    with pytest.raises(kind, match=message):
        net.predict(X, out)
    assert out is None or not out.any()


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rows", [1, 7, 2000])
def test_every_place_is_checked_to_be_finite(dtype: str, value: float, rows: int) -> None:
    net, X, out = network(dtype), features(rows, dtype), np.zeros((rows, OUTPUTS), dtype)
    for place in {*range(2 * INPUTS), X.size - 1, X.size - 2, X.size // 2} & {*range(X.size)}:
        bad = spoilt(X, value, place)
        assert not taken(net, bad, out)
        row, column = divmod(place, INPUTS)
        with pytest.raises(ValueError, match=rf"X must be finite; X\[{row}, {column}\] is -?(nan|inf)$"):
            net.predict(bad, out)
    assert not out.any()


WRONG_OUT: dict[str, tuple[Callable[[Array], object], type[Exception], str]] = {
    "a list": (lambda out: out.tolist(), TypeError, "out must be an array of"),
    "a number": (lambda out: 0.0, TypeError, "out must be an array of"),
    "too few rows": (lambda out: out[1:], ValueError, r"out must have shape \(7, 5\); got \(6, 5\)"),
    "too wide": (lambda out: np.zeros((7, 6), out.dtype), ValueError, r"out must have shape \(7, 5\); got \(7, 6\)"),
    "flat": (lambda out: out.reshape(-1), ValueError, "out must have shape"),
    "rank 3": (lambda out: out[None], ValueError, "out must have shape"),
    "the other precision": (
        lambda out: out.astype("float64" if out.dtype == "float32" else "float32"),
        TypeError,
        "out must be an array of",
    ),
    "the other byte order": (lambda out: out.astype(out.dtype.newbyteorder()), TypeError, "out must be an array of"),
    "Fortran order": (np.asfortranarray, ValueError, "writable and C-contiguous"),
    "every second row": (lambda out: np.repeat(out, 2, axis=0)[::2], ValueError, "writable and C-contiguous"),
    "read-only": (read_only, ValueError, "writable and C-contiguous"),
    "unaligned": (unaligned, ValueError, "writable and C-contiguous"),
}


@pytest.mark.parametrize(("odd", "kind", "message"), WRONG_OUT.values(), ids=WRONG_OUT.keys())
def test_a_wrong_out_is_refused(
    dtype: str, odd: Callable[[Array], object], kind: type[Exception], message: str
) -> None:
    net, X = network(dtype), features(7, dtype)
    out = odd(np.zeros((7, OUTPUTS), dtype))
    assert not taken(net, X, out)
    with pytest.raises(kind, match=message):
        net.predict(X, out)
    assert not np.any(out)


@pytest.mark.parametrize("shift", [-6, -1, 0, 1, 6])
def test_an_out_that_overlaps_x_is_refused(dtype: str, shift: int) -> None:
    net = cr.Network([cr.Dense(3)], inputs=3, dtype=dtype)
    memory = features(1, dtype, columns=64).ravel()
    X, out = memory[20:29].reshape(3, 3), memory[20 + shift : 29 + shift].reshape(3, 3)
    before = memory.copy()
    assert not taken(net, X, out)
    with pytest.raises(ValueError, match="out must not share memory with X"):
        net.predict(X, out)
    assert np.array_equal(memory, before)


@pytest.mark.parametrize("shift", [-9, 9])
def test_an_out_beside_x_is_taken(dtype: str, shift: int) -> None:
    net = cr.Network([cr.Dense(3)], inputs=3, dtype=dtype)
    memory = features(1, dtype, columns=64).ravel()
    X, out = memory[20:29].reshape(3, 3), memory[20 + shift : 29 + shift].reshape(3, 3)
    expected = net.predict(X.copy())
    assert taken(net, X, out)
    assert np.array_equal(net.predict(X, out), expected)


def test_the_function_of_the_engine_wants_both_arguments() -> None:
    predict = network("float32").core.predictor()
    for arguments in ((), (features(1, "float32"),), (None,) * 3):
        with pytest.raises(TypeError, match="takes x and out"):
            predict(*arguments)


# Memory -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 100, 2000])
def test_nothing_is_allocated_where_out_is_given(dtype: str, rows: int) -> None:
    # NumPy tells tracemalloc of the memory of its arrays.
    net = cr.Network([cr.Dense(8, activation="relu"), cr.Dense(1000)], inputs=INPUTS, dtype=dtype)
    X, out = features(rows, dtype), np.empty((rows, 1000), dtype)
    net.predict(X, out)
    tracemalloc.start()
    try:
        assert net.predict(X, out) is out
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(20):
            net.predict(X, out)
        after, peak = tracemalloc.get_traced_memory()
        net.predict(X)
        _, with_array = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A frame of Python may come and go; no array does, not even one row.
    assert after - before < 1000 < 1000 * out.itemsize
    assert peak - before < 1000
    assert with_array - before >= out.nbytes


@pytest.mark.parametrize("given", [False, True], ids=["new", "out"])
def test_no_reference_is_lost_or_kept(dtype: str, given: bool) -> None:
    net, X = network(dtype), features(1, dtype)
    out = np.empty((1, OUTPUTS), dtype) if given else None
    objects = [X, X.dtype, net.core, *([out] if given else [])]
    bad = spoilt(X, np.nan, 3)
    predict = net.core.predictor()
    before = [sys.getrefcount(one) for one in [*objects, bad]]
    for _ in range(100):
        predict(X, out)
        predict(bad, out)
        predict(X, bad)
    assert [sys.getrefcount(one) for one in [*objects, bad]] == before


# Threads, forks -----------------------------------------------------------------------------------------------------


def test_a_function_of_the_engine_keeps_its_network(dtype: str) -> None:
    net, X = network(dtype), features(4, dtype)
    expected, predict = net.predict(X), net.core.predictor()
    del net
    assert np.array_equal(predict(X, None), expected)


def test_threads_share_a_network(dtype: str) -> None:
    # One thread has the network for long, so that single rows of the others meet its lock.
    net, X = network(dtype), features(100_000, dtype)
    expected = net.predict(X)
    ended, wrong = threading.Event(), []

    def whole() -> None:
        while not ended.is_set():
            wrong.append(not np.array_equal(net.predict(X), expected))

    def singly(first: int) -> None:
        out = np.empty((1, OUTPUTS), dtype)
        for i in range(first, first + 200):
            wrong.append(not np.array_equal(net.predict(X[i : i + 1], out), expected[i : i + 1]))

    long = threading.Thread(target=whole)
    others = [threading.Thread(target=singly, args=(1000 * number,)) for number in range(3)]
    for thread in (long, *others):
        thread.start()
    for thread in others:
        thread.join()
    ended.set()
    long.join()
    assert len(wrong) > 3 * 200
    assert not any(wrong)


def test_a_signal_handler_may_predict_with_the_network_that_its_thread_has() -> None:
    done = run_script(
        """
        import signal
        import numpy as np
        import chainrule as cr

        layers = [cr.Dense(512, activation="relu"), cr.Dense(512, activation="relu"), cr.Dense(3)]
        X = np.random.default_rng(0).standard_normal((40_000, 64)).astype("float32")
        big, inside = cr.Network(layers, inputs=64), []
        expected = big.predict(X)

        def handle(*_):
            inside.append(big.predict(X[7:8]))
            inside.append(big.predict(X[:700])[7:8])

        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        for _ in range(50):
            assert np.array_equal(big.predict(X), expected)
            if len(inside) >= 6:
                break
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert len(inside) >= 6 and all(np.array_equal(one, expected[7:8]) for one in inside)
        """
    )
    assert done.returncode == 0, done.stderr


def test_a_child_predicts_while_a_thread_of_the_parent_had_the_network() -> None:
    done = run_script(
        """
        import os, signal, threading, time
        import numpy as np
        import chainrule as cr

        net = cr.Network([cr.Dense(256, activation="relu"), cr.Dense(4)], inputs=64)
        X = np.random.default_rng(0).standard_normal((400_000, 64)).astype("float32")
        expected = net.predict(X[:3])
        other = threading.Thread(target=net.predict, args=(X,))
        other.start()
        time.sleep(0.05)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            same = np.array_equal(net.predict(X[:3]), expected) and np.array_equal(net.predict(X[2:3]), expected[2:])
            os._exit(0 if same else 3)
        assert os.waitpid(child, 0)[1] == 0
        other.join()
        """
    )
    assert done.returncode == 0, done.stderr
