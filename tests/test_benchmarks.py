"""The benchmarks run, on workloads far too small to say anything, and count right. No time is judged here."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, ModuleType]]:
    """Return the scripts as modules; they rest no time between turns, and store into an empty folder."""
    monkeypatch.syspath_prepend(FOLDER)
    names = ("harness", "train", "import_time", "report")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    modules = {name: importlib.import_module(name) for name in names}
    monkeypatch.setattr(modules["harness"], "REST_SECONDS", 0.0)
    monkeypatch.setattr(modules["harness"], "RESULTS", tmp_path)
    yield modules
    for name in names:
        sys.modules.pop(name, None)


def test_a_contest_forms_ratios_within_a_round(imported: dict[str, ModuleType]) -> None:
    harness, called = imported["harness"], []
    # The warm-up first, then a slow machine in the second round: both are slower there, and the ratio is not.
    times = {"slow": iter([999.0, 100, 400, 120, 80, 100]), "fast": iter([999.0, 10, 40, 10, 10, 20])}

    def engine(name: str, loss: float) -> Any:
        def turn() -> Any:
            called.append(name)
            return harness.Turn(next(times[name]), loss)

        return turn

    engines = {"slow": engine("slow", 0.5), "fast": engine("fast", 0.5004)}
    figures = harness.contest(engines, baseline="slow", rounds=5)
    assert called[:6] == ["slow", "fast", "slow", "fast", "fast", "slow"]  # they take turns at beginning
    assert len(called) == 12
    assert figures["slow"]["ratio"] == 1
    fast = figures["fast"]
    assert (fast["microseconds"], fast["microseconds_range"]) == (10, [10, 40])
    assert (fast["ratio"], fast["ratio_range"]) == (10, [5, 12])
    assert (fast["loss"], fast["loss_agrees"]) == (0.5004, True)


@pytest.mark.parametrize(("loss", "agrees"), [(0.5, True), (0.5004, True), (0.501, False), (float("nan"), False)])
def test_losses_must_agree(imported: dict[str, ModuleType], loss: float, agrees: bool) -> None:
    harness = imported["harness"]
    engines = {"one": lambda: harness.Turn(1.0, 0.5), "other": lambda: harness.Turn(1.0, loss)}
    assert harness.contest(engines, baseline="one", rounds=5)["other"]["loss_agrees"] is agrees


def test_too_few_rounds_are_refused(imported: dict[str, ModuleType]) -> None:
    with pytest.raises(ValueError, match="rounds must be at least 5; got 4"):
        imported["harness"].contest({}, baseline="one", rounds=4)


def test_training_from_the_measurement_to_the_table(
    imported: dict[str, ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train, report = imported["train"], imported["report"]
    workloads = {"W1": train.Workload((3, 8, 4), 8, 5, 2), "W2": train.Workload((5, 7, 6, 2), 16, 3, 1)}
    monkeypatch.setattr(train, "WORKLOADS", workloads)
    monkeypatch.setattr(sys, "argv", ["train.py", "--rounds", "5"])
    train.main()
    assert "LOSSES DIFFER" not in capsys.readouterr().out
    stored = json.loads((tmp_path / "train.json").read_text())
    for name, workload in workloads.items():
        engines = stored["workloads"][name]["engines"]
        assert list(engines) == ["numpy", "chainrule"]
        assert engines["chainrule"]["loss_agrees"] is True
        assert engines["chainrule"]["loss"] > 0
        assert stored["workloads"][name]["widths"] == list(workload.widths)

    lines = report.table(stored).splitlines()
    assert lines[2].startswith("| 3-8-4 | 8 | ")
    assert lines[3].startswith("| 5-7-6-2 | 16 | ")
    assert all(len(line.split("|")) == 7 for line in lines[:4])
    assert stored["machine"]["processor"] in lines[-1]

    stored["workloads"]["W2"]["engines"]["chainrule"]["loss_agrees"] = False
    with pytest.raises(ValueError, match="its figures do not count"):
        report.table(stored)


def test_a_part_of_the_workloads_is_not_stored(
    imported: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = imported["train"]
    workloads = {name: train.Workload((2, 2), 4, 2, 1) for name in ("W1", "W2")}
    monkeypatch.setattr(train, "WORKLOADS", workloads)
    monkeypatch.setattr(sys, "argv", ["train.py", "--rounds", "5", "--workloads", "W2"])
    train.main()
    assert not list(tmp_path.iterdir())


def test_an_import_is_measured(imported: dict[str, ModuleType]) -> None:
    turn = imported["import_time"].importing("pass")
    assert turn.microseconds >= 0
    assert turn.loss == 0
