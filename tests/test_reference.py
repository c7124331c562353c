"""The NumPy specification, judged by what is not itself: exact fractions, published vectors, central differences.

The engine is not used here: tests/test_kernels*.py compare it with the specification.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import exercise
import numpy as np
import pytest
from exercise import Exact, Reading, assert_exact, assert_figure, both_readings
from numpy.testing import assert_allclose, assert_array_equal

from chainrule import reference

EPS = np.finfo(np.float64).eps

# The numeric exercise of the lecture on optimisation (exercise.py) ----------------------------------------------------


class ByReference:
    """The exercise in float64, by the operations of the specification."""

    def __init__(self, reading: Reading) -> None:
        self.bias = reading.bias
        self.x, self.y = np.array(exercise.POINTS, float), np.array(exercise.TARGETS, float)[:, np.newaxis]
        self.start = np.array([0.0] * self.bias + [1.0, 0.5])

    def forward(self, w: np.ndarray, x: np.ndarray) -> np.ndarray:
        weight, bias = (w[1:], w[:1]) if self.bias else (w, np.zeros(1))
        return reference.dense_forward(x, weight[:, np.newaxis], bias)

    def loss_and_gradient(self, w: np.ndarray, rows: tuple[int, ...] = exercise.ALL) -> tuple[float, np.ndarray]:
        number = np.array(rows)
        x, y = reference.gather_rows(self.x, number), reference.gather_rows(self.y, number)
        h = self.forward(w, x)
        losses, dh = reference.element_loss(h, y, loss="squared_difference", scale=0.5)
        weight = w[self.bias :, np.newaxis]
        _, dw, db = reference.dense_backward(x, weight, h, dh)
        return float(losses.sum()), np.concatenate([db, dw[:, 0]]) if self.bias else dw[:, 0]

    def step(self, w: np.ndarray, rows: tuple[int, ...] = exercise.ALL, rate: float = 0.01) -> np.ndarray:
        gradient = self.loss_and_gradient(w, rows)[1]
        none = np.zeros_like(w)
        return reference.update(w, gradient, none, none, none, rule="gradient_descent", rate=rate)[0]


@both_readings
def test_numeric_exercise(reading: Reading) -> None:
    net = ByReference(reading)

    # a, b: the prediction for (2, 3), the residuals, the loss, the gradient
    assert net.forward(net.start, np.array([[2.0, 3.0]]))[0, 0] == 3.5
    assert_array_equal((net.y - net.forward(net.start, net.x))[:, 0], [-1, 5.5, 0.5])
    loss, gradient = net.loss_and_gradient(net.start)
    assert loss == 15.75
    assert_array_equal(gradient, reading.gradient)

    # c, d: one step with the gradient of the whole batch
    batch = net.step(net.start)
    assert_exact(batch, list(map(Fraction, reading.batch_weights)))
    batch_loss = net.loss_and_gradient(batch)[0]
    assert_exact(batch_loss, reading.exact_batch_loss)

    # e: one step for each point in turn
    w = net.start
    for i in range(3):
        assert_exact(net.y[i] - net.forward(w, net.x[i : i + 1]), [[Fraction(reading.errors[i])]])
        w = net.step(w, (i,))
        assert_exact(w, list(map(Fraction, reading.path[i])))
        loss = net.loss_and_gradient(w)[0]
        assert_figure(loss, reading.path_losses[i])
    assert_exact(loss, reading.exact_final_loss)
    assert_figure(batch_loss - loss, reading.advantage)


@both_readings
def test_numeric_exercise_in_all_orders(reading: Reading) -> None:
    exact, net = Exact(reading), ByReference(reading)
    for order, figure in zip(exercise.ORDERS, reading.losses_by_order, strict=True):
        exact_w, w = exact.start, net.start
        for i in order:
            exact_w, w = exact.step(exact_w, (i,)), net.step(w, (i,))
        loss = net.loss_and_gradient(w)[0]
        assert_exact(loss, exact.loss(exact_w))
        assert_figure(loss, figure)


@both_readings
def test_numeric_exercise_with_the_mean_gradient_stability_and_optimum(reading: Reading) -> None:
    exact, net = Exact(reading), ByReference(reading)
    loss = net.loss_and_gradient(net.step(net.start, rate=0.01 / 3))[0]
    assert_exact(loss, exact.loss(exact.step(exact.start, rate=exercise.RATE / 3)))
    assert_figure(loss, reading.mean_batch_loss)

    below = above = net.start
    for _ in range(3000):  # the slowest direction shrinks by 0.982 a step: 0.982^3000 < 1e-23
        below = net.step(below, rate=0.99 * exact.rate_bound())
    for _ in range(500):  # the fastest grows by 1.02 a step
        above = net.step(above, rate=1.01 * exact.rate_bound())
    assert_exact(below, reading.exact_optimum)
    assert net.loss_and_gradient(above)[0] > 15.75


# Gradients by central differences -------------------------------------------------------------------------------------


def central_differences(function: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    """Return the gradient by (f(x + e) - f(x - e)) / 2e, with an error of about e^2 |f'''| / 6 + EPS |f| / e."""
    gradient, e = np.empty_like(x), 1e-5
    for index in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[index] += e
        behind[index] -= e
        gradient[index] = (function(ahead) - function(behind)) / (2 * e)
    return gradient


# With values, derivatives and third derivatives of size up to 10: 1e-10 * 10 / 6 + 2.2e-16 * 100 / 1e-5 < 3e-9.
GRADIENT_TOLERANCE = {"rtol": 1e-8, "atol": 1e-8}

# The parameter of each activation in these tests; 0 where it takes none.
PARAMETERS = {"leaky_relu": 0.1, "elu": 1.3}


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_activation_gradient(activation: str, rng: np.random.Generator) -> None:
    options = {"activation": activation, "parameter": PARAMETERS.get(activation, 0.0)}
    z = rng.uniform(0.01, 3, (6, 7)) * rng.choice([-1, 1], (6, 7))  # away from the kink at 0
    dh = rng.standard_normal(z.shape)
    expected = central_differences(lambda z: (dh * reference.activation_forward(z, **options)).sum(), z)
    dz = reference.activation_backward(reference.activation_forward(z, **options), dh, **options)
    assert_allclose(dz, expected, **GRADIENT_TOLERANCE)


def test_step_lets_a_gradient_straight_through_where_it_is_told_to(rng: np.random.Generator) -> None:
    h, dh = rng.integers(0, 2, (3, 4)).astype(float), rng.standard_normal((3, 4))
    assert_array_equal(reference.activation_backward(h, dh, activation="step"), np.zeros((3, 4)))
    assert_array_equal(reference.activation_backward(h, dh, activation="step", parameter=1.0), dh)


def test_softmax_gradient(rng: np.random.Generator) -> None:
    z, dh = rng.standard_normal((2, 5, 4))
    expected = central_differences(lambda z: (dh * reference.softmax_forward(z)).sum(), z)
    assert_allclose(reference.softmax_backward(reference.softmax_forward(z), dh), expected, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("loss", reference.ELEMENT_LOSSES)
def test_element_loss_gradient(loss: str, rng: np.random.Generator) -> None:
    p, y = rng.uniform(0.1, 0.9, (2, 5, 3))
    weight = rng.uniform(0, 2, 5)
    options = {"loss": loss, "parameter": 0.3, "weight": weight, "scale": 0.7}
    assert abs(p - y).min() > 1e-4  # away from the kink of the absolute difference and of the pinball loss
    expected = central_differences(lambda p: reference.element_loss(p, y, **options)[0].sum(), p)
    assert_allclose(reference.element_loss(p, y, **options)[1], expected, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("targets", ["labels", "one_hot", "soft", "not_normalised"])
def test_cross_entropy_gradient(targets: str, from_logits: bool, smoothing: float, rng: np.random.Generator) -> None:
    p, labels = rng.uniform(0.1, 0.9, (6, 4)), rng.integers(0, 4, 6)
    values = {"labels": labels, "one_hot": np.eye(4)[labels], "soft": reference.softmax_forward(3 * p)}
    y = values.get(targets, p[::-1])
    options = {"from_logits": from_logits, "smoothing": smoothing, "weight": rng.uniform(0, 2, 6), "scale": 0.3}
    expected = central_differences(lambda p: reference.cross_entropy(p, y, **options)[0].sum(), p)
    assert_allclose(reference.cross_entropy(p, y, **options)[1], expected, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize(
    ("term", "power"), [("absolute", 0), ("square", 0), ("power", 1), ("power", 1.5), ("power", 4)]
)
def test_penalty_gradient(term: str, power: float, rng: np.random.Generator) -> None:
    w, g = rng.uniform(0.1, 2, (5, 3)) * rng.choice([-1, 1], (5, 3)), rng.standard_normal((5, 3))  # away from 0
    options = {"term": term, "power": power}
    expected = g + 0.7 * central_differences(lambda w: reference.penalty_sum(w, **options), w)
    assert_allclose(reference.penalty_gradient(0.7, w, g, **options), expected, **GRADIENT_TOLERANCE)
    assert_array_equal(reference.penalty_gradient(0.7, np.zeros(3), g[0], **options), g[0])  # no side at 0 is chosen


def test_max_pieces_gradient(rng: np.random.Generator) -> None:
    z, dh = rng.standard_normal((5, 12)), rng.standard_normal((5, 4))
    expected = central_differences(lambda z: (dh * reference.max_pieces_forward(z, pieces=3)).sum(), z)
    assert_allclose(reference.max_pieces_backward(z, dh), expected, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("moments_of_x", [True, False])
def test_normalize_gradient(moments_of_x: bool, rng: np.random.Generator) -> None:
    x, dh = rng.standard_normal((2, 6, 4))
    gamma, beta, mean, variance = rng.uniform(0.5, 2, (4, 4))
    if moments_of_x:
        mean, variance = reference.column_moments(x)

    def value(x: np.ndarray, gamma: np.ndarray = gamma, beta: np.ndarray = beta) -> float:
        moments = reference.column_moments(x) if moments_of_x else (mean, variance)
        return float((dh * reference.normalize_forward(x, *moments, gamma, beta, epsilon=1e-3)).sum())

    options = {"epsilon": 1e-3, "moments_of_x": moments_of_x}
    dx, dgamma, dbeta = reference.normalize_backward(x, mean, variance, gamma, dh, **options)
    assert_allclose(dx, central_differences(value, x), **GRADIENT_TOLERANCE)
    assert_allclose(dgamma, central_differences(lambda g: value(x, gamma=g), gamma), **GRADIENT_TOLERANCE)
    assert_allclose(dbeta, central_differences(lambda b: value(x, beta=b), beta), **GRADIENT_TOLERANCE)
    start = rng.standard_normal((2, 4))
    added = reference.normalize_backward(x, mean, variance, gamma, dh, add_to=(start[0], start[1]), **options)
    for one, other in zip(added, (dx, start[0] + dgamma, start[1] + dbeta), strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_dense_gradient(activation: str, rng: np.random.Generator) -> None:
    options = {"activation": activation, "parameter": PARAMETERS.get(activation, 0.0)}
    x, w, b, dh = (rng.standard_normal(shape) for shape in ((3, 5), (5, 4), 4, (3, 4)))
    h = reference.dense_forward(x, w, b, **options)
    assert abs(reference.dense_forward(x, w, b)).min() > 1e-3  # away from the kink at 0
    for position, gradient in enumerate(reference.dense_backward(x, w, h, dh, **options)):

        def value(changed: np.ndarray, position: int = position) -> float:
            arguments = [x, w, b]
            arguments[position] = changed
            return float((dh * reference.dense_forward(*arguments, **options)).sum())

        assert_allclose(gradient, central_differences(value, [x, w, b][position]), **GRADIENT_TOLERANCE)


# Values by other means ------------------------------------------------------------------------------------------------


def test_activations_by_scalar_formulas() -> None:
    a = 0.3
    formulas = {
        "identity": lambda z: z,
        "step": lambda z: 1.0 if z >= 0 else 0.0,
        "sigmoid": lambda z: (1 + math.tanh(z / 2)) / 2,
        "tanh": lambda z: (math.exp(2 * z) - 1) / (math.exp(2 * z) + 1),
        "relu": lambda z: max(0.0, z),
        "leaky_relu": lambda z: max(a * z, z),  # for a < 1
        "elu": lambda z: z if z > 0 else a * (math.exp(z) - 1),
    }
    missing = set(reference.ACTIVATIONS) - set(formulas)
    assert not missing, f"add scalar formulas of {sorted(missing)} to `formulas` of this test"
    z = np.array([-30.0, -2.0, -0.5, 0.0, 0.5, 2.0, 30.0])
    for activation, formula in formulas.items():
        expected = [formula(value) for value in z.tolist()]
        h = reference.activation_forward(z, activation=activation, parameter=a)
        assert_allclose(h, expected, rtol=0, atol=4 * EPS * max(1, abs(h).max()), err_msg=activation)


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_activations_at_the_ends(activation: str) -> None:
    ends = {
        "identity": (-np.inf, np.inf),
        "step": (0, 1),
        "sigmoid": (0, 1),
        "tanh": (-1, 1),
        "relu": (0, np.inf),
        "leaky_relu": (-np.inf, np.inf),
        "elu": (-0.3, np.inf),
    }
    assert activation in ends, f"add the values of {activation} at minus and plus infinity to `ends` of this test"
    low, high = ends[activation]
    h = reference.activation_forward(np.array([-np.inf, np.inf, np.nan]), activation=activation, parameter=0.3)
    assert_array_equal(h, [low, high, np.nan])


@pytest.mark.parametrize("size", [1, 30, 1000])
def test_softmax_and_cross_entropy_by_logsumexp(size: float, rng: np.random.Generator) -> None:
    z = rng.standard_normal((50, 7)) * size
    logs = z - np.logaddexp.reduce(z, axis=1, keepdims=True)
    # z - max has a rounding error of EPS / 2 of its size, up to 8 * size, which exp turns into a relative one.
    rtol, atol = 10 * EPS * (1 + 8 * size), np.finfo(float).tiny
    assert_allclose(reference.softmax_forward(z), np.exp(logs), rtol=rtol, atol=atol)
    assert_allclose(reference.softmax_forward(z).sum(axis=1), 1, rtol=8 * EPS)
    labels, y = rng.integers(0, 7, 50), rng.dirichlet(np.ones(7), 50)
    assert_allclose(reference.cross_entropy(z, labels)[0], -logs[np.arange(50), labels], rtol=0, atol=rtol)
    assert_allclose(reference.cross_entropy(z, y)[0], -(y * logs).sum(axis=1), rtol=0, atol=rtol)


def test_softmax_ignores_a_constant_and_survives_the_greatest_numbers() -> None:
    z = np.array([[1.0, 2.0, 4.0]])
    assert_array_equal(reference.softmax_forward(z + 2.0**40), reference.softmax_forward(z))
    assert_array_equal(reference.softmax_forward(np.array([[1e308, -1e308, -np.inf]])), [[1, 0, 0]])


def test_cross_entropy_from_logits_and_from_probabilities_agree(rng: np.random.Generator) -> None:
    z, labels = rng.standard_normal((20, 5)), rng.integers(0, 5, 20)
    f = reference.softmax_forward(z)
    (loss, dz), (loss_f, df) = reference.cross_entropy(z, labels), reference.cross_entropy(f, labels, from_logits=False)
    assert_allclose(loss, loss_f, rtol=0, atol=20 * EPS)
    assert_allclose(dz, reference.softmax_backward(f, df), rtol=0, atol=20 * EPS)


def test_a_perfect_model_costs_nothing_and_a_wrong_certainty_much() -> None:
    y = np.array([[1.0, 0.0]])
    assert reference.element_loss(y, y, loss="binary_cross_entropy_probabilities")[0][0] < 3e-7
    assert_array_equal(reference.cross_entropy(y, y, from_logits=False)[0], [0])
    assert_allclose(reference.cross_entropy(1 - y, y, from_logits=False)[0], [-math.log(1e-7)], rtol=4 * EPS)
    assert_array_equal(reference.element_loss(y * 2000 - 1000, y, loss="binary_cross_entropy_logits")[0], [0])


def test_binary_cross_entropy_by_logsumexp(rng: np.random.Generator) -> None:
    p, y = rng.standard_normal((40, 3)) * 20, rng.uniform(0, 1, (40, 3))
    expected = (np.logaddexp(0, p) - p * y).sum(axis=1)
    loss, dp = reference.element_loss(p, y, loss="binary_cross_entropy_logits")
    assert_allclose(loss, expected, rtol=0, atol=10 * 3 * EPS * abs(p).max())
    assert_allclose(dp, (1 + np.tanh(p / 2)) / 2 - y, rtol=0, atol=4 * EPS)


def test_element_losses_by_scalar_formulas() -> None:
    # Each at three places: over, under, and far from the target.
    places = [(0.25, 1.0), (0.75, 0.5), (3.0, 0.5)]
    formulas = {
        "squared_difference": lambda p, y, a: (y - p) ** 2,
        "absolute_difference": lambda p, y, a: max(p - y, y - p),
        "huber": lambda p, y, a: (p - y) ** 2 / 2 if abs(p - y) <= a else a * abs(p - y) - a * a / 2,
        "pinball": lambda p, y, a: max(a * (y - p), (a - 1) * (y - p)),
        "poisson_log": lambda p, y, a: math.exp(p) - y * p,
        "poisson": lambda p, y, a: p - y * math.log(p),
        "binary_cross_entropy_logits": lambda p, y, a: math.log(1 + math.exp(p)) - p * ((1 - a) * y + a / 2),
        "binary_cross_entropy_probabilities": lambda p, y, a: (
            -((1 - a) * y + a / 2) * math.log(min(p, 1 - 1e-7))
            - (1 - (1 - a) * y - a / 2) * math.log(1 - min(p, 1 - 1e-7))
        ),
    }
    missing = set(reference.ELEMENT_LOSSES) - set(formulas)
    assert not missing, f"add scalar formulas of {sorted(missing)} to `formulas` of this test"
    for loss, formula in formulas.items():
        p, y = np.array(places).T[:, :, np.newaxis]
        result = reference.element_loss(p, y, loss=loss, parameter=0.4)[0]
        # 1 - (1 - 1e-7) keeps 9 of 16 digits.
        assert_allclose(result, [formula(*place, 0.4) for place in places], rtol=1e-8, err_msg=loss)


def test_the_pinball_loss_finds_a_quantile(rng: np.random.Generator) -> None:
    y = rng.standard_normal((999, 1))
    losses = [reference.element_loss(np.full_like(y, p), y, loss="pinball", parameter=0.9)[0].sum() for p in y[:, 0]]
    assert y[np.argmin(losses), 0] == np.sort(y[:, 0])[899]  # 90 % of 999 are 899.1


def test_smoothed_labels() -> None:
    # y' = (1 - eps) y + eps / K: with K = 4 and eps = 0.2 it is 0.85 and three times 0.05.
    p = np.array([[0.7, 0.1, 0.1, 0.1]])
    expected = -0.85 * math.log(0.7) - 3 * 0.05 * math.log(0.1)
    for y in (np.array([0]), np.array([[1.0, 0, 0, 0]])):
        assert_allclose(reference.cross_entropy(np.log(p), y, smoothing=0.2)[0], [expected], rtol=8 * EPS)
        result = reference.cross_entropy(p, y, from_logits=False, smoothing=0.2)[0]
        assert_allclose(result, [expected], rtol=8 * EPS)


def test_two_classes_are_a_binary_choice(rng: np.random.Generator) -> None:
    p, labels = rng.standard_normal((30, 1)), rng.integers(0, 2, 30)
    two = reference.cross_entropy(np.hstack([np.zeros_like(p), p]), labels)
    one = reference.element_loss(p, labels[:, np.newaxis].astype(float), loss="binary_cross_entropy_logits")
    assert_allclose(two[0], one[0], rtol=0, atol=10 * EPS)
    assert_allclose(two[1][:, 1:], one[1], rtol=0, atol=4 * EPS)


def test_correct_rows() -> None:
    p = np.array([[0.1, 0.9, 0.0], [0.5, 0.5, 0.1], [0.5, 0.5, 0.1], [np.nan, 2.0, 1.0], [3.0, 1.0, 2.0]])
    labels = np.array([1, 0, 1, 1, 0])
    assert_array_equal(reference.correct_rows(p, labels), [1, 1, 0, 0, 1])
    assert_array_equal(reference.correct_rows(p, np.eye(3)[labels]), [1, 1, 0, 0, 1])
    one, y = np.array([[0.4], [0.6], [0.6], [np.nan]]), np.array([[0.0], [1.0], [0.0], [0.0]])
    assert_array_equal(reference.correct_rows(one, y, threshold=0.5), [1, 1, 0, 0])
    assert_array_equal(reference.correct_rows(one, y), [0, 1, 0, 0])
    # The order of each row, the first of equals first: 1 0 2; 0 1 2; 0 1 2; a NaN; 0 2 1.
    for k, expected in ((2, [1, 1, 1, 0, 1]), (3, [1, 1, 1, 0, 1])):
        assert_array_equal(reference.correct_rows(p, labels, k=k), expected)
    assert_array_equal(reference.correct_rows(p, np.array([2, 2, 0, 2, 1]), k=2), [0, 0, 1, 0, 0])


def test_count_classes() -> None:
    before = np.array([[10.0, 20.0, 30.0], [1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    p = np.array([[0.1, 0.9, 0.0], [0.5, 0.5, 0.1], [0.0, 0.5, 0.5], [np.nan, 2.0, 1.0], [3.0, 1.0, 2.0]])
    labels = np.array([1, 0, 2, 1, 0])
    # Named are 1, 0, 1, none, 0; right are the first, the second and the last.
    expected = before + np.array([[2, 2, 1], [2, 2, 0], [2, 1, 0]])
    assert_array_equal(reference.count_classes(p, labels, before), expected)
    assert_array_equal(reference.count_classes(p, np.eye(3)[labels], before), expected)
    one_unknown = np.eye(3)[labels]
    one_unknown[0, 2] = np.nan
    expected = before + np.array([[2, 1, 1], [2, 2, 0], [2, 0, 0]])
    assert_array_equal(reference.count_classes(p, one_unknown, before), expected)
    # Each column by itself: above 0, and above 1/2.
    y = np.array([[1, 1, 0], [0, 1, 0.5], [1, 1, 1], [1, 0, 1], [np.nan, 1, 0]])
    counted = reference.count_classes(p, y, 0 * before, exclusive=False)
    assert_array_equal(counted, [[3, 4, 2], [3, 5, 4], [1, 4, 2]])
    counted = reference.count_classes(p, y, 0 * before, exclusive=False, threshold=0.5)
    assert_array_equal(counted, [[3, 4, 2], [1, 3, 2], [0, 2, 1]])


def test_sums(rng: np.random.Generator) -> None:
    x = rng.standard_normal((37, 5))
    exact = [math.fsum(column) for column in x.T]
    bound = 37 * EPS * abs(x).sum(axis=0).max()  # a sum of n numbers is wrong by at most n EPS / 2 of their sizes
    assert_allclose(reference.column_sum(x), exact, rtol=0, atol=bound)
    assert_allclose(reference.column_sum(x, add_to=np.ones(5)), np.add(exact, 1), rtol=0, atol=bound + EPS * 37)
    assert_allclose(reference.penalty_sum(x, term="square"), math.fsum((x * x).ravel()), rtol=x.size * EPS)
    assert_allclose(reference.penalty_sum(x, term="absolute"), math.fsum(abs(x).ravel()), rtol=x.size * EPS)
    cubes = math.fsum(abs(value) ** 3 for value in x.ravel().tolist())
    assert_allclose(reference.penalty_sum(x, term="power", power=3), cubes, rtol=x.size * EPS)
    large = np.full(3, 1e20, np.float32)
    assert reference.penalty_sum(large, term="square") == pytest.approx(3e40, rel=1e-7)  # in double precision


def test_penalties_of_the_lecture() -> None:
    # [003]: theta = (1/4, 1/2, 1/4) has squares of 0.375 and sizes of 1; (3/4, 0, 0) of 0.5625 and 0.75.
    for theta, squares, sizes in (([0.25, 0.5, 0.25], 0.375, 1.0), ([0.75, 0, 0], 0.5625, 0.75)):
        assert reference.penalty_sum(np.array(theta), term="square") == squares
        assert reference.penalty_sum(np.array(theta), term="absolute") == sizes


def test_moments_and_normalization(rng: np.random.Generator) -> None:
    x = rng.standard_normal((50, 3)) * [1, 10, 0] + [0, 1e6, 3]
    mean, variance = reference.column_moments(x)
    for j in range(3):
        exact = list(map(Fraction, x[:, j].tolist()))
        middle = sum(exact) / 50
        # 50 roundings of sums of numbers of the mean's size; squared, this is what the variance may be off by.
        error = 50 * EPS * float(abs(middle) + 1)
        assert abs(Fraction(float(mean[j])) - middle) <= error
        spread = float(sum((value - middle) ** 2 for value in exact) / 50)
        assert abs(variance[j] - spread) <= 60 * EPS * spread + error**2
    gamma, beta = np.array([2.0, 3, 4]), np.array([-1.0, 0, 1])
    h = reference.normalize_forward(x, mean, variance, gamma, beta, epsilon=1e-9)
    # The mean of 1e6 is wrong by up to 1e-9, of a deviation of 10; epsilon takes 1e-9 of a variance of 1.
    assert_allclose(h.mean(axis=0), beta, rtol=0, atol=1e-9)
    assert_allclose(h.std(axis=0), [2, 3, 0], rtol=0, atol=1e-8)


def test_constraints() -> None:
    w = np.array([[3.0, 0.3, 0], [-4.0, 0.4, 0]])
    expected = {
        "max_norm": [[1.2, 0.3, 0], [-1.6, 0.4, 0]],
        "unit_norm": [[0.6, 0.6, 0], [-0.8, 0.8, 0]],
        "non_negative": [[3, 0.3, 0], [0, 0.4, 0]],
    }
    missing = set(reference.CONSTRAINTS) - set(expected)
    assert not missing, f"add the result of {sorted(missing)} to `expected` of this test"
    for constraint, result in expected.items():
        constrained = reference.constrain_columns(w, constraint=constraint, limit=2)
        assert_allclose(constrained, result, rtol=4 * EPS, err_msg=constraint)


def test_arithmetic() -> None:
    x = np.array([-3.0, -1, -0.25, 0, 0.25, 1, 3])
    assert_array_equal(reference.clip(1, x), [-1, -1, -0.25, 0, 0.25, 1, 1])
    assert_array_equal(reference.soft_threshold(1, x), [-2, 0, 0, 0, 0, 0, 2])
    assert_array_equal(reference.scale(-2, x), [6, 2, 0.5, 0, -0.5, -2, -6])
    assert_array_equal(reference.multiply(x, x), [9, 1, 0.0625, 0, 0.0625, 1, 9])


def test_max_pieces() -> None:
    z = np.array([[1.0, 5, 3, 4], [2, 2, 2, -1], [np.nan, 0, 0, 0]])
    assert_array_equal(reference.max_pieces_forward(z, pieces=2), [[3, 5], [2, 2], [np.nan, 0]])
    dz = reference.max_pieces_backward(z, np.array([[10.0, 20]] * 3))
    assert_array_equal(dz, [[0, 20, 10, 0], [10, 20, 0, 0], [10, 20, 0, 0]])  # the first of equals
