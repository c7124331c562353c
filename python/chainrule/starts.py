"""How a network starts: made again from its seed. Nothing is trained here, and no network is changed."""

from __future__ import annotations

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
