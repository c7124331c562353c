"""Activations and losses that are Python functions: the same as built-in ones; what they raise comes out; no crash."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pytest
from custom_functions import MEAN_ROWS, X, Y, compiled, fitted, function, network, squares, tanh, tanh_back
from problems import bits, run_script

import chainrule as cr
from chainrule import _engine


@pytest.mark.usefixtures("restored_threads")
def test_python_functions_do_what_the_built_in_ones_do_on_the_thread_that_asked(dtype):
    _engine.set_work_per_thread(1)
    cr.set_num_threads(2)
    threads = set()

    def watched(z):
        threads.add(threading.get_ident())
        return np.tanh(z)

    custom, built_in = network(cr.CustomActivation(watched, tanh_back), dtype), network("tanh", dtype)
    losses = [fitted(custom, cr.CustomLoss(squares))["loss"], fitted(built_in, MEAN_ROWS)["loss"]]
    np.testing.assert_allclose(*losses, rtol=1e-5 if dtype == "float32" else 1e-12)
    np.testing.assert_allclose(
        custom.predict(X), built_in.predict(X), rtol=0, atol=1e-4 if dtype == "float32" else 1e-12
    )
    assert threads == {threading.get_ident()}
    assert (custom.core.threads(16), built_in.core.threads(16)) == (1, 2)


class Fails:
    """tanh, until it is told to raise."""

    def __init__(self):
        self.error = None
        self.done = None

    def forward(self, z):
        if self.error is not None:
            raise self.error
        if self.done is not None:
            return self.done(z)
        return np.tanh(z)

    def backward(self, z, h, dh):
        return dh * (1 - h * h)


@pytest.mark.parametrize("error", [ZeroDivisionError("by nothing"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_what_a_python_function_raises_comes_out(error):
    fails = Fails()
    net = network(cr.CustomActivation(fails.forward, fails.backward))
    fitted(net)
    before = bits(net)
    fails.error = error
    for use in (lambda: net.predict(X), lambda: net.predict(X[:1]), lambda: net(X), lambda: fitted(net)):
        with pytest.raises(type(error)):
            use()
    assert bits(net) == before
    fails.error = None
    assert np.isfinite(fitted(net)["loss"]).all()

    def backward(z, h, dh):
        if len(z) == 16:  # of a batch
            raise error
        return tanh_back(z, h, dh)

    late = network(cr.CustomActivation(tanh, backward))
    before = bits(late)
    with pytest.raises(type(error)):
        fitted(late)
    assert bits(late) == before


def test_what_a_python_loss_raises_comes_out():
    def loss(p, y):
        if len(p) == 16:
            raise ZeroDivisionError
        return squares(p, y)

    net = network("tanh")
    with pytest.raises(ZeroDivisionError):
        fitted(net, cr.CustomLoss(loss))
    with pytest.raises(ZeroDivisionError):
        cr.CustomLoss(loss)(net(X[:16]), Y[:16])


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (lambda z: z[:, 1:], ValueError, r"what forward returns must have shape \(60, 17\); got \(60, 16\)"),
        (lambda z: z.astype(np.float32), TypeError, "what forward returns must have dtype float64; got float32"),
        (lambda z: None, TypeError, "what forward returns must be a NumPy array; got NoneType"),
        (lambda z: [[1.0]], TypeError, "what forward returns must be a NumPy array; got list"),
    ],
)
def test_what_a_python_function_returns_is_checked(returned, error, message):
    fails = Fails()
    net = network(cr.CustomActivation(fails.forward, fails.backward))
    fails.done = returned
    with pytest.raises(error, match=message):
        net.predict(X)


def test_python_functions_are_tried_too(tmp_path):
    with pytest.raises(ValueError, match="backward is not the derivative of forward in float32: at z = "):
        cr.CustomActivation(tanh, lambda z, h, dh: dh * (1 - h))
    with pytest.raises(TypeError, match="forward must return an array of float32"):
        cr.CustomActivation(lambda z: np.tanh(z.astype(np.float64)), tanh_back)
    with pytest.raises(ValueError, match=r"backward must return an array of shape \(1, 0\); got \(0,\)"):
        cr.CustomActivation(tanh, lambda z, h, dh: tanh_back(z, h, dh)[0])
    with pytest.raises(ValueError, match="function must compute each row for itself"):
        cr.CustomLoss(lambda p, y: (squares(p, y)[0] - squares(p, y)[0].mean(), 2 * (p - y)))
    with pytest.raises(TypeError, match="function must return two arrays"):
        cr.CustomLoss(lambda p, y: squares(p, y)[0])
    backward = function(compiled(tmp_path), "backward", "float64")
    with pytest.raises(ValueError, match=r"functions of one kind, .* in Python, backward for float64"):
        cr.CustomActivation(tanh, backward)
    with pytest.raises(TypeError, match=r"forward\[0\] is a Python function, which serves both precisions"):
        cr.CustomActivation([tanh, tanh], tanh_back)


def test_a_network_cannot_be_used_within_a_python_function():
    fails = Fails()
    net, other = network(cr.CustomActivation(fails.forward, fails.backward)), network("tanh")
    for used in (net, other):
        fails.done = lambda z, used=used: used.predict(X)
        for rows in (1, 60):
            with pytest.raises(RuntimeError, match="no network can be used within a Python function"):
                net.predict(X[:rows])
    fails.done = None
    assert np.isfinite(net.predict(X)).all()


def test_a_loss_that_leads_back_to_itself_ends():
    deep = {}

    def loss(p, y):
        if len(p) == 12:
            float(deep["loss"](p, y))
        return squares(p, y)

    deep["loss"] = cr.CustomLoss(loss)
    with pytest.raises(RuntimeError, match="calls itself"):
        deep["loss"](X[:12, :3], Y[:12])


def test_others_may_predict_meanwhile():
    net = network(cr.CustomActivation(tanh, tanh_back))
    failures = []

    def predict():
        try:
            for _ in range(30):
                net.predict(X)
        except Exception as error:
            failures.append(error)

    others = [threading.Thread(target=predict) for _ in range(2)]
    for other in others:
        other.start()
    fitted(net, epochs=10)
    for other in others:
        other.join(timeout=60)
    assert not failures
    assert not any(other.is_alive() for other in others)


def test_an_estimator_of_scikit_learn_takes_it():
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    from chainrule.sklearn import MLPRegressor

    predicted = []
    for activation in (cr.CustomActivation(tanh, tanh_back), "tanh"):
        model = MLPRegressor(hidden_layer_sizes=(9, 5), activation=activation, random_state=0)
        for _ in range(3):
            model.partial_fit(X, Y)
        predicted.append(model.predict(X))
    np.testing.assert_allclose(*predicted, rtol=0, atol=1e-8)


def test_pickled_by_name():
    activation, loss = cr.CustomActivation(tanh, tanh_back, domain=(-3, 3)), cr.CustomLoss(squares, reduction="sum")
    for one in (activation, loss):
        again = pickle.loads(pickle.dumps(one))
        assert again == one
        assert (again.name, repr(again)) == (one.name, repr(one))
    net = network(activation)
    fitted(net)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).predict(X), net.predict(X))
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(cr.CustomActivation(lambda z: np.tanh(z), tanh_back))


def test_a_thread_that_still_trains_does_not_keep_the_process_from_ending():
    done = run_script("""
        import threading, time
        import numpy as np
        import chainrule as cr
        custom = cr.CustomActivation(lambda z: np.tanh(z), lambda z, h, dh: dh * (1 - h * h))
        net = cr.Network([cr.Dense(5), cr.Activation(custom), cr.Dense(3)], inputs=4)
        X = np.ones((400, 4)); y = np.zeros((400, 3))
        fit = lambda: cr.Trainer(net, loss="mse").fit(X, y, epochs=10**6, batch_size=4, verbose=False)
        threading.Thread(target=fit, daemon=True).start()
        time.sleep(0.5)
    """)
    assert (done.returncode, done.stderr) == (0, "")
