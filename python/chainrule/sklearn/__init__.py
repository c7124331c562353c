"""scikit-learn's multi-layer perceptrons, trained by chainrule: change one import.

::

    from chainrule.sklearn import MLPClassifier      # was: from sklearn.neural_network import MLPClassifier

All parameters, methods and fitted attributes of scikit-learn's two classes are here with their meaning and defaults,
and what they lack. Needs scikit-learn 1.6 or later: pip install "chainrule[sklearn]".
"""

try:
    import sklearn as _sklearn
except ImportError as error:
    raise ImportError('chainrule.sklearn needs scikit-learn: pip install "chainrule[sklearn]"') from error

from .classifier import MLPClassifier
from .conversion import from_sklearn
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "from_sklearn"]

del _sklearn
