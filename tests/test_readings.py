"""What the lectures write, reading by reading, in numbers: optimizers, schedules, penalties and losses.

Where the lectures disagree with each other or with themselves (T1, T2, ...: docs/lectures.md), each reading has a name,
and a number here that this reading alone gives. Networks, their starts and their noise: test_readings_networks.py. The
numeric exercise: test_exercise.py.
"""

from __future__ import annotations

import dataclasses

import exercise
import numpy as np
import pytest
from problems import rows

import chainrule as cr

ROUNDING = 2.0**-53  # what one rounding of a number of size 1 costs at most
HALF_SUM = cr.MeanSquaredError(reduction="sum", half=True)


def neuron(weight=0.0):
    """Return h = w x, with this one weight."""
    net = cr.Network([cr.Dense(1, bias=False)], inputs=1, dtype="float64")
    net.load_state_dict({"0.weight": [[weight]]})
    return net


def weight_of(net):
    return net.parameters()["0.weight"].item()


def pull(net, gradient):
    """Give the weight of a neuron this gradient: that of 1/2 (w - y)^2 where y = w - gradient."""
    net.zero_grad()
    HALF_SUM(net([[1.0]]), [[weight_of(net) - gradient]]).backward()


def walk(optimizer, gradients, weight=0.0, epochs=None):
    """Return the weight of a neuron after each step by these gradients; `epochs` are the epochs of the steps."""
    optimizer, net, path = dataclasses.replace(optimizer), neuron(weight), []
    for t, gradient in enumerate(gradients):
        pull(net, gradient)
        optimizer.step(net, epoch=None if epochs is None else epochs[t])
        path.append(weight_of(net))
    return np.array(path)


def printed(value, figure):
    """Return whether the value, rounded to as many digits as are printed, is what is printed."""
    return f"{value:.{len(figure.partition('.')[2])}f}" == f"{float(figure):.{len(figure.partition('.')[2])}f}"


# Optimizers ----------------------------------------------------------------------------------------------------------

GRADIENTS = rows(20, columns=1, seed=5).ravel()
# 20 steps of some ten roundings each of numbers below 4, the lengths of lecture [002]'s first steps included.
TWENTY_STEPS = {"rtol": 0, "atol": 20 * 10 * 4 * ROUNDING}


@pytest.mark.parametrize(
    ("optimizer", "factor"),
    [
        (cr.RMSprop.lecture(0.01), "31.6228"),  # T8: 1 / sqrt(1 - 0.999)
        (cr.RMSprop(0.01, beta=0.999), "31.6228"),
        (cr.RMSprop(0.01), "3.1623"),  # 1 / sqrt(1 - 0.9)
        (cr.RMSprop(0.01, bias_correction=True), "1.0000"),
        (cr.Adam.lecture(0.01), "3.1623"),  # T9: 0.1 / sqrt(0.001)
        (cr.Adam(0.01, bias_correction=False), "3.1623"),
        (cr.Adam(0.01), "1.0000"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("gradient", [-300.0, 7000.0])
def test_t8_t9_how_long_the_first_step_is(optimizer, factor, gradient):
    # The gradient is so far above sqrt(1e-8) that eps shifts no digit.
    moved = walk(optimizer, [gradient])[0]
    assert printed(-np.sign(gradient) * moved / 0.01, factor)


def test_t7_momentum_as_lecture_002_writes_it():
    w = v = 0.0
    expected = []
    for g in GRADIENTS:
        v = 0.9 * v + (1 - 0.9) * g
        w = w - 0.05 * v
        expected.append(w)
    np.testing.assert_allclose(walk(cr.Momentum.lecture(0.05), GRADIENTS), expected, **TWENTY_STEPS)


def test_t7_the_average_is_the_heavy_ball_at_a_smaller_rate():
    average = walk(cr.Momentum(0.05, style="ema"), GRADIENTS)
    np.testing.assert_allclose(average, walk(cr.Momentum(0.05 * (1 - 0.9)), GRADIENTS), **TWENTY_STEPS)
    assert np.abs(average - walk(cr.Momentum(0.05), GRADIENTS)).max() > 0.01


def test_t7_dampening_is_not_the_average():
    # PyTorch's first step takes the raw gradient; the two forget that difference as 0.9^t.
    average = walk(cr.Momentum(0.05, style="ema"), GRADIENTS)
    dampened = walk(cr.Momentum(0.05, style="torch_dampening"), GRADIENTS)
    memory = 0.9 * GRADIENTS[0] * 0.9 ** np.arange(20)
    np.testing.assert_allclose(dampened - average, -0.05 * memory.cumsum(), **TWENTY_STEPS)


def test_t8_rmsprop_as_lecture_002_writes_it():
    w = v = 0.0
    expected = []
    for g in GRADIENTS:
        v = 0.999 * v + (1 - 0.999) * g**2
        w = w - 0.01 * g / np.sqrt(v + 1e-8)
        expected.append(w)
    np.testing.assert_allclose(walk(cr.RMSprop.lecture(0.01), GRADIENTS), expected, **TWENTY_STEPS)


def test_t9_adam_as_lecture_002_writes_it():
    w = v = s = 0.0
    expected = []
    for g in GRADIENTS:
        s = 0.999 * s + (1 - 0.999) * g**2
        v = 0.9 * v + (1 - 0.9) * g
        w = w - 0.01 * v / np.sqrt(s + 1e-8)
        expected.append(w)
    np.testing.assert_allclose(walk(cr.Adam.lecture(0.01), GRADIENTS), expected, **TWENTY_STEPS)


@pytest.mark.parametrize("kind", [cr.RMSprop, cr.Adam])
def test_t8_t9_where_eps_stands(kind):
    # One gradient 0 < g << sqrt(eps), a power of two, so that it is exact; then some ten roundings.
    g = 2.0**-20
    outside = walk(kind(1.0, bias_correction=True), [g])[0]
    inside = walk(kind(1.0, bias_correction=True, eps_inside_sqrt=True), [g])[0]
    assert outside == pytest.approx(-g / (g + 1e-8), rel=10 * ROUNDING)
    assert inside == pytest.approx(-g / np.sqrt(g**2 + 1e-8), rel=10 * ROUNDING)


# Schedules -----------------------------------------------------------------------------------------------------------

SCHEDULES = [
    (cr.TimeDecay(0.1, decay=0.5), 3, "0.04"),
    (cr.TimeDecay(0.1, decay=0.5, per="iteration"), 3, "0.04"),  # T10: "Keras's implementation"
    (cr.StepDecay(0.1, drop=0.5, every=10), 15, "0.05"),  # T11
    (cr.StepDecay(0.1, drop=0.5, every=10, floor=False), 15, "0.0353553"),  # T11: as lecture [002] prints it
    (cr.ExponentialDecay(0.1, k=0.1), 10, "0.0367879"),
    (cr.StepDecay(0.1, drop=0.1, every=10), 9, "0.1"),  # lecture [000]: a tenth every 1 to 10 epochs
    (cr.StepDecay(0.1, drop=0.1, every=10), 10, "0.01"),
    (cr.StepDecay(0.1, drop=0.1, every=1), 3, "0.0001"),
]


@pytest.mark.parametrize(("schedule", "t", "figure"), SCHEDULES, ids=[f"{one!r} at {t}" for one, t, _ in SCHEDULES])
def test_t10_t11_schedules(schedule, t, figure):
    assert printed(schedule.rate(t, epoch=t), figure)
    # The engine's: what steps by a gradient of -1 add to the weight. Its first rate is that of t = 0.
    path = walk(cr.SGD(schedule), [-1.0] * (t + 1), epochs=range(t + 1) if schedule.counts_epochs else None)
    used = np.diff(path, prepend=0.0)
    assert printed(used[0], "0.1")
    assert printed(used[t], figure)
    # By fit, an epoch of one step each: both count alike.
    trainer = cr.Trainer(neuron(), loss="mae", optimizer=cr.SGD(schedule))
    history = trainer.fit([[1.0]], [[1000.0]], epochs=t + 1, verbose=False)
    assert printed(history["learning_rate"][t], figure)


def test_t10_an_epoch_is_not_an_iteration():
    rates = {}
    for per in ("epoch", "iteration"):
        trainer = cr.Trainer(neuron(), loss="mae", optimizer=cr.SGD(cr.TimeDecay(0.1, decay=0.5, per=per)))
        rates[per] = trainer.fit(np.ones((4, 1)), np.ones((4, 1)), epochs=2, batch_size=1)["learning_rate"]
    # Of the last steps, numbers 3 and 7, in the epochs 0 and 1.
    assert rates["epoch"] == pytest.approx([0.1, 0.1 / 1.5], rel=1e-15)
    assert rates["iteration"] == pytest.approx([0.1 / 2.5, 0.1 / 4.5], rel=1e-15)


# Penalties -----------------------------------------------------------------------------------------------------------

W, G, ALPHA, LAMBDA, M = 2.0, 0.7, 0.1, 0.3, 4
ONE_STEP = {"rel": 0, "abs": 10 * 2 * ROUNDING}  # ten roundings of numbers below 2


def stepped_by_hand(penalty, optimizer, steps=1):
    net, optimizer = neuron(W), dataclasses.replace(optimizer)
    for _ in range(steps):
        pull(net, G)
        penalty.add_gradient(net, m=M, batch=M)
        penalty.before_step(net, ALPHA, m=M, batch=M)
        optimizer.step(net)
        penalty.after_step(net, ALPHA, m=M, batch=M)
    return weight_of(net)


def stepped_by_fit(penalty):
    """Return the weight after one step over M rows, which pull with G together."""
    net = neuron(W)
    trainer = cr.Trainer(net, loss=HALF_SUM, optimizer=cr.SGD(ALPHA), penalty=penalty)
    trainer.fit(np.ones((M, 1)), np.full((M, 1), W - G / M), epochs=1, batch_size=M, verbose=False)
    return weight_of(net)


DECAYS = {
    "coupled_half, [004]": (cr.L2(LAMBDA), W * (1 - ALPHA * LAMBDA) - ALPHA * G),
    "per_m, [002]": (cr.L2(LAMBDA, scale="1/2m"), W - ALPHA * LAMBDA / M * W - ALPHA * G),
    "plain_sum, [003]": (cr.L2(LAMBDA, scale="1"), W - ALPHA * 2 * LAMBDA * W - ALPHA * G),
    "decoupled_raw, [000] as printed": (cr.L2(LAMBDA, decay="decoupled_raw"), W - ALPHA * G - LAMBDA * W),
    "decoupled, as AdamW": (cr.L2(LAMBDA, decay="decoupled"), W - ALPHA * LAMBDA * W - ALPHA * G),
}


@pytest.mark.parametrize("reading", DECAYS)
def test_t1_weight_decay(reading):
    penalty, expected = DECAYS[reading]
    assert stepped_by_hand(penalty, cr.SGD(ALPHA)) == pytest.approx(expected, **ONE_STEP)
    assert stepped_by_fit(penalty) == pytest.approx(expected, **ONE_STEP)


def test_t1_decoupled_decay_is_another_thing_as_soon_as_there_is_a_memory():
    # Plain descent cannot tell the two apart; a memory remembers the coupled decay.
    coupled, decoupled = cr.L2(LAMBDA), cr.L2(LAMBDA, decay="decoupled")
    assert stepped_by_hand(coupled, cr.SGD(ALPHA), 3) == pytest.approx(stepped_by_hand(decoupled, cr.SGD(ALPHA), 3))
    w, v, u, memory = W, 0.0, W, 0.0
    for _ in range(3):
        v = 0.9 * v + G + LAMBDA * w
        w = w - ALPHA * v
        memory = 0.9 * memory + G
        u = u * (1 - ALPHA * LAMBDA) - ALPHA * memory
    three_steps = {"rel": 0, "abs": 3 * 10 * 4 * ROUNDING}
    assert stepped_by_hand(coupled, cr.Momentum(ALPHA), 3) == pytest.approx(w, **three_steps)
    assert stepped_by_hand(decoupled, cr.Momentum(ALPHA), 3) == pytest.approx(u, **three_steps)
    assert abs(w - u) > 0.05


def test_t2_the_objective_of_lecture_000_and_its_update_disagree():
    # lambda / 2 * w^2 has the gradient lambda w, which the learning rate shortens; the printed update does not.
    by_objective, as_printed = (DECAYS[name][0] for name in ("coupled_half, [004]", "decoupled_raw, [000] as printed"))
    assert by_objective.value(neuron(W)) == LAMBDA / 2 * W**2
    assert as_printed.value(neuron(W)) == 0  # it is no term of an objective
    difference = stepped_by_fit(by_objective) - stepped_by_fit(as_printed)
    assert difference == pytest.approx((1 - ALPHA) * LAMBDA * W, **ONE_STEP)


def test_t3_m_is_the_size_of_the_training_set():
    # Two batches of two rows: m = 4 or 2. The loss has the slope -1 wherever the weight is.
    for m, divisor in (("data", 4), ("batch", 2)):
        net = neuron(W)
        penalty = cr.L2(LAMBDA, scale="1/2m", m=m)
        trainer = cr.Trainer(net, loss="mae", optimizer=cr.SGD(ALPHA), penalty=penalty)
        trainer.fit(np.ones((4, 1)), np.full((4, 1), 1000.0), epochs=1, batch_size=2)
        expected = W
        for _ in range(2):
            expected += ALPHA - ALPHA * LAMBDA / divisor * expected
        assert weight_of(net) == pytest.approx(expected, **ONE_STEP)


def test_t3_scikit_learn_divides_by_the_batch():
    neural = pytest.importorskip("sklearn.neural_network", reason="needs scikit-learn")
    X, y = rows(15), rows(15, columns=2, seed=1)
    theirs = neural.MLPRegressor(
        hidden_layer_sizes=(5,),
        activation="tanh",
        solver="sgd",
        alpha=2.0,
        batch_size=5,
        learning_rate_init=0.05,
        momentum=0.0,
        nesterovs_momentum=False,
        shuffle=False,
        random_state=0,
    )
    theirs.partial_fit(X, y)
    layers = [cr.Dense(5, activation="tanh"), cr.Dense(2)]
    nets = {m: cr.Network(layers, inputs=4, dtype="float64") for m in ("batch", "data")}
    for m, net in nets.items():
        for number in range(2):
            net.parameters()[f"{number}.weight"][...] = theirs.coefs_[number]
            net.parameters()[f"{number}.bias"][...] = theirs.intercepts_[number]
        loss = cr.MeanSquaredError(reduction="mean_rows", half=True)
        trainer = cr.Trainer(net, loss=loss, optimizer=cr.SGD(0.05), penalty=cr.L2(2.0, scale="1/2m", m=m))
        trainer.fit(X, y, epochs=1, batch_size=5, shuffle=False)
    theirs.partial_fit(X, y)
    for number in range(2):
        # Three steps, each the sum of below 50 products of size below 10.
        bound = 3 * 50 * 10 * ROUNDING
        weight = {m: net.parameters()[f"{number}.weight"] for m, net in nets.items()}
        np.testing.assert_allclose(weight["batch"], theirs.coefs_[number], rtol=0, atol=bound)
        assert np.abs(weight["data"] - theirs.coefs_[number]).max() > 1e-3


def linear(weights, biases=None):
    """Return h = W x + b with these weights (inputs, units)."""
    weights = np.asarray(weights, float)
    net = cr.Network([cr.Dense(weights.shape[1], bias=biases is not None)], inputs=len(weights), dtype="float64")
    net.load_state_dict({"0.weight": weights} | ({} if biases is None else {"0.bias": biases}))
    return net


@pytest.mark.parametrize("kind", [cr.L1, cr.L2])
@pytest.mark.parametrize(("scale", "factor"), [("1", 1), ("1/2", 1 / 2), ("1/m", 1 / 8), ("1/2m", 1 / 16)])
def test_t4_the_scales(kind, scale, factor):
    # Numbers that float64 holds exactly: the sums are 3 + 1/2 and 4 + 1 + 1/4.
    net = linear([[-2.0], [1.0], [0.5]])
    total = 3.5 if kind is cr.L1 else 5.25
    assert kind(0.25, scale=scale).value(net, m=8) == 0.25 * factor * total
    assert kind(0.25, scale=scale, m="batch").value(net, m=999, batch=8) == 0.25 * factor * total


def test_t4_the_derivative_of_l1_at_zero_is_zero():
    net = linear([[-2.0], [0.0], [0.5]])
    cr.L1(0.25).add_gradient(net)
    assert net.gradients()["0.weight"].ravel().tolist() == [-0.25, 0, 0.25]


def test_t4_only_the_soft_threshold_gives_exact_zeros():
    # The data does not pull. Steps of 1/8: the subgradient jumps over 0 and back, the threshold stops there.
    seen = {}
    for update in ("subgradient", "proximal"):
        net, optimizer, penalty = neuron(0.3125), cr.SGD(0.125), cr.L1(1.0, update=update)
        seen[update] = []
        for _ in range(5):
            pull(net, 0.0)
            penalty.add_gradient(net)
            optimizer.step(net)
            penalty.after_step(net, 0.125)
            seen[update].append(weight_of(net))
    assert seen == {
        "subgradient": [0.1875, 0.0625, -0.0625, 0.0625, -0.0625],
        "proximal": [0.1875, 0.0625, 0.0, 0.0, 0.0],
    }


def test_t5_the_norm_and_its_power():
    net = linear([[3.0], [-4.0]], biases=[2.0])
    assert cr.Lp(0.5, p=2).value(net) == 0.5 * 25  # "corresponds to ... sum of squares" [001]
    assert cr.Lp(0.5, p=2, norm="norm").value(net) == pytest.approx(0.5 * 5, rel=4 * ROUNDING)
    # lambda_W and lambda_B, as lecture [001] has them.
    assert cr.Lp(0.5, p=2, bias_strength=0.25).value(net) == 0.5 * 25 + 0.25 * 4
    assert cr.Lp(0.5, p=1, bias_strength=0.25).value(net) == 0.5 * 7 + 0.25 * 2


@pytest.mark.parametrize(
    ("theta", "l1", "l2"), [([0, 0.75, 0], 0.75, 0.5625), ([0.25, 0.5, 0.25], 1.0, 0.375)], ids=["theta 1", "theta 2"]
)
def test_t23_the_cat_of_lecture_003(theta, l1, l2):
    # The slide adds 0.25 + 0.5 + 0.5, where the weights are 0.25, 0.5 and 0.25; the sum it gives is right.
    net = linear(np.array(theta)[:, np.newaxis])
    assert cr.L1(1.0).value(net) == l1
    assert cr.L2(1.0, scale="1").value(net) == l2
    assert net.predict([[1, 2, 1]]).item() == 1.5  # both answer alike


# Losses --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "value", "gradient"),
    [
        ({"reduction": "sum", "half": True}, 2.5, [1.0, -2.0]),  # [002], and E_tot of [004]
        ({"reduction": "sum"}, 5.0, [2.0, -4.0]),
        ({"reduction": "mean"}, 2.5, [1.0, -2.0]),  # [003], and L_MSE of [004]
        ({"reduction": "mean", "half": True}, 1.25, [0.5, -1.0]),
    ],
    ids=str,
)
def test_t14_four_squared_errors(options, value, gradient):
    # Outputs 1 and 2, residuals 1 and -2. The greatest gradient is 2 n = 4 times the least. With rows (1, 0) and (0, 1)
    # the gradient by each weight is that by one output.
    net = linear([[1.0], [2.0]])
    loss = cr.MeanSquaredError(**options)(net(np.eye(2)), [[0.0], [4.0]])
    assert float(loss) == value
    loss.backward()
    assert net.gradients()["0.weight"].ravel().tolist() == gradient


def test_t15_a_sum_is_a_mean_at_a_rate_as_many_times_greater():
    X, y = np.array(exercise.POINTS, float), np.array(exercise.TARGETS, float)[:, np.newaxis]
    seen = {}
    for reduction, rate in (("sum", 0.01), ("mean", 0.03), ("mean at the same rate", 0.01)):
        net = linear([[1.0], [0.5]])
        loss = cr.MeanSquaredError(reduction=reduction.split()[0], half=True)
        cr.Trainer(net, loss=loss, optimizer=cr.SGD(rate)).fit(X, y, epochs=5, batch_size=3, shuffle=False)
        seen[reduction] = net.parameters()["0.weight"].ravel().copy()
    # Five steps of some 20 roundings of numbers below 32.
    np.testing.assert_allclose(seen["mean"], seen["sum"], rtol=0, atol=5 * 20 * 32 * ROUNDING)
    assert np.abs(seen["mean at the same rate"] - seen["sum"]).max() > 0.1


def test_t19_the_exercise_lost_a_minus_sign():
    X, y = np.array(exercise.POINTS, float), np.array(exercise.TARGETS, float)[:, np.newaxis]
    net = linear([[1.0], [0.5]])
    h = net.predict(X)
    # Printed: (y w'x)^2. It has its least value 0 where nothing is predicted at all, whatever the targets.
    assert ((y * h) ** 2).sum() / 2 == 53 / 8
    assert ((y * linear([[0.0], [0.0]]).predict(X)) ** 2).sum() == 0
    # Meant: (y - w'x)^2.
    assert float(HALF_SUM(net(X), y)) == 63 / 4
