"""The page on choosing hyper-parameters: each block runs, in order, and does what the words around it say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from problems import problem

import chainrule as cr

PAGE = (Path(__file__).parents[1] / "docs" / "choosing.md").read_text(encoding="utf-8")
EPOCHS_BY_HAND = 4


def test_the_blocks_of_the_page(monkeypatch):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    X, y = problem(rows=120)
    asked, answers = [], iter(["", "0.02", "", "stop"])
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or next(answers))
    names = {"X": X[:90], "y": y[:90], "X_test": X[90:], "y_test": y[90:]}
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) >= 8
    for block in blocks:
        exec(block, names)

    # The recipe: the rate is one of the five, the network one of the four, the adapted one has the old one's layers.
    assert names["rate"] in cr.search_space("recipe")["learning_rate"]
    assert names["grown"].size in (4, 8, 16, 32)
    assert names["adapted"].layers[:2] == names["known"].layers[:2]
    assert (names["adapted"].inputs, names["adapted"].outputs) == (4, 3)
    # By hand: one answer an epoch, of which one sets the rate and one ends the fit.
    history = names["history"]
    assert len(asked) == history.epochs == EPOCHS_BY_HAND
    assert history.stop_reason == "stopped by hand"
    np.testing.assert_allclose(history["learning_rate"], [names["rate"] / 3] * 2 + [0.02] * 2, rtol=1e-6)
    # By search and by folds: what is found is better than guessing the most frequent class.
    guess = np.bincount(names["y"]).max() / 90
    assert names["drawn"].best.score > guess
    assert names["guessed"].best.score > guess
    assert names["study"].best_value == names["guessed"].best.score
    assert names["chosen"].trainer.evaluate(X[90:], y[90:])["accuracy"] > guess
    assert np.mean(names["labels"] == y[90:]) > guess


def test_the_table_of_the_recipe_is_what_lecture_000_lists():
    X, y = problem(rows=30)
    trainer = cr.trainer_for({"drop_every": 5}, X, y)
    assert trainer.optimizer == cr.SGD(cr.StepDecay(0.1, drop=0.1, every=5))
    assert trainer.penalty == (cr.L2(1e-5),)
    for words in ("0.1 for the learning rate", "every 1-10 epochs", "0.00001", "existing network", "start smallish"):
        assert words in PAGE
