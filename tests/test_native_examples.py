"""The projects of examples/native are built against this chainrule, as it is installed, and do what they say.

They are built by pip without a network, each from a copy, in a folder of its own.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

import chainrule as cr

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "native"
NEEDS = {"cython_project": ("Cython", "setuptools"), "pybind11_project": ("pybind11", "scikit_build_core", "cmake")}
Build = Callable[[str], Path]


def environment(*folders: Path) -> dict[str, str]:
    """Return the environment in which this chainrule is found, and what is in some folders."""
    home = Path(cr.__file__).parents[1]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(one) for one in (home, *folders))}


def built(project: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Install a project into `folder`."""
    source = shutil.copytree(FOLDER / project, folder / "source")
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check"]
    if project == "pybind11_project":  # built in half the time where nobody asks how fast it is
        options += ["-C", "cmake.build-type=Debug"]
    where = ["--target", str(folder / "installed")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", *options, *where, str(source)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=240, check=False)


def missing(project: str) -> list[str]:
    """Return what it takes to build a project and is not here."""
    lacking = [name for name in ("pip", *NEEDS[project]) if name != "cmake" and importlib.util.find_spec(name) is None]
    if "cmake" in NEEDS[project] and shutil.which("cmake") is None:
        lacking.append("cmake")
    return lacking if shutil.which("c++") or shutil.which("g++") else [*lacking, "a compiler"]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Build all projects, two at a time, and return the folder of one."""
    runs: dict[str, tuple[Path, Future[subprocess.CompletedProcess[str]]]] = {}
    with ThreadPoolExecutor(2) as pool:
        for project in NEEDS:
            if not missing(project):
                folder = tmp_path_factory.mktemp(project)
                runs[project] = (folder, pool.submit(built, project, folder))

        def folder_of(project: str) -> Path:
            if project not in runs:
                pytest.skip(f"needs {', '.join(missing(project))}")
            folder, run = runs[project]
            done = run.result()
            assert done.returncode == 0, done.stdout + done.stderr
            return folder / "installed"

        yield folder_of


def assert_runs(code: str, *folders: Path) -> None:
    """Run code where the modules in some folders are found, with warnings as errors."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    done = subprocess.run(command, env=environment(*folders), capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_numba() -> None:
    pytest.importorskip("numba", reason="needs Numba")
    script = FOLDER / "numba_activation" / "numba_activation.py"
    done = subprocess.run(
        [sys.executable, str(script)], env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nTarget: " in script.read_text(encoding="utf-8")


def test_cython(build: Build) -> None:
    assert_runs(
        """
        import numpy as np
        import chainrule as cr
        import gatherer, swish

        X = np.random.default_rng(0).normal(size=(50, 7))
        for dtype in ("float32", "float64"):
            net = cr.Network([cr.Activation(swish.swish())], inputs=7, dtype=dtype)
            np.testing.assert_allclose(net.predict(X), X / (1 + np.exp(-X)), rtol=1e-6, atol=1e-7)

        pictures = np.random.default_rng(0).integers(0, 256, size=(700, 64)).astype(np.uint8)
        rows = np.random.default_rng(1).permutation(700)[:600].astype(np.int32)
        net = cr.Network([cr.Dense(9), cr.Activation(swish.swish()), cr.Dense(5)], inputs=64)
        # The logits of random pictures are apart by more than the rounding of another order of sums.
        logits = net.predict(pictures[rows] * np.float32(1 / 255))
        classes = gatherer.predicted_classes(net, pictures, rows)
        best = np.sort(logits, axis=1)
        clear = best[:, -1] - best[:, -2] > 1e-4
        assert clear.mean() > 0.9
        assert (classes == logits.argmax(axis=1))[clear].all()
        assert len(gatherer.predicted_classes(net, pictures, rows[:0])) == 0
        for wrong in (rows + 700, -1 - rows):
            try:
                gatherer.predicted_classes(net, pictures, wrong)
            except ValueError as error:
                assert "rows must be 0 to 699" in str(error)
            else:
                raise AssertionError
        try:
            gatherer.predicted_classes(net.copy(dtype="float64"), pictures, rows)
        except RuntimeError as error:
            assert str(error) == "the network is of float64"
        else:
            raise AssertionError
        """,
        build("cython_project"),
    )


def test_pybind11(build: Build) -> None:
    assert_runs(
        """
        import gc
        import numpy as np
        import chainrule as cr
        import chainrule_prelu

        X, Y = (np.random.default_rng(seed).normal(size=(60, 4)) for seed in (0, 1))
        for dtype in ("float32", "float64"):
            net = cr.Network([chainrule_prelu.prelu(slope=0.1)], inputs=4, dtype=dtype)
            gc.collect()  # the network keeps the layer
            np.testing.assert_allclose(net.predict(X), np.where(X > 0, X, 0.1 * X), rtol=1e-6)
        # With the slope left alone it is LeakyReLU, and trains as that does.
        options = {"inputs": 4, "seed": 3, "dtype": "float64"}
        first = [cr.Dense(9, weight_init="he_normal")]
        nets = [
            cr.Network([*first, one, cr.Dense(4)], **options)
            for one in (chainrule_prelu.prelu(slope=0.1), cr.Activation(cr.LeakyReLU(slope=0.1)))
        ]
        nets[0].freeze(1)
        losses = [cr.Trainer(net, loss="mse").fit(X, Y, epochs=3, verbose=False)["loss"] for net in nets]
        np.testing.assert_allclose(*losses, rtol=1e-12)
        nets[0].unfreeze()
        cr.Trainer(nets[0], loss="mse").fit(X, Y, epochs=3, verbose=False)
        assert (nets[0].parameters()["1.parameter"] != 0.1).all()
        """,
        build("pybind11_project"),
    )


def test_what_is_installed() -> None:
    headers = sorted(path.name for path in (Path(cr.get_include()) / "chainrule").iterdir())
    assert headers == ["engine.h", "layer.h", "layer.hpp", "native.h"]
    assert (Path(cr.get_cmake_dir()) / "chainruleConfig.cmake").exists()
    assert (Path(cr.__file__).parent / "native.pxd").exists()
    named = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"({path.name}/README.md)" in named for path in FOLDER.iterdir() if path.is_dir())
