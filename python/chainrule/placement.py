"""Where activations belong: what a network is warned of when it is made, and what shapes its outputs.

The rules are those of lecture [004]: softmax in the last layer only, ReLU never in the last; sigmoid, tanh and a
threshold anywhere. Added is that no outputs are disturbed. They are advice: a network that breaks them runs.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from .activations import ActivationFunction, Identity, ReLU, Softmax
from .layer import Layer
from .noise import Dropout, GaussianNoise


class PlacementWarning(UserWarning):
    """Something stands where it seldom belongs: softmax before the last layer, ReLU in it, Dropout or noise last."""


def head_of(layers: Sequence[Layer]) -> tuple[int, ActivationFunction]:
    """Return which layer, counted from 0, shapes the outputs, and how: the last that has an activation."""
    for number in range(len(layers) - 1, -1, -1):
        activation = layers[number].activation_function()
        # A Dense layer ends the search: what stands before it no longer shows in the outputs.
        if activation is not None and (activation != Identity() or layers[number].parameter_shapes(1)):
            return number, activation
    return len(layers) - 1, Identity()


def disturbed_by(layers: Sequence[Layer]) -> int | None:
    """Return which layer, counted from 0, is the first to disturb the outputs behind the head; None for none."""
    after = range(head_of(layers)[0] + 1, len(layers))
    return next((number for number in after if isinstance(layers[number], (Dropout, GaussianNoise))), None)


def warn(layers: Sequence[Layer], stacklevel: int) -> None:
    """Warn of what is misplaced; `stacklevel` as that of `warnings.warn`, seen from the caller."""
    last, head = head_of(layers)
    for number, layer in enumerate(layers):
        if number != last and isinstance(layer.activation_function(), Softmax):
            warnings.warn(
                f"layers[{number}] is a softmax before the last layer: its outputs share a sum of 1, which lets "
                "little through. Softmax belongs in the last layer, for classes; before it take 'relu' or 'tanh'",
                PlacementWarning,
                stacklevel=stacklevel + 1,
            )
    if isinstance(head, ReLU):
        warnings.warn(
            f"layers[{last}] ends the network with relu, which gives no number below 0, and learns nothing where it "
            "gives 0. End with a linear layer for numbers and logits, or with 'softmax' or 'sigmoid'",
            PlacementWarning,
            stacklevel=stacklevel + 1,
        )
    end, disturbing = len(layers) - 1, [isinstance(layer, (Dropout, GaussianNoise)) for layer in layers]
    # Alone it is a look at the noise, not a network that learns.
    if disturbing[end] and not all(disturbing):
        warnings.warn(
            f"layers[{end}] ends the network with {layers[end].label()}, which disturbs its outputs while training. It "
            "belongs before a layer with weights",
            PlacementWarning,
            stacklevel=stacklevel + 1,
        )
