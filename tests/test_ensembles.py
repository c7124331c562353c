"""Ensembles: means and votes by NumPy, inequalities in exact fractions, rows that were drawn, copies of one run."""

from __future__ import annotations

import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
from gpu import needs_gpu
from problems import problem, softmax

import chainrule as cr

X, Y = problem(rows=80)
RNG = np.random.default_rng(3)
X1 = RNG.normal(size=(60, 2))
Y1 = np.sin(2 * X1[:, 0]) + 0.3 * RNG.normal(size=60)
# A mean of a handful of numbers of order 1.
CLOSE = {"rtol": 0, "atol": 16 * 2.0**-53}


def classifier(seed):
    net = cr.Network([cr.Dense(8, activation="tanh"), cr.Dense(3)], inputs=4, seed=seed, dtype="float64")
    return cr.Trainer(net, loss="cross_entropy", optimizer=cr.Adam(0.02))


def regressor(seed, dtype="float64"):
    net = cr.Network([cr.Dense(12, activation="tanh"), cr.Dense(1)], inputs=2, seed=seed, dtype=dtype)
    return cr.Trainer(net, loss="mse", optimizer=cr.Adam(0.05))


def says(*outputs, activation=None):
    """Return networks that say what they are told: one input of 0, and biases."""
    nets = []
    for row in outputs:
        layer = cr.Dense(len(row), **({} if activation is None else {"activation": activation}))
        net = cr.Network([layer], inputs=1, dtype="float64")
        net.parameters()["0.bias"][...] = row
        nets.append(net)
    return nets


ROW = np.zeros((1, 1))


@pytest.fixture(scope="module")
def regressors():
    return cr.train_ensemble(regressor, X1, Y1, members=5, epochs=20)


def test_numbers_are_averaged(regressors):
    said = np.array([net.predict(X1) for net in regressors.networks])
    np.testing.assert_array_equal(regressors.members(X1), said)
    np.testing.assert_allclose(regressors.predict(X1), said.mean(axis=0), **CLOSE)
    np.testing.assert_allclose(regressors.spread(X1), said.std(axis=0), **CLOSE)
    assert regressors.predict(X1).shape == (60, 1)
    assert len(regressors) == 5


@needs_gpu
def test_rows_on_the_gpu_are_answered_on_the_host():
    nets = [cr.Network([cr.Dense(3)], inputs=4, seed=seed, device="cuda", dtype="float64") for seed in (1, 2, 3)]
    together = cr.Ensemble(nets, loss="cross_entropy")
    holder = cr.Network([cr.Dense(4, bias=False)], inputs=len(X), dtype="float64", device="cuda")
    holder.load_state_dict({"0.weight": X})
    there = holder.device_arrays()["0.weight"]
    for asked in (together.members, together.predict, together.predict_classes, together.votes, together.spread):
        found = asked(there)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, asked(X))


def test_the_squared_error_of_the_mean_is_never_above_the_mean_of_the_squared_errors(regressors):
    said, mean = regressors.members(X1)[:, :, 0], regressors.predict(X1)[:, 0]
    for row, y in enumerate(Y1):
        p = [Fraction(float(one)) for one in said[:, row]]
        exact, target = sum(p) / len(p), Fraction(float(y))
        of_members = sum((one - target) ** 2 for one in p) / len(p)
        variance = sum((one - exact) ** 2 for one in p) / len(p)
        # Krogh and Vedelsby's identity, in fractions; the variance is above 0, as the members differ.
        assert (exact - target) ** 2 == of_members - variance < of_members
        # What is returned is that mean but for roundings, and below the members by itself.
        assert abs(Fraction(float(mean[row])) - exact) < Fraction(1, 2**48)
        assert (Fraction(float(mean[row])) - target) ** 2 < of_members
    errors = (said - Y1) ** 2
    assert ((mean - Y1) ** 2).mean() < errors.mean(axis=1).mean()
    np.testing.assert_allclose(
        ((mean - Y1) ** 2)[:, None], errors.mean(axis=0)[:, None] - regressors.spread(X1) ** 2, **CLOSE
    )


def test_equal_networks_say_what_each_says():
    # 0.1 + 0.1 + 0.1 is not 0.3 in floating point: a plain sum over three would not be 0.1.
    together = cr.Ensemble(says([0.1], [0.1], [0.1]), loss="mse")
    assert together.predict(ROW)[0, 0] == 0.1
    assert together.spread(ROW)[0, 0] == 0


def test_probabilities_are_averaged_and_not_logits():
    together = cr.train_ensemble(classifier, X, Y, members=4, epochs=5)
    said = np.array([softmax(net.predict(X)) for net in together.networks])
    np.testing.assert_allclose(together.members(X), said, **CLOSE)
    np.testing.assert_allclose(together.predict(X), said.mean(axis=0), **CLOSE)
    np.testing.assert_allclose(together.predict(X).sum(axis=1), 1, **CLOSE)
    np.testing.assert_array_equal(together.predict_classes(X), said.mean(axis=0).argmax(axis=1))
    votes = np.array([[(one == c).sum() for c in range(3)] for one in said.argmax(axis=2).T])
    np.testing.assert_array_equal(together.votes(X), votes)
    np.testing.assert_array_equal(
        together.predict_classes(X, by="vote"), (votes + said.mean(axis=0) / 2).argmax(axis=1)
    )
    # -log is convex: the cross-entropy of the mean is at most the mean of the cross-entropies, in every row.
    own = -np.log(said[:, np.arange(80), Y])
    assert (-np.log(together.predict(X)[np.arange(80), Y]) <= own.mean(axis=0) + 1e-15).all()


def test_the_heads_that_a_loss_may_have():
    z = np.array([[1.0, -2.0, 0.5], [0.0, 800.0, -800.0]])
    p = softmax(z)
    by_logits = cr.Ensemble(says(*z), loss="cross_entropy").predict(ROW)[0]
    np.testing.assert_allclose(by_logits, p.mean(axis=0), **CLOSE)
    ends = cr.Ensemble(says(*z, activation="softmax"), loss=cr.CrossEntropy(from_logits=False)).predict(ROW)[0]
    np.testing.assert_allclose(ends, p.mean(axis=0), **CLOSE)
    sigmoids = [1 / (1 + math.exp(-one)) for one in (2.0, -1.0)] + [0.0]
    one_each = cr.Ensemble(says([2.0], [-1.0], [-800.0]), loss="binary_cross_entropy").predict(ROW)
    np.testing.assert_allclose(one_each, [[np.mean(sigmoids)]], **CLOSE)
    counts = cr.Ensemble(says([0.0], [1.0]), loss=cr.Poisson(from_log=True)).predict(ROW)
    np.testing.assert_allclose(counts, [[(1 + math.e) / 2]], **CLOSE)
    rates = cr.Ensemble(says([0.0], [800.0], activation="sigmoid"), loss=cr.Poisson(from_log=False))
    assert rates.predict(ROW)[0, 0] == 0.75


@pytest.mark.parametrize(
    ("probabilities", "by_mean", "by_vote"),
    [
        # Two weak votes for 0, one strong one for 1.
        ([[0.5, 0.4, 0.1], [0.5, 0.4, 0.1], [0.0, 1.0, 0.0]], 1, 0),
        ([[0.6, 0.4, 0.0], [0.1, 0.9, 0.0]], 1, 1),  # one vote each: the greater mean
        ([[0.9, 0.1, 0.0], [0.4, 0.6, 0.0]], 0, 0),
        ([[0.5, 0.5, 0.0]], 0, 0),  # equal: the first class
        ([[0.2, 0.3, 0.5], [0.5, 0.3, 0.2]], 0, 0),
    ],
)
def test_votes_by_hand(probabilities, by_mean, by_vote):
    with np.errstate(divide="ignore"):
        logits = np.maximum(np.log(probabilities), -800)
    together = cr.Ensemble(says(*logits), loss="cross_entropy")
    assert together.predict_classes(ROW).tolist() == [by_mean]
    assert together.predict_classes(ROW, by="vote").tolist() == [by_vote]


def test_yes_or_no():
    # Two weak no, one strong yes; and for the second question all say yes.
    many = cr.Ensemble(says([-0.1, 3.0], [-0.1, 3.0], [9.0, 3.0]), loss="binary_cross_entropy")
    assert many.predict_classes(ROW).tolist() == [[1, 1]]
    assert many.predict_classes(ROW, by="vote").tolist() == [[0, 1]]
    assert many.votes(ROW).tolist() == [[1, 3]]
    one = cr.Ensemble(says([-0.1], [9.0]), loss="binary_cross_entropy")
    assert one.predict_classes(ROW, by="vote").tolist() == [1]  # one vote each
    assert cr.Ensemble(says([-9.0], [0.1]), loss="binary_cross_entropy").predict_classes(ROW, by="vote").tolist() == [0]
    assert cr.Ensemble(says([0.0]), loss="binary_cross_entropy").predict_classes(ROW).tolist() == [0]


# Training ------------------------------------------------------------------------------------------------------------


def test_members_are_those_of_trainers_with_these_seeds(regressors):
    for seed, net in enumerate(regressors.networks):
        trainer = regressor(seed)
        trainer.fit(X1, Y1, epochs=20, verbose=False)
        np.testing.assert_array_equal(net.predict(X1), trainer.net.predict(X1))
    assert cr.train_ensemble(regressor, X1, Y1, members=1, epochs=1, seed=7).networks[0].seed == 7


def test_bagging_draws_rows_and_says_which():
    bagged = cr.train_ensemble(regressor, X1, Y1, members=6, bootstrap=True, epochs=3, seed=2)
    rows = bagged.rows
    assert all((np.diff(one) > 0).all() and one.min() >= 0 and one.max() < 60 for one in rows)
    # A sample has 60 (1 - (1 - 1/60)^60) = 38.1 different rows, with a standard deviation of 2.4.
    assert all(26 < len(one) < 50 for one in rows)
    assert len({tuple(one) for one in rows}) == 6
    again = cr.train_ensemble(regressor, X1, Y1, members=6, bootstrap=True, epochs=3, seed=2)
    np.testing.assert_array_equal(again.predict(X1), bagged.predict(X1))
    # The same start is no fault where rows differ.
    alike = cr.train_ensemble(lambda seed: regressor(0), X1, Y1, members=2, bootstrap=True, epochs=1)
    assert alike.spread(X1).max() > 0


def test_out_of_bag_asks_those_that_did_not_learn():
    bagged = cr.train_ensemble(regressor, X1, Y1, members=4, bootstrap=True, epochs=30)
    found, said = bagged.out_of_bag(X1), bagged.members(X1)
    for row in range(60):
        strangers = [number for number in range(4) if row not in bagged.rows[number]]
        if strangers:
            assert found[row, 0] == pytest.approx(np.mean([said[number, row, 0] for number in strangers]), rel=1e-13)
        else:
            assert np.isnan(found[row, 0])
    # An honest error is above that on rows that were learned.
    known = ~np.isnan(found[:, 0])
    assert np.mean((found[known, 0] - Y1[known]) ** 2) > np.mean((bagged.predict(X1)[:, 0] - Y1) ** 2)
    everyone = cr.train_ensemble(regressor, X1, Y1, members=2, epochs=1)
    assert np.isnan(everyone.out_of_bag(X1)).all()
    with pytest.raises(ValueError, match="X must be the rows that were learned from"):
        bagged.out_of_bag(X1[:10])
    with pytest.raises(ValueError, match="out_of_bag needs to know who learned from which row"):
        cr.Ensemble(bagged.networks, loss="mse").out_of_bag(X1)


def test_an_ensemble_is_better_than_its_members_on_new_rows():
    x = np.random.default_rng(9).normal(size=(500, 2))
    y = np.sin(2 * x[:, 0])
    bagged = cr.train_ensemble(regressor, X1, Y1, members=8, bootstrap=True, epochs=150)
    errors = ((bagged.members(x)[:, :, 0] - y) ** 2).mean(axis=1)
    # Overfitted members, whose errors differ: the mean does better than the best of them.
    assert ((bagged.predict(x)[:, 0] - y) ** 2).mean() < errors.min()


def test_options_of_the_fit():
    weight = np.arange(60) % 2
    together = cr.train_ensemble(regressor, X1, Y1, members=2, epochs=2, batch_size=10, sample_weight=weight)
    trainer = regressor(1)
    trainer.fit(X1, Y1, epochs=2, batch_size=10, sample_weight=weight, verbose=False)
    np.testing.assert_array_equal(together.networks[1].predict(X1), trainer.net.predict(X1))
    stopping = cr.EarlyStopping(patience=1, min_delta=10.0)
    stopped = cr.train_ensemble(regressor, X1, Y1, members=2, epochs=9, validation_data=(X1, Y1), callbacks=[stopping])
    # Nothing improves by 10, so that the first epoch is the best of each.
    trainer = regressor(1)
    trainer.fit(X1, Y1, epochs=1, verbose=False)
    np.testing.assert_array_equal(stopped.networks[1].predict(X1), trainer.net.predict(X1))


def test_both_precisions():
    nets = [regressor(0).net, regressor(1, "float32").net]
    together = cr.Ensemble(nets, loss="mse")
    assert together.predict(X1).dtype == np.float64
    np.testing.assert_allclose(together.predict(X1), (nets[0].predict(X1) + nets[1].predict(X1)) / 2, **CLOSE)
    assert together.predict(X1[:0]).shape == (0, 1)
    assert together.predict(X1[:1]).shape == (1, 1)


# Snapshots -----------------------------------------------------------------------------------------------------------


def test_snapshots_are_the_network_at_these_epochs():
    snapshots = cr.EnsembleSnapshots(every=3)
    trainer = regressor(0)
    trainer.fit(X1, Y1, epochs=7, callbacks=[snapshots], verbose=False)
    assert snapshots.epochs == [3, 6]
    for epochs, net in zip(snapshots.epochs, snapshots.networks, strict=True):
        twin = regressor(0)
        twin.fit(X1, Y1, epochs=epochs, verbose=False)
        np.testing.assert_array_equal(net.predict(X1), twin.net.predict(X1))
    together = cr.Ensemble(snapshots.networks, loss=trainer.loss)
    np.testing.assert_allclose(
        together.predict(X1), np.mean([net.predict(X1) for net in snapshots.networks], axis=0), **CLOSE
    )
    # A second fit begins anew; copies pickle without the trainer.
    trainer.fit(X1, Y1, epochs=4, callbacks=[snapshots], verbose=False)
    assert snapshots.epochs == [10]
    assert pickle.loads(pickle.dumps(snapshots)).epochs == [10]


def test_only_the_last_snapshots_are_kept():
    snapshots = cr.EnsembleSnapshots(every=1, last=2)
    regressor(0).fit(X1, Y1, epochs=5, callbacks=[snapshots], verbose=False)
    assert snapshots.epochs == [4, 5]
    assert len(snapshots.networks) == 2


def test_a_snapshot_of_an_epoch_that_was_taken_back_is_dropped():
    snapshots = cr.EnsembleSnapshots(every=1)
    net = cr.Network([cr.Dense(1)], inputs=2)
    trainer = cr.Trainer(net, loss="mse", optimizer=cr.SGD(1e3))
    with pytest.warns(cr.DivergenceWarning):
        history = trainer.fit(X1, Y1, epochs=50, callbacks=[snapshots], verbose=False)
    assert snapshots.epochs == list(range(1, history.epochs + 1))
    assert np.isfinite(snapshots.networks[-1].predict(X1)).all()


# What is refused -----------------------------------------------------------------------------------------------------


def shared():
    trainer = regressor(0)
    return lambda seed: trainer


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: cr.Ensemble([], loss="mse"), ValueError, "networks must hold at least one network"),
        (lambda: cr.Ensemble(says([1.0])[0], loss="mse"), TypeError, "networks must be a list of networks"),
        (lambda: cr.Ensemble(["net"], loss="mse"), TypeError, r"networks\[0\] must be a Network"),
        (
            lambda: cr.Ensemble([*says([1.0]), *says([1.0, 2.0])], loss="mse"),
            ValueError,
            r"networks\[1\] has 1 and 2",
        ),
        (lambda: cr.Ensemble(says([1.0]), loss="cross_entropy"), ValueError, "needs an output for each class"),
        (lambda: cr.Ensemble(says([1.0, 2.0], activation="softmax"), loss="cross_entropy"), ValueError, "takes logits"),
        (lambda: cr.Ensemble(says([1.0]), loss="accuracy"), ValueError, "not differentiable"),
        (
            lambda: cr.Ensemble(says([1.0]), loss="mse", rows=[]),
            ValueError,
            "rows must be given for each of 1",
        ),
        (lambda: cr.Ensemble(says([1.0]), loss="mse").votes(ROW), ValueError, "votes need a loss of classes"),
        (lambda: cr.Ensemble(says([1.0]), loss="mse").predict_classes(ROW), ValueError, "needs a loss of classes"),
        (
            lambda: cr.Ensemble(says([1.0, 2.0]), loss="cross_entropy").predict_classes(ROW, by="rank"),
            ValueError,
            "known are 'mean', 'vote'",
        ),
        (lambda: cr.Ensemble(says([1.0]), loss="mse").predict(np.zeros((2, 3))), ValueError, "X must have shape"),
        # A network can be called, and gives no Trainer.
        (lambda: cr.train_ensemble(regressor(0).net, X1, Y1), TypeError, "make_trainer must be a function of a seed"),
        (lambda: cr.train_ensemble(regressor(0), X1, Y1), TypeError, "make_trainer must be a function of a seed"),
        (
            lambda: cr.train_ensemble(lambda seed: 3, X1, Y1),
            TypeError,
            r"make_trainer\(0\) must return a Trainer",
        ),
        (lambda: cr.train_ensemble(shared(), X1, Y1), ValueError, "must return a new Trainer of a new Network"),
        (lambda: cr.train_ensemble(lambda seed: regressor(0), X1, Y1), ValueError, "make_trainer must heed its seed"),
        (lambda: cr.train_ensemble(regressor, X1, Y1, members=0), ValueError, "members must be"),
        (lambda: cr.train_ensemble(regressor, X1, Y1, bootstrap=1), TypeError, "bootstrap must be True or False"),
        (lambda: cr.train_ensemble(regressor, X1, Y1[:9], bootstrap=True), ValueError, "y must have 60 rows"),
        (lambda: cr.train_ensemble(regressor, X1[:0], Y1[:0], bootstrap=True), ValueError, "at least one row"),
        (lambda: cr.train_ensemble(regressor, X1, Y1, seed=-1), ValueError, "seed must be"),
        (lambda: cr.train_ensemble(regressor, X1, Y1, epochs=0), ValueError, "epochs must be"),
        (
            lambda: cr.train_ensemble(
                lambda seed: cr.Trainer(regressor(seed).net, loss=["mse", "mae"][seed]), X1, Y1, members=2
            ),
            ValueError,
            "all trainers must have the same loss",
        ),
        (lambda: cr.EnsembleSnapshots(every=0), ValueError, "every must be"),
        (lambda: cr.EnsembleSnapshots(every=1, last=0), ValueError, "last must be"),
    ],
)
def test_what_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
