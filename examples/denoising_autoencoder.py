"""A denoising autoencoder (lecture [004]): handwritten digits with noise go in, the digits themselves are the target.

A narrow layer in the middle keeps only what digits have in common; noise has nothing of that. What the first layers
have learned so, without a label, then helps a classifier that gets two labelled pictures of each digit ([000]:
pretraining).

Target: at most half of the noise left, as root mean squared error on pictures that were not trained on; and 3 points of
accuracy more than the same classifier from scratch, on average over five draws of the labelled pictures.
"""

import sys

import numpy as np

import chainrule as cr
from chainrule.datasets import load_digits

STD = 0.3  # of the noise; pixels go from 0 to 1
ENCODER = [cr.GaussianNoise(std=STD), cr.Dense(128, activation="relu"), cr.Dense(24, activation="tanh")]
DECODER = [cr.Dense(128, activation="relu"), cr.Dense(64, activation="sigmoid")]


def shown(*pictures: np.ndarray) -> str:
    """Return pictures of 8 by 8 pixels beside each other, as text."""
    shades = np.array(list(" .:-=+*#%@"))
    rows = np.hstack([np.pad(one.reshape(8, 8), ((0, 0), (0, 3))) for one in pictures])
    return "\n".join("".join(line).rstrip() for line in shades[(rows.clip(0, 1) * 9).round().astype(int)])


def main() -> int:
    X, y = load_digits()
    X = X / 16
    test = np.arange(len(X)) % 5 == 0
    net = cr.Network([*ENCODER, *DECODER], inputs=64, seed=0)
    cr.Trainer(net, loss="mse", optimizer=cr.Adam(lr=0.002)).fit(X[~test], X[~test], epochs=60)

    noisy = X[test] + np.random.default_rng(0).normal(scale=STD, size=X[test].shape).astype(X.dtype)
    cleaned = net.predict(noisy)
    print("a digit, with noise, and cleaned:", shown(X[test][1], noisy[1], cleaned[1]), sep="\n")
    before, after = (float(np.sqrt(np.mean((p - X[test]) ** 2))) for p in (noisy, cleaned))
    print(f"root mean squared error: noisy {before:.3f}, cleaned {after:.3f} (target: at most half)")

    scores = np.zeros((5, 2))
    for draw in range(5):
        order = np.random.default_rng(draw).permutation(np.flatnonzero(~test))
        few = np.concatenate([order[y[order] == digit][:2] for digit in range(10)])
        pretrained = cr.with_head(net, cr.Dense(10), keep=3, freeze=True)
        for i, one in enumerate((pretrained, cr.Network([*ENCODER, cr.Dense(10)], inputs=64, seed=draw))):
            trainer = cr.Trainer(one, loss="cross_entropy", optimizer=cr.Adam(0.005), metrics=["accuracy"])
            trainer.fit(X[few], y[few], epochs=100, batch_size=10)
            scores[draw, i] = trainer.evaluate(X[test], y[test])["accuracy"]
    encoded, scratch = scores.mean(axis=0)
    print(f"accuracy after 20 labelled pictures: pretrained {encoded:.1%}, from scratch {scratch:.1%}")
    return 0 if after <= before / 2 and encoded >= scratch + 0.03 else 1


if __name__ == "__main__":
    sys.exit(main())
