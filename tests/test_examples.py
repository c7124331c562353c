"""Every example runs, reaches the number it states (or exits with an error), is short and is named in the list."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path: Path, tmp_path: Path) -> None:
    # In an empty folder, with warnings as errors: an example neither needs nor leaves anything beside it.
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_short_and_listed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < 60
    assert "\nTarget: " in text.split('"""')[1]
    assert f"- `{path.name}`: " in (FOLDER / "README.md").read_text(encoding="utf-8")
