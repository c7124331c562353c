"""The way of a batch through one layer and back, an operation a line, each with its equation and its numbers.

Every number comes from the engine's operations (`Kernels`), called as the layer calls them in csrc/nn/layers/: they are
those of a training step, bit for bit, and also what a step keeps to itself, such as z where only h = g(z) is stored.
Which layer goes which way is said at the end of the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import custom_checks, layers
from ..activations import ActivationFunction, Softmax
from ..custom import CustomActivation
from ..custom_layer import CustomLayer
from ..network import Network
from ..noise import dropped_share
from . import equations
from .equations import Equation, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from .._engine.float32 import Kernels
    from ..layer import Layer

    Array = npt.NDArray[Any]


TIMES_WEIGHT = written("∂J/∂x = δ Wᵀ", r"\D{x} = \delta\, W^\top")


class Named(NamedTuple):
    """A value by name, and the equation that gives it."""

    name: str
    equation: Equation
    value: Array


@dataclass
class Place:
    """A layer in its network, as a step finds it."""

    layer: Any
    number: int
    kernels: Kernels
    x: Array  # (B, inputs)
    learned: Mapping[str, Array]  # by name without the layer's number: "weight", "bias", "gamma", "running_mean", ...
    seed: int
    step: int  # training passes before: what masks are counted by
    frozen: bool

    def stream(self) -> Any:
        """Return what the layer's random numbers are counted by."""
        return {"seed": self.seed, "layer": self.number, "step": self.step}


@dataclass
class Passage:
    """A layer's way forward, then back. `forward` ends with h, `backward` with dx where it is asked for."""

    place: Place
    h: Array = field(init=False)

    def forward(self) -> list[Named]:
        """Return the lines on the way forward; sets h (B, outputs)."""
        raise NotImplementedError

    def backward(self, dh: Array) -> list[Named]:
        """Return the lines on the way back from dh (B, outputs), but for dx: δ, and the gradients of what learns."""
        raise NotImplementedError

    def input_gradient(self) -> Named:
        """Return dx (B, inputs), after `backward`."""
        raise NotImplementedError


def activated(kernels: Kernels, g: ActivationFunction, z: Array) -> Array:
    """Return h = g(z)."""
    if isinstance(g, Softmax):
        return kernels.softmax_forward(z)
    if isinstance(g, CustomActivation):
        forward, _ = g.found[z.dtype.name]
        return custom_checks.forward_of(forward, z.dtype.name)(z.reshape(-1)).reshape(z.shape)
    return kernels.activation_forward(z, activation=g.word, parameter=g.parameter())


def by_z(kernels: Kernels, g: ActivationFunction, z: Array, h: Array, dh: Array) -> Array:
    """Return δ, the gradient by z, from that by h."""
    if isinstance(g, Softmax):
        return kernels.softmax_backward(h, dh)
    if isinstance(g, CustomActivation):
        _, backward = g.found[z.dtype.name]
        flat = (one.reshape(-1) for one in (z, h, dh))
        return custom_checks.backward_of(backward, z.dtype.name)(*flat).reshape(z.shape)
    return kernels.activation_backward(h, dh, activation=g.word, parameter=g.parameter())


class Affine(Passage):
    """z = x W + b, h = g(z); W may be thinned first, as DropConnect does, or have a mask, as that of Dense may."""

    def forward(self) -> list[Named]:
        """Return W' where W is thinned, z and h."""
        at, lines = self.place, []
        self._weight = at.learned["weight"]
        bias = at.learned.get("bias")
        name = "W"
        if isinstance(at.layer, layers.DropConnect):
            self._weight = self._thinned(self._weight)
            name = "W'"
            lines.append(Named("thinned", written("W' = W ⊙ mask · s", r"W' = s\, W \odot \text{mask}"), self._weight))
        plus = " + b" if bias is not None else ""
        self._z = at.kernels.matmul(at.x, self._weight, bias=bias)
        lines.append(Named("z", written(f"z = x {name}{plus}", f"z = x\\, {name}{plus}"), self._z))
        return [*lines, self._last(self._z)]

    def _last(self, z: Array) -> Named:
        g = self.place.layer.activation_function()
        self.h = activated(self.place.kernels, g, z)
        return Named("h", equations.activation(g)[0], self.h)

    def _thinned(self, w: Array) -> Array:
        """Return s w where the mask keeps, else 0: the mask of this step."""
        layer = self.place.layer
        rate = dropped_share(layer.rate, layer.keep_prob)
        scale = 1.0 if layer.variant == "classic" else 1 / (1 - rate)
        return self.place.kernels.dropout(w, rate=rate, scale=scale, **self.place.stream())

    def _delta(self, dh: Array) -> Named:
        g = self.place.layer.activation_function()
        return Named("delta", equations.delta(g), by_z(self.place.kernels, g, self._z, self.h, dh))

    def backward(self, dh: Array) -> list[Named]:
        """Return δ and the gradients of W and b."""
        at = self.place
        line = self._delta(dh)
        self._dz = line.value
        lines = [line]
        if at.frozen:
            return lines
        weight = at.kernels.matmul(at.x, self._dz, transpose_a=True)
        text, latex = "∂J/∂W = xᵀ δ", r"\D{W} = x^\top \delta"
        if isinstance(at.layer, layers.DropConnect):
            weight, text, latex = self._thinned(weight), text + " ⊙ mask · s", latex + r" \odot \text{mask}\, s"
        mask = at.layer.is_connected("weight")
        if mask is not None:
            weight = at.kernels.multiply(weight, mask.astype(weight.dtype))
            text, latex = text + " ⊙ M", latex + r" \odot M"
        lines.append(Named("weight.gradient", written(text, latex), weight))
        if "bias" in at.learned:
            equation = written("∂J/∂b = Σ over rows of δ", r"\D{b} = \sum_{\text{rows}} \delta")
            lines.append(Named("bias.gradient", equation, at.kernels.column_sum(self._dz)))
        return lines

    def input_gradient(self) -> Named:
        """Return dx = δ Wᵀ."""
        equation = TIMES_WEIGHT
        if isinstance(self.place.layer, layers.DropConnect):
            equation = written(equation.text.replace("W", "W'"), equation.latex.replace("W", "W'"))
        return Named("dx", equation, self.place.kernels.matmul(self._dz, self._weight, transpose_b=True))


class Maxout(Affine):
    """z = x W + b, h_j = the greatest of the pieces of unit j."""

    def _last(self, z: Array) -> Named:
        self.h = self.place.kernels.max_pieces_forward(z, pieces=self.place.layer.pieces)
        return Named("h", written("h_j = max_k z_(k units + j)", r"h_j = \max_k z_{k \cdot \text{units} + j}"), self.h)

    def _delta(self, dh: Array) -> Named:
        equation = written(
            "δ = ∂J/∂h at the greatest piece, else 0",
            r"\delta = \D{h} \text{ at the greatest piece, else } 0",
        )
        return Named("delta", equation, self.place.kernels.max_pieces_backward(self._z, dh))


class OfEachNumber(Passage):
    """h = g(x): an activation that stands alone."""

    def forward(self) -> list[Named]:
        """Return z, which is x, and h."""
        at = self.place
        g = at.layer.activation_function()
        self.h = activated(at.kernels, g, at.x)
        return [Named("z", written("z = x", "z = x"), at.x), Named("h", equations.activation(g)[0], self.h)]

    def backward(self, dh: Array) -> list[Named]:
        """Return δ."""
        g = self.place.layer.activation_function()
        self._dz = by_z(self.place.kernels, g, self.place.x, self.h, dh)
        return [Named("delta", equations.delta(g), self._dz)]

    def input_gradient(self) -> Named:
        """Return dx = δ."""
        return Named("dx", written("∂J/∂x = δ", r"\D{x} = \delta"), self._dz)


class BatchNorm(Passage):
    """Each column brought to mean 0 and variance 1, then scaled and shifted."""

    def forward(self) -> list[Named]:
        """Return mu, s2, xhat and h."""
        at = self.place
        a = at.learned
        if at.frozen:
            self._mean, self._variance = a["running_mean"], a["running_variance"]
            mean = written("μ = running mean (frozen)", r"\mu = \text{running mean (frozen)}")
            variance = written("σ² = running variance (frozen)", r"\sigma^2 = \text{running variance (frozen)}")
        else:
            self._mean, self._variance = at.kernels.column_moments(at.x)
            mean = written("μ = 1/B Σ x", r"\mu = \frac{1}{B} \sum x")
            variance = written("σ² = 1/B Σ (x - μ)²", r"\sigma^2 = \frac{1}{B} \sum (x - \mu)^2")
        ones, zeros = np.ones_like(self._mean), np.zeros_like(self._mean)
        xhat = self._normalized(ones, zeros)
        self.h = self._normalized(a["gamma"], a["beta"])
        return [
            Named("mean", mean, self._mean),
            Named("variance", variance, self._variance),
            Named(
                "xhat",
                written("x̂ = (x - μ) / sqrt(σ² + ε)", r"\hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}}"),
                xhat,
            ),
            Named("h", written("h = γ x̂ + β", r"h = \gamma\, \hat x + \beta"), self.h),
        ]

    def _normalized(self, gamma: Array, beta: Array) -> Array:
        at = self.place
        return at.kernels.normalize_forward(at.x, self._mean, self._variance, gamma, beta, epsilon=at.layer.eps)

    def backward(self, dh: Array) -> list[Named]:
        """Return the gradients of gamma and beta."""
        at = self.place
        self._dx, gamma, beta = at.kernels.normalize_backward(
            at.x, self._mean, self._variance, at.learned["gamma"], dh, epsilon=at.layer.eps, moments_of_x=not at.frozen
        )
        if at.frozen:
            return []
        return [
            Named(
                "gamma.gradient",
                written(
                    "∂J/∂γ = Σ over rows of ∂J/∂h ⊙ x̂",
                    r"\D{\gamma} = \sum_{\text{rows}} \D{h} \odot \hat x",
                ),
                gamma,
            ),
            Named(
                "beta.gradient",
                written(
                    "∂J/∂β = Σ over rows of ∂J/∂h",
                    r"\D{\beta} = \sum_{\text{rows}} \D{h}",
                ),
                beta,
            ),
        ]

    def input_gradient(self) -> Named:
        """Return dx."""
        if self.place.frozen:
            equation = written(
                "∂J/∂x = γ / sqrt(σ² + ε) ∂J/∂h",
                r"\D{x} = \frac{\gamma}{\sqrt{\sigma^2 + \varepsilon}} \D{h}",
            )
        else:
            equation = written(
                "∂J/∂x = γ / sqrt(σ² + ε) (∂J/∂h - ∂J/∂β / B - x̂ ∂J/∂γ / B)",
                r"\D{x} = \frac{\gamma}{\sqrt{\sigma^2 + \varepsilon}} "
                r"\Bigl(\D{h} - \frac{1}{B} \D{\beta} - \frac{\hat x}{B} \D{\gamma}\Bigr)",
            )
        return Named("dx", equation, self._dx)


class Standardize(Passage):
    """h = (x - mean) / scale, by figures that were measured once."""

    def forward(self) -> list[Named]:
        """Return h."""
        at = self.place
        mean, inverse = at.learned["mean"], at.learned["inverse_scale"]
        # As the layer has it: a normalization whose variance divides by 1, scaled by 1 / scale.
        ones, zeros = np.ones_like(mean), np.zeros_like(mean)
        self.h = at.kernels.normalize_forward(at.x, mean, ones, inverse, zeros, epsilon=0.0)
        return [Named("h", written("h = (x - mean) / scale", r"h = \frac{x - \text{mean}}{\text{scale}}"), self.h)]

    def backward(self, dh: Array) -> list[Named]:
        """Return nothing: nothing learns here."""
        self._dh = dh
        return []

    def input_gradient(self) -> Named:
        """Return dx."""
        equation = written(
            "∂J/∂x = ∂J/∂h / scale",
            r"\D{x} = \frac{1}{\text{scale}} \D{h}",
        )
        return Named("dx", equation, self._dh * self.place.learned["inverse_scale"])


class Dropout(Passage):
    """h = x with some of it switched off."""

    def _thinned(self, x: Array) -> Array:
        at, layer = self.place, self.place.layer
        rate = dropped_share(layer.rate, layer.keep_prob)
        width = x.shape[1]
        count = round(rate * width) if layer.variant == "fixed_count" else -1
        self._scale = 1.0 if layer.variant == "classic" else 1 / (1 - (rate if count < 0 else count / width))
        same = layer.per == "batch"
        return at.kernels.dropout(x, rate=rate, count=count, same=same, scale=self._scale, **at.stream())

    def forward(self) -> list[Named]:
        """Return the mask, times its factor, and h."""
        self._mask = self._thinned(np.ones_like(self.place.x))
        self.h = self._thinned(self.place.x)
        scale = f"{self._scale:.6g}"
        return [
            Named(
                "mask",
                written(f"m = {scale} where kept, else 0", rf"m = {scale} \text{{ where kept, else }} 0"),
                self._mask,
            ),
            Named("h", written("h = x ⊙ m", r"h = x \odot m"), self.h),
        ]

    def backward(self, dh: Array) -> list[Named]:
        """Return nothing: nothing learns here."""
        self._dx = self._thinned(dh)
        return []

    def input_gradient(self) -> Named:
        """Return dx."""
        return Named(
            "dx",
            written("∂J/∂x = ∂J/∂h ⊙ m", r"\D{x} = \D{h} \odot m"),
            self._dx,
        )


class GaussianNoise(Passage):
    """h = x + noise."""

    def forward(self) -> list[Named]:
        """Return h."""
        at = self.place
        std = f"{at.layer.std:g}"
        self.h = at.kernels.add_noise(at.x, deviation=at.layer.std, **at.stream())
        return [Named("h", written(f"h = x + {std} N(0, 1)", rf"h = x + {std}\, N(0, 1)"), self.h)]

    def backward(self, dh: Array) -> list[Named]:
        """Return nothing: nothing learns here."""
        self._dh = dh
        return []

    def input_gradient(self) -> Named:
        """Return dx, which is dh."""
        return Named("dx", written("∂J/∂x = ∂J/∂h", r"\D{x} = \D{h}"), self._dh)


class OfNativeCode(Passage):
    """h = f(x; w) by functions of one's own, which see a row at a time and say nothing of what lies between.

    They are asked as a network of two layers, of which the first, x I + 0, changes nothing.
    """

    def forward(self) -> list[Named]:
        """Return h."""
        at = self.place
        inputs = at.x.shape[1]
        self._net = Network([layers.Dense(inputs), at.layer], inputs=inputs, dtype=at.x.dtype)
        same = {"0.weight": np.eye(inputs), "0.bias": np.zeros(inputs)}
        self._net.load_state_dict({**same, **{f"1.{name}": array for name, array in at.learned.items()}})
        self.h = self._net.core.forward(at.x, True)
        name = at.layer.label()
        return [Named("h", written(f"h = {name}(x; w)", rf"h = \text{{{name.replace('_', ' ')}}}(x; w)"), self.h)]

    def _gradients(self, x: Array, dh: Array) -> dict[str, Array]:
        self._net.core.zero_grad()
        self._net.core.forward(x, True)
        self._net.core.backward(dh)
        return self._net.gradients()

    def backward(self, dh: Array) -> list[Named]:
        """Return the gradient of what it learns, if it learns something."""
        self._dh = dh
        if self.place.frozen or not self.place.learned:
            return []
        gradient = self._gradients(self.place.x, dh)["1.parameter"].copy()
        equation = written("∂J/∂w, by its own way back", r"\D{w} \text{, by its own way back}")
        return [Named("parameter.gradient", equation, gradient)]

    def input_gradient(self) -> Named:
        """Return dx: of a batch of one row it is the gradient by the bias of the first layer."""
        x, dh = self.place.x, self._dh
        dx = np.array([self._gradients(x[i : i + 1], dh[i : i + 1])["0.bias"].copy() for i in range(len(x))])
        equation = written("∂J/∂x, by its own way back", r"\D{x} \text{, by its own way back}")
        return Named("dx", equation, dx)


PASSAGES: dict[type[Layer], type[Passage]] = {
    layers.Dense: Affine,
    layers.DropConnect: Affine,
    layers.Maxout: Maxout,
    layers.Activation: OfEachNumber,
    layers.BatchNorm: BatchNorm,
    layers.Standardize: Standardize,
    layers.Dropout: Dropout,
    layers.GaussianNoise: GaussianNoise,
    CustomLayer: OfNativeCode,
}
