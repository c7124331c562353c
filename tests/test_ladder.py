"""The ladder of matrix products: every rung gives the product, on sizes that fit no tile, 1 and 0. Nothing is timed."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "ladder"
# (m, k, n): nothing to do, one element, thin ones, around the tiles of 4 to 8 rows and 8 to 48 columns, and around the
# blocks of 120 rows and 256 terms.
SHAPES = [
    *((0, 0, 0), (0, 3, 5), (4, 0, 24), (3, 0, 5), (6, 2, 0)),
    *((1, 1, 1), (1, 7, 1), (1, 300, 49), (70, 3, 1), (3, 5, 7)),
    *((6, 9, 16), (8, 8, 48), (8, 17, 47), (9, 16, 49), (16, 33, 97), (5, 21, 23), (7, 1, 25)),
    *((120, 256, 48), (121, 257, 51), (131, 600, 100), (241, 255, 145)),
]


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    """Return the scripts as modules, and forget them afterwards."""
    names = ("rungs", "climb")
    path = list(sys.path)
    sys.path.insert(0, str(FOLDER))
    for name in names:
        sys.modules.pop(name, None)
    yield {name: importlib.import_module(name) for name in names}
    sys.path[:] = path
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def ladder(modules: dict[str, ModuleType], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return all rungs, built."""
    rungs = modules["rungs"]
    try:
        rungs.compiler()
    except RuntimeError as error:
        pytest.skip(f"the rungs cannot be built: {error}")
    folder = tmp_path_factory.mktemp("ladder")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rungs, "threads_of", lambda name: 3)  # shares of unequal size, on any machine
        return {name: rungs.build(name, folder) for name in rungs.NAMES}


def test_every_rung_gives_the_product(modules: dict[str, ModuleType], ladder: dict[str, Any]) -> None:
    assert list(ladder) == [*(file.stem[2:] for file in sorted(FOLDER.glob("*.cpp"))), "shipped"]
    for name, multiply in ladder.items():
        for shape in SHAPES:
            try:
                modules["rungs"].check(multiply, *shape)
            except ValueError as error:
                raise AssertionError(f"{name}: {error}") from error


def test_threads_change_no_bit(ladder: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    for m, k, n in SHAPES:
        a, b = rng.standard_normal((m, k), dtype=np.float32), rng.standard_normal((k, n), dtype=np.float32)
        c = [np.full((m, n), np.nan, np.float32) for _ in range(2)]
        products = ladder["packed_panels"](a, b, c[0]), ladder["threads"](a, b, c[1])
        assert products[0].tobytes() == products[1].tobytes(), (m, k, n)


def wrong_products() -> dict[str, Any]:
    """Return what a wrong rung could do, by what the check must say of it."""

    def untouched(a: Any, b: Any, c: Any) -> Any:
        return c

    def one_off(a: Any, b: Any, c: Any) -> Any:
        c[...] = a @ b
        c[-1, -1] *= 1.001
        return c

    def beyond(a: Any, b: Any, c: Any) -> Any:
        c[...] = a @ b
        c.base[64 + c.size] = 0  # the first number after c
        return c

    return {
        "35 of 35 elements are wrong": untouched,
        "1 of 35 elements are wrong": one_off,
        "something beside c": beyond,
        "has the shape": lambda a, b, c: b @ a if a.shape == b.shape else a,
    }


@pytest.mark.parametrize("message", list(wrong_products()))
def test_a_wrong_rung_is_found(modules: dict[str, ModuleType], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        modules["rungs"].check(wrong_products()[message], 5, 3, 7)


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.*")), ids=lambda file: file.name)
def test_a_rung_is_one_idea(file: Path) -> None:
    """Under 80 lines; a rung opens with its number and name, a formula, what was wrong and what it changes."""
    lines = file.read_text().splitlines()
    if file.suffix in (".cpp", ".h"):
        assert len(lines) < 80, f"{file.name} has {len(lines)} lines: one idea a file, fewer than 80 lines"
    if file.suffix == ".cpp":
        number, _, name = file.stem.partition("_")
        head = "\n".join(lines[: next(at for at, line in enumerate(lines) if not line.startswith("//"))])
        assert head.startswith(f"// Rung {number}, {name.replace('_', ' ')}: ")
        assert "\n//   c[" in head, f"{file.name} opens without its formula"
        assert "\n// Before: " in head, f"{file.name} does not say what was wrong with the rung before"
        assert number == "1" or "\n// Now: " in head, f"{file.name} does not say what it changes"


def test_a_compiler_that_is_not_there_is_named(
    modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(RuntimeError, match="'no-such-compiler' is not found"):
        modules["rungs"].build("naive", tmp_path)


def test_from_the_climb_to_the_table(
    modules: dict[str, ModuleType],
    ladder: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    climb = modules["climb"]
    for name in ("REST_SECONDS", "TURN_SECONDS"):
        monkeypatch.setattr(climb, name, 0.0)
    monkeypatch.setattr(climb, "CEILING_SECONDS", 0.001)
    monkeypatch.setattr(climb, "SIZES", [24, 17])
    monkeypatch.setattr(climb, "RESULTS", tmp_path)
    monkeypatch.setattr(modules["rungs"], "build", lambda name, folder: ladder[name])
    for part in (["--rounds", "5", "--sizes", "24"], ["--rounds", "4", "--sizes", "24", "17"]):
        monkeypatch.setattr(sys, "argv", ["climb.py", *part])
        climb.main()
        assert not list(tmp_path.iterdir()), "only a whole climb is stored"
    monkeypatch.setattr(sys, "argv", ["climb.py", "--rounds", "5", "--sizes", "24", "17"])
    climb.main()
    stored = json.loads((tmp_path / "ladder.json").read_text())
    assert list(stored["sizes"]) == ["24", "17"]
    first = stored["sizes"]["24"]["rungs"]
    assert list(first) == list(ladder)
    assert [name for name in first if name not in stored["sizes"]["17"]["rungs"]] == ["naive", "loop_order"]
    for figures in first.values():
        for figure in ("gflops", "step", "total", "share"):
            low, high = figures[figure]["range"]
            assert 0 < low <= figures[figure]["median"] <= high
    assert first["naive"]["step"]["median"] == first["naive"]["total"]["median"] == 1

    page = climb.updated((FOLDER / "README.md").read_text())
    rows = [line for line in page.splitlines() if line.startswith("| [")]
    assert len(rows) == len(ladder)
    assert rows[0].startswith("| [naive](1_naive.cpp) | 1 | ")
    assert rows[0].endswith(" |  |")
    assert stored["machine"]["processor"] in page


def test_the_figures_of_the_page_are_the_stored_ones(modules: dict[str, ModuleType]) -> None:
    page = (FOLDER / "README.md").read_text()
    assert modules["climb"].updated(page) == page, "run python benchmarks/ladder/climb.py --report"


def test_the_page_tells_of_every_rung(modules: dict[str, ModuleType]) -> None:
    page = (FOLDER / "README.md").read_text()
    for number, name in enumerate(modules["rungs"].NAMES, start=1):
        assert f"\n## {number}. {name.replace('_', ' ').capitalize()}\n" in page
    for target in re.findall(r"\]\(([^)#:]+)\)", page):
        assert (FOLDER / target).exists(), f"the page links to {target}, which does not exist"
