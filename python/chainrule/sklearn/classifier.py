"""MLPClassifier: classes as targets, predictions and scores. How it is fitted is in base.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import unique_labels

from .. import checks
from ..losses import BinaryCrossEntropy, CrossEntropy
from . import parameters
from .base import BaseMLP, is_stochastic
from .protocol import with_callbacks

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..loss import Loss

    Array = npt.NDArray[Any]


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    """scikit-learn's multi-layer perceptron for classes, trained by chainrule.

    Two classes, several, or several questions with yes or no (a matrix of 0 and 1); labels of any kind.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, default (100,)
        Units of each hidden layer.
    activation : str, ActivationFunction or list of these, default "relu"
        Of the hidden layers: "identity", "logistic", "tanh", "relu" or another of chainrule's; a list has one for each.
    solver : {"adam", "sgd", "lbfgs"}, or an Optimizer of chainrule, default "adam"
        An Optimizer brings its own rate; the parameters of the three are then not used.
    alpha : float, default 0.0001
        Strength of the L2 term alpha / 2 * sum w^2, divided by the rows of the batch (by their weights, if they have
        some): scikit-learn's scaling, by which the penalty depends on the batch size. `penalty` has others.
    batch_size : int or "auto", default "auto"
        Rows of a step; "auto" is min(200, n_samples). Not used by lbfgs.
    learning_rate : {"constant", "invscaling", "adaptive"}, Schedule or callable, default "constant"
        The words are for solver="sgd": invscaling is learning_rate_init / (t + 1)^power_t after t rows; adaptive
        divides the rate by 5 where training would stop. A Schedule, or a function of the epoch, is for adam as well.
    learning_rate_init : float, default 0.001
        The rate to begin with, for sgd and adam.
    power_t : float, default 0.5
        The exponent of invscaling.
    max_iter : int, default 200
        Epochs at most; iterations of lbfgs.
    shuffle : bool, default True
        Whether the rows come in a new order each epoch.
    random_state : int, RandomState or None, default None
        Draws the starts, as scikit-learn does, the seed of the shuffles, and the validation part.
    tol : float, default 1e-4
        What counts as an improvement.
    verbose : bool, default False
        Whether each iteration is printed.
    warm_start : bool, default False
        Whether another `fit` goes on with the weights and the optimizer's state of the last one.
    momentum : float, default 0.9
        Of solver="sgd", from 0 to 1.
    nesterovs_momentum : bool, default True
        Of solver="sgd".
    early_stopping : bool, default False
        Whether to stop by the score on a validation part, and return to the best weights.
    validation_fraction : float, default 0.1
        Size of that part, where none is given to `fit`.
    beta_1, beta_2, epsilon : float, default 0.9, 0.999, 1e-8
        Of solver="adam".
    n_iter_no_change : int or inf, default 10
        Epochs without improvement by `tol` after which training stops.
    max_fun : int, default 15000
        Calls of the loss by lbfgs at most.
    loss : "log_loss" or a Loss of chainrule, default "log_loss"
        Cross-entropy; such as `chainrule.CrossEntropy(label_smoothing=0.1)` instead, where several questions are asked
        at once a `chainrule.BinaryCrossEntropy`.
    class_weight : dict, "balanced" or None, default None
        Factors of the classes' losses, as in scikit-learn's other classifiers.
    dropout : float or list of float, default 0.0
        Share of the units left out after each hidden layer.
    batch_norm : bool, default False
        Whether a batch normalization comes before each hidden activation.
    penalty : Penalty or list of Penalty, optional
        Further terms, such as `chainrule.L1(1e-4)`.
    device : {"cpu", "cuda"}, default "cpu"
    callbacks : list of Callback, optional
        chainrule's.
    n_jobs : int, optional
        Threads of the engine while it fits, -1 for all. None is `chainrule.get_num_threads()`, but one where joblib
        fits several estimators in threads of this process.
    progress : bool or "auto", default False
        Whether a bar is shown.

    Attributes
    ----------
    classes_ : array of shape (K,)
        The labels, sorted.
    network_ : Network
        What was trained; ends linearly, before `out_activation_`.
    history_ : History
        Of the last fit: loss, penalty, gradient norm, rate and times by epoch.
    coefs_, intercepts_ : list of array
        Weights (inputs, units) and biases (units,) of each layer.
    loss_, best_loss_ : float
        Of the last iteration, and the least; best_loss_ is None with early_stopping.
    loss_curve_ : list of float
        The loss with its L2 term by iteration, over all fits that went on.
    validation_curve_ : list of float
        The loss on the user's validation part by epoch.
    validation_scores_, best_validation_score_ : list of float, float
        With early_stopping; else None.
    n_iter_, t_ : int
        Iterations of the last fit, and rows that were trained on in all.
    n_layers_, n_outputs_, out_activation_
        Number of layers with the inputs, of outputs, and what shapes them.
    n_features_in_, feature_names_in_
        As in all estimators.

    Examples
    --------
    >>> from chainrule.sklearn import MLPClassifier
    >>> model = MLPClassifier((64,), dropout=0.2, random_state=0).fit(X, y)
    >>> model.predict_proba(X[:3])
    """

    classes_: Array
    _label_binarizer: LabelBinarizer

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: Any = "log_loss",
        class_weight: Any = None,
        dropout: Any = 0.0,
        batch_norm: bool = False,
        penalty: Any = None,
        device: str = "cpu",
        callbacks: Any = None,
        n_jobs: int | None = None,
        progress: Any = False,
    ) -> None:
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            loss=loss,
            dropout=dropout,
            batch_norm=batch_norm,
            penalty=penalty,
            device=device,
            callbacks=callbacks,
            n_jobs=n_jobs,
            progress=progress,
        )
        self.class_weight = class_weight

    # Targets ---------------------------------------------------------------------------------------------------------

    def _targets(self, y: Array, first: bool, classes: Any = None, held_out: bool = False) -> Array:
        """Return class numbers (N,) int32, or 0 and 1 (N,) or (N, K)."""
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if first:
            self._label_binarizer = LabelBinarizer().fit(y if classes is None or y.ndim == 2 else classes)
            self.classes_ = self._label_binarizer.classes_
            self.n_outputs_ = len(self.classes_) if self._kind() != "binary" else 1
        if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )
        found = self.classes_ if first and classes is None else unique_labels(y)
        if not first and not held_out and self.warm_start and set(found) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {found}"
            )
        if found is not self.classes_ and len(np.setdiff1d(found, self.classes_)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {found}."
            )
        if self._kind() != "multilabel":
            return np.searchsorted(self.classes_, y).astype(np.int32)
        if y.ndim != 2:
            raise ValueError(f"`y` must have a column for each of {len(self.classes_)} labels; got shape {y.shape}")
        coded: Array = self._label_binarizer.transform(y)
        return coded

    def _kind(self) -> str:
        """Return "binary", "multiclass" or "multilabel"."""
        return str(self._label_binarizer.y_type_).partition("-")[0]

    def _head(self) -> tuple[Loss, str]:
        """Return the loss, and the activation that makes probabilities of outputs."""
        several = self._kind() == "multiclass"
        usual = CrossEntropy() if several else BinaryCrossEntropy(reduction="mean_rows")
        loss = parameters.loss(self.loss, {"log_loss": usual, "cross_entropy": usual})
        if self._kind() == "binary" and isinstance(loss, CrossEntropy):  # of two classes the same, by one output
            reduction = "mean_rows" if loss.reduction == "mean" else loss.reduction
            loss = BinaryCrossEntropy(
                from_logits=loss.from_logits, label_smoothing=loss.label_smoothing, reduction=reduction
            )
        if type(loss) is not type(usual) or not loss.from_logits:
            raise ValueError(
                f"loss must be 'log_loss' or a {type(usual).__name__} of logits where targets are {self._kind()}; got "
                f"{checks.shown(self.loss)}"
            )
        return loss, "softmax" if several else "logistic"

    def _strata(self, y: Array) -> Array | None:
        """Return the class of each row where there are two, as scikit-learn does."""
        return y.astype(bool).reshape(-1, 1) if self._kind() == "binary" else None

    def _class_factors(self, y: Array) -> Array | None:
        """Return the factor of each row by its class."""
        if self.class_weight is None:
            return None
        labels = y if self._kind() == "multilabel" else self.classes_[y]
        factors: Array = compute_sample_weight(self.class_weight, labels)
        return factors

    # Predictions -----------------------------------------------------------------------------------------------------

    def _decided(self, outputs: Array) -> Array:
        """Return targets (as `_targets` does) from the network's outputs."""
        if self._kind() == "multiclass":
            greatest: Array = outputs.argmax(axis=1)
            return greatest
        yes = (outputs > 0).astype(np.int64)
        # Of a single class that a fit has seen, there is no other.
        return yes if self._kind() == "multilabel" else np.minimum(yes, len(self.classes_) - 1)

    def predict(self, X: Any) -> Array:
        """Return the class of each row, (N,); of several questions 0 and 1, (N, K).

        Parameters
        ----------
        X : array of shape (N, n_features_in_)
            Rows, dense or sparse.

        Returns
        -------
        ndarray of shape (N,) or (N, K)
            Labels, as `classes_` has them; or 0 and 1.
        """
        decided = self._decided(self._outputs(X))
        if self._kind() == "multilabel":
            several: Array = self._label_binarizer.inverse_transform(decided)  # sparse if those of the fit were
            return several
        labels: Array = self.classes_[decided.reshape(len(decided))]
        return labels

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, (N, K), in the order of `classes_`; of several questions those of yes.

        Parameters
        ----------
        X : array of shape (N, n_features_in_)
            Rows, dense or sparse.

        Returns
        -------
        ndarray of shape (N, K)
            From 0 to 1.
        """
        z = self._outputs(X)
        if self._kind() == "multiclass":
            e = np.exp(z - z.max(axis=1, keepdims=True))
            shares: Array = e / e.sum(axis=1, keepdims=True)
            return shares
        yes = expit(z)
        return np.hstack([1 - yes, yes]) if self._kind() == "binary" else yes

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X : array of shape (N, n_features_in_)
            Rows, dense or sparse.

        Returns
        -------
        ndarray of shape (N, K)
            At most 0.
        """
        with np.errstate(divide="ignore"):
            logs: Array = np.log(self.predict_proba(X))
        return logs

    def _score_of(self, outputs: Array, y: Array, weight: Array | None) -> float:
        """Return the accuracy; of several questions the share of rows that are right in all."""
        if not np.isfinite(outputs).all():
            return float("nan")
        right = (self._decided(outputs).reshape(y.shape) == y).reshape(len(y), -1).all(axis=1)
        return float(np.average(right, weights=weight))

    # Fitting ---------------------------------------------------------------------------------------------------------

    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> MLPClassifier:
        """Fit to rows X and their classes y.

        Parameters
        ----------
        X : array or sparse matrix of shape (N, D)
            float32 is trained in float32, all else, and from a start by L-BFGS, in float64; sparse stays sparse.
        y : array of shape (N,) or (N, K)
            Classes, words or numbers; of several questions 0 and 1.
        sample_weight : array of shape (N,), optional
            How much each row counts.
        X_val, y_val, sample_weight_val : optional
            Rows that are measured after each epoch (`validation_curve_`), and by which early_stopping decides.

        Returns
        -------
        MLPClassifier
            This one.

        Raises
        ------
        ValueError
            If a parameter or an array does not suit, or the loss diverges; the weights are then those of the last
            epoch in which all was finite.
        """
        self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        return self

    @available_if(is_stochastic)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Train one epoch on these rows; weights and the optimizer's state go on.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array of shape (K,), optional
            All classes that may come; needed in the first call.
        """
        if classes is None and not hasattr(self, "classes_"):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        self._fit(X, y, sample_weight, incremental=True, classes=classes)
        return self

    def __sklearn_tags__(self) -> Any:
        """Say what it can do."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
