"""Networks and descriptions, judged by NumPy written out here."""

from __future__ import annotations

import ast
import copy
import functools
import importlib.metadata
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gpu import needs_no_gpu
from problems import rows, smooth_classifier, softmax

import chainrule as cr
from chainrule import _engine, activations, constraints, initializers, losses, optimizers

PUBLIC = {name: getattr(cr, name) for name in cr.__all__}

# Descriptions --------------------------------------------------------------------------------------------------------

DESCRIPTIONS = [
    cr.Dense(128, activation="relu"),
    cr.Dense(7, activation=cr.LeakyReLU(slope=0.1), bias=False, weight_init=cr.Normal(0.5), bias_init=cr.Constant(1)),
    cr.Activation(cr.ELU(alpha=2)),
    cr.Dense(2, connections=np.eye(2), weight_constraint="unit_norm"),
    cr.DropConnect(3, keep_prob=0.5, weight_constraint=cr.MaxNorm(3)),
    cr.Maxout(4, pieces=3),
    cr.BatchNorm(momentum=0.2),
    cr.Dropout(rate=0.5),
    cr.Dropout(keep_prob=0.75, variant="fixed_count", per="batch"),
    cr.GaussianNoise(std=0.1),
    cr.Step(straight_through=True),
    cr.NonNegative(),
    cr.SGD(),
    cr.Momentum(0.1, beta=0.5, style="ema"),
    cr.Adam(0.01, eps_inside_sqrt=True),
    cr.L2(1e-5, bias_strength=1e-6),
    cr.MeanSquaredError(reduction="sum", half=True),
    cr.Huber(delta=2),
    cr.CrossEntropy(from_logits=False, label_smoothing=0.1),
    cr.BinaryCrossEntropy(),
    cr.LectureNormal(),
    cr.Uniform(0.3),
    cr.EarlyStopping(patience=3),
]


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=repr)
def test_repr_evaluates_back(description):
    again = eval(repr(description), PUBLIC)
    assert again == description
    assert repr(again) == repr(description)


def test_repr_of_a_network_evaluates_back():
    net = cr.Network([cr.Maxout(3), cr.BatchNorm(), cr.Dense(3, connections=np.eye(3))], inputs=4, seed=3)
    again = eval(repr(net), PUBLIC)
    assert again.layers == net.layers
    assert all(np.array_equal(again.parameters()[name], value) for name, value in net.parameters().items())


def test_numpy_numbers_become_python_numbers():
    assert cr.Dense(np.int64(3)) == cr.Dense(3)
    assert type(cr.SGD(np.float32(0.5)).lr) is float
    assert type(cr.Adam(1).lr) is float


def test_descriptions_are_frozen():
    with pytest.raises(AttributeError):
        cr.Dense(3).units = 4


def test_the_best_epoch_of_a_history():
    history = cr.History(["loss", "val_loss"], first_epoch=4)
    assert history.best_epoch is None
    for loss, val_loss in ((3.0, 7.0), (2.0, 5.0), (1.0, 6.0)):
        history.add({"loss": loss, "val_loss": val_loss})
    assert history.best_epoch == 5
    assert history.last() == {"loss": 1.0, "val_loss": 6.0}
    history.best_epoch = 6
    assert history.best_epoch == 6
    alone = cr.History(["loss"])
    for loss in (float("nan"), 2.0, 1.0):
        alone.add({"loss": loss})
    assert alone.best_epoch == 3
    alone.drop_last()
    assert (alone.best_epoch, alone.epochs) == (2, 2)


@pytest.mark.parametrize("module", [activations, constraints, initializers, losses, optimizers])
def test_every_word_without_options_is_understood(module):
    from chainrule.registry import required_options

    for word, kind in module.KNOWN.items():
        if not required_options(kind):
            assert module.resolve("argument", word) == kind()


# Starting ------------------------------------------------------------------------------------------------------------


def started(initializer, inputs=300, units=200, **options):
    net = cr.Network([cr.Dense(units, weight_init=initializer, **options)], inputs=inputs, seed=3, dtype="float64")
    return net.parameters()["0.weight"]


@pytest.mark.parametrize(
    ("initializer", "variance", "bound"),
    [
        (cr.GlorotUniform(), 2 / 500, np.sqrt(6 / 500)),
        (cr.GlorotNormal(), 2 / 500, None),
        (cr.HeUniform(), 2 / 300, np.sqrt(6 / 300)),
        (cr.HeNormal(), 2 / 300, None),
        (cr.LectureNormal(), (2 / np.sqrt(300)) ** 2, None),
        (cr.Normal(0.7), 0.49, None),
        (cr.Uniform(0.3), 0.09 / 3, 0.3),
    ],
    ids=repr,
)
def test_random_starts(initializer, variance, bound):
    w = started(initializer)
    n = w.size
    # Five standard errors: of a mean, sd / sqrt(n); of a variance, at most sd^2 sqrt(2 / n) (a normal's).
    assert abs(w.mean()) < 5 * np.sqrt(variance / n)
    assert abs(w.var() - variance) < 5 * variance * np.sqrt(2 / n)
    if bound is not None:
        assert np.abs(w).max() <= bound
        # The largest of n falls short of the bound by bound / n on average.
        assert np.abs(w).max() > bound * (1 - 20 / n)


def test_constant_starts():
    assert np.all(started(cr.Constant(0.25)) == 0.25)
    assert np.all(started("zeros") == 0)
    net = cr.Network([cr.Dense(3, bias_init=cr.Constant(-1))], inputs=2)
    assert np.all(net.parameters()["0.bias"] == -1)


@pytest.mark.filterwarnings("ignore::chainrule.PlacementWarning")
@pytest.mark.parametrize("kind", [cr.Dense, functools.partial(cr.DropConnect, rate=0.1)], ids=["Dense", "DropConnect"])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "identity", "sigmoid", "tanh", "softmax", "step"])
def test_relus_start_by_he_others_by_glorot(kind, activation):
    net = cr.Network([kind(200, activation=activation), cr.Activation("identity"), cr.Dense(1)], inputs=300, seed=3)
    expected = cr.HeNormal() if activation.endswith("lu") else cr.GlorotUniform()
    assert net.layers[0].start() == expected.word
    w, other = net.parameters()["0.weight"], started(expected).astype(np.float32)
    assert np.array_equal(w, other)


def test_maxout_starts_by_glorot_of_its_units():
    w = cr.Network([cr.Maxout(200, pieces=3)], inputs=300, seed=3).parameters()["0.weight"]
    assert w.shape == (300, 600)
    bound = np.sqrt(6 / 500)
    # As in test_random_starts: the largest of n falls short of the bound by bound / n on average.
    assert bound * (1 - 20 / w.size) < np.abs(w).max() <= np.float32(bound)


def test_the_seed_decides_the_start():
    def weights(seed):
        return cr.Network([cr.Dense(3)], inputs=4, seed=seed).parameters()["0.weight"]

    assert np.array_equal(weights(5), weights(5))
    assert not np.array_equal(weights(5), weights(6))
    assert not np.array_equal(weights(2**64 - 1), weights(0))


# Passes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
def test_predict_is_what_numpy_computes(dtype, count):
    net = cr.Network([cr.Dense(5, activation="tanh"), cr.Dense(3, activation="softmax")], inputs=4, dtype=dtype)
    p = {name: value.astype(float) for name, value in net.parameters().items()}
    x = rows(count)
    expected = np.tanh(x @ p["0.weight"] + p["0.bias"]) @ p["1.weight"] + p["1.bias"]
    expected = softmax(expected) if count else expected
    predicted = net.predict(x)
    assert predicted.shape == (count, 3)
    assert predicted.dtype == dtype
    # Two products of at most 5 terms and three functions, all of order 1: 64 roundings are more than there are.
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=64 * np.finfo(dtype).eps)


@pytest.mark.parametrize("alone", [False, True], ids=["in Dense", "alone"])
@pytest.mark.parametrize("activation", [cr.LeakyReLU(slope=0.25), cr.ELU(alpha=0.5)], ids=repr)
def test_the_number_of_an_activation_reaches_the_engine(activation, alone):
    layers = [cr.Dense(5), cr.Activation(activation)] if alone else [cr.Dense(5, activation=activation)]
    net = cr.Network(layers, inputs=4, dtype="float64")
    p, x = net.parameters(), rows(6)
    z = x @ p["0.weight"] + p["0.bias"]
    below = 0.25 * z if isinstance(activation, cr.LeakyReLU) else 0.5 * np.expm1(z)
    # A product of 4 terms of order 1 and one function.
    np.testing.assert_allclose(net.predict(x), np.where(z > 0, z, below), rtol=0, atol=32 * 2.0**-53)


def test_predict_writes_to_out():
    net, x = smooth_classifier(), rows(9)
    out = np.empty((9, 3))
    assert net.predict(x, out) is out
    assert np.array_equal(out, net.predict(x))


def test_predict_ignores_the_mode_and_keeps_the_pass():
    net = cr.Network([cr.Dropout(rate=0.5), cr.Dense(3)], inputs=4, dtype="float64")
    x, y = rows(8), np.zeros((8, 3))
    loss = cr.MeanSquaredError()(net(x), y)
    assert np.array_equal(net.predict(x), net.predict(x))
    loss.backward()
    net.eval()
    assert np.array_equal(np.asarray(net(x)), net.predict(x))


def test_train_and_eval_return_the_network():
    net = smooth_classifier()
    assert net.training
    assert net.eval() is net
    assert not net.training
    assert net.train() is net
    assert net.training


def test_dropout_in_training_mode():
    net = cr.Network([cr.Dropout(rate=0.25)], inputs=1000, dtype="float64")
    x = np.ones((40, 1000))
    first, second = np.asarray(net(x)), np.asarray(net(x))
    assert set(np.unique(first)) == {0.0, 1 / 0.75}
    # Five standard errors of a share of 40,000 draws.
    assert abs((first == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 40_000)
    assert not np.array_equal(first, second)
    assert np.array_equal(net.predict(x), x)


# State ---------------------------------------------------------------------------------------------------------------


def test_parameters_are_views_and_state_is_a_copy():
    net = smooth_classifier()
    state = net.state_dict()
    net.parameters()["1.bias"][...] = 7
    assert np.all(net.parameters()["1.bias"] == 7)
    assert not np.any(state["1.bias"] == 7)
    net.load_state_dict(state)
    assert np.array_equal(net.parameters()["1.bias"], state["1.bias"])


def test_load_state_dict_takes_other_dtypes_and_lists():
    net, other = smooth_classifier("float32"), smooth_classifier("float64")
    net.load_state_dict({name: value.tolist() for name, value in other.state_dict().items()})
    for name, value in net.parameters().items():
        assert np.array_equal(value, other.parameters()[name].astype(np.float32))


def test_statistics_are_state_but_no_parameters():
    net = cr.Network([cr.BatchNorm(), cr.Dense(2)], inputs=3, dtype="float64")
    assert set(net.parameters()) == set(net.gradients()) == {"0.gamma", "0.beta", "1.weight", "1.bias"}
    assert set(net.statistics()) == {"0.running_mean", "0.running_variance"}
    state = net.state_dict()
    assert set(state) == {*net.parameters(), *net.statistics()}
    net(rows(5, 3))
    assert not np.array_equal(net.statistics()["0.running_mean"], state["0.running_mean"])
    net.load_state_dict(state)
    assert np.array_equal(net.statistics()["0.running_mean"], state["0.running_mean"])


def test_load_state_dict_takes_the_views_of_its_own_network():
    net = cr.Network([cr.Dense(3, bias=False), cr.Dense(3, bias=False)], inputs=3)
    a, b = (value.copy() for value in net.parameters().values())
    views = net.parameters()
    net.load_state_dict({"0.weight": views["1.weight"], "1.weight": views["0.weight"]})
    assert np.array_equal(net.parameters()["0.weight"], b)
    assert np.array_equal(net.parameters()["1.weight"], a)


@pytest.mark.parametrize("copied", [lambda net: net.copy(), copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_are_equal_and_apart(copied):
    layers = [cr.Dropout(rate=0.5), cr.BatchNorm(), cr.Dense(3), cr.GaussianNoise(std=1), cr.Dense(2)]
    net = cr.Network(layers, inputs=4, seed=9)
    net(rows(3))
    net.freeze(1)
    assert not copied(net.eval()).training
    other = copied(net.train())
    assert other.training
    assert repr(other) == repr(net)
    assert other.frozen == (1,)
    assert other.statistics()["1.running_mean"].any()
    assert np.array_equal(*(np.asarray(one(rows(3), training=True)) for one in (other, net)))
    other.parameters()["2.weight"][...] = 0
    other.statistics()["1.running_variance"][...] = 0
    other.unfreeze()
    assert np.any(net.parameters()["2.weight"] != 0)
    assert np.any(net.statistics()["1.running_variance"] != 0)
    assert net.frozen == (1,)


def test_copy_in_another_precision():
    net = smooth_classifier("float32")
    other = net.copy(dtype=np.float64)
    assert other.dtype == np.float64
    assert np.array_equal(other.parameters()["0.weight"], net.parameters()["0.weight"].astype(float))


def test_views_outlive_the_network():
    view = smooth_classifier().parameters()["0.weight"]
    kept = view.copy()
    for _ in range(20):
        smooth_classifier()
    assert np.array_equal(view, kept)


# Reports and settings ------------------------------------------------------------------------------------------------


def test_summary(capsys):
    net = cr.Network([cr.Dense(128, activation="relu"), cr.Dropout(rate=0.2), cr.Dense(10)], inputs=64)
    net.summary(batch_size=16)
    printed = capsys.readouterr().out
    for words in ("Dense relu", "Dropout", "he_normal", "glorot_uniform", "(B, 128)", "8,320", "1,290", "16 rows"):
        assert words in printed, words
    assert "statistics" not in printed
    assert "frozen" not in printed
    assert f"{64 * 128 + 128 + 128 * 10 + 10:,} parameters" in printed


def test_summary_of_statistics_and_frozen_layers(capsys):
    net = cr.Network([cr.Maxout(50, pieces=3), cr.BatchNorm(), cr.DropConnect(10, rate=0.5)], inputs=20)
    net.freeze(0, 1)
    net.summary()
    lines = capsys.readouterr().out.splitlines()
    cells = [re.split(r"  +", line.strip()) for line in lines]
    assert cells[0] == ["layer", "output shape", "parameters", "statistics", "start", "kept for the way back"]
    # Of 32 rows, 4 bytes a number: h (32, 50) and z (32, 150); h and two columns of 50, each at a cache line; h (32,
    # 10) and W' (50, 10).
    assert cells[2] == ["0 Maxout of 3 (frozen)", "(B, 50)", "3,150", "0", "glorot_uniform", "h, z: 25.0 KiB"]
    assert cells[3] == ["1 BatchNorm (frozen)", "(B, 50)", "100", "100", "gamma 1, beta 0", "h, mu, s2: 6.8 KiB"]
    assert cells[4] == ["2 DropConnect identity", "(B, 10)", "510", "0", "glorot_uniform", "h, W': 3.2 KiB"]
    assert "3,250 of the parameters are frozen" in lines
    assert "100 statistics are counted along" in lines
    assert any(line.startswith("3,760 parameters") for line in lines)


@pytest.mark.parametrize(("dtype", "parameters"), [("float32", "37.5 KiB"), ("float64", "75.1 KiB")])
def test_summary_counts_bytes(capsys, dtype, parameters):
    # 9,610 parameters of 4 or 8 bytes.
    net = cr.Network([cr.Dense(128, activation="relu"), cr.Dense(10)], inputs=64, dtype=dtype)
    net.summary(batch_size=500)
    totals, step = capsys.readouterr().out.splitlines()[-2:]
    assert f"9,610 parameters, {parameters} in {dtype}" in totals
    # At least the outputs of both layers and as many gradients, or one of the two where they share memory.
    amount, unit = re.search(r"500 rows needs ([\d.]+) (\w+) more", step).groups()
    needed = float(amount) * {"KiB": 2**10, "MiB": 2**20}[unit]
    outputs = 500 * (128 + 10) * np.dtype(dtype).itemsize
    assert outputs < needed < 4 * outputs
    assert outputs == sum(net.core.kept_bytes(500))


def test_memory_grows_with_the_batch_and_the_precision():
    single, double = smooth_classifier("float32").core, smooth_classifier("float64").core
    assert single.step_bytes(64) > single.step_bytes(1) > 0
    assert double.step_bytes(4096) > 1.5 * single.step_bytes(4096)


def test_threads():
    before = cr.get_num_threads()
    try:
        cr.set_num_threads(3)
        assert cr.get_num_threads() == 3
        cr.set_num_threads(0)
        assert cr.get_num_threads() >= 1
    finally:
        cr.set_num_threads(before)


def test_device():
    assert smooth_classifier(device="cpu").device == "cpu"
    assert smooth_classifier(device="auto").device == ("cuda" if _engine.cuda_available() else "cpu")


@needs_no_gpu
def test_without_a_gpu_the_device_is_refused():
    with pytest.raises(RuntimeError, match=r"device='cuda' is not available: .*; use 'cpu'"):
        smooth_classifier(device="cuda")


@pytest.mark.parametrize("name", ["layers", "inputs", "outputs", "seed", "dtype", "device", "engine", "head", "frozen"])
def test_what_a_network_is_made_with_is_fixed(name):
    net = smooth_classifier()
    with pytest.raises(AttributeError):
        setattr(net, name, getattr(net, name))


def test_too_many_parameters_are_refused_before_memory_is_taken():
    with pytest.raises(ValueError, match=r"^layers must have at most 2147483647 parameters; these have 4900070000"):
        cr.Network([cr.Dense(70000)], inputs=70000)


@pytest.mark.parametrize(("kind", "option"), [(cr.LeakyReLU, "slope"), (cr.ELU, "alpha")])
def test_what_the_engine_would_refuse_is_refused_at_once(kind, option):
    cr.Network([cr.Activation(kind(**{option: 1e6}))], inputs=1)
    with pytest.raises(ValueError, match=f"^{option} must be a finite number at least 0 and at most 1e\\+06"):
        kind(**{option: 1.1e6})


@pytest.mark.filterwarnings("ignore::chainrule.PlacementWarning")
def test_head_is_the_last_activation_that_shows():
    assert cr.Network([cr.Dense(3, activation="relu"), cr.Dense(2)], inputs=1).head == cr.Identity()
    assert cr.Network([cr.Dense(3), cr.Activation("softmax")], inputs=1).head == cr.Softmax()
    layers = [cr.Dense(3, activation="sigmoid"), cr.Activation("identity"), cr.Dropout(rate=0.1)]
    assert cr.Network(layers, inputs=1).head == cr.Sigmoid()
    assert cr.Network([*layers, cr.GaussianNoise(std=1)], inputs=1).head == cr.Sigmoid()
    # What is scaled and shifted, or the greatest of pieces, may be any number.
    assert cr.Network([*layers, cr.BatchNorm()], inputs=1).head == cr.Identity()
    assert cr.Network([*layers, cr.Maxout(2)], inputs=1).head == cr.Identity()
    assert cr.Network([*layers, cr.DropConnect(2, rate=0.1)], inputs=1).head == cr.Identity()


def test_a_network_without_parameters():
    net = cr.Network([cr.Activation("step")], inputs=3)
    assert net.parameters() == net.statistics() == net.state_dict() == {}
    assert np.array_equal(net.predict([[-1, 0, 2]]), [[0, 1, 1]])


def test_public_names():
    for name in cr.__all__:
        assert getattr(cr, name) is not None
    assert set(dir(cr)) == set(cr.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        cr.nonsense  # noqa: B018
    assert cr.reference.__name__ == "chainrule.reference"


def test_names_for_type_checkers_are_those_found_when_asked_for():
    # mypy reads the imports under TYPE_CHECKING, Python the table.
    tree = ast.parse(Path(cr.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    # A __getattr__ that they see would make every misspelt name a good one.
    assert "__getattr__" not in {getattr(node, "name", None) for node in tree.body}
    checked = {alias.name: node.module for node in block.body for alias in node.names}
    assert {"__version__", *checked} == set(cr.__all__)
    for name, module in checked.items():
        assert getattr(cr, name) is getattr(getattr(cr, module), name)


def test_show_versions(capsys):
    cr.show_versions()
    printed = capsys.readouterr().out
    assert cr.__version__ in printed
    assert np.__version__ in printed
    for package in ("scikit-learn", "matplotlib", "tqdm", "safetensors"):
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = "not installed"
        assert re.search(rf"^{package} +{re.escape(version)}$", printed, re.MULTILINE)


def test_importing_stays_light():
    heavy = ["sklearn", "matplotlib", "tqdm", "safetensors", "csv", "argparse", "json", "importlib.metadata"]
    code = "import numpy, sys; before = set(sys.modules); import chainrule; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert [name for name in heavy if name in loaded] == []


def test_precision_is_for_float32_on_a_gpu():
    with pytest.raises(ValueError, match=r"^precision='tf32' is for device='cuda'; the CPU rounds no factors$"):
        smooth_classifier("float32", precision="tf32")
    with pytest.raises(ValueError, match=r"^precision='tf32' is for dtype='float32'; got 'float64'$"):
        smooth_classifier("float64", device="auto", precision="tf32")
    with pytest.raises(ValueError, match=r"^precision='half' is unknown; known are 'float32', 'tf32', 'bfloat16'$"):
        smooth_classifier("float32", device="auto", precision="half")
    net = smooth_classifier("float32", device="auto", precision="tf32")
    assert net.precision == net.copy().precision == ("tf32" if net.device == "cuda" else None)
    assert net.to("cpu").precision is None


def test_the_engine_assigns_all_or_nothing():
    net = smooth_classifier()
    before = net.state_dict()
    ones = {name: np.ones_like(value) for name, value in before.items()}
    for wrong in ({**ones, "9.weight": np.ones(3)}, {**ones, "1.bias": np.ones(4)}):
        with pytest.raises(ValueError, match=r"a name that no parameter has|a value must have shape \(3\)"):
            net.core.assign(wrong)
        assert all((value == before[name]).all() for name, value in net.state_dict().items())
    net.core.assign({"1.bias": ones["1.bias"]})
    assert (net.parameters()["1.bias"] == 1).all()
    assert (net.parameters()["0.weight"] == before["0.weight"]).all()
