"""
Activations and their derivatives
=================================

Those of [003] and [004]. Going back, a gradient is multiplied by the dashed line: at most a quarter behind a sigmoid,
0 for half of what enters a ReLU. ACT-1 to ACT-6, ACT-11.
"""

import chainrule as cr

panels = cr.plots.activations()
