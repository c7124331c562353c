"""Filters of warnings are the whole process's: what trains in several threads leaves them as they were.

`warnings.catch_warnings` around a fit would not: whoever leaves it last puts back what another thread had set.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import chainrule as cr

X = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
Y = X @ np.ones((4, 1), np.float32)


def network(seed=0):
    return cr.Network([cr.Dense(3, activation="tanh"), cr.Dense(1)], inputs=4, seed=seed)


def trainer(rate=0.05, seed=0):
    return cr.Trainer(network(seed), loss="mse", optimizer=cr.SGD(rate))


def diverges():
    return cr.Trainer(cr.Network([cr.Dense(1)], inputs=4), loss="mse", optimizer=cr.SGD(1e9))


CALLS = {
    "search": lambda: cr.search(lambda s: trainer(), {"a": [1, 2]}, X, Y, method="grid", epochs=40, verbose=False),
    "cross_validate": lambda: cr.cross_validate(lambda s: trainer(), X, Y, folds=3, epochs=40, verbose=False),
    "compare": lambda: cr.compare(network, X, Y, loss="mse", epochs=40),
    "try_rates": lambda: cr.try_rates(trainer, X, Y, epochs=40),
    "bias_variance": lambda: cr.bias_variance(lambda seed: network(seed), X, Y, X, Y, loss="mse", repeats=2),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_threads_leave_the_filters_alone(call):
    before = list(warnings.filters)
    failures = []

    def work():
        try:
            for _ in range(5):
                call()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failures
    assert list(warnings.filters) == before
    with pytest.warns(cr.DivergenceWarning):
        diverges().fit(X, Y, epochs=3)


def test_filters_are_not_even_touched(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("catch_warnings is of the whole process")

    monkeypatch.setattr(warnings, "catch_warnings", refuse)
    for call in CALLS.values():
        call()


def test_threads_that_are_the_first_to_show_a_bar_leave_the_filters_alone():
    pytest.importorskip("tqdm", reason="needs tqdm")
    script = """
import sys, threading, warnings
import numpy as np, chainrule as cr
X = np.ones((8, 2), "f4")
assert "tqdm" not in sys.modules
before = list(warnings.filters)
def fit():
    net = cr.Network([cr.Dense(1)], inputs=2)
    cr.Trainer(net, loss="mse").fit(X, X[:, :1], epochs=1, verbose=True)
threads = [threading.Thread(target=fit) for _ in range(4)]
for one in threads: one.start()
for one in threads: one.join()
assert "tqdm.auto" in sys.modules
assert list(warnings.filters) == before, warnings.filters
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_callbacks_words_are_no_divergence():
    class Stops(cr.Callback):
        def on_epoch_end(self, epoch, logs):
            self.trainer.stop("the loss is no longer finite-looking")

    found = cr.search(
        lambda s: trainer(), {"a": [1]}, X, Y, method="grid", epochs=2, callbacks=[Stops()], verbose=False
    )
    assert [one.outcome for one in found.trials] == ["done"]


def test_a_fit_within_a_trial_that_diverges_is_its_own_affair():
    class Probes(cr.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 1:
                with pytest.warns(cr.DivergenceWarning):
                    diverges().fit(X, Y, epochs=3)

    found = cr.search(
        lambda s: trainer(), {"a": [1]}, X, Y, method="grid", epochs=2, callbacks=[Probes()], verbose=False
    )
    assert [one.outcome for one in found.trials] == ["done"]
