"""The numeric exercise of the lectures, by the public face, in float64: tests/exercise.py has its figures.

Every figure is one that a network gives, and is compared both with the printed figure and with the exact fraction. The
rest of the suite comes after this file (conftest.py).
"""

from __future__ import annotations

from fractions import Fraction

import exercise
import numpy as np
import pytest
from exercise import RATE, Exact, Reading, assert_exact, assert_figure, assert_figures, both_readings
from numpy.testing import assert_array_equal

import chainrule as cr

X, Y = np.array(exercise.POINTS, float), np.array(exercise.TARGETS, float)[:, np.newaxis]  # (3, 2), (3, 1)
HALF_SUM = cr.MeanSquaredError(reduction="sum", half=True)


def network(reading: Reading) -> cr.Network:
    net = cr.Network([cr.Dense(1, bias=reading.bias)], inputs=2, dtype="float64")
    state = {"0.weight": [[1.0], [0.5]], "0.bias": [0.0]}
    net.load_state_dict({name: state[name] for name in net.parameters()})
    return net


def weights(net: cr.Network) -> list[float]:
    """Return (w1, w2), or (w0, w1, w2)."""
    parameters = net.parameters()
    return [*parameters.get("0.bias", ()), *parameters["0.weight"].ravel()]


def measured(net: cr.Network) -> float:
    return cr.Trainer(net, loss=HALF_SUM).evaluate(X, Y)["loss"]


def trained(reading: Reading, order: tuple[int, ...] = exercise.ALL, **options: int) -> cr.Network:
    """Return a network after an epoch over the rows in this order."""
    net, rows = network(reading), list(order)
    trainer = cr.Trainer(net, loss=HALF_SUM, optimizer=cr.SGD(float(RATE)))
    trainer.fit(X[rows], Y[rows], **{"epochs": 1, "batch_size": 3, **options}, shuffle=False, verbose=False)
    return net


@both_readings
def test_the_exact_answers_are_those_worked_by_hand(reading: Reading) -> None:
    exact = Exact(reading)
    assert exact.loss(exact.start) == Fraction(63, 4)
    assert exact.gradient(exact.start) == list(reading.gradient)
    batch = exact.step(exact.start)
    assert batch == list(map(Fraction, reading.batch_weights))
    assert exact.loss(batch) == reading.exact_batch_loss
    w = exact.start
    for i, figures in enumerate(reading.path):
        assert exact.residual(w, i) == Fraction(reading.errors[i])
        w = exact.step(w, (i,))
        assert w == list(map(Fraction, figures))
        assert exact.loss(w) == (reading.exact_final_loss if i == 2 else Fraction(reading.path_losses[i]))
    assert reading.exact_batch_loss - reading.exact_final_loss == Fraction(reading.advantage)
    assert exact.gradient(list(reading.exact_optimum)) == [0] * len(w)


@both_readings
def test_a_the_output(reading: Reading) -> None:
    assert network(reading).predict([[2, 3]]).item() == 3.5


@both_readings
def test_b_residuals_loss_and_gradient(reading: Reading) -> None:
    net = network(reading)
    assert_array_equal((Y - net.predict(X)).ravel(), [-1, 5.5, 0.5])
    value = HALF_SUM(net(X), Y)
    assert float(value) == 15.75
    value.backward()
    gradients = net.gradients()
    by_bias = gradients["0.bias"].tolist() if reading.bias else []
    assert [*by_bias, *gradients["0.weight"].ravel().tolist()] == list(reading.gradient)


@both_readings
def test_c_and_d_the_batch_step(reading: Reading) -> None:
    net = trained(reading)
    exact = Exact(reading)
    assert_figures(weights(net), reading.batch_weights)
    assert_exact(weights(net), exact.step(exact.start))
    assert_figure(measured(net), reading.batch_loss)
    assert_exact(measured(net), reading.exact_batch_loss)
    assert measured(net) < 15.75


@both_readings
def test_e_stochastic_steps(reading: Reading) -> None:
    net, optimizer = network(reading), cr.SGD(float(RATE))
    losses = [measured(net)]
    for i in range(3):
        x, y = X[i : i + 1], Y[i : i + 1]
        assert_figure((y - net.predict(x)).item(), reading.errors[i])
        assert_exact(y - net.predict(x), [[Fraction(reading.errors[i])]])
        net.zero_grad()
        HALF_SUM(net(x), y).backward()
        optimizer.step(net)
        assert_figures(weights(net), reading.path[i])
        assert_exact(weights(net), list(map(Fraction, reading.path[i])))
        losses.append(measured(net))
        assert_figure(losses[-1], reading.path_losses[i])
    assert_exact(losses[-1], reading.exact_final_loss)
    assert losses[1] > losses[0]  # the first single step makes the whole loss worse
    batch_loss = measured(trained(reading))
    assert losses[3] < batch_loss  # and yet the pass ends lower than the batch step, only just
    assert_figure(batch_loss - losses[3], reading.advantage)
    assert weights(trained(reading, batch_size=1)) == weights(net)


@both_readings
def test_three_orders_of_six_beat_the_batch_step(reading: Reading) -> None:
    exact, wins, batch_loss = Exact(reading), 0, measured(trained(reading))
    for order, figure in zip(exercise.ORDERS, reading.losses_by_order, strict=True):
        w = exact.start
        for i in order:
            w = exact.step(w, (i,))
        net = trained(reading, order, batch_size=1)
        assert_exact(weights(net), w)
        assert_exact(measured(net), exact.loss(w))
        assert_figure(measured(net), figure)
        wins += measured(net) < batch_loss
    assert wins == 3  # "lower" is a property of the given order


@both_readings
def test_the_mean_gradient_moves_a_third_as_far(reading: Reading) -> None:
    net, exact = network(reading), Exact(reading)
    mean = cr.MeanSquaredError(reduction="mean", half=True)
    cr.Trainer(net, loss=mean, optimizer=cr.SGD(0.01)).fit(X, Y, epochs=1, batch_size=3, shuffle=False)
    w = exact.step(exact.start, rate=RATE / 3)
    assert_exact(weights(net), w)
    assert_exact(measured(net), exact.loss(w))
    assert_figure(measured(net), reading.mean_batch_loss)


@both_readings
def test_the_optimum(reading: Reading) -> None:
    net, exact = network(reading), Exact(reading)
    # The slowest direction shrinks by 0.985 a step, and 0.985^3000 < 1e-19.
    cr.Trainer(net, loss=HALF_SUM, optimizer=cr.SGD(0.05)).fit(X, Y, epochs=3000, batch_size=3, verbose=False)
    assert_figures(weights(net), reading.optimum)
    assert_exact(weights(net), reading.exact_optimum)
    assert_figure(measured(net), reading.least_loss)
    assert_exact(measured(net), exact.loss(list(reading.exact_optimum)))


@both_readings
@pytest.mark.parametrize(("share", "converges"), [(0.99, True), (1.01, False)])
def test_the_stability_bound(reading: Reading, share: float, converges: bool) -> None:
    bound = Exact(reading).rate_bound()
    assert_figure(bound, reading.rate_bound)
    trainer = cr.Trainer(network(reading), loss=HALF_SUM, optimizer=cr.SGD(bound * share))
    losses = trainer.fit(X, Y, epochs=400, batch_size=3, verbose=False)["loss"]
    assert (losses[-1] < losses[200]) == converges
