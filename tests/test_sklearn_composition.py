"""The estimators in scikit-learn's company: pipelines, searches, ensembles, frames, and joblib's ways to run."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the estimators need scikit-learn")

import joblib
from sklearn import config_context, ensemble, set_config
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule.sklearn import MLPClassifier, MLPRegressor

IRIS, KINDS = load_iris(return_X_y=True)
DIABETES, SUGAR = load_diabetes(return_X_y=True)
IRIS, SUGAR = (IRIS - IRIS.mean(axis=0)) / IRIS.std(axis=0), (SUGAR - SUGAR.mean()) / SUGAR.std()


@pytest.fixture(autouse=True)
def unfinished() -> Iterator[None]:
    """Let fits end before they converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


SMALL: dict[str, Any] = {"hidden_layer_sizes": (16,), "max_iter": 60, "learning_rate_init": 0.02, "random_state": 0}


def classifier(**options: Any) -> MLPClassifier:
    return MLPClassifier(**{**SMALL, **options})


def regressor(**options: Any) -> MLPRegressor:
    return MLPRegressor(**{**SMALL, **options})


SEARCHES = {
    "grid": lambda model: GridSearchCV(model, {"dropout": [0.0, 0.9], "activation": ["tanh", "elu"]}, cv=3),
    "random": lambda model: RandomizedSearchCV(model, {"alpha": [1e-4, 100.0]}, n_iter=2, cv=3),
    "halving": lambda model: HalvingRandomSearchCV(
        model, {"alpha": [1e-4, 100.0]}, n_candidates=2, cv=3, random_state=0
    ),
}


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_searches_find_what_learns(search: Any) -> None:
    found = search(classifier()).fit(IRIS, KINDS)
    assert found.best_score_ > 0.9
    best = {"dropout": 0.0, "alpha": 1e-4, **found.best_params_}
    assert (best["dropout"], best["alpha"]) == (0.0, 1e-4)


def test_pipelines_of_columns() -> None:
    columns = ColumnTransformer([("some", StandardScaler(), [0, 2]), ("others", "passthrough", [1, 3])])
    model = make_pipeline(columns, classifier()).fit(IRIS, KINDS, mlpclassifier__sample_weight=np.ones(150))
    assert model.score(IRIS, KINDS) > 0.9
    assert model.set_params(mlpclassifier__dropout=0.5).get_params()["mlpclassifier__dropout"] == 0.5


def test_validated_and_explained() -> None:
    scores = cross_validate(classifier(), IRIS, KINDS, cv=3, return_train_score=True)
    assert scores["test_score"].mean() > 0.9
    sizes, trained, _ = learning_curve(regressor(), DIABETES, SUGAR, cv=3, train_sizes=[0.2, 1.0])
    assert trained.shape == (2, 3)
    assert sizes[0] < sizes[1]
    model = classifier().fit(np.column_stack([IRIS[:, 2], np.zeros(150)]), KINDS)
    of_each = permutation_importance(model, np.column_stack([IRIS[:, 2], np.zeros(150)]), KINDS, n_repeats=3)
    assert of_each.importances_mean[0] > 0.3 > of_each.importances_mean[1] == 0


ENSEMBLES = {
    "bagging": lambda: ensemble.BaggingClassifier(classifier(), 3),
    "boosting": lambda: ensemble.AdaBoostClassifier(classifier(), n_estimators=3),
    "voting": lambda: ensemble.VotingClassifier(
        [("a", classifier()), ("b", classifier(activation="tanh"))], voting="soft"
    ),
    "calibrated": lambda: CalibratedClassifierCV(classifier(), cv=3),
}


@pytest.mark.parametrize("made", ENSEMBLES.values(), ids=ENSEMBLES)
def test_ensembles(made: Any) -> None:
    assert made().fit(IRIS, KINDS).score(IRIS, KINDS) > 0.9


def test_stacking() -> None:
    stacked = ensemble.StackingRegressor([("net", regressor()), ("line", Ridge())]).fit(DIABETES, SUGAR)
    assert stacked.score(DIABETES, SUGAR) > 0.4


def test_metadata_is_routed() -> None:
    weight = np.where(np.arange(150) < 100, 1.0, 0.0)
    with config_context(enable_metadata_routing=True):
        model = classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        search = GridSearchCV(model, {"alpha": [1e-4]}, cv=3).fit(IRIS, KINDS, sample_weight=weight)
    alone = classifier().fit(IRIS, KINDS, sample_weight=weight)
    np.testing.assert_array_equal(search.best_estimator_.predict_proba(IRIS), alone.predict_proba(IRIS))
    assert set(alone.predict(IRIS)) == {0, 1}  # the third kind has no weight


def test_shown_as_others_are() -> None:
    model = classifier(dropout=0.2)
    assert "dropout=0.2" in repr(model)
    assert "MLPClassifier" in model._repr_html_()
    set_config(print_changed_only=False)
    try:
        assert "class_weight=None" in repr(model)
    finally:
        set_config(print_changed_only=True)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames(library: str) -> None:
    frames = pytest.importorskip(library, reason=f"{library} is not installed")
    names = ["length", "width", "petal length", "petal width"]
    frame = frames.DataFrame({name: IRIS[:, number] for number, name in enumerate(names)})
    model, plain = (classifier(early_stopping=True) for _ in range(2))
    model.fit(frame, frames.Series(KINDS))
    assert list(model.feature_names_in_) == names
    np.testing.assert_array_equal(model.predict_proba(frame), plain.fit(IRIS, KINDS).predict_proba(IRIS))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[names[::-1]])


# Several at once ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["loky", "threading", "dask"])
def test_folds_at_once_are_those_of_one_after_the_other(backend: str) -> None:
    alone = cross_validate(classifier(), IRIS, KINDS, cv=4)["test_score"]
    threads = cr.get_num_threads()
    if backend == "dask":
        distributed = pytest.importorskip("distributed", reason="Dask's scheduler is not installed")
        client = distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None)
        with client, joblib.parallel_backend("dask"):
            together = cross_validate(classifier(), IRIS, KINDS, cv=4)["test_score"]
    else:
        with joblib.parallel_backend(backend, n_jobs=2):
            together = cross_validate(classifier(), IRIS, KINDS, cv=4)["test_score"]
    np.testing.assert_array_equal(together, alone)
    assert cr.get_num_threads() == threads


def test_workers_of_loky_have_a_share_of_the_threads() -> None:
    with joblib.parallel_backend("loky", n_jobs=2, inner_max_num_threads=1):
        counts = joblib.Parallel()(joblib.delayed(cr.get_num_threads)() for _ in range(2))
    assert counts == [1, 1]


class Ask(cr.Callback):
    """Note how many threads the steps of a fit may have."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.seen.add(cr.get_num_threads())


def test_threads_for_a_while() -> None:
    before, ask = cr.get_num_threads(), Ask()
    classifier(n_jobs=3, callbacks=[ask], max_iter=1).fit(IRIS, KINDS)
    assert (ask.seen, cr.get_num_threads()) == ({3}, before)


def seen_threads(n_jobs: int | None) -> set[int]:
    """Return how many threads the steps of a fit had."""
    ask = Ask()
    classifier(n_jobs=n_jobs, callbacks=[ask], max_iter=20).fit(IRIS, KINDS)
    return ask.seen


@pytest.mark.parametrize("backend", ["threading", "dask"])
def test_fits_in_threads_of_one_process_have_one_thread_each(backend: str) -> None:
    before, tasks = cr.get_num_threads(), [joblib.delayed(seen_threads)(n_jobs) for n_jobs in (1, None, 1, None)]
    if backend == "dask":
        distributed = pytest.importorskip("distributed", reason="Dask's scheduler is not installed")
        client = distributed.Client(processes=False, threads_per_worker=2, dashboard_address=None)
        with client, joblib.parallel_backend("dask"):
            seen = joblib.Parallel()(tasks)
    else:
        with joblib.parallel_backend("threading", n_jobs=2):
            seen = joblib.Parallel()(tasks)
    assert seen == [{1}] * 4
    assert cr.get_num_threads() == before
