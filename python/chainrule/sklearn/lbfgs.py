"""solver="lbfgs": SciPy's L-BFGS-B over all parameters of a network at once, with the engine's loss and gradient.

f(w) = loss of all rows + penalties; w is all that is learned, one array after the other, in double precision.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from .. import sparse
from .protocol import WRAPPED

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from ..trainer import Trainer

    Array = npt.NDArray[Any]


def minimised(
    trainer: Trainer,
    X: Array,
    y: Array,
    weight: Array | None,
    *,
    max_iter: int,
    max_fun: int,
    tol: float,
    after: Callable[[float], None],
) -> tuple[float, int]:
    """Find the least objective from where the network is; return it, and how many iterations that took.

    Parameters
    ----------
    trainer : Trainer
        Whose network learns, with its loss and penalties.
    X, y, weight : array
        All rows, as for `Trainer.fit`.
    max_iter, max_fun, tol
        Iterations and calls at most, and the gradient's greatest element to stop at.
    after : callable
        Called with the objective after each iteration.
    """
    net = trainer.net
    inputs: Any = sparse.or_dense("X", X, net)  # sparse rows are checked and copied once
    views = net.parameters()
    rows = len(y)

    def write(w: Array) -> None:
        at = 0
        for view in views.values():
            view[...] = w[at : at + view.size].reshape(view.shape)
            at += view.size
        net.parameter_changes += 1

    def objective(w: Array) -> tuple[float, Array]:
        write(w)
        net.zero_grad()
        loss = trainer.loss(net.train()(inputs), y, weight)
        value = float(loss)
        if np.isfinite(value):
            loss.backward()
        for one in trainer.penalty:
            value += one.value(net, m=rows, batch=rows)
            one.add_gradient(net, m=rows, batch=rows)
        gradients = net.gradients()
        slope = np.concatenate([gradients[name].ravel() for name in views]).astype(np.float64)
        last[0] = value
        return value, slope

    last = [np.inf]
    start = np.concatenate([view.ravel() for view in views.values()]).astype(np.float64)
    options = {"maxfun": max_fun, "maxiter": max_iter, "gtol": tol}
    found = minimize(objective, start, method="L-BFGS-B", jac=True, options=options, callback=lambda _: after(last[0]))
    write(found.x)
    net.eval()
    # Where the objective is not finite there is no gradient, which looks as if all were done.
    if found.status != 0 or not np.isfinite(found.fun):
        reason = found.message if np.isfinite(found.fun) else f"the objective is {found.fun}"
        warnings.warn(
            f"lbfgs failed to converge after {found.nit} iteration(s) (status={found.status}):\n{reason}\n\n"
            "You might also want to scale the data, or raise max_iter or max_fun",
            ConvergenceWarning,
            stacklevel=5 + WRAPPED,
        )
    return float(found.fun), min(int(found.nit), max_iter)
