"""How weights start (lectures [003], [004]), measured: the spread of activations through ten layers of 256 units.

In a layer of linear units with n inputs and weights of variance s^2, E[h^2] grows n s^2 times; a ReLU passes half of it
on. So He's s^2 = 2/n keeps it with ReLU, Xavier's 2/(n_in + n_out) with linear units and, nearly, with tanh. Lecture
[004] prints s = 2/sqrt(n), n s^2 = 4, which doubles E[h^2] in each layer of ReLU. From zeros nothing passes; from a
constant all units of a layer are alike, and stay so.

Target: over ten layers E[h^2] grows 2^10 times with the printed rule, within a factor of 2, and once with He's.
"""

import sys

import numpy as np

import chainrule as cr

WIDTH, DEPTH = 256, 10
STARTS = [
    ("zeros", "relu", cr.Zeros()),
    ("2 / sqrt(n) [004]", "relu", cr.LectureNormal()),
    ("He", "relu", cr.HeNormal()),
    ("Xavier", "relu", cr.GlorotNormal()),
    ("Xavier, uniform", "tanh", cr.GlorotUniform()),
    ("uniform on +-0.01", "tanh", cr.Uniform(0.01)),
]


def main() -> int:
    x = np.random.default_rng(0).normal(size=(500, WIDTH))
    print(f"{'start':18} {'activation':10}  E[h^2] behind layer 1, 2, 5, 10")
    growth = {}
    for name, activation, start in STARTS:
        layers = [cr.Dense(WIDTH, activation=activation, weight_init=start) for _ in range(DEPTH)]
        net = cr.Network([*layers, cr.Dense(1)], inputs=WIDTH, seed=0, dtype="float64")
        net(x)
        squares = [float(np.mean(h**2)) for h in net.core.layer_outputs()]
        growth[name] = squares[DEPTH - 1] / float(np.mean(x**2))
        print(f"{name:18} {activation:10}  " + "  ".join(f"{squares[layer - 1]:10.3g}" for layer in (1, 2, 5, 10)))

    # Symmetry: alike at the start, alike after training.
    layers = [cr.Dense(8, activation="tanh", weight_init=cr.Constant(0.1)), cr.Dense(1, weight_init=cr.Constant(0.1))]
    net = cr.Network(layers, inputs=WIDTH, seed=0)
    cr.Trainer(net, loss="mse").fit(x, x[:, 0], epochs=3)
    weight = net.parameters()["0.weight"]
    alike = bool((weight == weight[:, :1]).all())
    print(f"started from a constant, the 8 hidden units are alike after training: {alike}")

    reached = 0.5 < growth["2 / sqrt(n) [004]"] / 2**DEPTH < 2 and 0.5 < growth["He"] < 2
    return 0 if reached and alike and growth["zeros"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
