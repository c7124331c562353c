"""Layers in native code: a table of functions (chainrule/layer.h) in a capsule, described for a network.

A layer computes each row for itself and learns one array, or nothing. What mixes rows, counts statistics along or draws
random numbers is no layer of this kind. The GPU runs none. Nothing here compiles: examples/native/ has a project.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from . import checks
from ._engine import float32, float64
from .activations import ActivationFunction, Identity
from .custom import OfFunctions, checked_name
from .layer import Layer, Shapes

if TYPE_CHECKING:
    import numpy.typing as npt

    from ._engine.float32 import NativeLayer

    Array = npt.NDArray[Any]

ENGINES: dict[str, ModuleType] = {"float32": float32, "float64": float64}
# How far a derivative may be from its difference quotient, as `check_gradients` measures it: with the default step in
# float64 both are right to 1e-8; what is left is for functions that are only some digits exact.
MOST_ERROR = 1e-5


@dataclass(frozen=True, eq=False)
class CustomLayer(OfFunctions, Layer):
    """A layer of your own in native code: h = f(x; w), at the engine's speed, on all threads, without Python's lock.

    Its functions stand in a table that `chainrule/layer.h` declares; `chainrule/layer.hpp` makes one of a class in C++.
    The table comes in a capsule named after its precision and the header's version, so that what was built against
    another header is refused. What it learns is one array of numbers, "0.parameter" (n,), which weight penalties do
    not count.

    When the object is made, its gradients are compared with central differences in float64.

    Parameters
    ----------
    tables : capsule, or sequence of capsules
        One for each precision of the networks that it is to stand in; one must be for float64.
    inputs : int, default 5
        Columns of x to try it with.
    name : str, default "CustomLayer"
        For tables and messages.
    has_kinks : bool, default False
        Whether the derivative jumps somewhere: what `check_gradients` must know.

    Raises
    ------
    TypeError
        If `tables` are no capsules.
    ValueError
        If one is of another kind or version, the layer does not take `inputs` columns, there is none for float64, or a
        gradient is not that of the function.
    """

    tables: Any
    _: KW_ONLY
    inputs: int = 5
    name: str = "CustomLayer"
    has_kinks: bool = False

    def __post_init__(self) -> None:
        """Check the options, and try the layer."""
        checks.option(self, "inputs", checks.whole)
        checks.option(self, "name", checked_name)
        checks.option(self, "has_kinks", checks.flag)
        given = list(self.tables) if isinstance(self.tables, (list, tuple)) else [self.tables]
        found: dict[str, tuple[Any, ...]] = {}
        for number, one in enumerate(given):
            if type(one).__name__ != "PyCapsule":
                raise TypeError(f"tables[{number}] must be a capsule with a table of layer.h; got {checks.shown(one)}")
            dtype = next((dtype for dtype in ENGINES if f".{dtype}." in repr(one)), "float64")
            ENGINES[dtype].NativeLayer(one)  # refuses what is of another kind or version
            found[dtype] = (one,)
        if "float64" not in found:
            raise ValueError("tables must have one for float64, in which the layer's gradients are checked")
        object.__setattr__(self, "found", found)
        self.check_gradients()

    def check_gradients(self) -> None:
        """Raise ValueError where a gradient is not that of the function."""
        from .affine import Dense
        from .gradients import check_gradients
        from .network import Network

        # A layer below, whose gradient tells of dx, and outputs far from the targets.
        net = Network([Dense(self.inputs, activation="tanh"), self], inputs=self.inputs, seed=1, dtype="float64")
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(7, self.inputs)), 3 + rng.normal(size=(7, net.outputs))
        error = check_gradients(net, x, y, loss="mse").max_error
        if not error <= MOST_ERROR:
            raise ValueError(
                f"the gradients of {self.title()} are not those of central differences: they differ by {error:.2g} of "
                "their size, by x (seen in 0.weight, a layer below) or by what the layer learns (1.parameter)"
            )

    def core(self) -> NativeLayer:
        """Return the engine's layer in float64, to ask."""
        return self.build(float64)

    def outputs(self, inputs: int) -> int:
        """Return how many outputs the layer has for so many inputs; ValueError where it cannot take so many."""
        return self.core().outputs(inputs)

    def parameter_shapes(self, inputs: int) -> Shapes:
        """Return {"parameter": (n,)}, or nothing where the layer learns nothing."""
        learned = self.core().learned(inputs)
        return {"parameter": (learned,)} if learned else {}

    def activation_function(self) -> ActivationFunction:
        """Return the identity: any number may come out."""
        return Identity()

    def label(self) -> str:
        """Name the layer."""
        return self.name

    def has_kink(self) -> bool:
        """Return whether the derivative jumps somewhere."""
        return self.has_kinks

    def build(self, engine: ModuleType) -> NativeLayer:
        """Return the engine's object."""
        (table,) = self.of_engine(engine)
        built: NativeLayer = engine.NativeLayer(table)
        return built

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled."""
        raise self.stays()
