"""Learning rates that change while SGD has momentum: the same weights as scikit-learn's, which is the judge."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from gpu import needs_gpu

pytest.importorskip("sklearn", reason="needs scikit-learn")

from sklearn import neural_network as theirs
from sklearn.datasets import load_iris
from sklearn.preprocessing import scale

from chainrule import sklearn as ours

X, Y = load_iris(return_X_y=True)
X = scale(X)
# All rows in one batch and in their order: what may differ is rounding, over some hundred steps.
IN_ORDER = {"hidden_layer_sizes": (6,), "solver": "sgd", "batch_size": len(X), "shuffle": False, "random_state": 0}
CLOSE = 1e-10
RATES = {
    "invscaling": {"learning_rate": "invscaling", "learning_rate_init": 1.0, "max_iter": 60},
    "adaptive": {
        "learning_rate": "adaptive",
        "learning_rate_init": 0.5,
        "tol": 0.01,
        "n_iter_no_change": 2,
        "max_iter": 120,
    },
}


def fitted(library, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not all end by themselves
        return library.MLPClassifier(**IN_ORDER, **options).fit(X, Y)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("rates", RATES.values(), ids=RATES.keys())
def test_momentum_remembers_steps(rates, nesterov, momentum):
    options = {**rates, "momentum": momentum, "nesterovs_momentum": nesterov}
    expected, found = fitted(theirs, **options), fitted(ours, **options)
    assert found.n_iter_ == expected.n_iter_
    for mine, others in zip(found.coefs_ + found.intercepts_, expected.coefs_ + expected.intercepts_, strict=True):
        assert (np.abs(mine - others) <= CLOSE).all()


@needs_gpu
def test_momentum_remembers_steps_on_a_gpu():
    options = {**RATES["invscaling"], "max_iter": 9}
    expected, found = fitted(theirs, **options), fitted(ours, device="cuda", **options)
    assert all(
        (np.abs(mine - others) <= CLOSE).all() for mine, others in zip(found.coefs_, expected.coefs_, strict=True)
    )


def test_the_rates_did_change():
    for rates in RATES.values():
        seen = fitted(ours, **rates).history_["learning_rate"]
        assert len(set(seen)) > 3
