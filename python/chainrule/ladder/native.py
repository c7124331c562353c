"""The way from Python to the rungs of C++, OpenMP and CUDA: a shared library each, called through ctypes.

The libraries know nothing of Python and check nothing: all is checked here, before a call. ctypes lets the lock of the
interpreter go while they work. They are built from the files beside this one (CMakeLists.txt), and where one was not
built, `missing` says so.
"""

from __future__ import annotations

import ctypes
import importlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .problem import Problem, Trained, checked

# One, or two where the package is installed to be edited: the sources' and that of what was built from them.
FOLDERS = [Path(folder) for folder in importlib.import_module(__package__).__path__]


class _Problem(ctypes.Structure):
    """The struct of rung.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("X", "labels", "order")),
        *((name, ctypes.c_int64) for name in ("N", "n", "epochs", "batch_size", "D", "H", "K")),
        ("lr", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in ("W1", "b1", "W2", "b2", "losses")),
    )


def library(name: str) -> Path:
    """Return where the library of a rung lies, or would lie if it had been built."""
    places = [folder / f"lib{name}_rung.so" for folder in FOLDERS]
    return next((place for place in places if place.exists()), places[0])


def missing(name: str) -> str:
    """Return why there is no library of a rung, or ""."""
    needs = {"cpp": "the libraries of the ladder", "openmp": "OpenMP", "cuda": "a CUDA compiler (nvcc)"}
    return "" if library(name).exists() else f"this build of chainrule was made without {needs[name]}"


@cache
def _function(name: str) -> Any:
    function = ctypes.CDLL(str(library(name))).train
    function.argtypes, function.restype = [ctypes.POINTER(_Problem)], ctypes.c_char_p
    return function


def train(name: str, problem: Problem) -> Trained:
    """Train by the library of a rung: "cpp", "openmp" or "cuda".

    Raises
    ------
    RuntimeError
        If the library is not there, or says that something went wrong: no memory, no GPU.
    ValueError, TypeError
        As `checked` does.
    """
    if missing(name):
        raise RuntimeError(f"the rung {name!r} cannot run: {missing(name)}")
    problem = checked(problem)
    sizes = (len(problem.X), len(problem.order), problem.epochs, problem.batch_size)
    widths = (*problem.parameters.W1.shape, len(problem.parameters.b2))
    losses = np.empty(problem.epochs)
    arrays = (*problem.parameters, losses)
    given = _Problem(
        *(array.ctypes.data for array in (problem.X, problem.labels, problem.order)),
        *sizes,
        *widths,
        problem.lr,
        *(array.ctypes.data for array in arrays),
    )
    said = _function(name)(ctypes.byref(given))
    if said is not None:
        raise RuntimeError(f"the rung {name!r} failed: {said.decode()}")
    return Trained(losses, problem.parameters)
