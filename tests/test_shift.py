"""Whether two sets are of one distribution: statistics by SciPy and by hand, false alarms and misses counted."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest

import chainrule as cr
from chainrule import shift


def normal(rows: int, columns: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


@pytest.mark.parametrize(("n", "m"), [(2, 2), (2, 3), (37, 101), (500, 400)])
@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_numbers_are_compared_as_scipy_does(n, m, decimals):
    stats = pytest.importorskip("scipy.stats")
    x, y = normal(n).round(decimals), normal(m, seed=1).round(decimals) + 0.25
    for column, found in enumerate(cr.compare_distributions(x, y).columns):
        expected = stats.ks_2samp(x[:, column], y[:, column], method="asymp")
        assert found.kind == "numbers"
        # A difference of shares, each rounded once or twice.
        assert found.statistic == pytest.approx(expected.statistic, abs=1e-15)
        assert found.means == (x[:, column].mean(), y[:, column].mean())
        root = math.sqrt(n * m / (n + m)) * found.statistic
        # The bound is the first term of Kolmogorov's series, whose terms alternate.
        series = stats.kstwobign.sf(root)
        assert found.p_value >= min(series, 1) - 1e-15
        if series < 0.1:
            assert found.p_value == pytest.approx(series, rel=1e-3)


def test_shares_by_hand():
    # Shares up to 1, 2, 3, 4: 1/4, 2/4, 3/4, 1 against 0, 0, 1/2, 1.
    (found,) = cr.compare_distributions([[1], [2], [3], [4]], [[3], [4]]).columns
    assert found.statistic == 0.5
    assert found.p_value == min(2 * math.exp(-2 * 0.25 * 8 / 6), 1.0)
    assert found.means == (2.5, 3.5)


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("rows", [(400, 600), (5000, 800)])
def test_categories_are_compared_as_scipy_does(count, rows):
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(count)
    x, y = (
        rng.choice(count, size=n, p=shares)[:, None]
        for n, shares in zip(rows, rng.dirichlet([50.0] * count, 2), strict=True)
    )
    (found,) = cr.compare_distributions(x, y, categories=[0]).columns
    table = [np.bincount(one[:, 0], minlength=count) for one in (x, y)]
    expected = stats.chi2_contingency(table, correction=False)
    assert found.kind == "categories"
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-10)


def test_rare_categories_are_taken_together():
    stats = pytest.importorskip("scipy.stats")
    x = np.repeat([0, 1, *range(2, 12)], [100, 90, *[3] * 10])[:, None]
    y = np.repeat([0, 1, *range(2, 12)], [80, 110, *[4, 1] * 5])[:, None]
    (found,) = cr.compare_distributions(x, y, categories={0}).columns
    expected = stats.chi2_contingency([[100, 90, 30], [80, 110, 25]], correction=False)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-10)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 40), (40, 3), (60, 60), (2000, 300), (10, 60000)])
def test_rare_values_are_told_as_scipy_does(n, m):
    stats = pytest.importorskip("scipy.stats")
    for ones, others in {(0, 0), (1, 0), (0, 1), (1, 1), (n, 0), (0, 5), (2, 19), (n, 1), (n - 1, m - 1), (n, m - 1)}:
        table = np.array([[ones, n - ones], [others, m - others]])
        if table.min() < 0 or np.outer(table.sum(axis=1), table.sum(axis=0)).min() >= shift.EXACT_BELOW * (n + m):
            continue
        x, y = (np.arange(count)[:, None] < some for count, some in ((n, ones), (m, others)))
        (found,) = cr.compare_distributions(x.astype(float), y.astype(float)).columns
        # Sums of the logarithms of up to 2,000 ratios, each rounded.
        assert found.p_value == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-9)
        # X and other change places, and so do the values.
        (turned,) = cr.compare_distributions(1.0 - y, 1.0 - x).columns
        assert turned.p_value == pytest.approx(found.p_value, rel=1e-9)


def test_rare_values_by_hand():
    # All 3 ones of 3 + 5 rows are in one set: 1 of the C(8, 3) = 56 ways, and no other way is as improbable.
    (found,) = cr.compare_distributions([[1.0]] * 3, [[0.0]] * 5).columns
    assert found.p_value == pytest.approx(1 / 56, rel=1e-14)


def test_of_several_categories_the_rarest_difference_counts():
    stats = pytest.importorskip("scipy.stats")
    table = np.array([[300, 7, 9, 0], [280, 8, 0, 12]])
    x, y = (np.repeat(range(4), counts)[:, None] for counts in table)
    (found,) = cr.compare_distributions(x, y, categories=[0]).columns
    others = table.sum(axis=1, keepdims=True) - table
    least = min(stats.fisher_exact([table[:, k], others[:, k]]).pvalue for k in range(4))
    assert found.p_value == pytest.approx(4 * least, rel=1e-9)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 30, 501, 5000])
def test_the_tail_of_chi_square(degrees):
    stats = pytest.importorskip("scipy.stats")
    for statistic in (0.0, 1e-9, 0.1, 1.0, 5.0, 0.8 * degrees, degrees + 3.0, 1.3 * degrees + 40, 1e4):
        found = shift.chi_square_tail(statistic, degrees)
        # Exponents of up to 5,000, rounded to 2^-53 of them; sums of as many terms.
        assert found == pytest.approx(stats.chi2.sf(statistic, degrees), rel=1e-9, abs=1e-15)


def test_a_column_of_two_values_is_one_of_categories():
    x, y = np.array([[0.0], [1.0]] * 30), np.array([[0.0]] * 50 + [[1.0]] * 10)
    (found,) = cr.compare_distributions(x, y).columns
    # 30, 30 and 50, 10 against 40, 20 twice: 2 * (100 / 40 + 100 / 20).
    assert (found.kind, found.statistic) == ("categories", pytest.approx(15.0, rel=1e-14))
    assert found.p_value == pytest.approx(math.erfc(math.sqrt(7.5)), rel=1e-12)


@pytest.mark.parametrize("categories", [(), (0,)])
def test_a_constant_column_is_not_shifted(categories):
    result = cr.compare_distributions(np.ones((9, 1)), np.ones((5, 1)), categories=categories)
    assert result.columns[0].p_value == 1
    assert not result.found
    apart = cr.compare_distributions(np.ones((40, 1)), np.zeros((40, 1)), categories=categories)
    assert apart.shifted == (0,)


def test_false_alarms_are_as_rare_as_alpha_says():
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, y = (
            np.column_stack([rng.normal(size=(n, 10)), rng.integers(0, 2, (n, 5)), rng.poisson(1, (n, 5))])
            for n in (150, 90)
        )
        alarms += cr.compare_distributions(x, y, categories=[15], alpha=0.05).found
    # At most 3 are expected; 5 standard deviations of a binomial number more are 11.
    assert alarms <= 11


@pytest.mark.parametrize("n", [200, 2000, 10000])
@pytest.mark.parametrize("expected", [[0.5], [1], [8], [19], [6, 5.5], [9, 2, 3]], ids=repr)
def test_false_alarms_are_as_rare_where_values_are(n, expected):
    # All ways to draw sets of n and 200 rows, with the chance of each; of the smaller set so many are expected.
    stats = pytest.importorskip("scipy.stats")
    m = 200
    rare = [round(one * (n + m) / m) for one in expected]
    of_category = np.array([n + m - sum(rare), *rare])
    # What is left out is as improbable as 1e-9.
    ranges = [range(min(one, m, round(8 * part + 25)) + 1) for one, part in zip(rare, expected, strict=True)]
    small = np.array([[m - sum(counts), *counts] for counts in itertools.product(*ranges)])
    chances = stats.multivariate_hypergeom.pmf(small, m=of_category, n=m)
    # A way as improbable as 1e-7 does not count.
    small, chances = small[chances > 1e-7], chances[chances > 1e-7]
    assert chances.sum() > 0.999
    p = np.array([shift.chi_square(np.stack([of_category - one, one]))[1] for one in small])
    for level in (0.01, 0.001, 1e-4):
        assert chances[p < level].sum() <= level


def test_a_shifted_column_is_named():
    x, y = normal(400, 6), normal(300, 6, seed=1)
    y[:, 2] += 0.6
    y[:, 5] *= 2.5
    result = cr.compare_distributions(x, y)
    assert set(result.shifted) == {2, 5}
    p = [result.columns[column].p_value for column in result.shifted]
    assert p == sorted(p)
    assert result.found
    lines = repr(result).splitlines()
    assert lines[0] == "2 of 6 columns shifted (p < 0.01 / 6)"
    assert [int(line.split()[0]) for line in lines[2:4]] == list(result.shifted)
    assert f"{y[:, 2].mean():.4g}" in lines[2 + result.shifted.index(2)]


def test_many_columns_are_listed_in_part():
    lines = repr(cr.compare_distributions(normal(20, 50), normal(20, 50, seed=1))).splitlines()
    assert len(lines) == 2 + shift.LISTED


def test_what_no_column_shows_a_network_sees():
    x, y = normal(1000, 4), normal(700, 4, seed=1)
    y[:, 3] = y[:, 0] * 0.9 + y[:, 3] * math.sqrt(1 - 0.81)  # the same marginal, another correlation
    assert not cr.compare_distributions(x, y).found
    result = cr.compare_distributions(x, y, classifier=True)
    assert result.shifted == ()
    assert result.found
    assert result.accuracy > 0.6
    assert "a network tells the sets apart with accuracy 0." in repr(result)
    # The same seed gives the same network.
    assert cr.compare_distributions(x, y, classifier=True) == result


def test_a_network_does_not_see_what_is_not_there():
    for seed in range(8):
        result = cr.compare_distributions(normal(300, 4, seed), normal(900, 4, seed + 50), classifier=True, seed=seed)
        judged = 300 // 2 * 2
        coin = 0.5 * math.erfc((result.accuracy - 0.5) * 2 * math.sqrt(judged) / math.sqrt(2))
        assert result.accuracy_p_value == pytest.approx(coin, rel=1e-12)
        assert not result.found


def test_the_network_takes_rows_as_they_come():
    # Large, constant, repeated: no warning, no error.
    x = np.column_stack([np.full(60, 7.0), np.random.default_rng(0).integers(0, 3, 60), np.linspace(1e6, 1e6 + 60, 60)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not cr.compare_distributions(x, x, classifier=True).shifted
        assert cr.compare_distributions(x, x + np.array([0, 0, 1e3]), classifier=True).accuracy == 1.0
        cr.compare_distributions(x[:2], x[:3], classifier=True)


def test_parts_of_one_set_are_of_one_distribution():
    from chainrule.datasets import load_digits

    X, y = load_digits()
    parts = cr.split(X, y, stratify=y, validation=0.0, test=0.3)
    assert not cr.compare_distributions(parts.training[0], parts.test[0]).found
    # Zeros to fours against fives to nines: another distribution.
    assert len(cr.compare_distributions(X[y < 5], X[y > 4]).shifted) > 20


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"X": [1.0, 2.0]}, ValueError, "X must have shape"),
        ({"X": [[1.0], [np.nan]]}, ValueError, "X must be finite"),
        ({"X": [["a"], ["b"]]}, TypeError, "X must hold real numbers"),
        ({"other": np.ones((4, 2))}, ValueError, "the same columns, at least one; got 1 and 2"),
        ({"X": np.ones((3, 0)), "other": np.ones((3, 0))}, ValueError, "at least one; got 0 and 0"),
        ({"other": [[1.0]]}, ValueError, "other must have at least 2 rows; got 1"),
        ({"X": np.ones((0, 1))}, ValueError, "X must have at least 2 rows; got 0"),
        ({"categories": [1]}, ValueError, "a column of categories must be a whole number from 0 to 0; got 1"),
        ({"categories": "0"}, TypeError, "categories must be column numbers"),
        ({"categories": 0}, TypeError, "categories must be column numbers"),
        ({"alpha": 0}, ValueError, "alpha"),
        ({"alpha": 1}, ValueError, "alpha"),
        ({"classifier": 1}, TypeError, "classifier must be True or False"),
        ({"seed": -1}, ValueError, "seed"),
    ],
    ids=repr,
)
def test_wrong_arguments(options, error, words):
    arguments = {"X": [[1.0], [2.0]], "other": [[1.0], [2.0]], **options}
    with pytest.raises(error, match=words):
        cr.compare_distributions(arguments.pop("X"), arguments.pop("other"), **arguments)


def test_internal_covariate_shift_and_what_batch_norm_makes_of_it():
    # [002]: new inputs, or parameters that have changed, and what a hidden layer gets is of another distribution.
    old, new = normal(600, 6), normal(600, 6, seed=1) * 1.3 + 0.5

    def hidden(normalised: bool) -> cr.Network:
        layers = [cr.Dense(16, activation="tanh"), cr.Dense(8), *([cr.BatchNorm()] if normalised else [])]
        return cr.Network(layers, inputs=6, seed=3, dtype="float64")

    for normalised, least, most in ((False, 7, 8), (True, 0, 1)):
        net = hidden(normalised)
        before, other = (np.asarray(net(x, training=True)) for x in (old, new))
        assert least <= len(cr.compare_distributions(before, other).shifted) <= most
        # The layers below learn; the same rows come.
        targets = np.random.default_rng(2).normal(size=(600, 8)) + 2.0
        cr.Trainer(net, loss="mse", optimizer=cr.SGD(0.1)).fit(old, targets, epochs=5, verbose=False)
        if normalised:
            # What comes out of the normalization itself, before its gamma and beta, which learn where it is to lie.
            net.load_state_dict(net.state_dict() | {"2.gamma": np.ones(8), "2.beta": np.zeros(8)})
        after = np.asarray(net(old, training=True))
        assert least <= len(cr.compare_distributions(before, after).shifted) <= most
        if normalised:
            for outputs in (before, other, after):
                # eps = 1e-5 beside a variance of at least 0.01.
                assert np.abs(outputs.mean(axis=0)).max() < 1e-12
                assert np.abs(outputs.std(axis=0) - 1).max() < 1e-3
