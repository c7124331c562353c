"""A figure from a Python process of its own: what it prints last, whatever else it prints; or why it failed.

Nothing of ours is loaded there that the code does not ask for.
"""

from __future__ import annotations

import subprocess
import sys

MARK = "chainrule-bench:"  # a library that prints, when it is imported or when the process ends, prints no such line
REPORT = "print('\\n" + MARK + "', {expression}, flush=True)"


class ChildError(RuntimeError):
    """A process that failed, or gave no figure; it says the last line that went to standard error."""


def figure(code: str, expression: str) -> float:
    """Return the value of an expression after the code has run in a new interpreter; raise ChildError if it did not."""
    program = f"{code}\n{REPORT.format(expression=expression)}\n"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    found = [line.removeprefix(MARK) for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode != 0 or len(found) != 1:
        said = done.stderr.strip().splitlines()
        raise ChildError(said[-1].strip() if said else f"exit code {done.returncode}")
    return float(found[0])
