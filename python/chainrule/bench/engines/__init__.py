"""Who takes part: the engines by name, what each needs, and why one is missing. A library is imported when it is used.

Each file of this folder holds one library, written as its expert user would write it; what it offers are the functions
`training`, `prediction` and `product` that the groups ask for.
"""

from __future__ import annotations

import importlib
import os
import shutil
from importlib.util import find_spec
from typing import Any, NamedTuple


class Engine(NamedTuple):
    """How an engine is called on a page, the file that holds it, the packages it needs, the groups it takes part in."""

    title: str
    module: str
    packages: tuple[str, ...]
    groups: tuple[str, ...]


ENGINES = {
    "numpy": Engine("NumPy", "numpy", (), ("training", "prediction", "products", "imports", "memory")),
    "torch": Engine("PyTorch", "torch", ("torch",), ("training", "prediction", "products", "imports", "memory")),
    "torch-compiled": Engine("PyTorch compiled", "torch", ("torch",), ("training", "prediction", "memory")),
    "jax": Engine("JAX", "jax", ("jax",), ("training", "prediction", "imports", "memory")),
    "sklearn": Engine(
        "scikit-learn", "sklearn", ("sklearn",), ("training", "prediction", "imports", "memory", "estimators")
    ),
    "numba": Engine("Numba", "numba", ("numba", "scipy"), ("training", "imports", "memory")),
    "onnx": Engine("ONNX Runtime", "onnx", ("onnxruntime", "onnx"), ("prediction", "imports")),
    "chainrule": Engine(
        "chainrule", "chainrule", (), ("training", "prediction", "products", "imports", "memory", "estimators")
    ),
    # Beside the engine of that name, to see what an array of its own costs a call; no peer of it.
    "chainrule-new-array": Engine("chainrule, new array", "chainrule", (), ("prediction",)),
}


# On the GPU, beside those of the same names above: the whole step as one CUDA graph; and chainrule with rows in order,
# to see what shuffling and gathering them costs.
ON_GPU = {"torch-graph": "PyTorch, CUDA graph", "chainrule-in-order": "chainrule, in order"}

# What a group asks of an engine beyond its own packages: NumPy's BLAS has no call of its own for its threads.
FURTHER_PACKAGES = {("numpy", "products"): ("threadpoolctl",)}


def missing(name: str, group: str = "") -> str:
    """Return why an engine cannot take part in a group, as a sentence, or "" if it can."""
    engine = ENGINES[name]
    packages = (*engine.packages, *FURTHER_PACKAGES.get((name, group), ()))
    absent = [package for package in packages if find_spec(package) is None]
    if absent:
        return f"{engine.title} is left out: {' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed"
    if name == "torch-compiled" and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))):
        return f"{engine.title} is left out: torch.compile needs a C++ compiler, and none is found"
    return ""


def module_of(name: str) -> Any:
    """Return the file of an engine, imported."""
    return importlib.import_module(f"{__name__}.{ENGINES[name].module}")


def variant(name: str) -> dict[str, bool]:
    """Return the option that tells apart two engines of one file."""
    return {"torch-compiled": {"compiled": True}, "chainrule-new-array": {"new_array": True}}.get(name, {})
