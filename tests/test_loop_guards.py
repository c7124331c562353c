"""What the loop by hand is warned of, and what it is not: modes, gradients, rates, heads. Lecture [003]'s mistakes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from problems import CLASSES, INPUTS, LABELS, ROWS, X, built, rows, subclasses

import chainrule as cr

LOSS = cr.CrossEntropy()
SEVERAL = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 0]] * 4)
DISTURBING = {
    "dropout": cr.Dropout(rate=0.5),
    "classic dropout": cr.Dropout(keep_prob=0.5, variant="classic"),
    "dropped weights": cr.DropConnect(INPUTS, rate=0.5),
    "noise": cr.GaussianNoise(std=1.0),
    "normalization": cr.BatchNorm(),
}
QUIET = {
    "nothing": cr.Activation("tanh"),
    "a dropout of nothing": cr.Dropout(rate=0),
    "a dropout that keeps all": cr.Dropout(keep_prob=1.0),
    "no dropped weights": cr.DropConnect(INPUTS, rate=0),
    "no noise": cr.GaussianNoise(std=0),
}


def learned(layer: cr.Layer, **options: object) -> cr.Network:
    """Return a network that has done one step of a loop by hand, in training mode."""
    net = cr.Network([layer, cr.Dense(CLASSES)], inputs=INPUTS, **options)
    step(net, cr.SGD(0.1))
    return net


def step(net: cr.Network, optimizer: cr.Optimizer) -> float:
    """Do a step as it ought to be, its accuracy and its loss read before backward(); return the loss."""
    net.zero_grad()
    out = net(X)
    assert 0 <= (np.argmax(out, axis=1) == LABELS).mean() <= 1
    loss = LOSS(out, LABELS)
    value = float(loss)
    loss.backward()
    optimizer.step(net)
    return value


LOOKS = {
    "argmax": lambda net: np.argmax(net(X), axis=1),
    "an operator": lambda net: net(X) > 0,
    "an index": lambda net: net(X)[0],
    "np.asarray": lambda net: np.asarray(net(X)),
    "repr": lambda net: repr(net(X)),
    "a loss": lambda net: float(LOSS(net(X), LABELS)),
    "a printed loss": lambda net: f"{LOSS(net(X), LABELS):.3f}",
    "a sum of losses": lambda net: 0.0 + LOSS(net(X), LABELS),
    "repr of a loss": lambda net: repr(LOSS(net(X), LABELS)),
}


def warned(call, *arguments):
    """Return the messages of the ModeWarnings and ZeroGradWarnings of a call; others are errors."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        for kind in (cr.ModeWarning, cr.ZeroGradWarning):
            warnings.simplefilter("always", kind)
        call(*arguments)
    return [str(one.message) for one in caught]


# Training and evaluation mode -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
@pytest.mark.parametrize("layer", DISTURBING.values(), ids=DISTURBING.keys())
def test_predicting_in_training_mode_is_warned_of(layer, look):
    net = learned(layer)
    (message,) = warned(look, net)
    assert f"layers[0], a {layer.label()}" in message
    assert "net.eval()" in message
    assert "training=True" in message


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
@pytest.mark.parametrize("layer", DISTURBING.values(), ids=DISTURBING.keys())
def test_looking_in_evaluation_mode_is_not(layer, look):
    net = learned(layer)
    assert warned(look, net.eval()) == []


@pytest.mark.parametrize("layer", QUIET.values(), ids=QUIET.keys())
def test_layers_that_are_the_same_in_both_modes_are_not_warned_of(layer):
    net = learned(layer)
    for look in LOOKS.values():
        assert warned(look, net) == []
    before = np.array(net(X))
    assert np.array_equal(before, net.predict(X))


@pytest.mark.parametrize("kind", subclasses(cr.Layer), ids=lambda kind: kind.__name__)
def test_every_layer_says_whether_the_modes_differ(kind):
    layer = built(kind)
    net = cr.Network([layer], inputs=INPUTS, dtype="float64")
    if kind is cr.Standardize:
        net.adapt(X)
    by_mode = [np.asarray(net(X, training=training)) for training in (True, False)]
    assert layer.differs_in_training() == (not np.array_equal(*by_mode))


def test_a_frozen_normalization_is_the_same_in_both_modes():
    net = learned(cr.BatchNorm())
    net.freeze(0)
    assert warned(LOOKS["argmax"], net) == []
    net.unfreeze(0)
    assert len(warned(LOOKS["argmax"], net)) == 1
    dropout = learned(cr.Dropout(rate=0.5))
    dropout.freeze()
    assert len(warned(LOOKS["argmax"], dropout)) == 1


def test_validation_inside_a_loop_in_training_mode_is_warned_of():
    net, optimizer = learned(cr.Dropout(rate=0.5)), cr.SGD(0.1)

    def loop():
        for _ in range(3):
            step(net, optimizer)
            total = float(LOSS(net(rows(5)), [0, 1, 2, 0, 1]))
        assert np.isfinite(total)

    assert len(warned(loop)) == 3
    where = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        np.argmax(net(X), axis=1)
    (where,) = caught
    assert where.filename == __file__


def test_a_proper_loop_is_not_warned_of():
    net, optimizer = learned(cr.Dropout(rate=0.5)), cr.SGD(0.1)

    def loop():
        for _ in range(3):
            step(net.train(), optimizer)
            assert np.isfinite(float(LOSS(net.eval()(rows(5)), [0, 1, 2, 0, 1])))

    assert warned(loop) == []


def test_a_pass_that_nobody_looks_at_is_not_warned_of():
    net = learned(cr.BatchNorm())
    assert warned(lambda: [net(X) for _ in range(3)]) == []  # as one does to count the statistics anew
    assert warned(lambda: LOSS(net(X), LABELS)) == []
    assert warned(lambda: net(X).shape) == []


def test_a_loss_that_is_not_finite_may_be_left():
    net = learned(cr.Dropout(rate=0.5))
    net.load_state_dict({name: np.full_like(value, np.nan) for name, value in net.state_dict().items()})
    assert warned(lambda: np.isnan(float(LOSS(net(X), LABELS)))) == []


def test_a_network_that_has_learned_nothing_may_be_looked_at():
    net = cr.Network([cr.Dropout(rate=0.5), cr.Dense(CLASSES)], inputs=INPUTS)
    for look in LOOKS.values():
        assert warned(look, net) == []


def test_monte_carlo_dropout_says_so():
    net = learned(cr.Dropout(rate=0.5), dtype="float64")
    net.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = np.stack([np.asarray(net(X, training=True)) for _ in range(4000)])
    assert not np.array_equal(drawn[0], drawn[1])
    # A linear network: the mean of the passes is the prediction, within 5 standard errors.
    error = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert np.all(np.abs(drawn.mean(axis=0) - net.predict(X)) <= 5 * error)
    assert not net.training  # the mode stays
    assert np.array_equal(np.asarray(net.train()(X, training=False)), net.predict(X))


@pytest.mark.parametrize("training", [1, "yes", np.ones(2)], ids=repr)
def test_the_mode_of_a_pass_is_a_bool(training):
    net = learned(cr.Dropout(rate=0.5))
    with pytest.raises(TypeError, match="training must be True or False"):
        net(X, training=training)


def test_training_in_evaluation_mode_is_an_error():
    net = learned(cr.Dropout(rate=0.5))
    for loss in (LOSS(net.eval()(X), LABELS), LOSS(net.train()(X, training=False), LABELS)):
        with pytest.raises(RuntimeError, match=r"net\.train\(\)"):
            loss.backward()
    net.zero_grad()
    LOSS(net.eval()(X, training=True), LABELS).backward()


def test_fit_evaluate_and_predict_set_the_mode_themselves():
    for mode in (True, False):
        net = learned(cr.Dropout(rate=0.5))
        net.training = mode
        trainer = cr.Trainer(net, loss="cross_entropy")

        def work(trainer=trainer):
            trainer.fit(X, LABELS, epochs=2, verbose=False)
            assert trainer.evaluate(X, LABELS) == trainer.evaluate(X, LABELS)
            assert np.array_equal(trainer.net.predict(X), trainer.net.predict(X))

        assert warned(work) == []
        assert net.training is mode


# zero_grad ------------------------------------------------------------------------------------------------------------


def pull(net, **options):
    LOSS(net(X), LABELS).backward(**options)


def fresh():
    return cr.Network([cr.Dense(CLASSES)], inputs=INPUTS)


def test_a_loop_without_zero_grad_is_warned_of():
    net, optimizer = fresh(), cr.SGD(0.1)

    def loop(zero_grad):
        for _ in range(3):
            if zero_grad:
                net.zero_grad()
            pull(net)
            optimizer.step(net)

    assert warned(loop, True) == []
    messages = warned(loop, False)
    assert len(messages) == 3
    assert all("from before the parameters changed" in one and "net.zero_grad()" in one for one in messages)


def test_two_backwards_are_warned_of_unless_said():
    net = fresh()
    pull(net)
    (message,) = warned(pull, net)
    assert "accumulate=True" in message
    net.zero_grad()
    for _ in range(3):
        assert warned(lambda: pull(net, accumulate=True)) == []


def test_accumulation_over_batches_needs_zero_grad_after_each_step():
    def loop(net, zero_grad):
        optimizer = cr.SGD(0.1)
        for _ in range(2):
            for _ in range(4):
                pull(net, accumulate=True)
            optimizer.step(net)
            if zero_grad:
                net.zero_grad()

    assert warned(loop, fresh(), True) == []
    assert len(warned(loop, fresh(), False)) == 1


def test_a_fit_leaves_gradients():
    net = fresh()
    cr.Trainer(net, loss="cross_entropy").fit(X, LABELS, epochs=1, verbose=False)
    assert any(value.any() for value in net.gradients().values())
    assert len(warned(pull, net)) == 1
    net.zero_grad()
    assert warned(pull, net) == []
    # A copy has gradients of its own, all 0.
    assert warned(pull, net.copy()) == []


def test_gradients_are_added_all_the_same():
    net = cr.Network([cr.Dense(CLASSES)], inputs=INPUTS, dtype="float64")
    pull(net)
    once = {name: value.copy() for name, value in net.gradients().items()}
    warned(pull, net)
    for name, value in net.gradients().items():
        # 12 terms below 1 / 12 times about 3, added in one order or another: 24 roundings of numbers below 4.
        np.testing.assert_allclose(value, 2 * once[name], rtol=0, atol=24 * 4 * 2.0**-53)


@pytest.mark.parametrize("accumulate", [1, None, "yes"])
def test_accumulate_is_a_bool(accumulate):
    net = fresh()
    with pytest.raises(TypeError, match="accumulate must be True or False"):
        pull(net, accumulate=accumulate)
    assert not any(value.any() for value in net.gradients().values())


def test_a_refused_backward_is_not_warned_of():
    net = fresh()
    out = net(X)
    LOSS(out, LABELS).backward()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeError):
            LOSS(out, LABELS).backward()


# Rates and heads ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [cr.Dropout, lambda: cr.DropConnect(3)], ids=["Dropout", "DropConnect"])
def test_a_rate_of_dropout_has_no_default(kind):
    with pytest.raises(ValueError, match="exactly one of rate and keep_prob must be given; got neither"):
        kind()


def trained(activation: str, outputs: int, loss: object, y: object) -> None:
    net = cr.Network([cr.Dense(outputs, activation=activation)], inputs=INPUTS)
    cr.Trainer(net, loss=loss).fit(X, y, epochs=1, verbose=False)


# What was done, the head and the loss, the targets, the error, and what it advises.
WRONG_HEADS = {
    "softmax into logits": ("softmax", 3, cr.CrossEntropy(), LABELS, ValueError, "drop that activation"),
    "sigmoid into logits": ("sigmoid", 1, cr.BinaryCrossEntropy(), LABELS % 2, ValueError, "drop that activation"),
    "softmax for several labels": (
        "softmax",
        3,
        cr.CrossEntropy(from_logits=False),
        SEVERAL,
        ValueError,
        "y must sum to 1 in each row; row 0 sums to 2: several labels at once are for BinaryCrossEntropy, a sigmoid",
    ),
    "logits of a softmax for several labels": (
        "identity",
        3,
        cr.CrossEntropy(),
        SEVERAL,
        ValueError,
        "several labels at once are for BinaryCrossEntropy",
    ),
    "one sigmoid for three classes": (
        "sigmoid",
        1,
        cr.BinaryCrossEntropy(from_logits=False),
        LABELS,
        ValueError,
        "row 2 has 2.0: class numbers are for CrossEntropy, with an output for each class",
    ),
    "one softmax unit": ("softmax", 1, "cross_entropy", LABELS % 2, ValueError, "for one output use BinaryCross"),
    "classes as floats": ("identity", 3, "cross_entropy", LABELS / 1.0, TypeError, "use y.astype(int)"),
    "a class too many": ("identity", 2, "cross_entropy", LABELS, ValueError, "class labels from 0 to 1; row 2 has 2"),
    "class numbers by squares": ("identity", 3, "mse", LABELS, ValueError, "y must have shape (12, 3)"),
}


@pytest.mark.parametrize(
    ("activation", "outputs", "loss", "y", "error", "advice"), WRONG_HEADS.values(), ids=WRONG_HEADS.keys()
)
def test_a_head_that_does_not_suit_the_targets_is_an_error(activation, outputs, loss, y, error, advice):
    assert len(y) == ROWS
    with pytest.raises(error) as caught:
        trained(activation, outputs, loss, y)
    assert advice in str(caught.value)


def test_heads_that_suit_are_taken():
    trained("identity", 3, "binary_cross_entropy", SEVERAL)
    trained("sigmoid", 3, cr.BinaryCrossEntropy(from_logits=False), SEVERAL)
    trained("softmax", 3, cr.CrossEntropy(from_logits=False), LABELS)
    trained("identity", 1, "binary_cross_entropy", LABELS % 2)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", cr.Step()], ids=str)
@pytest.mark.parametrize("place", ["hidden", "last"])
def test_sigmoid_tanh_and_step_may_stand_anywhere(activation, place):
    layers = [cr.Dense(4, activation=activation), cr.Dense(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cr.Network(layers if place == "hidden" else layers[::-1], inputs=INPUTS)
