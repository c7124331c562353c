"""Splits: every row in exactly one part, as many as were asked for, of each class its share."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import chainrule as cr

X = np.arange(400).reshape(200, 2)
Y = np.array(["a"] * 150 + ["b"] * 40 + ["c"] * 10)
PARTS = ("training", "training_dev", "validation", "test")


def sizes(parts: cr.Split) -> tuple[int, ...]:
    """Return the rows of the parts, after checking that each row is in one of them and nowhere else."""
    rows = [parts.rows[name] for name in PARTS]
    assert list(parts.rows) == list(PARTS)
    count = sum(map(len, rows))
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(count))
    assert all((np.diff(one) > 0).all() for one in rows)
    return tuple(map(len, rows))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    ("rows", "shares", "expected"),
    [
        (200, {}, (120, 0, 40, 40)),
        (200, {"training_dev": 0.1}, (100, 20, 40, 40)),
        (200, {"validation": 0.25, "test": 0.0}, (150, 0, 50, 0)),
        (200, {"validation": 0.0, "test": 0.0, "training_dev": 0.3}, (140, 60, 0, 0)),
        (200, {"validation": 0.3, "test": 0.3, "training_dev": 0.39}, (2, 78, 60, 60)),
        (7, {"validation": 0.15, "test": 0.01, "training_dev": 0.01}, (4, 1, 1, 1)),
        (4, {"training_dev": 0.2}, (1, 1, 1, 1)),
        (1, {"validation": 0.0, "test": 0.0}, (1, 0, 0, 0)),
    ],
)
def test_sizes(rows: int, shares: dict[str, float], expected: tuple[int, ...], shuffle: bool) -> None:
    assert sizes(cr.split(np.arange(rows), shuffle=shuffle, **shares)) == expected


def test_arrays_are_cut_alike() -> None:
    weight = np.linspace(1, 2, 200, dtype="float32")
    parts = cr.split(X, list(Y), weight, training_dev=0.1, seed=3)
    for name in PARTS:
        x, y, w = getattr(parts, name)
        rows = parts.rows[name]
        np.testing.assert_array_equal(x, X[rows])
        np.testing.assert_array_equal(y, Y[rows])
        np.testing.assert_array_equal(w, weight[rows])
        assert w.dtype == np.float32
        assert not np.shares_memory(x, X)
    assert repr(parts) == "Split(training=100, training_dev=20, validation=40, test=40)"


def test_a_part_that_was_not_asked_for_is_empty() -> None:
    parts = cr.split(X, Y, test=0)
    assert (parts.test, parts.training_dev) == ((), ())
    assert len(parts.rows["test"]) == 0


def test_the_seed_decides() -> None:
    first, again, other = (cr.split(X, seed=seed).rows for seed in (1, 1, 2))
    for name in PARTS:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["test"], other["test"])


def test_rows_are_drawn_evenly() -> None:
    counts = Counter(row for seed in range(400) for row in cr.split(X[:20], seed=seed).rows["test"].tolist())
    # Each row is in a test part of 4 of 20 with probability 0.2: mean 80, standard deviation 8.
    assert len(counts) == 20
    assert all(abs(count - 80) < 4 * 8 for count in counts.values())


def test_in_order_what_comes_last_is_tested_on() -> None:
    rows = cr.split(X, training_dev=0.1, shuffle=False).rows
    np.testing.assert_array_equal(np.concatenate([rows[name] for name in PARTS]), np.arange(200))


@pytest.mark.parametrize("labels", [Y, np.unique(Y, return_inverse=True)[1], list(Y)], ids=["words", "numbers", "list"])
def test_each_class_gives_its_share(labels: Any) -> None:
    parts = cr.split(X, Y, training_dev=0.1, stratify=labels, seed=5)
    shares = {"training": 0.5, "training_dev": 0.1, "validation": 0.2, "test": 0.2}
    for name, share in shares.items():
        found = Counter(getattr(parts, name)[1].tolist())
        assert all(abs(found[word] - share * (word == Y).sum()) <= 1 for word in "abc"), (name, found)
    assert sizes(parts) == (100, 20, 40, 40)


def test_a_rare_class_is_trained_on_first() -> None:
    labels = np.array([0] * 19 + [1])
    for seed in range(20):
        assert 19 in cr.split(labels, stratify=labels, seed=seed).rows["training"]


def test_frames_stay_frames() -> None:
    class Rows:
        def __init__(self, frame: Frame) -> None:
            self.frame = frame

        def __getitem__(self, rows: Any) -> Frame:
            return Frame(self.frame.values[rows])

    class Frame:
        def __init__(self, values: Any) -> None:
            self.values, self.shape = values, values.shape

        def __len__(self) -> int:
            return len(self.values)

        @property
        def iloc(self) -> Rows:
            return Rows(self)

    parts = cr.split(Frame(X), Y)
    assert isinstance(parts.training[0], Frame)
    np.testing.assert_array_equal(parts.test[0].values, X[parts.rows["test"]])


@pytest.mark.parametrize(("share", "why"), [(0.05, "fewer rows judge badly"), (0.35, "more are missing in training")])
def test_shares_that_the_lecture_would_not_take(share: float, why: str) -> None:
    with pytest.warns(cr.SplitWarning, match=rf"^validation={share}: lecture \[000\] keeps 10 to 30 % .*; {why}$"):
        cr.split(X, validation=share)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.0])
def test_shares_that_it_takes(share: float) -> None:
    cr.split(X, validation=share)


@pytest.mark.parametrize(
    ("arrays", "options", "error", "message"),
    [
        ((), {}, TypeError, "split needs at least one array"),
        ((3,), {}, TypeError, "array 0 of split has no rows; got 3"),
        ((X, Y[:-1]), {}, ValueError, "all arrays of split must have 200 rows, as the first; array 1 has 199"),
        ((X,), {"validation": 0.6, "test": 0.4}, ValueError, "must leave rows to train on; together 1"),
        ((X,), {"validation": -0.1}, ValueError, "validation must be a finite number at least 0"),
        ((X,), {"test": 1.0}, ValueError, "test must be a finite number at least 0 and below 1; got 1.0"),
        ((X,), {"test": "half"}, TypeError, "test must be a finite number at least 0 and below 1; got 'half'"),
        ((X[:2],), {}, ValueError, "2 rows are too few for parts of 1, 1, 0 rows and training"),
        ((X[:0],), {}, ValueError, "0 rows are too few"),
        ((X,), {"stratify": Y[:-1]}, ValueError, r"stratify must have shape \(200,\)"),
        ((X,), {"stratify": np.full(200, np.nan)}, ValueError, "stratify has NaN"),
        ((X,), {"stratify": Y, "shuffle": False}, ValueError, "stratify needs shuffle=True"),
        ((X,), {"shuffle": 1}, TypeError, "shuffle must be"),
        ((X,), {"seed": -1}, ValueError, "seed must be"),
    ],
)
def test_bad_input(arrays: tuple[Any, ...], options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cr.split(*arrays, **options)
