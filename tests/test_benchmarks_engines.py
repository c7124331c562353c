"""Every engine of the benchmarks that is installed trains, predicts and multiplies as NumPy does.

Compiling with PyTorch takes half a minute for each network, so PyTorch compiled is not run here: a run of the
benchmarks compares it like all others, before it counts.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from chainrule.bench.engines import ENGINES, missing, module_of, variant
from chainrule.bench.prediction import _expected, _logits_of
from chainrule.bench.workloads import Factors, Query, Workload, make_network, make_setting

WORKLOADS = [Workload((3, 8, 4), 8, 5), Workload((5, 7, 6, 2), 16, 3)]
NOT_HERE = ("torch-compiled",)


def of_group(group: str) -> list[str]:
    return [name for name, engine in ENGINES.items() if group in engine.groups and name not in NOT_HERE]


def loaded(name: str) -> Any:
    """Return the file of an engine, or skip; what libraries warn of when they are imported is their own affair."""
    why = missing(name)
    if why:
        pytest.skip(why)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return module_of(name)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", [name for name in of_group("training") if name != "numpy"])
def test_training(name: str, optimizer: str, dtype: str) -> None:
    module = loaded(name)
    for workload in WORKLOADS:
        setting = make_setting(workload, optimizer, dtype)
        baseline, trainee = loaded("numpy").training(setting), module.training(setting, **variant(name))
        losses = []
        for one in (baseline, trainee):
            one.reset()
            one.run(1)
            one.reset()  # and all is forgotten
            losses.append(one.run(3))
        assert np.isfinite(losses).all()
        assert losses[0][2] < losses[0][1] < losses[0][0]
        # Fifteen steps with few rounding errors each. The places of epsilon differ: scikit-learn's is the far smaller
        # for the first steps, which moves a weight by up to sqrt(1 - beta2) ** -1 * 1e-8 / |g| of a step.
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_numpy_in_place_is_the_reference() -> None:
    # Adam in place against Adam of the specification.
    from chainrule import reference
    from chainrule.bench.engines.numpy import AdamInPlace

    rng = np.random.default_rng(0)
    w = rng.normal(size=7)
    mine, m, v = w.copy(), np.zeros(7), np.zeros(7)
    gradient = np.zeros(7)
    adam = AdamInPlace(mine, gradient, 0.01)
    for t in range(1, 6):
        g = rng.normal(size=7)
        gradient[...] = g
        adam.step()
        numbers = {"rate": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
        corrections = {"correction1": 1 - 0.9**t, "correction2": 1 - 0.999**t}
        w, m, v, *_ = reference.update(w, g, m, v, np.zeros(7), rule="adam", **numbers, **corrections)
        np.testing.assert_allclose(mine, w, rtol=1e-13)


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("name", of_group("prediction"))
def test_prediction(name: str, rows: int, dtype: str) -> None:
    module, widths = loaded(name), (3, 4, 6, 5)
    rng = np.random.default_rng(0)
    parameters = [
        one + rng.normal(size=one.shape).astype(dtype) for one in make_network(widths, dtype).parameters().values()
    ]
    query = Query(widths, rng.normal(size=(rows, 3)).astype(dtype), parameters, dtype)
    expected = _expected(query)
    outputs = np.asarray(module.prediction(query, **variant(name))()).astype(np.float64)
    if name == "sklearn":
        outputs = _logits_of(outputs, expected)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("transposes", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("name", of_group("products"))
def test_products(name: str, transposes: tuple[bool, bool], dtype: str) -> None:
    module, rng = loaded(name), np.random.default_rng(0)
    a, b = rng.normal(size=(3, 4)).astype(dtype), rng.normal(size=(4, 5)).astype(dtype)
    stored = [np.ascontiguousarray(one.T if turned else one) for one, turned in zip((a, b), transposes, strict=True)]
    out = np.zeros((3, 5), dtype)
    module.product(Factors(stored[0], stored[1], out, transposes, 1))()
    np.testing.assert_allclose(out, a.astype(np.float64) @ b.astype(np.float64), rtol=1e-5, atol=1e-5)


def test_jax_with_one_way_to_gather_is_the_same() -> None:
    module = loaded("jax")
    losses = []
    for chosen in ({}, {"both_ways": False}):
        trainee = module.training(make_setting(WORKLOADS[0], "sgd", "float32"), **chosen)
        trainee.reset()
        losses.append(trainee.run(2))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)


def test_jax_chooses_its_precision_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module = loaded("jax")
    chosen: list[bool] = []
    update = module.jax.config.update
    monkeypatch.setattr(module.jax.config, "update", lambda name, value: (chosen.append(value), update(name, value)))
    trainee = module.training(make_setting(WORKLOADS[0], "sgd", "float64"), both_ways=False)
    for _ in range(3):
        trainee.reset()
        assert np.isfinite(trainee.run(2)).all()
    assert chosen == [True]


def test_pytorch_looks_rows_up_by_int64() -> None:
    module = loaded("torch")
    steps = module._steps_of(np.arange(6, dtype=np.int32), 2)
    assert [rows.tolist() for rows in steps] == [[0, 1], [2, 3], [4, 5]]
    assert {rows.dtype for rows in steps} == {module.torch.int64}
