"""Options that descriptions of several kinds share: layers named by number, and how a description is written.

Numbers, flags and words are checked in `checks.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from . import checks

if TYPE_CHECKING:
    from .network import Network


def written(description: Any, common: Collection[str]) -> str:
    """Return what makes an equal description: its own options, then the `common` ones that are not None."""
    names = [one.name for one in fields(description)]
    shown = [name for name in names if name not in common]
    shown += [name for name in names if name in common and getattr(description, name) is not None]
    options = ", ".join(f"{name}={getattr(description, name)!r}" for name in shown)
    return f"{type(description).__name__}({options})"


def layer_numbers(argument: str, value: object) -> tuple[int, ...] | None:
    """Return numbers of layers in their order; None, for all layers, as it is."""
    if value is None:
        return None
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{argument} must be a list of layer numbers, such as [0, 2]; got {checks.shown(value)}")
    numbers = [checks.whole(f"{argument}[{i}]", one, least=0) for i, one in enumerate(value)]
    if not numbers or len(set(numbers)) < len(numbers):
        raise ValueError(f"{argument} must name at least one layer, and each once; got {checks.shown(value)}")
    return tuple(sorted(numbers))


def layer_factors(argument: str, value: object) -> tuple[tuple[int, float], ...] | None:
    """Return a mapping from layer numbers to factors above 0 as pairs in the order of the layers; None as it is."""
    if value is None:
        return None
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(pairs, (list, tuple)) or not all(isinstance(one, tuple) and len(one) == 2 for one in pairs):
        raise TypeError(f"{argument} must map layer numbers to factors, such as {{0: 0.1}}; got {checks.shown(value)}")
    layer_numbers(argument, [layer for layer, _ in pairs])
    return tuple(sorted((int(layer), checks.number(f"{argument}[{layer}]", one, above=0)) for layer, one in pairs))


def check_depth(argument: str, layers: Iterable[int], net: Network) -> None:
    """Raise ValueError where `net` has no layer of one of these numbers."""
    depth = len(net.layers)
    for layer in layers:
        if layer >= depth:
            raise ValueError(f"{argument} names layer {layer}; the network has the layers 0 to {depth - 1}")
