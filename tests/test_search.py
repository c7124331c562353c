"""Searches, on a model whose validation loss is a known function of the learning rate."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from problems import problem

import chainrule as cr
from chainrule import bayesian

# One weight that starts at 0, x = y = 1: a step of rate r over all rows takes 1 - w to (1 - 2 r)(1 - w), so that the
# loss after t steps is (1 - 2 r)^(2 t): 0 at r = 1/2, and growing without end above r = 1.
ONES = np.ones((10, 1))
RATES = [0.05, 0.2, 0.4, 0.9]
# Five roundings a step, of numbers of order 1.
CLOSE = {"rel": 1e-12, "abs": 64 * 2.0**-53}


def one_weight(settings):
    layer = cr.Dense(1, bias=False, weight_init="zeros")
    net = cr.Network([layer], inputs=1, dtype="float64")
    return cr.Trainer(net, loss="mse", optimizer=cr.SGD(settings["rate"]), metrics=["mae"])


def error(rate, epochs=1):
    return (1 - 2 * rate) ** (2 * epochs)


def searched(space, **options):
    return cr.search(one_weight, space, ONES, ONES, **{"epochs": 1, "batch_size": 10, **options})


def test_a_grid_finds_the_best_of_its_points():
    result = searched({"rate": RATES, "epochs": [1, 3]}, method="grid")
    assert [one.settings for one in result.trials] == [{"rate": r, "epochs": e} for r in RATES for e in (1, 3)]
    for number, one in enumerate(result.trials):
        assert one.score == pytest.approx(error(**one.settings), **CLOSE)
        assert (one.number, one.scores, one.epochs) == (number, (one.score,), (one.settings["epochs"],))
        assert one.seconds > 0
        assert [history["val_loss"][-1] for history in one.histories] == [one.score]
    assert result.best.settings == {"rate": 0.4, "epochs": 3}
    assert [one.score for one in result.ranking] == sorted(one.score for one in result.trials)
    assert result.points == 8
    # The trainer that is kept is that of the best, trained.
    assert result.trainer.epochs_done == 3
    assert float(result.trainer.net.parameters()["0.weight"][0, 0]) == pytest.approx(1 - 0.2**3, **CLOSE)


def test_a_metric_may_judge_and_large_may_be_good():
    result = searched({"rate": RATES}, method="grid", monitor="val_mae")
    assert result.best.settings == {"rate": 0.4}
    assert result.best.score == pytest.approx(0.2, **CLOSE)
    assert searched({"rate": RATES}, method="grid", mode="max").best.settings == {"rate": 0.05}


def test_accuracy_is_best_where_it_is_greatest():
    X, y = problem(rows=90)

    def make_trainer(settings):
        net = cr.Network([cr.Dense(3)], inputs=4)
        return cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(settings["rate"]), metrics=["accuracy"])

    result = cr.search(make_trainer, {"rate": [1e-9, 0.3]}, X, y, method="grid", monitor="val_accuracy", epochs=20)
    assert result.best.settings == {"rate": 0.3}
    assert result.best.score > result.trials[0].score
    # A part of the rows judges: a fifth, of which a trainer by hand measures the same.
    trainer = make_trainer({"rate": 0.3})
    history = trainer.fit(X, y, epochs=20, validation_split=0.2, verbose=False)
    assert result.best.score == history["val_accuracy"][-1]


def test_random_points_are_tried():
    space = {"rate": cr.Between(0.01, 0.9)}
    result = searched(space, trials=15, seed=4)
    assert len(result.trials) == 15
    assert all(one.score == pytest.approx(error(**one.settings), **CLOSE) for one in result.trials)
    again, other = searched(space, trials=15, seed=4), searched(space, trials=15, seed=5)
    assert [(one.settings, one.score) for one in again.trials] == [(one.settings, one.score) for one in result.trials]
    assert other.trials[0].settings != result.trials[0].settings
    assert result.points is None
    # A grid of fewer points than may be tried is tried once.
    assert len(searched({"rate": RATES}, trials=50).trials) == 4
    assert len(searched({"rate": cr.Between(0.1, 0.2)}).trials) == 20


def test_rows_are_checked_as_fit_checks_them():
    as_lists = cr.search(one_weight, {"rate": [0.2]}, [[1]] * 10, [1] * 10, method="grid", epochs=1, batch_size=10)
    assert as_lists.best.score == searched({"rate": [0.2]}, method="grid").best.score
    with pytest.raises(ValueError, match=r"space\['rate'\] is a distribution, of which no grid"):
        searched({"rate": cr.Between(0, 1)}, method="grid")
    with pytest.raises(ValueError, match="y must have 10 rows"):
        cr.search(one_weight, {"rate": [0.2]}, ONES, ONES[:9], method="grid")
    with pytest.raises(ValueError, match="at least one row"):
        cr.search(one_weight, {"rate": [0.2]}, ONES[:0], ONES[:0], method="grid")


def test_what_diverges_is_worst_and_no_exception():
    for rates in ([1e200, 0.4, 1e160], [1e200, 1e160, 0.4]):
        result = searched({"rate": rates}, method="grid", epochs=3)
        assert result.best.settings == {"rate": 0.4}
        failed = [one for one in result.trials if one.outcome == "diverged"]
        assert [one.score for one in failed] == [math.inf, math.inf]
        assert all("no longer finite" in one.reason for one in failed)
        assert repr(result).count("diverged") == 2
    worst = searched({"rate": [0.4, 1e200]}, method="grid", epochs=3, mode="max")
    assert worst.trials[1].score == -math.inf
    assert worst.best.settings == {"rate": 0.4}
    nothing = searched({"rate": [1e200]}, method="grid", epochs=3)
    assert nothing.trainer is None
    with pytest.raises(ValueError, match="none of 1 trials ended well; the first diverged"):
        _ = nothing.best


def test_folds_judge_by_their_mean_and_the_best_is_trained_on_all_rows():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 3)), rng.normal(size=30)

    def make_trainer(settings):
        net = cr.Network([cr.Dense(1)], inputs=3, dtype="float64")
        return cr.Trainer(net, loss="mse", optimizer=cr.SGD(settings["rate"]))

    result = cr.search(make_trainer, {"rate": [0.01, 0.1]}, X, y, method="grid", folds=3, epochs=4, seed=1)
    for one in result.trials:
        for (training, held_out), score in zip(cr.folds(30, 3, seed=1), one.scores, strict=True):
            trainer = make_trainer(one.settings)
            trainer.fit(X[training], y[training], epochs=4, verbose=False)
            assert trainer.evaluate(X[held_out], y[held_out])["loss"] == score
        assert one.score == pytest.approx(np.mean(one.scores), rel=1e-14)
        assert [history["val_loss"][-1] for history in one.histories] == list(one.scores)
    trainer = make_trainer(result.best.settings)
    trainer.fit(X, y, epochs=4, verbose=False)
    np.testing.assert_array_equal(result.trainer.net.predict(X), trainer.net.predict(X))


def test_rows_of_ones_own_judge_and_rows_may_have_weights():
    X, y = problem(rows=60)
    weight = np.arange(60) % 3

    def make_trainer(settings):
        net = cr.Network([cr.Dense(3)], inputs=4)
        return cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(settings["rate"]))

    judges = X[40:], y[40:], weight[40:]
    options = {"sample_weight": weight[:40], "class_weight": {0: 2.0}}
    result = cr.search(make_trainer, {"rate": [0.1]}, X[:40], y[:40], method="grid", validation_data=judges, **options)
    trainer = make_trainer({"rate": 0.1})
    trainer.fit(X[:40], y[:40], epochs=10, verbose=False, **options)
    assert result.best.score == trainer.evaluate(*judges)["loss"]


def test_early_stopping_is_measured_where_it_ended():
    X, y = problem(rows=60)

    def make_trainer(settings):
        net = cr.Network([cr.Dense(30, activation="tanh"), cr.Dense(3)], inputs=4)
        return cr.Trainer(net, loss="cross_entropy", optimizer=cr.Adam(settings["rate"]))

    stopping = cr.EarlyStopping(patience=2)
    result = cr.search(make_trainer, {"rate": [0.3]}, X, y, method="grid", epochs=60, callbacks=[stopping])
    trainer = make_trainer({"rate": 0.3})
    history = trainer.fit(X, y, epochs=60, validation_split=0.2, callbacks=[stopping], verbose=False)
    assert result.best.score == min(history["val_loss"])
    assert result.best.epochs == (history.best_epoch,)
    assert history.best_epoch < history.epochs < 60
    # On all rows there is nothing to stop by: as many epochs as the folds kept, of an even number the lower middle.
    result = cr.search(make_trainer, {"rate": [0.3]}, X, y, method="grid", epochs=60, folds=4, callbacks=[stopping])
    assert result.trainer.epochs_done == sorted(result.best.epochs)[1] < 60


def test_the_size_is_told_before_anything_is_trained(capsys):
    space = {"rate": RATES, "epochs": [1, 2, 3]}
    made = []
    with pytest.raises(ValueError, match=r"the grid has 4 x 3 = 12 points, and trials=11: .*method=\"random\""):
        cr.search(made.append, space, ONES, ONES, method="grid", trials=11)
    assert made == []

    def make_trainer(settings):
        made.append(capsys.readouterr().err)
        return one_weight(settings)

    cr.search(make_trainer, space, ONES, ONES, method="grid", verbose=True)
    assert made[0] == "grid search: 12 trials of the grid 4 x 3 = 12\n"
    searched({"rate": [0.1]}, method="grid", verbose=True)
    assert "0: rate=0.1: val_loss=0.64\n" in capsys.readouterr().err
    searched({"rate": cr.Between(0.1, 0.2)}, trials=2, verbose=True)
    assert "random search: 2 trials of a space with distributions\n" in capsys.readouterr().err
    searched({"rate": [0.1]}, method="grid")
    assert capsys.readouterr().err == ""


def test_the_table():
    result = searched({"rate": [*RATES, 1e200]}, method="grid", epochs=3)
    head, rule, *lines, last, under = repr(result).splitlines()
    assert head.split() == ["settings", "trial", "val_loss", "epochs", "seconds"]
    assert set(rule) == set(last) == {"-"}
    assert [line.split()[0] for line in lines] == ["rate=0.4", "rate=0.2", "rate=0.9", "rate=0.05", "rate=1e+200"]
    assert lines[0].split()[1:4] == ["2", "6.4e-05", "3"]
    assert lines[-1].split()[2] == "inf"
    assert lines[-1].endswith("diverged")
    assert under == "grid: 5 trials of a grid of 5 points"
    assert "and 5 more" in repr(searched({"rate": np.linspace(0.1, 0.4, 25)}, method="grid"))


@pytest.mark.filterwarnings("ignore::chainrule.scales.DataWarning")  # large inputs are what makes rates diverge here
def test_the_heuristic_of_lecture_000():
    # "Try 0.1 for the learning rate. If this doesn't work, divide by 3. Repeat."
    x = 20 * np.random.default_rng(0).normal(size=(64, 1))
    space = {"learning_rate": cr.search_space("recipe")["learning_rate"], "hidden_layers": [0]}
    result = cr.search(
        lambda settings: cr.trainer_for(settings, x, 0.5 * x, kind="regression"),
        space,
        x,
        0.5 * x,
        method="grid",
        epochs=40,
    )
    # A step of rate r multiplies the error by 1 - 2 r E[x^2], E[x^2] about 400: below 1/400 it shrinks.
    assert [(one.outcome, one.score < 1) for one in result.trials] == [
        *(("diverged", False),) * 3,  # of 0.1, 0.033, 0.011
        ("done", False),  # of 0.0037, on its way there
        ("done", True),
    ]
    assert result.best.settings["learning_rate"] == pytest.approx(0.1 / 81)


def shared_network():
    net = cr.Network([cr.Dense(1)], inputs=1)
    return lambda settings: cr.Trainer(net, loss="mse")


def shared_trainer():
    trainer = cr.Trainer(cr.Network([cr.Dense(1)], inputs=1), loss="mse")
    return lambda settings: trainer


def other_losses():
    words = iter(["mse", "mae"])
    return lambda settings: cr.Trainer(cr.Network([cr.Dense(1)], inputs=1), loss=next(words), metrics=["mae"])


@pytest.mark.parametrize(
    ("make_trainer", "error", "words"),
    [
        (shared_network(), ValueError, "make_trainer must return a new Trainer of a new Network"),
        (shared_trainer(), ValueError, "make_trainer must return a new Trainer of a new Network"),
        (lambda settings: None, TypeError, r"make_trainer\(rate=0.05\) must return a Trainer; got None"),
        (cr.Trainer, TypeError, "make_trainer must be a function"),
        ("adam", TypeError, "make_trainer must be a function"),
        (other_losses(), ValueError, "values of different losses cannot be compared: MeanSquaredError"),
    ],
)
def test_makers_that_will_not_do(make_trainer, error, words):
    with pytest.raises(error, match=words):
        cr.search(make_trainer, {"rate": RATES}, ONES, ONES, method="grid")


def test_different_losses_are_compared_by_a_metric():
    result = cr.search(other_losses(), {"a": [1, 2]}, ONES, ONES, method="grid", monitor="val_mae")
    assert len(result.trials) == 2


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"method": "manual"}, ValueError, "known are 'grid', 'random', 'optuna'"),
        ({"monitor": "loss"}, ValueError, "monitor must be a figure of the validation part"),
        ({"monitor": "val_accuracy"}, ValueError, "is not measured by the trainer, which has val_loss, val_mae"),
        ({"monitor": 3}, TypeError, "monitor must be a name"),
        ({"mode": "best"}, ValueError, "mode='best' is unknown"),
        ({"trials": 0}, ValueError, "trials must be"),
        ({"epochs": 0}, ValueError, "epochs must be"),
        ({"batch_size": 0.5}, TypeError, "batch_size must be"),
        ({"seed": -1}, ValueError, "seed must be"),
        ({"verbose": 2}, ValueError, "verbose must be"),
        ({"callbacks": 1}, TypeError, "callbacks must be"),
        ({"validation_split": 0}, ValueError, "validation_split must be a finite number above 0"),
        ({"validation_split": 0.2, "folds": 3}, ValueError, "validation_split and folds exclude each other"),
        ({"validation_data": ONES}, TypeError, r"validation_data must be \(X, y\)"),
        ({"folds": 11}, ValueError, "folds must be a whole number from 2 to 10"),
        ({"folds": 1}, ValueError, "folds must be"),
        ({"folds": 2.5}, TypeError, "folds must be a whole number, a splitter of scikit-learn, or a list"),
        ({"folds": []}, ValueError, "folds must give at least one pair"),
        ({"folds": [([0, 1], [1, 2])]}, ValueError, "fold 0 trains on rows that it validates with: row 1"),
        ({"folds": [([0, 1], [10])]}, ValueError, "fold 0: validation must number rows from 0 to 9; got 10 to 10"),
        ({"folds": [([0, 1], [])]}, ValueError, "fold 0: validation must be row numbers, at least one"),
        ({"folds": [([True, False], [1])]}, ValueError, "fold 0: training must be row numbers"),
        ({"folds": [3]}, TypeError, "fold 0 must be a pair"),
        ({"folds": 3, "groups": [0] * 10}, ValueError, "groups need folds that heed them"),
        ({"groups": [0] * 10}, ValueError, "groups need folds that heed them"),
        ({"prune": True}, ValueError, 'prune and study are for method="optuna"'),
        ({"prune": 1}, TypeError, "prune must be True or False"),
        ({"method": "optuna", "prune": True, "folds": 2}, ValueError, "prune needs a single validation part"),
        ({"method": "optuna", "study": "mine"}, TypeError, r"study must be an optuna\.Study"),
    ],
)
def test_what_search_refuses(options, error, words):
    if options.get("method") == "optuna":
        pytest.importorskip("optuna")
    with pytest.raises(error, match=words):
        searched({"rate": RATES}, **options)


# Bayesian search -----------------------------------------------------------------------------------------------------


def test_optuna_learns_from_its_trials():
    pytest.importorskip("optuna")
    space = {"rate": cr.Between(1e-6, 0.99, scale="log"), "idle": [0, "none", None], "layers": [(1, 2), (3,)]}
    guessed = [searched(space, method="optuna", trials=25, seed=seed) for seed in (1, 2, 3)]
    for result in guessed:
        assert all(one.score == pytest.approx(error(one.settings["rate"]), **CLOSE) for one in result.trials)
        assert all(type(one.settings["layers"]) is tuple for one in result.trials)
        # Later guesses know of earlier ones: the last ten are better than the first ten, which are drawn.
        first, last = (np.median([one.score for one in part]) for part in (result.trials[:10], result.trials[-10:]))
        assert last < 0.9 * first
    again = searched(space, method="optuna", trials=25, seed=1)
    assert [one.settings for one in again.trials] == [one.settings for one in guessed[0].trials]


def test_what_optuna_suggests():
    stats = pytest.importorskip("scipy.stats")

    class Ends:
        """A trial that suggests the last of a list and the least of a range."""

        def suggest_float(self, name, low, high):
            return low

        def suggest_categorical(self, name, choices):
            assert len(set(choices)) == len(choices)
            return choices[-1]

    adam = cr.Adam(0.1)
    space = {"a": [1, True], "b": [cr.SGD(0.1), adam], "c": stats.norm(0, 1), "d": cr.Between(2, 5, whole=True)}
    found = bayesian.suggested(Ends(), space)
    assert found["a"] is True
    assert found["b"] is adam
    # An unbounded distribution is never asked for its infinite end: one in a million lies below.
    assert found["c"] == pytest.approx(-4.76, abs=0.01)
    assert (found["d"], type(found["d"])) == (2, int)


def test_optuna_learns_that_a_trial_diverged():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space = {"rate": cr.Between(1e-200, 1e200, scale="log")}
    result = searched(space, method="optuna", trials=6, study=study, epochs=3)
    outcomes = [one.outcome for one in result.trials]
    assert {"done", "diverged"} == set(outcomes)
    assert [one.value for one in study.trials] == [one.score for one in result.trials]
    # A study of one's own goes on.
    searched(space, method="optuna", trials=2, study=study, epochs=3)
    assert len(study.trials) == 8


def test_optuna_learns_that_a_figure_is_undefined():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), direction="maximize")

    def never_positive(settings):
        net = cr.Network([cr.Dense(1, weight_init="zeros")], inputs=1)
        return cr.Trainer(net, loss="binary_cross_entropy", optimizer=cr.SGD(settings["rate"]), metrics=["precision"])

    # Three rows of four are negative, and all are alike.
    y = np.arange(len(ONES)) % 4 == 3
    given = {"monitor": "val_precision", "method": "optuna", "trials": 2, "study": study, "epochs": 1, "verbose": False}
    result = cr.search(never_positive, {"rate": cr.Between(1e-3, 1e-2)}, ONES, y, **given)
    assert [one.outcome for one in result.trials] == ["undefined"] * 2
    assert [one.value for one in study.trials] == [-math.inf] * 2
    assert result.trainer is None
    with pytest.raises(ValueError, match="none of 2 trials ended well; the first is undefined: val_precision is nan"):
        _ = result.best


def test_a_study_of_the_other_direction_is_refused_and_an_exception_is_told():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with pytest.raises(ValueError, match="study must have direction='minimize'"):
        searched({"rate": RATES}, method="optuna", study=optuna.create_study(direction="maximize"))
    study = optuna.create_study()
    with pytest.raises(KeyError):
        cr.search(lambda settings: settings["?"], {"rate": RATES}, ONES, ONES, method="optuna", study=study)
    assert [one.state.name for one in study.trials] == ["FAIL"]


def test_pruning_ends_what_is_worse_than_the_median():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rates = [0.4, 0.45, 0.3, 0.001, 0.48]
    sampler = optuna.samplers.GridSampler({"rate": rates}, seed=0)
    study = optuna.create_study(sampler=sampler, pruner=optuna.pruners.MedianPruner(n_startup_trials=2))
    for rate in rates:
        study.enqueue_trial({"rate": rate})
    result = searched({"rate": rates}, method="optuna", study=study, trials=5, prune=True, epochs=6)
    assert [one.outcome for one in result.trials] == ["done", "done", "pruned", "pruned", "done"]
    # The third is worse than the median of two after its first epoch already.
    assert [one.epochs for one in result.trials] == [(6,), (6,), (1,), (1,), (6,)]
    assert "pruned by Optuna in epoch 1, with val_loss=0.16" in result.trials[2].reason
    assert result.best.settings == {"rate": 0.48}
    assert [one.outcome for one in result.ranking] == ["done"] * 3 + ["pruned"] * 2
    assert [one.state.name for one in study.trials] == ["COMPLETE", "COMPLETE", "PRUNED", "PRUNED", "COMPLETE"]


def test_pruning_in_an_objective_of_ones_own():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial):
        trainer = one_weight({"rate": trial.suggest_float("rate", 0.0, 0.9)})
        pruning = cr.OptunaPruning(trial)
        options = {"epochs": 4, "batch_size": 10, "validation_split": 0.2, "verbose": False}
        history = trainer.fit(ONES, ONES, callbacks=[pruning], **options)
        if pruning.pruned:
            raise optuna.TrialPruned
        return history["val_loss"][-1]

    study = optuna.create_study(
        sampler=optuna.samplers.RandomSampler(seed=1), pruner=optuna.pruners.MedianPruner(n_startup_trials=1)
    )
    study.optimize(objective, n_trials=6)
    assert {one.state.name for one in study.trials} == {"COMPLETE", "PRUNED"}
    assert all(len(one.intermediate_values) < 4 for one in study.trials if one.state.name == "PRUNED")


def test_what_pruning_refuses():
    with pytest.raises(TypeError, match="trial must be a trial of Optuna"):
        cr.OptunaPruning(3)

    class Reports:
        def report(self, value, step): ...
        def should_prune(self): ...

    # Where an epoch is not validated there is nothing to report.
    cr.OptunaPruning(Reports()).on_epoch_end(1, {"loss": 0.5})
    trainer = one_weight({"rate": 0.1})
    with pytest.raises(ValueError, match="monitor='val_loss' is not in the history"):
        trainer.fit(ONES, ONES, callbacks=[cr.OptunaPruning(Reports())], verbose=False)


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r'method="optuna" needs Optuna: pip install "chainrule\[search\]"'):
        searched({"rate": RATES}, method="optuna")
    with pytest.raises(ImportError, match=r"chainrule\[search\]"):
        bayesian.new_study(False, 0)
    assert len(searched({"rate": RATES}).trials) == 4
