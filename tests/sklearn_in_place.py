"""A plugin of pytest: scikit-learn's own tests of its perceptrons meet chainrule's classes instead."""

import sklearn.neural_network as theirs

from chainrule import sklearn as ours

theirs.MLPClassifier, theirs.MLPRegressor = ours.MLPClassifier, ours.MLPRegressor
