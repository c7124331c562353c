"""What a fit leaves: weights in scikit-learn's form, what the network gives, and all of it in a pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from ..layers import Dense
from ..trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from ..network import Network

    Array = npt.NDArray[Any]


class Fitted(BaseEstimator):  # type: ignore[misc]
    """Part of BaseMLP."""

    network_: Network
    n_outputs_: int
    _start: Callable[[np.random.RandomState, int, Any, Mapping[str, list[Array]]], None]
    _trainer: Trainer | None = None
    # Arrays by "coefs_" and "intercepts_" that were set before there was a network.
    _given: Mapping[str, list[Array]] = {}

    @property
    def coefs_(self) -> list[Array]:
        """The weights of each layer, (inputs, units): copies. What is set before a first `partial_fit` is its start."""
        return self._arrays("coefs_")

    @coefs_.setter
    def coefs_(self, arrays: list[Array]) -> None:
        self._set_arrays("coefs_", arrays)

    @property
    def intercepts_(self) -> list[Array]:
        """The biases of each layer, (units,): copies. As for `coefs_`, they may be set."""
        return self._arrays("intercepts_")

    @intercepts_.setter
    def intercepts_(self, arrays: list[Array]) -> None:
        self._set_arrays("intercepts_", arrays)

    def _arrays(self, name: str) -> list[Array]:
        if "network_" in vars(self):
            state = self.network_.parameters()
            return [state[one].copy() for one in parameters_of(self.network_, name)]
        if name not in self._given:
            raise AttributeError(f"{type(self).__name__} has no {name} before it is fitted")
        return self._given[name]

    def _set_arrays(self, name: str, arrays: list[Array]) -> None:
        if "network_" not in vars(self):
            self._given = {**self._given, name: arrays}
        else:
            load(self.network_, name, arrays)

    def _outputs(self, X: Any) -> Array:
        """Return the outputs of the network, before the activation that belongs to the loss; for float64 in float64."""
        check_is_fitted(self)
        rows = validate_data(self, X, accept_sparse="csr", reset=False)
        given = self._given
        if "network_" not in vars(self) and given.keys() >= {"coefs_", "intercepts_"}:
            # Never fitted: all that a fit leaves was set by hand, and nothing is left to be drawn.
            first, last = (np.asarray(given[name][at]) for name, at in (("coefs_", 0), ("intercepts_", -1)))
            self.n_outputs_ = len(last)
            dtype = np.dtype(np.float32 if first.dtype == np.float32 else np.float64)
            self._start(np.random.RandomState(0), len(first), dtype, given)
        outputs = self.network_.predict(rows)
        return outputs.astype(np.result_type(rows.dtype, outputs.dtype), copy=False)

    # Pickle -----------------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the trainer, whose optimizer lives in the engine, and that one's state as arrays."""
        state: dict[str, Any] = dict(super().__getstate__())
        trainer = state.pop("_trainer", None)
        if trainer is not None:
            kept = trainer.net.engine.RunState(trainer.net.core, trainer.core_optimizer)
            kept.keep()
            described = (trainer.loss, trainer.optimizer, trainer.penalty, trainer.epochs_done)
            state["_optimizer_state"] = (dict(kept.content()), *described)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what was pickled, and make the trainer again."""
        kept = state.pop("_optimizer_state", None) if "_optimizer_state" in state else None
        super().__setstate__(state)
        if kept is not None:
            content, loss, optimizer, penalty, epochs_done = kept
            net = self.network_
            self._trainer = Trainer(net, loss=loss, optimizer=optimizer, penalty=penalty)
            self._trainer.epochs_done = epochs_done
            run = net.engine.RunState(net.core, self._trainer.core_optimizer)
            run.take(**content)
            run.restore()


def parameters_of(net: Network, name: str) -> list[str]:
    """Return the names of the parameters that make up "coefs_", or "intercepts_", layer by layer."""
    kind = "weight" if name == "coefs_" else "bias"
    return [f"{number}.{kind}" for number, layer in enumerate(net.layers) if isinstance(layer, Dense)]


def load(net: Network, name: str, arrays: list[Array]) -> None:
    """Give a network's layers new weights, as "coefs_", or biases, as "intercepts_"."""
    state, known = net.state_dict(), parameters_of(net, name)
    new = [np.asarray(array, dtype=net.dtype) for array in arrays]
    found, expected = [array.shape for array in new], [state[one].shape for one in known]
    if found != expected:
        raise ValueError(f"{name} must have the shapes {expected}, by hidden_layer_sizes; got {found}")
    net.load_state_dict({**state, **dict(zip(known, new, strict=True))})
