"""From settings to a trainer: the hyper-parameters of the lectures' lists by name, with [000]'s heuristics as defaults.

For searches and first tries. It builds plain networks, hidden layers of one width; what it lacks, a function of your
own has, which makes a `Trainer` from a dict as this one does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import checks, schedules, sparse
from .adaptive import Adam, RMSprop
from .descent import SGD, Momentum, Optimizer
from .heads import head_for
from .layers import Dense, Dropout, Layer
from .network import Network
from .penalties import L2
from .spaces import FIT_OPTIONS
from .trainer import Trainer

if TYPE_CHECKING:
    import numpy.typing as npt

OPTIMIZERS = ("sgd", "momentum", "rmsprop", "adam")
# What lecture [000] advises to try first; where it gives no value, the plainest.
DEFAULTS: Mapping[str, Any] = {
    "hidden_layers": 1,
    "units": 16,
    "activation": "relu",
    "weight_init": None,
    "dropout": 0.0,
    "loss": None,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "drop_every": None,
    "momentum": 0.9,
    "l2": 1e-5,
}


def trainer_for(
    settings: Mapping[str, Any],
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    kind: str = "auto",
    seed: int = 0,
    dtype: npt.DTypeLike = "float32",
) -> Trainer:
    """Return a new trainer of a new network, from settings by the names of `search_space`.

    The defaults are the heuristics of [000]: 0.1 for the learning rate, about 0.00001 as regularization constant, and
    to start small.

    ==============  ========  =====================================================================================
    name            default   meaning
    ==============  ========  =====================================================================================
    hidden_layers   1         how many `Dense` layers before the last, at least 0
    units           16        the width of each
    activation      "relu"    of each
    weight_init     None      of all layers; None for what suits the activation
    dropout         0.0       the rate of a `Dropout` behind each hidden layer
    loss            None      None for that of `head_for(y)`
    optimizer       "sgd"     "sgd", "momentum", "rmsprop" or "adam": [002]'s four
    learning_rate   0.1
    drop_every      None      epochs after which the rate is multiplied by 0.1; None for never
    momentum        0.9       beta of the optimizer "momentum"
    l2              1e-5      strength of `L2`; 0 for none
    ==============  ========  =====================================================================================

    "epochs" and "batch_size" may be there and are not looked at: they belong to the fit.

    Parameters
    ----------
    settings : mapping
        Some of the names above.
    X : array of shape (N, inputs)
        For its number of columns.
    y : array
        For the last layer, the loss and the metrics: see `head_for`. All of it, so that no class is missing.
    kind : {"auto", "regression", "binary", "classes", "labels"}
        What the targets are, where that is known better.
    seed, dtype : as for `Network`
        Of the network.

    Returns
    -------
    Trainer
        Of a new network.

    Raises
    ------
    ValueError, TypeError
        If a name is unknown, or a value does not suit.

    Examples
    --------
    >>> trainer = cr.trainer_for({"units": 32, "learning_rate": 0.1 / 3}, X, y)
    >>> trainer.fit(X, y, epochs=20, validation_split=0.2)
    """
    known = (*DEFAULTS, *FIT_OPTIONS)
    if not isinstance(settings, Mapping):
        raise TypeError(f"settings must map names to values, such as {{'units': 32}}; got {checks.shown(settings)}")
    for name in settings:
        checks.word("a name in settings", name, known)
    chosen = {**DEFAULTS, **settings}
    head = head_for(y, kind=kind)
    inputs = sparse.as_given("X", X)
    if len(inputs.shape) != 2:
        raise ValueError(f"X must have shape (rows, columns); got {inputs.shape}")
    start = {} if chosen["weight_init"] is None else {"weight_init": chosen["weight_init"]}
    units = checks.whole("units", chosen["units"])
    rate = checks.number("dropout", chosen["dropout"], least=0, below=1)
    layers: list[Layer] = []
    for _ in range(checks.whole("hidden_layers", chosen["hidden_layers"], least=0)):
        layers.append(Dense(units, activation=chosen["activation"], **start))
        layers += [Dropout(rate=rate)] if rate else []
    net = Network([*layers, Dense(head.layer.units, **start)], inputs=inputs.shape[1], seed=seed, dtype=dtype)
    l2 = checks.number("l2", chosen["l2"], least=0)
    return Trainer(
        net,
        loss=head.loss if chosen["loss"] is None else chosen["loss"],
        optimizer=made_optimizer(chosen),
        penalty=L2(l2) if l2 else None,
        metrics=head.metrics,
    )


def made_optimizer(chosen: Mapping[str, Any]) -> Optimizer:
    """Return the optimizer that settings name."""
    word = checks.word("optimizer", chosen["optimizer"], OPTIMIZERS)
    rate: Any = checks.number("learning_rate", chosen["learning_rate"], above=0)
    if chosen["drop_every"] is not None:
        rate = schedules.StepDecay(rate, drop=0.1, every=checks.whole("drop_every", chosen["drop_every"]))
    if word == "momentum":
        return Momentum(rate, beta=chosen["momentum"])
    kinds: dict[str, type[SGD] | type[RMSprop] | type[Adam]] = {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam}
    return kinds[word](rate)
