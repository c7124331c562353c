"""Labels as numbers, as one-hot rows, and back, judged by scikit-learn and by hand."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from problems import classifier, problem

import chainrule as cr

WORDS = ["cat", "dog", "ant", "dog", "cat", "dog"]
NUMBERS = [30, 10, 20, 10, 30, 10]
GIVEN = {
    "words": WORDS,
    "an array of words": np.array(WORDS),
    "objects that are words": np.array(WORDS, dtype=object),
    "numbers": NUMBERS,
    "objects that are numbers": np.array(NUMBERS, dtype=object),
    "objects that are fractions and numbers": np.array([0.5, 2, np.int64(1), np.float32(1.5)], dtype=object),
    "objects that are bools": np.array([True, np.bool_(False)], dtype=object),
    "floats": np.array(NUMBERS) / 4,
    "negative": -np.array(NUMBERS),
    "bools": [True, False, True],
    "one class": ["a", "a"],
    "one row": [7],
}


@pytest.mark.parametrize("y", GIVEN.values(), ids=GIVEN)
def test_numbers_and_back(y):
    encoder = cr.LabelEncoder()
    numbers = encoder.fit_transform(y)
    found = sorted(set(np.asarray(y).tolist()))
    assert encoder.classes_.tolist() == found
    assert numbers.dtype == np.int32
    assert numbers.tolist() == [found.index(one) for one in np.asarray(y).tolist()]
    assert encoder.inverse_transform(numbers).tolist() == np.asarray(y).tolist()
    assert eval(repr(encoder), {"LabelEncoder": cr.LabelEncoder}).transform(y).tolist() == numbers.tolist()


@pytest.mark.parametrize("y", GIVEN.values(), ids=GIVEN)
def test_it_is_scikit_learns(y):
    preprocessing = pytest.importorskip("sklearn.preprocessing", reason="needs scikit-learn")
    encoder, theirs = cr.LabelEncoder().fit(y), preprocessing.LabelEncoder().fit(y)
    assert encoder.classes_.tolist() == theirs.classes_.tolist()
    assert np.array_equal(encoder.transform(y), theirs.transform(y))
    assert cr.LabelEncoder(theirs.classes_).transform(y).tolist() == encoder.transform(y).tolist()
    if len(encoder.classes_) > 2 and encoder.classes_.dtype.kind != "f":  # theirs takes no fractions
        plain = np.array(np.asarray(y).tolist())  # nor objects that are numbers
        assert np.array_equal(encoder.one_hot(y), preprocessing.LabelBinarizer().fit_transform(plain))


def test_one_hot_and_back():
    encoder = cr.LabelEncoder().fit(WORDS)
    rows = encoder.one_hot(["dog", "ant"])
    assert rows.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert rows.dtype == np.float32
    assert encoder.one_hot([], dtype="float64").shape == (0, 3)
    assert encoder.one_hot(WORDS, dtype="float64").dtype == np.float64
    assert encoder.decode(encoder.one_hot(WORDS)).tolist() == WORDS


def test_the_calories_of_lecture_004():
    encoder = cr.LabelEncoder(["Apple", "Chicken", "Broccoli"])  # the slide's order of columns
    assert encoder.one_hot(["Apple", "Chicken", "Broccoli"]).tolist() == np.eye(3).tolist()


def test_an_order_that_is_given():
    sizes = ["very small", "small", "large", "very large"]
    encoder = cr.LabelEncoder(sizes)
    assert encoder.fit_transform(["large", "small"]).tolist() == [2, 1]
    with pytest.raises(ValueError, match=r"^y\[1\] is 'huge', which is none of the 4 classes"):
        encoder.fit(["small", "huge"])


def test_outputs_of_a_network():
    encoder = cr.LabelEncoder().fit(["no", "yes"])
    logits = np.array([[-0.1], [0.0], [0.4]])
    assert encoder.decode(logits).tolist() == ["no", "no", "yes"]
    assert encoder.decode([[0.4], [0.6]], threshold=0.5).tolist() == ["no", "yes"]
    assert encoder.decode([[1, 2], [3, 3]]).tolist() == ["yes", "no"]  # the first of several
    X, numbers = problem()
    names = np.array(["red", "green", "blue"])[numbers]
    three, net = cr.LabelEncoder(), classifier()
    cr.Trainer(net, loss="cross_entropy").fit(X, three.fit_transform(names), epochs=1, verbose=False)
    outputs = net.predict(X)
    assert three.decode(outputs).tolist() == [["blue", "green", "red"][k] for k in outputs.argmax(axis=1)]
    one = cr.Network([cr.Dense(1)], inputs=4)
    two = cr.LabelEncoder().fit_transform(names == "red")
    cr.Trainer(one, loss="binary_cross_entropy").fit(X, two, epochs=1, verbose=False)


def test_unknown_labels_are_named():
    encoder = cr.LabelEncoder().fit(WORDS)
    with pytest.raises(ValueError, match=r"^y\[1\] is 'eel', which is none of the 3 classes; nor are 'bee', 'fox'$"):
        encoder.transform(["dog", "eel", "fox", "eel", "bee"])
    with pytest.raises(ValueError, match=r"^y\[0\] is 'a', .*; nor are 'b', 'c', 'd', 'e', 'f', \.\.\.$"):
        encoder.transform(list("abcdefg"))
    with pytest.raises(ValueError, match=r"^y\[0\] is 1\.5, which is none"):
        cr.LabelEncoder([1, 2]).one_hot([1.5])


NEIGHBOURS = [2**53 - 1, 2**53, 2**53 + 1, 2**53 + 2, 2**62, 2**62 + 1, 5]
NUMBERS_GIVEN = {
    "int64": np.array([*NEIGHBOURS, -(2**53) - 1, -(2**53), -(2**63), 2**63 - 1]),
    "uint64": np.array([*NEIGHBOURS, 2**63 - 1, 2**63, 2**64 - 1], dtype=np.uint64),
    "float64": np.array(
        [0.5, -5, 5, 2**53 - 1, 2**53, 2**53 + 2, 2**62, 2**63, 2**64, -(2**53), -(2**63)], dtype=float
    ),
    "float32": np.array([0.5, 5, 2**53, 2**62, 2**63, 2**64, 1e30], dtype=np.float32),
    "int8": np.array([5, -5], dtype=np.int8),
    "objects": np.array([2**53 + 1, np.int64(2**53), 5], dtype=object),
    "bools": np.array([True, False]),
    "list": NEIGHBOURS,
}


@pytest.mark.parametrize("y", NUMBERS_GIVEN.values(), ids=NUMBERS_GIVEN)
@pytest.mark.parametrize("classes", NUMBERS_GIVEN.values(), ids=NUMBERS_GIVEN)
def test_numbers_compare_exactly_whatever_their_dtypes(classes, y):
    encoder = cr.LabelEncoder(classes)
    known = list(map(plain, classes))
    for row in range(len(y)):
        if plain(y[row]) in known:
            assert encoder.transform(y[row : row + 1]).tolist() == [known.index(plain(y[row]))]
        else:
            with pytest.raises(ValueError, match=r"^y\[0\] is .*, which is none of the"):
                encoder.transform(y[row : row + 1])
    shared = [row for row in range(len(y)) if plain(y[row]) in known]
    numbers = encoder.transform([y[row] for row in shared] if isinstance(y, list) else y[shared])
    assert numbers.tolist() == [known.index(plain(y[row])) for row in shared]


def plain(number):
    """Return Python's number, which it compares exactly."""
    return number.item() if isinstance(number, np.generic) else number


def test_large_whole_numbers():
    encoder = cr.LabelEncoder([2**53, 2**53 + 1])
    assert encoder.transform(np.array([2**53 + 1, 2**53], dtype=np.uint64)).tolist() == [1, 0]
    assert encoder.transform([2.0**53]).tolist() == [0]
    assert eval(repr(encoder), {"LabelEncoder": cr.LabelEncoder}).transform([2**53 + 1]).tolist() == [1]
    with pytest.raises(ValueError, match=r"^y\[1\] is 9007199254740992\.0, which is none of the 2 classes$"):
        cr.LabelEncoder([5, 2**53 + 1]).transform([5.0, 2.0**53])
    assert cr.LabelEncoder([2**53, 0.5, 2**63]).transform([2**63, 2**53]).tolist() == [2, 0]


def test_words_with_nul():
    encoder = cr.LabelEncoder(["a", "\0a", "a\0b"])  # within a word it counts
    assert encoder.transform(["\0a", "a\0b", "a"]).tolist() == [1, 2, 0]
    with pytest.raises(ValueError, match=r"^y must hold words that do not end in NUL, .*; y\[1\] is 'a\\x00'$"):
        encoder.transform(["a", "a\0"])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda e: e.fit([]), ValueError, r"^y must hold labels of shape \(N,\), at least 1; got shape \(0,\)"),
        (lambda e: e.fit([["a"]]), ValueError, "^y must hold labels of shape"),
        (lambda e: e.fit(["a", 1]), TypeError, "^y must hold words or numbers, and not both"),
        (lambda e: e.fit(np.array(["a", None])), TypeError, "^y must hold words or numbers, and not both"),
        (lambda e: e.fit(np.array([1, None])), TypeError, "^y must hold words or numbers, and not both"),
        (lambda e: e.fit(np.array([1, "a"], dtype=object)), TypeError, "^y must hold words or numbers, and not both"),
        (lambda e: e.fit(np.array([2, True], dtype=object)), TypeError, "^y must hold words or numbers, and not both"),
        (lambda e: e.fit(np.array([1, 1j], dtype=object)), TypeError, "^y must hold words or numbers, and not both"),
        (lambda e: e.fit([10**30, 1]), TypeError, "^y must hold words or numbers; got dtype object"),
        (lambda e: e.fit(np.array([[1], [2]], dtype=object)), ValueError, "^y must hold labels of shape"),
        (
            lambda e: e.fit(np.array([1, np.nan], dtype=object)),
            ValueError,
            r"^y must hold finite numbers; y\[1\] is nan",
        ),
        (lambda e: e.fit([2**53 + 1, 0.5]), ValueError, r"^y must .* float64, .* exactly; y\[0\] is 9007199254740993$"),
        (lambda e: e.fit((-1, 2**64 - 1)), ValueError, r"^y must .* exactly; y\[1\] is 18446744073709551615$"),
        (
            lambda e: e.fit(np.array([0.5, 2**53 + 1], dtype=object)),
            ValueError,
            r"exactly; y\[1\] is 9007199254740993$",
        ),
        (lambda e: cr.LabelEncoder([np.int64(2**53 + 1), 0.5]), ValueError, r"^classes must .* exactly; classes\[0\]"),
        (lambda e: cr.LabelEncoder(["a", "a\0"]), ValueError, r"^classes must .* NUL, .*; classes\[1\] is 'a\\x00'$"),
        (lambda e: e.fit(np.array(["a\0", "a"], dtype=object)), ValueError, r"^y must .* NUL, .*; y\[0\] is 'a\\x00'$"),
        (lambda e: e.fit(deque(["a", 1])), TypeError, "^y must hold words or numbers, and not both"),
        (lambda e: e.fit([1.0, np.nan]), ValueError, r"^y must hold finite numbers; y\[1\] is nan"),
        (lambda e: e.fit([1j]), TypeError, "^y must hold words or numbers; got dtype complex128"),
        (lambda e: e.fit([b"a"]), TypeError, r"^y must hold words or numbers; got dtype \|S1"),
        (lambda e: e.transform([1]), TypeError, "^y cannot be compared with those known: int64 and <U3"),
        (lambda e: e.inverse_transform([0, 3]), ValueError, r"^numbers must lie from 0 to 2; numbers\[1\] is 3"),
        (lambda e: e.inverse_transform([-1]), ValueError, r"numbers\[0\] is -1"),
        (lambda e: e.inverse_transform([0.0]), TypeError, "^numbers must be whole numbers"),
        (lambda e: e.inverse_transform([[0]]), TypeError, "^numbers must be whole numbers"),
        (lambda e: e.decode([0, 1]), ValueError, r"^outputs must be numbers of shape \(N, 3\); got int64 \(2,\)"),
        (lambda e: e.decode([[0, 1]]), ValueError, r"^outputs must be numbers of shape \(N, 3\)"),
        (lambda e: e.decode([["a", "b", "c"]]), ValueError, "^outputs must be numbers"),
        (lambda e: e.decode([[0, np.nan, 1]]), ValueError, "^outputs have NaN"),
        (lambda e: cr.LabelEncoder([0, 1]).decode([[np.nan]]), ValueError, "^outputs have NaN"),
        (lambda e: cr.LabelEncoder([0]).decode([[1.0]]), ValueError, "^outputs of one class"),
        (lambda e: e.decode(np.eye(3), threshold="a"), TypeError, "^threshold must be"),
        (lambda e: e.one_hot(["cat"], dtype="int8"), ValueError, "^dtype must be"),
        (lambda e: cr.LabelEncoder(["a", "a"]), ValueError, "^classes must be different labels"),
        (lambda e: cr.LabelEncoder([]), ValueError, "^classes must hold labels"),
        (
            lambda e: cr.LabelEncoder().transform(["a"]),
            ValueError,
            r"^LabelEncoder knows no classes yet: call fit\(y\)",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(cr.LabelEncoder().fit(WORDS))
