"""What the lectures advise for each thing that a diagnosis may name, and on which slide; the thresholds are elsewhere.

Words in quotation marks are the slides' own.
"""

from __future__ import annotations

from typing import NamedTuple


class Advice(NamedTuple):
    """What to do about a finding, most promising first, and who says so."""

    remedies: tuple[str, ...]
    source: str


ADVICE: dict[str, Advice] = {
    "learning rate too high": Advice(
        (
            "halve the learning rate; if the loss diverges quickly, divide it by 10 [003]",
            'decay it when the loss "is exploding or fluctuating" [003]',
            "begin at 0.1 and divide by 3 until it works [000]",
            "standardise the inputs, and the targets of a regression: large numbers make large steps [003]",
        ),
        '[003] "Too big = diverge"; [004] "minima will be overshot: slow or no convergence"',
    ),
    "learning rate too low": Advice(
        (
            'increase the learning rate: the loss is "decreasing, but very slowly" [003]',
            "begin at 0.1 and divide by 3 only where that does not work [000]",
            "an optimizer that sets the length of steps by itself, such as Adam [002]",
            "train for more epochs [003]",
        ),
        '[003] "too small = slow convergence"; [004] "learning rate too low: slow convergence"',
    ),
    "dead units": Advice(
        (
            "leaky ReLU, maxout or ELU, which do not die [003], [004]",
            'a smaller learning rate: "Use ReLU. Be careful with your learning rates" [003]',
            "start the weights by He's rule, the biases at 0, and standardise the inputs [004]",
        ),
        '[004] "The Dying ReLU problem"',
    ),
    "saturated units": Advice(
        (
            "standardise the inputs [001], [004]",
            "start with smaller weights: Xavier's rule [004]",
            "batch normalization before the activation [000], [002]",
            "ReLU or its leaky kin in place of sigmoid and tanh [003]",
        ),
        '[004] "for very high or very low values of X, there is almost no change to the prediction"',
    ),
    "vanishing gradients": Advice(
        (
            "ReLU or its leaky kin in place of sigmoid and tanh [003], [004]",
            "start the weights by Xavier's or He's rule [004]",
            "batch normalization [000]",
            "fewer layers",
        ),
        '[004] "chain product becomes infinitesimally small"',
    ),
    "exploding gradients": Advice(
        (
            "start with smaller weights: Xavier's or He's rule [004]",
            "batch normalization [000]",
            "clip the gradients: clip_norm= of the optimizer",
            "a smaller learning rate [003], fewer layers",
        ),
        '[004] "gradients matrix product becomes excessively large"',
    ),
    "overfitting": Advice(
        (
            "find more training data, or augment it: flips, rotations, noise [000]",
            "early stopping: keep the weights of the least validation loss [000], [002], [003]",
            "stronger regularization: dropout, drop-connect, L2 [000], [003]",
            "fewer parameters, less complexity [000], [003]",
            "ensembles, cross-validation [003]",
        ),
        '[000] "Validation loss decreases at first, then starts increasing. Training loss continues to go down"; '
        '[003]; [004] "test error is significantly higher than training error"',
    ),
    "underfitting": Advice(
        (
            "train for longer, until the loss no longer falls [003]",
            "a larger model: more layers, larger layers [000], [003]",
            "an architecture that suits the task better [000]",
            "weaker regularization [000]",
        ),
        '[003] "Training and validation losses decrease even at the end of training"; [000] "Training loss still '
        'high"; [004] "unable to reduce training errors"',
    ),
    "bias": Advice(
        ("a bigger model", "a different architecture", "longer training"),
        '[003] "Training error is high? ... Bias!"',
    ),
    "variance": Advice(
        ("more data", "regularization", "a different architecture"),
        '[003] "Training and validation error are high? ... Variance!", on rows like those of training',
    ),
    "train-test mismatch": Advice(
        (
            "training data that are like those of validation: collect or generate them",
            "a different architecture",
        ),
        '[003] "Validation error is high? ... Train-Test mismatch"',
    ),
    "overfitted validation set": Advice(
        ("more validation data", "a new validation set, and fewer choices made by it"),
        '[003] "Testing error is high? ... Overfit the validation"; [001]: choices are never made by the test set',
    ),
}
