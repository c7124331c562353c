"""
Where a sigmoid saturates
=========================

Far from 0 the sigmoid is flat: its answer is clear, and next to nothing of a gradient comes back through it ([004]).
ACT-2, ACT-11.
"""

import chainrule as cr

ax = cr.plots.saturation("sigmoid")

# %%
# Layer upon layer of that: the norm of the gradient by layer, for ten layers that differ in the activation alone. BP-4.

X, y = cr.load_digits()


def gradients(activation):
    layers = [cr.Dense(32, activation=activation) for _ in range(10)]
    net = cr.Network([*layers, cr.Dense(10)], inputs=64, seed=0)
    return cr.gradient_report(net, X / 16, y, loss="cross_entropy")


by_layer = cr.plots.layer_norms({word: gradients(word) for word in ("sigmoid", "tanh", "relu")})
