"""A denoising autoencoder (lecture [004]): handwritten digits with noise go in, the digits themselves are the target.

A narrow layer in the middle keeps only what digits have in common; noise has nothing of that. `GaussianNoise` draws new
noise in every step, and none in prediction, so the noisy test pictures are made here.

Target: at most half of the noise left, as root mean squared error on pictures that were not trained on.
"""

import sys

import numpy as np

import chainrule as cr
from chainrule.datasets import load_digits

STD = 0.3  # of the noise; pixels go from 0 to 1


def shown(*pictures: np.ndarray) -> str:
    """Return pictures of 8 by 8 pixels beside each other, as text."""
    shades = np.array(list(" .:-=+*#%@"))
    rows = np.hstack([np.pad(one.reshape(8, 8), ((0, 0), (0, 3))) for one in pictures])
    return "\n".join("".join(line).rstrip() for line in shades[(rows.clip(0, 1) * 9).round().astype(int)])


def main() -> int:
    X, _ = load_digits()
    X = X / 16
    test = np.arange(len(X)) % 5 == 0

    layers = [
        cr.GaussianNoise(std=STD),
        cr.Dense(128, activation="relu"),
        cr.Dense(24, activation="tanh"),  # the code
        cr.Dense(128, activation="relu"),
        cr.Dense(64, activation="sigmoid"),
    ]
    net = cr.Network(layers, inputs=64, seed=0)
    cr.Trainer(net, loss="mse", optimizer=cr.Adam(lr=0.002)).fit(X[~test], X[~test], epochs=60)

    noisy = X[test] + np.random.default_rng(0).normal(scale=STD, size=X[test].shape).astype(X.dtype)
    cleaned = net.predict(noisy)
    print("a digit, with noise, and cleaned:", shown(X[test][1], noisy[1], cleaned[1]), sep="\n")
    before, after = (float(np.sqrt(np.mean((p - X[test]) ** 2))) for p in (noisy, cleaned))
    print(f"root mean squared error: noisy {before:.3f}, cleaned {after:.3f} (target: at most half)")
    return 0 if after <= before / 2 else 1


if __name__ == "__main__":
    sys.exit(main())
