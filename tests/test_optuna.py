"""chainrule.optuna: an objective that fits with PruningCallback is pruned by Optuna, which is the judge."""

from __future__ import annotations

import contextlib

import pytest
from problems import LABELS, X, classifier

import chainrule as cr

optuna = pytest.importorskip("optuna", reason="needs Optuna")

EPOCHS = 6


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


class After(optuna.pruners.BasePruner):
    """Give up every second trial after so many epochs."""

    def __init__(self, epochs):
        self.epochs = epochs

    def prune(self, study, trial):
        return trial.number % 2 == 1 and trial.last_step >= self.epochs


def studied(objective, trials=4):
    study = optuna.create_study(pruner=After(2), sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=trials)
    return study.trials


def assert_pruned(trials, curves):
    """Require every second trial to be pruned after two epochs, and all reports to be the figures of the fits."""
    assert [one.state.name for one in trials] == ["COMPLETE", "PRUNED"] * (len(trials) // 2)
    for trial, curve in zip(trials, curves, strict=True):
        assert len(curve) == (2 if trial.state.name == "PRUNED" else EPOCHS)
        assert list(trial.intermediate_values.values()) == curve
        assert list(trial.intermediate_values) == list(range(1, len(curve) + 1))


def test_a_fit_that_is_hopeless_is_pruned():
    trainers, ended = [], []

    def objective(trial):
        trainer = cr.Trainer(
            classifier(), loss="cross_entropy", optimizer=cr.SGD(trial.suggest_float("rate", 0.001, 0.1))
        )
        trainers.append(trainer)
        history = trainer.fit(
            X,
            LABELS,
            epochs=EPOCHS,
            validation_data=(X + 0.1, LABELS),
            callbacks=[cr.LambdaCallback(on_train_end=ended.append), cr.optuna.PruningCallback(trial)],
            verbose=False,
        )
        return history["val_loss"][-1]

    trials = studied(objective)
    assert_pruned(trials, [trainer.history["val_loss"] for trainer in trainers])
    assert len(ended) == len(trials)
    assert "pruned by Optuna in epoch 2, with val_loss=" in trainers[1].history.stop_reason
    # The trainer is whole, and may go on.
    again = trainers[1].fit(X, LABELS, epochs=1, verbose=False)
    assert again.first_epoch == 3


def test_an_estimator_is_pruned():
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    from chainrule.sklearn import MLPClassifier

    models = []

    def objective(trial):
        model = MLPClassifier(
            (5,), max_iter=EPOCHS, random_state=0, callbacks=[cr.optuna.PruningCallback(trial, "loss")], alpha=0.0
        )
        models.append(model)
        whole = trial.number % 2 == 0
        with pytest.warns(UserWarning, match="Maximum iterations") if whole else contextlib.nullcontext():
            model.fit(X, LABELS)
        return model.loss_

    trials = studied(objective, trials=2)
    assert_pruned(trials, [model.loss_curve_ for model in models])


def test_what_does_not_suit():
    with pytest.raises(TypeError, match="trial must be a trial of Optuna"):
        cr.optuna.PruningCallback(3)
    trainer = cr.Trainer(classifier(), loss="cross_entropy")
    with pytest.raises(ValueError, match="monitor='val_loss' is not in the history"):
        trainer.fit(X, LABELS, callbacks=[cr.optuna.PruningCallback(optuna.create_study().ask())], verbose=False)
