"""The engine itself, without the checks of the public face: it refuses what would be wrong, and never crashes.

The script runs in a process of its own, since a failure here may be a crash.
"""

from __future__ import annotations

from problems import run_script


def test_the_engine_refuses_what_the_face_would_never_pass():
    done = run_script(ENGINE_ABUSE)
    assert done.returncode == 0, (done.returncode, done.stdout[-2000:], done.stderr[-2000:])


ENGINE_ABUSE = """
import numpy as np
from chainrule._engine import float32 as e

zero = e.Initializer("constant", 0.0)

def dense_of(units=3, activation="relu", parameter=0.0, connections=None, constraint=None):
    return e.Dense(units, activation, parameter, True, zero, zero, connections, constraint)

def drop_connect(rate=0.5, units=3):
    return e.DropConnect(units, "relu", 0.0, True, zero, zero, rate, False, None)

def maxout(units, pieces):
    return e.Maxout(units, pieces, True, zero, zero, None)

dense, nan, inf = dense_of(), float("nan"), float("inf")
net = lambda: e.Network(4, [dense], 0)
x, labels, y = np.zeros((6, 4), "f4"), np.zeros(6, "i4"), np.zeros((6, 3), "f4")
ce, mse = e.CrossEntropy(True, 0.0, "mean"), e.ElementwiseLoss("squared_difference", 0.0, 1.0, "mean")
adam = lambda: e.RuleOptimizer(0.1, "adam", 0.9, 0.999, 1e-8, True)

def made(layer, inputs=4):
    return e.Network(inputs, [layer], 0)

def configured(schedule=None, layer_rates={}, clip_norm=0.0, clip_value=0.0, decay=0.0):
    optimizer = adam()
    optimizer.configure(schedule, layer_rates, clip_norm, clip_value, decay, False)
    optimizer.step(net())

def power(term="square", p=2.0, weights=1.0, biases=0.0, factor=1.0, per="one", layers=None):
    e.PowerPenalty(term, p, weights, biases, factor, per, False, layers).value(net(), 1, 1)

def fit(network, loss=ce, metrics=(), x=x, y=labels, weight=None, size=2):
    return e.Fit(network, loss, adam(), [], metrics, x, y, weight, size, True, False, 0, 0.0)

def measured(y=labels, loss=ce, metrics=(), x=x, weight=None):
    return e.Evaluation(net(), loss, [], metrics, x, y, weight, 0.0, 0, 0)

calls = [
    lambda: net().forward(np.zeros((2, 5), "f4"), True),
    lambda: net().forward(np.zeros(4, "f4"), True),
    lambda: net().forward(None, True),
    lambda: net().predict(np.zeros((2, 5), "f4")),
    lambda: net().predict(x, np.zeros((6, 2), "f4")),
    lambda: net().backward(np.zeros((1, 3), "f4")),
    lambda: (lambda n: (n.forward(x, True), n.backward(np.zeros((5, 3), "f4"))))(net()),
    lambda: (lambda n: (n.forward(x, False), n.backward(y)))(net()),
    lambda: (lambda n: (n.forward(x, True), n.backward(y), n.backward(y)))(net()),
    lambda: e.Network(0, [dense], 0),
    lambda: e.Network(4, [], 0),
    lambda: e.Network(4, [None], 0),
    lambda: e.Network(2**62, [dense], 0),
    lambda: dense_of(units=-1),
    lambda: dense_of(activation="magic"),
    lambda: dense_of(parameter=nan),
    lambda: made(dense_of(connections=np.ones((3, 3), "f4"))),
    lambda: made(dense_of(connections=np.ones((4, 2), "f4"))),
    lambda: made(dense_of(connections=np.ones(12, "f4"))),
    lambda: made(dense_of(connections="1111")),
    lambda: made(dense_of(constraint="max_norm")),
    lambda: e.Constraint("magic", 1.0),
    lambda: e.Constraint("max_norm", nan),
    lambda: e.Constraint("max_norm", -1.0),
    lambda: e.Dropout(1.5, "inverted", False),
    lambda: e.Dropout(nan, "inverted", False),
    lambda: e.Dropout(0.5, "magic", False),
    lambda: made(e.Dropout(0.9, "fixed_count", False)),
    lambda: drop_connect(rate=1.0),
    lambda: drop_connect(rate=nan),
    lambda: made(drop_connect(units=0)),
    lambda: made(maxout(3, 0)),
    lambda: made(maxout(3, -1)),
    lambda: made(maxout(0, 2)),
    lambda: made(maxout(2**40, 2**40)),
    lambda: made(maxout(2**62, 4)),
    lambda: e.BatchNorm(0.0, 0.1),
    lambda: e.BatchNorm(nan, 0.1),
    lambda: e.BatchNorm(1e-60, 0.1),
    lambda: e.BatchNorm(1e-5, 1.5),
    lambda: e.BatchNorm(1e-5, nan),
    lambda: e.GaussianNoise(-1.0),
    lambda: e.GaussianNoise(inf),
    lambda: e.CrossEntropy(True, 1.0, "mean"),
    lambda: e.CrossEntropy(True, nan, "mean"),
    lambda: e.CrossEntropy(True, 0.0, "total"),
    lambda: e.ElementwiseLoss("magic", 0.0, 1.0, "mean"),
    lambda: e.ElementwiseLoss("huber", nan, 1.0, "mean"),
    lambda: e.ElementwiseLoss("huber", 1.0, inf, "mean"),
    lambda: e.ElementwiseLoss("huber", 1.0, 1.0, "total"),
    lambda: net().set_trainable([True, False]),
    lambda: net().set_trainable([]),
    lambda: net().set_trainable(None),
    lambda: power(term="magic"),
    lambda: power(term="power", p=nan),
    lambda: power(term="power", p=-1.0),
    lambda: power(weights=nan),
    lambda: power(per="epoch"),
    lambda: configured(layer_rates={0: nan}),
    lambda: configured(clip_norm=nan),
    lambda: configured(clip_norm=1e-50),
    lambda: configured(clip_value=-1.0),
    lambda: configured(decay=nan),
    lambda: e.StepDecay(0.1, 0.5, 0.0, True, True),
    lambda: e.CosineDecay(0.1, 0.0, 0.0, 0.0, True),
    lambda: e.CosineDecay(0.1, nan, 0.0, 0.0, True),
    lambda: e.OneCycle(0.1, 10.0, 2.0, 0.01, 0.001, True),
    lambda: e.TimeDecay(nan, 0.1, True),
    lambda: e.ExponentialDecay(0.1, inf, True),
    lambda: e.Initializer("magic", 1.0),
    lambda: ce.value(y, np.full(6, 3, "i4")),
    lambda: ce.value(y, np.full(6, -1, "i4")),
    lambda: ce.value(y, labels[:5]),
    lambda: ce.value(y, labels, np.ones(5, "f4")),
    lambda: mse.value(y, y[:, :2]),
    lambda: mse.value(y, labels),
    lambda: fit(net(), y=labels[:5]),
    lambda: fit(net(), y=np.full(6, 7, "i4")),
    lambda: fit(net(), x=x[:, :3]),
    lambda: fit(net(), size=0),
    lambda: fit(net(), weight=np.ones(5, "f4")),
    lambda: fit(net(), metrics=["magic"]),
    lambda: fit(net(), metrics=["top_3_accuracy"]),
    lambda: fit(net(), metrics=["top_1_accuracy"]),
    lambda: fit(net(), metrics=["top_02_accuracy"]),
    lambda: fit(net(), metrics=["top_-2_accuracy"]),
    lambda: fit(net(), metrics=["top__accuracy"]),
    lambda: fit(net(), metrics=["top_accuracy"]),
    lambda: fit(net(), metrics=["top_99999999999999999999_accuracy"]),
    lambda: e.Kernels().correct_rows(y, labels, k=0),
    lambda: e.Kernels().count_classes(y, labels, np.zeros((2, 3))),
    lambda: e.Kernels().count_classes(y, labels, np.zeros((3, 2))),
    lambda: e.Kernels().count_classes(y, labels, np.zeros((3, 3), "f4")),
    lambda: e.Kernels().count_classes(y, labels[:5], np.zeros((3, 3))),
    lambda: fit(net(), loss=mse),
    lambda: measured(y=np.full(6, 7, "i4")),
    lambda: measured(y=labels[:2]),
    lambda: measured(loss=mse),
    lambda: measured(weight=np.ones(2, "f4")),
    lambda: adam().restore(1, [np.zeros(3, "f4")]),
]
accepted = []
for number, call in enumerate(calls):
    try:
        call()
    except (ValueError, TypeError, RuntimeError, MemoryError, OverflowError):
        continue
    accepted.append(f"line {call.__code__.co_firstlineno}")
if accepted:
    raise SystemExit(f"accepted were the calls of {accepted}")
"""
