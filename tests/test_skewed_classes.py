"""Skewed classes: the table of lecture [001], 998 healthy rows and 2 ill ones, and what weights of classes change.

One measured number x; the healthy lie evenly from -1 to 1, one of the ill lies far from them, the other among them.
Judged by scikit-learn's logistic regression, which minimises the same sum.
"""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr

X = np.concatenate([np.linspace(-1, 1, 998), [0.8, 6.0]])[:, np.newaxis]
Y = np.repeat([0, 1], [998, 2])


def scores_of(class_weight):
    """Return the scores of logistic regression, as a network without a hidden layer, at the minimum of its loss."""
    net = cr.Network([cr.Dense(1, weight_init="zeros")], inputs=1, dtype="float64")
    # A little L2, without which weights would grow as long as they may: 0.0001 w^2 / 2 beside a mean over rows.
    trainer = cr.Trainer(net, loss="binary_cross_entropy", optimizer=cr.Rprop(), penalty=cr.L2(1e-4))
    trainer.fit(X, Y, epochs=400, batch_size=1000, class_weight=class_weight, verbose=False)
    return net, cr.classification_scores(Y, (net.predict(X)[:, 0] > 0).astype(int))


def test_the_table_of_lecture_001_and_what_weights_change():
    _, plain = scores_of(None)
    # The slide's table, its accuracy, precision and recall; always saying 0 is nearly as accurate.
    assert plain.confusion.tolist() == [[998, 0], [1, 1]]
    assert (plain.accuracy, plain.baseline, plain.precision[1], plain.recall[1]) == (0.999, 0.998, 1.0, 0.5)
    _, weighted = scores_of("balanced")
    # Both of the ill are found, at the price of healthy ones called ill: recall up, precision and accuracy down.
    assert weighted.recall[1] == 1.0
    assert weighted.precision[1] < 0.1
    assert weighted.accuracy < plain.accuracy


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1.0, 1: 20.0}])
def test_weights_of_classes_are_scikit_learns(class_weight):
    linear = pytest.importorskip("sklearn.linear_model", reason="needs scikit-learn")
    net, scores = scores_of(class_weight)
    # Both go towards the minimum until it is near. Theirs is C times the sum over rows, plus w^2 / 2.
    theirs = linear.LogisticRegression(
        C=1 / (1000 * 1e-4), class_weight=class_weight, solver="newton-cholesky", tol=1e-9
    )
    theirs.fit(X, Y)
    found = net.parameters()
    np.testing.assert_allclose(found["0.weight"][0, 0], theirs.coef_[0, 0], rtol=1e-3)
    np.testing.assert_allclose(found["0.bias"][0], theirs.intercept_[0], rtol=1e-3)
    assert scores.confusion.tolist() == cr.classification_scores(Y, theirs.predict(X)).confusion.tolist()


def test_balanced_weights_are_rows_over_classes_times_rows_of_a_class():
    from chainrule.data import class_weights

    factors = class_weights("class_weight", "balanced", Y, 2)
    np.testing.assert_allclose(np.unique(factors), [1000 / (2 * 998), 1000 / (2 * 2)], rtol=1e-15)
    assert factors[Y == 0].sum() == pytest.approx(factors[Y == 1].sum())
