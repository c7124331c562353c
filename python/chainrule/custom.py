"""Activations and losses made of functions of one's own: native ones, at the engine's speed, or Python's, the slow way.

They are tried out when they are described (custom_checks.py); what a native function may look like is in native.py. The
GPU runs none of them. Nothing here compiles: examples/native/ shows how Numba, Cython and C++ do.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, custom_checks, data, native
from ._engine import float32
from .activations import ActivationFunction
from .loss import Loss
from .native import Function, NativeFunction

if TYPE_CHECKING:
    import numpy.typing as npt

    from ._engine.float32 import Layer as CoreLayer
    from ._engine.float32 import Loss as CoreLoss
    from .network import Network

    Array = npt.NDArray[Any]

# A row of the gradient that nobody needs must fit into the engine's memory for it (csrc/nn/losses/native_loss.h).
MOST_OUTPUTS = 131_072


class OfFunctions:
    """What activations, losses and layers share: functions by precision, which stay in this process. Nothing itself."""

    name: str | None
    found: dict[str, tuple[Any, ...]]

    def title(self) -> str:
        """Name the object for a message."""
        return f"{type(self).__name__} {self.name!r}"

    def keep(self, kinds: tuple[str, ...]) -> None:
        """Find the functions of the options `kinds`, each for the same precisions, and settle the name."""
        by_kind = {kind: functions(kind, getattr(self, kind), kind) for kind in kinds}
        first = by_kind[kinds[0]]
        for kind, one in by_kind.items():
            if one.keys() != first.keys() or is_python(one) != is_python(first):
                raise ValueError(
                    f"{kinds[0]} and {kind} must be functions of one kind, for the same precisions; {kinds[0]} is for "
                    f"{described(first)}, {kind} for {described(one)}"
                )
        if self.name is None:
            object.__setattr__(self, "name", name_of(next(iter(first.values()))))
        checks.option(self, "name", checked_name)
        object.__setattr__(self, "found", {dtype: tuple(one[dtype] for one in by_kind.values()) for dtype in first})

    def of_engine(self, engine: ModuleType) -> tuple[Any, ...]:
        """Return the functions for an engine; ValueError where there are none for its precision."""
        dtype = "float32" if engine is float32 else "float64"
        if dtype not in self.found:
            raise ValueError(
                f"{self.title()} has functions for {next(iter(self.found))} alone, and the network is of {dtype}: give "
                "a function for each precision, in a list"
            )
        return self.found[dtype]

    def key(self) -> tuple[object, ...]:
        """Return what makes an equal object: the functions found, and the options."""
        options = [getattr(self, one.name) for one in fields(self) if one.kw_only]  # type: ignore[arg-type]
        return type(self), *self.found.items(), *options

    def __eq__(self, other: object) -> bool:
        """Return whether the other one has the same functions and options."""
        return isinstance(other, OfFunctions) and self.key() == other.key()

    def __hash__(self) -> int:
        """Return a hash of the functions and options; ctypes' functions have none themselves."""
        return hash(self.key())

    def __copy__(self) -> Any:
        """Return the object itself: it does not change."""
        return self

    def __deepcopy__(self, memo: object) -> Any:
        """Return the object itself: native functions cannot be copied, and need not be."""
        return self

    def stays(self) -> TypeError:
        """Return why it cannot be pickled, where its functions are native."""
        return TypeError(
            f"{self.title()} cannot be pickled: its functions are addresses in this process. Describe it anew in the "
            "other one; weights go there as net.state_dict()"
        )

    def check_can_leave(self) -> None:
        """Raise TypeError unless its functions are Python's."""
        if not all(callable(one) for one in next(iter(self.found.values()))):
            raise self.stays()


def functions(argument: str, value: object, kind: str) -> dict[str, Function]:
    """Return functions by dtype: native ones for their precisions, a Python function for both."""
    several = type(value) in (list, tuple)  # a LowLevelCallable is a tuple too
    given = list(value) if several else [value]  # type: ignore[call-overload]
    if not given:
        raise ValueError(f"{argument} must be a function, or one for each precision; got none")
    found: dict[str, Function] = {}
    for number, one in enumerate(given):
        where = f"{argument}[{number}]" if several else argument
        function = native.found(where, one, kind)
        if function is None:
            if several:
                raise TypeError(f"{where} is a Python function, which serves both precisions: give it alone")
            return dict.fromkeys(native.PRECISIONS, one)
        if function.dtype in found:
            raise ValueError(f"{where} is a second function for {function.dtype}")
        found[function.dtype] = function
    return found


def is_python(found: dict[str, Function]) -> bool:
    """Return whether the functions are Python's."""
    return not isinstance(next(iter(found.values())), NativeFunction)


def described(found: dict[str, Function]) -> str:
    """Say what functions are for."""
    return " and ".join(found) + (", in Python" if is_python(found) else "")


def name_of(function: Function) -> str:
    """Return what a function is called."""
    if isinstance(function, NativeFunction):
        return function.name
    return str(getattr(function, "__name__", type(function).__name__))


def checked_name(argument: str, value: object) -> str:
    """Return a name."""
    if not isinstance(value, str) or not value:
        raise TypeError(f"{argument} must be a string; got {checks.shown(value)}")
    return value


def checked_domain(argument: str, value: object) -> tuple[float, float]:
    """Return two numbers, the first below the second."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{argument} must be two numbers (low, high); got {checks.shown(value)}")
    low = checks.number(f"{argument}[0]", value[0])
    return low, checks.number(f"{argument}[1]", value[1], above=low)


@dataclass(frozen=True, eq=False)
class CustomActivation(OfFunctions, ActivationFunction):
    """An activation by functions of your own, to stand in a layer `Activation(custom)`: h = g(z), dz = dh g'(z).

    Native functions work at the engine's speed, on all threads, without Python's lock. They see arrays of n elements in
    any number of blocks, and must compute each element for itself (chainrule/native.h)::

        void forward (ptrdiff_t n, const T *z, T *h, void *user);
        void backward(ptrdiff_t n, const T *z, const T *h, const T *dh, T *dz, void *user);

    T is float or double. A function is Numba's `@cfunc`, a capsule that Cython exports (`module.__pyx_capi__["name"]`),
    a function pointer of ctypes with its types, or a `scipy.LowLevelCallable`, whose user data is `user`; each knows
    its signature, which is checked. It must neither raise nor call Python.

    Python functions are the slow way: `forward(z)` and `backward(z, h, dh)` get copies of the arrays, (B, units), and
    return a new one of the same shape and dtype. One thread does the whole step then. What they raise comes out of the
    fit or the prediction; the network cannot be used within them.

    What is given is tried when the object is made: at 0, 1, 7 and 1000 points of `domain`, in another order and by
    halves, and its derivative against difference quotients.

    Parameters
    ----------
    forward, backward : function, or sequence of functions
        One for each precision of the networks that it is to stand in.
    name : str, optional
        For messages; by default what `forward` is called.
    has_kink : bool, default False
        Whether the derivative jumps somewhere: what `check_gradients` must know.
    domain : tuple of two floats, default (-10, 10)
        Between which z the functions are tried.

    Raises
    ------
    TypeError
        If a function has another signature, or a Python function returns something else than an array of its dtype.
    ValueError
        If a result is not finite, an element depends on its neighbours, an array is written to that is not for that, or
        `backward` is not the derivative: the message has z, what backward gives, and the central difference there.
    """

    word = "custom"
    needs_layer = True
    forward: Any
    backward: Any
    _: KW_ONLY
    name: str | None = None
    has_kink: bool = False  # type: ignore[misc]
    domain: tuple[float, float] = (-10.0, 10.0)

    def __post_init__(self) -> None:
        """Check the options, and try the functions."""
        checks.option(self, "has_kink", checks.flag)
        checks.option(self, "domain", checked_domain)
        self.keep(("forward", "backward"))
        ways = {
            dtype: (custom_checks.forward_of(forward, dtype), custom_checks.backward_of(backward, dtype))
            for dtype, (forward, backward) in self.found.items()
        }
        for dtype, (forward, backward) in ways.items():
            custom_checks.check_activation(forward, backward, dtype, self.domain)
        if len(ways) == len(native.PRECISIONS):
            custom_checks.check_agreement(ways["float32"], ways["float64"], self.domain)

    def layer(self, engine: ModuleType) -> CoreLayer:
        """Return the engine's layer."""
        forward, backward = self.of_engine(engine)
        built: CoreLayer
        if isinstance(forward, NativeFunction) and isinstance(backward, NativeFunction):
            owner = (forward.owner, backward.owner)
            built = engine.NativeActivation(forward.address, forward.user, backward.address, backward.user, owner)
        else:
            built = engine.PythonActivation(forward, backward)
        return built

    def __reduce__(self) -> tuple[Any, ...]:
        """Let pickle make it again, where its functions are Python's and can be imported."""
        self.check_can_leave()
        made = partial(CustomActivation, name=self.name, has_kink=self.has_kink, domain=self.domain)
        return made, (self.forward, self.backward)


@dataclass(frozen=True, eq=False)
class CustomLoss(OfFunctions, Loss):
    """A loss by a function of your own: the mean, or the sum, over rows of l(p_i, y_i).

    Targets: numbers (B, K); (B,) where the network has one output. A native function computes one row, at the engine's
    speed, on any thread, without Python's lock (chainrule/native.h)::

        double function(ptrdiff_t outputs, const T *p, const T *y, T *dp, void *user);

    It returns l and writes dp[j] = dl / dp[j]. What may be given as such is said at `CustomActivation`. A Python
    function, the slow way, gets matrices `function(p, y)`, both (B, K), and returns the losses of the rows (B,) and
    their gradient (B, K), new arrays of the same dtype. One thread does the whole step then.

    Parameters
    ----------
    function : function, or sequence of functions
        One for each precision of the networks that it is to train.
    name : str, optional
        For messages; by default what `function` is called.
    reduction : {"mean", "sum"}
        Over rows: divided by B, or not.
    has_kink : bool, default False
        Whether the gradient jumps somewhere: what `check_gradients` must know.
    example : tuple of two arrays (B, K), optional
        Outputs and targets to try the function on, where it is not defined for all numbers; by default they are
        normally distributed, of 1, 3 and 17 outputs.

    Raises
    ------
    TypeError
        If the function has another signature, or returns something else.
    ValueError
        If a result is not finite, a row depends on others, an array is written to that is not for that, or the gradient
        is not that of the loss: the message has the row, the gradient, and the central difference.
    """

    word = "custom"
    function: Any
    _: KW_ONLY
    name: str | None = None
    reduction: str = "mean"
    has_kink: bool = False  # type: ignore[misc]
    example: Any = None

    def __post_init__(self) -> None:
        """Check the options, and try the function."""
        checks.word("reduction", self.reduction, ("mean", "sum"))
        checks.option(self, "has_kink", checks.flag)
        self.keep(("function",))
        pairs = custom_checks.examples()
        if self.example is not None:
            pairs = [custom_checks.example("example", self.example)]
            # Tuples have a hash.
            kept = tuple(tuple(map(tuple, one.tolist())) for one in pairs[0])
            object.__setattr__(self, "example", kept)
        for dtype, (function,) in self.found.items():
            losses = custom_checks.losses_of(function, dtype)
            for p, y in pairs:
                custom_checks.check_loss(losses, p.astype(dtype), y.astype(dtype), dtype)

    def targets(self, argument: str, y: object, rows: int, outputs: int, dtype: np.dtype[Any]) -> Array:
        """Return `y` as (rows, outputs)."""
        if outputs > MOST_OUTPUTS:
            raise ValueError(f"{self.title()} takes at most {MOST_OUTPUTS} outputs; the network has {outputs}")
        return data.numbers(argument, y, rows, outputs, dtype)

    def check_head(self, net: Network) -> None:
        """Raise ValueError where `net` has no device or precision for this loss."""
        if net.device != "cpu":
            raise ValueError(f"{self.title()} runs on the CPU alone; the network is on {net.device!r}")
        self.of_engine(net.engine)

    def metrics(self, outputs: int) -> tuple[str, ...]:
        """Name the metrics that suit this loss."""
        return ("mae", "mse")

    def build(self, engine: ModuleType) -> CoreLoss:
        """Return the engine's object."""
        (function,) = self.of_engine(engine)
        built: CoreLoss
        if isinstance(function, NativeFunction):
            built = engine.NativeLoss(function.address, function.user, function.owner, self.reduction)
        else:
            built = engine.PythonLoss(function, self.reduction)
        return built

    def __reduce__(self) -> tuple[Any, ...]:
        """Let pickle make it again, where its function is Python's and can be imported."""
        self.check_can_leave()
        options = {"name": self.name, "reduction": self.reduction, "has_kink": self.has_kink, "example": self.example}
        return partial(CustomLoss, **options), (self.function,)
