"""Arrays that lie on the GPU: given to networks, and taken from them, without a copy."""

from __future__ import annotations

import ctypes
import gc
from typing import Any

import numpy as np
import pytest
from gpu import emulated, needs_gpu, there

import chainrule as cr
from chainrule import _engine
from chainrule.device_arrays import lies_on_gpu, on_host, taken

pytestmark = needs_gpu

ROWS, INPUTS, CLASSES = 33, 5, 3
X = np.random.default_rng(1).normal(size=(ROWS, INPUTS))
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


class Foreign:
    """An array of another library, which offers `__cuda_array_interface__` and nothing else."""

    def __init__(self, owner: Any, **changes: Any) -> None:
        self.owner = owner
        self.__cuda_array_interface__ = {**owner.__cuda_array_interface__, **changes}


def network(dtype: str, device: str = "cuda") -> cr.Network:
    return cr.Network([cr.Dense(7, activation="tanh"), cr.Dense(CLASSES)], inputs=INPUTS, dtype=dtype, device=device)


def test_an_array_says_what_it_is(dtype: str) -> None:
    x = X.astype(dtype)
    array = there(x)
    assert lies_on_gpu(array)
    assert not lies_on_gpu(x)
    assert (array.shape, array.dtype, len(array)) == (x.shape, x.dtype, ROWS)
    assert array.__dlpack_device__()[0] == 2
    said = array.__cuda_array_interface__
    assert (said["shape"], said["typestr"], said["version"]) == (x.shape, x.dtype.str, 3)
    gc.collect()  # the network lives on with its array
    np.testing.assert_array_equal(array.numpy(), x)
    np.testing.assert_array_equal(array.first(2).numpy(), x[:2])
    np.testing.assert_array_equal(on_host("x", array), x)


def test_dlpack_there_and_back(dtype: str) -> None:
    x = X.astype(dtype)
    array = there(x)
    capsule = array.__dlpack__(stream=None, max_version=(1, 0))
    again = _engine.DeviceArray.from_dlpack(capsule)
    with pytest.raises(ValueError, match="no fresh DLPack tensor"):
        _engine.DeviceArray.from_dlpack(capsule)
    array.__dlpack__()  # nobody takes this one
    assert again.__cuda_array_interface__["data"][0] == array.__cuda_array_interface__["data"][0]
    del array
    gc.collect()
    np.testing.assert_array_equal(again.numpy(), x)


def test_training_on_rows_of_the_gpu(dtype: str) -> None:
    x = X.astype(dtype)
    for rows in (there(x), Foreign(there(x))):
        nets = network(dtype), network(dtype)
        for net, given in zip(nets, (x, rows), strict=True):
            trainer = cr.Trainer(net, loss="cross_entropy", metrics=["accuracy"])
            trainer.fit(given, LABELS, epochs=3, batch_size=8, validation_data=(given, LABELS), verbose=0)
            assert trainer.evaluate(given, LABELS)["accuracy"] == trainer.history["val_accuracy"][-1]
            assert trainer.scores(given, LABELS).accuracy == trainer.history["val_accuracy"][-1]
        for name, value in nets[0].state_dict().items():
            assert value.tobytes() == nets[1].state_dict()[name].tobytes()


def test_a_validation_part_of_rows_of_the_gpu() -> None:
    losses = []
    for given in (X, there(X)):
        trainer = cr.Trainer(network("float64"), loss="cross_entropy")
        losses.append(trainer.fit(given, LABELS, epochs=2, validation_split=0.3, verbose=0)["val_loss"])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("rows", [0, 1, ROWS])
def test_prediction_stays_on_the_gpu(rows: int, dtype: str) -> None:
    net, x = network(dtype), X[:rows].astype(dtype)
    given = there(X.astype(dtype)).first(rows)
    expected = net.predict(x)
    p = net.predict(given)
    assert lies_on_gpu(p)
    np.testing.assert_array_equal(p.numpy(), expected)
    out = there(np.zeros((ROWS, CLASSES), dtype)).first(rows)
    assert net.predict(given, out=out) is out
    np.testing.assert_array_equal(out.numpy(), expected)


def test_a_network_on_the_cpu_takes_a_copy() -> None:
    net = network("float64", "cpu")
    np.testing.assert_array_equal(net.predict(there(X)), net.predict(X))
    with pytest.raises(ValueError, match="for networks on a GPU"):
        net.device_arrays()


def test_arrays_of_a_network_are_its_own(dtype: str) -> None:
    net = network(dtype)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(net.device_arrays()[name].numpy(), value)
    net(X)
    net.core.backward(np.ones((ROWS, CLASSES), dtype)) if net.training else None
    for name, value in net.gradients().items():
        np.testing.assert_array_equal(net.device_arrays("gradients")[name].numpy(), value)
    with pytest.raises(ValueError, match="known are 'state', 'gradients'"):
        net.device_arrays("all")


@pytest.mark.skipif(not emulated, reason="this process cannot write to a GPU's memory")
def test_what_another_library_writes_the_network_has() -> None:
    net = network("float64")
    place = net.device_arrays()["1.bias"].__cuda_array_interface__["data"][0]
    np.ctypeslib.as_array(ctypes.cast(place, ctypes.POINTER(ctypes.c_double)), shape=(CLASSES,))[:] = 7
    assert (net.parameters()["1.bias"] == 7).all()


def test_bad_arrays_are_refused() -> None:
    net, array = network("float64"), there(X)
    narrow = there(X[:, :3].copy())
    for given, message in [
        (Foreign(array, typestr="<i8"), r'X lies on a GPU, and cannot be taken from there: .* typestr "<i8"'),
        (Foreign(array, strides=(8, 8 * ROWS)), "C-contiguous"),
        (Foreign(array, mask=array), "no mask"),
        (Foreign(array, shape=(-1, INPUTS)), "negative"),
        (Foreign(array, shape=(2**62, INPUTS)), "too large"),
        (narrow, r"X must have shape \(rows, 5\); got \(33, 3\)"),
        (there(np.where(X > 2, np.nan, X)), "X must be finite"),
        (there(np.where(X > 2, -np.inf, X)), "X must be finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            net.predict(given)
    with pytest.raises(TypeError, match="must have the network's dtype, float64; got float32"):
        net.predict(there(X.astype("float32")))
    with pytest.raises(TypeError, match="out must lie on the GPU as X does"):
        net.predict(array, out=np.zeros((ROWS, CLASSES)))
    with pytest.raises(ValueError, match="out must have 33 rows; got 2"):
        net.predict(array, out=there(np.zeros((2, CLASSES))))
    square = cr.Network([cr.Dense(INPUTS)], inputs=INPUTS, dtype="float64", device="cuda")
    with pytest.raises(ValueError, match="out must not share memory with X"):
        square.predict(array, out=array)
    with pytest.raises(ValueError, match="out must be writable"):
        square.predict(array, out=Foreign(there(X), data=(there(X).__cuda_array_interface__["data"][0], True)))
    with pytest.raises(KeyError, match="cannot be taken from there"):
        taken("X", type("Odd", (), {"__cuda_array_interface__": {}})())


@pytest.mark.skipif(emulated, reason="the emulator takes all memory for a GPU's")
def test_a_pointer_elsewhere_is_refused() -> None:
    array = Foreign(there(X), data=(X.ctypes.data, False))
    with pytest.raises(ValueError, match="does not lie in the memory of the GPU"):
        network("float64").predict(array)


def test_odd_arrays_of_other_libraries() -> None:
    net = network("float64")

    class NeedsGradient:
        @property
        def __cuda_array_interface__(self) -> Any:
            raise RuntimeError("it requires grad: use tensor.detach()")

    with pytest.raises(RuntimeError, match="X lies on a GPU, and cannot be taken from there: it requires grad"):
        net.predict(NeedsGradient())

    class Labels(Foreign):
        """Whole numbers, which lie on the GPU and have a way from there of their own."""

        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
            return LABELS

    for one in (net, network("float64", "cpu")):
        losses = [cr.Trainer(one, loss="cross_entropy").evaluate(X, y)["loss"] for y in (LABELS, Labels(there(X)))]
        assert losses[0] == losses[1]


def test_what_dlpack_cannot_say_is_refused() -> None:
    array = there(X)
    array.__dlpack__(copy=False, dl_device=array.__dlpack_device__(), stream=2)
    with pytest.raises(BufferError, match="not a copy"):
        array.__dlpack__(copy=True)
    with pytest.raises(BufferError, match="no other"):
        array.__dlpack__(dl_device=(1, 0))
    address = array.__cuda_array_interface__["data"][0]
    with pytest.raises(BufferError, match="must not be written to"):
        taken("X", Foreign(array, data=(address, True))).__dlpack__()
