"""What the engine has of a trainer: its loss, its optimizer and its penalties, and what runs and measures with them.

Nothing is checked here but whether the rows make steps: arguments are the trainer's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import metrics, training_rows

if TYPE_CHECKING:
    from ._engine.float32 import Evaluation as CoreEvaluation
    from ._engine.float32 import Fit as CoreFit
    from ._engine.float32 import Optimizer as CoreOptimizer
    from .data import Rows
    from .fit_options import FitOptions
    from .trainer import Trainer


class EngineParts:
    """Built once a trainer; the optimizer's state lives in it."""

    def __init__(self, trainer: Trainer) -> None:
        engine = trainer.net.engine
        self._net, self._seed = trainer.net, trainer.seed
        self._metrics, self._threshold = metrics.of_engine(trainer.metrics), trainer.loss.threshold()
        self._loss = trainer.loss.build(engine)
        self._penalties = [part for one in trainer.penalty for part in one.build(engine)]
        self.optimizer: CoreOptimizer = trainer.optimizer.prepared(trainer.net)

    def run(self, rows: Rows, options: FitOptions) -> CoreFit:
        """Return what trains on `rows`."""
        net = self._net
        training_rows.check_augmented(rows.x, options)
        training_rows.check_steps(net, len(rows.x), options.batch_size, options.drop_last)
        run: CoreFit = net.engine.Fit(
            net.core,
            self._loss,
            self.optimizer,
            self._penalties,
            self._metrics,
            rows.x,
            rows.y,
            rows.weight,
            # More rows than there are would only make buffers larger.
            min(options.batch_size, len(rows.x)),
            options.shuffle,
            options.drop_last,
            self._seed,
            self._threshold,
            [one.changes() for one in options.augment],
        )
        return run

    def evaluation(self, rows: Rows, penalty_rows: tuple[int, int]) -> CoreEvaluation:
        """Return what measures `rows` in evaluation mode; it holds them where the network is.

        `penalty_rows` are m and the rows of a batch, for penalties that divide by them; 0 for those of `rows`.
        """
        self._net.check_measured()
        evaluation: CoreEvaluation = self._net.engine.Evaluation(
            self._net.core, self._loss, self._penalties, self._metrics, *rows, self._threshold, *penalty_rows
        )
        return evaluation
