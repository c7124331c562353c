"""Whatever the package has, old or new: layers, activations, starts, losses, penalties, optimizers, schedules.

The classes are discovered, not listed, and each is tested in many settings (settings.py). What a class computes is
tested elsewhere; here stands what holds for all of them. Gradient checks: test_gradients.py.
"""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from problems import built, subclasses, words
from settings import BASES, EVERY, INPUTS, OUTPUTS, X, changed, kinds, recipe, settings, settings_of

import chainrule as cr
from chainrule import _engine

each_kind = pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
PUBLIC = {name: getattr(cr, name) for name in cr.__all__}


def state(net):
    """Return all that a network holds, as bytes."""
    return {name: value.tobytes() for name, value in net.state_dict().items()}


def test_states_tell_networks_apart():
    made = recipe(built(kinds(cr.Layer)[0]))
    assert state(made.network("float32")) != state(made.network("float32", seed=8))


def test_what_is_found():
    for base in BASES:
        assert len(kinds(base)) >= 3, base.__name__
        # A class may be there to be built upon. One upon which nothing builds is for use, and so public.
        assert all(kind in kinds(base) or kind.__subclasses__() for kind in subclasses(base)), base.__name__
    assert len(set(EVERY)) == len(EVERY)


# Descriptions --------------------------------------------------------------------------------------------------------


@each_kind
def test_every_option_can_be_set(kind):
    # Else the other tests would try less than they seem to.
    found = settings(kind)
    for field in dataclasses.fields(kind):
        assert len({getattr(one, field.name) for one in found}) > 1, f"{kind.__name__}: {field.name}"


@each_kind
def test_the_repr_evaluates_back_to_an_equal_object(kind):
    for one in settings(kind):
        again = eval(repr(one), dict(PUBLIC))
        assert type(again) is kind
        assert again == one
        assert hash(again) == hash(one)
        assert repr(again) == repr(one)


@each_kind
def test_settings_differ_in_all_that_one_sees(kind):
    found = settings(kind)
    assert len({repr(one) for one in found}) == len(found)
    assert len(set(found)) == len(found)


@each_kind
@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_are_equal(kind, copied):
    for one in settings(kind):
        again = copied(one)
        assert type(again) is kind
        assert again == one
        assert hash(again) == hash(one)
        assert repr(again) == repr(one)


@each_kind
def test_descriptions_do_not_change(kind):
    one = built(kind)
    for name in [*(field.name for field in dataclasses.fields(kind)), "something_new"]:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, name, 1)


@each_kind
def test_options_after_the_first_are_given_by_name(kind):
    optional = [field for field in dataclasses.fields(kind)[1:] if field.default is not dataclasses.MISSING]
    assert all(field.kw_only for field in optional)


@each_kind
def test_unknown_words_list_the_known_ones(kind):
    for field in dataclasses.fields(kind):
        if not isinstance(field.default, str):
            continue
        with pytest.raises(ValueError, match=rf"{field.name}='nonsense' is unknown; known are '") as caught:
            built(kind, **{field.name: "nonsense"})
        listed = words(kind, field.name)
        assert field.default in listed
        assert all(repr(word) in str(caught.value) for word in listed)


@each_kind
def test_what_no_option_can_be_is_refused_by_name(kind):
    for field in dataclasses.fields(kind):
        with pytest.raises(TypeError, match=field.name):
            built(kind, **{field.name: object()})
        with pytest.raises((TypeError, ValueError), match=field.name):
            built(kind, **{field.name: float("nan")})


# Training ------------------------------------------------------------------------------------------------------------


@each_kind
def test_float32_is_close_to_float64(kind):
    for one in settings(kind):
        made = recipe(one)
        single = made.network("float32")
        double = single.copy(dtype="float64")
        start = {name: value.copy() for name, value in double.parameters().items()}
        for net in (single, double):
            made.fit(net)
        after = double.parameters()
        # A gradient is wrong by below 100 roundings, 100 * 2^-24 = 6e-6, of what is added up for it; and that is below
        # 100 times the sum, as the targets lie far from the outputs. All six steps are then wrong by at most 6 * 6e-4
        # of the way. Each rounds the weights, too.
        way = max(np.abs(after[name] - start[name]).max() for name in after)
        assert way > 0, one
        bound = 6 * 6e-4 * way + 6 * max(np.abs(value).max() for value in after.values()) * 2.0**-24
        for name, value in single.parameters().items():
            assert np.isfinite(value).all(), (one, name)
            assert np.abs(value - after[name]).max() <= bound, (one, name)


@pytest.mark.usefixtures("restored_threads")
@each_kind
def test_any_number_of_threads_gives_the_same_bits(kind, dtype):
    _engine.set_work_per_thread(1)
    # The work is shared out by the same templates in both precisions: all settings in one of them are enough.
    for one in settings(kind) if dtype == "float32" else [built(kind)]:
        made, seen = recipe(one), []
        for threads in (1, 2, 3):
            cr.set_num_threads(threads)
            net = made.network(dtype)
            assert net.core.threads(12) == threads
            history = made.fit(net)
            seen.append((state(net), history["loss"], history["learning_rate"], net.predict(X).tobytes()))
        assert seen[0] == seen[1] == seen[2], one


# Options that rightly change nothing: Rprop looks at the signs of the gradients alone, which clipping keeps.
NEVER_FELT = {("Rprop", "clip_norm"), ("Rprop", "clip_value")}


@each_kind
def test_every_option_is_felt(kind):
    """Each option changes what is learned, by itself or where another is changed, too: `m` needs a scale that has m."""
    learned = {}

    def outcome(one):
        if one not in learned:
            made = recipe(one)
            net = made.network("float64")
            made.fit(net)
            learned[one] = (state(net), net.predict(X).tobytes())
        return learned[one]

    for field in dataclasses.fields(kind):
        pairs = ((one, other) for one in settings(kind) for other in settings_of(one, field) if other is not None)
        felt = any(outcome(one) != outcome(other) for one, other in pairs)
        assert felt != ((kind.__name__, field.name) in NEVER_FELT), f"{kind.__name__}: {field.name}"


@each_kind
def test_it_trains_on_one_row(kind, dtype):
    for one in settings(kind):
        made = recipe(one)
        net = made.network(dtype)
        # One row has no variance, so that nothing would be learned; frozen, a normalization uses its statistics.
        normalizing = [number for number, layer in enumerate(net.layers) if isinstance(layer, cr.BatchNorm)]
        if normalizing:
            with pytest.raises(ValueError, match=r"^batch_size=32 with 1 rows .* a BatchNorm, would give its beta"):
                made.trainer(net).fit(X[:1], made.y[:1], epochs=2, verbose=False)
            net.freeze(*normalizing)
        history = made.trainer(net).fit(X[:1], made.y[:1], epochs=2, verbose=False)
        assert np.isfinite(history["loss"]).all(), one
        assert all(np.isfinite(value).all() for value in net.state_dict().values()), one


@pytest.mark.parametrize("kind", kinds(cr.Penalty), ids=lambda kind: kind.__name__)
def test_a_penalty_of_a_layer_leaves_the_others_alone(kind):
    for one in settings(kind):
        made = recipe(changed(one, "layers", (0,)))
        with_it, without = made.network("float64"), made.network("float64")
        # A single step, behind which the other layers would feel the penalty of the first.
        made.fit(with_it, epochs=1, batch_size=len(X))
        made._replace(penalty=None).fit(without, epochs=1, batch_size=len(X))
        differ = {name for name, value in state(with_it).items() if value != state(without)[name]}
        assert "0.weight" in differ, one
        assert differ <= {"0.weight", "0.bias"}, one


# Networks ------------------------------------------------------------------------------------------------------------

# What a network is made of, and so what a file of it holds.
each_part = pytest.mark.parametrize(
    "kind", kinds(cr.Layer, cr.ActivationFunction, cr.Constraint, cr.Initializer), ids=lambda kind: kind.__name__
)


@each_part
def test_zero_rows_are_predicted(kind, dtype):
    for one in settings(kind):
        predicted = recipe(one).network(dtype).predict(np.zeros((0, INPUTS)))
        assert predicted.shape == (0, OUTPUTS)
        assert predicted.dtype == dtype


@each_part
def test_a_row_is_predicted_alone_as_among_others(kind):
    for one in settings(kind):
        made = recipe(one)
        net = made.network("float64")
        made.fit(net)
        # The products of one row may be summed in another order: 5 terms a layer, numbers below 100.
        together, alone = net.predict(X), np.vstack([net.predict(row[np.newaxis]) for row in X])
        np.testing.assert_allclose(alone, together, rtol=0, atol=3 * 10 * 100 * 2.0**-53, err_msg=repr(one))


def assert_goes_on_alike(net, again, made, one):
    assert repr(again) == repr(net), one
    assert state(again) == state(net), one
    assert again.frozen == net.frozen, one
    assert again.predict(X).tobytes() == net.predict(X).tobytes(), one
    # Plain gradient descent has no state of its own; masks and noise go on counting.
    for each in (net, again):
        made.fit(each)
    assert state(again) == state(net), one


@each_part
def test_saved_and_loaded_it_goes_on_with_the_same_bits(kind, dtype, tmp_path):
    pytest.importorskip("safetensors", reason="needs safetensors")
    for number, one in enumerate(settings(kind)):
        made = recipe(one)
        net = made.network(dtype)
        made.fit(net)
        if number % 2:
            net.freeze(1)
        net.save(tmp_path / f"{number}.safetensors")
        assert_goes_on_alike(net, cr.load(tmp_path / f"{number}.safetensors"), made, one)


@each_part
def test_copies_of_a_network_go_on_with_the_same_bits(kind):
    for number, one in enumerate(settings(kind)):
        made = recipe(one)
        net = made.network("float32")
        made.fit(net)
        if number % 2:
            net.freeze(1)
        for again in (net.copy(), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
            assert_goes_on_alike(net.copy(), again, made, one)


# Without schedules, which let all weights stay once they have come to their end.
@pytest.mark.parametrize("kind", kinds(*BASES[:-1]), ids=lambda kind: kind.__name__)
def test_what_is_frozen_stays(kind):
    # Frozen in the midst of a training: neither a memory of gradients nor a decay may move it.
    for one in settings(kind):
        made = recipe(one)
        net = made.network("float64")
        trainer = made.trainer(net)
        for _ in range(2):
            before = state(net)
            trainer.fit(X, made.y, epochs=1, batch_size=12, verbose=False)
            after = state(net)
            stayed = [name for name in before if after[name] == before[name]]
            net.freeze(1)
        assert all(name in stayed for name in before if name.startswith("1.")), one
        assert "2.bias" not in stayed, one  # whatever comes out of layer 1, zeros among it


# Schedules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", kinds(cr.Schedule), ids=lambda kind: kind.__name__)
def test_a_schedule_in_python_is_the_one_of_the_engine(kind):
    for one in settings(kind):
        made = recipe(one)
        history = made.fit(made.network("float64"), epochs=4)  # of three steps each
        for epoch, used in enumerate(history["learning_rate"]):
            # The last step of the epoch. Few roundings, an exponential and a cosine among them.
            last = one.rate(3 * epoch + 2, epoch=epoch + 2 / 3, steps_per_epoch=3)
            assert used == pytest.approx(last, rel=20 * 2.0**-53, abs=20 * 2.0**-53), one
