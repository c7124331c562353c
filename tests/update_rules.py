"""Which rule of the reference each optimizer is, with which numbers at step t. Nothing here is a test.

A new optimizer says so here, in `RULES`; the tests find the class by themselves.
"""

from __future__ import annotations

import math

import numpy as np
from problems import subclasses, variants

import chainrule as cr
from chainrule import reference

# Settings that are nobody's defaults: an eps that is felt, and step sizes that reach their bounds.
ODD = {
    "lr": 0.03,
    "beta": 0.7,
    "beta1": 0.6,
    "beta2": 0.8,
    "rho": 0.75,
    "eps": 0.05,
    "shrink": 0.4,
    "grow": 1.3,
    "least": 0.01,
    "most": 0.045,
    "momentum_decay": 2.5,
    "weight_decay": 0.4,
}


def momentum(one, t):
    if one.style == "nesterov":
        return "nesterov", {"beta1": one.beta}
    mean = one.style == "ema" or (one.style == "torch_dampening" and t > 1)
    return "momentum", {"beta1": one.beta, "gain": 1 - one.beta if mean else 1}


def inside(rule, one):
    return rule + "_epsilon_inside" if one.eps_inside_sqrt else rule


def rmsprop(one, t):
    correction = 1 - one.beta**t if one.bias_correction else 1
    return inside("rmsprop", one), {"beta2": one.beta, "epsilon": one.eps, "correction2": correction}


def rprop(one, t):
    return "rprop", {"shrink": one.shrink, "grow": one.grow, "least": one.least, "most": one.most}


def adam(one, t, rule="adam"):
    numbers = {"beta1": one.beta1, "beta2": one.beta2, "epsilon": one.eps}
    if one.bias_correction:
        numbers |= {"correction1": 1 - one.beta1**t, "correction2": 1 - one.beta2**t}
    return inside(rule, one), numbers


def nadam(one, t):
    m = [one.beta1 * (1 - 0.96 ** (one.momentum_decay * i) / 2) for i in range(1, t + 2)]  # of the steps 1 to t + 1
    numbers = {"beta1": one.beta1, "beta2": one.beta2, "epsilon": one.eps, "memory": m[t], "fresh": 1 - m[t - 1]}
    if one.bias_correction:
        numbers["memory"] /= 1 - math.prod(m)
        numbers["fresh"] /= 1 - math.prod(m[:t])
        numbers["correction2"] = 1 - one.beta2**t
    return inside("nadam", one), numbers


# The rule and its numbers at step t.
RULES = {
    "SGD": lambda one, t: ("gradient_descent", {}),
    "Momentum": momentum,
    "AdaGrad": lambda one, t: (inside("adagrad", one), {"epsilon": one.eps}),
    "AdaDelta": lambda one, t: ("adadelta", {"beta2": one.rho, "epsilon": one.eps}),
    "RMSprop": rmsprop,
    "Rprop": rprop,
    "Adam": adam,
    "AdamW": adam,
    "NAdam": nadam,
    "AMSGrad": lambda one, t: adam(one, t, "amsgrad"),
}
# Every optimizer in every setting of its flags and words.
EVERY = [variant for kind in subclasses(cr.Optimizer) for variant in variants(kind, **ODD)]


def kept(one, name):
    """Return the decoupled decay of a parameter of that name."""
    decays = isinstance(one, cr.AdamW) and (one.decay_biases or name.endswith("weight"))
    return one.weight_decay if decays else 0.0


def clipped(one, gradients):
    """Return the gradients, by name, as an optimizer clips them: each element, then the norm of all."""
    if one.clip_value is not None:
        gradients = {name: np.clip(g, -one.clip_value, one.clip_value) for name, g in gradients.items()}
    if one.clip_norm is not None:
        norm = math.sqrt(sum((g**2).sum() for g in gradients.values()))
        gradients = {name: g * min(1, one.clip_norm / (norm + 1e-6)) for name, g in gradients.items()}
    return gradients


class Updates:
    """Steps of an optimizer on parameters by name, "0.weight" and the like, by the rules of the reference."""

    def __init__(self, optimizer, parameters):
        self.optimizer, self.t = optimizer, 0
        # The step sizes of Rprop, multiples of the rate, start at 1; all other states at 0.
        second = 1 if isinstance(optimizer, cr.Rprop) else 0
        self.states = {n: (0 * w, np.full_like(w, second), 0 * w) for n, w in parameters.items()}

    def step(self, parameters, gradients, rate):
        """Return the parameters after a step; of those that have no gradient nothing changes."""
        self.t += 1
        rule, numbers = RULES[type(self.optimizer).__name__](self.optimizer, self.t)
        factors, after = dict(self.optimizer.layer_lr or ()), dict(parameters)
        for name, g in clipped(self.optimizer, gradients).items():
            own = rate * factors.get(int(name.split(".")[0]), 1)
            after[name], *self.states[name] = reference.update(
                parameters[name],
                g,
                *self.states[name],
                rule=rule,
                rate=own,
                keep=1 - own * kept(self.optimizer, name),
                **numbers,
            )
        return after
