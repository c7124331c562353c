"""Networks that learn from sparse rows: judged by the same rows made dense, by SciPy, and by differences.

In float64, where a sum in another order is wrong by some 1e-16; products themselves are in test_kernels_sparse.py.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import chainrule as cr
from chainrule import _engine
from chainrule.sparse import features

Array = npt.NDArray[Any]

INPUTS, CLASSES = 40, 3
CLOSE: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12}


def documents(rows: int = 203, seed: int = 0) -> tuple[sparse.csr_array, Array]:
    """Return counts of words (rows, 40), most of them 0, and the class of each row, which some words tell."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, rows)
    counts = rng.poisson(0.1, (rows, INPUTS)) + (np.arange(INPUTS) % CLASSES == y[:, None]) * rng.poisson(
        0.3, (rows, INPUTS)
    )
    return sparse.csr_array(counts.astype(float)), y


def network(*, dtype: str = "float64", seed: int = 1, **options: Any) -> cr.Network:
    layers = [cr.Dense(17, activation="tanh", **options), cr.Dense(CLASSES)]
    return cr.Network(layers, inputs=INPUTS, seed=seed, dtype=dtype)


def assert_same_state(one: cr.Network, other: cr.Network) -> None:
    for name, array in one.state_dict().items():
        assert_allclose(array, other.state_dict()[name], **CLOSE, err_msg=name)


# Prediction -----------------------------------------------------------------------------------------------------------

FORMATS = [sparse.csr_array, sparse.csr_matrix, sparse.csc_matrix, sparse.coo_array, sparse.lil_matrix]


@pytest.mark.parametrize("made", FORMATS)
def test_predict_takes_any_format_of_scipy(made: Any) -> None:
    X, _ = documents()
    net = network()
    assert_allclose(net.predict(made(X)), net.predict(X.toarray()), **CLOSE)


@pytest.mark.parametrize("rows", [0, 1, 511, 513, 1025])
def test_predict_of_any_number_of_rows(rows: int, dtype: str) -> None:
    X, _ = documents(rows)
    net = network(dtype=dtype)
    p, out = net.predict(X), np.full((rows, CLASSES), np.nan, dtype)
    close = CLOSE if dtype == "float64" else {"rtol": 1e-5, "atol": 1e-5}
    assert_allclose(p, net.predict(X.toarray()), **close)
    assert net.predict(X, out) is out
    assert_array_equal(out, p)


@pytest.mark.parametrize("kind", [np.int8, bool, np.float32, np.int64])
def test_numbers_of_any_kind_are_read_as_numbers(kind: Any) -> None:
    X = documents()[0].astype(kind)
    assert_allclose(network().predict(X), network().predict(X.toarray()), **CLOSE)


def test_indices_of_64_bits_in_any_order_and_twice() -> None:
    X = sparse.csr_array((2, INPUTS))
    X.indptr, X.indices = np.array([0, 3, 4], np.int64), np.array([7, 2, 7, 39], np.int64)
    X.data = np.array([1.0, 2.0, 3.0, 4.0])
    dense = np.zeros((2, INPUTS))
    dense[0, [2, 7]], dense[1, 39] = [2, 4], 4
    assert_allclose(network().predict(X), network().predict(dense), **CLOSE)


def test_what_was_checked_cannot_change() -> None:
    X, net = documents()[0], network()
    kept = features("X", X, net)
    before = net.core.predict(kept)
    X.indices[:], X.indptr[:], X.data[:] = 2**31 - 1, 2**31 - 1, np.nan
    assert_array_equal(net.core.predict(kept), before)


# Training -------------------------------------------------------------------------------------------------------------

FITS: dict[str, dict[str, Any]] = {
    "plain": {},
    "one step": {"batch_size": 203},
    "single rows": {"batch_size": 1, "epochs": 1},
    "in order": {"shuffle": False, "drop_last": True},
    "split": {"validation_split": 0.25},
    "weights": {"sample_weight": np.linspace(0, 2, 203), "validation_split": 0.2},
    "classes": {"class_weight": "balanced"},
}


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_fit_is_that_of_the_dense_rows(name: str, optimizer: str) -> None:
    X, y = documents()
    trained, histories = [], []
    for rows in (X, X.toarray()):
        net = network()
        trainer = cr.Trainer(net, loss="cross_entropy", optimizer=optimizer, penalty=cr.L2(1e-3), metrics=["accuracy"])
        histories.append(trainer.fit(rows, y, **{"epochs": 3, "batch_size": 32, **FITS[name]}))
        trained.append(net)
    assert_same_state(*trained)
    names = [one for one in histories[0] if one not in ("seconds", "samples_per_second")]
    assert "loss" in names
    for one in names:
        assert_allclose(histories[0][one], histories[1][one], **CLOSE, err_msg=one)
    start = network().predict(X)
    assert not np.allclose(start, trained[0].predict(X))


def test_it_learns_and_measures_as_on_dense_rows() -> None:
    X, y = documents(600)
    trainer = cr.Trainer(network(), loss="cross_entropy", optimizer=cr.Adam(0.01), metrics=["accuracy"])
    history = trainer.fit(X, y, epochs=20, validation_data=(documents(200, seed=1)))
    assert history["val_accuracy"][-1] > 0.8
    found, expected = trainer.evaluate(X, y), trainer.evaluate(X.toarray(), y, allow_seen=True)
    assert found.keys() == expected.keys()
    assert_allclose([found[name] for name in expected], list(expected.values()), **CLOSE)
    assert_array_equal(trainer.scores(X, y).confusion, trainer.scores(X.toarray(), y).confusion)


@pytest.mark.parametrize("options", [{"bias": False}, {"connections": np.tile([0, 1, 1, 0], (INPUTS, 5))[:, :17]}])
def test_other_first_layers(options: dict[str, Any]) -> None:
    X, y = documents()
    nets = [network(**options), network(**options)]
    for net, rows in zip(nets, (X, X.toarray()), strict=True):
        cr.Trainer(net, loss="cross_entropy").fit(rows, y, epochs=2)
    assert_same_state(*nets)


def test_a_single_layer_with_softmax_and_one_that_is_frozen() -> None:
    X, y = documents()
    single = [cr.Network([cr.Dense(CLASSES, activation="softmax")], inputs=INPUTS, dtype="float64") for _ in range(2)]
    for net, rows in zip(single, (X, X.toarray()), strict=True):
        cr.Trainer(net, loss=cr.CrossEntropy(from_logits=False)).fit(rows, y, epochs=2)
    assert_same_state(*single)
    frozen = [network(), network()]
    for net, rows in zip(frozen, (X, X.toarray()), strict=True):
        net.freeze(0)
        cr.Trainer(net, loss="cross_entropy").fit(rows, y, epochs=2)
    assert_same_state(*frozen)
    assert_array_equal(frozen[0].parameters()["0.weight"], network().parameters()["0.weight"])


def test_the_same_bits_on_any_number_of_threads(restored_threads: None) -> None:
    X, y = documents()
    found = []
    for threads in (1, 2, 3):
        cr.set_num_threads(threads)
        _engine.set_work_per_thread(1)
        net = network(dtype="float32")
        cr.Trainer(net, loss="cross_entropy").fit(X, y, epochs=2)
        found.append([array.tobytes() for array in [*net.parameters().values(), net.predict(X)]])
    assert found[1] == found[0]
    assert found[2] == found[0]


def test_gradients_by_hand_are_those_of_differences() -> None:
    X, y = documents(9)
    net, loss = network(), cr.CrossEntropy()
    loss(net(X), y).backward()
    gradient = net.gradients()["0.weight"].copy()
    weight = net.parameters()["0.weight"]
    for place in [(0, 0), (3, 16), (39, 5), (20, 8)]:
        values = []
        for step in (1e-5, -2e-5):
            weight[place] += step
            values.append(float(loss(net(X, training=False), y)))
        weight[place] += 1e-5
        assert_allclose(gradient[place], (values[0] - values[1]) / 2e-5, rtol=1e-6, atol=1e-9)
    dense = network()
    loss(dense(X.toarray()), y).backward()
    for name, array in dense.gradients().items():
        assert_allclose(net.gradients()[name], array, **CLOSE)
    loss(net(X), y).backward(accumulate=True)
    assert_allclose(net.gradients()["0.weight"], 2 * gradient, **CLOSE)


def test_sparse_and_dense_rows_take_turns_by_hand() -> None:
    X, y = documents(30)
    net, loss = network(), cr.CrossEntropy()
    for rows in (X[:5], X.toarray()[:20], X, X.toarray()[:30]):
        net.zero_grad()
        loss(net(rows), y[: rows.shape[0]]).backward()
        other = network()
        loss(other(rows.toarray() if sparse.issparse(rows) else rows), y[: rows.shape[0]]).backward()
        assert_allclose(net.gradients()["0.weight"], other.gradients()["0.weight"], **CLOSE)


def test_a_standardize_further_up_is_measured() -> None:
    X, y = documents()
    layers = [cr.Dense(8), cr.Standardize(), cr.Dense(CLASSES)]
    nets = [cr.Network(layers, inputs=INPUTS, dtype="float64") for _ in range(3)]
    cr.Trainer(nets[0], loss="cross_entropy").fit(X, y, epochs=1)
    cr.Trainer(nets[1], loss="cross_entropy").fit(X.toarray(), y, epochs=1)
    assert_same_state(nets[0], nets[1])
    nets[2].adapt(X)
    assert_allclose(nets[2].statistics()["1.mean"], nets[1].statistics()["1.mean"], **CLOSE)


def test_a_snapshot_knows_its_rows(tmp_path: Path) -> None:
    X, y = documents()
    whole, trainer = network(), cr.Trainer(network(), loss="cross_entropy")
    cr.Trainer(whole, loss="cross_entropy").fit(X, y, epochs=3)

    class Crash(cr.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            if epoch == 2:
                raise KeyError("here")

    with pytest.raises(KeyError):
        trainer.fit(X, y, epochs=3, snapshots=tmp_path / "run", callbacks=[Crash()])
    another = X.copy()
    another.indices[0] += 1
    again = cr.Trainer(network(), loss="cross_entropy")

    class Quiet(Crash):
        def on_epoch_end(self, epoch: int, logs: Any) -> None: ...

    Quiet.__name__ = "Crash"
    with pytest.raises(ValueError, match="of other data"):
        again.resume(tmp_path / "run", another, y, callbacks=[Quiet()])
    again.resume(tmp_path / "run", X, y, callbacks=[Quiet()])
    for name, array in whole.parameters().items():
        assert_array_equal(again.net.parameters()[name], array)


# Memory ---------------------------------------------------------------------------------------------------------------


def test_nothing_is_made_dense() -> None:
    # 20,000 x 100,000 numbers would be 8 GB, a batch of them 1.6 GB; the network and its optimizer have 10 MB.
    script = """
        import resource, sys
        import numpy as np
        from scipy import sparse
        import chainrule as cr

        rng = np.random.default_rng(0)
        rows, columns, kept = 20_000, 100_000, 10
        indices = rng.integers(0, columns, rows * kept)
        X = sparse.csr_matrix((np.ones(rows * kept), indices, np.arange(0, rows * kept + 1, kept)), (rows, columns))
        y = np.asarray(X[:, :50_000].sum(axis=1)).ravel() > kept / 2
        net = cr.Network([cr.Dense(4, activation="relu"), cr.Dense(1)], inputs=columns)
        trainer = cr.Trainer(net, loss="binary_cross_entropy", metrics=["accuracy"])
        start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        trainer.fit(X, y, epochs=2, batch_size=4000, validation_split=0.2, verbose=False)
        trainer.evaluate(X, y, allow_seen=True)
        assert net.predict(X.tocsc()).shape == (rows, 1)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) / 1024)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) < 150  # MB


# What is refused ------------------------------------------------------------------------------------------------------


def changed(X: sparse.csr_array, **arrays: Any) -> sparse.csr_array:
    """Return a copy, some of whose arrays are replaced without SciPy's checks."""
    other = X.copy()
    for name, array in arrays.items():
        setattr(other, name, array)
    return other


SMALL = sparse.csr_array(np.eye(3, INPUTS))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (SMALL[:, :39], r"X must have shape \(rows, 40\); got \(3, 39\)"),
        (SMALL[[0]] * np.inf, r"X must be finite; X\[0, 0\] is inf"),
        (changed(SMALL, data=np.array([1, 2, np.nan])), r"X must be finite; X\[2, 2\] is nan"),
        (
            changed(SMALL, indices=np.array([0, 40, 1], np.int32)),
            r"X is no sound CSR matrix.*columns\[1\] must be 0",
        ),
        (changed(SMALL, indices=np.array([0, 2**32, 1])), r"no sound CSR matrix.*columns\[1\] must be 0 to 39"),
        (changed(SMALL, indices=np.array([0, -1, 1], np.int32)), r"no sound CSR matrix.*got -1"),
        (changed(SMALL, indptr=np.array([0, 2, 1, 3], np.int32)), r"no sound CSR matrix.*offsets\[2\] does"),
        (changed(SMALL, indptr=np.array([1, 2, 3, 3], np.int32)), r"no sound CSR matrix.*begin with 0"),
        (changed(SMALL, indptr=np.array([0, 1, 2, 9], np.int32)), r"no sound CSR matrix.*must have 9 elements"),
    ],
)
def test_matrices_that_do_not_suit(X: Any, message: str) -> None:
    net = network()
    trainer = cr.Trainer(net, loss="cross_entropy")
    before = net.state_dict()
    y = np.zeros(X.shape[0], int)
    for call in (net.predict, net, lambda rows: trainer.fit(rows, y), lambda rows: trainer.evaluate(rows, y)):
        with pytest.raises(ValueError, match=message):
            call(X)
    for name, array in net.state_dict().items():
        assert_array_equal(array, before[name])


def test_numbers_too_large_and_numbers_that_are_not_real() -> None:
    with pytest.raises(ValueError, match=r"X must fit into float32; X\[1, 1\] is 1e\+300"):
        network(dtype="float32").predict(SMALL * np.array([[1], [1e300], [1]]))
    with pytest.raises(TypeError, match="X must hold real numbers; got dtype complex128"):
        network().predict(SMALL.astype(complex))
    with pytest.raises(ValueError, match="X must have at least one row"):
        cr.Trainer(network(), loss="cross_entropy").fit(SMALL[:0], [])


def test_the_first_layer_must_be_dense() -> None:
    for layers in ([cr.Dropout(rate=0.5), cr.Dense(2)], [cr.BatchNorm(), cr.Dense(2)], [cr.Maxout(2, pieces=2)]):
        net = cr.Network(layers, inputs=INPUTS)
        kind = type(layers[0]).__name__
        with pytest.raises(ValueError, match=rf"a Dense as the first layer; layers\[0\] is a {kind}"):
            net.predict(SMALL)
        rows = _engine.SparseRows(np.array([0]), np.array([], np.int32), np.array([], np.float32), INPUTS)
        with pytest.raises(ValueError, match=f"sparse rows need a Dense as the first layer; it is a {kind}"):
            net.core.predict(rows)


def test_rows_of_another_dtype_or_width_are_refused_by_the_engine() -> None:
    net, none = network(), np.array([], np.int32)
    with pytest.raises(TypeError, match="must have the network's dtype; got float32"):
        net.core.predict(_engine.SparseRows(np.array([0]), none, np.array([], np.float32), INPUTS))
    with pytest.raises(ValueError, match="x must have 40 columns; got 39"):
        net.core.forward(_engine.SparseRows(np.array([0]), none, np.array([]), INPUTS - 1), True)


def test_augmentation_is_refused() -> None:
    trainer = cr.Trainer(network(), loss="cross_entropy")
    with pytest.raises(ValueError, match="augment changes all numbers of a row, and X is sparse"):
        trainer.fit(SMALL, [0, 1, 2], augment=cr.NoiseAugmentation(std=0.1))
    assert trainer.epochs_done == 0


def test_on_a_gpu_they_are_refused() -> None:
    if not _engine.cuda_available():
        pytest.skip("there is no GPU, nor an emulated one")
    net = cr.Network([cr.Dense(2)], inputs=INPUTS, device="cuda")
    with pytest.raises(ValueError, match="X is sparse, which only networks on the CPU take"):
        net.predict(SMALL)
    rows = _engine.SparseRows(np.array([0]), np.array([], np.int32), np.array([], np.float32), INPUTS)
    with pytest.raises(ValueError, match="sparse rows are for networks on the CPU"):
        net.core.predict(rows)


# The engine's rows ----------------------------------------------------------------------------------------------------


def test_some_rows_are_those_of_scipy(dtype: str) -> None:
    X = documents(20)[0].astype(dtype)
    rows = _engine.SparseRows(X.indptr, X.indices, X.data, INPUTS)
    assert (rows.shape, rows.dtype, len(rows)) == ((20, INPUTS), np.dtype(dtype), 20)
    numbers = np.array([3, 3, 19, 0], np.int32)
    for part, expected in ((rows, X), (rows.take(numbers), X[numbers]), (rows.first(7), X[:7]), (rows.first(0), X[:0])):
        offsets, columns, values = part.arrays()
        assert_array_equal(offsets, expected.indptr)
        assert_array_equal(columns, expected.indices)
        assert_array_equal(values, expected.data)
    for count in (-1, 21):
        with pytest.raises(ValueError, match="rows must be 0 to 20"):
            rows.first(count)
    for wrong in (-1, 20):
        with pytest.raises(ValueError, match="there are 20 rows"):
            rows.take(np.array([wrong], np.int32))


@pytest.mark.parametrize(
    ("offsets", "columns", "values", "cols", "error"),
    [
        ([], [], [], 3, "it is empty"),
        ([0, 2], [0], [1.0, 1.0], 3, "columns must have 2 elements"),
        ([0, 2], [0, 1], [1.0], 3, "values must have 2 elements"),
        ([0, -1], [0], [1.0], 3, r"offsets\[1\] must be 0 to"),
        ([0, 1], [0], [np.inf], 3, "values must be finite"),
        ([0, 1], [0], [1.0], 0, r"columns\[0\] must be 0 to -1"),
        ([0], [], [], -1, "cols must be 0 to"),
        ([0], [], [], 2**31, "cols must be 0 to"),
    ],
)
def test_arrays_that_do_not_fit_together(offsets: Any, columns: Any, values: Any, cols: int, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        _engine.SparseRows(np.array(offsets, np.int64), np.array(columns, np.int64), np.array(values, float), cols)


def test_arrays_of_other_dtypes_or_ranks() -> None:
    good = (np.array([0, 1]), np.array([0]), np.array([1.0]))
    for place, wrong in (
        (0, good[0].astype(float)),
        (1, good[1].astype(np.uint64)),
        (2, good[2].astype(int)),
        (2, None),
    ):
        arrays: list[Any] = list(good)
        arrays[place] = wrong
        with pytest.raises(TypeError):
            _engine.SparseRows(*arrays, 3)
    for place in range(3):
        arrays = list(good)
        arrays[place] = arrays[place][None]
        with pytest.raises(ValueError, match="must have shape"):
            _engine.SparseRows(*arrays, 3)
