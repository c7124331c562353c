"""Runs that write snapshots and are stopped after one: what the tests of snapshots share."""

from __future__ import annotations

import json

import pytest
from problems import problem

import chainrule as cr
from chainrule import snapshots

safetensors = pytest.importorskip("safetensors", reason="snapshots need safetensors")

X, LABELS = problem(rows=101)
FIT = {"epochs": 5, "batch_size": 16, "validation_split": 0.2}  # 80 rows, 5 steps


class StoppedError(Exception):
    """Ends a fit after a snapshot."""


def network_of(dtype="float32", device="cpu"):
    layers = [
        cr.Dense(12, activation="relu"),
        cr.BatchNorm(),
        cr.Dropout(rate=0.3),
        cr.DropConnect(6, rate=0.2),
        cr.GaussianNoise(std=0.1),
        cr.Dense(3),
    ]
    return cr.Network(layers, inputs=4, seed=2, dtype=dtype, device=device)


def trainer_of(net, **options):
    options = {"loss": "cross_entropy", "optimizer": cr.Adam(lr=0.01), "metrics": ["accuracy"], **options}
    return cr.Trainer(net, **options)


def snapshots_of(monkeypatch, learner, path, *, rows=(X, LABELS), stop_after=None, **options):
    """Fit until the given snapshot is written, the last one if None; return how many were."""
    write, count = snapshots.write, 0

    def stopping(*arguments):
        nonlocal count
        write(*arguments)
        count += 1
        if count == stop_after:
            raise StoppedError

    monkeypatch.setattr(snapshots, "write", stopping)
    try:
        learner.fit(*rows, snapshots=cr.Snapshots(path, **options.pop("often", {})), **options)
    except StoppedError:
        pass
    finally:
        monkeypatch.undo()
    return count


def spoilt(path, change):
    """Change the document of a snapshot, or its tensors."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(path, framework="numpy") as file:
        document = json.loads(file.metadata()[snapshots.KEY])
        tensors = {name: file.get_tensor(name).copy() for name in file.keys()}  # noqa: SIM118 - a file is no mapping
    change(document, tensors)
    save_file(tensors, path, metadata={snapshots.KEY: json.dumps(document)})
