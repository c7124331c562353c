"""
Noise on the examples
=====================

In every epoch a network sees its examples with other noise, and can learn none of them by heart ([001]). DATA-7,
REG-13.
"""

import chainrule as cr

X, _ = cr.load_digits()
X = X[:8] / 16
epochs = {
    f"epoch {e + 1}": cr.augmented(X, cr.NoiseAugmentation(std=0.2), epoch=e).reshape(8, 8, 8)
    for e in range(3)
}
panels = cr.plots.noise_examples(X.reshape(8, 8, 8), epochs)
