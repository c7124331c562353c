"""What a fit writes down: files that another program reads, judged by the history and by the recorded weights."""

from __future__ import annotations

import copy
import csv
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from problems import network, problem, trainer

import chainrule as cr

X, LABELS = problem()


class Weights(cr.Callback):
    """Remember the state at the end of each epoch."""

    def __init__(self) -> None:
        self.states: dict[int, dict[str, Any]] = {}

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        self.states[epoch] = self.trainer.net.state_dict()


def fit(*callbacks: cr.Callback, learner: cr.Trainer | None = None, **options: Any) -> cr.History:
    learner = learner or trainer(network())
    return learner.fit(X, LABELS, **{"epochs": 4, "validation_split": 0.2, "callbacks": callbacks, **options})


def assert_same(path: Path, state: dict[str, Any]) -> None:
    saved = cr.load(path).state_dict()
    assert all(np.array_equal(saved[name], value) for name, value in state.items())


# Checkpoints ----------------------------------------------------------------------------------------------------------


def test_a_file_an_epoch(tmp_path: Path) -> None:
    weights = Weights()
    history = fit(weights, cr.ModelCheckpoint(tmp_path / "net-{epoch:02d}-{val_loss:.4f}.safetensors"))
    expected = {f"net-{n:02d}-{value:.4f}.safetensors": n for n, value in enumerate(history["val_loss"], 1)}
    assert {path.name for path in tmp_path.iterdir()} == set(expected)
    for name, number in expected.items():
        assert_same(tmp_path / name, weights.states[number])


def test_one_file_has_the_last_epoch(tmp_path: Path) -> None:
    weights, path = Weights(), tmp_path / "net.safetensors"
    fit(weights, cr.ModelCheckpoint(str(path)))
    assert_same(path, weights.states[4])
    assert [one.name for one in tmp_path.iterdir()] == ["net.safetensors"]


def test_every_so_many_epochs_of_each_fit(tmp_path: Path) -> None:
    learner = trainer(network())
    for epochs in (5, 4):
        fit(cr.ModelCheckpoint(tmp_path / "{epoch}", save_every=2), learner=learner, epochs=epochs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "4", "7", "9"]


@pytest.mark.parametrize(("monitor", "mode", "best"), [("val_loss", "auto", np.argmin), ("loss", "max", np.argmax)])
def test_the_best_alone(tmp_path: Path, monitor: str, mode: str, best: Any) -> None:
    weights, path = Weights(), tmp_path / "best"
    checkpoint = cr.ModelCheckpoint(path, monitor=monitor, mode=mode, save_best_only=True)
    history = fit(weights, checkpoint, epochs=12, batch_size=4)
    number = int(best(history[monitor])) + 1
    assert_same(path, weights.states[number])
    # Another fit begins anew: its first epoch is the best so far.
    again = Weights()
    fit(again, checkpoint, epochs=1)
    assert_same(path, again.states[1])


# Lines ----------------------------------------------------------------------------------------------------------------


def lines(path: Path, separator: str = ",") -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file, delimiter=separator))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_line_an_epoch(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text("what was here before\n")
    history = fit(cr.CSVLogger(path, separator=separator))
    head, *rows = lines(path, separator)
    assert head == ["epoch", *history]
    assert [int(row[0]) for row in rows] == [1, 2, 3, 4]
    for column, name in enumerate(history, 1):
        assert [float(row[column]) for row in rows] == history[name]


def test_lines_are_there_while_the_fit_runs(tmp_path: Path) -> None:
    path, seen = tmp_path / "log.csv", []
    look = cr.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(len(lines(path))))
    fit(cr.CSVLogger(path), look)
    assert seen == [2, 3, 4, 5]


def test_a_fit_that_goes_on(tmp_path: Path) -> None:
    path, learner = tmp_path / "log.csv", trainer(network())
    for _ in range(2):
        fit(cr.CSVLogger(path, append=True), learner=learner, epochs=2)
    assert [row[0] for row in lines(path)] == ["epoch", "1", "2", "3", "4"]
    before = path.read_text()
    with pytest.raises(ValueError, match=r"has the columns \['epoch', 'loss', 'val_loss'.*; this fit has \['epoch'"):
        fit(cr.CSVLogger(path, append=True), learner=learner, validation_split=0.0)
    assert path.read_text() == before
    fit(cr.CSVLogger(path), learner=learner, epochs=1)
    assert [row[0] for row in lines(path)] == ["epoch", "5"]


# Functions ------------------------------------------------------------------------------------------------------------


def test_functions_are_called_at_their_hooks() -> None:
    calls: list[Any] = []
    names = ("on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end")
    hooks = {name: lambda *arguments, name=name: calls.append((name, *arguments[:-1])) for name in names}
    callback = cr.LambdaCallback(**hooks)
    history = fit(callback, epochs=2)
    epochs = [(name, number) for number in (1, 2) for name in names[1:3]]
    assert calls == [("on_train_begin",), *epochs, ("on_train_end",)]
    assert repr(callback) == f"LambdaCallback({', '.join(names)})"
    logs: list[Any] = []
    fit(cr.LambdaCallback(on_epoch_end=lambda epoch, figures: logs.append(figures)), epochs=1)
    assert list(logs[0]) == list(history)


# Bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: cr.ModelCheckpoint(3), TypeError, "path must be"),
        (lambda: cr.ModelCheckpoint("x", save_every=0), ValueError, "save_every must be"),
        (lambda: cr.ModelCheckpoint("x", save_best_only=1), TypeError, "save_best_only must be"),
        (lambda: cr.ModelCheckpoint("x", mode="best"), ValueError, "mode='best' is unknown"),
        (lambda: cr.ModelCheckpoint("x", monitor=2), TypeError, "monitor must be a name"),
        (lambda: cr.CSVLogger(None), TypeError, "path must be"),
        (lambda: cr.CSVLogger("x", separator=", "), ValueError, "separator must be one character"),
        (lambda: cr.CSVLogger("x", append="yes"), TypeError, "append must be"),
        (lambda: cr.LambdaCallback(), TypeError, "LambdaCallback needs a function for one of on_train_begin"),
        (lambda: cr.LambdaCallback(on_batch_end=print), TypeError, "on_batch_end"),
        (lambda: cr.LambdaCallback(on_epoch_end=3), TypeError, "on_epoch_end must be a function; got 3"),
    ],
)
def test_bad_options(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("callback", "error", "message"),
    [
        (cr.ModelCheckpoint("{wrong}"), ValueError, r"path='\{wrong\}' cannot be filled in .*; there are epoch, loss"),
        (cr.ModelCheckpoint("{epoch:d.}"), ValueError, "cannot be filled in"),
        (cr.ModelCheckpoint("n-{epoch.foo}"), ValueError, r"path='n-\{epoch.foo\}' cannot be filled in .*'foo'"),
        (cr.ModelCheckpoint("n-{epoch[0]}"), ValueError, r"path='n-\{epoch\[0\]\}' cannot be filled in"),
        (cr.ModelCheckpoint("no/such/folder/net"), FileNotFoundError, "the folder of path='no/such/folder/net' does"),
        (cr.ModelCheckpoint("x", monitor="val_loss", save_best_only=True), ValueError, "monitor='val_loss' is not in"),
        (cr.CSVLogger("no/such/folder/log.csv"), FileNotFoundError, "no/such/folder/log.csv"),
    ],
)
def test_what_cannot_be_written_is_told_before_the_first_epoch(
    callback: cr.Callback, error: type[Exception], message: str
) -> None:
    learner = trainer(network())
    with pytest.raises(error, match=message):
        fit(callback, learner=learner, validation_split=0.0)
    assert learner.epochs_done == 0


def test_a_network_that_cannot_be_saved_is_told_before_the_first_epoch(tmp_path: Path) -> None:
    custom = cr.CustomActivation(np.tanh, lambda z, h, dh: dh * (1 - h * h), name="mine")
    net = cr.Network([cr.Dense(5), cr.Activation(custom), cr.Dense(3)], inputs=4)
    with pytest.raises(ValueError, match="cannot be saved") as saving:
        net.save(tmp_path / "net")
    learner = trainer(net)
    with pytest.raises(ValueError, match="cannot be saved") as fitting:
        fit(cr.ModelCheckpoint(tmp_path / "net"), learner=learner)
    assert str(fitting.value) == str(saving.value)
    assert learner.epochs_done == 0
    assert not list(tmp_path.iterdir())


def test_recorders_are_copied_with_their_options() -> None:
    for one in (cr.ModelCheckpoint("x", save_every=3), cr.CSVLogger("y", append=True)):
        assert copy.deepcopy(one) == one


# TensorBoard ---------------------------------------------------------------------------------------------------------


def events(folder: Path) -> list[Any]:
    """Return the events of a folder's files, as the format has them: length, its checksum, an event, its checksum."""
    protocol = pytest.importorskip("tensorboardX.proto.event_pb2", reason="needs tensorboardX")
    found = []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            found.append(protocol.Event.FromString(content[12 : 12 + length]))
            content = content[16 + length :]
    return found


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Return the figures of a run by name and epoch."""
    found: dict[str, dict[int, float]] = {}
    for event in events(folder):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def histograms(folder: Path) -> dict[tuple[str, int], Any]:
    """Return the histograms of a run by name and epoch."""
    values = [(event.step, value) for event in events(folder) for value in event.summary.value]
    return {(value.tag, step): value.histo for step, value in values if value.HasField("histo")}


def test_tensorboard_has_the_figures_of_two_fits(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="needs tensorboardX")
    learner, board = trainer(network(), metrics=["accuracy"]), cr.TensorBoard(tmp_path / "logs")
    histories = [fit(board, learner=learner, epochs=epochs) for epochs in (3, 2)]
    found = {run: scalars(tmp_path / "logs" / run) for run in ("train", "validation")}
    assert set(found["train"]) == {name for name in histories[0] if not name.startswith("val_")}
    assert set(found["validation"]) == {"loss", "accuracy"}
    for name in histories[0]:
        run, own = ("validation", name[4:]) if name.startswith("val_") else ("train", name)
        written = [found[run][own][epoch] for epoch in range(1, 6)]
        expected = [value for history in histories for value in history[name]]
        assert written == np.float32(expected).tolist(), name
    assert histograms(tmp_path / "logs" / "train") == {}


def test_tensorboard_has_histograms_of_what_learns(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="needs tensorboardX")
    learner = trainer(network())
    learner.net.freeze(0)
    fit(cr.TensorBoard(tmp_path, histogram_freq=2), learner=learner, validation_split=0.0)
    found = histograms(tmp_path / "train")
    names = ["2.weight", "2.bias", "3.weight", "3.bias"]
    assert set(found) == {
        (f"{kind}/{name}", epoch) for kind in ("weights", "gradients") for name in names for epoch in (2, 4)
    }
    for kind, arrays in (("weights", learner.net.parameters()), ("gradients", learner.net.gradients())):
        for name in names:
            histogram, array = found[f"{kind}/{name}", 4], arrays[name].astype(float)
            assert (histogram.num, histogram.min, histogram.max) == (array.size, array.min(), array.max())
            assert sum(histogram.bucket) == array.size
            np.testing.assert_allclose(histogram.sum, array.sum(), rtol=1e-12)
    assert not (tmp_path / "validation").exists()


def test_tensorboard_outlives_an_interrupted_fit(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="needs tensorboardX")

    def interrupt(epoch: int, logs: Mapping[str, float]) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    learner, board = trainer(network()), cr.TensorBoard(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(board, cr.LambdaCallback(on_epoch_end=interrupt), learner=learner)
    fit(board, learner=learner)
    assert sorted(scalars(tmp_path / "train")["loss"]) == [1, 2, 3, 4, 5, 6]


def test_tensorboard_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r'TensorBoard needs tensorboardX: pip install "chainrule\[tensorboard\]"'):
        fit(cr.TensorBoard(tmp_path))
    for options, message in (({"log_dir": ""}, "path"), ({"log_dir": "a", "histogram_freq": -1}, "histogram_freq")):
        with pytest.raises(ValueError, match=message):
            cr.TensorBoard(**options)
