"""Folds: every row is validated on once, parts are nearly equal, and of each class they have nearly as many."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("rows", "k"), [(2, 2), (7, 3), (12, 5), (100, 7), (5, 5)])
def test_every_row_is_validated_on_once(rows: int, k: int, shuffle: bool) -> None:
    parts = cr.folds(rows, k, shuffle=shuffle)
    assert len(parts) == k
    np.testing.assert_array_equal(np.sort(np.concatenate([held_out for _, held_out in parts])), np.arange(rows))
    for training, held_out in parts:
        np.testing.assert_array_equal(np.sort(np.concatenate([training, held_out])), np.arange(rows))
        assert (np.diff(training) > 0).all()
        assert (np.diff(held_out) > 0).all()
        assert len(held_out) in (rows // k, -(-rows // k))


def test_blocks_are_those_of_scikit_learn() -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    for rows, k in ((12, 5), (100, 7), (3, 2)):
        theirs = selection.KFold(k).split(np.zeros((rows, 1)))
        for ours, other in zip(cr.folds(rows, k, shuffle=False), theirs, strict=True):
            np.testing.assert_array_equal(ours[0], other[0])
            np.testing.assert_array_equal(ours[1], other[1])


@pytest.mark.parametrize("classes", [["a"] * 50 + ["b"] * 23 + ["c"] * 4, [0, 1] * 20, [3.5] * 11])
def test_each_class_gives_each_part_nearly_as_many(classes: list[Any]) -> None:
    y = np.array(classes)
    parts = [held_out for _, held_out in cr.folds(len(y), 5, stratify=y, seed=4)]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for one in np.unique(y):
        counts = [int((y[part] == one).sum()) for part in parts]
        assert sum(counts) == (y == one).sum()
        assert max(counts) - min(counts) <= 1


def test_the_seed_decides() -> None:
    first, again, other = (np.concatenate([part for _, part in cr.folds(60, 4, seed=s)]) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    # Drawn, not in blocks: 15 neighbours in a part of their own would be one chance in 10^14.
    assert np.diff(cr.folds(60, 4, seed=1)[0][1]).max() > 1


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((1,), {}, ValueError, "rows must be a whole number from 2"),
        (([1, 2, 3],), {}, TypeError, "rows must be a whole number"),
        ((4, 5), {}, ValueError, "k must be a whole number from 2 to 4; got 5"),
        ((4, 1), {}, ValueError, "k must be"),
        ((4, 2.0), {}, TypeError, "k must be"),
        ((4, 2), {"stratify": [0, 1]}, ValueError, r"stratify must have shape \(4,\)"),
        ((4, 2), {"stratify": [0, 1, np.nan, 1]}, ValueError, "stratify has NaN"),
        ((4, 2), {"stratify": [0, 1, 0, 1], "shuffle": False}, ValueError, "stratify needs shuffle=True"),
        ((4, 2), {"shuffle": 1}, TypeError, "shuffle must be True or False"),
        ((4, 2), {"seed": -1}, ValueError, "seed must be"),
    ],
)
def test_what_folds_refuses(arguments: Any, options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        cr.folds(*arguments, **options)
