"""Inputs that look odd and are accepted: they must give the very bits of the plain ones."""

from __future__ import annotations

import numpy as np
import pytest
from problems import INPUTS, LABELS, NUMBERS, ROWS, X, classifier

import chainrule as cr


def trained(net, **options):
    return cr.Trainer(net, **{"loss": "cross_entropy", **options})


def read_only(array):
    array = array.copy()
    array.setflags(write=False)
    return array


def unaligned(array):
    """Return the same numbers at an odd address."""
    buffer = np.zeros(array.nbytes + 1, np.uint8)
    result = buffer[1:].view(array.dtype).reshape(array.shape)
    result[...] = array
    return result


WHOLE = np.arange(ROWS * INPUTS).reshape(ROWS, INPUTS) % 7 - 3
ACCEPTED = {
    "a list": lambda x: x.tolist(),
    "a tuple of arrays": lambda x: tuple(x),
    "Fortran order": np.asfortranarray,
    "every second row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "every second column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "reversed": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "transposed": lambda x: x.T.copy().T,
    "read-only": read_only,
    "unaligned": unaligned,
    "float64": lambda x: x.astype(np.float64),
    "float32": lambda x: x.astype(np.float32),
    "float16": lambda x: x.astype(np.float16),
    "long double": lambda x: x.astype(np.longdouble),
    "the other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "int8": lambda x: x.astype(np.int8),
    "int64": lambda x: x.astype(np.int64),
    "a subclass": lambda x: np.asmatrix(x),
    "an output": lambda x: cr.Network([cr.Activation("identity")], inputs=INPUTS)(x),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("odd", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_odd_inputs_that_are_accepted(odd, dtype):
    # Small whole numbers: the same in every dtype.
    plain = WHOLE.astype(np.float64)
    given = odd(plain)
    net, other = classifier(dtype=dtype), classifier(dtype=dtype)
    assert np.array_equal(net.predict(given), other.predict(plain))
    assert np.array_equal(np.asarray(net(given)), np.asarray(other(plain)))
    options = {"epochs": 2, "batch_size": 5, "validation_split": 0.25}
    histories = [trained(one).fit(x, LABELS, **options) for one, x in ((net, given), (other, plain))]
    assert histories[0]["val_loss"] == histories[1]["val_loss"]
    assert np.array_equal(net.core.arena(), other.core.arena())
    assert np.array_equal(np.asarray(given, dtype=np.float64), plain)


TARGETS = {
    "labels in a column": (cr.CrossEntropy(), LABELS, LABELS[:, None]),
    "labels in a list": (cr.CrossEntropy(), LABELS, LABELS.tolist()),
    "labels of uint8": (cr.CrossEntropy(), LABELS, LABELS.astype(np.uint8)),
    "labels of uint64": (cr.CrossEntropy(), LABELS, LABELS.astype(np.uint64)),
    "labels read-only": (cr.CrossEntropy(), LABELS, read_only(LABELS)),
    "labels strided": (cr.CrossEntropy(), LABELS, np.repeat(LABELS, 3)[::3]),
    "bool labels": (cr.CrossEntropy(), LABELS > 0, (LABELS > 0).astype(int)),
    "one-hot integers": (cr.CrossEntropy(), np.eye(3)[LABELS], np.eye(3, dtype=int)[LABELS]),
    "one-hot bools": (cr.CrossEntropy(), np.eye(3)[LABELS], np.eye(3, dtype=bool)[LABELS]),
    "binary bools": (cr.BinaryCrossEntropy(), np.eye(3)[LABELS], np.eye(3, dtype=bool)[LABELS]),
    "numbers in Fortran order": (cr.MeanSquaredError(), NUMBERS, np.asfortranarray(NUMBERS)),
    "whole numbers": (cr.MeanSquaredError(), WHOLE[:, :3].astype(float), WHOLE[:, :3]),
}


@pytest.mark.parametrize(("loss", "plain", "odd"), TARGETS.values(), ids=TARGETS.keys())
def test_odd_targets_that_are_accepted(loss, plain, odd):
    nets = [classifier(), classifier()]
    for net, y in zip(nets, (plain, odd), strict=True):
        trained(net, loss=loss).fit(X, y, epochs=2, sample_weight=np.arange(ROWS))
    assert np.array_equal(nets[0].core.arena(), nets[1].core.arena())


@pytest.mark.parametrize("loss", ["mse", "binary_cross_entropy"])
def test_a_single_output_takes_a_row_of_targets(loss):
    nets = [cr.Network([cr.Dense(1)], inputs=INPUTS) for _ in range(2)]
    for net, y in zip(nets, (LABELS % 2, (LABELS % 2)[:, None]), strict=True):
        trained(net, loss=loss).fit(X, y, epochs=2)
    assert np.array_equal(nets[0].core.arena(), nets[1].core.arena())


def test_bool_features_are_0_and_1():
    assert np.array_equal(classifier().predict(X > 0), classifier().predict((X > 0).astype(float)))


def test_a_batch_larger_than_the_data_is_the_data():
    nets = [classifier(), classifier()]
    for net, size in zip(nets, (ROWS, 2**31 - 1), strict=True):
        trained(net).fit(X, LABELS, epochs=2, batch_size=size)
    assert np.array_equal(nets[0].core.arena(), nets[1].core.arena())


def test_numbers_whose_sum_overflows_are_finite():
    net = cr.Network([cr.Dense(1, weight_init="zeros")], inputs=4)
    assert np.array_equal(net.predict(np.full((3, 4), 3e38)), np.zeros((3, 1)))


def test_data_that_changes_during_a_fit_cannot_harm():
    labels, x = LABELS.astype(np.int32), X.astype(np.float32)

    class Spoiling(cr.Callback):
        def on_epoch_end(self, epoch, logs):
            labels[:] = 2**31 - 1
            x[:] = 0

    history = trained(classifier()).fit(x, labels, epochs=3, callbacks=[Spoiling()])
    assert np.isfinite(history["loss"]).all()
