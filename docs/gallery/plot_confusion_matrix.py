"""
The confusion matrix
====================

[001]'s table: 998 healthy people, two ill, of whom a test found one. Accuracy 0.999 and precision 1 sound well; recall
½ does not, and always saying "healthy" has 0.998. MET-1, DATA-10.
"""

import numpy as np

import chainrule as cr

true, found = np.repeat([0, 1], [998, 2]), np.repeat([0, 1], [999, 1])
scores = cr.classification_scores(true, found)
ax = cr.plots.confusion_matrix(scores.confusion, labels=["healthy", "ill"])
print(scores)
