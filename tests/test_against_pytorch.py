"""Optimizers, penalties, clipping and schedules against PyTorch: the same weights after 20 steps, by hand and by `fit`.

Layers and losses: test_against_pytorch_layers.py. What PyTorch reads otherwise than chainrule's defaults is switched to
PyTorch's reading by the option that is there for it. The tolerance is derived in pytorch_twins.py.
"""

from __future__ import annotations

import math

import pytest
import pytorch_twins as twins
from pytorch_twins import BATCH, NUMBERS, X, assert_trains_alike, mlp, network, torch

import chainrule as cr

optim = torch.optim
ODD = {"lr": 0.03, "beta1": 0.6, "beta2": 0.8, "eps": 0.05}
ODD_TORCH = {"lr": 0.03, "betas": (0.6, 0.8), "eps": 0.05}


def torch_made(kind, **options):
    """Return what makes PyTorch's optimizer on some leaves, with a name for the test's."""
    return lambda p: kind(p.values(), **options)


# Optimizers ----------------------------------------------------------------------------------------------------------

OPTIMIZERS = [
    (cr.SGD(0.1), torch_made(optim.SGD, lr=0.1)),
    (cr.Momentum(0.05, beta=0.8), torch_made(optim.SGD, lr=0.05, momentum=0.8)),
    (cr.Momentum(0.05, beta=0.8, style="nesterov"), torch_made(optim.SGD, lr=0.05, momentum=0.8, nesterov=True)),
    (
        cr.Momentum(0.2, beta=0.8, style="torch_dampening"),
        torch_made(optim.SGD, lr=0.2, momentum=0.8, dampening=0.8),
    ),
    (cr.AdaGrad(0.1, eps=0.05), torch_made(optim.Adagrad, lr=0.1, eps=0.05)),
    (cr.AdaDelta(0.7, rho=0.8, eps=0.01), torch_made(optim.Adadelta, lr=0.7, rho=0.8, eps=0.01)),
    (cr.RMSprop(0.03, beta=0.8, eps=0.05), torch_made(optim.RMSprop, lr=0.03, alpha=0.8, eps=0.05)),
    (
        cr.Rprop(0.02, shrink=0.4, grow=1.3, least=0.005, most=0.05),
        torch_made(optim.Rprop, lr=0.02, etas=(0.4, 1.3), step_sizes=(0.005, 0.05)),
    ),
    (cr.Adam(**ODD), torch_made(optim.Adam, **ODD_TORCH)),
    (
        cr.AdamW(**ODD, weight_decay=0.3, decay_biases=True),
        torch_made(optim.AdamW, **ODD_TORCH, weight_decay=0.3),
    ),
    (cr.NAdam(**ODD, momentum_decay=0.02), torch_made(optim.NAdam, **ODD_TORCH, momentum_decay=0.02)),
    (cr.AMSGrad(**ODD), torch_made(optim.Adam, **ODD_TORCH, amsgrad=True)),
]


@pytest.mark.parametrize(("optimizer", "other"), OPTIMIZERS, ids=[repr(optimizer) for optimizer, _ in OPTIMIZERS])
def test_optimizer(optimizer, other):
    assert_trains_alike(network(), mlp(), optimizer, other)


def decayed(kind, weights, biases, **options):
    """Return what makes an optimizer with one decay for weights and another for biases."""

    def other(p):
        groups = (
            {"params": [value for name, value in p.items() if name.endswith(ending)], "weight_decay": decay}
            for ending, decay in (("weight", weights), ("bias", biases))
        )
        return kind(list(groups), **options)

    return other


def test_weight_decay_of_adamw_leaves_biases_alone_unless_asked():
    other = decayed(optim.AdamW, 0.3, 0.0, **ODD_TORCH)
    assert_trains_alike(network(), mlp(), cr.AdamW(**ODD, weight_decay=0.3), other)


def test_the_rate_of_a_layer():
    def other(p):
        first, last = ([value for name, value in p.items() if name.startswith(number)] for number in "01")
        return optim.Adam([{"params": first, "lr": 0.003}, {"params": last}], **ODD_TORCH)

    assert_trains_alike(network(), mlp(), cr.Adam(**ODD, layer_lr={0: 0.1}), other)


def test_a_frozen_layer():
    def other(p):
        return optim.Adam([value for name, value in p.items() if name.startswith("1")], **ODD_TORCH)

    net = network()
    net.freeze(0)
    assert_trains_alike(net, mlp(), cr.Adam(**ODD), other)


# The names of the same option, and PyTorch's class.
SAME_DEFAULTS = [
    (cr.AdaGrad, optim.Adagrad, {"lr": "lr", "eps": "eps"}),
    (cr.AdaDelta, optim.Adadelta, {"lr": "lr", "rho": "rho", "eps": "eps"}),
    (cr.RMSprop, optim.RMSprop, {"eps": "eps"}),
    (cr.Rprop, optim.Rprop, {"lr": "lr", ("shrink", "grow"): "etas", ("least", "most"): "step_sizes"}),
    (cr.Adam, optim.Adam, {"lr": "lr", ("beta1", "beta2"): "betas", "eps": "eps"}),
    (cr.AMSGrad, optim.Adam, {"lr": "lr", ("beta1", "beta2"): "betas", "eps": "eps"}),
    (cr.AdamW, optim.AdamW, {"lr": "lr", ("beta1", "beta2"): "betas", "eps": "eps", "weight_decay": "weight_decay"}),
    (
        cr.NAdam,
        optim.NAdam,
        {"lr": "lr", ("beta1", "beta2"): "betas", "eps": "eps", "momentum_decay": "momentum_decay"},
    ),
]


@pytest.mark.parametrize(("kind", "other", "names"), SAME_DEFAULTS, ids=[kind.__name__ for kind, _, _ in SAME_DEFAULTS])
def test_the_defaults_are_those_of_pytorch(kind, other, names):
    defaults = other([torch.zeros(1)]).defaults
    for ours, theirs in names.items():
        found = getattr(kind(), ours) if isinstance(ours, str) else tuple(getattr(kind(), name) for name in ours)
        assert found == defaults[theirs], f"{kind.__name__}: {ours}"


# Penalties -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias_strength", [0.0, 0.2])
@pytest.mark.parametrize(
    ("optimizer", "kind", "options"),
    [(cr.SGD(0.1), optim.SGD, {"lr": 0.1}), (cr.Adam(**ODD), optim.Adam, ODD_TORCH)],
    ids=["SGD", "Adam"],
)
def test_l2_is_weight_decay(optimizer, kind, options, bias_strength):
    other = decayed(kind, 0.3, bias_strength, **options)
    assert_trains_alike(network(), mlp(), optimizer, other, penalty=cr.L2(0.3, bias_strength=bias_strength))


def total(p, kind, term):
    """Return the sum of a term over all weights, or over all biases."""
    return sum(term(value).sum() for name, value in p.items() if name.endswith(kind))


def with_penalty(term):
    """Return the twin and the loss of an objective that adds `term(p)` to the mean of squares."""
    bare = mlp()
    return lambda p, x: (bare(p, x), p), lambda both, y: twins.mean_squares(both[0], y) + term(both[1])


PENALTIES = [
    (cr.L1(0.05), lambda p: 0.05 * total(p, "weight", torch.abs)),
    (
        cr.L1(0.5, bias_strength=0.3, scale="1/2m", m="batch"),
        lambda p: (0.5 * total(p, "weight", torch.abs) + 0.3 * total(p, "bias", torch.abs)) / (2 * BATCH),
    ),
    (cr.L2(0.1, scale="1"), lambda p: 0.1 * total(p, "weight", torch.square)),
    (cr.L2(9.0, scale="1/2m", m="batch"), lambda p: 9.0 / (2 * BATCH) * total(p, "weight", torch.square)),
    (cr.L2(0.2, layers=(1,)), lambda p: 0.1 * p["1.weight"].square().sum()),
    (
        cr.ElasticNet(0.03, 0.2, bias_l1=0.01, bias_l2=0.1),
        lambda p: (
            0.03 * total(p, "weight", torch.abs)
            + 0.1 * total(p, "weight", torch.square)
            + 0.01 * total(p, "bias", torch.abs)
            + 0.05 * total(p, "bias", torch.square)
        ),
    ),
    (cr.Lp(0.05, p=3), lambda p: 0.05 * total(p, "weight", lambda w: w.abs() ** 3)),
    (
        cr.Lp(0.3, p=2, norm="norm", bias_strength=0.2),
        lambda p: 0.3 * torch.sqrt(total(p, "weight", torch.square)) + 0.2 * torch.sqrt(total(p, "bias", torch.square)),
    ),
    (cr.Lp(0.2, p=3, norm="norm"), lambda p: 0.2 * total(p, "weight", lambda w: w.abs() ** 3) ** (1 / 3)),
]


@pytest.mark.parametrize(("penalty", "other"), PENALTIES, ids=[repr(penalty) for penalty, _ in PENALTIES])
def test_penalties_by_automatic_differentiation(penalty, other):
    net = network()
    value = other(twins.leaves(net)).item()
    # A sum over 56 weights and 10 biases of size below 2, to the third power: 66 roundings of numbers below 600.
    assert penalty.value(net, m=len(X), batch=BATCH) == pytest.approx(value, rel=0, abs=66 * 600 * 2.0**-53)
    twin, twin_loss = with_penalty(other)
    assert_trains_alike(net, twin, cr.SGD(0.1), twins.sgd(), twin_loss=twin_loss, penalty=penalty)


# Clipping ------------------------------------------------------------------------------------------------------------


def test_clipping_by_norm():
    norms = []

    def limit(p):
        norms.append(torch.nn.utils.clip_grad_norm_(p.values(), 0.8).item())

    optimizer = cr.Momentum(0.1, beta=0.8, clip_norm=0.8)
    assert_trains_alike(network(), mlp(), optimizer, torch_made(optim.SGD, lr=0.1, momentum=0.8), limit=limit)
    assert min(norms) < 0.8 < max(norms)  # some steps are clipped, and some are not


def test_clipping_by_value():
    clipped = []

    def limit(p):
        clipped.append(max(value.grad.abs().max().item() for value in p.values()) > 0.5)
        torch.nn.utils.clip_grad_value_(p.values(), 0.5)

    optimizer = cr.Momentum(0.1, beta=0.8, clip_value=0.5)
    assert_trains_alike(network(), mlp(), optimizer, torch_made(optim.SGD, lr=0.1, momentum=0.8), limit=limit)
    assert any(clipped)
    assert not all(clipped)


def test_clipping_by_value_comes_before_clipping_by_norm():
    def limit(p):
        torch.nn.utils.clip_grad_value_(p.values(), 0.2)
        torch.nn.utils.clip_grad_norm_(p.values(), 0.5)

    assert_trains_alike(network(), mlp(), cr.SGD(0.1, clip_norm=0.5, clip_value=0.2), twins.sgd(), limit=limit)


def test_penalties_are_clipped_with_the_loss():
    def limit(p):
        torch.nn.utils.clip_grad_norm_(p.values(), 0.5)

    twin, twin_loss = with_penalty(lambda p: 0.2 * total(p, "weight", torch.square))
    optimizer, penalty = cr.SGD(0.1, clip_norm=0.5), cr.L2(0.2, scale="1")
    assert_trains_alike(network(), twin, optimizer, twins.sgd(), twin_loss=twin_loss, penalty=penalty, limit=limit)


# Schedules -----------------------------------------------------------------------------------------------------------

rates = optim.lr_scheduler
STEPS = twins.STEPS


def warmed_up(optimizer):
    """Return PyTorch's way to say: linear from 1/5 to 1 in 5 steps, then the cosine."""
    parts = [
        rates.LinearLR(optimizer, start_factor=1 / 5, total_iters=4),
        rates.CosineAnnealingLR(optimizer, T_max=STEPS - 5, eta_min=0.01),
    ]
    return rates.SequentialLR(optimizer, parts, milestones=[5])


BY_STEP = [
    (cr.ConstantRate(0.1), lambda o: rates.ConstantLR(o, factor=1.0)),
    (cr.OneCycle(0.1, steps=STEPS), lambda o: rates.OneCycleLR(o, 0.1, total_steps=STEPS, cycle_momentum=False)),
    (cr.CosineDecay(0.1, steps=STEPS), lambda o: rates.CosineAnnealingLR(o, T_max=STEPS)),
    (cr.CosineDecay(0.1, steps=STEPS, end=0.02), lambda o: rates.CosineAnnealingLR(o, T_max=STEPS, eta_min=0.02)),
    (cr.CosineDecay(0.1, steps=STEPS, warmup=5, end=0.01), warmed_up),
    (
        cr.StepDecay(0.1, drop=0.5, every=5, per="iteration"),
        lambda o: rates.StepLR(o, step_size=5, gamma=0.5),
    ),
    (
        cr.ExponentialDecay(0.1, k=-math.log(0.9), per="iteration"),
        lambda o: rates.ExponentialLR(o, gamma=0.9),
    ),
]


@pytest.mark.parametrize(("schedule", "other"), BY_STEP, ids=[repr(schedule) for schedule, _ in BY_STEP])
def test_schedule_by_step(schedule, other):
    assert_trains_alike(network(), mlp(), cr.SGD(schedule), twins.sgd(), schedule=other)


BY_EPOCH = [
    (cr.StepDecay(0.1, drop=0.1, every=2), lambda o: rates.StepLR(o, step_size=2, gamma=0.1)),
    (cr.ExponentialDecay(0.1, k=-math.log(0.7)), lambda o: rates.ExponentialLR(o, gamma=0.7)),
    (cr.TimeDecay(0.1, decay=0.5), lambda o: rates.LambdaLR(o, lambda epoch: 1 / (1 + 0.5 * epoch))),
]


@pytest.mark.parametrize(("schedule", "other"), BY_EPOCH, ids=[repr(schedule) for schedule, _ in BY_EPOCH])
def test_schedule_by_epoch(schedule, other):
    few = 5 * BATCH  # 4 epochs of 5 steps
    assert_trains_alike(
        network(),
        mlp(),
        cr.SGD(schedule),
        twins.sgd(),
        x=X[:few],
        y=NUMBERS[:few],
        epochs=4,
        schedule=other,
        by_epoch=True,
    )


ALL = [(*pair, False) for pair in BY_STEP] + [(*pair, True) for pair in BY_EPOCH]


@pytest.mark.parametrize(("schedule", "other", "by_epoch"), ALL, ids=[repr(schedule) for schedule, _, _ in ALL])
def test_the_closed_formula_of_a_schedule(schedule, other, by_epoch):
    stepper = optim.SGD([torch.zeros(1)], lr=0.1)
    theirs = other(stepper)
    for t in range(STEPS):
        found = schedule.rate(4 * t, epoch=t, steps_per_epoch=4) if by_epoch else schedule.rate(t)
        # PyTorch multiplies the rate before on by a factor each step, of some five roundings: 20 * 5.
        assert found == pytest.approx(stepper.param_groups[0]["lr"], rel=0, abs=0.1 * 100 * 2.0**-53)
        stepper.step()
        theirs.step()
