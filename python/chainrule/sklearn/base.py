"""What both estimators share: how parameters become a network and a trainer, and how these are fitted.

Targets and predictions are the business of classifier.py and regressor.py. Weights start as scikit-learn draws them,
from `random_state`; rows are shuffled by the engine, in another order than scikit-learn's.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data

from .. import optimizers, penalties
from ..adaptive import Adam
from ..callbacks import Callback
from ..descent import SGD, Momentum, Optimizer
from ..history import History
from ..layer import Layer
from ..layers import Activation, BatchNorm, Dense
from ..network import Network
from ..noise import Dropout
from ..penalties import L2, Penalty
from ..trainer import Trainer
from . import iterations, parameters
from .fitted import Fitted, load
from .protocol import WRAPPED, CallbackSupportMixin, Tasks
from .weights import divided_by_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from ..loss import Loss

    Array = npt.NDArray[Any]
    Validation = tuple[Array, Array, Array | None]

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)


def is_stochastic(est: BaseMLP) -> bool:
    """Return whether the estimator can be fitted in parts; for `available_if`, which wants the error."""
    if est.solver == "lbfgs":
        raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
    return True


class BaseMLP(CallbackSupportMixin, Fitted):  # type: ignore[misc]
    """Use MLPClassifier or MLPRegressor."""

    # Set by a fit, by the subclass too.
    network_: Network
    history_: History
    n_iter_: int
    t_: int
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    validation_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    out_activation_: str
    n_outputs_: int
    n_layers_: int
    _no_improvement_count: int

    def __init__(
        self,
        hidden_layer_sizes: Any,
        activation: Any,
        solver: Any,
        alpha: float,
        batch_size: Any,
        learning_rate: Any,
        learning_rate_init: float,
        power_t: float,
        max_iter: int,
        loss: Any,
        shuffle: bool,
        random_state: Any,
        tol: float,
        verbose: Any,
        warm_start: bool,
        momentum: float,
        nesterovs_momentum: bool,
        early_stopping: bool,
        validation_fraction: float,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        n_iter_no_change: float,
        max_fun: int,
        dropout: Any,
        batch_norm: bool,
        penalty: Any,
        device: str,
        callbacks: Any,
        n_jobs: int | None,
        progress: Any,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.loss = loss
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.penalty = penalty
        self.device = device
        self.callbacks = callbacks
        self.n_jobs = n_jobs
        self.progress = progress

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Parameters
        ----------
        deep : bool, default True
            Whether with the options of those that are descriptions: solver__lr of an Optimizer.
        """
        found: dict[str, Any] = super().get_params(deep)
        for name, value in list(found.items()) if deep else ():
            found |= parameters.options_of(name, value)
        return found

    def set_params(self, **params: Any) -> BaseMLP:
        """Set parameters by name, or options of those that are descriptions, such as solver__lr; return this one."""
        options = {name: params.pop(name) for name in list(params) if "__" in name}
        super().set_params(**params)
        for name, chosen in options.items():
            first, _, rest = name.partition("__")
            value = getattr(self, first, None)
            if dataclasses.is_dataclass(value):
                setattr(self, first, parameters.with_option(first, value, rest, chosen))
            else:
                super().set_params(**{name: chosen})
        return self

    # What a subclass says --------------------------------------------------------------------------------------------

    _numeric = False  # whether targets are numbers

    def _targets(self, y: Array, first: bool, classes: Any = None, held_out: bool = False) -> Array:
        """Return targets as the loss takes them, after the classes were found or compared, and set n_outputs_."""
        raise NotImplementedError

    def _head(self) -> tuple[Loss, str]:
        """Return the loss, and the activation that makes predictions of outputs."""
        raise NotImplementedError

    def _objective(self, y: Array, weight: Array | None) -> tuple[float, float]:
        """Return by what the loss is multiplied, and what is added, to be scikit-learn's."""
        return 1.0, 0.0

    def _score_of(self, outputs: Array, y: Array, weight: Array | None) -> float:
        """Return the score of the network's outputs; nan where they are not finite."""
        raise NotImplementedError

    def _class_factors(self, y: Array) -> Array | None:
        """Return the factor of each row by its class."""
        return None

    # The network and its trainer --------------------------------------------------------------------------------------

    def _layers(self) -> list[Layer]:
        """Return the layers; the last one is linear, its activation belongs to the loss."""
        sizes = parameters.hidden_sizes(self)
        words = parameters.of_each("activation", self.activation, len(sizes))
        rates = parameters.of_each("dropout", self.dropout, len(sizes))
        layers: list[Layer] = []
        for size, word, rate in zip(sizes, words, rates, strict=True):
            shape = parameters.activation(word)
            normalised: list[Layer] = [BatchNorm()] if self.batch_norm else []
            apart = self.batch_norm or shape.needs_layer
            layers += [Dense(size), *normalised, Activation(shape)] if apart else [Dense(size, activation=shape)]
            left_out = parameters.rate_of_dropout(rate)
            if left_out:
                layers.append(Dropout(rate=left_out))
        return [*layers, Dense(self.n_outputs_)]

    def _start(
        self, random: np.random.RandomState, features: int, dtype: Any, given: Mapping[str, list[Array]]
    ) -> None:
        """Make a network whose weights and biases are drawn as scikit-learn draws them (Glorot and Bengio 2010).

        What is `given` as "coefs_" or "intercepts_" takes the place of what is drawn.
        """
        layers = self._layers()
        factor = 2.0 if self.activation == "logistic" else 6.0
        sizes = [features, *(layer.units for layer in layers if isinstance(layer, Dense))]
        starts = []
        for fan_in, fan_out in itertools.pairwise(sizes):
            bound = math.sqrt(factor / (fan_in + fan_out))
            starts.append((random.uniform(-bound, bound, (fan_in, fan_out)), random.uniform(-bound, bound, fan_out)))
        state = random.get_state()  # put back: what is drawn next is then what scikit-learn draws
        seed = int(random.randint(np.iinfo(np.int32).max))
        random.set_state(state)
        net = Network(layers, inputs=features, seed=seed, dtype=dtype, device=self.device)
        load(net, "coefs_", given.get("coefs_", [weight for weight, _ in starts]))
        load(net, "intercepts_", given.get("intercepts_", [bias for _, bias in starts]))
        self.network_, self._given, self._trainer = net, {}, None
        self.history_ = History(["loss"])
        self.n_layers_ = len(sizes)
        iterations.begin(self)

    def _optimizer(self) -> Optimizer:
        """Return the description of the optimizer."""
        if self.solver not in ("adam", "sgd", "lbfgs"):
            return optimizers.resolve("solver", self.solver)
        rate = self.learning_rate_init if isinstance(self.learning_rate, str) else self.learning_rate
        if self.solver == "adam":
            return Adam(rate, beta1=self.beta_1, beta2=self.beta_2, eps=self.epsilon)
        if self.solver == "lbfgs" or self.momentum == 0:
            return SGD(rate)
        # A memory that never forgets is none of the field's; scikit-learn's bounds allow it.
        beta = min(float(self.momentum), float(np.nextafter(1.0, 0.0)))
        return Momentum(rate, beta=beta, style="nesterov" if self.nesterovs_momentum else "heavy_ball")

    def _made_trainer(self, mean_weight: float) -> Trainer:
        """Return the trainer of the network: that of the last fit, or another one that goes on with its state."""
        alpha = float(self.alpha) / mean_weight
        given: tuple[Penalty, ...] = penalties.resolve("penalty", self.penalty)
        terms = (L2(alpha, scale="1/2m", m="batch"), *given) if alpha else given
        old, optimizer, loss = self._trainer, self._optimizer(), self._head()[0]
        if old is not None and (old.optimizer, old.loss, old.penalty) == (optimizer, loss, terms):
            return old
        made = Trainer(self.network_, loss=loss, optimizer=optimizer, penalty=terms)
        if old is not None and type(old.optimizer) is type(optimizer):
            state = self.network_.engine.RunState(self.network_.core, old.core_optimizer)
            state.keep()
            rate, content = made.core_optimizer.rate, state.content()
            state = self.network_.engine.RunState(self.network_.core, made.core_optimizer)
            state.take(**content)
            state.restore()
            made.epochs_done = old.epochs_done
            if old.optimizer != optimizer:
                iterations.change_rate(made, rate)
        return made

    # Fitting ----------------------------------------------------------------------------------------------------------

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any] = (None, None, None),
        *,
        incremental: bool = False,
        classes: Any = None,
    ) -> BaseMLP:
        """Fit from the start, or go on; one iteration where `incremental`."""
        parameters.check(self)
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not hasattr(self, "network_") or (not self.warm_start and not incremental)
        X, y = self._checked(X, y, (float, np.float32), first)
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        targets = self._targets(y, first, classes)
        random = check_random_state(self.random_state)
        if first:
            self.out_activation_ = self._head()[1]
            dtype = np.dtype(np.float64) if self.solver == "lbfgs" else X.dtype
            self._start(random, X.shape[1], dtype, self._given if self.warm_start or incremental else {})
        elif self._layers() != list(self.network_.layers):
            raise ValueError(
                "hidden_layer_sizes, activation, dropout and batch_norm must be those of the network that goes on; "
                "with others, fit without warm_start"
            )
        else:
            iterations.go_on(self)
        self.n_iter_ = 0
        held_out = self._validation(validation)
        tasks = Tasks(self, X, y, incremental)
        stops = self.early_stopping and self.solver != "lbfgs"
        score_on = held_out if stops else None
        if stops and held_out is None:
            X, targets, weight, score_on = self._split(random, X, targets, weight)
            divided_by_mean("sample_weight", score_on[2], "of the validation part")  # for its errors
        factors = self._class_factors(targets)
        if factors is not None:
            weight = factors if weight is None else weight * factors
        weight, mean = divided_by_mean("sample_weight", weight, "that is trained on")
        rows, more = parameters.batch_size(self, len(targets))
        if more and self.solver != "lbfgs":
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
                stacklevel=3 + WRAPPED * (not incremental),
            )
        self._trainer = self._made_trainer(mean)
        with parameters.threads(self.n_jobs):
            if self.solver == "lbfgs":
                self._minimise(X, targets, weight, held_out, tasks)
            else:
                self._iterate(X, targets, weight, rows, held_out, score_on, incremental, tasks)
        tasks.close()
        return self

    def _validation(self, given: tuple[Any, Any, Any]) -> Validation | None:
        """Return the user's own validation part, checked."""
        X, y, weight = given
        if X is None and y is None and weight is None:
            return None
        if X is None or y is None:
            raise ValueError("X_val and y_val go together, and sample_weight_val goes with them; one is missing")
        X, y = self._checked(X, y, self.network_.dtype, False)
        weight = None if weight is None else _check_sample_weight(weight, X)
        weight, _ = divided_by_mean("sample_weight_val", weight, "of X_val")
        return X, self._targets(y, False, held_out=True), weight

    def _checked(self, X: Any, y: Any, dtype: Any, first: bool) -> tuple[Array, Array]:
        """Return rows and targets as scikit-learn checks them."""
        checked: tuple[Array, Array] = validate_data(
            self, X, y, accept_sparse="csr", multi_output=True, y_numeric=self._numeric, dtype=dtype, reset=first
        )
        return checked

    def _split(
        self, random: np.random.RandomState, X: Array, y: Array, weight: Array | None
    ) -> tuple[Array, Array, Array | None, Validation]:
        """Return what is trained on, and the validation part."""
        arrays = [X, y] if weight is None else [X, y, weight]
        parts = train_test_split(
            *arrays, random_state=random, test_size=float(self.validation_fraction), stratify=self._strata(y)
        )
        trained, held_out = parts[0::2], parts[1::2]
        if len(held_out[1]) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        none = [] if weight is not None else [None]
        return (*trained, *none, (*held_out, *none))

    def _strata(self, y: Array) -> Array | None:
        """Return by what the validation part is stratified."""
        return None

    def _iterate(
        self,
        X: Array,
        y: Array,
        weight: Array | None,
        batch_size: int,
        held_out: Validation | None,
        score_on: Validation | None,
        incremental: bool,
        tasks: Tasks,
    ) -> None:
        """Train some epochs in the engine."""
        trainer, net = self._trainer, self.network_
        assert trainer is not None
        scale = self._objective(y, weight)
        of_held_out = None if held_out is None else self._objective(*held_out[1:])

        score, best = None, None
        if score_on is not None:
            best = net.engine.RunState(net.core, trainer.core_optimizer)

            def score() -> float:
                return self._score_of(net.predict(score_on[0]), *score_on[1:])

        rate = trainer.optimizer.lr
        if not incremental and isinstance(rate, float):
            iterations.change_rate(trainer, rate)
        watch = iterations.Iterations(self, len(y), scale, of_held_out, score, best)
        callbacks: list[Callback] = [watch]
        callbacks += [tasks] if tasks.wanted else []
        callbacks += self.callbacks or ()
        try:
            self.history_ = trainer.fit(
                X,
                y,
                epochs=1 if incremental else parameters.count("max_iter", self.max_iter),
                batch_size=batch_size,
                shuffle=bool(self.shuffle),
                sample_weight=weight,
                validation_data=held_out,  # type: ignore[arg-type]
                callbacks=callbacks,
                verbose=self.progress,
            )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4 + WRAPPED)
            self.history_ = trainer.history
        diverged = trainer.diverged
        # As in scikit-learn, where a regressor's score is nan then, and not its best.
        if diverged and self.validation_scores_ is not None and (self._numeric or watch.improved):
            self.loss_curve_.append(math.nan)
            self.validation_scores_.append(math.nan)
        elif diverged:
            raise ValueError(f"{NOT_FINITE} {self.history_.stop_reason}")
        elif not incremental and self.n_iter_ == self.max_iter and trainer.asked_to_stop is None:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
                stacklevel=4 + WRAPPED,
            )
        if best is not None and watch.improved:
            best.restore()

    def _minimise(self, X: Array, y: Array, weight: Array | None, held_out: Validation | None, tasks: Tasks) -> None:
        """Fit by L-BFGS."""
        from .lbfgs import minimised

        if self.callbacks:
            raise ValueError("callbacks are called after epochs, which solver='lbfgs' has not")
        if any(isinstance(layer, Dropout) for layer in self.network_.layers):
            raise ValueError("solver='lbfgs' needs a loss that is the same at each call; dropout makes it another")
        trainer, (factor, offset) = self._trainer, self._objective(y, weight)
        val_factor, val_offset = (1.0, 0.0) if held_out is None else self._objective(*held_out[1:])
        assert trainer is not None

        def objective(value: float) -> float:
            penalty = sum(one.value(self.network_, m=len(y), batch=len(y)) for one in trainer.penalty)
            return (value - penalty) * factor + penalty + offset

        self.history_ = History(["loss"] if held_out is None else ["loss", "val_loss"])

        def after(value: float) -> None:
            logs = {"loss": objective(value)}
            if held_out is not None:
                logs["val_loss"] = trainer.evaluate(*held_out, allow_seen=True)["loss"] * val_factor + val_offset
                self.validation_curve_.append(logs["val_loss"])
            self.history_.add(logs)
            if self.verbose:
                print(f"Iteration {self.history_.epochs}, loss = {logs['loss']:.8f}")
            tasks.end()
            tasks.begin()

        tasks.begin()
        max_iter, max_fun = (parameters.count(name, getattr(self, name)) for name in ("max_iter", "max_fun"))
        value, self.n_iter_ = minimised(
            trainer, X, y, weight, max_iter=max_iter, max_fun=max_fun, tol=self.tol, after=after
        )
        self.loss_ = objective(value)
        self.history_.stop_reason = "lbfgs ended"
        if not all(np.isfinite(one).all() for one in self.network_.parameters().values()):
            raise ValueError(NOT_FINITE)

    # What it gives ----------------------------------------------------------------------------------------------------

    def __sklearn_tags__(self) -> Any:
        """Say what it can do."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.device == "cpu"
        return tags

    def to_sklearn(self) -> Any:
        """Return scikit-learn's own estimator with the same parameters, and the same predictions if fitted.

        What only training asks for and scikit-learn lacks is left out: dropout, class_weight, penalty, callbacks,
        another loss, a Schedule, an Optimizer object. The state of adam and sgd goes along, for `partial_fit`.

        Raises
        ------
        ValueError
            If it has what scikit-learn's predictions lack: batch_norm, another activation, or one for each layer.
        """
        from .conversion import to_sklearn

        return to_sklearn(self)
