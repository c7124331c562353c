"""The constructor's parameters of an estimator, checked when it is fitted, as scikit-learn asks of estimators."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any

from joblib import cpu_count, effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn.utils._param_validation import InvalidParameterError

from .. import _engine, activations, checks, losses, optimizers, penalties
from ..callbacks import Callback
from ..schedules import Schedule
from ..threads import MOST_THREADS

if TYPE_CHECKING:
    from ..activations import ActivationFunction
    from ..loss import Loss
    from .base import BaseMLP

SOLVERS = ("adam", "sgd", "lbfgs")
RATES = ("constant", "invscaling", "adaptive")


def check(est: BaseMLP) -> None:
    """Raise scikit-learn's InvalidParameterError, a ValueError and a TypeError, for what a parameter cannot be.

    Loss and device are looked at when the network is made.
    """
    try:
        check_each(est)
        batch_size(est, 1)
        layers = len(hidden_sizes(est))
        for word in of_each("activation", est.activation, layers):
            activation(word)
        for rate in of_each("dropout", est.dropout, layers):
            rate_of_dropout(rate)
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(str(error)) from None


def check_each(est: BaseMLP) -> None:
    """Raise ValueError or TypeError for what a parameter cannot be."""
    for name in ("alpha", "power_t", "tol"):
        checks.number(name, getattr(est, name), least=0)
    for name in ("learning_rate_init", "epsilon"):
        checks.number(name, getattr(est, name), above=0)
    for name in ("beta_1", "beta_2", "validation_fraction"):
        checks.number(name, getattr(est, name), least=0, below=1)
    checks.number("momentum", est.momentum, least=0, most=1)
    for name in ("max_iter", "max_fun"):
        count(name, getattr(est, name))
    if est.n_iter_no_change != math.inf:
        count("n_iter_no_change", est.n_iter_no_change)
    for name in ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping", "batch_norm"):
        checks.flag(name, getattr(est, name))
    if isinstance(est.learning_rate, str):
        checks.word("learning_rate", est.learning_rate, RATES)
    elif not (isinstance(est.learning_rate, Schedule) or callable(est.learning_rate)):
        raise TypeError(
            f"learning_rate must be one of {', '.join(RATES)}, a Schedule or a function of the epoch; got "
            f"{checks.shown(est.learning_rate)}"
        )
    if est.solver not in SOLVERS:
        optimizers.resolve("solver", est.solver)
    if est.n_jobs is not None and checks.whole("n_jobs", est.n_jobs, least=-MOST_THREADS, most=MOST_THREADS) == 0:
        raise ValueError("n_jobs must be a number of threads, -1 for all, or None; got 0")
    for one in est.callbacks or ():
        if not isinstance(one, Callback):
            raise TypeError(f"callbacks must hold chainrule's callbacks; got {checks.shown(one)}")
    penalties.resolve("penalty", est.penalty)


def count(name: str, value: Any) -> int:
    """Return a whole number, at least 1; for one beyond the engine's, such as sys.maxsize, the engine's greatest."""
    return checks.whole(name, min(value, checks.MOST) if isinstance(value, Integral) else value)


def in_a_worker_thread() -> bool:
    """Return whether joblib or Dask runs this as one of several calls in threads of this process."""
    if current_thread() is main_thread():
        return False
    backend = get_active_backend()[0]
    # A task of Dask is told of the cluster, not of its own place in it.
    return backend.nesting_level > 0 or type(backend).__name__ == "DaskDistributedBackend"


@contextmanager
def threads(n_jobs: int | None) -> Iterator[None]:
    """Let what the calling thread starts have so many threads for a while, as joblib counts them: -1 is all.

    None is one in a worker thread, else as many as ever.
    """
    if n_jobs is None and not in_a_worker_thread():
        yield
        return
    before = _engine.own_thread_limit()
    most = max(64, cpu_count())  # which the engine allows on any machine
    _engine.set_own_thread_limit(1 if n_jobs is None else min(effective_n_jobs(n_jobs), most))
    try:
        yield
    finally:
        _engine.set_own_thread_limit(before)


def batch_size(est: BaseMLP, rows: int) -> tuple[int, bool]:
    """Return the rows of a step, and whether more were asked for than there are."""
    if isinstance(est.batch_size, str):
        checks.word("batch_size", est.batch_size, ("auto",))
        return min(200, rows), False
    wanted = count("batch_size", est.batch_size)
    return min(wanted, rows), wanted > rows


def hidden_sizes(est: BaseMLP) -> list[int]:
    """Return the units of each hidden layer."""
    given: Any = est.hidden_layer_sizes
    sizes = list(given) if isinstance(given, Iterable) and getattr(given, "ndim", None) != 0 else [given]
    for size in sizes:
        if not isinstance(size, Integral) or isinstance(size, bool):
            raise TypeError(f"hidden_layer_sizes must be whole numbers; got {checks.shown(given)}")
        if size <= 0:
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def of_each(name: str, value: object, count: int) -> list[Any]:
    """Return a parameter for each hidden layer: one for all, or a list of as many."""
    if isinstance(value, (list, tuple)):
        if len(value) != count:
            raise ValueError(
                f"{name} must be one for all hidden layers, or as many as these: {count}; got {len(value)}"
            )
        return list(value)
    return [value] * count


def activation(value: object) -> ActivationFunction:
    """Return an activation by scikit-learn's words, by chainrule's, or as it is."""
    return activations.resolve("activation", "sigmoid" if value == "logistic" else value)


def rate_of_dropout(value: object) -> float:
    """Return the share of units that are left out, checked."""
    if not isinstance(value, Real):
        raise TypeError(f"dropout must be a number, or a list of one for each hidden layer; got {checks.shown(value)}")
    return checks.number("dropout", value, least=0, below=1)


def loss(value: object, words: dict[str, Loss]) -> Loss:
    """Return a loss by scikit-learn's words, by chainrule's, or as it is."""
    return words[value] if isinstance(value, str) and value in words else losses.resolve("loss", value)


def options_of(name: str, value: object) -> dict[str, Any]:
    """Return the options of a description such as an Optimizer, by names such as solver__lr; of all else nothing."""
    found: dict[str, Any] = {}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            if field.init:
                option = getattr(value, field.name)
                found |= {f"{name}__{field.name}": option, **options_of(f"{name}__{field.name}", option)}
    return found


def with_option(name: str, value: Any, option: str, chosen: object) -> Any:
    """Return a description with one option changed, or one of an option's own, after a further "__"."""
    first, _, rest = option.partition("__")
    known = {field.name for field in dataclasses.fields(value) if field.init}
    if first not in known:
        raise ValueError(f"{name}__{first} is no option of {value!r}; it has {', '.join(sorted(known))}")
    if rest:
        chosen = with_option(f"{name}__{first}", getattr(value, first), rest, chosen)
    return dataclasses.replace(value, **{first: chosen})
