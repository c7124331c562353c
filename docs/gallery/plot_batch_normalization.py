"""
Batch normalization
===================

What four units give for a batch of digits, some of them far from 0 and of other scales, and what normalization makes of
it: mean 0 and deviation 1 for each, before γ and β are learned ([002], Algorithm 1). BN-1.
"""

import numpy as np

import chainrule as cr

X, _ = cr.load_digits()
outputs = cr.Network([cr.Dense(4)], inputs=64, seed=0).predict(X / 16)
sums = outputs * [1, 3, 0.5, 2] + [0, 4, -5, 1]  # as layers below move, so do these
panels = cr.plots.batch_normalization(sums)

# %%
# The same by the layer, in training mode: its statistics are those of the batch.

net = cr.Network([cr.BatchNorm()], inputs=4)
normalized = np.asarray(net(sums, training=True))
print("means", normalized.mean(axis=0).round(3), "deviations", normalized.std(axis=0).round(3))
