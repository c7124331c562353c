"""Figures of an epoch beside losses and metrics, and how often the validation part is looked at, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from problems import bits, network, problem, trainer

import chainrule as cr


def least_squares(rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(rows)
    return rng.normal(size=(rows, 3)), rng.normal(size=(rows, 2))


@pytest.mark.parametrize("rows", [1, 2, 37])
def test_the_gradient_norm_is_that_of_the_last_step(rows):
    X, y = least_squares(rows)
    net = cr.Network([cr.Dense(2)], inputs=3, dtype="float64", seed=1)
    w = net.parameters()["0.weight"].copy()
    learner = cr.Trainer(net, loss="mse", optimizer=cr.SGD(lr=0.1), penalty=cr.L2(0.3, scale="1/2"))
    history = learner.fit(X, y, epochs=2, batch_size=rows, shuffle=False)
    b = np.zeros(2)
    for number in range(2):
        error = 2 * (X @ w + b - y) / y.size
        dw, db = X.T @ error + 0.3 * w, error.sum(axis=0)
        expected = np.sqrt((dw**2).sum() + (db**2).sum())
        assert history["gradient_norm"][number] == pytest.approx(expected, rel=1e-13)
        w, b = w - 0.1 * dw, b - 0.1 * db


def test_the_gradient_norm_is_the_clipped_one_of_what_learns():
    X, y = problem()
    history = trainer(network(), optimizer=cr.SGD(lr=0.1, clip_norm=1e-3)).fit(X, y, epochs=1)
    assert history["gradient_norm"][0] == pytest.approx(1e-3, rel=1e-5)
    net = network()
    net.freeze()
    assert trainer(net).fit(X, y, epochs=1)["gradient_norm"] == [0.0]


def test_samples_per_second_are_rows_by_seconds():
    X, y = problem(rows=53)
    history = trainer(network()).fit(X, y, epochs=3, batch_size=10, drop_last=True)
    rates = [50 / seconds for seconds in history["seconds"]]
    assert history["samples_per_second"] == pytest.approx(rates, rel=1e-12)


# Every few epochs -----------------------------------------------------------------------------------------------------


def test_validation_every_third_epoch_and_at_the_end():
    X, y = problem()
    options = {"epochs": 7, "validation_split": 0.3}
    all_looks = trainer(network(), metrics=["accuracy"]).fit(X, y, **options)
    seen = []
    told = cr.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((epoch, "val_loss" in logs)))
    learner = trainer(network(), metrics=["accuracy"])
    history = learner.fit(X, y, validation_freq=3, callbacks=[told], **options)
    assert [epoch for epoch, looked in seen if looked] == [3, 6, 7]
    assert [epoch for epoch, _ in history.measured("val_accuracy")] == [3, 6, 7]
    assert [epoch for epoch, _ in history.measured("loss")] == list(range(1, 8))
    for name in ("val_loss", "val_accuracy"):
        expected = [value if epoch in (3, 6, 7) else np.nan for epoch, value in all_looks.measured(name)]
        np.testing.assert_array_equal(history[name], expected)
    assert history["loss"] == all_looks["loss"]
    assert history.best_epoch in (3, 6, 7)


def test_the_epoch_that_a_callback_made_the_last_is_validated():
    stop = cr.StopWhen(cr.Lasts(4))
    history = trainer(network()).fit(*problem(), epochs=9, validation_split=0.3, validation_freq=3, callbacks=[stop])
    assert [epoch for epoch, _ in history.measured("val_loss")] == [3, 4]
    all_looks = trainer(network()).fit(*problem(), epochs=4, validation_split=0.3)
    assert history["val_loss"][-1] == all_looks["val_loss"][-1]


def test_a_second_fit_counts_its_own_epochs():
    learner = trainer(network())
    for _ in range(2):
        history = learner.fit(*problem(), epochs=4, validation_split=0.3, validation_freq=2)
        first = history.first_epoch
        assert [epoch for epoch, _ in history.measured("val_loss")] == [first + 1, first + 3]


def test_early_stopping_counts_epochs_and_acts_where_there_is_a_look():
    X, y = problem()
    stopping = cr.EarlyStopping(patience=2, min_delta=1e9)  # the first look is the best
    net = network()
    history = trainer(net).fit(X, y, epochs=20, validation_split=0.3, validation_freq=3, callbacks=[stopping])
    assert (history.epochs, history.best_epoch) == (6, 3)
    other = network()
    trainer(other).fit(X, y, epochs=3, validation_split=0.3)
    assert bits(net) == bits(other)


@pytest.mark.parametrize(
    ("rule", "last"),
    [
        (cr.Stagnates(epochs=1, min_delta=1e9), 4),
        (cr.Stagnates(epochs=4, min_delta=1e9), 6),
        (cr.ImprovesSlowly(rate=1e9, epochs=1), 4),
        (cr.ImprovesSlowly(rate=1e9, epochs=3), 6),
        (cr.Reaches(goal=1e9), 2),
        (cr.Reaches(goal=1e9) & cr.Lasts(5), 6),
    ],
)
def test_rules_hold_where_there_is_a_look(rule, last):
    stop = cr.StopWhen(rule)
    history = trainer(network()).fit(*problem(), epochs=9, validation_split=0.3, validation_freq=2, callbacks=[stop])
    assert history.epochs == last


def test_a_rate_of_improvement_is_that_of_an_epoch():
    history = cr.History(["loss", "val_loss"])
    for record in ({"loss": 1.0}, {"loss": 1.0, "val_loss": 10.0}, {"loss": 1.0}, {"loss": 1.0, "val_loss": 8.0}):
        history.add(record)
    assert cr.ImprovesSlowly(rate=0.1).reason(history) is None
    assert cr.ImprovesSlowly(rate=0.11).reason(history) == "val_loss improved by 10.00% an epoch, less than 11.00%"
    history.drop_last()
    assert cr.ImprovesSlowly(rate=0.11).reason(history) is None
    assert history.measured("val_loss") == [(2, 10.0)]


def test_the_plateau_counts_looks():
    plateau = cr.ReduceLROnPlateau(patience=2, min_delta=1e9, factor=0.5)
    learner = trainer(network(), optimizer=cr.SGD(lr=0.4))
    learner.fit(*problem(), epochs=8, validation_split=0.3, validation_freq=2, callbacks=[plateau])
    assert learner.learning_rate == pytest.approx(0.2)  # looks: 2 is the best, 4 and 6 are not, 8 counts anew


@pytest.mark.parametrize("value", [0, -1, 1.5, "1", None])
def test_a_wrong_frequency_changes_nothing(value):
    net = network()
    before = bits(net)
    with pytest.raises((TypeError, ValueError), match="validation_freq"):
        trainer(net).fit(*problem(), validation_split=0.3, validation_freq=value)
    assert bits(net) == before
