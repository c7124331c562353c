"""Layers with weights, described: Dense, DropConnect and Maxout, which all begin with x W + b.

x (B, inputs), W (inputs, units), b (units). Their maths is in csrc/nn/layers/. Here are no layers that connect rows, or
places of a picture: no recurrence, no convolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import activations, checks, constraints, data, initializers
from ._engine import float32
from .activations import ELU, ActivationFunction, Identity, LeakyReLU, ReLU
from .constraints import Constraint
from .initializers import GlorotUniform, HeNormal, Initializer
from .layer import Layer, Shapes
from .noise import VARIANTS_OF_WEIGHTS, check_rate, dropped_share

if TYPE_CHECKING:
    import numpy.typing as npt

    from ._engine import Constraint as CoreConstraint
    from ._engine import Initializer as CoreInitializer
    from ._engine.float32 import Layer as CoreLayer

    Array = npt.NDArray[Any]


class Affine:
    """What the layers of this file share: W and b, how they start, and what W must obey. No layer itself."""

    units: int
    bias: bool
    weight_init: str | Initializer | None
    bias_init: str | Initializer
    weight_constraint: str | Constraint | None

    def check_affine(self) -> None:
        """Check the options that the layers share."""
        checks.option(self, "units", checks.whole)
        checks.option(self, "bias", checks.flag)
        if self.weight_init is not None:
            initializers.resolve("weight_init", self.weight_init)
        initializers.resolve("bias_init", self.bias_init)
        if self.weight_constraint is not None:
            constraints.resolve("weight_constraint", self.weight_constraint)

    def columns(self) -> int:
        """Return the columns of W."""
        return self.units

    def outputs(self, inputs: int) -> int:
        """Return the units."""
        return self.units

    def parameter_shapes(self, inputs: int) -> Shapes:
        """Return {"weight": (inputs, columns), "bias": (columns,)}."""
        weight: Shapes = {"weight": (inputs, self.columns())}
        return {**weight, "bias": (self.columns(),)} if self.bias else weight

    def activation_function(self) -> ActivationFunction:
        """Return g."""
        return Identity()

    def weight_initializer(self) -> Initializer:
        """Return how W starts: what was asked for, or what suits g."""
        if self.weight_init is not None:
            return initializers.resolve("weight_init", self.weight_init)
        return suitable_start(self.activation_function())

    def start(self) -> str:
        """Name the initializer of W."""
        return self.weight_initializer().word

    def starts(self, engine: ModuleType) -> tuple[CoreInitializer, CoreInitializer]:
        """Return the engine's initializers of W and b."""
        bias_init = initializers.resolve("bias_init", self.bias_init)
        return self.weight_initializer().build(engine), bias_init.build(engine)

    def constraint(self, engine: ModuleType) -> CoreConstraint | None:
        """Return the engine's constraint on W, if there is one."""
        if self.weight_constraint is None:
            return None
        return constraints.resolve("weight_constraint", self.weight_constraint).build(engine)


def suitable_start(function: ActivationFunction) -> Initializer:
    """Return how weights start whose sums go through `function`: He's rule where about half passes, else Glorot's."""
    return HeNormal() if isinstance(function, (ReLU, LeakyReLU, ELU)) else GlorotUniform()


@dataclass(frozen=True)
class Dense(Affine, Layer):
    """Fully connected, unless told otherwise: h = g(x W + b), x (B, inputs), W (inputs, units), b (units).

    Parameters
    ----------
    units : int
        Number of outputs.
    activation : str or ActivationFunction, default "identity"
        The function g.
    bias : bool, default True
        Whether there is a b.
    weight_init : str or Initializer, optional
        How W starts. None: He normal before ReLU, LeakyReLU and ELU, which pass about half of what comes in;
        Glorot uniform otherwise. Where the activation is the identity, what counts is the next function before the
        next layer with weights, as in [Dense(64), BatchNorm(), Activation("relu")].
    bias_init : str or Initializer, default "zeros"
        How b starts.
    connections : array of shape (inputs, units) of 0 and 1, or sequence of str, optional
        Which inputs reach which units: "fully connected, but need not be" ([004]). Where there is a 0, the weight
        starts at 0, gets no gradient and stays 0. Kept as one string for each input: ("101", "011"). The start of the
        other weights is that of the full layer: its fan_in counts all inputs, its fan_out all units, connected or not.
        Where few are connected, sums start smaller than He's and Glorot's rules intend; `weight_init=Normal(std)`
        says otherwise.
    weight_constraint : str or Constraint, optional
        What the incoming weights of each unit must obey after every update: `MaxNorm`, `UnitNorm`, `NonNegative`.
    """

    units: int
    _: KW_ONLY
    activation: str | ActivationFunction = "identity"
    bias: bool = True
    weight_init: str | Initializer | None = None
    bias_init: str | Initializer = "zeros"
    connections: npt.ArrayLike | tuple[str, ...] | None = None
    weight_constraint: str | Constraint | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        self.check_affine()
        check_fits("activation", self.activation)
        if self.connections is not None:
            checks.option(self, "connections", checked_connections, units=self.units)

    def outputs(self, inputs: int) -> int:
        """Return the units; ValueError where `connections` is for another number of inputs."""
        mask = self.is_connected("weight")
        if mask is not None and len(mask) != inputs:
            raise ValueError(f"connections must have a row for each of {inputs} inputs; it has {len(mask)}")
        return self.units

    def activation_function(self) -> ActivationFunction:
        """Return g."""
        return activations.resolve("activation", self.activation)

    def label(self) -> str:
        """Name the layer and g."""
        return f"Dense {self.activation_function().word}"

    def before(self, following: ActivationFunction) -> Dense:
        """Return the layer with the start that suits g, or `following` where g is the identity."""
        return replace(self, weight_init=start_before(self, following))

    def is_connected(self, name: str) -> npt.NDArray[Any] | None:
        """Return the connections as bools (inputs, units) for "weight"; None where all may be."""
        if self.connections is None or name != "weight":
            return None
        assert isinstance(self.connections, tuple)
        letters = np.frombuffer("".join(self.connections).encode(), np.uint8)
        connected: npt.NDArray[Any] = letters.reshape(-1, self.units) == ord("1")
        return connected

    def flaw(self, name: str, value: Array) -> str:
        """Say where a weight is not 0 though nothing is connected there; "" for nowhere."""
        mask = self.is_connected(name)
        if mask is None or not value[~mask].any():
            return ""
        i, j = (int(place) for place in np.argwhere(~mask & (value != 0))[0])
        return f"must be 0 where connections has a 0; [{i}, {j}] is {value[i, j]}"

    def build(self, engine: ModuleType) -> CoreLayer:
        """Return the engine's object."""
        g, mask = self.activation_function(), self.is_connected("weight")
        dtype = np.float32 if engine is float32 else np.float64
        built: CoreLayer = engine.Dense(
            self.units,
            g.word,
            g.parameter(),
            self.bias,
            *self.starts(engine),
            None if mask is None else mask.astype(dtype),
            self.constraint(engine),
        )
        return built


@dataclass(frozen=True)
class DropConnect(Affine, Layer):
    """A Dense layer that trains with a random part of its weights, drawn anew for every step: h = g(x W' + b).

    ========  ==========================  ===================  =====================================================
    variant   W' in training              W' in prediction     source
    ========  ==========================  ===================  =====================================================
    inverted  W * mask / (1 - rate)       W                    as dropout is done today: right on average in training
    classic   W * mask                    W * (1 - rate)       [001]: "remove a fraction c of the weights"
    ========  ==========================  ===================  =====================================================

    P(mask = 0) = rate. One mask serves all rows of a step, as lecture [001] reads (under the name of dropout). Wan et
    al. 2013 draw one for each row, and predict by the average over drawn activations; neither is done here.

    Parameters
    ----------
    units : int
        Number of outputs.
    rate, keep_prob : float
        One of the two: the share of weights that is removed, at least 0 and below 1, or the share that is kept, above
        0 and at most 1. There is no default, so that it cannot be forgotten.
    variant : {"inverted", "classic"}
    activation, bias, weight_init, bias_init, weight_constraint : as for `Dense`
        Biases are never removed.
    """

    units: int
    _: KW_ONLY
    rate: float | None = None
    keep_prob: float | None = None
    variant: str = "inverted"
    activation: str | ActivationFunction = "identity"
    bias: bool = True
    weight_init: str | Initializer | None = None
    bias_init: str | Initializer = "zeros"
    weight_constraint: str | Constraint | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        self.check_affine()
        check_rate(self)
        checks.word("variant", self.variant, VARIANTS_OF_WEIGHTS)
        check_fits("activation", self.activation)

    def activation_function(self) -> ActivationFunction:
        """Return g."""
        return activations.resolve("activation", self.activation)

    def kept(self) -> str:
        """Name the outputs, and the weights with holes."""
        return "h, W'"

    def label(self) -> str:
        """Name the layer and g."""
        return f"DropConnect {self.activation_function().word}"

    def before(self, following: ActivationFunction) -> DropConnect:
        """Return the layer with the start that suits g, or `following` where g is the identity."""
        return replace(self, weight_init=start_before(self, following))

    def differs_in_training(self) -> bool:
        """Return whether the layer gives other outputs in training mode than in evaluation mode."""
        return dropped_share(self.rate, self.keep_prob) > 0

    def build(self, engine: ModuleType) -> CoreLayer:
        """Return the engine's object."""
        g = self.activation_function()
        built: CoreLayer = engine.DropConnect(
            self.units,
            g.word,
            g.parameter(),
            self.bias,
            *self.starts(engine),
            dropped_share(self.rate, self.keep_prob),
            self.variant == "classic",
            self.constraint(engine),
        )
        return built


@dataclass(frozen=True)
class Maxout(Affine, Layer):
    """Each unit gives the greatest of several linear pieces: h_j = max over k of z_(k units + j), with z = x W + b.

    x (B, inputs), W (inputs, pieces * units), b (pieces * units), h (B, units): the pieces of unit j are the columns j,
    units + j, 2 units + j, ... Goodfellow et al. 2013; lecture [003]: max(w1^T x + b1, w2^T x + b2). It is activation
    and layer in one, and learns its shape: ReLU is the case of two pieces, one of them 0.

    Parameters
    ----------
    units : int
        Number of outputs.
    pieces : int, default 2
        Linear pieces of each unit.
    bias : bool, default True
        Whether there is a b.
    weight_init : str or Initializer, optional
        How W starts. None: Glorot uniform, with the units as fan_out.
    bias_init : str or Initializer, default "zeros"
        How b starts.
    weight_constraint : str or Constraint, optional
        What the incoming weights of each piece must obey after every update.
    """

    units: int
    _: KW_ONLY
    pieces: int = 2
    bias: bool = True
    weight_init: str | Initializer | None = None
    bias_init: str | Initializer = "zeros"
    weight_constraint: str | Constraint | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        self.check_affine()
        checks.option(self, "pieces", checks.whole)
        checks.whole("units * pieces", self.columns())

    def columns(self) -> int:
        """Return the columns of W."""
        return self.units * self.pieces

    def kept(self) -> str:
        """Name the outputs, and what they are the greatest of."""
        return "h, z"

    def label(self) -> str:
        """Name the layer and its pieces."""
        return f"Maxout of {self.pieces}"

    def has_kink(self) -> bool:
        """Return whether there are several pieces."""
        return self.pieces > 1

    def pattern(self, x: Array, h: Array, parameters: Mapping[str, Array]) -> Array:
        """Return which piece of each unit is the greatest, (B, units)."""
        z = x @ parameters["weight"] + parameters.get("bias", 0)
        greatest: Array = z.reshape(-1, self.pieces, self.units).argmax(axis=1)
        return greatest

    def build(self, engine: ModuleType) -> CoreLayer:
        """Return the engine's object."""
        built: CoreLayer = engine.Maxout(
            self.units, self.pieces, self.bias, *self.starts(engine), self.constraint(engine)
        )
        return built


def check_fits(argument: str, value: object) -> None:
    """Raise ValueError where an activation cannot be part of a layer with weights."""
    function = activations.resolve(argument, value)
    if function.needs_layer:
        raise ValueError(
            f"{argument} cannot be a {type(function).__name__}, whose derivative needs the sum that this layer does "
            "not keep: put a layer Activation(...) with it behind this one"
        )


def start_before(layer: Dense | DropConnect, following: ActivationFunction) -> Initializer:
    """Return how W starts in front of `following`."""
    if layer.weight_init is None and layer.activation_function() == Identity():
        return suitable_start(following)
    return layer.weight_initializer()


def checked_connections(argument: str, value: object, *, units: int) -> tuple[str, ...]:
    """Return connections as strings of "0" and "1" that are `units` long, one for each input."""
    rows = value if isinstance(value, (list, tuple)) and all(isinstance(row, str) for row in value) else None
    if rows is None:
        rows = array_rows(argument, value)
    wrong = next((i for i, row in enumerate(rows) if len(row) != units or set(row) - {"0", "1"}), None)
    if wrong is not None:
        shown = checks.shown(rows[wrong])
        raise ValueError(f"{argument} must have {units} times 0 or 1 in each row, a unit each; row {wrong} is {shown}")
    if not rows:
        raise ValueError(f"{argument} must have a row for each input; got none")
    return tuple(rows)


def array_rows(argument: str, value: object) -> list[str]:
    """Return the rows of an array of 0 and 1 as strings."""
    array = data.real(argument, value)
    if array.ndim != 2:
        raise ValueError(f"{argument} must have shape (inputs, units); got {array.shape}")
    is_one = array == 1
    if not (is_one | (array == 0)).all():
        i, j = (int(place) for place in np.argwhere(~(is_one | (array == 0)))[0])
        raise ValueError(f"{argument} must hold 0 and 1; {argument}[{i}, {j}] is {array[i, j]}")
    return [row.tobytes().decode() for row in is_one.astype(np.uint8) + np.uint8(ord("0"))]
