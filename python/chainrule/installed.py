"""What an installed package has for native code: headers, a package for CMake, functions of the engine.

Nothing is built here; examples/native/ has projects that do.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

from . import _engine, checks

FOLDER = Path(__file__).parent


def get_include() -> str:
    """Return the folder of the headers, for a compiler's -I: `#include "chainrule/native.h"`.

    There are `native.h` (activations and losses), `layer.h` and `layer.hpp` (layers), and `engine.h` (the engine,
    called without Python in between). All are C but `layer.hpp`, which is C++17; there is nothing to link with. Cython
    code says `from chainrule cimport native` instead, and needs the folder, too.

    Returns
    -------
    str
        Its absolute path.
    """
    return str(FOLDER / "include")


def get_cmake_dir() -> str:
    """Return the folder for CMake's `chainrule_DIR`: `find_package(chainrule)` gives the target `chainrule::headers`.

    Returns
    -------
    str
        Its absolute path.
    """
    return str(FOLDER / "cmake")


def native_function(name: str, dtype: str = "float32") -> Any:
    """Return a function of the engine for native code to call: `void f(ptrdiff_t n, const T *z, T *h)`.

    It writes h[i] = g(z[i]) for i < n, by vectors; h may be z. It needs no lock of Python and may be called from an
    activation of your own, as a global of a function that `numba.cfunc` compiles. Cython takes it from
    `chainrule/engine.h` instead.

    Parameters
    ----------
    name : {"tanh", "sigmoid"}
        g.
    dtype : {"float32", "float64"}
        T.

    Returns
    -------
    function of ctypes
        With its types. Arrays are not checked: they must have n elements.

    Raises
    ------
    ValueError, TypeError
        If there is no such function or precision.
    """
    precision = checks.precision("dtype", dtype).name
    words = dict.fromkeys(one.partition("_")[0] for one in _engine._c_functions)
    address = _engine._c_functions[f"{checks.word('name', name, words)}_{precision}"]
    number = ctypes.POINTER(ctypes.c_float if precision == "float32" else ctypes.c_double)
    return ctypes.CFUNCTYPE(None, ctypes.c_ssize_t, number, number)(address)
