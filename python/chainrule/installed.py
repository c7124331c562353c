"""Where the installed package keeps what other projects build against: headers, and a package for CMake.

Nothing is built here; examples/native/ has projects that do.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def get_include() -> str:
    """Return the folder of the headers, for a compiler's -I: `#include "chainrule/native.h"`.

    There are `native.h` (activations and losses), `layer.h` and `layer.hpp` (layers), and `engine.h` (the engine,
    called without Python in between). All are C but `layer.hpp`, which is C++17; there is nothing to link with. Cython
    code says `from chainrule cimport native` instead, and needs the folder, too.

    Returns
    -------
    str
    """
    return str(FOLDER / "include")


def get_cmake_dir() -> str:
    """Return the folder for CMake's `chainrule_DIR`: `find_package(chainrule)` gives the target `chainrule::headers`.

    Returns
    -------
    str
    """
    return str(FOLDER / "cmake")
