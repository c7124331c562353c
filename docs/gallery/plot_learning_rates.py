"""
Learning rates: too small, good, too large
==========================================

On a parabola of curvature 1 a step multiplies the distance from the minimum by 1 - η: it creeps, arrives, or runs away
([002], [003], [004]). LR-1.
"""

import chainrule as cr

panels = cr.plots.descent_rates()

# %%
# A network has no single curvature, so the rate is looked for: it rises from step to step, on a copy of the network,
# until the loss explodes. LR-2 has the lectures' own rules of thumb.

X, y = cr.load_digits()
net = cr.Network([cr.Dense(32, activation="relu"), cr.Dense(10)], inputs=64, seed=0)
trainer = cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(lr=0.1))
tested = cr.lr_range_test(trainer, X / 16, y)
ax = tested.plot()
print(f"begin with {tested.suggestion:.2g} ({tested.suggested_by})")
