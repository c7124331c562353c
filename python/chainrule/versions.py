"""What a report of an error needs to say about the machine and what is installed."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

import numpy as np

from . import _engine

# Extras, in the order of the report.
PACKAGES = ("scikit-learn", "matplotlib", "tqdm", "safetensors", "onnx", "optuna")


def versions() -> dict[str, str]:
    """Return names and versions: chainrule and its engine, Python, the machine, and the packages of the extras."""
    info = _engine.build_info()
    return {
        "chainrule": info["version"],
        "compiler": info["compiler"],
        "instruction set": f"{_engine.isa()} (of {', '.join(_engine.isas())})",
        "threads": f"{_engine.thread_limit()}, {info['threading']}",
        "GPU": gpu(),
        "Python": sys.version.split()[0],
        "machine": platform.platform(),
        "numpy": np.__version__,
        **{package: installed(package) for package in PACKAGES},
    }


def gpu() -> str:
    """Return what the GPU is, or why there is none."""
    about = _engine.cuda_about()
    if about is None:
        return f"none: {_engine.cuda_trouble()}"
    capability, driver, runtime = (
        ".".join(map(str, about[key])) for key in ("compute_capability", "driver", "runtime")
    )
    memory, free = (f"{about[key] / 2**30:.1f} GiB" for key in ("memory", "free"))
    return f"{about['name']} ({capability}), {memory}, {free} free; CUDA {runtime}, driver's {driver}"


def installed(package: str) -> str:
    """Return the version of a package, or that it is missing."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def show_versions() -> None:
    """Print what a report of an error should contain."""
    found = versions()
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:{width}}  {value}")
