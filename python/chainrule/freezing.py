"""Learning in part: which layers of a network learn, and which keep what they have. A part of `Network`, and no more.

The engine heeds it: below the lowest layer that learns no gradient is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import checks

if TYPE_CHECKING:
    from ._engine.float32 import Network as CoreNetwork
    from .layers import Layer


class Freezable:
    """What a network has for it."""

    core: CoreNetwork
    parameter_changes: int
    _frozen: frozenset[int]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, first to last."""
        raise NotImplementedError

    @property
    def frozen(self) -> tuple[int, ...]:
        """The numbers of the layers that do not learn, in ascending order."""
        return tuple(sorted(self._frozen))

    def freeze(self, *layers: int) -> None:
        """Let some layers learn no more: `net.freeze(0, 1)` the first two, `net.freeze()` all.

        Their gradients are 0, no optimizer or penalty moves them, and a `BatchNorm` among them uses its running
        statistics, in training too. So a network that was trained before keeps its first layers while new last ones
        learn ([000]: transfer learning).

        Parameters
        ----------
        *layers : int
            Numbers of layers, the first being 0; all of them if none is given.

        Raises
        ------
        ValueError, TypeError
            If there is no layer of a number.
        """
        self._set_frozen(self._frozen | self._numbers(layers))

    def unfreeze(self, *layers: int) -> None:
        """Let some layers learn again: `net.unfreeze(0)` the first, `net.unfreeze()` all.

        Parameters
        ----------
        *layers : int
            Numbers of layers, the first being 0; all of them if none is given.

        Raises
        ------
        ValueError, TypeError
            If there is no layer of a number.
        """
        self._set_frozen(self._frozen - self._numbers(layers))

    def _numbers(self, layers: tuple[object, ...]) -> frozenset[int]:
        """Return the numbers of layers, checked; those of all layers for none."""
        count = len(self.layers)
        return frozenset(checks.whole("layers", one, least=0, most=count - 1) for one in layers or range(count))

    def _set_frozen(self, frozen: frozenset[int]) -> None:
        """Tell the engine which layers learn."""
        self.core.set_trainable([number not in frozen for number in range(len(self.layers))])
        self._frozen = frozen
        # What a forward pass kept is no longer what backward() would need.
        self.parameter_changes += 1
