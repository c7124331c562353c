"""What becomes of stored results: tables, the picture, the pages between their markers; the results are made up."""

from __future__ import annotations

import json
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import pytest

from chainrule.bench import picture, report

MACHINE = {
    "processor": "A processor",
    "threads": 2,
    "instruction_set": "avx2",
    "compiler": "GNU 12",
    "numpy": "2.0",
    "blas": "a BLAS 1.0",
    "packages": {"torch": "2.1", "jax": "not installed"},
}
SETTINGS = {"dtype": "float32", "isa": None, "threads": None, "rounds": 7, "quick": False}


def made_up(ours: float = 10.0, agrees: bool = True, **peers: tuple[float, float, float]) -> dict[str, Any]:
    """Return a contest: chainrule's figure, and of each peer the least, the median and the greatest ratio."""
    engines = {
        name: {"median": ours * middle, "range": [1, 2], "agrees": True} for name, (_, middle, _) in peers.items()
    }
    engines["chainrule"] = {"median": ours, "range": [9.0, 12.0], "agrees": agrees}
    ratios = {
        name: {
            "median": middle,
            "range": [low, high],
            "interval": [low, high],
            "verdict": "ahead" if low > 1 else "behind" if high < 1 else "equal",
        }
        for name, (low, middle, high) in peers.items()
    }
    best = min(peers, key=lambda name: peers[name][1], default=None)
    between = {"ceiling, 2 threads": {"median": 60.0, "range": [50.0, 100.0]}}
    return {"engines": engines, "ratios": ratios, "best_peer": best, "between": between}


def training(**changes: Any) -> dict[str, Any]:
    contest = {"numpy": (2.0, 3.0, 4.0), "torch": (0.9, 1.1, 1.2), "jax": (50.0, 60.0, 70.0), **changes}
    workload = {"widths": [3, 8, 4], "batch_size": 32, "operations": 500_000, "optimizers": {"sgd": made_up(**contest)}}
    return {
        "machine": MACHINE,
        "settings": SETTINGS,
        "skipped": {"numba": "Numba is left out"},
        "workloads": {"W1": workload},
    }


def test_the_table_of_training() -> None:
    lines = report.training_table(training(), "sgd", spread=False).splitlines()
    assert lines[0] == "| network | batch | chainrule, µs a step | JAX | PyTorch | NumPy |"
    assert lines[2] == "| 3-8-4 | 32 | 10 | 60.0 | **equal** (0.90 to 1.20) | 3.00 |"
    assert len(lines) == 3
    lines = report.training_table(training(), "sgd", spread=True).splitlines()
    # 500,000 operations in 10 µs are 50 GFLOP/s, of 100.
    assert lines[2].startswith("| W1 | 3-8-4 | 32 | 50% | 10 (9 to 12) | 60.0 (50.0 to 70.0) | ")
    assert lines[2].endswith(" | **equal** (0.90 to 1.20) | 3.00 (2.00 to 4.00) |")
    assert report.training_table(training(), "adam", spread=True) == ""


def test_figures_that_do_not_count() -> None:
    stored = training()
    stored["workloads"]["W1"]["optimizers"]["sgd"]["engines"]["numpy"]["agrees"] = False
    assert report.training_table(stored, "sgd", spread=False).splitlines()[2].endswith("| differs |")
    assert "NumPy" not in picture.draw(stored)
    with pytest.raises(ValueError, match="3-8-4, 32 differ from the reference: its figures do not count"):
        report.training_table(training(agrees=False), "sgd", spread=False)


def test_what_the_figures_were_measured_on() -> None:
    assert report.machine_line(training()) == (
        "A processor, 2 threads, avx2, float32; GNU 12; NumPy 2.0 with a BLAS 1.0, torch 2.1; medians of 7 rounds."
    )


def test_the_sum_of_products() -> None:
    def product(m: int, k: int, n: int, kind: str, form: str, ours: float, ratio: float) -> dict[str, Any]:
        contest = made_up(ours, numpy=(ratio - 0.1, ratio, ratio + 0.1), torch=(8.0, 9.0, 10.0))
        return {"m": m, "k": k, "n": n, "kind": kind, "form": form, "threads": 2, **contest}

    products = [
        product(1, 1, 1, "call", "forward", 0.5, 0.5),
        product(10, 10, 10, "square", "forward", 1.0, 7.0),
        product(100, 100, 100, "square", "forward", 40.0, 1.05),
        product(32, 50, 50, "skinny", "forward", 4.0, 1.5),
        product(50, 64, 50, "skinny", "weight gradient", 8.0, 2.5),
        product(1, 50, 50, "skinny", "forward", 4.0, 0.1),
    ]
    stored = {"machine": MACHINE, "settings": SETTINGS, "skipped": {}, "products": products}
    assert report.products_summary(stored).splitlines()[2:] == [
        "| square, 100 | 2 | 50 | 50% | equal (0.95 to 1.15) |",
        "| batch 32 to 256, 50 wide | 2 | 40 | 40% | 2.00 (1.40 to 2.60) |",
    ]
    lines = report.products_table(stored).splitlines()
    assert lines[2] == "| a bare call | forward | 2 | 0.5 µs | 4.5 µs | 0.25 µs |  | 0.50 (0.40 to 0.60) |"
    assert lines[4].startswith("| 100 x 100 x 100 | forward | 2 | 50 | ")
    assert "equal (0.95 to 1.15)" in lines[4]


def everything() -> dict[str, Any]:
    base = {"machine": MACHINE, "settings": SETTINGS, "skipped": {}}
    contest = made_up(numpy=(2.0, 3.0, 4.0), onnx=(0.5, 0.6, 0.7))
    new_array = {"chainrule-new-array": {"median": 11.0, "range": [10.0, 13.0], "agrees": True}}
    predicted = {**contest, "engines": {**contest["engines"], **new_array}, "skipped": {"jax": "JAX is left out"}}
    figures = {
        "chainrule": {"median": 0.2, "range": [0.1, 0.3]},
        "chainrule-ready": {"median": 1.5, "range": [0.9, 2.0]},
    }
    imported = {**contest, "to_numpy": figures, "ratios_to": "chainrule-ready"}
    return {
        "training": training(),
        "training-float64": training(),
        "prediction": {**base, "networks": [{"widths": [3, 4], "rows": {"1": predicted, "4096": predicted}}]},
        "imports": {**base, "imports": imported},
        "memory": {**base, "steps": 4, "memory": {"import": contest, "W4": made_up(numpy=(1.0, 2.0, 3.0))}},
        "monitoring": {
            **base,
            "widths": [3, 4],
            "metrics": ["accuracy", "f1"],
            "epochs": 1,
            "monitoring": made_up(metrics=(1.01, 1.02, 1.03)),
        },
    }


def test_the_pages() -> None:
    page = report.between_markers(
        f"before\n{report.BEGIN}\nstale\n{report.END}\nafter", report.readme_section(everything())
    )
    assert page.startswith(f"before\n{report.BEGIN}\n\nHow many times faster")
    assert page.endswith(f"\n\n{report.END}\nafter")
    assert "stale" not in page
    assert "| 3-4 | 10 | **0.60** (0.50 to 0.70) | 3.00 |" in page
    assert "that of `import numpy`: 0.20 (0.10 to 0.30); with all" in page
    assert "included: equal (0.90 to 2.00)." in page
    assert "new array" not in page
    assert "(`out=`)" in page

    full = report.page_section(everything())
    assert "### Training, float64" in full
    assert "- Numba is left out" in full
    assert "| network | rows | chainrule, µs | with a new array, µs | ONNX Runtime | NumPy |" in full
    assert "| 3-4 | 4,096 | 10 (9 to 12) | 11 (10 to 13) | **0.60**" in full
    assert full.count("- JAX is left out") == 1
    assert "| | ms | range | times chainrule-ready's |".replace("| |", "|  |") in full
    assert "| 3.00 (2.00 to 4.00) |" in full
    assert "MB; training is 4 steps of SGD:" in full
    assert "3-4, fits of 1 epoch with the metrics accuracy, f1; medians" in full
    assert "| metrics | 10.2 | 1.020 (1.010 to 1.030) |" in full
    assert "| ONNX Runtime | 6 |  |" in full  # of the memory: nothing was trained with it


def test_quick_runs_are_not_reported(tmp_path: Path) -> None:
    stored = training()
    (tmp_path / "training.json").write_text(json.dumps(stored))
    assert report.load(tmp_path) == {"training": stored}
    (tmp_path / "ladder.json").write_text("{}")  # no group of the benchmarks
    assert report.load(tmp_path) == {"training": stored}
    stored["settings"] = {**SETTINGS, "quick": True}
    (tmp_path / "training.json").write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=r"training in .* from a quick run"):
        report.load(tmp_path)


@pytest.mark.parametrize(
    ("what", "part"), [("workloads", ["W1"]), ("engines", ["chainrule", "numpy"]), ("optimizers", ["adam"])]
)
def test_parts_are_not_reported(what: str, part: list[str], tmp_path: Path) -> None:
    whole = {**training(), "settings": {**SETTINGS, **{name: list(full) for name, full in report.FULL.items()}}}
    (tmp_path / "training.json").write_text(json.dumps(whole))
    assert report.load(tmp_path) == {"training": whole}
    whole["settings"][what] = part
    (tmp_path / "training.json").write_text(json.dumps(whole))
    with pytest.raises(ValueError, match=rf"training in .* measured without the {what} "):
        report.load(tmp_path)


def test_equal_is_said_with_its_range_for_every_peer() -> None:
    contest = made_up(numpy=(2.0, 3.0, 4.0), torch=(0.6, 1.0, 1.02), jax=(0.5, 0.7, 0.9))
    assert report.ratio_cell(contest, "torch", spread=False) == "equal (0.60 to 1.02)"
    assert report.ratio_cell(contest, "numpy", spread=False) == "3.00"


def test_the_picture() -> None:
    drawn = picture.draw(training(sklearn=(0.3, 0.4, 0.5)))
    assert drawn == picture.draw(training(sklearn=(0.3, 0.4, 0.5)))
    shapes = xml.etree.ElementTree.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    words = [text.text for text in shapes.iter(f"{space}text")]
    for word in ("3-8-4", "batch 32", "JAX", "60.0×", "PyTorch", "equal", "scikit-learn", "0.40×", "1×"):
        assert word in words
    bars = [
        (float(bar.get("x", "nan")), float(bar.get("width", "nan")))
        for bar in shapes.iter(f"{space}rect")
        if bar.get("x")
    ]
    one = bars[0][0]  # JAX, to the right of 1
    assert [begin == one for begin, _ in bars] == [True, True, False, True]  # scikit-learn's ends there
    assert bars[2][0] + bars[2][1] == pytest.approx(one, abs=0.2)
    # Logarithmic: the bar of 60 is log 60 / log 3 times that of 3.
    assert bars[0][1] / bars[3][1] == pytest.approx(4.0943 / 1.0986, rel=0.01)
    height, width = float(shapes.get("viewBox", "").split()[3]), float(shapes.get("viewBox", "").split()[2])
    for text in shapes.iter(f"{space}text"):
        assert 0 <= float(text.get("x", "nan")) < width - 30
        assert 0 < float(text.get("y", "nan")) < height
