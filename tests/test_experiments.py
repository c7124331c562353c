"""Errors over model size and over the number of rows: each point is that of a trainer, and the choice is the rule's."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
from problems import problem

import chainrule as cr
from chainrule import data

COLUMNS, ROWS = 6, 40
SIZES = (1, 2, 3, 4, 6)
# Momentum of 0.9 takes sqrt(0.9) of the way that is left in each step, or less: 500 steps leave 4e-12.
FIT = {"loss": "mse", "optimizer": cr.Momentum(lr=0.05), "epochs": 500, "batch_size": ROWS, "validation_split": 0.4}


def lines(columns, seed):
    """Return a linear network that sees the first columns only."""
    mask = [str(int(i < columns)) for i in range(COLUMNS)]
    return cr.Network([cr.Dense(1, connections=mask, bias=False)], inputs=COLUMNS, dtype="float64", seed=seed)


def noisy_line(rows=ROWS):
    """Return rows of which only the first three columns matter."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(rows, COLUMNS))
    return X, X[:, :3] @ [1.0, -2.0, 1.5] + rng.normal(size=rows)


def least_squares(X, y, trained, held_out, columns=COLUMNS):
    """Return the errors of the best line through the first columns on both parts."""
    w = np.linalg.lstsq(X[trained, :columns], y[trained], rcond=None)[0]
    return [((X[part, :columns] @ w - y[part]) ** 2).mean() for part in (trained, held_out)]


def classifier(seed, units=6):
    return cr.Network([cr.Dense(units, activation="tanh"), cr.Dense(3)], inputs=4, seed=seed)


# The rule of one standard error ---------------------------------------------------------------------------------------


def test_the_simplest_within_one_standard_error():
    errors = [[0.50, 0.52], [0.31, 0.35], [0.30, 0.34], [0.29, 0.35], [0.40, 0.40]]
    # The fourth and the third have a mean of 0.32, the third comes first: its standard error is 0.02, the limit 0.34.
    assert cr.one_se_rule(errors, [1, 2, 3, 4, 5]) == 1
    assert cr.one_se_rule(errors, [5, 4, 3, 2, 1]) == 3
    # Without spread only the best itself is as good.
    assert cr.one_se_rule([[0.4, 0.4], [0.3, 0.3], [0.31, 0.31]], [1, 2, 3]) == 1
    # Of equally simple ones, the better.
    assert cr.one_se_rule([[0.31, 0.35], [0.30, 0.34]], [7, 7]) == 1
    # Three runs: sd 0.1, standard error 0.0577.
    assert cr.one_se_rule([[0.35, 0.36, 0.36], [0.2, 0.3, 0.4]], [1, 2]) == 0
    assert cr.one_se_rule([[0.36, 0.36, 0.36], [0.2, 0.3, 0.4]], [1, 2]) == 1
    assert cr.one_se_rule([[1, 2]], [3]) == 0


def test_models_that_failed_are_not_chosen():
    assert cr.one_se_rule([[0.1, np.nan], [0.3, 0.5], [0.1, np.inf]], [1, 2, 3]) == 1
    with pytest.raises(ValueError, match="errors must be finite for at least one model"):
        cr.one_se_rule([[np.nan, 1.0]], [1])


@pytest.mark.parametrize(
    ("errors", "complexity", "message"),
    [
        ([0.1, 0.2], [1, 2], r"errors must have shape \(models, runs\), at least 1 and 2; got \(2,\)"),
        ([[0.1], [0.2]], [1, 2], r"got \(2, 1\)"),
        (np.zeros((0, 3)), [], r"got \(0, 3\)"),
        ([[0.1, 0.2]], [1, 2], "complexity must be 1 numbers, one for each model"),
        ([[0.1, 0.2]], [np.nan], "complexity must be"),
    ],
)
def test_what_the_rule_does_not_take(errors, complexity, message):
    with pytest.raises(ValueError, match=message):
        cr.one_se_rule(errors, complexity)


# Size of the model ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def complexity():
    return cr.complexity_curve(lines, *noisy_line(), sizes=SIZES, repeats=3, seed=5, **FIT)


def test_each_error_is_that_of_least_squares(complexity):
    X, y = noisy_line()
    for r, seed in enumerate((5, 6, 7)):
        parts = data.split(ROWS, 0.4, seed, None)
        expected = [least_squares(X, y, *parts, columns=size) for size in SIZES]
        found = np.column_stack([complexity.training[:, r], complexity.validation[:, r]])
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert complexity.sizes == SIZES
    assert complexity.parameters == (COLUMNS,) * len(SIZES)
    assert not complexity.diverged.any()
    # More columns fit the training part better, but beyond the third they fit noise.
    assert (np.diff(complexity.training, axis=0) < 0).all()
    assert (np.diff(complexity.validation_median)[:2] < 0).all()
    assert complexity.validation_median[-1] > complexity.validation_median[2]


def test_medians_and_quartiles(complexity):
    assert complexity.validation_median.tolist() == np.sort(complexity.validation, axis=1)[:, 1].tolist()
    assert complexity.training_median.tolist() == np.sort(complexity.training, axis=1)[:, 1].tolist()
    low, high = complexity.validation_quartiles
    ordered = np.sort(complexity.validation, axis=1)
    np.testing.assert_allclose(low, ordered[:, :2].mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(high, ordered[:, 1:].mean(axis=1), rtol=1e-12)


def test_occam_chooses_the_network_that_is_large_enough():
    # A sine of one period and a half: a few units can draw it, more draw it no better by more than chance.
    rng = np.random.default_rng(1)
    X = rng.uniform(-1, 1, size=(120, 1))
    y = np.sin(4.5 * X[:, 0]) + 0.2 * rng.normal(size=120)
    curve = cr.complexity_curve(
        lambda units, seed: cr.Network([cr.Dense(units, activation="tanh"), cr.Dense(1)], inputs=1, seed=seed),
        X,
        y,
        sizes=[1, 4, 16, 48],
        loss="mse",
        optimizer=cr.Adam(0.03),
        epochs=400,
        repeats=5,
    )
    assert curve.parameters == (4, 13, 49, 145)
    assert curve.simplest == 4
    one, four, *_ = curve.validation_median
    assert one > 3 * four
    # The variance of the noise is 0.04: nothing does much better than that.
    assert 0.02 < four < 0.08
    shown = repr(curve).splitlines()
    assert shown[0].split("  ")[0] == "size"
    assert "simplest within one standard error" in shown[3]
    assert sum("best" in line for line in shown) == 1


def test_the_error_of_classes():
    X, y = problem(rows=90)
    given = {"loss": "cross_entropy", "epochs": 3, "repeats": 2, "seed": 2}
    curve = cr.complexity_curve(
        lambda units, seed: classifier(seed, units), X, y, sizes=[2, 5], measure="error", **given
    )
    for r, seed in enumerate((2, 3)):
        trained, held_out = data.split(90, 0.2, seed, y)
        learner = cr.Trainer(classifier(seed, 5), loss="cross_entropy", metrics=["accuracy"], seed=seed)
        learner.fit(X[trained], y[trained], epochs=3, verbose=False)
        for part, found in ((trained, curve.training), (held_out, curve.validation)):
            assert found[1, r] == 1 - learner.evaluate(X[part], y[part])["accuracy"]
    assert "validation error" in repr(curve)


def test_runs_that_diverge_are_counted_and_not_warned_of():
    X, y = noisy_line()
    wild = {**FIT, "optimizer": cr.SGD(1e120), "epochs": 3}
    curve = cr.complexity_curve(lines, X, y, sizes=[1, 6], repeats=2, **wild)
    assert curve.diverged.all()
    assert np.isfinite(curve.validation).all()
    assert repr(curve).splitlines()[-1] == "4 of 4 runs diverged"


def test_callbacks_see_the_validation_part():
    X, y = noisy_line()
    early = cr.EarlyStopping(patience=5)
    curve = cr.complexity_curve(lines, X, y, sizes=[3, 6], repeats=2, callbacks=[early], **FIT)
    for r, seed in enumerate((0, 1)):
        learner = cr.Trainer(lines(6, seed), loss="mse", optimizer=FIT["optimizer"], seed=seed)
        options = {name: FIT[name] for name in ("epochs", "batch_size", "validation_split")}
        history = learner.fit(X, y, verbose=False, callbacks=[early], **options)
        assert history.epochs < FIT["epochs"]
        assert curve.validation[1, r] == min(history["val_loss"])


# Number of rows -------------------------------------------------------------------------------------------------------


def test_each_number_of_rows_is_that_of_least_squares():
    X, y = noisy_line(80)
    given = {**FIT, "batch_size": 80, "epochs": 800}
    curve = cr.data_size_curve(lambda seed: lines(COLUMNS, seed), X, y, rows=[10, 20, 48], repeats=2, seed=3, **given)
    assert curve.rows == (10, 20, 48)
    assert curve.parameters == (COLUMNS,) * 3
    for r, seed in enumerate((3, 4)):
        trained, held_out = data.split(80, 0.4, seed, None)
        # All rows in the last point; and there the order in which they came does not matter.
        expected = least_squares(X, y, trained, held_out)
        np.testing.assert_allclose([curve.training[2, r], curve.validation[2, r]], expected, rtol=1e-9)
    # A line through few rows fits them too well.
    assert (np.diff(curve.training_median) > 0).all()
    assert (np.diff(curve.validation_median) < 0).all()
    np.testing.assert_allclose(curve.gap, (curve.validation - curve.training).mean(axis=1), rtol=1e-15)
    assert (np.diff(curve.gap) < 0).all()
    gains = curve.validation[1] - curve.validation[2]
    assert curve.last_gain == pytest.approx(gains.mean())
    assert curve.last_gain_error == pytest.approx(abs(gains[0] - gains[1]) / 2)


class Counts(cr.Callback):
    """Notes what each fit was given."""

    def __init__(self):
        self.seen = []

    def on_train_begin(self, logs):
        self.seen.append([])

    def on_epoch_end(self, epoch, logs):
        self.seen[-1].append(epoch)


def test_small_parts_get_as_many_steps():
    X, y = problem(rows=90)
    given = {"loss": "cross_entropy", "epochs": 6, "batch_size": 8, "repeats": 2, "rows": [4, 20, 72]}
    # 72 rows make 9 steps an epoch, 20 make 3, 4 make 1.
    for same, expected in ((True, [54, 18, 6]), (False, [6, 6, 6])):
        counts = Counts()
        cr.data_size_curve(classifier, X, y, same_steps=same, callbacks=[counts], **given)
        assert [len(epochs) for epochs in counts.seen] == expected * 2


def test_parts_grow_and_have_their_share_of_each_class(monkeypatch):
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([0, 1, 2], [60, 30, 10]))
    X = np.column_stack([np.arange(100.0), y, y, y])
    seen = []

    def watching(trainer, X, y, **options):
        seen.append((X[:, 0].astype(int).tolist(), y.tolist(), options["sample_weight"].tolist()))
        return False

    monkeypatch.setattr("chainrule.repeated_fits.fit_diverges", watching)
    weight = np.arange(1.0, 101)
    given = {"loss": "cross_entropy", "repeats": 2, "rows": [10, 20, 40, 80], "sample_weight": weight}
    cr.data_size_curve(classifier, X, y, **given)
    for r in range(2):
        parts = seen[4 * r : 4 * r + 4]
        for rows, labels, weights in parts:
            np.testing.assert_array_equal(y[rows], labels)
            np.testing.assert_array_equal(weight[rows], weights)
            shares = np.bincount(labels, minlength=3) / len(labels)
            np.testing.assert_allclose(shares, [0.6, 0.3, 0.1], atol=1 / len(labels))
        assert all(set(small[0]) < set(large[0]) for small, large in itertools.pairwise(parts))
        assert sorted(parts[3][0]) == data.split(100, 0.2, r, y)[0].tolist()
    assert seen[0][0] != seen[4][0]


def test_more_rows_help_until_they_do_not():
    curve = cr.DataSizeCurve(
        training=np.array([[0.1, 0.1, 0.1], [0.2, 0.2, 0.2]]),
        validation=np.array([[0.50, 0.54, 0.58], [0.40, 0.42, 0.44]]),
        parameters=(3, 3),
        diverged=np.zeros((2, 3), dtype=bool),
        measure="loss",
        rows=(10, 20),
    )
    # Gains of 0.10, 0.12 and 0.14: 0.12 +- 0.02 / sqrt(3).
    assert curve.last_gain == pytest.approx(0.12)
    assert curve.last_gain_error == pytest.approx(0.02 / 3**0.5)
    assert curve.more_would_help
    assert repr(curve).endswith("from 10 to 20 rows the error fell by 0.12 +- 0.012: more data would help")
    flat = cr.DataSizeCurve(curve.training, curve.validation[[1, 1]], (3, 3), curve.diverged, "loss", (10, 20))
    assert not flat.more_would_help
    assert repr(flat).endswith("more of such data would hardly help")


def test_more_data_help_where_there_are_few():
    X, y = problem(rows=400)
    given = {"loss": "cross_entropy", "optimizer": cr.Adam(0.02), "epochs": 4, "repeats": 4}
    assert cr.data_size_curve(lambda seed: classifier(seed, 24), X, y, rows=[6, 48], **given).more_would_help
    full = cr.data_size_curve(lambda seed: classifier(seed, 24), X, y, rows=[300, 320], **given)
    assert not full.more_would_help


def test_rows_by_default():
    X, y = noisy_line()
    given = {**FIT, "epochs": 1}
    curve = cr.data_size_curve(lambda seed: lines(2, seed), X, y, repeats=2, **given)
    assert curve.rows == (2, 3, 6, 12, 24)  # of 24 rows: 1.5, 3, 6, 12 and all
    tiny = cr.data_size_curve(lambda seed: lines(2, seed), X[:4], y[:4], repeats=2, **given)
    assert tiny.rows == (1, 2)


def test_it_repeats_bit_for_bit():
    X, y = problem(rows=60)
    given = {"loss": "cross_entropy", "epochs": 2, "repeats": 2, "batch_size": 16}
    first, second = (cr.data_size_curve(classifier, X, y, **given) for _ in range(2))
    np.testing.assert_array_equal(first.validation, second.validation)
    other = cr.data_size_curve(classifier, X, y, **given, seed=1)
    # Run 0 of the second is run 1 of the first.
    np.testing.assert_array_equal(first.validation[:, 1], other.validation[:, 0])


# Pictures, and what does not suit -------------------------------------------------------------------------------------


def test_the_picture_of_sizes(complexity, tmp_path):
    ax = pytest.importorskip("matplotlib.figure").Figure().add_subplot()
    assert complexity.plot(ax) is ax
    training, validation, limit, chosen = ax.get_lines()
    np.testing.assert_array_equal(training.get_ydata(), complexity.training_median)
    np.testing.assert_array_equal(validation.get_ydata(), complexity.validation_median)
    best = complexity.validation[SIZES.index(complexity.best)]
    assert limit.get_ydata()[0] == pytest.approx(best.mean() + best.std(ddof=1) / 3**0.5)
    assert SIZES[chosen.get_xdata()[0]] == complexity.simplest
    assert [label.get_text() for label in ax.get_xticklabels()] == [str(size) for size in SIZES]
    complexity.plot().figure.savefig(tmp_path / "sizes.png")


def test_the_picture_of_rows(tmp_path):
    pytest.importorskip("matplotlib")
    # One bad run in the first point: the medians keep the picture's height.
    validation = np.array([[1.0, 1.1, 90.0], [0.5, 0.6, 0.7]])
    curve = cr.DataSizeCurve(validation / 2, validation, (3, 3), np.zeros((2, 3), dtype=bool), "loss", (10, 20))
    ax = curve.plot()
    assert ax.get_xscale() == "log"
    bottom, top = ax.get_ylim()
    # From 0.275, the least quartile, to the greatest median of 1.1 and two thirds of that further.
    assert (bottom, top) == pytest.approx((0.275 - 0.05 * 1.375, 0.275 + 1.05 * 1.375))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["10", "20"]
    assert ax.get_ylabel() == "loss"
    assert ax.get_lines()[1].get_label() == "validation, median and quartiles"
    ax.figure.savefig(tmp_path / "rows.png")


def test_the_picture_where_all_errors_are_alike(tmp_path):
    pytest.importorskip("matplotlib")
    alike = np.zeros((2, 2))
    curve = cr.DataSizeCurve(alike, alike, (3, 3), alike > 0, "error", (10, 20))
    curve.plot().figure.savefig(tmp_path / "rows.png")


def test_pictures_need_matplotlib(complexity, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'error curves need matplotlib: pip install "chainrule\[plot\]"'):
        complexity.plot()


COMMON_FAULTS = [
    ({"repeats": 1}, "repeats must be a whole number from 2"),
    ({"epochs": 0}, "epochs must be"),
    ({"batch_size": 0.5}, "batch_size must be"),
    ({"validation_split": 0}, "validation_split must be a finite number above 0 and below 1; got 0"),
    ({"seed": -1}, "seed must be"),
    ({"measure": "accuracy"}, "measure='accuracy' is unknown; known are 'loss', 'error'"),
    ({"measure": "error"}, "metrics='accuracy' does not suit"),
    ({"loss": "cross"}, "loss='cross' is unknown"),
]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *COMMON_FAULTS,
        ({"sizes": []}, "sizes must hold at least one size"),
        ({"sizes": [2, 2]}, "no two alike"),
        ({"make_network": 3}, "make_network must be a function"),
        ({"make_network": lambda size, seed: 3}, r"make_network\(1, 0\) must be a Network; got 3"),
        (
            {"make_network": lambda size, seed: lines(size, 9)},
            r"must hand the seed on, .*; make_network\(1, 0\) has seed 9",
        ),
    ],
)
def test_curves_of_sizes_that_cannot_be(options, message):
    given = {"make_network": lines, "sizes": [1], **FIT, **options}
    with pytest.raises((ValueError, TypeError), match=message):
        cr.complexity_curve(given.pop("make_network"), *noisy_line(), **given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *COMMON_FAULTS,
        ({"rows": [5]}, "rows must hold at least two numbers, ascending, at most 24"),
        ({"rows": [5, 5]}, "ascending"),
        ({"rows": [5, 25]}, "rows must be a whole number from 1 to 24; got 25"),
        ({"rows": 5}, "rows must be a list of numbers of rows"),
        ({"same_steps": 1}, "same_steps must be True or False"),
        ({"make_network": lines(1, 0)}, "make_network must be a function of a seed that returns a Network"),
        ({"make_network": lambda seed: lines(1, 9)}, "must hand the seed on"),
    ],
)
def test_curves_of_rows_that_cannot_be(options, message):
    given = {"make_network": lambda seed: lines(1, seed), **FIT, **options}
    with pytest.raises((ValueError, TypeError), match=message):
        cr.data_size_curve(given.pop("make_network"), *noisy_line(), **given)
