"""JAX: a whole epoch in one `jit` with `lax.scan`, parameters donated, so that nothing returns to Python in between.

Two ways to gather the shuffled rows are tried, in each step and all at once before them; the faster one takes part.
float64 is a setting of the whole process; it is chosen before anything is timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from chainrule.bench.workloads import BETA1, BETA2, EPSILON, Query, Setting, Trainee, epoch_by_epoch

State = Any  # parameters, and for Adam both means and the number of steps


def logits(parameters: Sequence[Any], x: Any) -> Any:
    """Return what the last layer gives."""
    for layer in range(0, len(parameters) - 2, 2):
        x = jax.nn.relu(x @ parameters[layer] + parameters[layer + 1])
    return x @ parameters[-2] + parameters[-1]


def mean_loss(parameters: Sequence[Any], x: Any, labels: Any) -> Any:
    """Return the mean cross-entropy. The label's logit by a mask: XLA's gather, and its gradient, are slower here."""
    z = logits(parameters, x)
    chosen = jnp.sum(jax.nn.one_hot(labels, z.shape[1], dtype=z.dtype) * z, axis=1)
    return jnp.mean(jax.nn.logsumexp(z, axis=1) - chosen)


def _take(array: Any, rows: Any) -> Any:
    return jnp.take(array, rows, axis=0, mode="clip")  # all rows exist: nothing is to be filled in


def _step(setting: Setting, state: State, x: Any, labels: Any) -> tuple[State, Any]:
    parameters, *rest = state
    loss, gradients = jax.value_and_grad(mean_loss)(parameters, x, labels)
    rate = setting.rate
    if setting.optimizer == "sgd":
        return ([w - rate * g for w, g in zip(parameters, gradients, strict=True)],), loss
    means, squares, t = rest
    t = t + 1
    means = [BETA1 * m + (1 - BETA1) * g for m, g in zip(means, gradients, strict=True)]
    squares = [BETA2 * v + (1 - BETA2) * g * g for v, g in zip(squares, gradients, strict=True)]
    correction1, correction2 = 1 - BETA1**t, 1 - BETA2**t
    parameters = [
        w - rate * (m / correction1) / (jnp.sqrt(v / correction2) + EPSILON)
        for w, m, v in zip(parameters, means, squares, strict=True)
    ]
    return (parameters, means, squares, t), loss


def _gather_in_each_step(setting: Setting, state: State, X: Any, y: Any, order: Any) -> tuple[State, Any]:
    def step(state: State, rows: Any) -> tuple[State, Any]:
        return _step(setting, state, _take(X, rows), _take(y, rows))

    state, losses = jax.lax.scan(step, state, order)
    return state, jnp.mean(losses)


def _gather_before(setting: Setting, state: State, X: Any, y: Any, order: Any) -> tuple[State, Any]:
    def step(state: State, batch: Any) -> tuple[State, Any]:
        return _step(setting, state, *batch)

    state, losses = jax.lax.scan(step, state, (_take(X, order), _take(y, order)))
    return state, jnp.mean(losses)


def _choose(dtype: str) -> None:
    jax.config.update("jax_enable_x64", dtype == "float64")


def training(setting: Setting, *, both_ways: bool = True) -> Trainee:
    """Train epoch by epoch; without `both_ways` rows are gathered in each step, and nothing is tried."""
    _choose(setting.dtype)
    if not both_ways:
        return _with(setting, _gather_in_each_step)
    return min((_with(setting, way) for way in (_gather_in_each_step, _gather_before)), key=_seconds_of_an_epoch)


def _seconds_of_an_epoch(trainee: Trainee) -> float:
    seconds = []
    for _ in range(4):  # the first compiles
        trainee.reset()
        begin = time.perf_counter()
        trainee.run(1)
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def _with(setting: Setting, way: Callable[..., tuple[State, Any]]) -> Trainee:
    shape = (setting.workload.steps, setting.workload.batch_size)
    train = jax.jit(partial(way, setting._replace(X=np.empty(0), y=np.empty(0, np.int32), start=())), donate_argnums=0)
    X, y = jnp.asarray(setting.X), jnp.asarray(setting.y)
    state: State = None

    def reset() -> None:
        nonlocal state
        parameters = [jnp.array(one) for one in setting.start]
        state = (parameters,)
        if setting.optimizer == "adam":
            zeros = [[jnp.zeros_like(one) for one in parameters] for _ in range(2)]
            state = (parameters, *zeros, jnp.zeros((), setting.dtype))
        jax.block_until_ready(state)

    def epoch(order: npt.NDArray[np.int32]) -> Any:
        nonlocal state
        state, loss = train(state, X, y, order.reshape(shape))
        return loss

    losses_of = epoch_by_epoch(setting, epoch)

    def run(epochs: int) -> list[float]:
        losses = losses_of(epochs)
        jax.block_until_ready(state)  # the last loss is known before the last update
        return losses

    return Trainee(reset, run)


def prediction(query: Query) -> Callable[[], Any]:
    """Predict with the parameters as constants of the compiled function: fewer arguments to look at in each call."""
    _choose(query.dtype)
    parameters, X = [jnp.array(one) for one in query.parameters], jnp.array(query.X)
    run = jax.jit(partial(logits, parameters))
    return lambda: run(X).block_until_ready()
