"""chainrule as its user calls it: `Trainer.fit`, `Network.predict`. All that a call costs is in its time."""

from __future__ import annotations

from collections.abc import Sequence

import chainrule as cr
from chainrule.bench.workloads import BETA1, BETA2, EPSILON, Setting, Trainee, make_network


def training(setting: Setting) -> Trainee:
    """Train a network by whole epochs."""
    workload = setting.workload
    net = make_network(workload.widths, setting.dtype)
    start = dict(zip(net.parameters(), setting.start, strict=True))
    trainer: cr.Trainer

    def reset() -> None:
        nonlocal trainer
        net.load_state_dict(start)
        adam = setting.optimizer == "adam"
        optimizer = cr.Adam(setting.rate, beta1=BETA1, beta2=BETA2, eps=EPSILON) if adam else cr.SGD(setting.rate)
        trainer = cr.Trainer(net, loss="cross_entropy", optimizer=optimizer)

    def run(epochs: int) -> Sequence[float]:
        history = trainer.fit(setting.X, setting.y, epochs=epochs, batch_size=workload.batch_size, verbose=False)
        return list(history["loss"])

    return Trainee(reset, run)
