"""The house guards itself: each test fails with a sentence that names the step that was forgotten."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import chainrule as cr
from chainrule import _engine, reference

ROOT = Path(__file__).parent.parent
CSRC = ROOT / "csrc"
PACKAGE = ROOT / "python" / "chainrule"

# Floors, lowest first. A file includes only from floors below its own, and from its own folder.
FLOORS = {
    "chainrule": 0,  # the headers that are installed, python/chainrule/include
    "core": 0,
    "formulas": 1,
    "kernels.h": 1,
    "cpu": 2,
    "cuda": 2,
    "no_cuda": 2,
    "cuda_table.h": 2,
    "nn": 3,
    "train": 4,
    "bindings": 5,
}
# kernels.h names the kinds of formulas; formulas never name kernels.
ALLOWED_SIDEWAYS = {("kernels.h", "formulas"), ("no_cuda", "cuda_table.h"), ("cuda", "cuda_table.h")}


def sources(*endings: str, below: Path = CSRC) -> list[Path]:
    return sorted(file for file in below.rglob("*") if file.suffix in endings)


def tracked_text_files() -> list[Path]:
    folders = ("csrc", "python", "tests", "benchmarks", "examples", "docs", ".ci")
    endings = (".h", ".cpp", ".cu", ".py", ".pyi", ".pyx")
    files = [file for folder in folders for file in sources(*endings, below=ROOT / folder)]
    return [*files, ROOT / "CMakeLists.txt"]


def floor_name(path: str) -> str:
    return path.split("/")[0]


def slots(struct: str = "Kernels") -> list[str]:
    text = (CSRC / "kernels.h").read_text()
    return re.findall(r"\(\*(\w+)\)\(const Team&", text.split(f"struct {struct} {{")[1].split("\n};")[0])


def code_of(file: Path) -> str:
    """Return a C++ file without its comments."""
    return re.sub(r"//[^\n]*", "", file.read_text())


@pytest.mark.parametrize("file", tracked_text_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_every_file_says_what_it_is_and_stays_short(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert len(lines) <= 500, f"{file.name} has {len(lines)} lines: split it by subject, the limit is 500"
    first = lines[0] if not lines[0].startswith("#!") else lines[1]
    assert first.startswith(("//", '"""', "# ")), f"{file.name} must open with what it is and what it will not do"


@pytest.mark.parametrize("file", sources(".h", ".cpp", ".cu"), ids=lambda file: str(file.relative_to(CSRC)))
def test_nothing_includes_upward(file: Path) -> None:
    here = floor_name(str(file.relative_to(CSRC)))
    for include in re.findall(r'#include "([^"]+)"', file.read_text()):
        there = floor_name(include)
        assert there in FLOORS, f'{file.name} includes "{include}", which is on no floor of tests/test_repo.py'
        below = FLOORS[there] < FLOORS[here] or there == here or (here, there) in ALLOWED_SIDEWAYS
        assert below, f'{file.name} ({here}) includes "{include}": floors include only what lies below them'


def test_only_bindings_know_python_and_only_cuda_knows_cuda() -> None:
    for file in sources(".h", ".cpp", ".cu"):
        folder, code = floor_name(str(file.relative_to(CSRC))), code_of(file)
        if folder != "bindings":
            assert not re.search(r"pybind11|Python\.h|\bpy::", code), f"{file.name} knows Python; move it to bindings/"
        if folder != "cuda":
            assert not re.search(r"cuda_runtime|__global__|\bcuda[A-Z]\w+\(", code), (
                f"{file.name} knows CUDA; move it to cuda/"
            )


def test_operations_do_not_throw_allocate_or_ask_for_templates_of_the_library() -> None:
    for file in sources(".h", ".cpp", below=CSRC / "cpu"):
        if file.stem == "table":
            continue
        found = re.search(r"\bthrow\b|\bnew\b|\bmalloc\b|std::(vector|string|min|max|function)\b", code_of(file))
        assert not found, f"{file.name} uses {found and found[0]}: an operation neither throws nor allocates"


def test_cuda_mirrors_the_stems_of_cpu() -> None:
    cpu, cuda = ({file.stem for file in sources(".cpp", ".cu", below=CSRC / folder)} for folder in ("cpu", "cuda"))
    missing = cpu - cuda - {"isa_table", "ceiling", "sparse"}  # sparse rows are what the CPU offers besides the list
    assert not missing, f"operations of cpu/ without a sibling in cuda/: {sorted(missing)}"


@pytest.mark.parametrize("slot", slots())
def test_every_operation_is_complete(slot: str) -> None:
    cpu = "".join(file.read_text() for file in sources(".cpp", below=CSRC / "cpu"))
    for precision in ("float32", "float64"):
        assert re.search(rf"device\.{precision}\.{slot} =", cpu), f"fill {slot} for {precision} in a file of csrc/cpu"
    cuda = "".join(file.read_text() for file in sources(".cu", below=CSRC / "cuda"))
    assert re.search(rf"(device\.float32|kernels)\.{slot} =", cuda), f"fill {slot} in a file of csrc/cuda"
    null_table = (CSRC / "no_cuda" / "table.cpp").read_text()
    assert f"put_missing(k.{slot});" in null_table, f"add {slot} to csrc/no_cuda/table.cpp"
    tests = (ROOT / "tests" / "test_kernels.py").read_text()
    assert f'"{slot}": (' in tests, f"add arguments for {slot} to calls() of tests/test_kernels.py"


@pytest.mark.parametrize("slot", [*slots(), *slots("SparseProducts")])
def test_every_operation_is_specified_bound_and_tested(slot: str) -> None:
    assert hasattr(reference, slot), f"add {slot} to python/chainrule/reference/"
    assert f'"{slot}"' in (CSRC / "bindings" / "bind_kernels.cpp").read_text(), f"bind {slot} in bind_kernels.cpp"
    for engine in (_engine.float32, _engine.float64):
        assert callable(getattr(engine.Kernels, slot, None)), f"{slot} is no method of {engine.__name__}.Kernels"
    tests = "".join(file.read_text() for file in sorted((ROOT / "tests").glob("test_kernels*.py")))
    assert re.search(rf"^def test_{slot}(_\w+)?\(", tests, re.MULTILINE), f"add test_{slot} to tests/test_kernels*.py"


def test_every_file_is_built_and_listed() -> None:
    cmake = (ROOT / "CMakeLists.txt").read_text()
    for file in sources(".cpp", ".cu", below=CSRC):
        if file.stem.startswith("team_"):
            continue
        assert str(file.relative_to(ROOT)) in cmake, f"add {file.relative_to(ROOT)} to CMakeLists.txt"
    for table in ("cpu/isa_table.cpp", "cuda/table.cu"):
        listed, header = (CSRC / table).read_text(), (CSRC / table).parent / "operations.h"
        for name in re.findall(r"void (list_\w+)\(Device&\);", header.read_text()):
            assert f"{name}(table);" in listed, f"call {name} in csrc/{table}"


@pytest.mark.parametrize(
    ("header", "macro", "table"),
    [
        ("activations.h", "CHAINRULE_ACTIVATIONS", "ACTIVATIONS"),
        ("losses.h", "CHAINRULE_ELEMENT_LOSSES", "ELEMENT_LOSSES"),
        ("penalties.h", "CHAINRULE_PENALTY_TERMS", "PENALTY_TERMS"),
        ("updates.h", "CHAINRULE_UPDATE_RULES", "UPDATE_RULES"),
    ],
)
def test_every_formula_has_its_numpy_twin(header: str, macro: str, table: str) -> None:
    text = (CSRC / "formulas" / header).read_text()
    registry = text[text.index(f"#define {macro}(_)") :].split("\n\n")[0]
    names = re.findall(r"_\((\w+), \w+\{", registry)
    assert names, f"no registry {macro} in formulas/{header}"
    assert names == list(getattr(reference, table)), (
        f"formulas/{header} and reference.{table} differ: the same names in the same order"
    )


def test_the_engine_has_every_activation() -> None:
    assert _engine.activation_names() == list(reference.ACTIVATIONS), "the engine is not built from these formulas"


@pytest.mark.parametrize("kind", ["layers", "losses", "optimizers", "penalties", "schedules"])
def test_every_class_of_nn_is_registered(kind: str) -> None:
    bindings = (CSRC / "bindings" / "bind_nn.cpp").read_text()
    text = "".join(file.read_text() for file in sources(".h", below=CSRC / "nn" / kind))
    # Schedules are no templates: a learning rate has one precision.
    classes = re.findall(r"class (\w+) final : public (\w+)(<T>)? \{", text)
    assert classes, f"no class of csrc/nn/{kind} is found: `class NAME final : public BASE<T>` is how they begin"
    for name, base, of in classes:
        assert f"under<{name}{of}, {base}{of}>" in bindings, f"register {name} in bind_nn.cpp"


def public_classes() -> list[str]:
    bases = (
        cr.Layer,
        cr.Constraint,
        cr.ActivationFunction,
        cr.Loss,
        cr.Penalty,
        cr.Optimizer,
        cr.Schedule,
        cr.Initializer,
        cr.Callback,
    )
    classes = {name: getattr(cr, name) for name in cr.__all__ if inspect.isclass(getattr(cr, name))}
    return [name for name, kind in classes.items() if issubclass(kind, bases) and kind not in bases]


def public_functions() -> list[str]:
    return [name for name in cr.__all__ if inspect.isfunction(getattr(cr, name))]


@pytest.mark.parametrize("name", [*public_classes(), *public_functions()])
def test_everything_public_has_a_row_in_the_catalogue(name: str) -> None:
    catalogue = (ROOT / "docs" / "catalogue.md").read_text()
    calls = re.findall(rf"^\| `({name}\b[^`]*)`", catalogue, re.MULTILINE)
    assert calls, f"add a row for {name} to docs/catalogue.md"
    named = {option for call in calls for option in re.findall(r"(\w+)=", call)}
    unknown = named - set(inspect.signature(getattr(cr, name)).parameters)
    assert not unknown, f"docs/catalogue.md gives {name} options that it has not: {sorted(unknown)}"


# What the slides show, by the names that docs/lectures.md gives it, in its order.
GROUPS = {
    "DATA": 11,
    "NET": 8,
    "ACT": 11,
    "LOSS": 7,
    "BP": 4,
    "GC": 1,
    "GD": 4,
    "OPT": 6,
    "SCH": 6,
    "LR": 2,
    "INIT": 6,
    "REG": 14,
    "BN": 1,
    "LOOP": 4,
    "STOP": 4,
    "MET": 3,
    "DIAG": 6,
    "HP": 3,
    "CV": 1,
    "ENS": 1,
    "TL": 1,
    "MIS": 7,
    "GPU": 4,
}
SHOWN = [f"{group}-{number}" for group, last in GROUPS.items() for number in range(1, last + 1)]
SHOWN.insert(SHOWN.index("OPT-6") + 1, "Rprop")
LECTURES = (ROOT / "docs" / "lectures.md").read_text()
DIFFER, SLIPS = "Where the lectures differ", "Slips"


def lecture_rows(*titles: str) -> list[list[str]]:
    """Return the cells of the rows of all tables in the sections with these titles, heads left out."""
    parts = [section.partition("\n") for section in LECTURES.split("\n## ")[1:]]
    lines = [line for title, _, text in parts if title in titles for line in text.splitlines() if line[:2] == "| "]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in rows if row[0] != "what"]


SECTIONS = [title for title in re.findall(r"^## (.*)$", LECTURES, re.MULTILINE) if title not in (DIFFER, SLIPS)]


def first_word(row: list[str]) -> str:
    return row[0].split()[0]


def code_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def evaluate(calls: list[str]) -> None:
    """Evaluate calls after what the page says they come after."""
    prelude = re.search(r"```python\n(.*?)```", LECTURES, re.DOTALL)
    assert prelude is not None
    names: dict[str, object] = {"X": np.random.default_rng(0).normal(size=(12, 4)), "y": np.arange(12) % 3}
    exec(prelude[1], names)
    for call in calls:
        eval(call, names)


def assert_test_exists(name: str) -> None:
    file, _, function = name.partition("::")
    assert (ROOT / file).exists(), f"docs/lectures.md names {file}, which does not exist"
    functions = [node.name for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)]
    tests = [function for function in functions if function.startswith("test_")]
    assert function in tests, f"docs/lectures.md names {name}, which does not exist"


def test_the_page_of_the_lectures_has_every_row_once() -> None:
    assert [first_word(row) for row in lecture_rows(*SECTIONS)] == SHOWN
    traps = [first_word(row) for row in lecture_rows(DIFFER, SLIPS) if re.match(r"T\d", row[0])]
    assert sorted(traps, key=lambda trap: int(trap[1:])) == [f"T{number}" for number in range(1, 27)]


@pytest.mark.parametrize("row", lecture_rows(*SECTIONS), ids=first_word)
def test_what_the_lectures_show_can_be_called_and_is_tested(row: list[str]) -> None:
    _, lectures, formula, calls, tests = row
    assert re.fullmatch(r"all|\[00\d\](, \[00\d\])*", lectures)
    assert all((formula, code_in(calls), code_in(tests))), "a row has a formula, a call and a test"
    evaluate(code_in(calls))
    for name in code_in(tests):
        assert_test_exists(name)


@pytest.mark.parametrize("row", lecture_rows(DIFFER), ids=first_word)
def test_every_reading_of_the_lectures_can_be_called(row: list[str]) -> None:
    _, _, readings, default = row
    assert len(code_in(readings)) >= 2
    assert default
    evaluate(code_in(readings))


@pytest.mark.parametrize("row", lecture_rows(SLIPS), ids=lambda row: row[0])
def test_slips_of_the_lectures_are_told_where_they_matter(row: list[str]) -> None:
    _, slide, _, told_in = row
    tags = re.findall(r"\[00\d\]", slide)
    assert tags
    for name in code_in(told_in):
        if name.startswith("tests/"):
            assert_test_exists(name)
        else:
            text = inspect.getdoc(getattr(cr, name)) or ""
            assert any(tag in text for tag in tags), f"the docstring of {name} tells nothing of the slip in {tags}"


Members = dict[str, list[str] | None]


def signature(function: ast.FunctionDef) -> list[str]:
    """Return the names of the parameters; those after "*" are given by name only."""
    by_name = [argument.arg for argument in function.args.kwonlyargs]
    return [argument.arg for argument in function.args.args] + (["*", *by_name] if by_name else [])


def is_property(function: ast.FunctionDef) -> bool:
    return any(getattr(decorator, "id", "") == "property" for decorator in function.decorator_list)


def declared(stub: str) -> tuple[Members, dict[str, Members]]:
    """Return what a stub of the engine declares: functions, and classes with their members.

    A function has the names of its parameters, a property or a field None.
    """
    functions: Members = {}
    classes: dict[str, Members] = {}
    for node in ast.parse((PACKAGE / "_engine" / f"{stub}.pyi").read_text()).body:
        if isinstance(node, ast.ClassDef) and not any(getattr(base, "id", "") == "TypedDict" for base in node.bases):
            classes[node.name] = {
                member.name: None if is_property(member) else signature(member)
                for member in node.body
                if isinstance(member, ast.FunctionDef)
            }
            fields = [member.target for member in node.body if isinstance(member, ast.AnnAssign)]
            classes[node.name] |= {field.id: None for field in fields if isinstance(field, ast.Name)}
        elif isinstance(node, ast.FunctionDef):
            functions[node.name] = signature(node)
    return functions, classes


def assert_signatures(where: str, owner: object, members: Members) -> None:
    """Require the parameters that pybind11 writes into the first line of a docstring."""
    for name, parameters in members.items():
        documented = (getattr(owner, name).__doc__ or "").splitlines()[:1]
        if parameters is None or not documented or not documented[0].startswith(f"{name}("):
            continue
        bound = documented[0].partition("(")[2].rpartition(") ->")[0]
        # "self: engine.Class, x: object, *, rate: float = 0.0": a name is followed by a colon and a space.
        names = [word or star for word, star in re.findall(r"(\w+): |(\*), ", bound)]
        assert names == parameters, f"{where}: {name}({', '.join(parameters)}) has the parameters ({', '.join(names)})"


@pytest.mark.parametrize(
    ("stub", "module"), [("__init__", _engine), ("float32", _engine.float32), ("float64", _engine.float64)]
)
def test_the_stubs_declare_what_the_engine_has(stub: str, module: ModuleType) -> None:
    functions, classes = declared(stub)
    where = f"_engine/{stub}.pyi and the engine differ"
    public = {name for name in dir(module) if not name.startswith("_")} - {"float32", "float64"}
    # One class of the engine, declared in the stub of each precision that takes it.
    single, double = vars(_engine.float32), vars(_engine.float64)
    both = {name for name, kind in single.items() if inspect.isclass(kind) and kind is double.get(name)}
    assert public - both == {*functions, *classes} - both, where
    assert_signatures(where, module, functions)
    for name, declarations in classes.items():
        kind = getattr(module, name)
        # Of special methods only __init__ has a signature that pybind11 tells.
        members = {one: says for one, says in declarations.items() if one == "__init__" or not one.startswith("__")}
        found = {member for member in vars(kind) if not member.startswith("_")}
        assert found == set(members) - {"__init__"}, f"{where} in {name}"
        assert_signatures(f"{where} in {name}", kind, members)


def test_the_stubs_of_both_precisions_say_the_same() -> None:
    single, double = ((PACKAGE / "_engine" / f"{name}.pyi").read_text() for name in ("float32", "float64"))
    swap = {"32": "64", "64": "32"}
    swapped = re.sub(r"float(32|64)", lambda match: f"float{swap[match[1]]}", single)
    assert swapped == double, "float64.pyi must be float32.pyi with the precisions exchanged"


def test_versions_agree() -> None:
    project = re.search(r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    changelog = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert project is not None
    assert changelog is not None
    assert project[1] == changelog[1] == cr.__version__, "pyproject.toml, CHANGELOG.md and the built engine must agree"


def test_the_figures_of_the_readme_are_the_stored_ones() -> None:
    spec = importlib.util.spec_from_file_location("report", ROOT / "benchmarks" / "report.py")
    assert spec is not None
    assert spec.loader is not None
    report = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(report)
    assert report.stale() == [], "run python benchmarks/report.py"


def test_the_page_of_the_architecture_names_every_file_of_the_package() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    part = page.split("## The files of `python/chainrule`")[1].split("\n## ")[0]
    named = sorted(name for row in part.splitlines() if row[:2] == "| " for name in re.findall(r"`(\w+)`", row))
    files = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert named == sorted(files - {"__init__", "__main__"}), "docs/architecture.md lists each file once, by subject"


def test_importing_loads_nothing_heavy() -> None:
    heavy = ("sklearn", "matplotlib", "tqdm", "safetensors", "scipy", "argparse", "csv", "pandas", "torch")
    code = f"import sys, chainrule; print([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert loaded == "[]", f"import chainrule must not import {loaded}"


def test_links_in_the_pages_lead_somewhere() -> None:
    folders = (ROOT, ROOT / "docs", ROOT / "examples", ROOT / "benchmarks")
    for page in [page for folder in folders for page in sorted(folder.glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which does not exist"
