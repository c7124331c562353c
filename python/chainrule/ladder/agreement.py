"""The proof that the rungs compute the same: every step of an epoch beside NumPy's, and two epochs in one call.

A rung goes from step to step on its own: each begins with the parameters that the one before left. So a difference
grows, and is not forgotten. Nothing is timed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .problem import Problem, Trained
from .rungs import Train

TOLERANCE = 1e-6  # of the largest entry. Float64 leaves some 1e-15; what is wrong in a formula is far above.


class Agreement(NamedTuple):
    """How far a rung is from the one it is compared with: at most `apart`, in this step, or "all" of the two epochs."""

    apart: float
    step: int | str

    @property
    def holds(self) -> bool:
        """Whether that is little enough."""
        return self.apart <= TOLERANCE


def apart(got: Trained, expected: Trained) -> float:
    """Return the greatest difference of losses or parameters, in units of the array's largest entry; inf for NaN."""
    greatest = 0.0
    for one, other in zip((got.losses, *got.parameters), (expected.losses, *expected.parameters), strict=True):
        if one.shape != other.shape or not np.isfinite(one).all():
            return np.inf
        difference, largest = abs(one - other).max(), abs(other).max()
        greatest = max(greatest, float(difference / largest) if largest > 0 else float(difference and np.inf))
    return greatest


def walk(train: Train, problem: Problem) -> Iterator[Trained]:
    """Yield what came of each step of an epoch, then of two epochs in one call."""
    parameters = problem.parameters
    for first in range(0, len(problem.order), problem.batch_size):
        rows = problem.order[first : first + problem.batch_size]
        done = train(problem._replace(order=rows, epochs=1, parameters=parameters))
        parameters = done.parameters
        yield done
    yield train(problem._replace(epochs=2))


def compare(train: Train, reference: Train, problem: Problem) -> Agreement:
    """Return where two rungs are furthest apart."""
    differences = [
        apart(got, expected) for got, expected in zip(walk(train, problem), walk(reference, problem), strict=True)
    ]
    worst = int(np.argmax(differences))
    return Agreement(differences[worst], "all" if worst == len(differences) - 1 else worst + 1)
