"""Activations in the wrong place: what a network is warned of when it is made, and that it is so once."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
from problems import rows

import chainrule as cr

SOFTMAX, RELU = "is a softmax before the last layer", "ends the network with relu"
NOISE = "layers[1] ends the network with"
PLACES = {
    "softmax in a hidden layer": ([cr.Dense(4, activation="softmax"), cr.Dense(3)], [f"layers[0] {SOFTMAX}"]),
    "softmax alone, hidden": ([cr.Dense(4), cr.Activation("softmax"), cr.Dense(3)], [f"layers[1] {SOFTMAX}"]),
    "softmax of dropped weights": ([cr.DropConnect(4, rate=0.1, activation="softmax"), cr.Dense(3)], ["layers[0]"]),
    "softmax before a normalization": ([cr.Dense(4, activation="softmax"), cr.BatchNorm()], ["layers[0]"]),
    "softmax before another": ([cr.Dense(4, activation="softmax"), cr.Activation("softmax")], ["layers[0]"]),
    "softmax before maxout": ([cr.Activation("softmax"), cr.Maxout(2)], ["layers[0]"]),
    "relu last": ([cr.Dense(4, activation="tanh"), cr.Dense(3, activation="relu")], [f"layers[1] {RELU}"]),
    "relu last, alone": ([cr.Dense(3), cr.Activation(cr.ReLU())], [f"layers[1] {RELU}"]),
    "relu before a dropout": ([cr.Dense(3, activation="relu"), cr.Dropout(rate=0.5)], [f"layers[0] {RELU}", NOISE]),
    "relu before noise": ([cr.Dense(3, activation="relu"), cr.GaussianNoise(std=1)], [f"layers[0] {RELU}", NOISE]),
    "both": ([cr.Activation("softmax"), cr.Dense(3, activation="relu")], ["layers[0]", "layers[1]"]),
    "softmax last": ([cr.Dense(4, activation="relu"), cr.Dense(3, activation="softmax")], []),
    "softmax before a dropout": ([cr.Dense(3, activation="softmax"), cr.Dropout(rate=0.5)], [f"{NOISE} Dropout"]),
    "noise on outputs": ([cr.Dense(3), cr.GaussianNoise(std=1)], [f"{NOISE} GaussianNoise, which disturbs"]),
    "noise alone": ([cr.GaussianNoise(std=1), cr.Dropout(rate=0.5)], []),
    "softmax before nothing": ([cr.Dense(3), cr.Activation("softmax"), cr.Activation("identity")], []),
    "relu before a normalization": ([cr.Dense(3, activation="relu"), cr.BatchNorm()], []),
    "leaky relu last": ([cr.Dense(3, activation="leaky_relu")], []),
    "elu last": ([cr.Dense(3, activation="elu")], []),
    "anywhere": ([cr.Dense(3, activation=word) for word in ("step", "tanh", "sigmoid", "relu", "sigmoid")], []),
}


@pytest.mark.parametrize(("layers", "messages"), PLACES.values(), ids=PLACES.keys())
def test_what_is_misplaced_is_warned_of_once(layers, messages):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net = cr.Network(layers, inputs=4)
    assert [warning.category for warning in caught] == [cr.PlacementWarning] * len(messages)
    for warning, message in zip(caught, messages, strict=True):
        assert str(warning.message).startswith(message)
        # It points at who made the network.
        assert warning.filename == __file__
    # Warnings are errors here: copies are made in silence.
    net.copy()
    net.copy(dtype="float64")
    copy.deepcopy(net)
    pickle.loads(pickle.dumps(net))


def test_a_misplaced_activation_can_be_an_error():
    with warnings.catch_warnings():
        warnings.simplefilter("error", cr.PlacementWarning)
        with pytest.raises(cr.PlacementWarning):
            cr.Network([cr.Dense(3, activation="relu")], inputs=4)
    assert issubclass(cr.PlacementWarning, UserWarning)


def test_a_network_that_is_warned_of_works():
    with pytest.warns(cr.PlacementWarning):
        net = cr.Network([cr.Dense(3, activation="relu")], inputs=4)
    cr.Trainer(net, loss="mse").fit(rows(30), np.abs(rows(30, 3)), epochs=1)
