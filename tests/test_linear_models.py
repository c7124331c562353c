"""Networks without a hidden layer are linear and logistic regression (lectures [003], [004]): the same weights.

Judged by least squares in NumPy and by scikit-learn. Batch descent runs until its gradient has all but vanished: the
weights are then off from the minimum by at most the gradient over the least curvature.
"""

from __future__ import annotations

import numpy as np
import pytest
from problems import rows

import chainrule as cr

N, EPOCHS = 40, 600
X = rows(N, columns=3)
WITH_ONES = np.column_stack([X, np.ones(N)])
FLAT = 1e-12  # a gradient: of sums of some 40 numbers of size 1, whose roundings are 40 * 1e-16


def trained(outputs, y, loss, lr, penalty=None):
    """Return weights and bias (4, outputs) at the minimum, and the greatest gradient there."""
    net = cr.Network([cr.Dense(outputs)], inputs=3, dtype="float64")
    trainer = cr.Trainer(net, loss=loss, optimizer=cr.Momentum(lr=lr), penalty=penalty)
    trainer.fit(X, y, epochs=EPOCHS, batch_size=N, shuffle=False, verbose=False)
    net.zero_grad()
    loss(net(X), y).backward()
    if penalty is not None:
        penalty.add_gradient(net)
    parameters, gradients = net.parameters(), net.gradients()
    steepest = max(np.abs(gradients[name]).max() for name in gradients)
    return np.vstack([parameters["0.weight"], parameters["0.bias"]]), steepest


def test_two_targets_by_least_squares():
    y = rows(N, columns=2, seed=1)
    found, steepest = trained(2, y, cr.MeanSquaredError(reduction="mean_rows", half=True), lr=0.1)
    assert steepest < FLAT
    curvature = np.linalg.eigvalsh(WITH_ONES.T @ WITH_ONES / N)[0]
    np.testing.assert_allclose(found, np.linalg.lstsq(WITH_ONES, y, rcond=None)[0], rtol=0, atol=4 * FLAT / curvature)


def test_logistic_regression_is_scikit_learns():
    linear_model = pytest.importorskip("sklearn.linear_model", reason="compares with scikit-learn")
    y = (X @ [1.0, -2.0, 0.5] + rows(N, columns=1, seed=2).ravel() > 0).astype(int)
    strength = 0.02
    found, steepest = trained(1, y, cr.BinaryCrossEntropy(), lr=0.5, penalty=cr.L2(strength))
    assert steepest < FLAT
    # Theirs: C sum of losses + 1/2 |w|^2, the bias not counted; ours: 1/N sum of losses + strength / 2 |w|^2.
    theirs = linear_model.LogisticRegression(C=1 / (strength * N), tol=1e-10, max_iter=1000, solver="newton-cholesky")
    theirs.fit(X, y)
    p = 1 / (1 + np.exp(-WITH_ONES @ found))
    counted = np.diag([strength] * 3 + [0.0])
    curvature = np.linalg.eigvalsh((WITH_ONES * (p * (1 - p))).T @ WITH_ONES / N + counted)[0]
    expected = np.append(theirs.coef_[0], theirs.intercept_)
    # Both stop where their gradients are small: theirs below 1e-10, per row.
    np.testing.assert_allclose(found[:, 0], expected, rtol=0, atol=4 * 1e-10 / curvature)
