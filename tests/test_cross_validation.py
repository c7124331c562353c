"""Cross-validation: each fold is what a trainer by hand measures, the majority chooses, and all rows are trained on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from problems import problem

import chainrule as cr

X, Y = problem(rows=61)
# One weight that starts at 0, x = 1: a step of rate r over all rows makes it 2 r (mean of y), so that the loss of a
# fold is the mean of (2 r m - y)^2.
TARGETS = np.array([3.0, 3.0, 3.0, -2.0, -3.0])
LEAVE_ONE_OUT = [(np.delete(np.arange(5), one), [one]) for one in range(5)]
# Sums of five numbers of at most 6^2, with a few roundings each.
CLOSE = {"rel": 1e-13, "abs": 0}


def classifier(settings):
    net = cr.Network([cr.Dense(settings.get("units", 6), activation="tanh"), cr.Dense(3)], inputs=4, seed=2)
    optimizer = cr.Adam(settings.get("rate", 0.05))
    return cr.Trainer(net, loss="cross_entropy", optimizer=optimizer, metrics=["accuracy"])


def one_weight(settings):
    layer = cr.Dense(1, bias=False, weight_init="zeros")
    return cr.Trainer(
        cr.Network([layer], inputs=1, dtype="float64"), loss="mse", optimizer=cr.SGD(settings["rate"]), metrics=["mae"]
    )


def cross_validated(rates, y=TARGETS, **options):
    given = {"epochs": 1, "batch_size": len(y), "folds": LEAVE_ONE_OUT, **options}
    settings = [{"rate": rate} for rate in rates]
    return cr.cross_validate(one_weight, np.ones((len(y), 1)), y, settings=settings, **given)


def fold_loss(rate, fold, y=TARGETS):
    return float((2 * rate * np.delete(y, fold).mean() - y[fold]) ** 2)


def same_outputs(one, other):
    return np.array_equal(one.net.predict(X), other.net.predict(X))


def test_each_fold_is_what_a_trainer_measures():
    result = cr.cross_validate(classifier, X, Y, folds=4, epochs=3, monitor="val_accuracy", seed=5)
    parts = cr.folds(61, 4, stratify=Y, seed=5)
    accuracies = []
    for training, held_out in parts:
        trainer = classifier({})
        trainer.fit(X[training], Y[training], epochs=3, verbose=False)
        accuracies.append(float(np.mean(trainer.net.predict(X[held_out]).argmax(axis=1) == Y[held_out])))
    assert result.best.scores == pytest.approx(accuracies, rel=1e-14)
    assert result.best.score == pytest.approx(np.mean(accuracies), rel=1e-14)
    assert result.best.std == pytest.approx(np.std(accuracies), rel=1e-12)
    assert result.best.settings == {}
    trainer = classifier({})
    trainer.fit(X, Y, epochs=3, verbose=False)
    assert same_outputs(result.trainer, trainer)


def test_the_majority_chooses_and_not_the_mean():
    rates = [0.05, 0.5]
    losses = np.array([[fold_loss(rate, fold) for fold in range(5)] for rate in rates])
    result = cross_validated(rates)
    for one, row in zip(result.trials, losses, strict=True):
        assert one.scores == pytest.approx(row.tolist(), **CLOSE)
    # Of a half three folds think a little better, and two much worse.
    assert losses.argmin(axis=0).tolist() == [1, 1, 1, 0, 0]
    assert losses.mean(axis=1).argmin() == 0
    assert result.choices == (1, 1, 1, 0, 0)
    assert result.votes == {1: 3, 0: 2}
    assert result.best.settings == {"rate": 0.5}
    assert cross_validated(rates, choose="mean").best.settings == {"rate": 0.05}
    # Refitted on all: one step from 0 to 2 r times the mean.
    weight = result.trainer.net.parameters()["0.weight"][0, 0]
    assert weight == pytest.approx(2 * 0.5 * TARGETS.mean(), **CLOSE)


def test_votes_that_are_equal():
    # Two of four folds for either; the mean decides, whatever the order.
    y = np.array([-4.0, -4.0, -1.0, 2.0])
    folds = [(np.delete(np.arange(4), one), [one]) for one in range(4)]
    for rates in ([0.05, 0.5], [0.5, 0.05]):
        result = cross_validated(rates, y, folds=folds)
        assert sorted(result.votes.values()) == [2, 2]
        assert np.mean([fold_loss(0.05, fold, y) for fold in range(4)]) < np.mean(
            [fold_loss(0.5, fold, y) for fold in range(4)]
        )
        assert result.best.settings == {"rate": 0.05}
    # Equal in three folds, where the mean of the training rows is 0: they vote for the better mean.
    y = np.array([1.0, 1.0, 1.0, -1.0, -1.0])
    assert cross_validated([0.5, 0.05], y).choices == (1, 1, 1, 1, 1)
    # Equal everywhere: the first.
    assert cross_validated([0.05, 0.05]).choices == (0, 0, 0, 0, 0)


def test_where_large_is_good():
    result = cr.cross_validate(
        classifier, X, Y, settings={"rate": [1e-6, 0.1]}, folds=3, epochs=15, monitor="val_accuracy"
    )
    assert result.best.settings == {"rate": 0.1}
    scores = np.array([one.scores for one in result.trials])
    assert result.choices == tuple(scores.argmax(axis=0).tolist())


def test_a_grid_of_settings_and_the_table():
    result = cr.cross_validate(classifier, X, Y, settings={"units": [2, 8], "rate": [0.01, 0.1]}, folds=3, epochs=8)
    assert [one.settings for one in result.trials] == [{"units": u, "rate": r} for u in (2, 8) for r in (0.01, 0.1)]
    again = cr.cross_validate(classifier, X, Y, settings={"units": [2, 8], "rate": [0.01, 0.1]}, folds=3, epochs=8)
    assert [one.scores for one in again.trials] == [one.scores for one in result.trials]
    head, rule, *lines, last, under = repr(result).splitlines()
    assert head.split() == ["settings", "trial", "val_loss", "std", "epochs", "seconds", "votes"]
    assert set(rule) == set(last) == {"-"}
    assert len(lines) == 4
    assert sum(int(line.split()[-1]) for line in lines) == 3
    best = result.best
    assert lines[0].split()[:5] == [
        f"units={best.settings['units']},",
        f"rate={best.settings['rate']}",
        str(best.number),
        f"{best.score:.4g}",
        f"{best.std:.2g}",
    ]
    assert under == "3 folds, chosen by majority vote"
    assert repr(cross_validated([0.1], choose="mean")).endswith("\n5 folds, chosen by mean")


def test_what_diverges_gets_no_vote():
    result = cross_validated([1e200, 0.05], epochs=3)
    assert result.choices == (1,) * 5
    assert result.best.settings == {"rate": 0.05}
    assert result.trials[0].outcome == "diverged"
    assert result.trials[0].score == math.inf
    assert math.isnan(result.trials[0].std)
    nothing = cross_validated([1e200], epochs=3)
    assert nothing.trainer is None
    assert nothing.choices == (None,) * 5
    assert nothing.votes == {}
    with pytest.raises(ValueError, match="none of 1 settings ended well in all folds; the first diverged: the loss"):
        _ = nothing.best


def test_a_figure_that_is_undefined_is_no_divergence():
    # One row in ten is positive. First steps go by w = 0.475 rate and b = -0.4 rate: at 0.5 w + b no row is called so,
    # and precision has nothing to divide by.
    y = (np.arange(60) % 10 == 0).astype(float)
    x = np.where(y, 0.5, -1.0)[:, None]

    def told_by_sign(settings):
        net = cr.Network([cr.Dense(1, weight_init="zeros")], inputs=1, dtype="float64")
        options = {"optimizer": cr.SGD(settings["rate"]), "penalty": cr.L2(1e-3), "metrics": ["precision"]}
        return cr.Trainer(net, loss="binary_cross_entropy", **options)

    def measured(rates, **options):
        settings = [{"rate": rate} for rate in rates]
        options = {"monitor": "val_precision", "folds": 3, "epochs": 30, "verbose": False, **options}
        return cr.cross_validate(told_by_sign, x, y, settings=settings, **options)

    for choose in ("vote", "mean"):
        result = measured([1e-9, 1e200, 5.0], choose=choose)
        undefined, diverged, done = result.trials
        assert [one.outcome for one in result.trials] == ["undefined", "diverged", "done"]
        assert [one.number for one in result.ranking] == [2, 0, 1]
        assert (done.score, diverged.score, result.best) == (1.0, -math.inf, done)
        assert np.isnan([undefined.score, undefined.std, *undefined.scores]).all()
        assert undefined.reason.startswith(
            "val_precision is nan, though the loss is finite: perhaps no row was predicted"
        )
        assert repr(result).count("undefined") == 1
    nothing = measured([1e-9])
    assert (nothing.trainer, nothing.choices) == (None, (None,) * 3)
    with pytest.raises(ValueError, match="the first is undefined: val_precision is nan, though the loss is finite"):
        _ = nothing.best
    # One fold of several is enough.
    some = measured([5.0], folds=[(np.arange(30), np.arange(30, 60)), (np.arange(30), np.arange(31, 40))])
    assert some.trials[0].outcome == "undefined"
    assert some.trials[0].scores[0] == 1.0
    assert np.isnan([some.trials[0].scores[1], some.trials[0].score]).all()


@pytest.mark.parametrize("name", ["KFold", "StratifiedKFold", "ShuffleSplit", "TimeSeriesSplit", "RepeatedKFold"])
def test_splitters_of_scikit_learn(name):
    selection = pytest.importorskip("sklearn.model_selection")
    options = {"random_state": 0} if name in ("ShuffleSplit", "RepeatedKFold") else {}
    splitter = getattr(selection, name)(n_splits=3, **options)
    pairs = list(getattr(selection, name)(n_splits=3, **options).split(X, Y))
    result = cr.cross_validate(classifier, X, Y, folds=splitter, epochs=1, refit=False)
    by_pairs = cr.cross_validate(classifier, X, Y, folds=iter(pairs), epochs=1, refit=False)
    assert len(result.choices) == len(pairs)
    assert result.best.scores == by_pairs.best.scores
    assert result.trainer is None


def test_groups_stay_together():
    selection = pytest.importorskip("sklearn.model_selection")
    groups = np.arange(61) // 10
    result = cr.cross_validate(classifier, X, Y, folds=selection.GroupKFold(3), groups=groups, epochs=1, refit=False)
    pairs = list(selection.GroupKFold(3).split(X, Y, groups))
    assert all(not set(groups[training]) & set(groups[held_out]) for training, held_out in pairs)
    assert result.best.scores == cr.cross_validate(classifier, X, Y, folds=pairs, epochs=1, refit=False).best.scores


def test_the_mean_over_folds_is_scikit_learns():
    # Both solve least squares, the one at once, the other by descending to the end.
    selection = pytest.importorskip("sklearn.model_selection")
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)), rng.normal(size=40)
    theirs = -selection.cross_val_score(
        linear.LinearRegression(), x, y, cv=selection.KFold(4), scoring="neg_mean_squared_error"
    )
    result = cr.cross_validate(
        lambda settings: cr.Trainer(
            cr.Network([cr.Dense(1)], inputs=2, dtype="float64"), loss="mse", optimizer=cr.SGD(0.2)
        ),
        x,
        y,
        folds=selection.KFold(4),
        epochs=300,
        batch_size=40,
    )
    # The error shrinks by a factor of at most 0.9 a step.
    np.testing.assert_allclose(result.best.scores, theirs, rtol=1e-9)


def test_leaving_one_out_and_weights_of_rows():
    weight = np.arange(12) % 2 + 1
    x, y = X[:12], Y[:12]
    result = cr.cross_validate(classifier, x, y, folds=12, epochs=1, sample_weight=weight, refit=False)
    assert len(result.best.scores) == 12
    for (training, held_out), score in zip(cr.folds(12, 12, stratify=y), result.best.scores, strict=True):
        trainer = classifier({})
        trainer.fit(x[training], y[training], epochs=1, sample_weight=weight[training], verbose=False)
        assert trainer.evaluate(x[held_out], y[held_out], weight[held_out])["loss"] == score


def test_how_it_goes_is_said_if_asked(capsys):
    cross_validated([0.05, 1e200], epochs=3, verbose=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("0: rate=0.05: val_loss=")
    assert lines[1] == "1: rate=1e+200: val_loss=inf diverged"
    cross_validated([0.05])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"settings": []}, ValueError, "settings must hold at least one setting"),
        ({"settings": [3]}, TypeError, "settings must be a dict of lists, or a list of dicts"),
        ({"settings": "units"}, TypeError, "settings must be a dict of lists"),
        ({"settings": {"rate": cr.Between(0, 1)}}, ValueError, "is a distribution, of which no grid"),
        ({"choose": "median"}, ValueError, "known are 'vote', 'mean'"),
        ({"refit": 1}, TypeError, "refit must be True or False"),
        ({"folds": None}, TypeError, "folds must be a whole number"),
        ({"folds": 62}, ValueError, "folds must be a whole number from 2 to 61"),
        ({"folds": "5"}, TypeError, "folds must be"),
        ({"folds": 5, "groups": Y}, ValueError, "groups need folds that heed them"),
        ({"monitor": "accuracy"}, ValueError, "monitor must be a figure of the validation part"),
        ({"epochs": 0}, ValueError, "epochs must be"),
        ({"verbose": "loud"}, ValueError, "verbose must be"),
    ],
)
def test_what_cross_validate_refuses(options, error, words):
    with pytest.raises(error, match=words):
        cr.cross_validate(classifier, X, Y, **options)
