"""The pictures of training: each function draws one, from arrays, networks or histories, and returns its Axes.

`axes.figure.savefig(path)` writes a picture; in a notebook `axes.figure` shows it. They are made with matplotlib's
objects and never touch pyplot's state; matplotlib is imported when one is drawn. A new figure is small in inches and
has many dots, so that its text can be read from the back of a lecture hall.

Nothing is trained or measured here: what is drawn, the caller has.
"""

from __future__ import annotations

from .curves import compared_curves, error_curve, learning_curves
from .descents import descent_rates, trajectories
from .disturbances import batch_normalization, dropout_network, noise_examples
from .functions import activations, cross_entropy, saturation
from .layers import layer_norms
from .models import bias_variance, confusion_matrix, decision_boundary, fits
from .rates import learning_rate_range, schedules
from .searches import search_layouts

__all__ = [
    "activations",
    "batch_normalization",
    "bias_variance",
    "compared_curves",
    "confusion_matrix",
    "cross_entropy",
    "decision_boundary",
    "descent_rates",
    "dropout_network",
    "error_curve",
    "fits",
    "layer_norms",
    "learning_curves",
    "learning_rate_range",
    "noise_examples",
    "saturation",
    "schedules",
    "search_layouts",
    "trajectories",
]
