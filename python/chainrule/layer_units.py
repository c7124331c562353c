"""How the units of a network live on some rows, layer by layer: `layer_report`, and what is wrong with what it shows.

It adds to `weight_report` and `gradient_report` what only rows tell: activations, dead and saturated units, and by how
much a step changes the weights. The network and its optimizer do not change.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, data, sparse
from .activations import ELU, ActivationFunction, Identity, ReLU, Sigmoid, Tanh
from .complexity import gradient_report, next_weighted, quotient, table, weight_report, weighted
from .findings import Finding
from .trainer import Trainer

if TYPE_CHECKING:
    import numpy.typing as npt

    from .network import Network

    Array = npt.NDArray[Any]

# Rows that are looked at: enough to tell a share to a percent, few enough that it takes no time.
MOST_ROWS = 2048
# A unit is called dead or saturated by what it does on so many rows at least: fewer it may miss by chance.
FEWEST_ROWS = 30
# Saturated: a slope of at most this share of the greatest. Of tanh that begins at |z| = 2.2, of a sigmoid at 4.4.
FLAT = 0.05
# A unit is saturated if it is so on this share of the rows: on the others it may learn, but seldom.
ON_ROWS = 0.95
# So many of a layer's units dead or saturated, and it has lost its purpose. A third may be so in networks that learn
# well: a rectifier that is off for a few hundred rows need not be off for ever.
HALF = 0.5
# So many of a layer's activations saturated, whichever units they are of: little of the gradient comes through. Where
# classes are told apart surely, it is up to 0.43 in networks that learned well.
MOSTLY = 0.7
# The gradient at the first layer's units over that at the outputs.
VANISHED = 1e-3
EXPLODED = 1e2
# Rows whose signals are measured, one after the other, within a batch.
SIGNAL_ROWS = 16
SIGNAL_BATCH = 64
# A chain of so many layers with weights at least has a product of Jacobians to speak of.
FEWEST_LAYERS = 3

SLOPES: dict[type[ActivationFunction], Callable[[Array, float], Array]] = {
    Sigmoid: lambda h, _: 4 * h * (1 - h),
    Tanh: lambda h, _: 1 - h**2,
    ELU: lambda h, alpha: np.where(h > 0, 1.0, h / alpha + 1 if alpha else 0.0),
}


@dataclass(frozen=True)
class LayerUnits:
    """One layer with weights on some rows.

    Attributes
    ----------
    number : int
        Of the layer in the network, from 0.
    label, activation : str
        Its name for a table; the word of what shapes its units before the next layer with weights.
    units : int
    is_output : bool
        Whether it gives the network's outputs: there a flat sigmoid is a sure answer.
    mean, deviation : float
        Of the activations, over rows and units.
    dead : float
        Share of units that are 0 on every row; NaN where the activation is not ReLU.
    saturated_entries, saturated : float
        Share of activations whose slope is at most 1/20 of the greatest; share of units of which 95 % of the rows are
        so; NaN where the activation is not sigmoid, tanh or ELU.
    weight_norm : float
        Root of the sum of the squares of W.
    gradient_norm : float
        The same of its gradient; NaN without targets, and in frozen layers.
    signal : float
        Norm of the gradient at the layer's units, before their activation, of a single row: root of the mean square
        over some rows; NaN as before, and where all that comes in is 0.
    update_ratio : float
        Norm of the change of W by one step of the optimizer, over the norm of W; NaN where that is not known.
    """

    number: int
    label: str
    activation: str
    units: int
    is_output: bool
    mean: float
    deviation: float
    dead: float
    saturated_entries: float
    saturated: float
    weight_norm: float
    gradient_norm: float = math.nan
    signal: float = math.nan
    update_ratio: float = math.nan


@dataclass(frozen=True, repr=False)
class LayerReport:
    """The layers of a network on some rows.

    Attributes
    ----------
    layers : tuple of LayerUnits
        Those layers that have weights.
    rows : int
        How many rows were looked at.
    """

    layers: tuple[LayerUnits, ...]
    rows: int

    @property
    def first_to_last(self) -> float:
        """The signal of the first layer over that of the last: the product of the Jacobians between; NaN for none."""
        known = [one.signal for one in self.layers if not math.isnan(one.signal)]
        return quotient(known[0], known[-1]) if known else math.nan

    def __repr__(self) -> str:
        """Return a table, a layer a line."""
        head = (
            "layer",
            "units",
            "mean",
            "deviation",
            "dead",
            "saturated",
            "norm of W",
            "gradient",
            "signal",
            "update / W",
        )
        rows = [
            (
                f"{one.number} {one.label} {one.activation}",
                f"{one.units:,}",
                f"{one.mean:.3g}",
                f"{one.deviation:.3g}",
                *("-" if math.isnan(share) else f"{share:.0%}" for share in (one.dead, one.saturated)),
                f"{one.weight_norm:.3g}",
                *(
                    "-" if math.isnan(size) else f"{size:.2e}"
                    for size in (one.gradient_norm, one.signal, one.update_ratio)
                ),
            )
            for one in self.layers
        ]
        return "\n".join([*table(head, rows), f"on {self.rows:,} rows"])


def layer_report(trainer: Trainer | Network, X: npt.ArrayLike, y: npt.ArrayLike | None = None) -> LayerReport:
    """Measure activations, dead and saturated units, and, with targets, gradients and updates, layer by layer.

    Activations are those of prediction. Gradients are those of one batch in training mode, of the loss without
    penalties, as in `gradient_report`. The update is that of one step of the trainer's optimizer at its present rate,
    made on a copy from a state of its own: a first step, which momentum makes longer later. About 0.001 is usual; far
    above 0.01 the weights jump, far below 0.0001 they hardly move. Of a loss that is a sum, give the rows of a batch.

    Parameters
    ----------
    trainer : Trainer or Network
        A Network has no loss: it shows activations and weights only.
    X : array of shape (N, inputs)
        Training rows, or a sparse matrix of SciPy; of many, 2,048 are taken at equal distances.
    y : array, optional
        Targets; see the trainer's loss.

    Returns
    -------
    LayerReport
        By layer; it prints as a table.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, `y` comes with a Network, or a parameter is not finite.
    RuntimeError
        If a `Standardize` has no mean and scale yet.

    Examples
    --------
    >>> print(cr.layer_report(trainer, X, y))
    """
    net = trainer.net if isinstance(trainer, Trainer) else checks.network("trainer", trainer)
    if y is not None and not isinstance(trainer, Trainer):
        raise ValueError("y needs a Trainer, whose loss and optimizer make gradients and updates; got a Network")
    net.check_measured()
    rows, targets = some_rows(net, X, y)
    measured = {one.number: one for one in activations(net, rows)}
    if targets is not None and isinstance(trainer, Trainer):
        gradients = gradient_report(net, rows, targets, loss=trainer.loss).layers
        ratios, found = update_ratios(trainer, rows, targets), signals(trainer, rows, targets)
        for one in gradients:
            ratio = ratios.get(one.number, math.nan)
            measured[one.number] = dataclasses.replace(
                measured[one.number], gradient_norm=one.norm, signal=found[one.number], update_ratio=ratio
            )
    return LayerReport(tuple(measured.values()), len(rows))


def some_rows(net: Network, X: object, y: object) -> tuple[Array, Array | None]:
    """Return rows at equal distances and their targets, at most MOST_ROWS."""
    kind = np.dtype(np.float64)
    given: Any = X
    rows = given.tocsr() if sparse.is_sparse(X) else data.features("X", X, net.inputs, kind)
    count = rows.shape[0]
    if count == 0:
        raise ValueError("X must have at least one row; got none")
    targets = None if y is None else data.real("y", y)
    if targets is not None and (targets.ndim == 0 or len(targets) != count):
        raise ValueError(f"y must have a target for each of the {count} rows of X; got shape {targets.shape}")
    every = -(-count // MOST_ROWS)
    x = rows[::every]
    x = x if isinstance(x, np.ndarray) else data.features("X", x.toarray(), net.inputs, kind)  # these few, made dense
    return x, None if targets is None else targets[::every]


def activations(net: Network, x: Array) -> Iterator[LayerUnits]:
    """Yield what the layers with weights do on rows x (B, inputs), in evaluation mode."""
    twin = net.copy(dtype="float64", device="cpu")
    twin.core.forward(np.ascontiguousarray(x), False)
    outputs = [x, *twin.core.layer_outputs()]
    for weights in weight_report(net).layers:
        end = next_weighted(net, weights.number)
        last = len(net.layers) if end is None else end
        shaping = [
            n for n in range(weights.number, last) if net.layers[n].activation_function() not in (None, Identity())
        ]
        number = shaping[-1] if shaping else weights.number
        function = net.layers[number].activation_function() or Identity()
        h = outputs[number + 1]
        flat = is_flat(function, h)
        yield LayerUnits(
            number=weights.number,
            label=weights.label,
            activation=weights.activation,
            units=weights.units,
            is_output=end is None,
            mean=float(h.mean()),
            deviation=float(h.std()),
            dead=float((h <= 0).all(axis=0).mean()) if isinstance(function, ReLU) else math.nan,
            saturated_entries=math.nan if flat is None else float(flat.mean()),
            saturated=math.nan if flat is None else float((flat.mean(axis=0) >= ON_ROWS).mean()),
            weight_norm=weights.norm,
        )


def is_flat(function: ActivationFunction, h: Array) -> npt.NDArray[np.bool_] | None:
    """Return where the slope at h is at most a share FLAT of the greatest; None where the function has no such ends."""
    slope = SLOPES.get(type(function))
    if slope is None:
        return None
    flat: npt.NDArray[np.bool_] = slope(h, function.parameter()) <= FLAT
    return flat


def update_ratios(trainer: Trainer, x: Array, y: Array) -> dict[int, float]:
    """Return by layer the norm of the change of W in one step, over the norm of W; none where the rate is 0."""
    rate = trainer.learning_rate
    if rate <= 0:
        return {}
    twin = trainer.net.copy(dtype="float64", device="cpu").train()
    before = {number: twin.parameters()[f"{number}.weight"].copy() for number in weighted(twin)}
    optimizer = dataclasses.replace(copy.copy(trainer.optimizer), lr=rate)
    trainer.loss(twin(x), y).backward()
    optimizer.step(twin)
    after = twin.parameters()
    changes = {number: np.linalg.norm(after[f"{number}.weight"] - w) for number, w in before.items()}
    return {
        number: quotient(float(change), float(np.linalg.norm(before[number]))) for number, change in changes.items()
    }


def signals(trainer: Trainer, x: Array, y: Array) -> dict[int, float]:
    """Return by layer the root of the mean square, over single rows, of the norm of the gradient at its units.

    Of one row the gradient of W is the outer product of what comes in and of the gradient at the units, so the norm of
    the second is a quotient. The row stands in a batch in which the others weigh 0, since a `BatchNorm` needs them.
    """
    twin = trainer.net.copy(dtype="float64", device="cpu").train()
    every = -(-len(x) // SIGNAL_BATCH)
    x, y = x[::every], y[::every]
    chosen = range(0, len(x), -(-len(x) // SIGNAL_ROWS))
    squares: dict[int, list[float]] = {number: [] for number in weighted(twin)}
    for row in chosen:
        twin.zero_grad()
        trainer.loss(twin(x), y, np.eye(len(x))[row]).backward()
        inputs = [x, *twin.core.layer_outputs()]
        for number, found in squares.items():
            size = float(np.linalg.norm(inputs[number][row]))
            gradient = float(np.linalg.norm(twin.gradients()[f"{number}.weight"]))
            if size > 0:  # else nothing is known of it
                found.append((gradient / size) ** 2)
    return {number: math.sqrt(np.mean(found)) if found else math.nan for number, found in squares.items()}


# ------------------------------------------------------------------------------------------------------- What is wrong


def unit_findings(report: LayerReport) -> Iterator[Finding]:
    """Yield dead and saturated units of hidden layers."""
    if report.rows < FEWEST_ROWS:
        return
    # Comparisons with NaN are false: where the activation cannot die or saturate, nothing is found.
    hidden = [one for one in report.layers if not one.is_output]
    dead = [one for one in hidden if one.dead >= HALF]
    if dead:
        told = ", ".join(f"{one.dead:.0%} of the {one.units} units of layer {one.number}" for one in dead)
        numbers = {f"layer {one.number}": one.dead for one in dead}
        yield Finding("dead units", f"{told} give 0 on every row, of {report.rows}", numbers)
    flat = [one for one in hidden if one.saturated >= HALF or one.saturated_entries >= MOSTLY]
    if flat:
        told = ", ".join(f"{one.saturated_entries:.0%} of the activations of layer {one.number}" for one in flat)
        numbers = {f"layer {one.number}": one.saturated_entries for one in flat}
        yield Finding("saturated units", f"{told} are where the function is flat, on {report.rows} rows", numbers)


def gradient_findings(report: LayerReport) -> Iterator[Finding]:
    """Yield that gradients vanish or explode on their way back."""
    known = [one for one in report.layers if not math.isnan(one.gradient_norm)]
    ratio = report.first_to_last
    if len(known) < FEWEST_LAYERS or math.isnan(ratio) or VANISHED <= ratio <= EXPLODED:
        return
    first, last = known[0], known[-1]
    text = (
        f"from layer {last.number} back to layer {first.number} the gradient is multiplied by {ratio:.2g}; the norms "
        f"of the weights' gradients are {last.gradient_norm:.2e} and {first.gradient_norm:.2e}"
    )
    numbers = {"first_to_last": ratio, "first": first.gradient_norm, "last": last.gradient_norm}
    yield Finding("vanishing gradients" if ratio < VANISHED else "exploding gradients", text, numbers)
