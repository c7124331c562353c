"""The lectures' figures of runs: `python examples/figures_of_runs.py FOLDER` trains and writes them there as PNG files.

Each is one call of `chainrule.plots`. Without a folder they are not kept.

Target: 8 figures.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule import plots
from chainrule.datasets import load_digits

RULES = {"SGD": cr.SGD(0.05), "momentum": cr.Momentum(0.05), "Adam": cr.Adam(0.003), "RMSprop": cr.RMSprop(0.003)}


def deep(activation="tanh", inputs=64, outputs=10):
    return cr.Network([*[cr.Dense(32, activation=activation) for _ in range(5)], cr.Dense(outputs)], inputs=inputs)


def fit(net, X, y, optimizer, loss="cross_entropy", **options):
    return cr.Trainer(net, loss=loss, optimizer=optimizer, metrics=["accuracy"]).fit(X, y, **options)


def main(folder: Path) -> int:
    (X, y), rng = load_digits(), np.random.default_rng(0)
    X, plane = X / 16, rng.uniform(-1, 1, size=(200, 2))
    net, disc, circle = deep(), deep(inputs=2, outputs=1), (np.hypot(*plane.T) < 0.7).astype(int)
    history = fit(net, X[:200], y[:200], cr.Adam(0.003), epochs=30, validation_data=(X[200:800], y[200:800]))
    tried = fit(deep(), X[:200], y[:200], cr.SGD(lambda epoch: 1e-3 * 1.2**epoch), batch_size=100, epochs=50)
    fit(disc, plane, circle, cr.Adam(0.01), "binary_cross_entropy", epochs=40)
    scores = cr.classification_scores(y[800:], net.predict(X[800:]).argmax(axis=1))
    gradients = {g: cr.gradient_report(deep(g), X, y, loss="cross_entropy") for g in ("sigmoid", "tanh", "relu")}

    drawn = {
        "learning_curves": history.plot(),
        "learning_rate_range": plots.learning_rate_range(tried["learning_rate"], tried["loss"], 0.1),
        "optimizers": cr.compare(deep, X[:600], y[:600], loss="cross_entropy", optimizers=RULES, epochs=10).plot(),
        "descents": cr.descent_trajectories(plane, plane @ [1, -2], [200, 20, 1], optimizer=cr.SGD(0.1)).plot(),
        "confusion_matrix": plots.confusion_matrix(scores.confusion),
        "gradient_norms": plots.layer_norms(gradients),
        "weight_norms": plots.layer_norms(cr.weight_report(net)),
        "decision_boundary": plots.decision_boundary(disc, plane, circle),
    }
    for name, axes in drawn.items():
        np.ravel(axes)[0].figure.savefig(folder / f"{name}.png")
    return 0 if len(list(folder.glob("*.png"))) >= 8 else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else temporary)))
