"""The range test of learning rates: its steps are those of training, it changes nothing, and it tells good from bad."""

from __future__ import annotations

import dataclasses
import math
import sys
import warnings

import numpy as np
import pytest
from gpu import needs_gpu
from problems import LABELS, NUMBERS, bits, classifier, network, problem, trainer
from problems import X as ROWS_OF_12

import chainrule as cr

# A parabola: a linear network of one weight, all rows in a batch. J(w) = 1/2 CURVATURE (w - 1)^2.
X_LINE = np.array([[1.0], [-2.0], [3.0], [0.5]])
Y_LINE = X_LINE[:, 0]
CURVATURE = 2 * float((X_LINE**2).mean())  # 7.125


def line(start=5.0, lr=0.1, dtype="float64", optimizer=None):
    net = cr.Network([cr.Dense(1, bias=False)], inputs=1, dtype=dtype)
    net.load_state_dict({"0.weight": [[start]]})
    return cr.Trainer(net, loss="mse", optimizer=optimizer or cr.SGD(lr))


def on_line(**options):
    return cr.lr_range_test(line(), X_LINE, Y_LINE, **{"batch_size": 4, **options})


def measured(rates, smoothed):
    smoothed = np.array(smoothed)
    return cr.RateRange(np.array(rates), smoothed, smoothed, False)


# Too low, too high ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.01, 0.3, 1.0, 1.7, 1.99])
def test_a_rate_takes_its_share_of_the_way(share):
    # One step of rate share / CURVATURE leaves |1 - share| of the distance: slow near 0, at once for 1, overshooting
    # above, and in all 1 % takes 458 epochs for what 30 % does in 13.
    epochs = 12
    history = line(lr=share / CURVATURE).fit(X_LINE, Y_LINE, epochs=epochs, batch_size=4, verbose=False)
    distances = 4.0 * (1 - share) ** np.arange(epochs)
    np.testing.assert_allclose(history["loss"], CURVATURE / 2 * distances**2, rtol=1e-9, atol=1e-28)


def test_too_low_is_slow_and_too_high_diverges():
    def epochs_until(share):
        history = line(lr=share / CURVATURE).fit(
            X_LINE,
            Y_LINE,
            epochs=600,
            batch_size=4,
            verbose=False,
            callbacks=[cr.StopWhen(cr.Reaches("loss", goal=0.0057))],
        )
        return history.epochs

    # The loss falls to 1e-4 of its start, the distance to 1e-2: log(1e-2) / log(1 - share) updates come before it.
    np.testing.assert_allclose(CURVATURE / 2 * 4.0**2 * 1e-4, 0.0057)
    assert [epochs_until(share) for share in (0.01, 0.1, 0.5)] == [
        math.ceil(math.log(1e-2) / math.log(1 - share)) + 1 for share in (0.01, 0.1, 0.5)
    ]
    # Above 2 / CURVATURE the distance grows with each step, here by 1.5, until the sum of the four rows' losses is more
    # than float64 can hold.
    updates = math.ceil(math.log(sys.float_info.max / (4 * 57)) / math.log(1.5**2))
    with pytest.warns(cr.DivergenceWarning, match=f"no longer finite in epoch {updates + 1}, step 1,"):
        line(lr=2.5 / CURVATURE).fit(X_LINE, Y_LINE, epochs=2000, batch_size=4, verbose=False)


def test_the_losses_are_those_of_the_formula():
    tested = on_line(min_lr=1e-3, max_lr=10.0, steps=40, smoothing=0.6, exploded=3.0)
    rates = 1e-3 * 10_000 ** (np.arange(40) / 39)
    distance, losses = 4.0, []
    for rate in rates:
        losses.append(CURVATURE / 2 * distance**2)
        distance *= 1 - rate * CURVATURE
    smoothed = [np.average(losses[: k + 1], weights=0.6 ** np.arange(k, -1, -1)) for k in range(40)]
    least = np.minimum.accumulate(smoothed)
    ends = int(np.argmax(smoothed > least + 2 * np.maximum(least, smoothed[0] - least)))
    assert 0 < ends < 39
    assert tested.diverged
    np.testing.assert_allclose(tested.rates, rates[: ends + 1], rtol=1e-14)
    np.testing.assert_allclose(tested.losses, losses[: ends + 1], rtol=1e-9)
    np.testing.assert_allclose(tested.smoothed, smoothed[: ends + 1], rtol=1e-9)
    # The loss grows from 2 / CURVATURE = 0.28 on; a tenth of what the smoothed one says is on the safe side of that.
    assert tested.rates[np.argmin(tested.losses)] == rates[rates > 2 / CURVATURE][0]  # not yet at work there
    assert tested.suggestion <= tested.tenth_of_least < 2 / CURVATURE < tested.least


def test_without_smoothing_the_smoothed_loss_is_the_loss():
    tested = on_line(min_lr=1e-4, max_lr=1e-2, steps=7, smoothing=0.0)
    np.testing.assert_array_equal(tested.losses, tested.smoothed)
    assert (len(tested.rates), tested.diverged) == (7, False)
    wide = on_line(min_lr=1e-3, max_lr=1e3, steps=30, smoothing=0.0)  # falls and rises by more than twice in a step
    np.testing.assert_array_equal(wide.losses, wide.smoothed)
    assert np.max(abs(np.diff(np.log(wide.losses)))) > np.log(2)
    assert "without divergence: a greater `max_lr`" in repr(tested)
    # At the end the loss is back above its start, by less than what would be a divergence.
    back = measured([0.1, 0.2, 0.4], [1.0, 0.5, 1.5])
    assert "without divergence; suggestion 0.02 (tenth_of_least)" in repr(back)


@pytest.mark.parametrize("make", [cr.SGD, cr.Momentum, cr.Adam, cr.RMSprop], ids=lambda kind: kind.__name__)
def test_a_suggestion_trains_well(make):
    X, y = problem(rows=200)
    tested = cr.lr_range_test(trainer(network(), optimizer=make()), X, y)
    assert tested.suggested_by in ("steepest", "tenth_of_least")

    def loss_after(rate):
        learner = trainer(network(), optimizer=make(rate))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cr.DivergenceWarning)
            learner.fit(X, y, epochs=5, verbose=False)
        return learner.evaluate(X, y)["loss"]

    good = loss_after(tested.suggestion)
    assert good < 0.6 * loss_after(tested.suggestion / 100)
    assert good < 0.6 * loss_after(tested.suggestion * 100)


# The same steps as in training ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimizer", "penalty"),
    [
        (cr.Momentum(0.1, clip_norm=0.5), [cr.L2(0.1, scale="1/m")]),
        (cr.AdamW(0.1, layer_lr={0: 0.5, 3: 2.0}), [cr.L1(0.05), cr.L2(0.1, scale="1/2m", m="batch")]),
        (cr.SGD(cr.StepDecay(0.3, drop=0.5, every=1), layer_lr={2: 0.1}), [cr.L1(0.02, update="proximal")]),
        (cr.SGD(lambda epoch: 0.3), [cr.L1(0.02, update="proximal", layers=[0, 2]), cr.L2(0.1, decay="decoupled")]),
        (cr.RMSprop(0.3), [cr.L2(0.1, decay="decoupled", layers=[2])]),
    ],
)
def test_each_step_is_that_of_a_fit(optimizer, penalty):
    X, y = problem(rows=60)
    factors = {"sample_weight": np.linspace(0.5, 1.5, 60), "class_weight": "balanced", "batch_size": 16}
    rate = 0.02
    # Rates that rise by nothing worth speaking of: epochs of 3 steps, the last 12 rows of each left out.
    learner = trainer(network("float64"), optimizer=optimizer, penalty=penalty, seed=7)
    tested = cr.lr_range_test(learner, X, y, min_lr=rate, max_lr=rate * (1 + 1e-14), steps=9, exploded=1e9, **factors)
    plain = trainer(network("float64"), optimizer=dataclasses.replace(optimizer, lr=rate), penalty=penalty, seed=7)
    history = plain.fit(X, y, epochs=3, drop_last=True, verbose=False, **factors)
    np.testing.assert_allclose(tested.losses.reshape(3, 3).mean(axis=1), history["loss"], rtol=1e-9)


def test_all_rows_where_a_batch_has_room_for_them():
    tested = on_line(batch_size=99, min_lr=1e-9, max_lr=1e-8, steps=3)
    np.testing.assert_allclose(tested.losses, CURVATURE / 2 * 16, rtol=1e-6)


# Nothing changes ------------------------------------------------------------------------------------------------------


def test_nothing_of_the_trainer_changes(dtype):
    X, y = problem()

    def learner():
        layers = [cr.Dense(8), cr.BatchNorm(), cr.Activation("relu"), cr.Dropout(rate=0.3), cr.Dense(3)]
        net = cr.Network(layers, inputs=4, seed=3, dtype=dtype)
        made = trainer(net, optimizer=cr.Momentum(0.05), penalty=cr.L2(0.01))
        made.fit(X, y, epochs=2, verbose=False)
        return made

    tested, twin = learner(), learner()
    history, state, gradients = (
        tested.history,
        tested.net.state_dict(),
        {k: v.copy() for k, v in tested.net.gradients().items()},
    )
    result = cr.lr_range_test(tested, X, y, max_lr=1e6)
    assert result.diverged
    assert tested.history is history
    assert (tested.epochs_done, tested.learning_rate, tested.net.training) == (2, 0.05, twin.net.training)
    assert all(np.array_equal(state[name], now) for name, now in tested.net.state_dict().items())
    assert all(np.array_equal(gradients[name], now) for name, now in tested.net.gradients().items())
    # Momentum's memory, the dropout masks and the counts too: training goes on as it would have.
    for one in (tested, twin):
        one.fit(X, y, epochs=2, verbose=False)
    assert bits(tested.net) == bits(twin.net)
    assert tested.history["loss"] == twin.history["loss"]


@needs_gpu
def test_on_a_gpu():
    X, y = problem()
    penalty = cr.L1(0.01, update="proximal")
    cpu = trainer(network("float64"), penalty=penalty)
    gpu = trainer(network("float64").to("cuda"), penalty=penalty)
    before = gpu.net.state_dict()
    here, there = (cr.lr_range_test(one, X, y, steps=30) for one in (cpu, gpu))
    assert all(np.array_equal(before[name], now) for name, now in gpu.net.state_dict().items())
    assert len(here.losses) == len(there.losses)
    # Sums come in another order, and the steps of rates too high make more of that.
    part = here.rates < 0.1
    np.testing.assert_allclose(here.losses[part], there.losses[part], rtol=1e-9)


def test_it_repeats_bit_for_bit():
    X, y = problem()
    first, second = (cr.lr_range_test(trainer(network()), X, y) for _ in range(2))
    np.testing.assert_array_equal(first.losses, second.losses)


def test_frozen_layers_stay_frozen():
    net = classifier()
    net.freeze()
    tested = cr.lr_range_test(trainer(net), ROWS_OF_12, LABELS, batch_size=12, steps=5)
    assert np.ptp(tested.losses) == 0
    assert (tested.least, tested.tenth_of_least, tested.steepest, tested.suggestion) == (None, None, None, None)
    assert tested.suggested_by is None
    assert "the loss never fell: no suggestion" in repr(tested)


# What is suggested ----------------------------------------------------------------------------------------------------


def test_suggestions_by_hand():
    # Ten rates, a decade each. The loss falls from the fourth to the eighth, fastest from the sixth to the seventh.
    rates = 10.0 ** np.arange(-6, 4)
    tested = measured(rates, [2.0, 2.0, 2.0, 1.9, 1.8, 1.2, 0.6, 0.5, 3.0, 9.0])
    assert tested.least == pytest.approx(10.0)
    assert tested.tenth_of_least == pytest.approx(1.0)
    assert tested.steepest == pytest.approx(0.1)
    assert (tested.suggestion, tested.suggested_by) == (tested.steepest, "steepest")
    early = measured(rates, [2.0, 2.0, 1.9, 1.0, 0.8, 0.7, 0.9, 3.0, 9.0, 9.0])
    assert (early.suggestion, early.suggested_by) == (pytest.approx(1e-3), "steepest")
    # Half decades: the steepest fall, at the seventh, is less than a decade before the least.
    late = measured(10.0 ** np.arange(-6, -1, 0.5), [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.9, 0.5, 3.0, 9.0])
    assert late.steepest == pytest.approx(1e-3)
    assert (late.suggestion, late.suggested_by) == (pytest.approx(10**-3.5), "tenth_of_least")


def test_noise_before_the_fall_is_not_taken_for_it():
    # The smoothed loss begins with few losses in it, and so with a jump: from 2.6 to 2.0, more than it falls later.
    steps = np.arange(100)
    wobble = 0.05 * np.cos(2.5 * steps) * (steps < 70)
    fall = np.clip((steps - 70) / 20, 0, 1)
    smoothed = 2.0 + wobble - 0.5 * fall + 4 * np.clip((steps - 92) / 8, 0, 1)
    smoothed[:12] = np.linspace(2.6, 2.0, 12)
    rates = 10.0 ** np.linspace(-6, 1, 100)
    tested = measured(rates, smoothed)
    assert rates[70] < tested.steepest < rates[90]
    assert rates[89] < tested.least < rates[94]


@pytest.mark.parametrize("losses", [[1.0, 0.5], [1.0, 0.5, np.nan], [1.0, 0.5, np.inf]])
def test_of_few_steps(losses):
    tested = measured([0.1, 0.2, 0.3][: len(losses)], losses)
    assert tested.least == 0.2
    assert tested.suggestion == pytest.approx(0.02)


@pytest.mark.parametrize("losses", [[1.0], [1.0, 1.0, 2.0], [1.0, np.nan]])
def test_where_the_loss_never_fell(losses):
    assert measured([0.1, 0.2, 0.3][: len(losses)], losses).suggestion is None


def test_losses_below_0_diverge_when_they_rise_far():
    # Poisson's loss leaves out a constant and may be below 0. Such a loss at its start has not diverged.
    counts = np.full((12, 3), 20.0)
    learner = trainer(classifier(dtype="float64"), loss="poisson", optimizer=cr.SGD(0.1))
    tested = cr.lr_range_test(learner, ROWS_OF_12, counts, batch_size=12, min_lr=1e-4, max_lr=100.0)
    assert tested.smoothed.min() < 0
    assert tested.diverged
    assert 5 < len(tested.rates) < 100
    assert 1e-4 < tested.suggestion < 1


def test_a_loss_that_is_not_finite_ends_it():
    tested = cr.lr_range_test(line(dtype="float32"), X_LINE, Y_LINE, min_lr=1.0, max_lr=1e30, steps=20, exploded=1e38)
    assert tested.diverged
    assert not math.isfinite(tested.losses[-1])
    assert np.isfinite(tested.losses[:-1]).all()
    assert tested.suggestion is None
    tested.plot()


def standardized(figures=None):
    net = cr.Network([cr.Standardize(), cr.Dense(6, activation="tanh"), cr.Dense(3)], inputs=4, seed=2, dtype="float64")
    if figures is not None:
        net.adapt(*figures)
    return trainer(net)


@pytest.mark.parametrize("weight", [None, np.arange(60.0)])
def test_before_a_first_fit_the_copy_is_standardized(weight):
    X, y = problem()
    X = 50 + 7 * X
    fresh, options = standardized(), {"sample_weight": weight, "class_weight": {0: 5.0, 1: 1.0, 2: 1.0}, "steps": 30}
    tested = cr.lr_range_test(fresh, X, y, **options)
    # By the figures that a fit would have measured: a row counts by its own weight, not by that of its class.
    known = cr.lr_range_test(standardized((X, weight)), X, y, **options)
    np.testing.assert_array_equal(tested.losses, known.losses)
    assert not fresh.net.statistics()["0.inverse_scale"].any()
    with pytest.raises(RuntimeError, match="has no mean and scale yet"):
        fresh.net.predict(X)


# Pictures, and what does not suit -------------------------------------------------------------------------------------


def test_the_picture(tmp_path):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    tested = on_line(min_lr=1e-3)
    ax = figure.add_subplot()
    assert tested.plot(ax) is ax
    drawn, smoothed, *marked = ax.get_lines()
    np.testing.assert_array_equal(np.column_stack(drawn.get_data()), np.column_stack([tested.rates, tested.losses]))
    np.testing.assert_array_equal(smoothed.get_ydata(), tested.smoothed)
    dots = {line.get_label().partition(":")[0]: line.get_xdata()[0] for line in marked if line.get_marker() == "o"}
    assert dots == {"steepest fall": tested.steepest, "a tenth of the least loss's": tested.tenth_of_least}
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_ylabel()) == ("log", "learning rate", "loss")
    low, high = ax.get_ylim()
    # The start and the least loss are seen, the end is not: it would hide them.
    assert low < tested.smoothed.min() < tested.smoothed[0] < high < tested.smoothed[-1]
    tested.plot().figure.savefig(tmp_path / "rates.png")


def test_the_picture_of_a_loss_that_never_fell():
    pytest.importorskip("matplotlib")
    ax = measured(10.0 ** np.arange(-6, -1), [1.0, 1.1, 1.2, 1.4, 1.8]).plot()
    assert [line.get_label() for line in ax.get_lines()] == ["loss of a step", "smoothed"]
    assert len(ax.patches) == 0


def test_the_picture_reaches_a_rate_below_those_tried():
    pytest.importorskip("matplotlib")
    tested = measured(10.0 ** np.arange(-2, 3, 0.5), [2.0, 1.0, 3.0, *[9.0] * 7])
    ax = tested.plot()
    assert ax.get_xlim() == (tested.tenth_of_least, tested.rates[-1])
    assert tested.tenth_of_least < tested.rates[0]


def test_the_picture_needs_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "chainrule\[plot\]"'):
        on_line().plot()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"min_lr": 0.0}, ValueError, "min_lr must be a finite number above 0; got 0.0"),
        ({"max_lr": 1e-6}, ValueError, "max_lr must be a finite number above 1e-06 .*; got 1e-06"),
        ({"max_lr": 1e39}, ValueError, "max_lr must be"),
        ({"steps": 1}, ValueError, "steps must be a whole number from 2 .*; got 1"),
        ({"steps": 10.0}, TypeError, "steps must be"),
        ({"batch_size": 0}, ValueError, "batch_size must be"),
        ({"smoothing": 1.0}, ValueError, "smoothing must be a finite number at least 0 and below 1; got 1.0"),
        ({"exploded": 1.0}, ValueError, "exploded must be a finite number above 1; got 1.0"),
        ({"sample_weight": np.zeros(12)}, ValueError, "sample_weight must be above 0 in some row"),
        ({"class_weight": "even"}, ValueError, "class_weight"),
    ],
)
def test_options_that_do_not_suit(options, error, message):
    with pytest.raises(error, match=message):
        cr.lr_range_test(trainer(classifier()), ROWS_OF_12, LABELS, **options)


def test_what_cannot_be_tested():
    with pytest.raises(TypeError, match="trainer must be a Trainer; got Network"):
        cr.lr_range_test(classifier(), ROWS_OF_12, LABELS)
    with pytest.raises(ValueError, match="Rprop"):
        cr.lr_range_test(trainer(classifier(), optimizer=cr.Rprop()), ROWS_OF_12, LABELS)
    with pytest.raises(
        ValueError, match=r"weight_decay=0\.5 at the learning rate 10 makes a step take 5 of each weight"
    ):
        cr.lr_range_test(trainer(classifier(), optimizer=cr.AdamW(weight_decay=0.5)), ROWS_OF_12, LABELS)
    penalised = trainer(classifier(), optimizer=cr.SGD(0.1), penalty=cr.L2(0.3, decay="decoupled"))
    with pytest.raises(ValueError, match="decay"):
        cr.lr_range_test(penalised, ROWS_OF_12, LABELS)
    with pytest.raises(ValueError, match="X must have at least one row"):
        cr.lr_range_test(trainer(classifier()), np.zeros((0, 4)), [])
    with pytest.raises(ValueError, match="12 rows"):
        cr.lr_range_test(trainer(classifier()), ROWS_OF_12, NUMBERS[:5])
    net = cr.Network([cr.Dense(4), cr.BatchNorm(), cr.Dense(3)], inputs=4)
    with pytest.raises(ValueError, match="a BatchNorm"):
        cr.lr_range_test(trainer(net), ROWS_OF_12, LABELS, batch_size=1)
    broken = classifier()
    broken.parameters()["0.weight"][:] = np.nan
    with pytest.raises(ValueError, match="finite parameters to be tested"):
        cr.lr_range_test(trainer(broken), ROWS_OF_12, LABELS)
