"""Are two sets of rows of one distribution? The assumption behind every test set, looked at column by column.

"Training set and test set drawn independently and identically from same underlying distribution" [004]; where they are
not, [003] has a training-test mismatch. Of an ordered column (n rows in one set, m in the other; Smirnov 1939)::

    D = max over t of |share of the one set up to t - share of the other up to t|
    p <= 2 exp(-2 D^2 n m / (n + m))

Of a column of categories, with O and E the observed and the expected counts, E being the rows of the set times the
share of the category in both (Pearson 1900)::

    X^2 = sum over sets and categories of (O - E)^2 / E,      p = P(chi-square with categories - 1 degrees > X^2)

That p is too small where few are expected. Categories that are very rare are taken together; where two remain, as in
any column of 0 and 1, and one is rare still, p is exact (Fisher 1935): the share of all ways to draw the sets from
their union that are no more probable than what was seen. Of more than two, each is told from all others so, and p is
the smallest one times their number. Which way is taken depends on the sums over both sets alone.

With many columns some p are small by chance, so that a column counts as shifted where p < alpha / columns (Bonferroni):
with no shift anywhere, a fault in a share alpha of all comparisons, at most. What single columns do not show, a network
may: one that tells the sets apart on rows that it has not seen better than a coin (Lopez-Paz and Oquab 2017).

Nothing is repaired here, and a difference that is found need not matter: with enough rows every difference is found.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, data
from .affine import Dense
from .network import Network
from .optimizers import Adam
from .trainer import Trainer

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

# Cochran 1954: below, the chi-square distribution fits badly. Rarer categories are taken together.
LEAST_EXPECTED = 5.0
# Below, p is exact, or a bound. At p = 10^-4, which 100 columns need, sets of 10,000 and 200 rows exceed the X^2 of
# chi-square 5 times too often where 5 are expected, 4 times at 10, at 20 and above no more than twice.
EXACT_BELOW = 20.0
# Ways to draw the sets whose probabilities differ by less, relatively, are equally probable: sums of logarithms round.
EQUALLY_PROBABLE = 1e-9
# Of each set, at most so many rows go to the network: with 2,000 to judge on, an accuracy of 0.53 is told from 0.5.
CLASSIFIED_ROWS = 2000
# Columns that a repr lists.
LISTED = 10


@dataclass(frozen=True)
class ColumnShift:
    """How far two sets differ in a column.

    Attributes
    ----------
    column : int
    kind : {"numbers", "categories"}
    statistic : float
        D from 0 to 1 of numbers, X^2 of categories.
    p_value : float
        Chance of at least this difference where there is no shift: for numbers, and for categories some of which are
        rare, a bound from above.
    means : (float, float)
        Of the column in the two sets.
    """

    column: int
    kind: str
    statistic: float
    p_value: float
    means: tuple[float, float]


@dataclass(frozen=True)
class DistributionShift:
    """What a comparison of two sets of rows found.

    Attributes
    ----------
    columns : tuple of ColumnShift
        All columns, in their order.
    alpha : float
        Chance of a false alarm over all columns, and another one for the network.
    accuracy : float or None
        Share of rows, of those that it has not seen, that a network assigned to the right set; 0.5 where there is no
        difference, None where no network was asked for.
    accuracy_p_value : float or None
        Chance of at least that accuracy where there is no shift.
    """

    columns: tuple[ColumnShift, ...]
    alpha: float
    accuracy: float | None = None
    accuracy_p_value: float | None = None

    @property
    def shifted(self) -> tuple[int, ...]:
        """The columns that are shifted, the smallest p first."""
        found = [one for one in self.columns if one.p_value < self.alpha / len(self.columns)]
        return tuple(one.column for one in sorted(found, key=lambda one: (one.p_value, one.column)))

    @property
    def found(self) -> bool:
        """Whether a column is shifted, or the network tells the sets apart."""
        told_apart = self.accuracy_p_value is not None and self.accuracy_p_value < self.alpha
        return bool(self.shifted) or told_apart

    def __repr__(self) -> str:
        """Return a verdict, the columns that differ most, and the network's accuracy."""
        count = len(self.shifted)
        lines = [f"{count} of {len(self.columns)} columns shifted (p < {self.alpha:g} / {len(self.columns)})"]
        lines.append("column  kind        statistic         p  mean of one  of the other")
        most = sorted(self.columns, key=lambda one: (one.p_value, one.column))[:LISTED]
        lines += [
            f"{one.column:6}  {one.kind:10}  {one.statistic:9.3g}  {one.p_value:8.2g}  {one.means[0]:11.4g}  "
            f"{one.means[1]:12.4g}"
            for one in most
        ]
        if self.accuracy is not None:
            lines.append(
                f"a network tells the sets apart with accuracy {self.accuracy:.3f}, p {self.accuracy_p_value:.2g}"
            )
        return "\n".join(lines)


def compare_distributions(
    X: npt.ArrayLike,
    other: npt.ArrayLike,
    *,
    categories: Collection[int] = (),
    alpha: float = 0.01,
    classifier: bool = False,
    seed: int = 0,
) -> DistributionShift:
    """Compare two sets of rows, such as training and test part, column by column.

    Parameters
    ----------
    X : array of shape (n, D)
        At least two rows.
    other : array of shape (m, D)
        The other set.
    categories : collection of int, default ()
        Columns whose numbers name categories, in no order. Columns of no more than two values are taken so anyway.
    alpha : float, default 0.01
        Chance of a false alarm over all columns together, above 0 and below 1.
    classifier : bool, default False
        Whether a small network tries to tell the sets apart, too: that sees differences that no single column shows.
        One hidden layer of 32 units, 50 epochs over half of the rows, judged on the other half.
    seed : int, default 0
        Key of the halves and of the network.

    Returns
    -------
    DistributionShift
        `found` says whether there is a shift, `shifted` in which columns.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit.

    Examples
    --------
    >>> cr.compare_distributions(X_train, X_test).shifted
    (3,)
    """
    float64 = np.dtype(np.float64)
    x = data.features("X", X, None, float64)
    y = data.features("other", other, None, float64)
    if x.shape[1] == 0 or x.shape[1] != y.shape[1]:
        raise ValueError(f"X and other must have the same columns, at least one; got {x.shape[1]} and {y.shape[1]}")
    for name, rows in (("X", x), ("other", y)):
        if len(rows) < 2:
            raise ValueError(f"{name} must have at least 2 rows; got {len(rows)}")
    if isinstance(categories, (str, bytes)) or not isinstance(categories, Collection):
        raise TypeError(f"categories must be column numbers, such as [0, 3]; got {checks.shown(categories)}")
    named = {checks.whole("a column of categories", one, least=0, most=x.shape[1] - 1) for one in categories}
    alpha = checks.number("alpha", alpha, above=0, below=1)
    seed = checks.seed("seed", seed)
    columns = tuple(compared(n, x[:, n], y[:, n], n in named) for n in range(x.shape[1]))
    if not checks.flag("classifier", classifier):
        return DistributionShift(columns, alpha)
    return DistributionShift(columns, alpha, *told_apart(x, y, seed))


def compared(number: int, x: Array, y: Array, is_named: bool) -> ColumnShift:
    """Return how far a column x (n,) of one set and y (m,) of the other differ."""
    means = float(x.mean()), float(y.mean())
    values, places = np.unique(np.concatenate([x, y]), return_inverse=True)
    # How often each value occurs in either set.
    counts = np.stack([np.bincount(part, minlength=len(values)) for part in (places[: len(x)], places[len(x) :])])
    if is_named or len(values) <= 2:
        statistic, p = chi_square(counts)
        return ColumnShift(number, "categories", statistic, p, means)
    shares = np.cumsum(counts, axis=1) / counts.sum(axis=1, keepdims=True)
    statistic = float(np.abs(shares[0] - shares[1]).max())
    p = min(2 * math.exp(-2 * statistic**2 * len(x) * len(y) / (len(x) + len(y))), 1.0)
    return ColumnShift(number, "numbers", statistic, p, means)


def chi_square(counts: Array) -> tuple[float, float]:
    """Return X^2 of counts (2, categories) and its p; where rare ones are among them, the exact p or a bound."""
    rows, of_category = counts.sum(axis=1), counts.sum(axis=0)
    rare = of_category * rows.min() / rows.sum() < LEAST_EXPECTED
    # One is left to tell the others from.
    rare[of_category.argmax()] = False
    if np.count_nonzero(rare) > 1:
        counts = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
        of_category = counts.sum(axis=0)
    expected = np.outer(rows, of_category / rows.sum())
    statistic = float(((counts - expected) ** 2 / expected).sum())
    if expected.min() >= EXACT_BELOW:
        return statistic, chi_square_tail(statistic, counts.shape[1] - 1)
    # Of two categories, both tell the same.
    told = counts.T[: 1 if counts.shape[1] == 2 else None]
    return statistic, min(len(told) * min(exact_tail(int(one[0]), int(one[1]), rows) for one in told), 1.0)


def exact_tail(one: int, other: int, rows: Array) -> float:
    """Return the chance that draws of sets of so many rows are no more probable than one with these in a category.

    Of c rows in the category, of N in all, the set of r rows has k::

        P(k) = C(r, k) C(N - r, c - k) / C(N, c)
    """
    c, r, others = one + other, int(rows[0]), int(rows[1])
    k = np.arange(max(0, c - others), min(r, c), dtype=np.float64)
    # P(k + 1) / P(k), whose products are all P but for a factor: no factorial overflows.
    ratios = (r - k) * (c - k) / ((k + 1) * (others - c + k + 1))
    logarithms = np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    chances = np.exp(logarithms - logarithms.max())
    seen = chances[one - max(0, c - others)]
    return float(chances[chances <= seen * (1 + EQUALLY_PROBABLE)].sum() / chances.sum())


def chi_square_tail(statistic: float, degrees: int) -> float:
    """Return the chance that a chi-square variable exceeds `statistic`: a finite sum, of halves where degrees are odd.

    ::

        h = statistic / 2
        even degrees    e^(-h) (1 + h + h^2 / 2! + ...)                                    degrees / 2 terms
        odd degrees     erfc(sqrt h) + e^(-h) (h^(1/2) / G(3/2) + h^(3/2) / G(5/2) + ...)  (degrees - 1) / 2 terms
    """
    if degrees == 0 or statistic == 0:
        return 1.0
    half, start = statistic / 2, (degrees % 2) / 2
    # By logarithms: powers and factorials of many categories overflow.
    terms = [math.exp(k * math.log(half) - half - math.lgamma(k + 1)) for k in np.arange(start, degrees / 2 - 0.5)]
    return min((math.erfc(math.sqrt(half)) if start else 0.0) + math.fsum(terms), 1.0)


def told_apart(x: Array, y: Array, seed: int) -> tuple[float, float]:
    """Return how well a network tells rows x (n, D) from y (m, D), as many of each, and the p of that accuracy."""
    rng = np.random.default_rng(seed)
    each = min(len(x), len(y), 2 * CLASSIFIED_ROWS)
    rows = np.concatenate([part[rng.permutation(len(part))[:each]] for part in (x, y)])
    labels = np.repeat([0, 1], each)
    # Half of each set, standardised by the figures of the half that is learned from.
    learned = np.tile(np.arange(each) < (each + 1) // 2, 2)
    scale = rows[learned].std(axis=0)
    rows = (rows - rows[learned].mean(axis=0)) / np.where(scale > 0, scale, 1)
    # Far outside of what was learned is far enough.
    rows = np.clip(rows, -10, 10)
    net = Network([Dense(32, activation="relu"), Dense(1)], inputs=rows.shape[1], seed=seed)
    trainer = Trainer(net, loss="binary_cross_entropy", optimizer=Adam(0.003), metrics=["accuracy"])
    trainer.fit(rows[learned], labels[learned], epochs=50, verbose=False)
    accuracy = trainer.evaluate(rows[~learned], labels[~learned], allow_seen=True)["accuracy"]
    judged = int(np.count_nonzero(~learned))
    # Correct answers of a coin: binomial, here by the normal distribution.
    return accuracy, math.erfc((accuracy - 0.5) * 2 * math.sqrt(judged) / math.sqrt(2)) / 2
