"""Every description of the package in many settings, found without naming any, and a training of each. No tests here.

A setting is a description in which one option is something else than by default: every word, every flag, and the first
of the values below that the option takes.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import NamedTuple

import numpy as np
from problems import built, measured, rows, subclasses, words

import chainrule as cr

BASES = [
    cr.Layer,
    cr.ActivationFunction,
    cr.Constraint,
    cr.Initializer,
    cr.Loss,
    cr.Penalty,
    cr.Optimizer,
    cr.Schedule,
]
INPUTS, OUTPUTS = 4, 3


def kinds(*bases):
    """Return the public classes derived from `bases`; a class that only others build on is not public."""
    found = [kind for base in bases for kind in subclasses(base)]
    return [kind for kind in found if kind.__name__ in cr.__all__]


EVERY = kinds(*BASES)
# Descriptions that stand as options of others.
NESTED = [built(kind) for kind in kinds(cr.ActivationFunction, cr.Constraint, cr.Initializer, cr.Schedule)]
# What an option may take, tried in this order: shares, factors, counts, layers, factors by layer, and what connects
# 4 inputs with 5 units.
NUMBERS = (0.4, 1.5, 2, 3, 0.05)
OTHERS = ((0,), {0: 0.5}, ("10110", "01101", "11011", "10101"))


def changed(one, name, value):
    """Return `one` with another value of an option, or None where the option does not take it."""
    options = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)} | {name: value}
    # Of options that exclude each other the others have to go.
    without = {
        field.name: None if field.default is None and field.name != name else options[field.name]
        for field in dataclasses.fields(one)
    }
    for given in (options, without):
        try:
            return type(one)(**given)
        except (TypeError, ValueError):
            continue
    return None


def settings_of(one, field):
    """Yield `one` with other values of an option."""
    now = getattr(one, field.name)
    if isinstance(now, bool):
        yield changed(one, field.name, not now)
        return
    if isinstance(field.default, str):
        yield from (changed(one, field.name, word) for word in words(type(one), field.name))
    taken = [changed(one, field.name, value) for value in (*NUMBERS, *OTHERS)]
    yield from [other for other in taken if other not in (None, one)][:1]
    yield from (changed(one, field.name, value) for value in NESTED)


def settings(kind):
    """Return a description of this kind as it is by default, and with each option changed in turn."""
    one = built(kind)
    found = {one: None}  # a dict, for its order
    for field in dataclasses.fields(kind):
        found |= dict.fromkeys(other for other in settings_of(one, field) if other is not None)
    return list(found)


# Training ------------------------------------------------------------------------------------------------------------


class Recipe(NamedTuple):
    """What a description is trained in."""

    layers: list[cr.Layer]
    loss: cr.Loss
    y: np.ndarray
    optimizer: cr.Optimizer = cr.SGD(0.05)
    penalty: cr.Penalty | None = None

    def network(self, dtype, **options):
        with warnings.catch_warnings():
            # What is discovered stands where it stands, suitable or not.
            warnings.simplefilter("ignore", cr.PlacementWarning)
            return measured(cr.Network(self.layers, inputs=INPUTS, dtype=dtype, **{"seed": 7, **options}), X)

    def trainer(self, net):
        return cr.Trainer(net, loss=self.loss, optimizer=self.optimizer, penalty=self.penalty)

    def fit(self, net, **options):
        return self.trainer(net).fit(X, self.y, **{"epochs": 2, "batch_size": 12, "verbose": False, **options})


ROWS = 30  # two batches of 12 and a ragged one of 6
X = rows(ROWS)
# Far from the outputs, so that no gradient is small by chance.
FAR = 3 + rows(ROWS, columns=OUTPUTS, seed=1)


def row_of_layers(middle=None, head="identity", **options):
    """Return layers: 4 units, what is given or 5 units with these options, and the last 3."""
    if middle is None:
        middle = cr.Dense(5, **{"activation": "tanh", **options})
    return [cr.Dense(INPUTS, activation="tanh"), middle, cr.Dense(OUTPUTS, activation=head)]


def recipe(one):
    """Return what a description is trained in."""
    layers = row_of_layers()
    if isinstance(one, cr.Layer):
        layers = row_of_layers(one)
    elif isinstance(one, cr.ActivationFunction):
        layers = row_of_layers(activation=one)
    elif isinstance(one, cr.Constraint):
        layers = row_of_layers(weight_constraint=one)
    elif isinstance(one, cr.Initializer):
        layers = row_of_layers(weight_init=one, bias_init=one)
    elif isinstance(one, cr.Loss):
        return recipe_of_loss(one)
    made = Recipe(layers, cr.MeanSquaredError(), FAR)
    if isinstance(one, cr.Penalty):
        made = made._replace(penalty=one)
    elif isinstance(one, cr.Schedule):
        made = made._replace(optimizer=cr.SGD(one))
    elif isinstance(one, cr.Optimizer):
        made = made._replace(optimizer=one)
    return made


def recipe_of_loss(loss):
    """Return a recipe with a last layer and targets that the loss takes."""
    shares = np.random.default_rng(11).dirichlet(np.ones(OUTPUTS), size=ROWS)
    for head in ("sigmoid", "softmax", "identity"):
        for y in (FAR, shares, np.arange(ROWS) % OUTPUTS):
            made = Recipe(row_of_layers(head=head), loss, y)
            try:
                made.trainer(made.network("float64"))
                loss.targets("y", y, ROWS, OUTPUTS, np.dtype("float64"))
            except (TypeError, ValueError):
                continue
            return made
    raise AssertionError(f"no last layer and no targets here suit {loss!r}")
