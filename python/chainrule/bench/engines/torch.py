"""PyTorch on the CPU, eager and compiled, tensors in memory and no DataLoader.

Eager is the loop that its tutorials teach, with the fused optimizers. Compiled is the whole step in one graph:
gradients by `torch.func`, the update written out, so that the compiler may fuse all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from chainrule.bench.workloads import BETA1, BETA2, EPSILON, Factors, Query, Setting, Trainee, epoch_by_epoch

Tensor = Any


def training(setting: Setting, *, compiled: bool = False) -> Trainee:
    """Train step by step."""
    return _compiled(setting) if compiled else _eager(setting)


def as_kept(start: Any) -> list[Tensor]:
    """Return views of weights as PyTorch keeps them, (out, in), and of biases."""
    return [torch.from_numpy(one.T) for one in start]


def _data(setting: Setting) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(setting.X), torch.from_numpy(setting.y.astype(np.int64))


def _steps_of(order: npt.NDArray[np.int32], size: int) -> Any:
    """Return the rows of each step. PyTorch looks rows up by int64: the numbers are converted once an epoch."""
    return torch.from_numpy(order.astype(np.int64)).split(size)


def network(widths: tuple[int, ...], dtype: str) -> Any:
    """Return linear layers with ReLU between them."""
    kinds: list[Any] = []
    for inputs, outputs in pairwise(widths):
        kinds += [torch.nn.Linear(inputs, outputs, dtype=getattr(torch, dtype)), torch.nn.ReLU()]
    return torch.nn.Sequential(*kinds[:-1])


def _eager(setting: Setting) -> Trainee:
    net = network(setting.workload.widths, setting.dtype)
    optimizer = make_optimizer(net, setting)
    X, y = _data(setting)

    def epoch(order: npt.NDArray[np.int32]) -> Tensor:
        losses = []
        for rows in _steps_of(order, setting.workload.batch_size):
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).mean()

    return Trainee(to_start(net, setting, optimizer), epoch_by_epoch(setting, epoch))


def to_start(net: Any, setting: Setting, optimizer: Any) -> Callable[[], None]:
    """Return what sets a network and its optimizer back to the start, in the places where their numbers lie."""
    parameters, start = list(net.parameters()), as_kept(setting.start)

    def reset() -> None:
        with torch.no_grad():
            for parameter, first in zip(parameters, start, strict=True):
                parameter.copy_(first)
            for state in optimizer.state.values():
                for memory in state.values():
                    if isinstance(memory, torch.Tensor):
                        memory.zero_()

    return reset


def make_optimizer(net: Any, setting: Setting, *, captured: bool = False) -> Any:
    """Return the fused optimizer, one call for all parameters; older versions have none on the CPU.

    One whose steps are captured into a CUDA graph counts them on the GPU.
    """
    parameters = list(net.parameters())
    make: Any = torch.optim.SGD
    options: dict[str, Any] = {"lr": setting.rate}
    if setting.optimizer == "adam":
        make = torch.optim.Adam
        options |= {"betas": (BETA1, BETA2), "eps": EPSILON}
        options |= {"capturable": True} if captured else {}
    try:
        return make(parameters, fused=True, **options)
    except (RuntimeError, TypeError):
        return make(parameters, foreach=True, **options)


def _compiled(setting: Setting) -> Trainee:
    start = as_kept(setting.start)
    parameters = [one.clone(memory_format=torch.contiguous_format) for one in start]
    adam = setting.optimizer == "adam"
    memories = [[torch.zeros_like(one) for one in parameters] for _ in range(2 if adam else 0)]
    # An array and no number: a number that changes would be compiled anew; PyTorch 2.13 compiles an array of no
    # dimensions so that it is read before it is counted up.
    time = torch.zeros(1, dtype=torch.float64)
    X, y = _data(setting)
    rate = setting.rate

    def mean_loss(parameters: list[Tensor], x: Tensor, labels: Tensor) -> Tensor:
        h = x
        for layer in range(0, len(parameters), 2):
            h = functional.linear(h, parameters[layer], parameters[layer + 1])
            if layer < len(parameters) - 2:
                h = functional.relu(h)
        return functional.cross_entropy(h, labels)

    def step(rows: Tensor) -> Tensor:
        gradients, loss = torch.func.grad_and_value(mean_loss)(parameters, X[rows], y[rows])
        if not adam:
            for w, g in zip(parameters, gradients, strict=True):
                w.sub_(g, alpha=rate)
            return loss
        time.add_(1)
        length = (rate / (1 - BETA1**time)).to(loss.dtype)
        correction = torch.sqrt(1 - BETA2**time).to(loss.dtype)
        for w, g, m, v in zip(parameters, gradients, *memories, strict=True):
            m.lerp_(g, 1 - BETA1)
            v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            w.sub_(length * m / (v.sqrt() / correction + EPSILON))
        return loss

    torch._dynamo.reset()  # of one function it compiles eight networks at most, and then none
    run_step = torch.compile(step, fullgraph=True, dynamic=False)

    def reset() -> None:
        for parameter, first in zip(parameters, start, strict=True):
            parameter.copy_(first)
        for memory in (time, *(one for kind in memories for one in kind)):
            memory.zero_()

    def epoch(order: npt.NDArray[np.int32]) -> Tensor:
        with torch.no_grad():
            return torch.stack([run_step(rows) for rows in _steps_of(order, setting.workload.batch_size)]).mean()

    return Trainee(reset, epoch_by_epoch(setting, epoch))


def prediction(query: Query, *, compiled: bool = False) -> Callable[[], Tensor]:
    """Predict in inference mode; compiled, with the weights frozen, so that the compiler may lay them out anew."""
    net = network(query.widths, query.dtype)
    with torch.no_grad():
        for parameter, first in zip(net.parameters(), as_kept(query.parameters), strict=True):
            parameter.copy_(first)
    net.eval()
    X = torch.from_numpy(query.X)
    torch._dynamo.reset()
    forward = torch.compile(net, dynamic=False, options={"freezing": True}) if compiled else net

    def call() -> Tensor:
        with torch.inference_mode():
            return forward(X)

    return call


def set_threads(threads: int) -> None:
    """Let PyTorch, MKL included, use so many threads from now on."""
    torch.set_num_threads(threads)


def product(factors: Factors) -> Callable[[], Tensor]:
    """Multiply with its BLAS, MKL on most machines, which takes transposed factors as they lie."""
    a, b, out = (torch.from_numpy(one) for one in (factors.a, factors.b, factors.out))
    a = a.T if factors.transposes[0] else a
    b = b.T if factors.transposes[1] else b
    return lambda: torch.mm(a, b, out=out)
