"""Wrong calls: each a ValueError or TypeError that names the argument, with the weights untouched.

Wrong options are in test_bad_input_options.py, what the engine itself refuses in test_bad_input_engine.py; what looks
odd and is accepted in test_bad_input_accepted.py, hostile files in test_storage.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from problems import CLASSES, INPUTS, LABELS, NUMBERS, ROWS, X, built, classifier, subclasses

import chainrule as cr


def single(**options):
    return cr.Network([cr.Dense(1, **options)], inputs=INPUTS)


def spoilt(value, row=3, column=2):
    x = X.copy()
    x[row, column] = value
    return x


def spoilt_labels(value, row=5):
    y = LABELS.copy()
    y[row] = value
    return y


def shared(**changes):
    """Return soft targets with some elements changed."""
    y = np.full((ROWS, CLASSES), 1 / CLASSES)
    for place, value in changes.items():
        y[7, int(place[1])] = value
    return y


class Sparse:
    def toarray(self):
        return X


def ragged(value):
    rows = X.tolist()
    rows[3] = value
    return rows


# Using a network -----------------------------------------------------------------------------------------------------


def trained(net, **options):
    return cr.Trainer(net, **{"loss": "cross_entropy", **options})


def fitted(x=X, y=LABELS, **options):
    return lambda net: trained(net).fit(x, y, **options)


def loss_of(loss, y):
    return lambda net: loss(net(X), y)


def state(net, **changes):
    return {**net.state_dict(), **{name.replace("_", "."): value for name, value in changes.items()}}


CALLS = {
    # X, by every door
    "X one row": (
        lambda net: net.predict(X[0]),
        "X must have shape (rows, 4); got (4,); for a single row use X[None, :]",
    ),
    "X of rank 3": (lambda net: net.predict(X[None]), "X must have shape (rows, 4)"),
    "X a number": (lambda net: net.predict(3.0), "X must have shape"),
    "X None": (lambda net: net.predict(None), "X must hold real numbers"),
    "X too narrow": (lambda net: net.predict(X[:, :3]), "X must have shape (rows, 4); got (12, 3)"),
    "X too wide": (lambda net: net(np.zeros((2, 5))), "X must have shape (rows, 4); got (2, 5)"),
    "X with no columns": (lambda net: net.predict(np.zeros((3, 0))), "X must have shape"),
    "X ragged": (lambda net: net.predict(ragged([1.0])), "X must be a rectangular array"),
    "X of objects": (lambda net: net.predict(X.astype(object)), "X must hold real numbers; got dtype object"),
    "X with None": (lambda net: net.predict(ragged([None] * 4)), "X must hold real numbers"),
    "X of text": (lambda net: net.predict(X.astype(str)), "X must hold real numbers"),
    "X of bytes": (lambda net: net.predict(X.astype("S8")), "X must hold real numbers"),
    "X complex": (lambda net: net.predict(X + 0j), "X must hold real numbers; got dtype complex128"),
    "X of dates": (lambda net: net.predict(X.astype("M8[s]")), "X must hold real numbers"),
    "X of records": (lambda net: net.predict(np.zeros((2, 4), dtype=[("a", "f4")])), "X must hold real numbers"),
    "X masked": (lambda net: net.predict(np.ma.masked_less(X, 0)), "X is a masked array"),
    "X sparse": (lambda net: net.predict(Sparse()), "X must be a dense array; got Sparse: use .toarray()"),
    "X with NaN": (lambda net: net.predict(spoilt(np.nan)), "X must be finite; X[3, 2] is nan"),
    "X with infinity": (lambda net: net(spoilt(-np.inf)), "X must be finite; X[3, 2] is -inf"),
    "X beyond float32": (lambda net: net.predict(spoilt(1e39)), "X must fit into float32; X[3, 2] is 1e+39"),
    "fit X with NaN": (fitted(spoilt(np.nan)), "X must be finite"),
    "fit X with infinity": (fitted(spoilt(np.inf)), "X must be finite"),
    "fit X empty": (fitted(np.zeros((0, 4)), []), "X must have at least one row"),
    "fit X an empty list": (fitted([], []), "X must have shape"),
    "fit X too narrow": (fitted(X[:, :2]), "X must have shape (rows, 4)"),
    "fit X of objects": (fitted(X.astype(object)), "X must hold real numbers"),
    "out a list": (lambda net: net.predict(X, [[0.0] * 3] * ROWS), "out"),
    "out of another dtype": (lambda net: net.predict(X, np.zeros((ROWS, 3))), "out"),
    "out of another shape": (
        lambda net: net.predict(X, np.zeros((ROWS, 2), np.float32)),
        "out must have shape (12, 3)",
    ),
    "out not contiguous": (lambda net: net.predict(X, np.zeros((3, ROWS), np.float32).T), "out must be writable"),
    "out read-only": (lambda net: net.predict(X, np.broadcast_to(np.float32(0), (ROWS, 3))), "out must be writable"),
    # y
    "y missing a row": (fitted(y=LABELS[:-1]), "y must have 12 rows, as many as the inputs; got shape (11,)"),
    "y a number": (fitted(y=1), "y must have 12 rows"),
    "y None": (fitted(y=None), "y must hold real numbers"),
    "y too large": (fitted(y=spoilt_labels(3)), "y must hold class labels from 0 to 2; row 5 has 3"),
    "y negative": (fitted(y=spoilt_labels(-1)), "row 5 has -1"),
    "y huge": (fitted(y=spoilt_labels(2**40)), f"row 5 has {2**40}"),
    "y huge unsigned": (fitted(y=spoilt_labels(0).astype(np.uint64) + 2**63), "y must hold class labels"),
    "y floats": (fitted(y=LABELS.astype(float)), "y must hold class labels as whole numbers; got float64"),
    "y words": (fitted(y=np.array(["cat", "dog"] * 6)), "y must hold real numbers; got dtype <U3; number the words"),
    "y objects": (fitted(y=LABELS.astype(object)), "y must hold real numbers"),
    "y of rank 3": (fitted(y=np.zeros((ROWS, 3, 1))), "y must be class labels"),
    "y too wide": (fitted(y=np.zeros((ROWS, 2))), "y must be class labels of shape (12,)"),
    "y not summing to 1": (fitted(y=shared(c0=0.9)), "y must sum to 1 in each row; row 7"),
    "y below 0": (fitted(y=shared(c0=-0.5)), "y must lie from 0 to 1; row 7 has -0.5"),
    "y NaN": (fitted(y=shared(c0=np.nan)), "y must be finite; y[7, 0] is nan"),
    "mse y labels": (lambda net: trained(net, loss="mse").fit(X, LABELS), "y must have shape (12, 3); got (12,)"),
    "mse y infinite": (lambda net: trained(net, loss="mse").fit(X, NUMBERS * np.inf), "y must be finite"),
    "mse y beyond float32": (lambda net: trained(net, loss="mse").fit(X, NUMBERS * 1e300), "y must fit into float32"),
    "poisson y below 0": (
        lambda net: trained(net, loss="poisson").fit(X, shared(c1=-0.5)),
        "y must be at least 0; row 7 has -0.5",
    ),
    "poisson y labels": (lambda net: trained(net, loss="poisson").fit(X, LABELS), "y must have shape (12, 3)"),
    "binary y above 1": (
        lambda net: trained(net, loss="binary_cross_entropy").fit(X, shared(c1=1.5)),
        "y must lie from 0 to 1; row 7 has 1.5",
    ),
    "binary y one column": (lambda net: trained(net, loss=cr.BinaryCrossEntropy()).fit(X, LABELS), "y must have shape"),
    # by hand
    "hand y missing": (loss_of(cr.CrossEntropy(), LABELS[:3]), "y must have 12 rows"),
    "hand y too large": (loss_of(cr.CrossEntropy(), spoilt_labels(9)), "row 5 has 9"),
    "hand mse y wrong": (loss_of(cr.MeanSquaredError(), NUMBERS[:, :2]), "y must have shape (12, 3)"),
    "hand head": (lambda net: cr.CrossEntropy(from_logits=False)(net(X), LABELS), "from_logits=False"),
    "hand weight": (lambda net: cr.CrossEntropy()(net(X), LABELS, -np.ones(ROWS)), "sample_weight must be at least 0"),
    "hand output a row": (lambda net: cr.MeanSquaredError()([1.0], [1.0]), "output must have shape"),
    "hand output text": (lambda net: cr.MeanSquaredError()("a", [1.0]), "output must hold real numbers"),
    "hand output empty": (lambda net: cr.MeanSquaredError()(np.zeros((0, 1)), []), "output has no rows"),
    "hand one output": (lambda net: cr.CrossEntropy()(np.zeros((2, 1)), [0, 0]), "binary_cross_entropy"),
    "hand poisson head": (
        loss_of(cr.Poisson(from_log=False), NUMBERS**2),
        "takes rates, which are at least 0, but the last layer ends with identity",
    ),
    "penalty of a list": (lambda net: cr.L2(1).value([net]), "net must be a Network"),
    "penalty's gradient of None": (lambda net: cr.L2(1).add_gradient(None), "net must be a Network"),
    "step a list": (lambda net: cr.SGD().step([net]), "net must be a Network"),
    # the trainer
    "net a list": (lambda net: trained([net]), "net must be a Network"),
    "loss accuracy": (lambda net: trained(net, loss="accuracy"), "accuracy is not differentiable"),
    "loss unknown": (lambda net: trained(net, loss="rmse"), "loss='rmse' is unknown; known are 'mean_squared_error'"),
    "loss a function": (lambda net: trained(net, loss=np.square), "loss must be a Loss"),
    "loss a class": (lambda net: trained(net, loss=cr.CrossEntropy), "not the class"),
    "optimizer unknown": (lambda net: trained(net, optimizer="adma"), "optimizer='adma' is unknown; known are 'sgd'"),
    "optimizer a number": (lambda net: trained(net, optimizer=0.1), "optimizer"),
    "penalty a number": (lambda net: trained(net, penalty=1e-5), "penalty must be a Penalty"),
    "penalty a word": (lambda net: trained(net, penalty="l2"), "penalty"),
    "penalty a list of numbers": (lambda net: trained(net, penalty=[1e-5]), "penalty must hold"),
    "metrics a word": (lambda net: trained(net, metrics="accuracy"), "metrics must be a list"),
    "metrics unknown": (lambda net: trained(net, metrics=["auc"]), "metrics='auc' is unknown; known are 'accuracy'"),
    "metrics twice": (lambda net: trained(net, metrics=["accuracy"] * 2), "metrics must differ"),
    "metrics of numbers": (lambda net: trained(net, metrics=["mse"]), "metrics='mse' does not suit"),
    "metrics of classes": (lambda net: trained(net, loss="mse", metrics=["accuracy"]), "metrics='accuracy'"),
    "metrics of several questions": (
        lambda net: trained(net, loss="binary_cross_entropy", metrics=["accuracy"]),
        "metrics='accuracy'",
    ),
    "trainer seed": (lambda net: trained(net, seed="a"), "seed"),
    "learning_rate": (lambda net: setattr(trained(net), "learning_rate", 0), "learning_rate"),
    "stop a number": (lambda net: trained(net).stop(3), "reason"),
    # fit
    "epochs 0": (fitted(epochs=0), "epochs"),
    "epochs a float": (fitted(epochs=1.5), "epochs"),
    "batch_size 0": (fitted(batch_size=0), "batch_size"),
    "batch_size None": (fitted(batch_size=None), "batch_size"),
    "batch_size leaves no step": (fitted(batch_size=13, drop_last=True), "batch_size=13 with drop_last=True"),
    "drop_last a number": (fitted(drop_last=1), "drop_last"),
    "shuffle a number": (fitted(shuffle=1), "shuffle"),
    "verbose a word": (fitted(verbose="loud"), "verbose"),
    "verbose 2": (fitted(verbose=2), "verbose"),
    "validation_split 1": (fitted(validation_split=1.0), "validation_split"),
    "validation_split negative": (fitted(validation_split=-0.1), "validation_split"),
    "validation_split of one row": (fitted(X[:1], [0], validation_split=0.5), "validation_split needs at least 2 rows"),
    "validation_split and data": (fitted(validation_split=0.1, validation_data=(X, LABELS)), "exclude each other"),
    "validation_data an array": (fitted(validation_data=X), "validation_data must be (X, y)"),
    "validation_data X alone": (fitted(validation_data=(X,)), "validation_data must be (X, y)"),
    "validation_data X wrong": (fitted(validation_data=(X[:, :3], LABELS)), "validation_data: X must have shape"),
    "validation_data y wrong": (fitted(validation_data=(X, LABELS[:-1])), "validation_data: y must have 12 rows"),
    "validation_data with NaN": (fitted(validation_data=(spoilt(np.nan), LABELS)), "validation_data: X must be finite"),
    "validation_data empty": (fitted(validation_data=(X[:0], LABELS[:0])), "validation_data: X must have at least one"),
    "sample_weight too short": (fitted(sample_weight=[1.0]), "sample_weight must have 12 rows"),
    "sample_weight of rank 2": (fitted(sample_weight=np.ones((ROWS, 1))), "sample_weight must have shape (12,)"),
    "sample_weight negative": (fitted(sample_weight=[-1.0] + [1.0] * 11), "sample_weight must be at least 0; row 0"),
    "sample_weight NaN": (fitted(sample_weight=[np.nan] * ROWS), "sample_weight must be finite"),
    "sample_weight all 0": (fitted(sample_weight=np.zeros(ROWS)), "sample_weight must be above 0"),
    "sample_weight text": (fitted(sample_weight=["1"] * ROWS), "sample_weight must hold real numbers"),
    "class_weight unknown": (fitted(class_weight="even"), "class_weight='even' is unknown; known are 'balanced'"),
    "class_weight a list": (fitted(class_weight=[1, 2, 3]), "class_weight must be 'balanced' or a dict"),
    "class_weight of class 3": (fitted(class_weight={3: 1.0}), "a class of class_weight"),
    "class_weight of a word": (fitted(class_weight={"a": 1.0}), "a class of class_weight"),
    "class_weight negative": (fitted(class_weight={0: -1.0}), "class_weight[0]"),
    "class_weight all 0": (fitted(class_weight={0: 0, 1: 0, 2: 0}), "class_weight must be above 0"),
    "class_weight too large": (fitted(class_weight={0: 1e300}), "class_weight must fit into float32"),
    "class_weight of numbers": (
        lambda net: trained(net, loss="mse").fit(X, NUMBERS, class_weight="balanced"),
        "class_weight needs targets of classes",
    ),
    "callbacks one": (fitted(callbacks=cr.EarlyStopping(patience=1)), "callbacks must be a list"),
    "callbacks a function": (fitted(callbacks=[print]), "callbacks must hold"),
    "monitor without validation": (fitted(callbacks=[cr.EarlyStopping(patience=1)]), "monitor='val_loss' is not in"),
    "monitor unknown": (fitted(callbacks=[cr.EarlyStopping("f1", patience=1)]), "monitor='f1' is not in the history"),
    "evaluate y": (lambda net: trained(net).evaluate(X, LABELS + 1), "y must hold class labels"),
    "evaluate empty": (lambda net: trained(net).evaluate(X[:0], LABELS[:0]), "X must have at least one row"),
    "evaluate weight": (lambda net: trained(net).evaluate(X, LABELS, [1]), "sample_weight"),
    # state, copies, reports
    "state a list": (lambda net: net.load_state_dict([1]), "state must be a mapping"),
    "state missing a name": (lambda net: net.load_state_dict({}), "missing are ['0.weight'"),
    "state unknown name": (lambda net: net.load_state_dict(state(net, wrong=1)), "unknown are ['wrong']"),
    "state wrong shape": (
        lambda net: net.load_state_dict(state(net, **{"1_bias": [0.0]})),
        "state['1.bias'] must have shape",
    ),
    "state of text": (lambda net: net.load_state_dict(state(net, **{"1_bias": ["a"] * 3})), "state['1.bias']"),
    "state beyond float32": (
        lambda net: net.load_state_dict(state(net, **{"0_bias": np.ones(5), "1_bias": [1e39] * 3})),
        "state['1.bias'] must fit into float32",
    ),
    "state below 0 of a variance": (
        lambda net: cr.Network([cr.BatchNorm()], inputs=2).load_state_dict(
            {"0.gamma": [1, 1], "0.beta": [0, 0], "0.running_mean": [0, 0], "0.running_variance": [0, -0.5]}
        ),
        "state['0.running_variance'] must be at least 0; [1] is -0.5",
    ),
    "state without statistics": (
        lambda net: cr.Network([cr.BatchNorm()], inputs=1).load_state_dict({"0.gamma": [1], "0.beta": [0]}),
        "missing are ['0.running_mean', '0.running_variance']",
    ),
    "state where nothing is connected": (
        lambda net: cr.Network([cr.Dense(2, connections=["11", "10"])], inputs=2).load_state_dict(
            {"0.weight": [[1, 2], [3, 4]], "0.bias": [0, 0]}
        ),
        "state['0.weight'] must be 0 where connections has a 0; [1, 1] is 4.0",
    ),
    "freeze a layer too many": (lambda net: net.freeze(0, 2), "layers must be a whole number from 0 to 1; got 2"),
    "freeze from the end": (lambda net: net.freeze(-1), "layers must be a whole number from 0 to 1; got -1"),
    "freeze a list": (lambda net: net.freeze([0]), "layers must be a whole number from 0 to 1"),
    "freeze a layer": (lambda net: net.freeze(net.layers[0]), "layers must be a whole number from 0 to 1"),
    "unfreeze True": (lambda net: net.unfreeze(True), "layers must be a whole number from 0 to 1; got True"),
    "copy dtype": (lambda net: net.copy(dtype="int8"), "dtype"),
    "summary batch_size": (lambda net: net.summary(batch_size=-1), "batch_size"),
    # helpers
    "batches of unequal length": (lambda net: cr.batches(X, LABELS[:-1]), "y must have 12 rows"),
    "batches of nothing": (lambda net: cr.batches([], []), "X must have at least one row"),
    "batches batch_size": (lambda net: cr.batches(X, LABELS, batch_size=0), "batch_size"),
    "batches epoch": (lambda net: cr.batches(X, LABELS, epoch=-1), "epoch"),
    "batches seed": (lambda net: cr.batches(X, LABELS, seed=1.5), "seed"),
    "check_gradients net": (lambda net: cr.check_gradients(None, X, LABELS, loss="mse"), "net must be a Network"),
    "check_gradients loss": (lambda net: cr.check_gradients(net, X, LABELS, loss="rmse"), "loss='rmse' is unknown"),
    "check_gradients y": (lambda net: cr.check_gradients(net, X, LABELS + 3, loss="cross_entropy"), "y must hold"),
    "check_gradients X empty": (lambda net: cr.check_gradients(net, X[:0], [], loss="cross_entropy"), "X must have"),
    "check_gradients eps": (lambda net: cr.check_gradients(net, X, LABELS, loss="cross_entropy", eps=0), "eps"),
    "check_gradients samples": (
        lambda net: cr.check_gradients(net, X, LABELS, loss="cross_entropy", samples=0),
        "samples",
    ),
}


@pytest.mark.parametrize(("call", "fragment"), CALLS.values(), ids=CALLS.keys())
def test_wrong_calls(call, fragment):
    net = classifier()
    arena, steps = net.core.arena().copy(), net.core.steps
    with pytest.raises((ValueError, TypeError)) as caught:
        call(net)
    assert fragment in str(caught.value)
    assert np.array_equal(net.core.arena(), arena)
    # A loss by hand has had its forward pass before it was refused.
    assert net.core.steps - steps <= 1


HEADS = {
    "softmax into logits": ("softmax", cr.CrossEntropy(), "drop that activation"),
    "sigmoid into logits": ("sigmoid", cr.CrossEntropy(), "drop that activation"),
    "softmax into binary logits": ("softmax", cr.BinaryCrossEntropy(), "drop that activation"),
    "sigmoid into binary logits": ("sigmoid", cr.BinaryCrossEntropy(), "BinaryCrossEntropy(from_logits=False)"),
    "logits into probabilities": ("identity", cr.CrossEntropy(from_logits=False), "activation='softmax'"),
    "logits into binary probabilities": ("identity", cr.BinaryCrossEntropy(from_logits=False), "activation='sigmoid'"),
    "relu into probabilities": ("relu", cr.CrossEntropy(from_logits=False), "activation='softmax'"),
    "sigmoid into classes": ("sigmoid", cr.CrossEntropy(from_logits=False), "BinaryCrossEntropy(from_logits=False)"),
    "softmax into questions": ("softmax", cr.BinaryCrossEntropy(from_logits=False), "CrossEntropy(from_logits=False)"),
}


@pytest.mark.filterwarnings("ignore::chainrule.PlacementWarning")
@pytest.mark.parametrize(("activation", "loss", "advice"), HEADS.values(), ids=HEADS.keys())
def test_heads_that_do_not_suit_the_loss(activation, loss, advice):
    in_dense = cr.Network([cr.Dense(3, activation=activation)], inputs=INPUTS)
    alone = cr.Network([cr.Dense(3), cr.Activation(activation), cr.Dropout(rate=0.1)], inputs=INPUTS)
    for net in (in_dense, alone):
        for call in (lambda net=net: cr.Trainer(net, loss=loss), lambda net=net: loss(net(X), shared())):
            with pytest.raises(ValueError, match="last layer ends with") as caught:
                call()
            assert advice in str(caught.value)


DISTURBED = {
    "probabilities": ("softmax", cr.CrossEntropy(from_logits=False)),
    "binary probabilities": ("sigmoid", cr.BinaryCrossEntropy(from_logits=False)),
    "rates": ("relu", cr.Poisson(from_log=False)),
}


@pytest.mark.filterwarnings("ignore::chainrule.PlacementWarning")
@pytest.mark.parametrize(("activation", "loss"), DISTURBED.values(), ids=DISTURBED.keys())
@pytest.mark.parametrize("noise", [cr.Dropout(rate=0.5), cr.GaussianNoise(std=1.0)], ids=["dropout", "noise"])
def test_noise_behind_the_head_does_not_suit_the_loss(activation, loss, noise):
    net = cr.Network([cr.Dense(3, activation=activation), noise, cr.Activation("identity")], inputs=INPUTS)
    for call in (lambda: cr.Trainer(net, loss=loss), lambda: loss(net(X), shared())):
        with pytest.raises(ValueError, match=rf"layers\[1\], a {type(noise).__name__}, disturbs them before the loss"):
            call()


def test_cross_entropy_of_one_output_points_to_the_binary_one():
    with pytest.raises(ValueError, match="binary_cross_entropy"):
        cr.Trainer(single(), loss="cross_entropy")


WITHOUT_CLASSES = [kind for kind in subclasses(cr.Loss) if built(kind).memberships(np.zeros((ROWS, CLASSES))) is None]


@pytest.mark.parametrize("kind", WITHOUT_CLASSES, ids=lambda kind: kind.__name__)
def test_class_weights_need_classes(kind):
    net = classifier()
    with pytest.raises(ValueError, match=r"^class_weight needs targets of classes that exclude each other; use sample"):
        cr.Trainer(net, loss=built(kind)).fit(X, shared(), class_weight="balanced")


def test_there_are_enough_wrong_calls():
    assert len(CALLS) + len(HEADS) >= 70
