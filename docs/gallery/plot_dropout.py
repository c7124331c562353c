"""
Dropout, before and after
=========================

In training each step leaves hidden units out, drawn anew; in prediction all of them answer ([000], [001], [004]).
REG-7; as an ensemble of all thinned networks: REG-9.
"""

import chainrule as cr

panels = cr.plots.dropout_network([4, 6, 6, 2], rate=0.5, seed=1)
