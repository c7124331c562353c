"""Files of data: what is read, and what is refused with a sentence that says where.

The bytes of each file are written here, number by number, so that nothing but the format is the judge.
"""

from __future__ import annotations

import gzip
import re
import struct
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from chainrule.datasets import load_digits, load_idx, read_idx
from chainrule.preprocessing import Standardiser, confusion_matrix, confusion_table
from chainrule.tables import read_csv


def idx(code: int, shape: tuple[int, ...], content: bytes) -> bytes:
    """Return an IDX file as its format says."""
    return bytes([0, 0, code, len(shape)]) + b"".join(struct.pack(">I", size) for size in shape) + content


# --------------------------------------------------------------------------------------------------------- IDX files


@pytest.mark.parametrize(
    ("code", "letter", "dtype", "numbers"),
    [
        (0x08, "B", "uint8", [0, 1, 255]),
        (0x09, "b", "int8", [-128, 0, 127]),
        (0x0B, "h", "int16", [-(2**15), 1, 2**15 - 1]),
        (0x0C, "i", "int32", [-(2**31), 1, 2**31 - 1]),
        (0x0D, "f", "float32", [-0.5, 0.0, 1.5]),
        (0x0E, "d", "float64", [-0.5, 0.0, 1e300]),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_every_type_of_number(
    tmp_path: Path, code: int, letter: str, dtype: str, numbers: list[float], packed: bool
) -> None:
    content = idx(code, (1, 3), struct.pack(f">3{letter}", *numbers))
    path = tmp_path / "numbers"  # the name says nothing of gzip; the first bytes do
    path.write_bytes(gzip.compress(content) if packed else content)
    array = read_idx(path)
    assert array.dtype == np.dtype(dtype)
    assert array.dtype.isnative
    assert array.tolist() == [numbers]


@pytest.mark.parametrize("shape", [(0,), (0, 28, 28), (1,), (2, 3, 5)])
def test_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    size = int(np.prod(shape))
    (tmp_path / "a").write_bytes(idx(0x08, shape, bytes(range(size))))
    array = read_idx(tmp_path / "a")
    assert array.shape == shape
    assert array.reshape(-1).tolist() == list(range(size))


HOSTILE = {
    "empty": (b"", "not an IDX file"),
    "cut within the magic": (b"\0\0", "not an IDX file"),
    "text": (b"hello, world", "not an IDX file"),
    "unknown type": (idx(0x0A, (1,), b"\0"), "type code"),
    "no dimensions": (idx(0x08, (), b""), "number of dimensions"),
    "too many dimensions": (idx(0x08, (1,) * 33, b"\0"), "33 dimensions"),
    "cut within the sizes": (idx(0x08, (2, 3), b"")[:9], "header"),
    "too short": (idx(0x08, (2, 3), bytes(5)), "holds only 5"),
    "too long": (idx(0x08, (2, 3), bytes(7)), "holds more"),
    "items cut": (idx(0x0D, (2,), bytes(7)), "holds only 7"),
    "terabytes declared": (idx(0x08, (2**32 - 1, 2**32 - 1), b""), "4 GiB"),
    "terabytes behind a zero": (idx(0x08, (0, 2**32 - 1, 2**32 - 1, 2**32 - 1), b""), "4 GiB"),
    "gigabytes declared": (idx(0x08, (2**31,), b"\0"), "holds only 1"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("packed", [False, True])
def test_hostile_idx(tmp_path: Path, name: str, packed: bool) -> None:
    content, message = HOSTILE[name]
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_damaged_gzip(tmp_path: Path) -> None:
    good = gzip.compress(idx(0x08, (5000,), bytes(range(250)) * 20))
    path = tmp_path / "file.gz"
    # Cut off, a bit of the check sum flipped, a bit of the stream flipped, and a header with nothing behind it.
    for bad in (good[:-9], good[:-5] + bytes([good[-5] ^ 1]) + good[-4:], good[:12] + b"\xff" + good[13:], good[:5]):
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=r"file\.gz"):
            read_idx(path)


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """A file that declares 10 bytes and unpacks to 64 MiB is left as soon as an eleventh comes."""
    import tracemalloc

    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(idx(0x08, (10,), bytes(2**26)), compresslevel=1))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="holds more"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def write_pair(folder: Path, name: str, rows: int, suffix: str = "", side: int = 2) -> None:
    """Write pictures whose first pixel counts the rows, and labels that count to ten."""
    pixels = np.zeros((rows, side, side), dtype=np.uint8)
    pixels[:, 0, 0] = np.arange(rows)
    files = {
        f"{name}-images-idx3-ubyte": idx(0x08, pixels.shape, pixels.tobytes()),
        f"{name}-labels-idx1-ubyte": idx(0x08, (rows,), bytes(i % 10 for i in range(rows))),
    }
    for file, content in files.items():
        (folder / (file + suffix)).write_bytes(gzip.compress(content) if suffix else content)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("name", ["train", "t10k"])
def test_one_pair_is_cut_in_file_order(tmp_path: Path, suffix: str, name: str) -> None:
    write_pair(tmp_path, name, 11, suffix)
    X_train, y_train, X_test, y_test = load_idx(tmp_path)
    assert X_train[:, 0].tolist() == list(range(8))
    assert X_test[:, 0].tolist() == [8, 9, 10]
    assert y_train.tolist() == list(range(8))
    assert y_test.tolist() == [8, 9, 0]
    assert (X_train.shape, X_train.dtype, y_train.dtype) == ((8, 4), np.float32, np.int32)


def test_two_pairs_are_train_and_test(tmp_path: Path) -> None:
    write_pair(tmp_path, "train", 6)
    write_pair(tmp_path, "t10k", 3, ".gz")
    X_train, y_train, X_test, y_test = load_idx(tmp_path)
    assert [len(part) for part in (X_train, y_train, X_test, y_test)] == [6, 6, 3, 3]


def test_folders_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        load_idx(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="neither train-images"):
        load_idx(tmp_path)
    write_pair(tmp_path, "train", 6)
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(idx(0x08, (5,), bytes(5)))
    with pytest.raises(ValueError, match=r"\(6, 2, 2\) and \(5,\)"):
        load_idx(tmp_path)
    labels.write_bytes(idx(0x0C, (6,), bytes(24)))
    with pytest.raises(ValueError, match="uint8; got uint8 and int32"):
        load_idx(tmp_path)
    labels.unlink()
    with pytest.raises(ValueError, match=r"train-labels-idx1-ubyte .* is missing"):
        load_idx(tmp_path)
    write_pair(tmp_path, "train", 1)
    with pytest.raises(ValueError, match="at least 2 pictures, to train and to test; got 1"):
        load_idx(tmp_path)
    write_pair(tmp_path, "train", 0)
    with pytest.raises(ValueError, match="no pictures"):
        load_idx(tmp_path)
    write_pair(tmp_path, "train", 6)
    write_pair(tmp_path, "t10k", 6, side=3)
    with pytest.raises(ValueError, match="4 pixels, those to test 9"):
        load_idx(tmp_path)


def test_the_real_mnist(data_folder: Path) -> None:
    X_train, y_train, X_test, y_test = load_idx(data_folder)
    assert (X_train.shape, X_test.shape) == ((8000, 784), (2000, 784))
    # The first labels of the published file, and its extremes.
    assert y_train[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert len(y_test) == 2000
    assert (X_train.min(), X_train.max()) == (0, 255)


def test_digits() -> None:
    X, y = load_digits()
    assert (X.shape, X.dtype, X.min(), X.max()) == ((1797, 64), np.float32, 0, 16)
    assert (y.shape, y.dtype, sorted(set(y.tolist()))) == ((1797,), np.int32, list(range(10)))


# ------------------------------------------------------------------------------------------------------------ Tables


def table_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_numbers_and_categories(tmp_path: Path, delimiter: str, newline: str, mark: bytes) -> None:
    lines = ["größe,colour,kind", "1.5,red,b", " -2 , blue ,a", '3e1,"red",b', ""]
    text = newline.join(line.replace(",", delimiter) for line in lines)
    table = read_csv(table_file(tmp_path, mark + text.encode()), "kind")
    assert [column.inputs for column in table.columns] == [("größe",), ("colour=blue", "colour=red")]
    assert table.X.tolist() == [[1.5, 0, 1], [-2, 1, 0], [30, 0, 1]]
    assert table.y.tolist() == [1, 0, 1]
    assert (table.classes, table.target) == (("a", "b"), "kind")


def test_delimiters_within_quotes_do_not_count(tmp_path: Path) -> None:
    table = read_csv(table_file(tmp_path, '"a;b;c",y\n"x;""1""",1.5\n"u\nv",2.5\n'), "y")
    assert [column.inputs for column in table.columns] == [("a;b;c=u\nv", 'a;b;c=x;"1"')]
    assert table.y.tolist() == [1.5, 2.5]


def column_of(numbers: list[object]) -> str:
    return "x,y\n" + "".join(f"1,{number}\n" for number in numbers)


@pytest.mark.parametrize(
    ("numbers", "task", "classes"),
    [
        (["no", "yes"] * 2, "auto", ("no", "yes")),
        ([0, 1] * 2, "auto", ("0", "1")),
        ([-1, 1], "auto", ("-1", "1")),
        ([1, 2, 3] * 5, "auto", ("1", "2", "3")),
        ([10, 2, 3] * 5, "auto", ("2", "3", "10")),
        ([1, 2, 3] * 4, "auto", None),  # fewer than five rows of each
        (list(range(21)) * 5, "auto", None),  # more than twenty
        ([0.5, 1.5] * 10, "auto", None),
        ([0, 1] * 2, "regression", None),
        ([0.5, 1.5], "classification", ("0.5", "1.5")),
    ],
)
def test_the_task_is_found_from_the_target(
    tmp_path: Path, numbers: list[object], task: str, classes: tuple[str, ...] | None
) -> None:
    table = read_csv(table_file(tmp_path, column_of(numbers)), "y", task=task)
    assert table.classes == classes
    if classes is None:
        assert table.y.tolist() == numbers
    else:
        assert [classes[label] for label in table.y] == [str(number) for number in numbers]


@pytest.mark.parametrize(
    ("texts", "task", "names"),
    [
        (["1234567890123457", "1234567890123456"], "auto", ["1234567890123456", "1234567890123457"]),
        (["9007199254740992", "9007199254740993"], "auto", ["9007199254740992", "9007199254740993"]),
        (
            ["9007199254740993", "-9007199254740993", "9007199254740992"] * 5,
            "auto",
            ["-9007199254740993", "9007199254740992", "9007199254740993"],
        ),
        (["9" * 38, "9" * 37 + "8"], "auto", ["9" * 37 + "8", "9" * 38]),
        (["1e20", "100000000000000000001", "1" + 20 * "0" + ".0"], "auto", ["1" + 20 * "0", "1" + 19 * "0" + "1"]),
        (["0.1", "0.10000000000000002"], "classification", ["0.1", "0.10000000000000002"]),
        (["0.1", "0.10000000000000001"], "classification", ["0.1", "0.10000000000000001"]),  # one number in float64
        (["1", "1.00000000000000000001"], "classification", ["1", "1.00000000000000000001"]),
        (["0", "1e-999999999999999999"], "classification", ["0", "1E-999999999999999999"]),
        (["-0", "1e-400", "-1e-400"], "classification", ["-1E-400", "0", "1E-400"]),
        (["2", "9007199254740992.5"], "classification", ["2", "9.00719925474099e+15"]),
        # What names usual classes, however they are written.
        (["0", "1", "2"] * 5, "auto", ["0", "1", "2"]),
        (["1", "1.0", "+2", "2.", "1e0", "02"], "auto", ["1", "2"]),
        (["1e3", "1000", "-0", "0.0"], "auto", ["0", "1000"]),
        (["0.5", ".50", "5e-1", "1e-5"], "classification", ["1e-05", "0.5"]),
        (["1.000000000000000056e-01", "2"], "classification", ["0.1", "2"]),  # np.savetxt's tenth
        (["0.30000000000000004", "2"], "classification", ["0.3", "2"]),
    ],
)
def test_numbers_that_are_classes_stay_apart(tmp_path: Path, texts: list[str], task: str, names: list[str]) -> None:
    table = read_csv(table_file(tmp_path, column_of(texts)), "y", task=task)
    assert table.classes == tuple(names)
    different = sorted({Decimal(text) for text in texts})
    assert table.y.tolist() == [different.index(Decimal(text)) for text in texts]


def test_names_of_numbers_are_different(tmp_path: Path, rng: np.random.Generator) -> None:
    # Numbers next to each other in steps of the last digit, where float64 has one for several of them.
    texts = {f"{rng.integers(1, 3)}.{'0' * rng.integers(12, 20)}{n}e{rng.integers(-3, 20)}" for n in range(1, 200)}
    table = read_csv(table_file(tmp_path, column_of(list(texts))), "y", task="classification")
    assert table.classes is not None
    assert len(set(table.classes)) == len({Decimal(text) for text in texts})
    for text, number in zip(texts, table.y.tolist(), strict=True):
        value = Fraction(text)
        if value.denominator == 1:
            assert table.classes[number] == str(value.numerator)
        else:
            assert float(table.classes[number]) == pytest.approx(float(value), rel=1e-14)


def test_long_whole_numbers_may_be_values(tmp_path: Path) -> None:
    texts = [str(2**53 + i) for i in range(4)] * 5  # four classes exactly, two in float64: 2**53, and 2**53 + 2 or + 4
    assert read_csv(table_file(tmp_path, column_of(texts)), "y").classes == tuple(texts[:4])
    table = read_csv(table_file(tmp_path, column_of(texts)), "y", task="regression")
    assert (table.classes, table.y.tolist()) == (None, [float(text) for text in texts])
    # Whole numbers when rounded, of which one is none.
    texts = ["9007199254740992.5", "9007199254740994"]
    assert read_csv(table_file(tmp_path, column_of(texts)), "y").classes is None
    # Few when rounded, but 30 in 30 rows.
    assert read_csv(table_file(tmp_path, column_of([2**60 + i for i in range(30)])), "y").classes is None


BAD_TABLES = {
    "empty": ("", "is empty"),
    "blank": ("\n \n\n", "is empty"),
    "only a mark": (b"\xef\xbb\xbf", "is empty"),
    "no rows": ("a,y\n", "no rows"),
    "no header": ("1,2\n3,4\n", "first line must name the columns"),
    "a name missing": ("a,,y\n1,2,3\n", "column 2 has no name"),
    "a name twice": ("a,a,y\n1,2,3\n", "two columns have the name 'a'"),
    "unknown target": ("a,b\n1,2\n", "target 'y' is not among the columns 'a', 'b'"),
    "target alone": ("y\n1\n2\n", "no column but the target"),
    "a row too short": ("a,b,y\n1,2,3\n1,2\n", "line 3: expected 3 cells; got 2"),
    "a row too long": ("a,y\n1,2\n\n1,2,3\n", "line 4: expected 2 cells; got 3"),
    "a cell missing": ("a,y\n1,2\n,3\n", "line 3, column 'a': is empty"),
    "a text missing": ("a,y\nu,2\n ,3\nu,4\n", "line 3, column 'a': is empty"),
    "not a number": (
        "a,y\n1,2\nnan,3\n",
        "line 3, column 'a': expected a finite number that float32 can hold; got 'nan'",
    ),
    "infinite": (
        "a,y\n1,2\n2,-inf\n",
        "line 3, column 'y': expected a finite number that float32 can hold; got '-inf'",
    ),
    "overflow": (
        "a,y\n1,2\n1e999,3\n",
        "line 3, column 'a': expected a finite number that float32 can hold; got '1e999'",
    ),
    "beyond float32": (
        "a,y\n1,2\n-1e39,3\n",
        "line 3, column 'a': expected a finite number that float32 can hold; got '-1e39'",
    ),
    "a text among numbers": ("a,y\n1,2\n?,3\n4,4\n", "line 3, column 'a': expected a number, as in most rows; got '?'"),
    "underscores": ("a,y\n1,2\n1_000,3\n4,4\n", "line 3, column 'a': expected a number"),
    "decimal commas": (
        "a;y\n1,5;2\n2,5;3\n",
        "line 2, column 'a': expected a decimal point, and no commas between thousands; got '1,5'",
    ),
    "commas between thousands": ('a,y\n1,1\n"2,000",3\n', "line 3, column 'a': .* no commas .*; got '2,000'"),
    "thousands of digits": ("a,y\n1,2\n1" + 5000 * "0" + ",3\n", r"line 3, column 'a': .*; got '10+\.\.\.0+'$"),
    "latin-1": ("a,y\n1,2\ngrün,3\n".encode("latin-1"), "line 3: not UTF-8 .byte 0xfc"),
    "utf-16": ("a,y\n1,2\n".encode("utf-16"), "line 1: not UTF-8"),
    "an open quote": ('a,y\n"1,2\n3,4\n', "not a CSV row"),
    "text behind a quote": ('a,y\n"1"2,3\n', "line 2: not a CSV row"),
    "a huge cell": ("a,y\n" + "u" * 200_000 + ",1\n", "line 2: not a CSV row"),
    "the same everywhere": ("a,y\n1,u\n2,u\n", "target 'y' is 'u' in every row"),
    "the same number everywhere": (
        "a,y\n1,9007199254740993\n2,9007199254740993.0\n",
        "target 'y' is '9007199254740993' in every row",
    ),
    "names for categories": ("a,y\n" + "".join(f"u{i},1.5\n" for i in range(257)), "257 different texts"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_tables(tmp_path: Path, name: str) -> None:
    text, message = BAD_TABLES[name]
    path = table_file(tmp_path, text)
    with pytest.raises(ValueError, match=message) as caught:
        read_csv(path, "y")
    assert str(path) in str(caught.value)


def test_tasks_that_do_not_fit(tmp_path: Path) -> None:
    path = table_file(tmp_path, column_of(["u", "v"]))
    with pytest.raises(ValueError, match="line 2, column 'y': regression needs numbers; got 'u'"):
        read_csv(path, "y", task="regression")
    with pytest.raises(ValueError, match='task must be "auto"'):
        read_csv(path, "y", task="guess")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="300 different numbers"):
        read_csv(table_file(tmp_path, column_of(list(range(300)))), "y", task="classification")
    with pytest.raises(FileNotFoundError):
        read_csv(tmp_path / "nowhere.csv", "y")
    with pytest.raises(TypeError, match=r"^target must be the name of a column; got 3"):
        read_csv(path, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [3, None, b"bytes", "", "a\0b"])
def test_paths_that_are_none(path: object) -> None:
    for read in (read_idx, load_idx, lambda path: read_csv(path, "y")):
        with pytest.raises((TypeError, ValueError), match=r"^(path|folder) must be a"):
            read(path)  # type: ignore[operator]


# ----------------------------------------------------------------------------------------------------- Preprocessing


def test_standardiser(rng: np.random.Generator) -> None:
    X = rng.normal(size=(101, 3)) * [1, 1e-6, 1e6] + [0, 5, -3]
    standardised = Standardiser.fit(X).transform(X)
    assert standardised.dtype == np.float32
    # N numbers of size about 1, each rounded to float32: their mean is off by at most the rounding of one of them,
    # which is largest / 2 ulp; a fourth of a standard deviation of N(0, 1) beyond 4 does not come with this seed.
    bound = 4 * np.finfo(np.float32).eps
    assert np.all(np.abs(standardised.mean(axis=0, dtype=np.float64)) < bound)
    assert np.all(np.abs(standardised.std(axis=0, dtype=np.float64) - 1) < bound)


def test_constant_columns_stay_finite() -> None:
    X = np.array([[0.1, 1], [0.1, 2], [0.1, 4]])
    fitted = Standardiser.fit(X)
    assert fitted.scales[0] == 1
    # The mean of equal numbers may be off by one rounding, not more.
    assert np.all(np.abs(fitted.transform(X)[:, 0]) <= np.finfo(np.float64).eps)


def test_one_scale_for_all_columns() -> None:
    fitted = Standardiser.fit([[0, 0], [0, 4]], shared=True)
    assert fitted.means.tolist() == [1, 1]
    assert fitted.scales.tolist() == [np.sqrt(3)] * 2
    assert Standardiser.fit([[2, 2], [2, 2]], shared=True).scales.tolist() == [1, 1]


@pytest.mark.parametrize("X", [np.zeros((0, 2)), np.zeros((2, 0)), np.zeros(3), [[1e300, 0], [-1e300, 0]]])
def test_what_cannot_be_standardised(X: object) -> None:
    with pytest.raises(ValueError, match="X"):
        Standardiser.fit(X)  # type: ignore[arg-type]


def test_numbers_too_far_away_for_float32() -> None:
    with pytest.raises(ValueError, match="scales away"):
        Standardiser.fit([[0.0], [1e-30]]).transform([[1e30]])


def test_confusion_table() -> None:
    matrix = confusion_matrix(np.array([0, 0, 1, 2], dtype=np.int32), np.array([0, 2, 1, 2]), 3)
    assert matrix.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    rows = confusion_table(matrix, ["cat", "dog", "a name without end"]).splitlines()
    assert re.fullmatch(r" +true \| +cat +dog +a name with~", rows[0])
    assert [row.split("|")[1].split() for row in rows[2:]] == [["1", ".", "1"], [".", "1", "."], [".", ".", "1"]]
    assert len({len(row) for row in rows}) == 1
