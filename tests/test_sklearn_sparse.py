"""The estimators of `chainrule.sklearn` on sparse rows: the same as on dense ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

pytest.importorskip("sklearn")

from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline

from chainrule.sklearn import MLPClassifier, MLPRegressor

CLOSE: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-10}


def rows_and_classes(dtype: Any = float) -> tuple[sparse.csr_array, npt.NDArray[Any]]:
    rng = np.random.default_rng(0)
    X = sparse.random_array((150, 30), density=0.1, rng=rng, format="csr", dtype=float).astype(dtype)
    return X, np.asarray(X[:, :15].sum(axis=1)).ravel() > np.asarray(X[:, 15:].sum(axis=1)).ravel()


OPTIONS: dict[str, dict[str, Any]] = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate": "adaptive"},
    "lbfgs": {"solver": "lbfgs"},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 3},
    "normalised": {"batch_norm": True, "dropout": 0.2, "class_weight": "balanced"},
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("made", [sparse.csr_array, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_classifier_is_that_of_the_dense_rows(name: str, made: Any) -> None:
    X, y = rows_and_classes()
    models = [
        MLPClassifier((8,), max_iter=8, random_state=0, **OPTIONS[name]).fit(rows, y) for rows in (made(X), X.toarray())
    ]
    for one, other in zip(
        models[0].coefs_ + models[0].intercepts_, models[1].coefs_ + models[1].intercepts_, strict=True
    ):
        assert_allclose(one, other, **CLOSE)
    assert_allclose(models[0].predict_proba(made(X)), models[1].predict_proba(X.toarray()), **CLOSE)
    assert models[0].n_iter_ == models[1].n_iter_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_regressor_in_parts_and_with_a_validation_part_of_its_own() -> None:
    X, _ = rows_and_classes()
    target = np.asarray(X.sum(axis=1)).ravel()
    found = []
    for rows in (X, X.toarray()):
        model = MLPRegressor(hidden_layer_sizes=(8,), max_iter=5, random_state=0)
        model.fit(rows[:100], target[:100], X_val=rows[100:], y_val=target[100:])
        model.partial_fit(rows[:70], target[:70])
        found.append((model.predict(rows), model.validation_curve_))
    for one, other in zip(*found, strict=True):
        assert_allclose(one, other, **CLOSE)
    single = MLPRegressor(hidden_layer_sizes=(8,), max_iter=3, random_state=0).fit(X.astype(np.float32), target)
    assert single.coefs_[0].dtype == np.float32
    assert single.predict(X.astype(np.float32)).dtype == np.float32


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_words_in_a_pipeline() -> None:
    words = {"good": ["sun", "cake", "song"], "bad": ["rain", "cold", "noise"]}
    rng = np.random.default_rng(0)
    y = rng.choice(["good", "bad"], 120)
    texts = [" ".join([*rng.choice(words[kind], 3), *rng.choice(["the", "of", "and", "it"], 5)]) for kind in y]
    model = make_pipeline(CountVectorizer(), MLPClassifier((8,), learning_rate_init=0.02, max_iter=40, random_state=0))
    model.fit(texts[:80], y[:80])
    assert_array_equal(model.predict(texts[80:]), y[80:])


def test_tags_say_where_sparse_rows_are_taken() -> None:
    assert MLPClassifier().__sklearn_tags__().input_tags.sparse
    assert MLPRegressor().__sklearn_tags__().input_tags.sparse
    assert not MLPClassifier(device="cuda").__sklearn_tags__().input_tags.sparse
