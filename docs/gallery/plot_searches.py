"""
Grid and random search
======================

Nine trials each. The grid tries three rates and three widths, the random search up to nine of each: where one
of them hardly matters, that is three times as many tries of the one that does ([002]). HP-2.
"""

import numpy as np

import chainrule as cr

X, y = cr.load_digits()
X, y = X[:400] / 16, y[:400]


def make_trainer(settings):
    return cr.trainer_for({**settings, "optimizer": "adam"}, X, y)


grid = {"learning_rate": [0.0003, 0.003, 0.03], "units": [8, 16, 32]}
ranges = {
    "learning_rate": cr.Between(0.0003, 0.03, scale="log"),
    "units": cr.Between(8, 32, scale="log", whole=True),
}
asked = {"monitor": "val_accuracy", "epochs": 6, "verbose": False}
results = [
    cr.search(make_trainer, grid, X, y, method="grid", **asked),
    cr.search(make_trainer, ranges, X, y, method="random", trials=9, seed=2, **asked),
]
points, scores = [], []
for result in results:
    points.append(
        np.array(
            [[one.settings["learning_rate"], one.settings["units"]] for one in result.trials]
        )
    )
    scores.append(np.array([one.score for one in result.trials]))
panels = cr.plots.search_layouts(
    *points, *scores, names=("learning rate", "units"), score="validation accuracy"
)
