"""The rungs in their order: how each is called, what it buys, and why one cannot run. Each is loaded when asked for."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

from chainrule import _engine

from . import native
from .problem import Problem, Trained

Train = Callable[[Problem], Trained]


class Rung(NamedTuple):
    """The name on a page, the file in this folder, and what the step down to this rung buys, and why."""

    title: str
    file: str
    buys: str


RUNGS = {
    "python": Rung(
        "pure Python",
        "python_rung.py",
        "Nothing but itself: the formulas, number by number. Every number is an object, and every operation looks up, "
        "each time anew, what its two objects are.",
    ),
    "numpy": Rung(
        "NumPy",
        "numpy_rung.py",
        "One look-up for a whole array instead of one for a number; the loops are compiled, and the products a BLAS's. "
        "Left are some forty calls a step, and a new array from most.",
    ),
    "numba": Rung(
        "Numba",
        "numba_rung.py",
        "No calls and no new arrays: the whole step is one function, compiled at its first call for the processor that "
        "it runs on. The price: seconds for that first call, and loops written by hand.",
    ),
    "cython": Rung(
        "Cython",
        "cython_rung.pyx",
        "No compiler where it runs: the same loops became C when the package was built. But it was built for every "
        "processor of its kind, so an instruction takes two numbers, where Numba's take four or eight.",
    ),
    "cpp": Rung(
        "C++, one thread",
        "cpp_rung.cpp",
        "Both: built beforehand, and once for each kind of processor, of which the loader takes the one that is there. "
        "The language says what a compiler must know: what overlaps, what is part of what.",
    ),
    "openmp": Rung(
        "C++, OpenMP",
        "openmp_rung.cpp",
        "All cores, for six lines. Threads wait for each other twice a step, and longer where another program has one "
        "of the cores: in a step as short as this one that may cost more than the further cores give.",
    ),
    "cuda": Rung(
        "CUDA",
        "cuda_rung.cu",
        "Thousands of threads, of which a step this small keeps few at work, while each of its two kernels has to be "
        "launched, for microseconds. Made for layers and batches that are hundreds wide.",
    ),
    "trainer": Rung(
        "chainrule",
        "trainer_rung.py",
        "Sums that stay in registers while a product is formed, formulas joined into one pass, threads only where they "
        "pay: what an engine can do that is written once, for every network.",
    ),
}


def missing(name: str) -> str:
    """Return why a rung cannot run here, or ""."""
    if name == "numba" and find_spec("numba") is None:
        return 'Numba is not installed: pip install "chainrule[numba]"'
    if name == "cython" and find_spec(f"{__package__}.cython_rung") is None:
        return "this build of chainrule was made without Cython"
    if name in ("cpp", "openmp", "cuda") and native.missing(name):
        return native.missing(name)
    return _engine.cuda_trouble() if name == "cuda" else ""


def train_of(name: str) -> Train:
    """Return what trains on a rung, loaded."""
    if name in ("cpp", "openmp", "cuda"):
        return functools.partial(native.train, name)
    train: Train = importlib.import_module(f".{name}_rung", __package__).train
    return train
