"""Augmentation of fits on a GPU: the CPU's rows to within rounding; the same bits whether data stream in or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gpu import needs_gpu
from numpy.testing import assert_allclose, assert_array_equal
from test_augmentation import CLASSES, INPUTS, KINDS, LABELS, NOISE, ROWS, course

import chainrule as cr
from chainrule import _engine

pytestmark = needs_gpu


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fit", [{"batch_size": 3}, {"batch_size": 7, "shuffle": False}], ids=str)
def test_a_fit_there_sees_the_rows_of_the_cpu(kind: str, fit: dict[str, Any]) -> None:
    expected, losses = (course(KINDS[kind], "float64", device, **fit) for device in ("cpu", "cuda"))
    assert_allclose(losses[0], expected[0], rtol=1e-10)
    for name, value in expected[1].items():
        assert_allclose(np.frombuffer(losses[1][name]), np.frombuffer(value), rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("fit", [{"batch_size": 2}, {"batch_size": 3, "shuffle": False}], ids=str)
def test_data_that_stream_in_are_changed_alike(fit: dict[str, Any], dtype: str) -> None:
    there, before = course(KINDS["all"], dtype, "cuda", **fit), _engine.resident_limit()
    try:
        _engine.set_resident_limit(0)
        assert course(KINDS["all"], dtype, "cuda", **fit) == there
    finally:
        _engine.set_resident_limit(before)


def test_arrays_that_are_lent_stay_as_they_are() -> None:
    net = cr.Network([cr.Dense(CLASSES)], inputs=INPUTS, device="cuda")
    other = cr.Network([cr.Dense(INPUTS, bias=False)], inputs=ROWS, device="cuda", dtype="float32")
    lent = other.device_arrays()["0.weight"]  # (ROWS, INPUTS) on the GPU
    before = other.parameters()["0.weight"].copy()
    cr.Trainer(net, loss="cross_entropy").fit(lent, LABELS, epochs=2, shuffle=False, augment=NOISE, verbose=False)
    assert_array_equal(other.parameters()["0.weight"], before)
