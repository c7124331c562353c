"""Normalization within groups, judged by NumPy, group by group."""

from __future__ import annotations

import numpy as np
import pytest
from problems import rows

import chainrule as cr

SPEAKERS = np.array(["eva", "bo", "ida"])[np.arange(60) * 7 % 3]
OFFSETS = {"eva": [10.0, 0, -5, 1], "bo": [-3.0, 4, 0, 1], "ida": [0.0, 0, 100, 1]}
X = rows(60) + np.array([OFFSETS[one] for one in SPEAKERS])


def fitted(**options):
    return cr.GroupStandardizer(**options).fit(X, SPEAKERS)


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("groups", [SPEAKERS, np.unique(SPEAKERS, return_inverse=True)[1]], ids=["words", "numbers"])
def test_each_group_by_its_own_figures(scale, groups):
    found = cr.GroupStandardizer(scale=scale).fit_transform(X, groups)
    for group in np.unique(groups):
        own = X[groups == group]
        expected = (own - own.mean(axis=0)) / (own.std(axis=0) if scale else 1)
        np.testing.assert_allclose(found[groups == group], expected, rtol=0, atol=1e-13)


def test_what_differs_between_speakers_alone_is_gone():
    # Lecture [001]: an additive mean that is unique per speaker. Without it the rows are the same draw.
    plain = cr.GroupStandardizer().fit_transform(rows(60), SPEAKERS)
    np.testing.assert_allclose(fitted().transform(X, SPEAKERS), plain, rtol=0, atol=1e-12)


def test_seen_groups_keep_the_figures_of_the_fit():
    standardizer, one = fitted(), X[:1] + 5
    mean = X[SPEAKERS[0] == SPEAKERS].mean(axis=0)
    np.testing.assert_allclose(standardizer.transform(one, SPEAKERS[:1]), one - mean, rtol=0, atol=1e-13)
    assert standardizer.groups_.tolist() == ["bo", "eva", "ida"]
    assert np.all(standardizer.scales_ == 1)


def test_the_three_rules_for_unseen_groups():
    new, names = rows(8, seed=3) + 50, np.array(["bo", "kim", "kim", "bo", "lee", "lee", "lee", "kim"])
    seen = new[names == "bo"] - X[SPEAKERS == "bo"].mean(axis=0)
    own = fitted(unseen="own").transform(new, names)
    for name in ("kim", "lee"):
        np.testing.assert_allclose(own[names == name].mean(axis=0), 0, atol=1e-13)
    shared = fitted(unseen="global").transform(new, names)
    np.testing.assert_allclose(shared[names != "bo"], (new - X.mean(axis=0))[names != "bo"], rtol=0, atol=1e-12)
    for found in (own, shared):
        np.testing.assert_allclose(found[names == "bo"], seen, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match=r"^groups holds 'kim', which was not there in fit, and unseen='error'"):
        fitted(unseen="error").transform(new, names)
    assert fitted(unseen="error").transform(new[names == "bo"], ["bo", "bo"]).shape == (2, 4)


def test_one_row_of_an_unseen_group_is_no_mean():
    with pytest.raises(ValueError, match=r"^group 'kim' was not there in fit and has one row"):
        fitted().transform(X[:1], ["kim"])
    assert np.isfinite(fitted(unseen="global").transform(X[:1], ["kim"])).all()


def test_columns_that_are_equal_within_a_group():
    x = np.array([[0.1, 1], [0.1, 3], [0.1, 5], [7, 2]])
    found = cr.GroupStandardizer(scale=True).fit_transform(x, [1, 1, 1, 2])
    assert found[:, 0].tolist() == [0, 0, 0, 0]
    assert found[3].tolist() == [0, 0]


def test_precision():
    x = (X + 1e4).astype(np.float32)
    found = cr.GroupStandardizer().fit_transform(x, SPEAKERS)
    assert found.dtype == np.float32
    # Computed in float64: only the results are rounded.
    exact = cr.GroupStandardizer().fit_transform(x.astype(np.float64), SPEAKERS)
    assert np.abs(found - exact).max() <= np.abs(exact).max() * 2.0**-24
    assert cr.GroupStandardizer().fit_transform([[1, 2], [3, 4]], [0, 0]).dtype == np.float64


@pytest.mark.parametrize("options", [{}, {"scale": True, "unseen": "global"}])
def test_plain_arrays_are_all_of_it(options, tmp_path):
    standardizer = fitted(**options)
    np.savez(tmp_path / "speakers.npz", **standardizer.arrays())
    with np.load(tmp_path / "speakers.npz") as arrays:
        again = cr.GroupStandardizer.from_arrays(arrays)
    assert repr(again) == repr(standardizer)
    new, names = rows(5, seed=4), ["bo", "kim", "kim", "eva", "ida"]
    assert again.transform(new, names).tobytes() == standardizer.transform(new, names).tobytes()


def test_no_rows_and_one_column():
    assert fitted().transform(np.zeros((0, 4)), []).shape == (0, 4)
    assert cr.GroupStandardizer().fit_transform([[3.0], [5]], ["a", "a"]).tolist() == [[-1], [1]]


def edited(**more):
    return {**fitted().arrays(), **more}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cr.GroupStandardizer(scale=1), TypeError, "^scale must be True or False"),
        (lambda: cr.GroupStandardizer(unseen="none"), ValueError, "^unseen='none' is unknown; known are 'own'"),
        (lambda: fitted().fit(X, SPEAKERS[:3]), ValueError, "^groups must have 60 rows"),
        (lambda: fitted().fit(X[:0], []), ValueError, "^X must have at least one row"),
        (lambda: fitted().fit(X[:, :0], SPEAKERS), ValueError, "^X must have at least one row and one column"),
        (lambda: fitted().fit([[np.nan]], ["a"]), ValueError, "^X must be finite"),
        (lambda: fitted().fit(X, [None] * 60), TypeError, "^groups must hold words or numbers"),
        (lambda: fitted().fit([[1e300], [-1e300]], [0, 0]), ValueError, "column 0 of X holds numbers too large"),
        (lambda: fitted().transform(X[:, :3], SPEAKERS), ValueError, r"^X must have shape \(rows, 4\)"),
        (lambda: fitted().transform(X, np.arange(60)), TypeError, "^groups cannot be compared with those known: int64"),
        (lambda: cr.GroupStandardizer().transform(X, SPEAKERS), ValueError, "^GroupStandardizer has no figures yet"),
        (lambda: cr.GroupStandardizer().arrays(), ValueError, "^GroupStandardizer has no figures yet"),
        (lambda: cr.GroupStandardizer.from_arrays({}), ValueError, "missing are"),
        (lambda: cr.GroupStandardizer.from_arrays(edited(means=np.zeros(3))), ValueError, r"^arrays\['means'\] must"),
        (
            lambda: cr.GroupStandardizer.from_arrays(edited(scale=np.zeros(4))),
            ValueError,
            r"^arrays\['scale'\] must be n",
        ),
        (lambda: cr.GroupStandardizer.from_arrays(edited(groups=np.array(["c", "b", "a"]))), ValueError, "ascending"),
        (lambda: cr.GroupStandardizer.from_arrays(edited(unseen=np.array("x"))), ValueError, "^unseen='x' is unknown"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_failed_fit_leaves_the_figures():
    standardizer = fitted()
    before = standardizer.transform(X, SPEAKERS)
    with pytest.raises(ValueError, match="too large"):
        standardizer.fit([[1e300] * 4, [-1e300] * 4], ["bo", "bo"])
    assert np.array_equal(standardizer.transform(X, SPEAKERS), before)
