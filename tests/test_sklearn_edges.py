"""Where programs that change the import could trip: scikit-learn's own classes are called with the same, and judge."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
from scipy import sparse

pytest.importorskip("sklearn", reason="needs scikit-learn")

from sklearn import neural_network as theirs
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning

from chainrule import sklearn as ours

BOTH = (theirs, ours)
X, Y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
XM, YM = make_multilabel_classification(60, n_classes=3, random_state=0)
XD, YD = load_diabetes(return_X_y=True)
XD = (XD - XD.mean(axis=0)) / XD.std(axis=0)

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::chainrule.DataWarning", "ignore::RuntimeWarning"
)


def raised(call):
    """Return what a call raises."""
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


# One fit after the other ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("solver", "rate"), [("adam", 0.001), ("sgd", 0.01)])
def test_warm_starts_go_on_learning_where_the_best_score_was_met_before(solver, rate):
    digits, labels = load_digits(return_X_y=True)
    digits = digits / 16
    scores, options = [], {"solver": solver, "learning_rate_init": rate, "random_state": 0, "max_iter": 1}
    for module in BOTH:
        model = module.MLPClassifier((30,), warm_start=True, early_stopping=True, **options)
        for _ in range(60):
            before = model.loss_curve_[-1] if hasattr(model, "loss_curve_") else None
            model.fit(digits[:1200], labels[:1200])
            assert model.loss_curve_[-1] != before  # which it would be if the epoch before had been taken back
        scores.append(model.score(digits[1200:], labels[1200:]))
    assert scores[1] > scores[0] - 0.03  # the orders of the rows differ


def test_what_a_fit_improved_is_gone_back_to():
    model = ours.MLPClassifier((4,), early_stopping=True, learning_rate_init=0.3, warm_start=True, random_state=1)
    rows, labels = XD[:, :4], YD > 140  # hard, so that scores go up and down
    model.fit(rows[:350], labels[:350], X_val=rows[350:], y_val=labels[350:])
    assert model.validation_scores_[-1] < model.best_validation_score_
    assert model.score(rows[350:], labels[350:]) == model.best_validation_score_ == max(model.validation_scores_)


def test_labels_of_another_kind_are_refused_behind_several_labels():
    words = np.array(list("xyz"))[np.arange(60) % 3]
    for module in BOTH:
        fitted = module.MLPClassifier(max_iter=5, random_state=0).fit(XM, YM)
        before = [one.copy() for one in fitted.coefs_]
        assert isinstance(raised(lambda fitted=fitted: fitted.partial_fit(XM, words)), ValueError)
        assert all((one == old).all() for one, old in zip(fitted.coefs_, before, strict=True))
        warm = module.MLPClassifier(max_iter=5, warm_start=True, random_state=0).fit(XM, YM)
        assert isinstance(raised(lambda warm=warm: warm.fit(XM, np.arange(60) % 2)), ValueError)
    with pytest.raises(ValueError, match="`y` must have a column for each of 3 labels"):
        ours.MLPClassifier(max_iter=5).fit(XM, YM).partial_fit(XM, np.arange(60) % 3)


# What predictions are -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix, sparse.lil_matrix])
def test_sparse_labels_come_back_sparse(made):
    for module in BOTH:
        model = module.MLPClassifier(max_iter=5, random_state=0).fit(XM, made(YM))
        found = model.predict(XM)
        assert sparse.issparse(found)
        assert found.format == "csr"
        assert model.score(XM, made(YM)) == np.mean((found.toarray() == YM).all(axis=1))
        assert not sparse.issparse(module.MLPClassifier(max_iter=5).fit(XM, YM).predict(XM))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64, np.uint8, bool])
@pytest.mark.parametrize("fitted_on", [np.float32, np.float64])
def test_precision_of_predictions(fitted_on, kind):
    rows = (XD * 3).astype(kind)
    options = {"max_iter": 2, "random_state": 0}
    found = [module.MLPRegressor(**options).fit(XD.astype(fitted_on), YD).predict(rows).dtype for module in BOTH]
    assert found[0] == found[1]
    found = [
        module.MLPClassifier(**options).fit(XD.astype(fitted_on), YD > 140).predict_proba(rows).dtype for module in BOTH
    ]
    assert found[0] == found[1]


def test_a_single_class_scores_as_it_is_predicted():
    x = np.random.default_rng(0).standard_normal((60, 4))
    options = {"solver": "sgd", "learning_rate_init": 0.05, "shuffle": False, "random_state": 0, "max_iter": 30}
    found = [module.MLPClassifier((6,), early_stopping=True, **options).fit(x, np.zeros(60)) for module in BOTH]
    assert found[1].validation_scores_ == found[0].validation_scores_
    assert found[1].n_iter_ == found[0].n_iter_


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_weights_set_by_hand_predict(precision):
    names = ["coefs_", "intercepts_", "n_layers_", "n_outputs_", "out_activation_", "classes_", "n_features_in_"]
    source = theirs.MLPClassifier((9, 5), max_iter=20, random_state=0).fit(X.astype(precision), Y)
    model = ours.MLPClassifier((9, 5))
    for name in (*names, "_label_binarizer"):
        setattr(model, name, getattr(source, name))
    close = 1e-5 if precision == np.float32 else 1e-12
    assert np.abs(model.predict_proba(X) - source.predict_proba(X)).max() < close
    assert (model.predict(X) == source.predict(X)).all()
    assert model.coefs_[0].dtype == precision
    other = ours.MLPClassifier((4,))
    for name in (*names, "_label_binarizer"):
        setattr(other, name, getattr(source, name))
    for _ in range(2):  # nothing is left of what failed
        with pytest.raises(ValueError, match=r"coefs_ must have the shapes \[\(4, 4\), \(4, 3\)\], by hidden_layer"):
            other.predict(X)
    generator = np.random.RandomState(3)
    drawing = ours.MLPClassifier((9, 5), random_state=generator)
    for name in (*names, "_label_binarizer"):
        setattr(drawing, name, getattr(source, name))
    with pytest.raises(ValueError, match="features"):
        drawing.predict(X[:, :2])
    drawing.predict(X)
    assert generator.randint(10**6) == np.random.RandomState(3).randint(10**6)  # nothing was drawn


# L-BFGS ---------------------------------------------------------------------------------------------------------------


def test_lbfgs_is_done_in_double_precision():
    options = {"hidden_layer_sizes": (), "solver": "lbfgs", "max_iter": 1000, "max_fun": 10**6, "random_state": 0}
    rows = (XD + 1000).astype(np.float32)  # which single precision could not centre
    found = [module.MLPRegressor(**options).fit(rows, YD) for module in BOTH]
    assert found[1].coefs_[0].dtype == found[0].coefs_[0].dtype == np.float64
    assert found[1].predict(rows).dtype == found[0].predict(rows).dtype
    assert found[1].loss_ < found[0].loss_ * 1.001


def test_lbfgs_tells_of_an_objective_that_is_not_finite():
    random = np.random.default_rng(0)
    rows, counts = random.uniform(0, 2000, (200, 5)), random.poisson(3, 200)
    for module in BOTH:
        with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
            module.MLPRegressor("poisson", (), solver="lbfgs", random_state=0).fit(rows, counts)


# What is refused ------------------------------------------------------------------------------------------------------


def test_a_classifier_that_diverges_at_once_is_an_error_with_early_stopping_too():
    random = np.random.default_rng(1466)
    rows = random.standard_normal((200, 5))
    labels = (rows @ random.standard_normal((5, 3)) > 0).astype(int)
    options = {"activation": "identity", "solver": "sgd", "learning_rate_init": 0.05, "batch_size": 1, "max_iter": 20}
    for module in BOTH:
        model = module.MLPClassifier((5, 4), early_stopping=True, random_state=0, **options)
        model.set_params(nesterovs_momentum=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            error = raised(lambda model=model: model.fit(rows * 20, labels))
        assert isinstance(error, ValueError)
        assert "non-finite parameter weights" in str(error)


def test_weights_that_cannot_be():
    model = ours.MLPClassifier(max_iter=3, early_stopping=True, random_state=0)
    for module in BOTH:
        error = raised(
            lambda module=module: module.MLPClassifier(max_iter=3, early_stopping=True, random_state=0).fit(
                X, Y, (np.arange(150) == 3) * 1.0
            )
        )
        assert type(error) is ValueError
    with pytest.raises(ValueError, match=r"sample_weight, times class_weight, must be at least 0 .*; got -1"):
        model.set_params(early_stopping=False).fit(X, Y, -np.ones(150))
    with pytest.raises(ValueError, match=r"sample_weight_val must be above 0 in some|at least one non-zero"):
        model.fit(X, Y, X_val=X, y_val=Y, sample_weight_val=np.zeros(150))


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_iter": 100.0},
        {"batch_size": 32.0},
        {"hidden_layer_sizes": 5.0},
        {"hidden_layer_sizes": (5, 0)},
        {"alpha": "0.1"},
        {"alpha": None},
        {"shuffle": 1},
        {"tol": -1.0},
        {"n_iter_no_change": 0},
        {"activation": 3},
        {"activation": "nope"},
        {"hidden_layer_sizes": np.array(5)},
    ],
    ids=str,
)
def test_parameters_that_cannot_be_raise_what_scikit_learn_raises(wrong):
    found = [raised(lambda module=module: module.MLPClassifier(**wrong).fit(X, Y)) for module in BOTH]
    assert isinstance(found[1], ValueError)
    assert isinstance(found[1], type(found[0]))
    assert next(iter(wrong)) in str(found[1])


def test_more_than_the_engine_counts_is_as_much_as_it_can():
    options = {"batch_size": sys.maxsize, "max_iter": 3, "n_iter_no_change": sys.maxsize, "max_fun": sys.maxsize}
    with pytest.warns(UserWarning, match="batch_size"):
        model = ours.MLPClassifier(random_state=0, **options).fit(X, Y)
    assert model.n_iter_ == 3
    model = ours.MLPClassifier((4,), max_iter=sys.maxsize, tol=1e-2, random_state=0).fit(X, Y)
    assert 1 < model.n_iter_ < 1000
    assert ours.MLPClassifier((4,), solver="lbfgs", max_iter=sys.maxsize, max_fun=sys.maxsize).fit(X, Y).n_iter_ > 1
    ours.MLPClassifier((4,), early_stopping=True, validation_fraction=np.float32(0.2), max_iter=3).fit(X, Y)
