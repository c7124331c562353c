"""Nothing that Python does to the engine ends the process: memory that runs out, threads, forks, lying sequences.

Each script runs in a process of its own, since a failure here is a crash or a hang.
"""

from __future__ import annotations

import pytest
from problems import run_script

PRELUDE = """
import os, signal, sys, threading, time
import numpy as np
import chainrule as cr
from chainrule import _engine
from chainrule._engine import float32 as engine

def refused(kinds, action):
    try:
        action()
    except kinds as error:
        return str(error)
    raise AssertionError("not refused")

def zeros(*shape):
    return np.zeros(shape, dtype="float32")

def limited(more_bytes):
    import resource
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more_bytes, -1))

def network(widths, activation="relu"):
    start, zero = engine.Initializer("fan_in_normal", 2.0), engine.Initializer("constant", 0.0)
    layers = [engine.Dense(width, activation, 0.0, True, start, zero, None, None) for width in widths[1:]]
    return engine.Network(widths[0], layers, 0)

def descent(engine, rate):
    return engine.RuleOptimizer(rate, "gradient_descent", 0.0, 0.0, 0.0, False)

def fit_of(net, optimizer, rows=64):
    x, y = np.ones((rows, net.inputs), dtype="float32"), np.zeros(rows, dtype="int32")
    loss = engine.CrossEntropy(True, 0.0, "mean")
    return engine.Fit(net, loss, optimizer, [], [], x, y, None, 8, True, False, 0, 0.0)
"""

SCRIPTS = {
    "a forward pass that finds no memory leaves the network usable": """
        _engine.set_thread_limit(1)
        net = cr.Network([cr.Dense(64), cr.Dense(2)], inputs=4096)
        net(zeros(4, 4096))
        big = zeros(20_000, 4096)
        limited(100_000_000)
        refused(MemoryError, lambda: net(big))
        for rows in (8, 3, 500):
            assert net(zeros(rows, 4096)).shape == (rows, 2)
    """,
    "layer outputs after a pass that was refused": """
        net = network((1, 2**21, 1))
        refused(RuntimeError, net.layer_outputs)
        net.forward(zeros(1, 1), True)
        refused((ValueError, MemoryError), lambda: net.forward(zeros(2**20, 1), True))
        refused(RuntimeError, net.layer_outputs)
    """,
    "an array whose copy finds no memory": """
        net = network((4, 2))
        refused((MemoryError, ValueError), lambda: net.predict(np.broadcast_to(zeros(1), (10**12, 4))))
    """,
    "a misaligned array of a class with a copy of its own": """
        class Odd(np.ndarray):
            def copy(self, *arguments):
                return "no array"

        raw = np.zeros(33, dtype="uint8")[1:].view("float32").reshape(2, 4).view(Odd)
        assert network((4, 2)).predict(raw).shape == (2, 2)
    """,
    "None among the penalties": """
        net, x, y = network((4, 2)), zeros(8, 4), np.zeros(8, dtype="int32")
        loss = engine.CrossEntropy(True, 0.0, "mean")
        refused(ValueError, lambda: engine.Evaluation(net, loss, [None], [], x, y, None, 0.0, 0, 0))
        fit = (net, loss, descent(engine, 0.1), [None], [], x, y, None, 4, True, False, 0, 0.0)
        refused(ValueError, lambda: engine.Fit(*fit))
    """,
    "a state that changes its length": """
        class Growing(list):
            def __len__(self):
                return 1

        net, optimizer = network((4, 2)), engine.Momentum(0.1, 0.9, "ema")
        optimizer.step(net)
        state = optimizer.state()[0].copy()
        refused(ValueError, lambda: optimizer.restore(1, Growing([state] * 5)))
        optimizer.restore(1, (state,))
    """,
    "an optimizer serves one network": """
        optimizer = engine.RuleOptimizer(0.1, "adam", 0.9, 0.999, 1e-8, True)
        optimizer.step(network((4, 2)))
        assert "another network" in refused(ValueError, lambda: optimizer.step(network((4, 2))))
    """,
    "numbers that vanish or overflow in float32": """
        assert "eps" in refused(ValueError, lambda: engine.RuleOptimizer(0.1, "adam", 0.9, 0.999, 1e-50, True))
        assert "learning rate" in refused(ValueError, lambda: descent(engine, 1e39))
        strong = lambda: engine.PowerPenalty("square", 2.0, float("inf"), 0.0, 1.0, "one", False, None)
        assert "strength" in refused(ValueError, strong)
        assert "eps" in refused(ValueError, lambda: engine.BatchNorm(1e-50, 0.1))
        assert "std" in refused(ValueError, lambda: engine.GaussianNoise(1e39))
        _engine.float64.RuleOptimizer(0.1, "adam", 0.9, 0.999, 1e-50, True)
    """,
    "one run of a fit at a time": """
        fit, messages = fit_of(network((4, 2)), descent(engine, 0.1)), []
        fit.run(0, lambda done, loss: messages.append(refused(RuntimeError, lambda: fit.run(1))))
        assert "running already" in messages[0]
        assert fit.run(1)["steps"] == 8
    """,
    "several threads with one table of operations": """
        kernels = engine.Kernels(threads=2)
        rng = np.random.default_rng(0)
        a, b = (rng.normal(size=(700, 700)).astype("float32") for _ in range(2))
        expected, wrong = kernels.matmul(a, b, transpose_b=True), []

        def multiply():
            for _ in range(20):
                wrong.append(not np.array_equal(kernels.matmul(a, b, transpose_b=True), expected))

        threads = [threading.Thread(target=multiply) for _ in range(2)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert len(wrong) == 40 and not any(wrong)
    """,
    "a prediction sees one state of the parameters": """
        net = network((64, 512, 512, 4))
        fit = fit_of(net, descent(engine, 1e-3), rows=4096)
        rows = np.ones((100_000, 64), dtype="float32")
        ended = threading.Event()

        def train():
            epoch = 0
            while not ended.is_set():
                fit.run(epoch := epoch + 1)

        other = threading.Thread(target=train)
        other.start()
        try:
            for _ in range(3):
                predictions = net.predict(rows)
                assert (predictions == predictions[0]).all()
        finally:
            ended.set()
            other.join()
    """,
    "a daemon thread that trains when the interpreter ends": """
        fit = fit_of(network((64, 256, 4)), descent(engine, 1e-3), rows=4096)

        def train():
            for epoch in range(10**6):
                fit.run(epoch)

        threading.Thread(target=train, daemon=True).start()
        time.sleep(0.2)
    """,
    "a fork while another thread trains": """
        net = cr.Network([cr.Dense(256, activation="relu"), cr.Dense(4)], inputs=64)
        trainer = cr.Trainer(net, loss="cross_entropy")
        X, y = np.ones((4096, 64)), np.zeros(4096, dtype=int)
        other = threading.Thread(target=trainer.fit, args=(X, y), kwargs={"epochs": 200})
        other.start()
        time.sleep(0.1)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            os._exit(0 if net.predict(X[:10]).shape == (10, 4) else 3)
        assert os.waitpid(child, 0)[1] == 0
        other.join()
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_process_goes_on(name: str) -> None:
    done = run_script(PRELUDE, SCRIPTS[name])
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stderr}"
