"""Small problems and networks that several test files train on. Nothing here is a test."""

from __future__ import annotations

import dataclasses
import itertools
import re
import subprocess
import sys
import textwrap

import numpy as np

import chainrule as cr
from chainrule.registry import required_options

# What a discovered class gets for an option that has no default. Where one of several must be given, the first that is
# here.
OPTIONS = {
    "units": 5,
    "kind": "tanh",
    "rate": 0.3,
    "std": 0.4,
    "limit": 0.3,
    "value": 0.2,
    "strength": 0.1,
    "l1": 0.05,
    "l2": 0.1,
    "p": 3.0,
    "lr": 0.1,
    "decay": 0.5,
    "drop": 0.5,
    "every": 2,
    "k": 0.1,
    "epochs": 4,
    "patience": 3,
}

# Figures of a history that depend on the clock.
CLOCKED = {"samples_per_second", "seconds"}


# A few rows, for what is right or wrong whatever is learned.
ROWS, INPUTS, CLASSES = 12, 4, 3
X = np.random.default_rng(0).normal(size=(ROWS, INPUTS))
LABELS = np.arange(ROWS) % CLASSES
NUMBERS = np.random.default_rng(1).normal(size=(ROWS, CLASSES))


def classifier(**options):
    return cr.Network([cr.Dense(5, activation="relu"), cr.Dense(CLASSES)], **{"inputs": INPUTS, **options})


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


def softmax(z):
    """Return softmax of each row."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def smooth_classifier(dtype="float64", **options):
    """Return a small smooth network of 4 inputs and 3 classes."""
    return cr.Network([cr.Dense(5, activation="tanh"), cr.Dense(3)], inputs=4, seed=1, dtype=dtype, **options)


def rows(count, columns=4, seed=0):
    """Return random rows."""
    return np.random.default_rng(seed).normal(size=(count, columns))


def run_script(*scripts, timeout=60):
    """Run scripts, one after the other, in a process of their own."""
    code = "".join(textwrap.dedent(script) for script in scripts)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout, check=False)


def subclasses(base):
    """Return the classes derived from a description, however far, so that tests need not list them."""
    for name in cr.__all__:  # what is public is imported when it is first asked for
        getattr(cr, name)
    found, left = set(), [base]
    while left:
        derived = left.pop().__subclasses__()
        # Classes that tests derive are no part of the package. What is made of somebody's own functions has tests of
        # its own (test_custom.py): no option can be made up for it.
        own = (cr.CustomActivation, cr.CustomLayer, cr.CustomLoss)
        found |= {kind for kind in derived if kind.__module__.startswith("chainrule.") and kind not in own}
        left += derived
    return sorted(found, key=lambda kind: kind.__name__)


def built(kind, **more):
    """Return a description with the options that it cannot do without, and `more`."""
    options = {name: OPTIONS[name] for name in required_options(kind)} | more
    try:
        return kind(**options)
    except ValueError as error:
        # One of several options must be given, each of which is None by default: "rate" or "keep_prob".
        optional = [field.name for field in dataclasses.fields(kind) if field.default is None]
        choice = next((name for name in optional if name in OPTIONS and name not in options), None)
        if choice is None or "exactly one of" not in str(error):
            raise
        return kind(**options, **{choice: OPTIONS[choice]})


def measured(net, X):
    """Return the network with figures of the rows, where it has a layer that needs them."""
    if any(isinstance(layer, cr.Standardize) for layer in net.layers):
        net.adapt(X)
    return net


def words(kind, option):
    """Return the words that an option knows: the error about a wrong one lists them."""
    try:
        built(kind, **{option: "?"})
    except ValueError as error:
        return re.findall(r"'([^']+)'", str(error).split("known are")[1])
    raise AssertionError(f"{kind.__name__}({option}='?') was accepted")


def variants(kind, **numbers):
    """Yield a description in every setting of its flags and words; its numbers from `numbers`, else the defaults.

    Options that are None or a tuple unless they are given stay as they are.
    """
    choices = {}
    for field in dataclasses.fields(kind):
        if isinstance(field.default, bool):
            choices[field.name] = [False, True]
        elif isinstance(field.default, str):
            choices[field.name] = words(kind, field.name)
        elif field.name in numbers:
            choices[field.name] = [numbers[field.name]]
    for values in itertools.product(*choices.values()):
        yield built(kind, **dict(zip(choices, values, strict=True)))
