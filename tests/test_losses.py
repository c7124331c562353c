"""Losses: every reading by its formula, written out here in NumPy, and by exact numbers; label smoothing; targets.

Every case is judged by its value and by its gradient, which the derivative of the formula gives. That the gradients are
those of the values is also checked by differences, in test_gradients.py.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from problems import built, rows, softmax, subclasses, variants

import chainrule as cr
from chainrule import losses
from chainrule._engine import float32, float64

ROWS, OUTPUTS = 5, 3
P, Y = 1.5 * rows(ROWS, OUTPUTS), rows(ROWS, OUTPUTS, seed=1)
RNG = np.random.default_rng(2)
WEIGHT = RNG.uniform(0.2, 2, size=ROWS)
SHARES = RNG.uniform(0.05, 0.95, size=(ROWS, OUTPUTS))
COUNTS = RNG.poisson(2.0, size=(ROWS, OUTPUTS)).astype(float)
LABELS = np.array([2, 0, 1, 2, 1])
SOFT = SHARES / SHARES.sum(axis=1, keepdims=True)
SIGMOID = 1 / (1 + np.exp(-P))
# 15 terms of order 1 to 20, a few roundings each.
CLOSE = {"rtol": 1e-13, "atol": 1e-13}
DIVISORS = {"mean": ROWS * OUTPUTS, "mean_rows": ROWS, "sum": 1}


def evaluated(loss, p, y, weight=None, dtype="float64"):
    """Return the value and the gradient by the outputs, as a network gets it."""
    engine = float32 if dtype == "float32" else float64
    targets = loss.targets("y", y, *p.shape, np.dtype(dtype))
    weight = None if weight is None else weight.astype(dtype)
    return loss.build(engine).value(np.ascontiguousarray(p.astype(dtype)), targets, weight)


def assert_is(loss, p, y, terms, slopes, divisor):
    """Require that the loss is the sum of the terms (B, K) over a divisor, and its gradient that of the slopes."""
    for weight in (None, WEIGHT):
        w = np.ones((ROWS, 1)) if weight is None else weight[:, None]
        value, gradient = evaluated(loss, p, y, weight)
        np.testing.assert_allclose(value, (w * terms).sum() / divisor, **CLOSE, err_msg=repr(loss))
        np.testing.assert_allclose(gradient, w * slopes / divisor, **CLOSE, err_msg=repr(loss))
        assert float(loss(p, y, weight)) == value


# Losses of numbers ---------------------------------------------------------------------------------------------------

D = P - Y
NUMBERS = {
    "squared": (cr.MeanSquaredError, {}, Y, D**2, 2 * D),
    "half squared": (cr.MeanSquaredError, {"half": True}, Y, D**2 / 2, D),
    "absolute": (cr.MeanAbsoluteError, {}, Y, np.abs(D), np.sign(D)),
    "huber": (cr.Huber, {}, Y, np.where(np.abs(D) <= 1, D**2 / 2, np.abs(D) - 0.5), np.clip(D, -1, 1)),
    "huber of 0.4": (
        cr.Huber,
        {"delta": 0.4},
        Y,
        np.where(np.abs(D) <= 0.4, D**2 / 2, 0.4 * (np.abs(D) - 0.2)),
        np.clip(D, -0.4, 0.4),
    ),
    "pinball": (cr.Pinball, {}, Y, np.abs(D) / 2, np.sign(D) / 2),
    "pinball of 0.9": (
        cr.Pinball,
        {"quantile": 0.9},
        Y,
        np.where(Y > P, 0.9 * (Y - P), 0.1 * (P - Y)),
        np.where(Y > P, -0.9, 0.1),
    ),
    "poisson": (cr.Poisson, {}, COUNTS, np.exp(P) - COUNTS * P, np.exp(P) - COUNTS),
    "poisson of rates": (
        cr.Poisson,
        {"from_log": False},
        COUNTS,
        P**2 - COUNTS * np.log(P**2),
        1 - COUNTS / P**2,
    ),
}


@pytest.mark.parametrize("reduction", DIVISORS)
@pytest.mark.parametrize(("kind", "options", "y", "terms", "slopes"), NUMBERS.values(), ids=NUMBERS.keys())
def test_losses_of_numbers(kind, options, y, terms, slopes, reduction):
    loss = kind(**options, reduction=reduction)
    p = P**2 if options == {"from_log": False} else P
    assert_is(loss, p, y, terms, slopes, DIVISORS[reduction])


def test_the_readings_of_the_squared_error():
    # One row per sample, one output: 1/n sum (y - p)^2 = 1/3 (1 + 4 + 16), and the exercise's 1/2 sum.
    p, y = np.array([[1.0], [2.0], [3.0]]), [0.0, 4.0, 7.0]
    readings = {
        (cr.MeanSquaredError(), Fraction(21, 3)),
        (cr.MeanSquaredError(reduction="mean_rows"), Fraction(21, 3)),
        (cr.MeanSquaredError(half=True), Fraction(21, 6)),
        (cr.MeanSquaredError(reduction="sum"), Fraction(21)),
        (cr.MeanSquaredError(reduction="sum", half=True), Fraction(21, 2)),
    }
    for loss, exact in readings:
        assert float(loss(p, y)) == float(exact), loss
    # With several outputs the two means differ, by the number of outputs.
    several = np.hstack([p, p])
    assert float(cr.MeanSquaredError()(several, 0 * several)) == pytest.approx(14 / 3, rel=1e-15)
    assert float(cr.MeanSquaredError(reduction="mean_rows")(several, 0 * several)) == pytest.approx(28 / 3, rel=1e-15)


def test_at_the_target_there_is_no_slope():
    for loss in (cr.MeanAbsoluteError(), cr.MeanSquaredError(), cr.Huber()):
        value, gradient = evaluated(loss, Y, Y)
        assert value == 0
        assert not gradient.any()


def test_at_delta_the_pieces_of_huber_meet():
    for d in (2.5, -2.5):
        value, gradient = evaluated(cr.Huber(delta=2.5, reduction="sum"), np.array([[d]]), np.zeros((1, 1)))
        assert (value, gradient.item()) == (2.5**2 / 2, d)


def test_a_constant_answer_of_least_pinball_loss_is_the_quantile():
    y = np.arange(1.0, 101.0)
    values = [float(cr.Pinball(quantile=0.9)(np.full((100, 1), p), y)) for p in y]
    assert y[int(np.argmin(values))] in (90, 91)
    medians = [float(cr.MeanAbsoluteError()(np.full((100, 1), p), y)) for p in y]
    assert y[int(np.argmin(medians))] in (50, 51)


def test_a_rate_that_is_not_positive_is_kept_at_the_margin():
    for p in (0.0, -3.0, 1e-7):
        value, gradient = evaluated(cr.Poisson(from_log=False, reduction="sum"), np.array([[p]]), np.full((1, 1), 2.0))
        assert np.isfinite(value)
        # It is pulled up: the rate is too small.
        assert gradient.item() < 0
    at_margin = 1e-7 - 2 * np.log(1e-7)
    assert evaluated(cr.Poisson(from_log=False, reduction="sum"), np.zeros((1, 1)), np.full((1, 1), 2.0))[0] == (
        pytest.approx(at_margin, abs=1e-6)
    )


# Losses of classes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("eps", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("name", ["labels", "one-hot", "soft"])
@pytest.mark.parametrize("from_logits", [True, False])
def test_cross_entropy(name, eps, reduction, from_logits):
    y = {"labels": LABELS, "one-hot": np.eye(OUTPUTS)[LABELS], "soft": SOFT}[name]
    f = softmax(P)
    plain = np.eye(OUTPUTS)[LABELS] if name == "labels" else y
    smooth = (1 - eps) * plain + eps / OUTPUTS
    loss = cr.CrossEntropy(from_logits=from_logits, label_smoothing=eps, reduction=reduction)
    slopes = f - smooth if from_logits else -smooth / f
    assert_is(loss, P if from_logits else f, y, -smooth * np.log(f), slopes, ROWS if reduction == "mean" else 1)


@pytest.mark.parametrize("reduction", DIVISORS)
@pytest.mark.parametrize("eps", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("from_logits", [True, False])
def test_binary_cross_entropy(eps, reduction, from_logits):
    smooth = (1 - eps) * SHARES + eps / 2
    loss = cr.BinaryCrossEntropy(from_logits=from_logits, label_smoothing=eps, reduction=reduction)
    terms = -smooth * np.log(SIGMOID) - (1 - smooth) * np.log(1 - SIGMOID)
    slopes = SIGMOID - smooth if from_logits else (SIGMOID - smooth) / (SIGMOID * (1 - SIGMOID))
    assert_is(loss, P if from_logits else SIGMOID, SHARES, terms, slopes, DIVISORS[reduction])


def test_smoothed_labels_are_at_best_unsure():
    # Of K = 4 classes and eps = 0.2 the best answer gives 0.85 to the label and 0.05 to each other one; nothing is less
    # than its entropy, and a sure answer costs more.
    best = np.log(np.array([[0.85, 0.05, 0.05, 0.05]]))
    loss = cr.CrossEntropy(label_smoothing=0.2)
    entropy = -(0.85 * np.log(0.85) + 3 * 0.05 * np.log(0.05))
    value, gradient = evaluated(loss, best, [0])
    assert value == pytest.approx(entropy, rel=1e-14)
    np.testing.assert_allclose(gradient, 0, atol=1e-15)
    assert float(loss(np.array([[30.0, 0, 0, 0]]), [0])) > 4
    assert float(cr.CrossEntropy()(np.array([[30.0, 0, 0, 0]]), [0])) < 1e-12


def test_a_perfect_model_has_no_loss():
    sure = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert float(cr.CrossEntropy(from_logits=False)(sure, [1, 0])) == 0
    # Kept 1e-7 away from 0 and 1.
    assert float(cr.BinaryCrossEntropy(from_logits=False)(sure, sure)) == pytest.approx(-np.log(1 - 1e-7), rel=1e-6)


def test_two_classes_are_one_question():
    # softmax of (0, z) is sigmoid of z.
    z = rows(6, 1)
    y = np.array([0, 1, 1, 0, 1, 0])
    two = float(cr.CrossEntropy()(np.hstack([0 * z, z]), y))
    assert float(cr.BinaryCrossEntropy()(z, y)) == pytest.approx(two, rel=1e-14)
    smooth = float(cr.CrossEntropy(label_smoothing=0.3)(np.hstack([0 * z, z]), y))
    assert float(cr.BinaryCrossEntropy(label_smoothing=0.3)(z, y)) == pytest.approx(smooth, rel=1e-14)


def test_smoothing_leaves_class_weights_to_the_labels():
    X, factors = rows(12), {0: 2.0, 1: 0.5, 2: 1.0}
    y = np.arange(12) % 3
    nets = [cr.Network([cr.Dense(3)], inputs=4, dtype="float64") for _ in range(2)]
    weight = np.array([factors[label] for label in y])
    options = {"epochs": 2, "batch_size": 5}
    trainers = [cr.Trainer(net, loss=cr.CrossEntropy(label_smoothing=0.2)) for net in nets]
    trainers[0].fit(X, y, class_weight=factors, **options)
    trainers[1].fit(X, y, sample_weight=weight, **options)
    assert all(np.array_equal(value, nets[1].parameters()[name]) for name, value in nets[0].parameters().items())


# What they share -----------------------------------------------------------------------------------------------------


def test_every_loss_has_its_formula_here():
    named = {kind for kind, *_ in NUMBERS.values()} | {cr.CrossEntropy, cr.BinaryCrossEntropy}
    assert named == set(subclasses(cr.Loss))


@pytest.mark.parametrize("loss", [one for kind in subclasses(cr.Loss) for one in variants(kind)], ids=repr)
def test_float32_is_float64_rounded(loss):
    p, y = SIGMOID, SOFT
    values, gradients = zip(*[evaluated(loss, p, y, WEIGHT, dtype) for dtype in ("float32", "float64")], strict=True)
    # 15 terms and the functions in them; a quotient by f (1 - f) may stretch an error by 20.
    np.testing.assert_allclose(values[0], values[1], rtol=100 * 2.0**-24)
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=0, atol=1000 * 2.0**-24)


@pytest.mark.parametrize("kind", subclasses(cr.Loss), ids=lambda kind: kind.__name__)
def test_a_fit_reports_the_loss_of_its_class(kind):
    loss, X = built(kind), rows(20)
    y = np.arange(20) % 3 if isinstance(loss, cr.CrossEntropy) else np.abs(rows(20, 3, seed=1)) % 1
    net = cr.Network([cr.Dense(3)], inputs=4, dtype="float64")
    before = float(loss(net.predict(X), y))
    trainer = cr.Trainer(net, loss=loss, optimizer=cr.SGD(1e-3))
    assert trainer.evaluate(X, y)["loss"] == pytest.approx(before, rel=1e-13)
    trainer.fit(X, y, epochs=3, batch_size=20)
    assert trainer.evaluate(X, y)["loss"] < before


@pytest.mark.parametrize("loss", [cr.MeanSquaredError, cr.MeanAbsoluteError, cr.Huber, cr.Pinball, cr.Poisson])
def test_a_sum_pulls_as_hard_as_its_elements_together(loss):
    y = np.abs(Y)
    gradients = {name: evaluated(loss(reduction=name), P, y)[1] for name in DIVISORS}
    np.testing.assert_allclose(gradients["sum"], gradients["mean"] * ROWS * OUTPUTS, rtol=1e-14)
    np.testing.assert_allclose(gradients["sum"], gradients["mean_rows"] * ROWS, rtol=1e-14)


def test_words():
    assert losses.resolve("loss", "mae") == losses.resolve("loss", "mean_absolute_error") == cr.MeanAbsoluteError()
    assert losses.resolve("loss", "mse") == losses.resolve("loss", "mean_squared_error") == cr.MeanSquaredError()
    for word, kind in (("huber", cr.Huber), ("pinball", cr.Pinball), ("poisson", cr.Poisson)):
        assert losses.resolve("loss", word) == kind()


def test_accuracy_is_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"^loss='accuracy' cannot be trained: accuracy is not differentiable"):
        losses.resolve("loss", "accuracy")


def test_which_metrics_suit():
    assert cr.Poisson().metrics(1) == ()  # the output is a logarithm
    for loss in (cr.MeanAbsoluteError(), cr.Huber(), cr.Pinball(), cr.Poisson(from_log=False), cr.MeanSquaredError()):
        assert loss.metrics(2) == ("mae", "mse")


@pytest.mark.parametrize("head", ["identity", "tanh", "leaky_relu", "elu"])
def test_rates_need_a_head_without_negative_numbers(head):
    net = cr.Network([cr.Dense(2, activation=head)], inputs=4)
    cr.Poisson().check_head(net)
    with pytest.raises(ValueError, match=f"the last layer ends with {head}, which gives negative numbers too"):
        cr.Poisson(from_log=False).check_head(net)
    cr.Poisson(from_log=False).check_head(cr.Network([cr.Dense(2, activation="sigmoid")], inputs=4))
