"""Penalties: every reading against its formula, by value, by gradient, and by what a step of training does."""

from __future__ import annotations

import dataclasses

import numpy as np
import penalty_formulas as formulas
import pytest
from problems import bits, built, network, problem, rows, subclasses, trainer, variants

import chainrule as cr

# Numbers that are nobody's defaults; biases apart from weights.
NUMBERS = {"strength": 0.3, "bias_strength": 0.07, "l1": 0.2, "l2": 0.5, "bias_l1": 0.05, "bias_l2": 0.11}
M, BATCH = 40, 8


def in_every_setting(kind):
    # The powers of L_p: a kink, a slope that is steep at 0, squares, a cube.
    return [one for p in ([1.0, 1.5, 2.0, 3.0] if kind is cr.Lp else [None]) for one in variants(kind, **NUMBERS, p=p)]


EVERY = [one for kind in subclasses(cr.Penalty) for one in in_every_setting(kind)]


def net_with_everything(dtype="float64"):
    """Return a network that has weights, biases, and a normalization whose scale and shift are never counted."""
    layers = [cr.Dense(6, activation="tanh"), cr.BatchNorm(), cr.Dense(5, activation="tanh"), cr.Dense(2)]
    net = cr.Network(layers, inputs=4, seed=3, dtype=dtype)
    for number, value in enumerate(net.parameters().values()):
        value[...] = np.random.default_rng(number).normal(size=value.shape)
    net.parameters()["0.weight"][1, 2] = 0  # sign(0) = 0
    return net


def linear(inputs=3, weight=None):
    net = cr.Network([cr.Dense(1, bias=False)], inputs=inputs, seed=2, dtype="float64")
    if weight is not None:
        net.parameters()["0.weight"][...] = np.reshape(weight, (-1, 1))
    return net


# Values and gradients -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", EVERY, ids=repr)
def test_value_and_gradient_are_those_of_the_formula(penalty):
    net = net_with_everything()
    for one in (penalty, dataclasses.replace(penalty, layers=[0, 3])):
        parameters = net.state_dict()
        parameters = {name: parameters[name] for name in net.parameters()}
        # Sums of fewer than 100 terms, rounded a few times each; their order is not NumPy's.
        assert one.value(net, m=M, batch=BATCH) == pytest.approx(
            formulas.value(one, parameters, M, BATCH), rel=100 * 2.0**-53
        )
        net.zero_grad()
        one.add_gradient(net, m=M, batch=BATCH)
        expected = formulas.gradients(one, parameters, M, BATCH)
        for name, gradient in net.gradients().items():
            np.testing.assert_allclose(gradient, expected[name], rtol=100 * 2.0**-53, atol=0, err_msg=name)
        one.add_gradient(net, m=M, batch=BATCH)  # it adds
        np.testing.assert_allclose(net.gradients()["0.weight"], 2 * expected["0.weight"], rtol=100 * 2.0**-53)
        assert {name: value.tobytes() for name, value in parameters.items()} == bits(net)


@pytest.mark.parametrize("penalty", EVERY, ids=repr)
def test_what_comes_before_and_after_an_update_is_the_formula(penalty):
    net, lr = net_with_everything(), 0.05
    for one in (penalty, dataclasses.replace(penalty, layers=[2])):
        for act, formula in ((one.before_step, formulas.before), (one.after_step, formulas.after)):
            expected = formula(one, net.state_dict(), lr, M, BATCH)
            act(net, lr, m=M, batch=BATCH)
            for name, value in net.parameters().items():
                # One product, or one difference of numbers below 4.
                np.testing.assert_allclose(value, expected[name], rtol=4 * 2.0**-53, atol=4 * 2.0**-53, err_msg=name)


@pytest.mark.parametrize("penalty", [cr.L1(0.3), cr.L2(0.3), cr.Lp(0.3, p=3), cr.Lp(0.3, p=2, norm="norm")], ids=repr)
def test_the_sums_of_many_weights(penalty):
    # More than the engine takes in one block, 4096.
    net = cr.Network([cr.Dense(70), cr.Dense(3)], inputs=80, seed=1, dtype="float64")
    penalty.add_gradient(net)
    close = 5810 * 2.0**-53  # a rounding for each
    assert penalty.value(net) == pytest.approx(formulas.value(penalty, net.parameters()), rel=close)
    for name, expected in formulas.gradients(penalty, net.parameters()).items():
        np.testing.assert_allclose(net.gradients()[name], expected, rtol=close, err_msg=name)


def test_every_penalty_is_zero_at_zero():
    net = cr.Network([cr.Dense(3, weight_init="zeros")], inputs=2, dtype="float64")
    for penalty in EVERY:
        net.zero_grad()
        penalty.add_gradient(net, m=M, batch=BATCH)
        assert penalty.value(net, m=M, batch=BATCH) == 0
        assert all((gradient == 0).all() for gradient in net.gradients().values())


def test_frozen_layers_are_counted_but_get_no_gradient():
    net = net_with_everything()
    whole = cr.L2(0.3).value(net)
    net.freeze(0)
    net.zero_grad()
    cr.L2(0.3).add_gradient(net)
    assert cr.L2(0.3).value(net) == whole
    assert not net.gradients()["0.weight"].any()
    assert net.gradients()["2.weight"].any()


# The lectures' readings -----------------------------------------------------------------------------------------------


def test_the_cat_of_lecture_003():
    # The slide adds 0.25 + 0.5 + 0.5 up to 1; the third term is 0.25.
    few, all_of_them = linear(weight=[0, 0.75, 0]), linear(weight=[0.25, 0.5, 0.25])
    assert [cr.L1(1).value(net) for net in (few, all_of_them)] == [0.75, 1.0]
    assert [cr.L2(1, scale="1").value(net) for net in (few, all_of_them)] == [0.5625, 0.375]
    assert [net.predict([[1, 2, 1]]).item() for net in (few, all_of_them)] == [1.5, 1.5]


X, Y = rows(12, columns=3, seed=4), rows(12, columns=1, seed=5)


def one_step(penalty, lr=0.1, batch_size=12, w=None):
    """Return the weights before and after an epoch of plain descent on half the mean squared error."""
    net = linear(weight=w)
    before = net.parameters()["0.weight"].copy()
    learner = cr.Trainer(
        net, loss=cr.MeanSquaredError(reduction="mean", half=True), optimizer=cr.SGD(lr), penalty=penalty
    )
    learner.fit(X, Y, epochs=1, batch_size=batch_size, shuffle=False)
    return before, net.parameters()["0.weight"]


def data_gradient(w, x=X, y=Y):
    return x.T @ (x @ w - y) / len(x)


# Sums over 12 rows of numbers below 10: a hundred roundings.
STEP = {"rtol": 0, "atol": 100 * 2.0**-53}
A, LAMBDA = 0.1, 0.4


@pytest.mark.parametrize(
    ("penalty", "formula"),
    {
        "[000], [004]: coupled, with the half": (cr.L2(LAMBDA), lambda w, g: w - A * (g + LAMBDA * w)),
        "[004]: the same": (cr.L2(LAMBDA), lambda w, g: w * (1 - A * LAMBDA) - A * g),
        "[002]: lambda / m": (cr.L2(LAMBDA, scale="1/2m"), lambda w, g: w - A * LAMBDA / 12 * w - A * g),
        "[003]: the plain sum": (cr.L2(LAMBDA, scale="1"), lambda w, g: w - A * (g + 2 * LAMBDA * w)),
        "AdamW": (cr.L2(LAMBDA, decay="decoupled"), lambda w, g: w - A * LAMBDA * w - A * g),
        "[000], as printed": (cr.L2(LAMBDA, decay="decoupled_raw"), lambda w, g: w - A * g - LAMBDA * w),
        "[002]: L1": (cr.L1(LAMBDA, scale="1/2m"), lambda w, g: w - A * (g + LAMBDA / 24 * np.sign(w))),
        "[003]: L1": (cr.L1(LAMBDA), lambda w, g: w - A * (g + LAMBDA * np.sign(w))),
        "[001]: p = 2 is the sum of squares": (cr.Lp(LAMBDA, p=2), lambda w, g: w - A * (g + 2 * LAMBDA * w)),
        "[001]: the norm itself": (
            cr.Lp(LAMBDA, p=2, norm="norm"),
            lambda w, g: w - A * (g + LAMBDA * w / np.sqrt((w**2).sum())),
        ),
        "several": ([cr.L1(0.1), cr.L2(LAMBDA)], lambda w, g: w - A * (g + 0.1 * np.sign(w) + LAMBDA * w)),
        "elastic": (cr.ElasticNet(0.1, LAMBDA), lambda w, g: w - A * (g + 0.1 * np.sign(w) + LAMBDA * w)),
    }.values(),
    ids=str,
)
def test_a_step_of_each_reading(penalty, formula):
    w, found = one_step(penalty, A)
    np.testing.assert_allclose(found, formula(w, data_gradient(w)), **STEP)


@pytest.mark.parametrize(("m", "rows_of"), [("data", lambda size: 12), ("batch", lambda size: size)])
def test_m_is_the_rows_of_the_data_or_those_of_the_batch(m, rows_of):
    # Batches of 5, 5 and 2 rows.
    w, found = one_step(cr.L2(LAMBDA, scale="1/2m", m=m), A, batch_size=5)
    for batch in (slice(0, 5), slice(5, 10), slice(10, 12)):
        size = len(X[batch])
        w = w - A * (data_gradient(w, X[batch], Y[batch]) + LAMBDA / rows_of(size) * w)
    np.testing.assert_allclose(found, w, rtol=0, atol=300 * 2.0**-53)


def test_scikit_learn_divides_by_the_rows_of_the_batch():
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    from sklearn.neural_network import MLPRegressor

    theirs = MLPRegressor(
        hidden_layer_sizes=(5,),
        activation="tanh",
        solver="sgd",
        alpha=0.7,
        batch_size=4,
        learning_rate_init=0.1,
        momentum=0,
        shuffle=False,
    )
    theirs.partial_fit(X, Y.ravel())
    net = cr.Network([cr.Dense(5, activation="tanh"), cr.Dense(1)], inputs=3, dtype="float64")
    for layer in range(2):
        net.parameters()[f"{layer}.weight"][...] = theirs.coefs_[layer]
        net.parameters()[f"{layer}.bias"][...] = theirs.intercepts_[layer]
    theirs.partial_fit(X, Y.ravel())
    penalty = cr.L2(0.7, scale="1/2m", m="batch")
    learner = cr.Trainer(net, loss=cr.MeanSquaredError(half=True), optimizer=cr.SGD(0.1), penalty=penalty)
    learner.fit(X, Y, epochs=1, batch_size=4, shuffle=False)
    for layer in range(2):
        np.testing.assert_allclose(net.parameters()[f"{layer}.weight"], theirs.coefs_[layer], rtol=0, atol=1e-14)
        np.testing.assert_allclose(net.parameters()[f"{layer}.bias"], theirs.intercepts_[layer], rtol=0, atol=1e-14)


def test_decoupled_decay_is_coupled_for_plain_descent_and_not_for_adam():
    def trained(optimizer, decay):
        net = network("float64")
        trainer(net, optimizer=optimizer, penalty=cr.L2(0.1, decay=decay)).fit(*problem(), epochs=2)
        return net.parameters()["0.weight"]

    np.testing.assert_allclose(trained(cr.SGD(0.1), "decoupled"), trained(cr.SGD(0.1), "coupled"), rtol=0, atol=1e-13)
    assert abs(trained(cr.Adam(0.01), "decoupled") - trained(cr.Adam(0.01), "coupled")).max() > 1e-3


def test_adamw_is_adam_with_decoupled_decay():
    nets = [network("float64"), network("float64")]
    trainer(nets[0], optimizer=cr.AdamW(0.01, weight_decay=0.3)).fit(*problem(), epochs=3)
    # 2 * scale * strength = 0.3.
    trainer(nets[1], optimizer=cr.Adam(0.01), penalty=cr.L2(0.3, decay="decoupled")).fit(*problem(), epochs=3)
    for name, value in nets[0].parameters().items():
        np.testing.assert_allclose(value, nets[1].parameters()[name], rtol=0, atol=1e-12, err_msg=name)


def test_only_the_proximal_step_gives_exact_zeros():
    # The answer needs two of ten inputs.
    x = rows(80, columns=10, seed=6)
    y = x[:, :2] @ [[1.0], [-2.0]] + 0.1 * rows(80, columns=1, seed=7)
    found = {}
    for update in ("subgradient", "proximal"):
        net = linear(inputs=10)
        learner = cr.Trainer(
            net, loss=cr.MeanSquaredError(half=True), optimizer=cr.SGD(0.1), penalty=cr.L1(0.3, update=update)
        )
        history = learner.fit(x, y, epochs=300, batch_size=80)
        found[update] = net.parameters()["0.weight"].ravel()
        assert history["penalty"][-1] == pytest.approx(0.3 * abs(found[update]).sum(), rel=1e-14)
    assert (found["proximal"] == 0).tolist() == [False, False, *[True] * 8]
    assert (found["subgradient"] != 0).all()

    # The same by hand: the proximal gradient method, whose fixed point has gradient -0.3 sign(w) where w is not 0.
    w = linear(inputs=10).parameters()["0.weight"].copy()
    for _ in range(300):
        w = w - 0.1 * data_gradient(w, x, y)
        w = np.sign(w) * np.maximum(abs(w) - 0.1 * 0.3, 0)
    np.testing.assert_allclose(found["proximal"], w.ravel(), rtol=0, atol=1e-13)
    slope = data_gradient(w, x, y)
    np.testing.assert_allclose(slope[:2], -0.3 * np.sign(w[:2]), rtol=0, atol=1e-9)
    assert (abs(slope[2:]) < 0.3).all()


def test_layers_may_have_strengths_of_their_own():
    X, y = problem()
    net, by_hand = net_with_everything(), net_with_everything()
    start = net.state_dict()
    data_step = cr.Trainer(by_hand, loss="mse", optimizer=cr.SGD(0.1))
    data_step.fit(X, np.eye(2)[y % 2], epochs=1, batch_size=60)
    penalty = [cr.L2(0.1, layers=[0]), cr.L2(0.5, layers=(3,), bias_strength=0.2)]
    cr.Trainer(net, loss="mse", optimizer=cr.SGD(0.1), penalty=penalty).fit(
        X, np.eye(2)[y % 2], epochs=1, batch_size=60
    )
    decay = {"0.weight": 0.1, "3.weight": 0.5, "3.bias": 0.2}
    for name, value in net.parameters().items():
        expected = by_hand.parameters()[name] - 0.1 * decay.get(name, 0) * start[name]
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-14, err_msg=name)


# What is reported, and what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize("m", ["data", "batch"])
def test_a_trainer_evaluates_with_the_rows_of_its_last_fit(m):
    net = linear()
    learner = cr.Trainer(net, loss="mse", optimizer=cr.SGD(0.01), penalty=cr.L2(0.6, scale="1/2m", m=m))

    def penalty(rows):
        return pytest.approx(0.6 / (2 * rows) * (net.parameters()["0.weight"] ** 2).sum(), rel=1e-14)

    assert learner.evaluate(X[:7], Y[:7])["penalty"] == penalty(7)
    history = learner.fit(X, Y, epochs=2, batch_size=5, validation_split=0.25)
    assert history["penalty"][-1] == penalty(9 if m == "data" else 5)
    assert learner.evaluate(X[:7], Y[:7])["penalty"] == history["penalty"][-1]
    learner.fit(X, Y, epochs=1, batch_size=99)
    assert learner.evaluate(X[:7], Y[:7])["penalty"] == penalty(12)


def test_decoupled_decay_is_no_part_of_the_objective():
    learner = cr.Trainer(linear(), loss="mse", penalty=cr.L2(0.5, decay="decoupled"))
    assert learner.fit(X, Y, epochs=2)["penalty"] == [0, 0]


@pytest.mark.parametrize("act", ["value", "add_gradient", "before_step", "after_step"])
def test_rows_that_are_needed_must_be_given(act):
    net = linear()
    rate = [0.1] if act.endswith("step") else []
    for scale in ("1/m", "1/2m"):
        with pytest.raises(ValueError, match=r"^m, the rows of the training set, must be given"):
            getattr(cr.L2(1, scale=scale), act)(net, *rate, batch=3)
        with pytest.raises(ValueError, match=r"^batch, the rows of the batch, must be given"):
            getattr(cr.L2(1, scale=scale, m="batch"), act)(net, *rate, m=3)
    with pytest.raises(ValueError, match=r"^m must be a whole number from 1"):
        getattr(cr.L2(1), act)(net, *rate, m=0)
    getattr(cr.L2(1, scale="1", m="batch"), act)(net, *rate)


@pytest.mark.parametrize("lr", [-0.1, float("nan"), None, "0.1"])
def test_wrong_rates_change_nothing(lr):
    net = linear()
    before = bits(net)
    for act in (cr.L2(1, decay="decoupled").before_step, cr.L1(1, update="proximal").after_step):
        with pytest.raises((ValueError, TypeError), match=r"^lr must be a finite number at least 0"):
            act(net, lr)
    assert bits(net) == before


def test_weights_that_decay_between_the_passes_make_a_loss_stale():
    net = linear()
    loss = cr.MeanSquaredError()(net(X), Y)
    cr.L2(1, decay="decoupled").before_step(net, 0.1)
    with pytest.raises(RuntimeError, match="parameters"):
        loss.backward()


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ([4], ValueError, "layers names layer 4; the network has the layers 0 to 3"),
        ([1], ValueError, "have neither weights nor biases"),
    ],
)
def test_layers_that_a_penalty_cannot_count(layers, error, message):
    net = net_with_everything()
    for kind in subclasses(cr.Penalty):
        penalty = built(kind, layers=layers)
        with pytest.raises(error, match=message):
            penalty.value(net)
        with pytest.raises(error, match=message):
            cr.Trainer(net, loss="mse", penalty=penalty)


@pytest.mark.parametrize(
    ("layers", "error"), [(0, TypeError), ("0", TypeError), ([], ValueError), ([-1], ValueError), ([0, 0], ValueError)]
)
def test_wrong_layers(layers, error):
    with pytest.raises(error, match=r"^layers"):
        cr.L2(0.1, layers=layers)


@pytest.mark.parametrize(
    "make",
    {
        "scale": lambda: cr.L2(1, scale="1/3"),
        "m": lambda: cr.L1(1, m="rows"),
        "decay": lambda: cr.L2(1, decay="coupled_half"),
        "update": lambda: cr.L1(1, update="soft"),
        "norm": lambda: cr.Lp(1, p=2, norm="true"),
        "p": lambda: cr.Lp(1, p=0.5),
        "bias_strength": lambda: cr.L1(1, bias_strength=-1),
        "l2": lambda: cr.ElasticNet(1, -1),
        "bias_l1": lambda: cr.ElasticNet(1, 1, bias_l1="0"),
    }.items(),
    ids=lambda case: case[0],
)
def test_wrong_options(make):
    with pytest.raises((ValueError, TypeError), match=rf"^{make[0]}"):
        make[1]()


def test_kinks_are_where_the_slope_jumps():
    assert [one.has_kink for one in (cr.L1(1), cr.ElasticNet(1, 1), cr.Lp(1, p=1.5))] == [True, True, True]
    assert [one.has_kink for one in (cr.L2(1), cr.Lp(1, p=2))] == [False, False]


def test_decay_of_a_whole_weight_in_a_step_is_refused():
    for make in (
        lambda: cr.L2(1, decay="decoupled_raw"),
        lambda: cr.L2(0.5, scale="1", decay="decoupled_raw"),
        lambda: cr.L2(0.1, bias_strength=2.5, decay="decoupled_raw"),
    ):
        with pytest.raises(ValueError, match=r"strength=.* of what it counts; that must be below 1"):
            make()
    cr.L2(0.99, decay="decoupled_raw")
    cr.L2(99, scale="1/2m", decay="decoupled_raw")  # what m is, is not known yet

    decoupled, net = cr.L2(20, decay="decoupled", layers=(0,)), network()
    with pytest.raises(ValueError, match=r"^strength=20 at the learning rate 0.05 "):
        decoupled.before_step(net, 0.05)
    decoupled.before_step(net, 0.04)
    with pytest.raises(ValueError, match=r"^strength=20 at the learning rate 0.1 "):
        trainer(net, optimizer=cr.SGD(0.1), penalty=decoupled)
    with pytest.raises(ValueError, match=r"^strength=20 at the learning rate 0.08 "):
        trainer(net, optimizer=cr.SGD(0.04, layer_lr={0: 2.0}), penalty=decoupled)
    learner = trainer(net, optimizer=cr.SGD(0.04, layer_lr={1: 2.0}), penalty=decoupled)
    with pytest.raises(ValueError, match=r"^strength=20 at the learning rate 0.05 "):
        learner.learning_rate = 0.05
    assert learner.learning_rate == 0.04


def test_decay_of_adamw_by_a_whole_weight_in_a_step_is_refused():
    for optimizer in (cr.AdamW(0.01, weight_decay=100), cr.AdamW(0.01, weight_decay=10, layer_lr={1: 10.0})):
        with pytest.raises(ValueError, match=r"^weight_decay=.* take 1 of each weight; that must be below 1"):
            trainer(network(), optimizer=optimizer)
        with pytest.raises(ValueError, match=r"^weight_decay="):
            optimizer.step(network())


PLANS = {
    "a schedule": cr.ConstantRate(0.1),
    "one that falls": cr.StepDecay(0.1, drop=0.5, every=2),
    "one that rises first": cr.OneCycle(0.1, steps=10),
    "a function": lambda epoch: 0.1,
    "a function, later": lambda epoch: 0.1 * epoch,
}


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize(
    "made", [lambda lr: (cr.AdamW(lr, weight_decay=11), None), lambda lr: (cr.SGD(lr), cr.L2(11, decay="decoupled"))]
)
def test_decay_by_a_whole_weight_is_refused_with_a_plan_too(made, name):
    optimizer, penalty = made(PLANS[name])
    net, (X, y), seen = network(), problem(), []

    def train():
        learner = trainer(net, optimizer=optimizer, penalty=penalty)
        for _ in range(2):  # functions are asked as epochs come
            seen.append(bits(net))
            learner.fit(X, y, epochs=1)

    with pytest.raises(ValueError, match=r"at the learning rate 0\.1 makes a step"):
        train()
    assert len(seen) == {"a function": 1, "a function, later": 2}.get(name, 0)  # else it was refused at the start
    assert all(bits(net) == one for one in seen[-1:])
    if penalty is None:
        with pytest.raises(ValueError, match=r"at the learning rate 0\.1 makes a step"):
            optimizer.step(network(), epoch=1)


def test_a_rate_that_the_precision_cannot_hold_is_refused():
    for act in (cr.L1(0.1, update="proximal").after_step, cr.L2(1e-300, decay="decoupled").before_step):
        with pytest.raises(ValueError, match=r"^lr must be a finite number at least 0 and at most 3.4\d*e\+38; got"):
            act(network(), lr=1e308)
