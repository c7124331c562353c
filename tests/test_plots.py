"""Learning curves: what is drawn is what the history says, and nothing global changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chainrule.history import History
from chainrule.plots import learning_curves

matplotlib_figure = pytest.importorskip("matplotlib.figure", reason="learning curves need matplotlib")


def history_of(epochs: int, *names: str, first_epoch: int = 1) -> History:
    history = History([*names, "learning_rate", "seconds"], first_epoch)
    for epoch in range(epochs):
        record = {name: (epoch - 2) ** 2 + number / 8 for number, name in enumerate(names)}
        history.add({**record, "learning_rate": 0.1, "seconds": 1.0})
    return history


def test_a_panel_for_the_loss_and_one_for_each_metric(tmp_path: Path) -> None:
    history = history_of(6, "loss", "accuracy", "penalty", "val_loss", "val_accuracy", first_epoch=11)
    figure = learning_curves(history)
    loss, accuracy = figure.axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")
    training, validation, best_line, best = loss.get_lines()
    assert training.get_xdata().tolist() == list(range(11, 17))
    assert training.get_ydata().tolist() == history["loss"]
    assert validation.get_ydata().tolist() == history["val_loss"]
    # (epoch - 2)^2 is least in the third epoch, the thirteenth of all.
    assert list(best_line.get_xdata()) == [13, 13]
    assert (list(best.get_xdata()), list(best.get_ydata())) == ([13], [history["val_loss"][2]])
    figure.savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("epochs", [1, 2])
def test_without_validation(epochs: int) -> None:
    (loss,) = learning_curves(history_of(epochs, "loss")).axes
    assert [len(np.atleast_1d(line.get_ydata())) for line in loss.get_lines()] == [epochs, 2, 1]


def test_on_given_axes() -> None:
    figure = matplotlib_figure.Figure()
    ax = figure.add_subplot()
    assert learning_curves(history_of(3, "loss", "accuracy"), ax=ax) is figure
    assert figure.axes == [ax]
    assert ax.get_ylabel() == "loss"


def test_losses_that_are_not_numbers() -> None:
    history = History(["loss"])
    history.add({"loss": float("nan")})
    (loss,) = learning_curves(history).axes
    assert len(loss.get_lines()) == 1  # there is no best epoch to mark


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="no finished epoch"):
        learning_curves(History(["loss"]))


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "chainrule\[plot\]"'):
        learning_curves(history_of(1, "loss"))


def test_pyplot_is_never_imported() -> None:
    code = (
        "import sys; from chainrule.history import History; from chainrule.plots import learning_curves;"
        "history = History(['loss']); history.add({'loss': 1.0}); learning_curves(history);"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
