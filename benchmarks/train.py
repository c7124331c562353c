"""Training speed on six networks, from tiny to wide: Dense + ReLU, softmax cross-entropy, plain SGD, shuffled batches.

    python benchmarks/train.py [--workloads W1,W4] [--rounds 7]

Each turn trains a few epochs, all that a call costs included. All engines start from the same weights and see the
same rows in the same order, so their losses must agree. Results go to benchmarks/results/train.json;
`python benchmarks/report.py` puts them into the README.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from harness import Turn, contest, store

import chainrule as cr
from chainrule import _engine, reference

RATE = 0.01


class Workload(NamedTuple):
    """A network, the steps of an epoch, and the epochs of a turn: some half a second for NumPy."""

    widths: tuple[int, ...]
    batch_size: int
    steps: int
    epochs: int


WORKLOADS = {
    "W1": Workload((2, 16, 16, 2), 32, 1000, 10),
    "W2": Workload((64, 32, 10), 32, 1000, 10),
    "W3": Workload((64, 128, 64, 10), 32, 1000, 6),
    "W4": Workload((784, 128, 10), 64, 200, 10),
    "W5": Workload((784, 512, 512, 10), 128, 80, 4),
    "W6": Workload((1024, 2048, 2048, 2048, 10), 512, 4, 2),
}


class Data(NamedTuple):
    """Random rows with learnable labels: the class of the nearest of K random centres."""

    X: np.ndarray
    y: np.ndarray


def make_data(workload: Workload) -> Data:
    rng = np.random.default_rng(0)
    rows = workload.batch_size * workload.steps
    X = rng.standard_normal((rows, workload.widths[0]), dtype=np.float32)
    centres = rng.standard_normal((workload.widths[0], workload.widths[-1]), dtype=np.float32)
    return Data(X, (X @ centres).argmax(axis=1).astype(np.int32))


def make_network(workload: Workload) -> cr.Network:
    hidden = [cr.Dense(width, activation="relu") for width in workload.widths[1:-1]]
    return cr.Network([*hidden, cr.Dense(workload.widths[-1])], inputs=workload.widths[0], seed=0)


def chainrule_engine(workload: Workload, data: Data) -> Callable[[], Turn]:
    trainer = cr.Trainer(make_network(workload), loss="cross_entropy", optimizer=cr.SGD(RATE))

    def turn() -> Turn:
        start = time.perf_counter()
        history = trainer.fit(data.X, data.y, epochs=workload.epochs, batch_size=workload.batch_size, verbose=False)
        seconds = time.perf_counter() - start
        return Turn(seconds / (workload.steps * workload.epochs) * 1e6, history["loss"][-1])

    return turn


def numpy_engine(workload: Workload, data: Data) -> Callable[[], Turn]:
    parameters = list(make_network(workload).parameters().values())
    network = reference.Mlp(parameters[0::2], parameters[1::2], rule="gradient_descent", rate=RATE)
    size, epochs = workload.batch_size, 0

    def turn() -> Turn:
        nonlocal epochs
        start = time.perf_counter()
        for _ in range(workload.epochs):
            order = _engine.shuffled_order(len(data.y), 0, epochs)  # as the engine does, and as fast
            epochs += 1
            total = 0.0
            for first in range(0, len(order), size):
                rows = order[first : first + size]
                total += network.step(data.X[rows], data.y[rows])
        seconds = time.perf_counter() - start
        return Turn(seconds / (workload.steps * workload.epochs) * 1e6, total / workload.steps)

    return turn


ENGINES = {"numpy": numpy_engine, "chainrule": chainrule_engine}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure training speed.")
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="comma-separated (default: all)")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each engine (default: %(default)s, least 5)")
    arguments = parser.parse_args()
    results = {}
    print(f"{'':4} {'network':30} {'batch':>5} {'NumPy us':>10} {'chainrule us':>13} {'times faster':>13}   range")
    for name in arguments.workloads.split(","):
        workload = WORKLOADS[name]
        data = make_data(workload)
        engines = {engine: make(workload, data) for engine, make in ENGINES.items()}
        figures = contest(engines, baseline="numpy", rounds=arguments.rounds)
        results[name] = {"widths": workload.widths, "batch_size": workload.batch_size, "engines": figures}
        ours, theirs = figures["chainrule"], figures["numpy"]
        widths = "-".join(map(str, workload.widths))
        low, high = ours["ratio_range"]
        print(
            f"{name:4} {widths:30} {workload.batch_size:5} {theirs['microseconds']:10.1f} {ours['microseconds']:13.2f} "
            f"{ours['ratio']:13.2f}   {low:.2f} to {high:.2f}{'' if ours['loss_agrees'] else '   LOSSES DIFFER'}"
        )
    if set(results) == set(WORKLOADS):
        print("stored in", store("train", {"workloads": results}))


if __name__ == "__main__":
    main()
