"""The last rung: chainrule itself, `Trainer.fit`, on the CPU in float64.

What the engine does beyond the rungs above it stands in docs/speed.md: products in tiles that stay in registers, bias,
ReLU, softmax and loss in one pass, buffers planned before the first step, as many threads as pay, shuffling, penalties,
all optimizers and layers. All that a call of `fit` costs is in its time.
"""

from __future__ import annotations

import numpy as np

import chainrule as cr

from .problem import Parameters, Problem, Trained, checked


def train(problem: Problem) -> Trained:
    """Train with `Trainer.fit`, which is given the rows in their order."""
    X, labels, order, epochs, batch_size, parameters, lr = checked(problem)
    inputs, hidden = parameters.W1.shape
    layers = [cr.Dense(hidden, activation="relu"), cr.Dense(len(parameters.b2))]
    net = cr.Network(layers, inputs=inputs, dtype="float64")
    net.load_state_dict(dict(zip(net.parameters(), parameters, strict=True)))
    trainer = cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(lr))
    history = trainer.fit(X[order], labels[order], epochs=epochs, batch_size=batch_size, shuffle=False, verbose=False)
    return Trained(np.array(history["loss"]), Parameters(*net.parameters().values()))
