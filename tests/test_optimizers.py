"""Optimizers: each in odd settings against the update rules in NumPy, their copies, and what a divergence leaves.

The classes are discovered; a new one says here, in `RULES`, which rule of the reference it is.
"""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from problems import bits, problem, subclasses, variants

import chainrule as cr
from chainrule import reference

# Settings that are nobody's defaults, with an eps that is felt.
ODD = {"lr": 0.03, "beta": 0.7, "beta1": 0.6, "beta2": 0.8, "eps": 0.05}


def adam(one, t):
    numbers = {"beta1": one.beta1, "beta2": one.beta2, "epsilon": one.eps}
    if one.bias_correction:
        numbers |= {"correction1": 1 - one.beta1**t, "correction2": 1 - one.beta2**t}
    return "adam_epsilon_inside" if one.eps_inside_sqrt else "adam", numbers


# The rule and its numbers at step t.
RULES = {
    "SGD": lambda one, t: ("gradient_descent", {}),
    "Momentum": lambda one, t: (f"momentum_{one.style}", {"beta1": one.beta}),
    "Adam": adam,
}
EVERY = [variant for kind in subclasses(cr.Optimizer) for variant in variants(kind, **ODD)]


def linear(dtype="float64"):
    return cr.Network([cr.Dense(3)], inputs=4, seed=1, dtype=dtype)


def backward(net, seed):
    X, y = problem(rows=9, seed=seed)
    net.zero_grad()
    cr.CrossEntropy()(net(X), y).backward()


@pytest.mark.parametrize("optimizer", EVERY, ids=repr)
def test_twelve_steps_are_those_of_the_rule(optimizer):
    optimizer, net = dataclasses.replace(optimizer), linear()
    expected = {name: (value, 0 * value, 0 * value) for name, value in net.state_dict().items()}
    for t in range(1, 13):
        backward(net, seed=t)
        gradients = {name: value.copy() for name, value in net.gradients().items()}
        optimizer.step(net)
        rule, numbers = RULES[type(optimizer).__name__](optimizer, t)
        for name, (w, v, s) in expected.items():
            expected[name] = reference.update(w, gradients[name], v, s, rule=rule, rate=optimizer.lr, **numbers)
    for name, value in net.parameters().items():
        # 12 steps of numbers of order 1, each with at most 16 roundings.
        np.testing.assert_allclose(value, expected[name][0], rtol=0, atol=12 * 16 * 2.0**-53, err_msg=name)


def test_every_setting_is_felt():
    # What the rule gives differs between any two settings: an option that were ignored would make two alike.
    seen = set()
    for optimizer in EVERY:
        optimizer, net = dataclasses.replace(optimizer), linear()
        for t in range(1, 4):
            backward(net, seed=t)
            optimizer.step(net)
        seen.add(b"".join(bits(net).values()))
    assert len(seen) == len(EVERY)


@pytest.mark.parametrize("kind", subclasses(cr.Optimizer), ids=lambda kind: kind.__name__)
def test_copies_have_the_options_and_no_state(kind):
    optimizer, net = kind(0.5), linear()
    backward(net, seed=1)
    optimizer.step(net)
    assert dataclasses.asdict(optimizer) == dataclasses.asdict(kind(0.5))
    for copied in (copy.copy(optimizer), copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert copied == optimizer
        assert repr(copied) == repr(optimizer)
        # It takes another network, and begins there like a new one.
        other, fresh = linear(), linear()
        for one, by in ((other, copied), (fresh, kind(0.5))):
            for seed in (2, 3):
                backward(one, seed)
                by.step(one)
        assert bits(other) == bits(fresh)
    optimizer.step(net)
    with pytest.raises(RuntimeError, match="another network"):
        optimizer.step(linear())


@pytest.mark.parametrize("kind", subclasses(cr.Optimizer), ids=lambda kind: kind.__name__)
def test_a_divergence_leaves_the_optimizer_as_it_was(dtype, kind):
    X, y = problem()
    learner = cr.Trainer(linear(dtype), loss="mse", optimizer=kind(0.01))
    learner.fit(X, np.eye(3)[y], epochs=2)
    learner.learning_rate = 1e200 if dtype == "float64" else 1e30
    with pytest.warns(cr.DivergenceWarning, match="start of this fit"):
        learner.fit(X, np.eye(3)[y], epochs=5, batch_size=4)
    learner.learning_rate = 0.01
    learner.fit(X, np.eye(3)[y], epochs=2)
    straight = linear(dtype)
    cr.Trainer(straight, loss="mse", optimizer=kind(0.01)).fit(X, np.eye(3)[y], epochs=4)
    assert bits(learner.net) == bits(straight)
