"""cr.trace: the exercise of lecture [002] by exact fractions, and every line against the step that was really done."""

import re
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse

import chainrule as cr
from chainrule import activations, layers, losses, optimizers
from chainrule.tracing import equations
from chainrule.tracing.passes import PASSAGES

X = [[1, 2], [-2, 5], [0, 1]]
Y = [1, 6, 1]
HALF_SUM = cr.MeanSquaredError(reduction="sum", half=True)


def fractions(values):
    """Return the numbers as the fractions that they are nearest to."""
    return [Fraction(float(value)).limit_denominator(10**7) for value in np.ravel(values)]


def exercise(bias):
    """Return the network of the exercise: w = (1, 0.5), and w0 = 0 where it is a trained bias."""
    net = cr.Network([cr.Dense(1, bias=bias)], inputs=2, dtype="float64")
    state = {"0.weight": [[1.0], [0.5]]}
    net.load_state_dict({**state, "0.bias": [0.0]} if bias else state)
    return net


@pytest.mark.parametrize("bias", [False, True])
def test_the_batch_step_of_the_exercise_of_lecture_002(bias):
    net = exercise(bias)
    step = cr.trace(net, X, Y, HALF_SUM, cr.SGD(0.01))
    assert fractions(step["dp"]) == [1, Fraction(-11, 2), Fraction(-1, 2)]  # h - y
    assert fractions(step["J"]) == [Fraction(63, 4)]
    assert fractions(step["0.weight.gradient"]) == [12, -26]
    assert fractions(step["0.weight.new"]) == [Fraction(22, 25), Fraction(19, 25)]
    if bias:
        assert fractions(step["0.bias.gradient"]) == [-5]
        assert fractions(step["0.bias.new"]) == [Fraction(1, 20)]
    after = cr.trace(net, X, Y, HALF_SUM)
    assert after.loss == pytest.approx(float(Fraction(174267, 20000) if bias else Fraction(5531, 625)), rel=1e-14)


@pytest.mark.parametrize("bias", [False, True])
def test_the_stochastic_steps_of_the_exercise_of_lecture_002(bias):
    net, rule = exercise(bias), cr.SGD(0.01)
    errors, weights = [], []
    for row in range(3):
        step = cr.trace(net, X[row : row + 1], Y[row : row + 1], HALF_SUM, rule)
        errors.append(-float(step["dp"][0, 0]))
        weights.append(step["0.weight.new"].ravel())
    last = cr.trace(net, X, Y, HALF_SUM).loss
    if bias:
        np.testing.assert_allclose(errors, [-1, 5.59, 0.1946], rtol=1e-12)
        np.testing.assert_allclose(weights, [(0.99, 0.48), (0.8782, 0.7595), (0.8782, 0.761446)], rtol=1e-12)
        assert last == pytest.approx(float(Fraction(4339029955521, 5 * 10**11)), rel=1e-13)
    else:
        np.testing.assert_allclose(errors, [-1, 5.58, 0.241], rtol=1e-12)
        np.testing.assert_allclose(weights, [(0.99, 0.48), (0.8784, 0.759), (0.8784, 0.76141)], rtol=1e-12)
        assert last == pytest.approx(float(Fraction(17620867739, 2 * 10**9)), rel=1e-13)


def every_layer(dtype, rows=7):
    """Return a network of every kind of layer, with a batch for it."""
    connections = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1], [1, 1, 0, 1, 1], [1, 1, 1, 1, 1]])
    net = cr.Network(
        [
            cr.Standardize(),
            cr.Dense(4, bias=False),
            cr.BatchNorm(),
            cr.Activation("tanh"),
            cr.Dropout(rate=0.4),
            cr.Dense(5, activation=cr.ELU(), connections=connections),
            cr.Dropout(rate=0.4, variant="fixed_count"),
            cr.Maxout(3, pieces=2),
            cr.DropConnect(6, rate=0.3, activation="sigmoid"),
            cr.DropConnect(6, keep_prob=0.6, variant="classic", activation=cr.LeakyReLU(0.1)),
            cr.GaussianNoise(std=0.1),
            cr.Dropout(rate=0.2, variant="classic", per="batch"),
            cr.Dense(3),
        ],
        inputs=3,
        seed=3,
        dtype=dtype,
    )
    rng = np.random.default_rng(0)
    X = rng.normal(2, 3, (rows, 3))
    net.adapt(X)
    return net, X, rng.integers(0, 3, rows)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 7])
def test_every_line_is_what_the_step_computed(dtype, rows):
    net, X, y = every_layer(dtype, rows)
    twin = net.copy()
    steps = [cr.trace(net, X, y, "cross_entropy", rule) for rule in (cr.Adam(), cr.Adam())]

    rule, loss_fn = cr.Adam(), cr.CrossEntropy()
    for step in steps[:1]:  # the same step by hand
        twin.zero_grad()
        value = loss_fn(twin(X, training=True), y)
        value.backward()
        gradients = {name: gradient.copy() for name, gradient in twin.gradients().items()}
        outputs = twin.core.layer_outputs()
        rule.step(twin)
        assert step.loss == float(value)
        for number, output in enumerate(outputs):
            np.testing.assert_array_equal(step[f"{number}.h"], output, err_msg=step.labels[number])
        for name, gradient in gradients.items():
            np.testing.assert_array_equal(step[f"{name}.gradient"], gradient, err_msg=name)
        for name, parameter in twin.parameters().items():
            np.testing.assert_array_equal(step[f"{name}.new"], parameter, err_msg=name)
    assert not np.array_equal(steps[0]["4.mask"], steps[1]["4.mask"])  # drawn anew


def test_activations_and_losses_of_ones_own():
    def swish(z):
        return z / (1 + np.exp(-z))

    def swish_back(z, h, dh):
        s = 1 / (1 + np.exp(-z))
        return dh * (s + h * (1 - s))

    own = cr.Activation(cr.CustomActivation(swish, swish_back, name="my_swish"))
    loss = cr.CustomLoss(lambda p, y: (((p - y) ** 2).sum(axis=1), 2 * (p - y)), name="squares")
    net = cr.Network([cr.Dense(4), own, cr.Dense(2)], inputs=3, dtype="float64")
    X, Y = np.random.default_rng(0).normal(size=(5, 3)), np.zeros((5, 2))
    step = cr.trace(net, X, Y, loss, "sgd")
    for number, output in enumerate(net.core.layer_outputs()):
        np.testing.assert_allclose(step[f"{number}.h"], output, rtol=1e-14)
    for name, gradient in net.gradients().items():
        np.testing.assert_allclose(step[f"{name}.gradient"], gradient, rtol=1e-12)
    assert "h = my_swish(z)" in str(step)
    assert step.loss == pytest.approx(float(((step["p"] - Y) ** 2).sum() / 5))
    assert is_balanced(step.latex())


def test_delta_and_the_errors_between_layers_are_derivatives():
    # J by z, and by h, of each layer: central differences of NumPy's own forward pass.
    net = cr.Network([cr.Dense(4, activation="tanh"), cr.Dense(3, activation="sigmoid")], inputs=2, dtype="float64")
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(5, 2)), rng.normal(size=(5, 3))
    step = cr.trace(net, X, Y, cr.MeanSquaredError(reduction="mean_rows"))
    w1, b1 = step["1.weight"], step["1.bias"]

    def loss_of_z1(z):
        return ((1 / (1 + np.exp(-z)) - Y) ** 2).sum() / len(Y)

    def loss_of_h0(h):
        return loss_of_z1(h @ w1 + b1)

    def slope(function, at):
        found = np.empty_like(at)
        for place in np.ndindex(at.shape):
            up, down = at.copy(), at.copy()
            up[place] += 1e-6
            down[place] -= 1e-6
            found[place] = (function(up) - function(down)) / 2e-6
        return found

    np.testing.assert_allclose(step["1.delta"], slope(loss_of_z1, step["1.z"]), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(step["0.dh"], slope(loss_of_h0, step["0.h"]), rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(step["0.dh"], step["1.dx"])
    np.testing.assert_allclose(
        step["0.delta"], slope(lambda z: loss_of_h0(np.tanh(z)), step["0.z"]), rtol=1e-6, atol=1e-9
    )


def test_states_of_optimizers_are_those_of_the_formulas():
    net = exercise(bias=False)
    rule = cr.Momentum(0.01, beta=0.9, style="ema")
    first = cr.trace(net, X, Y, HALF_SUM, rule)
    second = cr.trace(net, X, Y, HALF_SUM, rule)
    v = 0.1 * first["0.weight.gradient"]
    np.testing.assert_allclose(first["0.weight.v"], v, rtol=1e-15)
    v = 0.9 * v + 0.1 * second["0.weight.gradient"]
    np.testing.assert_allclose(second["0.weight.v"], v, rtol=1e-14)
    np.testing.assert_allclose(second["0.weight.new"], first["0.weight.new"] - 0.01 * v, rtol=1e-15)

    step = cr.trace(exercise(bias=False), X, Y, HALF_SUM, cr.AMSGrad(0.01))
    g = step["0.weight.gradient"]
    np.testing.assert_allclose(step["0.weight.v"], 0.1 * g, rtol=1e-14)
    np.testing.assert_allclose(step["0.weight.s"], 0.001 * g**2, rtol=1e-13)
    np.testing.assert_array_equal(step["0.weight.S"], step["0.weight.s"])


def test_clipping_and_decay_are_lines_of_their_own():
    step = cr.trace(exercise(bias=True), X, Y, HALF_SUM, cr.AdamW(0.01, weight_decay=0.1, clip_norm=1.0))
    g = np.concatenate([step["0.weight.clipped"].ravel(), step["0.bias.clipped"]])
    assert np.linalg.norm(g) == pytest.approx(1, rel=1e-6)
    new = {line.name: line.equation for line in step.lines if line.name.endswith(".new")}
    assert "0.1 W" in new["weight.new"]
    assert "0.1" not in new["bias.new"]


def test_what_is_frozen_has_no_gradient_and_nothing_goes_below_the_lowest_that_learns():
    net = cr.Network([cr.Dense(4), cr.BatchNorm(), cr.Dense(3), cr.Dense(2)], inputs=2)
    net.freeze(0, 1, 3)
    step = cr.trace(net, np.ones((4, 2)), [0, 1, 0, 1], "cross_entropy", "sgd")
    names = [line.key for line in step.lines if line.stage in ("backward", "update")]
    of_the_third = ["2.dh", "2.delta", "2.weight.gradient", "2.bias.gradient", "2.weight.new", "2.bias.new"]
    assert names == ["3.dh", "3.delta", "3.dx", *of_the_third]
    np.testing.assert_array_equal(step["1.mean"], np.zeros(4))  # the running one


def test_without_an_optimizer_nothing_changes():
    net, X, y = every_layer("float32")
    before = net.state_dict()
    step = cr.trace(net, X, y, "cross_entropy")
    assert not any(line.stage == "update" for line in step.lines)
    parameters = net.parameters()
    for name, value in parameters.items():
        np.testing.assert_array_equal(value, before[name])


class OfMyOwn(cr.Dense):
    """A layer that nobody told the trace of."""


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (TypeError, "net must be", {"net": 3}),
        (ValueError, "X must", {"X": [[1.0, np.nan]]}),
        (TypeError, "X must be an array", {"X": scipy.sparse.csr_matrix([[1.0, 2.0]])}),
        (ValueError, "y", {"y": [1, 2]}),
        (ValueError, "loss", {"loss": "cross"}),
        (ValueError, "optimizer", {"optimizer": "adamm"}),
        (ValueError, "epoch must be given", {"optimizer": cr.SGD(lambda epoch: 0.1)}),
        (TypeError, "does not know", {"net": cr.Network([OfMyOwn(1)], inputs=2)}),
    ],
)
def test_bad_arguments_are_refused_and_change_nothing(error, message, change):
    net = exercise(bias=True)
    before = net.state_dict()
    given = {"net": net, "X": [[1.0, 2.0]], "y": [1.0], "loss": HALF_SUM, "optimizer": cr.SGD(0.01), **change}
    with pytest.raises(error, match=message):
        cr.trace(**given)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("change", [{"y": [0, 1, 2]}, {"optimizer": cr.SGD(lambda epoch: 0.1)}])
def test_what_is_refused_late_leaves_statistics_and_masks_as_they_were(change):
    net, X, y = every_layer("float64")
    before, steps = net.state_dict(), net.core.steps
    with pytest.raises(ValueError, match=r"y|epoch"):
        cr.trace(**{"net": net, "X": X, "y": y, "loss": "cross_entropy", "optimizer": "sgd", **change})
    assert net.core.steps == steps
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_an_optimizer_of_another_network_is_refused():
    rule = cr.SGD(0.01)
    cr.trace(exercise(bias=True), X, Y, HALF_SUM, rule)
    net = exercise(bias=True)
    with pytest.raises(RuntimeError, match="another network"):
        cr.trace(net, X, Y, HALF_SUM, rule)
    np.testing.assert_array_equal(net.parameters()["0.weight"], [[1.0], [0.5]])


def test_arrays_are_copies_that_cannot_be_written():
    net = exercise(bias=False)
    step = cr.trace(net, X, Y, HALF_SUM, cr.SGD(0.01))
    for name in step:
        assert not step[name].flags.writeable
    net.parameters()["0.weight"][:] = 7
    assert fractions(step["0.weight.new"]) == [Fraction(22, 25), Fraction(19, 25)]
    with pytest.raises(KeyError, match=r"0\.weight\.gradient"):
        step["0.w"]


# The equations ------------------------------------------------------------------------------------------------------


def test_everything_that_there_is_has_an_equation():
    assert set(PASSAGES) == {*layers.KNOWN.values(), cr.CustomLayer}
    for kinds, table in (
        (activations.KNOWN, equations.activation),
        (losses.KNOWN, equations.loss),
        (optimizers.KNOWN, equations.update),
    ):
        for kind in kinds.values():
            assert table.dispatch(kind) is not table.dispatch(object), kind


def is_balanced(latex):
    """Return whether all braces and environments are closed."""
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", latex):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    begun, ended = (re.findall(rf"\\{word}{{(\w+\*?)}}", latex) for word in ("begin", "end"))
    lefts, rights = (len(re.findall(rf"\\[bB]igg?{side}\b", latex)) for side in "lr")
    return depth == 0 and sorted(begun) == sorted(ended) and lefts == rights


def all_equations():
    """Yield every equation that a trace may have, but for those of layers."""
    for kind in activations.KNOWN.values():
        yield from equations.activation(kind())
        yield equations.delta(kind())
    for kind in losses.KNOWN.values():
        yield from equations.loss(kind())
        if "from_logits" in kind.__dataclass_fields__:
            yield from equations.loss(kind(from_logits=False, label_smoothing=0.1))
            yield equations.smoothed(kind(label_smoothing=0.1))
        if "reduction" in kind.__dataclass_fields__:
            yield from equations.loss(kind(reduction="sum"))
    for kind in optimizers.KNOWN.values():
        for name in ("eps_inside_sqrt", "bias_correction", None):
            fields = kind.__dataclass_fields__
            rule = kind() if name is None else kind(**{name: not fields[name].default}) if name in fields else None
            if rule is not None:
                yield from (equation for _, equation in equations.update(rule))
    for style in ("heavy_ball", "ema", "nesterov", "torch_dampening"):
        yield from (equation for _, equation in equations.update(cr.Momentum(style=style)))


def test_equations_are_well_formed():
    for equation in all_equations():
        assert is_balanced(equation.latex), equation
        assert equation.text.count("(") == equation.text.count(")"), equation


def test_the_states_that_are_named_are_those_of_the_engine():
    for kind in optimizers.KNOWN.values():
        net, rule = exercise(bias=False), kind()
        step = cr.trace(net, X, Y, HALF_SUM, rule)
        named = [name for name, _ in equations.update(rule) if name]
        assert len(named) == len(rule.state_of(net).state()), kind
        assert all(f"0.weight.{name}" in step for name in named)


# How it looks -------------------------------------------------------------------------------------------------------


def test_the_text_has_every_equation_with_its_numbers():
    step = cr.trace(exercise(bias=True), X, Y, HALF_SUM, cr.SGD(0.01))
    lines = str(step).splitlines()
    for equation in ("z = x W + b", "J = Σ 1/2 (p - y)²", "∂J/∂W = xᵀ δ", "W ← W - lr g", "b ← b - lr g"):
        assert any(line.strip().startswith(equation) for line in lines), equation
    at = next(i for i, line in enumerate(lines) if "∂J/∂W" in line)
    assert [float(one) for one in re.findall(r"-?[\d.]+", " ".join(lines[at + 1 : at + 3]))] == [12, -26]
    assert repr(step) == "<Trace of 1 layers, 3 rows, J = 15.75>"


def test_latex_and_html_are_whole():
    net, X, y = every_layer("float32")
    step = cr.trace(net, X, y, "cross_entropy", cr.NAdam())
    assert is_balanced(step.latex())
    assert step.latex(digits=3).count(r"\\") >= len(step.lines)
    shown = step._repr_html_()
    for tag in ("div", "table", "tr", "td", "pre", "details"):
        assert len(re.findall(rf"<{tag}[ >]", shown)) == shown.count(f"</{tag}>"), tag
    assert "z &gt; 0" in shown
    assert "z > 0" not in shown


def test_large_arrays_are_shortened():
    net = cr.Network([cr.Dense(300, activation="relu"), cr.Dense(2)], inputs=200)
    step = cr.trace(net, np.ones((100, 200)), np.zeros(100, int), "cross_entropy", "sgd")
    assert len(str(step)) < 20_000
    assert len(step.latex()) < 20_000
    assert step["0.weight"].shape == (200, 300)


def test_digits_are_checked():
    step = cr.trace(exercise(bias=False), X, Y, HALF_SUM)
    with pytest.raises(ValueError, match="digits"):
        step.text(digits=0)
    assert "0.3333" not in step.text(digits=2)
