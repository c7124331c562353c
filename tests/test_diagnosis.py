"""Diagnosis of real runs: what each was made to suffer from is named, and nothing else; nothing where all goes well."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from diagnosis_runs import (
    HIGH,
    OVER,
    QUESTIONS,
    RUNS,
    UNDER,
    Parts,
    Rows,
    Run,
    blobs,
    dense,
    fitted,
    noisy_line,
    sines,
    well_classes,
    well_sum,
)
from gpu import needs_gpu, there

import chainrule as cr
from chainrule.remedies import ADVICE


@pytest.mark.filterwarnings("ignore::chainrule.scales.DataWarning")  # true of the two runs on raw inputs
@pytest.mark.parametrize("make", RUNS, ids=lambda make: make.__name__)
def test_what_a_run_suffers_from_is_named_and_nothing_else(make: Callable[[], Run]) -> None:
    run = make()
    everything, alone = RUNS[make]
    found = run.diagnose()
    assert set(found.names) == everything, found
    assert found.healthy == (not everything)
    assert set(cr.diagnose(run.history).names) == alone


@pytest.mark.parametrize("make", QUESTIONS, ids=lambda make: make.__name__)
def test_the_four_questions_on_rows(make: Callable[[], Parts]) -> None:
    run, parts, target = make()
    X, y = run.training
    found = cr.diagnose(run.history, trainer=run.trainer, X=X, y=y, **parts, target=target, monitor="accuracy")
    assert set(found.names) == QUESTIONS[make], found


def test_enough_runs_and_every_name() -> None:
    assert len(RUNS) + len(QUESTIONS) >= 24
    named = set().union(*(everything for everything, _ in RUNS.values()), *QUESTIONS.values())
    assert named == set(ADVICE)


@pytest.mark.parametrize("name", ADVICE)
def test_every_name_has_remedies_and_a_slide(name: str) -> None:
    finding = cr.Finding(name, "evidence", {})
    assert finding.remedies
    tags = re.findall(r"\[[^\]]*\]", finding.source)
    assert tags
    assert set(tags) <= {"[000]", "[001]", "[002]", "[003]", "[004]"}
    assert all(f"try: {one}" in str(finding) for one in finding.remedies)


def test_nothing_changes() -> None:
    run = well_classes()
    net, rate = run.trainer.net, run.trainer.learning_rate
    before, steps, training = net.state_dict(), net.core.steps, net.training
    run.diagnose()
    assert all(np.array_equal(before[name], value) for name, value in net.state_dict().items())
    assert (net.core.steps, net.training, run.trainer.learning_rate) == (steps, training, rate)
    # What follows is what would have followed.
    other = well_classes()
    histories = [one.trainer.fit(*one.training, epochs=1, verbose=False) for one in (run, other)]
    assert histories[0]["loss"] == histories[1]["loss"]


def test_what_was_not_looked_at_is_told_with_what_to_give() -> None:
    run = well_classes()
    X, y = run.training
    little, more, most = (
        cr.diagnose(run.history),
        cr.diagnose(run.history, trainer=run.trainer.net, X=X),
        run.diagnose(target=1.0, training_dev=blobs(40, 8), test=0.5),
    )
    for words in ("trainer=", "X=", "y=", "validation=", "training_dev=", "target="):
        assert any(words in one for one in little.not_looked_at), words
    assert len(more.not_looked_at) == len(little.not_looked_at) - 1
    assert most.not_looked_at == ()
    assert any("test error 0.5" in one for one in most.looked_at)
    without = cr.diagnose(run.history, trainer=run.trainer, X=X[:9], y=y[:9])
    assert any("X has 9 rows" in one for one in without.not_looked_at)


def test_the_report_says_all() -> None:
    run = fitted(dense(1), blobs(60, 1, classes=2), loss="mse", optimizer=cr.SGD(9.0), epochs=6)
    found = run.diagnose()
    text = repr(found)
    assert HIGH in found.names
    assert found[HIGH].numbers
    for one in found.findings:
        assert str(one) in text
    assert "\nlooked at:\n  learning curves of 6 epochs\n  units on 60 rows" in text
    assert repr(well_classes().diagnose()).startswith("healthy: nothing wrong in what was looked at\n")
    with pytest.raises(KeyError, match="'bias'; found were"):
        found["bias"]


def test_the_epoch_that_early_stopping_brought_back_is_judged() -> None:
    data = blobs(40, 1, noise=0.3, inputs=6), blobs(200, 2, noise=0.3, inputs=6)

    def run(**options: bool) -> Run:
        stop = [cr.EarlyStopping(patience=40, **options)]
        return fitted(dense(64, 3), *data, loss="cross_entropy", optimizer=cr.Adam(0.01), epochs=60, callbacks=stop)

    restored, kept = run(), run(restore_best_weights=False)
    assert restored.history.restored_epoch == restored.history.best_epoch
    assert kept.history.restored_epoch is None
    assert kept.history["val_loss"] == restored.history["val_loss"]
    assert OVER in cr.diagnose(kept.history).names
    assert OVER not in cr.diagnose(restored.history).names
    assert any("early stopping went back" in one for one in cr.diagnose(restored.history).looked_at)


def test_results_as_numbers_as_what_evaluate_returns_and_as_rows() -> None:
    run = well_classes()
    X, y = run.training
    test = blobs(200, 9)
    measured = run.trainer.evaluate(*test)
    for monitor, target in (("loss", 0.01), ("accuracy", 0.999)):
        forms = (measured[monitor], measured, test)
        numbers = [
            cr.diagnose(run.history, trainer=run.trainer, X=X, y=y, test=one, target=target, monitor=monitor)
            for one in forms
        ]
        error = measured[monitor] if monitor == "loss" else 1 - measured[monitor]
        for one in numbers:
            (told,) = (line for line in one.looked_at if line.startswith("test error"))
            assert float(told.split()[2]) == pytest.approx(error, rel=1e-3)
        assert all("bias" in one.names for one in numbers)


def test_of_sums_over_rows_only_the_rows_tell() -> None:
    run = well_sum()
    X, y = run.training
    test = sines(30, 3)
    measured = run.trainer.evaluate(*test)
    for one in (measured, measured["loss"]):
        with pytest.raises(ValueError, match=r"^test must be rows \(X, y\): the loss is a sum over rows"):
            cr.diagnose(run.history, trainer=run.trainer, X=X, y=y, test=one, target=0.01)
    found = cr.diagnose(run.history, trainer=run.trainer, X=X, y=y, test=test, target=0.01)
    (told,) = (line for line in found.looked_at if line.startswith("test error"))
    assert float(told.split()[2]) == pytest.approx(measured["loss"] / 30, rel=1e-3)


@needs_gpu
def test_rows_on_a_gpu() -> None:
    (X, y), (X_test, y_test) = sines(60, 1), sines(30, 2)
    X, y, X_test, y_test = (np.asarray(one, dtype=np.float32).reshape(len(one), 1) for one in (X, y, X_test, y_test))
    for device in ("cuda", "cpu"):
        net = cr.Network([cr.Standardize(), *dense(8, 1)], inputs=1, device=device)
        trainer = cr.Trainer(net, loss="mse")
        history = trainer.fit(X, y, epochs=6, verbose=False)
        here = cr.diagnose(history, trainer=trainer, X=X, y=y, test=(X_test, y_test), target=0.1)
        rows: dict[str, Any] = {"X": there(X), "y": there(y), "test": (there(X_test), there(y_test))}
        assert repr(cr.diagnose(history, trainer=trainer, **rows, target=0.1)) == repr(here)
        assert repr(cr.layer_report(trainer, there(X), there(y))) == repr(cr.layer_report(trainer, X, y))


@pytest.mark.parametrize("every", [1, 2, 3, 5, 10])
def test_looks_at_the_validation_part_are_not_an_epoch_each(every: int) -> None:
    data = blobs(40, 1, noise=0.4, inputs=20), blobs(200, 2, noise=0.4, inputs=20)
    options: dict[str, Any] = {"loss": "cross_entropy", "optimizer": cr.Adam(0.01), "epochs": 100}
    run = fitted(dense(64, 3), *data, **options, validation_freq=every)
    found = cr.diagnose(run.history, target=0.1)
    assert found.names == (OVER, "variance")
    assert "e+" not in repr(found)


def test_an_epoch_without_a_look_has_the_error_of_the_last_look() -> None:
    class Stop(cr.Callback):
        def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
            if epoch == 14:
                raise KeyboardInterrupt

    data = blobs(300, 1), blobs(100, 2)
    options: dict[str, Any] = {"loss": "cross_entropy", "metrics": ["accuracy"], "epochs": 20, "validation_freq": 2}
    for every in (1, 4):
        stop, last = Stop(), 14 - 14 % every
        with pytest.raises(KeyboardInterrupt):
            fitted(dense(16, 3), *data, **{**options, "validation_freq": every}, callbacks=[stop])
        history = stop.trainer.history
        assert (history.epochs, history.measured("val_loss")[-1][0]) == (14, last)
        told = cr.diagnose(history, target=0.5).looked_at
        assert f"validation error {history['val_loss'][last - 1]:.4g}" in told
        told = cr.diagnose(history, target=0.9, monitor="accuracy").looked_at
        assert any(f"validation error {1 - history['val_accuracy'][last - 1]:.4g}" in one for one in told)


def test_a_reached_target_is_enough() -> None:
    run = fitted(dense(16, 3), blobs(300, 1), blobs(100, 2), loss="cross_entropy", optimizer=cr.SGD(0.01), epochs=8)
    assert cr.diagnose(run.history).names == (UNDER,)
    assert cr.diagnose(run.history, target=run.history["val_loss"][-1]).healthy


def test_few_epochs_are_no_curve() -> None:
    run = fitted(dense(16, 3), blobs(30, 1), blobs(30, 2), loss="cross_entropy", optimizer=cr.SGD(1e-4), epochs=4)
    found = cr.diagnose(run.history)
    assert found.healthy
    assert "the shape of the curves: 4 epochs, and 5 are needed" in found.not_looked_at


def test_bad_arguments() -> None:
    run = well_classes()
    X, y = run.training
    history, trainer = run.history, run.trainer
    with pytest.raises(TypeError, match="history must be a History"):
        cr.diagnose({"loss": [1.0]})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="trainer must be a Network"):
        cr.diagnose(history, trainer="net")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="X needs trainer="):
        cr.diagnose(history, X=X)
    with pytest.raises(ValueError, match="y needs X and trainer="):
        cr.diagnose(history, trainer=trainer, y=y)
    with pytest.raises(ValueError, match="y needs X and trainer=, a Trainer"):
        cr.diagnose(history, trainer=trainer.net, X=X, y=y)
    with pytest.raises(ValueError, match="monitor='f2'"):
        cr.diagnose(history, monitor="f2")
    with pytest.raises(ValueError, match="monitor='accuracy' is not in the history"):
        cr.diagnose(cr.History(["loss"]), monitor="accuracy")
    with pytest.raises(ValueError, match="test must be a number, what trainer"):
        cr.diagnose(history, test=(X, y))
    with pytest.raises(ValueError, match="validation must have 'loss'; it has accuracy"):
        cr.diagnose(history, validation={"accuracy": 0.5})
    with pytest.raises(ValueError, match="test must be a finite number"):
        cr.diagnose(history, test=float("nan"))
    with pytest.raises(ValueError, match="target must be a finite number"):
        cr.diagnose(history, target=float("inf"))
    for rows in (X[:, :1], 5.0):
        with pytest.raises(ValueError, match="X must have shape"):
            cr.diagnose(history, trainer=trainer, X=rows)
    for rows, words in (
        ((X[:, :1], y), "test X must have shape"),
        ((X, y[:-1]), "test y must have 300 rows"),
        ((X[:0], y[:0]), "test X must have at least one row"),
    ):
        with pytest.raises(ValueError, match=words):
            cr.diagnose(history, trainer=trainer, test=rows)


def test_a_history_without_epochs() -> None:
    found = cr.diagnose(cr.History(["loss", "val_loss", "learning_rate", "seconds"]), target=1.0)
    assert found.healthy
    assert found.looked_at == ()


# Where a run started -------------------------------------------------------------------------------------------------


def test_a_network_that_standardizes() -> None:
    (X, y), (X_val, y_val) = blobs(300, 1), blobs(100, 2)
    layers = [cr.Standardize(), *dense(16, 3)]
    raw, raw_val = (X * 300 + 2000, y), (X_val * 300 + 2000, y_val)
    run = fitted(layers, raw, raw_val, loss="cross_entropy", optimizer=cr.Adam(0.01), epochs=30)
    assert run.diagnose().healthy
    # The start is that of the network, measured on these rows, before its first step.
    trainer = cr.Trainer(cr.Network(layers, inputs=2), loss="cross_entropy", optimizer=cr.SGD(30.0))
    trainer.net.adapt(raw[0])
    before = trainer.evaluate(*raw)["loss"]
    trainer.fit(*raw, epochs=1, verbose=False)
    found = cr.diagnose(trainer.history, trainer=trainer, X=raw[0], y=raw[1])
    assert found[HIGH].numbers["start"] == pytest.approx(before, rel=1e-5)


def line(rows: int) -> Rows:
    """Return rows of which all can be learned: y is a sum of x."""
    X = np.random.default_rng(1).normal(size=(rows, 4))
    return X, X @ [1.0, 2.0, -1.0, 0.5]


def test_a_second_fit_is_not_judged_by_its_start() -> None:
    run = well_classes()
    history = run.trainer.fit(*run.training, validation_data=run.validation, epochs=6, verbose=False)
    assert history.first_epoch == 31
    found = cr.diagnose(history)
    assert found.healthy
    assert any("went on from an earlier one" in one for one in found.not_looked_at)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_what_is_left_of_a_loss_may_shake(reduction: str) -> None:
    X, y = line(200)
    loss = cr.MeanSquaredError(reduction=reduction)
    run = fitted(dense(16, 1), (X, y), loss=loss, optimizer=cr.Adam(0.03), epochs=300)
    history = run.trainer.fit(X, y, epochs=20, verbose=False)
    # What is left rises by a third of itself and more, and is less than a hundredth of what there was to learn.
    row = np.array(history["loss"]) / (200 if reduction == "sum" else 1)
    assert row.max() > 1.3 * row[0]
    assert row.max() < 1e-2 * y.var()
    assert run.diagnose().healthy
    found = cr.diagnose(history)
    assert found.healthy
    assert any("too high, unless the loss exploded: give trainer=" in one for one in found.not_looked_at)
    # By another trainer it goes on, too, though its epochs count from 1.
    again = cr.Trainer(run.trainer.net, loss=loss, optimizer=cr.SGD(1e-9))
    slow = again.fit(X, y, epochs=20, verbose=False)
    assert (slow.first_epoch, slow.from_start) == (1, False)
    assert cr.diagnose(slow).healthy
    assert cr.diagnose(slow, trainer=again, X=X, y=y).healthy


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_rate_that_is_too_high_for_what_was_learned_is_named_where_there_are_rows(reduction: str) -> None:
    X, y = noisy_line(200, 1, 8)
    loss = cr.MeanSquaredError(reduction=reduction)
    share = 1 if reduction == "mean" else 1 / 16
    run = fitted(dense(1), (X, y), loss=loss, optimizer=cr.SGD(0.02 * share), epochs=20, batch_size=16)
    for optimizer, names in ((cr.SGD(0.4 * share), (HIGH,)), (cr.SGD(0.01 * share), ())):
        again = cr.Trainer(run.trainer.net.copy(), loss=loss, optimizer=optimizer)
        history = again.fit(X, y, epochs=20, batch_size=16, verbose=False)
        assert cr.diagnose(history, trainer=again, X=X, y=y).names == names
        # The history does not tell what there is to learn.
        assert cr.diagnose(history).healthy
    worse = cr.Trainer(run.trainer.net, loss=loss, optimizer=cr.SGD(5.0))
    with pytest.warns(cr.DivergenceWarning):
        worse.fit(X, y, epochs=20, verbose=False)
    assert cr.diagnose(worse.history).names == (HIGH,)


def test_another_task_starts_high_by_what_was_learned() -> None:
    X, y = blobs(300, 1, inputs=4)
    learned = fitted(dense(64, 64, 3), (X, y), loss="cross_entropy", optimizer=cr.Adam(0.01), epochs=30).trainer.net
    # The same clouds with other names: sure answers, all wrong. The network of the seed knows nothing and loses less.
    for net in (learned.copy(), learned):
        trainer = cr.Trainer(net, loss="cross_entropy", optimizer=cr.Adam(0.003))
        history = trainer.fit(X, (y + 1) % 3, epochs=8, verbose=False)
        assert history["loss"][0] > 5
        assert history["loss"][-1] < 0.5
        assert cr.diagnose(history, trainer=trainer, X=X, y=(y + 1) % 3).healthy
