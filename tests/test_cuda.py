"""The GPU itself: whether there is one, what it is, and what is told where there is none.

What its operations compute is judged by tests/test_kernels*.py, which run on it wherever there is one.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from gpu import emulated, needs_gpu, needs_no_gpu

from chainrule import _engine
from chainrule.versions import versions


@needs_no_gpu
def test_without_a_gpu_a_sentence_says_why() -> None:
    assert not _engine.cuda_available()
    assert _engine.cuda_about() is None
    with pytest.raises(RuntimeError, match=r"\w+ \w+") as caught:
        _engine.float32.Kernels(isa="cuda")
    assert str(caught.value) == _engine.cuda_trouble()
    assert versions()["GPU"] == f"none: {_engine.cuda_trouble()}"


@needs_gpu
def test_a_gpu_is_named_with_its_memory() -> None:
    about = _engine.cuda_about()
    assert about is not None
    assert _engine.cuda_trouble() == ""
    assert about["compute_capability"] >= (8, 0)
    assert 0 < about["free"] <= about["memory"]
    assert about["processors"] >= 1
    assert about["driver"] >= about["runtime"]
    assert versions()["GPU"].startswith(about["name"])


@needs_gpu
def test_what_needs_an_instruction_set_refuses_a_gpu() -> None:
    with pytest.raises(ValueError, match="the ceiling of a GPU"):
        _engine.float32.Kernels(isa="cuda").register_ceiling(0.01)


def test_a_precision_is_one_of_float32() -> None:
    for isa in ("cuda-tf32", "cuda-bfloat16"):
        with pytest.raises(ValueError, match="those of float64 are never rounded"):
            _engine.float64.Kernels(isa=isa)
    with pytest.raises(ValueError, match="known are: float32, tf32, bfloat16"):
        _engine.float32.Kernels(isa="cuda-float16")


@needs_gpu
@pytest.mark.parametrize("gpu", ["cuda", "cuda-tf32", "cuda-bfloat16"])
@pytest.mark.parametrize("transposes", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize(("rows", "terms", "columns"), [(1, 512, 1), (5, 1025, 7), (33, 777, 18), (40, 2100, 36)])
def test_long_sums_of_small_products_are_split(
    rows: int, terms: int, columns: int, transposes: tuple[bool, bool], gpu: str, dtype: str
) -> None:
    if gpu != "cuda" and dtype == "float64":
        pytest.skip("float64 is never rounded")
    rng = np.random.default_rng(0)
    # Whole numbers of 8 bits, and sums below 2^24: exact however factors are rounded and sums are split.
    a, b = rng.integers(-60, 60, (rows, terms)), rng.integers(-60, 60, (terms, columns))
    bias, old = rng.integers(-60, 60, columns), rng.integers(-60, 60, (rows, columns))
    kernels = getattr(_engine, dtype).Kernels(isa=gpu)
    options = {"transpose_a": transposes[0], "transpose_b": transposes[1]}
    stored = [(x.T if turned else x).astype(dtype, order="C") for x, turned in zip((a, b), transposes, strict=True)]
    product = kernels.matmul(*stored, **options, bias=bias.astype(dtype), activation="relu")
    np.testing.assert_array_equal(product, np.maximum(a @ b + bias, 0))
    np.testing.assert_array_equal(kernels.matmul(*stored, **options, add_to=old.astype(dtype)), a @ b + old)
    stored[0][0, 0] = np.nan
    assert np.isnan(kernels.matmul(*stored, **options)[0]).all()


@needs_gpu
@pytest.mark.parametrize("transposes", [(False, False), (True, False), (False, True)])
def test_a_product_is_timed_by_the_clock_of_the_gpu(transposes: tuple[bool, bool], dtype: str) -> None:
    kernels = getattr(_engine, dtype).Kernels(isa="cuda")
    seconds = kernels.matmul_seconds(5, 7, 3, transpose_a=transposes[0], transpose_b=transposes[1], rounds=3)
    assert 0 < seconds < np.inf
    for wrong in ({"m": 0}, {"n": 1 << 17}, {"rounds": 0}):
        with pytest.raises(ValueError, match="must be"):
            kernels.matmul_seconds(**{"m": 5, "n": 7, "k": 3, **wrong})


def test_without_a_clock_of_its_own_nothing_is_timed() -> None:
    with pytest.raises(ValueError, match="only a GPU has a clock"):
        _engine.float32.Kernels().matmul_seconds(5, 7, 3)


@needs_gpu
@pytest.mark.parametrize("transposes", [(False, False), (True, False), (False, True)])
def test_a_product_of_many_tiles_repeats_bit_for_bit(transposes: tuple[bool, bool], dtype: str) -> None:
    rng = np.random.default_rng(0)
    rows, terms, columns = (97, 65, 131) if emulated else (1537, 517, 2049)
    a = rng.standard_normal((terms, rows) if transposes[0] else (rows, terms)).astype(dtype)
    b = rng.standard_normal((columns, terms) if transposes[1] else (terms, columns)).astype(dtype)
    kernels = getattr(_engine, dtype).Kernels(isa="cuda")
    first, second = (kernels.matmul(a, b, transpose_a=transposes[0], transpose_b=transposes[1]) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    exact = (a.T if transposes[0] else a).astype(float) @ (b.T if transposes[1] else b).astype(float)
    size = abs(a.T if transposes[0] else a).astype(float) @ abs(b.T if transposes[1] else b).astype(float)
    assert (abs(first - exact) <= (terms + 2) * np.finfo(dtype).eps * size).all()


@needs_gpu
def test_the_benchmarks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.bench import report
    from chainrule.bench.gpu import command, ledger, products, training

    for part in (products, training):  # compiling with PyTorch would take minutes
        monkeypatch.setattr(part, "peer_for", lambda _: None)
    assert command.main(["--quick", "--results", str(tmp_path)]) == 0
    stored = json.loads((tmp_path / "gpu.json").read_text())
    assert stored["machine"]["gpu"]["name"]
    for part in ledger.PARTS:
        assert stored[part]["failed"] == {}
        assert all(one["engines"]["chainrule"]["agrees"] for one in stored[part]["contests"])
    titles = [one["title"] for one in stored["training"]["contests"]]
    assert titles == ["W4 sgd", "G1 sgd", "G1 sgd tf32", "G1 sgd bfloat16", "W4 adam", "G1 adam"]
    assert "| 16 x 16 x 16 | forward | float32 |" in "".join(report.gpu_parts(stored))
