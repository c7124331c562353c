"""What the loop by hand is warned of: a mode that was not switched, gradients that were not set to zero.

Two of the common mistakes that close lecture [003]. Errors about single calls stand where the calls are; here is what
shows only over several of them. `Trainer` and `predict` set mode and gradients themselves and are never warned.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from .layers import BatchNorm

if TYPE_CHECKING:
    from .network import Network


class ModeWarning(UserWarning):
    """Outputs of training mode were looked at, and not trained on, where dropout, noise or BatchNorm changes them."""


class ZeroGradWarning(UserWarning):
    """backward() has added to gradients that nobody had set to zero."""


def disturbed_in_training(net: Network) -> int | None:
    """Return which layer, counted from 0, is the first to act otherwise in training mode; None for none."""
    for number, layer in enumerate(net.layers):
        # A frozen BatchNorm uses its running statistics; dropout and noise disturb in frozen layers, too.
        frozen = number in net.frozen and isinstance(layer, BatchNorm)
        if layer.differs_in_training() and not frozen:
            return number
    return None


def warn_of_mode(net: Network) -> None:
    """Warn, if the network gives other outputs in training mode than in evaluation mode.

    One whose parameters are still those of its start is not used yet: who looks at it, looks at the noise itself.
    """
    number = disturbed_in_training(net)
    if number is not None and net.parameter_changes:
        warnings.warn(
            f"net(X) in training mode was looked at and had no backward(): layers[{number}], a "
            f"{net.layers[number].label()}, acts otherwise there than when the network is used. Call net.eval() before "
            "and net.train() after, or net.predict(X); net(X, training=True) says that it is meant, as in Monte Carlo "
            "dropout",
            ModeWarning,
            stacklevel=3,
        )


def warn_of_gradients(net: Network, before: int, accumulate: bool) -> None:
    """Warn that backward() has added to other gradients, unless that is meant.

    Parameters
    ----------
    net : Network
    before : int
        At which of the network's changes of parameters those gradients were computed.
    accumulate : bool
        Whether gradients of one state of the parameters are to be added up.
    """
    if before != net.parameter_changes:
        warnings.warn(
            "backward() has added to gradients from before the parameters changed, of batches that a step or a fit has "
            "used: the next step goes by both. Call net.zero_grad() before each backward(), or, where batches are "
            "added up, after each step",
            ZeroGradWarning,
            stacklevel=3,
        )
    elif not accumulate:
        warnings.warn(
            "backward() has added to the gradients of another backward(). Call net.zero_grad() before each; "
            "backward(accumulate=True) says that batches are to be added up",
            ZeroGradWarning,
            stacklevel=3,
        )
