"""scikit-learn's estimators as chainrule's and back: the same predictions, and training that goes on; it is the judge.

Float64 differs by the order in which products are added: some ten additions of numbers of size 1 to 10.
"""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
from gpu import DEVICES

pytest.importorskip("sklearn", reason="needs scikit-learn")

from sklearn import neural_network as theirs
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification

import chainrule as cr
from chainrule import sklearn as ours

CLOSE = 1e-12
X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])
XM, YM = make_multilabel_classification(60, 5, n_classes=4, random_state=0)
XD, YD = load_diabetes(return_X_y=True)
COUNTS = np.round(YD / 50)

CASES = {
    "several classes": ("MLPClassifier", X, Y, {}),
    "texts": ("MLPClassifier", X, NAMES[Y], {"activation": "tanh", "solver": "sgd", "learning_rate": "adaptive"}),
    "two classes": ("MLPClassifier", X, Y == 1, {"activation": "logistic", "learning_rate_init": 0.05}),
    "two texts": ("MLPClassifier", X, NAMES[np.minimum(Y, 1)], {"solver": "lbfgs"}),
    "one class": ("MLPClassifier", X, np.full(len(Y), 3), {}),
    "several labels": ("MLPClassifier", XM, YM, {"hidden_layer_sizes": 6}),
    "early stopping": ("MLPClassifier", X, Y, {"early_stopping": True, "n_iter_no_change": 2}),
    "no hidden layer": ("MLPClassifier", X, Y, {"hidden_layer_sizes": ()}),
    "a number": ("MLPRegressor", XD, YD, {"activation": "identity", "solver": "sgd", "learning_rate_init": 1e-6}),
    "counts": ("MLPRegressor", XD, COUNTS, {"loss": "poisson"}),
    "two numbers": ("MLPRegressor", XD, np.c_[YD, -YD], {"hidden_layer_sizes": (5, 4, 3)}),
}
each_case = pytest.mark.parametrize(("kind", "x", "y", "options"), CASES.values(), ids=CASES.keys())
# What scikit-learn's fits leave behind in public.
FITTED = ("best_loss_", "loss_", "loss_curve_", "n_iter_", "n_layers_", "n_outputs_", "out_activation_", "t_")


def fitted(library, kind, x, y, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few epochs are enough here
        model = getattr(library, kind)(**{"hidden_layer_sizes": (6,), "max_iter": 7, "random_state": 1, **options})
        return model.fit(x, y)


def check_known(kind, options):
    """Skip where this scikit-learn is too old to have some options."""
    lacking = set(options) - set(getattr(theirs, kind)().get_params())
    if lacking:
        pytest.skip(f"this scikit-learn has no {lacking}")


def questions(model):
    return [getattr(model, name) for name in ("predict", "predict_proba") if hasattr(model, name)]


def assert_same(model, other, x):
    """Require the same answers of two models, and what a fit leaves behind in both."""
    for mine, others in zip(questions(model), questions(other), strict=True):
        found, expected = mine(x), others(x)
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        if expected.dtype.kind == "f":
            assert (np.abs(found - expected) <= CLOSE * max(1.0, np.abs(expected).max())).all()
        else:
            assert (found == expected).all()
    for name in FITTED:
        if name in vars(model) and name in vars(other):
            assert np.array_equal(getattr(model, name), getattr(other, name)), name
    assert model.score(x, other.predict(x)) == pytest.approx(1.0)


@each_case
def test_there(kind, x, y, options):
    check_known(kind, options)
    model = fitted(theirs, kind, x, y, **options)
    found = ours.from_sklearn(model)
    assert type(found) is getattr(ours, kind)
    assert {name: found.get_params()[name] for name in model.get_params()} == model.get_params()
    assert_same(found, model, x)


@each_case
def test_and_back(kind, x, y, options):
    check_known(kind, options)
    model = fitted(ours, kind, x, y, **options)
    found = model.to_sklearn()
    assert type(found) is getattr(theirs, kind)
    assert found.get_params() == {name: model.get_params()[name] for name in found.get_params()}
    assert_same(found, model, x)
    assert_same(ours.from_sklearn(pickle.loads(pickle.dumps(found))), found, x)


def test_float32_stays():
    model = fitted(theirs, "MLPClassifier", X.astype(np.float32), Y)
    found = ours.from_sklearn(model)
    assert found.network_.dtype == np.float32
    shares = found.predict_proba(X.astype(np.float32))
    assert shares.dtype == np.float32
    assert np.allclose(shares, model.predict_proba(X.astype(np.float32)), rtol=0, atol=1e-6)
    assert all(one.dtype == np.float32 for one in found.to_sklearn().coefs_)


# Training goes on ----------------------------------------------------------------------------------------------------

# A whole set at a time and in its order, and epsilon, which the libraries add in different places, too small to count:
# what may differ is rounding.
IN_ORDER = {"batch_size": len(X), "shuffle": False, "activation": "tanh", "epsilon": 1e-20}
SOLVERS = {
    "nesterov": ({"solver": "sgd", "learning_rate_init": 0.1}, CLOSE),
    "heavy ball": ({"solver": "sgd", "learning_rate_init": 0.1, "nesterovs_momentum": False}, CLOSE),
    "no momentum": ({"solver": "sgd", "learning_rate_init": 0.1, "momentum": 0.0}, CLOSE),
    "invscaling": ({"solver": "sgd", "learning_rate_init": 2.0, "learning_rate": "invscaling"}, CLOSE),
    "adam": ({"solver": "adam", "learning_rate_init": 0.01}, 1e-9),
}
each_solver = pytest.mark.parametrize(("options", "tolerance"), SOLVERS.values(), ids=SOLVERS.keys())


def assert_go_on(model, other, tolerance):
    """Train two models further; require the same weights, which have moved far more than they may differ."""
    before = copy.deepcopy(other.coefs_)
    for _ in range(3):
        model.partial_fit(X, Y)
        other.partial_fit(X, Y)
    for mine, others, start in zip(model.coefs_, other.coefs_, before, strict=True):
        assert (np.abs(mine - others) <= tolerance).all()
        assert np.abs(others - start).max() > 1e3 * tolerance
    # The penalty is that of the epoch's end here, and that of its beginning there.
    assert np.allclose(model.loss_curve_, other.loss_curve_, rtol=0, atol=1e-5)
    assert model.t_ == other.t_


@each_solver
def test_training_goes_on_in_chainrule(options, tolerance):
    model = theirs.MLPClassifier((6,), random_state=1, **IN_ORDER, **options)
    for _ in range(4):
        model.partial_fit(X, Y, classes=range(3))
    assert_go_on(ours.from_sklearn(model), model, tolerance)


@each_solver
@pytest.mark.parametrize("device", DEVICES)
def test_training_goes_on_in_scikit_learn(options, tolerance, device):
    model = ours.MLPClassifier((6,), random_state=1, device=device, **IN_ORDER, **options)
    for _ in range(4):
        model.partial_fit(X, Y, classes=range(3))
    assert_go_on(model.to_sklearn(), model, tolerance)


def test_the_memory_counts():
    # Else the tests above would pass without it.
    model = theirs.MLPClassifier((6,), random_state=1, **IN_ORDER, **SOLVERS["nesterov"][0])
    for _ in range(4):
        model.partial_fit(X, Y, classes=range(3))
    found = ours.from_sklearn(model)
    del model._optimizer
    with pytest.raises(AssertionError):
        assert_go_on(found, model, CLOSE)


def test_warm_starts_and_pickles_go_on():
    model = fitted(theirs, "MLPClassifier", X, Y, warm_start=True, max_iter=5)
    found = pickle.loads(pickle.dumps(ours.from_sklearn(model)))
    before = len(found.loss_curve_)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found.fit(X, Y)
        found.to_sklearn().fit(X, Y)
    assert len(found.loss_curve_) == before + 5
    assert found.loss_ < model.loss_


# What is not fitted, and what does not fit ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_what_is_not_fitted_stays_so(kind):
    random = np.random.RandomState(3)
    model = getattr(theirs, kind)(hidden_layer_sizes=[4, 4], alpha=0.5, random_state=random)
    found = ours.from_sklearn(model)
    assert not hasattr(found, "network_")
    assert found.random_state is not random  # which the other one goes on drawing from
    assert (found.alpha, found.hidden_layer_sizes) == (0.5, [4, 4])
    back = found.to_sklearn()
    assert not hasattr(back, "n_layers_")
    assert back.get_params().keys() == model.get_params().keys()


def test_what_only_training_asks_for_is_left_out():
    model = fitted(
        ours, "MLPClassifier", X, Y, dropout=0.2, solver=cr.NAdam(0.01), class_weight="balanced", penalty=cr.L1(1e-4)
    )
    found = model.to_sklearn()
    assert found.solver == "adam"
    assert not hasattr(found, "_optimizer")
    assert np.abs(found.predict_proba(X) - model.predict_proba(X)).max() <= CLOSE
    model = fitted(ours, "MLPClassifier", X, Y, solver="sgd", learning_rate=cr.StepDecay(0.1, drop=0.5, every=2))
    assert model.to_sklearn().learning_rate == "constant"
    model = fitted(ours, "MLPRegressor", XD, YD, loss=cr.Huber())
    assert model.to_sklearn().loss == "squared_error"
    assert np.abs(model.to_sklearn().predict(XD) - model.predict(XD)).max() <= 1e3 * CLOSE


def test_an_activation_may_be_said_in_other_words():
    for said in ("sigmoid", cr.Sigmoid(), [cr.Sigmoid()], ["logistic"]):
        model = fitted(ours, "MLPClassifier", X, Y, activation=said)
        assert model.to_sklearn().activation == "logistic"
        assert np.abs(model.to_sklearn().predict_proba(X) - model.predict_proba(X)).max() <= CLOSE
    model = fitted(ours, "MLPClassifier", X, Y, hidden_layer_sizes=(), activation="elu")  # of no layer
    assert np.abs(model.to_sklearn().predict_proba(X) - model.predict_proba(X)).max() <= CLOSE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_norm": True}, "batch_norm=True is nothing that scikit-learn's"),
        ({"activation": "elu"}, "activation='elu' is none of scikit-learn's: identity, logistic, tanh, relu"),
        ({"hidden_layer_sizes": (3, 3), "activation": ["relu", "tanh"]}, "differs by layer"),
    ],
)
def test_what_scikit_learn_lacks_is_named(options, message):
    for model in (ours.MLPClassifier(**options), fitted(ours, "MLPClassifier", X, Y, **options)):
        with pytest.raises(ValueError, match=message):
            model.to_sklearn()


def test_parameters_that_were_changed_after_the_fit():
    model = fitted(theirs, "MLPClassifier", X, Y).set_params(hidden_layer_sizes=(7,))
    with pytest.raises(ValueError, match=r"hidden_layer_sizes .* \[6\]; it was changed since"):
        ours.from_sklearn(model)
    for changed in ({"hidden_layer_sizes": (7,)}, {"activation": "tanh"}):
        model = fitted(ours, "MLPClassifier", X, Y).set_params(**changed)
        with pytest.raises(ValueError, match="changed since"):
            model.to_sklearn()
    # These change no prediction.
    fitted(ours, "MLPClassifier", X, Y, dropout=0.3).set_params(dropout=0.0, alpha=1.0).to_sklearn()
    # The memory is that of another solver.
    assert not hasattr(fitted(ours, "MLPClassifier", X, Y).set_params(solver="sgd").to_sklearn(), "_optimizer")


def test_other_things_are_refused():
    for wrong in (ours.MLPClassifier(), theirs.MLPClassifier, theirs.BernoulliRBM(), None):
        with pytest.raises(TypeError, match="estimator must be scikit-learn's MLPClassifier or MLPRegressor"):
            ours.from_sklearn(wrong)


def test_names_of_columns_go_along():
    model = fitted(theirs, "MLPClassifier", X, Y)
    model.feature_names_in_ = np.array(list("abcd"), dtype=object)  # as a fit on a frame leaves them
    found = ours.from_sklearn(model)
    assert list(found.feature_names_in_) == list("abcd")
    assert list(found.to_sklearn().feature_names_in_) == list("abcd")
