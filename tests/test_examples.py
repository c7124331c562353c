"""Every example runs, reaches the number it states (or exits with an error), is short and is named in the list."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


Run = tuple["subprocess.CompletedProcess[str]", Path]


def run(path: Path, folder: Path) -> Run:
    """Run an example in an empty folder, with warnings as errors."""
    command = [sys.executable, "-W", "error", str(path)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False), folder


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Path, Future[Run]]]:
    """Run the examples that are asked for, two at a time."""
    tests = (item for item in request.session.items if getattr(item, "originalname", "") == test_example.__name__)
    asked = [item.callspec.params["path"] for item in tests if isinstance(item, pytest.Function)]
    with ThreadPoolExecutor(2) as pool:
        yield {path: pool.submit(run, path, tmp_path_factory.mktemp(path.stem)) for path in asked}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path: Path, runs: dict[Path, Future[Run]]) -> None:
    done, folder = runs[path].result()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert not list(folder.iterdir())  # it neither needs nor leaves anything beside it


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_short_and_listed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < 60
    assert "\nTarget: " in text.split('"""')[1]
    assert f"- `{path.name}`: " in (FOLDER / "README.md").read_text(encoding="utf-8")
