"""`chainrule bench`: bad arguments are one sentence and exit code 2, Ctrl-C is 130 and stores nothing."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chainrule import _engine
from chainrule.bench import command, training
from chainrule.bench.run import Options
from chainrule.bench.surroundings import beyond_avx2, surroundings
from chainrule.bench.workloads import Workload
from chainrule.cli import main


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["trainig"], "products, imports, memory, monitoring, estimators, operations; got trainig"),
        (["--workloads", "W1,W9"], "expected some of W1, W2, W3, W4, W5, W6; got 'W9'"),
        (["--workloads", ""], "got ''"),
        (["--engines", "tensorflow"], "expected some of numpy, torch, torch-compiled"),
        (["--optimizers", "momentum"], "expected some of sgd, adam; got 'momentum'"),
        (["--dtype", "float16"], "invalid choice: 'float16'"),
        (["--isa", "avx1024"], "--isa must be one that this machine runs"),
        (["--rounds", "4"], "expected a whole number from 5 to 1000; got '4'"),
        (["--threads", "two"], "expected a whole number from 1 to 256; got 'two'"),
    ],
)
def test_bad_arguments(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["bench", *arguments])
    except SystemExit as ending:  # argparse's own
        code = int(ending.code or 0)
    printed = capsys.readouterr()
    assert code == 2
    assert sentence in printed.err
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ""


def asked_for(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Options]:
    """Return the options by the group that was asked to run."""
    asked: dict[str, Options] = {}

    def group(name: str) -> Any:
        short = name.rpartition(".")[2]
        return SimpleNamespace(main=lambda options: asked.__setitem__(short, options))

    monkeypatch.setattr(command, "importlib", SimpleNamespace(import_module=group))
    assert main(["bench", *arguments]) == 0
    return asked


def test_everything_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    asked = asked_for([], monkeypatch)
    assert list(asked) == list(command.GROUPS)
    assert set(asked.values()) == {Options(results=Path("chainrule-bench"))}
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    # A folder of that name alone may be anybody's.
    assert asked_for(["imports"], monkeypatch) == {"imports": Options(results=Path("chainrule-bench"))}
    (tmp_path / "benchmarks" / "report.py").touch()
    assert asked_for(["imports"], monkeypatch) == {"imports": Options(results=Path("benchmarks/results"))}


@pytest.mark.parametrize(
    "part", [["--workloads", "W4,W1"], ["--engines", "chainrule"], ["--optimizers", "adam"], ["--quick"]]
)
def test_a_part_is_stored_only_where_it_is_told_to(part: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked_for([*part], monkeypatch)["training"].results is None
    options = asked_for([*part, "--results", "here"], monkeypatch)["training"]
    assert options.results == Path("here")
    if part[0] == "--workloads":
        assert options.workloads == ("W1", "W4")
    assert options.rounds == (5 if part == ["--quick"] else 7)


def test_groups_exist() -> None:
    for group in command.GROUPS:
        assert callable(importlib.import_module(f"chainrule.bench.{group}").main)


def test_ctrl_c_stores_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured: list[str] = []

    def measure(*_: Any, title: str, **__: Any) -> dict[str, Any]:
        measured.append(title)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return {"engines": {}, "ratios": {}, "between": {}, "best_peer": None, "skipped": {}}

    monkeypatch.setattr(training, "measure", measure)
    monkeypatch.setattr(training, "WORKLOADS", {"W1": Workload((2, 2), 2, 2)})
    assert main(["bench", "training", "--workloads", "W1", "--results", str(tmp_path)]) == 130
    assert measured == ["W1 sgd", "W1 adam"]
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err.endswith("chainrule: stopped\n")


def test_threads_are_chosen_for_a_process_of_its_own(tmp_path: Path) -> None:
    words = ["bench", "imports", "--engines", "numpy", "--threads", "1", "--quick", "--results", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if name != command.MARK}
    environment["OMP_NUM_THREADS"] = "2"
    done = subprocess.run(
        [sys.executable, "-m", "chainrule", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, "1/1  imports\n")
    stored = json.loads((tmp_path / "imports-threads1.json").read_text())
    assert stored["machine"]["threads"] == 1
    assert stored["settings"]["threads"] == 1


def test_the_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert surroundings(None, None) == {}
    assert set(surroundings(None, 3).values()) == {"3"}
    assert surroundings("baseline", None) == {"CHAINRULE_ISA": "baseline"}
    told = surroundings("avx2", None)
    assert told["OPENBLAS_CORETYPE"] == "Haswell"
    monkeypatch.setenv("XLA_FLAGS", "--xla_one --xla_two")
    assert surroundings("avx2", None)["XLA_FLAGS"] == "--xla_one --xla_two --xla_cpu_max_isa=AVX2"
    monkeypatch.delenv("XLA_FLAGS")
    assert surroundings("avx2", None)["XLA_FLAGS"] == "--xla_cpu_max_isa=AVX2"
    assert told.get("NPY_DISABLE_CPU_FEATURES", "").split() == beyond_avx2()


def test_numpy_can_do_without_what_is_beyond_avx2() -> None:
    if "avx2" not in _engine.isas():
        pytest.skip("this machine does not run AVX2")
    code = "import numpy; print(numpy.__version__)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | surroundings("avx2", None),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"{np.__version__}\n", "")


def test_importing_chainrule_loads_no_benchmark() -> None:
    code = "import sys, chainrule, chainrule.cli; print([name for name in sys.modules if 'chainrule.bench' in name])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize(("command_line", "loaded"), [("info", False), ("bench --help", True)])
def test_only_bench_loads_the_benchmarks(command_line: str, loaded: bool) -> None:
    code = (
        "import sys\nfrom chainrule.cli import main\n"
        f"try: main({command_line.split()!r})\nexcept SystemExit: pass\n"
        "print(any(name.startswith('chainrule.bench') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == str(loaded)
