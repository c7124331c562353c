"""The engine in one precision. `float64.pyi` says the same with float64."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import Constraint, Csr, DeviceArray, EpochRecord, ImageChanges, Initializer, LayerInfo, NoiseChanges, RunContent
from . import SparseRows as SparseRows

Array = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]

class Kernels:
    """THE LIST, one method an operation; names and arguments as in chainrule.reference. For tests and the curious.

    `isa` is that of the table, or "cuda" for the GPU's: it works on copies there, and threads mean nothing to it.
    In single precision, "cuda-tf32" and "cuda-bfloat16" are the GPU's with products on tensor cores, factors rounded.
    """

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
        slope_at: Array | None = None,
        add_to: Array | None = None,
        out: Array | None = None,
    ) -> Array: ...
    def register_ceiling(self, seconds: float) -> float: ...
    def sparse_product(
        self,
        s: Csr,
        w: Array,
        *,
        rows: Labels | None = None,
        bias: Array | None = None,
        activation: str = "identity",
        parameter: float = 0.0,
    ) -> Array: ...
    def sparse_gradient(
        self, s: Csr, dz: Array, *, inputs: int, rows: Labels | None = None, add_to: Array | None = None
    ) -> Array: ...
    def matmul_seconds(
        self, m: int, n: int, k: int, *, transpose_a: bool = False, transpose_b: bool = False, rounds: int = 1
    ) -> float: ...
    def activation_forward(self, z: Array, *, activation: str, parameter: float = 0.0) -> Array: ...
    def activation_backward(self, h: Array, dh: Array, *, activation: str, parameter: float = 0.0) -> Array: ...
    def dropout(
        self,
        x: Array,
        *,
        rate: float = 0.0,
        count: int = -1,
        same: bool = False,
        scale: float,
        seed: int,
        layer: int,
        step: int,
    ) -> Array: ...
    def add_noise(self, x: Array, *, deviation: float, seed: int, layer: int, step: int) -> Array: ...
    def add_scaled(self, factor: float, x: Array, y: Array) -> Array: ...
    def scale(self, factor: float, x: Array) -> Array: ...
    def multiply(self, x: Array, factors: Array) -> Array: ...
    def clip(self, limit: float, x: Array) -> Array: ...
    def clip_norm(self, limit: float, squares: float, g: Array) -> Array: ...
    def soft_threshold(self, threshold: float, x: Array) -> Array: ...
    def fill(self, value: float, n: int) -> Array: ...
    def update(
        self,
        w: Array,
        g: Array,
        state1: Array,
        state2: Array,
        state3: Array,
        *,
        rule: str,
        rate: float,
        beta1: float = 0.0,
        beta2: float = 0.0,
        epsilon: float = 0.0,
        correction1: float = 1.0,
        correction2: float = 1.0,
        gain: float = 1.0,
        memory: float = 0.0,
        fresh: float = 1.0,
        shrink: float = 0.5,
        grow: float = 1.2,
        least: float = 0.0,
        most: float = 0.0,
        keep: float = 1.0,
    ) -> tuple[Array, Array, Array, Array]: ...  # new (w, state1, state2, state3)
    def softmax_forward(self, z: Array) -> Array: ...
    def softmax_backward(self, h: Array, dh: Array) -> Array: ...
    def max_pieces_forward(self, z: Array, *, pieces: int) -> Array: ...
    def max_pieces_backward(self, z: Array, dh: Array) -> Array: ...
    def gather_rows(self, x: Array, rows: Labels) -> Array: ...
    def gather_labels(self, labels: Labels, rows: Labels) -> Labels: ...
    def noise_rows(self, x: Array, rows: Labels, *, deviation: float, seed: int, place: int, epoch: int) -> Array: ...
    def augment_images(
        self, x: Array, rows: Labels, changes: ImageChanges, *, seed: int, place: int, epoch: int
    ) -> Array: ...
    def shuffled_order(self, n: int, seed: int, epoch: int) -> Labels: ...
    def column_moments(self, x: Array) -> tuple[Array, Array]: ...  # (mean (d), variance (d))
    def normalize_forward(
        self, x: Array, mean: Array, variance: Array, gamma: Array, beta: Array, *, epsilon: float
    ) -> Array: ...
    def normalize_backward(
        self,
        x: Array,
        mean: Array,
        variance: Array,
        gamma: Array,
        dh: Array,
        *,
        epsilon: float,
        moments_of_x: bool = True,
        add_to: tuple[Array, Array] | None = None,
    ) -> tuple[Array, Array, Array]:
        """(dx (B, d), dgamma (d), dbeta (d)); add_to: (dgamma, dbeta) that are added to."""
    def constrain_columns(self, w: Array, *, constraint: str, limit: float = 1.0) -> Array: ...
    def element_loss(
        self, p: Array, y: Array, *, loss: str, parameter: float = 0.0, weight: Array | None = None, scale: float = 1.0
    ) -> tuple[Array, Array]: ...  # (row_loss (B), dp (B, K))
    def cross_entropy(
        self,
        p: Array,
        y: Array | Labels,
        *,
        from_logits: bool = True,
        smoothing: float = 0.0,
        weight: Array | None = None,
        scale: float = 1.0,
    ) -> tuple[Array, Array]: ...  # (row_loss (B), dp (B, K))
    def correct_rows(self, p: Array, y: Array | Labels, *, k: int = 1, threshold: float = 0.0) -> Array: ...
    def count_classes(
        self,
        p: Array,
        y: Array | Labels,
        counts: npt.NDArray[Any],
        *,
        exclusive: bool = True,
        threshold: float = 0.0,
    ) -> npt.NDArray[Any]: ...  # counts (3, K), which are in double precision, + those of these rows
    def column_sum(self, x: Array, *, add_to: Array | None = None) -> Array: ...
    def penalty_sum(self, w: Array, *, term: str, power: float = 0.0) -> float: ...
    def accumulate(self, x: Array, factor: float, total: float) -> float: ...  # total + factor * the sum of x
    def sum_up(self, blocks: npt.NDArray[Any]) -> float: ...  # of blocks in double precision
    def penalty_gradient(
        self, factor: float, w: Array, g: Array, *, term: str, power: float = 0.0, sum: float | None = None
    ) -> Array:
        """g + factor * the derivative of the term at w; with a sum, times the derivative of the term's root there."""

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
        connections: Array | None,
        constraint: Constraint | None,
    ) -> None:
        """h = g(x W + b), W (in, units). activation: any of activation_names(), or "softmax".

        connections (in, units): 1 where there is one, 0 where W stays 0.
        """

class DropConnect(Layer):
    def __init__(
        self,
        units: int,
        activation: str,
        parameter: float,
        bias: bool,
        weight_init: Initializer,
        bias_init: Initializer,
        rate: float,
        classic: bool,
        constraint: Constraint | None,
    ) -> None:
        """Dense with a new mask on W each step: W * mask / (1 - rate); classic: W * mask, and (1 - rate) W predicts."""

class Maxout(Layer):
    def __init__(
        self,
        units: int,
        pieces: int,
        bias: bool,
        weight_init: Initializer,
        bias_init: Initializer,
        constraint: Constraint | None,
    ) -> None:
        """h = max over pieces of x W + b, W (in, pieces * units): unit j has the columns j, units + j, ..."""

class BatchNorm(Layer):
    def __init__(self, epsilon: float, momentum: float) -> None:
        """Parameters gamma and beta (in), statistics running_mean and running_variance (in)."""

class Standardize(Layer):
    def __init__(self) -> None:
        """Statistics mean and inverse_scale (in), which it is given: h = (x - mean) * inverse_scale."""

class ActivationLayer(Layer):
    def __init__(self, activation: str, parameter: float) -> None: ...

class NativeActivation(Layer):  # of addresses of functions; chainrule/native.h
    def __init__(self, forward: int, forward_user: int, backward: int, backward_user: int, owner: object) -> None: ...

class PythonActivation(Layer):
    def __init__(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None: ...

class NativeLayer(Layer):
    def __init__(self, table: object) -> None: ...  # a capsule with a table of chainrule/layer.h
    def outputs(self, inputs: int) -> int: ...
    def learned(self, inputs: int) -> int: ...  # numbers that it learns

class Dropout(Layer):
    def __init__(self, rate: float, variant: str, per_batch: bool) -> None:
        """variant: "inverted", "classic", "fixed_count" (round(rate * width) of each row, scaled as inverted)."""

class GaussianNoise(Layer):
    def __init__(self, deviation: float) -> None: ...

class Loss:
    def value(self, p: Array, y: Array | Labels, weight: Array | None = None) -> tuple[float, Array]:
        """(loss of the batch, its gradient by p (B, K))."""

class ElementwiseLoss(Loss):
    """A loss of single elements. Targets: numbers (B, K)."""
    def __init__(self, formula: str, parameter: float, factor: float, reduction: str) -> None:
        """factor * sum of the formula over all elements; over B K if reduction is "mean", over B if "mean_rows".

        formula: any of reference.ELEMENT_LOSSES; parameter: what it takes.
        """

class NativeLoss(Loss):
    def __init__(self, function: int, user: int, owner: object, reduction: str) -> None: ...

class PythonLoss(Loss):
    def __init__(self, function: Callable[..., Any], reduction: str) -> None: ...

class CrossEntropy(Loss):
    """Targets: labels (B) int32, or probabilities (B, K)."""
    def __init__(self, from_logits: bool, smoothing: float, reduction: str) -> None: ...  # "mean" (over rows), "sum"

class Schedule: ...

class TimeDecay(Schedule):
    def __init__(self, rate: float, decay: float, per_epoch: bool) -> None:
        """rate / (1 + decay t); t counts whole epochs, or steps."""

class StepDecay(Schedule):
    def __init__(self, rate: float, drop: float, every: float, floor: bool, per_epoch: bool) -> None:
        """rate * drop^(t / every), the exponent rounded down if floor."""

class ExponentialDecay(Schedule):
    def __init__(self, rate: float, decay: float, per_epoch: bool) -> None: ...  # rate * exp(-decay t)

class CosineDecay(Schedule):
    def __init__(self, rate: float, length: float, warmup: float, end: float, per_epoch: bool) -> None:
        """Of step x, all lengths in steps: rate (x + 1) / warmup before x = warmup, then
        end + (rate - end) / 2 * (1 + cos(pi (x - warmup) / (length - warmup))), and end from x = length on.
        per_epoch: length and warmup count epochs."""

class OneCycle(Schedule):
    def __init__(self, rate: float, length: float, rise: float, start: float, end: float, per_epoch: bool) -> None:
        """Half cosines from `start` up to `rate` at step rise * length - 1, and to `end` from step length - 1 on."""

class Optimizer:
    """State for one network, made at its first step."""

    steps: int
    rate: float  # of the next step; with a schedule, of the last one
    def configure(
        self,
        schedule: Schedule | None,
        layer_rates: dict[int, float],
        clip_norm: float,
        clip_value: float,
        decay: float,
        decay_biases: bool,
    ) -> None:
        """layer_rates: factors of the rate, by layer. clip_norm, clip_value: 0 for none. decay: decoupled."""
    def step(self, network: Network, epoch: float = 0.0) -> None:
        """One update by network.gradients(). epoch: how many epochs are over, for a schedule that counts them."""
    def state(self) -> list[Array]:
        """Views of the state arrays, each laid out as the arena; empty before the first step. On the GPU copies."""
    def restore(self, steps: int, state: Sequence[Array]) -> None: ...

class RuleOptimizer(Optimizer):
    """One of reference.UPDATE_RULES, with the numbers that it names; 0 for the others."""
    def __init__(
        self, rate: float, rule: str, beta1: float, beta2: float, epsilon: float, bias_correction: bool
    ) -> None: ...

class Momentum(Optimizer):
    def __init__(self, rate: float, beta: float, style: str) -> None:
        """style: "heavy_ball", "ema", "nesterov", "torch_dampening"."""

class Rprop(Optimizer):
    def __init__(self, rate: float, shrink: float, grow: float, least: float, most: float) -> None:
        """rate: the first step size; least and most: bounds of a step."""

class NAdam(Optimizer):
    def __init__(
        self,
        rate: float,
        beta1: float,
        beta2: float,
        epsilon: float,
        momentum_decay: float,
        bias_correction: bool,
        epsilon_inside: bool,
    ) -> None: ...

class Penalty:
    """`data_rows` is m, the rows of the training set; `batch_rows` those of the batch at hand."""
    def value(self, network: Network, data_rows: int, batch_rows: int) -> float: ...  # of the parameters as they are
    def add_gradient(self, network: Network, data_rows: int, batch_rows: int) -> None: ...  # to network.gradients()
    def before_step(self, network: Network, rate: float, data_rows: int, batch_rows: int) -> None:
        """What a step does to the parameters before its update: decoupled decay."""
    def after_step(self, network: Network, rate: float, data_rows: int, batch_rows: int) -> None:
        """What a step does to the parameters after its update: the soft threshold."""

class PowerPenalty(Penalty):
    """Sum over weights and biases of strength * factor / rows * |w|^p, and its gradient."""
    def __init__(
        self,
        term: str,
        power: float,
        weights: float,
        biases: float,
        factor: float,
        per: str,
        true_norm: bool,
        layers: Sequence[int] | None,
    ) -> None:
        """term: any of reference.PENALTY_TERMS; per: "one" (rows = 1), "data", "batch"; true_norm: the p-th root of the
        sum; layers: which layers' parameters, all if None."""

class DecoupledDecay(Penalty):
    """w <- w - rate * 2 * strength * factor / rows * w before the update; raw: without the rate. Its value is 0."""
    def __init__(
        self, weights: float, biases: float, factor: float, per: str, raw: bool, layers: Sequence[int] | None
    ) -> None: ...

class ProximalL1(Penalty):
    """The value of an L1 penalty, and no gradient. After the update:
    w <- sign(w) max(|w| - rate * strength * factor / rows, 0)."""

    def __init__(
        self, weights: float, biases: float, factor: float, per: str, layers: Sequence[int] | None
    ) -> None: ...

class Network:
    """The layers, their parameters in one arena, and the buffers of one step. Safe to call from several threads:
    one call at a time runs, the others wait without holding the interpreter lock."""
    def __init__(self, inputs: int, layers: Sequence[Layer], seed: int, device: str = "cpu") -> None:
        """Allocates and initializes the parameters, on the "cpu" or, with "cuda", the GPU."""
    @property
    def inputs(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def seed(self) -> int: ...
    steps: int  # forward passes in training mode so far; counts the dropout masks
    def layers(self) -> list[LayerInfo]: ...
    def is_finite(self) -> bool: ...  # all parameters and statistics, and the sum of their sizes
    # The views of the next four are writable; on the GPU there are read-only copies in their place.
    def arena(self) -> Array:
        """All parameters: a flat view, padded between parameters with zeros."""
    def parameters(self) -> dict[str, Array]:
        """Views into the arena of what is learned, by name: "0.weight" (in, out), "0.bias" (out)."""
    def statistics(self) -> dict[str, Array]:
        """Views into the arena of what is kept beside: "1.running_mean" (in), "1.running_variance" (in)."""
    def set_trainable(self, trainable: Sequence[bool]) -> None:
        """Whether each layer learns, as at first all do. Of one that does not, the gradients are zero, and a BatchNorm
        uses its running statistics."""
    def gradients(self) -> dict[str, Array]:
        """Views of the gradients, by the same names; zeros before the first backward pass."""
    def set_arena(self, arena: Array) -> None: ...
    def assign(self, state: dict[str, Array]) -> None:
        """Sets parameters and statistics at once; ValueError, and nothing set, for an unknown name or another shape."""
    def forward(self, x: Array | SparseRows, training: bool) -> Array:
        """(B, inputs) to (B, outputs), a copy. Keeps what backward() needs; counts up `pass_number`."""
    @property
    def pass_number(self) -> int: ...
    def backward(self, dy: Array) -> None:
        """Adds to the gradients, from dy (B, outputs). Once after each forward pass in training, else RuntimeError."""
    def zero_grad(self) -> None: ...
    def layer_outputs(self) -> list[Array]:
        """Copies of every layer's output (B, outputs of the layer) in the last forward pass."""
    def predict(self, x: Array | SparseRows, out: Array | None = None) -> Array:
        """(N, inputs) to (N, outputs) in evaluation mode, in pieces; out: writable, C-contiguous, (N, outputs)."""
    def predict_there(self, x: DeviceArray, out: DeviceArray | None = None) -> DeviceArray:
        """predict() of rows that lie on the network's GPU, as the result does then."""
    def state_there(self) -> dict[str, DeviceArray]:
        """Parameters and statistics where they lie on the GPU; ValueError for a network on the CPU."""
    def gradients_there(self) -> dict[str, DeviceArray]: ...
    def handle(self) -> object: ...  # a capsule for chainrule/engine.h
    def predictor(self) -> Callable[[object, object], Array | None]:
        """A function of x and out that does what predict() does where both can be taken as they are: arrays of NumPy's
        own class, of this precision, C-contiguous, of the right shapes, x finite, and apart. None for all others."""
    def takes_narrow_steps(self, loss: Loss) -> bool:
        """Whether the network's device takes forward pass, loss and backward pass of a step of training as one."""
    def step_bytes(self, batch_size: int) -> int:
        """Memory that a training step needs beside parameters, gradients and optimizer state."""
    def kept_bytes(self, batch_size: int) -> list[int]:
        """What a training step keeps of each layer for the way back: its output, and what it writes down besides."""
    def threads(self, batch_size: int) -> int:
        """Threads that a training step of that size would use now."""

class Fit:
    """One run of training: holds the data, walks whole epochs."""
    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        penalties: Sequence[Penalty],
        metrics: Sequence[str],  # "accuracy", "top_5_accuracy" (any k from 2 on), "mae", "mse"; "class_counts"
        x: Array | DeviceArray | SparseRows,  # (N, inputs), C-contiguous
        y: Array | Labels,  # (N, K) or (N,) int32
        weight: Array | None,  # (N,)
        batch_size: int,
        shuffle: bool,
        drop_last: bool,
        seed: int,
        threshold: float,  # of a yes: 0 for logits, 0.5 for probabilities
        augment: Sequence[ImageChanges | NoiseChanges] = (),
    ) -> None: ...
    @property
    def steps_per_epoch(self) -> int: ...
    @property
    def streams(self) -> bool: ...  # whether the data have no room where the network is
    @property
    def walks_sparse(self) -> bool: ...  # whether given as sparse rows, or kept as such since most numbers are 0
    def run(self, epoch: int, progress: Callable[[int, float], Any] | None = None) -> EpochRecord: ...
    def run_epochs(self, epoch: int, count: int, last: RunState, before: RunState, unkept: int | None) -> None:
        """Whole epochs: `count`, or as many as begin within 50 ms, or up to one with a number that is not finite. After
        each, but number `unkept` and a bad one, the state goes to `last`, and what that had to `before`."""
    def records(self) -> list[tuple[EpochRecord, float, bool]]:
        """Of the last run_epochs, or what an exception left of it: with the last step's rate; whether all is finite."""
    def begin(self, epoch: int, steps: int = 0, totals: Sequence[float] = (), seconds: float = 0.0) -> None:
        """Start an epoch; after the steps that `so_far` told of, where there are any."""
    def advance(self, end: int, progress: Callable[[int, float], Any] | None = None) -> bool:
        """Go up to step `end`, or to the end of the epoch; return whether it is over. Every 50 ms: handles signals and
        calls progress(steps done, mean loss so far); an exception from either leaves the network after a step."""
    def so_far(self) -> tuple[int, list[float], float]: ...  # steps done, what they added up, seconds
    def record(self) -> EpochRecord: ...

class Evaluation:
    """Loss, penalty and metrics on data that it holds, in evaluation mode."""
    def __init__(
        self,
        network: Network,
        loss: Loss,
        penalties: Sequence[Penalty],
        metrics: Sequence[str],
        x: Array | DeviceArray | SparseRows,
        y: Array | Labels,
        weight: Array | None,
        threshold: float,
        penalty_rows: int,  # m and the rows of a batch for the penalties: 0 for the rows of x
        penalty_batch: int,
    ) -> None: ...
    def run(self) -> EpochRecord: ...

class RunState:
    """A run at one moment, kept where the network is; with an optimizer all that it takes to go on from there."""
    def __init__(self, network: Network, optimizer: Optimizer | None = None) -> None: ...
    def keep(self) -> None: ...
    def restore(self) -> None: ...
    def is_here(self) -> bool: ...  # whether the network has the parameters that were kept
    def content(self) -> RunContent: ...  # what was kept, copied
    def take(self, arena: Array, states: Sequence[Array], passes: int, updates: int, rate: float) -> None: ...

def augment(
    x: Array, changes: Sequence[ImageChanges | NoiseChanges], seed: int, epoch: int, rows: Labels | None = None
) -> Array: ...  # rows as a fit on the CPU has them in an epoch; numbered 0, 1, ... unless `rows` says how
