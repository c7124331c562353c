"""Layers and losses against PyTorch, in float64: the same weights after 20 steps, by hand and by `fit`.

What draws random numbers is not here: PyTorch draws others. The tolerance is derived in pytorch_twins.py.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import pytorch_twins as twins
from pytorch_twins import (
    BATCH,
    HIDDEN,
    INPUTS,
    NUMBERS,
    OUTPUTS,
    TOLERANCE,
    affine,
    assert_trains_alike,
    mlp,
    network,
    sgd,
    torch,
)

import chainrule as cr

F = torch.nn.functional

# Losses --------------------------------------------------------------------------------------------------------------

LABELS = twins.labels()
SHARES = np.random.default_rng(3).dirichlet(np.ones(OUTPUTS), size=twins.ROWS)  # (B, K), each row sums to 1
COUNTS = np.random.default_rng(5).poisson(1.5, size=(twins.ROWS, OUTPUTS)).astype(float)
# Sums over 6 rows and 3 outputs have gradients 18 times a mean's, and need a rate as much smaller.
RATE = 0.1
SMALL = RATE / (BATCH * OUTPUTS)


def pinball(quantile):
    """Koenker's check function, for which PyTorch has no name."""
    return lambda p, y: torch.maximum(quantile * (y - p), (quantile - 1) * (y - p)).mean()


def negative_log(p, y):
    return F.nll_loss(p.log(), y)


def huber(p, y):
    return F.huber_loss(p, y, delta=0.7)


NO_HEAD = "identity"
LOSSES = [
    (cr.MeanSquaredError(), F.mse_loss, NO_HEAD, NUMBERS, RATE),
    (cr.MeanSquaredError(reduction="sum"), lambda p, y: F.mse_loss(p, y, reduction="sum"), NO_HEAD, NUMBERS, SMALL),
    (cr.MeanSquaredError(half=True), lambda p, y: F.mse_loss(p, y) / 2, NO_HEAD, NUMBERS, RATE),
    (
        cr.MeanSquaredError(reduction="mean_rows"),
        lambda p, y: F.mse_loss(p, y, reduction="sum") / len(p),
        NO_HEAD,
        NUMBERS,
        RATE / OUTPUTS,
    ),
    (cr.MeanAbsoluteError(), F.l1_loss, NO_HEAD, NUMBERS, RATE),
    (cr.MeanAbsoluteError(reduction="sum"), lambda p, y: F.l1_loss(p, y, reduction="sum"), NO_HEAD, NUMBERS, SMALL),
    (cr.Huber(), F.huber_loss, NO_HEAD, NUMBERS, RATE),
    (cr.Huber(delta=0.7), huber, NO_HEAD, NUMBERS, RATE),
    (cr.Pinball(quantile=0.8), pinball(0.8), NO_HEAD, NUMBERS, RATE),
    (cr.CrossEntropy(), F.cross_entropy, NO_HEAD, LABELS, RATE),
    (cr.CrossEntropy(), F.cross_entropy, NO_HEAD, SHARES, RATE),
    (
        cr.CrossEntropy(label_smoothing=0.2),
        lambda p, y: F.cross_entropy(p, y, label_smoothing=0.2),
        NO_HEAD,
        LABELS,
        RATE,
    ),
    (
        cr.CrossEntropy(label_smoothing=0.2),
        lambda p, y: F.cross_entropy(p, y, label_smoothing=0.2),
        NO_HEAD,
        SHARES,
        RATE,
    ),
    (
        cr.CrossEntropy(reduction="sum"),
        lambda p, y: F.cross_entropy(p, y, reduction="sum"),
        NO_HEAD,
        LABELS,
        RATE / BATCH,
    ),
    (cr.CrossEntropy(from_logits=False), negative_log, "softmax", LABELS, RATE),
    (cr.BinaryCrossEntropy(), F.binary_cross_entropy_with_logits, NO_HEAD, SHARES, RATE),
    (
        cr.BinaryCrossEntropy(reduction="sum"),
        lambda p, y: F.binary_cross_entropy_with_logits(p, y, reduction="sum"),
        NO_HEAD,
        SHARES,
        SMALL,
    ),
    (cr.BinaryCrossEntropy(from_logits=False), F.binary_cross_entropy, "sigmoid", SHARES, RATE),
    (cr.Poisson(), F.poisson_nll_loss, NO_HEAD, COUNTS, RATE),
    # PyTorch adds its eps to p; chainrule keeps p above a least, which the sigmoid of small numbers is.
    (
        cr.Poisson(from_log=False),
        lambda p, y: F.poisson_nll_loss(p, y, log_input=False, eps=0.0),
        "sigmoid",
        COUNTS,
        RATE,
    ),
]
HEADS = {"identity": lambda z: z, "sigmoid": torch.sigmoid, "softmax": lambda z: torch.softmax(z, dim=1)}


@pytest.mark.parametrize(
    ("loss", "other", "head", "y", "rate"), LOSSES, ids=[f"{case[0]!r}-{case[3].ndim}d" for case in LOSSES]
)
def test_loss(loss, other, head, y, rate):
    net, twin = network(head=head), mlp(head=HEADS[head])
    value = float(loss(net(twins.X), y))
    theirs = other(twin(twins.leaves(net), torch.tensor(twins.X)), torch.tensor(y)).item()
    # 360 terms of size below 10, each of some 20 roundings, added up.
    assert value == pytest.approx(theirs, rel=0, abs=(20 + 360) * 3600 * 2.0**-53)
    assert_trains_alike(net, twin, cr.SGD(rate), sgd(rate), y=y, loss=loss, twin_loss=other)


def test_sample_weights():
    weight = np.random.default_rng(6).uniform(0, 2, size=twins.ROWS)
    net, twin, start = network(), mlp(), network().state_dict()
    p, stepper = twins.leaves(net), None
    stepper = sgd()(p)
    for (xb, yb), (wb, _) in zip(
        twins.batches(torch.tensor(twins.X), torch.tensor(NUMBERS)),
        twins.batches(torch.tensor(weight), torch.tensor(weight)),
        strict=True,
    ):
        stepper.zero_grad()
        (wb * F.mse_loss(twin(p, xb), yb, reduction="none").mean(dim=1)).mean().backward()
        stepper.step()
    cr.Trainer(net, loss="mse", optimizer=cr.SGD(0.1)).fit(
        twins.X, NUMBERS, epochs=1, batch_size=BATCH, shuffle=False, sample_weight=weight, verbose=False
    )
    twins.assert_same(net.parameters(), {name: v.detach().numpy() for name, v in p.items()}, start, "fit")


# Activations ---------------------------------------------------------------------------------------------------------

ACTIVATIONS = [
    (cr.Identity(), lambda z: z),
    (cr.Sigmoid(), torch.sigmoid),
    (cr.Tanh(), torch.tanh),
    (cr.ReLU(), torch.relu),
    (cr.LeakyReLU(), F.leaky_relu),
    (cr.LeakyReLU(slope=0.1), lambda z: F.leaky_relu(z, 0.1)),
    (cr.ELU(), F.elu),
    (cr.ELU(alpha=0.5), lambda z: F.elu(z, 0.5)),
]


@pytest.mark.parametrize(("activation", "other"), ACTIVATIONS, ids=[repr(activation) for activation, _ in ACTIVATIONS])
def test_activation(activation, other):
    assert_trains_alike(network(hidden=activation), mlp(hidden=other), cr.SGD(0.1), sgd())


def test_softmax_as_the_last_layer():
    # With squares as the loss, so that all of its Jacobian is felt.
    assert_trains_alike(network(head="softmax"), mlp(head=HEADS["softmax"]), cr.SGD(0.1), sgd(), y=SHARES)


def test_softmax_in_the_middle():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cr.PlacementWarning)  # it is no place for a softmax, but the chain rule holds
        net = network(hidden="softmax")
    assert_trains_alike(net, mlp(hidden=HEADS["softmax"]), cr.SGD(0.1), sgd())


# Layers --------------------------------------------------------------------------------------------------------------


def made(*layers):
    return cr.Network([*layers, cr.Dense(OUTPUTS)], inputs=INPUTS, seed=4, dtype="float64")


def test_maxout():
    def twin(p, x):
        pieces = affine(p, 0, x).reshape(len(x), 3, HIDDEN)
        return affine(p, 1, pieces.max(dim=1).values)

    net = made(cr.Maxout(HIDDEN, pieces=3, bias_init=cr.Normal(0.3)))
    assert_trains_alike(net, twin, cr.SGD(0.1), sgd())


def test_connections():
    mask = np.random.default_rng(8).integers(0, 2, size=(INPUTS, HIDDEN))

    def twin(p, x):
        h = torch.tanh(x @ (p["0.weight"] * torch.tensor(mask)) + p["0.bias"])
        return affine(p, 1, h)

    net = made(cr.Dense(HIDDEN, activation="tanh", connections=mask))
    # A rule with a memory must not move what is not there either.
    assert_trains_alike(net, twin, cr.Momentum(0.05, beta=0.8), lambda p: torch.optim.SGD(p.values(), 0.05, 0.8))
    assert (net.parameters()["0.weight"][mask == 0] == 0).all()


# Batch normalisation -------------------------------------------------------------------------------------------------


def normalised(p, number, x, statistics, training=True):
    """PyTorch's batch normalisation, with its running statistics in `statistics`."""
    return F.batch_norm(
        x, *statistics, p[f"{number}.gamma"], p[f"{number}.beta"], training=training, momentum=0.1, eps=1e-5
    )


def fresh_statistics(width):
    return torch.zeros(width, dtype=torch.float64), torch.ones(width, dtype=torch.float64)


def batch_norm_before(statistics, training=True):
    return lambda p, x: affine(p, 3, torch.tanh(normalised(p, 1, affine(p, 0, x), statistics, training)))


def batch_norm_after(statistics, training=True):
    return lambda p, x: affine(p, 2, normalised(p, 1, torch.tanh(affine(p, 0, x)), statistics, training))


def batch_norm_first(statistics, training=True):
    return lambda p, x: affine(p, 2, torch.tanh(affine(p, 1, normalised(p, 0, x, statistics, training))))


PLACES = {
    "before the activation": ([cr.Dense(HIDDEN), cr.BatchNorm(), cr.Activation("tanh")], 1, batch_norm_before),
    "after the activation": ([cr.Dense(HIDDEN, activation="tanh"), cr.BatchNorm()], 1, batch_norm_after),
    "on the inputs": ([cr.BatchNorm(), cr.Dense(HIDDEN, activation="tanh")], 0, batch_norm_first),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", twins.WAYS)
def test_batch_norm(place, way):
    layers, number, make_twin = PLACES[place]
    net = made(*layers)
    width = INPUTS if number == 0 else HIDDEN
    statistics, start = fresh_statistics(width), net.parameters()
    start = {name: value.copy() for name, value in start.items()}
    p = {name: torch.tensor(value, requires_grad=True) for name, value in start.items()}
    expected = twins.train_twin(p, make_twin(statistics), sgd())
    way(net, twins.X, NUMBERS, cr.MeanSquaredError(), cr.SGD(0.1), None, 1)

    twins.assert_same(net.parameters(), expected, start, way.__name__)
    mean, variance = (value.numpy() for value in statistics)
    assert np.abs(net.statistics()[f"{number}.running_mean"] - mean).max() <= TOLERANCE
    assert np.abs(net.statistics()[f"{number}.running_variance"] - variance).max() <= TOLERANCE
    # Prediction by the running statistics: outputs below 10, of weights and statistics that agree to TOLERANCE.
    with torch.no_grad():
        outputs = make_twin(statistics, training=False)(p, torch.tensor(twins.X)).numpy()
    assert np.abs(net.predict(twins.X) - outputs).max() <= 100 * TOLERANCE


@pytest.mark.parametrize("way", twins.WAYS)
def test_a_frozen_batch_norm(way):
    """As the user of PyTorch freezes it: eval() for the layer, and no gradients for its parameters."""
    layers, number, make_twin = PLACES["before the activation"]
    net = made(*layers)
    twins.by_fit(net, twins.X, NUMBERS, cr.MeanSquaredError(), cr.SGD(0.1), None, 1)  # so that there are statistics
    net.freeze(number)
    start = {name: value.copy() for name, value in net.state_dict().items()}
    statistics = [torch.tensor(start[f"1.running_{name}"]) for name in ("mean", "variance")]
    p = {name: torch.tensor(start[name], requires_grad=not name.startswith("1.")) for name in net.parameters()}

    def learned(p):
        return torch.optim.SGD([value for value in p.values() if value.requires_grad], lr=0.1)

    expected = twins.train_twin(p, make_twin(statistics, training=False), learned)
    way(net, twins.X, NUMBERS, cr.MeanSquaredError(), cr.SGD(0.1), None, 1)
    twins.assert_same(net.parameters(), expected, start, way.__name__)
    for name in net.statistics():
        assert np.array_equal(net.statistics()[name], start[name])
