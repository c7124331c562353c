"""
Cross-entropy
=============

What a prediction f costs where the answer is yes, -log f, and where it is no, -log(1 - f): nothing for the right
answer, without bound for the wrong one, however sure ([000], [004]). LOSS-2, LOSS-3.
"""

import chainrule as cr

ax = cr.plots.cross_entropy()
