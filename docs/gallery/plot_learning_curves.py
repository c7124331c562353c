"""
Learning curves
===============

The loss of training falls as long as one likes; that of rows held back falls, and rises again. [000] and [002] stop
there and take the weights of the best epoch, which the figure marks. LOOP-1, LOOP-2, DIAG-1.
"""

import numpy as np

import chainrule as cr

rng = np.random.default_rng(0)
X, y = cr.load_digits()
X = X / 16
rows, held_out = slice(0, 150), slice(600, 1200)

# Few rows, and one label in seven is anything: both are learned by heart, the longer the better.
labels = np.where(rng.random(150) < 1 / 7, rng.integers(0, 10, size=150), y[rows])
net = cr.Network([cr.Dense(64, activation="tanh"), cr.Dense(10)], inputs=64, seed=0)
trainer = cr.Trainer(
    net, loss="cross_entropy", optimizer=cr.Adam(lr=0.01), metrics=["accuracy"]
)
validation = (X[held_out], y[held_out])
history = trainer.fit(X[rows], labels, epochs=50, validation_data=validation, verbose=False)
panels = cr.plots.learning_curves(history)

# %%
# What the curves mean, in words, with the remedies of the slides:

print(cr.diagnose(history))
