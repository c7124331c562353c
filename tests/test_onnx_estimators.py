"""ONNX files of fitted estimators, alone and at the end of a pipeline: ONNX Runtime gives their labels, probabilities
and numbers, by skl2onnx's names.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import chainrule as cr

pytest.importorskip("onnx", reason="needs onnx")
runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, which is the judge here")
pytest.importorskip("sklearn", reason="needs scikit-learn")

from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification  # noqa: E402
from sklearn.decomposition import PCA  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.pipeline import Pipeline, make_pipeline  # noqa: E402
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler  # noqa: E402

from chainrule.sklearn import MLPClassifier, MLPRegressor  # noqa: E402

CLOSE = 1e-5
X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "ünlike"])
XM, YM = make_multilabel_classification(60, 5, n_classes=4, random_state=0)
XD, YD = load_diabetes(return_X_y=True)

TARGETS = {
    "numbers": (X, Y + 5),
    "texts": (X, NAMES[Y]),
    "objects": (X, NAMES[Y].astype(object)),
    "whole floats": (X, Y * 2.0),
    "two numbers": (X, np.where(Y > 0, 7, -7)),
    "two texts": (X, NAMES[np.minimum(Y, 1)]),
    "bools": (X, Y > 0),
    "one class": (X, np.full(len(Y), "all")),
    "several labels": (XM, YM),
}


def fitted(kind, x, y, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few epochs are enough here
        return kind(**{"hidden_layer_sizes": (6,), "max_iter": 8, "random_state": 1, **options}).fit(x, y)


def run(path, x):
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, {"X": x}), strict=True))


@pytest.mark.parametrize(("x", "y"), TARGETS.values(), ids=TARGETS.keys())
def test_labels_and_probabilities(x, y, dtype, tmp_path):
    x = x.astype(dtype)
    model = fitted(MLPClassifier, x, y, learning_rate_init=0.05, batch_norm=True, dropout=0.1)
    cr.onnx.export(model, tmp_path / "model.onnx")
    found = run(tmp_path / "model.onnx", x)
    assert list(found) == ["label", "probabilities"]
    expected, shares = model.predict(x), model.predict_proba(x)
    assert len(np.unique(expected)) > 1 or len(model.classes_) == 1  # the agreement says something
    assert found["label"].shape == expected.shape
    assert found["label"].dtype == (object if expected.dtype.kind in "UO" else np.int64)
    assert (found["label"] == expected).all()
    assert found["probabilities"].dtype == dtype
    assert found["probabilities"].shape == shares.shape
    assert (np.abs(found["probabilities"] - shares) <= CLOSE).all()


def test_of_a_single_class_there_is_no_other(tmp_path):
    model = fitted(MLPClassifier, X, np.full(len(Y), "all"))
    model.intercepts_ = [model.intercepts_[0], np.array([100.0])]  # the network says yes, for which there is no class
    cr.onnx.export(model, tmp_path / "model.onnx")
    assert (model._outputs(X) > 0).all()
    assert (run(tmp_path / "model.onnx", X)["label"] == model.predict(X)).all()


def test_labels_alone(tmp_path):
    model = fitted(MLPClassifier, X, Y)
    cr.onnx.export(model, tmp_path / "model.onnx", probabilities=False)
    assert list(run(tmp_path / "model.onnx", X)) == ["label"]


@pytest.mark.parametrize(
    ("y", "options"),
    [(YD / 100, {}), (YD / 100, {"loss": "poisson"}), (np.c_[YD, -YD] / 100, {"activation": ["elu"]})],
    ids=["a number", "counts", "two numbers"],
)
def test_numbers(y, options, dtype, tmp_path):
    x = XD.astype(dtype)
    model = fitted(MLPRegressor, x, y, **options)
    cr.onnx.export(model, tmp_path / "model.onnx")
    found = run(tmp_path / "model.onnx", x)
    assert list(found) == ["variable"]
    assert found["variable"].dtype == dtype
    assert found["variable"].shape == (len(x), model.n_outputs_)
    assert (np.abs(found["variable"] - model.predict(x).reshape(len(x), -1)) <= CLOSE).all()


def test_what_cannot_be_written(tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(NotFittedError):
        cr.onnx.export(MLPClassifier(), path)
    with pytest.raises(TypeError, match=r"model must be a Network, chainrule's MLPClassifier or MLPRegressor, or"):
        cr.onnx.export(MLPClassifier, path)
    with pytest.raises(ValueError, match="activation is for a Network"):
        cr.onnx.export(fitted(MLPClassifier, X, Y), path, activation="softmax")
    with pytest.raises(TypeError, match="numbers that fit into int64"):
        cr.onnx.export(fitted(MLPClassifier, X, Y.astype(np.uint64) + np.uint64(2**63)), path)
    assert not path.exists()


# Pipelines -----------------------------------------------------------------------------------------------------------

SCALERS = {
    "standard": StandardScaler(),
    "standard, means alone": StandardScaler(with_std=False),
    "standard, deviations alone": StandardScaler(with_mean=False),
    "robust": RobustScaler(unit_variance=True),
    "robust, centers alone": RobustScaler(with_scaling=False),
    "robust, scales alone": RobustScaler(with_centering=False),
    "greatest": MaxAbsScaler(),
    "least and greatest": MinMaxScaler(),
    "least and greatest, elsewhere": MinMaxScaler(feature_range=(-3, 2)),
}


def with_constant(x):
    """Return rows with one column more, that is the same everywhere: scalers divide by no 0."""
    return np.hstack([x, np.full((len(x), 1), 3, x.dtype)])


@pytest.mark.parametrize("fold", [True, False], ids=["folded", "kept"])
@pytest.mark.parametrize("scaler", SCALERS.values(), ids=SCALERS.keys())
def test_a_scaler_in_front(scaler, fold, dtype, tmp_path):
    x = with_constant(X).astype(dtype)
    pipe = fitted_pipeline([("0", clone(scaler)), ("model", MLPClassifier((6,), max_iter=8, batch_norm=True))], x)
    cr.onnx.export(pipe, tmp_path / "model.onnx", fold=fold)
    found = run(tmp_path / "model.onnx", x)
    assert (found["label"] == pipe.predict(x)).all()
    assert found["probabilities"].dtype == dtype
    assert (np.abs(found["probabilities"] - pipe.predict_proba(x)) <= CLOSE).all()
    assert (np.abs(pipe.predict_proba(x) - pipe[-1].predict_proba(x)) > 100 * CLOSE).any()  # the scaler matters


def fitted_pipeline(steps, x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Pipeline(steps).fit(x, NAMES[Y])


def test_a_layer_and_a_step_may_have_one_name(tmp_path):
    pipe = fitted_pipeline([("0", StandardScaler()), ("1", MLPClassifier((6,), max_iter=8, batch_norm=True))], X)
    pipe.steps[-1][1].network_ = standardizing(X)
    cr.onnx.export(pipe, tmp_path / "model.onnx", fold=False)
    assert (np.abs(run(tmp_path / "model.onnx", X)["probabilities"] - pipe.predict_proba(X)) <= CLOSE).all()


def standardizing(x):
    """Return a network whose layer 0 has means and scales of its own."""
    net = cr.Network([cr.Standardize(), cr.Dense(3)], inputs=x.shape[1], dtype="float64")
    net.adapt(x)
    return net


def test_pipelines_in_pipelines_and_steps_that_do_nothing(tmp_path):
    inner = Pipeline([("least", MinMaxScaler()), ("none", None), ("standard", StandardScaler())])
    pipe = fitted_pipeline([("inner", inner), ("off", "passthrough"), ("model", MLPClassifier((6,), max_iter=8))], X)
    for fold in (True, False):
        cr.onnx.export(pipe, tmp_path / "model.onnx", fold=fold)
        found = run(tmp_path / "model.onnx", X)
        assert (found["label"] == pipe.predict(X)).all()
        assert (np.abs(found["probabilities"] - pipe.predict_proba(X)) <= CLOSE).all()


def test_a_regressor_at_the_end(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe = make_pipeline(RobustScaler(), MLPRegressor(hidden_layer_sizes=(6,), max_iter=8)).fit(XD, YD / 100)
    cr.onnx.export(pipe, tmp_path / "model.onnx")
    assert (np.abs(run(tmp_path / "model.onnx", XD)["variable"][:, 0] - pipe.predict(XD)) <= CLOSE).all()


def test_steps_of_nested_pipelines_may_have_one_name(tmp_path):
    inner = Pipeline([("b", StandardScaler())])
    pipe = fitted_pipeline([("a", inner), ("a.b", MinMaxScaler()), ("model", MLPClassifier((6,), max_iter=8))], X)
    cr.onnx.export(pipe, tmp_path / "model.onnx", fold=False)
    assert (np.abs(run(tmp_path / "model.onnx", X)["probabilities"] - pipe.predict_proba(X)) <= CLOSE).all()


def test_pipelines_that_cannot_be_written(tmp_path):
    path = tmp_path / "model.onnx"
    model = MLPClassifier((6,), max_iter=8)
    with pytest.raises(TypeError, match=r"step 'pca' must be one of StandardScaler, .*; got PCA.*pipeline\[-1\]"):
        cr.onnx.export(fitted_pipeline([("pca", PCA(4)), ("model", model)], X), path)
    with pytest.raises(ValueError, match="step 'scaler' has clip=True"):
        cr.onnx.export(fitted_pipeline([("scaler", MinMaxScaler(clip=True)), ("model", model)], X), path)
    with pytest.raises(NotFittedError):
        cr.onnx.export(make_pipeline(StandardScaler(), fitted(MLPClassifier, X, Y)), path)
    with pytest.raises(ValueError, match=r"step 'scaler' must have 4 columns, as the estimator has; got 3"):
        cr.onnx.export(Pipeline([("scaler", StandardScaler().fit(X[:, :3])), ("m", fitted(MLPClassifier, X, Y))]), path)
    broken = StandardScaler().fit(X)
    broken.scale_[1] = 0
    with pytest.raises(ValueError, match="step 'scaler' has a mean, or one over a scale, that is not finite in f"):
        cr.onnx.export(Pipeline([("scaler", broken), ("model", fitted(MLPClassifier, X, Y))]), path)
    tiny = X.astype(np.float32) * np.float32(1e-39)
    scaler = StandardScaler().fit(tiny)
    single = fitted(MLPClassifier, X.astype(np.float32), Y)
    with pytest.raises(ValueError, match="that is not finite in float32"):
        cr.onnx.export(Pipeline([("scaler", scaler), ("model", single)]), path)
    with pytest.raises(TypeError, match="or a Pipeline that ends with one of these; got StandardScaler"):
        cr.onnx.export(make_pipeline(MinMaxScaler(), StandardScaler()).fit(X), path)
    assert not path.exists()
