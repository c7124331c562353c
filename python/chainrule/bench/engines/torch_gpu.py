"""PyTorch on the GPU: eager, compiled, and the whole step as one CUDA graph; and the products of its cuBLAS.

Data, order of the rows and losses stay on the device; the loss of an epoch is read at its end. Gathering the rows of a
step is part of it. float32 is multiplied as it is, TF32 switched off, but where it is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from chainrule.bench.workloads import Course, Resident, Setting

from .torch import make_optimizer, network, to_start

Tensor = Any
Step = Callable[[Tensor], None]

WARM_STEPS = 3  # before a capture: PyTorch's own advice, so that libraries have their handles and workspaces


class Parts(NamedTuple):
    """What a step works on: the network, its optimizer, data on the device, and where the losses of an epoch add up."""

    net: Any
    optimizer: Any
    X: Tensor
    y: Tensor
    total: Tensor
    mean_loss: Callable[[Tensor, Tensor], Tensor]  # of rows and their targets


def trouble() -> str:
    """Return why PyTorch cannot take part, as a sentence, or "" if it can."""
    return "" if torch.cuda.is_available() else f"PyTorch {torch.__version__} is left out: it sees no GPU"


@contextmanager
def multiplied_in(precision: str) -> Iterator[None]:
    """Let products of float32 be multiplied as they are, or, in "tf32", rounded."""
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


def resident_training(setting: Setting, *, way: str, device: str, precision: str = "float32") -> Resident:
    """Train in one of `WAYS`: in "tf32" with float32 rounded in products, in "bfloat16" by autocast."""
    workload = setting.workload
    net = network(workload.widths, setting.dtype).to(device)
    optimizer = make_optimizer(net, setting, captured=way == "graph")
    X = torch.from_numpy(setting.X).to(device)
    y = torch.from_numpy(setting.y).to(device)
    loss = functional.cross_entropy if setting.has_classes else functional.mse_loss

    def mean_loss(x: Tensor, y: Tensor) -> Tensor:
        return loss(net(x), y)

    def rounded_mean_loss(x: Tensor, y: Tensor) -> Tensor:
        # What is cast is not kept from step to step: weights change, and a graph would not see it.
        with torch.autocast(torch.device(device).type, torch.bfloat16, cache_enabled=False):
            outputs = net(x)
        return loss(outputs.to(X.dtype), y)

    parts = Parts(
        net,
        optimizer,
        X,
        y.long() if setting.has_classes else y,
        torch.zeros((), device=device, dtype=X.dtype),
        rounded_mean_loss if precision == "bfloat16" else mean_loss,
    )
    reset = to_start(net, setting, optimizer)
    reset()
    with multiplied_in(precision):
        step = WAYS[way](parts, workload.batch_size)
    in_order = torch.arange(len(X), device=device)

    def run(epochs: int, shuffle: bool) -> Course:
        losses, seconds, gpu_seconds = [], 0.0, 0.0
        for _ in range(epochs):
            if device != "cpu":
                torch.cuda.synchronize()
            clock = Clock(device)
            order = torch.randperm(len(X), device=device) if shuffle else in_order
            parts.total.zero_()
            with multiplied_in(precision):
                for rows in order.split(workload.batch_size):
                    step(rows)
            clock.stop()
            losses.append(parts.total.item() / workload.steps)
            seconds, gpu_seconds = seconds + clock.seconds(), gpu_seconds + clock.gpu_seconds()
        return Course(losses, seconds, None if device == "cpu" else gpu_seconds)

    return Resident(reset, run)


class Clock:
    """Runs from when it is made: the wall clock, and, on a GPU, events there around all that is queued until `stop`."""

    def __init__(self, device: str) -> None:
        count = 0 if device == "cpu" else 2
        self._events = [torch.cuda.Event(enable_timing=True) for _ in range(count)]
        self._begin = time.perf_counter()
        for event in self._events[:1]:
            event.record()

    def stop(self) -> None:
        """Mark the end on the GPU."""
        for event in self._events[1:]:
            event.record()

    def seconds(self) -> float:
        """Return the seconds by the wall clock, until now: when the GPU is done, if the caller waited for it."""
        return time.perf_counter() - self._begin

    def gpu_seconds(self) -> float:
        """Wait for the GPU and return the seconds between its events, 0 where there is none."""
        if not self._events:
            return 0.0
        begin, end = self._events
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1e3


def _eager(parts: Parts, batch_size: int) -> Step:
    return _step(parts, parts.mean_loss)


def _step(parts: Parts, mean_loss: Callable[[Tensor, Tensor], Tensor]) -> Step:
    def step(rows: Tensor) -> None:
        parts.optimizer.zero_grad()
        loss = mean_loss(parts.X.index_select(0, rows), parts.y.index_select(0, rows))
        loss.backward()
        parts.optimizer.step()
        parts.total.add_(loss.detach())

    return step


def _compiled(parts: Parts, batch_size: int) -> Step:
    """Compile network and loss, which brings their gradients; what is compiled so replays as CUDA graphs.

    Rows are gathered outside: data that a graph gets as an argument would be copied into it, all of them, each step.
    """
    torch._dynamo.reset()  # of one function it compiles eight networks at most, and then none
    compiled = torch.compile(parts.mean_loss, mode="reduce-overhead", fullgraph=True, dynamic=False)
    inner = _step(parts, compiled)

    def step(rows: Tensor) -> None:
        torch.compiler.cudagraph_mark_step_begin()  # what the last step gave may be overwritten
        inner(rows)

    return step


def _graph(parts: Parts, batch_size: int) -> Step:
    """Capture the whole step: it reads the numbers of its rows from a place of its own, everything else where it is."""
    place = torch.arange(batch_size, device=parts.X.device)
    whole = _eager(parts, batch_size)
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(WARM_STEPS):
            whole(place)
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        whole(place)

    def step(rows: Tensor) -> None:
        place.copy_(rows)
        graph.replay()

    return step


WAYS: dict[str, Callable[[Parts, int], Step]] = {"eager": _eager, "compiled": _compiled, "graph": _graph}


def product_seconds(
    shape: tuple[int, int, int], transposes: tuple[bool, bool], precision: str, rounds: int
) -> Callable[[], float]:
    """Return what times a product (m, k) (k, n), the mean of `rounds` in a row, one graph.

    In "bfloat16" factors and result are of that type; in "tf32" they are float32, and rounded on the way.
    """
    m, k, n = shape
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32

    def factor(rows: int, columns: int, transposed: bool) -> Tensor:
        stored = torch.randn((columns, rows) if transposed else (rows, columns), device="cuda", dtype=kind)
        return stored.T if transposed else stored

    a, b = factor(m, k, transposes[0]), factor(k, n, transposes[1])
    out = torch.empty((m, n), device="cuda", dtype=kind)
    graph = torch.cuda.CUDAGraph()
    with multiplied_in(precision):
        for _ in range(WARM_STEPS):
            torch.mm(a, b, out=out)
        with torch.cuda.graph(graph):
            for _ in range(rounds):
                torch.mm(a, b, out=out)

    def seconds() -> float:
        graph.replay()  # what is timed waits behind it: no launch by the host is in its time
        clock = Clock("cuda")
        graph.replay()
        clock.stop()
        return clock.gpu_seconds() / rounds

    return seconds
