"""The update rules: one step of an optimizer on parameters w with gradients g and the rule's states."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from chainrule.reference.common import Array, known


class UpdateNumbers(NamedTuple):
    """The numbers of one step, the same for every parameter. A rule takes those that it names."""

    rate: float  # eta, the learning rate
    beta1: float = 0.0  # decay of the running mean of gradients
    beta2: float = 0.0  # decay of the running mean of squared gradients
    epsilon: float = 0.0  # keeps a division finite
    correction1: float = 1.0  # 1 - beta1^t, or 1 for no bias correction
    correction2: float = 1.0  # 1 - beta2^t, or 1
    gain: float = 1.0  # momentum: what the gradient adds to the memory
    memory: float = 0.0  # nadam: weight of the memory in the step
    fresh: float = 1.0  # nadam: weight of the gradient in the step
    shrink: float = 0.5  # rprop: factor of a step size whose gradient changed sign
    grow: float = 1.2  # rprop: factor of a step size whose gradient kept its sign
    least: float = 0.0  # rprop: smallest and largest step
    most: float = 0.0
    keep: float = 1.0  # decoupled decay: w is multiplied by it before the rule


# A rule: from the numbers, w, g and its own states to the new w and the new states.
Rule: TypeAlias = Callable[..., tuple[Array, ...]]
Root: TypeAlias = Callable[[UpdateNumbers, Array], Array]


def _gradient_descent(u: UpdateNumbers, w: Array, g: Array) -> tuple[Array, ...]:
    #  w <- w - eta g
    return (w - u.rate * g,)


def _momentum(u: UpdateNumbers, w: Array, g: Array, v: Array) -> tuple[Array, ...]:
    #  v <- beta1 v + gain g;         w <- w - eta v          (gain 1: Polyak 1964; gain 1 - beta1: a running mean)
    v = u.beta1 * v + u.gain * g
    return w - u.rate * v, v


def _nesterov(u: UpdateNumbers, w: Array, g: Array, v: Array) -> tuple[Array, ...]:
    #  v <- beta1 v + g;              w <- w - eta (g + beta1 v)      (Nesterov 1983, in the form of Sutskever 2013)
    v = u.beta1 * v + g
    return w - u.rate * (g + u.beta1 * v), v


def _rprop(u: UpdateNumbers, w: Array, g: Array, before: Array, size: Array) -> tuple[Array, ...]:
    #  size <- size shrink where the gradient changed sign, size grow where it kept it; within [least, most] / eta
    #  g <- 0 where it changed sign;  w <- w - eta size sign(g);  before <- g       (iRprop-: Igel and Huesken 2000)
    agreement = np.sign(g) * np.sign(before)
    size = size * np.where(agreement > 0, u.grow, np.where(agreement < 0, u.shrink, 1)).astype(w.dtype)
    if u.rate > 0:  # at a rate of 0 no multiple of it is within the bounds
        size = np.clip(size, u.least / u.rate, u.most / u.rate).astype(w.dtype)
    g = np.where(agreement < 0, 0, g).astype(w.dtype)
    return w - u.rate * size * np.sign(g), g, size


def _root_outside(u: UpdateNumbers, s: Array) -> Array:
    #  sqrt(s / c2) + eps, as libraries have it
    root: Array = np.sqrt(s / u.correction2) + u.epsilon
    return root


def _root_inside(u: UpdateNumbers, s: Array) -> Array:
    #  sqrt(s / c2 + eps), as lecture [002] has it
    root: Array = np.sqrt(s / u.correction2 + u.epsilon)
    return root


def _mean(beta: float, old: Array, new: Array) -> Array:
    return beta * old + (1 - beta) * new


def _adagrad(root: Root) -> Rule:
    def rule(u: UpdateNumbers, w: Array, g: Array, s: Array) -> tuple[Array, ...]:
        #  s <- s + g^2;                  w <- w - eta g / root(s)        (Duchi, Hazan and Singer 2011)
        s = s + g * g
        return w - u.rate * g / root(u, s), s

    return rule


def _adadelta(u: UpdateNumbers, w: Array, g: Array, s: Array, r: Array) -> tuple[Array, ...]:
    #  s <- beta2 s + (1 - beta2) g^2;  d = sqrt(r + eps) / sqrt(s + eps) g;  r <- beta2 r + (1 - beta2) d^2
    #  w <- w - eta d                                                 (Zeiler 2012)
    s = _mean(u.beta2, s, g * g)
    d = np.sqrt(r + u.epsilon) / np.sqrt(s + u.epsilon) * g
    return w - u.rate * d, s, _mean(u.beta2, r, d * d)


def _rmsprop(root: Root) -> Rule:
    def rule(u: UpdateNumbers, w: Array, g: Array, s: Array) -> tuple[Array, ...]:
        #  s <- beta2 s + (1 - beta2) g^2;   w <- w - eta g / root(s)     (Tieleman and Hinton 2012)
        s = _mean(u.beta2, s, g * g)
        return w - u.rate * g / root(u, s), s

    return rule


def _adam(root: Root) -> Rule:
    def rule(u: UpdateNumbers, w: Array, g: Array, v: Array, s: Array) -> tuple[Array, ...]:
        #  v <- beta1 v + (1 - beta1) g;  s <- beta2 s + (1 - beta2) g^2  (Kingma and Ba 2015)
        #  w <- w - eta (v / c1) / root(s)
        v, s = _mean(u.beta1, v, g), _mean(u.beta2, s, g * g)
        return w - u.rate / u.correction1 * v / root(u, s), v, s

    return rule


def _nadam(root: Root) -> Rule:
    def rule(u: UpdateNumbers, w: Array, g: Array, v: Array, s: Array) -> tuple[Array, ...]:
        #  the same v and s;              w <- w - eta (memory v + fresh g) / root(s)         (Dozat 2016)
        v, s = _mean(u.beta1, v, g), _mean(u.beta2, s, g * g)
        return w - u.rate * (u.memory * v + u.fresh * g) / root(u, s), v, s

    return rule


def _amsgrad(root: Root) -> Rule:
    def rule(u: UpdateNumbers, w: Array, g: Array, v: Array, s: Array, m: Array) -> tuple[Array, ...]:
        #  the same v and s;  m <- max(m, s);  w <- w - eta (v / c1) / root(m)                (Reddi et al. 2018)
        v, s = _mean(u.beta1, v, g), _mean(u.beta2, s, g * g)
        m = np.maximum(m, s)
        return w - u.rate / u.correction1 * v / root(u, m), v, s, m

    return rule


# Each with the number of states that it keeps.
_RULES: dict[str, tuple[Rule, int]] = {
    "gradient_descent": (_gradient_descent, 0),
    "momentum": (_momentum, 1),
    "nesterov": (_nesterov, 1),
    "adagrad": (_adagrad(_root_outside), 1),
    "adagrad_epsilon_inside": (_adagrad(_root_inside), 1),
    "adadelta": (_adadelta, 2),
    "rmsprop": (_rmsprop(_root_outside), 1),
    "rmsprop_epsilon_inside": (_rmsprop(_root_inside), 1),
    "rprop": (_rprop, 2),
    "adam": (_adam(_root_outside), 2),
    "adam_epsilon_inside": (_adam(_root_inside), 2),
    "nadam": (_nadam(_root_outside), 2),
    "nadam_epsilon_inside": (_nadam(_root_inside), 2),
    "amsgrad": (_amsgrad(_root_outside), 3),
    "amsgrad_epsilon_inside": (_amsgrad(_root_inside), 3),
}
UPDATE_RULES = {name: rule for name, (rule, _) in _RULES.items()}
UPDATE_STATES = {name: states for name, (_, states) in _RULES.items()}


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def update(
    w: Array, g: Array, state1: Array, state2: Array, state3: Array, *, rule: str, **numbers: float
) -> tuple[Array, Array, Array, Array]:
    """Return new (w, state1, state2, state3) after one step of a rule, all of one shape. `numbers`: see UpdateNumbers.

    A rule has as many of the states as UPDATE_STATES says, the first ones; the others come back as they are.
    """
    u = UpdateNumbers(**{name: float(number) for name, number in numbers.items()})
    step, count = known("rule", rule, UPDATE_RULES), UPDATE_STATES[rule]
    states = [state1, state2, state3]
    w, *own = step(u, w if u.keep == 1 else u.keep * w, g, *states[:count])
    first, second, third = own + [state.copy() for state in states[count:]]
    return w, first, second, third
