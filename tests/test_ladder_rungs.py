"""`chainrule ladder`: every rung computes the same, refuses what is wrong, and is short. No speed is judged.

The NumPy rung is judged by central differences and by `chainrule.reference.Mlp`, all others by the NumPy rung. The
ladder of matrix products is tested in test_ladder.py.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from problems import run_script

from chainrule import _engine
from chainrule.cli import main
from chainrule.ladder import command, native, rungs, table
from chainrule.ladder.agreement import Agreement, apart, compare, walk
from chainrule.ladder.problem import Parameters, Problem, Trained, checked, make_problem
from chainrule.ladder.rungs import RUNGS, missing, train_of
from chainrule.reference import Mlp

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "python" / "chainrule" / "ladder"
# Rows, widths, batch size: one of everything, odd ones with a last batch that is smaller, more units than a block has
# threads, and the ladder's own.
SIZES = [(1, (1, 1, 2), 1), (29, (7, 5, 3), 4), (13, (3, 9, 2), 1), (21, (5, 130, 70), 8), (96, (64, 32, 10), 32)]


@pytest.fixture(params=list(RUNGS))
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of each rung that can run here."""
    why = missing(request.param)
    if why:
        pytest.skip(f"{RUNGS[request.param].title} cannot run: {why}")
    return str(request.param)


def loss_of(problem: Problem, parameters: Parameters) -> float:
    """Return the mean loss of all rows, from the definitions: -ln of the share of exp(z) that the right class has."""
    W1, b1, W2, b2 = parameters
    z = np.maximum(problem.X @ W1 + b1, 0) @ W2 + b2
    shares = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return float(-np.log(shares[np.arange(len(z)), problem.labels]).mean())


# What is computed ----------------------------------------------------------------------------------------------------


def test_a_step_follows_the_gradient() -> None:
    problem = make_problem(11, (4, 6, 3), batch_size=11, seed=3)._replace(lr=1.0)
    after = train_of("numpy")(problem)
    assert after.losses[0] == pytest.approx(loss_of(problem, problem.parameters), rel=1e-12)
    for number, (begin, end) in enumerate(zip(problem.parameters, after.parameters, strict=True)):
        for place in np.ndindex(begin.shape):
            values = []
            for step in (1e-6, -1e-6):
                moved = [one.copy() for one in problem.parameters]
                moved[number][place] += step
                values.append(loss_of(problem, Parameters(*moved)))
            # Of two losses near 1 rounding leaves 1e-16 / 1e-6, the third derivative adds 1e-12.
            assert begin[place] - end[place] == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-8)


@pytest.mark.parametrize(("rows", "widths", "size"), SIZES)
def test_numpys_rung_steps_as_the_reference_does(rows: int, widths: tuple[int, int, int], size: int) -> None:
    problem = make_problem(rows, widths, batch_size=size, seed=1)
    W1, b1, W2, b2 = (one.copy() for one in problem.parameters)
    net = Mlp([W1, W2], [b1, b2], rule="gradient_descent", rate=problem.lr)
    batches = np.split(problem.order, range(size, rows, size))
    for batch, done in zip(batches, walk(train_of("numpy"), problem), strict=False):
        loss = net.step(problem.X[batch], problem.labels[batch].astype(np.int32))
        expected = Parameters(net.weights[0], net.biases[0], net.weights[1], net.biases[1])
        assert apart(done, Trained(np.array([loss]), expected)) < 1e-12


@pytest.mark.parametrize(("rows", "widths", "size"), SIZES)
def test_rungs_agree_after_every_step(name: str, rows: int, widths: tuple[int, int, int], size: int) -> None:
    problem = make_problem(rows, widths, batch_size=size, seed=2)
    steps = -(-rows // size)
    assert len(list(walk(train_of("numpy"), problem))) == steps + 1  # and two epochs in one call
    found = compare(train_of(name), train_of("numpy"), problem)
    # Sums of up to 130 terms in another order, over some 60 steps: far below what is allowed.
    assert found.apart < 1e-10, found


def test_an_order_may_leave_rows_out_and_repeat_others(name: str) -> None:
    problem = make_problem(9, (3, 4, 2), batch_size=4)._replace(order=np.array([8, 0, 8, 8, 3, 3, 1]), epochs=3)
    assert apart(train_of(name)(problem), train_of("numpy")(problem)) < 1e-10


def test_large_outputs_overflow_nowhere(name: str) -> None:
    problem = make_problem(8, (3, 4, 3), batch_size=4)
    W1, b1, W2, _ = problem.parameters
    far = problem._replace(parameters=Parameters(W1, b1, W2, np.array([900.0, -900.0, 0.0])), lr=1e-3)
    done = train_of(name)(far)
    assert np.isfinite(done.losses).all()
    assert done.losses[0] > 100  # of a class that e^-900 speaks for
    assert apart(done, train_of("numpy")(far)) < 1e-10


def test_a_problem_is_left_as_it_is_and_may_lie_anyhow(name: str) -> None:
    problem = make_problem(10, (3, 4, 2), batch_size=4)
    expected = train_of(name)(problem)
    wide = np.full((20, 6), np.nan)
    wide[::2, ::2] = problem.X
    strange = problem._replace(
        X=wide[::2, ::2],
        labels=np.repeat(problem.labels, 2)[::2],
        order=problem.order[::-1].copy()[::-1],
        parameters=Parameters(*(np.asfortranarray(one) for one in problem.parameters)),
    )
    for one in (strange.X, strange.labels, strange.order, *strange.parameters):
        one.flags.writeable = False
    before = [one.copy() for one in strange.parameters]
    assert apart(train_of(name)(strange), expected) == 0
    assert all(np.array_equal(one, other) for one, other in zip(strange.parameters, before, strict=True))


def test_openmp_gives_the_same_bits_on_any_number_of_threads() -> None:
    if missing("openmp"):
        pytest.skip(missing("openmp"))
    openmp = ctypes.CDLL(str(native.library("openmp")))  # and through it the functions of its OpenMP
    problem = make_problem(23, (7, 9, 4), batch_size=8)._replace(epochs=2)
    before = openmp.omp_get_max_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            openmp.omp_set_num_threads(threads)
            results.append(train_of("openmp")(problem))
    finally:
        openmp.omp_set_num_threads(before)
    for one in results[1:]:
        assert apart(one, results[0]) == 0


# What is refused ------------------------------------------------------------------------------------------------------


def wrong_problems() -> dict[str, tuple[type[Exception], dict[str, Any]]]:
    """Return what must be refused, by what the error must say: changes to a problem of 6 rows, 3-4-2."""
    good = make_problem(6, (3, 4, 2), batch_size=2)
    W1, b1, W2, b2 = good.parameters
    return {
        r"X must be an array of float64 of shape \(N, D\); got an array of float32": (
            TypeError,
            {"X": good.X.astype(np.float32)},
        ),
        "X must be an array of float64 .* got .* of type list": (TypeError, {"X": good.X.tolist()}),
        r"X must .* got \(18,\)": (ValueError, {"X": good.X.ravel()}),
        r"X must .* none of them 0.* got \(0, 3\)": (ValueError, {"X": good.X[:0]}),
        r"labels must .* \(N\) with N = 6; got \(5,\)": (ValueError, {"labels": good.labels[:5]}),
        "labels must be an array of int64 .* got an array of int32": (
            TypeError,
            {"labels": good.labels.astype(np.int32)},
        ),
        "labels must be from 0 to 1; got 2": (ValueError, {"labels": np.array([0, 1, 0, 2, 0, 1])}),
        "labels must be from 0 to 1; got -1": (ValueError, {"labels": np.array([0, 1, 0, -1, 0, 1])}),
        "order must be from 0 to 5; got 6": (ValueError, {"order": np.array([0, 6])}),
        "order must be from 0 to 5; got -6": (ValueError, {"order": np.array([0, -6])}),
        r"order must .* got \(0,\)": (ValueError, {"order": good.order[:0]}),
        "epochs must be a whole number from 1": (ValueError, {"epochs": 0}),
        "batch_size must be a whole number from 1": (ValueError, {"batch_size": -1}),
        "batch_size must be a whole number": (TypeError, {"batch_size": 2.0}),
        "lr must be a finite number": (ValueError, {"lr": np.nan}),
        r"W1 must .* \(D, H\) with D = 3; got \(4, 3\)": (ValueError, {"parameters": Parameters(W1.T, b1, W2, b2)}),
        r"b1 must .* \(H\) with H = 4; got \(2,\)": (ValueError, {"parameters": Parameters(W1, b2, W2, b2)}),
        r"W2 must .* K at least 2 .* got \(4, 1\)": (ValueError, {"parameters": Parameters(W1, b1, W2[:, :1], b2)}),
        r"b2 must .* with K = 2; got \(3,\)": (ValueError, {"parameters": Parameters(W1, b1, W2, np.zeros(3))}),
        "parameters must be Parameters; got .* of type tuple": (TypeError, {"parameters": (W1, b1, W2, b2)}),
    }


@pytest.mark.parametrize("sentence", list(wrong_problems()))
def test_what_does_not_fit_is_refused_before_any_rung_begins(sentence: str) -> None:
    kind, changes = wrong_problems()[sentence]
    problem = make_problem(6, (3, 4, 2), batch_size=2)._replace(**changes)
    for name in RUNGS:
        if not missing(name):
            with pytest.raises(kind, match=sentence):
                train_of(name)(problem)


def test_only_a_problem_is_one() -> None:
    with pytest.raises(TypeError, match="problem must be a Problem; got 3"):
        checked(3)  # type: ignore[arg-type]


def test_no_memory_is_a_sentence() -> None:
    if missing("cpp"):
        pytest.skip(missing("cpp"))
    if _engine.build_info()["sanitize"]:
        pytest.skip("the sanitizers need more memory than the process may have here")
    # 2^16 rows of a batch by 2^16 units are 32 GB, eight times what the process may have.
    script = """
import resource
import numpy as np
from chainrule.ladder.problem import Parameters, Problem
from chainrule.ladder.rungs import missing, train_of
n = 2**16
problem = Problem(np.zeros((1, 1)), np.zeros(1, np.int64), np.zeros(n, np.int64), 1, n,
                  Parameters(np.zeros((1, n)), np.zeros(n), np.zeros((n, 2)), np.zeros(2)), 0.1)
names = [name for name in ("cpp", "openmp", "cython") if not missing(name)]
rungs = {name: train_of(name) for name in names}
resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, resource.RLIM_INFINITY))
for name, train in rungs.items():
    try:
        train(problem)
    except (RuntimeError, MemoryError) as error:
        print(name, error)
"""
    lines = run_script(script).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [one for one in ("cpp", "openmp", "cython") if not missing(one)]
    assert "cpp the rung 'cpp' failed: there is not enough memory for a batch" in lines


# What cannot run -----------------------------------------------------------------------------------------------------


def test_what_was_not_built_or_installed_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(native, "FOLDERS", [tmp_path])
    monkeypatch.setattr(rungs, "find_spec", lambda name: None)
    assert missing("numba") == 'Numba is not installed: pip install "chainrule[numba]"'
    assert missing("cython") == "this build of chainrule was made without Cython"
    assert missing("cuda") == "this build of chainrule was made without a CUDA compiler (nvcc)"
    assert missing("openmp") == "this build of chainrule was made without OpenMP"
    assert missing("cpp")
    assert [name for name in RUNGS if not missing(name)] == ["python", "numpy", "trainer"]
    with pytest.raises(RuntimeError, match=r"the rung 'cuda' cannot run: .* CUDA compiler"):
        train_of("cuda")(make_problem(2))


def test_without_a_gpu_cuda_is_left_out_with_the_engines_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "libcuda_rung.so").touch()
    monkeypatch.setattr(native, "FOLDERS", [tmp_path])
    assert missing("cuda") == _engine.cuda_trouble()


# The command ---------------------------------------------------------------------------------------------------------


def test_the_command_climbs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="the picture is drawn with matplotlib")
    path = tmp_path / "ladder.svg"
    assert main(["ladder", "--quick", "--picture", str(path)]) == 0
    text = capsys.readouterr().out
    assert "all rungs agree" in text
    for name, rung in RUNGS.items():
        if missing(name):
            assert f"{rung.title} is left out: {missing(name)}" in text
            continue
        row = re.search(rf"^{re.escape(rung.title)} +([\d,.]+) +([\d,.]+) to ([\d,.]+)(.*)$", text, re.MULTILINE)
        assert row is not None, f"no row for {rung.title}"
        median, low, high = (float(figure.replace(",", "")) for figure in row.groups()[:3])
        assert 0 < low <= median <= high
        assert len(row[4].split()) == (1 if name == "python" else 2)
        assert f"\n{rung.title}: {rung.buys.split()[0]}" in text
    drawn = path.read_text()
    assert drawn.startswith("<?xml")


def test_ratios_are_formed_within_rounds() -> None:
    rounds = {"python": [100.0, 400.0, 90.0], "numpy": [10.0, 20.0, 30.0], "trainer": [1.0, 5.0, 2.0]}
    summed = {
        name: {"median": float(np.median(values)), "range": [min(values), max(values)], "rounds": values}
        for name, values in rounds.items()
    }
    first, second, third = table.lines_of(summed)
    assert (first.above, first.first, first.microseconds, first.range) == (None, 1.0, 100.0, (90.0, 400.0))
    assert (second.above, second.first) == (10.0, 10.0)
    assert (third.above, third.first) == (10.0, 80.0)
    assert table.lines_of({"numpy": summed["numpy"]})[0].first is None


@pytest.mark.parametrize("fault", ["a step", "the second epoch", "nan"])
def test_a_rung_that_does_not_agree_fails_the_command(
    fault: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = train_of("numpy")

    def wrong(problem: Problem) -> Trained:
        done = right(problem)
        if fault == "a step" or (fault == "the second epoch" and problem.epochs == 2):
            done.parameters.b2[0] += 1e-4
        if fault == "nan":
            done.losses[0] = np.nan
        return done

    monkeypatch.setattr(command, "train_of", lambda name: wrong if name == "trainer" else right)
    assert main(["ladder", "--quick", "--rungs", "numpy,trainer"]) == 1
    printed = capsys.readouterr()
    assert "the rung chainrule does not agree with NumPy's" in printed.err
    assert ("two epochs in one call" in printed.err) == (fault == "the second epoch")
    assert "µs a step" not in printed.out


def test_a_wrong_turn_fails_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    right, calls = train_of("numpy"), [0]

    def forgetful(problem: Problem) -> Trained:
        calls[0] += 1
        return right(problem._replace(lr=0.0) if calls[0] == 15 else problem)

    monkeypatch.setattr(command, "train_of", lambda name: forgetful if name == "trainer" else right)
    assert main(["ladder", "--quick", "--rungs", "trainer"]) == 1
    assert "a turn of the rung chainrule did not agree with NumPy's" in capsys.readouterr().err


def test_what_fails_or_is_left_out_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def failing(problem: Problem) -> Trained:
        raise RuntimeError("the rung 'cuda' failed: out of memory")

    def broken(name: str) -> Any:
        if name == "numba":
            raise ImportError("Numba needs NumPy 1.0 or less")
        return failing if name == "cuda" else train_of(name)

    monkeypatch.setattr(command, "missing", lambda name: "it is Sunday" if name == "cython" else "")
    monkeypatch.setattr(command, "train_of", broken)
    assert main(["ladder", "--quick", "--rungs", "numba,cython,cuda"]) == 1
    printed = capsys.readouterr()
    assert "Numba is left out: Numba needs NumPy 1.0 or less" in printed.out
    assert "Cython is left out: it is Sunday" in printed.out
    assert printed.err == "chainrule: the rung 'cuda' failed: out of memory\n"
    assert main(["ladder", "--quick", "--rungs", "numba,cython"]) == 2
    assert capsys.readouterr().err == "chainrule: no rung is left to climb\n"


def test_what_differs_is_found() -> None:
    done = train_of("numpy")(make_problem(4, (2, 3, 2)))
    assert apart(done, done) == 0
    assert apart(done._replace(losses=np.zeros(2)), done) == np.inf
    assert apart(done._replace(losses=np.array([np.nan])), done) == np.inf
    zero = done.parameters._replace(b1=np.zeros(3))
    assert apart(done, done._replace(parameters=zero)) == np.inf
    assert not Agreement(np.inf, 1).holds
    assert not Agreement(np.nan, 1).holds


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rungs", "numpy,fortran"], "expected some of python, numpy, numba, cython, cpp, openmp, cuda, trainer"),
        (["--rounds", "4"], "expected a whole number from 5 to 1000; got '4'"),
        (["--picture", "ladder.txt"], "--picture must end with one of"),
        (["--picture", "no/such/folder/ladder.png"], "--picture must be a file in a folder that is there"),
    ],
)
def test_bad_arguments(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="the picture is drawn with matplotlib")
    try:
        code = main(["ladder", *arguments])
    except SystemExit as ending:  # argparse's own
        code = int(ending.code or 0)
    printed = capsys.readouterr()
    assert code == 2
    assert sentence in printed.err
    assert printed.out == ""


# The files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", [rung.file for rung in RUNGS.values()])
def test_a_rung_is_short_built_and_explained(file: str) -> None:
    text = (FOLDER / file).read_text()
    assert len(text.splitlines()) < 80, f"{file} has {len(text.splitlines())} lines: a rung has fewer than 80"
    assert re.match(r'(// |"""|# )The (last )?rung', text), f"{file} must open with what it is"
    assert f"../python/chainrule/ladder/{file}" in (ROOT / "docs" / "ladder.md").read_text()
    if not file.endswith(".py"):
        assert file in (ROOT / "CMakeLists.txt").read_text(), f"add {file} to CMakeLists.txt"
    assert not re.search(r'#include "(?!rung\.h|device\.h)', text), f"{file} includes what is no part of the ladder"


def test_the_code_of_the_page_runs_and_the_rungs_in_it_agree(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "ladder.md").read_text(), re.DOTALL)
    for block in blocks:
        exec(compile(block, "docs/ladder.md", "exec"), {})
    numpys, trainers = (np.array(line.strip("[]").split(), float) for line in capsys.readouterr().out.splitlines())
    assert len(numpys) == 5
    assert (np.diff(numpys) < 0).all()
    assert trainers == pytest.approx(numpys, rel=1e-6)


def test_every_rung_is_listed() -> None:
    files = {file.name for file in FOLDER.glob("*_rung.*") if file.suffix not in (".so", ".pyi")}
    assert files == {rung.file for rung in RUNGS.values()}
