"""
Schedules and adaptive algorithms, compared
===========================================

[002]'s last experiment in one call: the same start and the same batches for each optimizer. SCH-6.
"""

import chainrule as cr

X, y = cr.load_digits()
rows = slice(0, 800)


def make_network():
    return cr.Network([cr.Dense(32, activation="relu"), cr.Dense(10)], inputs=64, seed=0)


result = cr.compare(
    make_network, X[rows] / 16, y[rows], loss="cross_entropy", epochs=10, validation_split=0.2
)
ax = result.plot()
print(result)
