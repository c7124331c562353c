"""Dropout as an ensemble (lectures [002], [003]): six units, so 64 masks, each a network of its own, all of them tried.

Behind the dropped layer stands a softmax. There the geometric mean over all networks, normalized again, is what one
network with scaled weights says: the classic variant in prediction. The arithmetic mean, an ensemble's vote, differs;
passes in training mode, with masks drawn at random, come near it.

Target: the geometric mean exact to 1e-12, and the random passes within five standard errors of the arithmetic mean.
"""

import itertools
import sys

import numpy as np

import chainrule as cr

UNITS, RATE, PASSES = 6, 0.5, 20_000


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def main() -> int:
    layers = [cr.Dense(UNITS, activation="tanh"), cr.Dropout(rate=RATE, variant="classic")]
    last = cr.Dense(3, activation="softmax", weight_init=cr.Normal(2.0))
    net = cr.Network([*layers, last], inputs=4, seed=0, dtype="float64")
    x = np.random.default_rng(0).normal(size=(1, 4))

    W, b, V, c = net.parameters().values()
    hidden = np.tanh(x @ W + b)
    masks = np.array(list(itertools.product([0, 1], repeat=UNITS)))  # (64, units)
    kept = masks.sum(axis=1)
    chance = (1 - RATE) ** kept * RATE ** (UNITS - kept)
    members = softmax((masks * hidden) @ V + c)  # (64, 3)
    geometric = np.exp(chance @ np.log(members))
    geometric /= geometric.sum()
    arithmetic = chance @ members

    scaled = net.predict(x)[0]
    net.train()
    draws = np.asarray(net(np.repeat(x, PASSES, axis=0)))  # a mask for each row
    random, error = draws.mean(axis=0), draws.std(axis=0) / np.sqrt(PASSES)

    rows = {"geometric mean of all": geometric, "scaled weights": scaled, "arithmetic mean of all": arithmetic}
    for name, p in {**rows, f"mean of {PASSES:,} passes": random}.items():
        print(f"{name:22}  {np.array2string(p, precision=6, floatmode='fixed')}")
    apart, sigmas = float(np.abs(geometric - scaled).max()), float(np.abs((random - arithmetic) / error).max())
    print(f"geometric mean and scaled weights differ by {apart:.1e}; random passes by {sigmas:.1f} standard errors")
    return 0 if apart < 1e-12 and sigmas < 5 else 1


if __name__ == "__main__":
    sys.exit(main())
