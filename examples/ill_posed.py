"""An ill-posed system A x = y (lecture [001]), and what regularization was made for: L2 as Tikhonov's method.

A is Hilbert's matrix, almost non-invertible: an error of y in the sixth digit ruins the exact solution. The network is
one linear layer whose weights are x; its loss is 1/2 |A x - y|^2 and its penalty lambda/2 |x|^2, with the closed
solution (A^T A + lambda I)^-1 A^T y (Tikhonov 1963).

Target: the trained weights are the closed solution to 1e-8, and 100 times closer to the truth than the exact solution.
"""

import sys

import numpy as np

import chainrule as cr

SIZE, STRENGTH = 10, 1e-4


def main() -> int:
    number = np.arange(SIZE)
    A = 1.0 / (number[:, None] + number + 1)
    truth = np.ones(SIZE)
    y = A @ truth + np.random.default_rng(0).normal(scale=1e-6, size=SIZE)
    system = A.T @ A + STRENGTH * np.eye(SIZE)
    condition = np.linalg.cond(system)
    print(f"condition number of A: {np.linalg.cond(A):.1e}, of A^T A + lambda I: {condition:.1e}")

    # The heavy ball at its best for this condition number: each step leaves beta^(1/2) of the distance (Polyak 1964).
    root = np.sqrt(condition)
    beta = ((root - 1) / (root + 1)) ** 2
    rate = (1 + np.sqrt(beta)) ** 2 / np.linalg.norm(system, 2)
    net = cr.Network([cr.Dense(1, bias=False, weight_init="zeros")], inputs=SIZE, dtype="float64")
    trainer = cr.Trainer(
        net,
        loss=cr.MeanSquaredError(reduction="sum", half=True),
        optimizer=cr.Momentum(lr=rate, beta=beta),
        penalty=cr.L2(STRENGTH),
    )
    trainer.fit(A, y, epochs=6000, batch_size=SIZE)

    trained = net.parameters()["0.weight"][:, 0]
    closed = np.linalg.solve(system, A.T @ y)
    errors = {"exact": np.linalg.solve(A, y), "closed Tikhonov": closed, "trained with L2": trained}
    for name, x in errors.items():
        print(f"{name:15}  distance to the truth {np.linalg.norm(x - truth):8.3g}, x begins with {x[:3].round(3)}")
    apart = float(np.abs(trained - closed).max())
    gain = np.linalg.norm(errors["exact"] - truth) / np.linalg.norm(trained - truth)
    print(f"trained and closed differ by {apart:.1e}; {gain:,.0f} times closer to the truth than the exact solution")
    return 0 if apart < 1e-8 and gain > 100 else 1


if __name__ == "__main__":
    sys.exit(main())
