"""The rungs: how one is built, called and checked. Nothing is timed here.

A rung is a file `NUMBER_IDEA.cpp` that exports `multiply` of rung.h; a new file is a new rung. The last rung is no
file: it is chainrule's own kernel, as the package has it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chainrule import _engine

Array = npt.NDArray[np.float32]
# a (m, k), b (k, n), and c (m, n) to write to; returns c.
Multiply = Callable[[Array, Array, Array], Array]

FOLDER = Path(__file__).resolve().parent
FILES = {file.stem.partition("_")[2]: file for file in sorted(FOLDER.glob("[0-9]*_*.cpp"))}
SHIPPED = "shipped"
NAMES = [*FILES, SHIPPED]
FLAGS = [
    *("-std=c++20", "-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC", "-pthread"),
    # The compiler makes no vectors of its own: what a rung does not write down, it does not have.
    *("-fno-tree-vectorize", "-fno-tree-slp-vectorize"),
]
GUARD = 64  # numbers around c that no rung may touch


def compiler() -> str:
    """Return the path of the C++ compiler: what the environment variable CXX names, or `c++`."""
    name = os.environ.get("CXX", "c++")
    path = shutil.which(name)
    if path is None:
        raise RuntimeError(f"no C++ compiler: {name!r} is not found; set CXX to one")
    return path


def compiler_version() -> str:
    """Return the first line of what the compiler says of itself."""
    said = subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=True).stdout
    return said.partition("\n")[0]


def threads_of(name: str) -> int:
    """Return on how many threads a rung works."""
    return _engine.thread_limit() if name in ("threads", SHIPPED) else 1


def command(name: str, output: Path) -> list[str]:
    """Return the command that compiles a rung."""
    return [compiler(), *FLAGS, f"-DTHREADS={threads_of(name)}", str(FILES[name]), "-o", str(output)]


def build(name: str, folder: Path) -> Multiply:
    """Compile a rung into a folder and load it; the shipped one is there already."""
    if name == SHIPPED:
        return shipped()
    output = folder / f"{name}.so"
    compiled = subprocess.run(command(name, output), capture_output=True, text=True)
    if compiled.returncode != 0:
        raise RuntimeError(f"{FILES[name].name} does not compile:\n{compiled.stderr}")
    function = ctypes.CDLL(str(output)).multiply
    function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_long] * 3
    function.restype = None

    def multiply(a: Array, b: Array, c: Array) -> Array:
        function(a.ctypes.data, b.ctypes.data, c.ctypes.data, *a.shape, b.shape[1])
        return c

    return multiply


def shipped() -> Multiply:
    """Return chainrule's own kernel."""
    kernels = _engine.float32.Kernels(threads=threads_of(SHIPPED))
    return lambda a, b, c: kernels.matmul(a, b, out=c)


def check(multiply: Multiply, m: int, k: int, n: int) -> None:
    """Multiply random matrices and require the product, every element of it, and nothing beside it.

    A sum of k products, added in any order, is wrong by at most k u / (1 - k u) |a||b|, u = EPS / 2 (N. Higham,
    Accuracy and Stability of Numerical Algorithms, 2002, section 3.5). For k below 1 / (2 EPS) that is less than
    2/3 k EPS |a||b|; k EPS |a||b| leaves room for the error of float64.
    """
    rng = np.random.default_rng((m, k, n))
    a = rng.standard_normal((m, k), dtype=np.float32)
    b = rng.standard_normal((k, n), dtype=np.float32)
    shape = f"({m}, {k}) times ({k}, {n})"
    room = np.full(m * n + 2 * GUARD, np.nan, np.float32)
    c = room[GUARD : GUARD + m * n].reshape(m, n)
    product = multiply(a, b, c)
    if product.shape != (m, n):
        raise ValueError(f"{shape} has the shape {product.shape}")
    error = abs(product - a.astype(float) @ b.astype(float))
    bound = k * float(np.finfo(np.float32).eps) * (abs(a).astype(float) @ abs(b).astype(float))
    if not (error <= bound).all():  # NaN fails
        wrong = ~(error <= bound)
        i, j = (int(index[0]) for index in np.nonzero(wrong))
        raise ValueError(
            f"{shape}: {int(wrong.sum())} of {m * n} elements are wrong, first [{i}, {j}] = {product[i, j]!r}"
        )
    if not np.isnan(room[:GUARD]).all() or not np.isnan(room[GUARD + m * n :]).all():
        raise ValueError(f"{shape}: something beside c was written")
