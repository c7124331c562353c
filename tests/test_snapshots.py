"""Snapshots: a fit that goes on from one ends with the bits of a fit that was never interrupted.

The judge is always the uninterrupted fit. test_killed_thirty_times takes the process away at any moment; the others
stop after a given snapshot, by an exception.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from gpu import needs_gpu
from problems import CLOCKED, bits, network, problem

import chainrule as cr
from chainrule import snapshots

safetensors = pytest.importorskip("safetensors", reason="snapshots need safetensors")

X, LABELS = problem(rows=101)
FIT = {"epochs": 5, "batch_size": 16, "validation_split": 0.2}  # 80 rows, 5 steps


class StoppedError(Exception):
    """Ends a fit after a snapshot."""


def network_of(dtype="float32", device="cpu"):
    layers = [
        cr.Dense(12, activation="relu"),
        cr.BatchNorm(),
        cr.Dropout(rate=0.3),
        cr.DropConnect(6, rate=0.2),
        cr.GaussianNoise(std=0.1),
        cr.Dense(3),
    ]
    return cr.Network(layers, inputs=4, seed=2, dtype=dtype, device=device)


def trainer_of(net, **options):
    options = {"loss": "cross_entropy", "optimizer": cr.Adam(lr=0.01), "metrics": ["accuracy"], **options}
    return cr.Trainer(net, **options)


def snapshots_of(monkeypatch, learner, path, *, stop_after=None, **options):
    """Fit until the given snapshot is written, the last one if None; return how many were."""
    write, count = snapshots.write, 0

    def stopping(*arguments):
        nonlocal count
        write(*arguments)
        count += 1
        if count == stop_after:
            raise StoppedError

    monkeypatch.setattr(snapshots, "write", stopping)
    try:
        learner.fit(X, LABELS, snapshots=cr.Snapshots(path, **options.pop("often", {})), **options)
    except StoppedError:
        pass
    finally:
        monkeypatch.undo()
    return count


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
path, callbacks = sys.argv[1], [cr.EarlyStopping(patience=99)]
print("ready", flush=True)
if os.path.exists(path):
    trainer.resume(path, X, y, callbacks=callbacks, verbose=False)
else:
    often = cr.Snapshots(path, every_steps=4) if path else None
    trainer.fit(X, y, epochs=40, validation_split=0.2, callbacks=callbacks, snapshots=often, verbose=False)
print(net.core.arena().tobytes().hex(), trainer.history["loss"], trainer.history.best_epoch, flush=True)
"""


def started(path: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_killed_thirty_times(tmp_path):
    whole, _ = started("").communicate(timeout=60)
    rng = np.random.default_rng(30)
    run, kills = 0, 0
    while kills < KILLS:
        process = started(str(tmp_path / f"{run}.snapshot"))
        time.sleep(rng.uniform(0, 0.04))
        process.kill()  # SIGKILL
        said, _ = process.communicate(timeout=60)
        kills += process.returncode != 0
        if process.returncode == 0:  # too late: this run is over, the next one is killed
            assert said == whole
            run += 1
    said, _ = started(str(tmp_path / f"{run}.snapshot")).communicate(timeout=60)
    assert said == whole


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.fixture
def snapshot(monkeypatch, tmp_path) -> Path:
    path = tmp_path / "run"
    options = FIT | {"callbacks": [cr.EarlyStopping(patience=9)]}
    snapshots_of(monkeypatch, trainer_of(network()), path, stop_after=2, **options)
    return path


def refused(path, learner, message, *, X=X, y=LABELS, error=ValueError, **options):
    options = {"callbacks": [cr.EarlyStopping(patience=9)], **options}
    before = bits(learner.net), learner.epochs_done, learner.learning_rate
    with pytest.raises(error, match=message):
        learner.resume(path, X, y, **options)
    assert (bits(learner.net), learner.epochs_done, learner.learning_rate) == before


def test_another_trainer_is_refused(snapshot):
    refused(snapshot, trainer_of(network("float64")), "another network")
    refused(snapshot, trainer_of(network(), optimizer=cr.Adam(lr=0.02)), "another optimizer")
    refused(snapshot, trainer_of(network(), loss=cr.CrossEntropy(label_smoothing=0.1)), "another loss")
    refused(snapshot, trainer_of(network(), penalty=cr.L2(0.1)), "another penalty")
    refused(snapshot, trainer_of(network(), metrics=[]), "another metrics")
    refused(snapshot, trainer_of(network(), seed=99), "another seed")


def test_other_data_are_refused(snapshot):
    other = X.copy()
    other[3, 2] = np.nextafter(np.float32(other[3, 2]), np.float32(9))
    for data in ({"X": other}, {"X": X[:-1], "y": LABELS[:-1]}, {"y": (LABELS + 1) % 3}):
        refused(snapshot, trainer_of(network()), "other data", **data)
    refused(snapshot, trainer_of(network()), "other data", sample_weight=np.full(101, 2.0))


def test_other_callbacks_are_refused(snapshot):
    for callbacks in ([], [cr.ReduceLROnPlateau()], [cr.EarlyStopping(patience=9), cr.ReduceLROnPlateau()]):
        refused(snapshot, trainer_of(network()), "had the callbacks EarlyStopping", callbacks=callbacks)


def test_no_file_no_folder_and_no_path(tmp_path):
    refused(tmp_path / "none", trainer_of(network()), "does not exist", error=FileNotFoundError)
    with pytest.raises(FileNotFoundError, match="folder of snapshots="):
        trainer_of(network()).fit(X, LABELS, snapshots=tmp_path / "none" / "run")
    with pytest.raises(TypeError, match="snapshots must be a path"):
        trainer_of(network()).fit(X, LABELS, snapshots=3)
    for options in ({"every_epochs": 0}, {"every_steps": 0}, {"every_steps": 1.5}):
        with pytest.raises((TypeError, ValueError), match="every_"):
            cr.Snapshots("run", **options)


def test_a_network_is_no_snapshot(snapshot, tmp_path):
    network().save(tmp_path / "net")
    refused(tmp_path / "net", trainer_of(network()), "does not hold a snapshot")
    with pytest.raises(ValueError, match="does not hold a network"):
        cr.load(snapshot)


def test_a_file_cut_anywhere_is_refused(snapshot):
    whole = snapshot.read_bytes()
    for length in sorted({0, 1, 7, 8, 9, len(whole) // 3, len(whole) // 2, len(whole) - 1}):
        snapshot.write_bytes(whole[:length])
        refused(snapshot, trainer_of(network()), "is not a whole safetensors file")


def spoilt(path, change):
    """Change the document of a snapshot, or its tensors."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(path, framework="numpy") as file:
        document = json.loads(file.metadata()[snapshots.KEY])
        tensors = {name: file.get_tensor(name).copy() for name in file.keys()}  # noqa: SIM118 - a file is no mapping
    change(document, tensors)
    save_file(tensors, path, metadata={snapshots.KEY: json.dumps(document)})


CHANGES = {
    "format": lambda document, tensors: document.update(format=2),
    "a field less": lambda document, tensors: document.pop("states"),
    "a type": lambda document, tensors: document.update(options=[]),
    "a bool": lambda document, tensors: document.update(epochs_done=True),
    "an option": lambda document, tensors: document["options"].update(batch_size=-1),
    "an unknown option": lambda document, tensors: document["options"].update(more=1),
    "how often": lambda document, tensors: document["snapshots"].update(every_epochs="x"),
    "epochs": lambda document, tensors: document.update(epochs_done=3),
    "steps": lambda document, tensors: document.update(steps=10**6, totals=[0.0, 0.0]),
    "totals": lambda document, tensors: document.update(steps=1, totals=[0.0]),
    "no number": lambda document, tensors: document.update(steps=1, totals=["x", None]),
    "history": lambda document, tensors: document["history"]["columns"].pop("loss"),
    "a figure": lambda document, tensors: document["history"]["columns"]["loss"].pop(),
    "a text": lambda document, tensors: document["history"]["columns"].update(loss=["x", "y"]),
    "an epoch": lambda document, tensors: document["history"].update(not_validated=[7]),
    "best": lambda document, tensors: document["history"].update(best_epoch="x"),
    "states": lambda document, tensors: document["states"].pop(),
    "a state": lambda document, tensors: document["states"].__setitem__(0, None),
    "an unknown part": lambda document, tensors: document["states"][0].update(more=1),
    "passes": lambda document, tensors: document["states"][0].update(passes=2**63),
    "a rate": lambda document, tensors: document["states"][0].update(rate="x"),
    "a tensor less": lambda document, tensors: tensors.pop("now.arena"),
    "a short tensor": lambda document, tensors: tensors.update({"now.arena": tensors["now.arena"][:-1]}),
    "a dtype": lambda document, tensors: tensors.update({"now.arena": tensors["now.arena"].astype("int16")}),
    "NaN": lambda document, tensors: tensors["now.states.0"].__setitem__(0, np.nan),
    "a callback": lambda document, tensors: document["callbacks"][0].update(state=[]),
    "its weights": lambda document, tensors: tensors.update({"callback0.kept.weights.arena": np.zeros(3, "float32")}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_spoilt_file_is_refused(snapshot, change):
    spoilt(snapshot, CHANGES[change])
    refused(snapshot, trainer_of(network()), "snapshot")


def test_a_document_as_deep_as_a_well_is_refused(snapshot):
    deep: list = []
    for _ in range(900):
        deep = [deep]
    spoilt(snapshot, lambda document, tensors: document["callbacks"][0].update(state={"deep": deep}))
    refused(snapshot, trainer_of(network()), "nested too deeply")
