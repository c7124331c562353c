"""Neural-network training, from the chain rule to the metal.

A network is a row of layers; a `Trainer` fits it, or a loop by hand does. This file lists what is public, and where it
lives; each file is imported when something of it is first asked for, so that `import chainrule` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _engine

if TYPE_CHECKING:
    from .activations import ELU as ELU
    from .activations import ActivationFunction as ActivationFunction
    from .activations import Identity as Identity
    from .activations import LeakyReLU as LeakyReLU
    from .activations import ReLU as ReLU
    from .activations import Sigmoid as Sigmoid
    from .activations import Softmax as Softmax
    from .activations import Step as Step
    from .activations import Tanh as Tanh
    from .callbacks import Callback as Callback
    from .callbacks import EarlyStopping as EarlyStopping
    from .data import batches as batches
    from .gradients import GradientCheck as GradientCheck
    from .gradients import check_gradients as check_gradients
    from .history import History as History
    from .initializers import Constant as Constant
    from .initializers import GlorotNormal as GlorotNormal
    from .initializers import GlorotUniform as GlorotUniform
    from .initializers import HeNormal as HeNormal
    from .initializers import HeUniform as HeUniform
    from .initializers import Initializer as Initializer
    from .initializers import Normal as Normal
    from .initializers import Uniform as Uniform
    from .initializers import Zeros as Zeros
    from .layers import Activation as Activation
    from .layers import Dense as Dense
    from .layers import Dropout as Dropout
    from .layers import Layer as Layer
    from .losses import BinaryCrossEntropy as BinaryCrossEntropy
    from .losses import CrossEntropy as CrossEntropy
    from .losses import Loss as Loss
    from .losses import MeanSquaredError as MeanSquaredError
    from .network import Network as Network
    from .optimizers import SGD as SGD
    from .optimizers import Adam as Adam
    from .optimizers import Momentum as Momentum
    from .optimizers import Optimizer as Optimizer
    from .output import LossValue as LossValue
    from .output import Output as Output
    from .penalties import L2 as L2
    from .penalties import Penalty as Penalty
    from .storage import load as load
    from .threads import get_num_threads as get_num_threads
    from .threads import set_num_threads as set_num_threads
    from .trainer import DivergenceWarning as DivergenceWarning
    from .trainer import Trainer as Trainer
    from .versions import show_versions as show_versions

__version__: str = _engine.build_info()["version"]

_PUBLIC = {
    "activations": ["ELU", "ActivationFunction", "Identity", "LeakyReLU", "ReLU", "Sigmoid", "Softmax", "Step", "Tanh"],
    "callbacks": ["Callback", "EarlyStopping"],
    "data": ["batches"],
    "gradients": ["GradientCheck", "check_gradients"],
    "history": ["History"],
    "initializers": [
        "Constant",
        "GlorotNormal",
        "GlorotUniform",
        "HeNormal",
        "HeUniform",
        "Initializer",
        "Normal",
        "Uniform",
        "Zeros",
    ],
    "layers": ["Activation", "Dense", "Dropout", "Layer"],
    "losses": ["BinaryCrossEntropy", "CrossEntropy", "Loss", "MeanSquaredError"],
    "network": ["Network"],
    "optimizers": ["SGD", "Adam", "Momentum", "Optimizer"],
    "output": ["LossValue", "Output"],
    "penalties": ["L2", "Penalty"],
    "storage": ["load"],
    "threads": ["get_num_threads", "set_num_threads"],
    "trainer": ["DivergenceWarning", "Trainer"],
    "versions": ["show_versions"],
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = ["__version__", *_HOME]


if not TYPE_CHECKING:  # type checkers would take any misspelt name for one that this finds

    def __getattr__(name: str) -> object:
        """Import a public name, or a submodule such as `chainrule.plots`, when it is first asked for."""
        import importlib

        if name in _HOME:
            found = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
            globals()[name] = found
            return found
        if not name.startswith("_"):
            try:
                return importlib.import_module(f".{name}", __name__)
            except ModuleNotFoundError as error:
                if error.name != f"{__name__}.{name}":
                    raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what is public."""
    return sorted(__all__)
