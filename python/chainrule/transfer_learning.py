"""Transfer learning ([000]: "transfer learning, pretraining"): what one network has learned is another's start.

`transfer` copies layers, `with_head` puts new last layers on, `layerwise_lr` gives early layers smaller rates;
`Network.freeze` keeps layers as they are. Nothing is trained here, and nothing is cut to fit: an array is taken whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from . import checks, data, placement
from .complexity import weighted
from .layers import Dense, DropConnect, Layer
from .network import Network
from .network_options import checked_layers
from .topology import remade, seed_of_new

if TYPE_CHECKING:
    import numpy.typing as npt

    State: TypeAlias = Mapping[str, npt.NDArray[Any]]

Places: TypeAlias = "Sequence[int | str] | Mapping[int, int] | Mapping[str, str]"


@dataclass(frozen=True, repr=False)
class Transferred:
    """What `transfer` took, and what it did not.

    Attributes
    ----------
    taken : dict of str to str
        Names of the target's arrays, each with that of the source which it now equals: {"2.weight": "0.weight"}.
    not_taken : dict of str to str
        Names of the target's other arrays, each with the reason why it is as it was.
    layers : tuple of int
        The numbers of the target's layers of which every array was taken, in ascending order.
    """

    taken: dict[str, str]
    not_taken: dict[str, str]
    layers: tuple[int, ...]

    def __repr__(self) -> str:
        """Return a table, an array a line."""
        rows = {name: f"taken from {origin}" for name, origin in self.taken.items()}
        rows |= {name: f"not taken: {why}" for name, why in self.not_taken.items()}
        width = max(map(len, rows), default=0)
        lines = [f"{name:{width}}  {rows[name]}" for name in sorted(rows, key=number_of)]
        return "\n".join([*lines, f"{len(self.taken)} of {len(rows)} arrays taken"])


def transfer(source: Network, target: Network, layers: Places | None = None, *, freeze: bool = False) -> Transferred:
    """Copy what layers of `source` have learned into `target`, which goes on from there.

    Parameters and statistics are copied. An array fits if both layers are of one kind (`Dense` and `DropConnect` count
    as one), both arrays have the same shape, and no weight is other than 0 where the target connects nothing. The
    activations are not compared; precision and device may differ. The target's step counter stays, and so does what
    optimizers have gathered for it: make a new `Trainer` or optimizer afterwards.

    Parameters
    ----------
    source : Network
        Trained before, or `load(path)`; not changed.
    target : Network
        Changed in place.
    layers : sequence or mapping, optional
        What to copy: numbers of layers, `[0, 2]`; names of arrays, `["0.weight"]`; or a mapping from those of the
        source to those of the target, `{0: 1}`. All of it must fit. By default each layer of the target that fits the
        source's of the same number is taken, and the result says why others are not.
    freeze : bool, default False
        Whether the layers taken whole learn no more, as by `target.freeze`.

    Returns
    -------
    Transferred
        What was taken, and what not.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, what is named does not exist or fit, nothing at all fits, or a number of the
        source is not finite, or too great for the target's dtype. Then nothing has changed.

    Examples
    --------
    >>> transfer(pretrained, net, [0, 2], freeze=True)
    >>> Trainer(net, loss="cross_entropy").fit(X, y)
    >>> net.unfreeze()
    >>> Trainer(net, loss="cross_entropy", optimizer=Adam(1e-4, layer_lr=layerwise_lr(net, 0.3))).fit(X, y)
    """
    checks.network("source", source)
    checks.network("target", target)
    freeze = checks.flag("freeze", freeze)
    old, state = source.state_dict(), target.state_dict()
    data.check_finite(old, "transferred")
    wanted = {name: name for name in state} if layers is None else asked_for(source, target, old, state, layers)
    flaws = {here: misfit(source, target, old, state, there, here) for here, there in wanted.items()}
    if layers is None:
        broken = {number_of(here) for here, flaw in flaws.items() if flaw}
        taken = {here: there for here, there in wanted.items() if number_of(here) not in broken}
        not_taken = {here: flaws[here] or "its layer does not fit" for here in wanted if here not in taken}
        if not taken:
            why = "; ".join(f"{here!r}: {flaw}" for here, flaw in list(not_taken.items())[:2]) or "it has no parameters"
            raise ValueError(f"target must have a layer that fits one of source; {why}")
    else:
        for here, flaw in flaws.items():
            if flaw:
                raise ValueError(f"layers: {here!r} of target cannot be taken from {wanted[here]!r} of source: {flaw}")
        taken, not_taken = wanted, {name: "not asked for" for name in state if name not in wanted}
    target.load_state_dict({**state, **{here: old[there] for here, there in taken.items()}})
    whole = tuple(sorted({number_of(name) for name in taken} - {number_of(name) for name in not_taken}))
    if freeze and whole:  # freeze() without numbers would be all layers
        target.freeze(*whole)
    return Transferred(taken, not_taken, whole)


def asked_for(source: Network, target: Network, old: State, state: State, layers: object) -> dict[str, str]:
    """Return the names of the arrays that are meant, the target's to the source's; whether they fit is not asked."""
    if isinstance(layers, Mapping):
        pairs = list(layers.items())
    elif isinstance(layers, (list, tuple, range)):
        pairs = [(one, one) for one in layers]
    else:
        raise TypeError(
            "layers must be a list of layer numbers or names such as [0, '2.weight'], or a mapping from those of "
            f"source to those of target; got {checks.shown(layers)}"
        )
    found: list[tuple[str, str]] = []
    for begin, end in pairs:
        if isinstance(begin, str) and isinstance(end, str):
            found.append((end, begin))
            continue
        numbers = [
            checks.whole(f"layers of {argument}", one, least=0, most=len(net.layers) - 1)
            for argument, net, one in (("source", source, begin), ("target", target, end))
        ]
        first, last = (parts_of(one, number) for one, number in zip((old, state), numbers, strict=True))
        found += [(f"{numbers[1]}.{part}", f"{numbers[0]}.{part}") for part in {**last, **first}]
    wanted = dict(found)
    if not wanted or len(wanted) < len(found):
        raise ValueError(f"layers must name something that is learned, and nothing twice; got {checks.shown(layers)}")
    return wanted


def parts_of(state: State, number: int) -> dict[str, None]:
    """Return the names of a layer's arrays without its number, in their order."""
    return {name.partition(".")[2]: None for name in state if number_of(name) == number}


def misfit(source: Network, target: Network, old: State, state: State, there: str, here: str) -> str:
    """Say why the array `there` of the source cannot become the array `here` of the target; "" if it can."""
    for argument, arrays, name in (("source", old, there), ("target", state, here)):
        if name not in arrays:
            return f"{argument} has no {name!r}"
    before, after = source.layers[number_of(there)], target.layers[number_of(here)]
    part = here.partition(".")[2]
    if not of_one_kind(before, after) or there.partition(".")[2] != part:
        return f"{there!r} of {before.label()} is something else than {here!r} of {after.label()}"
    if old[there].shape != state[here].shape:
        return f"source has shape {old[there].shape}, target {state[here].shape}"
    flaw = after.flaw(part, old[there])
    return f"it {flaw}" if flaw else ""


def of_one_kind(first: Layer, second: Layer) -> bool:
    """Return whether arrays of the same name mean the same in both layers."""
    affine = (Dense, DropConnect)
    return type(first) is type(second) or (isinstance(first, affine) and isinstance(second, affine))


def number_of(name: str) -> int:
    """Return the number of the layer that an array belongs to; -1 where the name is none of an array."""
    number = name.partition(".")[0]
    return int(number) if number.isdecimal() else -1


# Heads ---------------------------------------------------------------------------------------------------------------


def with_head(
    net: Network,
    head: Layer | Sequence[Layer],
    *,
    keep: int | None = None,
    freeze: bool = False,
    seed: int | None = None,
) -> Network:
    """Return a network with the first layers of `net`, as they are, and new last ones: for another task.

    Parameters
    ----------
    net : Network
        Not changed.
    head : Layer or sequence of Layer
        The new last layers. They start as in a new network.
    keep : int, optional
        How many of the first layers stay, from 1. By default those before the last layer that has weights; that one
        goes, with what stands behind it.
    freeze : bool, default False
        Whether the layers that stay learn no more, until `unfreeze`. Otherwise those that were frozen stay so.
    seed : int, optional
        Key of what is drawn. None: the network's seed and steps decide, so that the draws of its start do not return.

    Returns
    -------
    Network
        A new one.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, the network has no layer to keep, or a parameter that is kept is not finite.

    Warns
    -----
    PlacementWarning
        As for a new network.

    Examples
    --------
    >>> net = with_head(load("letters.safetensors"), Dense(10), freeze=True)
    """
    checks.network("net", net)
    new = checked_layers([head] if isinstance(head, Layer) else head, "head")
    freeze = checks.flag("freeze", freeze)
    numbers = weighted(net)
    count = (numbers[-1] if numbers else 0) if keep is None else checks.whole("keep", keep, most=len(net.layers))
    if count == 0:
        raise ValueError("net must have a layer before the last one with weights, or keep= must say how many stay")
    layers = [*net.layers[:count], *new]
    kept = {name: value for name, value in net.state_dict().items() if number_of(name) < count}
    data.check_finite(kept, "given a head")
    started = Network.remade(layers, **{**net.options(), "seed": seed_of_new(net, seed)})
    frozen = range(count) if freeze else [number for number in net.frozen if number < count]
    made = remade(net, layers, {**started.state_dict(), **kept}, frozen)
    placement.warn(made.layers, stacklevel=2)
    return made


def layerwise_lr(net: Network, decay: float) -> dict[int, float]:
    """Return factors of the learning rate that fall towards the first layer, for an optimizer's `layer_lr`.

    The last layer with parameters has 1, the one before it `decay`, the one before that decay^2, and so on: early
    layers, which hold what both tasks have in common, move least (Howard and Ruder 2018, with 1 / 2.6).

    Parameters
    ----------
    net : Network
        Whose layers with weights count.
    decay : float
        Above 0 and at most 1.

    Returns
    -------
    dict of int to float
        By layer number; layers without parameters are not named.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit.
    """
    checks.network("net", net)
    factor = checks.number("decay", decay, above=0, most=1)
    numbers = sorted({number_of(name) for name in net.core.parameters()}, reverse=True)
    return {number: factor**steps for steps, number in enumerate(numbers)}
