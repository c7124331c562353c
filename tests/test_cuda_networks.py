"""Networks on the GPU against the same networks on the CPU: all that the engine can do, found by discovery.

The CPU is judged by NumPy, PyTorch and scikit-learn elsewhere. Ten epochs from the same seed must give the same losses
to 1e-4 in float32 and 1e-10 in float64: only the order of additions and the last bit of exp differ.
"""

from __future__ import annotations

import dataclasses
import pickle
import threading
import warnings
from typing import Any

import numpy as np
import pytest
from gpu import needs_gpu
from problems import CLOCKED, built, subclasses, variants, words

import chainrule as cr

pytestmark = needs_gpu

TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
ROWS, INPUTS, CLASSES, EPOCHS = 45, 6, 3, 10
_rng = np.random.default_rng(5)
X = _rng.normal(size=(ROWS, INPUTS))
LABELS = (X[:, 0] + X[:, 1] > 0).astype(int) + (X[:, 2] > 0.5)
NUMBERS = np.abs(X @ _rng.normal(size=(INPUTS, CLASSES)))
WEIGHT = _rng.uniform(0.5, 2, size=ROWS)


def run(device: str, dtype: str, layers: list[Any] | None = None, y: Any = LABELS, **options: Any) -> cr.Trainer:
    """Return a trainer after some epochs on `device`."""
    fit = {"epochs": EPOCHS, "batch_size": 16, "verbose": 0, **options.pop("fit", {})}
    layers = layers or [cr.Dense(7, activation="tanh"), cr.Dense(CLASSES)]
    net = cr.Network(layers, inputs=INPUTS, seed=4, dtype=dtype, device=device)
    trainer = cr.Trainer(net, **{"loss": "cross_entropy", "optimizer": cr.Adam(lr=0.01), **options})
    trainer.fit(X, y, **fit)
    return trainer


def assert_same_course(dtype: str, **options: Any) -> None:
    """Train on both devices; compare losses, metrics, what was learned and what it predicts."""
    cpu, gpu = (run(device, dtype, **options) for device in ("cpu", "cuda"))
    assert gpu.net.device == "cuda"
    tolerance = TOLERANCE[dtype]
    for name in cpu.history:
        if name not in CLOCKED:
            np.testing.assert_allclose(gpu.history[name], cpu.history[name], rtol=tolerance, atol=1e-12, err_msg=name)
    for name, value in cpu.net.state_dict().items():
        scale = max(float(abs(value).max()), 1e-3)
        np.testing.assert_allclose(gpu.net.state_dict()[name], value, rtol=0, atol=20 * tolerance * scale, err_msg=name)
    expected = cpu.net.predict(X)
    np.testing.assert_allclose(gpu.net.predict(X), expected, rtol=0, atol=20 * tolerance * abs(expected).max())


def settings(kind: type[cr.Layer]) -> list[cr.Layer]:
    """Return a layer in those of its settings that the engine computes in different ways."""
    options = {field.name for field in dataclasses.fields(kind)}
    choices = [{name: word} for name in ("variant", "per") if name in options for word in words(kind, name)]
    if kind is cr.Dense:
        choices = [{"connections": np.arange(8 * 5).reshape(8, 5) % 3 > 0}, {"bias": False}, {"activation": "softmax"}]
    return [built(kind), *(built(kind, **choice) for choice in choices)]


@pytest.mark.parametrize("kind", subclasses(cr.Layer), ids=lambda kind: kind.__name__)
def test_every_layer(kind: type[cr.Layer], dtype: str) -> None:
    for layer in settings(kind):
        layers = [cr.Dense(8, activation="tanh"), layer, cr.Dense(CLASSES)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cr.PlacementWarning)  # a softmax before the last layer
            assert_same_course(dtype, layers=layers, fit={"epochs": 4})


@pytest.mark.parametrize("kind", subclasses(cr.ActivationFunction), ids=lambda kind: kind.__name__)
def test_every_activation(kind: type[cr.ActivationFunction], dtype: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cr.PlacementWarning)
        assert_same_course(dtype, layers=[cr.Dense(9, activation=built(kind)), cr.Dense(CLASSES)])


@pytest.mark.parametrize("kind", subclasses(cr.Loss), ids=lambda kind: kind.__name__)
def test_every_loss(kind: type[cr.Loss], dtype: str) -> None:
    y = {cr.CrossEntropy: LABELS, cr.BinaryCrossEntropy: (NUMBERS > 1).astype(float)}.get(kind, NUMBERS)
    head = {cr.CrossEntropy: "softmax", cr.BinaryCrossEntropy: "sigmoid"}.get(kind, "softmax")
    for loss in variants(kind):
        plain = getattr(loss, "from_logits", True) and getattr(loss, "from_log", True)
        layers = [cr.Dense(7, activation="tanh"), cr.Dense(CLASSES, activation="identity" if plain else head)]
        fit = {"epochs": 4, "sample_weight": WEIGHT}
        assert_same_course(dtype, layers=layers, y=y, loss=loss, metrics=list(loss.metrics(CLASSES)), fit=fit)


@pytest.mark.parametrize("kind", subclasses(cr.Optimizer), ids=lambda kind: kind.__name__)
def test_every_optimizer(kind: type[cr.Optimizer], dtype: str) -> None:
    fit = {"batch_size": ROWS} if kind is cr.Rprop else {}
    for number, optimizer in enumerate(variants(kind, lr=0.01)):
        assert_same_course(dtype, optimizer=optimizer, fit={"epochs": EPOCHS if number == 0 else 3, **fit})


@pytest.mark.parametrize("options", [{"clip_norm": 0.05}, {"clip_value": 0.01}, {"layer_lr": {0: 0.1}}], ids=str)
def test_options_of_optimizers(options: dict[str, Any], dtype: str) -> None:
    assert_same_course(dtype, optimizer=cr.Momentum(lr=0.05, **options))


@pytest.mark.parametrize("kind", subclasses(cr.Penalty), ids=lambda kind: kind.__name__)
def test_every_penalty(kind: type[cr.Penalty], dtype: str) -> None:
    numbers = {"strength": 0.01, "bias_strength": 0.02, "l1": 0.01, "l2": 0.01, "bias_l1": 0.02, "p": 1.5}
    for penalty in variants(kind, **numbers):
        if (penalty.scale, penalty.m) in [("1", "data"), ("1/m", "batch")]:
            assert_same_course(dtype, penalty=penalty, optimizer=cr.SGD(lr=0.1), fit={"epochs": 3})


@pytest.mark.parametrize("kind", subclasses(cr.Schedule), ids=lambda kind: kind.__name__)
def test_every_schedule(kind: type[cr.Schedule], dtype: str) -> None:
    assert_same_course(dtype, optimizer=cr.SGD(lr=built(kind)))


@pytest.mark.parametrize("kind", subclasses(cr.Constraint), ids=lambda kind: kind.__name__)
def test_every_constraint(kind: type[cr.Constraint], dtype: str) -> None:
    layers = [cr.Dense(7, activation="tanh", weight_constraint=built(kind)), cr.Dense(CLASSES)]
    assert_same_course(dtype, layers=layers)


@pytest.mark.parametrize(
    "fit",
    [
        {"shuffle": False},
        {"drop_last": True, "batch_size": 32},
        {"batch_size": 1, "epochs": 1},
        {"validation_split": 0.3},
        {"class_weight": "balanced"},
        {"sample_weight": WEIGHT},
    ],
    ids=lambda fit: next(iter(fit)),
)
def test_every_way_to_fit(fit: dict[str, Any], dtype: str) -> None:
    assert_same_course(dtype, metrics=["accuracy"], fit=fit)


def test_ten_epochs_repeat_and_are_four_and_six(dtype: str) -> None:
    layers = [cr.Dense(7, activation="relu"), cr.BatchNorm(), cr.Dropout(rate=0.3), cr.Dense(CLASSES)]
    first, second, parts = (run("cuda", dtype, layers=layers, fit={"epochs": n}) for n in (10, 10, 4))
    parts.fit(X, LABELS, epochs=6, batch_size=16, verbose=0)
    for name, value in first.net.state_dict().items():
        assert value.tobytes() == second.net.state_dict()[name].tobytes() == parts.net.state_dict()[name].tobytes()
    assert first.history["loss"] == second.history["loss"]


@pytest.mark.parametrize(("precision", "roundoff"), [("tf32", 2**-11), ("bfloat16", 2**-8)])
def test_rounded_products_train_as_well(precision: str, roundoff: float) -> None:
    courses = []
    for given in (None, precision):
        layers = [cr.Dense(16, activation="tanh"), cr.Dense(CLASSES)]
        net = cr.Network(layers, inputs=INPUTS, seed=4, device="cuda", precision=given)
        assert net.precision == net.copy().precision == given
        courses.append(cr.Trainer(net, loss="cross_entropy").fit(X, LABELS, epochs=EPOCHS, verbose=0)["loss"])
    assert net.to("cuda") is net
    assert (net.to("cpu").precision, net.copy(dtype="float64").precision) == (None, None)
    assert net.to("cuda", precision=precision) is net
    exact = net.to("cuda", precision="float32")
    assert exact.precision is None
    assert exact.to("cuda", precision="float32") is exact
    exact, rounded = map(np.array, courses)
    assert (exact != rounded).any()
    # Rounded factors move the outputs, which are some units great, by a few roundoffs; so does the course of training.
    np.testing.assert_allclose(rounded, exact, rtol=10 * roundoff)


# What a network can do besides ---------------------------------------------------------------------------------------


def pair(dtype: str = "float64", **options: Any) -> tuple[cr.Network, cr.Network]:
    """Return the same network on the CPU and on the GPU."""
    layers = [cr.Dense(5, activation="tanh"), cr.BatchNorm(), cr.Dense(CLASSES)]
    cpu, gpu = (cr.Network(layers, inputs=INPUTS, seed=2, dtype=dtype, device=one) for one in ("cpu", "cuda"))
    return cpu, gpu


def test_the_start_is_that_of_the_cpu(dtype: str) -> None:
    cpu, gpu = pair(dtype)
    for name, value in cpu.state_dict().items():
        assert value.tobytes() == gpu.state_dict()[name].tobytes()


def test_the_loop_by_hand(dtype: str) -> None:
    nets = pair(dtype)
    loss, penalty = cr.CrossEntropy(), cr.L2(0.01)
    optimizers = [cr.Adam(lr=0.02) for _ in nets]
    for _ in range(3):
        values = []
        for net, optimizer in zip(nets, optimizers, strict=True):
            net.zero_grad()
            value = loss(net(X), LABELS)
            value.backward()
            penalty.add_gradient(net)
            optimizer.step(net)
            values.append(float(value))
        assert values[0] == pytest.approx(values[1], rel=TOLERANCE[dtype])
    for name, gradient in nets[0].gradients().items():
        np.testing.assert_allclose(nets[1].gradients()[name], gradient, rtol=0, atol=TOLERANCE[dtype])
    for name, value in nets[0].state_dict().items():
        np.testing.assert_allclose(nets[1].state_dict()[name], value, rtol=0, atol=20 * TOLERANCE[dtype])


def test_frozen_layers_stay() -> None:
    _, net = pair()
    net.freeze(0)
    before = net.state_dict()
    cr.Trainer(net, loss="cross_entropy").fit(X, LABELS, epochs=2, verbose=0)
    assert (net.state_dict()["0.weight"] == before["0.weight"]).all()
    assert not (net.state_dict()["2.weight"] == before["2.weight"]).all()
    assert not net.gradients()["0.weight"].any()


def test_what_is_shown_is_a_copy_that_cannot_be_written() -> None:
    _, net = pair()
    for arrays in (net.parameters(), net.gradients(), net.statistics()):
        for array in arrays.values():
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 1


def test_parameters_are_loaded_and_moved(tmp_path: Any) -> None:
    cpu, gpu = pair("float32")
    cr.Trainer(cpu, loss="cross_entropy").fit(X, LABELS, epochs=2, verbose=0)
    expected = {name: value.tobytes() for name, value in cpu.state_dict().items()}
    gpu.load_state_dict(cpu.state_dict())
    gpu.save(tmp_path / "net.safetensors")
    again = [
        gpu,
        cpu.to("cuda"),
        gpu.to("cpu"),
        gpu.copy(),
        pickle.loads(pickle.dumps(gpu)),
        cr.load(tmp_path / "net.safetensors"),
        cr.load(tmp_path / "net.safetensors", device="cuda"),
        cr.load(tmp_path / "net.safetensors", device="auto"),
    ]
    for net in again:
        assert {name: value.tobytes() for name, value in net.state_dict().items()} == expected
    assert [net.device for net in again] == ["cuda", "cuda", "cpu", "cuda", "cuda", "cpu", "cuda", "cuda"]
    assert gpu.to("cuda") is gpu
    assert cpu.to("cpu") is cpu


@pytest.mark.parametrize("rows", [0, 1, 33])
def test_predictions_of_any_number_of_rows(rows: int, dtype: str) -> None:
    cpu, gpu = pair(dtype)
    x = np.random.default_rng(0).normal(size=(rows, INPUTS)).astype(dtype)
    out = np.full((rows, CLASSES), np.nan, dtype)
    assert gpu.predict(x, out=out) is out
    np.testing.assert_allclose(out, cpu.predict(x), rtol=0, atol=TOLERANCE[dtype])
    np.testing.assert_array_equal(out, gpu.predict(x))


def test_early_stopping_takes_the_best_weights_back() -> None:
    runs = []
    for device in ("cpu", "cuda"):
        stopping = cr.EarlyStopping(patience=2, monitor="val_loss")
        fit = {"epochs": 12, "callbacks": [stopping], "validation_split": 0.3}
        runs.append(run(device, "float64", optimizer=cr.SGD(lr=3.0), fit=fit))
    cpu, gpu = runs
    assert gpu.history.best_epoch == cpu.history.best_epoch < cpu.history.epochs
    np.testing.assert_allclose(gpu.net.predict(X), cpu.net.predict(X), atol=1e-6)


def test_a_run_that_diverges_goes_back() -> None:
    with np.errstate(all="ignore"), pytest.warns(cr.DivergenceWarning, match="no longer finite"):
        trainer = run("cuda", "float32", loss="mean_squared_error", y=NUMBERS * 1e18, optimizer=cr.SGD(lr=1e3))
    assert all(np.isfinite(value).all() for value in trainer.net.state_dict().values())


def test_progress_is_told_and_threads_take_turns() -> None:
    _, net = pair()
    trainer = cr.Trainer(net, loss="cross_entropy")
    failures: list[BaseException] = []

    def predict() -> None:
        try:
            for _ in range(5):
                assert np.isfinite(net.predict(X)).all()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=predict)
    thread.start()
    trainer.fit(X, LABELS, epochs=3, verbose=0)
    thread.join()
    assert not failures
    told: list[int] = []
    core = net.engine.Fit(net.core, cr.CrossEntropy().build(net.engine), trainer.core_optimizer, [], [], X,
                          LABELS.astype(np.int32), None, 16, True, False, 0, 0.0)  # fmt: skip
    core.run(9, lambda done, loss: told.append(done))
    assert told[-1] == core.steps_per_epoch


def test_too_little_memory_is_told_with_figures() -> None:
    # 2^14 rows by 2^20 outputs, twice more for their gradients: 412 GB.
    net = cr.Network([cr.Dense(2**20)], inputs=1, dtype="float64", device="cuda")
    x, y = np.zeros((2**14, 1)), np.zeros(2**14, dtype=int)
    trainer = cr.Trainer(net, loss="cross_entropy")
    with pytest.raises(MemoryError, match=r"too little memory: 4\d{11} bytes were asked for, \d+ of \d+ are free"):
        trainer.fit(x, y, epochs=1, batch_size=2**14, verbose=0)
    assert np.isfinite(net.predict(x[:1])).all()
