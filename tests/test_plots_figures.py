"""The lectures' figures: what can be read back from the Axes is what NumPy, or the caller's arrays, say."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import plots

figure_module = pytest.importorskip("matplotlib.figure", reason="pictures need matplotlib")


def lines(ax):
    """Return the lines that have a name, each as points (n, 2)."""
    return {line.get_label(): np.column_stack(line.get_data()) for line in ax.get_lines() if line.get_label()[0] != "_"}


def titles(panels):
    return [panel.get_title() for panel in panels]


def written(ax):
    return [text.get_text() for text in ax.texts]


# Learning rates ------------------------------------------------------------------------------------------------------

RATES, LOSSES = np.array([1e-4, 1e-3, 1e-2, 1e-1, 1.0]), np.array([2.0, 1.9, 1.0, 0.5, np.inf])


def test_the_range_of_learning_rates():
    ax = plots.learning_rate_range(RATES, LOSSES, 10**-1.5)
    assert np.array_equal(lines(ax)["loss"], np.column_stack([RATES, LOSSES]))
    # Halfway between two rates, as logarithms, the loss is halfway too.
    np.testing.assert_allclose(lines(ax)["suggestion: 0.032"], [[10**-1.5, 0.75]], rtol=1e-14)
    (shaded,) = ax.patches
    assert (shaded.get_x(), shaded.get_x() + shaded.get_width()) == (0.1, 1.0)
    assert ax.get_xscale() == "log"
    low, high = ax.get_ylim()
    assert low < 0.5 < 2.0 < high < 3.0
    ax = plots.learning_rate_range(RATES[:2], [1, np.nan])
    assert (list(lines(ax)), len(ax.patches)) == (["loss"], 0)  # it never fell


def test_the_range_of_learning_rates_smoothed_and_marked():
    noisy = np.array([2.0, 2.5, 0.25, 0.5, 9.0])
    ax = plots.learning_rate_range(RATES, LOSSES, {"low": 1e-5, "good": 1e-2}, unsmoothed=noisy)
    drawn = lines(ax)
    assert np.array_equal(drawn["loss of a step"], np.column_stack([RATES, noisy]))
    assert np.array_equal(drawn["smoothed"], np.column_stack([RATES, LOSSES]))
    assert np.array_equal(drawn["good: 0.01"], [[1e-2, 1.0]])
    # No loss is known there, but the rate is seen.
    assert np.array_equal(drawn["low: 1e-05"], [[1e-5, np.nan]], equal_nan=True)
    assert ax.get_xlim() == (1e-5, 1.0)
    # Of equal ones the last is the least: there it begins to rise.
    (shaded,) = plots.learning_rate_range(RATES, [2, 1, 1, 1, 5]).patches
    assert shaded.get_x() == 0.1


def test_schedules_over_the_epochs():
    plans = {
        "time": cr.TimeDecay(0.1, decay=0.5),
        "cosine": cr.CosineDecay(0.1, epochs=4),
        "f": lambda e: e / 8,
        "c": 0.2,
    }
    drawn = lines(plots.schedules(plans, 4, steps_per_epoch=2))
    times = np.arange(9) / 2
    assert all(np.array_equal(points[:, 0], times) for points in drawn.values())
    epochs = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3])
    np.testing.assert_allclose(drawn["time"][:, 1], 0.1 / (1 + 0.5 * epochs), rtol=1e-15)
    np.testing.assert_allclose(drawn["cosine"][:-1, 1], 0.05 * (1 + np.cos(np.pi * np.arange(8) / 8)), rtol=1e-14)
    assert np.array_equal(drawn["f"][:, 1], epochs / 8)
    assert np.array_equal(drawn["c"][:, 1], np.full(9, 0.2))


def test_steps_on_a_parabola():
    panels = plots.descent_rates({"slow": 0.5, "away": 3}, start=1, steps=3)
    assert titles(panels) == ["slow: η = 0.5", "away: η = 3"]
    for panel, path in zip(panels, ([1, 0.5, 0.25, 0.125], [1, -2, 4, -8]), strict=True):
        assert np.array_equal(panel.get_lines()[1].get_xydata(), [(w, w * w / 2) for w in path])
    assert len(plots.descent_rates()) == 3


# Formulas ------------------------------------------------------------------------------------------------------------


def test_activations_with_their_derivatives():
    panels = plots.activations(["sigmoid", cr.LeakyReLU(slope=0.1), "elu", "step"], limit=2)
    assert titles(panels) == ["sigmoid", "leaky relu", "elu", "step"]
    z, h = lines(panels[0])["g(z)"].T
    assert (z[0], z[-1]) == (-2, 2)
    np.testing.assert_allclose(h, 1 / (1 + np.exp(-z)), rtol=1e-14)
    np.testing.assert_allclose(lines(panels[0])["g′(z)"][:, 1], np.exp(-z) / (1 + np.exp(-z)) ** 2, rtol=1e-13)
    z, slope = lines(panels[1])["g′(z)"].T
    # No line spans the jump at 0.
    assert np.array_equal(slope, np.where(z == 0, np.nan, np.where(z > 0, 1, 0.1)), equal_nan=True)
    z, h = lines(panels[3])["g(z)"].T
    assert np.array_equal(h, np.where(z == 0, np.nan, z > 0), equal_nan=True)
    assert len(plots.activations()) == 6


def test_where_a_sigmoid_saturates():
    ax = plots.saturation("sigmoid", limit=8)
    assert lines(ax)["g′, at most 0.25"][:, 1].max() == pytest.approx(0.25, abs=1e-4)
    (shaded,) = ax.collections
    x = np.concatenate([path.vertices[:, 0] for path in shaded.get_paths()])
    # sigmoid' = 1/40 where |z| = 2 acosh(sqrt 10); the points lie 0.04 apart.
    assert np.abs(x).min() == pytest.approx(2 * np.arccosh(np.sqrt(10)), abs=0.04)


def test_the_curves_of_cross_entropy():
    drawn = lines(plots.cross_entropy())
    f, loss = drawn["y = 1: −log f"].T
    np.testing.assert_allclose(np.exp(-loss), f, rtol=1e-14)
    f, loss = drawn["y = 0: −log(1 − f)"].T
    np.testing.assert_allclose(np.exp(-loss), 1 - f, rtol=1e-13)
    np.testing.assert_allclose(drawn["undecided: log 2 = 0.69"], [[0.5, np.log(2)]])


# Networks ------------------------------------------------------------------------------------------------------------


def test_norms_by_layer():
    net = cr.Network([cr.Dense(4, activation="tanh"), cr.Dropout(rate=0.1), cr.Dense(3)], inputs=2, dtype="float64")
    net.parameters()["0.weight"][...] *= 100
    ax = plots.layer_norms(cr.weight_report(net))
    (line,) = ax.get_lines()
    assert line.get_xdata().tolist() == [0, 2]
    np.testing.assert_allclose(line.get_ydata(), [np.linalg.norm(net.parameters()[f"{i}.weight"]) for i in (0, 2)])
    assert ax.get_yscale() == "log"
    batch = np.array([[1e-6, 0], [0, 1e-6], [1e-6, 1e-6]]), [0, 1, 2]
    alive = cr.gradient_report(net, *batch, loss="cross_entropy")
    net.parameters()["2.weight"][...] = 0
    dead = cr.gradient_report(net, *batch, loss="cross_entropy")
    ax = plots.layer_norms({"alive": alive, "dead": dead})
    assert dead.layers[0].norm == 0  # nothing comes through weights of 0
    assert written(ax) == ["0"]
    assert np.array_equal(lines(ax)["dead"], [[0, np.nan], [2, dead.layers[1].norm]], equal_nan=True)
    alone = plots.layer_norms({"dead": dead})
    assert (alone.get_yscale(), written(alone)) == ("linear", [])
    assert lines(alone)["dead"].tolist() == [[0, 0], [2, dead.layers[1].norm]]


def test_a_network_before_and_after_dropout():
    before, after = plots.dropout_network([3, 4, 2], masks=[[True, False, True, False]])
    edges = [len(panel.collections[0].get_segments()) for panel in (before, after)]
    assert edges == [3 * 4 + 4 * 2, 3 * 2 + 2 * 2]
    assert [len(panel.collections[1].get_offsets()) for panel in (before, after)] == [9, 7]
    crosses = after.collections[3].get_offsets()
    assert np.array_equal(crosses, [[1, -0.5], [1, 1.5]])
    assert after.get_title() == "a step of training: 2 of 4 gone"
    _, drawn = plots.dropout_network([3, 16, 2], rate=0.25, seed=5)
    assert len(drawn.collections[3].get_offsets()) == (np.random.default_rng(5).random(16) < 0.25).sum()


def test_activations_before_and_after_batch_normalization():
    x = np.random.default_rng(0).normal([3, -2], [2, 0.5], size=(500, 2))
    before, after = plots.batch_normalization(x)
    labels = [text.get_text() for text in after.get_legend().get_texts()]
    assert labels == ["unit 0: 0.0 ± 1.0", "unit 1: 0.0 ± 1.0"]
    for panel, values in ((before, x), (after, (x - x.mean(axis=0)) / x.std(axis=0))):
        for patch, column in zip(panel.patches, values.T, strict=True):
            counts, edges, _ = patch.get_data()
            assert counts.sum() == pytest.approx(1)
            # The histogram's mean is that of the column, but for half a bin.
            assert counts @ (edges[1:] + edges[:-1]) / 2 == pytest.approx(column.mean(), abs=edges[1] - edges[0])
    assert len(plots.batch_normalization(np.ones((2, 1)), np.ones((2, 1)))) == 2


def test_pictures_and_their_noise():
    pictures = np.random.default_rng(0).random((3, 4, 5))
    panels = plots.noise_examples(pictures, {"more": pictures + 1})
    assert panels.shape == (2, 3)
    assert np.array_equal([panel.images[0].get_array() for panel in panels[0]], pictures)
    assert np.array_equal([panel.images[0].get_array() for panel in panels[1]], pictures + 1)
    assert [line[0].get_ylabel() for line in panels] == ["original", "more"]


# Models --------------------------------------------------------------------------------------------------------------


def test_a_confusion_matrix():
    ax = plots.confusion_matrix([[998, 0], [1, 1]], ["no", "yes"])
    assert written(ax) == ["998\n100.0%", "0\n0.0%", "1\n50.0%", "1\n50.0%"]
    assert np.array_equal(ax.images[0].get_array(), [[1, 0], [0.5, 0.5]])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["no", "yes"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    # A class without rows has no shares, and many classes no numbers.
    assert written(plots.confusion_matrix([[2, 0], [0, 0]]))[2:] == ["0", "0"]
    assert written(plots.confusion_matrix(np.eye(21))) == []


@pytest.mark.parametrize("head", ["logit", "sigmoid", "classes"])
def test_a_decision_boundary(head):
    # Class 1 right of x1 = 0.25.
    layers = {"logit": cr.Dense(1), "sigmoid": cr.Dense(1, activation="sigmoid"), "classes": cr.Dense(2)}
    net = cr.Network([layers[head]], inputs=2, dtype="float64")
    net.parameters()["0.weight"][...] = [[0, 4], [0, 0]] if head == "classes" else [[4], [0]]
    net.parameters()["0.bias"][-1] = -1
    X, y = np.array([[-1.0, 0], [1, 1], [0.5, 0.5]]), [0, 1, 1]
    ax = plots.decision_boundary(net, X, y)
    regions = ax.images[0].get_array()
    left, right, bottom, top = ax.images[0].get_extent()
    np.testing.assert_allclose([left, right, bottom, top], [-1.2, 1.2, -0.1, 1.1])
    x = left + (np.arange(400) + 0.5) / 400 * (right - left)
    assert np.array_equal(regions, np.broadcast_to(x > 0.25, (400, 400)))
    assert np.array_equal(lines(ax)["class 1"], X[1:])
    if head != "classes":
        moved = plots.decision_boundary(net, X, y, threshold=-9).images[0].get_array()
        assert moved.all()


def test_fits_of_points():
    x, y = np.arange(5.0), np.array([0, 1, 0, 2, 1.0])
    panels = plots.fits(x, y, {"a": (x, y + 1), "b": (x, y - 1)}, truth=(x, x))
    assert titles(panels) == ["a", "b"]
    assert np.array_equal(lines(panels[1])["model"], np.column_stack([x, y - 1]))
    assert np.array_equal(lines(panels[1])["data"], np.column_stack([x, y]))
    assert np.array_equal(lines(panels[0])["truth"], np.column_stack([x, x]))
    assert panels[0].get_ylim() == (-0.5, 2.5)


def test_bars_of_bias_and_variance():
    ax = plots.bias_variance(["small", "large"], [0.5, 0.25], [0.125, 0.5], noise=0.25)
    heights = [[bar.get_height() for bar in part] for part in ax.containers]
    assert heights == [[0.5, 0.25], [0.125, 0.5], [0.25, 0.25]]
    assert [bar.get_y() for bar in ax.containers[2]] == [0.625, 0.75]
    assert written(ax) == ["0.88", "1"]
    assert len(plots.bias_variance(["one"], [1], [1]).containers) == 2


def test_bars_of_errors_that_were_measured():
    options = {"noise": [0.25, 0.0], "error": [1.5, 0.125], "kind": "classes"}
    ax = plots.bias_variance(["small", "large"], [0.5, 0.25], [0.125, -0.125], **options)
    bars = [[(bar.get_y(), bar.get_height()) for bar in part] for part in ax.containers]
    # Variance below 0 hangs below the axis, and the next part stands on the bias.
    assert bars == [[(0, 0.5), (0, 0.25)], [(0.5, 0.125), (0, -0.125)], [(0.625, 0.25), (0.25, 0)]]
    assert lines(ax)["error"].tolist() == [[0, 1.5], [1, 0.125]]
    assert written(ax) == ["1.5", "0.12"]
    assert [text.xy for text in ax.texts] == [(0, 1.5), (1, 0.25)]  # above all of the bar
    assert ax.get_ylabel() == "share of wrong classes"


def test_errors_over_complexity():
    ax = plots.error_curve([1, 2, 30], [3, 2, 1], [[3, 5], [2, 4], [6, 6]], across="units", error="mse")
    drawn = lines(ax)
    assert drawn["training"].tolist() == [[1, 3], [2, 2], [30, 1]]
    assert drawn["validation, mean and range"].tolist() == [[1, 4], [2, 3], [30, 6]]
    assert drawn["best: 2"].tolist() == [[2, 3]]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()) == ("units", "mse", "log")
    assert list(lines(plots.error_curve([1, 2], [1, 1], [2, 2], mark_best=False))) == ["training", "validation"]


def test_errors_over_sizes_that_have_names():
    training, validation = [[1, 2, 3, 4, 5]] * 3, [[2, 3, 4, 5, 96], [1, 2, 3, 4, np.inf], [1, 2, 3, np.inf, np.inf]]
    ax = plots.error_curve(["(2, 2)", "(4, 4)", "(8, 8)"], training, validation, spread="quartiles")
    drawn = lines(ax)
    assert drawn["training, median and quartiles"].tolist() == [[0, 3], [1, 3], [2, 3]]
    assert drawn["validation, median and quartiles"].tolist() == [[0, 4], [1, 3], [2, 3]]
    assert drawn["best: (4, 4)"].tolist() == [[1, 3]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["(2, 2)", "(4, 4)", "(8, 8)"]
    # From the least quartile to the greatest finite one, with a margin of 5 %: runs of 96 and more are not seen.
    assert ax.get_ylim() == pytest.approx((2 - 0.15, 5 + 0.15))
    ax = plots.error_curve(["a", "b"], [[1, 1], [1, 1]], [[1, 1], [np.inf, 1]], mark_best=False)
    assert lines(ax)["validation, mean and range"].tolist() == [[0, 1], [1, np.inf]]


def test_a_band_that_reaches_far_leaves_the_picture():
    ax = plots.error_curve([1, 2], [0, 0], [[1, 3], [0, 100]], mark_best=False)
    # The greatest mean, 50, lies at three fifths.
    assert ax.get_ylim() == pytest.approx((-0.05 * 250 / 3, 1.05 * 250 / 3))


def test_layouts_of_searches():
    grid = np.array([[a, b] for a in (0.001, 0.1) for b in (1, 2, 3)])
    random = np.column_stack([[0.01, 0.02, 0.04, 0.06, 0.08], [1.1, 1.5, 2.0, 2.5, 2.9]])
    panels = plots.search_layouts(grid, random, np.arange(6), np.arange(5), names=("rate", "depth"), best="least")
    assert titles(panels) == ["grid: 6 trials, 2 and 3 values", "random: 5 trials, 5 values of each"]
    points, ring = panels[0].collections
    assert np.array_equal(points.get_offsets(), grid)
    assert np.array_equal(points.get_array(), np.arange(6))
    assert np.array_equal(ring.get_offsets(), grid[:1])
    assert (panels[0].get_xscale(), panels[0].get_yscale()) == ("log", "linear")
    assert (panels[1].get_xlabel(), panels[0].get_ylabel()) == ("rate", "depth")
    plain = plots.search_layouts(grid[:, ::-1], random)
    assert [len(panel.collections) for panel in plain] == [1, 1]


# All of them ---------------------------------------------------------------------------------------------------------

NET = cr.Network([cr.Dense(3)], inputs=2)
WRONG = [
    ("rates must be above 0 and ascend", lambda: plots.learning_rate_range([1, 1], [1, 1])),
    (r"losses must have shape \(2,\); got \(3,\)", lambda: plots.learning_rate_range([1, 2], [1, 1, 1])),
    ("losses must hold a finite number", lambda: plots.learning_rate_range([1, 2], [np.nan, np.inf])),
    ("suggestion must be a finite number above 0", lambda: plots.learning_rate_range([1, 2], [1, 2], 0)),
    (r"suggestion\['a'\] must be a finite", lambda: plots.learning_rate_range([1, 2], [1, 2], {"a": np.inf})),
    (r"unsmoothed must have shape \(2,\)", lambda: plots.learning_rate_range([1, 2], [1, 2], unsmoothed=[1])),
    ("plans must hold at least 1 of", lambda: plots.schedules({}, 3)),
    ("epochs must be a whole number", lambda: plots.schedules({"a": 0.1}, 0)),
    (r"plans\['a'\] must be a finite number above 0", lambda: plots.schedules({"a": 0}, 1)),
    ("plans must be a mapping from names", lambda: plots.schedules([0.1], 1)),
    (r"rates\['a'\] must be a finite number above 0", lambda: plots.descent_rates({"a": -1})),
    ("start must not be 0", lambda: plots.descent_rates(start=0)),
    ("functions must be a list of activations", lambda: plots.activations("relu")),
    (r"functions\[0\] must be a function of one number; softmax", lambda: plots.activations(["softmax"])),
    ("limit must be a finite number above 0", lambda: plots.saturation(limit=0)),
    ("ax must be an Axes of matplotlib; got 3", lambda: plots.cross_entropy(3)),
    ("figure must be a Figure or SubFigure of matplotlib; got 3", lambda: plots.activations(figure=3)),
    ("reports must be a result of gradient_report", lambda: plots.layer_norms(3)),
    ("reports must be .* of one kind", lambda: plots.layer_norms({"a": cr.weight_report(NET), "b": 3})),
    ("reports must have a layer", lambda: plots.layer_norms(cr.weight_report(cr.Network([cr.BatchNorm()], inputs=2)))),
    ("sizes must be a list of at least three layers", lambda: plots.dropout_network([2, 2])),
    (r"sizes\[1\] must be a whole number from 1 to 16", lambda: plots.dropout_network([2, 17, 2])),
    (r"masks must be a list of 1 arrays", lambda: plots.dropout_network([2, 2, 2], masks=[])),
    (r"masks\[0\] must be bools of shape \(2,\)", lambda: plots.dropout_network([2, 2, 2], masks=[[1, 0]])),
    ("before must have at least 2 rows", lambda: plots.batch_normalization([[1.0]])),
    (r"after must have shape \(2, 1\)", lambda: plots.batch_normalization([[1.0], [2]], [[1.0]])),
    (r"pictures must have shape \(n, height, width\)", lambda: plots.noise_examples([[1.0]], {"a": 1})),
    (r"noisy\['a'\] must have shape \(1, 1, 1\)", lambda: plots.noise_examples([[[1.0]]], {"a": [1.0]})),
    ("matrix must hold counts of at least 0", lambda: plots.confusion_matrix([[1, -1], [1, 1]])),
    ("matrix must hold counts", lambda: plots.confusion_matrix([[1, 1]])),
    ("labels must be a list of 2 names", lambda: plots.confusion_matrix(np.eye(2), ["a"])),
    (r"labels\[0\] must be a string", lambda: plots.confusion_matrix(np.eye(1), [1])),
    ("net must have 2 inputs", lambda: plots.decision_boundary(cr.Network([cr.Dense(2)], inputs=3), [[1, 2]], [0])),
    (r"y must have shape \(1,\)", lambda: plots.decision_boundary(NET, [[1, 2]], [0, 1])),
    ("y must hold class labels from 0 to 2", lambda: plots.decision_boundary(NET, [[1, 2]], [3])),
    (r"X must have shape \(rows, 2\); got \(0, 2\)", lambda: plots.decision_boundary(NET, np.zeros((0, 2)), [])),
    (r"curves\['a'\] must be a pair", lambda: plots.fits([1], [1], {"a": 3})),
    (r"y must have shape \(2,\)", lambda: plots.fits([1, 2], [1], {"a": ([1], [1])})),
    ("variance must be at least 0; got -1", lambda: plots.bias_variance(["a"], [1], [-1])),
    ("bias_squared must be at least 0; got -1", lambda: plots.bias_variance(["a"], [-1], [1], kind="classes")),
    ("noise must be at least 0; got -1", lambda: plots.bias_variance(["a"], [1], [1], noise=-1)),
    (r"noise must have shape \(1,\); got \(2,\)", lambda: plots.bias_variance(["a"], [1], [1], noise=[1, 1])),
    (r"error must have shape \(1,\); got \(2,\)", lambda: plots.bias_variance(["a"], [1], [1], error=[1, 1])),
    ("kind='words' is unknown", lambda: plots.bias_variance(["a"], [1], [1], kind="words")),
    ("sizes must be above 0 and ascend", lambda: plots.error_curve([2, 1], [1, 1], [1, 1])),
    ("training must have an error for each of the 2 sizes", lambda: plots.error_curve([1, 2], [1], [1, 1])),
    ("validation must have finite errors at one size", lambda: plots.error_curve([1, 2], [1, 1], [np.inf, np.nan])),
    ("sizes must", lambda: plots.error_curve([], [], [])),
    ("spread='sd' is unknown", lambda: plots.error_curve([1, 2], [1, 1], [1, 1], spread="sd")),
    ("given both, or neither", lambda: plots.search_layouts([[1, 2]], [[1, 2]], [1])),
    (r"grid must have shape \(rows, 2\)", lambda: plots.search_layouts([1, 2], [[1, 2]])),
    ("names must be two names", lambda: plots.search_layouts([[1, 2]], [[1, 2]], names="ab")),
    ("best='most' is unknown", lambda: plots.search_layouts([[1, 2]], [[1, 2]], best="most")),
]


@pytest.mark.parametrize(("message", "call"), WRONG, ids=range(len(WRONG)))
def test_what_cannot_be_drawn(message, call):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_panels_go_into_a_given_figure():
    figure = figure_module.Figure()
    left, right = figure.subfigures(1, 2)
    panels = plots.descent_rates(figure=left)
    assert left.axes == panels.tolist()
    assert right.axes == []


def test_every_picture_has_a_row_in_the_catalogue():
    text = (Path(__file__).parents[1] / "docs" / "catalogue.md").read_text(encoding="utf-8")
    for name in plots.__all__:
        (call,) = re.findall(rf"^\| `plots\.{name}\(([^`]*)\)`", text, re.MULTILINE)
        assert [one.strip(" =") for one in call.split(",")] == list(inspect.signature(getattr(plots, name)).parameters)
