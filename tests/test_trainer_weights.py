"""Weights of rows and classes, the validation part, and the seed of a trainer, judged by NumPy written out here."""

from __future__ import annotations

import numpy as np
import pytest
from problems import bits, network, problem, trainer

import chainrule as cr
from chainrule import data

X, LABELS = problem()
WEIGHT = np.random.default_rng(3).uniform(0.1, 2, size=60)


def weighted_loss(net, X, y, weight):
    """Return the mean over rows of weight * cross-entropy."""
    p = net.predict(X)
    log_f = p - p.max(axis=1, keepdims=True)
    log_f -= np.log(np.exp(log_f).sum(axis=1, keepdims=True))
    return -(weight * log_f[np.arange(len(y)), y]).mean()


def test_evaluate_weights_its_rows():
    net = network("float64")
    found = trainer(net).evaluate(X, LABELS, sample_weight=WEIGHT)["loss"]
    assert found == pytest.approx(weighted_loss(net, X, LABELS, WEIGHT), rel=1e-13)
    assert trainer(net).evaluate(X, LABELS)["loss"] == pytest.approx(weighted_loss(net, X, LABELS, 1), rel=1e-13)


def test_rows_of_the_validation_part_keep_their_weights():
    net = network("float64")
    history = trainer(net).fit(X, LABELS, epochs=1, validation_split=0.25, sample_weight=WEIGHT)
    held_out = data.split(60, 0.25, 0, LABELS)[1]
    expected = weighted_loss(net, X[held_out], LABELS[held_out], WEIGHT[held_out])
    assert history["val_loss"][0] == pytest.approx(expected, rel=1e-13)


def test_validation_data_may_have_weights():
    net = network("float64")
    given = (X[40:], LABELS[40:], WEIGHT[40:])
    history = trainer(net).fit(X[:40], LABELS[:40], epochs=1, validation_data=given)
    assert history["val_loss"][0] == pytest.approx(weighted_loss(net, *given), rel=1e-13)


@pytest.mark.parametrize("given", [{"validation_split": 0.25}, {"validation_data": (X, LABELS)}], ids=str)
def test_class_weights_are_for_training_only(given):
    net = network("float64")
    history = trainer(net).fit(X, LABELS, epochs=1, class_weight={0: 5.0, 1: 0.1}, **given)
    rows = data.split(60, 0.25, 0, LABELS)[1] if "validation_split" in given else np.arange(60)
    assert history["val_loss"][0] == pytest.approx(weighted_loss(net, X[rows], LABELS[rows], 1), rel=1e-13)


def test_the_seed_of_a_trainer_is_that_of_its_shuffles_and_its_split():
    net, loss_fn, optimizer = network(), cr.CrossEntropy(), cr.Adam(0.01)
    for epoch in range(2):
        for xb, yb in cr.batches(X, LABELS, batch_size=7, seed=5, epoch=epoch):
            net.zero_grad()
            loss_fn(net(xb), yb).backward()
            optimizer.step(net)
    fitted = network()
    trainer(fitted, seed=5).fit(X, LABELS, epochs=2, batch_size=7)
    assert bits(net) == bits(fitted)

    fitted = network("float64")
    history = trainer(fitted, seed=5).fit(X, LABELS, epochs=1, validation_split=0.25)
    held_out = data.split(60, 0.25, 5, LABELS)[1]
    expected = weighted_loss(fitted, X[held_out], LABELS[held_out], 1)
    assert history["val_loss"][0] == pytest.approx(expected, rel=1e-13)
    assert not np.array_equal(held_out, data.split(60, 0.25, 0, LABELS)[1])


def test_soft_targets_are_split_like_the_labels_they_lean_to():
    soft = 0.8 * np.eye(3)[LABELS] + 0.2 / 3
    net = network("float64")
    history = trainer(net).fit(X, soft, epochs=1, validation_split=0.25)
    held_out = data.split(60, 0.25, 0, LABELS)[1]
    expected = trainer(net).evaluate(X[held_out], soft[held_out])["loss"]
    assert history["val_loss"][0] == pytest.approx(expected, rel=1e-13)
    # A split without strata holds other rows.
    assert not np.array_equal(held_out, data.split(60, 0.25, 0, None)[1])


def test_answers_of_yes_and_no_are_split_by_class():
    y = (np.arange(60) % 6 == 0).astype(float)
    net = cr.Network([cr.Dense(1)], inputs=4, dtype="float64")
    learner = cr.Trainer(net, loss="binary_cross_entropy")
    history = learner.fit(X, y, epochs=1, validation_split=0.25)
    held_out = data.split(60, 0.25, 0, y.astype(int))[1]
    assert history["val_loss"][0] == pytest.approx(learner.evaluate(X[held_out], y[held_out])["loss"], rel=1e-13)


@pytest.mark.parametrize("part", ["training", "validation"])
def test_a_part_in_which_no_row_counts_is_refused(part):
    trained, held_out = data.split(60, 0.25, 0, LABELS)
    weight = np.ones(60)
    weight[trained if part == "training" else held_out] = 0
    net = network()
    before = bits(net)
    with pytest.raises(ValueError, match=f"^sample_weight must be above 0 in some row of the {part} part"):
        trainer(net).fit(X, LABELS, epochs=1, validation_split=0.25, sample_weight=weight)
    assert bits(net) == before


def test_weights_that_leave_nothing_together_are_refused():
    with pytest.raises(ValueError, match="class_weight and sample_weight must leave some row above 0"):
        trainer(network()).fit(X, LABELS, epochs=1, class_weight={1: 0, 2: 0}, sample_weight=LABELS != 0)


@pytest.mark.parametrize("name", ["net", "loss", "optimizer", "penalty", "metrics", "seed"])
def test_what_a_trainer_is_made_with_is_fixed(name):
    learner = trainer(network())
    with pytest.raises(AttributeError):
        setattr(learner, name, getattr(learner, name))


def test_unsuited_metrics_list_the_suiting_ones():
    with pytest.raises(ValueError, match=r"does not suit .* suiting are accuracy"):
        trainer(network(), metrics=["mse"])


def test_a_batch_may_count_for_nothing_by_hand_too():
    # As in a fit, where rows of weight 0 may happen to come together.
    net = network()
    loss = cr.CrossEntropy()(net(X[:4]), LABELS[:4], sample_weight=np.zeros(4))
    loss.backward()
    assert float(loss) == 0
    assert not any(gradient.any() for gradient in net.gradients().values())
    with pytest.raises(ValueError, match=r"^sample_weight must be above 0 in some row; all are 0"):
        trainer(net).evaluate(X, LABELS, np.zeros(len(X)))
