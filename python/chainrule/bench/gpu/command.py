"""The arguments of `python -m chainrule.bench.gpu`, and its parts in turn. Nothing is measured here."""

from __future__ import annotations

import argparse
import importlib
import math
from collections.abc import Sequence
from pathlib import Path

from chainrule import _engine

from ..harness import FEWEST_ROUNDS
from ..run import say
from .ledger import PARTS, Ledger, Options


def main(words: Sequence[str] | None = None) -> int:
    """Measure; return 1 if something failed, else 0."""
    options = _options(words)
    if _engine.cuda_trouble():
        say(f"nothing is measured: {_engine.cuda_trouble()}")
        return 1
    failed = 0
    for part in options.parts:
        ledger = Ledger(part, options)
        importlib.import_module(f"{__package__}.{part}").main(ledger)
        failed += ledger.finish()
    return int(failed > 0)


def _options(words: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m chainrule.bench.gpu", description="Measure on the GPU.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{' or '.join(PARTS)} (default: both)")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="where gpu.json is stored after each contest")
    parser.add_argument(
        "--seconds", type=float, default=math.inf, metavar="S", help="begin no contest that may not end by then"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that all works, and says nothing more")
    found = parser.parse_args(words)
    unknown = [part for part in found.parts if part not in PARTS]
    if unknown:
        parser.error(f"PART must be {' or '.join(PARTS)}; got {', '.join(unknown)}")
    return Options(tuple(found.parts) or PARTS, found.results, found.seconds, FEWEST_ROUNDS, found.quick)
