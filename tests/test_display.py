"""What notebooks show of networks and histories: well-formed HTML with the very figures, safe for any name."""

from html.parser import HTMLParser

import numpy as np
import pytest

import chainrule as cr
from chainrule.history import History


class Reader(HTMLParser):
    """Reads HTML whose tags must all be closed in order; collects the cells of tables and the points of curves."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.points = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag != "script"
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        if tag == "polyline":
            pairs = dict(attrs)["points"].split()
            self.points.append([tuple(map(float, pair.split(","))) for pair in pairs])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_a_network_shows_its_summary(capsys):
    net = cr.Network([cr.Dense(128, activation="relu"), cr.Dropout(rate=0.2), cr.Dense(10)], inputs=64)
    shown = Reader(net._repr_html_()).rows
    net.summary()
    printed = capsys.readouterr().out.splitlines()
    assert len(shown) == 4
    for cells, line in zip(shown, (printed[0], *printed[2:5]), strict=True):
        for cell in cells:
            assert cell in line
    assert [row[2] for row in shown] == ["parameters", "8,320", "0", "1,290"]


def history_of(columns, *, first_epoch=1):
    """Return a history with these figures."""
    history = History(list(columns), first_epoch)
    for figures in zip(*columns.values(), strict=True):
        history.add(dict(zip(columns, figures, strict=True)))
    return history


def test_a_history_shows_its_first_best_and_last_epoch():
    history = history_of({"loss": [4.0, 2.0, 1.0], "val_loss": [3.0, 2.5, 2.75]}, first_epoch=11)
    history.stop_reason = "<b>done</b>"
    shown = history._repr_html_()
    reader = Reader(shown)
    assert reader.rows == [
        ["", "epoch 11", "best, epoch 12", "last, epoch 13"],
        ["loss", "4", "2", "1"],
        ["val_loss", "3", "2.5", "2.75"],
    ]
    assert "&lt;b&gt;done" in shown
    # From left to right, and what is lower on the page is smaller: the scale is that of both.
    (loss, val_loss) = reader.points
    assert [x for x, _ in loss] == pytest.approx([0, 180, 360])
    assert [y for _, y in loss] == pytest.approx([0, 80, 120])
    assert [y for _, y in val_loss] == pytest.approx([40, 60, 50])


@pytest.mark.parametrize(
    ("columns", "curves"),
    [
        ({"loss": []}, 0),
        ({"loss": [1.0]}, 0),
        ({"loss": [1.0, 1.0]}, 1),
        ({"loss": [1.0, float("nan"), 2.0], "val_loss": [float("nan")] * 3}, 2),
    ],
)
def test_a_history_shows_whatever_there_is(columns, curves):
    assert len(Reader(history_of(columns)._repr_html_()).points) == curves


def test_the_history_of_a_fit_is_shown():
    net = cr.Network([cr.Dense(4), cr.Dense(2)], inputs=3)
    X = np.random.default_rng(0).normal(size=(40, 3))
    history = cr.Trainer(net, loss="cross_entropy").fit(X, (X[:, 0] > 0).astype(int), epochs=3, verbose=False)
    rows = Reader(history._repr_html_()).rows
    assert [row[0] for row in rows[1:]] == list(history)
    assert float(rows[1][-1]) == pytest.approx(history["loss"][-1], rel=1e-3)
