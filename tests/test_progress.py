"""The progress bar: when it is shown, what it says, and that it is silent elsewhere."""

from __future__ import annotations

import contextlib
import io
import re
import sys

import pytest

from chainrule.progress import Progress, bar, figures


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(verbose: bool | int | str) -> Progress:
    """Report three steps of the first of two epochs, then its end."""
    with bar(2, 4, verbose) as progress:
        progress.step(3, 0.75)
        progress.epoch(1, {"loss": 0.5, "accuracy": 0.875, "val_loss": 0.25, "learning_rate": 0.1, "seconds": 1.0})
    return progress


@pytest.mark.parametrize("verbose", [False, 0, "auto"])
def test_silent(verbose: bool | int | str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    run(verbose)
    assert stream.getvalue() == ""


def test_silent_without_a_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    run("auto")


@pytest.mark.parametrize("verbose", [True, 1, "auto"])
def test_shown_on_a_terminal(verbose: bool | int | str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm", reason="without tqdm there is no bar")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    run(verbose)
    last = stream.getvalue().rstrip().splitlines()[-1].split("\r")[-1]
    assert re.fullmatch(r"epoch 1/2 \|.*\| <.*, loss=0\.5, val_loss=0\.25, accuracy=0\.875", last.rstrip())


def test_a_bar_begins_where_a_snapshot_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm", reason="without tqdm there is no bar")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with bar(4, 10, True) as progress:
        progress.skip(3)
        progress.step(5, 0.5)
        assert progress._bar.n == 35  # type: ignore[attr-defined]
        assert progress._bar.initial == 30  # type: ignore[attr-defined]
        progress.epoch(4, {"loss": 0.5})
    last = stream.getvalue().rstrip().splitlines()[-1].split("\r")[-1]
    assert re.match(r"epoch 4/4 \|[#█]+\| <00:00", last)


def test_the_bar_fills_by_the_epochs_of_this_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm", reason="without tqdm there is no bar")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with bar(2, 4, True) as progress:  # a second fit: its epochs are 11 and 12
        for number in (11, 12):
            progress.step(4, 0.5)
            progress.epoch(number, {"loss": 0.5})
    last = stream.getvalue().rstrip().splitlines()[-1].split("\r")[-1]
    assert re.match(r"epoch 2/2 \|[#█]+\| <00:00", last)


def test_a_fit_that_was_ended_early_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm", reason="without tqdm there is no bar")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with bar(30, 4, True) as progress:
        progress.step(4, 0.5)
        progress.epoch(1, {"loss": 0.5})
    last = stream.getvalue().rstrip().splitlines()[-1].split("\r")[-1]
    assert re.fullmatch(r"epoch 1/30 \|[#█]+\| <00:00, loss=0\.5", last.rstrip())


def test_closed_by_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm", reason="without tqdm there is no bar")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with contextlib.suppress(KeyboardInterrupt), bar(2, 4, True) as progress:
        progress.step(1, 0.5)
        raise KeyboardInterrupt
    assert stream.getvalue().endswith("\n")


def test_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    run("auto")
    with pytest.raises(ImportError, match=r'pip install "chainrule\[plot\]"'):
        run(True)


class Hopeless:
    def __repr__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize("verbose", ["yes", 2, -1, 0.0, None, Hopeless()])
def test_other_words(verbose: object) -> None:
    with pytest.raises(ValueError, match='verbose must be "auto", True or False; got '):
        bar(1, 1, verbose)  # type: ignore[arg-type]


def test_figures_put_losses_first() -> None:
    record = {"loss": 1.0, "accuracy": 0.5, "penalty": 2.0, "seconds": 0.1}
    assert figures(record) == "loss=1, accuracy=0.5"
    validated = {**record, "val_loss": 0.25, "val_accuracy": float("nan")}
    assert figures(validated) == "loss=1, val_loss=0.25, val_accuracy=nan"
