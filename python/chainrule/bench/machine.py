"""What the figures were measured on: the processor, its ceiling, the versions; and where results are stored.

The ceiling is what multiply-adds reach that touch no memory: no product can be faster.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import chainrule
from chainrule import _engine
from chainrule.engines import engine_of
from chainrule.versions import installed

PACKAGES = ("torch", "jax", "scikit-learn", "numba", "onnxruntime")
CEILING_SECONDS = 0.02  # long enough for the clock, too short for the machine to grow warm
# Of N times one thread's ceiling: cores share no registers, so only the clock, lower when all of them work, may be
# missing. Less means that something else runs, or that threads share a core.
LEAST_SCALING = 0.8


def description() -> dict[str, Any]:
    """Describe the machine and what is installed on it."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": _engine.thread_limit(),
        "instruction_set": _engine.isa(),
        "chainrule": chainrule.__version__,
        "compiler": _engine.build_info()["compiler"],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": _blas(),
        "packages": {name: installed(name) for name in PACKAGES},
    }


def ceiling(dtype: str, threads: int) -> float:
    """Return what the registers alone reach now, GFLOP/s, with the instruction set in use."""
    kernels = engine_of(np.dtype(dtype)).Kernels(threads=threads)
    return float(kernels.register_ceiling(CEILING_SECONDS))


def busy(ceilings: Mapping[int, float]) -> str:
    """Return a warning if N threads reach far less than N times the ceiling of one, else "".

    `ceilings` are by their number of threads.
    """
    one = ceilings.get(1)
    for threads, reached in ceilings.items():
        if one is not None and reached < LEAST_SCALING * threads * one:
            return (
                f"warning: the ceiling of {threads} threads is only {reached / one:.2f} times that of one; something "
                "else runs on this machine, or threads share a core"
            )
    return ""


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in info.read_text().split("\n\n")[0].splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    numbers = f"family {named.get('cpu family', '?')}, model {named.get('model', '?')}"
    return f"{named.get('model name', platform.machine())} ({numbers})"


def _blas() -> str:
    try:
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    except (TypeError, KeyError):  # NumPy before 1.26 only prints it
        return "an unknown BLAS"
    return f"{blas['name']} {blas['version']}"


def store(folder: Path, name: str, results: dict[str, Any]) -> Path:
    """Write results to FOLDER/NAME.json, whole or not at all: whoever stops the run finds the old file or the new."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    unfinished = folder / f".{name}.json.unfinished"
    try:
        unfinished.write_text(json.dumps(results, indent=1) + "\n")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path
