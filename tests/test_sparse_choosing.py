"""What takes rows "as for `Trainer.fit`" takes sparse ones: split, choosing, rates, curves and diagnosis.

Judged by the same call on the rows made dense: in float64 a sum in another order is wrong by some 1e-16.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import chainrule as cr

Array = npt.NDArray[Any]

INPUTS = 30
RNG = np.random.default_rng(0)
DENSE = (RNG.random((120, INPUTS)) < 0.2) * RNG.standard_normal((120, INPUTS))
Y = (DENSE.sum(axis=1) > 0).astype(np.int64)
FORMATS = (sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix)
LOSS = {"loss": "cross_entropy"}


def network(seed: int = 0, units: int = 8) -> cr.Network:
    return cr.Network([cr.Dense(units, activation="tanh"), cr.Dense(2)], inputs=INPUTS, seed=seed, dtype="float64")


def trainer(seed: int = 0, rate: float = 0.05, units: int = 8) -> cr.Trainer:
    return cr.Trainer(network(seed, units), optimizer=cr.SGD(rate), metrics=["accuracy"], **LOSS)


def cross_validated(X: Any) -> Any:
    found = cr.cross_validate(lambda s: trainer(**s), X, Y, settings={"rate": [0.01, 0.3]}, epochs=3, verbose=False)
    assert found.trainer is not None
    return [found.votes[1], *found.best.scores, *found.trainer.net.parameters().values()]


def searched(X: Any, **options: Any) -> Any:
    space = {"units": [3, 9]}
    found = cr.search(lambda s: trainer(**s), space, X, Y, method="grid", epochs=3, verbose=False, **options)
    return [one.score for one in found.trials]


def rates_tested(X: Any) -> Any:
    found = cr.lr_range_test(trainer(), X, Y, steps=40, batch_size=16, max_lr=0.5)
    return [found.losses, found.rates]


def bagged(X: Any) -> Any:
    ensemble = cr.train_ensemble(lambda seed: trainer(seed), X, Y, members=3, bootstrap=True, epochs=3)
    return [ensemble.predict(X), ensemble.out_of_bag(X)]


def rates_tried(X: Any) -> Any:
    found = cr.try_rates(lambda rate: trainer(rate=rate), X, Y, start=1.0, epochs=3)
    return [found.rates, found.trainer.evaluate(X, Y, allow_seen=True)["loss"]]


def rates_cut(X: Any) -> Any:
    found = cr.cut_rates(lambda rate: trainer(rate=rate), X, Y, start=10.0, epochs=3)
    return [found.rates, found.trainer.evaluate(X, Y, allow_seen=True)["loss"]]


def more_rows(X: Any) -> Any:
    found = cr.data_size_curve(network, X, Y, epochs=2, repeats=2, **LOSS)
    return [found.training, found.validation]


def more_units(X: Any) -> Any:
    options = {"sizes": [2, 5], "epochs": 2, "repeats": 2, **LOSS}
    found = cr.complexity_curve(lambda units, seed: network(seed, units), X, Y, **options)
    return [found.training, found.validation]


def grown(X: Any) -> Any:
    found = cr.grow(lambda units: network(0, units), X, Y, sizes=[2, 5], epochs=2, **LOSS)
    return [(one.parameters, one.loss, one.val_loss) for one in found.steps]


def taken_apart(X: Any) -> Any:
    found = cr.bias_variance(network, X, Y, X, Y, epochs=2, repeats=3, **LOSS)
    return [found.bias, found.variance]


def taken_apart_in_turns(X: Any) -> Any:
    def made(seed: int) -> cr.Network:
        dtype = ("float32", "float64")[seed % 2]
        return cr.Network([cr.Dense(3, activation="tanh"), cr.Dense(2)], inputs=INPUTS, seed=seed, dtype=dtype)

    found = cr.bias_variance(made, X, Y, X, Y, epochs=2, repeats=4, **LOSS)
    return [found.bias, found.variance]


def units_reported(X: Any) -> Any:
    found = cr.layer_report(trainer(), X, Y)
    return [(one.mean, one.saturated, one.gradient_norm, one.update_ratio) for one in found.layers]


CALLS: dict[str, Callable[[Any], Any]] = {
    "cross_validate": cross_validated,
    "search": searched,
    "search, validation_data": lambda X: searched(X, validation_data=(X, Y)),
    "lr_range_test": rates_tested,
    "train_ensemble": bagged,
    "try_rates": rates_tried,
    "cut_rates": rates_cut,
    "data_size_curve": more_rows,
    "complexity_curve": more_units,
    "grow": grown,
    "bias_variance": taken_apart,
    "bias_variance in two precisions": taken_apart_in_turns,
    "layer_report": units_reported,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_sparse_rows_give_what_dense_ones_do(call: Callable[[Any], Any]) -> None:
    expected = call(DENSE)
    for made in FORMATS:
        for one, dense in zip(call(made(DENSE)), expected, strict=True):
            assert_allclose(one, dense, rtol=1e-9, atol=1e-12)


def test_split_cuts_sparse_rows() -> None:
    expected = cr.split(DENSE, Y, stratify=Y)
    for made in FORMATS:
        parts = cr.split(made(DENSE), Y, stratify=Y)
        for name in ("training", "validation", "test"):
            X, y = getattr(parts, name)
            assert sparse.issparse(X)
            assert X.format == "csr"
            assert_array_equal(X.toarray(), getattr(expected, name)[0])
            assert_array_equal(y, getattr(expected, name)[1])
        history = trainer().fit(*parts.training, epochs=1, validation_data=parts.validation, verbose=False)
        assert np.isfinite(history["val_loss"]).all()
    with pytest.raises(ValueError, match="all arrays of split must have 120 rows, as the first; array 1 has 119"):
        cr.split(DENSE, sparse.csr_array(DENSE[1:]))


def test_diagnose_measures_sparse_rows() -> None:
    texts = []
    for X in (DENSE, sparse.csc_array(DENSE)):
        one = trainer()
        history = one.fit(X, Y, epochs=8, validation_split=0.2, verbose=False)
        found = cr.diagnose(history, trainer=one, X=X, y=Y, test=(X, Y), target=0.01)
        assert "units on 120 rows" in str(found)
        texts.append(str(found))
    assert texts[0] == texts[1]


def test_trainer_for_counts_sparse_columns() -> None:
    assert cr.trainer_for({}, sparse.csr_array(DENSE), Y).net.inputs == INPUTS


def test_what_is_wrong_with_sparse_rows_is_told() -> None:
    broken = sparse.csr_array(DENSE)
    broken.data[0] = np.nan
    for call in (cross_validated, rates_tested, bagged, more_rows, units_reported):
        with pytest.raises(ValueError, match="X must be finite"):
            call(broken)
    with pytest.raises(ValueError, match=r"X must have shape \(rows, 30\)"):
        cross_validated(sparse.csr_array(DENSE[:, 1:]))
