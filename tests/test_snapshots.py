"""Snapshots: a fit that goes on from one ends with the bits of a fit that was never interrupted.

The judge is always the uninterrupted fit. test_killed_thirty_times takes the process away at any moment; the others
stop after a given snapshot, by an exception.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import time

import numpy as np
import pytest
from gpu import needs_gpu
from problems import CLOCKED, bits, network
from snapshot_runs import FIT, LABELS, X, network_of, snapshots_of, spoilt, trainer_of

import chainrule as cr
from chainrule import snapshots


def figures(history):
    return {name: values for name, values in history.items() if name not in CLOCKED}


def same(a: cr.Trainer, b: cr.Trainer) -> None:
    """Check that two fits ended alike, and that the next step would be the same too."""
    assert bits(a.net) == bits(b.net)
    for one, other in zip(a.core_optimizer.state(), b.core_optimizer.state(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (a.core_optimizer.steps, a.net.core.steps) == (b.core_optimizer.steps, b.net.core.steps)
    assert (a.epochs_done, a.learning_rate) == (b.epochs_done, b.learning_rate)
    first, second = figures(a.history), figures(b.history)
    assert list(first) == list(second)
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)
    assert (a.history.best_epoch, a.history.stop_reason) == (b.history.best_epoch, b.history.stop_reason)


OPTIMIZERS = {
    "adam": lambda: cr.Adam(lr=0.01),
    "schedule": lambda: cr.Momentum(lr=cr.CosineDecay(0.1, steps=20, warmup=3)),
    "function": lambda: cr.SGD(lr=lambda epoch: 0.1 / (1 + epoch), layer_lr={0: 0.5}),
    "rprop": lambda: cr.Rprop(lr=0.01),
    "clipped": lambda: cr.AdamW(lr=0.01, weight_decay=0.01, clip_norm=0.1),
}


@pytest.mark.parametrize(
    ("device", "optimizer"), [*(("cpu", name) for name in OPTIMIZERS), pytest.param("cuda", "adam", marks=needs_gpu)]
)
def test_from_every_snapshot_to_the_same_end(monkeypatch, tmp_path, device, optimizer, dtype):
    def made():
        return trainer_of(network_of(dtype, device), optimizer=OPTIMIZERS[optimizer](), penalty=cr.L2(1e-3))

    whole = made()
    whole.fit(X, LABELS, **FIT)
    path = tmp_path / "run"
    count = snapshots_of(monkeypatch, made(), path, often={"every_steps": 2}, **FIT)
    assert count == 15  # after 2 and 4 steps of 5, and at the end of each of 5 epochs
    for stop_after in (1, 2, 3, 8, 12, 15):
        snapshots_of(monkeypatch, made(), path, stop_after=stop_after, often={"every_steps": 2}, **FIT)
        learner = made()
        assert learner.resume(path, X, LABELS) is learner.history
        same(learner, whole)


@pytest.mark.parametrize(
    "options",
    [
        {"shuffle": False, "drop_last": True},
        {"batch_size": 1000, "validation_split": 0.0},
        {"class_weight": {0: 1.0, 1: 2.5, 2: 0.5}},
        {"class_weight": "balanced"},
        {"validation_freq": 2},
        {"validation_data": (-X[:7], LABELS[:7]), "validation_split": 0.0},
        {"sample_weight": np.arange(101.0)},
    ],
    ids=lambda options: ",".join(options),
)
def test_options_go_on(monkeypatch, tmp_path, options):
    options = FIT | options
    layers = [cr.Dense(5, activation="tanh"), cr.Dense(3)]

    def made():
        return trainer_of(cr.Network(layers, inputs=4, seed=1))

    whole = made()
    whole.fit(X, LABELS, **options)
    data = {name: options[name] for name in ("validation_data", "sample_weight") if name in options}
    for stop_after in (1, 4):
        snapshots_of(monkeypatch, made(), tmp_path / "run", stop_after=stop_after, **options)
        learner = made()
        learner.resume(tmp_path / "run", X, LABELS, **data)
        same(learner, whole)


CALLBACKS = {
    "best": lambda folder: [cr.EarlyStopping(patience=3, min_delta=0.05)],
    "improved": lambda folder: [cr.EarlyStopping(patience=9, keep="improved")],
    "figure alone": lambda folder: [cr.EarlyStopping(patience=2, min_delta=9.0, restore_best_weights=False)],
    "plateau": lambda folder: [cr.ReduceLROnPlateau(patience=1, min_delta=0.05, factor=0.5, cooldown=1)],
    "decay": lambda folder: [cr.DecayRate("learning_rate", when=["stalled"], factor=0.7, window=2)],
    "jump": lambda folder: [cr.IncreaseRate(when=["slow", "minimum"], window=2, slow=9.0, jump_epochs=3)],
    "copies": lambda folder: [cr.EnsembleSnapshots(every=2, last=2)],
    "rule": lambda folder: [cr.StopWhen(cr.Lasts(4) & cr.Reaches(goal=99.0))],
    "files": lambda folder: [
        cr.CSVLogger(folder / "log.csv"),
        cr.ModelCheckpoint(folder / "{epoch}.net", save_best_only=True),
    ],
}


@pytest.mark.parametrize("kind", CALLBACKS)
def test_callbacks_go_on(monkeypatch, tmp_path, kind):
    options = FIT | {"epochs": 7}
    (tmp_path / "whole").mkdir()
    whole = trainer_of(network())
    expected = CALLBACKS[kind](tmp_path / "whole")
    whole.fit(X, LABELS, callbacks=expected, **options)
    saved = sorted(path.name for path in (tmp_path / "whole").iterdir())
    for stop_after in range(1, whole.history.epochs + 1):
        folder = tmp_path / str(stop_after)
        folder.mkdir()
        run = tmp_path / "run"
        called = CALLBACKS[kind](folder)
        snapshots_of(monkeypatch, trainer_of(network()), run, stop_after=stop_after, callbacks=called, **options)
        learner = trainer_of(network())
        given = CALLBACKS[kind](folder)
        learner.resume(run, X, LABELS, callbacks=given)
        same(learner, whole)
        assert sorted(path.name for path in folder.iterdir()) == saved
        for one, other in zip(given, expected, strict=True):
            if isinstance(one, (cr.DecayRate, cr.IncreaseRate)):
                assert one.decisions == other.decisions != ()
            if isinstance(one, cr.EnsembleSnapshots):
                assert [bits(net) for net in one.networks] == [bits(net) for net in other.networks]
                assert one.epochs == other.epochs == [4, 6]


def test_a_log_has_each_epoch_once(monkeypatch, tmp_path):
    """An epoch that was logged but is in no snapshot is done, and logged, again."""
    log = cr.CSVLogger(tmp_path / "log.csv")
    often = {"every_epochs": 2}
    options = FIT | {"callbacks": [log]}
    snapshots_of(monkeypatch, trainer_of(network()), tmp_path / "run", stop_after=1, often=often, **options)
    log._write("a", [3, *[0.0] * 8])
    learner = trainer_of(network())
    learner.resume(tmp_path / "run", X, LABELS, callbacks=[cr.CSVLogger(tmp_path / "log.csv")])
    with open(tmp_path / "log.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["epoch"]) for line in lines] == [1, 2, 3, 4, 5]
    assert [float(line["loss"]) for line in lines] == learner.history["loss"]


def test_a_callback_of_ones_own(monkeypatch, tmp_path):
    class Counting(cr.Callback):
        def __init__(self):
            self.losses = []

        def state_dict(self):
            return {"losses": np.array(self.losses), "deep": {"er": [1, None, "a", True, np.float32(0.5)]}}

        def load_state_dict(self, state):
            self.losses = list(state["losses"])
            assert state["deep"] == {"er": [1, None, "a", True, 0.5]}

        def on_epoch_end(self, epoch, logs):
            self.losses.append(logs["loss"])

    options = FIT | {"callbacks": [Counting()]}
    snapshots_of(monkeypatch, trainer_of(network()), tmp_path / "run", stop_after=3, **options)
    counting = Counting()
    learner = trainer_of(network())
    learner.resume(tmp_path / "run", X, LABELS, callbacks=[counting])
    assert counting.losses == learner.history["loss"]

    class Unkept(Counting):
        def state_dict(self):
            return {"deep": {"er": object()}}

    with pytest.raises(TypeError, match=r"a snapshot holds numbers.*callback0\.deep\.er is"):
        trainer_of(network()).fit(X, LABELS, snapshots=tmp_path / "other", callbacks=[Unkept()], **FIT)


def test_a_second_fit_goes_on_as_the_second(monkeypatch, tmp_path):
    whole = trainer_of(network())
    interrupted = trainer_of(network())
    for learner in (whole, interrupted):
        learner.fit(X, LABELS, epochs=2)
    whole.fit(X, LABELS, **FIT)
    snapshots_of(monkeypatch, interrupted, tmp_path / "run", stop_after=2, **FIT)
    learner = trainer_of(network())
    assert learner.resume(tmp_path / "run", X, LABELS).first_epoch == 3
    same(learner, whole)


def test_a_fit_that_had_ended_ends_again(tmp_path):
    stopping = [cr.EarlyStopping(patience=1, min_delta=9.0)]
    whole = trainer_of(network())
    whole.fit(X, LABELS, snapshots=tmp_path / "run", callbacks=stopping, **FIT)
    assert whole.history.epochs == 2
    for _ in range(2):
        learner = trainer_of(network())
        learner.resume(tmp_path / "run", X, LABELS, callbacks=stopping)
        same(learner, whole)


def test_a_run_that_diverges_does_so_again(monkeypatch, tmp_path):
    def made():
        return trainer_of(network(), optimizer=cr.SGD(lr=lambda epoch: 0.1 if epoch < 3 else 1e38))

    whole = made()
    with pytest.warns(cr.DivergenceWarning):
        whole.fit(X, LABELS, **FIT)
    assert 1 <= whole.history.epochs <= 4
    for stop_after in (1, 2, 3):
        snapshots_of(monkeypatch, made(), tmp_path / "run", stop_after=stop_after, **FIT)
        learner = made()
        with pytest.warns(cr.DivergenceWarning):
            learner.resume(tmp_path / "run", X, LABELS)
        same(learner, whole)


def test_layers_that_a_callback_has_unfrozen_stay_so(monkeypatch, tmp_path):
    class Thawing(cr.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 2:
                self.trainer.net.unfreeze()
                self.trainer.net.freeze(2)

    def made():
        net = network()
        net.freeze(0)
        return trainer_of(net)

    whole = made()
    whole.fit(X, LABELS, callbacks=[Thawing()], **FIT)
    for stop_after in (1, 2, 4):
        options = FIT | {"callbacks": [Thawing()]}
        snapshots_of(monkeypatch, made(), tmp_path / "run", stop_after=stop_after, **options)
        learner = made()
        learner.resume(tmp_path / "run", X, LABELS, callbacks=[Thawing()])
        same(learner, whole)
        assert learner.net.frozen == whole.net.frozen == (2,)


def test_a_snapshot_of_parameters_that_are_not_finite_takes_no_place(tmp_path):
    net = cr.Network([cr.Dense(1)], inputs=4)
    learner = cr.Trainer(net, loss="mse", optimizer=cr.SGD(lr=3e38))
    often = cr.Snapshots(tmp_path / "run", every_steps=1)
    with pytest.warns(cr.DivergenceWarning):
        learner.fit(X, 1000 * X[:, :1], epochs=2, batch_size=50, snapshots=often)
    assert not (tmp_path / "run").exists()  # it diverged at its first step


@pytest.mark.filterwarnings("ignore:X is not normalised:chainrule.DataWarning")
def test_an_optimizer_whose_moments_overflowed_goes_on(monkeypatch, tmp_path):
    def made():
        net = cr.Network([cr.Dense(1)], inputs=4)
        return cr.Trainer(net, loss="mse", optimizer=cr.Adam(lr=1e-3))

    # Errors of 1e18 have squares in float32; gradients of 1e21 do not.
    rows, y = 1e4 * X, X[:, 0] + 1e18 * (np.arange(101) < 3)
    whole = made()
    whole.fit(rows, y, **FIT)
    assert not all(np.isfinite(state).all() for state in whole.core_optimizer.state())
    snapshots_of(monkeypatch, made(), tmp_path / "run", rows=(rows, y), stop_after=3, **FIT)
    learner = made()
    learner.resume(tmp_path / "run", rows, y)
    same(learner, whole)


def test_the_seconds_of_an_epoch_are_those_of_both_runs(monkeypatch, tmp_path):
    begin = []

    def slow(*arguments):
        begin.append(time.perf_counter())
        time.sleep(0.02)

    monkeypatch.setattr(snapshots, "write", slow)  # what a snapshot takes is no training
    learner = trainer_of(network())
    learner.fit(X, LABELS, epochs=1, batch_size=16, snapshots=cr.Snapshots(tmp_path / "run", every_steps=1))
    assert learner.history["seconds"][0] < begin[-1] - begin[0]
    monkeypatch.undo()
    path = tmp_path / "run"
    snapshots_of(monkeypatch, trainer_of(network()), path, stop_after=3, often={"every_steps": 1}, **FIT)
    spoilt(path, lambda document, tensors: document.update(seconds=document["seconds"] + 1000.0))
    learner = trainer_of(network())
    learner.resume(path, X, LABELS)
    assert learner.history["seconds"][0] > 1000


def test_nan_and_names_that_a_callback_keeps(monkeypatch, tmp_path):
    class Keeping(cr.Callback):
        kept: dict = {}  # noqa: RUF012 - nobody changes it

        def state_dict(self):
            return {"a": {"b": np.array([1.0, np.nan])}, "a.b": np.arange(3), "tensor": 3.0}

        def load_state_dict(self, state):
            self.kept = dict(state)

    options = FIT | {"callbacks": [Keeping()]}
    snapshots_of(monkeypatch, trainer_of(network()), tmp_path / "run", stop_after=1, **options)
    keeping = Keeping()
    trainer_of(network()).resume(tmp_path / "run", X, LABELS, callbacks=[keeping])
    np.testing.assert_array_equal(keeping.kept["a"]["b"], [1.0, np.nan])
    np.testing.assert_array_equal(keeping.kept["a.b"], [0, 1, 2])
    assert keeping.kept["tensor"] == 3.0


def test_a_log_keeps_what_an_earlier_run_wrote(monkeypatch, tmp_path):
    log = tmp_path / "log.csv"
    trainer_of(network()).fit(X, LABELS, callbacks=[cr.CSVLogger(log)], **FIT)
    options = FIT | {"callbacks": [cr.CSVLogger(log, append=True)]}
    snapshots_of(monkeypatch, trainer_of(network()), tmp_path / "run", stop_after=2, **options)
    with open(log, "a") as file:
        file.write("3,0.5,0.")  # the power failed
    trainer_of(network()).resume(tmp_path / "run", X, LABELS, callbacks=[cr.CSVLogger(log, append=True)])
    with open(log, newline="") as file:
        assert [int(line["epoch"]) for line in csv.DictReader(file)] == [1, 2, 3, 4, 5] * 2


# Killed ---------------------------------------------------------------------------------------------------------------

KILLS = 30
SCRIPT = """
import os, sys
import numpy as np
import chainrule as cr
rng = np.random.default_rng(0)
X, y = rng.normal(size=(400, 20)), rng.integers(0, 3, size=400)
net = cr.Network([cr.Dense(30, activation="relu"), cr.Dropout(rate=0.2), cr.Dense(3)], inputs=20, seed=4)
trainer = cr.Trainer(net, loss="cross_entropy", optimizer="adam")
callbacks = [cr.EarlyStopping(patience=99)]
print("ready", flush=True)
path = sys.stdin.readline().strip()
if os.path.exists(path):
    trainer.resume(path, X, y, callbacks=callbacks, verbose=False)
else:
    often = cr.Snapshots(path, every_steps=4) if path else None
    trainer.fit(X, y, epochs=40, validation_split=0.2, callbacks=callbacks, snapshots=often, verbose=False)
print(net.core.arena().tobytes().hex(), trainer.history["loss"], trainer.history.best_epoch, flush=True)
"""


class Runs:
    """Processes that wait for their path; the next ones start while one runs."""

    def __init__(self):
        self.waiting = [self.begun() for _ in range(3)]

    def begun(self):
        command = [sys.executable, "-c", SCRIPT]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def go(self, path):
        self.waiting.append(self.begun())
        process = self.waiting.pop(0)
        assert process.stdout.readline() == "ready\n"
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        return process

    def close(self):
        for process in self.waiting:
            process.kill()
            process.communicate()


@pytest.fixture
def runs():
    made = Runs()
    yield made
    made.close()


def test_killed_thirty_times(runs, tmp_path):
    whole, _ = runs.go("").communicate(timeout=60)
    rng = np.random.default_rng(30)
    run, kills = 0, 0
    while kills < KILLS:
        process = runs.go(tmp_path / f"{run}.snapshot")
        time.sleep(rng.uniform(0, 0.04))
        process.kill()  # SIGKILL
        said, _ = process.communicate(timeout=60)
        kills += process.returncode != 0
        if process.returncode == 0:  # too late: this run is over, the next one is killed
            assert said == whole
            run += 1
    said, _ = runs.go(tmp_path / f"{run}.snapshot").communicate(timeout=60)
    assert said == whole


ARRAYS = {
    "turned round": np.arange(6)[::-1],
    "every second": np.arange(6)[::2],
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "Fortran's order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "a column": np.arange(6.0).reshape(2, 3)[:, 1],
    "repeated": np.broadcast_to(np.float32(7), (2, 3)),
    "bytes the other way": np.arange(6, dtype=">i4"),
    "a number": np.array(3.5),
    "none": np.zeros((0, 3)),
    "bools": np.array([True, False]),
}


class Keeping(cr.Callback):
    """Has an array as its state."""

    def __init__(self, array):
        self.array = array

    def state_dict(self):
        return {"array": self.array}

    def load_state_dict(self, state):
        self.array = state["array"]


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS.keys())
def test_arrays_of_callbacks_come_back_however_they_lie(array, tmp_path):
    trainer_of(network()).fit(X, LABELS, epochs=1, snapshots=tmp_path / "run", callbacks=[Keeping(array)])
    found = Keeping(None)
    trainer_of(network()).resume(tmp_path / "run", X, LABELS, callbacks=[found])
    assert found.array.shape == array.shape
    assert found.array.dtype.kind == array.dtype.kind
    assert (found.array == array).all()


def test_arrays_of_objects_are_refused(tmp_path):
    with pytest.raises(TypeError, match="a snapshot holds numbers, strings, lists, dicts and arrays of numbers"):
        trainer_of(network()).fit(
            X, LABELS, epochs=1, snapshots=tmp_path / "run", callbacks=[Keeping(np.array([object()]))]
        )
