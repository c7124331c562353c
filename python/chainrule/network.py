"""Networks: layers in a row, with their parameters. The engine holds the parameters and does the work.

Only rows of layers, each feeding the next: no branches. Training by whole epochs is the `Trainer`'s; this file has
what a single pass needs.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, data, device_arrays, display, placement, sparse, standardize, starts
from .activations import ActivationFunction
from .engines import engine_of
from .freezing import Freezable
from .layers import Layer, shapes, started
from .network_options import check_out, checked_device, checked_layers, checked_precision, checked_state
from .output import Output

if TYPE_CHECKING:
    import numpy.typing as npt

    from ._engine import DeviceArray
    from ._engine.float32 import Network as CoreNetwork

    Array = npt.NDArray[Any]

# The engine's limit, where its counted random numbers still reach every parameter.
MOST_PARAMETERS = 2**31 - 1


class Network(Freezable):
    """A feed-forward network.

    Parameters
    ----------
    layers : sequence of Layer
        At least one, first to last.
    inputs : int
        Number of features, the columns of X.
    seed : int, default 0
        Key of all random numbers: how the parameters start, the masks of dropout, noise.
    dtype : {"float32", "float64"}
        Precision of parameters and of all that is computed.
    device : {"cpu", "cuda", "auto"}
        Where it runs, with parameters, gradients and the data of a fit in that device's memory: the CPU; the GPU that
        CUDA has in use; or that GPU where there is one, else the CPU. The same seed gives the same start, shuffles and
        masks everywhere; results differ by rounding.
    precision : {"float32", "tf32", "bfloat16"}, optional
        How a GPU multiplies matrices of float32: as they are, which is also None; or on its tensor cores, many times
        faster, with each factor rounded before to 11 bits, or to 8; sums, parameters and all else stay float32. With
        "auto", where there is no GPU, it means nothing.

    Attributes
    ----------
    layers : tuple of Layer
    inputs, outputs, seed : int
    dtype : numpy.dtype
    device : str
        "cpu" or "cuda".
    precision : str or None
        To what factors of products are rounded. These are read-only: a network is made with them.
    frozen : tuple of int
        The numbers of the layers that do not learn, set by freeze() and unfreeze().
    training : bool
        The mode of `net(X)`, set by train() and eval(); True at first. `predict` and `Trainer` do not depend on it.
    core
        The engine's network, see `_engine/float32.pyi`.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit.
    RuntimeError
        If the device is "cuda" and no GPU can be used; the message says why.
    MemoryError
        If the network does not fit into the device's memory.

    Warns
    -----
    PlacementWarning
        If a softmax stands before the last layer, a ReLU in it, or Dropout or noise behind it. Copies and files are not
        warned of again.

    Examples
    --------
    >>> net = Network([Dense(128, activation="relu"), Dropout(rate=0.2), Dense(10)], inputs=64)
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        inputs: int,
        seed: int = 0,
        dtype: npt.DTypeLike = "float32",
        device: str = "cpu",
        precision: str | None = None,
    ) -> None:
        self._make(layers, inputs, seed, dtype, device, precision)
        placement.warn(self.layers, stacklevel=2)

    @classmethod
    def remade(cls, layers: Sequence[Layer], **options: Any) -> Network:
        """Return a network like the constructor, without its warnings: for copies of what was warned of before."""
        net = cls.__new__(cls)
        net._make(layers, **options)
        return net

    def _make(
        self,
        layers: object,
        inputs: object,
        seed: object,
        dtype: npt.DTypeLike,
        device: object,
        precision: object = None,
    ) -> None:
        """Check the arguments and set everything up."""
        self._layers = checked_layers(layers)
        self._inputs = checks.whole("inputs", inputs)
        self._seed = checks.seed("seed", seed)
        self._dtype = checks.precision("dtype", dtype)
        self._device = checked_device(device)
        self._precision = checked_precision(precision, device, self._dtype)
        self._frozen: frozenset[int] = frozenset()
        self.training = True
        # Counted up by what sets parameters (optimizers, trainers, load_state_dict), so that a stale loss is noticed.
        self.parameter_changes = 0
        # At which of these changes backward() was last called; None where the gradients are zeros.
        self.gradients_of: int | None = None
        found = shapes(self.layers, self.inputs)
        count = sum(math.prod(shape) for one in found for shape in one.values())
        if count > MOST_PARAMETERS:
            raise ValueError(f"layers must have at most {MOST_PARAMETERS} parameters; these have {count}")
        built = [layer.build(self.engine) for layer in started(self.layers)]
        where = "cuda-" + self.precision if self.device == "cuda" and self.precision else self.device
        self.core: CoreNetwork = self.engine.Network(self.inputs, built, self.seed, where)
        self.predict_as_is: Callable[[object, object], Array | None] = standardize.predictor(self)
        if not data.all_finite(self.core.arena()):
            raise ValueError(f"layers must start with numbers that fit into {self.dtype}; an initializer's do not")
        # By which starts.is_at_start knows whether something has changed since.
        self.start_mark = starts.mark(self)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, first to last."""
        return self._layers

    @property
    def inputs(self) -> int:
        """Number of features."""
        return self._inputs

    @property
    def seed(self) -> int:
        """Key of all random numbers."""
        return self._seed

    @property
    def dtype(self) -> np.dtype[Any]:
        """Precision."""
        return self._dtype

    @property
    def device(self) -> str:
        """Where the network runs: "cpu" or "cuda"."""
        return self._device

    @property
    def precision(self) -> str | None:
        """How a GPU rounds the factors of products: "tf32", "bfloat16", or None."""
        return self._precision

    @property
    def engine(self) -> ModuleType:
        """The engine of the network's dtype."""
        return engine_of(self.dtype)

    @property
    def outputs(self) -> int:
        """Number of outputs of the last layer."""
        return self.core.outputs

    @property
    def head(self) -> ActivationFunction:
        """What shapes the outputs: the activation of the last layer that has one."""
        return placement.head_of(self.layers)[1]

    # Passes ----------------------------------------------------------------------------------------------------------

    def train(self) -> Network:
        """Set training mode for `net(X)`: dropout is on, a loss can go backward. Returns the network."""
        self.training = True
        return self

    def eval(self) -> Network:
        """Set evaluation mode for `net(X)`: dropout is off, and nothing is kept for backward(). Returns the network."""
        self.training = False
        return self

    def __call__(self, X: npt.ArrayLike, *, training: bool | None = None) -> Output:
        """Go forward through the layers.

        Parameters
        ----------
        X : array of shape (B, inputs), or sparse matrix
        training : bool, optional
            The mode of this pass; if None, the one set by train() and eval().

        Returns
        -------
        Output
            Of shape (B, outputs); give it to a loss.
        """
        self.check_measured()
        x = sparse.or_dense("X", X, self)
        mode = self.training if training is None else checks.flag("training", training)
        return Output(self.core.forward(x, mode), self, training)

    def predict(self, X: npt.ArrayLike, out: Array | None = None) -> Array:
        """Return what the last layer gives, (N, outputs), always in evaluation mode.

        Parameters
        ----------
        X : array of shape (N, inputs), or a sparse matrix of SciPy, as for `Trainer.fit`
            If it lies on the network's GPU, the result does too, and nothing is copied: an object with
            `__cuda_array_interface__` and `__dlpack__`, and `numpy()`, or `out`.
        out : array of shape (N, outputs), optional
            Where to write the result: of the network's dtype, writable, C-contiguous, apart from X.

        Returns
        -------
        array of shape (N, outputs)
            In the network's dtype; `out` if that is given.
        """
        # Arrays that need no conversion take the short way, where checks in Python would take longer than the network.
        predicted = self.predict_as_is(X, out)
        if predicted is not None:
            return predicted
        if self.device == "cuda" and device_arrays.lies_on_gpu(X):
            there: Array = device_arrays.predicted(self, X, out)
            return there
        x = sparse.or_any_layout("X", X, self)
        if out is None:
            return self.core.predict(x)
        check_out(out, (x.shape[0], self.outputs), self.dtype, x)
        self.core.predict(x, np.asarray(out))
        return out

    def zero_grad(self) -> None:
        """Set all gradients to zero. Call it before each backward(), which adds to them."""
        self.core.zero_grad()
        self.gradients_of = None

    # Parameters ------------------------------------------------------------------------------------------------------

    def parameters(self) -> dict[str, Array]:
        """Return what is learned by name, "0.weight" (inputs, units) and "0.bias" (units): views that may be written.

        On a GPU they are copies that cannot be written; `load_state_dict` sets the parameters there.

        Do not write between a forward pass and its backward(): that is not noticed, and the gradients come out wrong.
        Nor is a weight noticed that is not 0 where `Dense(connections=)` has a 0; `load_state_dict` checks.
        """
        return dict(self.core.parameters())

    def gradients(self) -> dict[str, Array]:
        """Return the gradients by the same names: zeros before the first backward(), and in frozen layers.

        Like the parameters, they are views, or, on a GPU, copies.
        """
        return dict(self.core.gradients())

    def statistics(self) -> dict[str, Array]:
        """Return what is counted along in training by name, "1.running_mean" (inputs,).

        Like the parameters, they are views that may be written, or, on a GPU, copies.
        """
        return dict(self.core.statistics())

    def device_arrays(self, kind: str = "state") -> dict[str, DeviceArray]:
        """Return the arrays of a network on a GPU where they lie, by name, for other libraries; nothing is copied.

        `torch.as_tensor(net.device_arrays()["0.weight"], device="cuda")` shares the memory: what is written there, the
        network has. Write neither during a fit nor between a forward pass and its backward(), and let your library's
        work end (`torch.cuda.synchronize()`) before the network goes on.

        Parameters
        ----------
        kind : {"state", "gradients"}
            Parameters and statistics, or the gradients.

        Returns
        -------
        dict of DeviceArray
            Each has `__cuda_array_interface__`, `__dlpack__` and `numpy()`, and keeps the network alive.

        Raises
        ------
        ValueError
            If the network is on the CPU.
        """
        word = checks.word("kind", kind, ("state", "gradients"))
        if self.device != "cuda":
            raise ValueError("device_arrays() is for networks on a GPU; parameters() gives those of the CPU")
        found = self.core.state_there() if word == "state" else self.core.gradients_there()
        return dict(found)

    def state_dict(self) -> dict[str, Array]:
        """Return copies of the parameters and the statistics by name."""
        return {name: value.copy() for name, value in self._state().items()}

    def load_state_dict(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Set all parameters and statistics from a mapping like `state_dict()` gives.

        Parameters
        ----------
        state : mapping of str to array
            All names that the network has, no others.

        Raises
        ------
        ValueError, TypeError
            If a name is missing or unknown, an array has another shape or is not of real numbers that fit into the
            network's dtype, a weight is not 0 where nothing is connected, or a running variance is below 0. Then
            nothing has changed.
        """
        new = checked_state(state, self._state(), self.layers, self.dtype)
        self.parameter_changes += 1
        self.core.assign(new)
        self.predict_as_is = standardize.predictor(self)

    def _state(self) -> dict[str, Array]:
        """Return all that training changes, as parameters() and statistics() do."""
        return {**self.core.parameters(), **self.core.statistics()}

    # Standardizing ---------------------------------------------------------------------------------------------------

    def adapt(self, X: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> None:
        """Measure mean and scale of each `Standardize`, anew if need be, from the training part alone.

        For a loop by hand; `Trainer.fit` does it where it has not been done.

        Parameters
        ----------
        X : array of shape (N, inputs)
            The rows to measure.
        sample_weight : array of shape (N,), optional
            How often each row counts, at least 0; 0 leaves it out.

        Raises
        ------
        ValueError, TypeError
            If there is no such layer, an argument does not suit, or a scale does not fit. Then nothing has changed.
        """
        standardize.adapt(self, X, sample_weight)

    def check_measured(self) -> None:
        """Raise RuntimeError where a `Standardize` has no mean and scale yet."""
        if isinstance(self.predict_as_is, standardize.Unmeasured):
            self.predict_as_is = self.predict_as_is.measured()

    # Copies ----------------------------------------------------------------------------------------------------------

    def to(self, device: str, *, precision: str | None = None) -> Network:
        """Return the network on a device: itself if it is there, else a copy. `Trainer(net.to("cuda"), ...)`.

        Parameters
        ----------
        device : {"cpu", "cuda", "auto"}
            Where it is to run.
        precision : {"float32", "tf32", "bfloat16"}, optional
            As for the constructor, and with its errors; None for that of this network, where it can stay.

        Returns
        -------
        Network
            This one, or a copy.
        """
        if checked_device(device) == self.device and precision in (None, self.precision or "float32"):
            return self
        return self.copy(device=device, precision=precision)

    def copy(
        self, *, dtype: npt.DTypeLike | None = None, device: str | None = None, precision: str | None = None
    ) -> Network:
        """Return a network of the same layers with copies of the parameters.

        Of another dtype or on another device if asked; what is not given stays, but for a precision that cannot.

        Parameters
        ----------
        dtype : {"float32", "float64"}, optional
            Precision of the copy.
        device : {"cpu", "cuda", "auto"}, optional
            Where it is to run.
        precision : {"float32", "tf32", "bfloat16"}, optional
            How a GPU rounds the factors of products.

        Returns
        -------
        Network
            With the same mode, frozen layers and count of steps.
        """
        options = self.options()
        if dtype is not None:
            options["dtype"] = dtype
        if device is not None:
            options["device"] = device
        if precision is not None:
            options["precision"] = precision
        elif options["device"] == "cpu" or np.dtype(options["dtype"]) != np.float32:
            options["precision"] = None
        return rebuild(self.layers, options, self._state(), self.core.steps, self.training, self.frozen)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let pickle and copy.deepcopy make the network again."""
        state = self.layers, self.options(), self.state_dict(), self.core.steps, self.training, self.frozen
        return rebuild, state

    def options(self) -> dict[str, Any]:
        """Return the options of the constructor that make such a network, all but the layers."""
        return {
            "inputs": self.inputs,
            "seed": self.seed,
            "dtype": self.dtype.name,
            "device": self.device,
            "precision": self.precision,
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file, from which `chainrule.load(path)` makes it again.

        Parameters
        ----------
        path : str or path
            Where to write; a file of this name is replaced.

        Raises
        ------
        ImportError
            If the package safetensors is missing: pip install "chainrule[export]".
        ValueError
            If a parameter or a statistic is not finite.
        """
        from . import storage

        storage.save(self, path)

    # Reports ---------------------------------------------------------------------------------------------------------

    def summary(self, *, batch_size: int = 32) -> None:
        """Print a table of the layers, and what a training step keeps and needs in memory.

        Parameters
        ----------
        batch_size : int, default 32
            Rows of a step.
        """
        from .summary import summary

        print(summary(self, checks.whole("batch_size", batch_size)))

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return display.of_network(self)

    def __repr__(self) -> str:
        """Return what makes a network with the same start."""
        options = {name: value for name, value in self.options().items() if name != "precision" or value is not None}
        listed = ", ".join(f"{name}={value!r}" for name, value in options.items())
        return f"Network({list(self.layers)!r}, {listed})"


def rebuild(
    layers: tuple[Layer, ...],
    options: Mapping[str, Any],
    state: Mapping[str, Array],
    steps: int,
    training: bool,
    frozen: Sequence[int],
) -> Network:
    """Make a network again from what a copy, pickle or a file kept."""
    net = Network.remade(layers, **options)
    net.load_state_dict(state)
    net.core.steps = steps
    net.training = training
    if frozen:
        net.freeze(*frozen)
    return net
