"""
Learning curves
===============

The loss of training falls as long as one likes; that of rows held back falls, and rises again. [000] and [002] stop
there and take the weights of the best epoch, which the figure marks. LOOP-1, LOOP-2, DIAG-1.
"""

import chainrule as cr

X, y = cr.load_digits()
rows, held_out = (
    slice(0, 150),
    slice(150, 600),
)  # few rows, so that a network can learn them by heart

net = cr.Network([cr.Dense(64, activation="tanh"), cr.Dense(10)], inputs=64, seed=0)
trainer = cr.Trainer(
    net, loss="cross_entropy", optimizer=cr.Adam(lr=0.01), metrics=["accuracy"]
)
history = trainer.fit(
    X[rows] / 16,
    y[rows],
    epochs=60,
    validation_data=(X[held_out] / 16, y[held_out]),
    verbose=False,
)
panels = cr.plots.learning_curves(history)

# %%
# What the curves mean, in words, with the remedies of the slides:

print(cr.diagnose(history))
