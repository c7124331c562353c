"""What was measured on a GPU, kept: a file that is whole after each contest, and the time that a run may take.

A contest that fails, or for which no time is left, is told in the file and stops no other.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from chainrule import _engine
from chainrule.versions import installed

from .. import machine
from ..harness import Plan
from ..run import say, without_folders

PARTS = ("products", "training")  # each is a file here
FILE = "gpu"
REST_SECONDS = 0.01  # no engine leaves threads that spin, but the GPU may cool down a little
TURN_SECONDS = {"products": 0.02, "training": 0.1}


class Options(NamedTuple):
    """What a run was asked for."""

    parts: tuple[str, ...]
    results: Path | None  # None: printed only
    seconds: float
    rounds: int
    quick: bool


class Ledger:
    """The contests of a part, and what went wrong."""

    def __init__(self, part: str, options: Options) -> None:
        self.part, self.options = part, options
        self.plan = Plan(options.rounds, 0.0 if options.quick else REST_SECONDS)
        self.turn_seconds = 1e-3 if options.quick else TURN_SECONDS[part]
        self._end = time.monotonic() + options.seconds
        self._longest = 0.0
        self._settings = {"dtype": "float32", "rounds": options.rounds, "quick": options.quick}
        self._machine = description()
        self._stored: dict[str, Any] = {"skipped": {}, "failed": {}, "contests": []}

    def skip(self, name: str, why: str) -> None:
        """Say why an engine or a contest is left out."""
        say(why)
        self._stored["skipped"][name] = why

    def add(self, title: str, measure: Callable[[], dict[str, Any]], line: Callable[[dict[str, Any]], str]) -> None:
        """Measure a contest, print its `line` and store it."""
        begin = time.monotonic()
        if begin + self._longest > self._end:
            return self.skip(title, f"{title} is left out: no time was left")
        try:
            result = measure()
            text = line(result)
        except Exception as error:  # the GPU's, PyTorch's or ours: the others go on
            traceback.print_exc()
            first_line = (str(error).strip().splitlines() or [""])[0]
            self._stored["failed"][title] = f"{title} failed: {type(error).__name__}: {without_folders(first_line)}"
            text = self._stored["failed"][title]
        else:
            self._stored["contests"].append(result)
        self._longest = max(self._longest, time.monotonic() - begin)
        say(text)
        self.store()

    def store(self) -> None:
        """Write all that is known, beside the other part if that was measured on this machine with these settings."""
        folder = self.options.results
        if folder is None:
            return
        whole = {"machine": self._machine, "settings": self._settings}
        file = folder / f"{FILE}.json"
        before = json.loads(file.read_text()) if file.exists() else {}
        same = all(before.get(key) == json.loads(json.dumps(value)) for key, value in whole.items())
        others = {part: before[part] for part in PARTS if same and part in before}
        machine.store(folder, FILE, {**whole, **others, self.part: self._stored})

    def finish(self) -> int:
        """Store, say what failed, and return how many contests did, those counted whose results are wrong."""
        self.store()
        wrong = [one["title"] for one in self._stored["contests"] if not one["engines"]["chainrule"]["agrees"]]
        for why in (*self._stored["failed"].values(), *(f"{title}: chainrule's results differ" for title in wrong)):
            say(why)
        if self.options.results is None:
            say("not stored: name a folder with --results")
        return len(self._stored["failed"]) + len(wrong)


def description() -> dict[str, Any]:
    """Describe the machine, its GPU, and what was built."""
    about: Mapping[str, Any] = _engine.cuda_about() or {}
    gpu = {key: list(value) if isinstance(value, tuple) else value for key, value in about.items() if key != "free"}
    return {**machine.description(), "gpu": gpu, "triton": installed("triton"), "commit": commit()}


def commit() -> str:
    """Return the commit that was built: what the environment says, else git, else "unknown"."""
    named = os.environ.get("CHAINRULE_COMMIT", "")
    if named:
        return named
    try:
        words = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
