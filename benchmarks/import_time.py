"""What `import chainrule` costs beside `import numpy`: fresh interpreters in turns, the median of the ratios.

chainrule loads its parts, NumPy among them, when they are first asked for; so what a program that trains needs is
measured too.

python benchmarks/import_time.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from harness import Turn, contest, store

TIMED = "import time; start = time.perf_counter(); {0}; print((time.perf_counter() - start) * 1e6)"
STATEMENTS = {
    "numpy": "import numpy",
    "chainrule": "import chainrule",
    "chainrule, ready to train": "from chainrule import Network, Dense, Trainer, Adam",
}


def importing(statement: str) -> Turn:
    """Return the microseconds that a statement takes in a new interpreter."""
    command = [sys.executable, "-c", TIMED.format(statement)]
    return Turn(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout), 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the time of imports.")
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    engines = {name: (lambda statement=statement: importing(statement)) for name, statement in STATEMENTS.items()}
    figures = contest(engines, baseline="numpy", rounds=rounds)
    for name, figure in figures.items():
        low, high = figure["microseconds_range"]
        # `ratio` says how many times faster; an import is asked how many times slower.
        times = f"{figure['microseconds'] / 1e3:6.1f} ms ({low / 1e3:.1f} to {high / 1e3:.1f})"
        print(f"{name:28} {times:28} {1 / figure['ratio']:.2f} of NumPy")
    print("stored in", store("import_time", {"imports": figures}))


if __name__ == "__main__":
    main()
