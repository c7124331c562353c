"""Dense rows that are mostly 0 and are walked as sparse ones: judged by the dense way, bit by bit.

A first layer that changes nothing, an Activation("identity"), keeps a network on the dense way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from numpy.testing import assert_array_equal
from problems import CLOCKED

import chainrule as cr

Array = npt.NDArray[Any]

ROWS, COLUMNS, UNITS, CLASSES = 203, 70, 64, 3


def rows_of(share: float, rows: int = ROWS, columns: int = COLUMNS, seed: int = 0) -> tuple[Array, Array]:
    """Return rows of which so many numbers are not 0, some zeros being negative, and a class for each."""
    rng = np.random.default_rng(seed)
    kept = rng.permutation(rows * columns).reshape(rows, columns) < round(share * rows * columns)
    zeros = rng.choice([0.0, -0.0], (rows, columns))
    return np.where(kept, rng.normal(size=(rows, columns)), zeros), rng.integers(0, CLASSES, rows)


def course(dense: bool, dtype: str, **fit: Any) -> tuple[dict[str, list[float]], list[Array]]:
    """Train on rows that are mostly 0; return the history and what was learned."""
    X, y = rows_of(0.15)
    layers = [cr.Dense(UNITS, activation="relu"), cr.Dense(CLASSES)]
    start = cr.Network(layers, inputs=COLUMNS, seed=3, dtype=dtype).state_dict()
    net = cr.Network([cr.Activation("identity")] * dense + layers, inputs=COLUMNS, seed=3, dtype=dtype)
    net.load_state_dict(dict(zip(net.state_dict(), start.values(), strict=True)))
    penalty = [cr.L2(0.01), cr.L1(0.001)]
    trainer = cr.Trainer(net, loss="cross_entropy", optimizer="adam", metrics=["accuracy"], penalty=penalty, seed=5)
    history = trainer.fit(X, y, epochs=3, verbose=0, **fit)
    return {name: history[name] for name in history if name not in CLOCKED}, list(net.state_dict().values())


@pytest.mark.parametrize(
    "fit",
    [
        {},
        {"batch_size": 1},
        {"batch_size": ROWS},
        {"batch_size": 7, "shuffle": False, "drop_last": True},
        {"validation_split": 0.25, "sample_weight": np.linspace(0, 2, ROWS)},
    ],
    ids=str,
)
def test_no_bit_changes(fit: dict[str, Any], dtype: str) -> None:
    (history, state), (expected_history, expected_state) = (course(dense, dtype, **fit) for dense in (False, True))
    assert history == expected_history
    for one, other in zip(state, expected_state, strict=True):
        assert_array_equal(one, other)


def walks_sparse(X: Array, y: Array, dtype: str, layers: list[cr.Layer], *changes: Any) -> bool:
    """Return whether a fit walks rows as sparse ones, where an augmentation may make these changes."""
    net = cr.Network(layers, inputs=X.shape[1], dtype=dtype)
    options = [net.core, cr.CrossEntropy().build(net.engine), cr.SGD().prepared(net), [], []]
    fit = net.engine.Fit(*options, X.astype(dtype), y.astype(np.int32), None, 16, True, False, 0, 0.0, list(changes))
    return bool(fit.walks_sparse)


@pytest.mark.parametrize(
    ("rows", "columns", "units", "share", "expected"),
    [
        (ROWS, COLUMNS, UNITS, 0.15, True),
        (100, 64, 64, 0.2, True),
        (100, 64, 64, 0.21, False),
        (100, 63, 64, 0.1, False),
        (100, 64, 63, 0.1, False),
        (1, 64, 64, 0.1, True),
        (100, 64, 64, 0.0, True),
    ],
)
def test_where_it_pays(rows: int, columns: int, units: int, share: float, expected: bool, dtype: str) -> None:
    X, y = rows_of(share, rows, columns)
    assert walks_sparse(X, y, dtype, [cr.Dense(units), cr.Dense(CLASSES)]) is expected


def test_rows_that_are_not_looked_at_first_count_too() -> None:
    X, y = rows_of(0.1, rows=600)
    looked_at = 600 * np.arange(256) // 256
    X[np.setdiff1d(np.arange(600), looked_at)] = 1
    assert not walks_sparse(X, y, "float32", [cr.Dense(UNITS), cr.Dense(CLASSES)])


def test_only_a_dense_first_layer_takes_them(dtype: str) -> None:
    X, y = rows_of(0.1)
    for first in (cr.BatchNorm(), cr.Activation("identity"), cr.Dropout(rate=0.5)):
        assert not walks_sparse(X, y, dtype, [first, cr.Dense(UNITS), cr.Dense(CLASSES)])


def test_no_row_that_is_augmented_is_kept_without_zeros(dtype: str) -> None:
    X, y = rows_of(0.1)
    layers: list[cr.Layer] = [cr.Dense(UNITS), cr.Dense(CLASSES)]
    assert not walks_sparse(X, y, dtype, layers, cr.NoiseAugmentation(0.1).changes())
