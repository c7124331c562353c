"""Training by whole epochs: what a trainer is made of, and the arguments of its fits. The walk itself is fitting.py.

One way through: the arrays are checked once and handed to the engine; each epoch runs there, with the interpreter
lock released; between epochs come validation, history and callbacks.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from . import augmentation, checks, data, losses, optimizers, penalties, scales, standardize, training_rows
from . import callbacks as callbacks_
from . import metrics as metrics_
from .augmentation import Augmentation
from .callbacks import Callback
from .data import Rows
from .divergence import DivergenceWarning
from .engine_parts import EngineParts
from .fit_options import FitOptions
from .fitting import JUDGED_ROWS, Fitting, Parts
from .history import History, names_of
from .leakage import Memory
from .losses import Loss
from .optimizers import Optimizer
from .penalties import Penalty

if TYPE_CHECKING:
    import numpy.typing as npt

    from .network import Network
    from .scores import ClassScores
    from .snapshots import Snapshot, Snapshots

    Array = npt.NDArray[Any]


class Trainer:
    """Trains one network. What it was made with is fixed; only a learning rate that is a number may be set later.

    Parameters
    ----------
    net : Network
        What is trained.
    loss : str or Loss
        What is made small: "mean_squared_error" ("mse"), "cross_entropy", "binary_cross_entropy", another of
        `losses.KNOWN`, or an object.
    optimizer : str or Optimizer, default "adam"
        The trainer keeps a state of its own for it.
    penalty : Penalty or sequence of Penalty, optional
        Added to the loss; reported apart. Where a penalty's scale has m, that is the rows that are trained on.
    metrics : sequence of str, default ()
        For numbers: "mae", "mse". For classes: "accuracy", "top_5_accuracy" (or another k, above 1 and below the number
        of classes), "precision", "recall", "f1". For a question with yes or no: "accuracy", "precision", "recall", "f1"
        of yes; for several questions "precision", "recall", "f1". Of several classes, or questions, these three are the
        means over all that occur, and nan where one of those has nothing to divide by; `scores` says which.
    seed : int, optional
        Key of the shuffles and of the validation part; the network's seed if None.

    Attributes
    ----------
    net, loss, optimizer, penalty, metrics, seed
        What the trainer was made with, words resolved; read-only.
    history, epochs_done : History, int
        Of the running or the last fit; epochs finished in all fits.
    """

    def __init__(
        self,
        net: Network,
        *,
        loss: str | Loss,
        optimizer: str | Optimizer = "adam",
        penalty: Penalty | Sequence[Penalty] | None = None,
        metrics: Sequence[str] = (),
        seed: int | None = None,
    ) -> None:
        self._net = checks.network("net", net)
        self._loss = losses.resolve("loss", loss)
        self._loss.check_head(net)
        self._optimizer = optimizers.resolve("optimizer", optimizer)
        self._penalty = penalties.resolve("penalty", penalty)
        for one in self._penalty:
            one.check_layers(net)
        self._check_decay(self._optimizer.first_rate())
        self._metrics = metrics_.checked(metrics, self._loss, net.outputs)
        self._seed = net.seed if seed is None else checks.seed("seed", seed)
        self.epochs_done = 0
        self.history = History(names_of(self.metrics, self.penalty))
        self._parts = EngineParts(self)
        # The next four are for fitting.py, callbacks.py, repeated_fits.py and sklearn/base.py.
        self.core_optimizer = self._parts.optimizer
        self.asked_to_stop: str | None = None
        self.diverged = False  # in the last fit
        self.warns_of_divergence = True
        # m and the rows of a batch, for penalties that divide by them: those of the last fit; 0 where there was none.
        self._penalty_rows = (0, 0)
        self._memory = Memory(net.dtype)
        self._running = threading.Lock()

    def __reduce__(self) -> NoReturn:
        """Refuse pickle and copy."""
        raise TypeError(
            "a Trainer cannot be pickled or copied: the state of its optimizer lives in the engine, for one network. "
            "Pickle, copy or save trainer.net, and make another Trainer for it"
        )

    def __repr__(self) -> str:
        """Return the options."""
        return (
            f"Trainer({self.net!r}, loss={self.loss!r}, optimizer={self.optimizer!r}, penalty={self.penalty!r}, "
            f"metrics={self.metrics!r}, seed={self.seed})"
        )

    @property
    def net(self) -> Network:
        """The network."""
        return self._net

    @property
    def loss(self) -> Loss:
        """The loss."""
        return self._loss

    @property
    def optimizer(self) -> Optimizer:
        """The description of the optimizer, as it was given."""
        return self._optimizer

    @property
    def penalty(self) -> tuple[Penalty, ...]:
        """The penalties."""
        return self._penalty

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics."""
        return self._metrics

    @property
    def seed(self) -> int:
        """The key of the shuffles and of the validation part."""
        return self._seed

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step; a callback may set it, unless the optimizer's `lr` is a plan.

        Of a schedule it is the rate of the last step, at first its `lr`; of a function of the epoch, that of the epoch
        that runs or comes next.

        Raises
        ------
        ValueError
            If it is set where the optimizer's `lr` is a schedule or a function: the next step would not heed it; or so
            high that decoupled decay would take a whole weight in one step.
        """
        planned = self.optimizer.rate_of_epoch(self.epochs_done)
        return self.core_optimizer.rate if planned is None else planned

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        if self.optimizer.is_scheduled:
            raise ValueError(f"learning_rate cannot be set: the optimizer's lr={self.optimizer.lr!r} decides it")
        # Rates are kept in the network's precision.
        greatest = float(np.finfo(self.net.dtype).max)
        checked = checks.number("learning_rate", rate, above=0, most=greatest)
        self._check_decay(checked)
        self.core_optimizer.rate = checked

    def plan_epoch(self, epoch: int) -> None:
        """Set the learning rate of an epoch, 0 being the first, where it is a function of it."""
        rate = self.optimizer.rate_of_epoch(epoch)
        if rate is not None:
            self._check_decay(rate)
            self.core_optimizer.rate = rate

    def _check_decay(self, rate: float) -> None:
        """Raise ValueError where decoupled decay with this learning rate turns a weight to 0, or beyond, in a step."""
        self.optimizer.check_decay(self.net, rate)
        for one in self.penalty:
            one.check_decay(self.optimizer.greatest_rate(self.net, rate, one.layers))

    def stop(self, reason: str) -> None:
        """End the running fit after this epoch; for callbacks.

        Parameters
        ----------
        reason : str
            What the history will say; the first one that is given stays.
        """
        if not isinstance(reason, str):
            raise TypeError(f"reason must be a string; got {checks.shown(reason)}")
        self.asked_to_stop = self.asked_to_stop or reason

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        epochs: int = 10,
        batch_size: int = 32,
        validation_split: float = 0.0,
        validation_data: Sequence[npt.ArrayLike] | None = None,
        validation_freq: int = 1,
        shuffle: bool = True,
        callbacks: Sequence[Callback] = (),
        sample_weight: npt.ArrayLike | None = None,
        class_weight: str | Mapping[int, float] | None = None,
        verbose: bool | int | str = "auto",
        drop_last: bool = False,
        augment: Augmentation | Sequence[Augmentation] = (),
        snapshots: str | os.PathLike[str] | Snapshots | None = None,
    ) -> History:
        """Train for some epochs, from where the last fit ended: epochs, optimizer state and random numbers go on.

        A `Standardize` that has no figures yet first gets those of the rows that are trained on.

        Ten epochs give the same bits as four and then six, and as any number of threads.

        Ctrl-C ends a fit after the running step, at most 0.2 s and one step later, with KeyboardInterrupt. The network
        then has the weights of the last step, the history the finished epochs, and `on_train_end` is not called.

        Parameters
        ----------
        X : array of shape (N, inputs)
            Finite numbers in any layout; integers and bools are read as numbers. Nobody may change them meanwhile. Or a
            sparse matrix of SciPy, which is never made dense: on the CPU, where the first layer is a `Dense`.
        y : array
            Targets; see the loss.
        epochs : int, default 10
            How many times to walk over the data.
        batch_size : int, default 32
            Rows of a step; the last step of an epoch may have fewer. N for batch gradient descent, 1 for a step a row,
            which is an error where a `BatchNorm` learns: it needs at least two.
        validation_split : float, default 0.0
            Share of the rows, at least 0 and below 1, that is not trained on but measured after each epoch: a
            random part, of classes the same share each.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Rows to measure instead.
        validation_freq : int, default 1
            Epochs from one look at the validation part to the next, which costs about a third of an epoch on as many
            rows; the last epoch is always measured. `EarlyStopping`, the stopping rules and the recorders act where
            there is a look.
        shuffle : bool, default True
            Whether the rows come in a new order each epoch.
        callbacks : sequence of Callback, default ()
            What is called before and after epochs, in this order.
        sample_weight : array of shape (N,), optional
            Factors of the rows' losses, at least 0. The loss is sum(weight * loss of the row) / rows: it is not
            divided by the sum of the weights. Rows of the validation part keep theirs. In neither part may all be 0.
        class_weight : "balanced" or dict, optional
            Factors by class, for training only; see `data.class_weights`.
        verbose : {"auto", True, False}
            Whether a progress bar is shown; "auto" where somebody can see it.
        drop_last : bool, default False
            Whether a last step with fewer rows is left out.
        augment : Augmentation or sequence of Augmentation, default ()
            How rows are changed each time they are trained on, one kind after the other; see `ImageAugmentation` and
            `NoiseAugmentation`. Rows that are measured are not.
        snapshots : path or Snapshots, optional
            Where to write down, after each epoch or more often, all that it takes to go on; see `resume`.

        Returns
        -------
        History
            Also kept as `self.history`.

        Raises
        ------
        ValueError, TypeError
            If an argument does not suit, or the network has a parameter that is not finite; then nothing has changed.
        RuntimeError
            If this trainer is fitting already.

        Warns
        -----
        DivergenceWarning
            If the loss, a parameter or a statistic stops being finite. The network and the optimizer, its learning
            rate too, are set back to the end of the last epoch after which all were, before the callbacks changed
            something there; the history ends with it, and its `stop_reason` says where it happened.
        LeakageWarning
            If the validation part has copies of rows that are trained on, unless it is the training part itself.
        DataWarning
            If `X` is not normalised, and the network does not begin by doing so.
        """
        options = FitOptions(
            epochs=epochs,
            batch_size=batch_size,
            validation_split=validation_split,
            validation_freq=validation_freq,
            shuffle=shuffle,
            class_weight=class_weight,
            drop_last=drop_last,
            augment=augmentation.checked(augment, self.net.inputs),
        )
        given = (X, y, sample_weight, validation_data)
        where = None
        if snapshots is not None:
            from .snapshots import resolve

            where = resolve(snapshots)
        return self._fit(given, options, callbacks, verbose, where, None)

    def resume(
        self,
        path: str | os.PathLike[str],
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        validation_data: Sequence[npt.ArrayLike] | None = None,
        callbacks: Sequence[Callback] = (),
        sample_weight: npt.ArrayLike | None = None,
        verbose: bool | int | str = "auto",
    ) -> History:
        """Go on with a fit from its last snapshot, to its end, as if it had never been interrupted.

        The network ends with the very bits that it would have had, on the same kind of device and instruction set:
        weights, the optimizer's state, learning rate, random numbers, history, the best weights of early stopping and
        what else callbacks know (`Callback.state_dict`) go on. The options of the fit are in the snapshot, and further
        snapshots are written to the same file. Of a fit that had ended, its end is made once more.

        Parameters
        ----------
        path : str or path-like
            What `fit` was given as `snapshots`.
        X, y, sample_weight, validation_data : as for `fit`
            The same data as then.
        callbacks : sequence of Callback, default ()
            Callbacks of the same kinds, in the same order.
        verbose : {"auto", True, False}
            Whether a progress bar is shown.

        Returns
        -------
        History
            Of the whole fit.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is not a whole and sound snapshot, or one of another network, trainer, fit or data; then the network
            and the optimizer have not changed.

        Warns
        -----
        DivergenceWarning
            As `fit`.

        Examples
        --------
        A script that may be started again whenever it was stopped::

            if os.path.exists("run.snapshot"):
                trainer.resume("run.snapshot", X, y)
            else:
                trainer.fit(X, y, epochs=100, snapshots="run.snapshot")
        """
        from .snapshots import read

        snapshot = read(path)
        augmentation.checked(snapshot.options.augment, self.net.inputs)
        given = (X, y, sample_weight, validation_data)
        return self._fit(given, snapshot.options, callbacks, verbose, snapshot.where, snapshot)

    def _fit(
        self,
        given: tuple[Any, Any, Any, Any],
        options: FitOptions,
        callbacks: Sequence[Callback],
        verbose: bool | int | str,
        where: Snapshots | None,
        snapshot: Snapshot | None,
    ) -> History:
        """Fit from the start, or from a snapshot."""
        X, y, sample_weight, validation_data = given
        called = callbacks_.checked("callbacks", callbacks)
        if snapshot is None:
            data.check_finite(self.net.core.parameters(), "trained")
        else:
            snapshot.check_for(self, called)
        training, validation = training_rows.validated_apart(
            self.net, self.loss, self._rows(X, y, sample_weight), options.validation_split, validation_data, self.seed
        )
        counted = training.weight
        training = training_rows.with_class_weight(self.net, self.loss, training, options.class_weight)
        writer = where.writer(self, options, training, validation) if where else None
        history = History(names_of(self.metrics, self.penalty, validation is not None), self.epochs_done + 1)
        if snapshot is not None and writer is not None:
            snapshot.check_data(writer.rows)
            history = snapshot.history(list(history))
        run = self._parts.run(training, options)
        batch = min(options.batch_size, len(training.x))
        judged = training.first(min(batch, JUDGED_ROWS))
        given_rows = [X] if validation_data is None else [X, validation_data[0]]
        self._memory.take(given_rows, training, validation, called, stacklevel=3)
        scales.warn(self.net.layers, training.x, stacklevel=3)
        from .progress import bar

        with bar(options.epochs, run.steps_per_epoch, verbose) as progress:
            steps = self.net.core.steps
            take_back = standardize.measure_missing(self.net, training.x, counted, stacklevel=3)
            if not self._running.acquire(blocking=False):
                raise RuntimeError("this trainer is fitting already")
            try:
                self._penalty_rows = (len(training.x), batch)
                history.rows = len(training.x), len(validation.x) if validation else 0
                history.summed = self.loss.is_sum
                history.weighted = any(part is not None and part.weight is not None for part in (training, validation))
                self.history = history
                measure, m = self._parts.evaluation, self._penalty_rows
                parts = Parts(run, measure(judged, m), validation and measure(validation, m))
                fitting = Fitting(self, parts, options, called, progress, writer)
                self.diverged = False
                self.diverged = fitting.run() if snapshot is None else fitting.resume(snapshot)
            except BaseException as error:
                if self.net.core.steps == steps:  # nothing was trained: nothing has changed
                    take_back()
                interrupted = isinstance(error, KeyboardInterrupt)
                self.history.stop_reason = "interrupted" if interrupted else f"{type(error).__name__}: {error}"
                raise
            finally:
                self._running.release()
        if self.diverged and self.warns_of_divergence:
            warnings.warn(str(history.stop_reason), DivergenceWarning, stacklevel=3)
        return history

    def evaluate(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        *,
        allow_seen: bool = False,
    ) -> dict[str, float]:
        """Return the loss and the metrics on `X` and `y`, in evaluation mode; the network does not change.

        Parameters
        ----------
        X, y, sample_weight : array
            As for `fit`.
        allow_seen : bool, default False
            Whether rows that a fit has seen are meant, and no warning is wanted.

        Returns
        -------
        dict
            "loss" (of the data alone), the metrics, and "penalty" where there is one: with the numbers of rows of the
            last fit, or, before any, those of `X`.

        Warns
        -----
        LeakageWarning
            If some rows, but not all, are among those that this trainer has trained on or validated with; or if they
            are of the validation part by which a callback chose the epoch: such rows do not test [003].
        """
        rows = self._rows(X, y, sample_weight)
        if not checks.flag("allow_seen", allow_seen):
            self._memory.check(rows.x, stacklevel=2)
        record = self._parts.evaluation(rows, self._penalty_rows).run()
        penalty = {"penalty": record["penalty"]} if self.penalty else {}
        return {"loss": record["loss"], **metrics_.figures(self.metrics, record), **penalty}

    def scores(self, X: npt.ArrayLike, y: npt.ArrayLike) -> ClassScores:
        """Return what the network makes of the classes of `X`, where `y` has the right ones.

        Parameters
        ----------
        X, y : array
            As for `fit`.

        Returns
        -------
        ClassScores
            The confusion matrix, accuracy beside that of always guessing the same, precision, recall and F1 by class.

        Raises
        ------
        ValueError, TypeError
            If the targets are no classes, or X and y do not suit.
        """
        self.net.check_measured()
        rows = self._rows(X, y, None)
        from .scores import scores_of

        return scores_of(self.loss, rows.y, training_rows.outputs(self.net, rows))

    # Checking --------------------------------------------------------------------------------------------------------

    def _rows(self, X: object, y: object, sample_weight: object) -> Rows:
        """Return a data set as the engine takes it."""
        return training_rows.checked_rows(self.net, self.loss, X, y, sample_weight, takes_sparse=True)
