"""Every penalty in NumPy, by its formula. Nothing here is a test.

Parameters are given by name, "0.weight" and the like. A penalty is a sum of terms lambda c S or lambda c S^(1/p), with
S the sum of |w|^p over all weights, or over all biases, that are counted. A new penalty says its terms in `TERMS`.
"""

from __future__ import annotations

import numpy as np

import chainrule as cr

# The terms of each: p, lambda for weights and biases, and a factor.
TERMS = {
    "L1": lambda one: [(1, one.strength, one.bias_strength, 1)],
    "L2": lambda one: [(2, one.strength, one.bias_strength, 1)],
    "ElasticNet": lambda one: [(1, one.l1, one.bias_l1, 1), (2, one.l2, one.bias_l2, 0.5)],
    "Lp": lambda one: [(one.p, one.strength, one.bias_strength, 1)],
}


def scale(one, m, batch):
    rows = batch if one.m == "batch" else m
    return {"1": 1, "1/2": 1 / 2, "1/m": 1 / rows, "1/2m": 1 / (2 * rows)}[one.scale]


def counted(one, parameters, kind):
    """Return the parameters of a kind, "weight" or "bias", that are counted."""
    layers = [int(name.split(".")[0]) for name in parameters] if one.layers is None else one.layers
    return {n: w for n, w in parameters.items() if n.endswith(kind) and int(n.split(".")[0]) in layers}


def terms(one, parameters, m, batch):
    """Yield p, the whole factor, the sum S, and the parameters that it sums over."""
    for p, weights, biases, factor in TERMS[type(one).__name__](one):
        for kind, strength in (("weight", weights), ("bias", biases)):
            chosen = counted(one, parameters, kind)
            yield p, strength * factor * scale(one, m, batch), sum((abs(w) ** p).sum() for w in chosen.values()), chosen


def is_decoupled(one):
    return isinstance(one, cr.L2) and one.decay != "coupled"


def is_norm(one):
    return isinstance(one, cr.Lp) and one.norm == "norm"


def value(one, parameters, m=1, batch=1):
    if is_decoupled(one):
        return 0.0
    return sum(c * (s ** (1 / p) if is_norm(one) else s) for p, c, s, _ in terms(one, parameters, m, batch))


def gradients(one, parameters, m=1, batch=1):
    """Return the gradient of each parameter."""
    result = {name: np.zeros_like(w) for name, w in parameters.items()}
    if is_decoupled(one) or (isinstance(one, cr.L1) and one.update == "proximal"):
        return result
    for p, c, s, chosen in terms(one, parameters, m, batch):
        outer = (s ** (1 / p - 1) / p if s > 0 else 0) if is_norm(one) else 1
        for name, w in chosen.items():
            result[name] = result[name] + c * outer * p * abs(w) ** (p - 1) * np.sign(w)
    return result


def before(one, parameters, lr, m=1, batch=1):
    """Return the parameters after decoupled decay."""
    after = dict(parameters)
    if is_decoupled(one):
        for _, c, _, chosen in terms(one, parameters, m, batch):
            rate = 1 if one.decay == "decoupled_raw" else lr
            after |= {name: w - rate * 2 * c * w for name, w in chosen.items()}
    return after


def after(one, parameters, lr, m=1, batch=1):
    """Return the parameters after a proximal step."""
    result = dict(parameters)
    if isinstance(one, cr.L1) and one.update == "proximal":
        for _, c, _, chosen in terms(one, parameters, m, batch):
            result |= {name: np.sign(w) * np.maximum(abs(w) - lr * c, 0) for name, w in chosen.items()}
    return result
