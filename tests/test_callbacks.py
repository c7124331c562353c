"""Between epochs and at the end: callbacks, early stopping, divergence, exceptions."""

from __future__ import annotations

import copy
import pickle
import time
import warnings

import numpy as np
import pytest
from problems import bits, network, problem, trainer

import chainrule as cr
from chainrule import fitting, progress
from chainrule.progress import Progress


class Recorder(cr.Callback):
    def __init__(self):
        self.seen = []
        self.states = {}

    def on_train_begin(self, logs):
        self.seen.append("begin")

    def on_epoch_begin(self, epoch, logs):
        self.seen.append(epoch)

    def on_epoch_end(self, epoch, logs):
        self.seen.append(sorted(logs))
        self.states[epoch] = self.trainer.net.state_dict()

    def on_train_end(self, logs):
        self.seen.append("end")


def test_callbacks_are_called_in_order():
    recorder = Recorder()
    learner = trainer(network())
    learner.fit(*problem(), epochs=2, callbacks=[recorder])
    names = sorted(["loss", "learning_rate", "gradient_norm", "samples_per_second", "seconds"])
    assert recorder.seen == ["begin", 1, names, 2, names, "end"]
    learner.fit(*problem(), epochs=1, callbacks=[recorder])
    assert recorder.seen[6:8] == ["begin", 3]


def test_hooks_that_would_never_be_called_are_refused():
    with pytest.raises(TypeError, match="on_batch_end would never be called"):
        type("Wrong", (cr.Callback,), {"on_batch_end": lambda self: None})


def test_a_callback_can_stop_and_set_the_learning_rate():
    class Halving(cr.Callback):
        def on_epoch_end(self, epoch, logs):
            self.trainer.learning_rate /= 2
            if epoch == 3:
                self.trainer.stop("enough")
                self.trainer.stop("not heard")

    history = trainer(network()).fit(*problem(), epochs=9, callbacks=[Halving()])
    assert history["learning_rate"] == [0.01, 0.005, 0.0025]
    assert history.stop_reason == "enough"


def noisy():
    """Return few rows with labels that mean nothing: validation gets worse as training gets better."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 4)), rng.integers(0, 3, size=40)


def normalized():
    """Return a network that keeps running statistics beside what it learns."""
    return cr.Network([cr.Dense(17), cr.BatchNorm(), cr.Activation("relu"), cr.Dense(3)], inputs=4)


@pytest.mark.parametrize("make", [network, normalized])
@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping_takes_the_best_weights(restore, make):
    recorder = Recorder()
    stopping = cr.EarlyStopping(patience=3, restore_best_weights=restore)
    net = make()
    history = trainer(net).fit(*noisy(), epochs=200, batch_size=4, validation_split=0.5, callbacks=[recorder, stopping])
    best = int(np.argmin(history["val_loss"])) + 1
    assert history.epochs == best + 3 < 200
    assert history.best_epoch == best
    assert "val_loss has not improved for 3 epochs" in history.stop_reason
    expected = recorder.states[best if restore else best + 3]
    assert all(np.array_equal(value, expected[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping_keeps_what_improved_on_the_epoch_before(restore):
    recorder = Recorder()
    stopping = cr.EarlyStopping(patience=9, keep="improved", restore_best_weights=restore)
    net = network()
    history = trainer(net).fit(*noisy(), epochs=60, batch_size=4, validation_split=0.5, callbacks=[recorder, stopping])
    losses = history["val_loss"]
    kept = max(epoch for epoch in range(1, len(losses) + 1) if epoch == 1 or losses[epoch - 1] < losses[epoch - 2])
    best = int(np.argmin(losses)) + 1
    assert kept > best == history.epochs - 9  # after a bump, a model that is worse
    assert losses[kept - 1] > losses[best - 1]
    assert history.best_epoch == kept
    expected = recorder.states[kept if restore else history.epochs]
    assert all(np.array_equal(value, expected[name]) for name, value in net.state_dict().items())


def test_early_stopping_of_accuracy_goes_up():
    stopping = cr.EarlyStopping("accuracy", patience=2)
    history = trainer(network(), metrics=["accuracy"]).fit(*problem(), epochs=60, callbacks=[stopping])
    assert history.best_epoch == int(np.argmax(history["accuracy"])) + 1


@pytest.mark.parametrize(("monitor", "mode", "worst"), [("loss", "max", np.argmax), ("accuracy", "min", np.argmin)])
def test_early_stopping_in_the_other_direction(monitor, mode, worst):
    stopping = cr.EarlyStopping(monitor, patience=4, mode=mode)
    history = trainer(network(), metrics=["accuracy"]).fit(*problem(), epochs=60, callbacks=[stopping])
    assert history.best_epoch == int(worst(history[monitor])) + 1
    assert history.epochs == history.best_epoch + 4 < 60


def test_early_stopping_forgets_the_last_fit():
    def fit(stopping):
        net = network()
        options = {"epochs": 12, "validation_split": 0.25, "callbacks": [stopping]}
        return trainer(net).fit(*problem(), **options), bits(net)

    used = cr.EarlyStopping(patience=3)
    # A fit that ends far better than another begins.
    trainer(network(seed=5), optimizer=cr.Adam(0.05)).fit(
        *problem(rows=200), epochs=40, validation_split=0.25, callbacks=[used]
    )
    (again, weights), (fresh, expected) = fit(used), fit(cr.EarlyStopping(patience=3))
    assert (again.epochs, again.best_epoch) == (fresh.epochs, fresh.best_epoch)
    assert again.epochs > 3
    assert weights == expected


def test_a_fit_after_an_early_stop_does_all_its_epochs():
    learner = trainer(network())
    stopped = learner.fit(*problem(), epochs=9, callbacks=[cr.EarlyStopping("loss", patience=1, min_delta=1e9)])
    assert stopped.epochs == 2
    history = learner.fit(*problem(), epochs=3)
    assert (history.epochs, history.stop_reason) == (3, "all 3 epochs done")


def test_early_stopping_waits_for_min_delta():
    stopping = cr.EarlyStopping("loss", patience=2, min_delta=1e9)
    history = trainer(network()).fit(*problem(), epochs=60, callbacks=[stopping])
    assert (history.epochs, history.best_epoch) == (3, 1)


def test_early_stopping_takes_the_best_back_when_all_epochs_are_done():
    recorder, net = Recorder(), network()
    stopping = cr.EarlyStopping(patience=199)
    history = trainer(net).fit(*noisy(), epochs=60, batch_size=4, validation_split=0.5, callbacks=[recorder, stopping])
    assert history.stop_reason == "all 60 epochs done"
    best = int(np.argmin(history["val_loss"])) + 1
    assert best < 60
    assert np.array_equal(net.parameters()["0.weight"], recorder.states[best]["0.weight"])


# The learning rate on a plateau ---------------------------------------------------------------------------------------


class Figures(cr.Callback):
    """Puts figures of its own into the logs, in place of those of the loss."""

    def __init__(self, *figures):
        self.figures = figures

    def on_epoch_end(self, epoch, logs):
        logs["loss"] = self.figures[epoch - 1]


def rates(figures, **options):
    """Return the learning rate of each epoch, and of the one that would come next."""
    callbacks = [Figures(*figures), cr.ReduceLROnPlateau("loss", factor=0.5, **options)]
    learner = trainer(network(), optimizer=cr.SGD(0.16))
    history = learner.fit(*problem(), epochs=len(figures), callbacks=callbacks)
    return [*history["learning_rate"], learner.learning_rate]


NAN = float("nan")


@pytest.mark.parametrize(
    ("figures", "options", "expected"),
    [
        # Two epochs without improvement halve the rate, and then the count begins anew.
        ([5, 4, 4, 6, 5, 5, 5], {"patience": 2}, [0.16, 0.16, 0.16, 0.16, 0.08, 0.08, 0.04, 0.04]),
        ([5, 4, 5, 3, 5, 2, 5], {"patience": 2}, [0.16] * 8),
        # Less than min_delta is no improvement, nor is NaN; a first figure that is NaN is none.
        ([5, 4.5, 4.1, 3.9], {"patience": 1, "min_delta": 1}, [0.16, 0.16, 0.08, 0.04, 0.04]),
        ([5, NAN, 4, NAN], {"patience": 1}, [0.16, 0.16, 0.08, 0.08, 0.04]),
        ([NAN, NAN, 4], {"patience": 1}, [0.16, 0.08, 0.04, 0.04]),
        # The epochs of the cooldown are not counted, but a better figure is.
        ([5, 6, 6, 6, 6, 6], {"patience": 1, "cooldown": 2}, [0.16, 0.16, 0.08, 0.08, 0.08, 0.04, 0.04]),
        ([5, 6, 3, 4, 4], {"patience": 1, "cooldown": 1}, [0.16, 0.16, 0.08, 0.08, 0.04, 0.04]),
        ([5, 5, 5, 5], {"patience": 1, "min_lr": 0.05}, [0.16, 0.16, 0.08, 0.05, 0.05]),
        ([1, 2, 3, 3], {"patience": 1, "mode": "max"}, [0.16, 0.16, 0.16, 0.16, 0.08]),
    ],
)
def test_a_plateau_lowers_the_rate(figures, options, expected):
    assert rates(figures, **options) == expected


def test_a_plateau_of_the_accuracy_is_one_that_does_not_rise():
    plateau = cr.ReduceLROnPlateau("accuracy", patience=1, factor=0.5)
    history = trainer(network(), metrics=["accuracy"]).fit(*problem(), epochs=9, callbacks=[plateau])
    rate, best, expected = 0.01, -1.0, []
    for accuracy in history["accuracy"]:
        expected.append(rate)
        rate *= 1 if accuracy > best else 0.5
        best = max(best, accuracy)
    assert history["learning_rate"] == expected
    assert rate < 0.01


def test_a_plateau_is_forgotten_by_the_next_fit():
    learner, plateau = trainer(network(), optimizer=cr.SGD(0.16)), cr.ReduceLROnPlateau("loss", patience=2)
    learner.fit(*problem(), epochs=2, callbacks=[Figures(1, 2), plateau])
    history = learner.fit(*problem(), epochs=2, callbacks=[Figures(0, 0, 9, 9), plateau])
    assert history["learning_rate"] == [0.16, 0.16]


def test_a_plateau_cannot_lower_what_goes_its_own_way():
    plateau = cr.ReduceLROnPlateau("loss")
    for lr in (cr.TimeDecay(0.1, decay=1), lambda epoch: 0.1):
        net = network()
        before = bits(net)
        with pytest.raises(ValueError, match="ReduceLROnPlateau needs an lr that is a number"):
            trainer(net, optimizer=cr.SGD(lr)).fit(*problem(), callbacks=[plateau])
        assert bits(net) == before
    with pytest.raises(ValueError, match=r"monitor='val_loss' is not in the history.*validation_split"):
        trainer(network()).fit(*problem(), callbacks=[cr.ReduceLROnPlateau()])


@pytest.mark.parametrize(
    "options",
    [
        {"factor": 1},
        {"factor": 0},
        {"patience": 0},
        {"min_delta": -1},
        {"cooldown": -1},
        {"min_lr": -1},
        {"mode": "up"},
    ],
    ids=str,
)
def test_wrong_options_of_a_plateau(options):
    with pytest.raises(ValueError, match=f"^{next(iter(options))}"):
        cr.ReduceLROnPlateau(**options)
    with pytest.raises(TypeError, match=r"^monitor must be a name"):
        cr.ReduceLROnPlateau(3)


# The end of a run -----------------------------------------------------------------------------------------------------


def test_history_plots():
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    panels = trainer(network(), metrics=["accuracy"]).fit(*problem(), epochs=2, validation_split=0.2).plot()
    assert [panel.get_ylabel() for panel in panels] == ["loss", "accuracy"]


def test_divergence_keeps_the_last_good_weights():
    X, y = problem()
    net = cr.Network([cr.Dense(8, activation="relu"), cr.Dense(3)], inputs=4, seed=0)
    learner = cr.Trainer(net, loss="mse", optimizer=cr.Momentum(0.05))
    learner.fit(X, np.eye(3)[y], epochs=2)
    before, steps = bits(net), net.core.steps
    learner.learning_rate = 1e6
    with pytest.warns(cr.DivergenceWarning, match=r"epoch 3, step \d+, with learning rate 1e\+06"):
        history = learner.fit(X, np.eye(3)[y], epochs=5, batch_size=4)
    assert bits(net) == before
    assert net.core.steps == steps
    assert history.epochs == 0
    assert "the start of this fit" in history.stop_reason
    assert history.stop_reason == learner.history.stop_reason

    # The optimizer is as it was too: training goes on as if nothing had happened.
    learner.learning_rate = 0.05
    learner.fit(X, np.eye(3)[y], epochs=1)
    straight = cr.Network([cr.Dense(8, activation="relu"), cr.Dense(3)], inputs=4, seed=0)
    cr.Trainer(straight, loss="mse", optimizer=cr.Momentum(0.05)).fit(X, np.eye(3)[y], epochs=3)
    assert bits(net) == bits(straight)


def test_divergence_after_good_epochs_keeps_the_last_of_them():
    class Blowing(Recorder):
        def on_epoch_begin(self, epoch, logs):
            if epoch == 3:
                self.trainer.learning_rate = 1e30

    X, y = problem()
    recorder, net = Blowing(), network()
    with pytest.warns(cr.DivergenceWarning, match="those of the end of epoch 2"):
        history = trainer(net, loss="mse").fit(X, np.eye(3)[y], epochs=5, callbacks=[recorder])
    assert history.epochs == 2
    assert all(np.array_equal(value, recorder.states[2][name]) for name, value in net.parameters().items())


@pytest.mark.filterwarnings("ignore::chainrule.DataWarning")  # an input of 1e5 is part of how it overflows
def test_one_step_to_infinity_is_noticed():
    # The loss before the only update is finite; the weights after it are not.
    net = cr.Network([cr.Dense(1)], inputs=1)
    learner = cr.Trainer(net, loss="mse", optimizer=cr.SGD(1e30))
    before = bits(net)
    with pytest.warns(cr.DivergenceWarning):
        learner.fit([[1e5]], [1e9], epochs=1)
    assert bits(net) == before


def test_an_exception_in_a_callback_passes_on():
    class Failing(cr.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 2:
                raise ZeroDivisionError("mine")

    learner = trainer(network())
    with pytest.raises(ZeroDivisionError):
        learner.fit(*problem(), epochs=5, callbacks=[Failing()])
    assert learner.history.epochs == 2
    assert learner.history.stop_reason == "ZeroDivisionError: mine"
    assert learner.fit(*problem(), epochs=1).first_epoch == 3


def test_a_trainer_fits_once_at_a_time():
    class Nesting(cr.Callback):
        def on_epoch_end(self, epoch, logs):
            self.trainer.fit(*problem())

    with pytest.raises(RuntimeError, match="fitting already"):
        trainer(network()).fit(*problem(), callbacks=[Nesting()])


def test_a_bar_is_shown_if_asked(capsys):
    pytest.importorskip("tqdm", reason="needs tqdm")
    trainer(network()).fit(*problem(), epochs=2, verbose=True)
    assert "epoch 2/2" in capsys.readouterr().err
    trainer(network()).fit(*problem(), epochs=2)
    trainer(network()).fit(*problem(), epochs=2, verbose=0)
    assert capsys.readouterr().err == ""


def test_progress_is_told_of_steps_and_epochs(monkeypatch):
    class Told(Progress):
        shows = True

        def __init__(self):
            self.calls = []

        def step(self, steps_done, loss):
            self.calls.append((steps_done, loss))

        def epoch(self, number, record):
            self.calls.append((number, record["loss"], "epoch"))

    told, asked = Told(), []
    monkeypatch.setattr(progress, "bar", lambda *given: asked.append(given) or told)
    history = trainer(network()).fit(*problem(), epochs=2, batch_size=20)
    assert asked == [(2, 3, "auto")]
    ends = [call for call in told.calls if len(call) == 3]
    assert ends == [(1, history["loss"][0], "epoch"), (2, history["loss"][1], "epoch")]
    # Within an epoch every 50 ms and at its end.
    before_each_end = [told.calls[told.calls.index(end) - 1] for end in ends]
    assert [done for done, _ in before_each_end] == [3, 3]
    assert [loss for _, loss in before_each_end] == pytest.approx(history["loss"], rel=1e-6)


def test_seconds_are_those_of_training():
    start = time.perf_counter()
    history = trainer(network()).fit(*problem(rows=500), epochs=5)
    whole = time.perf_counter() - start
    assert all(seconds > 0 for seconds in history["seconds"])
    assert sum(history["seconds"]) < whole


def test_an_epoch_counts_when_it_is_in_the_history(monkeypatch):
    learner = trainer(network())

    def failing(fit, number, record, rate):
        raise KeyboardInterrupt

    learner.fit(*problem(), epochs=1)
    monkeypatch.setattr(fitting.Fitting, "_logs", failing)
    with pytest.raises(KeyboardInterrupt):
        learner.fit(*problem(), epochs=3, validation_split=0.2)
    assert (learner.history.epochs, learner.epochs_done) == (0, 1)
    assert learner.history.stop_reason == "interrupted"


def test_no_warning_in_a_plain_fit():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer(network(), metrics=["accuracy"]).fit(*problem(), epochs=1, validation_split=0.1)


def test_a_callback_that_was_used_can_be_copied_a_trainer_not():
    stopping = cr.EarlyStopping("loss", patience=3)
    learner = trainer(network())
    learner.fit(*problem(), epochs=1, callbacks=[stopping])
    for copied in (copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))):
        other = copied(stopping)
        assert other == stopping
        assert not hasattr(other, "trainer")
        with pytest.raises(TypeError, match=r"^a Trainer cannot be pickled or copied: .* trainer\.net"):
            copied(learner)
    assert stopping.trainer is learner
