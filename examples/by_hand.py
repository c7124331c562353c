"""The training loop by hand, as lectures write it, next to `Trainer.fit`: the same digits, the same seed.

Target: the same weights, bit for bit.
"""

import sys

import numpy as np

import chainrule as cr
from chainrule.datasets import load_digits

EPOCHS, BATCH_SIZE, SEED = 3, 32, 0


def new_network() -> cr.Network:
    return cr.Network([cr.Dense(64, activation="relu"), cr.Dropout(rate=0.2), cr.Dense(10)], inputs=64, seed=SEED)


def main() -> int:
    X, y = load_digits()
    X = X / 8 - 1

    by_hand = new_network()
    loss_fn, optimizer = cr.CrossEntropy(), cr.SGD(lr=0.1)
    by_hand.train()
    for epoch in range(EPOCHS):
        for xb, yb in cr.batches(X, y, batch_size=BATCH_SIZE, seed=SEED, epoch=epoch):
            by_hand.zero_grad()
            loss = loss_fn(by_hand(xb), yb)  # forward
            loss.backward()  # the chain rule
            optimizer.step(by_hand)
        print(f"epoch {epoch + 1}: loss of the last batch {float(loss):.4f}")

    fitted = new_network()
    cr.Trainer(fitted, loss="cross_entropy", optimizer=cr.SGD(lr=0.1)).fit(X, y, epochs=EPOCHS, batch_size=BATCH_SIZE)

    for name, weights in fitted.parameters().items():
        if weights.tobytes() != by_hand.parameters()[name].tobytes():
            apart = float(np.abs(weights - by_hand.parameters()[name]).max())
            print(f"{name} differs by up to {apart:g}")
            return 1
    print("Trainer.fit gives the same weights, bit for bit")
    return 0


if __name__ == "__main__":
    sys.exit(main())
