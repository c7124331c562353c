"""What scikit-learn asks of estimators: its checks, and its own tests of its perceptrons with ours in their place."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn", reason="the estimators need scikit-learn")

from sklearn.utils.estimator_checks import estimator_checks_generator

from chainrule.sklearn import MLPClassifier, MLPRegressor

# As scikit-learn checks its own: few iterations; those of weights with steps of all rows, which draw nothing.
CHECKED = [MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)]
WEIGHED = [MLPClassifier(solver="lbfgs"), MLPRegressor(solver="sgd", tol=1e-2, random_state=42)]
# Tests of what is private to scikit-learn's classes, with what they ask for.
PRIVATE = {
    "test_gradient": "_loss_grad_lbfgs, the objective over one array; tests/test_gradients.py judges gradients",
    "test_learning_rate_warmstart": "_optimizer.learning_rate, an object of scikit-learn's",
    "test_adaptive_learning_rate": "_optimizer.learning_rate, an object of scikit-learn's",
}


def checks() -> list[Any]:
    """Return each check with its estimator."""
    found = [pair for one in CHECKED for pair in estimator_checks_generator(one, mark=None)]
    weighed = [pair for one in WEIGHED for pair in estimator_checks_generator(one, mark=None)]
    chosen = [*found, *(pair for pair in weighed if "sample_weight" in name_of(pair[1]))]
    return [pytest.param(*pair, id=f"{type(pair[0]).__name__}-{name_of(pair[1])}") for pair in chosen]


def name_of(check: Any) -> str:
    return str(getattr(check, "func", check).__name__)


@pytest.mark.filterwarnings("ignore")  # checks give what nobody would train on
@pytest.mark.parametrize(("estimator", "check"), checks())
def test_check(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def test_the_tests_of_scikit_learn() -> None:
    here = Path(__file__).parent
    command = f"{sys.executable} -m pytest -q -p sklearn_in_place -p no:cacheprovider --pyargs"
    said = subprocess.run(
        [*command.split(), "sklearn.neural_network.tests.test_mlp"],
        capture_output=True,
        text=True,
        check=False,
        cwd=here,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")])},
    ).stdout
    failed = set(re.findall(r"^FAILED \S*::(\w+)", said, re.MULTILINE))
    passed = re.search(r"(\d+) passed", said)
    assert failed == set(PRIVATE), said
    assert passed
    assert int(passed[1]) >= 45
