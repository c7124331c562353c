"""ONNX files of networks, of fitted `MLPClassifier` and `MLPRegressor`, and of pipelines of scalers and one of these.

The graph is that of prediction, for ONNX Runtime and others that read it: rows come in as X (N, inputs), in the
network's precision and in any number. Training graphs are not written, and nothing is read.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from . import activations, checks
from ._engine import build_info
from .activations import ELU, ActivationFunction, Identity, LeakyReLU, ReLU, Sigmoid, Softmax, Step, Tanh
from .inference_steps import Affine, Columns, InferenceStep, Normalized, inference_steps
from .network import Network
from .scalers import columns_of, without_pipeline
from .storage import checked_path, part_of, write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Array = npt.NDArray[Any]

# The oldest set of operators (ONNX 1.9 of 2021) in which all that is used here means what it means today: before, how
# many outputs a BatchNormalization has decided whether it trains, which not all readers heed.
OLDEST_OPSET = 14
# A file is one message of Protocol Buffers, which ends at 2 GiB; some room is left for all but the weights.
MOST_BYTES = 2**31 - 2**24
# Whose node is the activation itself. In float64 LeakyRelu and Elu are not: ONNX keeps their numbers in float32.
PLAIN = {Sigmoid: "Sigmoid", Tanh: "Tanh", ReLU: "Relu"}


def needs_onnx(user: str) -> Any:
    """Return the package onnx, or raise ImportError naming the extra."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError(f'{user} needs onnx: pip install "chainrule[export]"') from error
    return onnx


def export(
    model: Any,
    path: str | os.PathLike[str],
    *,
    activation: str | ActivationFunction = "identity",
    probabilities: bool = True,
    fold: bool = True,
    opset: int = OLDEST_OPSET,
) -> None:
    """Write a model to an ONNX file, which onnx's checker has passed. It is replaced in one go, or not at all.

    ==================  ====================================================================================
    model               outputs
    ==================  ====================================================================================
    Network             Y (N, outputs): what `predict` gives
    MLPClassifier       label (N,), int64 or strings; probabilities (N, K), in the order of `classes_`
    of several labels   label (N, K), int64 of 0 and 1; probabilities (N, K), those of 1
    MLPRegressor        variable (N, K): also a single number a row is a column
    Pipeline            those of its last step, an estimator; rows come in as its first step takes them, in the
                        precision of the network, which L-BFGS trains in float64
    ==================  ====================================================================================

    The names are those of skl2onnx, without its ZipMap.

    Parameters
    ----------
    model : Network, chainrule.sklearn.MLPClassifier, chainrule.sklearn.MLPRegressor or sklearn.pipeline.Pipeline
        The estimators fitted. A pipeline has one of them at its end, and in front of it any of scikit-learn's
        `StandardScaler`, `RobustScaler`, `MaxAbsScaler` and `MinMaxScaler` without `clip`.
    path : str or path
        Where to write.
    activation : str or ActivationFunction, default "identity"
        Of a Network alone: what is put behind it, such as "softmax" where it was trained on logits.
    probabilities : bool, default True
        Of a classifier alone: whether its probabilities are given too.
    fold : bool, default True
        Whether `BatchNorm`, `Standardize` and scalers become parts of the weights next to them. Not folded is what
        stands next to none, and in float32 what has a column further from 0 than 8 of its deviations and stands before
        the weights, where that would cost precision. False: they stay nodes of their own.
    opset : int, default 14
        Version of ONNX's operators, from 14 to the newest that the installed onnx knows. Old readers refuse new ones;
        nothing here needs them.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, the estimator is not fitted, a parameter is not finite, classes are neither
        strings nor numbers that fit into int64, or the weights would not fit into one file (2 GiB).
    RuntimeError
        If a `Standardize` has no figures yet.
    ImportError
        If the package onnx is missing: pip install "chainrule[export]".

    Examples
    --------
    >>> chainrule.onnx.export(net, "digits.onnx", activation="softmax")
    >>> session = onnxruntime.InferenceSession("digits.onnx")
    >>> (shares,) = session.run(None, {"X": rows})
    """
    onnx = needs_onnx("chainrule.onnx.export")
    target = checked_path(path)
    head = activations.resolve("activation", activation)
    with_shares = checks.flag("probabilities", probabilities)
    folding = checks.flag("fold", fold)
    version = checks.whole("opset", opset, least=OLDEST_OPSET, most=onnx.defs.onnx_opset_version())
    scalers, model = without_pipeline(model)
    estimator = None if isinstance(model, Network) else checked_estimator(model)
    net = model if estimator is None else estimator.network_
    if estimator is not None and head != Identity():
        raise ValueError("activation is for a Network; an estimator knows what its outputs mean")
    graph = Graph(onnx, net)
    before = [columns_of(place, name, scaler, net) for place, (name, scaler) in enumerate(scalers)]
    outputs = graph.through(inference_steps(net, fold=folding, before=before))
    if estimator is None:
        graph.give("Y", graph.activated(outputs, head), net.outputs)
    elif hasattr(estimator, "classes_"):
        classify(graph, outputs, estimator, with_shares)
    else:
        counts = estimator.out_activation_ == "exp"  # of which the network gives the logarithm
        graph.give("variable", graph.node("Exp", outputs) if counts else outputs, net.outputs)
    write_whole(target, graph.message(version), part_of(target))


def checked_estimator(model: Any) -> Any:
    """Return `model` if it is one of chainrule's estimators, fitted."""
    loaded = sys.modules.get("chainrule.sklearn")  # without it there is none
    if loaded is None or not isinstance(model, (loaded.MLPClassifier, loaded.MLPRegressor)):
        raise TypeError(
            "model must be a Network, chainrule's MLPClassifier or MLPRegressor, or a Pipeline that ends with one of "
            f"these; got {checks.shown(model)}"
        )
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model)
    return model


class Graph:
    """Nodes and arrays of a graph, as they are put together."""

    def __init__(self, onnx: Any, net: Network) -> None:
        self.onnx, self.dtype = onnx, net.dtype
        self.element = onnx.helper.np_dtype_to_tensor_dtype(net.dtype)
        self.inputs = [onnx.helper.make_tensor_value_info("X", self.element, ["N", net.inputs])]
        self.nodes: list[Any] = []
        self.arrays: dict[str, Any] = {}
        self.outputs: list[Any] = []
        self.bytes = 0

    # Parts -----------------------------------------------------------------------------------------------------------

    def node(self, operator: str, *inputs: str, outputs: Sequence[str] = (), **attributes: Any) -> str:
        """Add a node; return the name of its (first) output."""
        names = list(outputs) or [f"{operator.lower()}_{len(self.nodes)}"]
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), names, **attributes))
        return str(names[0])

    def array(self, name: str, values: Any, dtype: Any = None) -> str:
        """Add an array under a name, of the network's dtype unless another is given; return the name."""
        if name not in self.arrays:
            value = np.asarray(values, dtype=self.dtype if dtype is None else dtype)
            self.bytes += value.nbytes
            if self.bytes > MOST_BYTES:
                raise ValueError("model must have less than 2 GiB of weights: an ONNX file in one piece ends there")
            self.arrays[name] = self.onnx.numpy_helper.from_array(value, name)
        return name

    def number(self, value: float) -> str:
        """Return the name of a single number, added if need be."""
        return self.array(f"number_{value!r}", value)

    def give(self, name: str, what: str, columns: int | None, element: int | None = None) -> None:
        """Make `what` an output of the graph by this name, of shape (N, columns), or (N,) without columns."""
        if what == "X":  # nothing was done
            what = self.node("Identity", what)
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [name if one == what else one for one in names]
        shape = ["N"] if columns is None else ["N", columns]
        kind = self.element if element is None else element
        self.outputs.append(self.onnx.helper.make_tensor_value_info(name, kind, shape))

    # Steps -----------------------------------------------------------------------------------------------------------

    def through(self, steps: Sequence[InferenceStep]) -> str:
        """Add the steps of a network, one behind the other; return the name of the last one's output."""
        x = "X"
        for step in steps:
            if isinstance(step, Affine):
                x = self.affine(x, step)
            elif isinstance(step, Normalized):
                parts = {"gamma": step.gamma, "beta": step.beta, "mean": step.mean, "variance": step.variance}
                names = [self.array(f"{step.name}.{name}", value) for name, value in parts.items()]
                x = self.node("BatchNormalization", x, *names, epsilon=step.eps)
            elif isinstance(step, Columns):
                if step.mean.any():
                    x = self.node("Sub", x, self.array(f"{step.name}.mean", step.mean))
                x = self.node("Mul", x, self.array(f"{step.name}.scale", step.scale))
            else:
                x = self.activated(x, step)
        return x

    def affine(self, x: str, step: Affine) -> str:
        """Add z = x W + b, and the greatest piece of each unit."""
        names = [self.array(f"{step.name}.weight", step.weight)]
        if step.bias is not None:
            names.append(self.array(f"{step.name}.bias", step.bias))
        z = self.node("Gemm", x, *names)
        if step.pieces == 1:
            return z
        parts = [f"{z}.piece_{piece}" for piece in range(step.pieces)]
        sizes = self.array(f"{step.name}.sizes", [step.weight.shape[1] // step.pieces] * step.pieces, np.int64)
        self.node("Split", z, sizes, outputs=parts, axis=1)
        return self.node("Max", *parts)

    def activated(self, z: str, g: ActivationFunction) -> str:
        """Add h = g(z)."""
        if isinstance(g, Identity):
            return z
        if type(g) in PLAIN:
            return self.node(PLAIN[type(g)], z)
        if isinstance(g, Softmax):
            return self.node("Softmax", z, axis=1)
        zero = self.number(0.0)
        if isinstance(g, Step):  # what is neither above nor below is NaN, and stays so
            below = self.node("Where", self.node("Less", z, zero), zero, z)
            return self.node("Where", self.node("GreaterOrEqual", z, zero), self.number(1.0), below)
        if isinstance(g, LeakyReLU):
            if self.dtype == np.float32:
                return self.node("LeakyRelu", z, alpha=g.slope)
            below = self.node("Mul", z, self.number(g.slope))
        elif isinstance(g, ELU):
            if self.dtype == np.float32:
                return self.node("Elu", z, alpha=g.alpha)
            grown = self.node("Sub", self.node("Exp", z), self.number(1.0))
            below = self.node("Mul", grown, self.number(g.alpha))
        else:
            raise TypeError(f"activation {checks.shown(g)} is none that can be written to ONNX")
        return self.node("Where", self.node("Greater", z, zero), z, below)

    # The file --------------------------------------------------------------------------------------------------------

    def message(self, opset: int) -> bytes:
        """Return the model as it goes into a file, checked."""
        helper = self.onnx.helper
        graph = helper.make_graph(self.nodes, "chainrule", self.inputs, self.outputs, list(self.arrays.values()))
        sets = [helper.make_opsetid("", opset)]
        model = helper.make_model(
            graph,
            opset_imports=sets,
            # The oldest form of files that has these operators.
            ir_version=helper.find_min_ir_version_for(sets),
            producer_name="chainrule",
            producer_version=build_info()["version"],
        )
        self.onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString()
        return content


# Classifiers ---------------------------------------------------------------------------------------------------------


def classify(graph: Graph, z: str, estimator: Any, with_shares: bool) -> None:
    """Add the label of each row, and the probabilities, behind a classifier's outputs (N, K)."""
    int64 = graph.onnx.TensorProto.INT64
    columns = estimator.n_outputs_
    if estimator.out_activation_ == "softmax":
        chosen = graph.node("ArgMax", z, axis=1, keepdims=0)
        shares = graph.node("Softmax", z, axis=1)
    else:
        chosen = graph.node("Cast", graph.node("Greater", z, graph.number(0.0)), to=int64)
        shares = graph.node("Sigmoid", z)
    if columns > 1 and estimator.out_activation_ != "softmax":  # several labels
        graph.give("label", chosen, columns, int64)
    else:
        table, element = classes(graph.onnx, estimator.classes_)
        if columns == 1:
            columns = 2
            chosen = graph.node("Squeeze", chosen, graph.array("axis_1", [1], np.int64))
            shares = graph.node("Concat", graph.node("Sub", graph.number(1.0), shares), shares, axis=1)
        graph.arrays[table.name] = table
        graph.give("label", graph.node("Gather", table.name, chosen), None, element)
    if with_shares:
        graph.give("probabilities", shares, columns)


def classes(onnx: Any, found: Array) -> tuple[Any, int]:
    """Return the classes as an array of ONNX, and its element type."""
    # Of a single class that a fit has seen, there is no other.
    table = np.repeat(found, 2) if len(found) == 1 else found
    values: list[Any]
    if table.dtype.kind in "biuf" and max(abs(int(one)) for one in table) < 2**63:
        # scikit-learn's rules let no class be a number such as 0.5.
        element, values = onnx.TensorProto.INT64, [int(one) for one in table]
    elif all(isinstance(one, str) for one in table):
        element, values = onnx.TensorProto.STRING, [one.encode() for one in table]
    else:
        raise TypeError(
            f"classes must be strings, or numbers that fit into int64, to be written to ONNX; got {checks.shown(found)}"
        )
    return onnx.helper.make_tensor("classes", element, [len(values)], values), int(element)
