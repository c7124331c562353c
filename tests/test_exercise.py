"""The numeric exercise of the lectures, by the public face, in float64, against exact fractions.

Three rows, one linear unit, L = 1/2 sum (y - w.x)^2, learning rate 1/100, one pass. Reading A has no bias; reading B
trains one, w0. The oracle is arithmetic on fractions, itself checked against the figures worked out by hand.

Tolerance: every figure is a sum of fewer than 30 products of numbers below 50, each rounded once, so the error is
below 30 * 50 * 2**-53 < 2e-13; figures are compared to 1e-12.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

import chainrule as cr

ROWS = [((1, 2), 1), ((-2, 5), 6), ((0, 1), 1)]
ETA = Fraction(1, 100)
START = (Fraction(0), Fraction(1), Fraction(1, 2))  # w0, w1, w2
EXACT = 1e-12

HALF_SUM = cr.MeanSquaredError(reduction="sum", half=True)


def outputs(w, rows):
    return [w[0] + w[1] * x[0] + w[2] * x[1] for x, _ in rows]


def loss(w, rows=ROWS):
    return sum((y - h) ** 2 for h, (_, y) in zip(outputs(w, rows), rows, strict=True)) / 2


def gradient(w, rows, biased):
    errors = [h - y for h, (_, y) in zip(outputs(w, rows), rows, strict=True)]
    by_bias = sum(errors) if biased else Fraction(0)
    return (by_bias, *(sum(e * x[j] for e, (x, _) in zip(errors, rows, strict=True)) for j in (0, 1)))


def stepped(w, rows, biased, eta=ETA):
    return tuple(a - eta * g for a, g in zip(w, gradient(w, rows, biased), strict=True))


def arrays(rows=ROWS):
    return np.array([x for x, _ in rows], dtype=float), np.array([[y] for _, y in rows], dtype=float)


def network(biased):
    net = cr.Network([cr.Dense(1, bias=biased)], inputs=2, dtype="float64")
    state = {"0.weight": [[1.0], [0.5]], "0.bias": [0.0]}
    net.load_state_dict({name: state[name] for name in net.parameters()})
    return net


def weights(net):
    """Return (w0, w1, w2)."""
    parameters = net.parameters()
    bias = parameters["0.bias"][0] if "0.bias" in parameters else 0.0
    return [float(bias), *map(float, parameters["0.weight"].ravel())]


def measured(net):
    return cr.Trainer(net, loss=HALF_SUM).evaluate(*arrays())["loss"]


def exactly(fractions):
    if isinstance(fractions, Fraction):
        return pytest.approx(float(fractions), rel=0, abs=EXACT)
    return pytest.approx([float(f) for f in fractions], rel=0, abs=EXACT)


@pytest.fixture(params=[False, True], ids=["A: no bias", "B: bias"])
def biased(request):
    return request.param


# The figures, written down by hand: A, B.
BATCH = {
    False: (Fraction(0), Fraction(22, 25), Fraction(19, 25)),
    True: (Fraction(1, 20), Fraction(22, 25), Fraction(19, 25)),
}
BATCH_LOSS = {False: Fraction(5531, 625), True: Fraction(174267, 20000)}
SGD_STEPS = {
    False: [("0", "0.99", "0.48"), ("0", "0.8784", "0.759"), ("0", "0.8784", "0.76141")],
    True: [("-0.01", "0.99", "0.48"), ("0.0459", "0.8782", "0.7595"), ("0.047846", "0.8782", "0.761446")],
}
SGD_LOSSES = {
    False: [Fraction("16.15465"), Fraction("8.8519366"), Fraction(17620867739, 2 * 10**9)],
    True: [Fraction("16.2063"), Fraction("8.715987885"), Fraction(4339029955521, 5 * 10**11)],
}
ORDERS = {
    False: dict(zip(permutations((1, 2, 3)), (8.8104, 8.7897, 9.0043, 9.0105, 8.7937, 8.9898), strict=True)),
    True: dict(zip(permutations((1, 2, 3)), (8.6781, 8.6464, 8.9057, 8.9161, 8.6529, 8.8844), strict=True)),
}


def test_fractions_agree_with_the_figures_worked_by_hand(biased):
    assert loss(START) == Fraction(63, 4)
    assert gradient(START, ROWS, biased) == ((Fraction(-5) if biased else Fraction(0)), Fraction(12), Fraction(-26))
    batch = stepped(START, ROWS, biased)
    assert batch == BATCH[biased]
    assert loss(batch) == BATCH_LOSS[biased]
    w = START
    for row, figures, value in zip(ROWS, SGD_STEPS[biased], SGD_LOSSES[biased], strict=True):
        w = stepped(w, [row], biased)
        assert w == tuple(map(Fraction, figures))
        assert loss(w) == value


def test_a_the_output(biased):
    assert network(biased).predict([[2, 3]]).item() == 3.5


def test_b_residuals_loss_and_gradient(biased):
    net = network(biased)
    X, y = arrays()
    assert (y - net.predict(X)).ravel().tolist() == [-1.0, 5.5, 0.5]
    value = HALF_SUM(net(X), y)
    assert float(value) == 15.75
    value.backward()
    gradients = net.gradients()
    assert gradients["0.weight"].ravel().tolist() == [12.0, -26.0]
    if biased:
        assert gradients["0.bias"].tolist() == [-5.0]


def test_c_and_d_the_batch_step(biased):
    net = network(biased)
    history = cr.Trainer(net, loss=HALF_SUM, optimizer=cr.SGD(0.01)).fit(
        *arrays(), epochs=1, batch_size=3, shuffle=False
    )
    assert history["loss"] == exactly([Fraction(63, 4)])
    assert weights(net) == exactly(BATCH[biased])
    assert measured(net) == exactly(BATCH_LOSS[biased])


def test_e_stochastic_steps(biased):
    net, optimizer = network(biased), cr.SGD(0.01)
    for row, figures, value in zip(ROWS, SGD_STEPS[biased], SGD_LOSSES[biased], strict=True):
        X, y = arrays([row])
        net.zero_grad()
        HALF_SUM(net(X), y).backward()
        optimizer.step(net)
        assert weights(net) == exactly([Fraction(figure) for figure in figures])
        assert measured(net) == exactly(value)


def test_stochastic_beats_batch_in_the_given_order_only_just(biased):
    gain = Fraction("0.0391661305") if not biased else Fraction("0.035290088958")
    assert BATCH_LOSS[biased] - SGD_LOSSES[biased][-1] == gain


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_every_order_of_the_rows(biased, order):
    rows = [ROWS[i - 1] for i in order]
    w = START
    for row in rows:
        w = stepped(w, [row], biased)
    net = network(biased)
    cr.Trainer(net, loss=HALF_SUM, optimizer=cr.SGD(0.01)).fit(*arrays(rows), epochs=1, batch_size=1, shuffle=False)
    assert weights(net) == exactly(w)
    assert measured(net) == exactly(loss(w))
    assert round(measured(net), 4) == ORDERS[biased][order]


def test_three_orders_of_six_beat_the_batch_step(biased):
    assert sum(value < BATCH_LOSS[biased] for value in ORDERS[biased].values()) == 3


def test_the_mean_gradient_moves_a_third_as_far(biased):
    net = network(biased)
    mean = cr.MeanSquaredError(reduction="mean", half=True)
    cr.Trainer(net, loss=mean, optimizer=cr.SGD(0.01)).fit(*arrays(), epochs=1, batch_size=3, shuffle=False)
    w = stepped(START, ROWS, biased, ETA / 3)
    assert weights(net) == exactly(w)
    assert measured(net) == exactly(loss(w))
    assert round(measured(net), 4) == (13.0904 if biased else 13.1611)


def test_the_optimum(biased):
    net = network(biased)
    cr.Trainer(net, loss=HALF_SUM, optimizer=cr.SGD(0.05)).fit(*arrays(), epochs=5000, batch_size=3, verbose=False)
    if biased:
        # Three rows, three parameters: L* = 0, reached as far as the slowest direction has shrunk.
        assert measured(net) < 1e-6
    else:
        assert [round(w, 4) for w in weights(net)] == [0.0, -0.7674, 0.8953]
        assert round(measured(net), 5) == 0.00581


@pytest.mark.parametrize(("share", "converges"), [(0.99, True), (1.01, False)])
def test_the_stability_bound(biased, share, converges):
    # Gradient descent on L converges if eta < 2 / the largest eigenvalue of X'X: 0.06184 without, 0.05820 with a bias.
    net = network(biased)
    bound = 0.05820 if biased else 0.06184
    trainer = cr.Trainer(net, loss=HALF_SUM, optimizer=cr.SGD(bound * share))
    losses = trainer.fit(*arrays(), epochs=400, batch_size=3, verbose=False)["loss"]
    assert (losses[-1] < losses[200]) == converges
