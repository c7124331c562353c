"""Descent in two dimensions: the paths by NumPy's own loops, and what the lectures say of them.

T25: the lectures differ about batch descent ("should never be used" [001], "guaranteed to converge" [002]) and call
gradient descent "stochastic" [002]. Measured on one convex problem, each is right somewhere.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose

import chainrule as cr
from chainrule.playground import LANDSCAPES, Landscape, descend, descent_trajectories

EPS = np.finfo(np.float64).eps
each_landscape = pytest.mark.parametrize("landscape", LANDSCAPES.values(), ids=LANDSCAPES)


def points(landscape, count=200, seed=0):
    """Return points in view (count, 2)."""
    left, right, bottom, top = landscape.view
    return np.random.default_rng(seed).uniform([left, bottom], [right, top], size=(count, 2))


def differences(function, p, eps=1e-5):
    """Return central differences of `function` by each coordinate, along a new last axis."""
    steps = eps * np.eye(2)
    return np.stack([(function(p + step) - function(p - step)) / (2 * eps) for step in steps], axis=-1)


def walked(gradient, start, steps, update):
    """Return the path of w <- update(w, g, t), in NumPy."""
    path = [np.array(start, dtype=np.float64)]
    for t in range(steps):
        path.append(update(path[-1], gradient(path[-1]), t))
    return np.array(path)


# Landscapes ----------------------------------------------------------------------------------------------------------


@each_landscape
def test_gradients_are_those_of_the_values(landscape):
    p = points(landscape)
    values = landscape.value(p)
    assert values.shape == (200,)
    # A difference rounds to about EPS |f| / eps, and errs by eps^2 / 6 times a third derivative, of which the largest
    # is Rosenbrock's 2400 x.
    bound = 10 * EPS * np.abs(values).max() / 1e-5 + 1e-10 / 6 * 5000
    assert_allclose(landscape.gradient(p), differences(landscape.value, p), rtol=0, atol=bound)


@each_landscape
def test_minima_are_where_they_are_said_to_be(landscape):
    left, right, bottom, top = landscape.view
    for x, y in landscape.minima:
        assert left < x < right
        assert bottom < y < top
        at = np.array([x, y])
        assert_allclose(landscape.gradient(at), 0, atol=1e-12)
        assert (np.linalg.eigvalsh(differences(landscape.gradient, at)) > 0).all()
    # The first is the lowest: nothing in view lies below.
    assert landscape.value(points(landscape, 2000)).min() >= landscape.value(np.array(landscape.minima[0])) - 1e-12


@each_landscape
def test_which_functions_are_convex(landscape):
    curvatures = np.linalg.eigvalsh(differences(landscape.gradient, points(landscape)))
    assert (curvatures.min() > -1e-6) == landscape.convex
    assert (len(landscape.minima) == 1) or not landscape.convex


# Descent -------------------------------------------------------------------------------------------------------------


@each_landscape
def test_plain_descent_with_jitter(landscape):
    start = points(landscape, 1)[0] / 2
    path, values = descend(landscape, start, cr.SGD(1e-3), 50, noise=0.5, seed=3)
    jitter = np.random.default_rng(3).normal(size=(50, 2)) / 2
    expected = walked(landscape.gradient, start, 50, lambda w, g, t: w - 1e-3 * (g + jitter[t]))
    # The same operations, which may be fused: an eps a step, grown by at most the curvature times the rate, 1 + 4.
    assert_allclose(path, expected, rtol=1e-10, atol=1e-10)
    assert_allclose(values, landscape.value(path), rtol=0, atol=0)


def test_schedules_take_a_step_for_an_epoch():
    path, _ = descend("valley", (-10, 1), cr.SGD(cr.StepDecay(0.05, drop=0.5, every=3)), 12)
    gradient = LANDSCAPES["valley"].gradient
    expected = walked(gradient, (-10, 1), 12, lambda w, g, t: w - 0.05 * 0.5 ** (t // 3) * g)
    assert_allclose(path, expected, rtol=1e-12, atol=0)


def test_first_steps():
    for optimizer, factor in ((cr.Adam(0.1), 1), (cr.Adam.lecture(0.1), 10**0.5), (cr.RMSprop.lecture(0.1), 1000**0.5)):
        path, _ = descend("valley", (-10, 1), optimizer, 1)
        assert_allclose(np.abs(path[1] - path[0]), 0.1 * factor, rtol=1e-6)  # eps, 1e-8, beside gradients of 10 and 25


def test_an_optimizer_keeps_no_state_of_a_descent():
    optimizer = cr.Momentum(0.01)
    first, again = (descend("rosenbrock", (-1, 1), optimizer, 20).path for _ in range(2))
    assert first.tobytes() == again.tobytes()
    optimizer.step(cr.Network([cr.Dense(1)], inputs=1))  # bound to no network yet


def test_the_rate_bound_of_a_valley():
    # Of the curvatures 1 and 25 the largest decides: the step factor 1 - 25 lr is below 1 in size up to lr = 2 / 25.
    below, _ = descend("valley", (-10, 1), cr.SGD(0.99 * 2 / 25), 1000)
    above, values = descend("valley", (-10, 1), cr.SGD(1.01 * 2 / 25), 1000)
    assert np.abs(below[-1]).max() < 1e-8
    assert_allclose(np.abs(above[:, 1]), (1.01 * 2 - 1) ** np.arange(1001.0), rtol=1e-9)
    assert values[-1] > values[0]


def test_a_descent_that_diverges_keeps_its_shape():
    path, values = descend("rosenbrock", (2, 2), cr.SGD(0.1), 30)
    assert path.shape == (31, 2)
    lost = ~np.isfinite(values)
    assert lost[-1]
    assert np.isnan(path[-1]).all()
    assert np.isfinite(path[~lost]).all()


def test_momentum_swings_less():
    # Lecture [002]: "less oscillation on vertical axis", which otherwise "prevent[s] using large learning rate".
    lr = 0.07
    plain, _ = descend("valley", (-10, 1), cr.SGD(lr), 25)
    smooth, _ = descend("valley", (-10, 1), cr.Momentum.lecture(lr), 25)
    turns = [(np.diff(np.sign(path[:, 1])) != 0).sum() for path in (plain, smooth)]
    assert turns[0] == 25  # 1 - 25 lr < 0: a change of side in every step
    assert turns[1] <= 5
    fast, _ = descend("valley", (-10, 1), cr.Momentum.lecture(4 / 25), 400)  # twice what plain descent bears
    assert np.abs(fast[-1]).max() < 1e-6  # both coordinates swing down by sqrt(0.9) a step, to 1e-9 in 400


# Convex and not ([002], [004]) ---------------------------------------------------------------------------------------


def nearest(landscape, p):
    """Return the number of the nearest minimum, and how far away it is."""
    distances = np.linalg.norm(np.array(landscape.minima) - p, axis=1)
    return int(distances.argmin()), float(distances.min())


def test_descent_ends_where_it_started_nearest_unless_the_function_is_convex():
    ends = {}
    for name, lr in (("valley", 0.05), ("himmelblau", 0.01)):
        landscape = LANDSCAPES[name]
        found = [nearest(landscape, descend(name, start, cr.SGD(lr), 600).path[-1]) for start in points(landscape, 12)]
        assert max(distance for _, distance in found) < 1e-6
        ends[name] = {number for number, _ in found}
    assert ends["valley"] == {0}
    assert len(ends["himmelblau"]) >= 3


def test_jitter_leaves_a_local_minimum():
    wells = LANDSCAPES["wells"]
    local = wells.minima[1]
    assert nearest(wells, descend("wells", local, cr.SGD(0.05), 500).path[-1]) == (1, pytest.approx(0, abs=1e-9))
    # Steps lr with noise sigma settle like a gas of temperature lr sigma^2 / 2 = 0.3: the left well, lower by 0.6,
    # holds about e^2 = 7 times as much. Without noise at the end, the nearest minimum is reached.
    ends = []
    for seed in range(20):
        far = descend("wells", local, cr.SGD(0.05), 600, noise=12**0.5, seed=seed).path[-1]
        ends.append(nearest(wells, descend("wells", far, cr.SGD(0.05), 200).path[-1])[0])
    assert ends.count(0) > 10, ends


def test_jitter_leaves_a_saddle_point():
    stuck, _ = descend("saddle", (-1.5, 0), cr.SGD(0.1), 300)
    assert_allclose(stuck[-1], 0, atol=1e-12)
    for seed in range(4):
        path, _ = descend("saddle", (-1.5, 0), cr.SGD(0.1), 300, noise=0.01, seed=seed)
        assert nearest(LANDSCAPES["saddle"], path[-1])[1] < 0.02


# Batch, mini-batch, stochastic ---------------------------------------------------------------------------------------

ROWS = 160
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 2)) * [1.0, 0.4]
Y = X @ [2.0, -1.0] + RNG.normal(scale=0.5, size=ROWS)
LEAST = np.linalg.lstsq(X, Y, rcond=None)[0]


def objective(w):
    return ((X @ w - Y) ** 2).mean() / 2


@pytest.fixture(scope="module")
def table():
    return descent_trajectories(X, Y, [ROWS, 16, 1], optimizer=cr.SGD(0.1), epochs=20)


def test_the_batch_path_is_that_of_numpy(table):
    batch = table.variants[0]
    expected = walked(lambda w: X.T @ (X @ w - Y) / ROWS, (0, 0), 20, lambda w, g, t: w - 0.1 * g)
    assert_allclose(batch.path, expected, rtol=1e-12, atol=1e-14)
    assert_allclose(batch.values, [objective(w) for w in expected], rtol=1e-12)


def test_the_paths_end_where_fit_does(table):
    for one in table.variants:
        net = cr.Network([cr.Dense(1, bias=False, weight_init="zeros")], inputs=2, dtype="float64")
        trainer = cr.Trainer(net, loss=cr.MeanSquaredError(half=True), optimizer=cr.SGD(0.1), seed=0)
        trainer.fit(X, Y, epochs=20, batch_size=one.batch_size)
        assert net.parameters()["0.weight"].tobytes() == one.path[-1].tobytes()


def test_the_table_of_lecture_002(table):
    batch, mini, stochastic = table.variants
    assert [one.name for one in table.variants] == ["batch", "mini-batch of 16", "stochastic"]
    assert [one.steps for one in table.variants] == [20, 200, 3200]
    # "Straight trajectory", against "more oscillations", against "more noise compared to mini-batch".
    assert batch.length < mini.length < stochastic.length
    assert 1 <= batch.detour < mini.detour < stochastic.detour
    assert batch.uphill == 0 < mini.uphill < stochastic.uphill
    assert batch.noise < 1e-14 < mini.noise < stochastic.noise
    # "Memory capacity issues."
    assert batch.step_bytes > mini.step_bytes >= stochastic.step_bytes
    assert all(one.seconds > 0 for one in table.variants)
    assert_allclose(table.landscape.minima[0], LEAST, rtol=1e-12)
    assert_allclose(table.landscape.value(np.array([0.3, 0.4])), objective([0.3, 0.4]), rtol=1e-12)
    lines = repr(table).splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == ["batch", "mini-batch of 16", "stochastic"]


def test_the_noise_is_that_of_the_samples():
    # With steps of nothing all gradients are those of the start: one row has the deviation S, and the mean of b of the
    # N rows, drawn without putting back, S sqrt((N - b) / (b (N - 1))).
    table = descent_trajectories(X, Y, [16, 1], optimizer=cr.SGD(1e-300), epochs=50, start=(1, 1))
    rows = X * (X @ [1, 1] - Y)[:, None]
    spread = np.sqrt(((rows - rows.mean(axis=0)) ** 2).sum(axis=1).mean())
    mini, stochastic = (one.noise for one in table.variants)
    assert_allclose(stochastic, spread, rtol=1e-12)
    # The mean of 500 squares, each about an exponential number with a deviation of its size: 5 of 1 / sqrt(500), halved
    # by the root.
    assert_allclose(mini, spread * np.sqrt((ROWS - 16) / (16 * (ROWS - 1))), rtol=5 / np.sqrt(500) / 2)


def test_t25_batch_descent_converges_and_is_late():
    # [002]: guaranteed to converge if convex. [001]: should never be used. After one pass over the rows the stochastic
    # path is far ahead; at the end only the batch's has settled. And batch descent is not stochastic: no seed matters.
    early = descent_trajectories(X, Y, [ROWS, 1], optimizer=cr.SGD(0.1), epochs=1)
    batch, stochastic = (objective(one.path[-1]) for one in early.variants)
    assert stochastic - objective(LEAST) < 0.1 * (batch - objective(LEAST))
    (settled,) = descent_trajectories(X, Y, [ROWS], optimizer=cr.SGD(0.9), epochs=400).variants
    assert_allclose(settled.path[-1], LEAST, rtol=1e-10)
    (restless,) = descent_trajectories(X, Y, [1], optimizer=cr.SGD(0.1), epochs=10).variants
    late = restless.path[len(restless.path) // 2 :]
    assert np.linalg.norm(late - LEAST, axis=1).mean() > 0.05
    for size, alike in ((ROWS, True), (1, False)):
        ends = [descent_trajectories(X, Y, [size], epochs=2, seed=seed).variants[0].path[-1] for seed in (0, 1)]
        # Batches of all rows are shuffled, too, and sums of shuffled numbers round differently.
        assert np.allclose(*ends, rtol=1e-12, atol=0) == alike


def test_the_view_holds_all_paths(table):
    left, right, bottom, top = table.landscape.view
    for one in (*(variant.path for variant in table.variants), [LEAST]):
        assert (np.array(one) >= [left, bottom]).all()
        assert (np.array(one) <= [right, top]).all()


# Errors --------------------------------------------------------------------------------------------------------------

OWN = Landscape("own", lambda p: p.sum(-1), lambda p: np.ones(3), (0, 1, 0, 1), (), True)
WRONG_DESCENTS = {
    "function='hill' is unknown; known are 'valley'": {"function": "hill"},
    "function must be one of": {"function": 3},
    r"start must have shape \(2,\)": {"start": (1, 2, 3)},
    "start .*finite": {"start": (1, np.nan)},
    "optimizer='sdg' is unknown": {"optimizer": "sdg"},
    "steps must be a whole number": {"steps": 0},
    "noise must be a finite number at least 0": {"noise": -1.0},
    "seed must be": {"seed": -1},
    r"function must have a gradient of shape \(2,\)": {"function": OWN},
    r"function must have values of shape \(n,\)": {
        "function": dataclasses.replace(OWN, gradient=np.ones_like, value=np.sum),
    },
}


@pytest.mark.parametrize(("message", "options"), WRONG_DESCENTS.items(), ids=WRONG_DESCENTS)
def test_wrong_descents(message, options):
    with pytest.raises((ValueError, TypeError), match=message):
        descend(**{"function": "valley", "start": (1, 1), "optimizer": "sgd", "steps": 3, **options})


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("gradient must be a function", {"gradient": (1, 1)}),
        ("view must be .*ascending", {"view": (1, 0, 0, 1)}),
        ("view must be", {"view": (0, 1)}),
        ("view must be", {"view": (0, np.inf, 0, 1)}),
        ("view must hold real numbers", {"view": "0101"}),
        ("minima must be pairs", {"minima": ((1, 2, 3),)}),
        ("minima must be pairs", {"minima": 5}),
        ("minima must be pairs", {"minima": [(np.nan, 0)]}),
        ("minima must be a rectangular array", {"minima": ((1, 2), (1,))}),
        ("name must be a str", {"name": 3}),
        ("convex must be True or False", {"convex": 1}),
        ("variables must be a pair of str", {"variables": "xy"}),
        ("variables must be a pair of str", {"variables": ("x", 2)}),
        ("variables must be a pair of str", {"variables": ("x", "y", "z")}),
    ],
)
def test_wrong_landscapes(message, options):
    with pytest.raises((ValueError, TypeError), match=message):
        dataclasses.replace(OWN, **options)


def test_arrays_describe_a_landscape_too():
    given = dataclasses.replace(
        OWN, view=np.array([0, 1, 0, 1]), minima=np.array([[0.5, 1], [2, 3]]), variables=["a", "b"]
    )
    assert given.minima == ((0.5, 1.0), (2.0, 3.0))
    assert (given.view, given.variables) == ((0.0, 1.0, 0.0, 1.0), ("a", "b"))
    assert hash(given) == hash(dataclasses.replace(given))
    assert dataclasses.replace(OWN, minima=np.empty((0, 2))).minima == ()


def test_options_of_a_descent_are_named():
    with pytest.raises(TypeError, match="positional"):
        descend("valley", (1, 1), "sgd", 3, 0.5)


WRONG_TRAJECTORIES = {
    r"X must have shape \(rows, 2\)": {"X": X[:, :1]},
    "X must have two columns that do not depend": {"X": X[:, [0, 0]]},
    "y must have": {"y": Y[1:]},
    "batch_sizes must be a list of sizes": {"batch_sizes": 16},
    r"batch_sizes\[1\] must be a whole number from 1 to 160": {"batch_sizes": [1, 161]},
    "diverges with batches of 160; lower its lr": {"optimizer": cr.SGD(1e3), "epochs": 100},
    "epochs must be": {"epochs": 0},
}


@pytest.mark.parametrize(("message", "options"), WRONG_TRAJECTORIES.items(), ids=WRONG_TRAJECTORIES)
def test_wrong_trajectories(message, options):
    with pytest.raises((ValueError, TypeError), match=message):
        descent_trajectories(**{"X": X, "y": Y, "batch_sizes": [ROWS], **options})


def test_what_it_gives_can_be_looked_at(table):
    for landscape in LANDSCAPES.values():
        assert dataclasses.replace(landscape, name="other").view == landscape.view
        assert landscape.name in repr(landscape)
    names = [repr(one) for one in table.variants]
    assert all("path" not in name for name in names)
    assert len(set(names)) == 3
