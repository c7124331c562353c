"""Ensembles: several networks that answer together, by the mean of what they say or by vote. [003] names them.

::

    mean   p(x) = 1/M sum over i of p_i(x)
    vote   the class that most networks say

The squared error of the mean is that of the members on average, less their variance about the mean (Krogh and Vedelsby
1995): never above it, and the further below the more the members differ. The same holds of cross-entropy, as a bound.
Members differ by their seed, by the rows they learned from (bagging, Breiman 1996), or by the epoch (snapshots, Huang
et al. 2017). Nothing is weighted, and nothing is learned on top of the members; dropout as an ensemble is `Dropout`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, losses, training_rows
from ._engine import DeviceArray
from .callbacks import Callback, kept_epoch
from .losses import BinaryCrossEntropy, CrossEntropy, Loss, Poisson
from .network import Network
from .repeated_fits import checked_builder
from .trainer import Trainer
from .trials import given_rows, new_trainer, taken

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Floats = npt.NDArray[np.float64]

WAYS = ("mean", "vote")


class Ensemble:
    """Networks that answer together.

    Parameters
    ----------
    networks : sequence of Network
        At least one, all with as many inputs and outputs. They are kept, not copied.
    loss : str or Loss
        What they were trained with. It says what their outputs mean: probabilities are averaged, not logits, and for
        `Poisson(from_log=True)` means, not their logarithms.
    rows : sequence of arrays, optional
        By network, the numbers of the rows that it learned from, for `out_of_bag`; `train_ensemble` gives them.

    Attributes
    ----------
    networks : tuple of Network
    loss : Loss
    rows : tuple of arrays or None

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, or a network's outputs are not what the loss expects.
    """

    def __init__(
        self, networks: Sequence[Network], *, loss: str | Loss, rows: Sequence[npt.ArrayLike] | None = None
    ) -> None:
        if not isinstance(networks, (list, tuple)):
            raise TypeError(f"networks must be a list of networks; got {checks.shown(networks)}")
        if not networks:
            raise ValueError("networks must hold at least one network; it is empty")
        self.networks = tuple(checks.network(f"networks[{i}]", one) for i, one in enumerate(networks))
        self.loss = losses.resolve("loss", loss)
        first = self.networks[0]
        for number, net in enumerate(self.networks):
            if (net.inputs, net.outputs) != (first.inputs, first.outputs):
                raise ValueError(
                    f"networks must all have {first.inputs} inputs and {first.outputs} outputs, as the first; "
                    f"networks[{number}] has {net.inputs} and {net.outputs}"
                )
            self.loss.check_head(net)
        self.rows = None if rows is None else tuple(np.asarray(one) for one in rows)
        if self.rows is not None and len(self.rows) != len(self.networks):
            raise ValueError(f"rows must be given for each of {len(self.networks)} networks; got {len(self.rows)}")

    def __len__(self) -> int:
        """Return how many networks there are."""
        return len(self.networks)

    def __repr__(self) -> str:
        """Return what there is in a line."""
        return f"Ensemble({len(self)} networks of {self.networks[0].inputs} inputs, loss={self.loss!r})"

    def members(self, X: npt.ArrayLike) -> Floats:
        """Return what each network says, (M, N, K) in float64: probabilities of classes, or numbers.

        Rows may lie on the networks' GPU, as for `Network.predict`; the answers come to the host, here and below.

        Parameters
        ----------
        X : array of shape (N, inputs)
            As for `Network.predict`.

        Returns
        -------
        ndarray of float64, shape (M, N, K)
            Of M networks.
        """
        return np.stack([meant(self.loss, net.predict(X)) for net in self.networks])

    def predict(self, X: npt.ArrayLike) -> Floats:
        """Return the mean of what the networks say, (N, K) in float64: probabilities of classes, or numbers.

        Parameters
        ----------
        X : array of shape (N, inputs)
            As for `Network.predict`.

        Returns
        -------
        ndarray of float64, shape (N, K)
            Their mean.
        """
        return averaged(self.members(X))

    def predict_classes(self, X: npt.ArrayLike, by: str = "mean") -> npt.NDArray[np.int64]:
        """Return the class of each row, (N,); of several yes-or-no questions the answers, (N, K) of 0 and 1.

        Parameters
        ----------
        X : array of shape (N, inputs)
            As for `Network.predict`.
        by : {"mean", "vote"}
            The class of the greatest mean probability; or the one that most networks find the most probable, of equally
            many votes that of the greater mean. A probability of exactly one half means no, as for the metric.

        Returns
        -------
        ndarray of int64, shape (N,) or (N, K)
            Numbers of classes, or answers.
        """
        checks.word("by", by, WAYS)
        said = self.members(X)
        mean = averaged(said)
        if not self.classifies:
            raise ValueError(f"predict_classes needs a loss of classes; {self.loss!r} is one of numbers")
        if isinstance(self.loss, CrossEntropy):
            if by == "mean":
                return np.asarray(mean.argmax(axis=1))
            # Means are at most 1, so that half of one never outweighs a vote.
            return np.asarray((counted(said.argmax(axis=2), said.shape[2]) + mean / 2).argmax(axis=1))
        yes = (said > 0.5).sum(axis=0) * 2 - len(said)
        answers = mean > 0.5 if by == "mean" else (yes > 0) | ((yes == 0) & (mean > 0.5))
        return answers.astype(np.int64).reshape(len(mean) if mean.shape[1] == 1 else mean.shape)

    def votes(self, X: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return how many networks say each class, (N, classes); of yes-or-no questions, how many say yes, (N, K).

        Parameters
        ----------
        X : array of shape (N, inputs)
            As for `Network.predict`.

        Returns
        -------
        ndarray of int64, shape (N, classes) or (N, K)
            From 0 to the number of networks.
        """
        if not self.classifies:
            raise ValueError(f"votes need a loss of classes; {self.loss!r} is one of numbers")
        said = self.members(X)
        if isinstance(self.loss, CrossEntropy):
            return counted(said.argmax(axis=2), said.shape[2])
        return np.asarray((said > 0.5).sum(axis=0))

    def spread(self, X: npt.ArrayLike) -> Floats:
        """Return the standard deviation of what the networks say about their mean, (N, K): where they disagree.

        Its square is by how much the squared error of the mean lies below that of the members on average.

        Parameters
        ----------
        X : array of shape (N, inputs)
            As for `Network.predict`.

        Returns
        -------
        ndarray of float64, shape (N, K)
            At least 0, in the units of the answers.
        """
        said = self.members(X)
        result: Floats = np.sqrt(np.mean((said - averaged(said)) ** 2, axis=0))
        return result

    def out_of_bag(self, X: npt.ArrayLike) -> Floats:
        """Return for each row the mean of those networks that did not learn from it, (N, K); NaN where all did.

        Bagging leaves a row out of a network's sample with a chance of (1 - 1/N)^N, about 37 %: so every row is
        validated on without holding any back.

        Parameters
        ----------
        X : array of shape (N, inputs)
            The rows that `train_ensemble` got, in their order.

        Returns
        -------
        ndarray of float64, shape (N, K)
            Probabilities of classes, or numbers.
        """
        if self.rows is None:
            raise ValueError("out_of_bag needs to know who learned from which row: train_ensemble(bootstrap=True)")
        said = self.members(X)
        most = max(int(one.max()) for one in self.rows)
        if most >= said.shape[1]:
            raise ValueError(f"X must be the rows that were learned from, at least {most + 1}; got {said.shape[1]}")
        unseen = np.ones(said.shape[:2])
        for number, rows in enumerate(self.rows):
            unseen[number, rows] = 0
        count = unseen.sum(axis=0)[:, np.newaxis]
        total = np.einsum("mn,mnk->nk", unseen, said)
        result: Floats = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
        return result

    @property
    def classifies(self) -> bool:
        """Whether the networks tell classes, or answer with yes and no."""
        return isinstance(self.loss, (CrossEntropy, BinaryCrossEntropy))


def meant(loss: Loss, outputs: npt.ArrayLike | DeviceArray) -> Floats:
    """Return what outputs (N, K) mean by the loss they were trained with, in float64, on the host."""
    host = outputs.numpy() if isinstance(outputs, DeviceArray) else outputs
    z: Floats = np.asarray(host, dtype=np.float64)
    with np.errstate(over="ignore", under="ignore"):
        if isinstance(loss, CrossEntropy) and loss.from_logits:
            e = np.exp(z - z.max(axis=1, keepdims=True))
            return np.asarray(e / e.sum(axis=1, keepdims=True))
        if isinstance(loss, BinaryCrossEntropy) and loss.from_logits:
            return np.asarray(1 / (1 + np.exp(-z)))
        if isinstance(loss, Poisson) and loss.from_log:
            return np.asarray(np.exp(z))
    return z


def averaged(said: Floats) -> Floats:
    """Return the mean over the networks (M, N, K) -> (N, K); of equal ones exactly what they say."""
    return np.asarray(said[0] + (said - said[0]).mean(axis=0))


def counted(classes: npt.NDArray[np.int64], known: int) -> npt.NDArray[np.int64]:
    """Return how often each class occurs in the columns of `classes` (M, N) -> (N, known)."""
    return np.asarray((classes[:, :, np.newaxis] == np.arange(known)).sum(axis=0))


# Made ----------------------------------------------------------------------------------------------------------------


def train_ensemble(
    make_trainer: Callable[[int], Trainer],
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    members: int = 5,
    bootstrap: bool = False,
    epochs: int = 10,
    batch_size: int = 32,
    validation_data: Sequence[npt.ArrayLike] | None = None,
    callbacks: Sequence[Callback] = (),
    sample_weight: npt.ArrayLike | None = None,
    class_weight: str | Mapping[int, float] | None = None,
    seed: int = 0,
) -> Ensemble:
    """Train several networks of one kind, which differ by their seeds or by their rows, and return their ensemble.

    Lecture [003] lists "ensembling" against overfitting, as "better suited for machine learning": M networks take M
    times as long to train and to ask. Dropout approximates it within one network ([002]).

    Parameters
    ----------
    make_trainer : callable
        Makes a new `Trainer` of a new `Network` from a seed: `lambda seed: Trainer(Network(layers, inputs=4,
        seed=seed), loss="mse")`. Its seeds are `seed`, `seed` + 1, ...
    X, y, sample_weight : array
        As in `Trainer.fit`.
    members : int, default 5
        How many networks.
    bootstrap : bool, default False
        Bagging: whether each learns from N rows drawn from the N there are, so that some come twice and about 37 % do
        not come; else all learn from all rows.
    epochs, batch_size, validation_data, callbacks, class_weight : as for `Trainer.fit`
        For each network.
    seed : int, default 0
        Of the first network, and the key of the drawn rows.

    Returns
    -------
    Ensemble
        Its `loss` is that of the trainers, its `rows` say who learned from which row.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit; or if the networks start alike and would learn the same.

    Examples
    --------
    >>> def make_trainer(seed):
    ...     net = cr.Network([cr.Dense(32, activation="relu"), cr.Dense(10)], inputs=64, seed=seed)
    ...     return cr.Trainer(net, loss="cross_entropy")
    >>> bagged = cr.train_ensemble(make_trainer, X, y, members=10, bootstrap=True, epochs=20)
    >>> bagged.predict_classes(X_test, by="vote")
    """
    checked_builder("make_trainer", make_trainer, "a seed that returns a Trainer")
    members = checks.whole("members", members)
    bootstrap = checks.flag("bootstrap", bootstrap)
    seed = checks.whole("seed", seed, least=0, most=checks.MOST_SEED - members)
    rows = given_rows(X, y, sample_weight)
    seen: weakref.WeakSet[Network] = weakref.WeakSet()
    made = [new_trainer(f"make_trainer({s})", make_trainer(s), seen) for s in range(seed, seed + members)]
    together = Ensemble([trainer.net for trainer in made], loss=made[0].loss)
    for trainer in made:
        if trainer.loss != together.loss:
            raise ValueError(f"all trainers must have the same loss; got {together.loss!r} and {trainer.loss!r}")
    training_rows.checked_rows(made[0].net, made[0].loss, *rows, takes_sparse=True)
    if members > 1 and not bootstrap:
        check_different(made[0], made[1])
    count = len(rows[1])
    drawn = np.random.default_rng(seed)
    learned = []
    for trainer in made:
        own = drawn.integers(count, size=count) if bootstrap else np.arange(count)
        x, targets, weight = taken(rows, own) if bootstrap else rows
        trainer.fit(
            x,
            targets,
            epochs=epochs,
            batch_size=batch_size,
            validation_data=validation_data,
            callbacks=callbacks,
            sample_weight=weight,
            class_weight=class_weight,
            verbose=False,
        )
        learned.append(np.unique(own))
    return Ensemble(together.networks, loss=together.loss, rows=learned)


def check_different(one: Trainer, other: Trainer) -> None:
    """Raise ValueError where two networks start alike and get the same batches."""
    start, others = one.net.state_dict(), other.net.state_dict()
    alike = list(start) == list(others) and all(np.array_equal(start[name], others[name]) for name in start)
    if alike and one.seed == other.seed and one.net.seed == other.net.seed:
        raise ValueError(
            "make_trainer must heed its seed, or else all networks are the same: "
            "Network(..., seed=seed), or bootstrap=True for rows that differ"
        )


class EnsembleSnapshots(Callback):
    """Keep copies of the network while it trains, for an ensemble that costs one training (Huang et al. 2017).

    Copies differ where the rate comes down and goes up again in between, so that each ends in a minimum of its own:
    keep one at the end of each cycle.

    Parameters
    ----------
    every : int
        Epochs from one copy to the next, counted in each fit.
    last : int, optional
        How many copies are kept, the last ones; None for all.

    Attributes
    ----------
    networks : list of Network
        The copies of the last fit, the earliest first.
    epochs : list of int
        At the end of which epochs they were made.

    Examples
    --------
    A rate that falls from 0.1 by half a cosine, in 10 epochs, and starts again:

    >>> rate = lambda epoch: 0.05 * (1 + math.cos(math.pi * (epoch % 10) / 10))
    >>> snapshots = cr.EnsembleSnapshots(every=10)
    >>> trainer = cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(rate))
    >>> trainer.fit(X, y, epochs=50, callbacks=[snapshots])
    >>> cr.Ensemble(snapshots.networks, loss=trainer.loss).predict(X_test)
    """

    def __init__(self, every: int, *, last: int | None = None) -> None:
        self.every = checks.whole("every", every)
        self.last = None if last is None else checks.whole("last", last)
        self.networks: list[Network] = []
        self.epochs: list[int] = []

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Forget an earlier fit."""
        self.networks, self.epochs = [], []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Copy the network, if it is time."""
        if (epoch - self.trainer.history.first_epoch + 1) % self.every == 0:
            self.networks.append(self.trainer.net.copy())
            self.epochs.append(epoch)
            if self.last is not None:
                del self.networks[: -self.last], self.epochs[: -self.last]

    def state_dict(self) -> dict[str, Any]:
        """Return the copies as arrays."""
        return {"epochs": list(self.epochs), "networks": [net.state_dict() for net in self.networks]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the copies of an earlier run."""
        history, networks = self.trainer.history, []
        epochs = [kept_epoch("an epoch", epoch, history) for epoch in state["epochs"]]
        for _, arrays in zip(epochs, state["networks"], strict=True):
            networks.append(self.trainer.net.copy())
            networks[-1].load_state_dict(arrays)
        self.networks, self.epochs = networks, epochs

    def on_train_end(self, logs: Mapping[str, float]) -> None:
        """Drop the copy of an epoch that the trainer took back, whose weights give no finite loss."""
        history = self.trainer.history
        while self.epochs and self.epochs[-1] >= history.first_epoch + history.epochs:
            del self.networks[-1], self.epochs[-1]
