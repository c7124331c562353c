"""What all tests share: the precisions, the engines, the instruction sets, seeded random numbers, the digits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from kernel_checks import EveryTeam

# Numba compiles for half a minute where it optimises, and here nobody asks how fast its code is.
os.environ.setdefault("NUMBA_OPT", "0")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `isa` once for every instruction set of this machine; of `kernels`, also on its GPU."""
    if "isa" in metafunc.fixturenames:
        from chainrule import _engine

        gpu = ["cuda"] if "kernels" in metafunc.fixturenames and _engine.cuda_available() else []
        metafunc.parametrize("isa", [*_engine.isas(), *gpu])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the numeric exercise first: what fails there need not be looked for elsewhere."""
    items.sort(key=lambda item: item.path.name != "test_exercise.py")


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def engine(dtype: str) -> ModuleType:
    """Return the engine in the precision `dtype`."""
    from chainrule import _engine

    module: ModuleType = getattr(_engine, dtype)
    return module


@pytest.fixture
def kernels(engine: ModuleType, isa: str, dtype: str) -> EveryTeam:
    """Return the operations of the engine, on teams of several sizes at once."""
    return EveryTeam(engine, isa, dtype)


@pytest.fixture
def restored_threads() -> Iterator[None]:
    """Set the number of threads, and the work that each must find, back at the end."""
    import chainrule as cr
    from chainrule import _engine

    threads, work = cr.get_num_threads(), _engine.work_per_thread()
    yield
    cr.set_num_threads(threads)
    _engine.set_work_per_thread(work)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of the 10,000 MNIST digits, which lie beside the repository and not in it."""
    folder = Path(__file__).resolve().parents[1] / "../shared/data/mnist10k"
    if not folder.is_dir():
        pytest.skip("the MNIST digits are not beside the repository (../shared/data/mnist10k)")
    return folder.resolve()
