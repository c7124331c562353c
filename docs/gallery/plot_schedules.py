"""
Decay of the learning rate
==========================

[002]'s three decays from a rate of 0.1, and the one of [000]. Step decay as printed has no floor and falls each epoch;
with it, it has steps (T11). SCH-1, SCH-3, SCH-4, SCH-5.
"""

import chainrule as cr

plans = {
    "constant": cr.ConstantRate(0.1),
    "time": cr.TimeDecay(0.1, decay=0.5),
    "step": cr.StepDecay(0.1, drop=0.5, every=10),
    "step, as printed": cr.StepDecay(0.1, drop=0.5, every=10, floor=False),
    "exponential": cr.ExponentialDecay(0.1, k=0.1),
    "a tenth every 5": cr.StepDecay(0.1, drop=0.1, every=5),
}
ax = cr.plots.schedules(plans, epochs=30)
