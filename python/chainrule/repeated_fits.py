"""What experiments that train again and again share: a fit that may diverge, builders of networks, errors of a part.

Each trial has a seed of its own, counted up from that of the experiment. Nothing is tuned or judged here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from . import checks, losses
from .callbacks import Callback
from .complexity import table
from .losses import Loss
from .network import Network
from .trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .optimizers import Optimizer
    from .penalties import Penalty
    from .trials import Rows

# What an error is, and the metric of the trainer that it is made of.
MEASURES = {"loss": None, "error": "accuracy", "mae": "mae", "mse": "mse"}


def fit_diverges(trainer: Trainer, X: Any, y: Any, **options: Any) -> bool:
    """Train as `Trainer.fit` does, without a progress bar; return whether the run diverged, instead of a warning.

    Filters of warnings are left alone: they are the whole process's, of which other threads may be fitting too.
    """
    before, trainer.warns_of_divergence = trainer.warns_of_divergence, False
    try:
        trainer.fit(X, y, **{"verbose": False, **options})
    finally:
        trainer.warns_of_divergence = before
    return trainer.diverged


def made(make_network: Callable[..., Network], *given: Any) -> Network:
    """Return the network that a builder makes of what is given, a seed at the end."""
    call, seed = f"make_network({', '.join(map(checks.shown, given))})", given[-1]
    net = checks.network(call, make_network(*given))
    if net.seed != seed:
        raise ValueError(f"make_network must hand the seed on, as Network(..., seed=seed); {call} has seed {net.seed}")
    return net


def checked_builder(argument: str, value: object, of: str) -> Callable[..., Any]:
    """Return a builder; `of` says what it takes and gives, for the message."""
    # A network can be called too, and a class of them makes none from a seed.
    if not callable(value) or isinstance(value, (Network, type)):
        raise TypeError(f"{argument} must be a function of {of}; got {checks.shown(value)}")
    return value


def noted(head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> list[str]:
    """Return the lines of a table with a note after each row."""
    lines = table(head, rows)
    return [*lines[:2], *(f"{line}  {note}".rstrip() for line, note in zip(lines[2:-1], notes, strict=True)), lines[-1]]


@dataclass(frozen=True)
class Setup:
    """How each network of an experiment is trained and measured; the arguments are checked when it is made."""

    loss: str | Loss
    _: KW_ONLY
    optimizer: str | Optimizer
    penalty: Penalty | Sequence[Penalty] | None
    measure: str
    epochs: int
    batch_size: int
    class_weight: str | Mapping[int, float] | None
    callbacks: Sequence[Callback]

    known_loss: Loss = field(init=False)

    def __post_init__(self) -> None:
        """Check what no trainer would see before the first network is trained."""
        object.__setattr__(self, "known_loss", losses.resolve("loss", self.loss))
        checks.word("measure", self.measure, MEASURES)
        checks.option(self, "epochs", checks.whole)
        checks.option(self, "batch_size", checks.whole)

    def errors(
        self, net: Network, training: Rows, validation: Rows, seed: int, epochs: int
    ) -> tuple[float, float, bool]:
        """Train a network; return its error on both parts, in evaluation mode, and whether it diverged."""
        metric = MEASURES[self.measure]
        trainer = Trainer(
            net,
            loss=self.known_loss,
            optimizer=self.optimizer,
            penalty=self.penalty,
            metrics=[metric] if metric else [],
            seed=seed,
        )
        # Validation in each epoch takes time, and only callbacks look at it.
        watched = {"validation_data": [one for one in validation if one is not None]} if self.callbacks else {}
        diverged = fit_diverges(
            trainer,
            *training[:2],
            sample_weight=training[2],
            class_weight=self.class_weight,
            epochs=epochs,
            batch_size=self.batch_size,
            callbacks=self.callbacks,
            **watched,
        )
        found, held_out = (self._error(trainer.evaluate(*part, allow_seen=True)) for part in (training, validation))
        return found, held_out, diverged

    def _error(self, scores: Mapping[str, float]) -> float:
        """Return the error among the scores of an evaluation."""
        return 1 - scores["accuracy"] if self.measure == "error" else scores[self.measure]
