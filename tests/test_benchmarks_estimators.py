"""The benchmark of the estimators: a seed a round for both, scores told with their errors, and the page of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.bench import estimators, report
from chainrule.bench.run import Options

pytest.importorskip("sklearn", reason="scikit-learn's estimators are the measure")


def made(options: Options) -> dict[str, estimators.Problem]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    X[:, 2] = 7  # a column without deviation
    return {
        "classes": estimators.Problem(X, (X[:, 0] > 0).astype(int), True),
        "numbers": estimators.Problem(X, X[:, 1], False),
    }


def test_estimators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(estimators, "problems", made)
    estimators.main(Options(rounds=5, quick=True, results=tmp_path))
    stored: dict[str, Any] = json.loads((tmp_path / "estimators.json").read_text())
    assert list(stored["problems"]) == ["classes", "numbers"]
    for one in stored["problems"].values():
        assert {name: len(scores) for name, scores in one["scores"].items()} == {"chainrule": 5, "sklearn": 5}
        assert len(one["ratios"]["sklearn"]["rounds"]) == 5
        assert len(set(one["scores"]["chainrule"])) > 1  # of other seeds
    assert "numbers" in capsys.readouterr().out
    page = report.page_section({"estimators": stored})
    assert "| classes, 60 × 3 |" in page
    assert "| data | ms a fit | times faster | score | scikit-learn's | no worse |" in page


def test_without_the_other_nothing_is_measured(tmp_path: Path) -> None:
    assert estimators.main(Options(engines=("chainrule",), rounds=5, results=tmp_path)) == {}
    assert not list(tmp_path.iterdir())


def test_no_worse_is_judged_by_a_standard_error() -> None:
    # Means 0.9 and 0.92; variances 0.0004 and 0.0001 over two seeds: an error of 0.0158.
    assert not estimators.no_worse([0.88586, 0.91414], [0.91293, 0.92707])
    assert estimators.no_worse([0.905 - 0.01414, 0.905 + 0.01414], [0.91293, 0.92707])
    assert estimators.no_worse([1.0, 0.9], [0.8, 0.8])


def test_the_problems() -> None:
    found = estimators.problems(Options())
    names = ["iris", "wine", "breast cancer", "digits", "diabetes", "made classes", "made numbers"]
    assert list(found) == names
    assert all(len(one.X) == len(one.y) for one in found.values())
    folder = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist10k"
    if not folder.exists():
        pytest.skip("MNIST's test part is not in ../shared/data/mnist10k")
    pictures = estimators.problems(Options(data=folder))["MNIST-10k"]
    assert (pictures.X.shape, len(np.unique(pictures.y))) == ((10_000, 784), 10)


def test_the_sentence_of_the_readme() -> None:
    problems = {
        name: {"ratios": {"sklearn": {"median": median}}, "no_worse": good}
        for name, median, good in (("wine", 5.04, True), ("digits", 3.96, False), ("iris", 8.44, True))
    }
    said = report.readme_section({"estimators": {"settings": {"dtype": "float64"}, "problems": problems}})
    assert said == (
        "Fits of `chainrule.sklearn` with scikit-learn's defaults, in float64, are 4.0 (digits) to 8.4 times (iris) as "
        "fast as scikit-learn's; on 2 of 3 data sets the score is no worse."
    )
