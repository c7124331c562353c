"""Small problems and networks that several test files train on. Nothing here is a test."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np

import chainrule as cr


def problem(rows=60, classes=3, columns=4, seed=0):
    """Return rows around class centres."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, size=rows)
    return rng.normal(size=(rows, columns)) + 2 * np.eye(classes, columns)[labels], labels


def network(dtype="float32", seed=0):
    layers = [cr.Dense(17, activation="relu"), cr.Dropout(rate=0.2), cr.Dense(9, activation="tanh"), cr.Dense(3)]
    return cr.Network(layers, inputs=4, seed=seed, dtype=dtype)


def trainer(net, **options):
    return cr.Trainer(net, **{"loss": "cross_entropy", "optimizer": cr.Adam(0.01), **options})


def bits(net):
    return {name: value.tobytes() for name, value in net.parameters().items()}


def run_script(*scripts, timeout=60):
    """Run scripts, one after the other, in a process of their own."""
    code = "".join(textwrap.dedent(script) for script in scripts)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout, check=False)
