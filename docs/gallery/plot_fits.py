"""
Underfit, good, overfit
=======================

Twelve noisy points of a sine, and three networks: one too small to bend, one that is about right, one that has room for
the noise as well ([001], [003], [004]). DIAG-1, DIAG-2.
"""

import numpy as np

import chainrule as cr

rng = np.random.default_rng(3)
x = np.linspace(-1, 1, 12)
y = np.sin(np.pi * x) + rng.normal(scale=0.25, size=12)
fine = np.linspace(-1, 1, 200)


def fit(units, epochs):
    layers = [cr.Dense(units, activation="tanh", weight_init=cr.Normal(3.0)), cr.Dense(1)]
    net = cr.Network(layers, inputs=1, seed=0, dtype="float64")
    trainer = cr.Trainer(net, loss="mse", optimizer=cr.Adam(lr=0.02))
    trainer.fit(x[:, None], y, epochs=epochs, batch_size=12, verbose=False)
    return fine, net.predict(fine[:, None])[:, 0]


line = cr.Network([cr.Dense(1)], inputs=1, dtype="float64")
cr.Trainer(line, loss="mse", optimizer=cr.Adam(lr=0.05)).fit(
    x[:, None], y, epochs=300, batch_size=12, verbose=False
)
curves = {
    "underfit: a line": (fine, line.predict(fine[:, None])[:, 0]),
    "good: 3 units": fit(3, 1500),
    "overfit: 100 units": fit(100, 6000),
}
panels = cr.plots.fits(x, y, curves, truth=(fine, np.sin(np.pi * fine)))
