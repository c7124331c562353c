"""Ensembles by averaging (lecture [003]): ten networks from other seeds, from other rows, and from one run.

A noisy sine, few points, and networks wide enough to overfit. The squared error of an ensemble's mean is that of its
members on average less their variance: so averaging helps where they disagree. Snapshots of one run, kept each time
that the learning rate has come down, disagree less and cost a tenth.

Target: each ensemble's error is its members' less their variance, to 1e-12; that of bagging is less than half of it.
"""

import math
import sys

import numpy as np

import chainrule as cr

MEMBERS, EPOCHS = 10, 200


def make_trainer(seed: int, optimizer: cr.Optimizer | None = None) -> cr.Trainer:
    layers = [cr.Dense(32, activation="tanh", weight_init=cr.Normal(1.5)), cr.Dense(1)]
    net = cr.Network(layers, inputs=1, seed=seed, dtype="float64")
    return cr.Trainer(net, loss="mse", optimizer=optimizer or cr.Adam(0.02))


def falling_and_starting_again(epoch: int) -> float:
    return 0.02 * (1 + math.cos(math.pi * (epoch % (EPOCHS // MEMBERS)) / (EPOCHS // MEMBERS)))


def main() -> int:
    rng = np.random.default_rng(0)
    x, new = rng.uniform(-2, 2, size=(40, 1)), np.linspace(-2, 2, 401)[:, None]
    y, truth = np.sin(2 * x) + 0.4 * rng.normal(size=x.shape), np.sin(2 * new)

    snapshots = cr.EnsembleSnapshots(every=EPOCHS // MEMBERS)
    one_run = make_trainer(0, cr.Adam(falling_and_starting_again))
    one_run.fit(x, y, epochs=EPOCHS, callbacks=[snapshots], verbose=False)
    ensembles = {
        "seeds": cr.train_ensemble(make_trainer, x, y, members=MEMBERS, epochs=EPOCHS),
        "bagging": cr.train_ensemble(make_trainer, x, y, members=MEMBERS, epochs=EPOCHS, bootstrap=True),
        "snapshots": cr.Ensemble(snapshots.networks, loss=one_run.loss),
    }
    print("members by   error of the mean  of one, on average  variance")
    good = True
    for name, ensemble in ensembles.items():
        errors = ((ensemble.members(new) - truth) ** 2).mean(axis=(1, 2))
        error, variance = ((ensemble.predict(new) - truth) ** 2).mean(), (ensemble.spread(new) ** 2).mean()
        print(f"{name:11}  {error:17.4f}  {errors.mean():18.4f}  {variance:8.4f}")
        good &= bool(abs(error - (errors.mean() - variance)) < 1e-12)
        good &= name != "bagging" or bool(error < errors.mean() / 2)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
