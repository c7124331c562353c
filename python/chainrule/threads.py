"""How many threads the engine may use. Results do not depend on it: they are the same bits for any number."""

from __future__ import annotations

from . import _engine, checks

# More would only wait for each other, and an operating system may refuse them.
MOST_THREADS = 256


def get_num_threads() -> int:
    """Return how many threads a step may use. Small networks use fewer: see `work_per_thread` in the engine."""
    return _engine.thread_limit()


def set_num_threads(threads: int) -> None:
    """Set how many threads a step may use, 1 to 256; 0 returns to the default.

    The default is what OpenMP says: OMP_NUM_THREADS, the process's affinity, threadpoolctl.

    Parameters
    ----------
    threads : int
        From 1 to 256; or 0.
    """
    _engine.set_thread_limit(checks.whole("threads", threads, least=0, most=MOST_THREADS))
