"""Narrow networks on the GPU, whose steps it takes as one, against the same networks on the CPU and against NumPy.

What differs is the order of additions, in x W, in dW and over the blocks of a batch, and the last bit of exp: losses of
ten epochs must agree to 1e-5 in float32 and 1e-10 in float64.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from gpu import emulated, needs_gpu
from problems import CLOCKED, built, subclasses, variants

import chainrule as cr
from chainrule import reference

pytestmark = needs_gpu

# What the emulator keeps within is a tenth of what is asked of a GPU, whose exp and log are others.
TOLERANCE = {"float32": 1e-5 if emulated else 1e-4, "float64": 1e-10}
_rng = np.random.default_rng(7)
X = _rng.normal(size=(75, 6))
LABELS = (X[:, 0] + X[:, 1] > 0).astype(int) + (X[:, 2] > 0.5)
NUMBERS = abs(X @ _rng.normal(size=(6, 3)))
SHARES = NUMBERS / NUMBERS.sum(axis=1, keepdims=True)
WEIGHT = _rng.uniform(0.5, 2, size=len(X))


def problem(rows: int, inputs: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of numbers and their classes, which can be learned."""
    rng = np.random.default_rng(rows)
    x = rng.normal(size=(rows, inputs))
    return x, (x @ rng.normal(size=(inputs, classes))).argmax(axis=1)


def stack(*widths: int, activation: str = "tanh", **options: Any) -> list[cr.Layer]:
    """Return Dense layers of such widths, the last one without an activation."""
    return [*(cr.Dense(width, activation=activation, **options) for width in widths[:-1]), cr.Dense(widths[-1])]


def trainer(layers: list[cr.Layer], inputs: int, dtype: str, device: str = "cuda", **options: Any) -> cr.Trainer:
    net = cr.Network(
        layers, inputs=inputs, seed=3, dtype=dtype, device=device, precision=options.pop("precision", None)
    )
    return cr.Trainer(net, **{"loss": "cross_entropy", "optimizer": cr.SGD(lr=0.1), **options})


def is_narrow(one: cr.Trainer) -> bool:
    """Whether the steps of a trainer are taken as one."""
    return bool(one.net.core.takes_narrow_steps(one.loss.build(one.net.engine)))


def assert_same_course(
    layers: list[cr.Layer], dtype: str, x: Any = X, y: Any = LABELS, frozen: tuple[int, ...] = (), **options: Any
) -> None:
    """Train as one on the GPU, and on the CPU; compare losses, metrics, gradients and what was learned."""
    fit = {"epochs": 4, "batch_size": 32, "verbose": 0, **options.pop("fit", {})}
    cpu, gpu = (trainer(layers, x.shape[1], dtype, device, **options) for device in ("cpu", "cuda"))
    assert is_narrow(gpu)
    assert not is_narrow(cpu)
    for one in (cpu, gpu):
        if frozen:  # without numbers it freezes all
            one.net.freeze(*frozen)
        one.fit(x, y, **fit)
    tolerance = TOLERANCE[dtype]
    for name in set(cpu.history) - CLOCKED:
        np.testing.assert_allclose(gpu.history[name], cpu.history[name], rtol=tolerance, atol=1e-12, err_msg=name)
    for ours, theirs in ((gpu.net.gradients(), cpu.net.gradients()), (gpu.net.state_dict(), cpu.net.state_dict())):
        for name, value in theirs.items():
            scale = max(float(abs(value).max()), 1e-2)
            np.testing.assert_allclose(ours[name], value, rtol=0, atol=50 * tolerance * scale, err_msg=name)


# Widths of one, of a tile and off it, up to the widest; batches of one row, of part of a tile, of a tile, of several;
# one layer to eight.
SHAPES = [
    ((1, 1), 5, 1),
    ((3, 16, 3), 7, 7),
    ((5, 3), 64, 64),
    ((16, 33, 16, 4), 64, 64),
    ((33, 100, 2), 200, 200),
    ((128, 128, 128, 10), 200, 200),
    ((5, 9, 17, 33, 2), 130, 64),
    ((7, 4, 4, 4, 4, 4, 4, 4, 3), 70, 33),
    ((2, 127), 70, 40),
]


@pytest.mark.parametrize(("widths", "rows", "batch"), SHAPES, ids=str)
def test_shapes(widths: tuple[int, ...], rows: int, batch: int, dtype: str) -> None:
    x, y = problem(rows, widths[0], widths[-1])
    fit = {"epochs": 10 if rows < 100 else 3, "batch_size": batch}
    if widths[-1] == 1:
        assert_same_course(stack(1), dtype, x, abs(x), loss="mean_squared_error", fit=fit)
    else:
        assert_same_course(stack(*widths[1:]), dtype, x, y, metrics=["accuracy"], fit=fit)


# Tiles of 64 rows; the same, with two groups of rows a thread, and two tiles a block; of 512 rows; and in double
# precision, two of 32 rows.
LARGE = [
    ((3, 5, 2), 10000, "float32"),
    ((4, 65, 3), 16390, "float32"),
    ((2, 4, 2), 131100, "float32"),
    ((3, 113, 2), 8300, "float64"),
]


@pytest.mark.parametrize(("widths", "rows", "dtype"), LARGE, ids=str)
def test_large_batches(widths: tuple[int, ...], rows: int, dtype: str) -> None:
    x, y = problem(rows, widths[0], widths[-1])
    assert_same_course(stack(*widths[1:]), dtype, x, y, metrics=["accuracy"], fit={"epochs": 1, "batch_size": rows})


@pytest.mark.parametrize("kind", subclasses(cr.ActivationFunction), ids=lambda kind: kind.__name__)
def test_every_activation_of_one_element(kind: type[cr.ActivationFunction], dtype: str) -> None:
    if kind is cr.Softmax:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cr.PlacementWarning)
        assert_same_course([cr.Dense(9, activation=built(kind)), cr.Dense(3)], dtype)
        # In the last layer too, and through all of them.
        layers = [cr.Dense(7, activation=built(kind)), cr.Dense(3, activation=built(kind))]
        assert_same_course(layers, dtype, y=NUMBERS, loss="mean_squared_error")


@pytest.mark.parametrize("kind", subclasses(cr.Loss), ids=lambda kind: kind.__name__)
def test_every_loss(kind: type[cr.Loss], dtype: str) -> None:
    y = {cr.CrossEntropy: LABELS, cr.BinaryCrossEntropy: (NUMBERS > 1).astype(float)}.get(kind, NUMBERS)
    for loss in variants(kind):
        if kind is cr.CrossEntropy and not loss.from_logits:
            continue
        plain = getattr(loss, "from_logits", True) and getattr(loss, "from_log", True)
        layers = [cr.Dense(7, activation="tanh"), cr.Dense(3, activation="identity" if plain else "sigmoid")]
        options = {"optimizer": cr.Adam(lr=0.01), "fit": {"epochs": 3, "sample_weight": WEIGHT}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cr.PlacementWarning)
            assert_same_course(layers, dtype, y=y, loss=loss, metrics=list(loss.metrics(3)), **options)
            if kind is cr.CrossEntropy:
                assert_same_course(layers, dtype, y=SHARES, loss=loss, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": cr.Adam(lr=0.01), "loss": cr.CrossEntropy(label_smoothing=0.1)},
        {"optimizer": cr.SGD(lr=0.1, clip_norm=0.05), "penalty": cr.L2(0.01)},
        {"optimizer": cr.Momentum(lr=0.05, clip_value=0.01), "penalty": cr.L1(0.01)},
        {"fit": {"shuffle": False, "epochs": 10}},
        {"fit": {"validation_split": 0.3}},
        {"fit": {"drop_last": True, "class_weight": "balanced"}},
    ],
    ids=str,
)
def test_what_surrounds_a_step(options: dict[str, Any], dtype: str) -> None:
    assert_same_course(stack(7, 5, 3, bias=False), dtype, **options)


@pytest.mark.parametrize("frozen", [(0,), (1,), (2,), (0, 1)], ids=str)
def test_frozen_layers(frozen: tuple[int, ...], dtype: str) -> None:
    assert_same_course(stack(7, 5, 3), dtype, frozen=frozen)


def test_against_numpy(dtype: str) -> None:
    """One step of gradient descent at a rate of 1 shows the gradients: those of the list's operations in a row."""
    layers = [cr.Dense(20, activation="relu"), cr.Dense(13, activation="tanh"), cr.Dense(3)]
    one = trainer(layers, 6, dtype, optimizer=cr.SGD(lr=1.0), loss=cr.CrossEntropy(label_smoothing=0.2))
    before = one.net.state_dict()
    history = one.fit(X, LABELS, epochs=1, batch_size=len(X), shuffle=False, sample_weight=WEIGHT, verbose=0)
    after = one.net.state_dict()
    names = ["relu", "tanh", "identity"]
    parameters = [(before[f"{i}.weight"].astype(float), before[f"{i}.bias"].astype(float)) for i in range(3)]
    outputs = [X]
    for (w, b), name in zip(parameters, names, strict=True):
        outputs.append(reference.dense_forward(outputs[-1], w, b, activation=name))
    labels = LABELS.astype(np.int32)
    row_loss, dh = reference.cross_entropy(
        outputs[-1], labels, from_logits=True, smoothing=0.2, weight=WEIGHT, scale=1 / len(X)
    )
    tolerance = {"float32": 2e-6, "float64": 1e-13}[dtype]
    assert history["loss"][0] == pytest.approx(row_loss.sum(), rel=tolerance)
    for i in reversed(range(3)):
        dh, dw, db = reference.dense_backward(outputs[i], parameters[i][0], outputs[i + 1], dh, activation=names[i])
        np.testing.assert_allclose(before[f"{i}.weight"] - after[f"{i}.weight"], dw, rtol=0, atol=tolerance)
        np.testing.assert_allclose(before[f"{i}.bias"] - after[f"{i}.bias"], db, rtol=0, atol=tolerance)


def test_steps_repeat_bit_for_bit(dtype: str) -> None:
    courses = []
    for _ in range(2):
        one = trainer(stack(20, 3), 6, dtype)
        one.fit(X, LABELS, epochs=3, batch_size=50, verbose=0)
        courses.append((one.history["loss"], {name: value.tobytes() for name, value in one.net.state_dict().items()}))
    assert courses[0] == courses[1]


def test_a_loss_that_is_no_number_ends_a_fit(dtype: str) -> None:
    for device in ("cpu", "cuda"):
        one = trainer(stack(5, 3), 6, dtype, device, loss="mean_squared_error", optimizer=cr.SGD(lr=1e30))
        with np.errstate(all="ignore"), pytest.warns(cr.DivergenceWarning, match="no longer finite"):
            one.fit(X, NUMBERS * 1e15, epochs=3, verbose=0)
        assert all(np.isfinite(value).all() for value in one.net.state_dict().values())


WIDE = {
    "a wide layer": (stack(129, 3), 6),
    "wide inputs": (stack(5, 3), 129),
    "a wide result": (stack(5, 129), 6),
    "many layers": (stack(*[4] * 9), 6),
    "too much for shared memory": (stack(*[128] * 7, 3), 128),
    "softmax": ([cr.Dense(5, activation="softmax"), cr.Dense(3)], 6),
    "a mask": ([cr.Dense(5, connections=np.eye(6, 5)), cr.Dense(3)], 6),
    "dropout": ([cr.Dense(5), cr.Dropout(rate=0.2), cr.Dense(3)], 6),
    "batch normalization": ([cr.Dense(5), cr.BatchNorm(), cr.Dense(3)], 6),
}


@pytest.mark.parametrize("name", WIDE)
def test_others_go_layer_by_layer(name: str, dtype: str) -> None:
    layers, inputs = WIDE[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cr.PlacementWarning)
        assert not is_narrow(trainer(layers, inputs, dtype))


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_rounded_products_go_layer_by_layer(precision: str) -> None:
    assert not is_narrow(trainer(stack(5, 3), 6, "float32", precision=precision))
