"""How a network starts: made again from its seed, and compared. Nothing is trained here, and no network is changed."""

from __future__ import annotations

import numpy as np

from . import standardize
from .network import Network


def start_of(net: Network) -> Network:
    """Return a network on the CPU with the parameters that the seed of `net` makes, and which standardizes as `net`.

    The figures of a `Standardize` are no part of what is learned: they are measured before the first step.
    """
    start = Network.remade(net.layers, **{**net.options(), "device": "cpu", "precision": None})
    numbers = standardize.places(net.layers)
    if numbers:
        figures = {name: value for name, value in net.statistics().items() if int(name.partition(".")[0]) in numbers}
        start.load_state_dict({**start.state_dict(), **figures})
    return start


def is_at_start(net: Network) -> bool:
    """Return whether all parameters are those that the seed makes: nothing was learned, loaded, transferred or written.

    They are compared as float32, since a copy of another dtype starts with rounded ones. It costs what making the
    network costs.
    """
    start = start_of(net).parameters()
    with np.errstate(over="ignore"):
        return all(
            np.array_equal(value.astype(np.float32, copy=False), start[name].astype(np.float32, copy=False))
            for name, value in net.parameters().items()
        )
