"""Search spaces: the lectures' values, the size of a grid, and points drawn as their distribution says."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest

import chainrule as cr
from chainrule.spaces import grid_points, random_points

X = np.random.default_rng(0).normal(size=(12, 4))
TARGETS = {
    "classes": np.arange(12) % 3,
    "binary": np.arange(12) % 2,
    "labels": np.random.default_rng(1).integers(0, 2, size=(12, 3)),
    "regression": X[:, 0],
}


def test_the_space_of_the_lectures():
    space = cr.search_space("lecture")
    values = {
        "learning_rate": [0.1, 0.01, 0.001],
        "dropout": [0.2, 0.4, 0.5],
        "epochs": [20, 50, 100],
        "batch_size": [32, 64, 128, 256],
        "optimizer": ["sgd", "momentum", "rmsprop", "adam"],
    }
    assert {name: space[name] for name in values} == values
    assert space["l2"][0] == 1e-5
    assert 0.9 in space["momentum"]
    # [000]: rate, regularization, epochs, layers, nodes, initialization, loss, activation. [002] adds the others.
    assert set(space) == set(values) | {
        *("l2", "hidden_layers", "units", "weight_init", "loss", "activation", "momentum")
    }
    # "Curse of dimensionality": the whole of it is 4^5 * 3^6 * 2 points.
    assert cr.grid_size(space) == math.prod(map(len, space.values()))
    assert cr.grid_size(space) > 1_000_000


def test_a_space_is_a_dict_of_its_own():
    space = cr.search_space()
    del space["loss"]
    space["units"].append(256)
    assert cr.search_space() != space
    assert "loss" in cr.search_space()


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("name", ["lecture", "recipe"])
def test_trainers_can_be_made_of_every_value(name, kind):
    space, y = cr.search_space(name, kind=kind), TARGETS[kind]
    first = {one: values[0] for one, values in space.items()}
    for one, values in space.items():
        for value in values:
            trainer = cr.trainer_for(first | {one: value}, X, y, kind=kind)
            assert trainer.net.inputs == 4
            assert trainer.loss.targets("y", y, 12, trainer.net.outputs, trainer.net.dtype) is not None


def test_the_sizes_of_grids():
    assert cr.grid_size({"a": [1]}) == 1
    assert cr.grid_size({"a": [1, 2], "b": (3, 4, 5), "c": range(4), "d": np.arange(5)}) == 120
    assert cr.grid_size({f"x{i}": [1, 2, 3] for i in range(100)}) == 3**100


def test_the_grid_is_the_product():
    space = {"a": [1, 2], "b": ["x", "y", "z"]}
    assert list(grid_points(space)) == [{"a": a, "b": b} for a, b in itertools.product([1, 2], "xyz")]


def test_scikit_learn_takes_a_space():
    selection = pytest.importorskip("sklearn.model_selection")
    space = {"a": [1, 2], "b": ["x", "y", "z"]}
    theirs = [tuple(sorted(one.items())) for one in selection.ParameterGrid(space)]
    assert sorted(theirs) == sorted(tuple(sorted(one.items())) for one in grid_points(space))
    space["rate"] = cr.Between(1e-4, 1e-1, scale="log")
    drawn = list(selection.ParameterSampler(space, 50, random_state=0))
    assert all(1e-4 <= one["rate"] <= 1e-1 for one in drawn)
    assert len({one["rate"] for one in drawn}) == 50


def test_distributions_of_scipy_are_drawn_from():
    stats = pytest.importorskip("scipy.stats")
    drawn = random_points({"rate": stats.loguniform(1e-4, 1), "units": stats.randint(3, 6)}, 200, seed=0)
    assert {one["units"] for one in drawn} == {3, 4, 5}
    assert all(type(one["units"]) is int and type(one["rate"]) is float for one in drawn)
    # As many below the geometric mean as above: 200 throws of a coin, five standard deviations of 7.1.
    assert abs(sum(one["rate"] < 1e-2 for one in drawn) - 100) < 36
    for q in (0.0, 0.25, 0.9, 1.0):
        assert cr.Between(1e-4, 1, scale="log").ppf(q) == pytest.approx(stats.loguniform(1e-4, 1).ppf(q), rel=1e-12)
        assert cr.Between(-2, 3).ppf(q) == pytest.approx(stats.uniform(-2, 5).ppf(q), rel=1e-12)


def test_between():
    assert cr.Between(1e-4, 1e-2, scale="log").ppf(0.5) == pytest.approx(1e-3, rel=1e-12)
    assert [cr.Between(2, 4, whole=True).ppf(q) for q in (0, 0.33, 0.34, 0.66, 0.67, 1)] == [2, 2, 3, 3, 4, 4]
    counts = Counter(cr.Between(2, 4, whole=True).rvs(np.random.RandomState(seed)) for seed in range(300))
    assert set(counts) == {2, 3, 4}
    log = [cr.Between(1, 7, scale="log", whole=True).ppf(q / 1000) for q in range(1001)]
    # Of log 8 = 3 log 2, 1 has a third, 2 and 3 have a third, 4 to 7 have a third.
    assert [sum(one in these for one in log) for these in ((1,), (2, 3), (4, 5, 6, 7))] == [334, 333, 334]
    assert type(cr.Between(1, 4, whole=True).rvs(0)) is int
    assert cr.Between(0, 1).rvs(5) == cr.Between(0, 1).rvs(np.random.default_rng(5))


def test_points_drawn_from_lists_do_not_repeat():
    space = {"a": [1, 2, 3], "b": [4, 5], "c": ["x", [6], cr.Adam(0.1)]}
    points = [repr(one) for one in random_points(space, 100, seed=3)]
    assert len(points) == len(set(points)) == 18
    some = random_points(space, 7, seed=3)
    assert [repr(one) for one in some] == points[:7]
    assert random_points(space, 7, seed=4) != some
    # A product of more points than a list could hold.
    assert len(random_points({f"x{i}": [1, 2, 3] for i in range(100)}, 5, seed=0)) == 5


def bergstra(point):
    """Return a function of two hyper-parameters of which one hardly matters; its minimum is at x = 0.37."""
    return (point["x"] - 0.37) ** 2 + 1e-6 * point["y"]


def test_random_points_beat_a_grid_where_a_parameter_does_not_matter():
    # Bergstra and Bengio 2012, figure 1: nine points each. The grid tries three values of x, the draws nine.
    values = [1 / 6, 3 / 6, 5 / 6]
    grid = list(grid_points({"x": values, "y": values}))
    assert len({one["x"] for one in grid}) == 3
    best_of_grid = min(map(bergstra, grid))
    space, found = {"x": cr.Between(0, 1), "y": cr.Between(0, 1)}, []
    for seed in range(200):
        drawn = random_points(space, 9, seed=seed)
        assert len({one["x"] for one in drawn}) == 9
        found.append(min(map(bergstra, drawn)))
    # The grid comes within 0.13 of the minimum. A draw comes as near with a chance of 0.26, one of nine with
    # 1 - 0.74^9 = 0.933, so that of 200 searches 187 are as good, give or take 3.5; and the median is far better.
    assert sum(one <= best_of_grid for one in found) >= 187 - 5 * 3.5
    assert np.median(found) < best_of_grid / 3


@pytest.mark.parametrize(
    ("space", "error", "words"),
    [
        ([1, 2], TypeError, "space must map names to lists"),
        ({}, TypeError, "space must map names to lists"),
        ({1: [2]}, TypeError, "space must map names to lists"),
        ({"a": []}, ValueError, r"space\['a'\] must hold at least one value"),
        ({"a": 3}, TypeError, r"space\['a'\] must be a list of values, or have rvs and ppf; got 3"),
        ({"a": "sgd"}, TypeError, r"space\['a'\] must be a list"),
        ({"a": cr.Between(0, 1)}, ValueError, r"space\['a'\] is a distribution, of which no grid"),
    ],
)
def test_spaces_that_are_none(space, error, words):
    with pytest.raises(error, match=words):
        cr.grid_size(space)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: cr.Between(1, 1), ValueError, "low must be below high"),
        (lambda: cr.Between(0, 1, scale="log"), ValueError, "low must be a finite number above 0"),
        (lambda: cr.Between(0, 3, scale="log", whole=True), ValueError, "low must be a whole number from 1"),
        (lambda: cr.Between(0.5, 3, whole=True), TypeError, "low must be a whole number"),
        (lambda: cr.Between(0, math.inf), ValueError, "high must be a finite number"),
        (lambda: cr.Between(0, 1, scale="cubic"), ValueError, "known are 'linear', 'log'"),
        (lambda: cr.Between(0, 1).ppf(1.5), ValueError, "q must be a finite number at least 0 and at most 1"),
        (lambda: cr.search_space("mine"), ValueError, "known are 'lecture', 'recipe'"),
        (lambda: cr.search_space(kind="words"), ValueError, "known are 'classes', 'binary', 'labels', 'regression'"),
        (lambda: random_points({"a": [1]}, 0, 0), ValueError, "trials must be a whole number from 1"),
        (lambda: random_points({"a": [1]}, 1, -1), ValueError, "seed must be"),
        (
            lambda: cr.trainer_for({"rate": 1}, X, TARGETS["classes"]),
            ValueError,
            "name in settings='rate' is unknown",
        ),
        (lambda: cr.trainer_for([], X, TARGETS["classes"]), TypeError, "settings must map names to values"),
        (lambda: cr.trainer_for({"optimizer": "lbfgs"}, X, TARGETS["classes"]), ValueError, "known are 'sgd'"),
        (lambda: cr.trainer_for({"units": 0}, X, TARGETS["classes"]), ValueError, "units must be"),
        (lambda: cr.trainer_for({"hidden_layers": 1.0}, X, TARGETS["classes"]), TypeError, "hidden_layers must be"),
        (lambda: cr.trainer_for({"dropout": 1}, X, TARGETS["classes"]), ValueError, "dropout must be"),
        (lambda: cr.trainer_for({"l2": -1}, X, TARGETS["classes"]), ValueError, "l2 must be"),
        (lambda: cr.trainer_for({"drop_every": 0}, X, TARGETS["classes"]), ValueError, "drop_every must be"),
        (lambda: cr.trainer_for({}, X[0], TARGETS["classes"]), ValueError, "X must have shape"),
    ],
)
def test_what_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


# The recipe of [000] ---------------------------------------------------------------------------------------------


def test_the_defaults_are_the_heuristics_of_lecture_000():
    trainer = cr.trainer_for({}, X, TARGETS["classes"])
    assert trainer.learning_rate == 0.1
    assert trainer.penalty == (cr.L2(1e-5),)
    assert trainer.optimizer == cr.SGD(0.1)
    assert [layer.label() for layer in trainer.net.layers] == [
        layer.label() for layer in (cr.Dense(16, activation="relu"), cr.Dense(3))
    ]
    rates = cr.search_space("recipe")["learning_rate"]
    np.testing.assert_allclose(np.divide(rates[:-1], rates[1:]), 3, rtol=1e-14)
    assert rates[0] == 0.1


def test_the_rate_is_multiplied_by_a_tenth_every_few_epochs():
    trainer = cr.trainer_for({"drop_every": 3}, X, TARGETS["classes"])
    rates = trainer.fit(X, TARGETS["classes"], epochs=7, verbose=False)["learning_rate"]
    np.testing.assert_allclose(rates, [0.1] * 3 + [0.01] * 3 + [0.001], rtol=1e-14)


def test_settings_say_what_is_made():
    settings = {"hidden_layers": 2, "units": 5, "activation": "tanh", "dropout": 0.4, "weight_init": "he_normal"}
    net = cr.trainer_for(settings, X, TARGETS["classes"], seed=3, dtype="float64").net
    start = {"activation": "tanh", "weight_init": "he_normal"}
    hidden = [cr.Dense(5, **start), cr.Dropout(rate=0.4)]
    twin = cr.Network([*hidden, *hidden, cr.Dense(3, weight_init="he_normal")], inputs=4, seed=3, dtype="float64")
    assert net.layers == twin.layers
    np.testing.assert_array_equal(net.predict(X), twin.predict(X))
    y = TARGETS["classes"]
    assert cr.trainer_for({"optimizer": "momentum", "momentum": 0.5}, X, y).optimizer == cr.Momentum(0.1, beta=0.5)
    assert cr.trainer_for({"optimizer": "adam", "learning_rate": 0.01}, X, y).optimizer == cr.Adam(0.01)
    assert cr.trainer_for({"optimizer": "rmsprop"}, X, y).optimizer == cr.RMSprop(0.1)
    assert cr.trainer_for({"l2": 0, "hidden_layers": 0, "epochs": 3}, X, y).penalty == ()
    assert cr.trainer_for({}, X, TARGETS["binary"]).loss == cr.BinaryCrossEntropy()
    assert cr.trainer_for({"loss": "huber"}, X, TARGETS["regression"]).loss == cr.Huber()
