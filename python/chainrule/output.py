"""What the loop by hand passes on: a network's output, and the loss of a batch that can go backward."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from . import checks

if TYPE_CHECKING:
    import numpy.typing as npt

    from .network import Network

    Array = npt.NDArray[Any]


class Output(NDArrayOperatorsMixin):
    """The output (B, outputs) of one forward pass; a loss knows from it which network to train.

    Operators, indices and NumPy's functions take it like an array and give plain arrays: `out > 0`, `out - y`,
    `out[0]`, `np.argmax(out, axis=1)`. It has no methods of arrays; `np.asarray(out)` has, and is read-only, since
    backward() relies on what the network gave.

    Parameters
    ----------
    array : array of shape (B, outputs)
        The numbers; made read-only.
    net : Network
        What gave them.
    training : bool, optional
        The mode of the pass, where somebody has said it; else that of the network.

    Warns
    -----
    ModeWarning
        When it goes, if somebody has looked at numbers of training mode that dropout, noise or `BatchNorm` changes, of
        a network that has learned, its loss had no backward(), and nobody has said `net(X, training=True)`. Only then
        is it certain.
    """

    # Whether numbers of the pass may only be looked at if they are trained on; whether they were; whether they are.
    _guarded = _looked_at = went_back = False

    def __init__(self, array: Array, net: Network, training: bool | None = None) -> None:
        array.setflags(write=False)
        self.array = array
        self.net = net
        self.changes = net.parameter_changes
        self.training = net.training if training is None else training
        self._guarded = training is None and net.training
        # Of the engine: which pass this is, and how many training passes there were, a trainer's among them.
        self.pass_number = net.core.pass_number
        self.steps = net.core.steps

    def __del__(self) -> None:
        """Warn of numbers that training mode disturbed."""
        if self._guarded and self._looked_at and not self.went_back:
            from .loop_guards import warn_of_mode

            warn_of_mode(self.net)

    def looked(self) -> Array:
        """Return the array to somebody who looks at its numbers."""
        self._looked_at = True
        return self.array

    @property
    def shape(self) -> tuple[int, ...]:
        """(B, outputs)."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The network's dtype."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """2."""
        return self.array.ndim

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        """Return the array, for NumPy."""
        self.looked()
        converted = self.array if dtype is None else self.array.astype(dtype, copy=False)
        if copy is False and converted is not self.array:
            raise ValueError(f"an Output of {self.dtype} cannot be read as {dtype} without a copy")
        return converted.copy() if copy and converted is self.array else converted

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Apply a function of NumPy to the array; the result is a plain array."""
        if any(isinstance(one, Output) for one in options.get("out", ())):
            raise TypeError("an Output cannot be written to; np.array(out) is a copy that can")
        arrays = [one.looked() if isinstance(one, Output) else one for one in inputs]
        return getattr(ufunc, method)(*arrays, **options)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.array)

    def __getitem__(self, key: Any) -> Any:
        """Return part of the array."""
        return self.looked()[key]

    def __repr__(self) -> str:
        """Return the numbers."""
        return f"Output({self.looked()!r})"


def plain(operation: Callable[[Any, Any], Any], swapped: bool = False) -> Callable[[LossValue, object], Any]:
    """Return the method of an operator: a LossValue and a number give what its float and the number give."""

    def method(self: LossValue, other: object) -> Any:
        if not isinstance(other, (int, float, np.integer, np.floating, LossValue)):
            return NotImplemented
        number = float(other)
        return operation(number, float(self)) if swapped else operation(float(self), number)

    return method


class LossValue:
    """The loss of one batch: `float(loss)` is its value, `loss.backward()` sends its gradient through the network.

    Compared, added, multiplied and divided it is a plain float: `total += loss * len(xb)`.

    Parameters
    ----------
    value : float
        The loss.
    gradient : array of shape (B, outputs)
        Its derivative by the network's output.
    output : Output or None
        Which network to go back through; None after a plain array.
    """

    # So that NumPy's numbers leave operators to this class.
    __array_ufunc__ = None

    def __init__(self, value: float, gradient: Array, output: Output | None) -> None:
        self._value = value
        self._gradient = gradient  # by the network's output, (B, outputs)
        self._output = output
        self._done = False

    def __float__(self) -> float:
        """Return the value."""
        # One that is not finite is a reason not to go backward, and tells nothing of the network.
        if self._output is not None and math.isfinite(self._value):
            self._output.looked()
        return self._value

    __eq__ = plain(operator.eq)
    __lt__, __le__ = plain(operator.lt), plain(operator.le)
    __gt__, __ge__ = plain(operator.gt), plain(operator.ge)
    __add__, __radd__ = plain(operator.add), plain(operator.add, swapped=True)
    __sub__, __rsub__ = plain(operator.sub), plain(operator.sub, swapped=True)
    __mul__, __rmul__ = plain(operator.mul), plain(operator.mul, swapped=True)
    __truediv__, __rtruediv__ = plain(operator.truediv), plain(operator.truediv, swapped=True)

    def __hash__(self) -> int:
        """Return the hash of the value."""
        return hash(float(self))

    def __format__(self, form: str) -> str:
        """Format the value like a float."""
        return format(float(self), form)

    def __repr__(self) -> str:
        """Return the numbers."""
        return f"LossValue({float(self)!r})"

    def backward(self, *, accumulate: bool = False) -> None:
        """Add the gradients of this loss to those of the network's parameters: the chain rule, last layer to first.

        Parameters
        ----------
        accumulate : bool, default False
            Whether gradients of several batches are to be added up before a step. Else each backward() needs a
            `net.zero_grad()` before it.

        Raises
        ------
        TypeError
            If `accumulate` is not a bool.
        RuntimeError
            If the loss was not made from a network's output, the forward pass was in evaluation mode, the network
            has made another forward pass, got other parameters or other frozen layers since, or backward() was called
            before. Only parameters set through `net.parameters()` are not noticed.

        Warns
        -----
        ZeroGradWarning
            If another backward() has left gradients, and `accumulate` is False or the parameters have changed since.
        """
        accumulate = checks.flag("accumulate", accumulate)
        again = "make a new forward pass: loss_fn(net(X), y)"
        if self._output is None:
            raise RuntimeError(f"backward() needs the loss of a network's output, not of a plain array; {again}")
        if self._done:
            raise RuntimeError(f"backward() was already called on this loss; {again}")
        if not self._output.training:
            raise RuntimeError("backward() after a forward pass in evaluation mode; call net.train() before net(X)")
        net, core, stale = self._output.net, self._output.net.core, "backward() on a stale loss"
        if (core.pass_number, core.steps) != (self._output.pass_number, self._output.steps):
            raise RuntimeError(f"{stale}: the network has made another forward pass since; {again}")
        if net.parameter_changes != self._output.changes:
            raise RuntimeError(
                f"{stale}: the parameters, or which layers are frozen, have changed since the forward pass; {again}"
            )
        core.backward(self._gradient)
        self._done = self._output.went_back = True
        before, net.gradients_of = net.gradients_of, net.parameter_changes
        if before is not None:
            from .loop_guards import warn_of_gradients

            warn_of_gradients(net, before, accumulate)
