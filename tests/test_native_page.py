"""The page on native extensions: its Python runs, its C compiles, and what it quotes stands in the projects so."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from test_docs import blocks

import chainrule as cr

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "native_extensions.md"
PROJECTS = ROOT / "examples" / "native"


def test_the_blocks_of_the_page(tmp_path, monkeypatch, capsys):
    pytest.importorskip("numba", reason="needs Numba")
    pytest.importorskip("scipy", reason="needs SciPy")
    compiler = shutil.which("cc") or pytest.skip("needs a C compiler")
    monkeypatch.chdir(tmp_path)
    (code,), (command,) = blocks(PAGE, "c"), blocks(PAGE, "sh")
    Path("leak.c").write_text(code)
    words = re.sub(r"\$\(.*\)", cr.get_include(), command).split()
    assert words[0] == "cc"
    subprocess.run([compiler, "-Wall", "-Werror", "-Wno-unused-parameter", *words[1:]], check=True, timeout=60)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 4))
    names = {"X": X, "y": np.hstack([X[:, :1] ** 2, X[:, :2]])}
    for block in blocks(PAGE, "python"):
        exec(compile(block, "native_extensions.md", "exec"), names)
    assert re.match(r"backward is not the derivative of forward in float32: at z = .* central", capsys.readouterr().out)
    np.testing.assert_array_equal(names["leak"].domain, (-10, 10))
    z = np.array([[-2.0, 3.0]])
    net = cr.Network([cr.Activation(names["leak"])], inputs=2, dtype="float64")
    np.testing.assert_array_equal(net.predict(z), [[-0.2, 3.0]])


FILES = {
    "cpp": ["pybind11_project/src/prelu.cpp"],
    "cmake": ["pybind11_project/CMakeLists.txt"],
    "cython": ["cython_project/src/swish.pyx", "cython_project/src/gatherer.pyx"],
}


@pytest.mark.parametrize("language", FILES)
def test_what_is_quoted_stands_in_the_projects(language):
    texts = [(PROJECTS / file).read_text(encoding="utf-8") for file in FILES[language]]
    quoted = blocks(PAGE, language)
    assert quoted
    assert all(any(block in text for text in texts) for block in quoted)
