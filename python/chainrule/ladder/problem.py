"""What every rung is given and what it gives back, and the checks that come before any rung's own code.

The network is that of every introduction: one hidden layer with ReLU, softmax, cross-entropy, plain gradient descent.
N rows, n of them in an epoch, B of a batch, D inputs, H hidden units, K classes::

    z1 = x W1 + b1      h = max(0, z1)      z2 = h W2 + b2      p = softmax(z2)      loss = mean of -ln p[y]
    dz2 = (p - onehot(y)) / B               dW2 = h^T dz2       db2 = sum of the rows of dz2
    dz1 = (dz2 W2^T) where h > 0, else 0    dW1 = x^T dz1       db1 = sum of the rows of dz1
    W <- W - lr dW                          b <- b - lr db

Nothing is trained here. Sources of the formulas: lectures [000] and [004]; `docs/lectures.md` has them row by row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from chainrule import checks

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

LR = 0.1  # the loss falls in every epoch, and the weights stay small


class Parameters(NamedTuple):
    """Weights and biases: W1 (D, H), b1 (H), W2 (H, K), b2 (K)."""

    W1: Floats
    b1: Floats
    W2: Floats
    b2: Floats


class Problem(NamedTuple):
    """All that a rung is told: rows X (N, D), labels (N), the order (n) of the rows in every epoch, and the start.

    Each step takes the next `batch_size` rows of the order, the last one of an epoch what is left.
    """

    X: Floats
    labels: Whole
    order: Whole
    epochs: int
    batch_size: int
    parameters: Parameters
    lr: float

    @property
    def steps(self) -> int:
        """The steps of all epochs."""
        return self.epochs * -(-len(self.order) // self.batch_size)


class Trained(NamedTuple):
    """What came of it: the mean loss over the rows of each epoch (epochs), and the parameters after the last step.

    A row's loss is that before its step's update. `Trainer.fit` gives the same; of one step it is that step's loss.
    """

    losses: Floats
    parameters: Parameters


def make_problem(
    rows: int, widths: tuple[int, int, int] = (64, 32, 10), *, batch_size: int = 32, seed: int = 0
) -> Problem:
    """Return random rows, whose class is the greatest output of a linear rule, a start and an order, all by a seed.

    `widths` are inputs, hidden units and classes. The weights start as He et al. 2015 have it, the biases at 0.
    """
    rng = np.random.default_rng(seed)
    inputs, hidden, classes = widths
    X = rng.standard_normal((rows, inputs))
    labels = (X @ rng.standard_normal((inputs, classes))).argmax(axis=1).astype(np.int64)
    W1 = rng.standard_normal((inputs, hidden)) * np.sqrt(2 / inputs)
    W2 = rng.standard_normal((hidden, classes)) * np.sqrt(2 / hidden)
    start = Parameters(W1, np.zeros(hidden), W2, np.zeros(classes))
    return Problem(X, labels, rng.permutation(rows).astype(np.int64), 1, batch_size, start, LR)


def checked(problem: Problem) -> Problem:
    """Return a problem that native code may walk without looking: C order, exact dtypes, copies of the parameters.

    Raises
    ------
    TypeError
        If something is of another type: arrays must be of NumPy, of float64 or int64.
    ValueError
        If shapes do not fit together, something is empty, or a row number or a label is out of range.
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a Problem; got {checks.shown(problem)}")
    if not isinstance(problem.parameters, Parameters):
        raise TypeError(f"parameters must be Parameters; got {checks.shown(problem.parameters)}")
    X = _array("X", problem.X, np.float64, ("N", "D"), {})
    sizes = {"N": X.shape[0], "D": X.shape[1]}
    W1 = _array("W1", problem.parameters.W1, np.float64, ("D", "H"), sizes)
    sizes["H"] = W1.shape[1]
    W2 = _array("W2", problem.parameters.W2, np.float64, ("H", "K"), sizes)
    sizes["K"] = W2.shape[1]
    b1 = _array("b1", problem.parameters.b1, np.float64, ("H",), sizes)
    b2 = _array("b2", problem.parameters.b2, np.float64, ("K",), sizes)
    labels = _array("labels", problem.labels, np.int64, ("N",), sizes)
    order = _array("order", problem.order, np.int64, ("n",), {})
    _within("labels", labels, sizes["K"])
    _within("order", order, sizes["N"])
    return Problem(
        X,
        labels,
        order,
        checks.whole("epochs", problem.epochs),
        min(checks.whole("batch_size", problem.batch_size), len(order)),
        Parameters(W1.copy(), b1.copy(), W2.copy(), b2.copy()),
        checks.number("lr", problem.lr),
    )


def _array(name: str, value: object, dtype: Any, letters: tuple[str, ...], sizes: dict[str, int]) -> Any:
    """Return an array in C order, after a look at its dtype and at its shape, of which some `sizes` are known."""
    wanted = f"{name} must be an array of {np.dtype(dtype).name} of shape ({', '.join(letters)})"
    known = ", ".join(f"{letter} = {sizes[letter]}" for letter in letters if letter in sizes)
    wanted += f" with {known}" if known else ""
    if not isinstance(value, np.ndarray) or value.dtype != dtype:
        came = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else checks.shown(value)
        raise TypeError(f"{wanted}; got {came}")
    if value.ndim != len(letters) or any(
        have != sizes.get(letter, have) for have, letter in zip(value.shape, letters, strict=True)
    ):
        raise ValueError(f"{wanted}; got {value.shape}")
    least = {"K": 2}  # of one class there is nothing to learn
    if not all(least.get(letter, 1) <= size <= checks.MOST for size, letter in zip(value.shape, letters, strict=True)):
        raise ValueError(f"{wanted}, none of them 0, K at least 2 and none above {checks.MOST}; got {value.shape}")
    return np.ascontiguousarray(value)


def _within(name: str, values: Whole, end: int) -> None:
    """Raise ValueError unless all values are from 0 to `end` - 1."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= end:
        raise ValueError(f"{name} must be from 0 to {end - 1}; got {low if low < 0 else high}")
