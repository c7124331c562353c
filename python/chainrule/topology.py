"""Networks of another shape: weights removed, units added or removed, networks tried from small to large.

Lecture [004]: "manually or automatically select optimum number of hidden nodes and connections"; [000]: "start
smallish, keep adding layers and nodes until you overfit too much". Every function returns a new network and leaves the
one that it got alone. None trains while it changes a shape: train what comes out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, data, losses, training_rows
from .activations import Softmax
from .complexity import next_weighted, table, unit_strengths
from .layers import Dense, Layer, Standardize
from .network import Network, rebuild
from .trainer import Trainer
from .trials import Rows, given_rows, taken

if TYPE_CHECKING:
    import numpy.typing as npt

    from .callbacks import Callback
    from .losses import Loss
    from .optimizers import Optimizer
    from .penalties import Penalty

    Array = npt.NDArray[Any]
    Mask = npt.NDArray[np.bool_]


# Connections ---------------------------------------------------------------------------------------------------------


def pruned(
    net: Network,
    *,
    share: float | None = None,
    threshold: float | None = None,
    layers: Sequence[int] | None = None,
    per_layer: bool = False,
) -> Network:
    """Return a network without the weights of least magnitude: they are 0 and, by `Dense(connections=)`, stay 0.

    The rest is as it was, so that the function differs by what the removed weights gave; train it further to make up
    for that. "When overfitting observed: ... prune or regularize the weights" ([004]); by magnitude as Han et al. 2015,
    who prune and train in turns.

    Parameters
    ----------
    net : Network
        Not changed.
    share, threshold : float
        One of the two. `share`, at least 0 and below 1: what part of the weights that are still connected goes, the
        smallest |w| first, round(share * count) of them. `threshold`, at least 0: those with |w| <= threshold go; 0
        removes what proximal L1 has set to exactly 0.
    layers : sequence of int, optional
        Numbers of the Dense layers to prune; None: all Dense layers.
    per_layer : bool, default False
        Whether each layer loses the same share, or the smallest of all of them together go, wherever they are. Layers
        of a smaller scale then lose more.

    Returns
    -------
    Network
        A new one.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, a layer is not a Dense one, or a parameter is not finite.
    """
    checks.network("net", net)
    per_layer = checks.flag("per_layer", per_layer)
    if (share is None) == (threshold is None):
        came = f"share={checks.shown(share)}, threshold={checks.shown(threshold)}"
        raise ValueError(f"give exactly one of share= and threshold=; got {came}")
    numbers = dense_layers(net, layers)
    data.check_finite(net.core.parameters(), "pruned")
    state, masks = net.state_dict(), {number: connected(net, number) for number in numbers}
    sizes = {number: np.abs(state[f"{number}.weight"]) for number in numbers}
    if threshold is not None:
        limit = checks.number("threshold", threshold, least=0)
        # In double precision, which holds every limit and every weight.
        kept = {number: masks[number] & (sizes[number].astype(np.float64) > limit) for number in numbers}
    else:
        part = checks.number("share", share, least=0, below=1)
        groups = [[number] for number in numbers] if per_layer else [numbers]
        kept = {number: mask for group in groups for number, mask in without_least(sizes, masks, group, part).items()}
    changed = list(net.layers)
    for number in numbers:
        state[f"{number}.weight"][~kept[number]] = 0
        changed[number] = with_connections(net.layers[number], kept[number])
    return remade(net, changed, state)


def dense_layers(net: Network, layers: Sequence[int] | None) -> list[int]:
    """Return the numbers of the Dense layers that are meant, each once."""
    known = [number for number, layer in enumerate(net.layers) if isinstance(layer, Dense)]
    if layers is None:
        numbers = known
    elif isinstance(layers, (list, tuple)):
        numbers = sorted({checked_dense(net, "layers", number) for number in layers})
    else:
        raise TypeError(f"layers must be a list of numbers of Dense layers; got {checks.shown(layers)}")
    if not numbers:
        raise ValueError(f"layers must name a Dense layer; Dense layers of this network are {known}")
    return numbers


def checked_dense(net: Network, argument: str, number: object) -> int:
    """Return the number of a Dense layer."""
    found = checks.whole(argument, number, least=0, most=len(net.layers) - 1)
    if not isinstance(net.layers[found], Dense):
        raise ValueError(f"{argument} must name Dense layers; layers[{found}] is {net.layers[found]!r}")
    return found


def connected(net: Network, number: int) -> Mask:
    """Return which weights of a layer are connected, (inputs, units)."""
    mask = net.layers[number].is_connected("weight")
    return np.ones(net.core.parameters()[f"{number}.weight"].shape, dtype=bool) if mask is None else mask


def without_least(sizes: dict[int, Array], masks: dict[int, Mask], numbers: list[int], share: float) -> dict[int, Mask]:
    """Return the masks of some layers after a share of their connected weights has gone, the least first."""
    flat_sizes = np.concatenate([sizes[number].reshape(-1) for number in numbers])
    flat_masks = np.concatenate([masks[number].reshape(-1) for number in numbers])
    places = np.flatnonzero(flat_masks)
    order = np.argsort(flat_sizes[places], kind="stable")
    flat_masks[places[order[: round(share * len(places))]]] = False
    ends = np.cumsum([masks[number].size for number in numbers])[:-1]
    parts = np.split(flat_masks, ends)
    return {number: part.reshape(masks[number].shape) for number, part in zip(numbers, parts, strict=True)}


def with_connections(layer: Layer, mask: Mask) -> Layer:
    """Return a Dense layer of the shape of `mask` (inputs, units), fully connected where the mask is full."""
    assert isinstance(layer, Dense)
    return dataclasses.replace(layer, units=mask.shape[1], connections=None if mask.all() else mask)


def remade(
    net: Network, layers: Sequence[Layer], state: Mapping[str, Array], frozen: Sequence[int] | None = None
) -> Network:
    """Return a network like `net` with other layers and another state; its layers are frozen as there, or `frozen`."""
    kept = net.frozen if frozen is None else frozen
    return rebuild(tuple(layers), net.options(), state, net.core.steps, net.training, kept)


# Units ---------------------------------------------------------------------------------------------------------------


def with_units(net: Network, layer: int, units: int, *, seed: int | None = None) -> Network:
    """Return a network whose hidden Dense layer `layer` has `units` units, more or fewer than now ([004]).

    More: the new ones stand last. Their incoming weights and biases are drawn as the layer's initializers say, their
    outgoing weights are 0, so that the network computes what it did (but for rounding) until they are trained. Both
    are fully connected. Fewer: those go whose incoming norm times outgoing norm is least, the rest keeps its order; the
    function changes by what they gave. A `BatchNorm` in between undoes the size of incoming weights, so that then the
    outgoing norm times gamma decides; new units start in it with gamma 1, beta 0, mean 0 and variance 1.

    Parameters
    ----------
    net : Network
        Not changed.
    layer : int
        Number of a Dense layer that another layer with weights follows.
    units : int
        How many it shall have.
    seed : int, optional
        Key of what is drawn. None: the network's seed and steps decide, so that the draws of its start do not return.

    Returns
    -------
    Network
        A new one.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit; the layer is not a Dense one, or the last with weights; a softmax between it and
        the next, which shares a sum of 1 among its units, would change with their number; there are to be more and a
        `Standardize` stands there; or a parameter is not finite.
    """
    checks.network("net", net)
    number = checked_dense(net, "layer", layer)
    units = checks.whole("units", units)
    drawn = seed_of_new(net, seed)
    following = next_weighted(net, number)
    if following is None:
        raise ValueError(f"layer must be a hidden one; the units of layers[{number}] are the network's outputs")
    if any(isinstance(one.activation_function(), Softmax) for one in net.layers[number:following]):
        raise ValueError(f"layer must have no softmax behind it, which ties its units; layers[{number}] has one")
    between = next((n for n in range(number, following) if isinstance(net.layers[n], Standardize)), None)
    if between is not None and units > net.layers[number].outputs(1):
        raise ValueError(
            f"units must not be more than now where a layer that was measured follows; layers[{between}], a "
            "Standardize, knows no mean and scale of new units"
        )
    data.check_finite(net.core.parameters(), "reshaped")

    kept = strongest(net, number, units)
    old, layers = net.state_dict(), list(net.layers)
    layers[number] = with_connections(layers[number], resized(connected(net, number)[:, kept], 1, units))
    if isinstance(layers[following], Dense):
        layers[following] = with_connections(layers[following], resized(connected(net, following)[kept], 0, units))
    # Where there is something new, it is as in a network that starts.
    state = Network.remade(layers, **{**net.options(), "seed": drawn}).state_dict()
    for name, value in state.items():
        place = int(name.split(".")[0])
        if name == f"{following}.weight":
            value[: len(kept)], value[len(kept) :] = old[name][kept], 0
        elif number <= place < following:
            value[..., : len(kept)] = old[name][..., kept]
        else:
            value[...] = old[name]
    return remade(net, layers, state)


def seed_of_new(net: Network, seed: object) -> int:
    """Return the key of what is drawn for a changed network: `seed`, or one that no draw of its start has used."""
    return (net.seed + net.core.steps + 1) % 2**64 if seed is None else checks.seed("seed", seed)


def strongest(net: Network, number: int, units: int) -> npt.NDArray[np.intp]:
    """Return which units of a layer stay where there are to be so many, in ascending order."""
    incoming, outgoing = unit_strengths(net, number)
    assert outgoing is not None
    gone = max(len(incoming) - units, 0)
    return np.sort(np.argsort(incoming * outgoing, kind="stable")[gone:])


def resized(mask: Mask, axis: int, units: int) -> Mask:
    """Return connections with as many units along an axis, the new ones connected to all."""
    width = [(0, 0), (0, 0)]
    width[axis] = (0, units - mask.shape[axis])
    return np.pad(mask, width, constant_values=True)


# Growing -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GrowthStep:
    """One network that was tried.

    Attributes
    ----------
    size : object
        What `make_network` got.
    parameters : int
        How many numbers it learned.
    loss, val_loss : float
        Of both parts, measured after its training, in evaluation mode.
    """

    size: Any
    parameters: int
    loss: float
    val_loss: float


@dataclass(frozen=True, repr=False)
class Growth:
    """What `grow` tried and chose.

    Attributes
    ----------
    steps : tuple of GrowthStep
        In the order in which they were tried.
    net : Network
        The trained network of the least `val_loss`, the smaller one where `min_delta` makes them equal.
    size : object
        Its size.
    stop_reason : str
        Why no larger one was tried.
    """

    steps: tuple[GrowthStep, ...]
    net: Network
    size: Any
    stop_reason: str

    def __repr__(self) -> str:
        """Return a table, a network a line."""
        rows = [
            (str(one.size), f"{one.parameters:,}", f"{one.loss:.4g}", f"{one.val_loss:.4g}", mark)
            for one, mark in ((one, "chosen" if one.size == self.size else "") for one in self.steps)
        ]
        return "\n".join([*table(("size", "parameters", "loss", "val_loss", ""), rows), self.stop_reason])


def grow(
    make_network: Callable[[Any], Network],
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    sizes: Sequence[Any],
    loss: str | Loss,
    optimizer: str | Optimizer = "adam",
    penalty: Penalty | Sequence[Penalty] | None = None,
    epochs: int = 10,
    batch_size: int = 32,
    validation_split: float = 0.2,
    sample_weight: npt.ArrayLike | None = None,
    class_weight: str | Mapping[int, float] | None = None,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    patience: int = 1,
    min_delta: float = 0.0,
) -> Growth:
    """Train networks of growing size until they overfit, and choose the one that did best on the validation part.

    Lecture [000]: "start smallish, keep adding layers and nodes until you overfit too much". Each network starts anew,
    is trained and then measured. One overfits if its training loss is below all before it while its validation loss
    is not; where neither is, the larger network was merely trained worse, and the search goes on. All see the same
    validation part, which has then chosen among them: how good the choice is, only a test set says.

    Parameters
    ----------
    make_network : callable
        Makes a network from a size: `lambda units: Network([Dense(units, activation="tanh"), Dense(1)], inputs=4)`.
    X, y : array
        As in `Trainer.fit`.
    sizes : sequence
        From small to large, no two alike; anything that `make_network` takes, such as (16, 16) for two layers.
    loss, optimizer, penalty : as for `Trainer`
        For each network.
    epochs, batch_size, sample_weight, class_weight, callbacks : as for `Trainer.fit`
        For each network. With `EarlyStopping` the best epoch of each is measured, which
        hides some of the overfitting. What is measured counts rows by `sample_weight`, not by `class_weight`.
    validation_split : float, default 0.2
        Share of the rows to choose by, above 0 and below 1; of classes the same share each.
    seed : int, default 0
        Key of the validation part and of the shuffles.
    patience : int, default 1
        How many networks that overfit end the search, counted since the validation loss last improved.
    min_delta : float, default 0.0
        A validation loss that is better by less is no improvement: "the simplest model which explains the majority of
        the data is usually the best" ([004]). At least 0.

    Returns
    -------
    Growth
        The chosen network, its size, and all that were tried.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit.
    """
    known = checked_sizes(make_network, sizes)
    patience = checks.whole("patience", patience)
    min_delta = checks.number("min_delta", min_delta, least=0)
    share = checks.number("validation_split", validation_split, above=0, below=1)
    seed = checks.seed("seed", seed)
    loss = losses.resolve("loss", loss)

    steps: list[GrowthStep] = []
    chosen: tuple[Network, Any] | None = None
    least_loss, least_val_loss, overfitted = math.inf, math.inf, 0
    parts = None
    for size in known:
        net = checks.network(f"make_network({checks.shown(size)})", make_network(size))
        parts = parts or cut(net, X, y, sample_weight, loss, share, seed)
        training, validation = parts
        trainer = Trainer(net, loss=loss, optimizer=optimizer, penalty=penalty, seed=seed)
        trainer.fit(
            training[0],
            training[1],
            epochs=epochs,
            batch_size=batch_size,
            validation_data=[one for one in validation if one is not None],
            callbacks=callbacks,
            sample_weight=training[2],
            class_weight=class_weight,
            verbose=False,
        )
        found, val_found = (trainer.evaluate(*part, allow_seen=True)["loss"] for part in (training, validation))
        steps.append(GrowthStep(size, sum(p.size for p in net.parameters().values()), found, val_found))
        if chosen is None or val_found < least_val_loss - min_delta:
            chosen, overfitted = (net, size), 0
        elif found < least_loss:
            overfitted += 1
        # A loss that is not a number leaves them as they are.
        least_loss, least_val_loss = min(least_loss, found), min(least_val_loss, val_found)
        if overfitted == patience:
            reason = f"{checks.shown(size)} learns the training part better, but not the validation part: it overfits"
            break
    else:
        reason = f"all {len(known)} sizes tried" if len(known) > 1 else "the one size tried"
    assert chosen is not None
    return Growth(tuple(steps), *chosen, reason)


def checked_sizes(make_network: object, sizes: object) -> list[Any]:
    """Return the sizes, at least one and no two alike."""
    if not callable(make_network):
        raise TypeError(f"make_network must be a function from a size to a Network; got {checks.shown(make_network)}")
    if not isinstance(sizes, (list, tuple, range)):
        raise TypeError(f"sizes must be a list of sizes, such as [4, 8, 16]; got {checks.shown(sizes)}")
    known = list(sizes)
    if not known or any(one in known[:place] for place, one in enumerate(known)):
        raise ValueError(f"sizes must hold at least one size, and no two alike; got {checks.shown(sizes)}")
    return known


def cut(
    net: Network, X: object, y: object, sample_weight: object, loss: Loss, share: float, seed: int
) -> tuple[Rows, Rows]:
    """Return (X, y, sample_weight) to train on and to validate with, the parts that `Trainer.fit` would make."""
    rows = training_rows.checked_rows(net, loss, X, y, sample_weight, takes_sparse=True)
    numbers = training_rows.split_rows(loss, rows.y, share, seed)
    # As they were given: networks of other sizes may have another precision.
    given = given_rows(X, y, sample_weight)
    return taken(given, numbers[0]), taken(given, numbers[1])
