"""How a network starts: made again from its seed, and told from one that has changed since.

Nothing is trained here, and no network is changed.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from . import standardize

if TYPE_CHECKING:
    from .network import Network

# Of a larger array so many numbers are looked at, evenly spread: a step changes nearly all, and every fit asks.
LOOKED_AT = 1024


def start_of(net: Network) -> Network:
    """Return a network on the CPU with the parameters that the seed of `net` makes, and which standardizes as `net`.

    The figures of a `Standardize` are no part of what is learned: they are measured before the first step.
    """
    start = type(net).remade(net.layers, **{**net.options(), "device": "cpu", "precision": None})
    numbers = standardize.places(net.layers)
    if numbers:
        figures = {name: value for name, value in net.statistics().items() if int(name.partition(".")[0]) in numbers}
        start.load_state_dict({**start.state_dict(), **figures})
    return start


def mark(net: Network) -> int:
    """Return a number that changes when parameters do.

    Of their numbers as float32: a copy of another dtype has the rounded ones of the network it was made of.
    """
    found = 0
    with np.errstate(over="ignore"):
        for value in net.parameters().values():
            flat = value.reshape(-1)
            found = zlib.crc32(flat[:: -(-flat.size // LOOKED_AT)].astype(np.float32).data, found)
    return found


def is_at_start(net: Network) -> bool:
    """Return whether the parameters are those that the seed makes: nothing was learned, loaded, transferred or written.

    Of an array of more than 1,024 numbers, a few that were written by hand may go unnoticed.
    """
    return mark(net) == net.start_mark
