"""Snapshots that are refused: of other data, trainers and callbacks, and files that are spoilt.

Nothing of the trainer changes then.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from problems import bits, network
from snapshot_runs import FIT, LABELS, X, snapshots_of, spoilt, trainer_of

import chainrule as cr


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
    "the start": lambda document, tensors: document["history"].update(from_start=1),
    "states": lambda document, tensors: document["states"].pop(),
    "a state": lambda document, tensors: document["states"].__setitem__(0, None),
    "an unknown part": lambda document, tensors: document["states"][0].update(more=1),
    "passes": lambda document, tensors: document["states"][0].update(passes=2**63),
    "a rate": lambda document, tensors: document["states"][0].update(rate="x"),
    "a tensor less": lambda document, tensors: tensors.pop("now.arena"),
    "a short tensor": lambda document, tensors: tensors.update({"now.arena": tensors["now.arena"][:-1]}),
    "a dtype": lambda document, tensors: tensors.update({"now.arena": tensors["now.arena"].astype("int16")}),
    "NaN": lambda document, tensors: tensors["good.arena"].__setitem__(0, np.nan),
    "weights to go back to": lambda document, tensors: tensors["callback0.kept.weights.arena"].fill(np.inf),
    "frozen": lambda document, tensors: document.update(frozen=[99]),
    "a callback": lambda document, tensors: document["callbacks"][0].update(state=[]),
    "class weights": lambda document, tensors: document["options"].update(class_weight=7),
    "a class": lambda document, tensors: document["options"].update(class_weight=[["a", 1.0]]),
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


# What callbacks keep --------------------------------------------------------------------------------------------------

# What a state becomes before one of its fields is spoilt: that there is something in it.
FOUND = {
    "EarlyStopping": {"before": 0.5},
    "ReduceLROnPlateau": {"best": 0.5},
    "DecayRate": {"decisions": [{"epoch": 1, "reason": "stalled", "old": 0.02, "new": 0.01}]},
    "IncreaseRate": {"landing": [3, 0.1, 0.01]},
    "ModelCheckpoint": {"best": math.inf},
    "EnsembleSnapshots": {},
}
ARRAY = {"__tensor__": "now.arena"}
NO_FIGURES = ["loss", True, 1, math.nan, [], [0.5], {}, ARRAY]
NO_COUNTS = [None, "loss", True, 0.5, -1, 2**31, math.nan, [], ARRAY]
NO_RATES = [None, "loss", True, -0.01, 0.0, math.nan, math.inf, 10**400, [], ARRAY]
NO_EPOCHS = [*NO_COUNTS, 0, 3]  # two are in the history
NO_KEPT = [0, False, "loss", [], {}, ARRAY]
BAD = {
    ("EarlyStopping", "best"): [None, 0, False, "loss", "ab", [], [0.5], [0.5, 1, 1], ARRAY],
    ("EarlyStopping", "best", 0): [None, *NO_FIGURES],
    ("EarlyStopping", "best", 1): NO_EPOCHS,
    ("EarlyStopping", "before"): NO_FIGURES,
    ("EarlyStopping", "kept"): [None, *NO_KEPT],
    ("EarlyStopping", "second"): NO_KEPT,
    ("EarlyStopping", "kept", "value"): [None, *NO_FIGURES],
    ("EarlyStopping", "kept", "epoch"): NO_EPOCHS,
    ("EarlyStopping", "kept", "weights"): [None, *NO_KEPT],
    ("EarlyStopping", "kept", "weights", "arena"): [None, "loss", 0.5, []],
    ("ReduceLROnPlateau", "best"): NO_FIGURES,
    ("ReduceLROnPlateau", "waited"): NO_COUNTS,
    ("ReduceLROnPlateau", "cooling"): NO_COUNTS,
    ("DecayRate", "decisions"): [None, 0, "", "loss", {}, [1], [{}], [{"epoch": 1}], ARRAY],
    ("DecayRate", "decisions", 0, "epoch"): NO_EPOCHS,
    ("DecayRate", "decisions", 0, "reason"): [None, 1, [], ARRAY],
    ("DecayRate", "decisions", 0, "old"): NO_RATES,
    ("DecayRate", "decisions", 0, "new"): NO_RATES,
    ("DecayRate", "decisions", 0, "more"): [1],
    ("IncreaseRate", "decisions"): [None, {}],
    ("IncreaseRate", "landing"): [0, False, "", "abc", [], [3, 0.1], {"a": 1, "b": 1, "c": 1}, ARRAY],
    ("IncreaseRate", "landing", 0): [*NO_COUNTS[:5], 0, 2**32],
    ("IncreaseRate", "landing", 1): NO_RATES,
    ("IncreaseRate", "landing", 2): [*NO_RATES, 0.2],
    ("ModelCheckpoint", "best"): NO_FIGURES,
    ("EnsembleSnapshots", "epochs"): [None, 0, "12", [], [1], [1, 2, 2], [1.5, 2], {}, ARRAY],
    ("EnsembleSnapshots", "epochs", 0): NO_EPOCHS,
    ("EnsembleSnapshots", "networks"): [None, 0, [], [{}], [{}, {}], {}, ARRAY],
}


def callbacks(folder):
    return [
        cr.EarlyStopping(patience=9),
        cr.ReduceLROnPlateau(),
        cr.DecayRate(),
        cr.IncreaseRate(),
        cr.ModelCheckpoint(folder / "net", save_best_only=True),
        cr.EnsembleSnapshots(every=1),
    ]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A snapshot with all callbacks that keep figures, in which each of them has found something."""
    path = tmp_path_factory.mktemp("kept") / "run"
    with pytest.MonkeyPatch.context() as patch:
        snapshots_of(patch, trainer_of(network()), path, stop_after=2, **FIT, callbacks=callbacks(path.parent))

    def find(document, tensors):
        for one in document["callbacks"]:
            assert FOUND[one["kind"]].keys() <= one["state"].keys()
            one["state"].update(FOUND[one["kind"]])

    spoilt(path, find)
    return path.read_bytes()


def test_what_callbacks_found_is_taken(kept, tmp_path):
    (tmp_path / "run").write_bytes(kept)
    called = callbacks(tmp_path)
    trainer_of(network()).resume(tmp_path / "run", X, LABELS, callbacks=called)
    assert called[2].decisions[0] == cr.lr_policies.RateDecision(**FOUND["DecayRate"]["decisions"][0])


@pytest.mark.parametrize("field", BAD, ids=lambda field: ".".join(map(str, field)))
def test_what_callbacks_cannot_have_found_is_refused_before_a_step(kept, tmp_path, field):
    kind, *way, last = field
    learner, path = trainer_of(network()), tmp_path / "run"

    def place(document):
        state = next(one["state"] for one in document["callbacks"] if one["kind"] == kind)
        for step in way:
            state = state[step]
        return state

    missing = object()
    added = last == "more" or isinstance(last, int)  # what is missing from a list has made another list
    for value in [*BAD[field], *([] if added else [missing])]:
        path.write_bytes(kept)

        def change(document, tensors, value=value):
            if value is missing:
                del place(document)[last]
            else:
                place(document)[last] = value

        spoilt(path, change)
        refused(path, learner, "it cannot be gone on from", callbacks=callbacks(tmp_path))
