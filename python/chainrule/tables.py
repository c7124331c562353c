"""Tables in CSV files as arrays: `read_csv`, numbers as they are and texts as one column for each category.

A file is hostile until it is checked, and each fault is a ValueError that names the line and the column. Missing values
are not filled in, dates are not understood, nothing is scaled (see `Standardize`): a table that needs more wants
pandas first. Inputs and values are rounded to float64; classes are not, so that long identifiers stay apart.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from . import checks
from .labels import one_hot

if TYPE_CHECKING:
    import os
    from decimal import Decimal

__all__ = ["Column", "Table", "read_csv"]

_MOST_CATEGORIES = 256  # more different texts are names or identifiers, which teach a network nothing
_FEW_INTEGERS = 20  # up to so many different whole numbers are taken for classes
_ROWS_PER_CLASS = 5  # ... if there are on average that many rows of each
_LARGEST = float(np.finfo(np.float32).max)  # what the networks can hold; its square is far from float64's limit
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


@dataclass(frozen=True)
class Column:
    """A column of the file that became inputs: one input, or one for each category."""

    name: str
    categories: tuple[str, ...] | None = None  # None: a column of numbers

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs made of this column: "age", or "colour=blue", "colour=red"."""
        return (self.name,) if self.categories is None else tuple(f"{self.name}={text}" for text in self.categories)


@dataclass(frozen=True)
class Table:
    """A table made ready to learn from: N rows, D inputs.

    Attributes
    ----------
    X : ndarray of float64, shape (N, D)
        The inputs.
    y : ndarray of int32 or float64, shape (N,)
        Numbers of classes, or values.
    columns : tuple of Column
        What each column of the file became: its name, its categories, its inputs.
    target : str
        Name of the column to predict.
    classes : tuple of str, or None
        Name of each class number; None for regression.
    """

    X: npt.NDArray[np.float64]  # (N, D)
    y: npt.NDArray[np.int32] | npt.NDArray[np.float64]  # (N,): class numbers, or values
    columns: tuple[Column, ...]
    target: str
    classes: tuple[str, ...] | None  # name of each class number; None for regression


@dataclass(frozen=True)
class _Cells:
    """One column as text, with what an error message needs."""

    path: Path
    name: str
    texts: Sequence[str]  # (N,)
    lines: Sequence[int]  # (N,) where each stands in the file

    def fault(self, row: int, message: str) -> ValueError:
        return ValueError(f"{self.path}, line {self.lines[row]}, column {self.name!r}: {message}")

    def unexpected(self, row: int, expected: str) -> ValueError:
        return self.fault(row, f"{expected}; got {checks.shown(self.texts[row])}")


def read_csv(
    path: str | os.PathLike[str], target: str, *, task: Literal["auto", "classification", "regression"] = "auto"
) -> Table:
    """Read a table whose first line names the columns, in UTF-8, with commas, semicolons or tabs between cells.

    A column of numbers becomes one input. A column of texts becomes one input for each of its categories, in sorted
    order, 1 where the row has it and 0 elsewhere.

    Parameters
    ----------
    path : path
        The file.
    target : str
        Name of the column to predict.
    task : "auto", "classification" or "regression"
        With "auto", texts are classes, and so are whole numbers of which there are few: two, or up to 20 with at least
        five rows of each on average. Everything else is regression. Numbers that are classes are compared and sorted by
        their exact values: 1 and 1.0 are one class, 9007199254740992 and 9007199254740993 are two.

    Returns
    -------
    Table
        Inputs X (N, D), targets y (N,), and the names of both.

    Raises
    ------
    ValueError
        If a cell is missing, is not finite or is a text among numbers; if a row has too few or too many cells; if
        column names are missing or repeat; if `target` is unknown; if the file is empty or not in UTF-8.
    OSError
        If the file cannot be read.
    """
    if task not in ("auto", "classification", "regression"):
        raise ValueError(f'task must be "auto", "classification" or "regression"; got {task!r}')
    path = Path(checks.path("path", path))
    if not isinstance(target, str):
        raise TypeError(f"target must be the name of a column; got {checks.shown(target)}")
    header, rows, lines = _read_cells(path)
    if target not in header:
        raise ValueError(f"{path}: target {target!r} is not among the columns {', '.join(map(repr, header))}")
    if len(header) == 1:
        raise ValueError(f"{path}: holds no column but the target {target!r}; cells end with a comma, semicolon or tab")

    columns, blocks = [], []
    for i, name in enumerate(header):
        cells = _Cells(path, name, [row[i] for row in rows], lines)
        if name == target:
            y, classes = _target(cells, task)
            continue
        column, block = _input(cells)
        columns.append(column)
        blocks.append(block)
    return Table(np.hstack(blocks), y, tuple(columns), target, classes)


def _read_cells(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Return the names of the columns, the rows and the line that each row stands in."""
    import csv
    import io

    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: not UTF-8 (byte {content[error.start]:#04x}); save it as UTF-8"
        ) from None
    if not text.strip():
        raise ValueError(f"{path}: is empty; expected a line of column names and rows below it")

    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), skipinitialspace=True, strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells) and len(cells) < 2:
                continue  # a blank line
            if not header:
                header = cells
                _check_header(path, header)
                continue
            if len(cells) != len(header):
                raise ValueError(f"{path}, line {reader.line_num}: expected {len(header)} cells; got {len(cells)}")
            rows.append(cells)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: not a CSV row ({error})") from None
    if not rows:
        raise ValueError(f"{path}: holds column names but no rows")
    return header, rows, lines


def _delimiter(text: str) -> str:
    """Return which of comma, semicolon and tab stands most often in the first line that is not blank."""
    # Names in quotes may hold one of them, which does not count.
    first = re.sub(r'"[^"]*"', "", next(line for line in text.splitlines() if line.strip()))
    return max((",", ";", "\t"), key=first.count)


def _check_header(path: Path, header: list[str]) -> None:
    for i, name in enumerate(header):
        if not name:
            raise ValueError(f"{path}: column {i + 1} has no name; the first line must name every column")
        if name in header[:i]:
            raise ValueError(f"{path}: two columns have the name {name!r}")
    if all(_number(name) is not None for name in header):
        raise ValueError(f"{path}: the first line must name the columns; got the numbers {', '.join(header[:5])}")


def _number(text: str) -> float | None:
    """Return the number that `text` is, or None. Unlike Python, 1_000 is a text."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _numbers(cells: _Cells) -> npt.NDArray[np.float64] | None:
    """Return the column as numbers (N,), or None where it is one of texts."""
    numbers = [_number(text) for text in cells.texts]
    texts = [row for row, number in enumerate(numbers) if number is None]
    for row in texts:
        if not cells.texts[row]:
            raise cells.fault(row, "is empty; missing values must be filled in or their rows left out")
        if _DECIMAL_COMMA.fullmatch(cells.texts[row]):
            raise cells.unexpected(row, "expected a decimal point, and no commas between thousands")
    if len(texts) > len(numbers) / 2:
        return None
    if texts:
        row = texts[0]
        raise cells.unexpected(row, "expected a number, as in most rows")
    for row, number in enumerate(numbers):
        if number is None or not abs(number) <= _LARGEST:
            raise cells.unexpected(row, "expected a finite number that float32 can hold")
    return np.array(numbers, dtype=np.float64)


def _categories(cells: _Cells) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    """Return the different texts of a column, sorted, and the number of the one in each row (N,)."""
    categories = sorted(set(cells.texts))
    if len(categories) > _MOST_CATEGORIES:
        raise ValueError(
            f"{cells.path}: column {cells.name!r} holds {len(categories):,} different texts, more than the "
            f"{_MOST_CATEGORIES} that are taken for categories; leave it out"
        )
    number_of = {text: number for number, text in enumerate(categories)}
    return tuple(categories), np.array([number_of[text] for text in cells.texts], dtype=np.int32)


def _input(cells: _Cells) -> tuple[Column, npt.NDArray[np.float64]]:
    """Return a column and the inputs (N, 1) or (N, categories) made of it."""
    numbers = _numbers(cells)
    if numbers is not None:
        return Column(cells.name), numbers[:, np.newaxis]
    categories, labels = _categories(cells)
    return Column(cells.name, categories), one_hot(labels, len(categories), np.float64)


def _target(cells: _Cells, task: str) -> tuple[npt.NDArray[np.int32] | npt.NDArray[np.float64], tuple[str, ...] | None]:
    """Return the targets (N,), and the names of the classes or None for regression."""
    numbers = _numbers(cells)
    if numbers is None:
        if task == "regression":
            raise cells.unexpected(0, "regression needs numbers")
        classes, labels = _categories(cells)
    else:
        # What is not whole or not few when rounded to float64 is not so exactly either: this spares most columns of
        # values the exact reading, which is slow.
        rows, auto = len(numbers), task == "auto"
        if task == "regression" or (auto and not _few_integers(set(numbers.tolist()), rows)):
            return numbers, None
        value_of = _exact_values(cells.texts)
        values = set(value_of.values())
        if auto and not _few_integers(values, rows):
            return numbers, None
        if len(values) > _MOST_CATEGORIES:
            raise ValueError(
                f"{cells.path}: column {cells.name!r} holds {len(values):,} different numbers, more than the "
                f"{_MOST_CATEGORIES} that are taken for classes"
            )
        ordered = sorted(values)
        number_of = {value: number for number, value in enumerate(ordered)}
        classes = _names_of_numbers(ordered)
        labels = np.array([number_of[value_of[text]] for text in cells.texts], dtype=np.int32)
    if len(classes) == 1:
        raise ValueError(f"{cells.path}: target {cells.name!r} is {classes[0]!r} in every row")
    return labels, classes


def _few_integers(different: Collection[float] | Collection[Decimal], rows: int) -> bool:
    """Return whether the different numbers of a column look like classes: whole, and few (see `read_csv`)."""
    few = len(different) <= 2 or len(different) <= min(_FEW_INTEGERS, rows // _ROWS_PER_CLASS)
    return few and all(value == int(value) for value in different)


def _exact_values(texts: Sequence[str]) -> dict[str, Decimal]:
    """Return the exact value of each different text, all of which float32 can hold when rounded."""
    from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context

    # Python's widest context, not the caller's: it rounds no text of a file, and exponents beyond its 18 digits, which
    # only zeros and what is next to zero can have here, are 0 as they are in float64.
    widest = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
    return {text: widest.normalize(widest.create_decimal(text)) for text in dict.fromkeys(texts)}


def _names_of_numbers(values: Sequence[Decimal]) -> tuple[str, ...]:
    """Return a name for each of different numbers: all digits of whole ones, of others 15 where that tells them apart.

    15 digits, as float64 keeps them: 0.1 is "0.1" also where the file has the 1.000000000000000056e-01 of `np.savetxt`.
    """
    short = [f"{float(value) + 0:.15g}" for value in values]  # + 0: what rounds to -0 is not told apart from 0
    return tuple(
        str(int(value)) if value == int(value) else name if short.count(name) == 1 else str(value)
        for value, name in zip(values, short, strict=True)
    )
