"""`chainrule ladder`: its arguments, the climb, and the table. How turns are taken is the benchmarks' harness.

First every rung proves that it computes what NumPy's does (`agreement`); one that does not fails the command, and
nothing is timed. Then the rungs take turns: a round has a turn of each, and what stands in the table are medians over
the rounds, ratios formed within a round. A turn begins with the start, and what came of it is compared again.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from chainrule import _engine
from chainrule.bench import machine
from chainrule.bench.command import whole_number, words_of
from chainrule.bench.harness import FEWEST_ROUNDS, Turn, contest
from chainrule.bench.run import Options, Progress, ceiling_name, plan, say

from . import picture
from .agreement import TOLERANCE, Agreement, apart, compare
from .problem import Problem, make_problem
from .rungs import RUNGS, Train, missing, train_of
from .table import Line, lines_of, table

REFERENCE = "numpy"
STEPS, QUICK_STEPS = 60, 8  # of an epoch: pure Python takes half a second for 60
BATCH_SIZE = 32
MOST_EPOCHS = 50  # of a turn: beyond, the network has learned all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.set_defaults(action=run)
    parser.add_argument(
        "--rungs", type=words_of(RUNGS), metavar="R,R,...", help=f"of {', '.join(RUNGS)} (default: all)"
    )
    parser.add_argument(
        "--rounds",
        type=whole_number(FEWEST_ROUNDS, 1000),
        metavar="N",
        help=f"turns of each rung (default: 7, least {FEWEST_ROUNDS})",
    )
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the rungs into a file: .png, .svg, .pdf")
    parser.add_argument("--quick", action="store_true", help="short turns: shows that all works, and says nothing more")


def run(arguments: argparse.Namespace) -> int:
    """Climb; return the exit code."""
    if arguments.picture is not None:
        picture.check(arguments.picture)
    options = Options(
        dtype="float64",
        rounds=arguments.rounds or (FEWEST_ROUNDS if arguments.quick else Options().rounds),
        quick=arguments.quick,
    )
    problem = make_problem((QUICK_STEPS if arguments.quick else STEPS) * BATCH_SIZE, batch_size=BATCH_SIZE)
    say(_about(problem))
    trains = load(arguments.rungs or tuple(RUNGS))
    try:
        if not prove(trains, problem):
            return 1
        lines, agree = climb(trains, problem, options)
    except RuntimeError as error:  # of a native rung: the GPU or its memory is not to be had
        print(f"chainrule: {error}", file=sys.stderr)
        return 1
    say("\n" + table(lines))
    if arguments.picture is not None:
        picture.draw(lines).savefig(arguments.picture)
        say(f"\ndrawn in {arguments.picture}")
    return 0 if agree else 1


def load(names: Sequence[str]) -> dict[str, Train]:
    """Return what trains on each rung that can run, and say why the others cannot.

    Raises
    ------
    ValueError
        If none can.
    """
    trains: dict[str, Train] = {}
    for name in names:
        why = missing(name)
        if not why:
            try:
                trains[name] = train_of(name)
            except ImportError as error:
                why = str(error)
        if why:
            say(f"{RUNGS[name].title} is left out: {why}")
    if not trains:
        raise ValueError("no rung is left to climb")
    return trains


def _about(problem: Problem) -> str:
    widths = "-".join(map(str, (*problem.parameters.W1.shape, len(problem.parameters.b2))))
    known = machine.description()
    gpu = (_engine.cuda_about() or {"name": "none"})["name"]
    return (
        f"{widths}, ReLU, softmax cross-entropy, plain SGD, batches of {problem.batch_size}, {len(problem.X):,} rows, "
        f"float64\n{known['processor']}, {known['threads']} threads; NumPy {known['numpy']} with {known['blas']}; "
        f"GPU: {gpu}"
    )


def prove(trains: Mapping[str, Train], problem: Problem) -> bool:
    """Say how far each rung is from NumPy's; return whether all agree."""
    reference = train_of(REFERENCE)
    found: dict[str, Agreement] = {name: compare(train, reference, problem) for name, train in trains.items()}
    wrong = {name: one for name, one in found.items() if not one.holds}
    for name, one in wrong.items():
        where = "two epochs in one call" if one.step == "all" else f"step {one.step}"
        print(
            f"chainrule: the rung {RUNGS[name].title} does not agree with NumPy's: {where} is {one.apart:.3g} of the "
            f"largest entry away, more than {TOLERANCE:g}",
            file=sys.stderr,
        )
    if not wrong:
        most = max(one.apart for one in found.values())
        say(
            f"all rungs agree: after each of {problem.steps} steps, loss and parameters differ from NumPy's by at most "
            f"{most:.1e} of the largest entry; {TOLERANCE:g} is allowed"
        )
    return not wrong


def climb(trains: Mapping[str, Train], problem: Problem, options: Options) -> tuple[list[Line], bool]:
    """Let the rungs take turns; return a line for each, and whether every turn was right."""
    with Progress(1) as show:
        show.begin("the ladder", (options.rounds + 1) * len(trains))
        turns = {name: turn_of(train, problem, options.turn_seconds) for name, train in trains.items()}
        result = contest(turns, plan(options, show))
        show.clear()
    warning = machine.busy(
        {threads: result["between"][ceiling_name(threads)]["median"] for threads in (1, _engine.thread_limit())}
    )
    if warning and not options.quick:
        print(warning, file=sys.stderr)
    wrong = [name for name, one in result["engines"].items() if not one["agrees"]]
    for name in wrong:
        print(f"chainrule: a turn of the rung {RUNGS[name].title} did not agree with NumPy's", file=sys.stderr)
    return lines_of(result["engines"]), not wrong


def turn_of(train: Train, problem: Problem, seconds: float) -> Callable[[], Turn]:
    """Return the turn of a rung: as many epochs from the start as last some `seconds`, at least one."""
    train(problem)  # compiles, where something is to be compiled
    begin = time.perf_counter()
    train(problem)
    epochs = max(1, min(MOST_EPOCHS, math.ceil(seconds / (time.perf_counter() - begin))))
    longer = problem._replace(epochs=epochs)
    expected = train_of(REFERENCE)(longer)

    def turn() -> Turn:
        begin = time.perf_counter()
        got = train(longer)
        elapsed = time.perf_counter() - begin
        return Turn(elapsed / longer.steps * 1e6, apart(got, expected) <= TOLERANCE)

    return turn
