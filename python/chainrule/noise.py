"""Layers that disturb what passes while training, described: Dropout and GaussianNoise. They learn nothing.

Their maths is in csrc/nn/layers/. What is drawn is counted by seed, layer and step: the same on any number of threads,
and after a resume. DropConnect, which removes weights instead of outputs, is in affine.py.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from . import checks
from .layer import Layer

if TYPE_CHECKING:
    from ._engine.float32 import Layer as CoreLayer

VARIANTS_OF_WEIGHTS = ("inverted", "classic")
VARIANTS = (*VARIANTS_OF_WEIGHTS, "fixed_count")
# Masks are drawn by words of 32 bits, so that a smaller share than 2^-32 = 2.3e-10 cannot be kept.
LEAST_KEPT = 1e-9


def check_rate(description: Dropout | Layer) -> None:
    """Check the options `rate` and `keep_prob` of a description: one of them must be given."""
    rate, keep_prob = (getattr(description, name) for name in ("rate", "keep_prob"))
    if (rate is None) == (keep_prob is None):
        came = "neither" if rate is None else "both"
        raise ValueError(
            f"exactly one of rate and keep_prob must be given; got {came}. There is no default, which would be "
            "forgotten, and no p, which is the dropped share to some and the kept share to others"
        )
    if rate is not None:
        checks.option(description, "rate", checks.number, least=0, below=1)
    else:
        checks.option(description, "keep_prob", checks.number, least=LEAST_KEPT, most=1)


def dropped_share(rate: float | None, keep_prob: float | None) -> float:
    """Return the share that is dropped, whichever of the two was given."""
    if rate is not None:
        return rate
    assert keep_prob is not None
    return 1 - keep_prob


@dataclass(frozen=True)
class Dropout(Layer):
    """Switches off units at random while training, so that none can rely on another (Srivastava et al. 2014).

    ===========  ===========================================  ===============  ======================================
    variant      h in training                                h in prediction  source
    ===========  ===========================================  ===============  ======================================
    inverted     x * mask / (1 - rate), P(mask = 0) = rate    x                what libraries do: right on average
    classic      x * mask,              P(mask = 0) = rate    x * (1 - rate)   Srivastava et al.; [000], [003]
    fixed_count  x * mask / (1 - n / width), with exactly     x                [002]: "n neurons will be disactivated"
                 n = round(rate * width) zeros in each row;
                 n = 0 is an error where rate > 0
    ===========  ===========================================  ===============  ======================================

    The lectures differ in what p is: [003] keeps a unit with probability p, and multiplies by p in prediction; [000]
    sets it to 0 with probability p, and multiplies by p too, which is a slip for 1 - p. Hence two names, and no p.

    Parameters
    ----------
    rate, keep_prob : float
        One of the two: the share that is switched off, at least 0 and below 1, or the share that is kept, above 0 and
        at most 1. There is no default, so that it cannot be forgotten. Lecture [002] tries rates of 0.2, 0.4 and 0.5,
        on the last hidden layers.
    variant : {"inverted", "classic", "fixed_count"}
    per : {"sample", "batch"}
        Whether each row has a mask of its own, or all rows of a step share one ([001]: drawn anew "every iteration").
    """

    _: KW_ONLY
    rate: float | None = None
    keep_prob: float | None = None
    variant: str = "inverted"
    per: str = "sample"

    def __post_init__(self) -> None:
        """Check the options."""
        check_rate(self)
        checks.word("variant", self.variant, VARIANTS)
        checks.word("per", self.per, ("sample", "batch"))

    def outputs(self, inputs: int) -> int:
        """Return the inputs; ValueError where a fixed count would drop all of them, or none although it should."""
        rate = dropped_share(self.rate, self.keep_prob)
        if self.variant == "fixed_count":
            count = round(rate * inputs)
            if count >= inputs or (count == 0 and rate > 0):
                how_many = "all" if count else "none"
                raise ValueError(f"Dropout(variant='fixed_count') of rate {rate:g} drops {how_many} of {inputs} inputs")
        return inputs

    def differs_in_training(self) -> bool:
        """Return whether the layer gives other outputs in training mode than in evaluation mode."""
        return dropped_share(self.rate, self.keep_prob) > 0

    def build(self, engine: ModuleType) -> CoreLayer:
        """Return the engine's object."""
        rate = dropped_share(self.rate, self.keep_prob)
        built: CoreLayer = engine.Dropout(rate, self.variant, self.per == "batch")
        return built


@dataclass(frozen=True)
class GaussianNoise(Layer):
    """Adds noise while training: h = x + std * N(0, 1), new in every step; h = x in prediction.

    In front of the first layer it is the noise on the training examples of lecture [001], which smooths what is
    learned, as is `NoiseAugmentation`, a part of the fit instead of the network; further back it disturbs hidden units.

    Parameters
    ----------
    std : float
        Standard deviation, at least 0. There is no default.
    """

    _: KW_ONLY
    std: float

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "std", checks.number, least=0)

    def differs_in_training(self) -> bool:
        """Return whether the layer gives other outputs in training mode than in evaluation mode."""
        return self.std > 0

    def build(self, engine: ModuleType) -> CoreLayer:
        """Return the engine's object."""
        built: CoreLayer = engine.GaussianNoise(self.std)
        return built
