"""Training in NumPy, made of the operations of the specification: what `Trainer.fit` must do. Nothing here is a test.

The loop knows what the engine's does: the order of the rows, ragged last batches, dropout masks, the losses' scales,
weights of rows, and the order of a step: gradient, penalties, clipping, decoupled decay, update, proximal step.
Everything is in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import penalty_formulas
from update_rules import Updates

import chainrule as cr
from chainrule import reference

Array = np.ndarray
ROWS, INPUTS, OUTPUTS = 27, 5, 3
BATCH_SIZE, EPOCHS = 6, 3  # four steps of 6 rows and one of 3: 15 steps
RATE, SEED = 0.02, 11

_rng = np.random.default_rng(0)
X = _rng.standard_normal((ROWS, INPUTS))
NUMBERS = _rng.standard_normal((ROWS, OUTPUTS))
LABELS = _rng.integers(0, OUTPUTS, ROWS)
SOFT = _rng.dirichlet(np.ones(OUTPUTS), ROWS)
SHARES = _rng.uniform(0, 1, (ROWS, OUTPUTS))
COUNTS = _rng.poisson(2.0, (ROWS, OUTPUTS)).astype(float)
WEIGHT = _rng.uniform(0, 2, ROWS)


# Layers ---------------------------------------------------------------------------------------------------------------


class Dense:
    """h = g(x W + b); softmax over the whole row."""

    def __init__(self, activation: str, parameter: float, w: Array, b: Array | None) -> None:
        self.activation, self.softmax = {"activation": activation, "parameter": parameter}, activation == "softmax"
        if self.softmax:
            self.activation = {"activation": "identity", "parameter": 0.0}
        self.parameters = {"weight": w} if b is None else {"weight": w, "bias": b}

    def forward(self, x: Array, step: int) -> Array:
        w = self.parameters["weight"]
        bias = self.parameters.get("bias", np.zeros(w.shape[1]))
        self.x, self.h = x, reference.dense_forward(x, w, bias, **self.activation)
        if self.softmax:
            self.h = reference.softmax_forward(self.h)
        return self.h

    def backward(self, dh: Array) -> Array:
        if self.softmax:
            dh = reference.softmax_backward(self.h, dh)
        dx, dw, db = reference.dense_backward(self.x, self.parameters["weight"], self.h, dh, **self.activation)
        self.gradients = {"weight": dw, "bias": db}
        return dx


class Dropout:
    """The mask is counted by seed, layer and step, so that both ways use the same."""

    def __init__(self, rate: float, number: int) -> None:
        self.rate, self.number = rate, number
        self.parameters: dict[str, Array] = {}

    def forward(self, x: Array, step: int) -> Array:
        self.stream = {
            "rate": self.rate,
            "scale": 1 / (1 - self.rate),
            "seed": SEED,
            "layer": self.number,
            "step": step,
        }
        return reference.dropout(x, **self.stream)

    def backward(self, dh: Array) -> Array:
        return reference.dropout(dh, **self.stream)


# Losses ---------------------------------------------------------------------------------------------------------------


class LossRule(NamedTuple):
    """A loss of the public face, its targets, its row losses and gradient by the specification, the network's head."""

    loss: cr.Loss
    y: Array
    of_batch: Callable[[Array, Array, Array | None], tuple[Array, Array]]
    head: str = "identity"


# What the sum over all elements is divided by; the sums over rows that are reported are means in all but the last.
DIVISORS = {"mean": lambda p: p.size, "mean_rows": lambda p: len(p), "sum": lambda p: 1}


def elements(name: str, factor: float = 1.0, reduction: str = "mean", parameter: float = 0.0) -> Callable[..., Any]:
    return lambda p, y, weight: reference.element_loss(
        p, y, loss=name, parameter=parameter, weight=weight, scale=factor / DIVISORS[reduction](p)
    )


def classes(*, from_logits: bool, smoothing: float = 0.0, reduction: str = "mean_rows") -> Callable[..., Any]:
    return lambda p, y, weight: reference.cross_entropy(
        p, y, from_logits=from_logits, smoothing=smoothing, weight=weight, scale=1 / DIVISORS[reduction](p)
    )


SQUARES, BINARY = "squared_difference", "binary_cross_entropy_"
LOSSES = {
    **{
        f"{'half ' if half else ''}squares, {reduction}": LossRule(
            cr.MeanSquaredError(reduction=reduction, half=half),
            NUMBERS,
            elements(SQUARES, 0.5 if half else 1.0, reduction),
            "tanh" if half else "identity",
        )
        for half in (False, True)
        for reduction in DIVISORS
    },
    "absolute": LossRule(
        cr.MeanAbsoluteError(reduction="mean_rows"), NUMBERS, elements("absolute_difference", reduction="mean_rows")
    ),
    "huber": LossRule(cr.Huber(delta=0.7), NUMBERS, elements("huber", parameter=0.7)),
    "huber, sum": LossRule(cr.Huber(reduction="sum"), NUMBERS, elements("huber", reduction="sum", parameter=1.0)),
    "pinball": LossRule(cr.Pinball(quantile=0.8), NUMBERS, elements("pinball", parameter=0.8)),
    "poisson": LossRule(cr.Poisson(), COUNTS, elements("poisson_log")),
    "poisson, rates": LossRule(
        cr.Poisson(from_log=False, reduction="mean_rows"), COUNTS, elements("poisson", reduction="mean_rows"), "sigmoid"
    ),
    "labels": LossRule(cr.CrossEntropy(), LABELS, classes(from_logits=True)),
    "labels, sum": LossRule(cr.CrossEntropy(reduction="sum"), LABELS, classes(from_logits=True, reduction="sum")),
    "soft targets": LossRule(cr.CrossEntropy(), SOFT, classes(from_logits=True)),
    "labels, smoothed": LossRule(
        cr.CrossEntropy(label_smoothing=0.2), LABELS, classes(from_logits=True, smoothing=0.2)
    ),
    "labels, softmax": LossRule(cr.CrossEntropy(from_logits=False), LABELS, classes(from_logits=False), "softmax"),
    "soft targets, softmax, smoothed": LossRule(
        cr.CrossEntropy(from_logits=False, label_smoothing=0.1),
        SOFT,
        classes(from_logits=False, smoothing=0.1),
        "softmax",
    ),
    "binary": LossRule(cr.BinaryCrossEntropy(), SHARES, elements(BINARY + "logits")),
    "binary, smoothed": LossRule(
        cr.BinaryCrossEntropy(label_smoothing=0.3, reduction="mean_rows"),
        SHARES,
        elements(BINARY + "logits", reduction="mean_rows", parameter=0.3),
    ),
    "binary, sigmoid": LossRule(
        cr.BinaryCrossEntropy(from_logits=False), SHARES, elements(BINARY + "probabilities"), "sigmoid"
    ),
    "binary, sigmoid, smoothed": LossRule(
        cr.BinaryCrossEntropy(from_logits=False, label_smoothing=0.1),
        SHARES,
        elements(BINARY + "probabilities", parameter=0.1),
        "sigmoid",
    ),
}


# The loop -------------------------------------------------------------------------------------------------------------


class Run(NamedTuple):
    """Everything that a run is made of; the defaults are the plainest."""

    loss: str = "labels"
    optimizer: cr.Optimizer = cr.SGD(RATE)
    activation: Any = "tanh"
    parameter: float = 0.0
    dropout: float = 0.0
    bias: bool = True
    penalties: tuple[cr.Penalty, ...] = ()
    frozen: tuple[int, ...] = ()
    weight: Array | None = None
    shuffle: bool = True
    drop_last: bool = False

    @property
    def rule(self) -> LossRule:
        return LOSSES[self.loss]

    @property
    def sums(self) -> bool:
        """Whether the loss of an epoch is a sum over its rows."""
        return self.rule.loss.reduction == "sum"

    def network(self) -> cr.Network:
        dropout = [cr.Dropout(rate=self.dropout)] if self.dropout else []
        layers = [cr.Dense(7, activation=self.activation, bias=self.bias), *dropout]
        head = cr.Dense(OUTPUTS, activation=self.rule.head, bias=self.bias)
        net = cr.Network([*layers, head], inputs=INPUTS, seed=SEED, dtype="float64")
        if self.frozen:
            net.freeze(*self.frozen)
        return net

    def twin(self, start: dict[str, Array]) -> list[Dense | Dropout]:
        """Return the layers of the loop in NumPy, with the network's weights as they start."""
        last = 2 if self.dropout else 1
        word = self.activation if isinstance(self.activation, str) else self.activation.word
        first = Dense(word, self.parameter, start["0.weight"], start.get("0.bias"))
        head = Dense(self.rule.head, 0.0, start[f"{last}.weight"], start.get(f"{last}.bias"))
        return [first, Dropout(self.dropout, 1), head] if self.dropout else [first, head]

    def rate(self, step: int, epoch: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step."""
        lr = self.optimizer.lr
        if isinstance(lr, cr.Schedule):
            return lr.rate(step, steps_per_epoch=steps_per_epoch)
        return lr if isinstance(lr, float) else lr(epoch)


class Trained(NamedTuple):
    """What came of a run."""

    parameters: dict[str, Array]
    losses: list[float]  # of each epoch
    rates: list[float]  # of the last step of each epoch


def named_parameters(layers: list[Dense | Dropout]) -> dict[str, Array]:
    return {f"{number}.{name}": w for number, layer in enumerate(layers) for name, w in layer.parameters.items()}


def trained(run: Run, start: dict[str, Array]) -> Trained:
    """Train from `start`, the parameters by name."""
    layers = run.twin(start)
    updates = Updates(run.optimizer, named_parameters(layers))
    losses, rates, t = [], [], 0
    for epoch in range(EPOCHS):
        order = reference.shuffled_order(ROWS, SEED, epoch) if run.shuffle else np.arange(ROWS)
        batches = [order[first : first + BATCH_SIZE] for first in range(0, ROWS, BATCH_SIZE)]
        if run.drop_last:
            batches.pop()
        total, seen = 0.0, sum(map(len, batches))
        for rows in batches:
            p = X[rows]
            for layer in layers:
                p = layer.forward(p, t)
            row_losses, dh = run.rule.of_batch(p, run.rule.y[rows], None if run.weight is None else run.weight[rows])
            total += row_losses.sum() * (1 if run.sums else len(rows) / seen)
            for layer in reversed(layers):
                dh = layer.backward(dh)
            rate = run.rate(t, epoch, len(batches))
            t += 1
            update(run, layers, updates, rate, len(rows))
        losses.append(total)
        rates.append(rate)
    return Trained(named_parameters(layers), losses, rates)


def update(run: Run, layers: list[Dense | Dropout], updates: Updates, rate: float, rows: int) -> None:
    """Do a step: the gradient, which the layers have, with all that is done to it and to the parameters."""
    w = named_parameters(layers)
    learns = [name for name in w if int(name.split(".")[0]) not in run.frozen]
    gradients = {name: layers[int(name[0])].gradients[name[2:]] for name in learns}
    for penalty in run.penalties:
        more = penalty_formulas.gradients(penalty, w, ROWS, rows)
        gradients = {name: g + more[name] for name, g in gradients.items()}
    factors = dict(run.optimizer.layer_lr or ())

    def act(by: Callable[..., dict[str, Array]]) -> None:
        """Do what a penalty does to the parameters, at the rate of each layer."""
        for penalty in run.penalties:
            for name in learns:
                own = rate * factors.get(int(name[0]), 1)
                w[name] = by(penalty, {name: w[name]}, own, ROWS, rows)[name]

    act(penalty_formulas.before)
    w |= updates.step(w, gradients, rate)
    act(penalty_formulas.after)
    for number, layer in enumerate(layers):
        layer.parameters = {name: w[f"{number}.{name}"] for name in layer.parameters}
