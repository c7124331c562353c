"""Metrics by epoch, judged by scikit-learn on what the network predicts, by the lectures' numbers, and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from gpu import needs_gpu
from problems import CLOCKED, network, problem, trainer

import chainrule as cr
from chainrule import _engine, metrics
from chainrule.class_counts import FIGURES, ClassCounts

Array = npt.NDArray[Any]
ROWS, INPUTS, CLASSES = 203, 5, 4
_rng = np.random.default_rng(5)
X = _rng.normal(size=(ROWS, INPUTS))
LABELS = (X[:, 0] > 0).astype(int) + 2 * (X[:, 1] + 0.5 * X[:, 2] > 0.3)
YES = (X[:, 0] + 0.3 * _rng.normal(size=ROWS) > 0.4).astype(int)
SEVERAL = (X[:, :3] + 0.3 * _rng.normal(size=(ROWS, 3)) > 0.2).astype(int)

# Loss, targets, the last layer, what sklearn is asked for the average of, and what the network's outputs say.
KINDS: dict[str, Any] = {
    "labels": (cr.CrossEntropy(), LABELS, cr.Dense(CLASSES), "macro", lambda p: p.argmax(axis=1)),
    "one-hot": (cr.CrossEntropy(), np.eye(CLASSES)[LABELS], cr.Dense(CLASSES), "macro", lambda p: p.argmax(axis=1)),
    "smoothed": (
        cr.CrossEntropy(from_logits=False, label_smoothing=0.1),
        LABELS,
        cr.Dense(CLASSES, activation="softmax"),
        "macro",
        lambda p: p.argmax(axis=1),
    ),
    "two classes": (cr.CrossEntropy(), YES, cr.Dense(2), "macro", lambda p: p.argmax(axis=1)),
    "yes or no": (cr.BinaryCrossEntropy(), YES, cr.Dense(1), "binary", lambda p: p[:, 0] > 0),
    "its probability": (
        cr.BinaryCrossEntropy(from_logits=False),
        YES,
        cr.Dense(1, activation="sigmoid"),
        "binary",
        lambda p: p[:, 0] > 0.5,
    ),
    "several questions": (cr.BinaryCrossEntropy(), SEVERAL, cr.Dense(3), "macro", lambda p: p > 0),
    "their probabilities": (
        cr.BinaryCrossEntropy(from_logits=False),
        SEVERAL,
        cr.Dense(3, activation="sigmoid"),
        "macro",
        lambda p: p > 0.5,
    ),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def learner_of(
    kind: str, dtype: str = "float64", device: str = "cpu", dropout: bool = True, **options: Any
) -> cr.Trainer:
    loss, _, last, *_ = KINDS[kind]
    words = [*loss.metrics(last.units), *(["top_2_accuracy"] if last.units == CLASSES else [])]
    layers = [cr.Dense(9, activation="tanh"), *([cr.Dropout(rate=0.1)] if dropout else []), last]
    net = cr.Network(layers, inputs=INPUTS, seed=3, dtype=dtype, device=device)
    return cr.Trainer(net, loss=loss, metrics=words, **{"optimizer": cr.Adam(0.02), **options})


def expected_of(kind: str, p: Array, y: Array) -> dict[str, float]:
    """Return scikit-learn's figures of outputs p."""
    theirs = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    average, said = KINDS[kind][3:]
    if kind == "one-hot":
        y = y.argmax(axis=1)
    found = theirs.precision_recall_fscore_support(y, said(p), average=average, zero_division=np.nan)
    figures = dict(zip(FIGURES, found[:3], strict=True))
    if y.ndim == 1:
        figures["accuracy"] = theirs.accuracy_score(y, said(p))
    if p.shape[1] == CLASSES:
        figures["top_2_accuracy"] = theirs.top_k_accuracy_score(y, p, k=2, labels=range(CLASSES))
    return figures


@each_kind
def test_by_epoch_scikit_learn_says_the_same(kind: str, dtype: str) -> None:
    y = KINDS[kind][1]
    learner = learner_of(kind, dtype)
    seen: list[dict[str, float]] = []
    told = cr.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(expected_of(kind, learner.net.predict(X[150:]), y[150:]))
    )
    history = learner.fit(
        X[:150], y[:150], epochs=4, batch_size=16, validation_data=(X[150:], y[150:]), callbacks=[told]
    )
    for name in learner.metrics:
        # A mean over rows is taken in the network's precision.
        np.testing.assert_allclose(history[f"val_{name}"], [figures[name] for figures in seen], rtol=1e-6, err_msg=name)
        assert 0 <= history[name][-1] <= 1
    assert len({figures["f1"] for figures in seen}) > 1


@each_kind
def test_of_the_training_part_too(kind: str, dtype: str) -> None:
    # So small a rate changes nothing. Dropout would; it is left out.
    y = KINDS[kind][1]
    learner = learner_of(kind, dtype, dropout=False, optimizer=cr.SGD(1e-30))
    history = learner.fit(X, y, epochs=2, batch_size=32)  # the last of 11 rows
    expected, measured = expected_of(kind, learner.net.predict(X), y), learner.evaluate(X, y)
    for name in learner.metrics:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-6, err_msg=name)
        assert measured[name] == pytest.approx(expected[name], rel=1e-6)


def test_counts_do_not_depend_on_threads(restored_threads: None) -> None:
    _engine.set_work_per_thread(1)
    found = []
    for threads in (1, 2, 3):
        cr.set_num_threads(threads)
        learner = learner_of("labels")
        history = learner.fit(X, LABELS, epochs=2, batch_size=64, validation_split=0.3)
        found.append({name: history[name] for name in history if name not in CLOCKED})
    assert found[0] == found[1] == found[2]


@needs_gpu
@each_kind
@pytest.mark.parametrize("dropout", [True, False], ids=["by layers", "narrow"])
def test_cuda_counts_as_the_cpu_does(kind: str, dtype: str, dropout: bool) -> None:
    y, found = KINDS[kind][1], []
    for device in ("cpu", "cuda"):
        learner = learner_of(kind, dtype, device, dropout)
        # Without dropout, and without a softmax, the GPU takes a step as one.
        narrow = learner.net.core.takes_narrow_steps(learner.loss.build(learner.net.engine))
        assert narrow == (device == "cuda" and not dropout and kind != "smoothed")
        found.append(learner.fit(X, y, epochs=2, batch_size=64, validation_split=0.3))
    for name in set(found[0]) - {*CLOCKED, "loss", "val_loss"}:
        np.testing.assert_allclose(found[1][name], found[0][name], rtol=1e-6, err_msg=name)


# The lectures ---------------------------------------------------------------------------------------------------------


def test_the_table_of_lecture_001() -> None:
    # 998 healthy, 2 ill, of whom one is found; and who always says no. The output is the input.
    net = cr.Network([cr.Dense(1, weight_init=cr.Constant(1.0))], inputs=1, dtype="float64")
    learner = cr.Trainer(net, loss="binary_cross_entropy", metrics=["accuracy", *FIGURES])
    ill, found = np.repeat([0, 1], [998, 2]), np.repeat([-1, 1], [999, 1])[:, np.newaxis]
    measured = learner.evaluate(found, ill)
    assert [measured[name] for name in learner.metrics] == pytest.approx([0.999, 1.0, 0.5, 2 / 3])
    measured = learner.evaluate(-np.ones((1000, 1)), ill)
    assert [measured[name] for name in learner.metrics] == pytest.approx([0.998, math.nan, 0.0, 0.0], nan_ok=True)
    scores = learner.scores(found, ill)
    np.testing.assert_array_equal(scores.confusion, [[998, 0], [1, 1]])
    assert (scores.accuracy, scores.baseline) == (0.999, 0.998)


def test_the_generalisation_gap() -> None:
    X, y = problem()
    history = trainer(network(), metrics=["accuracy", "f1"]).fit(X, y, epochs=3, validation_split=0.3)
    assert history.gap() == [b - a for a, b in zip(history["loss"], history["val_loss"], strict=True)]
    for name in ("accuracy", "f1"):  # what should be large: where it is less on new rows, the gap is positive
        assert history.gap(name) == [a - b for a, b in zip(history[name], history[f"val_{name}"], strict=True)]
    with pytest.raises(KeyError, match="'val_penalty'; there are loss, accuracy, f1, penalty"):
        trainer(network(), metrics=["accuracy", "f1"], penalty=cr.L2(0.1)).fit(
            X, y, epochs=1, validation_split=0.3
        ).gap("penalty")
    with pytest.raises(KeyError, match="'val_loss'; there are loss, learning_rate"):
        trainer(network()).fit(X, y, epochs=1).gap()


# What monitors them ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["accuracy", "top_2_accuracy", *FIGURES])
def test_early_stopping_knows_that_large_is_good(name: str) -> None:
    learner = learner_of("labels", optimizer=cr.Adam(0.005))
    stopping = cr.EarlyStopping(f"val_{name}", patience=5)
    history = learner.fit(X, LABELS, epochs=30, batch_size=16, validation_split=0.3, callbacks=[stopping])
    values = np.nan_to_num(history[f"val_{name}"], nan=-1)
    assert history.best_epoch == int(values.argmax()) + 1
    assert values.max() > values[0]


@pytest.mark.parametrize("name", ["loss", "val_loss", "mae", "val_mse", "penalty", "learning_rate", "seconds"])
def test_what_should_be_small(name: str) -> None:
    assert not metrics.large_is_good(name)


# Nothing to divide by -------------------------------------------------------------------------------------------------


def test_what_has_nothing_to_divide_by_is_not_a_number() -> None:
    # The network always says 1: 0 is never predicted, 2 is nowhere.
    net = cr.Network([cr.Dense(3, bias_init=cr.Constant(0.0))], inputs=1, dtype="float64")
    net.load_state_dict({"0.weight": np.zeros((1, 3)), "0.bias": np.array([0.0, 1.0, 0.0])})
    learner = cr.Trainer(net, loss="cross_entropy", metrics=FIGURES)
    zeros = np.zeros((5, 1))
    measured = learner.evaluate(zeros, [0, 1, 1, 1, 0])
    assert [measured[name] for name in FIGURES] == pytest.approx([math.nan, 0.5, 0.375], nan_ok=True)
    # Only 1, as is predicted: all is right, and 0 and 2 say nothing.
    measured = learner.evaluate(zeros, [1, 1, 1, 1, 1])
    assert [measured[name] for name in FIGURES] == [1, 1, 1]
    assert learner.scores(zeros, [0, 1, 1, 1, 0]).undefined[0] == "precision of 0: it was never predicted"


def test_means_are_scikit_learns() -> None:
    theirs = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    rng = np.random.default_rng(1)
    true, said = rng.integers(0, 3, 50), rng.integers(0, 2, 50)  # 2 is never predicted
    for zero_division in (0.0, 1.0):
        scores = cr.classification_scores(true, said, classes=[0, 1, 2, 3], zero_division=zero_division)
        expected = theirs.precision_recall_fscore_support(true, said, average="macro", zero_division=zero_division)
        assert list(scores.means().values()) == pytest.approx(expected[:3])
    assert math.isnan(cr.classification_scores(true, said).means()["precision"])


def test_of_no_rows_and_no_classes() -> None:
    for classes in (0, 1, 3):
        means = ClassCounts(*np.zeros((3, classes))).means()
        assert list(means) == list(FIGURES)
        assert all(math.isnan(value) for value in means.values())
    assert ClassCounts(*np.zeros((3, 2)), zero_division=0.0).means() == dict.fromkeys(FIGURES, 0.0)


# Words ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "loss", "outputs", "message"),
    [
        (["auc"], "cross_entropy", 3, "metrics='auc' is unknown; known are 'accuracy', 'top_5_accuracy', 'precision'"),
        (["top_k_accuracy"], "cross_entropy", 9, "metrics='top_k_accuracy' is unknown"),
        (["top_05_accuracy"], "cross_entropy", 9, "metrics='top_05_accuracy' is unknown"),
        (["top_1_accuracy"], "cross_entropy", 9, "suiting are accuracy, precision, recall, f1, top_k_accuracy with"),
        (["top_9_accuracy"], "cross_entropy", 9, "top_k_accuracy with k from 2 to 8"),
        (["top_3_accuracy"], "cross_entropy", 3, "top_k_accuracy with k = 2$"),
        (["top_2_accuracy"], "cross_entropy", 2, "suiting are accuracy, precision, recall, f1$"),
        (["top_2_accuracy"], "binary_cross_entropy", 1, "suiting are accuracy, precision, recall, f1$"),
        (["top_2_accuracy"], "binary_cross_entropy", 5, "suiting are precision, recall, f1$"),
        (["f1"], "mse", 2, "metrics='f1' does not suit .* suiting are mae, mse$"),
        (["f1", "f1"], "cross_entropy", 3, "metrics must differ"),
    ],
)
def test_words_that_do_not_suit(words: list[str], loss: str, outputs: int, message: str) -> None:
    net = cr.Network([cr.Dense(outputs)], inputs=2)
    with pytest.raises(ValueError, match=message):
        cr.Trainer(net, loss=loss, metrics=words)


def test_words_are_strings() -> None:
    with pytest.raises(TypeError, match="metrics must be one of 'accuracy'"):
        trainer(network(), metrics=[5])


def test_figures_come_in_the_order_of_the_words() -> None:
    X, y = problem()
    words = ["f1", "accuracy", "precision", "top_2_accuracy", "recall"]
    history = trainer(network(), metrics=words).fit(X, y, epochs=1)
    assert list(history)[:6] == ["loss", *words]


def test_scores_are_for_classes() -> None:
    X, y = problem()
    scores = trainer(network()).scores(X, np.eye(3)[y])
    assert scores.support.tolist() == np.bincount(y).tolist()
    assert scores.means() == pytest.approx(
        {name: value for name, value in trainer(network(), metrics=FIGURES).evaluate(X, y).items() if name != "loss"}
    )
    net = cr.Network([cr.Dense(3)], inputs=4)
    for loss in ("binary_cross_entropy", "mse"):
        with pytest.raises(ValueError, match=r"scores\(\) is for classes that exclude each other"):
            cr.Trainer(net, loss=loss).scores(X, np.eye(3)[y])
