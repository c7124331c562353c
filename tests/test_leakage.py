"""Rows that should be apart: what is warned of, with which numbers, and what is not; equality judged by NumPy."""

from __future__ import annotations

import gc
import itertools
import warnings
import weakref

import numpy as np
import pytest

import chainrule as cr
from chainrule import fingerprints, leakage

XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


def rows(count: int, columns: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, columns))


def labels(x: np.ndarray) -> np.ndarray:
    return (np.asarray(x)[:, 0] > 0).astype(int)


def trainer(columns: int = 4, dtype: str = "float32") -> cr.Trainer:
    net = cr.Network([cr.Dense(2)], inputs=columns, dtype=dtype)
    return cr.Trainer(net, loss="cross_entropy", metrics=["accuracy"])


def warned(call, *arguments, **options) -> list[str]:
    """Return the LeakageWarnings of a call; other warnings are errors. They point at this file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        warnings.simplefilter("always", cr.LeakageWarning)
        call(*arguments, **options)
    assert all(one.filename == __file__ for one in caught)
    return [str(one.message) for one in caught]


def fitted(x, columns: int = 4, dtype: str = "float32", **options) -> cr.Trainer:
    made = trainer(columns, dtype)
    made.fit(x, labels(x), epochs=1, verbose=False, **options)
    return made


def evaluated(made: cr.Trainer, x, **options) -> list[str]:
    return warned(lambda: made.evaluate(x, labels(x), **options))


# Evaluation -----------------------------------------------------------------------------------------------------------


def test_some_rows_that_were_trained_on_are_counted(dtype):
    x, new = rows(200), rows(63, seed=1)
    made = fitted(x, dtype=dtype)
    mixed = np.concatenate([new, x[50:87]])
    (message,) = evaluated(made, np.random.default_rng(2).permutation(mixed))
    assert message.startswith("37 of 100 rows of X were trained on or validated with")
    assert "cr.split" in message
    # Two are a copy, one may be chance.
    assert evaluated(made, np.concatenate([new, x[:2]]))[0].startswith("2 of 65 rows")
    assert evaluated(made, np.concatenate([new, x[:1]])) == []
    assert evaluated(made, new) == []
    # In another dtype, layout or type they are the same rows.
    assert len(evaluated(made, np.asfortranarray(mixed.astype(np.float64)))) == 1
    assert len(evaluated(made, mixed.tolist())) == 1


def test_the_figures_are_the_same_with_and_without_the_warning():
    x = rows(40)
    made = fitted(x)
    half = np.concatenate([x[:20], rows(20, seed=1)])
    with pytest.warns(cr.LeakageWarning):
        loud = made.evaluate(half, labels(half))
    assert loud == made.evaluate(half, labels(half), allow_seen=True)
    assert evaluated(made, half, allow_seen=True) == []
    with pytest.raises(TypeError, match="allow_seen must be True or False"):
        made.evaluate(half, labels(half), allow_seen=1)


def test_the_training_error_may_be_looked_at():
    x, validation = rows(60), rows(20, seed=1)
    made = fitted(x, validation_data=(validation, labels(validation)))
    for part in (x, x[:7], x[::-1], validation, np.concatenate([x, validation])):
        assert evaluated(made, part) == []
    split = fitted(x, validation_split=0.25)
    assert evaluated(split, x) == []


def test_rows_that_were_validated_with_count_too():
    x, validation = rows(60), rows(20, seed=1)
    made = fitted(x, validation_data=(validation, labels(validation)))
    (message,) = evaluated(made, np.concatenate([validation[:5], x[:6], rows(9, seed=2)]))
    assert message.startswith("11 of 20 rows")


def test_all_fits_are_remembered_but_for_old_ones():
    made = trainer()
    parts = [rows(20, seed=seed) for seed in range(leakage.FITS + 1)]
    for part in parts:
        made.fit(part, labels(part), epochs=1, verbose=False)
        made.fit(part, labels(part), epochs=1, verbose=False)  # the same one is one
    new = rows(20, seed=99)
    assert len(evaluated(made, np.concatenate([parts[1], new]))) == 1
    assert len(evaluated(made, np.concatenate([parts[-1], new]))) == 1
    assert evaluated(made, np.concatenate([parts[0], new])) == []
    assert evaluated(made, np.concatenate(parts[1:])) == []


@pytest.mark.parametrize(("count", "messages"), [(1, 0), (2, 1), (3, 0)])
def test_few_rows(count, messages):
    # One row is chance, two of three are told, three of three are the training part.
    assert len(evaluated(fitted(rows(3)[:count]), rows(3))) == messages
    assert evaluated(fitted(rows(count)), rows(1, seed=1)) == []


def test_nothing_is_said_before_a_fit():
    x = rows(10)
    assert evaluated(trainer(), x) == []


def test_one_column_says_nothing():
    x = rows(50, 1)
    made = fitted(x, columns=1)
    assert evaluated(made, np.concatenate([x[:20], rows(20, 1, seed=1)])) == []


def test_minus_zero_is_zero(dtype):
    x = np.where(rows(30) > 0, rows(30, seed=1), 0.0)
    assert (
        fingerprints.of_rows(x, np.dtype(dtype)).whole == fingerprints.of_rows(-0.0 + x, np.dtype(dtype)).whole
    ).all()
    negative = np.where(x == 0, -0.0, x)
    np.testing.assert_array_equal(
        fingerprints.of_rows(x, np.dtype(dtype)).whole, fingerprints.of_rows(negative, np.dtype(dtype)).whole
    )


# What chose the epoch -------------------------------------------------------------------------------------------------

CHOOSING = {
    "early stopping": lambda: cr.EarlyStopping(patience=1),
    "early stopping by accuracy": lambda: cr.EarlyStopping("val_accuracy", patience=1),
    "a rule": lambda: cr.StopWhen(cr.Lasts(3) | cr.Reaches("val_accuracy", goal=2.0)),
}
NOT_CHOOSING = {
    "nothing": lambda: cr.Callback(),
    "the training loss": lambda: cr.EarlyStopping("loss", patience=1),
    "time": lambda: cr.StopWhen(cr.Lasts(3)),
    "the rate": lambda: cr.ReduceLROnPlateau(),
}


@pytest.mark.parametrize("make", CHOOSING.values(), ids=CHOOSING.keys())
def test_t21_rows_that_chose_the_epoch_no_longer_test(make):
    x, validation = rows(40), rows(20, seed=1)
    made = fitted(x, validation_data=(validation, labels(validation)), callbacks=[make()])
    (message,) = evaluated(made, validation)
    assert message.startswith("all 20 rows of X are of the validation part")
    assert type(make()).__name__ in message
    assert "they no longer test" in message
    assert len(evaluated(made, validation[:9])) == 1
    assert evaluated(made, validation, allow_seen=True) == []
    assert evaluated(made, x) == []
    assert evaluated(made, rows(20, seed=2)) == []


def test_t21_is_remembered_over_a_second_fit():
    x, validation = rows(40), rows(20, seed=1)
    made = fitted(x, validation_data=(validation, labels(validation)), callbacks=[cr.EarlyStopping(patience=1)])
    made.fit(x, labels(x), epochs=1, verbose=False)
    made.fit(x, labels(x), epochs=1, verbose=False, validation_data=(validation, labels(validation)))
    assert evaluated(made, validation)[0].startswith("all 20 rows")


@pytest.mark.parametrize("make", NOT_CHOOSING.values(), ids=NOT_CHOOSING.keys())
def test_a_validation_part_that_chose_nothing_may_be_looked_at(make):
    x, validation = rows(40), rows(20, seed=1)
    made = fitted(x, validation_data=(validation, labels(validation)), callbacks=[make()])
    assert evaluated(made, validation) == []


def test_t21_with_a_checkpoint_of_the_best(tmp_path):
    pytest.importorskip("safetensors")
    x, validation = rows(40), rows(20, seed=1)
    for best, count in ((True, 1), (False, 0)):
        checkpoint = cr.ModelCheckpoint(tmp_path / "net.safetensors", save_best_only=best)
        made = fitted(x, validation_data=(validation, labels(validation)), callbacks=[checkpoint])
        assert len(evaluated(made, validation)) == count


# Parts that are not apart ---------------------------------------------------------------------------------------------


def test_validation_data_that_are_trained_on():
    x = rows(100)
    validation = np.concatenate([x[:30], rows(10, seed=1)])
    (message,) = warned(
        lambda: trainer().fit(x, labels(x), epochs=1, verbose=False, validation_data=(validation, labels(validation)))
    )
    assert message.startswith("30 of 40 rows of validation_data are trained on, too")
    inside = x[:20]
    (message,) = warned(
        lambda: trainer().fit(x, labels(x), epochs=1, verbose=False, validation_data=(inside, labels(inside)))
    )
    assert message.startswith("20 of 20 rows")


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [3, 4, 5, 0, 1, 2], [0, 3, 4, 1, 2, 5]], ids=repr)
def test_copies_are_found_among_categories_too(order):
    # Three columns of numbers and three of categories, which by themselves repeat all the time.
    def made(count, seed):
        rng = np.random.default_rng(seed)
        return np.column_stack([rng.normal(size=(count, 3)), rng.integers(0, 4, (count, 3))])[:, order]

    x = made(400, 0)
    validation = np.concatenate([x[:20], made(80, 1)])
    (message,) = warned(lambda: fitted(x, 6, validation_data=(validation, labels(validation))))
    assert message.startswith("20 of 100 rows")


def test_the_training_part_itself_may_be_validated_with():
    x = rows(50)
    for validation in (x, x.copy(), x[::-1]):
        assert not warned(
            lambda validation=validation: trainer().fit(
                x, labels(x), epochs=1, verbose=False, validation_data=(validation, labels(validation))
            )
        )


def test_a_warning_that_is_an_error_leaves_the_network_alone():
    x, made = rows(100), trainer()
    before = made.net.core.arena().copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error", cr.LeakageWarning)
        with pytest.raises(cr.LeakageWarning):
            made.fit(x, labels(x), epochs=1, verbose=False, validation_data=(x[:9], labels(x[:9])))
    assert np.array_equal(made.net.core.arena(), before)
    assert made.epochs_done == 0


def test_validation_split_of_rows_that_are_there_twice():
    once = rows(100)
    twice = np.concatenate([once, once])
    (message,) = warned(lambda: fitted(twice, validation_split=0.2))
    assert message.split(" of ")[0].isdigit()
    assert "of 40 rows of the validation part are trained on, too" in message
    assert "np.unique(X, axis=0, return_index=True)" in message
    assert warned(lambda: fitted(once, validation_split=0.2)) == []


def test_split_counts_copies_by_part():
    x = np.concatenate([rows(60), rows(60)[:40]])
    with pytest.warns(cr.LeakageWarning, match="equal rows of the parts before") as caught:
        parts = cr.split(x, labels(x), validation=0.2, test=0.2)
    (message,) = [str(one.message) for one in caught]
    assert caught[0].filename == __file__
    held, before = {}, parts.training[0]
    for name in ("validation", "test"):
        own = getattr(parts, name)[0]
        held[name] = sum((before == row).all(axis=1).any() for row in own)
        assert f"{held[name]} of 20 rows of {name}" in message
        before = np.concatenate([before, own])
    assert min(held.values()) > 0


@pytest.mark.parametrize(
    "array", [np.array(["a", "b"] * 20), [0.5] * 40, np.ones((40, 3, 3)), np.ones((40, 0))], ids=repr
)
def test_split_says_nothing_of_what_is_no_table(array):
    assert warned(lambda: cr.split(array)) == []


# Data that repeat by nature -------------------------------------------------------------------------------------------


def drawn(kind: str, count: int, seed: int) -> np.ndarray:
    """Return rows of kinds of data of which many are equal, or many nearly so."""
    rng = np.random.default_rng(seed)
    one_hot = np.eye(30)[rng.integers(0, 30, count)]
    hour, weekday, month = (2 * np.pi / period * rng.integers(0, period, count) for period in (24, 7, 12))
    return {
        "xor": lambda: XOR[rng.integers(0, 4, count)],
        "binary columns": lambda: rng.integers(0, 2, (count, 8)),
        "three categories": lambda: rng.integers(0, 3, (count, 3)),
        "a rounded plane": lambda: rng.normal(size=(count, 2)).round(1),
        "four rounded columns": lambda: rng.normal(size=(count, 4)).round(1),
        "one-hot": lambda: one_hot,
        "one-hot and a count": lambda: np.column_stack([one_hot, rng.poisson(3, count)]),
        "counts": lambda: rng.poisson(1.0, (count, 10)),
        "sparse counts": lambda: rng.poisson(0.05, (count, 40)),
        "an hour as sine and cosine, and a weekday": lambda: np.column_stack(
            [np.sin(hour), np.cos(hour), rng.integers(0, 7, count)]
        ),
        "sine and cosine of two in turn": lambda: np.column_stack(
            [np.sin(hour), np.cos(hour), np.sin(weekday), np.cos(weekday)]
        ),
        "sine and cosine of three in turn": lambda: np.column_stack(
            [np.sin(hour), np.cos(hour), np.sin(weekday), np.cos(weekday), np.sin(month), np.cos(month)]
        ),
        "sines of three, then cosines": lambda: np.column_stack(
            [np.sin(hour), np.sin(weekday), np.sin(month), np.cos(hour), np.cos(weekday), np.cos(month)]
        ),
        "gaussian": lambda: rng.normal(size=(count, 3)),
        "blank rows": lambda: rng.normal(size=(count, 6)) * (rng.random(count) > 0.1)[:, None],
    }[kind]().astype(float)


KINDS = [
    "xor",
    "binary columns",
    "three categories",
    "a rounded plane",
    "four rounded columns",
    "one-hot",
    "one-hot and a count",
    "counts",
    "sparse counts",
    "an hour as sine and cosine, and a weekday",
    "sine and cosine of two in turn",
    "sine and cosine of three in turn",
    "sines of three, then cosines",
    "gaussian",
    "blank rows",
]


@pytest.mark.parametrize("kind", KINDS)
def test_data_that_repeat_by_nature_are_no_leak(kind):
    # Of three cycles, 60 rows are too few to tell, see leakage.py.
    for count, seed in itertools.product((10, 400, 3000) if "of three" in kind else (10, 60, 400), range(2)):
        x, other = drawn(kind, count, seed), drawn(kind, max(count // 4, 1), seed + 100)
        made = trainer(x.shape[1])
        options = {"epochs": 1, "verbose": False, "batch_size": 256}
        assert not warned(made.fit, x, labels(x), validation_data=(other, labels(other)), **options)
        assert not evaluated(made, other)
        assert not evaluated(made, drawn(kind, count, seed + 200))
        assert not warned(cr.split, x)
        assert not warned(trainer(x.shape[1]).fit, x, labels(x), validation_split=0.25, **options)


@pytest.mark.parametrize(("n", "k", "share"), [(50, 50, 0.3), (50, 50, 1.0), (50, 50, 3.0), (10, 90, 1.0)])
def test_chance_is_as_rare_as_the_formula_says(n, k, share):
    # Two columns of so many values that a row shares a half with `share` others on average: 1 is the worst there is.
    rng, dtype, count = np.random.default_rng(n + k), np.dtype("float64"), 200
    alarms = 0
    for _ in range(count):
        drawn = rng.integers(0, round((n + k) / share), (n + k, 2)).astype(float)
        kept, other = (fingerprints.of_rows(part, dtype) for part in (drawn[:n], drawn[n:]))
        alarms += fingerprints.tell_of_copies(kept, other, kept.holds(other))
    # Two where 0.034 are expected: a chance of 6e-4, 0.12 in 200 draws; 3 or more come once in 4,000 times.
    assert alarms < 3


def test_data_sets_of_scikit_learn_are_no_leak():
    datasets = pytest.importorskip("sklearn.datasets")
    for load in (datasets.load_iris, datasets.load_wine, datasets.load_breast_cancer, datasets.load_digits):
        for seed in range(3):
            assert warned(cr.split, load().data, seed=seed) == []


# Large sets -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_budget(monkeypatch):
    """Let a fit look at 2,000 numbers: 500 rows of 4."""
    monkeypatch.setattr(leakage, "NUMBERS_OF_A_FIT", 2000)


@pytest.mark.usefixtures("small_budget")
def test_large_sets_are_counted_as_long_as_they_are_there():
    x = rows(20000).astype(np.float32)
    made = fitted(x)
    assert evaluated(made, np.concatenate([x[:3], rows(97, seed=1)]))[0].startswith("3 of 100 rows")
    assert evaluated(made, x[:5000]) == []
    assert evaluated(made, x) == []


@pytest.mark.usefixtures("small_budget")
@pytest.mark.parametrize("changed", [False, True])
def test_large_sets_are_estimated_when_they_are_gone(changed):
    x = rows(20000)
    made, kept = fitted(x), x.copy()
    if changed:
        x[...] = rows(20000, seed=5)
    del x
    half = np.concatenate([kept[:6000], rows(6000, seed=1)])
    (message,) = evaluated(made, half)
    count = int(message.split()[1])
    assert message.startswith(f"about {count} of 12000 rows")
    # 150 of the 500 rows of the sample are expected, give or take 10.
    assert abs(count - 6000) < 5 * 10 * 40
    for part in (kept, kept[:6000], kept[-3000:]):
        assert evaluated(made, part) == []


@pytest.mark.usefixtures("small_budget")
def test_large_validation_parts():
    x = rows(20000)
    validation = np.concatenate([x[:5000], rows(1000, seed=1)])
    with pytest.warns(cr.LeakageWarning, match=r"about \d+ of 6000 rows of validation_data"):
        fitted(x, validation_data=(validation, labels(validation)))
    assert warned(lambda: fitted(x, validation_data=(x, labels(x)))) == []
    apart = rows(6000, seed=2)
    made = fitted(x, validation_data=(apart, labels(apart)), callbacks=[cr.EarlyStopping(patience=1)])
    assert evaluated(made, apart)[0].startswith("all 6000 rows")
    assert evaluated(made, np.concatenate([x, apart])) == []


def test_no_data_are_kept_alive():
    x = rows(2000, 300)
    made = fitted(x, columns=300)
    reference = weakref.ref(x)
    del x
    gc.collect()
    assert reference() is None
    assert made.epochs_done == 1


# Fingerprints ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [0, 1, 2, 3, 784])
@pytest.mark.parametrize("count", [0, 1, 3, 1000])
def test_fingerprints_are_equal_where_rows_are(count, columns, dtype):
    x = np.random.default_rng(0).integers(0, 2, (count, columns)).astype(dtype)
    found = fingerprints.of_rows(x, np.dtype(dtype))
    assert found.complete
    assert found.parts.shape == (min(columns, 8), count)
    assert len(np.unique(found.whole)) == len(np.unique(x, axis=0))
    j = np.arange(columns)
    places = j % 4 + 4 * (j >= columns // 2)
    assert found.places == tuple(np.unique(places))
    for place, part in zip(found.places, found.parts, strict=True):
        assert len(np.unique(part)) == len(np.unique(x[:, places == place], axis=0))


@pytest.mark.parametrize("columns", [2, 3, 8, 9, 30])
def test_any_two_parts_are_on_one_side_of_three_cuts(columns):
    # A number that two columns are made of is missing on the other side: there, all rows of one column agree.
    for one, other in itertools.combinations(range(min(columns, 8)), 2):
        x = np.zeros((9, columns))
        x[:, [one, other]] = np.arange(9.0)[:, None]
        found = fingerprints.of_rows(x, np.dtype("float64"))
        together = sum(
            not all(side.any() for side in found.alone(cut))
            for cut in (fingerprints.EVEN_AND_ODD, *fingerprints.OTHER_CUTS)
        )
        j = np.array([one, other])
        place, its = j % 4 + 4 * (j >= columns // 2)
        assert together == (7 if place == its else 3)


def test_fingerprints_tell_round_numbers_apart(dtype):
    # All 0-1 rows of 14 columns: as float64 their bits end in 52 zeros, which must not be left of a product.
    x = np.array(list(itertools.product((0.0, 1.0), repeat=14)), dtype=dtype)
    assert len(np.unique(fingerprints.of_rows(x, np.dtype(dtype)).whole)) == 2**14
    assert len(np.unique(fingerprints.of_rows(x[:, :2] * 2.0**20, np.dtype(dtype)).whole)) == 4


def test_a_sample_is_one_row_of_each_stretch():
    x = np.arange(1000.0)[:, None] * np.ones((1, 3))
    found = fingerprints.of_rows(x, np.dtype("float64"), most=300)
    assert not found.complete
    assert found.each == 10
    whole = fingerprints.of_rows(x, np.dtype("float64"))
    places = np.flatnonzero(found.holds(whole))
    assert np.array_equal(places // 10, np.arange(100))
    assert len(np.unique(places % 10)) == 10
