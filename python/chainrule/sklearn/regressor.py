"""MLPRegressor: numbers as targets, predictions and scores. How it is fitted is in base.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if

from ..losses import MeanSquaredError, Poisson
from . import parameters
from .base import BaseMLP, is_stochastic
from .protocol import with_callbacks

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..loss import Loss

    Array = npt.NDArray[Any]


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """scikit-learn's multi-layer perceptron for numbers, trained by chainrule: one number a row, or several.

    Parameters
    ----------
    loss : {"squared_error", "poisson"}, or a Loss of chainrule, default "squared_error"
        Half the squared error; half the Poisson deviance of counts, of which the network gives the logarithm; or such
        as `chainrule.Huber()`.
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
    >>> from chainrule.sklearn import MLPRegressor
    >>> model = MLPRegressor(hidden_layer_sizes=(64,), early_stopping=True, random_state=0).fit(X, y)
    >>> model.score(X, y)
    """

    def __init__(
        self,
        loss: Any = "squared_error",
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
        dropout: Any = 0.0,
        batch_norm: bool = False,
        penalty: Any = None,
        device: str = "cpu",
        callbacks: Any = None,
        n_jobs: int | None = None,
        progress: Any = False,
    ) -> None:
        super().__init__(
            loss=loss,
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
            dropout=dropout,
            batch_norm=batch_norm,
            penalty=penalty,
            device=device,
            callbacks=callbacks,
            n_jobs=n_jobs,
            progress=progress,
        )

    # Targets and predictions -----------------------------------------------------------------------------------------

    _numeric = True

    def _targets(self, y: Array, first: bool, classes: Any = None, held_out: bool = False) -> Array:
        """Return numbers (N, K)."""
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if y.dtype.kind not in "biuf":
            raise ValueError(f"y must be numbers; got {y.dtype}")
        y = y.reshape(len(y), -1).astype(np.float64, copy=False)
        if first:
            self.n_outputs_ = y.shape[1]
        elif y.shape[1] != self.n_outputs_:
            raise ValueError(f"y must have {self.n_outputs_} columns, as in the fit before; got {y.shape[1]}")
        return y

    def _head(self) -> tuple[Loss, str]:
        """Return the loss, and the activation that makes predictions of outputs."""
        words: dict[str, Loss] = {
            "squared_error": MeanSquaredError(reduction="mean_rows", half=True),
            "poisson": Poisson(reduction="mean_rows"),
        }
        loss = parameters.loss(self.loss, words)
        return loss, "exp" if isinstance(loss, Poisson) and loss.from_log else "identity"

    def _objective(self, y: Array, weight: Array | None) -> tuple[float, float]:
        """Return by what the loss is multiplied, and what is added, to be scikit-learn's.

        Its squared error is a mean over outputs, of which its gradient knows nothing; its deviance is 0 where all fits.
        """
        if self.loss == "squared_error":
            return 1 / self.n_outputs_, 0.0
        if self.loss == "poisson":
            constant = np.where(y > 0, y * np.log(np.where(y > 0, y, 1)), 0) - y
            return 1.0, float(np.average(constant, weights=weight, axis=0).sum())
        return 1.0, 0.0

    def predict(self, X: Any) -> Array:
        """Return the number of each row, (N,), or its numbers, (N, K).

        Parameters
        ----------
        X : array of shape (N, n_features_in_)
            Rows, dense or sparse.

        Returns
        -------
        ndarray of shape (N,) or (N, K)
            Numbers in the units of `y`.
        """
        outputs = self._outputs(X)
        if self.out_activation_ == "exp":
            outputs = np.exp(outputs)
        return outputs.ravel() if self.n_outputs_ == 1 else outputs

    def _score_of(self, outputs: Array, y: Array, weight: Array | None) -> float:
        """Return R^2, the mean over the outputs."""
        if self.out_activation_ == "exp":
            outputs = np.exp(outputs)
        return float(r2_score(y, outputs, sample_weight=weight)) if np.isfinite(outputs).all() else float("nan")

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
    ) -> MLPRegressor:
        """Fit to rows X and their numbers y.

        Parameters
        ----------
        X : array or sparse matrix of shape (N, D)
            float32 is trained in float32, all else, and from a start by L-BFGS, in float64; sparse stays sparse.
        y : array of shape (N,) or (N, K)
            Numbers.
        sample_weight : array of shape (N,), optional
            How much each row counts.
        X_val, y_val, sample_weight_val : optional
            Rows that are measured after each epoch (`validation_curve_`), and by which early_stopping decides.

        Returns
        -------
        MLPRegressor
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
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train one epoch on these rows; weights and the optimizer's state go on.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        """
        self._fit(X, y, sample_weight, incremental=True)
        return self
