"""What a fit leaves: weights in scikit-learn's form, what the network gives, and all of it in a pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ..layers import Dense
from ..trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from ..network import Network

    Array = npt.NDArray[Any]


class Fitted(BaseEstimator):  # type: ignore[misc]
    """Part of BaseMLP."""

    network_: Network
    n_outputs_: int
    random_state: Any
    _trainer: Trainer | None = None
    # Arrays by "coefs_" and "intercepts_" that were set before there was a network.
    _given: Mapping[str, list[Array]] = {}

    def _dense(self) -> list[int]:
        """Return the numbers of the layers that have weights."""
        return [number for number, layer in enumerate(self.network_.layers) if isinstance(layer, Dense)]

    @property
    def coefs_(self) -> list[Array]:
        """The weights of each layer, (inputs, units): copies. What is set before a first `partial_fit` is its start."""
        return self._arrays("coefs_", "weight")

    @coefs_.setter
    def coefs_(self, arrays: list[Array]) -> None:
        self._set_arrays("coefs_", "weight", arrays)

    @property
    def intercepts_(self) -> list[Array]:
        """The biases of each layer, (units,): copies. As for `coefs_`, they may be set."""
        return self._arrays("intercepts_", "bias")

    @intercepts_.setter
    def intercepts_(self, arrays: list[Array]) -> None:
        self._set_arrays("intercepts_", "bias", arrays)

    def _arrays(self, name: str, kind: str) -> list[Array]:
        if "network_" in vars(self):
            state = self.network_.parameters()
            return [state[f"{number}.{kind}"].copy() for number in self._dense()]
        if name not in self._given:
            raise AttributeError(f"{type(self).__name__} has no {name} before it is fitted")
        return self._given[name]

    def _set_arrays(self, name: str, kind: str, arrays: list[Array]) -> None:
        if "network_" not in vars(self):
            self._given = {**self._given, name: arrays}
        else:
            self._load({kind: arrays})

    def _load(self, kinds: Mapping[str, list[Array]]) -> None:
        """Give the network's layers new weights, or biases, or both."""
        state = self.network_.state_dict()
        for kind, arrays in kinds.items():
            for number, array in zip(self._dense(), arrays, strict=True):
                state[f"{number}.{kind}"] = np.asarray(array, dtype=self.network_.dtype)
        self.network_.load_state_dict(state)

    def _start(self, random: np.random.RandomState, features: int, dtype: Any, keeps: bool) -> None:
        raise NotImplementedError

    def _outputs(self, X: Any) -> Array:
        """Return the outputs of the network, before the activation that belongs to the loss; float64 for such rows."""
        check_is_fitted(self)
        if "network_" not in vars(self) and self._given.keys() >= {"coefs_", "intercepts_"}:
            # Never fitted: all that a fit leaves was set by hand.
            first, last = np.asarray(self._given["coefs_"][0]), self._given["intercepts_"][-1]
            self.n_outputs_ = len(last)
            dtype = np.dtype(np.float32 if first.dtype == np.float32 else np.float64)
            self._start(check_random_state(self.random_state), len(first), dtype, True)
        rows = validate_data(self, X, accept_sparse="csr", reset=False)
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
