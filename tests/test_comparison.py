"""One network with several optimizers: the runs are those of single trainers, and the table says what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from problems import problem

import chainrule as cr
from chainrule.comparison import compare, lecture_optimizers

X, Y = problem(rows=90)
TRAINING, HELD_OUT = (X[:60], Y[:60]), (X[60:], Y[60:])
EPOCHS = 12


def make_network(seed=0):
    return cr.Network([cr.Dense(8, activation="tanh"), cr.Dense(3)], inputs=4, seed=seed)


def compared(**options):
    given = {"loss": "cross_entropy", "epochs": EPOCHS, "validation_data": HELD_OUT, "metrics": ["accuracy"]}
    return compare(make_network, *TRAINING, **{**given, **options})


@pytest.fixture(scope="module")
def lecture():
    return compared()


def test_each_run_is_that_of_a_trainer(lecture):
    for name, optimizer in lecture_optimizers().items():
        net = make_network()
        trainer = cr.Trainer(net, loss="cross_entropy", optimizer=optimizer, metrics=["accuracy"])
        history = trainer.fit(*TRAINING, epochs=EPOCHS, validation_data=HELD_OUT)
        for figure in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
            assert history[figure] == lecture.histories[name][figure]
        assert net.parameters()["0.weight"].tobytes() == lecture.networks[name].parameters()["0.weight"].tobytes()


def test_the_schedules_of_lecture_002(lecture):
    epoch = np.arange(EPOCHS)
    formulas = {
        "SGD, constant rate": 0.1 + 0 * epoch,
        "SGD, time decay": 0.1 / (1 + 0.1 * epoch),
        "SGD, step decay": 0.1 * 0.5 ** (epoch // 10),
        "SGD, exponential decay": 0.1 * np.exp(-0.1 * epoch),
    }
    for name, rates in formulas.items():
        # The engine's rates are computed in double precision; a few roundings.
        np.testing.assert_allclose(lecture.histories[name]["learning_rate"], rates, rtol=1e-14)


def test_the_set_is_lecture_002s_and_its_modern_kin():
    made = lecture_optimizers(0.2, adaptive_lr=0.01)
    assert made["momentum of [002]"] == cr.Momentum.lecture(0.2)
    assert made["RMSprop of [002]"] == cr.RMSprop.lecture(0.01)
    assert made["Adam of [002]"] == cr.Adam.lecture(0.01)
    assert made["Adam"] == cr.Adam(0.01)
    assert made["SGD, time decay"].lr.lr == 0.2
    kinds = {type(one) for one in made.values()}
    assert kinds >= {cr.SGD, cr.Momentum, cr.RMSprop, cr.Adam, cr.AdaGrad, cr.AdaDelta, cr.AdamW, cr.NAdam, cr.AMSGrad}


def test_the_table_and_the_ranking(lecture):
    last = {name: history["val_loss"][-1] for name, history in lecture.histories.items()}
    assert lecture.judged_by == "val_loss"
    assert lecture.ranking == sorted(last, key=last.__getitem__)
    head, *lines = repr(lecture).splitlines()
    assert head.split() == ["optimizer", "loss", "accuracy", "val_loss", "val_accuracy", "best", "epoch", "seconds"]
    assert [line[:22].strip() for line in lines] == list(lecture.histories)
    for line, history in zip(lines, lecture.histories.values(), strict=True):
        cells = line[22:].split()
        assert float(cells[2]) == pytest.approx(history["val_loss"][-1], rel=1e-3)
        assert int(cells[4]) == history.best_epoch


def test_a_run_that_diverges_is_a_result():
    result = compare(
        lambda: cr.Network([cr.Dense(1)], inputs=4),
        X,
        X @ [1, 2, 3, 4],
        loss="mse",
        optimizers={"high": cr.SGD(1e6), "low": cr.SGD(0.01)},
        epochs=40,
    )
    assert result.ranking == ["low", "high"]
    assert result.judged_by == "loss"
    assert "no longer finite" in repr(result).splitlines()[1]
    assert result.histories["low"].epochs == 40
    assert math.isfinite(result.histories["low"]["loss"][-1])


def test_rows_and_classes_may_have_weights():
    weights = {"sample_weight": np.arange(60) % 3, "class_weight": {0: 2.0, 1: 0.5}}
    result, net = compared(optimizers={"a": cr.SGD(0.1)}, epochs=2, **weights), make_network()
    history = cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(0.1)).fit(*TRAINING, epochs=2, **weights)
    assert result.histories["a"]["loss"] == history["loss"]
    assert history["loss"] != compared(optimizers={"a": cr.SGD(0.1)}, epochs=2).histories["a"]["loss"]


def test_words_are_optimizers():
    assert list(compared(optimizers={"a": "sgd", "b": "adam"}, epochs=1).histories) == ["a", "b"]


def always_the_same():
    net = make_network()
    return lambda: net


def another_start_each_time():
    seeds = iter(range(100))
    return lambda: make_network(next(seeds))


def other_weights_each_time():
    scales = iter(range(1, 100))

    def make():
        net = make_network()
        net.parameters()["1.weight"][...] *= next(scales)
        return net

    return make


@pytest.mark.parametrize(
    ("message", "make", "options"),
    [
        ("a new network at each call", always_the_same(), {}),
        ("with the same seed and start", another_start_each_time(), {}),
        ("with the same seed and start", other_weights_each_time(), {}),
        ("make_network must be a function", make_network(), {"epochs": 1}),
        (r"make_network\(\) must be a Network", lambda: None, {}),
        ("optimizers must map names", make_network, {"optimizers": {}}),
        ("optimizers must map names", make_network, {"optimizers": [cr.SGD()]}),
        (r"optimizers\['a'\]='sdg' is unknown", make_network, {"optimizers": {"a": "sdg"}}),
        ("lr must be a finite number above 0", lambda: lecture_optimizers(0), {}),
        ("^adaptive_lr must be", lambda: lecture_optimizers(adaptive_lr=1e308), {}),
    ],
)
def test_wrong_calls(message, make, options):
    with pytest.raises((ValueError, TypeError), match=message):
        compare(make, X, Y, loss="cross_entropy", **options)
