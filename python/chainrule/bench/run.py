"""What a run was asked for, and what every group shares: who takes part, the plan of a contest, progress, storing.

A group measures with these; this file knows no group.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from chainrule import _engine, progress

from . import child, machine
from .engines import ENGINES, ON_GPU, missing
from .harness import OURS, REST_SECONDS, Plan
from .workloads import RATES, WORKLOADS

GROUPS = (
    "training",
    "prediction",
    "products",
    "imports",
    "memory",
    "monitoring",
    "estimators",
    "operations",
)  # files here


class Options(NamedTuple):
    """What a run was asked for; the defaults are a full run.

    `isa` and `threads` are None where nobody chose; whoever chooses must do so before the libraries are loaded, see
    `surroundings`. A quick run has short turns and the least number of rounds: it shows that all works.
    """

    workloads: Sequence[str] = tuple(WORKLOADS)
    engines: Sequence[str] = tuple(ENGINES)
    optimizers: Sequence[str] = tuple(RATES)
    dtype: str = "float32"
    isa: str | None = None
    threads: int | None = None
    rounds: int = 7
    quick: bool = False
    results: Path | None = None  # None: printed only
    data: Path | None = None  # a folder with MNIST's files

    @property
    def turn_seconds(self) -> float:
        """How long a turn of training should last: far longer than what may disturb it."""
        return 0.02 if self.quick else 0.25

    @property
    def rest(self) -> float:
        """The seconds between two turns."""
        return 0.0 if self.quick else REST_SECONDS


def taking_part(group: str, options: Options) -> tuple[list[str], dict[str, str]]:
    """Return the engines of a group that were asked for and can run, and of the others why not, by name."""
    wanted = [name for name in ENGINES if name in options.engines and group in ENGINES[name].groups]
    reasons = {name: missing(name, group) for name in wanted}
    return [name for name in wanted if not reasons[name]], {name: why for name, why in reasons.items() if why}


def made_ready(names: Sequence[str], skipped: dict[str, str], make: Callable[[str], Any]) -> dict[str, Any]:
    """Return what `make` makes of each name; a peer that fails is added to `skipped`, and does not stop the others."""
    made = {}
    for name in names:
        try:
            made[name] = make(name)
        except Exception as error:  # whatever another library raises, on a machine that nobody has seen
            if name.startswith(OURS):
                raise
            first_line = (str(error).strip().splitlines() or [""])[0]
            what = "" if isinstance(error, child.ChildError) else f"{type(error).__name__}: "
            skipped[name] = f"{title_of(name)} is left out: it failed with {what}{without_folders(first_line)}"
    return made


def without_folders(text: str) -> str:
    """Return a text with the files that it names, but not where they lie on this machine."""
    return re.sub(r"(?<![\w.])[/~](?:[^\s/:;,'\"<>()]*/)+", "", text)


def plan(options: Options, show: Progress, *, rest: float | None = None, ceilings: Sequence[int] | None = None) -> Plan:
    """Return how contests run; the ceiling is measured between their rounds, on one thread and on all by default."""
    counts = sorted({1, _engine.thread_limit()}) if ceilings is None else ceilings
    between = {ceiling_name(threads): _ceiling(options.dtype, threads) for threads in counts}
    return Plan(options.rounds, options.rest if rest is None else min(rest, options.rest), between, show.tick)


def ceiling_name(threads: int) -> str:
    """Return the name that a ceiling is stored under."""
    return f"ceiling, {threads} thread{'' if threads == 1 else 's'}"


def ceiling_of(contest: Mapping[str, Any], threads: int) -> float:
    """Return the ceiling of a contest in GFLOP/s, the highest of its rounds: what disturbs one can only lower it."""
    return float(contest["between"][ceiling_name(threads)]["range"][1])


def _ceiling(dtype: str, threads: int) -> Callable[[], float]:
    return lambda: machine.ceiling(dtype, threads)


def finish(group: str, options: Options, results: Mapping[str, Any], dtype: str | None = None) -> None:
    """Store the results of a group with the machine and what was asked for, if they are to be stored.

    `dtype` is that of a group that has its own, whatever was asked for.
    """
    if options.results is None:
        print("not stored: this was no full run (name a folder with --results to keep it)")
        return
    settings = {
        "dtype": dtype or options.dtype,
        "isa": options.isa,
        "threads": options.threads,
        "rounds": options.rounds,
        "quick": options.quick,
        "workloads": list(options.workloads),
        "engines": list(options.engines),
        "optimizers": list(options.optimizers),
    }
    whole = {"machine": machine.description(), "settings": settings, **results}
    print("stored in", machine.store(options.results, file_name(group, options), whole))


def file_name(group: str, options: Options) -> str:
    """Return "training", or "training-float64-avx2" where something else than the default was measured."""
    parts = [group]
    if options.dtype != "float32":
        parts.append(options.dtype)
    if options.isa is not None:
        parts.append(options.isa)
    if options.threads is not None:
        parts.append(f"threads{options.threads}")
    return "-".join(parts)


def title_of(name: str) -> str:
    """Return how an engine is called; names that are no engine's, such as "chainrule-ready", stand for themselves."""
    return ENGINES[name].title if name in ENGINES else ON_GPU.get(name, name)


def table_lines(title: str, result: Mapping[str, Any], notes: Mapping[str, str] = {}) -> str:
    """Return the figures of a contest as text, with the ratios to chainrule's and a note by engine."""
    text = [f"\n{title}"]
    for name, engine in result["engines"].items():
        low, high = engine["range"]
        line = f"  {title_of(name):20} {engine['median']:12,.2f}  ({low:,.2f} to {high:,.2f})"
        if name in result["ratios"]:
            ratio = result["ratios"][name]
            low, high = ratio["range"]
            line += f"   {ratio['median']:7.2f}x  ({low:.2f} to {high:.2f}) {ratio['verdict']}"
        line += f"   {notes[name]}" if name in notes else ""
        text.append(line + ("" if engine["agrees"] else "   RESULTS DIFFER: does not count"))
    return "\n".join([*text, *(f"  {why}" for why in result.get("skipped", {}).values())])


def say(line: str) -> None:
    """Print a line now: a run is long, and its output is often a pipe."""
    print(line, flush=True)


class Progress:
    """What is being measured, on standard error: a bar where somebody can see it, else a line for each contest."""

    def __init__(self, contests: int) -> None:
        self._contests, self._begun = contests, 0
        self._bar: Any = None
        if progress.somebody_watches() and find_spec("tqdm") is not None:
            from tqdm.auto import tqdm

            self._bar = tqdm(
                total=contests, unit=" contests", dynamic_ncols=True, bar_format="{desc} |{bar}| {n:.1f}/{total}"
            )
        self._share = 0.0

    def begin(self, what: str, turns: int) -> None:
        """Say that a contest of so many turns begins."""
        self._begun += 1
        self._share = 1 / max(turns, 1)
        if self._bar is None:
            print(f"{self._begun}/{self._contests}  {what}", file=sys.stderr, flush=True)
        else:
            self._bar.n = self._begun - 1
            self._bar.set_description_str(what)

    def tick(self) -> None:
        """Say that a turn is done."""
        if self._bar is not None:
            self._bar.update(self._share)

    def clear(self) -> None:
        """Make room for a line on standard output."""
        if self._bar is not None:
            self._bar.clear()

    def __enter__(self) -> Progress:
        """Return the progress itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar, whatever happened."""
        if self._bar is not None:
            self._bar.close()
