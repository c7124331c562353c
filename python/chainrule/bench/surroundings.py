"""The environment that holds all libraries to a number of threads or to an instruction set.

Each reads its own variables, once, when it is loaded; so these are for a process that has loaded none of them.
"""

from __future__ import annotations

import os

import numpy as np

# OpenMP is PyTorch's, scikit-learn's and chainrule's; NPROC is what XLA, JAX's compiler, counts its threads by.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NPROC",
)

# By chainrule's name of the set. What is not listed cannot be told to a library.
AVX2_VARIABLES = {
    "OPENBLAS_CORETYPE": "Haswell",  # NumPy's products, and SciPy's
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",  # PyTorch's products
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # PyTorch's, where oneDNN does them
    "ATEN_CPU_CAPABILITY": "avx2",  # PyTorch's other operations
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+bmi,+bmi2,+popcnt,+sse4.2",
}


def surroundings(isa: str | None, threads: int | None) -> dict[str, str]:
    """Return the variables by name. A set other than AVX2 binds chainrule alone: not all others can be told."""
    variables = {}
    if isa is not None:
        variables["CHAINRULE_ISA"] = isa
        if isa == "avx2":
            variables |= AVX2_VARIABLES
            # The only one that holds a list: what somebody else asked for stays.
            variables["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {AVX2_VARIABLES['XLA_FLAGS']}".strip()
            beyond = beyond_avx2()
            if beyond:
                variables["NPY_DISABLE_CPU_FEATURES"] = " ".join(beyond)
    if threads is not None:
        variables |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    return variables


def beyond_avx2() -> list[str]:
    """Return what NumPy calls the features of this processor that AVX2 lacks and that it chooses when it is loaded."""
    core = getattr(np, "_core", None) or np.core  # the older name, before NumPy 2
    choice = core._multiarray_umath.__cpu_dispatch__
    has = core._multiarray_umath.__cpu_features__
    return [name for name in choice if has.get(name) and name.startswith(("AVX512", "X86_V4"))]
