"""From words to descriptions: "relu" to ReLU(), "adam" to Adam(). Unknown words are errors that list the known ones.

A word builds its class with the defaults. A class whose options have no default is known here too, so that the
error can say which option to give.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from .checks import shown

T = TypeVar("T")


def find(argument: str, value: object, base: type[T], known: Mapping[str, type[T]]) -> T:
    """Return `value` if it is a `base`, or build the class that the word `value` names in `known`.

    Raises
    ------
    TypeError
        If `value` is neither a word nor a `base`.
    ValueError
        If the word is unknown, or names a class with an option that has no default.
    """
    if isinstance(value, base):
        return value
    kind = known.get(value) if isinstance(value, str) else None
    if kind is not None and not required_options(kind):
        return kind()
    plain = [word for word, kind in known.items() if not required_options(kind)]
    listed = ", ".join(repr(word) for word in plain)
    article = "an" if base.__name__[0] in "AEIOU" else "a"
    if isinstance(value, type) and issubclass(value, base):
        raise TypeError(f"{argument} must be {article} {base.__name__}, not the class: {value.__name__}(...)")
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be {article} {base.__name__} or one of {listed}; got {shown(value)}")
    if kind is None:
        raise ValueError(f"{argument}={value!r} is unknown; known are {listed}")
    missing = required_options(kind)
    options = ", ".join(f"{option}=..." for option in missing)
    raise ValueError(f"{argument}={value!r} has no default {missing[0]}; use {kind.__name__}({options})")


def required_options(kind: type[Any]) -> tuple[str, ...]:
    """Name the options of a description that have no default."""
    fields = dataclasses.fields(kind)
    return tuple(field.name for field in fields if field.init and field.default is dataclasses.MISSING)
