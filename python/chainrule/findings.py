"""Finding and Diagnosis: what `chainrule.diagnose` returns. They hold and print; the rules stand elsewhere.

curve_rules.py has those that look at learning curves, layer_units.py those about units and gradients, flow_of_errors.py
those that compare the parts of the data, remedies.py what the lectures advise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import indent

from .remedies import ADVICE


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes
    ----------
    name : str
        What: a key of `remedies.ADVICE`, such as "overfitting".
    evidence : str
        Why, in a sentence with numbers.
    numbers : mapping of str to float
        The same numbers, by name.
    """

    name: str
    evidence: str
    numbers: Mapping[str, float]

    @property
    def remedies(self) -> tuple[str, ...]:
        """What the lectures advise."""
        return ADVICE[self.name].remedies

    @property
    def source(self) -> str:
        """The slide that describes it."""
        return ADVICE[self.name].source

    def __str__(self) -> str:
        """Return all of it as text."""
        lines = [f"{self.name}: {self.evidence}", *(f"  try: {one}" for one in self.remedies), f"  {self.source}"]
        return "\n".join(lines)


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What was found, what was looked at, and what was not.

    Attributes
    ----------
    findings : tuple of Finding
        Causes first: the learning rate, units and gradients; then the fit; then the parts of the data.
    looked_at : tuple of str
        What was judged.
    not_looked_at : tuple of str
        What was not, and what to give so that it is.
    """

    findings: tuple[Finding, ...]
    looked_at: tuple[str, ...]
    not_looked_at: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether nothing was found wrong in what was looked at."""
        return not self.findings

    @property
    def names(self) -> tuple[str, ...]:
        """The findings by name."""
        return tuple(one.name for one in self.findings)

    def __getitem__(self, name: str) -> Finding:
        """Return the finding of a name."""
        for one in self.findings:
            if one.name == name:
                return one
        raise KeyError(f"{name!r}; found were {', '.join(self.names) or 'none'}")

    def __repr__(self) -> str:
        """Return a report: the findings, what was looked at, and what was not."""
        parts = [str(one) for one in self.findings] or ["healthy: nothing wrong in what was looked at"]
        for title, lines in (("looked at", self.looked_at), ("not looked at", self.not_looked_at)):
            if lines:
                parts.append(f"{title}:\n" + indent("\n".join(lines), "  "))
        return "\n\n".join(parts)
