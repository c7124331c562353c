"""The engine in one precision. `float64.pyi` says the same with float64."""

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]

class Kernels:
    """THE LIST, one method an operation; names and arguments as in chainrule.reference. For tests and the curious."""

    def __init__(self, isa: str = "", threads: int = 1) -> None: ...
    @property
    def isa(self) -> str: ...
    def matmul(
        self,
        a: Array,
        b: Array,
        *,
        transpose_a: bool = False,
        transpose_b: bool = False,
        bias: Array | None = None,
        activation: str = "identity",
        parameter: float = 0.0,
        add_to: Array | None = None,
    ) -> Array: ...
    def activation_forward(self, z: Array, *, activation: str, parameter: float = 0.0) -> Array: ...
    def activation_backward(self, h: Array, dh: Array, *, activation: str, parameter: float = 0.0) -> Array: ...
    def dropout(self, x: Array, *, rate: float, seed: int, layer: int, step: int) -> Array: ...
    def add_scaled(self, factor: float, x: Array, y: Array) -> Array: ...
    def fill(self, value: float, n: int) -> Array: ...
    def update(
        self,
        w: Array,
        g: Array,
        state1: Array,
        state2: Array,
        *,
        rule: str,
        rate: float,
        beta1: float = 0.0,
        beta2: float = 0.0,
        epsilon: float = 0.0,
        correction1: float = 1.0,
        correction2: float = 1.0,
    ) -> tuple[Array, Array, Array]:
        """New (w, state1, state2)."""
    def softmax_forward(self, z: Array) -> Array: ...
    def softmax_backward(self, h: Array, dh: Array) -> Array: ...
    def gather_rows(self, x: Array, rows: Labels) -> Array: ...
    def gather_labels(self, labels: Labels, rows: Labels) -> Labels: ...
    def element_loss(
        self, p: Array, y: Array, *, loss: str, weight: Array | None = None, scale: float = 1.0
    ) -> tuple[Array, Array]:
        """(row_loss (B), dp (B, K))."""
    def cross_entropy(
        self,
        p: Array,
        y: Array | Labels,
        *,
        from_logits: bool = True,
        weight: Array | None = None,
        scale: float = 1.0,
    ) -> tuple[Array, Array]:
        """(row_loss (B), dp (B, K))."""
    def correct_rows(self, p: Array, y: Array | Labels, *, threshold: float = 0.0) -> Array: ...
    def column_sum(self, x: Array, *, add_to: Array | None = None) -> Array: ...
    def sum_squares(self, x: Array) -> float: ...

class Initializer:
    """How a parameter starts. `kind`: "constant" (value a), "uniform" (on [-a, a]), "normal" (standard deviation a).

    Fan-dependent kinds, where a is a gain g: "fan_in_uniform" on +-sqrt(3 g / fan_in), "fan_in_normal" with
    variance g / fan_in, "fan_avg_uniform" and "fan_avg_normal" the same with (fan_in + fan_out) / 2.
    He: fan_in, g = 2. Glorot: fan_avg, g = 1.
    """

    def __init__(self, kind: str, a: float) -> None: ...

class Layer: ...

class Dense(Layer):
    def __init__(
        self,
        units: int,
        activation: str,
        parameter: float,
        bias: bool,
        weight_init: Initializer,
        bias_init: Initializer,
    ) -> None:
        """h = g(x W + b), W (in, units). activation: any of activation_names(), or "softmax"."""

class ActivationLayer(Layer):
    def __init__(self, activation: str, parameter: float) -> None: ...

class Dropout(Layer):
    def __init__(self, rate: float) -> None: ...

class Loss:
    def value(self, p: Array, y: Array | Labels, weight: Array | None = None) -> tuple[float, Array]:
        """(loss of the batch, its gradient by p (B, K))."""

class SquaredError(Loss):
    def __init__(self, mean: bool, half: bool) -> None:
        """Sum over all elements of (p - y)^2, times 1/2 if half, over the number of elements if mean."""

class CrossEntropy(Loss):
    """Mean over rows. Targets: labels (B) int32, or probabilities (B, K)."""
    def __init__(self, from_logits: bool) -> None: ...

class BinaryCrossEntropy(Loss):
    """Mean over all elements. Targets: (B, K) of numbers in [0, 1]."""
    def __init__(self, from_logits: bool) -> None: ...

class Optimizer:
    """State for one network, made at its first step."""

    steps: int
    rate: float
    def step(self, network: Network) -> None: ...
    def state(self) -> list[Array]:
        """Views of the state arrays, each laid out as the arena; empty before the first step."""
    def restore(self, steps: int, state: Sequence[Array]) -> None: ...

class SGD(Optimizer):
    def __init__(self, rate: float) -> None: ...

class Momentum(Optimizer):
    def __init__(self, rate: float, beta: float, style: str) -> None:
        """style: "ema", "heavy_ball", "nesterov"."""

class Adam(Optimizer):
    def __init__(
        self, rate: float, beta1: float, beta2: float, epsilon: float, bias_correction: bool, epsilon_inside: bool
    ) -> None: ...

class Penalty:
    def value(self, network: Network) -> float:
        """The penalty of the network's parameters as they are now."""
    def add_gradient(self, network: Network) -> None:
        """Adds the penalty's gradient to network.gradients()."""

class L2(Penalty):
    def __init__(self, strength: float, biases: bool) -> None:
        """strength / 2 * sum of w^2 over weights (and biases if asked)."""

class LayerInfo(TypedDict):
    kind: str  # "Dense", "Activation", "Dropout"
    inputs: int
    outputs: int
    parameters: int

class Network:
    """The layers, their parameters in one arena, and the buffers of one step. Safe to call from several threads:
    one call at a time runs, the others wait without holding the interpreter lock."""
    def __init__(self, inputs: int, layers: Sequence[Layer], seed: int) -> None:
        """Allocates and initializes the parameters."""
    @property
    def inputs(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def seed(self) -> int: ...
    steps: int  # forward passes in training mode so far; counts the dropout masks
    def layers(self) -> list[LayerInfo]: ...
    def arena(self) -> Array:
        """All parameters: a writable flat view, padded between parameters with zeros."""
    def parameters(self) -> dict[str, Array]:
        """Writable views into the arena, by name: "0.weight" (in, out), "0.bias" (out)."""
    def gradients(self) -> dict[str, Array]:
        """Views of the gradients, by the same names; zeros before the first backward pass."""
    def forward(self, x: Array, training: bool) -> Array:
        """(B, inputs) to (B, outputs), a copy. Keeps what backward() needs; counts up `pass_number`."""
    @property
    def pass_number(self) -> int: ...
    def backward(self, dy: Array) -> None:
        """Adds to the gradients, from dy (B, outputs) of the last forward pass; ValueError where dy's shape differs.
        Only once for each forward pass, and only after training=True; RuntimeError otherwise."""
    def zero_grad(self) -> None: ...
    def layer_outputs(self) -> list[Array]:
        """Copies of every layer's output (B, outputs of the layer) in the last forward pass."""
    def predict(self, x: Array, out: Array | None = None) -> Array:
        """(N, inputs) to (N, outputs) in evaluation mode, in pieces; leaves the kept forward pass alone.
        x may be any layout; out, if given, must be writable, C-contiguous, (N, outputs)."""
    def step_bytes(self, batch_size: int) -> int:
        """Memory that a training step needs beside parameters, gradients and optimizer state."""
    def threads(self, batch_size: int) -> int:
        """Threads that a training step of that size would use now."""

class EpochRecord(TypedDict):
    finished: bool  # False where the loss stopped being finite
    loss: float  # data loss: the mean over rows, or the sum where the loss is a sum
    penalty: float  # penalty of the weights at the end of the epoch
    scores: dict[str, float]  # metric by name, mean over rows
    steps: int  # steps done
    rows: int  # rows seen
    seconds: float

class Fit:
    """One run of training: holds the data, walks whole epochs."""
    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        penalties: Sequence[Penalty],
        metrics: Sequence[str],  # "accuracy", "mae", "mse"
        x: Array,  # (N, inputs), C-contiguous
        y: Array | Labels,  # (N, K) or (N,) int32
        weight: Array | None,  # (N,)
        batch_size: int,
        shuffle: bool,
        drop_last: bool,
        seed: int,
        threshold: float,  # of binary accuracy: 0 for logits, 0.5 for probabilities
    ) -> None: ...
    @property
    def steps_per_epoch(self) -> int: ...
    def run(self, epoch: int, progress: Callable[[int, float], Any] | None = None) -> EpochRecord:
        """One epoch. Every 50 ms: handles signals (KeyboardInterrupt leaves a consistent network) and calls
        progress(steps done, mean loss so far); an exception from it ends the epoch and passes on."""

def evaluate(
    network: Network,
    loss: Loss,
    penalties: Sequence[Penalty],
    metrics: Sequence[str],
    x: Array,
    y: Array | Labels,
    weight: Array | None,
    threshold: float,
) -> EpochRecord: ...
