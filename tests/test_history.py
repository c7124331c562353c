"""What a history knows of its fit beside the figures: the rows, sums and weights in them, and which weights remain."""

from __future__ import annotations

import numpy as np
import pytest
from problems import LABELS, NUMBERS, X, classifier

import chainrule as cr


def fit(loss="cross_entropy", y=LABELS, **options):
    trainer = cr.Trainer(classifier(), loss=loss)
    return trainer.fit(X, y, epochs=3, verbose=False, **options)


def test_the_rows_of_both_parts():
    assert fit().rows == (12, 0)
    assert fit(validation_data=(-X[:5], LABELS[:5])).rows == (12, 5)
    assert fit(validation_split=0.25).rows == (9, 3)
    assert cr.History(["loss"]).rows is None


@pytest.mark.parametrize("reduction", ["mean", "mean_rows", "sum"])
def test_whether_losses_are_sums(reduction):
    history = fit(cr.MeanSquaredError(reduction=reduction), NUMBERS, validation_data=(-X[:6], NUMBERS[:6]))
    assert history.summed == (reduction == "sum")
    assert cr.MeanSquaredError(reduction=reduction).is_sum == history.summed
    assert not cr.Poisson().is_sum


def test_whether_rows_have_weights():
    assert not fit(validation_split=0.25).weighted
    assert fit(sample_weight=np.ones(12)).weighted
    assert fit(class_weight={0: 2.0}).weighted
    assert fit(validation_data=(X, LABELS, np.ones(12))).weighted


@pytest.mark.parametrize("restore", [True, False])
def test_which_weights_remain(restore):
    stop = cr.EarlyStopping("loss", mode="max", patience=2, restore_best_weights=restore)
    history = fit(callbacks=[stop])
    assert history.best_epoch == 1
    assert history.restored_epoch == (1 if restore else None)
    assert fit().restored_epoch is None
