"""How complex a network is, and how its gradients run: two reports, layer by layer.

`weight_report` counts and measures the weights, `gradient_report` the gradients of one batch. They describe and do not
judge: whether a network is too complex, its validation part says.

The letters: W (inputs, units) the weights of a layer, g (inputs, units) their gradient. A `Maxout` of k pieces has W
(inputs, k units), and unit j the columns j, units + j, ...
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import checks, data, losses
from .activations import Identity
from .gradients import Objective
from .layers import BatchNorm

if TYPE_CHECKING:
    import numpy.typing as npt

    from .losses import Loss
    from .network import Network

    Array = npt.NDArray[np.float64]

# The decades of a histogram. Gradients are of order 1 for a loss that is a mean, and float32 has no digits left for an
# update of 1e-8 of a weight; what lies farther out goes into the first or the last.
DECADES = tuple(range(-10, 4))


@dataclass(frozen=True)
class LayerWeights:
    """The weights of one layer; biases, gamma and beta are not among them.

    Attributes
    ----------
    number : int
        Of the layer in the network, from 0.
    label, activation : str
        Its name for a table; the word of what shapes its units before the next layer with weights.
    inputs, units : int
        Nodes before it and in it.
    weights : int
        Numbers in W, also those that `connections` holds at 0.
    zeros : int
        How many of them are exactly 0.
    near_zero : int
        How many have |w| <= near * max |w|, those of 0 included.
    least, most, norm : float
        The range of W, and the root of the sum of its squares.
    effective : float
        The effective number of weights; see `weight_report`.
    near_dead : int
        Units whose incoming or outgoing weights are near 0; see `weight_report`.
    """

    number: int
    label: str
    activation: str
    inputs: int
    units: int
    weights: int
    zeros: int
    near_zero: int
    least: float
    most: float
    norm: float
    effective: float
    near_dead: int

    @property
    def sparsity(self) -> float:
        """The share of weights that are exactly 0."""
        return self.zeros / self.weights


@dataclass(frozen=True, repr=False)
class WeightReport:
    """The weights of a network, layer by layer, and in sum.

    Attributes
    ----------
    layers : tuple of LayerWeights
        Those layers that have weights.
    near : float
        What counts as near 0, as a share of the greatest.
    """

    layers: tuple[LayerWeights, ...]
    near: float

    @property
    def weights(self) -> int:
        """The number of weights of all layers."""
        return sum(one.weights for one in self.layers)

    @property
    def zeros(self) -> int:
        """How many of them are exactly 0."""
        return sum(one.zeros for one in self.layers)

    @property
    def sparsity(self) -> float:
        """The share of weights that are exactly 0; NaN where there are no weights."""
        return quotient(self.zeros, self.weights)

    @property
    def near_zero(self) -> float:
        """The share of weights that are near 0, each judged by the greatest of its layer."""
        return quotient(sum(one.near_zero for one in self.layers), self.weights)

    @property
    def near_dead(self) -> float:
        """The share of units whose incoming or outgoing weights are near 0."""
        return quotient(sum(one.near_dead for one in self.layers), sum(one.units for one in self.layers))

    @property
    def norm(self) -> float:
        """The root of the sum of the squares of all weights."""
        return math.hypot(*(one.norm for one in self.layers))

    @property
    def effective(self) -> float:
        """The effective number of weights, added up over the layers."""
        return sum(one.effective for one in self.layers)

    def __repr__(self) -> str:
        """Return a table, a layer a line."""
        head = ("layer", "inputs", "units", "weights", "zeros", "near 0", "effective", "range", "norm", "near-dead")
        rows = [
            (
                f"{one.number} {one.label}",
                *(f"{count:,}" for count in (one.inputs, one.units, one.weights, one.zeros, one.near_zero)),
                f"{one.effective:,.1f}",
                f"{one.least:.3g} to {one.most:.3g}",
                f"{one.norm:.3g}",
                f"{one.near_dead:,}",
            )
            for one in self.layers
        ]
        total = (
            f"{self.weights:,} weights, {self.sparsity:.1%} of them 0, {self.near_zero:.1%} near 0 (at most "
            f"{self.near:g} of their layer's greatest), effective {self.effective:,.1f}; {self.near_dead:.1%} of the "
            "units near-dead"
        )
        return "\n".join([*table(head, rows), total])


def weight_report(net: Network, *, near: float = 0.01) -> WeightReport:
    """Measure the weights of a network: how many, how large, how many of them matter.

    Lecture [004] counts under complexity the "number of layers, hidden nodes in each layer", the "number of weights,
    range of values taken by weights" and the activations; and it wants the "number of effective weights" reduced, by
    fewer nodes and connections or by smaller weights, without a formula for it. Here it is the participation ratio::

        effective = (sum of w^2)^2 / sum of w^4

    It is n for n weights of one size, whatever the others of 0 are, 1 where one outweighs all, 0 where all are 0. It
    tells how many carry the layer, not how large they are: shrinking all alike (L2 much of the time) shows in `norm`.
    `zeros` is what L1 and pruning bring ([003]: "enforce sparsity").

    A unit is near-dead if the norm of its incoming weights, or that of its outgoing ones (a row of the next W), is at
    most `near` times the greatest of its layer. So does lecture [002] describe the effect of L2: "effectively
    deactivating some of the neurons by shrinking their weights close to zero". Outputs have no outgoing weights. Where
    a `BatchNorm` stands between, it undoes the size of incoming weights: only those of exactly 0 count, and the
    outgoing ones are multiplied by its gamma.

    Parameters
    ----------
    net : Network
        Not changed.
    near : float, default 0.01
        What is near 0, at least 0 and below 1: a share of the layer's greatest, because layers differ in scale (He's
        start alone has 1 / sqrt(inputs) in it) and a fixed threshold would mean something else in each.

    Returns
    -------
    WeightReport
        By layer and in all; it prints as a table.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, or a parameter of the network is not finite.
    """
    checks.network("net", net)
    near = checks.number("near", near, least=0, below=1)
    data.check_finite(net.core.parameters(), "measured")
    return WeightReport(tuple(layer_weights(net, number, near) for number in weighted(net)), near)


def weighted(net: Network) -> list[int]:
    """Return the numbers of the layers that have weights."""
    parameters = net.core.parameters()
    return [number for number in range(len(net.layers)) if f"{number}.weight" in parameters]


def next_weighted(net: Network, number: int) -> int | None:
    """Return the number of the next layer that has weights, None where there is none."""
    return next((other for other in weighted(net) if other > number), None)


def layer_weights(net: Network, number: int, near: float) -> LayerWeights:
    """Measure one layer."""
    w = np.asarray(net.core.parameters()[f"{number}.weight"], dtype=np.float64)
    info = net.core.layers()[number]
    size = np.abs(w)
    greatest = float(size.max())
    relative = size / greatest if greatest else size
    squares = relative**2
    total = float(squares.sum())
    incoming, outgoing = unit_strengths(net, number)
    is_dead = near_zero(incoming, near)
    if outgoing is not None:
        is_dead |= near_zero(outgoing, near)
    return LayerWeights(
        number=number,
        label=net.layers[number].label(),
        activation=activation_of(net, number),
        inputs=info["inputs"],
        units=info["outputs"],
        weights=w.size,
        zeros=w.size - int(np.count_nonzero(w)),
        near_zero=int(near_zero(size, near).sum()),
        least=float(w.min()),
        most=float(w.max()),
        norm=greatest * math.sqrt(total),
        effective=total**2 / float((squares**2).sum()) if greatest else 0.0,
        near_dead=int(is_dead.sum()),
    )


def near_zero(sizes: Array, near: float) -> npt.NDArray[np.bool_]:
    """Return which sizes are at most `near` times the greatest."""
    result: npt.NDArray[np.bool_] = sizes <= near * sizes.max()
    return result


def activation_of(net: Network, number: int) -> str:
    """Return the word of what shapes the units of a layer before the next layer with weights."""
    end = next_weighted(net, number)
    functions = [layer.activation_function() for layer in net.layers[number:end]]
    return next((g.word for g in reversed(functions) if g not in (None, Identity())), Identity.word)


def unit_strengths(net: Network, number: int) -> tuple[Array, Array | None]:
    """Return the norms (units,) of each unit's incoming and outgoing weights; no outgoing ones of the outputs.

    Where a BatchNorm stands between, the incoming ones are 0 or 1 and the outgoing ones multiplied by its gamma.
    """
    parameters, units = net.core.parameters(), net.core.layers()[number]["outputs"]
    w = np.asarray(parameters[f"{number}.weight"], dtype=np.float64)
    incoming: Array = norms(w.reshape(-1, units), axis=0)
    following = next_weighted(net, number)
    if following is None:
        return incoming, None
    outgoing = norms(np.asarray(parameters[f"{following}.weight"], dtype=np.float64), axis=1)
    for between in range(number + 1, following):
        if isinstance(net.layers[between], BatchNorm):
            incoming = (incoming > 0).astype(np.float64)
            outgoing = outgoing * np.abs(parameters[f"{between}.gamma"])
    return incoming, outgoing


def norms(w: Array, axis: int) -> Array:
    """Return the norms of the columns (axis 0) or rows (axis 1), without overflow."""
    greatest = np.abs(w).max() or 1.0
    lengths: Array = greatest * np.sqrt(((w / greatest) ** 2).sum(axis=axis))
    return lengths


@dataclass(frozen=True)
class LayerGradients:
    """The gradient of one layer's weights.

    Attributes
    ----------
    number : int
        Of the layer in the network, from 0.
    label : str
        Its name for a table.
    norm, weight_norm : float
        The roots of the sums of squares of g and of W.
    ratio : float
        norm / weight_norm: times the learning rate, by what share one step of plain descent changes the layer.
    zeros : int
        How many gradients are exactly 0: weights from inputs of 0, or into units that let nothing back.
    counts : tuple of int
        How many gradients lie in each of the report's `decades`.
    """

    number: int
    label: str
    norm: float
    weight_norm: float
    ratio: float
    zeros: int
    counts: tuple[int, ...]


@dataclass(frozen=True, repr=False)
class GradientReport:
    """The gradients of one batch, layer by layer.

    Attributes
    ----------
    layers : tuple of LayerGradients
        Those layers that have weights and are not frozen.
    decades : tuple of int
        k stands for 10^k <= |g| < 10^(k + 1); the first also for what is smaller but not 0, the last for what is
        greater.
    """

    layers: tuple[LayerGradients, ...]
    decades: tuple[int, ...] = DECADES

    @property
    def first_to_last(self) -> float:
        """The norm of the first layer's gradient over that of the last: far below 1 it vanishes, far above explodes."""
        return quotient(self.layers[0].norm, self.layers[-1].norm) if self.layers else math.nan

    def __repr__(self) -> str:
        """Return a table, a layer a line: the norms, and the counts of those decades where there are some."""
        used = [place for place in range(len(self.decades)) if any(one.counts[place] for one in self.layers)]
        shown = range(used[0], used[-1] + 1) if used else range(0)
        head = ("layer", "norm", "norm of W", "ratio", "zeros", *(f"1e{self.decades[place]}" for place in shown))
        rows = [
            (
                f"{one.number} {one.label}",
                *(f"{value:.2e}" for value in (one.norm, one.weight_norm, one.ratio)),
                f"{one.zeros:,}",
                *(f"{one.counts[place]:,}" for place in shown),
            )
            for one in self.layers
        ]
        last = f"norm of the first layer over that of the last: {self.first_to_last:.2e}"
        return "\n".join([*table(head, rows), last])


def gradient_report(
    net: Network, X: npt.ArrayLike, y: npt.ArrayLike, *, loss: str | Loss, sample_weight: npt.ArrayLike | None = None
) -> GradientReport:
    """Measure the gradients of one batch, layer by layer, to see whether they vanish or explode on their way back.

    The gradient of an early layer is a product with a factor for each later layer; "when gradients matrix product
    becomes excessively large" it explodes, when it "becomes infinitesimally small" it vanishes ([004]; [000] names
    batch normalization against both). It is one pass in training mode on a float64 copy, with one set of masks and
    noise; `net` itself does not change. Penalties are not counted.

    Parameters
    ----------
    net : Network
        Not changed.
    X : array of shape (B, inputs)
        Rows to measure on.
    y : array
        Targets; see the loss.
    loss : str or Loss
        What is differentiated.
    sample_weight : array of shape (B,), optional
        Factor of each row, at least 0.

    Returns
    -------
    GradientReport
        Of the layers with weights; not of frozen ones, which get no gradient, and not of weights where `connections`
        has a 0. A gradient that is NaN makes the norm NaN, and is in no decade.
    """
    checks.network("net", net)
    objective = Objective(net, X, y, losses.resolve("loss", loss), (), sample_weight)
    gradients, parameters = objective.gradients(), objective.parameters()
    found = []
    for number in weighted(net):
        name = f"{number}.weight"
        if name in parameters:
            free = objective.free(name)
            found.append(layer_gradients(net, number, gradients[name][free], parameters[name][free]))
    return GradientReport(tuple(found))


def layer_gradients(net: Network, number: int, g: Array, w: Array) -> LayerGradients:
    """Measure the gradient of one layer's weights, both flat."""
    with np.errstate(all="ignore"):  # of infinity and NaN, which may be there
        norm, weight_norm = (float(np.linalg.norm(one)) for one in (g, w))
        sizes = np.abs(g[g != 0])
        counted = sizes[~np.isnan(sizes)]
        # Comparison with the powers themselves: the logarithm of 1000 may be rounded to below 3.
        places = np.searchsorted([10.0**k for k in DECADES[1:]], counted, side="right")
    return LayerGradients(
        number=number,
        label=net.layers[number].label(),
        norm=norm,
        weight_norm=weight_norm,
        ratio=quotient(norm, weight_norm),
        zeros=g.size - len(sizes),
        counts=tuple(int(count) for count in np.bincount(places, minlength=len(DECADES))),
    )


def quotient(a: float, b: float) -> float:
    """Return a / b, infinity for a > 0 = b, NaN for 0 / 0."""
    if b:
        return a / b
    return math.inf if a > 0 else math.nan


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table: first column to the left, the others to the right, a rule below the head."""
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
    lines = []
    for first, *others in (head, *rows):
        cells = [one.rjust(width) for one, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    rule = "-" * max(len(line) for line in lines)
    return [lines[0], rule, *lines[1:], rule]
