"""All optimizers, and the words for them: "adam" means Adam(). The classes are in `descent.py` and `adaptive.py`."""

from __future__ import annotations

from .adaptive import AdaDelta as AdaDelta
from .adaptive import AdaGrad as AdaGrad
from .adaptive import Adam as Adam
from .adaptive import AdamW as AdamW
from .adaptive import AMSGrad as AMSGrad
from .adaptive import NAdam as NAdam
from .adaptive import RMSprop as RMSprop
from .adaptive import Rprop as Rprop
from .descent import SGD as SGD
from .descent import Momentum as Momentum
from .descent import Optimizer as Optimizer
from .registry import find

_ALL = (SGD, Momentum, AdaGrad, AdaDelta, RMSprop, Rprop, Adam, AdamW, NAdam, AMSGrad)
KNOWN: dict[str, type[Optimizer]] = {kind.word: kind for kind in _ALL}


def resolve(argument: str, value: object) -> Optimizer:
    """Return the optimizer that `value`, a word or an object, means."""
    return find(argument, value, Optimizer, KNOWN)
