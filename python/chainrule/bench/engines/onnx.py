"""ONNX Runtime: a graph of Gemm and Relu, run in a session; and training, which it does not do here, left out.

Two ways to call it are tried, `run` with arrays and `run_with_iobinding` with memory bound before; the faster one takes
part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from chainrule import _engine
from chainrule.bench.harness import timed_loop
from chainrule.bench.workloads import Array, Query

TRIAL_SECONDS = 0.02


def model(query: Query) -> Any:
    """Return the network as an ONNX model, x (B, inputs) to y (B, outputs)."""
    number = helper.np_dtype_to_tensor_dtype(np.dtype(query.dtype))
    nodes, arrays, name = [], [], "x"
    layers = len(query.parameters) // 2
    for layer in range(layers):
        inputs = [name, f"W{layer}", f"b{layer}"]
        arrays += [numpy_helper.from_array(query.parameters[2 * layer + i], inputs[i + 1]) for i in range(2)]
        last = layer == layers - 1
        nodes.append(helper.make_node("Gemm", inputs, ["y" if last else f"z{layer}"]))
        if not last:
            name = f"h{layer}"
            nodes.append(helper.make_node("Relu", [f"z{layer}"], [name]))
    rows = len(query.X)
    given = helper.make_tensor_value_info("x", number, [rows, query.widths[0]])
    wanted = helper.make_tensor_value_info("y", number, [rows, query.widths[-1]])
    graph = helper.make_graph(nodes, "network", [given], [wanted], arrays)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def prediction(query: Query) -> Callable[[], Array]:
    """Predict in the faster of the two ways."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _engine.thread_limit()
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(
        model(query).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    X, out = query.X, np.empty((len(query.X), query.widths[-1]), query.dtype)
    binding = session.io_binding()
    binding.bind_input("x", "cpu", 0, out.dtype.type, X.shape, X.ctypes.data)
    binding.bind_output("y", "cpu", 0, out.dtype.type, out.shape, out.ctypes.data)

    def run() -> Array:
        return session.run(["y"], {"x": X})[0]  # type: ignore[no-any-return]

    def run_bound() -> Array:
        session.run_with_iobinding(binding)
        return out

    return min((run, run_bound), key=lambda way: timed_loop(way, TRIAL_SECONDS)())
