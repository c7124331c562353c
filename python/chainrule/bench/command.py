"""The arguments of `chainrule bench`, and which group runs. Nothing is measured here.

What is chosen for the whole process, threads and the instruction set, is chosen by the environment of a process of its
own: the other libraries read it once, when they are loaded.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from chainrule import _engine
from chainrule.threads import MOST_THREADS

from .engines import ENGINES
from .harness import FEWEST_ROUNDS
from .run import GROUPS, Options
from .surroundings import surroundings
from .workloads import RATES, WORKLOADS

# Set in the process that was started for the sake of its environment, so that it does not start another.
MARK = "CHAINRULE_BENCH_SURROUNDINGS"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.set_defaults(action=run)
    parser.add_argument(
        "groups", nargs="*", metavar="GROUP", help=f"what to measure: {', '.join(GROUPS)} (default: all)"
    )
    parser.add_argument("--workloads", type=words_of(WORKLOADS), metavar="W,W,...", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--engines", type=words_of(ENGINES), metavar="E,E,...", help=f"of {', '.join(ENGINES)}")
    parser.add_argument("--optimizers", type=words_of(RATES), metavar="O,O", help=f"of {', '.join(RATES)}")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="default: float32")
    parser.add_argument("--isa", metavar="SET", help="instruction set of all engines, as far as they can be told")
    parser.add_argument("--threads", type=whole_number(1, MOST_THREADS), metavar="N", help="threads of all engines")
    parser.add_argument(
        "--rounds",
        type=whole_number(FEWEST_ROUNDS, 1000),
        metavar="N",
        help=f"turns of each engine (default: 7, least {FEWEST_ROUNDS})",
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FOLDER",
        help="where to store (default: benchmarks/results, or ./chainrule-bench)",
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="where MNIST's IDX files are, for estimators")
    parser.add_argument("--quick", action="store_true", help="short turns: shows that all works, and says nothing more")


def words_of(known: Mapping[str, object]) -> Callable[[str], tuple[str, ...]]:
    """Return what reads some of the known words, separated by commas, into their own order."""

    def words(text: str) -> tuple[str, ...]:
        chosen = tuple(text.split(","))
        unknown = [word for word in chosen if word not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"expected some of {', '.join(known)}; got {', '.join(unknown) or text!r}")
        return tuple(word for word in known if word in chosen)

    return words


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number."""

    def whole(text: str) -> int:
        number = int(text) if text.isdecimal() else least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most}; got {text!r}")
        return number

    return whole


def run(arguments: argparse.Namespace) -> int:
    """Measure what the arguments ask for; return the exit code."""
    groups = _groups(arguments.groups)
    options = _options(arguments)
    if (options.isa is not None or options.threads is not None) and MARK not in os.environ:
        return _run_in(surroundings(options.isa, options.threads), arguments)
    for group in groups:
        importlib.import_module(f"{__package__}.{group}").main(options)
    return 0


def _groups(chosen: Sequence[str]) -> tuple[str, ...]:
    unknown = [group for group in chosen if group not in GROUPS]
    if unknown:
        raise ValueError(f"GROUP must be some of {', '.join(GROUPS)}; got {', '.join(unknown)}")
    return tuple(group for group in GROUPS if group in chosen or not chosen)


def _options(arguments: argparse.Namespace) -> Options:
    if arguments.isa is not None and arguments.isa not in _engine.isas():
        raise ValueError(f"--isa must be one that this machine runs, {', '.join(_engine.isas())}; got {arguments.isa}")
    full = Options()
    is_full = not (arguments.workloads or arguments.engines or arguments.optimizers or arguments.quick)
    results = arguments.results
    if results is None and is_full:
        # A folder of this name alone may be anybody's; beside what makes the pages it is this project's.
        usual = Path("benchmarks/results")
        ours = usual.is_dir() and (usual.parent / "report.py").is_file()
        results = usual if ours else Path("chainrule-bench")
    return Options(
        workloads=arguments.workloads or full.workloads,
        engines=arguments.engines or full.engines,
        optimizers=arguments.optimizers or full.optimizers,
        dtype=arguments.dtype,
        isa=arguments.isa,
        threads=arguments.threads,
        rounds=arguments.rounds or (FEWEST_ROUNDS if arguments.quick else full.rounds),
        quick=arguments.quick,
        results=results,
        data=arguments.data,
    )


def _run_in(environment: dict[str, str], arguments: argparse.Namespace) -> int:
    """Run the same command in a process with this environment on top of ours."""
    words = [sys.executable, "-m", "chainrule", "bench", *arguments.groups]
    for name in ("workloads", "engines", "optimizers"):
        if getattr(arguments, name):
            words += [f"--{name}", ",".join(getattr(arguments, name))]
    for name in ("dtype", "isa", "threads", "rounds", "results", "data"):
        if getattr(arguments, name) is not None:
            words += [f"--{name}", str(getattr(arguments, name))]
    if arguments.quick:
        words.append("--quick")
    # Ctrl-C reaches both: the other says so, and its exit code is ours.
    process = subprocess.Popen(words, env={**os.environ, **environment, MARK: "1"})
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
