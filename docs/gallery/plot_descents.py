"""
Paths of descents
=================

A long narrow valley: plain descent changes sides in every step, momentum, the average of gradients, in few of them, and
Adam scales each direction by itself ([002]). OPT-1, OPT-4, GD-4.
"""

import numpy as np

import chainrule as cr

rules = {
    "SGD": cr.SGD(lr=0.07),
    "momentum": cr.Momentum.lecture(lr=0.07),
    "Adam": cr.Adam(lr=0.2),
}
paths = {
    name: cr.descend("valley", (-9, 1.5), rule, steps=60)[0] for name, rule in rules.items()
}
ax = cr.plots.trajectories("valley", paths)

# %%
# The same linear regression with all rows a step, with 20, and with one: the trajectories of [002]'s table, and what
# they cost. GD-1, GD-2.

X = np.random.default_rng(0).uniform(-1, 1, size=(200, 2))
y = X @ [1, -2] + np.random.default_rng(1).normal(scale=0.1, size=200)
descents = cr.descent_trajectories(X, y, [200, 20, 1], optimizer=cr.SGD(lr=0.1))
by_batch = descents.plot()
print(descents)
