"""What a run can go back to: kept where the network is, and restored bit for bit."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from gpu import DEVICES
from problems import problem, trainer

import chainrule as cr

X, LABELS = problem()
OPTIMIZERS = [cr.SGD(0.1), cr.Momentum(0.05), cr.Adam(0.01), cr.AMSGrad(0.01)]


def network(device, dtype="float32"):
    layers = [cr.Dense(17, activation="relu"), cr.BatchNorm(), cr.Dropout(rate=0.2), cr.Dense(3)]
    return cr.Network(layers, inputs=4, seed=3, dtype=dtype, device=device)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: type(optimizer).__name__)
@pytest.mark.parametrize("device", DEVICES)
def test_training_goes_on_from_a_state_as_it_did_the_first_time(device, optimizer, dtype):
    net = network(device, dtype)
    core, engine = net.core, net.engine
    loss, updates = cr.CrossEntropy().build(engine), optimizer.prepared(net)
    rows = X.astype(dtype), LABELS.astype("int32"), None
    run = engine.Fit(core, loss, updates, [], [], *rows, 16, True, False, 5, 0.0)
    run.run(0)
    state = engine.RunState(core, updates)
    state.keep()
    assert state.is_here()
    kept = core.arena().copy(), core.steps, updates.steps, updates.rate

    first = [run.run(epoch)["loss"] for epoch in (1, 2)]
    end = core.arena().copy()
    updates.rate = 0.3
    assert not state.is_here()
    for _ in range(2):  # a state is kept until another one is
        state.restore()
        assert state.is_here()
        assert (core.steps, updates.steps, updates.rate) == kept[1:]
        np.testing.assert_array_equal(core.arena(), kept[0])
        assert [run.run(epoch)["loss"] for epoch in (1, 2)] == first
        np.testing.assert_array_equal(core.arena(), end)
    state.keep()
    state.restore()
    np.testing.assert_array_equal(core.arena(), end)


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, cr.Rprop(0.01)], ids=lambda optimizer: type(optimizer).__name__)
@pytest.mark.parametrize("device", DEVICES)
def test_the_start_of_an_optimizer_is_kept_without_a_copy_and_gone_back_to(device, optimizer, dtype):
    net = network(device, dtype)
    core, engine = net.core, net.engine
    loss, updates = cr.CrossEntropy().build(engine), optimizer.prepared(net)
    state = engine.RunState(core, updates)
    state.keep()
    content = state.content()["states"]
    before = [array.copy() for array in updates.state()]  # what is lent to be written to is copied from now on
    assert len(content) == len(before)
    for kept, made in zip(content, before, strict=True):
        np.testing.assert_array_equal(kept, made)

    rows = X.astype(dtype), LABELS.astype("int32"), None
    run = engine.Fit(core, loss, updates, [], [], *rows, 16, True, False, 5, 0.0)
    first = [run.run(epoch)["loss"] for epoch in (0, 1)]
    end = core.arena().copy()
    for _ in range(2):
        state.restore()
        for now, made in zip(updates.state(), before, strict=True):
            np.testing.assert_array_equal(now, made)
        assert [run.run(epoch)["loss"] for epoch in (0, 1)] == first
        np.testing.assert_array_equal(core.arena(), end)


def test_what_was_written_into_a_state_before_the_first_step_is_kept(dtype):
    net = network("cpu", dtype)
    updates = cr.Adam(0.01).prepared(net)
    state = net.engine.RunState(net.core, updates)
    for number, array in enumerate(updates.state()):
        array[:] = number + 1
    state.keep()
    for array in updates.state():
        array[:] = 9
    for number, array in enumerate(state.content()["states"]):
        assert (array == number + 1).all()
    state.restore()
    for number, array in enumerate(updates.state()):
        assert (array == number + 1).all()


def test_what_is_written_behind_a_restored_start_is_kept(dtype):
    net = network("cpu", dtype)
    updates = cr.Adam(0.01).prepared(net)
    state = net.engine.RunState(net.core, updates)
    state.keep()
    lent = updates.state()
    state.restore()
    lent[0][:] = 5
    state.keep()
    assert (state.content()["states"][0] == 5).all()


@pytest.mark.parametrize("device", DEVICES)
def test_without_an_optimizer_only_parameters_and_statistics_are_kept(device):
    net = network(device)
    state = net.engine.RunState(net.core)
    state.keep()
    start = net.core.arena().copy()
    learner = trainer(net)
    learner.fit(X, LABELS, epochs=1)
    steps = net.core.steps
    state.restore()
    np.testing.assert_array_equal(net.core.arena(), start)
    assert net.core.steps == steps > 0


def test_nothing_is_restored_that_was_not_kept():
    net = network("cpu")
    state = net.engine.RunState(net.core)
    assert not state.is_here()
    with pytest.raises(ValueError, match="nothing was kept yet"):
        state.restore()


def test_the_state_of_another_network_is_refused():
    nets = network("cpu"), network("cpu")
    optimizer = cr.Adam().prepared(nets[0])
    engine = nets[0].engine
    engine.RunState(nets[0].core, optimizer)
    with pytest.raises(ValueError, match="has the state of another network"):
        engine.RunState(nets[1].core, optimizer)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("device", DEVICES)
def test_a_number_that_is_not_finite_is_found_wherever_it_is(device, value, dtype):
    net = cr.Network([cr.Dense(97, activation="relu"), cr.BatchNorm(), cr.Dense(3)], inputs=101, dtype=dtype)
    state = net.state_dict()
    net = net.to(device)
    assert net.core.is_finite()
    greatest = np.finfo(dtype).max / (1e5 if dtype == "float64" else 1)
    for name, values in state.items():
        for place in {0, values.size // 2, values.size - 1}:
            for number, finite in [(greatest, True), (value, False)]:
                spoilt = values.copy()
                spoilt.flat[place] = number
                net.core.assign(state | {name: spoilt})
                assert net.core.is_finite() is finite, (name, place)


def test_early_stopping_is_copied_without_what_a_run_has_found():
    class Failing(cr.Callback):
        def on_epoch_end(self, epoch, logs):
            raise KeyboardInterrupt

    stopping = cr.EarlyStopping(patience=3)
    with pytest.raises(KeyboardInterrupt):
        trainer(network("cpu")).fit(X, LABELS, epochs=9, validation_split=0.5, callbacks=[stopping, Failing()])
    assert stopping._kept is not None
    for copied in (copy.deepcopy(stopping), pickle.loads(pickle.dumps(stopping))):
        assert copied == stopping
        assert copied._kept is None


# Going on elsewhere --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: type(optimizer).__name__)
@pytest.mark.parametrize("device", DEVICES)
def test_another_network_goes_on_within_an_epoch(device, optimizer, dtype):
    rows = X.astype(dtype), LABELS.astype("int32"), None

    def run_of(net):
        loss, updates = cr.CrossEntropy().build(net.engine), optimizer.prepared(net)
        run = net.engine.Fit(net.core, loss, updates, [], ["accuracy", "class_counts"], *rows, 16, True, False, 5, 0.0)
        return run, net.engine.RunState(net.core, updates)

    net = network(device, dtype)
    run, state = run_of(net)
    run.run(0)
    run.begin(1)
    assert run.so_far()[0] == 0
    places = [1, 3, run.steps_per_epoch - 1]
    paused = []
    for place in places:
        assert not run.advance(place)
        state.keep()
        paused.append((run.so_far(), state.content()))
    assert run.advance(run.steps_per_epoch)
    expected = run.record()
    end = net.core.arena().copy()

    for place, (so_far, content) in zip(places, paused, strict=True):
        assert so_far[0] == place
        other = network(device, dtype)
        second, restored = run_of(other)
        restored.take(**content)
        assert not restored.is_here()
        restored.restore()
        second.begin(1, *so_far)
        assert second.advance(second.steps_per_epoch)
        record = second.record()
        for name in set(expected) - {"seconds", "class_counts"}:
            assert record[name] == expected[name], name
        np.testing.assert_array_equal(record["class_counts"], expected["class_counts"])
        np.testing.assert_array_equal(other.core.arena(), end)


def test_what_does_not_fit_is_refused_and_changes_nothing():
    net = network("cpu")
    updates = cr.Adam().prepared(net)
    state = net.engine.RunState(net.core, updates)
    with pytest.raises(ValueError, match="nothing was kept yet"):
        state.content()
    state.keep()
    content = state.content()
    short = np.zeros(3, "float32")
    for wrong in (
        {"arena": short},
        {"states": [short, short]},
        {"states": content["states"][:1]},
        {"passes": 2**62},
        {"rate": np.nan},
        {"rate": 1e300},
    ):
        with pytest.raises(ValueError, match=r"must (have|be)"):
            state.take(**(content | wrong))
    assert state.is_here()
    assert state.content()["rate"] == content["rate"]


def test_an_epoch_goes_on_only_from_what_it_can_have_done():
    net = network("cpu")
    options = [cr.CrossEntropy().build(net.engine), cr.Adam().prepared(net), [], [], X.astype("float32")]
    run = net.engine.Fit(net.core, *options, LABELS.astype("int32"), None, 16, True, False, 5, 0.0)
    for call in (run.so_far, run.record, lambda: run.advance(1)):
        with pytest.raises(ValueError, match="no epoch was begun"):
            call()
    with pytest.raises(ValueError, match=f"has {run.steps_per_epoch} steps; got 99"):
        run.begin(0, 99, [0.0])
    with pytest.raises(ValueError, match="must be 1 totals; got 2"):
        run.begin(0, 1, [0.0, 0.0])
    with pytest.raises(ValueError, match="no epoch was begun"):
        run.advance(1)
