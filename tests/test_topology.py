"""Networks of another shape, judged by NumPy: weights set to 0, columns cut out, least squares on fewer columns."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from problems import problem

import chainrule as cr
from chainrule import data

# Sums of at most 40 products of order 1, through three layers.
CLOSE = {"rtol": 0, "atol": 512 * 2.0**-53}


def some_network(dtype="float64", seed=3):
    """Return a network with a bit of everything, not as it starts."""
    layers = [
        cr.Dense(7),
        cr.BatchNorm(),
        cr.Activation("relu"),
        cr.Dropout(rate=0.2),
        cr.Dense(6, activation="tanh", connections=np.tri(7, 6, 2)),
        cr.Maxout(4),
        cr.Dense(3),
    ]
    net = cr.Network(layers, inputs=4, seed=seed, dtype=dtype)
    X, y = problem()
    cr.Trainer(net, loss="cross_entropy").fit(X, y, epochs=2)
    return net


def same_state(one, other):
    a, b = one.state_dict(), other.state_dict()
    return list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a)


def two_layers(first, second, **options):
    """Return a linear network of two layers with these weights."""
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    layers = [cr.Dense(first.shape[1], **options), cr.Dense(second.shape[1])]
    net = cr.Network(layers, inputs=len(first), dtype="float64")
    net.parameters()["0.weight"][...] = first
    net.parameters()["1.weight"][...] = second
    return net


# Pruning -------------------------------------------------------------------------------------------------------------

FIRST, SECOND = [[0.5, -0.1, 3], [0, 0.2, -4]], [[0.3], [-0.05], [0.6]]


@pytest.mark.parametrize(
    ("options", "first", "second"),
    [
        # Of nine weights 0, -0.05, -0.1, 0.2 are the least four.
        ({"share": 0.45}, ("101", "001"), ("1", "0", "1")),
        ({"share": 0.0}, None, None),
        # Of each layer a third.
        ({"share": 1 / 3, "per_layer": True}, ("101", "011"), ("1", "0", "1")),
        ({"share": 0.5, "layers": [1]}, None, ("0", "0", "1")),
        ({"threshold": 0.3}, ("101", "001"), ("0", "0", "1")),
        ({"threshold": 0.3, "layers": (0, 0)}, ("101", "001"), None),
        ({"threshold": 0}, ("111", "011"), None),
        ({"threshold": 9}, ("000", "000"), ("0", "0", "0")),
    ],
)
def test_pruned_by_hand(options, first, second):
    net = two_layers(FIRST, SECOND)
    small = cr.pruned(net, **options)
    assert [layer.connections for layer in small.layers] == [first, second]
    for name, weights, kept in (("0.weight", FIRST, first), ("1.weight", SECOND, second)):
        mask = 1 if kept is None else np.array([list(row) for row in kept], dtype=int)
        assert np.array_equal(small.parameters()[name], weights * np.asarray(mask))
    assert same_state(net, two_layers(FIRST, SECOND))
    assert net.layers[0].connections is None


def test_a_pruned_network_computes_what_its_weights_say(dtype):
    net = some_network(dtype)
    X, _ = problem()
    small = cr.pruned(net, share=0.4)
    # The same network with zeros in these places, set by hand.
    zeroed = net.copy()
    for name, value in small.parameters().items():
        zeroed.parameters()[name][value == 0] = 0
    assert np.array_equal(small.predict(X), zeroed.predict(X))
    assert not np.array_equal(small.predict(X), net.predict(X))
    connected = 4 * 7 + int(np.tri(7, 6, 2).sum()) + 4 * 3
    left = sum(np.count_nonzero(small.parameters()[f"{number}.weight"]) for number in (0, 4, 6))
    assert connected - left == round(0.4 * connected)
    assert np.array_equal(small.parameters()["5.weight"], net.parameters()["5.weight"])  # Maxout has no connections


def test_what_was_pruned_stays_0_and_the_rest_learns():
    X, y = problem()
    small = cr.pruned(some_network("float32"), share=0.5)
    before = small.state_dict()
    cr.Trainer(small, loss="cross_entropy", penalty=cr.L2(0.01)).fit(X, y, epochs=3)
    for number in (0, 4, 6):
        mask, w = small.layers[number].is_connected("weight"), small.parameters()[f"{number}.weight"]
        assert not w[~mask].any()
        assert (w[mask] != before[f"{number}.weight"][mask]).all()


def test_pruning_in_turns_takes_its_share_of_what_is_left():
    net = cr.Network([cr.Dense(8), cr.Dense(2, activation="tanh")], inputs=10)
    left = []
    for _ in range(3):
        net = cr.pruned(net, share=0.5)
        left.append(cr.weight_report(net).weights - cr.weight_report(net).zeros)
    assert left == [48, 24, 12]


def test_pruned_keeps_all_else():
    net = some_network("float32", seed=11)
    net.freeze(0)
    net.eval()
    small = cr.pruned(net, share=0.1)
    assert (small.seed, small.dtype, small.inputs, small.frozen) == (11, np.dtype("float32"), 4, (0,))
    assert (small.training, small.core.steps) == (False, net.core.steps)
    assert all(np.array_equal(value, net.statistics()[name]) for name, value in small.statistics().items())
    assert same_state(copy.deepcopy(small), small)
    assert small.copy().layers == small.layers


def test_proximal_l1_and_pruning_at_0():
    X, y = problem()
    net = cr.Network([cr.Dense(8, activation="tanh"), cr.Dense(3)], inputs=4)
    penalty = cr.L1(0.05, update="proximal")
    cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(lr=0.2), penalty=penalty).fit(X, y, epochs=40)
    small = cr.pruned(net, threshold=0)
    assert cr.weight_report(small).zeros == cr.weight_report(net).zeros > 0
    assert np.array_equal(small.predict(X), net.predict(X))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, ValueError, "give exactly one of share= and threshold=; got share=None, threshold=None"),
        ({"share": 0.1, "threshold": 0.1}, ValueError, "give exactly one of share= and threshold="),
        ({"share": 1}, ValueError, "share must be a finite number at least 0 and below 1"),
        ({"share": -0.1}, ValueError, "share must be"),
        ({"share": "half"}, TypeError, "share must be"),
        ({"threshold": -1}, ValueError, "threshold must be a finite number at least 0"),
        ({"threshold": math.nan}, ValueError, "threshold must be"),
        ({"share": 0.1, "layers": [5]}, ValueError, r"layers must name Dense layers; layers\[5\] is Maxout"),
        ({"share": 0.1, "layers": [7]}, ValueError, "layers must be a whole number from 0 to 6"),
        ({"share": 0.1, "layers": 0}, TypeError, "layers must be a list of numbers"),
        ({"share": 0.1, "layers": []}, ValueError, r"layers must name a Dense layer.*\[0, 4, 6\]"),
        ({"share": 0.1, "per_layer": 1}, TypeError, "per_layer must be True or False"),
    ],
)
def test_what_pruned_refuses(options, error, words):
    net = some_network()
    before = net.copy()
    with pytest.raises(error, match=words):
        cr.pruned(net, **options)
    assert same_state(net, before)


def test_networks_that_cannot_be_pruned():
    with pytest.raises(TypeError, match="net must be a Network"):
        cr.pruned("net", share=0.1)
    with pytest.raises(ValueError, match=r"Dense layers of this network are \[\]"):
        cr.pruned(cr.Network([cr.Maxout(2)], inputs=2), share=0.1)
    net = two_layers([[math.nan]], [[1]])
    with pytest.raises(ValueError, match="finite parameters to be pruned"):
        cr.pruned(net, share=0.1)
    with pytest.raises(ValueError, match="finite parameters to be reshaped"):
        cr.with_units(net, 0, 3)


# Units ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [0, 4])
@pytest.mark.parametrize("units", [8, 30])
def test_more_units_change_nothing_at_first(layer, units):
    net, (X, y) = some_network(), problem()
    large = cr.with_units(net, layer, units)
    old = net.core.layers()[layer]["outputs"]
    assert large.core.layers()[layer]["outputs"] == units
    np.testing.assert_allclose(large.predict(X), net.predict(X), **CLOSE)
    a, b = large.parameters(), net.parameters()
    after = f"{layer + 4 if layer == 0 else layer + 1}.weight"
    assert np.array_equal(a[f"{layer}.weight"][:, :old], b[f"{layer}.weight"])
    assert np.array_equal(a[after][:old], b[after])
    assert not a[after][old:].any()
    assert (a[f"{layer}.weight"][:, old:] != 0).all()
    # Trained, they take part.
    cr.Trainer(large, loss="cross_entropy").fit(X, y, epochs=1)
    assert large.parameters()[after][old:].any()


def test_new_units_start_as_their_layer_does():
    init = {"weight_init": cr.Normal(0.3), "bias_init": cr.Constant(0.7)}
    net = cr.Network([cr.Dense(10, **init), cr.Dense(2)], inputs=50, dtype="float64")
    large = cr.with_units(net, 0, 110)
    new = large.parameters()["0.weight"][:, 10:]
    # Of 5000 draws: the mean within 4 standard errors, 0.3 / sqrt(5000), the deviation within 4 of 0.3 / sqrt(10000).
    assert abs(new.mean()) < 4 * 0.3 / math.sqrt(5000)
    assert abs(new.std() - 0.3) < 4 * 0.3 / math.sqrt(10000)
    assert (large.parameters()["0.bias"] == 0.7)[10:].all()
    assert len(np.unique(large.parameters()["0.weight"])) == 50 * 110  # no draw of the first start returned
    same, other = cr.with_units(net, 0, 110), cr.with_units(net, 0, 110, seed=5)
    assert same_state(same, large)
    assert not (other.parameters()["0.weight"][:, 10:] == new).any()
    assert large.seed == other.seed == net.seed


def test_units_of_little_weight_go_first():
    # Incoming norms 5, 1, 0.1, 2 and outgoing ones 1, 2, 100, 0.5: the products are 5, 2, 10 and 1.
    net = two_layers([[3, 1, 0.1, 0], [4, 0, 0, 2]], [[1, 0], [0, 2], [100, 0], [0.3, 0.4]])
    net.parameters()["0.bias"][...] = [1, 2, 3, 4]
    X = np.random.default_rng(0).normal(size=(6, 2))
    for units, kept in ((3, [0, 1, 2]), (2, [0, 2]), (1, [2]), (4, [0, 1, 2, 3])):
        small, a = cr.with_units(net, 0, units), net.parameters()
        W, b, V = a["0.weight"][:, kept], a["0.bias"][kept], a["1.weight"][kept]
        found = list(small.parameters().values())
        assert [np.array_equal(x, y) for x, y in zip(found, (W, b, V, a["1.bias"]), strict=True)] == [True] * 4
        np.testing.assert_allclose(small.predict(X), (X @ W + b) @ V + a["1.bias"], rtol=1e-14, atol=1e-13)


def test_units_that_give_nothing_are_not_missed():
    net, (X, _) = some_network(), problem()
    net.parameters()["4.weight"][[1, 4]] = 0
    small = cr.with_units(net, 0, 5)
    np.testing.assert_allclose(small.predict(X), net.predict(X), **CLOSE)
    assert np.array_equal(small.statistics()["1.running_mean"], net.statistics()["1.running_mean"][[0, 2, 3, 5, 6]])


def test_behind_batch_norm_gamma_and_the_outgoing_weights_decide():
    layers = [cr.Dense(3), cr.BatchNorm(), cr.Activation("tanh"), cr.Dense(1)]
    net = cr.Network(layers, inputs=1, dtype="float64")
    for name, value in {"0.weight": [[1e-3, 5, 9]], "1.gamma": [1, 1, 0.1], "3.weight": [[1], [2], [3]]}.items():
        net.parameters()[name][...] = value
    assert cr.with_units(net, 0, 2).parameters()["1.gamma"].tolist() == [1, 1]
    net.parameters()["0.weight"][0, 1] = 0
    assert cr.with_units(net, 0, 2).parameters()["0.weight"].tolist() == [[1e-3, 9]]


def test_connections_follow_the_units():
    first = cr.Dense(3, activation="tanh", connections=["100", "011"])
    net = cr.Network([first, cr.Dense(2, connections=["10", "11", "01"])], inputs=2)
    large = cr.with_units(net, 0, 4)
    assert [layer.connections for layer in large.layers] == [("1001", "0111"), ("10", "11", "01", "11")]
    net.parameters()["1.weight"][1] = 0
    small = cr.with_units(net, 0, 2)
    assert [layer.connections for layer in small.layers] == [("10", "01"), ("10", "01")]
    for other in (large, small):
        assert all(not layer.flaw("weight", other.parameters()[f"{n}.weight"]) for n, layer in enumerate(other.layers))
    # Where none is missing any more, the layer is fully connected.
    net.parameters()["1.weight"][:2] = 0
    assert cr.with_units(net, 0, 1).layers[0] == cr.Dense(1, activation="tanh", connections=["0", "1"])
    full = cr.with_units(two_layers([[1, 1]], [[0], [1]], connections=["11"]), 0, 1)
    assert full.layers[0].connections is None


def test_with_units_keeps_all_else():
    net = some_network("float32", seed=11)
    net.freeze(6)
    before = net.copy()
    for units in (3, 9):
        other = cr.with_units(net, 4, units)
        assert (other.seed, other.dtype, other.frozen, other.training) == (11, net.dtype, (6,), True)
        assert other.core.steps == net.core.steps
        assert all(a == b for n, (a, b) in enumerate(zip(net.layers, other.layers, strict=True)) if n != 4)
    assert same_state(net, before)
    assert same_state(cr.with_units(net, 4, 6), net)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((6, 4), ValueError, r"layer must be a hidden one; the units of layers\[6\] are the network's outputs"),
        ((1, 4), ValueError, r"layer must name Dense layers; layers\[1\] is BatchNorm"),
        ((5, 4), ValueError, r"layers\[5\] is Maxout"),
        ((7, 4), ValueError, "layer must be a whole number from 0 to 6"),
        ((-1, 4), ValueError, "layer must be"),
        ((0, 0), ValueError, "units must be a whole number from 1"),
        ((0, 2.0), TypeError, "units must be"),
    ],
)
def test_what_with_units_refuses(arguments, error, words):
    with pytest.raises(error, match=words):
        cr.with_units(some_network(), *arguments)


@pytest.mark.filterwarnings("ignore::chainrule.PlacementWarning")
def test_a_softmax_ties_its_units():
    for layers in ([cr.Dense(3, activation="softmax")], [cr.Dense(3), cr.Activation("softmax")]):
        net = cr.Network([*layers, cr.Dense(2)], inputs=2)
        with pytest.raises(ValueError, match=r"layer must have no softmax behind it"):
            cr.with_units(net, 0, 4)
    with pytest.raises(TypeError, match="net must be a Network"):
        cr.with_units(None, 0, 4)
    with pytest.raises(TypeError, match="seed must be"):
        cr.with_units(some_network(), 0, 9, seed="x")


# Growing -------------------------------------------------------------------------------------------------------------

COLUMNS, ROWS = 12, 30


def lines():
    """Return how to make a linear network that sees only the first columns."""

    def make(columns):
        mask = [str(int(i < columns)) for i in range(COLUMNS)]
        return cr.Network([cr.Dense(1, connections=mask, bias=False)], inputs=COLUMNS, dtype="float64")

    return make


def noisy_line(noise=1.0):
    """Return rows of which only the first three columns matter."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(ROWS, COLUMNS))
    return X, X[:, :3] @ [1.0, -2.0, 1.5] + noise * rng.normal(size=ROWS)


FIT = {"loss": "mse", "optimizer": cr.Momentum(lr=0.05), "epochs": 600, "batch_size": ROWS, "validation_split": 0.4}


def least_squares(X, y, sizes, seed=0):
    """Return (loss, val_loss) of the best line through the first columns, for each size."""
    trained, held_out = data.split(ROWS, 0.4, seed, None)
    found = []
    for size in sizes:
        w = np.linalg.lstsq(X[trained, :size], y[trained], rcond=None)[0]
        found.append([((X[part, :size] @ w - y[part]) ** 2).mean() for part in (trained, held_out)])
    return np.array(found)


def test_grow_measures_each_size():
    X, y = noisy_line()
    sizes = range(1, 9)
    growth = cr.grow(lines(), X, y, sizes=sizes, patience=99, **FIT)
    expected = least_squares(X, y, sizes)
    # Momentum of 0.9 takes sqrt(0.9) of the way that is left in each step, or less, where the rate times the curvature
    # is at least (1 - sqrt(0.9))^2: 600 steps leave 0.9^300 = 2e-14.
    trained, _ = data.split(ROWS, 0.4, 0, None)
    curvatures = np.linalg.eigvalsh(2 / len(trained) * X[trained, :8].T @ X[trained, :8])
    assert (1 - 0.9**0.5) ** 2 < 0.05 * curvatures[0] < 0.05 * curvatures[-1] < 1
    np.testing.assert_allclose([(one.loss, one.val_loss) for one in growth.steps], expected, rtol=1e-11)
    assert [(one.size, one.parameters) for one in growth.steps] == [(size, COLUMNS) for size in sizes]
    assert growth.size == sizes[int(expected[:, 1].argmin())]
    assert growth.stop_reason == "all 8 sizes tried"
    w = np.linalg.lstsq(X[trained, : growth.size], y[trained], rcond=None)[0]
    np.testing.assert_allclose(growth.net.parameters()["0.weight"][: growth.size, 0], w, rtol=1e-11)


@pytest.mark.parametrize("patience", [1, 2])
def test_grow_stops_where_networks_overfit(patience):
    X, y = noisy_line()
    made = []

    def make(size):
        made.append(size)
        return lines()(size)

    growth = cr.grow(make, X, y, sizes=[1, 2, 3, 6, 9, 12], patience=patience, **FIT)
    expected = least_squares(X, y, [3, 6, 9])
    assert (np.diff(expected[:, 0]) < 0).all()  # trains better ...
    assert (expected[1:, 1] > expected[0, 1]).all()  # ... and validates worse
    assert made == [1, 2, 3, 6, 9][: 3 + patience]
    assert growth.size == 3
    assert growth.stop_reason == f"{made[-1]} learns the training part better, but not the validation part: it overfits"
    shown = repr(growth).splitlines()
    assert [line.split()[-1] == "chosen" for line in shown[2 : 2 + len(made)]] == [size == 3 for size in made]
    assert shown[-1] == growth.stop_reason


def test_a_network_that_trains_worse_does_not_overfit():
    X, y = noisy_line()
    # The second size sees nothing: both its losses are worse, which is no reason to stop before the third.
    growth = cr.grow(lines(), X, y, sizes=[2, 0, 3], **FIT)
    assert [one.size for one in growth.steps] == [2, 0, 3]
    assert growth.steps[1].loss > growth.steps[0].loss
    assert growth.size == 3


def test_what_is_hardly_better_is_no_better():
    X, y = noisy_line()
    two, three = least_squares(X, y, [2, 3])[:, 1]
    margin = float(two - three)
    assert cr.grow(lines(), X, y, sizes=[2, 3], min_delta=0.9 * margin, **FIT).size == 3
    assert cr.grow(lines(), X, y, sizes=[2, 3], min_delta=1.1 * margin, **FIT).size == 2


def test_grow_adds_layers_too_and_keeps_the_shares_of_classes():
    X, y = problem()

    def make(widths):
        return cr.Network([*(cr.Dense(width, activation="tanh") for width in widths), cr.Dense(3)], inputs=4)

    # It monitors the validation loss.
    options = {"loss": "cross_entropy", "epochs": 3, "callbacks": [cr.EarlyStopping(patience=3)]}
    growth = cr.grow(make, X, y, sizes=[(), (4,), (4, 4)], patience=3, **options)
    assert [one.parameters for one in growth.steps] == [15, 35, 55]
    assert len(growth.net.layers) == len(growth.size) + 1
    # The same by hand: the parts, the shuffles.
    net = make(growth.size)
    trainer = cr.Trainer(net, loss="cross_entropy", seed=0)
    stopping = cr.EarlyStopping(patience=3)
    history = trainer.fit(X, y, epochs=3, validation_split=0.2, callbacks=[stopping])
    assert min(history["val_loss"]) == next(one.val_loss for one in growth.steps if one.size == growth.size)
    assert same_state(net, growth.net)


def test_grow_weighs_rows_and_classes():
    X, y = problem()
    weights = {"sample_weight": 1 + np.arange(len(X)) % 3, "class_weight": "balanced"}

    def make(units):
        return cr.Network([cr.Dense(units, activation="tanh"), cr.Dense(3)], inputs=4)

    (step,) = cr.grow(make, X, y, sizes=[4], loss="cross_entropy", epochs=3, **weights).steps
    trainer = cr.Trainer(make(4), loss="cross_entropy", seed=0)
    history = trainer.fit(X, y, epochs=3, validation_split=0.2, **weights)
    assert step.val_loss == history["val_loss"][-1]
    trained, _ = data.split(len(X), 0.2, 0, y)
    assert step.loss == trainer.evaluate(X[trained], y[trained], weights["sample_weight"][trained])["loss"]


def test_a_threshold_beyond_the_precision_removes_all():
    net = cr.pruned(some_network("float32"), threshold=1e308)
    assert not net.parameters()["0.weight"].any()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"sizes": []}, ValueError, "sizes must hold at least one size"),
        ({"sizes": [2, 2]}, ValueError, "no two alike"),
        ({"sizes": 4}, TypeError, "sizes must be a list of sizes"),
        ({"patience": 0}, ValueError, "patience must be"),
        ({"min_delta": -1}, ValueError, "min_delta must be"),
        ({"validation_split": 0}, ValueError, "validation_split must be a finite number above 0 and below 1"),
        ({"loss": "nonsense"}, ValueError, "loss='nonsense' is unknown"),
        ({"optimizer": "nonsense"}, ValueError, "optimizer='nonsense' is unknown"),
        ({"epochs": 0}, ValueError, "epochs must be"),
        ({"seed": -1}, ValueError, "seed must be"),
        ({"make_network": lambda size: size}, TypeError, r"make_network\(2\) must be a Network; got 2"),
        ({"make_network": None}, TypeError, "make_network must be a function"),
        ({"X": np.zeros((ROWS, 2))}, ValueError, "X must have shape"),
        ({"y": np.zeros(3)}, ValueError, f"y must have {ROWS} rows"),
    ],
)
def test_what_grow_refuses(options, error, words):
    X, y = noisy_line()
    arguments = {"make_network": lines(), "X": X, "y": y, "sizes": [2], **FIT, "epochs": 1, **options}
    with pytest.raises(error, match=words):
        cr.grow(arguments.pop("make_network"), arguments.pop("X"), arguments.pop("y"), **arguments)


def test_one_size_is_enough():
    X, y = noisy_line()
    growth = cr.grow(lines(), X, y, sizes=[2], **{**FIT, "epochs": 1})
    assert (growth.size, growth.stop_reason) == (2, "the one size tried")
