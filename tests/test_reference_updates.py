"""The specification's update rules, judged by what is not itself: the papers' algorithms, one number at a time.

The engine is not used here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from chainrule import reference

EPS = np.finfo(np.float64).eps


def first_step(rule: str, **numbers: float) -> float:
    """How far a rule goes at its first step, in learning rates, for a gradient far greater than epsilon."""
    w, g, none = np.zeros(1), np.full(1, 1e3), np.zeros(1)
    return float(-reference.update(w, g, none, none, none, rule=rule, rate=0.01, epsilon=1e-8, **numbers)[0][0] / 0.01)


@pytest.mark.parametrize("inside", ["", "_epsilon_inside"])
def test_first_steps(inside: str) -> None:
    # Without bias correction the first step is (1 - beta1) / sqrt(1 - beta2), with it 1.
    assert first_step(f"rmsprop{inside}", beta2=0.999) == pytest.approx(31.6228, abs=5e-5)
    assert first_step(f"rmsprop{inside}", beta2=0.9) == pytest.approx(3.1623, abs=5e-5)
    assert first_step(f"adam{inside}", beta1=0.9, beta2=0.999) == pytest.approx(3.1623, abs=5e-5)
    assert first_step(f"amsgrad{inside}", beta1=0.9, beta2=0.999) == pytest.approx(3.1623, abs=5e-5)
    corrected = {"beta1": 0.9, "beta2": 0.999, "correction1": 0.1, "correction2": 0.001}
    assert first_step(f"adam{inside}", **corrected) == pytest.approx(1.0, abs=1e-9)
    assert first_step(f"adagrad{inside}") == pytest.approx(1.0, abs=1e-9)
    assert first_step("gradient_descent") == pytest.approx(1e3)


def test_epsilon_inside_and_outside_the_root() -> None:
    # With v = 0.1, s = 0.01 and epsilon = 0.03: 0.1 / (0.1 + 0.03), and 0.1 / sqrt(0.01 + 0.03) = 0.5.
    w, g = np.zeros(1), np.zeros(1)
    v, s = np.full(1, 0.1 / 0.9), np.full(1, 0.01 / 0.9)
    for rule, step in (("adam", 0.1 / 0.13), ("adam_epsilon_inside", 0.5)):
        result = reference.update(w, g, v, s, w, rule=rule, rate=1.0, beta1=0.9, beta2=0.9, epsilon=0.03)
        assert_allclose(result[0], [-step], rtol=10 * EPS)


def run_rule(rule: str, gradients: np.ndarray, rate: float, **numbers: float) -> np.ndarray:
    w, *states = np.zeros((4, 1))
    for g in gradients:
        w, *states = reference.update(w, g[np.newaxis], *states, rule=rule, rate=rate, **numbers)
    return w


def test_momenta_by_their_sums(rng: np.random.Generator) -> None:
    # Unrolled: after t steps v_t = sum over i <= t of beta^(t - i) g_i.
    gradients, beta, rate = rng.standard_normal(8), 0.9, 0.1
    v = [sum(beta ** (t - i) * gradients[i] for i in range(t + 1)) for t in range(8)]
    close = {"rtol": 0, "atol": 100 * EPS}
    assert_allclose(run_rule("gradient_descent", gradients, rate), -rate * gradients.sum(), **close)
    assert_allclose(run_rule("momentum", gradients, rate, beta1=beta), -rate * sum(v), **close)
    mean = run_rule("momentum", gradients, rate, beta1=beta, gain=1 - beta)
    assert_allclose(mean, -rate * (1 - beta) * sum(v), **close)
    nesterov = -rate * (gradients.sum() + beta * sum(v))
    assert_allclose(run_rule("nesterov", gradients, rate, beta1=beta), nesterov, **close)


def test_decay_comes_before_the_rule() -> None:
    w, g = np.array([2.0, -4]), np.array([1.0, 1])
    for rule in reference.UPDATE_RULES:
        numbers = {"rate": 0.1, "beta1": 0.5, "beta2": 0.5, "epsilon": 1e-3, "most": 1.0}
        ones = np.ones((3, 2))
        plain = reference.update(w * 0.75, g, *ones, rule=rule, **numbers)
        decayed = reference.update(w, g, *ones, rule=rule, keep=0.75, **numbers)
        for one, other in zip(plain, decayed, strict=True):
            assert_array_equal(one, other, err_msg=rule)


# By the papers --------------------------------------------------------------------------------------------------------

# Each is a generator that is sent gradients, one number each, and yields the parameter, which starts at 0.
Paper = Generator[float, float, None]
ETA, BETA1, BETA2, EPSILON = 0.1, 0.9, 0.99, 1e-4


def adagrad() -> Paper:
    # J. Duchi, E. Hazan, Y. Singer, JMLR 12 (2011), figure 1, with a diagonal matrix.
    theta = total = 0.0
    while True:
        g = yield theta
        total += g**2
        theta -= ETA / (math.sqrt(total) + EPSILON) * g


def adadelta() -> Paper:
    # M. Zeiler, arXiv:1212.5701, algorithm 1; a factor ETA on the step.
    theta = mean_g = mean_step = 0.0
    while True:
        g = yield theta
        mean_g = BETA2 * mean_g + (1 - BETA2) * g**2
        step = -math.sqrt(mean_step + EPSILON) / math.sqrt(mean_g + EPSILON) * g
        mean_step = BETA2 * mean_step + (1 - BETA2) * step**2
        theta += ETA * step


def rmsprop() -> Paper:
    # T. Tieleman, G. Hinton, lecture 6.5 of Coursera's "Neural networks for machine learning" (2012).
    theta = mean = 0.0
    while True:
        g = yield theta
        mean = BETA2 * mean + (1 - BETA2) * g**2
        theta -= ETA * g / (math.sqrt(mean) + EPSILON)


def rprop() -> Paper:
    # C. Igel, M. Huesken, "Improving the Rprop learning algorithm" (2000), iRprop-.
    theta, before, step = 0.0, 0.0, ETA
    while True:
        g = yield theta
        if before * g > 0:
            step = min(step * 1.2, 0.15)
        elif before * g < 0:
            step, g = max(step * 0.5, 0.03), 0.0
        theta -= math.copysign(step, g) if g else 0.0
        before = g


def adam() -> Paper:
    # D. Kingma, J. Ba, ICLR 2015, algorithm 1.
    theta = m = v = 0.0
    t = 0
    while True:
        g = yield theta
        t += 1
        m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g**2
        theta -= ETA * (m / (1 - BETA1**t)) / (math.sqrt(v / (1 - BETA2**t)) + EPSILON)


def nadam() -> Paper:
    # T. Dozat, "Incorporating Nesterov momentum into Adam" (2016), algorithm 2, with a constant momentum.
    theta = m = n = 0.0
    t = 0
    while True:
        g = yield theta
        t += 1
        m, n = BETA1 * m + (1 - BETA1) * g, BETA2 * n + (1 - BETA2) * g**2
        m_hat = BETA1 * m / (1 - BETA1 ** (t + 1)) + (1 - BETA1) * g / (1 - BETA1**t)
        theta -= ETA * m_hat / (math.sqrt(n / (1 - BETA2**t)) + EPSILON)


def amsgrad() -> Paper:
    # S. Reddi, S. Kale, S. Kumar, ICLR 2018, algorithm 2, with the bias corrections of Adam that libraries add.
    theta = m = v = greatest = 0.0
    t = 0
    while True:
        g = yield theta
        t += 1
        m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g**2
        greatest = max(greatest, v)
        theta -= ETA * (m / (1 - BETA1**t)) / (math.sqrt(greatest / (1 - BETA2**t)) + EPSILON)


def numbers_of(rule: str, t: int) -> dict[str, float]:
    """Return what an optimizer tells the rule at step t."""
    numbers = {"rate": ETA, "beta1": BETA1, "beta2": BETA2, "epsilon": EPSILON}
    if rule in ("adam", "nadam", "amsgrad"):
        numbers |= {"correction1": 1 - BETA1**t, "correction2": 1 - BETA2**t}
    if rule == "nadam":
        numbers |= {"memory": BETA1 / (1 - BETA1 ** (t + 1)), "fresh": (1 - BETA1) / (1 - BETA1**t)}
    return numbers | ({"shrink": 0.5, "grow": 1.2, "least": 0.03, "most": 0.15} if rule == "rprop" else {})


@pytest.mark.parametrize("paper", [adagrad, adadelta, rmsprop, rprop, adam, nadam, amsgrad])
def test_rules_by_the_papers(paper: Callable[[], Paper], rng: np.random.Generator) -> None:
    rule, algorithm = paper.__name__, paper()
    w, *states = np.zeros((4, 1))
    if rule == "rprop":
        states[1] = np.ones(1)  # the step size in learning rates
    assert next(algorithm) == 0
    gradients = rng.standard_normal(40) * rng.choice([0.01, 1, 10], 40)  # large ones too, which amsgrad remembers
    gradients[::9] = 0
    for t, g in enumerate(gradients.tolist(), start=1):
        theta = algorithm.send(g)
        w, *states = reference.update(w, np.array([g]), *states, rule=rule, **numbers_of(rule, t))
        # A step is at most 10 ETA long; 40 of them, each with ten roundings.
        assert_allclose(w, [theta], rtol=0, atol=40 * 10 * 10 * ETA * EPS)


def test_rprop_at_a_rate_of_zero_stands_still() -> None:
    ones = np.ones(3)
    w, _, size, _ = reference.update(ones, ones, ones, ones, ones, rule="rprop", rate=0.0, least=1e-6, most=50.0)
    assert_array_equal(w, ones)
    assert np.isfinite(size).all()
