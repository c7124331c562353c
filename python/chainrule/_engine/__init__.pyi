"""The native core: what does not depend on the precision.

The submodules `float32` and `float64` hold the same names for either precision.
"""

from typing import Any, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

from . import float32 as float32
from . import float64 as float64

Whole = npt.NDArray[np.int32] | npt.NDArray[np.int64]
Csr = tuple[Whole, Whole, npt.NDArray[Any]]  # offsets, columns, values

class BuildInfo(TypedDict):
    version: str
    compiler: str
    threading: str  # "OpenMP 4.5", "std::thread"
    cuda: bool  # a CUDA table is compiled in
    sanitize: bool

class LayerInfo(TypedDict):
    kind: str  # "Dense", "Activation", "Dropout"
    inputs: int
    outputs: int
    parameters: int  # that are learned
    statistics: int  # that are kept beside them

class EpochRecord(TypedDict):
    finished: bool  # False where the loss stopped being finite
    loss: float  # data loss: the mean over rows, or the sum where the loss is a sum
    penalty: float  # penalty of the weights at the end of the epoch
    scores: dict[str, float]  # metric by name, mean over rows
    # (3, K), in double precision: rows of each class, rows predicted to be, both. (3, 0) unless asked for.
    class_counts: npt.NDArray[Any]
    steps: int  # steps done
    rows: int  # rows seen
    gradient_norm: float  # of the last update, with penalties, clipped; 0 in an evaluation
    seconds: float

EpochDone: TypeAlias = tuple[EpochRecord, float, bool]  # with the last step's rate; whether all is finite

class RunContent(TypedDict):
    arena: npt.NDArray[Any]
    states: list[npt.NDArray[Any]]  # of the optimizer
    passes: int
    updates: int
    rate: float

class GPU(TypedDict):
    name: str
    compute_capability: tuple[int, int]
    processors: int  # multiprocessors
    memory: int  # bytes
    free: int  # of them, now
    driver: tuple[int, int]  # the newest CUDA that it runs
    runtime: tuple[int, int]  # the CUDA that this package was built with

_c_engine: object  # a capsule with the table of chainrule/engine.h
_c_functions: dict[str, int]  # addresses: "tanh_float32", ...

def build_info() -> BuildInfo: ...
def isas() -> list[str]:
    """Instruction sets that this machine runs, best first, e.g. ["avx512", "avx2", "baseline"]."""

def isa() -> str:
    """The instruction set in use: the best one, or what CHAINRULE_ISA or set_isa chose."""

def set_isa(name: str) -> None:
    """Choose for networks made from now on; ValueError where this machine does not run it."""

def thread_limit() -> int: ...
def set_thread_limit(threads: int) -> None:
    """0 returns to the default (OMP_NUM_THREADS, affinity, threadpoolctl)."""

def own_thread_limit() -> int: ...
def set_own_thread_limit(threads: int) -> None:
    """Of what the calling thread starts, before the limit of the process; 0 for none."""

def work_per_thread() -> float: ...
def set_work_per_thread(work: float) -> None:
    """Floating-point operations a step must have for each further thread. Tests set it to 1."""

def resident_limit() -> int: ...
def set_resident_limit(bytes: int) -> None:
    """Data of a fit or an evaluation with more bytes stream in to a GPU, whatever it has free; at first 2^63 - 1."""

def shuffled_order(n: int, seed: int, epoch: int) -> npt.NDArray[np.int32]:
    """The order of rows 0..n-1 in an epoch."""

def philox(seed: int, purpose: int, layer: int, step: int, block: int) -> tuple[int, int, int, int]:
    """Four 32-bit words of the counted random numbers."""

def cuda_available() -> bool: ...
def cuda_trouble() -> str:
    """Why no GPU can be used, a sentence without its end; empty if one can."""

class DeviceArray:
    """An array of float32 or float64 in the GPU's memory, C-contiguous, which other libraries can use where it is."""

    @staticmethod
    def from_interface(array: object) -> DeviceArray:
        """From `__cuda_array_interface__`."""
    @staticmethod
    def from_dlpack(capsule: object) -> DeviceArray:
        """From what `__dlpack__()` gave; the capsule is used up."""
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def writable(self) -> bool: ...
    def __len__(self) -> int: ...
    def numpy(self) -> npt.NDArray[Any]:
        """A copy in the memory of this process."""
    def all_finite(self) -> bool:
        """Whether all numbers are finite, and none so large that the sum of all is not."""
    def first(self, rows: int) -> DeviceArray: ...
    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...
    def __dlpack__(self, **options: object) -> object: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

class SparseRows:
    """Rows of which only some elements are kept, the others being 0: copies of the arrays of a CSR matrix, checked."""

    def __init__(self, offsets: Whole, columns: Whole, values: npt.NDArray[Any], cols: int) -> None:
        """Row i has values[e] in column columns[e], for e from offsets[i] to offsets[i + 1].

        ValueError where offsets fall, a column is not below cols, a value is not finite, or an array is too short.
        """
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __len__(self) -> int: ...
    def first(self, rows: int) -> SparseRows:
        """The first rows, not copied."""
    def take(self, rows: npt.NDArray[np.int32]) -> SparseRows:
        """Copies of the rows of these numbers."""
    def arrays(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[Any]]:
        """Copies of offsets, columns and values."""

class Initializer:
    """How a parameter starts. `kind`: "constant" (value a), "uniform" (on [-a, a]), "normal" (standard deviation a).

    Fan-dependent kinds, where a is a gain g: "fan_in_uniform" on +-sqrt(3 g / fan_in), "fan_in_normal" with
    variance g / fan_in, "fan_avg_uniform" and "fan_avg_normal" the same with (fan_in + fan_out) / 2.
    He: fan_in, g = 2. Glorot: fan_avg, g = 1.
    """

    def __init__(self, kind: str, a: float) -> None: ...

class Constraint:
    """What each unit's incoming weights must obey after an update: "max_norm", "unit_norm", "non_negative"."""

    def __init__(self, kind: str, limit: float) -> None: ...

class ImageChanges:
    """What may happen to pictures; csrc/formulas/images.h."""

    def __init__(
        self,
        height: int,
        width: int,
        channels: int,
        flip_horizontal: bool,
        flip_vertical: bool,
        max_turns: float,
        max_shift: int,
        max_zoom: float,
        fill: float,
    ) -> None: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def flip_horizontal(self) -> bool: ...
    @property
    def flip_vertical(self) -> bool: ...
    @property
    def max_turns(self) -> float: ...
    @property
    def max_shift(self) -> int: ...
    @property
    def max_zoom(self) -> float: ...
    @property
    def fill(self) -> float: ...

class NoiseChanges:
    """x + deviation * N(0, 1)."""

    def __init__(self, deviation: float) -> None: ...

def cuda_about() -> GPU | None: ...
def activation_names() -> list[str]: ...
