"""The benchmark of single operations: all agree with NumPy's, the page tells them, and wrong ones do not count."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from chainrule import reference
from chainrule.bench import operations, operations_page, report
from chainrule.bench.run import Options
from chainrule.engines import engine_of


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_operations_agree_with_numpy(dtype: str) -> None:
    kernels = engine_of(np.dtype(dtype)).Kernels(threads=1)
    cases = operations.cases(dtype)
    for case in cases:
        expected = np.asarray(case.call(reference))
        assert operations.agree(case.call(kernels), expected), case.name
        wrong = expected * 1.001 if expected.dtype.kind == "f" else expected + 1
        assert not operations.agree(wrong, expected), case.name
        assert case.bytes >= expected.nbytes
    # Arguments are as they were: a call may be repeated, and the others see the same.
    again = operations.cases(dtype)
    for case, other in zip(cases, again, strict=True):
        np.testing.assert_array_equal(case.call(kernels), other.call(kernels))


def test_a_run_is_stored_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("threadpoolctl", reason="NumPy's BLAS is told its threads by it")
    operations.main(Options(rounds=5, quick=True, results=tmp_path))
    stored = json.loads((tmp_path / "operations.json").read_text())
    product, relu = stored["operations"]
    # The least time of a product is that of its multiply-adds, of anything else that of its bytes: of the best round.
    ceiling = product["between"]["ceiling, 1 thread"]["range"][1]
    assert product["least"] == pytest.approx(2 * 512**3 / ceiling / 1e3)
    assert relu["least"] == relu["between"][operations.COPY]["range"][0]
    assert relu["bytes"] == 2 * 512 * 512 * 4
    printed = capsys.readouterr().out
    assert "512 x 512 x 512" in printed
    assert "RESULTS DIFFER" not in printed

    section = operations_page.section({"operations": stored})
    assert "| `matmul` | z = x W + b, h = max(0, z) | 512 x 512 x 512 | " in section
    assert ", 1 thread, " in section
    assert report.page_section({"operations": stored}).startswith("### Operations\n\nOn [a page of its own]")
    relu["engines"]["chainrule"]["agrees"] = False
    with pytest.raises(ValueError, match=r"activation_forward, .* figures do not count"):
        operations_page.section({"operations": stored})


def test_the_page_says_so_where_nothing_was_measured() -> None:
    assert operations_page.section({}) == "Not measured yet: `chainrule bench operations`."
