"""Scores of classifiers, judged by the lecture's numbers and by scikit-learn."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import network, problem, trainer

import chainrule as cr

TRUE, FOUND = np.repeat([0, 1], [998, 2]), np.repeat([0, 1], [999, 1])


def test_the_table_of_lecture_001() -> None:
    scores = cr.classification_scores(TRUE, FOUND)
    assert_array_equal(scores.confusion, [[998, 0], [1, 1]])
    assert (scores.accuracy, scores.baseline) == (0.999, 0.998)
    assert (scores.precision[1], scores.recall[1]) == (1.0, 0.5)
    assert scores.f1[1] == pytest.approx(2 / 3)
    assert_array_equal(scores.support, [998, 2])
    assert scores.undefined == ()


@pytest.mark.parametrize("kind", ["numbers", "words", "scores", "scores of words"])
def test_scikit_learn_says_the_same(kind: str) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    rng = np.random.default_rng(4)
    words = np.array(["no", "perhaps", "yes", "later"])
    true, given = rng.integers(0, 4, 300), rng.integers(0, 9, (300, 4)) / 8  # with ties
    found = given.argmax(axis=1)
    ours: Any = {
        "numbers": lambda: cr.classification_scores(true, found),
        "words": lambda: cr.classification_scores(words[true], words[found], classes=words),
        "scores": lambda: cr.classification_scores(true, given),
        "scores of words": lambda: cr.classification_scores(words[true], given, classes=list(words)),
    }[kind]()
    assert_array_equal(ours.confusion, metrics.confusion_matrix(true, found))
    theirs = metrics.precision_recall_fscore_support(true, found)
    for name, expected in zip(("precision", "recall", "f1", "support"), theirs, strict=True):
        assert_allclose(getattr(ours, name), expected, rtol=1e-14)
    assert ours.accuracy == metrics.accuracy_score(true, found)
    assert ours.classes == (tuple(words) if "words" in kind else (0, 1, 2, 3))


@pytest.mark.parametrize("zero_division", [float("nan"), 0.0, 1.0])
def test_what_cannot_be_divided_is_told(zero_division: float) -> None:
    # Class 1 is never predicted, class 2 does not occur, class 3 is nowhere.
    scores = cr.classification_scores([0, 0, 1], [0, 2, 0], classes=[0, 1, 2, 3], zero_division=zero_division)
    assert_array_equal(scores.precision, [0.5, zero_division, 0, zero_division])
    assert_array_equal(scores.recall, [0.5, 0, zero_division, zero_division])
    assert_array_equal(scores.f1, [0.5, 0, 0, zero_division])
    assert scores.undefined == (
        "precision of 1: it was never predicted",
        "recall of 2: no row is of it",
        "precision of 3: it was never predicted",
        "recall of 3: no row is of it",
        "F1 of 3: it is nowhere",
    )
    metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options: dict[str, Any] = {"labels": [0, 1, 2, 3], "zero_division": zero_division}
        theirs = metrics.precision_recall_fscore_support([0, 0, 1], [0, 2, 0], **options)
    assert_array_equal(scores.precision, theirs[0])
    assert_array_equal(scores.recall, theirs[1])


def test_as_text() -> None:
    text = str(cr.classification_scores(np.array(["well", "ill"])[TRUE], np.array(["well", "ill"])[TRUE * 0]))
    lines = text.splitlines()
    assert "ill          nan  0.0000  0.0000       2" in lines
    assert "well      0.9980  1.0000  0.9990     998" in lines
    assert lines[-2:] == [
        "accuracy 0.9980; always saying 'well' has 0.9980",
        "not defined: precision of 'ill': it was never predicted",
    ]


def test_of_a_network() -> None:
    X, labels = problem()
    learner = trainer(network(), metrics=["accuracy"])
    learner.fit(X, labels, epochs=5)
    predicted = learner.net.predict(X)
    scores = cr.classification_scores(labels, predicted)
    assert scores.accuracy == pytest.approx(learner.evaluate(X, labels)["accuracy"])
    assert cr.top_k_accuracy(labels, predicted, k=1) == scores.accuracy


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_top_k_is_scikit_learns(k: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    rng = np.random.default_rng(8)
    true, scores = rng.integers(0, 6, 500), rng.normal(size=(500, 6))
    expected = metrics.top_k_accuracy_score(true, scores, k=k, labels=range(6))
    assert cr.top_k_accuracy(true, scores, k) == pytest.approx(expected)


def test_top_k_takes_k_classes_and_no_more() -> None:
    equal = np.zeros((4, 4))
    assert [cr.top_k_accuracy([0, 1, 2, 3], equal, k) for k in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1.0]
    assert cr.top_k_accuracy([2], [[-np.inf, 3, np.inf]], 1) == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cr.classification_scores([], []), ValueError, r"y_true must have shape \(N,\) with at least one row"),
        (lambda: cr.classification_scores([[0]], [0]), ValueError, "y_true must have shape"),
        (lambda: cr.classification_scores([0, 1], [0]), ValueError, r"y_pred must have shape \(2,\) or \(2, K\)"),
        (
            lambda: cr.classification_scores([0, 1], [0, 2], classes=[0, 1]),
            ValueError,
            r"y_pred\[1\] is 2, which is none of",
        ),
        (
            lambda: cr.classification_scores([0, 3], np.eye(2)),
            ValueError,
            r"y_true\[1\] is 3, which is none of the 2 classes",
        ),
        (
            lambda: cr.classification_scores([0, 1], [0, 1], classes=[1, 1]),
            ValueError,
            "classes must be a list of diff",
        ),
        (lambda: cr.classification_scores([0, 1], np.eye(2), classes="ab"), ValueError, "classes must be a list of"),
        (
            lambda: cr.classification_scores([0, 1], np.eye(2), classes=[0]),
            ValueError,
            "scores must be numbers of shape",
        ),
        (lambda: cr.classification_scores([0, 1], [["a", "b"]] * 2), ValueError, "scores must be numbers of shape"),
        (lambda: cr.classification_scores([0, 1], np.full((2, 2), np.nan)), ValueError, "scores have NaN"),
        (lambda: cr.classification_scores([0, 1], [0, 1], zero_division=2), ValueError, "zero_division must be"),
        (lambda: cr.top_k_accuracy([0.5], [[1, 2]]), ValueError, "y_true must be class numbers"),
        (lambda: cr.top_k_accuracy([0, 1], [[1, 2]]), ValueError, r"scores must have shape \(2, K\)"),
        (lambda: cr.top_k_accuracy([2], [[1, 2]], 1), ValueError, r"y_true\[0\] is 2, which is none of the 2 classes"),
        (lambda: cr.top_k_accuracy([0], [[1, 2]], 3), ValueError, "k must be"),
        (lambda: cr.top_k_accuracy([0], [[1, np.nan]], 1), ValueError, "scores have NaN"),
    ],
)
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_words_are_not_numbers() -> None:
    with pytest.raises((TypeError, ValueError), match="y_true"):
        cr.classification_scores(["a", "b"], [0, 1], classes=[0, 1])
