"""Snapshots of a running fit, in files: all that it takes to go on, after a crash too, as if nothing had happened.

    state of the run  weights, statistics, the optimizer's state and counts, now and at the ends of the last two epochs
    place             the epoch, and within it the step and what its steps added up
    history           every figure of the epochs done
    callbacks         what each of them has found so far

A snapshot is a safetensors file whose metadata hold a JSON document; nothing in it is ever executed, and it is believed
only after all of it has been checked. The data are not in it, only their fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import checks, sparse, storage
from ._engine import build_info
from .fit_options import FitOptions
from .history import History

if TYPE_CHECKING:
    from ._engine import RunContent
    from ._engine.float32 import RunState
    from .callbacks import Callback
    from .data import Rows
    from .divergence import LastGood
    from .trainer import Trainer

FORMAT = 1
KEY = "chainrule_snapshot"
# Fields of the document and their types.
FIELDS: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "version": str,
    "trainer": dict,
    "data": str,
    "options": dict,
    "snapshots": dict,
    "first_epoch": int,
    "epochs_done": int,
    "steps": int,
    "totals": list,
    "seconds": float,
    "frozen": list,
    "stop": (str, type(None)),
    "history": dict,
    "states": list,
    "callbacks": list,
}
STATES = ("now", "good", "before")
# The key that stands for an array of the file in the document.
TENSOR = "__tensor__"


@dataclass(frozen=True)
class Snapshots:
    """Where and how often a fit writes down all that it takes to go on; `Trainer.resume` goes on from there.

    The file is there whole or not at all, and always the last one: it takes the place of the one before. It holds up
    to ten times the weights: those of now and of two epochs' ends, each with the optimizer's state, and what early
    stopping keeps.

    Parameters
    ----------
    path : str or path-like
        Where to. The folder must be there.
    every_epochs : int, default 1
        Epochs from one snapshot to the next; after the last epoch there is always one.
    every_steps : int, optional
        Also within an epoch, after every so many steps of it; for epochs that last.

    Examples
    --------
    >>> trainer.fit(X, y, epochs=100, snapshots=cr.Snapshots("run.snapshot", every_steps=10_000))
    """

    path: str | os.PathLike[str]
    _: KW_ONLY
    every_epochs: int = 1
    every_steps: int | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        storage.checked_path(self.path)
        checks.whole("every_epochs", self.every_epochs)
        if self.every_steps is not None:
            checks.whole("every_steps", self.every_steps)

    def writer(self, trainer: Trainer, options: FitOptions, training: Rows, validation: Rows | None) -> Writer:
        """Return what writes the snapshots of a fit."""
        return Writer(self, trainer, options, fingerprint(training, validation))


def resolve(value: object) -> Snapshots | None:
    """Return the argument `snapshots` of a fit, and check that the first one could be written."""
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike, Snapshots)):
        raise TypeError(f"snapshots must be a path or a Snapshots object; got {checks.shown(value)}")
    found = value if isinstance(value, Snapshots) else Snapshots(value)
    storage.needs_safetensors("snapshots")
    storage.check_folder("snapshots", storage.checked_path(found.path))
    return found


# Writing -------------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """How far a fit has come: epochs done in all fits, and of the next one some steps and what they added up."""

    epochs_done: int
    steps: int
    totals: Sequence[float]
    seconds: float


def write(
    where: Snapshots,
    head: Mapping[str, Any],
    trainer: Trainer,
    place: Place,
    states: Sequence[RunContent | None],
    called: Sequence[Callback],
) -> None:
    """Write a snapshot; `head` is what stays the same over a fit, `states` are those of `STATES`."""
    tensors: dict[str, Any] = {}
    history = trainer.history
    document = {
        **head,
        "first_epoch": history.first_epoch,
        "epochs_done": place.epochs_done,
        "steps": place.steps,
        "totals": list(place.totals),
        "seconds": place.seconds,
        "frozen": list(trainer.net.frozen),
        "stop": trainer.asked_to_stop,
        "history": history.state_dict(),
        "states": [packed(state, name, tensors) for name, state in zip(STATES, states, strict=True)],
        "callbacks": [
            {"kind": type(one).__name__, "state": packed(one.state_dict(), f"callback{i}", tensors)}
            for i, one in enumerate(called)
        ],
    }
    safetensors = storage.needs_safetensors("snapshots")
    content = safetensors.numpy.save(tensors, metadata={KEY: json.dumps(document)})
    target = storage.checked_path(where.path)
    storage.write_whole(target, content, f"{target}.part")


class Writer:
    """What writes the snapshots of a fit, which has the options and the fingerprint `rows` of its data."""

    def __init__(self, where: Snapshots, trainer: Trainer, options: FitOptions, rows: str) -> None:
        self.where, self.rows = where, rows
        self._trainer = trainer
        self._head = head_of(trainer, where, options, rows)
        self.state: RunState = trainer.net.engine.RunState(trainer.net.core, trainer.core_optimizer)

    def write(self, place: tuple[int, int, Sequence[float], float], good: LastGood, called: Sequence[Callback]) -> None:
        """Write what is now, at a `Place`, what the fit would go back to, and what the callbacks know."""
        self.state.keep()
        states = (self.state.content(), *good.contents())
        write(self.where, self._head, self._trainer, Place(*place), states, called)


def head_of(trainer: Trainer, where: Snapshots, options: FitOptions, data: str) -> dict[str, Any]:
    """Return what all snapshots of a fit begin with."""
    return {
        "format": FORMAT,
        "version": build_info()["version"],
        "trainer": description(trainer),
        "data": data,
        "options": options.plain(),
        "snapshots": {"every_epochs": where.every_epochs, "every_steps": where.every_steps},
    }


def description(trainer: Trainer) -> dict[str, Any]:
    """Return what a trainer was made with as JSON gives it back; functions only by their being there."""
    net = storage.description(trainer.net)
    described = {
        "network": {name: net[name] for name in ("inputs", "dtype", "seed", "frozen", "layers")},
        "loss": storage.plain(trainer.loss),
        "optimizer": storage.plain(trainer.optimizer),
        "penalty": [storage.plain(one) for one in trainer.penalty],
        "metrics": list(trainer.metrics),
        "seed": trainer.seed,
    }
    result: dict[str, Any] = json.loads(json.dumps(described, default=lambda _: "a function"))
    return result


def fingerprint(training: Rows, validation: Rows | None) -> str:
    """Return a hash of all rows, their weights and their dtypes."""
    digest = hashlib.blake2b(digest_size=16)
    for there in (array for part in (*training, *(validation or ())) for array in sparse.arrays_of(part)):
        digest.update(f"{None if there is None else (there.shape, there.dtype.str)}".encode())
        if there is not None:
            digest.update(np.ascontiguousarray(there).data.cast("B") if there.size else b"")
    return digest.hexdigest()


def packed(value: Any, name: str, tensors: dict[str, Any]) -> Any:
    """Return `value` as JSON's values, its arrays put into `tensors` under names that begin with `name`."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
        while name in tensors:  # keys with dots in them
            name += "'"
        # safetensors writes memory as it lies. (np.ascontiguousarray would make a number a row.)
        tensors[name] = value if value.flags.c_contiguous else value.copy(order="C")
        return {TENSOR: name}
    if isinstance(value, Mapping):
        if TENSOR in value:
            raise ValueError(f"{TENSOR!r} stands for arrays in a snapshot; {name} uses it as a name")
        return {str(key): packed(one, f"{name}.{key}", tensors) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [packed(one, f"{name}.{i}", tensors) for i, one in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"a snapshot holds numbers, strings, lists, dicts and arrays of numbers; {name} is {checks.shown(value)}"
    )


# Reading -------------------------------------------------------------------------------------------------------------


class Snapshot(NamedTuple):
    """A snapshot that was read, each part of the right kind; whether it suits a trainer is checked by `check_for`."""

    document: dict[str, Any]
    where: Snapshots
    options: FitOptions

    @property
    def place(self) -> Place:
        """How far the fit had come."""
        return Place(*(self.document[name] for name in Place._fields))

    def check_for(self, trainer: Trainer, called: Sequence[Callback]) -> None:
        """Raise ValueError where the trainer or the callbacks are others than those that the snapshot was made with."""
        here, there = description(trainer), self.document["trainer"]
        for part, value in here.items():
            if there.get(part) != value:
                raise self._error(f"it is of a trainer with another {part}: {checks.shown(there.get(part))}")
        kinds = [one["kind"] for one in self.document["callbacks"]]
        if kinds != [type(one).__name__ for one in called]:
            raise self._error(f"its fit had the callbacks {', '.join(kinds) or 'none'}: give the same, in that order")

    def check_data(self, found: str) -> None:
        """Raise ValueError where the rows are others."""
        if self.document["data"] != found:
            raise self._error("its fit was of other data: X, y, sample_weight and validation_data must be the same")

    def history(self, names: Sequence[str]) -> History:
        """Return the history so far."""
        history = History(names, self.document["first_epoch"])
        try:
            history.load_state_dict(self.document["history"])
        except (ValueError, TypeError, KeyError) as error:
            raise self._error(f"its history cannot be read: {error}") from None
        if history.epochs != self.place.epochs_done + 1 - history.first_epoch:
            raise self._error("its history and its count of epochs differ")
        return history

    @contextmanager
    def believed(self) -> Iterator[None]:
        """Within this, errors of what takes the parts of the snapshot become a ValueError that names the file."""
        try:
            yield
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise self._error(f"it cannot be gone on from: {type(error).__name__}: {error}") from error

    def _error(self, what: str) -> ValueError:
        return ValueError(f"snapshot {os.fspath(self.where.path)!r}: {what}")


def read(path: str | os.PathLike[str]) -> Snapshot:
    """Return the snapshot in a file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a whole and sound snapshot.
    ImportError
        If the package safetensors is missing.
    """
    target = storage.checked_path(path)
    with storage.opened(target, "Trainer.resume", "a snapshot") as file:
        text = (file.metadata() or {}).get(KEY)
        if text is None:
            raise storage.HostileError(f"its metadata has no {KEY!r}")
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise storage.HostileError(f"its metadata is not JSON: {type(error).__name__}") from None
        _check_document(document)
        for part in ("states", "callbacks"):
            document[part] = _unpacked(document[part], file, 0)
        # Moments of an optimizer may have overflowed: the fit goes on with them as it would have done.
        for name, state in zip(STATES, document["states"], strict=True):
            arena = state.get("arena") if isinstance(state, dict) else None
            if isinstance(arena, np.ndarray) and not np.isfinite(arena).all():
                raise storage.HostileError(f"the parameters of the state {name!r} have NaN or infinity")
        try:
            where = Snapshots(target, **document["snapshots"])
            options = FitOptions.from_plain(document["options"])
        except (TypeError, ValueError) as error:
            raise storage.HostileError(str(error)) from None
    return Snapshot(document, where, options)


def _check_document(document: object) -> None:
    if not isinstance(document, dict) or sorted(document) != sorted(FIELDS):
        raise storage.HostileError(f"its metadata must have the fields {', '.join(FIELDS)}")
    for name, kind in FIELDS.items():
        if not isinstance(document[name], kind) or isinstance(document[name], bool):
            raise storage.HostileError(f"{name} has a wrong type; got {checks.shown(document[name])}")
    if document["format"] != FORMAT:
        raise storage.HostileError(f"its format is {document['format']}; this chainrule reads format {FORMAT}")
    for name, least in (("first_epoch", 1), ("epochs_done", 0), ("steps", 0)):
        if not least <= document[name] <= checks.MOST:
            raise storage.HostileError(f"{name} is {document[name]}")
    if not all(isinstance(total, float) for total in document["totals"]):
        raise storage.HostileError("totals must be numbers")
    if len(document["states"]) != len(STATES):
        raise storage.HostileError(f"there must be {len(STATES)} states")
    for one in document["callbacks"]:
        if not isinstance(one, dict) or sorted(one) != ["kind", "state"] or not isinstance(one["kind"], str):
            raise storage.HostileError(f"a callback must be a kind with a state; got {checks.shown(one)}")


def _unpacked(value: Any, file: Any, depth: int) -> Any:
    """Return what `packed` was given, with its arrays from the file."""
    if depth > 32:  # deeper than any callback's state, and far from Python's own limit
        raise storage.HostileError("its document is nested too deeply")
    if isinstance(value, dict):
        if TENSOR in value:
            if value[TENSOR] not in file.keys():  # noqa: SIM118 - a file is no mapping
                raise storage.HostileError(f"the tensor {checks.shown(value[TENSOR])} is missing")
            return file.get_tensor(value[TENSOR])
        return {key: _unpacked(one, file, depth + 1) for key, one in value.items()}
    if isinstance(value, list):
        return [_unpacked(one, file, depth + 1) for one in value]
    return value
