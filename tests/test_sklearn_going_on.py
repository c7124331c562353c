"""Estimators that go on, are watched, or are asked for what others have no answer to.

scikit-learn's own estimator is the judge where it can be.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr

pytest.importorskip("sklearn", reason="the estimators need scikit-learn")

from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from chainrule import sklearn as ours

X, Y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
NUMBERS = np.stack([X[:, 0] + X[:, 1], X[:, 2] * X[:, 3], X[:, 1]], axis=1)
# All rows in one batch and in their order: what may differ from scikit-learn is rounding.
IN_ORDER: dict[str, Any] = {
    "hidden_layer_sizes": (6,),
    "solver": "sgd",
    "batch_size": len(X),
    "shuffle": False,
    "random_state": 0,
}
RATES: list[dict[str, Any]] = [
    {"learning_rate": "invscaling", "learning_rate_init": 0.5},
    {"learning_rate": "adaptive", "learning_rate_init": 0.5, "tol": 0.01, "n_iter_no_change": 2},
]


@pytest.fixture(autouse=True)
def unfinished() -> Iterator[None]:
    """Let fits end before they converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def assert_same_weights(one: Any, other: Any) -> None:
    for mine, others in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_allclose(mine, others, rtol=0, atol=1e-10)


# Momentum and rates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rates", RATES, ids=str)
def test_a_warm_start_sets_the_rate_back_and_keeps_the_steps(rates: dict[str, Any]) -> None:
    model = ours.MLPClassifier(**IN_ORDER, **rates, max_iter=60, warm_start=True).fit(X, Y)
    judge = model.to_sklearn()
    assert judge._optimizer.learning_rate < 0.5 / 4
    judge._optimizer.learning_rate = 0.5
    model.set_params(max_iter=1).fit(X, Y)
    assert_same_weights(model, judge.partial_fit(X, Y))


@pytest.mark.parametrize("rates", RATES, ids=str)
def test_weights_of_rows_that_change_from_part_to_part_leave_rate_and_steps(rates: dict[str, Any]) -> None:
    model = ours.MLPClassifier(**IN_ORDER, **rates, alpha=0.01)
    model.partial_fit(X, Y, classes=[0, 1, 2])
    judge = model.to_sklearn()
    for weight in (2.0, 3.0, 1.0, 2.0):
        weights = np.full(len(X), weight)
        model.partial_fit(X, Y, weights)
        judge.partial_fit(X, Y, weights)
    assert_same_weights(model, judge)


def test_another_rate_changes_the_steps_to_come_only() -> None:
    model = ours.MLPClassifier(**IN_ORDER, learning_rate_init=0.01)
    for _ in range(5):
        model.partial_fit(X, Y, classes=[0, 1, 2])
    judge = model.to_sklearn()
    judge._optimizer.learning_rate = judge._optimizer.learning_rate_init = 0.4
    model.set_params(learning_rate_init=0.4).partial_fit(X, Y)
    assert_same_weights(model, judge.partial_fit(X, Y))


# Another kind of fit afterwards ---------------------------------------------------------------------------------------


def test_early_stopping_may_come_and_go_between_warm_starts() -> None:
    model = ours.MLPClassifier(random_state=0, max_iter=3, warm_start=True).fit(X, Y)
    model.set_params(early_stopping=True).fit(X, Y)
    assert len(model.validation_scores_) == 3
    assert model.best_validation_score_ == max(model.validation_scores_)
    model.set_params(early_stopping=False).fit(X, Y)
    assert len(model.loss_curve_) == 9


@pytest.mark.parametrize(
    "changed",
    [{"hidden_layer_sizes": (3,)}, {"activation": "tanh"}, {"dropout": 0.5}, {"batch_norm": True}],
    ids=str,
)
def test_a_network_that_goes_on_keeps_its_layers(changed: dict[str, Any]) -> None:
    model = ours.MLPClassifier(random_state=0, max_iter=2, warm_start=True).fit(X, Y)
    before = model.coefs_[0]
    with pytest.raises(ValueError, match="those of the network that goes on"):
        model.set_params(**changed).fit(X, Y)
    np.testing.assert_array_equal(model.coefs_[0], before)
    model.set_params(warm_start=False).fit(X, Y)


def test_a_warm_start_asks_for_all_classes_in_what_is_trained_on_only() -> None:
    model = ours.MLPClassifier(random_state=0, max_iter=2, warm_start=True)
    model.fit(X[::2], Y[::2], X_val=X[1:60:2], y_val=Y[1:60:2])
    assert len(model.validation_curve_) == 2
    with pytest.raises(ValueError, match="same classes"):
        model.fit(X[:60:2], Y[:60:2])


# L-BFGS ---------------------------------------------------------------------------------------------------------------


def test_lbfgs_trains_on_all_rows() -> None:
    plain, asked = (
        ours.MLPClassifier(random_state=0, solver="lbfgs", max_iter=5, early_stopping=on) for on in (False, True)
    )
    assert_same_weights(plain.fit(X, Y), asked.fit(X, Y))


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_lbfgs_tells_each_iteration(loss: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = ours.MLPRegressor(random_state=0, solver="lbfgs", max_iter=6, alpha=0.1, loss=loss, verbose=True)
    model.fit(X, NUMBERS**2, X_val=X, y_val=NUMBERS**2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"Iteration 6, loss = {model.loss_:.8f}"
    assert model.history_["loss"][-1] == pytest.approx(model.loss_, rel=1e-12)
    # The same rows, without alpha's term.
    term = 0.1 / 2 * sum((one**2).sum() for one in model.coefs_) / len(X)
    assert model.validation_curve_[-1] == pytest.approx(model.loss_ - term, rel=1e-9)
    assert len(model.validation_curve_) == 6


def test_lbfgs_has_no_epochs_for_callbacks() -> None:
    with pytest.raises(ValueError, match="callbacks are called after epochs"):
        ours.MLPClassifier(solver="lbfgs", callbacks=[cr.Callback()]).fit(X, Y)


# Validation parts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["squared_error", "poisson", cr.Huber()], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_both_curves_are_on_one_scale(loss: Any, weighted: bool) -> None:
    weight = np.random.default_rng(0).uniform(0.5, 3, len(X)) if weighted else None
    targets = NUMBERS**2
    model = ours.MLPRegressor(random_state=0, alpha=0, learning_rate_init=1e-12, max_iter=2, batch_size=150, loss=loss)
    model.fit(X, targets, weight, X_val=X, y_val=targets, sample_weight_val=weight)
    np.testing.assert_allclose(model.validation_curve_, model.loss_curve_, rtol=1e-9)


def test_weights_of_a_validation_part_that_is_missing() -> None:
    with pytest.raises(ValueError, match="sample_weight_val goes with them"):
        ours.MLPClassifier().fit(X, Y, sample_weight_val=np.ones(len(X)))


@pytest.mark.parametrize("options", [{}, {"solver": "lbfgs"}, {"batch_size": 1000}], ids=str)
def test_warnings_point_at_who_calls_fit(options: dict[str, Any]) -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        ours.MLPClassifier(random_state=0, max_iter=2, **options).fit(X, Y)
    assert {one.filename for one in found} == {__file__}
    assert len(found) == (2 if "batch_size" in options else 1)


# Losses, options, callbacks -------------------------------------------------------------------------------------------


def test_the_cross_entropies_of_two_classes_are_one() -> None:
    losses = [cr.CrossEntropy(label_smoothing=0.2), cr.BinaryCrossEntropy(label_smoothing=0.2, reduction="mean_rows")]
    one, other = (ours.MLPClassifier(random_state=0, max_iter=4, loss=loss).fit(X, Y > 0) for loss in losses)
    assert_same_weights(one, other)
    assert one.out_activation_ == "logistic"


@pytest.mark.parametrize("loss", ["mse", cr.Huber(), cr.BinaryCrossEntropy(), cr.CrossEntropy(from_logits=False)])
def test_losses_that_give_no_probabilities(loss: Any) -> None:
    model = ours.MLPClassifier(loss=loss)
    with pytest.raises(ValueError, match="loss must be 'log_loss' or a CrossEntropy of logits"):
        model.fit(X, Y)
    assert not hasattr(model, "coefs_")


def test_options_of_descriptions_are_parameters() -> None:
    model = ours.MLPClassifier(solver=cr.Adam(0.1), learning_rate=cr.StepDecay(0.1, drop=0.5, every=2))
    assert model.get_params()["solver__lr"] == 0.1
    assert "solver__lr" not in model.get_params(deep=False)
    model.set_params(solver=cr.SGD(0.5), solver__lr=0.25, learning_rate__every=3, alpha=2)
    assert (model.solver, model.learning_rate.every, model.alpha) == (cr.SGD(0.25), 3, 2)
    with pytest.raises(ValueError, match=r"solver__rate is no option of SGD\(.*lr"):
        model.set_params(solver__rate=1)
    search = GridSearchCV(
        ours.MLPClassifier(solver=cr.Adam(), max_iter=5, random_state=0), {"solver__lr": [1e-9, 0.1]}, cv=2
    ).fit(X, Y)
    assert search.best_params_ == {"solver__lr": 0.1}


def test_targets_that_are_words_are_no_numbers() -> None:
    with pytest.raises(ValueError, match="y must be numbers; got <U3"):
        ours.MLPRegressor().fit(X, np.array(["1.5", "2.5", "3"])[Y])


def test_a_callback_of_scikit_learn_scores_all_rows_that_a_fit_was_given() -> None:
    callbacks = pytest.importorskip("sklearn.callback", reason="scikit-learn has no callbacks before 1.9")
    monitor = callbacks.ScoringMonitor(scoring="accuracy")
    model = ours.MLPClassifier(random_state=0, max_iter=3, early_stopping=True).set_callbacks(monitor).fit(X, Y)
    assert model.n_iter_ == 3


def test_parts_are_no_fits_to_callbacks_of_scikit_learn() -> None:
    pytest.importorskip("sklearn.callback", reason="scikit-learn has no callbacks before 1.9")

    class Note:
        def __init__(self) -> None:
            self.seen: list[str] = []

        def setup(self, estimator: Any, context: Any) -> None:
            self.seen.append("setup")

        def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
            self.seen.append("begin")

        def on_fit_task_end(self, estimator: Any, context: Any, **_: Any) -> bool:
            self.seen.append("end")
            return False

        def teardown(self, estimator: Any, context: Any) -> None:
            self.seen.append("teardown")

    note = Note()
    ours.MLPClassifier().set_callbacks(note).partial_fit(X, Y, classes=[0, 1, 2])
    assert note.seen == []


# Sparse rows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [3, 7])
def test_a_matrix_with_other_rows_than_it_says_is_refused(rows: int) -> None:
    wrong = sparse.csr_array((5, 4))
    wrong.indptr = np.zeros(rows + 1, np.int32)
    with pytest.raises(ValueError, match=f"its indptr has {rows + 1} elements for 5 rows"):
        cr.Network([cr.Dense(2)], inputs=4).predict(wrong)
