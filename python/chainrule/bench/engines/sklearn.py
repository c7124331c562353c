"""scikit-learn: `MLPClassifier.partial_fit`, one call an epoch on rows already shuffled, and `predict_proba`.

Its start is set from outside, which it has no option for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.neural_network import MLPClassifier

from chainrule.bench.workloads import BETA1, BETA2, EPSILON, Array, Query, Setting, Trainee, epoch_by_epoch


def training(setting: Setting) -> Trainee:
    """Train epoch by epoch."""
    workload = setting.workload
    model = MLPClassifier(
        workload.widths[1:-1],
        solver=setting.optimizer,
        alpha=0.0,
        batch_size=workload.batch_size,
        learning_rate_init=setting.rate,
        shuffle=False,
        momentum=0.0,
        nesterovs_momentum=False,
        beta_1=BETA1,
        beta_2=BETA2,
        epsilon=EPSILON,
    )
    weights, biases, classes = _start(setting.start[0::2], setting.start[1::2])
    model.partial_fit(setting.X[: workload.batch_size], setting.y[: workload.batch_size], classes=classes)

    def reset() -> None:
        model.coefs_, model.intercepts_ = [w.copy() for w in weights], [b.copy() for b in biases]
        del model._optimizer  # partial_fit makes another

    def epoch(order: npt.NDArray[np.int32]) -> float:
        with warnings.catch_warnings():
            # It takes Ctrl-C for itself and warns that it did.
            warnings.filterwarnings("error", message="Training interrupted by user")
            try:
                model.partial_fit(setting.X[order], setting.y[order])
            except UserWarning:
                raise KeyboardInterrupt from None
        return float(model.loss_)

    return Trainee(reset, epoch_by_epoch(setting, epoch))


def _start(weights: Any, biases: Any) -> tuple[list[Array], list[Array], Array]:
    """Return weights, biases and classes.

    For two classes scikit-learn has one logistic output, which learns half as fast as two under softmax. A third class
    that never comes, with a bias so low that its probability is 0, keeps softmax: one column more in the last layer.
    """
    weights, biases = list(weights), list(biases)
    outputs = len(biases[-1])
    if outputs == 2:
        weights[-1] = np.column_stack([weights[-1], np.zeros_like(weights[-1][:, 0])])
        biases[-1] = np.append(biases[-1], biases[-1].dtype.type(-1e4))
        outputs = 3
    return weights, biases, np.arange(outputs, dtype=np.int32)


def prediction(query: Query) -> Callable[[], Array]:
    """Predict probabilities, the only outputs that it gives: softmax is part of its time."""
    model = MLPClassifier(query.widths[1:-1])
    classes = np.arange(query.widths[-1])
    rows = np.resize(query.X, (len(classes), query.widths[0]))  # all classes at least once
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an optimization that did not converge: what it learned is overwritten
        model.partial_fit(rows, classes, classes=classes)
    model.coefs_, model.intercepts_ = list(query.parameters[0::2]), list(query.parameters[1::2])
    X = query.X
    return lambda: model.predict_proba(X)
