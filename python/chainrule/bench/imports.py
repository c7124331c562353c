"""What importing costs: fresh interpreters in turns, microseconds from the statement to its end.

chainrule loads its parts, NumPy among them, when they are first asked for; so what a program that trains needs is
measured too, and peers are compared with that. Nothing is computed, so there is nothing to check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import child
from .harness import Turn, contest, ratios, spread
from .run import Options, Progress, finish, made_ready, say, table_lines, taking_part
from .run import plan as plan_of

TIMED = "import time; start = time.perf_counter(); {0}; elapsed = time.perf_counter() - start"
READY = "chainrule-ready"
STATEMENTS = {
    "numpy": "import numpy",
    "torch": "import torch",
    "jax": "import jax.numpy",
    "sklearn": "from sklearn.neural_network import MLPClassifier",
    "numba": "import numba",
    "onnx": "import onnxruntime",
    "chainrule": "import chainrule",
    READY: "from chainrule import Network, Dense, Trainer, Adam",
}


def main(options: Options) -> dict[str, Any]:
    """Measure, print and store; return what was stored."""
    names, skipped = taking_part("imports", options)
    for why in skipped.values():
        say(why)
    if "chainrule" in names:
        names.append(READY)
    with Progress(1) as show:
        show.begin("imports", (options.rounds + 1) * len(names))
        plan = plan_of(options, show, rest=0.0, ceilings=())
        failed: dict[str, str] = {}
        made_ready(names, failed, lambda name: importing(STATEMENTS[name]))  # reads all files once, too
        for why in failed.values():
            say(why)
        skipped |= failed
        engines = {name: _turns(STATEMENTS[name]) for name in names if name not in failed}
        result = contest(engines, plan)
        show.clear()
    rounds = {name: one["rounds"] for name, one in result["engines"].items()}
    result["ratios"], result["ratios_to"] = ratios(rounds, READY), READY
    result["to_numpy"] = {name: spread(values) for name, values in _to_numpy(result["engines"]).items()}
    say(table_lines(f"imports in a new interpreter: µs, and how many times {READY}'s", result))
    whole = {"skipped": skipped, "statements": {name: STATEMENTS[name] for name in engines}, "imports": result}
    finish("imports", options, whole)
    return whole


def _turns(statement: str) -> Callable[[], Turn]:
    return lambda: Turn(importing(statement))


def _to_numpy(engines: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return by name how many times NumPy's import an import takes, round by round: nobody can do without NumPy."""
    if "numpy" not in engines:
        return {}
    numpy = engines["numpy"]["rounds"]
    return {name: [its / base for its, base in zip(one["rounds"], numpy, strict=True)] for name, one in engines.items()}


def importing(statement: str) -> float:
    """Return the microseconds that a statement takes in a new interpreter."""
    return child.figure(TIMED.format(statement), "elapsed * 1e6")
