"""The benchmarks count right, and all of them run, on work far too small to say anything. No time is judged here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule.bench import (
    child,
    engines,
    harness,
    imports,
    machine,
    memory,
    monitoring,
    prediction,
    products,
    run,
    training,
    workloads,
)
from chainrule.bench.engines import ENGINES
from chainrule.bench.harness import Plan, Turn, contest
from chainrule.bench.run import Options
from chainrule.bench.workloads import Workload

QUICK = Plan(rounds=5, rest=0.0)
TINY = {"W1": Workload((3, 8, 4), 8, 5), "W2": Workload((5, 7, 6, 2), 16, 3)}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all work tiny."""
    for module in (workloads, training, memory, monitoring):
        monkeypatch.setattr(module, "WORKLOADS", TINY)
    monkeypatch.setattr(training, "MOST_EPOCHS", 2)
    monkeypatch.setattr(prediction, "NETWORKS", ((3, 4, 2),))
    monkeypatch.setattr(prediction, "ROWS", (1, 5))
    monkeypatch.setattr(prediction, "TURN_SECONDS", 1e-4)
    monkeypatch.setattr(products, "TURN_SECONDS", 1e-4)
    monkeypatch.setattr(machine, "CEILING_SECONDS", 1e-4)


def options(folder: Path | None, **changes: Any) -> Options:
    settings = {"engines": ("numpy", "chainrule"), "workloads": tuple(TINY), "rounds": 5, "quick": True}
    return Options(**{**settings, **changes}, results=folder)


def turns(
    figures: list[float], wrong: int | None = None, called: list[str] | None = None, name: str = ""
) -> Callable[[], Turn]:
    """Return an engine that gives these figures in turn; the turn of number `wrong`, 0 to warm up, is wrong."""
    left = enumerate(figures)

    def turn() -> Turn:
        if called is not None:
            called.append(name)
        number, figure = next(left)
        return Turn(figure, number != wrong)

    return turn


# ----------------------------------------------------------------------------------------------------- the harness


def test_a_contest_forms_ratios_within_a_round() -> None:
    # The warm-up first, then a slow machine in the second round: both are slower there, and the ratio is not.
    called: list[str] = []
    engines = {
        "slow": turns([999, 100, 400, 120, 80, 100], called=called, name="slow"),
        "chainrule": turns([999, 10, 40, 10, 10, 20], called=called, name="chainrule"),
    }
    found = contest(engines, QUICK)
    orders = [called[i : i + 2] for i in range(0, 12, 2)]  # a warm-up and five rounds
    assert all(sorted(order) == ["chainrule", "slow"] for order in orders)
    assert ["slow", "chainrule"] in orders[1:]
    assert ["chainrule", "slow"] in orders[1:]
    assert len(called) == 12
    ours, ratio = found["engines"]["chainrule"], found["ratios"]["slow"]
    assert (ours["median"], ours["range"], ours["rounds"]) == (10, [10, 40], [10, 40, 10, 10, 20])
    assert ratio == {"median": 10, "range": [5, 12], "rounds": [10, 10, 12, 8, 5], "verdict": "ahead"}
    assert list(found["ratios"]) == ["slow"]
    assert found["best_peer"] == "slow"


@pytest.mark.parametrize(
    ("theirs", "verdict"),
    [([9, 9, 9, 9, 11], "equal"), ([9, 9, 9, 9, 9], "behind"), ([11, 12, 13, 11, 19], "ahead"), ([10] * 5, "equal")],
)
def test_a_ratio_that_noise_could_turn_is_equal(theirs: list[float], verdict: str) -> None:
    engines = {"peer": turns([1, *theirs]), "chainrule": turns([1, 10, 10, 10, 10, 10])}
    assert contest(engines, QUICK)["ratios"]["peer"]["verdict"] == verdict


def test_the_best_peer_is_the_fastest_of_those_that_agree() -> None:
    engines = {
        "wrong": turns([1] * 6, 3),
        "slow": turns([30] * 6),
        "good": turns([20] * 6),
        "chainrule": turns([10] * 6),
        "chainrule-new-array": turns([5] * 6),
    }
    found = contest(engines, QUICK)
    assert found["best_peer"] == "good"
    assert list(found["ratios"]) == ["wrong", "slow", "good"]
    assert [name for name, one in found["engines"].items() if not one["agrees"]] == ["wrong"]


def test_without_peers_or_without_chainrule_there_is_no_ratio() -> None:
    for name in ("chainrule", "numpy"):
        found = contest({name: turns([1] * 6)}, QUICK)
        assert found["ratios"] == {}
        assert found["best_peer"] == (None if name == "chainrule" else "numpy")


@pytest.mark.parametrize("wrong", [None, 0, 3, 5])
def test_every_turn_must_be_right(wrong: int | None) -> None:
    found = contest({"one": turns([1] * 6, wrong)}, QUICK)
    assert found["engines"]["one"]["agrees"] is (wrong is None)


@pytest.mark.parametrize(
    ("losses", "agrees"),
    [
        ([0.5, 0.4, 0.3], True),
        ([0.5004, 0.9, 0.32], True),
        ([0.501, 0.4, 0.3], False),  # the first is close
        ([0.5, 0.4, 0.33], False),  # the last one within 0.05 of 0.5
        ([0.5, 0.4], False),
        ([0.5, float("nan"), 0.3], False),
        ([0.5, float("inf"), 0.3], False),
        ([], False),
    ],
)
def test_losses_must_agree(losses: list[float], agrees: bool) -> None:
    assert training.agree(losses, [0.5, 0.4, 0.3]) is agrees


def test_close_compares_to_the_largest_entry() -> None:
    expected = np.array([[100.0, 0.0]])
    assert harness.close(expected + 0.09, expected, 1e-3)
    assert not harness.close(expected + 0.11, expected, 1e-3)
    assert not harness.close([100.0, 0.0], expected, 1e-3)  # of another shape
    assert harness.close(np.zeros((0, 2)), np.zeros((0, 2)), 1e-3)


def test_too_few_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="rounds must be at least 5; got 4"):
        contest({}, Plan(rounds=4))


def test_what_is_measured_between_the_rounds_and_who_is_told() -> None:
    values, ticks = iter([3.0, 1.0, 2.0, 5.0, 4.0]), []
    plan = QUICK._replace(between={"ceiling": lambda: next(values)}, tick=lambda: ticks.append(1))
    found = contest({"one": turns([1] * 6)}, plan)
    assert found["between"] == {"ceiling": {"median": 3, "range": [1, 5]}}
    assert len(ticks) == 6


def test_there_is_a_rest_before_all_that_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(harness.time, "sleep", lambda seconds: done.append(f"rest {seconds}"))
    plan = Plan(rounds=5, rest=0.5, between={"ceiling": lambda: done.append("ceiling") or 1.0})
    contest({"one": turns([1] * 6, called=done, name="one")}, plan)
    assert done == ["one", *["rest 0.5", "ceiling", "rest 0.5", "one"] * 5]


def test_a_loop_lasts_long_enough_to_be_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))  # the clock goes on by a call's duration, one second, when it is called
    now = 0.0

    def call() -> None:
        nonlocal now
        now += 0.25
        next(clock)

    monkeypatch.setattr(harness.time, "perf_counter", lambda: now)
    timed = harness.timed_loop(call, 2.0)
    before = now
    assert timed() == 0.25e6
    assert now - before == 2.0


# ------------------------------------------------------------------------------------------------------ the groups


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training(dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training.main(options(tmp_path, dtype=dtype))
    printed = capsys.readouterr()
    assert "DIFFER" not in printed.out
    assert "1/4  W1 sgd" in printed.err
    name = "training" if dtype == "float32" else "training-float64"
    assert f"stored in {tmp_path / name}.json" in printed.out
    assert [path.stem for path in tmp_path.iterdir()] == [name]
    stored = json.loads((tmp_path / f"{name}.json").read_text())
    assert stored["settings"] == {
        **{"dtype": dtype, "isa": None, "threads": None, "rounds": 5, "quick": True},
        **{"workloads": ["W1", "W2"], "engines": ["numpy", "chainrule"], "optimizers": ["sgd", "adam"]},
    }
    assert stored["machine"]["processor"]
    for workload, about in stored["workloads"].items():
        assert about["widths"] == list(TINY[workload].widths)
        for one in about["optimizers"].values():
            assert list(one["engines"]) == ["numpy", "chainrule"]
            assert one["engines"]["chainrule"]["agrees"] is True
            assert len(one["engines"]["chainrule"]["rounds"]) == 5
            assert one["ratios"]["numpy"]["median"] > 0
            assert one["loss"] > 0
            assert one["epochs"].keys() == one["engines"].keys()
            assert set(one["epochs"].values()) <= {1, 2}
            assert all(ceiling["median"] > 0 for ceiling in one["between"].values())


def test_the_operations_of_a_step() -> None:
    # Forwards 2 B a b for each layer, backwards the same for the weights, and for the inputs but of the first layer.
    assert Workload((3, 8, 4), 10, 1).operations == 2 * 10 * (3 * 8 * 2 + 8 * 4 * 3)


@pytest.mark.usefixtures("tiny")
def test_every_turn_of_training_starts_anew() -> None:
    setting = workloads.make_setting(TINY["W1"], "adam", "float32")
    baseline = run_module("numpy").training(setting)
    baseline.reset()
    expected = baseline.run(3)
    assert expected[0] > 1.01 * expected[1]  # or going on would not be seen
    turn = training.turns(run_module("chainrule").training(setting), TINY["W1"], expected)
    assert [turn().agrees for _ in range(3)] == [True, True, True]


def run_module(name: str) -> Any:
    from chainrule.bench.engines import module_of

    return module_of(name)


@pytest.mark.usefixtures("tiny")
def test_prediction(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prediction.main(options(tmp_path, engines=("numpy", "chainrule", "chainrule-new-array")))
    assert "DIFFER" not in capsys.readouterr().out
    (network,) = json.loads((tmp_path / "prediction.json").read_text())["networks"]
    assert network["widths"] == [3, 4, 2]
    for rows in ("1", "5"):
        assert list(network["rows"][rows]["engines"]) == ["numpy", "chainrule", "chainrule-new-array"]
        assert list(network["rows"][rows]["ratios"]) == ["numpy"]


@pytest.mark.usefixtures("tiny", "restored_threads")
def test_products(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("threadpoolctl", reason="it sets the threads of NumPy's BLAS")
    chainrule.set_num_threads(2)
    # PyTorch, told its threads, tells OpenMP: chainrule then has no more either.
    monkeypatch.setattr(engines.module_of("numpy"), "set_threads", chainrule.set_num_threads)
    products.main(options(tmp_path))
    assert "8 x 512 x 512 input gradient" in (printed := capsys.readouterr().out)
    assert "WRONG" not in printed
    stored = json.loads((tmp_path / "products.json").read_text())["products"]
    shapes = [("call", "forward"), *((kind, form) for kind in ("square", "skinny") for form in products.FORMS)]
    expected = [(threads, *shape) for threads in (1, 2) for shape in shapes]
    assert [(one["threads"], one["kind"], one["form"]) for one in stored] == expected


def test_the_shapes_of_skinny_products() -> None:
    found = products.shapes((4,), (2,), (8,))
    assert [(one.m, one.k, one.n) for one in found] == [(4, 4, 4)] * 3 + [(2, 8, 8), (8, 2, 8), (2, 8, 8)]
    assert {one.operations for one in found[3:]} == {2 * 2 * 8 * 8}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (70, 3, 50), (9, 600, 400), (64, 64, 64)])
def test_all_of_a_product_is_checked(shape: tuple[int, int, int], dtype: str) -> None:
    m, k, n = shape
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    right = products.check(a, b)
    out = a @ b
    assert right(out)
    for wrong in (0.0, np.nan, 1.1 * out[-1], out[-1][::-1] + 1):
        spoilt = out.copy()
        spoilt[-1] = wrong
        assert not right(spoilt)


def test_a_product_that_goes_wrong_in_the_timed_loop_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CEILING_SECONDS", 1e-4)
    calls = 0

    def product(factors: Any) -> Callable[[], None]:
        def call() -> None:
            nonlocal calls
            calls += 1
            if calls < 40:
                np.matmul(factors.a, factors.b, out=factors.out)

        return call

    monkeypatch.setattr(products, "module_of", lambda name: type("Lazy", (), {"product": staticmethod(product)}))
    monkeypatch.setattr(products, "timed_loop", lambda call, seconds: lambda: [call() for _ in range(9)] and 1.0)
    shape = products.Shape(3, 4, 5, "square", "forward")
    with run.Progress(1) as show:
        result = products.measure(shape, 1, ["chainrule"], options(None), show)
    assert result["engines"]["chainrule"]["agrees"] is False


def test_a_wrong_product_is_noticed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(machine, "CEILING_SECONDS", 1e-4)
    wrong = type("Wrong", (), {"product": staticmethod(lambda factors: lambda: factors.out.fill(1))})
    monkeypatch.setattr(products, "module_of", lambda name: wrong)
    shape = products.Shape(3, 4, 5, "square", "forward")
    with run.Progress(1) as show:
        result = products.measure(shape, 1, ["chainrule"], options(None), show)
    assert result["engines"]["chainrule"]["agrees"] is False
    assert "WRONG" in products.line(shape, 1, result)
    assert "1/1  3 x 4 x 5 forward, 1 thread" in capsys.readouterr().err


def test_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "STATEMENTS", dict.fromkeys(imports.STATEMENTS, "pass"))
    imports.main(options(tmp_path))
    stored = json.loads((tmp_path / "imports.json").read_text())["imports"]
    assert list(stored["engines"]) == ["numpy", "chainrule", "chainrule-ready"]
    assert stored["to_numpy"]["numpy"] == {"median": 1, "range": [1, 1]}
    ready, numpy = (stored["engines"][name]["rounds"] for name in ("chainrule-ready", "numpy"))
    expected = [their / our for their, our in zip(numpy, ready, strict=True)]
    assert stored["ratios"]["numpy"]["rounds"] == expected
    assert (list(stored["ratios"]), stored["ratios_to"]) == (["numpy"], "chainrule-ready")


@pytest.mark.usefixtures("tiny")
def test_monitoring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "WATCHED", "W2")
    monkeypatch.setattr(monitoring, "METRICS", ("accuracy",))
    monitoring.main(options(tmp_path))
    stored = json.loads((tmp_path / "monitoring.json").read_text())["monitoring"]
    ways = ["metrics", "metrics, log, rules", "all, and validation", "all, and snapshots"]
    assert list(stored["engines"]) == ["chainrule", *ways]
    assert list(stored["ratios"]) == ways
    assert all(one["agrees"] for one in stored["engines"].values())
    assert all(one["interval"] == one["range"] for one in stored["ratios"].values())  # of five rounds


@pytest.mark.parametrize("count", [1, 5, 6, 20, 140])
def test_the_median_lies_in_its_interval_19_times_out_of_20(count: int) -> None:
    low, high = monitoring.interval_of_median(np.random.default_rng(0).permutation(count).tolist())
    assert low + high == count - 1
    rng = np.random.default_rng(1)
    intervals = np.array([monitoring.interval_of_median(rng.exponential(size=count).tolist()) for _ in range(2000)])
    share = np.mean((intervals[:, 0] <= np.log(2)) & (np.log(2) <= intervals[:, 1]))
    assert share > 0.94 if count > 5 else share > 0.9 or count == 1
    assert share < 0.98 or count < 20


@pytest.mark.usefixtures("tiny")
def test_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(memory, "TRAINED", ("W1",))
    monkeypatch.setattr(memory, "peak", lambda code: asked.append(code) or 10.0 + len(asked))
    options_of_seven = options(tmp_path, rounds=7)
    memory.main(options_of_seven)
    whole = json.loads((tmp_path / "memory.json").read_text())
    stored = whole["memory"]
    assert whole["settings"]["rounds"] == 5  # those that were measured, whatever was asked for
    assert stored["import"]["engines"]["numpy"]["rounds"] == [11, 12, 13, 14, 15]
    assert list(stored["W1"]["engines"]) == ["numpy", "chainrule"]
    assert "train('chainrule', 'W1', 'float32')" in asked[-1]
    for name in ("numpy", "chainrule"):
        memory.train(name, "W1", "float32")


def test_a_peak_is_that_of_the_process_itself() -> None:
    block = np.ones(25_000_000)  # 200 MB, which are ours and not the other's
    nothing, much = (memory.peak(code) for code in ("pass", "block = b'x' * 50_000_000"))
    assert block[-1] == 1
    assert nothing < 100
    assert 40 < much - nothing < 60


def test_a_figure_is_found_among_what_a_library_prints() -> None:
    noise = "import atexit; atexit.register(print, 'bye'); print('hello', end='')"
    assert child.figure(noise, "1.5 * 2") == 3.0
    assert imports.importing("print(7)") > 0


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ImportError('/home/somebody/lib/a.so: no such symbol')", "ImportError: /home/somebody/lib/a.so"),
        ("import sys; sys.exit(3)", "exit code 3"),
        ("import os; os._exit(0)", "exit code 0"),  # without a figure
    ],
)
def test_a_process_that_fails_says_its_last_line(code: str, said: str) -> None:
    with pytest.raises(child.ChildError, match=said):
        child.figure(code, "0")


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("/usr/lib/a.so: no such symbol", "a.so: no such symbol"),
        (
            "ImportError: cannot read '/a/b c' or (~/x/y/z.py, line 1/2)",
            "ImportError: cannot read 'b c' or (z.py, line 1/2)",
        ),
        ("no path, 3/4 and a/b", "no path, 3/4 and a/b"),
    ],
)
def test_no_page_says_where_files_lie(text: str, short: str) -> None:
    assert run.without_folders(text) == short


def test_a_peer_that_does_not_import_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    statements = {**dict.fromkeys(imports.STATEMENTS, "pass"), "numba": "raise ImportError('broken at /a/b/c.so')"}
    monkeypatch.setattr(imports, "STATEMENTS", statements)
    monkeypatch.setitem(ENGINES, "numba", ENGINES["numba"]._replace(packages=()))
    imports.main(options(tmp_path, engines=("numpy", "numba", "chainrule")))
    stored = json.loads((tmp_path / "imports.json").read_text())
    sentence = "Numba is left out: it failed with ImportError: broken at c.so"
    assert stored["skipped"] == {"numba": sentence}
    assert sentence in capsys.readouterr().out
    assert list(stored["imports"]["engines"]) == ["numpy", "chainrule", "chainrule-ready"]


def test_with_numpy_alone_products_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engines, "FURTHER_PACKAGES", {("numpy", "products"): ("no_such_package",)})
    assert products.main(options(tmp_path)) == {}
    printed = capsys.readouterr().out
    assert "NumPy is left out: no_such_package is not installed" in printed
    assert "products are left out: nobody is there to compare with" in printed
    assert not list(tmp_path.iterdir())
    assert engines.missing("numpy", "training") == ""


def test_products_go_on_without_a_peer_that_does_not_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def module_of(name: str) -> Any:
        if name == "numpy":
            raise ImportError("a library is not found")
        return run_module(name)

    monkeypatch.setattr(engines, "FURTHER_PACKAGES", {})
    monkeypatch.setattr(products, "module_of", module_of)
    assert products.main(options(tmp_path)) == {}
    assert "NumPy is left out: it failed with ImportError: a library is not found" in capsys.readouterr().out


# --------------------------------------------------------------------------------------------------- who takes part


def test_a_peer_that_is_not_installed_is_left_out_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = ENGINES["numba"]._replace(packages=("no_such_package", "nor_this_one"))
    monkeypatch.setitem(ENGINES, "numba", absent)
    names, skipped = run.taking_part("training", options(None, engines=("numpy", "numba", "onnx", "chainrule")))
    assert names == ["numpy", "chainrule"]  # ONNX Runtime does not train
    assert skipped == {"numba": "Numba is left out: no_such_package and nor_this_one are not installed"}


def test_a_peer_that_fails_does_not_stop_the_others() -> None:
    def make(name: str) -> str:
        if name != "numpy":
            raise RuntimeError("no such luck\nand much more")
        return name

    skipped: dict[str, str] = {}
    assert run.made_ready(["numpy", "jax"], skipped, make) == {"numpy": "numpy"}
    assert skipped == {"jax": "JAX is left out: it failed with RuntimeError: no such luck"}
    with pytest.raises(RuntimeError, match="no such luck"):
        run.made_ready(["chainrule"], skipped, make)


def test_a_busy_machine_is_noticed() -> None:
    assert machine.busy({1: 100.0, 2: 161.0}) == machine.busy({2: 100.0}) == machine.busy({1: 100.0}) == ""
    assert "the ceiling of 2 threads is only 1.59 times that of one" in machine.busy({1: 100.0, 2: 159.0})


def test_results_are_stored_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = machine.store(tmp_path / "a" / "b", "one", {"figure": 1})
    assert json.loads(path.read_text()) == {"figure": 1}
    with pytest.raises(TypeError):
        machine.store(path.parent, "one", {"figure": object()})
    monkeypatch.setattr(machine.os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        machine.store(path.parent, "one", {"figure": 2})
    assert json.loads(path.read_text()) == {"figure": 1}
    assert [found.name for found in path.parent.iterdir()] == ["one.json"]
