"""The equations that a trace shows, as text and as LaTeX: of activations, losses and rules of updates.

Rows are samples, so that x and W stand transposed to how lectures [000] and [004] write them. What is written here is
what csrc/formulas/ computes; nothing here computes anything.
"""

from __future__ import annotations

import re
from functools import singledispatch
from typing import NamedTuple

from .. import activations, adaptive, custom, descent, losses, regression
from ..activations import ActivationFunction
from ..descent import Optimizer
from ..loss import Loss


class Equation(NamedTuple):
    """An equation in its two forms."""

    text: str
    latex: str


def written(text: str, latex: str) -> Equation:
    r"""Return an equation whose LaTeX has \D{x} for the gradient of J by x."""
    return Equation(text, latex.replace(r"\D{", r"\frac{\partial J}{\partial "))


def cases(then: str, condition: str, otherwise: str) -> str:
    """Return LaTeX of a value that depends on a condition."""
    return rf"\begin{{cases}} {then} & {condition} \\ {otherwise} & \text{{else}} \end{{cases}}"


# Activations: h = g(z), and g'(z), in terms of h where that is shorter ----------------------------------------------


@singledispatch
def activation(g: ActivationFunction) -> tuple[Equation, Equation]:
    """Return h = g(z) and g'(z)."""
    return Equation(f"h = {g.word}(z)", rf"h = \text{{{g.word}}}(z)"), Equation("g'(z)", "g'(z)")


@activation.register
def _(g: activations.Identity) -> tuple[Equation, Equation]:
    return Equation("h = z", "h = z"), Equation("1", "1")


@activation.register
def _(g: activations.Step) -> tuple[Equation, Equation]:
    taken = "1 (straight through)" if g.straight_through else "0"
    latex = r"1 \text{ (straight through)}" if g.straight_through else "0"
    return Equation("h = 1 if z >= 0 else 0", "h = " + cases("1", r"z \ge 0", "0")), Equation(taken, latex)


@activation.register
def _(g: activations.Sigmoid) -> tuple[Equation, Equation]:
    return Equation("h = 1 / (1 + exp(-z))", r"h = \frac{1}{1 + e^{-z}}"), Equation("h (1 - h)", "h (1 - h)")


@activation.register
def _(g: activations.Tanh) -> tuple[Equation, Equation]:
    return Equation("h = tanh(z)", r"h = \tanh z"), Equation("1 - h²", "1 - h^2")


@activation.register
def _(g: activations.ReLU) -> tuple[Equation, Equation]:
    return Equation("h = max(0, z)", r"h = \max(0, z)"), Equation("1 if z > 0 else 0", cases("1", "z > 0", "0"))


@activation.register
def _(g: activations.LeakyReLU) -> tuple[Equation, Equation]:
    low = f"{g.slope:g}"
    function = Equation(f"h = z if z > 0 else {low} z", "h = " + cases("z", "z > 0", rf"{low}\, z"))
    return function, Equation(f"1 if z > 0 else {low}", cases("1", "z > 0", low))


@activation.register
def _(g: activations.ELU) -> tuple[Equation, Equation]:
    a = f"{g.alpha:g}"
    function = Equation(f"h = z if z > 0 else {a} (exp(z) - 1)", "h = " + cases("z", "z > 0", rf"{a}\, (e^z - 1)"))
    return function, Equation(f"1 if z > 0 else h + {a}", cases("1", "z > 0", f"h + {a}"))


@activation.register
def _(g: activations.Softmax) -> tuple[Equation, Equation]:
    # Its derivative is a matrix for each row: the gradient is written as a whole, see `delta`.
    return Equation("h_i = exp(z_i) / Σ_j exp(z_j)", r"h_i = \frac{e^{z_i}}{\sum_j e^{z_j}}"), Equation("", "")


@activation.register
def _(g: custom.CustomActivation) -> tuple[Equation, Equation]:
    name, typeset = str(g.name), rf"\text{{{str(g.name).replace('_', ' ')}}}"
    return Equation(f"h = {name}(z)", f"h = {typeset}(z)"), Equation(f"{name}'(z)", f"{typeset}'(z)")


def delta(g: ActivationFunction) -> Equation:
    """Return δ, the gradient by z, from that by h."""
    if isinstance(g, activations.Softmax):
        return written(
            "δ_i = h_i (∂J/∂h_i - Σ_j h_j ∂J/∂h_j)", r"\delta_i = h_i \bigl(\D{h_i} - \sum_j h_j \D{h_j}\bigr)"
        )
    slope = activation(g)[1]
    return written(
        f"δ = ∂J/∂h ⊙ g'(z),  g'(z) = {slope.text}", rf"\delta = \D{{h}} \odot g'(z), \quad g'(z) = {slope.latex}"
    )


# Losses: J, and its gradient by the output p -------------------------------------------------------------------------


def divisor(loss: Loss) -> Equation:
    """Return what stands in front of the sum over rows and outputs."""
    reduction = getattr(loss, "reduction", "mean")
    if reduction == "sum":
        return Equation("", "")
    if reduction == "mean_rows" or isinstance(loss, losses.CrossEntropy):
        return Equation("1/B ", r"\frac{1}{B} ")
    return Equation("1/(B K) ", r"\frac{1}{B K} ")


def of_sum(loss: Loss, term: Equation, slope: Equation) -> tuple[Equation, Equation]:
    """Return J and ∂J/∂p of a loss that adds a term of each number."""
    front = divisor(loss)
    if not front.text:
        slope = Equation(*(one[1:-1] if one.startswith("(") and one.endswith(")") else one for one in slope))
    value = Equation(f"J = {front.text}Σ {term.text}", rf"J = {front.latex}\sum {term.latex}")
    gradient = Equation(
        f"∂J/∂p = {front.text}{slope.text}", rf"\frac{{\partial J}}{{\partial p}} = {front.latex}{slope.latex}"
    )
    return value, gradient


@singledispatch
def loss(one: Loss) -> tuple[Equation, Equation]:
    """Return J and ∂J/∂p, p (B, K) the output and y the targets."""
    return Equation(f"J = {one.word}(p, y)", rf"J = \text{{{one.word}}}(p, y)"), Equation(
        "∂J/∂p", r"\frac{\partial J}{\partial p}"
    )


@loss.register
def _(one: regression.MeanSquaredError) -> tuple[Equation, Equation]:
    if one.half:
        return of_sum(one, Equation("1/2 (p - y)²", r"\tfrac12 (p - y)^2"), Equation("(p - y)", "(p - y)"))
    return of_sum(one, Equation("(p - y)²", "(p - y)^2"), Equation("2 (p - y)", "2 (p - y)"))


@loss.register
def _(one: regression.MeanAbsoluteError) -> tuple[Equation, Equation]:
    return of_sum(one, Equation("|p - y|", "|p - y|"), Equation("sign(p - y)", r"\operatorname{sign}(p - y)"))


@loss.register
def _(one: regression.Huber) -> tuple[Equation, Equation]:
    d = f"{one.delta:g}"
    term = Equation(
        f"(d²/2 if |d| <= {d} else {d} (|d| - {d}/2)),  d = p - y",
        cases(r"\tfrac12 d^2", rf"|d| \le {d}", rf"{d}\, (|d| - \tfrac{{{d}}}{{2}})") + r",\; d = p - y",
    )
    slope = Equation(f"min(max(p - y, -{d}), {d})", rf"\min(\max(p - y, -{d}), {d})")
    return of_sum(one, term, slope)


@loss.register
def _(one: regression.Pinball) -> tuple[Equation, Equation]:
    q, rest = f"{one.quantile:g}", f"{1 - one.quantile:g}"
    term = Equation(
        f"({q} (y - p) if y > p else {rest} (p - y))", cases(rf"{q}\, (y - p)", "y > p", rf"{rest}\, (p - y)")
    )
    slope = Equation(f"(-{q} if y > p, {rest} if y < p)", cases(f"-{q}", "y > p", rf"{rest}\; (0 \text{{ at }} y = p)"))
    return of_sum(one, term, slope)


@loss.register
def _(one: regression.Poisson) -> tuple[Equation, Equation]:
    if one.from_log:
        return of_sum(one, Equation("(exp(p) - y p)", "(e^p - y p)"), Equation("(exp(p) - y)", "(e^p - y)"))
    return of_sum(
        one, Equation("(p - y log p)", r"(p - y \log p)"), Equation("(1 - y / p)", r"\Bigl(1 - \frac{y}{p}\Bigr)")
    )


@loss.register
def _(one: losses.CrossEntropy) -> tuple[Equation, Equation]:
    y = "y'" if one.label_smoothing else "y"
    if one.from_logits:
        return of_sum(one, Equation(f"-{y} log f", rf"-{y} \log f"), Equation(f"(f - {y})", f"(f - {y})"))
    return of_sum(
        one, Equation(f"-{y} log p", rf"-{y} \log p"), Equation(f"(-{y} / p)", rf"\Bigl(-\frac{{{y}}}{{p}}\Bigr)")
    )


@loss.register
def _(one: losses.BinaryCrossEntropy) -> tuple[Equation, Equation]:
    y = "y'" if one.label_smoothing else "y"
    f = "f" if one.from_logits else "p"
    term = Equation(f"-({y} log {f} + (1 - {y}) log(1 - {f}))", rf"-\bigl({y} \log {f} + (1 - {y}) \log(1 - {f})\bigr)")
    if one.from_logits:
        return of_sum(one, term, Equation(f"(f - {y})", f"(f - {y})"))
    return of_sum(one, term, Equation(f"(p - {y}) / (p (1 - p))", rf"\frac{{p - {y}}}{{p (1 - p)}}"))


SOFTMAX = Equation("f = softmax(p),  f_i = exp(p_i) / Σ_j exp(p_j)", r"f_i = \frac{e^{p_i}}{\sum_j e^{p_j}}")
SIGMOID = Equation("f = 1 / (1 + exp(-p))", r"f = \frac{1}{1 + e^{-p}}")


def smoothed(one: losses.CrossEntropy | losses.BinaryCrossEntropy) -> Equation:
    """Return what label smoothing makes of the targets."""
    eps, parts = f"{one.label_smoothing:g}", "K" if isinstance(one, losses.CrossEntropy) else "2"
    return Equation(f"y' = (1 - {eps}) y + {eps} / {parts}", rf"y' = (1 - {eps})\, y + \frac{{{eps}}}{{{parts}}}")


# Updates: what becomes of each state, and of w; g is the gradient by w -----------------------------------------------

Rules = list[tuple[str, Equation]]  # the name of a state, and how it follows; "" for w itself


@singledispatch
def update(rule: Optimizer) -> Rules:
    """Return the states of an optimizer in the engine's order, with their equations, and that of w."""
    return [("", Equation(f"w ← {rule.word}(w, g)", rf"w \leftarrow \text{{{rule.word}}}(w, g)"))]


def mean_of(name: str, decay: str, of: str) -> Equation:
    """Return the equation of a running mean; `decay` is a number or the name of one."""
    return Equation(
        f"{name} ← {decay} {name} + (1 - {decay}) {of}",
        rf"{name} \leftarrow {decay}\, {name} + (1 - {decay})\, {of.replace('²', '^2')}",
    )


def divided(numerator: str, root: str, inside: bool) -> Equation:
    """Return w - lr numerator / root, ε in it or behind."""
    below = f"sqrt({root} + ε)" if inside else f"(sqrt({root}) + ε)"
    above = numerator.replace("_(t+1)", "_{t+1}")
    latex = rf"\sqrt{{{root} + \varepsilon}}" if inside else rf"\sqrt{{{root}}} + \varepsilon"
    return Equation(f"w ← w - lr {numerator} / {below}", rf"w \leftarrow w - \eta\, \frac{{{above}}}{{{latex}}}")


@update.register
def _(rule: descent.SGD) -> Rules:
    return [("", Equation("w ← w - lr g", r"w \leftarrow w - \eta\, g"))]


@update.register
def _(rule: descent.Momentum) -> Rules:
    beta = f"{rule.beta:g}"
    memory = mean_of("v", beta, "g")
    if rule.style == "torch_dampening":
        memory = Equation(memory.text + "  (v = g in the first step)", memory.latex + r"\quad (v = g \text{ at first})")
    elif rule.style != "ema":
        memory = Equation(f"v ← {beta} v + g", rf"v \leftarrow {beta}\, v + g")
    if rule.style == "nesterov":
        return [
            ("v", memory),
            ("", Equation(f"w ← w - lr (g + {beta} v)", rf"w \leftarrow w - \eta\, (g + {beta}\, v)")),
        ]
    return [("v", memory), ("", Equation("w ← w - lr v", r"w \leftarrow w - \eta\, v"))]


@update.register
def _(rule: adaptive.AdaGrad) -> Rules:
    return [("s", Equation("s ← s + g²", r"s \leftarrow s + g^2")), ("", divided("g", "s", rule.eps_inside_sqrt))]


@update.register
def _(rule: adaptive.AdaDelta) -> Rules:
    rho = f"{rule.rho:g}"
    step = Equation(
        "w ← w - lr d,  d = sqrt(u + ε) / sqrt(s + ε) g, u that of before",
        r"w \leftarrow w - \eta\, d, \quad d = \frac{\sqrt{u_\text{before} + \varepsilon}}{\sqrt{s + \varepsilon}}\, g",
    )
    return [("s", mean_of("s", rho, "g²")), ("u", mean_of("u", rho, "d²")), ("", step)]


@update.register
def _(rule: adaptive.RMSprop) -> Rules:
    beta = f"{rule.beta:g}"
    root = f"s / (1 - {beta}^t)" if rule.bias_correction else "s"
    return [("s", mean_of("s", beta, "g²")), ("", divided("g", root, rule.eps_inside_sqrt))]


@update.register
def _(rule: adaptive.Rprop) -> Rules:
    signs = Equation(
        "b ← g, but 0 where g's sign has changed", r"b \leftarrow g \text{, but } 0 \text{ where its sign has changed}"
    )
    size = Equation(
        f"d ← {rule.grow:g} d where g and b agree in sign, {rule.shrink:g} d where they differ",
        rf"d \leftarrow {rule.grow:g}\, d \text{{ where }} g b > 0, \quad {rule.shrink:g}\, d \text{{ where }} g b < 0",
    )
    return [
        ("b", signs),
        ("d", size),
        ("", Equation("w ← w - lr d sign(b)", r"w \leftarrow w - \eta\, d \operatorname{sign}(b)")),
    ]


@update.register
def _(rule: adaptive.Adam) -> Rules:
    b1, b2 = f"{rule.beta1:g}", f"{rule.beta2:g}"
    v, s = (f"v / (1 - {b1}^t)", f"s / (1 - {b2}^t)") if rule.bias_correction else ("v", "s")
    numerator = f"({v})" if rule.bias_correction else v
    memories = [("v", mean_of("v", b1, "g")), ("s", mean_of("s", b2, "g²"))]
    if isinstance(rule, adaptive.AMSGrad):
        greatest = ("S", Equation("S ← max(S, s)", r"S \leftarrow \max(S, s)"))
        return [*memories, greatest, ("", divided(numerator, s.replace("s", "S", 1), rule.eps_inside_sqrt))]
    if isinstance(rule, adaptive.NAdam):
        numerator = (
            "(m_(t+1) v / (1 - P_(t+1)) + (1 - m_t) g / (1 - P_t))"
            if rule.bias_correction
            else "(m_(t+1) v + (1 - m_t) g)"
        )
    return [*memories, ("", divided(numerator, s, rule.eps_inside_sqrt))]


def of_parameter(equation: Equation, symbol: Equation) -> Equation:
    """Return an equation of w as one of W, b, γ, ..."""
    alone = r"(?<![A-Za-z\\])w(?![A-Za-z])"
    text = re.sub(alone, symbol.text, equation.text)
    return Equation(text, re.sub(alone, symbol.latex.replace("\\", r"\\"), equation.latex))


def decay(factor: float) -> Equation:
    """Return decoupled weight decay, which comes before the rule."""
    return Equation(f"w ← w - lr {factor:g} w", rf"w \leftarrow w - \eta\, {factor:g}\, w")
