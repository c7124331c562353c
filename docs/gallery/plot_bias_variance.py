"""
Bias and variance
=================

Networks of three sizes, each trained on many data sets drawn from the same sine: the error is bias² (wrong on average),
variance (another answer each time) and noise, which no model takes away ([003]). DIAG-4.
"""

import numpy as np

import chainrule as cr

rng = np.random.default_rng(0)
NOISE = 0.3
x = np.linspace(-1, 1, 15)[:, None]
x_test = np.linspace(-1, 1, 60)[:, None]
truth = np.sin(np.pi * x_test[:, 0])
y_test = truth + rng.normal(scale=NOISE, size=60)
drawn = np.sin(np.pi * x[:, 0]) + rng.normal(
    scale=NOISE, size=(15, 15)
)  # fifteen data sets of fifteen rows


def predictions(units):
    found = []
    for seed, y in enumerate(drawn):
        hidden = (
            [cr.Dense(units, activation="tanh", weight_init=cr.Normal(3.0))] if units else []
        )
        net = cr.Network([*hidden, cr.Dense(1)], inputs=1, seed=seed, dtype="float64")
        trainer = cr.Trainer(net, loss="mse", optimizer=cr.Adam(lr=0.02))
        trainer.fit(x, y, epochs=1000, batch_size=15, verbose=False)
        found.append(net.predict(x_test))
    return np.stack(found)


parts = {
    "a line": cr.decomposed(predictions(0), y_test, truth, kind="numbers"),
    "4 units": cr.decomposed(predictions(4), y_test, truth, kind="numbers"),
    "60 units": cr.decomposed(predictions(60), y_test, truth, kind="numbers"),
}
each = parts.values()
ax = cr.plots.bias_variance(
    list(parts),
    [one.bias for one in each],
    [one.variance for one in each],
    noise=[one.noise for one in each],
)
