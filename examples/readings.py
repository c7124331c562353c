"""One network, trained with the optimizers as lecture [002] writes them and as libraries have them.

Target: first steps of 31.6 and 3.16 learning rates for the lecture's RMSprop and Adam, of 3.16 and 1 for the modern
ones; the lecture's momentum at ten times the rate is the modern one; 95 % of 360 test digits with each of them.
"""

import sys

import numpy as np

import chainrule as cr
from chainrule.datasets import load_digits

READINGS = {
    "SGD": cr.SGD(lr=0.5),
    "Momentum": cr.Momentum(lr=0.05),
    "Momentum of [002]": cr.Momentum.lecture(lr=0.5),
    "RMSprop": cr.RMSprop(lr=0.001),
    "RMSprop of [002]": cr.RMSprop.lecture(lr=0.001),
    "Adam": cr.Adam(lr=0.001),
    "Adam of [002]": cr.Adam.lecture(lr=0.001),
}


def main() -> int:
    X, y = load_digits()
    X = (X - X.mean()) / X.std()
    test = np.arange(len(X)) % 5 == 0
    start = cr.Network([cr.Dense(64, activation="tanh"), cr.Dense(10)], inputs=64, seed=0, dtype="float64")

    print(f"{'reading':18}  {'first step':>10}  {'loss':>7}  {'accuracy':>8}")
    first, loss, accuracy = {}, {}, {}
    for name, optimizer in READINGS.items():
        once = start.copy()
        cr.Trainer(once, loss="cross_entropy", optimizer=optimizer).fit(X[~test], y[~test], epochs=1, batch_size=2000)
        moved = max(abs(once.parameters()[key] - value).max() for key, value in start.parameters().items())
        first[name] = moved / optimizer.lr

        trainer = cr.Trainer(start.copy(), loss="cross_entropy", optimizer=optimizer, metrics=["accuracy"])
        loss[name] = trainer.fit(X[~test], y[~test], epochs=20)["loss"][-1]
        accuracy[name] = trainer.evaluate(X[test], y[test])["accuracy"]
        print(f"{name:18}  {first[name]:7.2f} lr  {loss[name]:7.4f}  {accuracy[name]:8.1%}")

    wanted = {"RMSprop of [002]": 1000**0.5, "Adam of [002]": 10**0.5, "RMSprop": 10**0.5, "Adam": 1.0}
    steps_right = all(abs(first[name] / factor - 1) < 0.01 for name, factor in wanted.items())
    same = abs(loss["Momentum"] - loss["Momentum of [002]"]) < 1e-9
    print(f"first steps as computed: {steps_right}; both momenta the same: {same}; target: 95 % with each")
    return 0 if steps_right and same and min(accuracy.values()) >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
