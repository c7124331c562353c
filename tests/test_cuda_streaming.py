"""Data that stream in to the GPU, lot by lot, against the same data that lie there: the same bits.

Sixteen steps make a lot at most, so that few rows make many lots. Lots of 64 MiB, and data that no GPU holds, are
beyond a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from gpu import needs_gpu
from problems import CLOCKED

import chainrule as cr
from chainrule import _engine

pytestmark = needs_gpu

ROWS, INPUTS, CLASSES = 203, 5, 3
_rng = np.random.default_rng(8)
X = _rng.normal(size=(ROWS, INPUTS))
LABELS = _rng.integers(0, CLASSES, size=ROWS)
NUMBERS = _rng.normal(size=(ROWS, CLASSES))
WEIGHT = _rng.uniform(0.5, 2, size=ROWS)


@pytest.fixture
def limit() -> Iterator[None]:
    """Put the limit of what may lie on the GPU back."""
    before = _engine.resident_limit()
    yield
    _engine.set_resident_limit(before)


def course(y: Any, loss: str, dtype: str, device: str = "cuda", **fit: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train; return the history and what was learned."""
    layers = [cr.Dense(6, activation="tanh"), cr.Dropout(rate=0.2), cr.Dense(CLASSES)]
    net = cr.Network(layers, inputs=INPUTS, seed=4, dtype=dtype, device=device)
    metrics = ["accuracy"] if loss == "cross_entropy" else ["mae"]
    trainer = cr.Trainer(net, loss=loss, optimizer=cr.Adam(lr=0.01), metrics=metrics)
    history = trainer.fit(X, y, epochs=3, verbose=0, **fit)
    figures: dict[str, Any] = {name: history[name] for name in history if name not in CLOCKED}
    return figures | {"evaluated": trainer.evaluate(X, y, fit.get("sample_weight"))}, net.state_dict()


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize(
    "fit",
    [
        {"batch_size": 1},  # 13 lots
        {"batch_size": 2, "sample_weight": WEIGHT},
        {"batch_size": 3, "shuffle": False},
        {"batch_size": 7, "drop_last": True, "validation_split": 0.3},
        {"batch_size": 16},  # one lot, not full
        {"batch_size": ROWS},  # one step
    ],
    ids=str,
)
@pytest.mark.parametrize(("y", "loss"), [(LABELS, "cross_entropy"), (NUMBERS, "mse")], ids=["labels", "numbers"])
def test_the_way_in_changes_no_bit(fit: dict[str, Any], y: Any, loss: str, dtype: str) -> None:
    there = course(y, loss, dtype, **fit)
    _engine.set_resident_limit(0)
    streamed = course(y, loss, dtype, **fit)
    assert streamed[0] == there[0]
    for name, value in there[1].items():
        np.testing.assert_array_equal(streamed[1][name], value, err_msg=name)


@pytest.mark.usefixtures("limit")
def test_an_evaluation_of_several_pieces(dtype: str) -> None:
    rows = 3 * 8192 + 5
    x, y = _rng.normal(size=(rows, 2)), _rng.normal(size=(rows, 1))
    net = cr.Network([cr.Dense(1)], inputs=2, seed=1, dtype=dtype)
    expected = cr.Trainer(net, loss="mse").evaluate(x, y, np.arange(rows))
    _engine.set_resident_limit(0)
    streamed = cr.Trainer(net.to("cuda"), loss="mse").evaluate(x, y, np.arange(rows))
    assert streamed == pytest.approx(expected, rel=1e-5 if dtype == "float32" else 1e-11)


@pytest.mark.usefixtures("limit")
def test_the_limit_is_that_of_the_data_in_bytes() -> None:
    """A data set of exactly the limit lies on the GPU: what is changed here no longer reaches it."""
    x, y = X.astype("float32"), LABELS.astype("int32")
    net = cr.Network([cr.Dense(CLASSES)], inputs=INPUTS, dtype="float32", device="cuda")
    rest = [x, y, None, 0.0, 0, 0]
    losses = []
    for limit in (x.nbytes + y.nbytes, x.nbytes + y.nbytes - 1):
        _engine.set_resident_limit(limit)
        evaluation = net.engine.Evaluation(net.core, cr.CrossEntropy().build(net.engine), [], [], *rest)
        before = evaluation.run()["loss"]
        x += 1
        losses.append((before, evaluation.run()["loss"]))
        x -= 1
    assert losses[0][0] == losses[0][1]
    assert losses[1][0] != losses[1][1]


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_fit_streams_beyond_the_limit_on_a_gpu(device: str) -> None:
    net = cr.Network([cr.Dense(CLASSES)], inputs=INPUTS, device=device)
    engine, x, y = net.engine, X.astype("float32"), LABELS.astype("int32")
    options = [net.core, cr.CrossEntropy().build(engine), cr.SGD().prepared(net), [], [], x, y, None]
    for limit in (x.nbytes + y.nbytes, x.nbytes + y.nbytes - 1):
        _engine.set_resident_limit(limit)
        fit = engine.Fit(*options, 16, True, False, 0, 0.0)
        assert fit.streams == (device == "cuda" and limit < x.nbytes + y.nbytes)


@pytest.mark.usefixtures("limit")
def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0 bytes; got -1"):
        _engine.set_resident_limit(-1)
