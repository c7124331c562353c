"""
Error over complexity
=====================

Networks of growing width, five runs each: to the left both errors are high, to the right only that of the rows held
back ([004]). Occam's rule takes the simplest one that is as good as the best. DIAG-5.
"""

import numpy as np

import chainrule as cr

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(30, 1))
y = np.sin(np.pi * X[:, 0]) + rng.normal(scale=0.4, size=30)


def make_network(units, seed):
    layers = [cr.Dense(units, activation="tanh", weight_init=cr.Normal(5.0)), cr.Dense(1)]
    return cr.Network(layers, inputs=1, seed=seed)


curve = cr.complexity_curve(
    make_network,
    X,
    y,
    sizes=[1, 2, 4, 8, 16, 32, 64],
    loss="mse",
    epochs=3000,
    optimizer=cr.Adam(lr=0.02),
    validation_split=0.4,
)
ax = curve.plot()
print(curve)
