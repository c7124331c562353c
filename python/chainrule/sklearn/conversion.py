"""From scikit-learn's own estimators to chainrule's, fitted or not, and back: the same predictions, training goes on.

What both have is taken over: parameters, weights, classes, curves, and of adam and sgd what the optimizer remembers.
Nothing is trained here. Pipelines and searches are not walked through: convert the estimator in them.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import neural_network as theirs
from sklearn.base import clone

from .. import checks
from ..activations import ActivationFunction, Identity, ReLU, Sigmoid, Tanh
from ..adaptive import Adam
from ..noise import Dropout
from . import parameters
from .base import BaseMLP
from .classifier import MLPClassifier
from .regressor import MLPRegressor

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from ..layer import Layer
    from ..network import Network
    from ..trainer import Trainer

    Array = npt.NDArray[Any]

# What scikit-learn calls the activations that it has.
WORDS: dict[ActivationFunction, str] = {Identity(): "identity", Sigmoid(): "logistic", Tanh(): "tanh", ReLU(): "relu"}
# What a fit leaves behind under the same name in both; an estimator may lack some (`feature_names_in_`).
FITTED = (
    "classes_",
    "feature_names_in_",
    "loss_",
    "n_features_in_",
    "n_iter_",
    "n_outputs_",
    "out_activation_",
    "t_",
    "_label_binarizer",
)
# The same, of solvers that go by epochs.
OF_EPOCHS = ("best_loss_", "best_validation_score_", "loss_curve_", "validation_scores_", "_no_improvement_count")


def from_sklearn(estimator: Any) -> MLPClassifier | MLPRegressor:
    """Return chainrule's estimator for one of scikit-learn's: the same parameters, and the same predictions if fitted.

    `partial_fit` goes on as scikit-learn's would, but for the order of rows: what adam or sgd remembers is taken over.
    scikit-learn's adam adds epsilon to a root that is not corrected yet, which chainrule's does not; both are alike as
    far as gradients are large beside epsilon.

    Parameters
    ----------
    estimator : sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
        Not changed.

    Returns
    -------
    MLPClassifier or MLPRegressor
        A new one.

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If it has weights of other sizes than its parameters say.

    Examples
    --------
    >>> model = from_sklearn(joblib.load("model.joblib"))
    >>> chainrule.onnx.export(model, "model.onnx")
    """
    kinds: dict[Any, type[MLPClassifier] | type[MLPRegressor]]
    kinds = {theirs.MLPClassifier: MLPClassifier, theirs.MLPRegressor: MLPRegressor}
    kind = next((ours for other, ours in kinds.items() if isinstance(estimator, other)), None)
    if kind is None:
        raise TypeError(
            f"estimator must be scikit-learn's MLPClassifier or MLPRegressor; got {checks.shown(estimator)}"
        )
    options = clone(estimator).get_params(deep=False)
    known = inspect.signature(kind).parameters
    made = kind(**{name: value for name, value in options.items() if name in known})
    if not hasattr(estimator, "coefs_"):
        return made
    coefs, intercepts = list(estimator.coefs_), list(estimator.intercepts_)
    sizes = [len(bias) for bias in intercepts[:-1]]
    if parameters.hidden_sizes(made) != sizes:
        raise ValueError(
            f"hidden_layer_sizes must be what the estimator was fitted with, {sizes}; it was changed since"
        )
    made.n_outputs_ = estimator.n_outputs_
    # The seed of shuffles is drawn as by a fit; a generator that others share is left alone.
    seed = made.random_state if isinstance(made.random_state, (int, np.integer)) else 0
    given = {"coefs_": coefs, "intercepts_": intercepts}
    made._start(np.random.RandomState(seed), len(coefs[0]), np.result_type(*coefs, *intercepts), given)
    take_over(estimator, made, (*FITTED, *OF_EPOCHS))
    if made.solver in ("adam", "sgd"):
        made._trainer = made._made_trainer(1.0)
        remember(made._trainer, getattr(estimator, "_optimizer", None))
    return made


def to_sklearn(est: BaseMLP) -> Any:
    """Return scikit-learn's estimator; see `BaseMLP.to_sklearn`."""
    kind = theirs.MLPClassifier if isinstance(est, MLPClassifier) else theirs.MLPRegressor
    made = kind(**suitable(est, inspect.signature(kind).parameters))
    if not hasattr(est, "network_"):
        return made
    if without_dropout(est._layers()) != without_dropout(est.network_.layers):
        raise ValueError(
            "hidden_layer_sizes and activation must be what the estimator was fitted with; they were changed since"
        )
    take_over(est, made, FITTED if made.solver == "lbfgs" else (*FITTED, *OF_EPOCHS))
    made.coefs_, made.intercepts_, made.n_layers_ = est.coefs_, est.intercepts_, est.n_layers_
    # Where scikit-learn goes back to at the end of early stopping.
    made._best_coefs, made._best_intercepts = est.coefs_, est.intercepts_
    trainer = est._trainer if est.solver in ("adam", "sgd") else None
    if trainer is not None and type(trainer.optimizer) is type(est._optimizer()):
        made._optimizer = remembered(trainer, made)
    return made


def without_dropout(layers: Iterable[Layer]) -> list[Layer]:
    """Return the layers that matter to predictions."""
    return [layer for layer in layers if not isinstance(layer, Dropout)]


def take_over(source: Any, target: Any, names: tuple[str, ...]) -> None:
    """Copy what a fit left behind, as far as it is there."""
    for name in names:
        if name in vars(source):
            value = vars(source)[name]
            setattr(target, name, list(value) if isinstance(value, list) else value)


def suitable(est: BaseMLP, known: Any) -> dict[str, Any]:
    """Return the parameters for scikit-learn's class, or raise ValueError naming what that lacks."""
    options = {name: clone(value, safe=False) for name, value in est.get_params(False).items() if name in known}
    sizes = parameters.hidden_sizes(est)
    kinds = {parameters.activation(one) for one in parameters.of_each("activation", est.activation, len(sizes))}
    if est.batch_norm:
        raise ValueError("batch_norm=True is nothing that scikit-learn's estimators have")
    if not kinds <= set(WORDS):
        raise ValueError(
            f"activation={checks.shown(est.activation)} is none of scikit-learn's: {', '.join(WORDS.values())}"
        )
    if len(kinds) > 1:
        raise ValueError(
            f"activation={checks.shown(est.activation)} differs by layer; scikit-learn's estimators have one for all"
        )
    options["activation"] = WORDS[kinds.pop()] if kinds else "relu"
    if isinstance(est, MLPRegressor):
        counts = est._head()[1] == "exp"
        if counts and "loss" not in known:
            raise ValueError("loss='poisson' is nothing that scikit-learn has before 1.7")
        if "loss" in known:
            options["loss"] = "poisson" if counts else "squared_error"
    # What only training asks for: scikit-learn's default where it has no such thing.
    if est.solver not in parameters.SOLVERS:
        options["solver"] = "adam"
    if est.learning_rate not in parameters.RATES:
        options["learning_rate"] = "constant"
    return options


# What optimizers remember --------------------------------------------------------------------------------------------


def places(net: Network) -> list[slice]:
    """Return where weights, then biases, lie in the engine's arrays: as scikit-learn lists them."""
    here = net.to("cpu")
    arena, views = here.core.arena(), here.parameters()
    order = sorted(views, key=lambda name: name.endswith("bias"))
    starts = [(views[name].ctypes.data - arena.ctypes.data) // arena.itemsize for name in order]
    return [slice(start, start + views[name].size) for start, name in zip(starts, order, strict=True)]


def remember(trainer: Trainer, optimizer: Any) -> None:
    """Give a trainer what scikit-learn's optimizer has gathered; nothing where that is of another kind.

    adam's memories are the same in both. sgd's velocity is u = -rate v; without momentum there is none to take.
    """
    adam = isinstance(trainer.optimizer, Adam)
    if not hasattr(optimizer, "ms" if adam else "velocities"):
        return
    net = trainer.net
    run = net.engine.RunState(net.core, trainer.core_optimizer)
    run.keep()
    content = run.content()
    if adam:
        memories = [optimizer.ms, optimizer.vs]
        content["updates"] = optimizer.t
    else:
        rate = content["rate"] = float(optimizer.learning_rate)
        memories = [[-one / rate for one in optimizer.velocities]] if content["states"] else []
    for state, arrays in zip(content["states"], memories, strict=True):
        for place, one in zip(places(net), arrays, strict=True):
            state[place] = np.ravel(one)
    run.take(**content)
    run.restore()


def remembered(trainer: Trainer, made: Any) -> Any:
    """Return scikit-learn's optimizer with what a trainer's has gathered."""
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

    net = trainer.net
    run = net.engine.RunState(net.core, trainer.core_optimizer)
    run.keep()
    content = run.content()
    arrays = [*made.coefs_, *made.intercepts_]
    memories = [
        [state[place].reshape(one.shape) for place, one in zip(places(net), arrays, strict=True)]
        for state in content["states"]
    ]
    rate = content["rate"]
    if isinstance(trainer.optimizer, Adam):
        optimizer = AdamOptimizer(arrays, made.learning_rate_init, made.beta_1, made.beta_2, made.epsilon)
        optimizer.t = content["updates"]
        if memories:
            optimizer.ms, optimizer.vs = memories
        return optimizer
    optimizer = SGDOptimizer(
        arrays, made.learning_rate_init, made.learning_rate, made.momentum, made.nesterovs_momentum, made.power_t
    )
    optimizer.learning_rate = rate
    if memories:
        optimizer.velocities = [-rate * one for one in memories[0]]
    return optimizer
