"""What the lectures write about networks, in numbers: activations, starts, noise, and what learns and what does not.

Statistics are judged by their own scatter: five standard deviations, which chance exceeds once in two million draws;
all draws are counted random numbers of fixed seeds, so that a test that passes once passes always. The rest of the
readings: test_readings.py.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from problems import rows, smooth_classifier

import chainrule as cr

ROUNDING = 2.0**-53  # what one rounding of a number of size 1 costs at most
SURE = 5  # standard deviations


def applied(activation, z):
    """Return an activation function of some numbers, in float64."""
    z = np.atleast_2d(np.asarray(z, float))
    return cr.Network([cr.Activation(activation)], inputs=z.shape[1], dtype="float64").predict(z)


Z = np.concatenate([rows(40).ravel(), [0.0, -0.0, 1e-9, -1e-9, 5.0, -5.0]])

# Activations ---------------------------------------------------------------------------------------------------------


def test_t16_softmax_is_not_changed_by_a_common_shift():
    z = rows(7)
    f = applied("softmax", z)
    # Exponentials of up to 4 and a sum of 4 of them; a shift by c rounds z by c 2^-53 itself.
    for shift in (1.0, -30.0, 1000.0):
        np.testing.assert_allclose(applied("softmax", z + shift), f, rtol=0, atol=(40 + 4 * abs(shift)) * ROUNDING)
    np.testing.assert_allclose(f.sum(axis=1), 1, rtol=0, atol=40 * ROUNDING)
    assert np.isfinite(applied("softmax", [[1e4, 0.0], [-1e4, 0.0]])).all()


def test_t17_leaky_relu_leaks():
    # Lecture [003]: max(0.1 x, x). Lecture [004] prints max(0, x) under the name, which is the plain ReLU.
    np.testing.assert_allclose(applied(cr.LeakyReLU(slope=0.1), Z)[0], np.maximum(0.1 * Z, Z), rtol=ROUNDING * 2)
    np.testing.assert_array_equal(applied(cr.LeakyReLU(slope=0.0), Z)[0], np.maximum(0, Z))
    assert cr.LeakyReLU().slope == 0.01


def test_t26_tanh_has_one_case():
    e = np.exp(-2 * Z)
    # The formula cancels where Z is near 0, by up to 1e-9 there; all of it is of size 1.
    np.testing.assert_allclose(applied("tanh", Z)[0], (1 - e) / (1 + e), rtol=0, atol=10 * ROUNDING)


def test_the_step_by_the_perceptron_rule():
    rng = np.random.default_rng(4)
    X = rng.integers(-8, 9, size=(60, 2)).astype(float)
    X = X[np.abs(X[:, 0] - 2 * X[:, 1]) >= 2]  # a wide border between the classes
    y = (X[:, 0] - 2 * X[:, 1] > 0).astype(float)[:, np.newaxis]
    net = cr.Network(
        [cr.Dense(1, activation=cr.Step(straight_through=True), weight_init="zeros")], inputs=2, dtype="float64"
    )
    loss = cr.MeanSquaredError(reduction="sum", half=True)
    trainer = cr.Trainer(net, loss=loss, optimizer=cr.SGD(0.5), metrics=["mae"])

    w, b, epochs = np.zeros(2), 0.0, 0
    while (((X @ w + b >= 0) != y[:, 0]).any() or epochs == 0) and epochs < 200:
        for x, target in zip(X, y[:, 0], strict=True):
            error = target - float(x @ w + b >= 0)
            w, b = w + 0.5 * error * x, b + 0.5 * error
        epochs += 1
    trainer.fit(X, y, epochs=epochs, batch_size=1, shuffle=False, verbose=False)
    # Halves of small whole numbers all the way: nothing is rounded.
    assert net.parameters()["0.weight"].ravel().tolist() == w.tolist()
    assert net.parameters()["0.bias"].tolist() == [b]
    assert trainer.evaluate(X, y)["mae"] == 0  # Rosenblatt's theorem: the classes can be separated


def test_the_step_does_not_learn_by_its_own_derivative():
    net = cr.Network([cr.Dense(1, activation="step")], inputs=4, dtype="float64")
    cr.MeanSquaredError()(net(rows(9)), np.full((9, 1), 0.5)).backward()
    assert all((gradient == 0).all() for gradient in net.gradients().values())


def test_the_gradient_check_of_lecture_002():
    labels = np.arange(9) % 3
    found = cr.check_gradients(smooth_classifier(), rows(9), labels, loss="cross_entropy", eps=1e-4)
    assert found.max_error < 1e-6
    assert found.passed(1e-6)


# How weights start ---------------------------------------------------------------------------------------------------


def start(initializer, inputs, units, seed=0):
    net = cr.Network([cr.Dense(units, weight_init=initializer)], inputs=inputs, seed=seed, dtype="float64")
    return net.parameters()["0.weight"]


def test_t13_the_bound_and_the_variance_of_xavier():
    n_in, n_out = 300, 200
    w, a = start("glorot_uniform", n_in, n_out), np.sqrt(6 / (n_in + n_out))
    assert np.abs(w).max() <= a
    assert np.abs(w).max() > 0.999 * a  # 60,000 draws: that none comes so near has the chance 0.999^60000 = 1e-26
    # Var U[-a, a] = a^2 / 3; the mean of w^2 scatters by sqrt(4 / 45) a^2 / sqrt(n), since E[w^4] = a^4 / 5.
    assert abs((w**2).mean() - a**2 / 3) < SURE * np.sqrt(4 / 45) * a**2 / np.sqrt(w.size)
    # From a Gaussian: 1/2 (n_in + n_out) sigma^2 = 1; the mean of w^2 scatters by sqrt(2 / n) sigma^2.
    variance = 2 / (n_in + n_out)
    drawn = (start("glorot_normal", n_in, n_out) ** 2).mean()
    assert abs(drawn - variance) < SURE * np.sqrt(2 / w.size) * variance


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_t13_the_mean_square_of_a_linear_unit(sigma):
    n_in, units, batch, gamma = 200, 300, 1000, 1.5
    x = gamma * rows(batch, columns=n_in)
    net = cr.Network([cr.Dense(units, weight_init=cr.Normal(sigma))], inputs=n_in, dtype="float64")
    expected = n_in * sigma**2 * gamma**2
    # The mean over units of w' S w, S the covariance of the batch. By the weights it scatters by 2 tr(S^2) / units of
    # tr(S)^2, where tr(S^2) / tr(S)^2 = 1 / n_in + 1 / batch; by the rows, by 2 / (n_in batch).
    scatter = np.sqrt(2 * (1 / n_in + 1 / batch) / units + 2 / (n_in * batch))
    assert abs((net.predict(x) ** 2).mean() / expected - 1) < SURE * scatter


WIDTH, DEPTH = 256, 10


def mean_squares(initializer, activation):
    """Return the mean of h^2 of the inputs and of each layer of a deep network."""
    x = rows(500, columns=WIDTH)
    layers = [cr.Dense(WIDTH, activation=activation, weight_init=initializer) for _ in range(DEPTH)]
    net = cr.Network([*layers, cr.Dense(1)], inputs=WIDTH, dtype="float64")
    net(x)
    return [float((h**2).mean()) for h in (x, *net.core.layer_outputs()[:-1])]


@pytest.mark.parametrize(
    ("initializer", "activation", "growth"),
    [
        ("lecture_normal", "identity", 4.0),  # n sigma^2 = n (2 / sqrt(n))^2
        ("lecture_normal", "relu", 2.0),  # a rectifier passes half of the squares on
        ("he_normal", "relu", 1.0),
        ("glorot_normal", "identity", 1.0),
    ],
)
def test_t12_whether_activations_grow(initializer, activation, growth):
    squares = mean_squares(initializer, activation)
    # Given the layer before, h^2 of a unit is the same multiple of a squared normal number for all rows, at worst, and
    # scatters by sqrt(2), behind a rectifier by sqrt(5) (E[h^4] / E[h^2]^2 = 6): over 256 units, 0.14. In ten layers
    # these relative errors add up as squares.
    scatter = np.sqrt(5 / WIDTH)
    for before, after in itertools.pairwise(squares):
        assert abs(after / before / growth - 1) < SURE * scatter
    total = np.log(squares[-1] / squares[0])
    assert abs(total - DEPTH * np.log(growth)) < SURE * scatter * np.sqrt(DEPTH)


def hidden_and_gradients(activation, initializer):
    net = cr.Network(
        [cr.Dense(5, activation=activation, weight_init=initializer), cr.Dense(3, weight_init=initializer)],
        inputs=4,
        dtype="float64",
    )
    loss = cr.CrossEntropy()(net(rows(8)), np.array([0, 0, 0, 0, 1, 1, 2, 2]))
    hidden = net.core.layer_outputs()[0]
    loss.backward()
    return net, float(loss), hidden, net.gradients()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_t22_zeros_before_relu_and_tanh(activation):
    # Lecture [003]: "all activations, loss, gradients will be zero". The activations are, and the gradients of weights;
    # the loss is log K, and the last bias learns how frequent the classes are. So nothing ever depends on the inputs.
    net, loss, hidden, gradients = hidden_and_gradients(activation, "zeros")
    assert (hidden == 0).all()
    assert loss == pytest.approx(np.log(3), rel=4 * ROUNDING)
    for name in ("0.weight", "0.bias", "1.weight"):
        assert (gradients[name] == 0).all(), name
    assert (gradients["1.bias"] != 0).all()
    cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(0.5)).fit(rows(8), [0, 0, 0, 0, 1, 1, 2, 2], epochs=50)
    assert (net.parameters()["0.weight"] == 0).all()
    f = np.exp(net.predict(rows(3, seed=9)))
    # 50 steps of gradient descent on the shares; the least curvature is about 1/4: (1 - 0.5 / 4)^50 = 1e-3.
    np.testing.assert_allclose(f / f.sum(axis=1, keepdims=True), np.tile([0.5, 0.25, 0.25], (3, 1)), atol=0.01)


def test_t22_zeros_before_a_sigmoid():
    # The sigmoid of 0 is 1/2: the last weights do learn, and then the first ones. But all units stay alike.
    net, loss, hidden, gradients = hidden_and_gradients("sigmoid", "zeros")
    assert (hidden == 0.5).all()
    assert loss == pytest.approx(np.log(3), rel=4 * ROUNDING)
    assert (gradients["0.weight"] == 0).all()
    assert (gradients["1.weight"] != 0).all()
    cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(0.5)).fit(rows(8), [0, 0, 0, 0, 1, 1, 2, 2], epochs=50)
    weight = net.parameters()["0.weight"]
    assert (np.abs(weight) > 0).all()
    assert (weight == weight[:, :1]).all()


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_t22_constant_weights_keep_all_units_alike(activation):
    net, _, _, _ = hidden_and_gradients(activation, cr.Constant(0.1))
    before = net.parameters()["0.weight"].copy()
    cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(0.5)).fit(rows(8), [0, 0, 0, 0, 1, 1, 2, 2], epochs=50)
    weight = net.parameters()["0.weight"]
    assert (weight == weight[:, :1]).all()
    assert np.abs(weight - before).max() > 0.01  # they did learn, as one


# Noise ---------------------------------------------------------------------------------------------------------------

INPUT = np.array([[1.0, -2.0, 0.5, 3.0]])
DRAWS = 20_000


def alone(layer, inputs=4, **options):
    return cr.Network([layer], inputs=inputs, dtype="float64", **options)


def drawn(net, x=INPUT):
    """Return what a network gives in training mode for many copies of a row."""
    return np.asarray(net(np.repeat(x, DRAWS, axis=0)))


@pytest.mark.parametrize("variant", ["inverted", "classic"])
@pytest.mark.parametrize("options", [{"rate": 0.3}, {"keep_prob": 0.7}], ids=str)
def test_t6_dropout_expects_what_it_predicts(variant, options):
    # T6: "p" is the share that is switched off in [000], and the share that stays in [003]. Here each has its name.
    rate, scale = 0.3, {"inverted": 1 / 0.7, "classic": 1.0}[variant]
    net = alone(cr.Dropout(variant=variant, **options))
    y, predicted = drawn(net), net.predict(INPUT)
    np.testing.assert_allclose(predicted, INPUT * {"inverted": 1.0, "classic": 0.7}[variant], rtol=4 * ROUNDING)
    # Each element is x scale with the chance 0.7, else 0: it scatters by |x| scale sqrt(0.7 * 0.3).
    scatter = np.abs(INPUT) * scale * np.sqrt((1 - rate) * rate / DRAWS)
    assert (np.abs(y.mean(axis=0) - predicted) < SURE * scatter).all()
    assert abs((y == 0).mean() - rate) < SURE * np.sqrt((1 - rate) * rate / y.size)


def test_t6_the_two_variants_learn_alike_up_to_a_scale():
    # The same seed drops the same units, so that the two differ by 1 / keep_prob in training, and so they do at test.
    inverted, classic = (alone(cr.Dropout(rate=0.3, variant=variant), seed=3) for variant in ("inverted", "classic"))
    np.testing.assert_allclose(drawn(inverted) * 0.7, drawn(classic), rtol=4 * ROUNDING)
    np.testing.assert_allclose(inverted.predict(INPUT) * 0.7, classic.predict(INPUT), rtol=4 * ROUNDING)


def test_t6_so_many_units_in_each_pass():
    # Lecture [002]: "n neurons will be disactivated randomly", here 3 of 10 in every row, each as often as any other.
    y = drawn(alone(cr.Dropout(rate=0.3, variant="fixed_count"), inputs=10), np.ones((1, 10)))
    assert ((y == 0).sum(axis=1) == 3).all()
    assert (np.abs((y == 0).mean(axis=0) - 0.3) < SURE * np.sqrt(0.21 / DRAWS)).all()
    np.testing.assert_allclose(y[y != 0], 1 / 0.7, rtol=4 * ROUNDING)


def test_t6_a_mask_for_each_sample_or_for_each_iteration():
    shared, own = (alone(cr.Dropout(rate=0.5, per=per), inputs=50) for per in ("batch", "sample"))
    x = np.ones((8, 50))
    first, second = np.asarray(shared(x)), np.asarray(shared(x))
    assert (first == first[0]).all()
    assert (first != second).any()  # redrawn every iteration
    assert (np.asarray(own(x)) != np.asarray(own(x))[0]).any()


@pytest.mark.parametrize("variant", ["inverted", "classic"])
def test_t6_lecture_001_removes_weights(variant):
    # "Remove a fraction c of the weights", anew every iteration. With all weights 1 and a row of a single 1, the output
    # shows the mask of that input's weights.
    net = cr.Network(
        [cr.DropConnect(5000, rate=0.3, variant=variant, bias=False, weight_init=cr.Constant(1.0))],
        inputs=3,
        dtype="float64",
    )
    scale = {"inverted": 1 / 0.7, "classic": 1.0}[variant]
    y, again = np.asarray(net(np.eye(3))), np.asarray(net(np.eye(3)))
    np.testing.assert_allclose(y[y != 0], scale, rtol=4 * ROUNDING)
    assert abs((y == 0).mean() - 0.3) < SURE * np.sqrt(0.21 / y.size)
    assert (y != again).any()
    # It is the weights that are gone, in all rows of the batch and in every sum.
    x = np.vstack([np.eye(3), np.ones((2, 3))])
    y = np.asarray(net(x))
    assert (y[3] == y[4]).all()
    np.testing.assert_allclose(y[3], y[:3].sum(axis=0), rtol=4 * ROUNDING)
    np.testing.assert_allclose(net.predict(np.eye(3)), {"inverted": 1.0, "classic": 0.7}[variant], rtol=4 * ROUNDING)
