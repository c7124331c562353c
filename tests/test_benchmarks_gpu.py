"""The benchmarks of a GPU: what is kept when something fails, what counts, and what becomes of it on a page.

A quick run of them on a GPU stands in test_cuda.py. No time is judged.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gpu import needs_no_gpu, why_no_gpu
from test_benchmarks_engines import loaded
from test_benchmarks_pages import MACHINE, made_up

from chainrule.bench import report
from chainrule.bench.engines import chainrule
from chainrule.bench.gpu import command, ledger, products, training
from chainrule.bench.gpu.ledger import Ledger, Options
from chainrule.bench.products import check
from chainrule.bench.training import agree
from chainrule.bench.workloads import Course, Resident, Workload, make_setting


@needs_no_gpu
def test_without_a_gpu_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--quick"]) == 1
    assert capsys.readouterr().out == f"nothing is measured: {why_no_gpu}\n"


def test_parts_have_names(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["product"])
    assert "PART must be products or training; got product" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------------- what is kept


@pytest.fixture
def somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "description", lambda: {"commit": "abc", "gpu": {"capability": [9, 0]}})


def options(folder: Path | None, **changes: Any) -> Options:
    return Options(
        **{"parts": ledger.PARTS, "results": folder, "seconds": math.inf, "rounds": 5, "quick": True, **changes}
    )


def contest(title: str, agrees: bool = True) -> dict[str, Any]:
    return {"title": title, "engines": {"chainrule": {"agrees": agrees}}}


def fails() -> dict[str, Any]:
    raise RuntimeError("CUDA: an operation on the GPU failed: /some/where/file.cu:3\nand more")


@pytest.mark.usefixtures("somewhere")
def test_what_fails_is_told_and_stops_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = Ledger("products", options(tmp_path))
    kept.add("first", fails, str)
    stored = json.loads((tmp_path / "gpu.json").read_text())["products"]  # at once
    assert stored["failed"] == {"first": "first failed: RuntimeError: CUDA: an operation on the GPU failed: file.cu:3"}
    kept.add("second", lambda: contest("second"), lambda result: result["title"])
    kept.add("third", lambda: contest("third", False), lambda result: result["title"])
    assert kept.finish() == 2
    assert [one["title"] for one in json.loads((tmp_path / "gpu.json").read_text())["products"]["contests"]] == [
        "second",
        "third",
    ]
    printed = capsys.readouterr()
    assert "third: chainrule's results differ" in printed.out
    assert "Traceback" in printed.err


@pytest.mark.usefixtures("somewhere")
def test_a_part_keeps_the_other_of_the_same_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ledger.PARTS:
        Ledger(part, options(tmp_path)).finish()
    file = tmp_path / "gpu.json"
    assert set(json.loads(file.read_text())) == {"machine", "settings", *ledger.PARTS}
    Ledger("training", options(tmp_path, rounds=7)).finish()
    assert "products" not in json.loads(file.read_text())
    monkeypatch.setattr(ledger, "description", lambda: {"commit": "def"})
    Ledger("products", options(tmp_path, rounds=7)).finish()
    assert "training" not in json.loads(file.read_text())


@pytest.mark.usefixtures("somewhere")
def test_no_contest_begins_when_time_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    kept = Ledger("training", options(None, seconds=0.0))
    kept.add("W4", fails, str)
    assert kept.finish() == 0
    assert "W4 is left out: no time was left" in capsys.readouterr().out


def test_the_commit_is_known_or_said_to_be_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert ledger.commit() == "unknown"
    monkeypatch.setenv("CHAINRULE_COMMIT", "1234")
    assert ledger.commit() == "1234"


# ------------------------------------------------------------------------------------------------- what is measured


def test_the_shapes() -> None:
    found = products.shapes(quick=False)
    assert [one.m for one in found if one.kind == "square"] == [512, 1024, 2048, 4096, 8192]
    assert found[-1].m == found[-1].n == found[-1].k == 8192  # what takes longest
    assert (784, 128, 512, "skinny", "weight gradient") in found
    assert (64, 65536, 64, "skinny", "weight gradient") in found
    assert max(max(one[:3]) for one in found) <= 65536  # what matmul_seconds takes


@pytest.mark.parametrize("bits", [8, 11])
def test_rounded_factors_are_right_where_they_are_asked_for(bits: int) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape, np.float32) for shape in ((40, 50), (50, 30)))

    def rounded(x: Any) -> Any:
        mantissa, exponent = np.frexp(x)
        return np.ldexp(np.round(mantissa * 2.0**bits) / 2.0**bits, exponent)

    out = rounded(a) @ rounded(b)
    assert check(a, b, 2.0**-bits)(out)
    assert not check(a, b)(out)
    assert not check(a, b, 2.0**-bits)(-out)


def test_an_engine_that_learns_something_else_does_not_count() -> None:
    def trained(*losses: float) -> Resident:
        return Resident(lambda: None, lambda epochs, shuffle: Course(losses[:epochs], 1e-3 * epochs, 5e-4 * epochs))

    how: dict[str, Any] = {"steps": 10, "expected": [2.0, 1.9], "tolerance": 1e-3, "shuffle": True, "seconds": 2e-3}
    right = training.Entrant(trained(2.0, 1.9), **how)
    assert (right.epochs, right.is_right()) == (2, True)
    figure, agrees = right.turn()
    assert (round(figure, 6), agrees) == (100, True)
    assert right.gpu_us == [pytest.approx(50)]
    assert not training.Entrant(trained(2.1, 1.9), **how).turn().agrees
    assert not training.Entrant(trained(2.0, math.nan), **how).turn().agrees
    assert not training.Entrant(trained(2.0), **how).turn().agrees  # it stopped after an epoch


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("widths", [(6, 7, 4), (6, 7, 1)])
def test_pytorch_learns_the_same(widths: tuple[int, ...], optimizer: str) -> None:
    loaded("torch")
    from chainrule.bench.engines import torch_gpu

    setting = make_setting(Workload(widths, 16, 4), optimizer, "float32")
    ours = chainrule.resident_training(setting, "cpu")
    theirs = torch_gpu.resident_training(setting, way="eager", device="cpu")
    for one in (ours, theirs):
        one.reset()
        one.run(3, True)  # and all is forgotten
    np.testing.assert_allclose(training.in_order(theirs), training.in_order(ours), rtol=1e-5)
    assert theirs.run(1, True).gpu_seconds is None

    rounded = torch_gpu.resident_training(setting, way="eager", device="cpu", precision="bfloat16")
    losses, exact = training.in_order(rounded), training.in_order(ours)
    assert agree(losses, exact, training.TOLERANCES["bfloat16"])
    assert not np.allclose(losses, exact, rtol=1e-5)  # it does round


# ------------------------------------------------------------------------------------------------------- the pages


def test_the_page_of_a_gpu(tmp_path: Path) -> None:
    gpu = {"name": "A GPU", "processors": 132, "driver": [13, 0], "runtime": [13, 1]}
    trained = {
        **{"title": "G1 adam", "widths": [28, 8, 1], "batch_size": 8192, "operations": 10**9, "optimizer": "adam"},
        "precision": "float32",
        **made_up(1000.0, **{"torch": (2.0, 3.0, 4.0), "torch-graph": (0.5, 0.6, 0.7)}),
    }
    multiplied = {
        **{"title": "one", "m": 1000, "k": 1000, "n": 500, "kind": "square", "form": "forward", "precision": "tf32"},
        **made_up(100.0, torch=(0.8, 0.9, 1.0)),
    }
    stored = {
        "machine": {**MACHINE, "gpu": gpu, "commit": "abc"},
        "settings": {"dtype": "float32", "rounds": 5, "quick": False},
        "products": {"skipped": {"bfloat16": "bfloat16 is left out"}, "failed": {}, "contests": [multiplied]},
        "training": {"skipped": {}, "failed": {"W4 sgd": "W4 sgd failed: why"}, "contests": [trained]},
    }
    (tmp_path / "gpu.json").write_text(json.dumps(stored))
    page = report.page_section(report.load(tmp_path))
    assert page.startswith("### GPU\n\nAdam, data on the GPU")
    assert "| chainrule, µs a step | PyTorch | PyTorch, CUDA graph |" in page
    assert "| G1 | 28-8-1 | 8,192 | 1 |  | 1,000 (9 to 12) | 3.00 (2.00 to 4.00) | **0.60** (0.50 to 0.70) |" in page
    assert "| 1000 x 1000 x 500 | forward | tf32 | 10 | 11.1 | equal (0.80 to 1.00) |" in page
    assert (
        "- bfloat16 is left out\n\n- W4 sgd failed: why\n\nA GPU, 132 multiprocessors, CUDA 13.1, driver's 13.0" in page
    )
    multiplied["engines"]["chainrule"]["agrees"] = False
    with pytest.raises(ValueError, match="the product one is wrong"):
        report.gpu_parts(stored)
