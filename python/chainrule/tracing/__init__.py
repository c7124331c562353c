"""Trace: one training step with every number that it computes, and the equation of each.

::

    forward     z = x W + b,   h = g(z)                                      layer by layer
    loss        J,   ∂J/∂p                                                   p the output
    backward    δ = ∂J/∂h ⊙ g'(z),   ∂J/∂W = xᵀ δ,   ∂J/∂x = δ Wᵀ             last layer to first
    update      v, s, ... and the new w                                      every parameter

Lectures [000] and [004] (BP-1 of the course) write the same with samples as columns. The step itself is that of the
loop by hand; the lines beside it come from the engine's operations one by one (passes.py). How a trace looks is said in
view.py. Penalties are not in it: their part of the gradient is added between backward and update.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import checks, losses, optimizers, sparse
from ..losses import BinaryCrossEntropy, CrossEntropy
from . import equations, view
from .equations import Equation
from .passes import PASSAGES, Named, Passage, Place

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..descent import Optimizer
    from ..loss import Loss
    from ..network import Network

    Array = npt.NDArray[Any]

STAGES = ("forward", "loss", "backward", "update")


class Line(NamedTuple):
    """One line of a trace.

    Attributes
    ----------
    stage : {"forward", "loss", "backward", "update"}
    layer : int or None
        Number of the layer; None for the loss.
    name : str
        What it is: "z", "h", "delta", "weight.gradient", "weight.v", "weight.new", ...
    equation : str
        How it comes about, as text.
    latex : str
        The same as LaTeX.
    value : array
        The numbers, read-only; of the network's dtype, but for J, a float64 of shape ().
    """

    stage: str
    layer: int | None
    name: str
    equation: str
    latex: str
    value: Array

    @property
    def key(self) -> str:
        """The name by which `Trace` finds the value: "0.z", "0.weight.gradient", "J"."""
        return self.name if self.layer is None else f"{self.layer}.{self.name}"


class Trace(Mapping[str, "npt.NDArray[Any]"]):
    """What one step computed: a mapping from names to arrays, which prints as text and shows as HTML in a notebook.

    Names are "x" and "y", the batch; for layer k "k.z", "k.h", "k.delta" (∂J/∂z), "k.dh" (∂J/∂h),
    "k.weight.gradient", "k.weight.v" (a state of the optimizer), "k.weight.new", and what else the layer has; "p" (the
    output), "J" and "dp" of the loss. Arrays are copies that cannot be written.

    Attributes
    ----------
    lines : tuple of Line
        Every line, in the order of the step.
    labels : tuple of str
        What the layers are, by number.
    loss : float
        J, before the update.
    rule : str
        The optimizer with its options; "" where there was none.
    """

    def __init__(self, lines: tuple[Line, ...], labels: tuple[str, ...], rule: str) -> None:
        self.lines, self.labels, self.rule = lines, labels, rule
        self._values = {line.key: line.value for line in lines}
        self.loss = float(self._values["J"])

    def __getitem__(self, key: str) -> Array:
        """Return an array by name; KeyError lists the names."""
        if key not in self._values:
            raise KeyError(f"there is no {key!r}; there are {', '.join(self._values)}")
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, in the order of the step."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return the number of arrays."""
        return len(self._values)

    def text(self, digits: int = 4) -> str:
        """Return the step as text, an equation with its numbers a line.

        Parameters
        ----------
        digits : int, default 4
            Significant digits, from 1 to 17.

        Returns
        -------
        str
            Several lines; large arrays are shortened.
        """
        return view.text(self, checks.whole("digits", digits, least=1, most=17))

    def latex(self, digits: int = 4) -> str:
        """Return the step as LaTeX: an align* of equations, each with its numbers.

        Parameters
        ----------
        digits : int, default 4
            Significant digits, from 1 to 17.

        Returns
        -------
        str
            For `amsmath`.
        """
        return view.latex(self, checks.whole("digits", digits, least=1, most=17))

    def __str__(self) -> str:
        """Return the step as text."""
        return self.text()

    def __repr__(self) -> str:
        """Return what it is, in a line."""
        return f"<Trace of {len(self.labels)} layers, {len(self['x'])} rows, J = {self.loss:.6g}>"

    def _repr_html_(self) -> str:
        """Return the step for a notebook."""
        return view.html(self, 4)


def trace(
    net: Network,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    loss: str | Loss,
    optimizer: str | Optimizer | None = None,
    *,
    epoch: float | None = None,
) -> Trace:
    """Run one training step and return every number that it computes, each with its equation.

    It is the step of the loop by hand: `loss(net(X, training=True), y)`, backward, `optimizer.step(net)`. The network
    has the new parameters afterwards, and the optimizer its new state, so that steps can be traced one after the other.
    Gradients are those of this batch alone. Equations are those of lectures [000] and [004] (BP-1), with samples as
    rows.

    Parameters
    ----------
    net : Network
        On the CPU.
    X : array of shape (B, inputs)
        The batch, B at least 1.
    y : array
        Targets, as the loss takes them.
    loss : str or Loss
        What is differentiated.
    optimizer : str or Optimizer, optional
        None: no update, the network keeps its parameters.
    epoch : float, optional
        How many epochs are over, where the learning rate depends on it, as for `Optimizer.step`.

    Returns
    -------
    Trace
        Every array by name, and the equations; it prints as text, and a notebook shows it.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit; then parameters, statistics and masks are as they were.
    RuntimeError
        If the optimizer has stepped another network before, or a `Standardize` has not been measured.

    Examples
    --------
    The exercise of lecture [002]: two weights, three rows, squared error.

    >>> import chainrule as cr
    >>> net = cr.Network([cr.Dense(1, bias=False)], inputs=2, dtype="float64")
    >>> net.load_state_dict({"0.weight": [[1.0], [0.5]]})
    >>> loss = cr.MeanSquaredError(reduction="sum", half=True)
    >>> step = cr.trace(net, [[1, 2], [-2, 5], [0, 1]], [1, 6, 1], loss, cr.SGD(0.01))
    >>> step.loss
    15.75
    >>> step["0.weight.gradient"].ravel(), step["0.weight.new"].ravel()
    (array([ 12., -26.]), array([0.88, 0.76]))
    """
    checks.network("net", net)
    if net.device != "cpu":
        raise ValueError(f'net must be on the CPU; it is on "{net.device}": trace(net.to("cpu"), ...)')
    if sparse.is_sparse(X):
        raise TypeError("X must be an array: a trace shows what happens to each number, those of 0 too")
    for number, layer in enumerate(net.layers):
        if type(layer) not in PASSAGES:
            raise TypeError(f"layers[{number}] is a {layer.label()}, which trace does not know")
    by = losses.resolve("loss", loss)
    rule = None if optimizer is None else optimizers.resolve("optimizer", optimizer)
    x = np.array(sparse.or_dense("X", X, net))
    before, masks = net.state_dict(), net.core.steps
    walk = Walk(net, x, before, masks)
    try:
        value = by(net(x, training=True), y)
        walk.forward()
        walk.judge(by, y)
        net.zero_grad()
        value.backward()
        walk.backward()
        if rule is not None:
            rule.step(net, epoch)
    except BaseException:  # statistics and masks have gone on with the forward pass
        net.load_state_dict(before)
        net.core.steps = masks
        raise
    if rule is not None:
        walk.update(rule)
    return Trace(tuple(walk.lines), tuple(layer.label() for layer in net.layers), "" if rule is None else repr(rule))


class Walk:
    """The lines of a step as they come, with what one stage hands to the next."""

    def __init__(self, net: Network, x: Array, before: Mapping[str, Array], masks: int) -> None:
        self._net, self._before, self._masks = net, before, masks
        self._kernels = net.engine.Kernels(threads=1)
        self.lines: list[Line] = []
        self._add("forward", None, Named("x", Equation("x, the batch", "x"), x))
        self._passages: list[Passage] = []

    def _add(self, stage: str, layer: int | None, named: Named) -> None:
        value = np.array(named.value)
        value.setflags(write=False)
        self.lines.append(Line(stage, layer, named.name, *named.equation, value))

    def forward(self) -> None:
        """Go through the layers."""
        h = self.lines[0].value
        for number, layer in enumerate(self._net.layers):
            start = f"{number}."
            learned = {name[len(start) :]: a for name, a in self._before.items() if name.startswith(start)}
            frozen = number in self._net.frozen
            place = Place(layer, number, self._kernels, h, learned, self._net.seed, self._masks, frozen)
            passage = PASSAGES[type(layer)](place)
            for name, array in learned.items():
                self._add(
                    "forward",
                    number,
                    Named(name, Equation(f"{symbol(name).text}, as it is", symbol(name).latex), array),
                )
            for line in passage.forward():
                self._add("forward", number, line)
            self._passages.append(passage)
            h = passage.h
        self._p = h

    def judge(self, loss: Loss, y: npt.ArrayLike) -> None:
        """Come to the loss, and its gradient by the output."""
        p = self._p
        targets = loss.targets("y", y, len(p), p.shape[1], p.dtype)
        value, self._dp = loss.build(self._net.engine).value(p, targets, None)
        j, dp = equations.loss(loss)
        self._add("loss", None, Named("y", Equation("y, the targets", "y"), targets))
        self._add("loss", None, Named("p", Equation("p = h of the last layer", r"p = h_\text{last}"), p))
        if isinstance(loss, (CrossEntropy, BinaryCrossEntropy)):
            if loss.label_smoothing:
                parts = p.shape[1] if isinstance(loss, CrossEntropy) else 2
                shares = np.eye(p.shape[1], dtype=p.dtype)[targets] if targets.ndim == 1 else targets
                smooth = (1 - loss.label_smoothing) * shares + loss.label_smoothing / parts
                self._add("loss", None, Named("y'", equations.smoothed(loss), smooth.astype(p.dtype)))
            if loss.from_logits:
                one_of_many = isinstance(loss, CrossEntropy)
                f = (
                    self._kernels.softmax_forward(p)
                    if one_of_many
                    else self._kernels.activation_forward(p, activation="sigmoid")
                )
                self._add("loss", None, Named("f", equations.SOFTMAX if one_of_many else equations.SIGMOID, f))
        self._add("loss", None, Named("J", j, np.array(value, np.float64)))
        self._add("loss", None, Named("dp", dp, self._dp))

    def backward(self) -> None:
        """Go back through the layers, down to the lowest that learns."""
        learning = [
            number
            for number, layer in enumerate(self._net.layers)
            if number not in self._net.frozen and any(name.startswith(f"{number}.") for name in self._net.parameters())
        ]
        dh = self._dp
        for number in range(len(self._passages) - 1, min(learning, default=len(self._passages)) - 1, -1):
            passage = self._passages[number]
            same = "∂J/∂h = ∂J/∂p" if number == len(self._passages) - 1 else "∂J/∂h = ∂J/∂x of the layer above"
            latex = r"\frac{\partial J}{\partial h}"
            self._add("backward", number, Named("dh", Equation(same, latex), dh))
            for line in passage.backward(dh):
                self._add("backward", number, line)
            if number > min(learning):
                line = passage.input_gradient()
                self._add("backward", number, line)
                dh = line.value

    def update(self, rule: Optimizer) -> None:
        """Write down what the optimizer has made of the gradients, which is done already."""
        states, core = equations.update(rule), rule.state_of(self._net)
        arena = self._net.core.arena()
        clipped = rule.clip_norm is not None or rule.clip_value is not None
        gradients = self._net.gradients()
        decay, of_all = rule.decoupled_decay()
        for name, new in self._net.parameters().items():
            number = int(name.partition(".")[0])
            if number in self._net.frozen:
                continue
            own = name.partition(".")[2]
            place = (new.__array_interface__["data"][0] - arena.__array_interface__["data"][0]) // arena.itemsize
            if clipped:
                equation = Equation("g: the gradient, clipped", r"g \text{, clipped}")
                self._add("update", number, Named(f"{own}.clipped", equation, gradients[name]))
            for (state, equation), array in zip(states, core.state(), strict=False):
                part = array[place : place + new.size].reshape(new.shape)
                self._add("update", number, Named(f"{own}.{state}", equation, part))
            last = states[-1][1]
            if decay and (of_all or own == "weight"):
                before = equations.decay(decay)
                last = Equation(f"{before.text},  then  {last.text}", rf"{before.latex}, \quad {last.latex}")
            self._add("update", number, Named(f"{own}.new", equations.of_parameter(last, symbol(own)), new))


SYMBOLS = {
    "weight": Equation("W", "W"),
    "bias": Equation("b", "b"),
    "gamma": Equation("γ", r"\gamma"),
    "beta": Equation("β", r"\beta"),
}


def symbol(name: str) -> Equation:
    """Return how a parameter or a statistic is written."""
    word = name.replace("_", " ")
    return SYMBOLS.get(name, Equation(word, rf"\text{{{word}}}"))
