"""Exclusive or: no straight line parts its four rows, one hidden layer does.

Target: all four rows right, each by more than 99 %.
"""

import sys

import numpy as np

import chainrule as cr

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
y = np.array([0, 1, 1, 0])


def main() -> int:
    net = cr.Network([cr.Dense(8, activation="tanh"), cr.Dense(1)], inputs=2, seed=0)
    trainer = cr.Trainer(net, loss="binary_cross_entropy", optimizer=cr.Adam(lr=0.05))
    trainer.fit(X, y, epochs=500, batch_size=4)

    probability = 1 / (1 + np.exp(-net.predict(X)[:, 0]))  # the network gives logits
    for row, target, p in zip(X, y, probability, strict=True):
        print(f"{row} is {target}; the network says 1 with probability {p:.4f}")
    least = np.where(y == 1, probability, 1 - probability).min()
    print(f"least probability of the right answer: {least:.4f} (target: above 0.99)")
    return 0 if least > 0.99 else 1


if __name__ == "__main__":
    sys.exit(main())
