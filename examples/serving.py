"""A classifier trained here, served elsewhere: an ONNX file, and ONNX Runtime, which needs nothing of chainrule.

Rows come in as they are measured, since the network standardises them itself; a class and its probability come out.

Target: on all rows apart ONNX Runtime gives chainrule's classes, and its probabilities to 1e-5; 95 % are right.
"""

import tempfile
from pathlib import Path
from timeit import timeit

import numpy as np
import onnxruntime

import chainrule as cr

X, y = cr.load_digits()
parts = cr.split(X, y, test=0.25, stratify=y, seed=0)
(X, y), (X_test, y_test) = parts.training, parts.test

net = cr.Network([cr.Standardize(shared=True), cr.Dense(64, activation="relu"), cr.Dense(10)], inputs=64)
cr.Trainer(net, loss="cross_entropy", optimizer="adam").fit(X, y, epochs=40, verbose=False)

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "digits.onnx"
    cr.onnx.export(net, path, activation="softmax")
    print(f"{path.name}: {path.stat().st_size:,} bytes")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # one row is no work for more
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

row = X_test[:1].astype(np.float32)
(shares,) = session.run(None, {"X": row})
print(f"one row: a {shares.argmax()}, with probability {shares.max():.3f}; it is a {y_test[0]}")
print(f"it took {timeit(lambda: session.run(None, {'X': row}), number=1000) * 1000:.0f} µs")

(shares,) = session.run(None, {"X": X_test.astype(np.float32)})
z = net.predict(X_test).astype(np.float64)
ours = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
right = (shares.argmax(axis=1) == y_test).mean()
print(f"{len(y_test)} rows: probabilities differ by {np.abs(shares - ours).max():.1e} at most; {right:.1%} are right")
assert (shares.argmax(axis=1) == z.argmax(axis=1)).all()
assert np.abs(shares - ours).max() <= 1e-5
assert right >= 0.95
