"""The same training in PyTorch and in chainrule, both ways: by hand and by `fit`. Nothing here is a test.

A twin is a function of leaf tensors that carry the names and the shapes of chainrule's parameters, so that nothing has
to be transposed or renamed: `twin(p, x)` with p["0.weight"] (inputs, units). All is float64.
"""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager

import numpy as np
import pytest

import chainrule as cr

torch = pytest.importorskip("torch", reason="PyTorch is not installed: it is the judge here, and optional")
torch.set_num_threads(1)  # a few rows are no work for more

STEPS, BATCH = 20, 6
INPUTS, HIDDEN, OUTPUTS = 5, 7, 3
ROWS = STEPS * BATCH

# A gradient is made of sums of at most 5 + 7 products forwards, 3 backwards and 6 rows: below 100 roundings of numbers
# below 4. The steepest rule here moves a weight by at most 10 times an error of its gradient: learning rates of at most
# 0.7, divided by an epsilon of at least 0.05, or sqrt(0.01). Each of 20 steps adds as much, and one rounding of the
# weight; and the curvature of the loss, small beside 1 / the learning rate, may make them grow: tenfold, to be safe.
TOLERANCE = 10 * STEPS * (10 * 100 * 4 + 1) * 2.0**-53  # 8.9e-11
# What the weights must move by at least, so that the agreement says something.
MOVED = 1e6 * TOLERANCE


@contextmanager
def float64():
    """Let PyTorch make float64 numbers by itself: NAdam keeps a product in the default precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def rows(count=ROWS, columns=INPUTS, seed=0):
    return np.random.default_rng(seed).normal(size=(count, columns))


def labels(count=ROWS):
    return np.random.default_rng(2).integers(0, OUTPUTS, size=count)


X, NUMBERS = rows(), rows(columns=OUTPUTS, seed=1)


def network(hidden="tanh", head="identity", **options):
    """Return 5-7-3 with biases that do not start at 0."""
    start = cr.Normal(0.3)
    layers = [
        cr.Dense(HIDDEN, activation=hidden, bias_init=start),
        cr.Dense(OUTPUTS, activation=head, bias_init=start),
    ]
    return cr.Network(layers, inputs=INPUTS, seed=4, dtype="float64", **options)


def affine(p, number, x):
    return x @ p[f"{number}.weight"] + p[f"{number}.bias"]


def mlp(hidden=torch.tanh, head=lambda z: z):
    """Return the twin of `network`."""
    return lambda p, x: head(affine(p, 1, hidden(affine(p, 0, x))))


def mean_squares(p, y):
    return torch.nn.functional.mse_loss(p, y)


def batches(x, y, epochs=1):
    for _ in range(epochs):
        for start in range(0, len(x), BATCH):
            yield x[start : start + BATCH], y[start : start + BATCH]


def leaves(net):
    """Return the parameters of `net` as tensors of their own."""
    return {name: torch.tensor(value, requires_grad=True) for name, value in net.state_dict().items()}


def sgd(rate=0.1):
    """Return what makes PyTorch's plain gradient descent on some leaves."""
    return lambda p: torch.optim.SGD(p.values(), lr=rate)


def train_twin(
    p, twin, optimizer, *, x=X, y=NUMBERS, loss=mean_squares, limit=None, schedule=None, by_epoch=False, epochs=1
):
    """Train the leaves `p` as PyTorch's users do; return their values.

    `limit(p)` may change the gradients, `schedule(optimizer)` makes a schedule, stepped after each step or epoch.
    """
    with float64():
        stepper = optimizer(p)
        rates = schedule(stepper) if schedule else None
        for number, (xb, yb) in enumerate(batches(torch.tensor(x), torch.tensor(y), epochs), start=1):
            stepper.zero_grad()
            loss(twin(p, xb), yb).backward()
            if limit:
                limit(p)
            stepper.step()
            if rates and (not by_epoch or number % (len(x) // BATCH) == 0):
                rates.step()
    return {name: value.detach().numpy() for name, value in p.items()}


def by_hand(net, x, y, loss, optimizer, penalty, epochs):
    optimizer = dataclasses.replace(optimizer)
    net.train()
    for epoch in range(epochs):
        for xb, yb in batches(x, y):
            net.zero_grad()
            loss(net(xb), yb).backward()
            if penalty is not None:
                penalty.add_gradient(net, m=len(x), batch=len(xb))
            optimizer.step(net, epoch=epoch)


def by_fit(net, x, y, loss, optimizer, penalty, epochs):
    trainer = cr.Trainer(net, loss=loss, optimizer=optimizer, penalty=penalty)
    trainer.fit(x, y, epochs=epochs, batch_size=BATCH, shuffle=False, verbose=False)


WAYS = (by_hand, by_fit)


def assert_same(found, expected, start, who):
    """Require all parameters to agree, and to have moved far more than they may differ."""
    moved = 0.0
    for name, value in expected.items():
        difference = np.abs(found[name] - value).max()
        assert difference <= TOLERANCE, f"{who}: {name} differs by {difference:.1e}"
        moved = max(moved, np.abs(value - start[name]).max())
    assert moved > MOVED, f"{who}: the weights moved by {moved:.1e} only"


def assert_trains_alike(
    net, twin, optimizer, other, *, x=X, y=NUMBERS, loss=None, twin_loss=mean_squares, penalty=None, epochs=1, **options
):
    """Train copies of `net` both ways, and its twin with PyTorch's optimizer `other(p)`; require the same weights."""
    start = net.state_dict()
    expected = train_twin(leaves(net), twin, other, x=x, y=y, loss=twin_loss, epochs=epochs, **options)
    for way in WAYS:
        trained = net.copy()
        way(trained, x, y, loss or cr.MeanSquaredError(), optimizer, penalty, epochs)
        assert_same(trained.parameters(), expected, start, way.__name__)
