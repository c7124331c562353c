"""What a row costs in batches of 1, 32 and 1,024, on one thread and on all: "mini-batch parallelizable, SGD not".

Target: the gradient of a batch is the mean of its rows' gradients, to the last digits, whoever computes them: the same
bits with one thread and with more. The times of a row depend on the machine, and are printed, not judged: it falls as
batches grow, since weights are read and updated once a batch; a batch of one row goes on one thread anyway.
"""

import os
import sys

import numpy as np

import chainrule as cr

BATCHES = (1, 32, 1024)


def trained(batch: int, threads: int) -> tuple[float, bytes]:
    """Return the microseconds of a row, of the best of three epochs, and the weights after them."""
    cr.set_num_threads(threads)
    rows = max(batch, 2048 if batch > 1 else 512)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(rows, 256)), rng.integers(0, 10, size=rows)
    net = cr.Network([cr.Dense(256, activation="relu"), cr.Dense(10)], inputs=256, seed=0)
    history = cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(lr=1e-3)).fit(X, y, epochs=3, batch_size=batch)
    return min(history["seconds"]) / rows * 1e6, net.state_dict()["0.weight"].tobytes()


def mean_of_gradients() -> float:
    """Return by how much the gradient of 32 rows differs from the mean of the rows' own."""
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(32, 8)), rng.integers(0, 3, size=32)
    net = cr.Network([cr.Dense(5, activation="tanh"), cr.Dense(3)], inputs=8, seed=0, dtype="float64")
    gradients = []
    for rows in [slice(0, 32), *(slice(i, i + 1) for i in range(32))]:
        net.train()
        net.zero_grad()
        cr.CrossEntropy()(net(X[rows]), y[rows]).backward()
        gradients.append(net.gradients()["0.weight"].copy())
    return float(np.abs(gradients[0] - np.mean(gradients[1:], axis=0)).max())


def main() -> int:
    most, same = min(4, os.cpu_count() or 1), True
    for batch in BATCHES:
        (alone, one), (together, more) = trained(batch, 1), trained(batch, most)
        same &= one == more
        print(f"batch {batch:5}: {alone:8.2f} µs a row on one thread, {together:8.2f} on up to {most}")
    wrong = mean_of_gradients()
    print(f"same bits: {same}; the gradient is off the mean of its rows' by {wrong:.1e}")
    return 0 if same and wrong < 1e-15 else 1


if __name__ == "__main__":
    sys.exit(main())
