"""Pictures: what is drawn is what the history or the path says, and nothing global changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.comparison import compare
from chainrule.history import History
from chainrule.playground import LANDSCAPES, descend, descent_trajectories
from chainrule.plots import compared_curves, learning_curves, trajectories

matplotlib_figure = pytest.importorskip("matplotlib.figure", reason="pictures need matplotlib")


def history_of(epochs: int, *names: str, first_epoch: int = 1) -> History:
    history = History([*names, "learning_rate", "seconds"], first_epoch)
    for epoch in range(epochs):
        record = {name: (epoch - 2) ** 2 + number / 8 for number, name in enumerate(names)}
        history.add({**record, "learning_rate": 0.1, "seconds": 1.0})
    return history


def test_a_panel_for_the_loss_and_one_for_each_metric(tmp_path: Path) -> None:
    history = history_of(6, "loss", "accuracy", "penalty", "val_loss", "val_accuracy", first_epoch=11)
    loss, accuracy = learning_curves(history)
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")
    training, validation, best_line, best = loss.get_lines()
    assert training.get_xdata().tolist() == list(range(11, 17))
    assert training.get_ydata().tolist() == history["loss"]
    assert validation.get_ydata().tolist() == history["val_loss"]
    # (epoch - 2)^2 is least in the third epoch, the thirteenth of all.
    assert list(best_line.get_xdata()) == [13, 13]
    assert (list(best.get_xdata()), list(best.get_ydata())) == ([13], [history["val_loss"][2]])
    loss.figure.savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("epochs", [1, 2])
def test_without_validation(epochs: int) -> None:
    (loss,) = learning_curves(history_of(epochs, "loss"))
    assert [len(np.atleast_1d(line.get_ydata())) for line in loss.get_lines()] == [epochs, 2, 1]


def test_many_metrics_go_into_rows() -> None:
    names = ["loss", *(f"metric {i}" for i in range(4)), "gradient_norm", "samples_per_second"]
    panels = learning_curves(history_of(3, *names))
    assert [panel.get_ylabel() for panel in panels] == names[:5]
    assert panels[0].figure.axes == panels.tolist()  # the sixth place is empty


def test_on_given_axes() -> None:
    figure = matplotlib_figure.Figure()
    ax = figure.add_subplot()
    assert learning_curves(history_of(3, "loss", "accuracy"), ax=ax).tolist() == [ax]
    assert figure.axes == [ax]
    assert ax.get_ylabel() == "loss"


def test_losses_that_are_not_numbers() -> None:
    history = History(["loss"])
    history.add({"loss": float("nan")})
    (loss,) = learning_curves(history)
    assert len(loss.get_lines()) == 1  # there is no best epoch to mark


def validated_now_and_then(looks: dict[int, float], epochs: int, first_epoch: int = 1) -> History:
    history = History(["loss", "val_loss"], first_epoch)
    for epoch in range(first_epoch, first_epoch + epochs):
        record = {"loss": 2.0 - epoch / 16}
        history.add({**record, "val_loss": looks[epoch]} if epoch in looks else record)
    return history


def test_validation_now_and_then_is_a_line_with_dots() -> None:
    looks = {6: 2.0, 8: 1.5, 10: 1.75}
    history = validated_now_and_then(looks, 6, first_epoch=5)
    (ax,) = learning_curves(history)
    training, validation, _, best = ax.get_lines()
    assert training.get_xdata().tolist() == list(range(5, 11))
    assert dict(zip(*validation.get_data(), strict=True)) == looks
    assert (training.get_marker(), validation.get_marker()) == ("", "o")
    assert (best.get_xdata().tolist(), best.get_ydata().tolist()) == ([8], [1.5])
    # Judged by the training part, an epoch may be best after which nothing was validated: it is marked there.
    history.best_epoch = 9
    assert learning_curves(history)[0].get_lines()[-1].get_ydata().tolist() == [2.0 - 9 / 16]


def test_runs_validated_now_and_then_are_compared() -> None:
    runs = {"each": validated_now_and_then({1: 3.0, 2: 2.0, 3: 1.0}, 3), "second": validated_now_and_then({2: 0.5}, 3)}
    ax = compared_curves(runs, "val_loss")
    each, second = ax.get_lines()
    assert dict(zip(*each.get_data(), strict=True)) == {1: 3.0, 2: 2.0, 3: 1.0}
    assert dict(zip(*second.get_data(), strict=True)) == {2: 0.5}
    assert (each.get_marker(), second.get_marker(), ax.get_yscale()) == ("", "o", "log")


def test_a_run_stopped_before_its_first_validation() -> None:
    history = validated_now_and_then({}, 3)
    (ax,) = learning_curves(history)
    assert [line.get_label() for line in ax.get_lines()] == ["training"]
    with pytest.raises(ValueError, match="no epoch after which val_loss was measured; there is nothing to draw"):
        compared_curves({"a": history}, "val_loss")


@pytest.mark.parametrize(("layout", "inside"), [(None, True), ("constrained", False), ("tight", False)])
def test_names_stand_beside_the_axes_where_there_is_room(layout: str | None, inside: bool) -> None:
    figure = matplotlib_figure.Figure(figsize=(6, 3), layout=layout)
    left, right = figure.subplots(1, 2)
    history = validated_now_and_then({1: 3.0, 2: 2.0}, 3)
    for ax in (left, right):
        compared_curves({"a run": history}, "val_loss", ax=ax)
    figure.draw_without_rendering()
    box, place = left.get_legend().get_window_extent(), left.get_window_extent()
    assert (place.x0 < box.x0 and box.x1 < place.x1) == inside
    assert box.x1 < right.get_window_extent().x0


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="no finished epoch"):
        learning_curves(History(["loss"]))


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "chainrule\[plot\]"'):
        learning_curves(history_of(1, "loss"))


def test_pyplot_is_never_imported() -> None:
    code = (
        "import sys; from chainrule.history import History; from chainrule.plots import learning_curves;"
        "history = History(['loss']); history.add({'loss': 1.0}); learning_curves(history);"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Several runs, and descents ------------------------------------------------------------------------------------------


def test_a_line_for_each_run() -> None:
    runs = {"short": history_of(2, "loss", "accuracy"), "long": history_of(6, "loss", "accuracy", first_epoch=4)}
    ax = compared_curves(runs, "accuracy")
    short, long = ax.get_lines()
    assert (short.get_label(), long.get_label()) == ("short", "long")
    assert short.get_ydata().tolist() == runs["short"]["accuracy"]
    assert long.get_xdata().tolist() == list(range(4, 10))
    assert (ax.get_ylabel(), ax.get_yscale()) == ("accuracy", "linear")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["short", "long"]


def test_losses_of_runs_on_a_logarithmic_axis_where_that_can_be() -> None:
    above = {str(i): history_of(i, "seconds", "val_loss", "loss") for i in range(1, 4)}
    assert compared_curves(above, "val_loss").get_yscale() == "log"
    assert compared_curves({"a": history_of(4, "loss")}).get_yscale() == "linear"  # one of them is 0


def test_no_two_runs_look_alike() -> None:
    runs = {str(i): history_of(3, "loss") for i in range(21)}
    lines = compared_curves(runs).get_lines()
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 21


def test_the_default_comparison_can_be_seen(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(20, 2))
    result = compare(lambda: cr.Network([cr.Dense(1)], inputs=2), X, X.sum(axis=1), loss="mse", epochs=2)
    drawn = result.plot()
    assert len(drawn.get_lines()) == len(result.histories)
    drawn.figure.savefig(tmp_path / "comparison.png")
    ax = matplotlib_figure.Figure().add_subplot()
    assert result.plot("learning_rate", ax) is ax
    assert ax.get_ylabel() == "learning_rate"


def test_paths_over_contour_lines(tmp_path: Path) -> None:
    path, _ = descend("himmelblau", (0, 0), "sgd", 5)
    lost = np.array([[1.0, 2.0], [np.nan, np.nan]])
    ax = trajectories("himmelblau", {"a path": path, "lost": lost})
    drawn = {line.get_label(): np.column_stack(line.get_data()) for line in ax.get_lines()}
    assert np.array_equal(drawn["a path"], path)
    assert np.array_equal(drawn["lost"], lost, equal_nan=True)
    assert np.array_equal(drawn["start"], [path[0], lost[0]])
    assert np.array_equal(drawn["minima"], LANDSCAPES["himmelblau"].minima)
    assert (*ax.get_xlim(), *ax.get_ylim()) == LANDSCAPES["himmelblau"].view
    ax.figure.savefig(tmp_path / "path.png")


def test_a_picture_of_each_landscape(tmp_path: Path) -> None:
    for name, landscape in LANDSCAPES.items():
        ax = trajectories(landscape, {})
        # Contour lines are there, each of one value.
        (contours,) = ax.collections
        levels = [path for path in contours.get_paths() if len(path.vertices)]
        assert len(levels) > 10
        ax.figure.savefig(tmp_path / f"{name}.png")


def test_the_paths_of_batches() -> None:
    X = np.random.default_rng(0).normal(size=(20, 2))
    table = descent_trajectories(X, X.sum(axis=1), [20, 1], epochs=2)
    ax = matplotlib_figure.Figure().add_subplot()
    assert table.plot(ax) is ax
    labels = [line.get_label() for line in ax.get_lines()]
    assert labels == ["batch", "stochastic", "start", "minimum"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("w1", "w2")


def test_what_cannot_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no finished epoch"):
        compared_curves({"a": History(["loss"])})
    with pytest.raises(KeyError, match="accuracy"):
        compared_curves({"a": history_of(1, "loss")}, "accuracy")
    with pytest.raises(ValueError, match=r"paths\['a'\] must have shape \(points, 2\)"):
        trajectories("valley", {"a": np.zeros(3)})
    with pytest.raises(ValueError, match="'hill' is unknown"):
        trajectories("hill", {})
    with pytest.raises(TypeError, match=r"history must be a History, .*; got 3"):
        learning_curves(3)  # type: ignore[arg-type]
    for wrong in (3, [history_of(1, "loss")], {0: history_of(1, "loss")}):
        with pytest.raises(TypeError, match="histories must be a mapping from names to histories"):
            compared_curves(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"histories\['a'\] must be a History, .*; got 3"):
        compared_curves({"a": 3})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="paths must be a mapping from names to arrays"):
        trajectories("valley", 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"paths\['a'\] must hold real numbers"):
        trajectories("valley", {"a": "x"})
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'trajectories need matplotlib: pip install "chainrule\[plot\]"'):
        trajectories("valley", {})
