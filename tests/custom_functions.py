"""Functions of one's own, native and Python's, and networks with them, for the tests of both. No tests here."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

ROOT = Path(__file__).resolve().parents[1]
HEADERS = ROOT / "python" / "chainrule" / "include"
BITS = {"float32": 32, "float64": 64}
X = np.random.default_rng(0).normal(size=(60, 4))
Y = np.random.default_rng(1).normal(size=(60, 3))


def compiled(folder, source="native_code.c"):
    """Return the functions of a file beside this one, compiled."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("needs a C compiler")
    path = folder / f"{source}.so"
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I", str(HEADERS)]
    subprocess.run(
        [compiler, *flags, str(Path(__file__).with_name(source)), "-o", str(path), "-lm"], check=True, timeout=60
    )
    return ctypes.CDLL(str(path))


KINDS = {"forward": (None, 2), "backward": (None, 4), "squares": (ctypes.c_double, 3), "poisson": (ctypes.c_double, 3)}


def function(library, name, dtype):
    """Return a function of the library with its types."""
    returns, arrays = KINDS[name.split("_")[0]]
    pointer = ctypes.POINTER({"float32": ctypes.c_float, "float64": ctypes.c_double}[dtype])
    found = getattr(library, f"{name}{BITS[dtype]}")
    found.restype = returns
    found.argtypes = [ctypes.c_ssize_t, *[pointer] * arrays, ctypes.c_void_p]
    return found


def both(library, name):
    return [function(library, name, dtype) for dtype in BITS]


def swish(library, dtypes=tuple(BITS)):
    forward, backward = ([function(library, name, one) for one in dtypes] for name in ("forward", "backward"))
    return cr.CustomActivation(forward, backward, name="swish")


def network(activation, dtype="float64", **options):
    layers = [cr.Dense(17, weight_init="he_normal"), cr.Activation(activation), cr.Dense(3)]
    return cr.Network(layers, **{"inputs": 4, "seed": 3, "dtype": dtype, **options})


def fitted(net, loss="mse", **options):
    trainer = cr.Trainer(net, loss=loss, optimizer=cr.SGD(0.05))
    return trainer.fit(X, Y, **{"epochs": 3, "batch_size": 16, "verbose": False, **options})


def tanh(z):
    return np.tanh(z)


def tanh_back(z, h, dh):
    return dh * (1 - h * h)


def squares(p, y):
    return ((p - y) ** 2).sum(axis=1), 2 * (p - y)


MEAN_ROWS = cr.MeanSquaredError(reduction="mean_rows")
