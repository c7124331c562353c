"""Constraints on weights, described: what the incoming weights of each unit must obey after every update.

The incoming weights of unit j are column j of the layer's weight matrix, a vector w. A `Trainer` and `optimizer.step`
enforce the constraint at the end of each step, after the update and what penalties do to it; the start of a network
and `load_state_dict` do not. The maths is `constrain_columns` of csrc/kernels.h. Lecture [000] lists weight constraints
as a remedy for overfitting, with L2 as its example; that is a penalty, which pulls, where a constraint sets a limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

from . import checks
from .registry import find

if TYPE_CHECKING:
    from ._engine import Constraint as CoreConstraint

# Numbers and their quotients that float32 holds; far beyond any use.
LEAST_LIMIT, MOST_LIMIT = 1e-30, 1e30


@dataclass(frozen=True)
class Constraint:
    """What all constraints share. Use one of the classes derived from it."""

    word: ClassVar[str]

    def bound(self) -> float:
        """Return the number that the engine's formula takes, 1 where it takes none."""
        return 1.0

    def build(self, engine: ModuleType) -> CoreConstraint:
        """Return the engine's object."""
        built: CoreConstraint = engine.Constraint(self.word, self.bound())
        return built


@dataclass(frozen=True)
class MaxNorm(Constraint):
    """|w| <= limit: w <- w limit / max(|w|, limit), with |w| the square root of the sum of squares.

    Srivastava et al. 2014 use it beside dropout, with limits of 3 to 4.

    Parameters
    ----------
    limit : float
        From 1e-30 to 1e30.
    """

    word = "max_norm"
    limit: float

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "limit", checks.number, least=LEAST_LIMIT, most=MOST_LIMIT)

    def bound(self) -> float:
        """Return the limit."""
        return self.limit


@dataclass(frozen=True)
class UnitNorm(Constraint):
    """|w| = 1: w <- w / |w|. A unit whose weights are all 0 keeps them."""

    word = "unit_norm"


@dataclass(frozen=True)
class NonNegative(Constraint):
    """w >= 0: w <- max(w, 0), each weight on its own."""

    word = "non_negative"


KNOWN: dict[str, type[Constraint]] = {kind.word: kind for kind in (MaxNorm, UnitNorm, NonNegative)}


def resolve(argument: str, value: object) -> Constraint:
    """Return the constraint that `value`, a word or an object, means."""
    return find(argument, value, Constraint, KNOWN)
