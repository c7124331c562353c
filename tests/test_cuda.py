"""The GPU itself: whether there is one, what it is, and what is told where there is none.

What its operations compute is judged by tests/test_kernels*.py, which run on it wherever there is one.
"""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import _engine
from chainrule.versions import versions

why_no_gpu = _engine.cuda_trouble()
needs_gpu = pytest.mark.skipif(bool(why_no_gpu), reason=why_no_gpu or "there is a GPU")
emulated = (_engine.cuda_about() or {"name": ""})["name"] == "emulated on the host"


@pytest.mark.skipif(not why_no_gpu, reason="there is a GPU")
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
