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

from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

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


@pytest.mark.filterwarnings("ignore")  # checks give what nobody would train on
@parametrize_with_checks(CHECKED)  # type: ignore[untyped-decorator]
def test_check(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def of_weights() -> list[Any]:
    """Return the checks of weights with their estimators."""
    found = [pair for one in WEIGHED for pair in estimator_checks_generator(one, mark=None)]
    named = [(estimator, check, check.func.__name__) for estimator, check in found]
    return [
        pytest.param(*pair, id=f"{type(pair[0]).__name__}-{name}") for *pair, name in named if "sample_weight" in name
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), of_weights())
def test_weights_are_repeated_rows(estimator: Any, check: Callable[[Any], None]) -> None:
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
