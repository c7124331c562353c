"""Schedules: each against its formula and against PyTorch, and the rate that every step of a training really had.

A neuron without bias on rows of the unit matrix, under the absolute error of a target far away, has the gradient -1 in
the one weight that a step touches: that weight grows by exactly the learning rate of the step.
"""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
from problems import bits, network, problem, trainer

import chainrule as cr

STEPS = 5  # of an epoch
EPOCHS = 6


def cosine(x, warmup, length, end=0.0):
    if x < warmup:
        return 0.1 * (x + 1) / warmup
    return end + (0.1 - end) * (1 + math.cos(math.pi * min((x - warmup) / (length - warmup), 1))) / 2


def cycle(x, length, rise=0.3, start=0.1 / 25, end=0.1 / 25e4):
    top, last = max(rise * length - 1, 0), length - 1
    if x <= top:
        a, b, part = start, 0.1, x / top if top else 1
    else:
        a, b, part = 0.1, end, min((x - top) / (last - top), 1)
    return a + (b - a) * (1 - math.cos(math.pi * part)) / 2


# Each with its rate in epoch t and in step x of all; an epoch has STEPS steps.
FORMULAS = [
    (cr.ConstantRate(0.1), lambda t, x: 0.1),
    (cr.TimeDecay(0.1, decay=0.5), lambda t, x: 0.1 / (1 + 0.5 * t)),
    (cr.TimeDecay(0.1, decay=0.5, per="iteration"), lambda t, x: 0.1 / (1 + 0.5 * x)),
    (cr.StepDecay(0.1, drop=0.5, every=2), lambda t, x: 0.1 * 0.5 ** (t // 2)),
    (cr.StepDecay(0.1, drop=0.5, every=2, floor=False), lambda t, x: 0.1 * 0.5 ** (t / 2)),
    (cr.StepDecay(0.1, drop=0.1, every=1), lambda t, x: 0.1 * 0.1**t),
    (cr.StepDecay(0.1, drop=0.7, every=3, per="iteration"), lambda t, x: 0.1 * 0.7 ** (x // 3)),
    (cr.StepDecay(0.1, drop=0.7, every=3, floor=False, per="iteration"), lambda t, x: 0.1 * 0.7 ** (x / 3)),
    (cr.ExponentialDecay(0.1, k=0.3), lambda t, x: 0.1 * math.exp(-0.3 * t)),
    (cr.ExponentialDecay(0.1, k=0.03, per="iteration"), lambda t, x: 0.1 * math.exp(-0.03 * x)),
    (cr.CosineDecay(0.1, steps=20), lambda t, x: cosine(x, 0, 20)),
    (cr.CosineDecay(0.1, steps=20, warmup=4, end=0.01), lambda t, x: cosine(x, 4, 20, 0.01)),
    (cr.CosineDecay(0.1, epochs=4), lambda t, x: cosine(x, 0, 4 * STEPS)),
    (cr.CosineDecay(0.1, epochs=5, warmup=2, end=0.02), lambda t, x: cosine(x, 2 * STEPS, 5 * STEPS, 0.02)),
    (cr.OneCycle(0.1, steps=20), lambda t, x: cycle(x, 20)),
    (cr.OneCycle(0.1, epochs=5), lambda t, x: cycle(x, 5 * STEPS)),
    (cr.OneCycle(0.1, steps=7, rise=0.1), lambda t, x: cycle(x, 7, 0.1)),  # no time to rise
    (
        cr.OneCycle(0.1, epochs=6, rise=0.5, start_factor=0.2, end_factor=0.0),
        lambda t, x: cycle(x, 6 * STEPS, 0.5, 0.02, 0),
    ),
]
CASES = pytest.mark.parametrize(("schedule", "formula"), FORMULAS, ids=[repr(schedule) for schedule, _ in FORMULAS])
# Few roundings of a number below 1. An argument of a cosine may be wrong by an ulp of pi, which moves a rate by 2e-17.
CLOSE = {"rtol": 1e-14, "atol": 1e-16}


# In Python ------------------------------------------------------------------------------------------------------------


@CASES
def test_the_rate_is_the_formula(schedule, formula):
    for x in range(STEPS * (EPOCHS + 2)):
        t = x // STEPS
        np.testing.assert_allclose(schedule.rate(x, steps_per_epoch=STEPS), formula(t, x), **CLOSE)
        np.testing.assert_allclose(schedule.rate(x, x / STEPS, STEPS), formula(t, x), **CLOSE)


@pytest.mark.parametrize(
    ("schedule", "t", "rate"),
    [
        (cr.TimeDecay(0.1, decay=0.5), 3, 0.04),
        (cr.StepDecay(0.1, drop=0.5, every=10), 15, 0.05),
        (cr.StepDecay(0.1, drop=0.5, every=10, floor=False), 15, 0.0353553),
        (cr.ExponentialDecay(0.1, k=0.1), 10, 0.0367879),
        (cr.StepDecay(0.1, drop=0.1, every=10), 10, 0.01),
    ],
    ids=repr,
)
def test_numbers_of_the_lectures(schedule, t, rate):
    assert schedule.rate(0, epoch=t) == pytest.approx(rate, rel=2e-6)  # as many digits as there are
    assert schedule.rate(0) == 0.1


def test_a_cycle_that_is_too_short_to_rise_starts_at_the_top():
    # rise N - 1 = -1/2: the first step is the top itself, and the way down is N - 1 steps of half a cosine.
    schedule = cr.OneCycle(0.1, steps=5, rise=0.1, end_factor=0)
    expected = [0.1 * (1 + math.cos(math.pi * x / 4)) / 2 for x in range(5)]
    np.testing.assert_allclose([schedule.rate(x) for x in range(5)], expected, **CLOSE)


def test_far_beyond_what_can_be_trained_a_rate_has_its_limit():
    for schedule in (cr.TimeDecay(0.1, decay=1e300), cr.ExponentialDecay(0.1, k=1e300)):
        assert schedule.rate(0, epoch=1e308) == 0
    assert cr.StepDecay(0.1, drop=0.5, every=1e-300).rate(0, epoch=2**63) == 0
    assert cr.StepDecay(0.1, drop=1, every=1e-300).rate(0, epoch=2**63) == 0.1
    assert cr.StepDecay(0.1, drop=0.5, every=1e-300, floor=False).rate(0, epoch=2**63) == 0


@pytest.mark.parametrize("steps", [7, 20, 64])
def test_cosines_are_those_of_pytorch(steps):
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    rates = torch.optim.lr_scheduler

    def theirs(make):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        schedule, found = make(optimizer), []
        for _ in range(steps):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step() if len(found) < steps else None
        return found

    def ours(schedule):
        return [schedule.rate(x) for x in range(steps)]

    cycled = theirs(lambda o: rates.OneCycleLR(o, max_lr=0.1, total_steps=steps))
    np.testing.assert_allclose(ours(cr.OneCycle(0.1, steps=steps)), cycled, rtol=1e-13)
    other = theirs(
        lambda o: rates.OneCycleLR(o, 0.1, total_steps=steps, pct_start=0.6, div_factor=10, final_div_factor=50)
    )
    schedule = cr.OneCycle(0.1, steps=steps, rise=0.6, start_factor=0.1, end_factor=0.1 / 50)
    np.testing.assert_allclose(ours(schedule), other, rtol=1e-13)
    # Theirs goes from each rate to the next: a rounding or two in each of `steps` steps, near the end beside 0.01.
    annealed = theirs(lambda o: rates.CosineAnnealingLR(o, T_max=steps, eta_min=0.01))
    np.testing.assert_allclose(ours(cr.CosineDecay(0.1, steps=steps, end=0.01)), annealed, rtol=1e-12)


# In training ----------------------------------------------------------------------------------------------------------


def neuron():
    return cr.Network([cr.Dense(1, bias=False, weight_init="zeros")], inputs=STEPS, dtype="float64")


X, Y = np.eye(STEPS), np.full((STEPS, 1), 1e6)
LOSS = cr.MeanAbsoluteError(reduction="sum")


class Rates(cr.Callback):
    """Notes the rate that each step had."""

    def on_train_begin(self, logs):
        self.weights = [self.trainer.net.state_dict()["0.weight"].ravel()]

    def on_epoch_end(self, epoch, logs):
        self.weights.append(self.trainer.net.state_dict()["0.weight"].ravel())

    def steps(self):
        return np.diff(self.weights, axis=0).ravel()


def fitted(lr, epochs=EPOCHS, learner=None):
    learner = learner or cr.Trainer(neuron(), loss=LOSS, optimizer=cr.SGD(lr))
    rates = Rates()
    history = learner.fit(X, Y, epochs=epochs, batch_size=1, shuffle=False, callbacks=[rates])
    return learner, history, rates.steps()


# A weight below 1 is rounded by 2^-54 at each of its updates, and a rate is the difference of two such weights.
SEEN = {"rtol": 1e-14, "atol": 4 * 2.0**-53}


@CASES
def test_every_step_of_a_fit_has_its_rate(schedule, formula):
    learner, history, seen = fitted(schedule)
    expected = [formula(x // STEPS, x) for x in range(STEPS * EPOCHS)]
    np.testing.assert_allclose(seen, expected, **SEEN)
    # The history has the rate of the last step of each epoch.
    np.testing.assert_allclose(history["learning_rate"], expected[STEPS - 1 :: STEPS], **CLOSE)
    assert learner.learning_rate == history["learning_rate"][-1]


@CASES
def test_a_second_fit_goes_on_where_the_first_ended(schedule, formula):
    learner, _, first = fitted(schedule, epochs=2)
    _, history, second = fitted(schedule, EPOCHS - 2, learner)
    expected = [formula(x // STEPS, x) for x in range(STEPS * EPOCHS)]
    np.testing.assert_allclose([*first, *second], expected, **SEEN)
    assert history.first_epoch == 3


@CASES
def test_every_step_by_hand_has_its_rate(schedule, formula):
    net, optimizer, seen = neuron(), cr.SGD(schedule), []
    for x in range(STEPS * EPOCHS):
        net.zero_grad()
        LOSS(net(X[[0]]), Y[[0]]).backward()
        before = net.parameters()["0.weight"][0, 0]
        optimizer.step(net, epoch=x // STEPS)
        seen.append(net.parameters()["0.weight"][0, 0] - before)
    if isinstance(schedule, (cr.CosineDecay, cr.OneCycle)) and schedule.counts_epochs:
        # Nobody says how many steps an epoch has: the rate changes with the epoch.
        expected = [schedule.rate(x, x // STEPS) for x in range(STEPS * EPOCHS)]
        assert expected[3 * STEPS] == expected[4 * STEPS - 1] != expected[4 * STEPS]
    else:
        expected = [formula(x // STEPS, x) for x in range(STEPS * EPOCHS)]
    # Up to 30 steps of 0.1 on one weight, which so is below 4.
    np.testing.assert_allclose(seen, expected, rtol=1e-14, atol=4 * 2.0**-52)


def test_cosines_by_epochs_are_those_by_steps_where_an_epoch_has_one_step():
    for kind, more in ((cr.CosineDecay, {"warmup": 2}), (cr.OneCycle, {})):
        by_epochs, by_steps = kind(0.1, epochs=9, **more), kind(0.1, steps=9, **more)
        assert [by_epochs.rate(0, t) for t in range(12)] == [by_steps.rate(x) for x in range(12)]


def test_a_function_of_the_epoch():
    calls = []

    def rate(epoch):
        calls.append(epoch)
        return 0.1 / (1 + epoch)

    learner, history, seen = fitted(rate, epochs=3)
    expected = [0.1, 0.1 / 2, 0.1 / 3]
    np.testing.assert_allclose(seen, np.repeat(expected, STEPS), **SEEN)
    assert history["learning_rate"] == expected
    assert calls == [0, 1, 2]
    assert learner.learning_rate == 0.1 / 4  # of the epoch that comes
    assert fitted(rate, 1, learner)[1]["learning_rate"] == [0.1 / 4]

    net, optimizer = neuron(), cr.SGD(rate)
    for epoch in (0, 4):
        net.zero_grad()
        LOSS(net(X[[0]]), Y[[0]]).backward()
        optimizer.step(net, epoch=epoch)
    assert net.parameters()["0.weight"][0, 0] == pytest.approx(0.1 + 0.1 / 5, rel=1e-15)


def test_a_constant_rate_is_a_number():
    nets = [network(), network()]
    for net, lr in zip(nets, (0.01, cr.ConstantRate(0.01)), strict=True):
        trainer(net, optimizer=cr.Adam(lr)).fit(*problem(), epochs=2)
    assert bits(nets[0]) == bits(nets[1])


def test_decoupled_decay_and_layers_follow_the_schedule():
    # w <- w - rate factor decay w, and the gradient of a target that is met is 0.
    net = cr.Network([cr.Dense(1, bias=False, weight_init="zeros")], inputs=1, dtype="float64")
    net.parameters()["0.weight"][...] = 2
    optimizer = cr.AdamW(cr.StepDecay(0.1, drop=0.5, every=1), layer_lr={0: 3.0}, weight_decay=0.2)
    cr.Trainer(net, loss="mse", optimizer=optimizer).fit([[0.0]], [0.0], epochs=3)
    expected = 2 * (1 - 0.3 * 0.2) * (1 - 0.15 * 0.2) * (1 - 0.075 * 0.2)
    assert net.parameters()["0.weight"][0, 0] == pytest.approx(expected, rel=1e-15)


def test_a_divergence_takes_the_schedule_back_too():
    class Spoiling(cr.Callback):
        def on_epoch_begin(self, epoch, logs):
            if epoch == 3 and self.armed:
                self.trainer.net.parameters()["0.weight"][1] = 1e300  # seen by the second step

    def fit(learner, epochs):
        return learner.fit(X, Y, epochs=epochs, batch_size=1, shuffle=False, callbacks=[spoiling])

    schedule, spoiling = cr.TimeDecay(0.1, decay=0.2, per="iteration"), Spoiling()
    spoilt = cr.Trainer(neuron(), loss="mse", optimizer=cr.SGD(schedule))
    spoiling.armed = True
    with pytest.warns(cr.DivergenceWarning, match="epoch 3, step 2, .* the end of epoch 2"):
        fit(spoilt, 5)
    spoiling.armed = False
    fit(spoilt, 2)
    straight = cr.Trainer(neuron(), loss="mse", optimizer=cr.SGD(schedule))
    fit(straight, 4)
    assert bits(spoilt.net) == bits(straight.net)


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: cr.TimeDecay(0, decay=1), ValueError, "lr must be a finite number above 0"),
        (lambda: cr.TimeDecay(0.1, decay=-1), ValueError, "decay must be a finite number at least 0"),
        (lambda: cr.TimeDecay(0.1, decay=1, per="step"), ValueError, "per='step' is unknown; known are 'epoch', 'it"),
        (lambda: cr.StepDecay(0.1, drop=0, every=1), ValueError, "drop must be a finite number above 0"),
        (lambda: cr.StepDecay(0.1, drop=2, every=1), ValueError, "drop must be .* at most 1; got 2"),
        (lambda: cr.StepDecay(0.1, drop=0.5, every=0), ValueError, "every must be a finite number above 0"),
        (lambda: cr.StepDecay(0.1, drop=0.5, every=1, floor=1), TypeError, "floor must be True or False"),
        (lambda: cr.ExponentialDecay(0.1, k="1"), TypeError, "k must be a finite number at least 0"),
        (lambda: cr.CosineDecay(0.1), ValueError, "exactly one of epochs and steps must be given"),
        (lambda: cr.CosineDecay(0.1, epochs=1, steps=9), ValueError, "exactly one of epochs and steps"),
        (lambda: cr.CosineDecay(0.1, steps=0), ValueError, "steps must be a finite number above 0"),
        (lambda: cr.CosineDecay(0.1, epochs=3, warmup=3), ValueError, "warmup must be .* below 3"),
        (lambda: cr.CosineDecay(0.1, epochs=3, end=0.5), ValueError, "end must be .* at most 0.1; got 0.5"),
        (lambda: cr.OneCycle(10, steps=3, start_factor=1e308), ValueError, r"lr \* start_factor must be .*; got inf"),
        (lambda: cr.OneCycle(0.1, epochs=-1), ValueError, "epochs must be a finite number above 0"),
        (lambda: cr.OneCycle(0.1, steps=9, rise=1), ValueError, "rise must be .* below 1"),
        (lambda: cr.OneCycle(0.1, steps=9, end_factor=-1), ValueError, "end_factor must be .* at least 0"),
        (lambda: cr.TimeDecay(0.1, decay=1).rate(-1), ValueError, "step must be a finite number at least 0"),
        (lambda: cr.TimeDecay(0.1, decay=1).rate(3), ValueError, "epoch, or steps_per_epoch, must be given"),
        (lambda: cr.OneCycle(0.1, epochs=9).rate(3, 0.1, 0), ValueError, "steps_per_epoch must be .* above 0"),
    ],
)
def test_wrong_options(make, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make()


@pytest.mark.parametrize("lr", [cr.TimeDecay(0.1, decay=0.5), lambda epoch: 0.1], ids=["schedule", "function"])
def test_a_planned_rate_cannot_be_set(lr):
    learner = trainer(network(), optimizer=cr.SGD(lr))
    assert learner.learning_rate == 0.1
    with pytest.raises(ValueError, match=r"^learning_rate cannot be set: the optimizer's lr="):
        learner.learning_rate = 0.2
    assert learner.fit(*problem(), epochs=1)["learning_rate"] == [0.1]


@pytest.mark.parametrize("lr", [cr.TimeDecay(0.1, decay=0.5), cr.OneCycle(0.1, epochs=4), lambda epoch: 0.1])
def test_a_loop_by_hand_says_the_epoch(lr):
    net = neuron()
    LOSS(net(X), Y).backward()
    before = bits(net)
    optimizer = cr.SGD(lr)
    with pytest.raises(ValueError, match=r"^epoch must be given"):
        optimizer.step(net)
    with pytest.raises(ValueError, match=r"^epoch must be a finite number at least 0"):
        optimizer.step(net, epoch=-1)
    assert bits(net) == before
    optimizer.step(net, epoch=0)
    assert bits(net) != before


@pytest.mark.parametrize(
    ("given", "error"), [(-0.1, ValueError), (math.nan, ValueError), ("0.1", TypeError), (None, TypeError)]
)
def test_a_function_that_returns_no_rate(given, error):
    net = neuron()
    LOSS(net(X), Y).backward()
    before = bits(net)
    with pytest.raises(error, match=r"^lr\(0\) must be a finite number at least 0"):
        cr.SGD(lambda epoch: given).step(net, epoch=0)
    with pytest.raises(error, match=r"^lr\(0\) must be a finite number at least 0"):
        cr.Trainer(net, loss=LOSS, optimizer=cr.SGD(lambda epoch: given)).fit(X, Y)
    assert bits(net) == before


def test_a_schedule_may_be_copied_with_its_optimizer():
    optimizer = cr.Momentum(cr.OneCycle(0.1, steps=9), beta=0.8)
    assert pickle.loads(pickle.dumps(optimizer)) == copy.deepcopy(optimizer) == optimizer
    assert "lr=OneCycle(lr=0.1, epochs=None, steps=9.0" in repr(optimizer)
