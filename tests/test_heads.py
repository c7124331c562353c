"""What targets ask for, judged by the table of lecture [004] and by the losses written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr

ROWS = 12
X = np.random.default_rng(0).normal(size=(ROWS, 4))
NUMBERS = np.random.default_rng(1).normal(size=(ROWS, 2))
CLASSES = np.arange(ROWS) % 3
SEVERAL = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 0]] * 4)

# The targets, how they are to be read, outputs, loss, metrics.
TABLE = [
    (NUMBERS[:, 0], "regression", 1, cr.MeanSquaredError(), ("mae",)),
    (NUMBERS[:, :1], "regression", 1, cr.MeanSquaredError(), ("mae",)),
    (NUMBERS.astype("float32"), "regression", 2, cr.MeanSquaredError(), ("mae",)),
    # Whole numbers as floats, but not numbered from 0 without gaps.
    (100.0 * CLASSES, "regression", 1, cr.MeanSquaredError(), ("mae",)),
    (CLASSES % 2, "binary", 1, cr.BinaryCrossEntropy(), ("accuracy",)),
    ((CLASSES % 2)[:, None], "binary", 1, cr.BinaryCrossEntropy(), ("accuracy",)),
    (CLASSES == 1, "binary", 1, cr.BinaryCrossEntropy(), ("accuracy",)),
    (CLASSES % 2.0, "binary", 1, cr.BinaryCrossEntropy(), ("accuracy",)),
    (CLASSES, "classes", 3, cr.CrossEntropy(), ("accuracy",)),
    (CLASSES.astype("uint8")[:, None], "classes", 3, cr.CrossEntropy(), ("accuracy",)),
    (np.eye(3)[CLASSES], "classes", 3, cr.CrossEntropy(), ("accuracy",)),
    (np.eye(2, dtype=int)[CLASSES % 2], "classes", 2, cr.CrossEntropy(), ("accuracy",)),
    (SEVERAL, "labels", 3, cr.BinaryCrossEntropy(), ()),
    (SEVERAL == 1, "labels", 3, cr.BinaryCrossEntropy(), ()),
    (SEVERAL.tolist(), "labels", 3, cr.BinaryCrossEntropy(), ()),
]


@pytest.mark.parametrize(("y", "kind", "outputs", "loss", "metrics"), TABLE)
def test_the_table_of_lecture_004(y, kind, outputs, loss, metrics):
    head = cr.head_for(y)
    assert head == cr.Head(kind, cr.Dense(outputs), loss, metrics)
    assert cr.head_for(y, kind=kind) == head


@pytest.mark.parametrize("y", [row[0] for row in TABLE])
def test_a_head_trains_on_its_targets(y):
    head = cr.head_for(y)
    net = cr.Network([cr.Dense(3, activation="tanh"), head.layer], inputs=4)
    history = cr.Trainer(net, loss=head.loss, metrics=head.metrics).fit(X, y, epochs=2)
    assert np.isfinite(history["loss"]).all()


# What is no default: targets that "auto" reads otherwise, or not at all.
@pytest.mark.parametrize(
    ("y", "kind", "outputs"),
    [
        (CLASSES, "regression", 1),
        (CLASSES % 2, "regression", 1),
        (SEVERAL, "regression", 3),
        (np.full(ROWS, 7), "regression", 1),
        (NUMBERS[:, 0] ** 2 / (1 + NUMBERS[:, 0] ** 2), "binary", 1),  # shares
        (np.zeros(ROWS, int), "binary", 1),
        (CLASSES % 2, "classes", 2),
        (CLASSES % 2 == 1, "classes", 2),
        (2 * CLASSES, "classes", 5),
        (np.zeros(ROWS, int), "classes", 2),
        (np.full((ROWS, 4), 0.25), "classes", 4),
        (np.full((ROWS, 4), 0.25), "regression", 4),
        (np.eye(3)[CLASSES], "labels", 3),
        (CLASSES % 2, "labels", 1),
    ],
)
def test_the_kind_may_be_told(y, kind, outputs):
    head = cr.head_for(y, kind=kind)
    assert (head.kind, head.layer) == (kind, cr.Dense(outputs))
    net = cr.Network([head.layer], inputs=4)
    cr.Trainer(net, loss=head.loss, metrics=head.metrics).fit(X, y, epochs=1)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (
            [1, 2, 3] * 4,
            "3 different whole numbers from 1 to 3 in 12 rows, which may be classes or numbers: give kind=",
        ),
        ([0, 2] * 6, "2 different whole numbers from 0 to 2"),
        ([-1, 1] * 6, "2 different whole numbers from -1 to 1"),
        (range(12), "12 different whole numbers from 0 to 11 in 12 rows"),
        (2.0 * CLASSES // 2, "from 0 to 2 as float64, which may be classes or numbers.*kind='regression'"),
        ([4] * 12, "y is 4 in every row.*give kind="),
        ([True] * 12, "y is True in every row.*give kind="),
        (np.full((ROWS, 4), 0.25), "sum to 1 in each row.*kind='classes' or kind='regression'"),
        (SEVERAL + 1, "whole numbers in 3 columns.*kind='regression'"),
    ],
)
def test_what_may_be_two_things_is_refused_with_the_option_that_tells(y, words):
    with pytest.raises(ValueError, match=words):
        cr.head_for(y)


@pytest.mark.parametrize(
    ("y", "kind", "error", "words"),
    [
        (CLASSES, "multiclass", ValueError, "kind='multiclass' is unknown; known are 'auto', 'regression'"),
        (CLASSES, 3, TypeError, "kind"),
        (CLASSES, "binary", ValueError, "y must lie from 0 to 1; row 2 has 2"),
        (SEVERAL, "binary", ValueError, "kind='binary' needs y of one column.*kind='labels'"),
        (CLASSES, "labels", ValueError, "y must lie from 0 to 1"),
        (SEVERAL, "classes", ValueError, "y must sum to 1 in each row; row 0 sums to 2"),
        (1.0 * CLASSES, "classes", TypeError, r"y.astype\(int\)"),
        (CLASSES - 1, "classes", ValueError, "class labels from 0 on; got -1"),
        ([0, 2**40], "classes", ValueError, "the greatest class in y"),
        ([], "auto", ValueError, r"y must have shape .* got \(0,\)"),
        (np.zeros((3, 0)), "regression", ValueError, r"y must have shape .* got \(3, 0\)"),
        (3, "regression", ValueError, r"y must have shape .* got \(\)"),
        (np.zeros((2, 2, 2)), "auto", ValueError, "y must have shape"),
        ([0.5, np.nan], "auto", ValueError, r"y must be finite; y\[1\] is nan"),
        (["a", "b"], "auto", TypeError, "LabelEncoder"),
        ([None, 1], "regression", TypeError, "y must hold real numbers"),
    ],
)
def test_what_is_refused(y, kind, error, words):
    with pytest.raises(error, match=words):
        cr.head_for(y, kind=kind)


def test_t18_several_answers_take_sigmoids_and_classes_a_softmax():
    several, classes = cr.head_for(SEVERAL), cr.head_for(CLASSES)
    z = np.random.default_rng(2).normal(size=(ROWS, 3)) * 3
    f = 1 / (1 + np.exp(-z))
    assert np.ptp(f.sum(axis=1)) > 0.1  # these are not shares of one: any number may be answered with yes
    by_sigmoids = -(SEVERAL * np.log(f) + (1 - SEVERAL) * np.log(1 - f)).mean()
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    by_softmax = -np.log(p[np.arange(ROWS), CLASSES]).mean()
    # log(1 - f) loses what f has in digits near 1: |z| is below 10, so less than e^10 = 2^15 roundings.
    assert float(several.loss(z, SEVERAL)) == pytest.approx(by_sigmoids, rel=2.0**-37)
    assert float(classes.loss(z, CLASSES)) == pytest.approx(by_softmax, rel=2.0**-40)
    assert "multi-label" in cr.head_for.__doc__
