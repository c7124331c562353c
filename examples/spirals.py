"""Two spirals that wind around each other (Lang and Witbrock 1988): two hidden layers tell them apart.

Target: 99 % of new points right.
"""

import sys

import numpy as np

import chainrule as cr


def spirals(points: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points (2 * points, 2) on two spirals of one and a half turns, with a little noise, and their labels."""
    random = np.random.default_rng(seed)
    angle = 3 * np.pi * np.sqrt(random.uniform(0.02, 1, points))  # even in distance along the arm
    arm = np.column_stack([angle * np.cos(angle), angle * np.sin(angle)]) / (3 * np.pi)
    X = np.concatenate([arm, -arm])
    return X + random.normal(scale=0.01, size=X.shape), np.repeat([0, 1], points)


def main() -> int:
    X, y = spirals(300, seed=1)
    X_test, y_test = spirals(1000, seed=2)

    layers = [cr.Dense(64, activation="relu"), cr.Dense(64, activation="relu"), cr.Dense(2)]
    trainer = cr.Trainer(
        cr.Network(layers, inputs=2, seed=0), loss="cross_entropy", optimizer=cr.Adam(lr=0.005), metrics=["accuracy"]
    )
    trainer.fit(X, y, epochs=100, batch_size=32)

    accuracy = trainer.evaluate(X_test, y_test)["accuracy"]
    print(f"accuracy on new points: {accuracy:.2%} (target: 99 %)")
    return 0 if accuracy >= 0.99 else 1


if __name__ == "__main__":
    sys.exit(main())
