"""The lectures' figures of formulas, drawn anew: `python examples/figures.py FOLDER` writes them there as PNG files.

Each is one call of `chainrule.plots`; those of runs are in figures_of_runs.py. Without a folder they are not kept.

Target: 13 figures.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.polynomial import Chebyshev

import chainrule as cr
from chainrule import plots
from chainrule.datasets import load_digits

RULES = {"SGD": cr.SGD(0.06), "momentum": cr.Momentum(0.01), "Adam": cr.Adam(0.2)}
DECAYS = {"time": cr.TimeDecay(0.1, decay=0.2), "step": cr.StepDecay(0.1, drop=0.5, every=10), "constant": 0.1}


def main(folder: Path) -> int:
    rng, X = np.random.default_rng(0), load_digits()[0] / 16
    pictures, sums = X[:8].reshape(8, 8, 8), cr.Network([cr.Dense(4)], inputs=64).predict(X)
    grid = np.stack(np.meshgrid([1, 2, 3], [1, 2, 3]), axis=-1).reshape(-1, 2)
    x, xs, degrees = np.linspace(0, 1, 12), np.linspace(0, 1, 200), [1, 2, 3, 5, 7, 9]  # of polynomials
    wave, samples = np.sin(2 * np.pi * xs), np.sin(2 * np.pi * x) + rng.normal(scale=0.3, size=(50, 12))
    models = [[Chebyshev.fit(x, one, degree) for one in samples] for degree in degrees]
    curves = np.array([[f(xs) for f in line] for line in models])
    errors = [[np.mean((f(x) - one) ** 2) for f, one in zip(line, samples, strict=True)] for line in models]
    squares = ((curves - wave) ** 2).mean(axis=2)
    unlucky = squares[5].argmax()
    bias, variance = ((curves[::2].mean(axis=1) - wave) ** 2).mean(axis=1), curves[::2].var(axis=1).mean(axis=1)
    three = {name: (xs, curves[i, unlucky]) for name, i in {"underfit": 0, "good": 2, "overfit": 5}.items()}
    paths = {name: cr.descend("valley", (-9, 1.5), rule, 60)[0] for name, rule in RULES.items()}
    drawn = {
        "activations": plots.activations(),
        "saturation": plots.saturation(),
        "cross_entropy": plots.cross_entropy(),
        "descent_rates": plots.descent_rates(),
        "trajectories": plots.trajectories("valley", paths),
        "schedules": plots.schedules(DECAYS, 40),
        "search_layouts": plots.search_layouts(grid, rng.uniform(1, 3, size=(9, 2))),
        "fits": plots.fits(x, samples[unlucky], three, truth=(xs, wave)),
        "bias_variance": plots.bias_variance(["degree 1", "degree 3", "degree 7"], bias, variance, noise=0.09),
        "error_curve": plots.error_curve(degrees, errors, squares + 0.09, across="degree"),
        "dropout_network": plots.dropout_network([4, 6, 6, 2]),
        "batch_normalization": plots.batch_normalization(sums * [1, 3, 0.5, 2] + [0, 4, -5, 1]),
        "noise_examples": plots.noise_examples(pictures, {"noise": rng.normal(pictures, 0.2)}),
    }
    for name, axes in drawn.items():
        np.ravel(axes)[0].figure.savefig(folder / f"{name}.png")
    return 0 if len(list(folder.glob("*.png"))) >= 13 else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else temporary)))
