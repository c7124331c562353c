"""`Trainer.fit` over several epochs against a loop in NumPy, made of the operations of the specification.

Tolerance. A gradient comes of fewer than 200 roundings (sums over 5 to 7 inputs, forwards and backwards, and 6 rows)
of numbers below 10: wrong by 1000 eps = 2e-13. A step moves weights by RATE = 0.02 times that, 15 steps by 7e-14, and
a curvature below 5 lets an error grow by (1 + 0.02 * 5)^15 < 5 meanwhile: 4e-13 < 1e-12. An optimizer that divides by
a root may stretch a step, by up to 1 / 0.05 = 20, but only where all gradients so far were about 0; 1e-12 is required
of it too.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import penalty_formulas
import pytest
from numpy.testing import assert_allclose
from problems import subclasses
from training_loop import BATCH_SIZE, EPOCHS, LOSSES, RATE, ROWS, WEIGHT, Array, Run, X, trained
from update_rules import EVERY

import chainrule as cr

TOLERANCE = 1e-12


def check(run: Run) -> None:
    net = run.network()
    start = {name: value.copy() for name, value in net.parameters().items()}
    expected = trained(run, start)
    options = {"optimizer": run.optimizer, "penalty": run.penalties}
    history = cr.Trainer(net, loss=run.rule.loss, **options).fit(
        X,
        run.rule.y,
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        shuffle=run.shuffle,
        drop_last=run.drop_last,
        sample_weight=run.weight,
        verbose=False,
    )
    for name, found in net.parameters().items():
        if int(name[0]) in run.frozen:
            assert np.array_equal(found, start[name])
            continue
        scale = abs(expected.parameters[name]).max()
        assert abs(found - start[name]).max() > 1e-3 * scale  # it moved
        assert_allclose(found, expected.parameters[name], rtol=0, atol=TOLERANCE * scale, err_msg=name)
    assert_allclose(history["loss"], expected.losses, rtol=TOLERANCE)
    assert_allclose(history["learning_rate"], expected.rates, rtol=TOLERANCE)
    if run.penalties:
        values = [penalty_formulas.value(one, expected.parameters, ROWS, BATCH_SIZE) for one in run.penalties]
        assert history["penalty"][-1] == pytest.approx(sum(values), rel=TOLERANCE)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses(loss: str, weight: Array | None) -> None:
    check(Run(loss=loss, weight=weight))


@pytest.mark.parametrize("optimizer", EVERY, ids=repr)
def test_updates(optimizer: cr.Optimizer) -> None:
    optimizer = dataclasses.replace(optimizer, lr=RATE)
    check(Run(optimizer=optimizer))
    check(Run(optimizer=optimizer, loss="squares, mean", penalties=(cr.L2(0.3),), dropout=0.25))


# All but the step, behind which nothing learns.
ACTIVATIONS: list[tuple[Any, float]] = [
    ("identity", 0.0),
    ("sigmoid", 0.0),
    ("tanh", 0.0),
    ("relu", 0.0),
    (cr.LeakyReLU(slope=0.1), 0.1),
    (cr.ELU(alpha=1.3), 1.3),
]


@pytest.mark.parametrize(("activation", "parameter"), ACTIVATIONS, ids=str)
def test_activations(activation: Any, parameter: float) -> None:
    check(Run(activation=activation, parameter=parameter, loss="squares, mean"))


@pytest.mark.filterwarnings("ignore::chainrule.PlacementWarning")
def test_a_softmax_in_the_middle() -> None:
    check(Run(activation="softmax", loss="squares, mean"))


@pytest.mark.parametrize(
    "penalty",
    [
        cr.L2(0.3),
        cr.L2(0.3, bias_strength=0.2, scale="1"),
        cr.L2(3.0, scale="1/m"),
        cr.L2(3.0, scale="1/2m", m="batch"),
        cr.L2(0.3, layers=[1], bias_strength=0.2),
        cr.L2(0.3, decay="decoupled", bias_strength=0.5),
        cr.L2(3.0, decay="decoupled", scale="1/m", m="batch"),
        cr.L2(0.03, decay="decoupled_raw"),
        cr.L1(0.1, bias_strength=0.2),
        cr.L1(0.1, scale="1/2"),
        cr.L1(2.0, scale="1/2m", m="batch"),
        cr.L1(0.5, update="proximal", bias_strength=0.1),
        cr.L1(5.0, update="proximal", scale="1/m", m="batch", layers=[0]),
        cr.ElasticNet(0.1, 0.3, bias_l1=0.05, bias_l2=0.2),
        cr.ElasticNet(3.0, 9.0, scale="1/m"),
        cr.Lp(0.1, p=3, bias_strength=0.2),
        cr.Lp(0.2, p=1.5),
        cr.Lp(0.3, p=2, norm="norm"),
        cr.Lp(0.3, p=1.5, norm="norm", bias_strength=0.1, layers=[0]),
    ],
    ids=repr,
)
def test_penalties(penalty: cr.Penalty) -> None:
    # Weights that start as zeros would start at a kink.
    check(Run(penalties=(penalty,)))
    momentum = cr.Momentum(RATE, layer_lr={0: 0.5}, clip_norm=0.8)
    check(Run(penalties=(penalty, cr.L1(0.02)), loss="squares, mean", optimizer=momentum, bias=False))


@pytest.mark.parametrize(
    "lr",
    [
        cr.TimeDecay(RATE, decay=0.5),
        cr.TimeDecay(RATE, decay=0.5, per="iteration"),
        cr.StepDecay(RATE, drop=0.5, every=2, floor=False),
        cr.ExponentialDecay(RATE, k=0.1, per="iteration"),
        cr.CosineDecay(RATE, epochs=3, warmup=1, end=0.001),
        cr.OneCycle(RATE, epochs=3),
        lambda epoch: RATE / (1 + epoch) ** 2,
    ],
    ids=lambda lr: repr(lr) if isinstance(lr, cr.Schedule) else "a function of the epoch",
)
def test_schedules(lr: Any) -> None:
    check(Run(optimizer=cr.SGD(lr)))
    check(Run(optimizer=cr.AdamW(lr, eps=0.05, weight_decay=0.3, layer_lr={1: 3.0}), drop_last=True))
    check(Run(optimizer=cr.Rprop(lr), penalties=(cr.L1(0.3, update="proximal"), cr.L2(0.3, decay="decoupled"))))


EVERYTHING = Run(
    loss="soft targets",
    optimizer=cr.AdamW(cr.OneCycle(RATE, epochs=3), eps=0.05, clip_norm=0.9, clip_value=0.2, layer_lr={0: 0.5}),
    activation="relu",
    dropout=0.3,
    penalties=(cr.L2(0.1, bias_strength=0.1), cr.L1(0.3, update="proximal"), cr.L2(0.02, decay="decoupled_raw")),
    weight=WEIGHT,
)
OPTIONS = {
    "no biases": Run(bias=False, penalties=(cr.L2(0.3),)),
    "dropout": Run(dropout=0.4),
    "unshuffled": Run(shuffle=False),
    "ragged batches left out": Run(drop_last=True),
    "clipped by norm": Run(optimizer=cr.SGD(RATE, clip_norm=0.5)),
    "clipped by value": Run(optimizer=cr.SGD(RATE, clip_value=0.1)),
    "rates by layer": Run(optimizer=cr.Momentum(RATE, layer_lr={0: 0.25, 1: 2.0})),
    "a frozen first layer": Run(frozen=(0,), penalties=(cr.L2(0.3),), optimizer=cr.Adam(RATE, eps=0.05, clip_norm=0.5)),
    "a frozen last layer": Run(frozen=(1,), optimizer=cr.AdamW(RATE, eps=0.05, weight_decay=0.3)),
    "frozen, and decay beside the gradient": Run(
        frozen=(1,), penalties=(cr.L2(0.3, decay="decoupled"), cr.L1(0.1, update="proximal"))
    ),
    "everything": EVERYTHING,
    "everything, frozen": EVERYTHING._replace(frozen=(0,)),
}


@pytest.mark.parametrize("run", OPTIONS.values(), ids=OPTIONS)
def test_options(run: Run) -> None:
    check(run)


def test_the_loop_has_every_loss() -> None:
    known = {type(rule.loss) for rule in LOSSES.values()}
    assert known == {kind for kind in subclasses(cr.Loss) if kind.__name__ in cr.__all__}
