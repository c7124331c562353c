"""What the loop by hand passes on: a network's output, and the loss of a batch that can go backward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from .network import Network

    Array = npt.NDArray[Any]


class Output:
    """The output (B, outputs) of one forward pass. Use it as an array; a loss knows from it which network to train."""

    def __init__(self, array: Array, net: Network) -> None:
        self.array = array
        self.net = net
        self.training = net.training
        # Of the engine: which pass this is, and how many training passes there were, a trainer's among them.
        self.pass_number = net.core.pass_number
        self.steps = net.core.steps

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
        converted = self.array if dtype is None else self.array.astype(dtype, copy=False)
        if copy is False and converted is not self.array:
            raise ValueError(f"an Output of {self.dtype} cannot be read as {dtype} without a copy")
        return converted.copy() if copy and converted is self.array else converted

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.array)

    def __getitem__(self, key: Any) -> Any:
        """Return part of the array."""
        return self.array[key]

    def __repr__(self) -> str:
        """Return the numbers."""
        return f"Output({self.array!r})"


class LossValue:
    """The loss of one batch: `float(loss)` is its value, `loss.backward()` sends its gradient through the network."""

    def __init__(self, value: float, gradient: Array, output: Output | None) -> None:
        self._value = value
        self._gradient = gradient  # by the network's output, (B, outputs)
        self._output = output
        self._done = False

    def __float__(self) -> float:
        """Return the value."""
        return self._value

    def __format__(self, form: str) -> str:
        """Format the value like a float."""
        return format(self._value, form)

    def __repr__(self) -> str:
        """Return the numbers."""
        return f"LossValue({self._value!r})"

    def backward(self) -> None:
        """Add the gradients of this loss to those of the network's parameters: the chain rule, last layer to first.

        Raises
        ------
        RuntimeError
            If the loss was not made from a network's output, the forward pass was in evaluation mode, the network
            has made another forward pass since, or backward() was called before.
        """
        again = "make a new forward pass: loss_fn(net(X), y)"
        if self._output is None:
            raise RuntimeError(f"backward() needs the loss of a network's output, not of a plain array; {again}")
        if self._done:
            raise RuntimeError(f"backward() was already called on this loss; {again}")
        if not self._output.training:
            raise RuntimeError("backward() after a forward pass in evaluation mode; call net.train() before net(X)")
        core = self._output.net.core
        if (core.pass_number, core.steps) != (self._output.pass_number, self._output.steps):
            raise RuntimeError(f"backward() on a stale loss: the network has made another forward pass since; {again}")
        core.backward(self._gradient)
        self._done = True
