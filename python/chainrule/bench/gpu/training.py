"""Training on the GPU: microseconds a step by the wall clock, of whole epochs whose data lie there when they begin.

Each epoch is shuffled, gathers its rows itself and ends when its mean loss is known. PyTorch's are timed by events on
the GPU besides, stored as "gpu_us". Before and after a contest every engine trains two epochs in order, whose mean
losses must agree with those of chainrule on the CPU: the first closely, the second loosely, as in the group of that
name there. A turn must give a number for each epoch.

The widest networks train with products of rounded factors too, parameters and sums staying float32: PyTorch then by its
TF32 products, and by autocast to bfloat16.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..engines import chainrule
from ..harness import OURS, Turn, best_peer, contest, spread
from ..run import made_ready, table_lines
from ..training import LOSS_TOLERANCE, agree
from ..workloads import RATES, WORKLOADS, Resident, Workload, make_setting
from .ledger import Ledger
from .peer import peer_for

# A wide network with one output in large batches, as others measure it, and narrow ones in larger batches yet.
NETWORKS = {
    **{name: WORKLOADS[name] for name in ("W4", "W5", "W6")},
    "G1": Workload((28, 1024, 1024, 1), 8192, 16),
    "G2": Workload((32, 64, 64, 64, 10), 65536, 8),
    "G3": Workload((64, 128, 128, 10), 65536, 8),
}
QUICK = {"W4": Workload((5, 7, 3), 8, 3), "G1": Workload((4, 6, 1), 16, 2)}  # G1 rounded, too
# Where products are most of a step, and how far the first mean loss may be off: three times what a factor may.
ROUNDED = ("W5", "W6", "G1")
TOLERANCES = {"float32": LOSS_TOLERANCE, "tf32": 3 * 2**-11, "bfloat16": 3 * 2**-8}
WAYS = {"torch": "eager", "torch-compiled": "compiled", "torch-graph": "graph"}
IN_ORDER = "chainrule-in-order"
MOST_EPOCHS = 200  # as on the CPU


def main(ledger: Ledger) -> None:
    """Measure every network, with SGD first, and with Adam last: if time runs out, that is missing."""
    peer = peer_for(ledger)
    networks = QUICK if ledger.options.quick else NETWORKS
    first, *rest = RATES
    plan = [(name, first, "float32") for name in networks]
    plan += [(name, first, rounded) for rounded in ("tf32", "bfloat16") for name in ROUNDED if name in networks]
    plan += [(name, optimizer, "float32") for optimizer in rest for name in networks]
    for name, optimizer, precision in plan:
        title = f"{name} {optimizer}" + (f" {precision}" if precision != "float32" else "")
        ledger.add(title, partial(measure, title, networks[name], optimizer, precision, peer, ledger), lines)


def measure(
    title: str, workload: Workload, optimizer: str, precision: str, peer: Any, ledger: Ledger
) -> dict[str, Any]:
    """Return the contest of a network, an optimizer and a precision, PyTorch's file being `peer` or None."""
    setting = make_setting(workload, optimizer, "float32")
    expected = in_order(chainrule.resident_training(setting, "cpu"))
    skipped: dict[str, str] = {}

    def make(name: str) -> Entrant:
        if name.startswith(OURS):
            resident = chainrule.resident_training(setting, "cuda", precision)
        else:
            resident = peer.resident_training(setting, way=WAYS[name], device="cuda", precision=precision)
        return Entrant(
            resident,
            workload.steps,
            expected,
            TOLERANCES[precision],
            shuffle=name != IN_ORDER,
            seconds=ledger.turn_seconds,
        )

    made: dict[str, Entrant] = made_ready([OURS, IN_ORDER, *(WAYS if peer else ())], skipped, make)
    result = contest({name: entrant.turn for name, entrant in made.items()}, ledger.plan)
    for name, entrant in made.items():
        engine = result["engines"][name]
        engine["agrees"] &= entrant.is_right()
        if entrant.gpu_us:
            engine["gpu_us"] = spread(entrant.gpu_us[1:])  # not the turn that warms up
    about = {"title": title, **workload._asdict(), "operations": workload.operations}
    about |= {"optimizer": optimizer, "precision": precision}
    turns = {"loss": expected[0], "epochs": {name: entrant.epochs for name, entrant in made.items()}}
    return {**about, **turns, **result, "best_peer": best_peer(result["engines"]), "skipped": skipped}


def in_order(resident: Resident) -> Sequence[float]:
    """Return the mean losses of two epochs from the start, of rows in order."""
    resident.reset()
    return resident.run(2, False).losses


class Entrant:
    """An engine that takes turns, each of as many epochs as fit into some seconds; made ready and checked."""

    def __init__(
        self,
        resident: Resident,
        steps: int,
        expected: Sequence[float],
        tolerance: float,
        *,
        shuffle: bool,
        seconds: float,
    ) -> None:
        self._resident, self._steps, self._shuffle = resident, steps, shuffle
        self._expected, self._tolerance = expected, tolerance
        self._right = self.is_right()
        one = resident.run(1, shuffle).seconds
        self.epochs = max(1, min(MOST_EPOCHS, math.ceil(seconds / one)))
        self.gpu_us: list[float] = []  # microseconds a step, turn by turn

    def is_right(self) -> bool:
        """Return whether it learns as expected, in order."""
        return agree(in_order(self._resident), self._expected, self._tolerance)

    def turn(self) -> Turn:
        """Start anew and train."""
        self._resident.reset()
        course = self._resident.run(self.epochs, self._shuffle)
        to_step = 1e6 / (self._steps * self.epochs)
        if course.gpu_seconds is not None:
            self.gpu_us.append(course.gpu_seconds * to_step)
        learned = len(course.losses) == self.epochs and bool(np.isfinite(course.losses).all())
        return Turn(course.seconds * to_step, self._right and learned)


def lines(result: Mapping[str, Any]) -> str:
    """Return the figures of a contest as text: microseconds a step, and how many times faster chainrule was."""
    notes = {
        name: f"{engine['gpu_us']['median']:,.2f} by the GPU's clock"
        for name, engine in result["engines"].items()
        if "gpu_us" in engine
    }
    notes[OURS] = f"{result['operations'] / result['engines'][OURS]['median'] / 1e6:.2f} TFLOP/s"
    widths = "-".join(map(str, result["widths"]))
    head = f"{result['title']}: {widths}, batch {result['batch_size']:,}; µs a step, and how many times chainrule's"
    return table_lines(head, result, notes)
