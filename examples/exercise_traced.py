"""The numeric exercise of lecture [002], line by line: one batch step, three stochastic steps, and which is lower.

Three rows, two weights, no bias: L = 1/2 Σ (y - wᵀx)², learning rate 0.01. `trace` does a step and says where each
number comes from.

Target: the batch step ends at L = 8.8496, the stochastic ones at 8.81043, exactly.
"""

from __future__ import annotations

import sys

import chainrule as cr

X, y = [[1, 2], [-2, 5], [0, 1]], [1, 6, 1]
LOSS = cr.MeanSquaredError(reduction="sum", half=True)


def start() -> cr.Network:
    """Return the network of the exercise: w = (1, 0.5)."""
    net = cr.Network([cr.Dense(1, bias=False)], inputs=2, dtype="float64")
    net.load_state_dict({"0.weight": [[1.0], [0.5]]})
    return net


def main() -> int | str:
    """Do the exercise."""
    net = start()
    print("a. h(2, 3) =", net.predict([[2.0, 3.0]])[0, 0])

    print("\nb. and c. The loss, and one step of batch descent:\n")
    print(cr.trace(net, X, y, LOSS, cr.SGD(0.01)))
    batch = cr.trace(net, X, y, LOSS).loss
    print("\nd. The loss after it:", batch)

    print("\ne. Stochastic descent, a row at a time:")
    net, optimizer = start(), cr.SGD(0.01)
    for row in range(3):
        step = cr.trace(net, X[row : row + 1], y[row : row + 1], LOSS, optimizer)
        error, w = -step["dp"].item(), step["0.weight.new"].ravel()
        print(f"   row {row + 1}: y - h = {error:.6g}, gradient {step['0.weight.gradient'].ravel()}, new w {w}")
    stochastic = cr.trace(net, X, y, LOSS).loss
    print("   The loss after it:", stochastic, "which is lower" if stochastic < batch else "which is higher")

    right = abs(batch - 5531 / 625) < 1e-12 and abs(stochastic - 17620867739 / 2e9) < 1e-12
    return 0 if right else "the exercise has another answer"


if __name__ == "__main__":
    sys.exit(main())
