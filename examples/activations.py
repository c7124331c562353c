"""What lectures [003] and [004] say of activations, measured: sigmoids saturate, rectifiers die, leaky ones do not.

A unit is dead if no row gives it a gradient: it never learns again. Here the inputs are not standardised, all above 0,
and the learning rate is too high, so that one step against all of a unit's inputs can push it below 0 for good.

Target: through ten layers of sigmoids less than 1e-4 of the gradient is left, of ReLU more than 0.1; more than half of
the rectifiers dead, but less than a fifth with standardised inputs, and no leaky one.
"""

import sys

import numpy as np

import chainrule as cr

WIDTH, DEPTH, FEATURES = 64, 10, 8


def gradient_left(activation: str, x: np.ndarray) -> float:
    """Return the norm of the gradient in the first of ten layers by that in the last of them."""
    layers = [cr.Dense(WIDTH, activation=activation) for _ in range(DEPTH)]
    net = cr.Network([*layers, cr.Dense(1)], inputs=FEATURES, seed=0, dtype="float64")
    cr.MeanSquaredError()(net(x), np.ones(len(x))).backward()
    first, last = (np.linalg.norm(net.gradients()[f"{layer}.weight"]) for layer in (0, DEPTH - 1))
    return float(first / last)


def dead_share(activation: cr.ActivationFunction, x: np.ndarray, y: np.ndarray) -> float:
    """Return the share of hidden units that no row of x gives a gradient, after training with large steps."""
    net = cr.Network([cr.Dense(WIDTH, activation=activation), cr.Dense(1)], inputs=FEATURES, seed=0)
    cr.Trainer(net, loss="binary_cross_entropy", optimizer=cr.Adam(lr=0.5)).fit(x, y, epochs=5, batch_size=50)
    net.zero_grad()  # the fit has left the gradients of its last step
    cr.BinaryCrossEntropy()(net(x), y).backward()
    return float((net.gradients()["0.weight"] == 0).all(axis=0).mean())


def main() -> int:
    x = np.random.default_rng(0).uniform(size=(500, FEATURES))
    y = (x.sum(axis=1) > FEATURES / 2).astype(int)
    standardised = (x - x.mean(axis=0)) / x.std(axis=0)

    for z in (0.0, 2.0, 5.0):  # from 2 on "clear predictions"; at 5 hardly a slope is left
        h = 1 / (1 + np.exp(-z))
        print(f"sigmoid({z:g}) = {h:.4f}, slope {h * (1 - h):.4f}")
    left = {name: gradient_left(name, standardised) for name in ("sigmoid", "tanh", "relu", "leaky_relu", "elu")}
    for name, share in left.items():
        print(f"{name:10}  gradient of the first of {DEPTH} layers by that of the last: {share:.2g}")

    dead = {repr(one): dead_share(one, x, y) for one in (cr.ReLU(), cr.LeakyReLU(slope=0.1), cr.ELU())}
    dead["ReLU(), standardised inputs"] = dead_share(cr.ReLU(), standardised, y)
    for name, share in dead.items():
        print(f"{name:27}  dead units: {share:.0%}")
    rectifiers, leaky, _, standard = dead.values()
    vanishes = left["sigmoid"] < 1e-4 and left["relu"] > 0.1
    return 0 if vanishes and rectifiers > 0.5 and standard < 0.2 and leaky == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
