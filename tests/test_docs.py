"""What the pages show works as shown: blocks of Python run in order, commands exist, quotations and links are right.

The README has test_readme.py, the page on choosing test_choosing.py, the rows of the lectures test_repo.py. Whether the
site builds, `.ci/run` sees.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_repo import SHOWN

from chainrule import _engine, cli

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BUILT = ("_build", "api", "figures", "repository")  # what the build of the site writes
PAGES = sorted(page for page in DOCS.rglob("*.md") if page.relative_to(DOCS).parts[0] not in BUILT)
PROJECT = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md", "benchmarks/README.md")]
PROJECT.append(ROOT / "benchmarks" / "ladder" / "README.md")
SCRIPTS = sorted((DOCS / "gallery").glob("plot_*.py"))

# Run elsewhere: with what the page says that its blocks come after.
ELSEWHERE = {
    "choosing.md": "test_choosing.py",
    "lectures.md": "test_repo.py",
    "native_extensions.md": "test_native_page.py",
    "start.md": "below",
}
# These quote the repository, shortened; see below.
QUOTING = ("adding_a_layer.md", "adding_an_operation.md")


def name_of(page: Path) -> str:
    return str(page.relative_to(DOCS if page.is_relative_to(DOCS) else ROOT))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def needs_a_gpu(block: str) -> bool:
    return 'device="cuda"' in block


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page, "python") and name_of(page) not in (*ELSEWHERE, *QUOTING)],
    ids=name_of,
)
def test_the_blocks_of_a_page_run_in_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("sklearn", "safetensors", "matplotlib", "onnxruntime"):
        pytest.importorskip(package, reason=f"the pages use {package}")
    monkeypatch.chdir(tmp_path)
    np.random.seed(0)
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        if not needs_a_gpu(block):
            exec(compile(block, name_of(page), "exec"), names)


@pytest.mark.skipif(not _engine.cuda_available(), reason="these blocks need a GPU and a build with CUDA")
@pytest.mark.parametrize("page", [page for page in PAGES if any(map(needs_a_gpu, blocks(page, "python")))], ids=name_of)
def test_blocks_that_need_a_gpu_run_on_one(page: Path) -> None:
    pytest.importorskip("torch", reason="arrays of PyTorch are trained on where they lie")
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, name_of(page), "exec"), names)


def test_five_minutes_end_with_a_network_a_picture_and_a_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the page draws")
    pytest.importorskip("safetensors", reason="the page saves")
    code = "".join(blocks(DOCS / "start.md", "python")) + "assert trainer.evaluate(*parts.test)['accuracy'] > 0.95\n"
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert {"curves.png", "digits.safetensors"} == {file.name for file in tmp_path.iterdir()}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_every_script_of_the_gallery_draws(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="figures are drawn")
    from matplotlib.axes import Axes

    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(script.read_text(encoding="utf-8"), script.name, "exec"), names)
    firsts = [one.flat[0] if isinstance(one, np.ndarray) and one.size else one for one in names.values()]
    drawn = [one for one in firsts if isinstance(one, Axes)]
    assert drawn, f"{script.name} keeps no Axes in a variable, by which the build finds its figures"


# What a page may tell somebody to type -------------------------------------------------------------------------------


def commands(page: Path) -> list[str]:
    lines = [line.partition("  #")[0] for block in blocks(page, "sh") for line in block.splitlines()]
    return [one.strip() for line in lines for one in line.split("&&") if one.strip()]


TYPED = [pytest.param(one, id=f"{name_of(page)}: {one}") for page in [*PROJECT, *PAGES] for one in commands(page)]


@pytest.mark.parametrize("command", TYPED)
def test_every_command_is_one_that_there_is(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(command)
    project = (ROOT / "pyproject.toml").read_text()
    if words[0] == "chainrule":
        assert callable(cli._parser(words[1:]).parse_args(words[1:]).action)  # each option is one that there is
        monkeypatch.chdir(tmp_path)
        if words[1] == "info":
            assert cli.main(words[1:]) == 0
        if words[1] == "ladder":  # `bench` and `train` take longer: test_benchmarks_command.py and test_cli.py run them
            if "--picture" in words:
                pytest.importorskip("matplotlib", reason="a picture is drawn")
            assert cli.main([*words[1:], "--quick"]) == 0
    elif words[:2] == ["pip", "install"]:
        for extra in re.findall(r"\[([\w,]+)\]", command):
            assert all(f"\n{one} = [" in project for one in extra.split(",")), f"pyproject.toml has no extra {extra}"
    elif words[0] == "python" and words[1].endswith(".py"):
        assert (ROOT / words[1]).exists()
    elif words[0] == "make":
        assert words[1] == "-C"
        assert re.search(rf"^{words[3]}:", (ROOT / words[2] / "Makefile").read_text(), re.MULTILINE)
    elif words[0] == "c++":
        compiler = shutil.which("c++") or pytest.skip("needs a C++ compiler")
        words[words.index("-o") + 1] = str(tmp_path / "made")
        subprocess.run([compiler, *words[1:]], cwd=ROOT, check=True, timeout=60)
        assert (tmp_path / "made").stat().st_size > 0
    elif words[0] == "cc":
        assert "leak.c" in words  # test_native_page.py compiles it
    else:  # of the shell, of Python itself, and pytest
        assert words[0] in ("python", "python3", "source", "grep", "pytest"), f"nothing tests {command!r}"


# What a page quotes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", QUOTING)
def test_what_a_page_quotes_stands_in_the_repository(name: str) -> None:
    files = [*(ROOT / "csrc").rglob("*.*"), *(ROOT / "python" / "chainrule").rglob("*.py")]
    source = "".join("".join(file.read_text(encoding="utf-8").split()) for file in files)
    for block in blocks(DOCS / name, "(?:cpp|python)"):
        for line in block.splitlines():
            for piece in line.split("..."):  # what is shortened says so
                assert "".join(piece.split()) in source, f"docs/{name} quotes what is not there: {piece}"


# Where links lead ----------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return what one can link to on a page: headings, as hosts and MyST name them, and anchors."""
    text = page.read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    headings = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    return headings | set(re.findall(r'<a id="([\w-]+)"></a>', text))


@pytest.mark.parametrize("page", [*PROJECT, *PAGES], ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for path, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", text):
        target = page.parent / path if path else page
        assert target.exists(), f"{name_of(page)} links to {path}, which does not exist"
        assert not anchor or anchor in anchors(target), (
            f"{name_of(page)} links to {path}#{anchor}, which does not exist"
        )


def test_every_id_of_the_lectures_has_an_anchor_and_a_link() -> None:
    page = DOCS / "lectures.md"
    text, there = page.read_text(encoding="utf-8"), anchors(page)
    for name in [*SHOWN, *(f"T{number}" for number in range(1, 27))]:
        row = next(line for line in text.splitlines() if re.match(rf"\| {name} ", line))
        assert row.split("|")[1].endswith(f'<a id="{name.lower()}"></a> '), f"the row of {name} has no anchor"
        assert name.lower() in there
        assert f"](#{name.lower()})" in text, f"docs/lectures.md has no link to {name}"


def test_the_course_names_every_row_of_its_lecture() -> None:
    """Each row that names a lecture is linked to from the page of it, or in a range such as ACT-2 to ACT-7."""
    text = (DOCS / "lectures.md").read_text(encoding="utf-8")
    missing = []
    for name, lectures in re.findall(r"^\| ([A-Z]+-\d+|Rprop) [^|]*\| ([^|]*) \|", text, re.MULTILINE):
        for lecture in re.findall(r"\d{3}", lectures):
            page = (DOCS / "course" / f"{lecture}.md").read_text(encoding="utf-8")
            linked = set(re.findall(r"lectures\.md#([\w-]+)", page))
            for group, first, last in re.findall(r"\[(\w+)-(\d+)\]\([^)]*\)\s+to\s+\[\w+-(\d+)\]", page):
                linked |= {f"{group.lower()}-{number}" for number in range(int(first), int(last) + 1)}
            if name.lower() not in linked:
                missing.append(f"{name} in docs/course/{lecture}.md")
    assert not missing, missing
