"""How everything is measured: engines take turns, ratios are formed within a round, medians and spreads are kept.

A round runs every engine once, so that a machine that slows down slows all of them, in an order drawn for it: an engine
that always followed the same other one would carry what that one leaves behind, warm or throttled. An engine's figures
count only if what it computed was right in every turn. This file knows no engine and no workload.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

OURS = "chainrule"  # engines whose names begin so are no peers of it
FEWEST_ROUNDS = 5  # fewer say nothing of the spread
# Threads of a library go on spinning after its turn, OpenBLAS's for 0.11 s; they would run on the next one's cores.
REST_SECONDS = 0.2


class Turn(NamedTuple):
    """What one turn of an engine gives: its figure (microseconds, bytes: less is better), and if it is right."""

    figure: float
    agrees: bool = True


class Plan(NamedTuple):
    """How a contest runs, the same for all contests of a run.

    `between` is measured once a round, outside all turns, such as the machine's ceiling; `tick` is told of every turn.
    """

    rounds: int = 7
    rest: float = REST_SECONDS
    between: Mapping[str, Callable[[], float]] = {}
    tick: Callable[[], None] = lambda: None


def check_rounds(rounds: int) -> None:
    """Raise ValueError if there are too few rounds for a spread."""
    if rounds < FEWEST_ROUNDS:
        raise ValueError(f"rounds must be at least {FEWEST_ROUNDS}; got {rounds}")


def close(result: npt.ArrayLike, expected: npt.ArrayLike, tolerance: float) -> bool:
    """Return whether a result differs from the expected one by at most `tolerance` of its largest entry; NaN differs.

    Shapes must be the same.
    """
    got, wanted = np.asarray(result, np.float64), np.asarray(expected, np.float64)
    if got.shape != wanted.shape:
        return False
    return bool((abs(got - wanted) <= tolerance * abs(wanted).max(initial=0)).all())


def contest(engines: Mapping[str, Callable[[], Turn]], plan: Plan) -> dict[str, Any]:
    """Let the engines take turns, after one turn of warming up, and sum up.

    Parameters
    ----------
    engines : mapping of str to callable
        Each call is a turn. The ratios are those to the engine called "chainrule", if it is among them.
    plan : Plan

    Returns
    -------
    dict
        "engines": by name {"median", "range", "rounds", "agrees"}, true if all its turns were; "ratios": by the peer's
        name {"median", "range", "rounds", "verdict"}, how many times faster than the peer chainrule was, each formed
        within a round, with the verdict "ahead", "behind" or "equal"; "best_peer": the one with the least median of
        those that agree; "between": what was measured between the rounds, {"median", "range"}.
    """
    check_rounds(plan.rounds)
    agrees: dict[str, bool] = {}
    for name, turn in engines.items():
        agrees[name] = turn().agrees
        plan.tick()
    figures: dict[str, list[float]] = {name: [] for name in engines}
    between: dict[str, list[float]] = {name: [] for name in plan.between}
    names = list(engines)
    for number in range(plan.rounds):
        for name, measure in plan.between.items():
            time.sleep(plan.rest)
            between[name].append(measure())
        for name in random.Random(number).sample(names, len(names)):
            time.sleep(plan.rest)
            figure, right = engines[name]()
            figures[name].append(figure)
            agrees[name] &= right
            plan.tick()
    summed = {name: {**summary(values), "agrees": agrees[name]} for name, values in figures.items()}
    return {
        "engines": summed,
        "ratios": ratios(figures),
        "best_peer": best_peer(summed),
        "between": {name: spread(values) for name, values in between.items()},
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Return the median and the range of the values."""
    return {"median": statistics.median(values), "range": [min(values), max(values)]}


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Return the median, the range and all values, round by round."""
    return {**spread(values), "rounds": list(values)}


def ratios(figures: Mapping[str, Sequence[float]], to: str = OURS) -> dict[str, Any]:
    """Return for each peer how many times its figure is chainrule's (`to`): formed within rounds, with a verdict."""
    ours = figures.get(to)
    if ours is None:
        return {}
    by_peer = {
        name: [their / our for their, our in zip(theirs, ours, strict=True)]
        for name, theirs in figures.items()
        if not name.startswith(OURS)
    }
    return {name: {**summary(values), "verdict": verdict(values)} for name, values in by_peer.items()}


def verdict(values: Sequence[float]) -> str:
    """Return "ahead" or "behind" where every round says so, and "equal" where noise could turn it."""
    if min(values) > 1:
        return "ahead"
    return "behind" if max(values) < 1 else "equal"


def best_peer(summed: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the peer with the least median, of those whose results agree; None where there is none."""
    peers = {name: one["median"] for name, one in summed.items() if not name.startswith(OURS) and one["agrees"]}
    return min(peers, key=peers.__getitem__, default=None)


def timed_loop(call: Callable[[], object], seconds: float) -> Callable[[], float]:
    """Return a function that gives the microseconds of one call, from a loop that lasts some `seconds`.

    The number of calls is found once, by doubling, so that the clock costs nothing beside them.
    """
    calls = 1
    while True:
        elapsed = _elapsed(call, calls)
        if elapsed >= seconds / 4:
            break
        calls *= 2
    calls = max(1, round(calls * seconds / elapsed))
    return lambda: _elapsed(call, calls) / calls * 1e6


def _elapsed(call: Callable[[], object], calls: int) -> float:
    repetitions = range(calls)
    begin = time.perf_counter()
    for _ in repetitions:
        call()
    return time.perf_counter() - begin
