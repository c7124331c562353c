"""The operations of THE LIST (csrc/kernels.h) in NumPy, under the same names and arguments: their specification.

Every operation returns new arrays and leaves its inputs alone; it works in the precision of its inputs. What the
engine does is right where it agrees with these files to within rounding. The random numbers agree exactly, the noise
that is made of them to within rounding.

In `training` stands the training step that a good NumPy programmer would write for a stack of dense layers: the
baseline of tests and benchmarks. Nothing here checks shapes further than NumPy does, and no network runs on it.

Letters: B rows of a batch, K classes or outputs, n elements, d columns.
"""

from __future__ import annotations

from chainrule.reference.augmentation import augment_images, image_maps, noise_rows
from chainrule.reference.columns import (
    CONSTRAINTS,
    column_moments,
    column_sum,
    constrain_columns,
    normalize_backward,
    normalize_forward,
)
from chainrule.reference.common import Array, Formula, Labels
from chainrule.reference.elementwise import (
    ACTIVATIONS,
    activation_backward,
    activation_forward,
    add_noise,
    add_scaled,
    clip,
    clip_norm,
    dropout,
    fill,
    matmul,
    multiply,
    scale,
    soft_threshold,
)
from chainrule.reference.losses import (
    ELEMENT_LOSSES,
    PROBABILITY_MARGIN,
    correct_rows,
    count_classes,
    cross_entropy,
    element_loss,
)
from chainrule.reference.penalties import PENALTY_TERMS, accumulate, penalty_gradient, penalty_sum, sum_up
from chainrule.reference.random_numbers import (
    INITIALIZERS,
    Purpose,
    initial_values,
    normal_numbers,
    philox,
    philox_pair,
    philox_words,
    shuffled_order,
    unit_interval,
)
from chainrule.reference.rows import (
    gather_labels,
    gather_rows,
    max_pieces_backward,
    max_pieces_forward,
    softmax_backward,
    softmax_forward,
)
from chainrule.reference.sparse import sparse_gradient, sparse_product
from chainrule.reference.training import Mlp, dense_backward, dense_forward
from chainrule.reference.updates import UPDATE_RULES, UPDATE_STATES, UpdateNumbers, update

__all__ = [
    "ACTIVATIONS",
    "CONSTRAINTS",
    "ELEMENT_LOSSES",
    "INITIALIZERS",
    "PENALTY_TERMS",
    "PROBABILITY_MARGIN",
    "UPDATE_RULES",
    "UPDATE_STATES",
    "Array",
    "Formula",
    "Labels",
    "Mlp",
    "Purpose",
    "UpdateNumbers",
    "accumulate",
    "activation_backward",
    "activation_forward",
    "add_noise",
    "add_scaled",
    "augment_images",
    "clip",
    "clip_norm",
    "column_moments",
    "column_sum",
    "constrain_columns",
    "correct_rows",
    "count_classes",
    "cross_entropy",
    "dense_backward",
    "dense_forward",
    "dropout",
    "element_loss",
    "fill",
    "gather_labels",
    "gather_rows",
    "image_maps",
    "initial_values",
    "matmul",
    "max_pieces_backward",
    "max_pieces_forward",
    "multiply",
    "noise_rows",
    "normal_numbers",
    "normalize_backward",
    "normalize_forward",
    "penalty_gradient",
    "penalty_sum",
    "philox",
    "philox_pair",
    "philox_words",
    "scale",
    "shuffled_order",
    "soft_threshold",
    "softmax_backward",
    "softmax_forward",
    "sparse_gradient",
    "sparse_product",
    "sum_up",
    "unit_interval",
    "update",
]
