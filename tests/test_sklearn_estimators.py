"""The estimators beside scikit-learn's: the same starts, losses, rules and results, and what scikit-learn's lack.

Where a batch holds all rows, nothing is drawn but the start, which both draw alike: the same curve of losses is asked
for, iteration by iteration.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr

sklearn = pytest.importorskip("sklearn", reason="the estimators need scikit-learn")

from sklearn import neural_network as theirs  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification  # noqa: E402
from sklearn.exceptions import ConvergenceWarning, NotFittedError  # noqa: E402

from chainrule import sklearn as ours  # noqa: E402

IRIS, KINDS = load_iris(return_X_y=True)
IRIS = (IRIS - IRIS.mean(axis=0)) / IRIS.std(axis=0)
DIABETES, SUGAR = load_diabetes(return_X_y=True, scaled=True)
DIABETES, SUGAR = DIABETES * 20, (SUGAR - SUGAR.mean()) / SUGAR.std()
LABELS_X, LABELS = make_multilabel_classification(60, random_state=0)
WEIGHT = np.random.default_rng(0).uniform(0.5, 3.0, len(IRIS))


@pytest.fixture(autouse=True)
def unfinished() -> Iterator[None]:
    """Let fits end before they converge: a hundred iterations show what is the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def both(name: str, *data: Any, weight: Any = None, **options: Any) -> list[Any]:
    """Return scikit-learn's estimator and ours, fitted alike."""
    options = {"random_state": 3, "max_iter": 40, "batch_size": len(data[0]), **options}
    return [getattr(module, name)(**options).fit(*data, sample_weight=weight) for module in (theirs, ours)]


# Of weights and probabilities after 40 iterations of Adam.
ADAM_OFF = 5e-3
# chainrule tells the penalty of the weights at an epoch's end, scikit-learn those of each step's start.
LOSS_OFF = 3e-4

SAME = {
    "adam": {},
    "two layers": {"hidden_layer_sizes": (9, 4), "activation": "tanh"},
    "logistic": {"activation": "logistic", "alpha": 0.3},
    "identity": {"activation": "identity", "beta_1": 0.5, "beta_2": 0.9, "learning_rate_init": 0.01},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.1},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.7},
    "plain": {"solver": "sgd", "momentum": 0.0, "alpha": 1.0},
    "lbfgs": {"solver": "lbfgs", "max_iter": 15},
    "not shuffled": {"shuffle": False, "batch_size": 32},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "momentum": 0.0, "learning_rate_init": 2.0},
    # The loss falls ever more slowly: the rate is divided by 5 again and again.
    "adaptive": {
        **{"solver": "sgd", "learning_rate": "adaptive", "momentum": 0.0, "tol": 0.01, "n_iter_no_change": 2},
        **{"learning_rate_init": 0.2, "max_iter": 200},
    },
    "ends": {"tol": 0.01, "n_iter_no_change": 3, "max_iter": 300, "learning_rate_init": 0.01},
}


@pytest.mark.parametrize("options", SAME.values(), ids=SAME)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_the_same_curve_of_classes(options: dict[str, Any], weighted: bool) -> None:
    if weighted and options.get("batch_size"):
        pytest.skip("scikit-learn divides by the weights of each batch, chainrule by those of all rows")
    a, b = both("MLPClassifier", IRIS, KINDS, weight=WEIGHT if weighted else None, **options)
    assert a.n_iter_ == b.n_iter_
    # scikit-learn's Adam adds epsilon to a root that is not corrected yet: gradients of its size are told apart.
    off = ADAM_OFF if options.get("solver", "adam") == "adam" else 1e-9
    for mine, other in zip((*b.coefs_, *b.intercepts_), (*a.coefs_, *a.intercepts_), strict=True):
        np.testing.assert_allclose(mine, other, atol=off)
    np.testing.assert_allclose(b.predict_proba(IRIS), a.predict_proba(IRIS), atol=off)
    np.testing.assert_allclose(b.loss_, a.loss_, rtol=LOSS_OFF)
    if options.get("solver") != "lbfgs":
        np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=LOSS_OFF)
        np.testing.assert_allclose(b.best_loss_, a.best_loss_, rtol=LOSS_OFF)
        assert b.t_ == a.t_
    assert (b.n_layers_, b.n_outputs_, b.out_activation_) == (a.n_layers_, a.n_outputs_, a.out_activation_)
    assert (b.n_features_in_, list(b.classes_)) == (a.n_features_in_, list(a.classes_))


PROBLEMS = {
    "binary": ("MLPClassifier", IRIS, KINDS == 2, {}),
    "one class": ("MLPClassifier", IRIS, np.zeros(150), {}),
    "questions": ("MLPClassifier", LABELS_X, LABELS, {}),
    "numbers": ("MLPRegressor", DIABETES, SUGAR, {}),
    "several numbers": ("MLPRegressor", DIABETES, np.column_stack([SUGAR, SUGAR**2, -SUGAR]), {}),
    "counts": ("MLPRegressor", DIABETES, np.floor(np.exp(SUGAR)), {"loss": "poisson"}),
    "by batch": ("MLPRegressor", DIABETES, SUGAR, {"batch_size": 40, "shuffle": False}),
    "one layer": ("MLPRegressor", DIABETES, SUGAR, {"hidden_layer_sizes": ()}),
}


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_the_same_curve_of_other_targets(problem: tuple[Any, ...]) -> None:
    name, X, y, options = problem
    a, b = both(name, X, y, **options)
    np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=LOSS_OFF)
    np.testing.assert_allclose(b.predict(X), a.predict(X), atol=ADAM_OFF)
    assert b.predict(X).shape == a.predict(X).shape
    assert b.predict(X).dtype == a.predict(X).dtype
    assert abs(b.score(X, y) - a.score(X, y)) < ADAM_OFF
    if name == "MLPClassifier":
        np.testing.assert_allclose(b.predict_proba(X), a.predict_proba(X), atol=ADAM_OFF)


def test_labels_of_any_kind() -> None:
    words = np.array(["setosa", "versicolor", "virginica"])[KINDS]
    objects = np.array(["b", "a", "c"], dtype=object)[KINDS]
    for y in (words, objects, KINDS * 10 - 3, KINDS.astype(float), KINDS == 1):
        a, b = both("MLPClassifier", IRIS, y)
        np.testing.assert_array_equal(a.classes_, b.classes_)
        np.testing.assert_array_equal(a.predict(IRIS), b.predict(IRIS))
        assert b.predict(IRIS).dtype == a.predict(IRIS).dtype


def test_early_stopping_scores_the_same_rows() -> None:
    # Of two classes scikit-learn draws the part by class; the same rows are held out.
    problems = [
        ("MLPClassifier", IRIS, KINDS),
        ("MLPClassifier", IRIS, KINDS == 1),
        ("MLPRegressor", DIABETES[:200], SUGAR[:200]),
    ]
    options = {"early_stopping": True, "validation_fraction": 0.3, "max_iter": 60, "batch_size": "auto"}
    for name, X, y in problems:
        a, b = both(name, X, y, **options, learning_rate_init=0.02)
        np.testing.assert_allclose(b.validation_scores_, a.validation_scores_, atol=ADAM_OFF)
        assert (b.n_iter_, b.best_loss_) == (a.n_iter_, None)
        np.testing.assert_allclose(b.best_validation_score_, max(b.validation_scores_))
        # The weights of the best epoch are back.
        said = [one.predict_proba(X) if name == "MLPClassifier" else one.predict(X) for one in (a, b)]
        np.testing.assert_allclose(said[1], said[0], atol=ADAM_OFF)
        assert max(b.validation_scores_) == b.best_validation_score_


def test_a_validation_part_of_ones_own() -> None:
    model = ours.MLPClassifier(random_state=0, max_iter=30, early_stopping=True)
    model.fit(IRIS[:100], KINDS[:100] % 2, X_val=IRIS[100:], y_val=KINDS[100:] % 2)
    assert model.t_ == model.n_iter_ * 100  # all rows that were given are trained on
    assert len(model.validation_curve_) == len(model.validation_scores_) == len(model.loss_curve_)
    network = model.network_
    loss = cr.BinaryCrossEntropy()(network.predict(IRIS[100:]), (KINDS[100:] % 2).astype(float))
    best = int(np.argmax(model.validation_scores_))
    np.testing.assert_allclose(float(loss), model.validation_curve_[best], rtol=1e-6)
    # Without early_stopping it is measured, and decides nothing.
    apart = {"X_val": DIABETES[400:], "y_val": SUGAR[400:]}
    plain, watched = (ours.MLPRegressor(random_state=0, max_iter=8) for _ in range(2))
    plain.fit(DIABETES[:400], SUGAR[:400])
    watched.fit(DIABETES[:400], SUGAR[:400], **apart)
    assert (len(watched.validation_curve_), watched.validation_scores_) == (8, None)
    np.testing.assert_array_equal(watched.predict(DIABETES), plain.predict(DIABETES))
    with pytest.raises(ValueError, match="go together"):
        watched.fit(DIABETES, SUGAR, X_val=DIABETES)


# Going on -------------------------------------------------------------------------------------------------------------


def test_parts_are_one_fit() -> None:
    whole = ours.MLPRegressor(random_state=1, max_iter=12, shuffle=False).fit(DIABETES, SUGAR)
    parts = ours.MLPRegressor(random_state=1, shuffle=False)
    for number in range(12):
        parts.partial_fit(DIABETES, SUGAR)
        if number % 4 == 1:
            parts = pickle.loads(pickle.dumps(parts))  # the moments of Adam go along
    np.testing.assert_array_equal(parts.predict(DIABETES), whole.predict(DIABETES))
    assert (parts.n_iter_, parts.t_) == (1, whole.t_)
    assert parts.loss_curve_ == whole.loss_curve_


def test_a_warm_start_keeps_the_optimizer() -> None:
    whole = ours.MLPClassifier(random_state=1, max_iter=20).fit(IRIS, KINDS)
    half = ours.MLPClassifier(random_state=1, max_iter=10, warm_start=True).fit(IRIS, KINDS)
    np.testing.assert_array_equal(half.fit(IRIS, KINDS).predict_proba(IRIS), whole.predict_proba(IRIS))
    assert half.loss_curve_ == whole.loss_curve_
    # Another rate is heeded, and the moments stay.
    half.set_params(learning_rate_init=1e-12).fit(IRIS, KINDS)
    np.testing.assert_allclose(half.predict_proba(IRIS), whole.predict_proba(IRIS), atol=1e-8)
    # A cold one starts anew.
    cold = whole.set_params(max_iter=10).fit(IRIS, KINDS)
    assert cold.loss_curve_ == half.loss_curve_[:10]


def test_what_is_copied_is_not_shared() -> None:
    model = ours.MLPClassifier(random_state=1, max_iter=3).fit(IRIS, KINDS)
    twin, before = pickle.loads(pickle.dumps(model)), model.predict_proba(IRIS)
    twin.partial_fit(IRIS, KINDS)
    np.testing.assert_array_equal(model.predict_proba(IRIS), before)
    with pytest.raises(NotFittedError):
        clone(model).predict(IRIS)
    model.coefs_[0][:] = 0  # a copy
    np.testing.assert_array_equal(model.predict_proba(IRIS), before)
    model.coefs_ = [np.zeros_like(one) for one in model.coefs_]
    assert np.ptp(model.predict_proba(IRIS), axis=0).max() == 0


# What scikit-learn's lack ---------------------------------------------------------------------------------------------


def test_layers_of_all_kinds() -> None:
    model = ours.MLPClassifier(
        (8, 6), activation=["elu", cr.Tanh()], dropout=[0.2, 0.0], batch_norm=True, random_state=0
    )
    model.fit(IRIS, KINDS)
    kinds = [type(layer).__name__ for layer in model.network_.layers]
    assert kinds == ["Dense", "BatchNorm", "Activation", "Dropout", "Dense", "BatchNorm", "Activation", "Dense"]
    assert [one.shape for one in model.coefs_] == [(4, 8), (8, 6), (6, 3)]
    assert model.score(IRIS, KINDS) > 0.8
    z = model.network_.predict(IRIS)
    expected = np.exp(z - z.max(axis=1, keepdims=True))
    np.testing.assert_allclose(model.predict_proba(IRIS), expected / expected.sum(axis=1, keepdims=True), rtol=1e-12)


def test_losses_optimizers_schedules_and_penalties_of_chainrule() -> None:
    schedule = cr.CosineDecay(0.02, steps=120)
    model = ours.MLPRegressor(
        loss=cr.Huber(),
        learning_rate=schedule,
        penalty=[cr.L1(1e-3)],
        alpha=0.0,
        batch_size=221,
        max_iter=60,
        random_state=0,
    ).fit(DIABETES, SUGAR)
    assert model.history_["learning_rate"][-1] < 1e-4
    assert model.history_["penalty"][-1] > 0
    np.testing.assert_allclose(model.loss_, model.history_["loss"][-1] + model.history_["penalty"][-1])
    for solver in ("rmsprop", cr.AdamW(0.01), cr.RMSprop(0.01, clip_norm=1.0)):
        assert ours.MLPClassifier(solver=solver, random_state=0).fit(IRIS, KINDS).score(IRIS, KINDS) > 0.9
    smooth = ours.MLPClassifier(loss=cr.CrossEntropy(label_smoothing=0.3), max_iter=400, random_state=0).fit(
        IRIS, KINDS
    )
    assert smooth.predict_proba(IRIS).max() < 0.95


def test_class_weights_are_weights_of_rows() -> None:
    y = (np.arange(150) % 10 == 0).astype(int)
    rows = np.where(y == 1, 5.0, 150 / 270)
    balanced = ours.MLPClassifier(class_weight="balanced", random_state=0, max_iter=9).fit(IRIS, y)
    by_hand = ours.MLPClassifier(random_state=0, max_iter=9).fit(IRIS, y, sample_weight=rows)
    np.testing.assert_allclose(balanced.predict_proba(IRIS), by_hand.predict_proba(IRIS), rtol=1e-9)
    named = ours.MLPClassifier(class_weight={"b": 5.0, "a": 150 / 270}, random_state=0, max_iter=9)
    named.fit(IRIS, np.array(["a", "b"])[y])
    np.testing.assert_allclose(named.predict_proba(IRIS), by_hand.predict_proba(IRIS), rtol=1e-9)


def test_callbacks() -> None:
    stop = cr.StopWhen(cr.Lasts(7))
    model = ours.MLPClassifier(callbacks=[stop], random_state=0).fit(IRIS, KINDS)
    assert (model.n_iter_, model.history_.epochs) == (7, 7)
    with pytest.raises(TypeError, match="callbacks must hold chainrule's callbacks; got 3"):
        ours.MLPClassifier(callbacks=[3]).fit(IRIS, KINDS)


@pytest.mark.parametrize("options", [{}, {"solver": "lbfgs"}], ids=["adam", "lbfgs"])
def test_callbacks_of_scikit_learn(options: dict[str, Any]) -> None:
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks of its own since 1.9")

    class Watch:
        seen: list[Any]

        def setup(self, estimator: Any, context: Any) -> None:
            self.seen = ["setup"]

        def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
            self.seen.append(context.task_name)

        def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any) -> bool:
            self.seen.append(fitted_estimator.predict_proba(IRIS[:1]))
            return len(self.seen) > 9

        def teardown(self, estimator: Any, context: Any) -> None:
            self.seen.append("teardown")

    watch = Watch()
    model = ours.MLPClassifier(random_state=0, max_iter=6, **options).set_callbacks(watch).fit(IRIS, KINDS)
    words = [one for one in watch.seen if isinstance(one, str)]
    assert words[:3] == ["setup", "fit", "epoch"]
    assert words[-1] == "teardown"
    proba = [one for one in watch.seen if not isinstance(one, str)]
    np.testing.assert_array_equal(proba[-1], model.predict_proba(IRIS[:1]))
    assert not np.array_equal(proba[0], proba[1])
    if not options:
        assert model.n_iter_ == 4  # it asked to stop
        assert model.history_.stop_reason == "a callback of scikit-learn asked for it"


# What does not suit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"alpha": -1}, ValueError, "alpha must be a finite number at least 0; got -1"),
        ({"learning_rate": "fast"}, ValueError, "learning_rate='fast' is unknown"),
        (
            {"learning_rate": 0.1},
            TypeError,
            "learning_rate must be one of constant, invscaling",
        ),
        ({"solver": "newton"}, ValueError, "solver='newton' is unknown"),
        ({"activation": "jump"}, ValueError, "activation='jump' is unknown"),
        (
            {"activation": ["relu"], "hidden_layer_sizes": (3, 3)},
            ValueError,
            "activation must be one for all hidden",
        ),
        ({"dropout": 1.0}, ValueError, "dropout must be a finite number at least 0 and below 1"),
        ({"dropout": "some"}, TypeError, "dropout must be a number"),
        ({"dropout": 0.5, "solver": "lbfgs"}, ValueError, "dropout makes it another"),
        ({"hidden_layer_sizes": (3, 0)}, ValueError, r"hidden_layer_sizes must be > 0, got \[3, 0\]"),
        ({"hidden_layer_sizes": 2.5}, TypeError, "hidden_layer_sizes must be whole numbers; got 2.5"),
        ({"batch_size": "all"}, ValueError, "batch_size='all' is unknown"),
        ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change must be"),
        ({"loss": "hinge"}, ValueError, "loss='hinge' is unknown"),
        ({"penalty": 0.1}, TypeError, "penalty must be a Penalty"),
        ({"device": "tpu"}, ValueError, "device='tpu' is unknown"),
        ({"n_jobs": 0}, ValueError, "n_jobs"),
    ],
)
def test_parameters_that_do_not_suit(options: dict[str, Any], error: type[Exception], message: str) -> None:
    for estimator in (ours.MLPClassifier, ours.MLPRegressor):
        with pytest.raises(error, match=message):
            estimator(**options).fit(IRIS, KINDS)


def test_a_fit_that_diverges_leaves_what_was_finite() -> None:
    model = ours.MLPRegressor(solver="sgd", learning_rate_init=1e3, random_state=0)
    with pytest.warns(cr.DivergenceWarning), pytest.raises(ValueError, match="non-finite parameter weights"):
        model.fit(DIABETES, SUGAR)
    assert all(np.isfinite(one).all() for one in model.coefs_)


def test_weights_of_nobody() -> None:
    with pytest.raises(ValueError, match="at least one non-zero number"):
        ours.MLPRegressor().fit(DIABETES, SUGAR, sample_weight=np.zeros(len(SUGAR)))
