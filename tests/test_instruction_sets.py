"""Training on every instruction set of this machine, and the variable CHAINRULE_ISA that chooses one.

Operations on their own are tested on all sets in test_kernels*.py; here whole networks train on each of them. Different
sets round differently, so that they agree with NumPy and not with each other to the last bit.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from problems import bits, network, problem, trainer

import chainrule as cr
from chainrule import _engine, reference


@pytest.fixture
def chosen(isa: str) -> Iterator[str]:
    """Let networks made from now on run on `isa`."""
    before = _engine.isa()
    _engine.set_isa(isa)
    assert _engine.isa() == isa
    yield isa
    _engine.set_isa(before)


@pytest.mark.usefixtures("chosen")
def test_gradients() -> None:
    X, y = problem(rows=6)
    layers = [cr.Dense(17, activation="tanh"), cr.Dropout(rate=0.2), cr.Dense(9, activation="sigmoid"), cr.Dense(3)]
    net = cr.Network(layers, inputs=4, seed=1)
    # Smooth everywhere: see test_gradients.py for the bound.
    check = cr.check_gradients(net, X, y, loss="cross_entropy", penalty=cr.L2(0.1))
    assert check.passed(1e-6), check


def trained_bits(dtype: str, threads: int, epochs: int = 3) -> dict[str, bytes]:
    X, y = problem(rows=150)
    cr.set_num_threads(threads)
    net = network(dtype)
    assert net.core.threads(32) == threads
    trainer(net, penalty=cr.L2(1e-3)).fit(X, y, epochs=epochs, verbose=False)
    return bits(net)


@pytest.mark.usefixtures("chosen", "restored_threads")
def test_any_number_of_threads_gives_the_same_bits(dtype: str) -> None:
    _engine.set_work_per_thread(1)
    assert trained_bits(dtype, 1) == trained_bits(dtype, 2) == trained_bits(dtype, 4)


@pytest.mark.usefixtures("restored_threads")
def test_a_fit_that_changes_its_number_of_threads_gives_the_same_bits() -> None:
    # Small steps go on with one thread or with all, whichever is faster; each way is looked at every twenty slices, and
    # an epoch is a slice at least (csrc/train/pace.h).
    _engine.set_work_per_thread(1)
    assert trained_bits("float32", 2, epochs=50) == trained_bits("float32", 1, epochs=50)


@pytest.mark.usefixtures("chosen")
def test_it_learns(dtype: str) -> None:
    # Centres lie 2 sqrt(2) apart, with noise of 1 in each direction: a nearest-centre rule gets about 85 % right, since
    # the chance to be nearer to one given other centre is the normal distribution's at -sqrt(2), 8 %.
    X, y = problem(rows=400)
    net = network(dtype)
    history = trainer(net).fit(X, y, epochs=30, verbose=False)
    assert history["loss"][-1] < history["loss"][0] / 2
    assert np.mean(net.predict(X).argmax(axis=1) == y) > 0.8


@pytest.mark.usefixtures("chosen")
def test_twelve_steps_agree_with_numpy(dtype: str) -> None:
    rate, size = 0.02, 8
    X, y = problem(rows=12 * size, columns=5)
    layers = [cr.Dense(17, activation="relu"), cr.Dense(9, activation="relu"), cr.Dense(3)]
    net = cr.Network(layers, inputs=5, seed=3, dtype=dtype)
    start = [p.astype(np.float64) for p in net.parameters().values()]
    mlp = reference.Mlp(start[0::2], start[1::2], rate=rate)
    x = X.astype(dtype).astype(np.float64)
    losses = [mlp.step(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]
    history = trainer(net, optimizer=cr.SGD(rate)).fit(X, y, epochs=1, batch_size=size, shuffle=False, verbose=False)

    # A gradient is made of sums of at most 5 + 17 + 9 products forwards and 3 + 9 backwards, 8 rows: below 100
    # roundings of numbers below 9, so wrong by 450 eps. Twelve steps move the weights by rate times that, which a
    # curvature below 10 makes grow by 1.2^12 < 9; and each step rounds weights below 4 once: 12 eps, times 9 too.
    eps = float(np.finfo(dtype).eps)
    bound = 9 * (12 * rate * 450 + 12) * eps
    after = np.concatenate([p.ravel() for p in net.parameters().values()])
    moved = np.concatenate([p.ravel() for p in start])
    assert np.abs(mlp.arena - moved).max() > 500 * bound  # the steps are far longer than what is allowed
    assert np.abs(after - mlp.arena).max() <= bound
    assert abs(history["loss"][0] - np.mean(losses)) <= bound * 10  # the loss's slope: below 10


# CHAINRULE_ISA --------------------------------------------------------------------------------------------------------


def run(wish: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, with CHAINRULE_ISA set to `wish`."""
    return subprocess.run(
        [sys.executable, *command],
        env=os.environ | {"CHAINRULE_ISA": wish},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


TRAINED = """
import chainrule as cr
from chainrule import _engine
net = cr.Network([cr.Dense(2)], inputs=2, seed=0)
cr.Trainer(net, loss="mse").fit([[0, 1], [1, 0]], [[1, 0], [0, 1]], epochs=1, verbose=False)
print(_engine.isa())
"""


def test_the_variable_chooses(isa: str) -> None:
    done = run(isa, "-c", TRAINED)
    assert (done.stdout, done.stderr) == (f"{isa}\n", "")
    assert re.search(rf"^instruction set +{isa}\b", run(isa, "-m", "chainrule", "info").stdout, re.MULTILINE)


def test_the_empty_variable_means_the_best_set() -> None:
    assert run("", "-c", TRAINED).stdout == f"{_engine.isas()[0]}\n"


def built() -> list[str]:
    """Return the sets that are compiled in, whether this machine runs them or not."""
    with pytest.raises(ValueError, match="this build has: ") as caught:
        _engine.set_isa("no such set")
    return str(caught.value).split("this build has: ")[1].split(", ")


def test_an_unknown_set_is_a_clear_error() -> None:
    before = _engine.isa()
    assert set(_engine.isas()) <= set(built())
    assert _engine.isa() == before
    done = run("avx1024", "-m", "chainrule", "info")
    assert (done.returncode, done.stdout) == (2, "")
    expected = f'chainrule: unknown instruction set "avx1024"; this build has: {", ".join(built())}\n'
    assert done.stderr == expected


def test_a_set_that_the_machine_does_not_run_is_a_clear_error() -> None:
    missing = sorted(set(built()) - set(_engine.isas()))
    if not missing:
        pytest.skip("this machine runs every instruction set of this build")
    done = run(missing[0], "-c", TRAINED)
    assert done.returncode == 1
    assert f'ValueError: this processor does not run the instruction set "{missing[0]}"' in done.stderr
