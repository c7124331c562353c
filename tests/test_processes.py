"""A fit among other threads, signals and processes."""

from __future__ import annotations

import threading

import numpy as np
from problems import run_script, trainer

import chainrule as cr


def wide(seed=0):
    """Return a trainer and data whose epoch takes tens of milliseconds."""
    rng = np.random.default_rng(seed)
    net = cr.Network([cr.Dense(256, activation="relu"), cr.Dense(256, activation="relu"), cr.Dense(10)], inputs=256)
    return trainer(net), rng.normal(size=(6000, 256)), rng.integers(0, 10, size=6000)


def test_another_thread_runs_during_a_fit():
    ticks, ended = [0], threading.Event()

    def tick():
        while not ended.wait(0.001):
            ticks[0] += 1

    class Counting(cr.Callback):
        def on_epoch_begin(self, epoch, logs):
            self.start = ticks[0]

        def on_epoch_end(self, epoch, logs):
            seen.append((ticks[0] - self.start, logs["seconds"]))

    seen = []
    learner, X, y = wide()
    other = threading.Thread(target=tick)
    other.start()
    try:
        learner.fit(X, y, epochs=20, callbacks=[Counting()])
    finally:
        ended.set()
        other.join()
    # With the lock held it could tick when the engine asks for signals, every 50 ms, and never else; without, about
    # once a millisecond.
    ticked, seconds = (sum(part) for part in zip(*seen, strict=True))
    assert ticked > 4 * seconds / 0.05 + 4


def test_two_threads_train_one_network_by_turns():
    learner, X, y = wide()
    other = trainer(learner.net)
    threads = [threading.Thread(target=one.fit, args=(X, y), kwargs={"epochs": 1}) for one in (learner, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert learner.history.epochs == other.history.epochs == 1
    assert np.isfinite(learner.net.predict(X)).all()


def test_ctrl_c_ends_a_fit_at_once():
    # The child interrupts itself, as a terminal would, at different places of an epoch.
    done = run_script(
        """
        import os, signal, sys, threading, time
        import numpy as np
        import chainrule as cr

        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(20_000, 256)), rng.integers(0, 10, size=20_000)
        layers = [cr.Dense(512, activation="relu"), cr.Dense(512, activation="relu"), cr.Dense(10)]
        net = cr.Network(layers, inputs=256)
        trainer = cr.Trainer(net, loss="cross_entropy", metrics=["accuracy"])
        delays = []

        class Interrupted(cr.Callback):
            def __init__(self, after):
                self.timer = threading.Timer(after, self.interrupt)

            def on_epoch_begin(self, epoch, logs):
                if self.timer.ident is None:
                    self.timer.start()

            def interrupt(self):
                self.sent = time.monotonic()
                os.kill(os.getpid(), signal.SIGINT)

        for after in (0.05, 0.33, 0.6):
            callback = Interrupted(after)
            try:
                trainer.fit(X, y, epochs=10_000, batch_size=64, callbacks=[callback])
            except KeyboardInterrupt:
                delays.append(time.monotonic() - callback.sent)
            callback.timer.join()
            assert trainer.history.stop_reason == "interrupted", trainer.history
            assert all(len(values) == trainer.history.epochs for values in trainer.history.values())
            assert all(np.isfinite(value).all() for value in net.parameters().values())
        assert np.isfinite(net.predict(X[:100])).all()
        done = trainer.epochs_done
        history = trainer.fit(X[:640], y[:640], epochs=1, batch_size=64)
        assert history.first_epoch == done + 1 and np.isfinite(history["loss"][0])
        print(*delays)
        """
    )
    assert done.returncode == 0, done.stderr
    delays = [float(delay) for delay in done.stdout.split()]
    assert len(delays) == 3
    assert sorted(delays)[1] < 0.2


def test_training_works_in_a_forked_child():
    done = run_script(
        """
        import os, signal, sys
        import numpy as np
        import chainrule as cr
        from chainrule import _engine

        _engine.set_work_per_thread(1)
        cr.set_num_threads(2)
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(200, 8)), rng.integers(0, 3, size=200)

        def trained():
            net = cr.Network([cr.Dense(32, activation="relu"), cr.Dense(3)], inputs=8)
            cr.Trainer(net, loss="cross_entropy").fit(X, y, epochs=3)
            return b"".join(value.tobytes() for value in net.parameters().values())

        expected = trained()
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            os._exit(0 if trained() == expected else 3)
        assert os.waitpid(child, 0)[1] == 0
        assert trained() == expected
        """
    )
    assert done.returncode == 0, done.stderr


def test_ctrl_c_ends_predictions_and_evaluations_too():
    done = run_script(
        """
        import os, signal, threading, time
        import numpy as np
        import chainrule as cr

        layers = [cr.Dense(2048, activation="relu"), cr.Dense(2048, activation="relu"), cr.Dense(10)]
        net = cr.Network(layers, inputs=64)
        trainer = cr.Trainer(net, loss="cross_entropy")
        X, y = np.zeros((400_000, 64), dtype="float32"), np.zeros(400_000, dtype="int32")
        sent = []

        def interrupt():
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        for work in (lambda: net.predict(X), lambda: trainer.evaluate(X, y)):
            timer = threading.Timer(0.4, interrupt)
            timer.start()
            try:
                work()
            except KeyboardInterrupt:
                print(time.monotonic() - sent[-1])
            timer.join()
        assert np.isfinite(net.predict(X[:10])).all()
        """
    )
    assert done.returncode == 0, done.stderr
    delays = [float(delay) for delay in done.stdout.split()]
    assert len(delays) == 2
    assert min(delays) < 0.2
