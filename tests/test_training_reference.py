"""`Trainer.fit` over several epochs against a loop in NumPy, made of the operations of the specification.

The loop knows what the engine's does: the order of the rows, ragged last batches, dropout masks, the losses' scales,
weights of rows, penalties, and the numbers of every update rule at its step t. Everything is in float64.

Tolerance. A gradient comes of fewer than 200 roundings (sums over 5 to 7 inputs, forwards and backwards, and 6 rows)
of numbers below 10: wrong by 1000 eps = 2e-13. A step moves weights by RATE = 0.02 times that, 15 steps by 7e-14, and
a curvature below 5 lets an error grow by (1 + 0.02 * 5)^15 < 5 meanwhile: 4e-13 < 1e-12. Adam divides by a root and
may stretch a step by up to 1 / EPSILON = 100, but only where all gradients so far were about 0; 1e-12 is required of
it too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose

import chainrule as cr
from chainrule import reference

Array = np.ndarray
ROWS, INPUTS, OUTPUTS = 27, 5, 3
BATCH_SIZE, EPOCHS = 6, 3  # four steps of 6 rows and one of 3: 15 steps
RATE, EPSILON, SEED = 0.02, 0.01, 11
TOLERANCE = 1e-12

_rng = np.random.default_rng(0)
X = _rng.standard_normal((ROWS, INPUTS))
NUMBERS = _rng.standard_normal((ROWS, OUTPUTS))
LABELS = _rng.integers(0, OUTPUTS, ROWS)
SOFT = _rng.dirichlet(np.ones(OUTPUTS), ROWS)
SHARES = _rng.uniform(0, 1, (ROWS, OUTPUTS))
WEIGHT = _rng.uniform(0, 2, ROWS)


# The loop in NumPy ----------------------------------------------------------------------------------------------------


class Dense:
    """h = g(x W + b); softmax over the whole row."""

    def __init__(self, activation: str, parameter: float, w: Array, b: Array | None) -> None:
        self.activation, self.softmax = {"activation": activation, "parameter": parameter}, activation == "softmax"
        if self.softmax:
            self.activation = {"activation": "identity", "parameter": 0.0}
        self.weight, self.has_bias = w, b is not None
        self.bias = np.zeros(w.shape[1]) if b is None else b

    def forward(self, x: Array, step: int) -> Array:
        self.x, self.h = x, reference.dense_forward(x, self.weight, self.bias, **self.activation)
        if self.softmax:
            self.h = reference.softmax_forward(self.h)
        return self.h

    def backward(self, dh: Array) -> Array:
        if self.softmax:
            dh = reference.softmax_backward(self.h, dh)
        dx, self.dweight, self.dbias = reference.dense_backward(self.x, self.weight, self.h, dh, **self.activation)
        return dx


class Dropout:
    """The mask is counted by seed, layer and step, so that both ways use the same."""

    def __init__(self, rate: float, number: int) -> None:
        self.rate, self.number = rate, number

    def forward(self, x: Array, step: int) -> Array:
        self.stream = {"rate": self.rate, "seed": SEED, "layer": self.number, "step": step}
        return reference.dropout(x, **self.stream)

    def backward(self, dh: Array) -> Array:
        return reference.dropout(dh, **self.stream)


class LossRule(NamedTuple):
    """A loss of the public face, its targets, its row losses and gradient by the specification, the network's head."""

    loss: cr.Loss
    y: Array
    of_batch: Callable[[Array, Array, Array | None], tuple[Array, Array]]
    head: str = "identity"


def elements(name: str, factor: float = 1.0, *, mean: bool = True) -> Callable[..., tuple[Array, Array]]:
    return lambda p, y, weight: reference.element_loss(
        p, y, loss=name, weight=weight, scale=factor / (p.size if mean else 1)
    )


def classes(*, from_logits: bool) -> Callable[..., tuple[Array, Array]]:
    return lambda p, y, weight: reference.cross_entropy(p, y, from_logits=from_logits, weight=weight, scale=1 / len(p))


SQUARES = "squared_difference"
LOSSES = {
    "mse": LossRule(cr.MeanSquaredError(), NUMBERS, elements(SQUARES)),
    "half mse": LossRule(cr.MeanSquaredError(half=True), NUMBERS, elements(SQUARES, 0.5)),
    "sum": LossRule(cr.MeanSquaredError(reduction="sum"), NUMBERS, elements(SQUARES, mean=False)),
    "half sum": LossRule(
        cr.MeanSquaredError(reduction="sum", half=True), NUMBERS, elements(SQUARES, 0.5, mean=False), "tanh"
    ),
    "labels": LossRule(cr.CrossEntropy(), LABELS, classes(from_logits=True)),
    "soft targets": LossRule(cr.CrossEntropy(), SOFT, classes(from_logits=True)),
    "labels, softmax": LossRule(cr.CrossEntropy(from_logits=False), LABELS, classes(from_logits=False), "softmax"),
    "soft targets, softmax": LossRule(cr.CrossEntropy(from_logits=False), SOFT, classes(from_logits=False), "softmax"),
    "binary": LossRule(cr.BinaryCrossEntropy(), SHARES, elements("binary_cross_entropy_logits")),
    "binary, sigmoid": LossRule(
        cr.BinaryCrossEntropy(from_logits=False), SHARES, elements("binary_cross_entropy_probabilities"), "sigmoid"
    ),
}


class UpdateCase(NamedTuple):
    """An optimizer of the public face, and the rule of the specification with its numbers at step t."""

    optimizer: cr.Optimizer
    rule: str
    numbers: Callable[[int], dict[str, float]]


def momentum(style: str) -> UpdateCase:
    return UpdateCase(cr.Momentum(RATE, beta=0.8, style=style), f"momentum_{style}", lambda t: {"beta1": 0.8})


def adam(rule: str, *, corrected: bool, **options: bool) -> UpdateCase:
    def numbers(t: int) -> dict[str, float]:
        decays = {"beta1": 0.85, "beta2": 0.98, "epsilon": EPSILON}
        return decays | ({"correction1": 1 - 0.85**t, "correction2": 1 - 0.98**t} if corrected else {})

    optimizer = cr.Adam(RATE, beta1=0.85, beta2=0.98, eps=EPSILON, bias_correction=corrected, **options)
    return UpdateCase(optimizer, rule, numbers)


UPDATES = {
    "sgd": UpdateCase(cr.SGD(RATE), "gradient_descent", lambda t: {}),
    **{style: momentum(style) for style in ("heavy_ball", "ema", "nesterov")},
    "adam": adam("adam", corrected=True),
    "adam, uncorrected": adam("adam", corrected=False),
    "adam, eps inside": adam("adam_epsilon_inside", corrected=True, eps_inside_sqrt=True),
    "adam, eps inside, uncorrected": adam("adam_epsilon_inside", corrected=False, eps_inside_sqrt=True),
}


class Run(NamedTuple):
    """Everything that a run is made of; the defaults are the plainest."""

    loss: str = "labels"
    update: str = "sgd"
    activation: Any = "tanh"
    parameter: float = 0.0
    dropout: float = 0.0
    bias: bool = True
    strength: float = 0.0
    biases: bool = False
    weight: Array | None = None
    shuffle: bool = True
    drop_last: bool = False

    def network(self) -> cr.Network:
        dropout = [cr.Dropout(rate=self.dropout)] if self.dropout else []
        layers = [cr.Dense(7, activation=self.activation, bias=self.bias), *dropout]
        head = cr.Dense(OUTPUTS, activation=LOSSES[self.loss].head, bias=self.bias)
        return cr.Network([*layers, head], inputs=INPUTS, seed=SEED, dtype="float64")

    def twin(self, start: dict[str, Array]) -> list[Dense | Dropout]:
        """Return the layers of the loop in NumPy, with copies of the network's weights."""
        last = 2 if self.dropout else 1
        word = self.activation if isinstance(self.activation, str) else self.activation.word
        first = Dense(word, self.parameter, start["0.weight"], start.get("0.bias"))
        head = Dense(LOSSES[self.loss].head, 0.0, start[f"{last}.weight"], start.get(f"{last}.bias"))
        return [first, Dropout(self.dropout, 1), head] if self.dropout else [first, head]


def trained_in_numpy(run: Run, layers: list[Dense | Dropout]) -> list[float]:
    """Train `layers` and return the loss of each epoch."""
    losses, t = [], 0
    state: dict[tuple[int, str], tuple[Array, Array]] = {}
    y, of_batch = LOSSES[run.loss].y, LOSSES[run.loss].of_batch
    for epoch in range(EPOCHS):
        order = reference.shuffled_order(ROWS, SEED, epoch) if run.shuffle else np.arange(ROWS)
        batches = [order[first : first + BATCH_SIZE] for first in range(0, ROWS, BATCH_SIZE)]
        if run.drop_last:
            batches.pop()
        total = 0.0
        for rows in batches:
            p = X[rows]
            for layer in layers:
                p = layer.forward(p, t)
            row_losses, dh = of_batch(p, y[rows], None if run.weight is None else run.weight[rows])
            total += row_losses.sum() * (1 if run.loss in ("sum", "half sum") else len(rows))
            for layer in reversed(layers):
                dh = layer.backward(dh)
            t += 1
            update_all(run, layers, state, t)
        seen = sum(map(len, batches))
        losses.append(total / (1 if run.loss in ("sum", "half sum") else seen))
    return losses


def update_all(
    run: Run, layers: list[Dense | Dropout], state: dict[tuple[int, str], tuple[Array, Array]], t: int
) -> None:
    """Do step t of every parameter, by its gradient and that of the penalty."""
    case = UPDATES[run.update]
    for number, layer in enumerate(layers):
        if isinstance(layer, Dropout):
            continue
        for name in ("weight", "bias") if layer.has_bias else ("weight",):
            w, g = getattr(layer, name), getattr(layer, f"d{name}")
            if name == "weight" or run.biases:
                g = g + run.strength * w
            zeros = np.zeros_like(w)
            w, *both = reference.update(
                w, g, *state.get((number, name), (zeros, zeros)), rule=case.rule, rate=RATE, **case.numbers(t)
            )
            setattr(layer, name, w)
            state[number, name] = (both[0], both[1])


# The comparison -------------------------------------------------------------------------------------------------------


def check(run: Run) -> None:
    net = run.network()
    start = {name: value.copy() for name, value in net.parameters().items()}
    layers = run.twin(start)
    losses = trained_in_numpy(run, layers)
    penalty = cr.L2(run.strength, biases=run.biases) if run.strength else None
    trainer = cr.Trainer(net, loss=LOSSES[run.loss].loss, optimizer=UPDATES[run.update].optimizer, penalty=penalty)
    history = trainer.fit(
        X,
        LOSSES[run.loss].y,
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        shuffle=run.shuffle,
        drop_last=run.drop_last,
        sample_weight=run.weight,
        verbose=False,
    )
    after = net.parameters()
    for number, layer in enumerate(layers):
        if isinstance(layer, Dropout):
            continue
        for name in ("weight", "bias") if layer.has_bias else ("weight",):
            ours, theirs = after[f"{number}.{name}"], getattr(layer, name)
            scale = abs(theirs).max()
            assert abs(ours - start[f"{number}.{name}"]).max() > 1e-3 * scale  # it moved
            assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * scale, err_msg=f"{number}.{name}")
    assert_allclose(history["loss"], losses, rtol=TOLERANCE)
    if penalty:
        counted = [v for name, v in after.items() if run.biases or name.endswith("weight")]
        expected = run.strength / 2 * sum((value**2).sum() for value in counted)
        assert history["penalty"][-1] == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses(loss: str, weight: Array | None) -> None:
    check(Run(loss=loss, weight=weight))


@pytest.mark.parametrize("update", UPDATES)
def test_updates(update: str) -> None:
    check(Run(update=update))
    check(Run(update=update, loss="mse", strength=0.3, dropout=0.25))


# All but the step, behind which nothing learns.
ACTIVATIONS: list[tuple[Any, float]] = [
    ("identity", 0.0),
    ("sigmoid", 0.0),
    ("tanh", 0.0),
    ("relu", 0.0),
    (cr.LeakyReLU(slope=0.1), 0.1),
    (cr.ELU(alpha=1.3), 1.3),
    ("softmax", 0.0),
]


@pytest.mark.parametrize(("activation", "parameter"), ACTIVATIONS, ids=str)
def test_activations(activation: Any, parameter: float) -> None:
    check(Run(activation=activation, parameter=parameter, loss="mse"))


@pytest.mark.parametrize(
    "run",
    {
        "penalty": Run(strength=0.3),
        "penalty of biases": Run(strength=0.3, biases=True),
        "no biases": Run(bias=False, strength=0.3),
        "dropout": Run(dropout=0.4),
        "unshuffled": Run(shuffle=False),
        "ragged batches left out": Run(drop_last=True),
        "everything": Run("soft targets", "adam", "relu", 0.0, 0.3, True, 0.1, True, WEIGHT),
    }.items(),
    ids=lambda run: run[0],
)
def test_options(run: tuple[str, Run]) -> None:
    check(run[1])
