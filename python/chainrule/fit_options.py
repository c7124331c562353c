"""What a fit is asked for beside data and callbacks: the options that a snapshot takes along. They do nothing here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from . import checks
from .augmentation import KNOWN, Augmentation


@dataclass(frozen=True)
class FitOptions:
    """Options of `Trainer.fit`, checked but for the class weights, which the data say more about."""

    epochs: int
    batch_size: int
    validation_split: float
    validation_freq: int
    shuffle: bool
    class_weight: Any
    drop_last: bool
    augment: tuple[Augmentation, ...]

    def __post_init__(self) -> None:
        """Check them."""
        for name in ("epochs", "batch_size", "validation_freq"):
            object.__setattr__(self, name, checks.whole(name, getattr(self, name)))
        for name in ("shuffle", "drop_last"):
            object.__setattr__(self, name, checks.flag(name, getattr(self, name)))
        share = checks.number("validation_split", self.validation_split, least=0, below=1)
        object.__setattr__(self, "validation_split", share)

    def plain(self) -> dict[str, Any]:
        """Return them as JSON has them; a mapping from classes as pairs, since its keys are numbers."""
        weights = self.class_weight
        if isinstance(weights, Mapping):
            weights = [[int(number), float(factor)] for number, factor in weights.items()]
        from .storage import plain

        options = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**options, "class_weight": weights, "augment": [plain(one) for one in self.augment]}

    @staticmethod
    def from_plain(options: Mapping[str, Any]) -> FitOptions:
        """Return what `plain` was called on; ValueError or TypeError where it cannot have been."""
        weights = options.get("class_weight")
        if isinstance(weights, list):
            weights = {
                checks.whole("class_weight", number, least=0): checks.number("class_weight", factor, least=0)
                for number, factor in weights
            }
        elif weights is not None:
            checks.word("class_weight", weights, ("balanced",))
        from .storage import by_class_name, described

        kinds = by_class_name(KNOWN)
        augment = tuple(described(one, kinds, depth=0) for one in options.get("augment", ()))
        return FitOptions(**{**options, "class_weight": weights, "augment": augment})
