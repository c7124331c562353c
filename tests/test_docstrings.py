"""Docstrings of what is public: numpydoc's validation, and their examples, which run.

What counts: parameters (named, in order, with type and description), returns, sections. A method is judged where it is
declared first, since an override does what was said there.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import inspect
import io
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr

pytest.importorskip("numpydoc", reason="numpydoc judges the docstrings (extra [docs])")
pytest.importorskip("sklearn", reason="two of the public classes are scikit-learn's kind")
pytest.importorskip("matplotlib", reason="the pictures are public too")

from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "docs"))
from pages import HOOKS, groups

# The checks that the house does not follow, and why.
NOT_FOLLOWED = {
    "ES01": "a summary may say all there is",
    "EX01": "examples are where a call does not explain itself; the guides have the rest",
    "SA01": "related names are linked to where they matter, not in a list",
    "SS02": "a summary may begin with a formula: g(z) = max(0, z)",
    "PR08": "a description may begin with a formula, or with a word that is code",
    "RT04": "as for parameters",
}

PUBLIC = [name for group in groups() for name in group.names]


def found(path: str) -> object:
    """Return what a path from `chainrule` names."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"chainrule.{module}".rstrip(".")), name)


def first_declared(kind: type, name: str) -> type:
    return next(one for one in reversed(kind.__mro__) if name in vars(one))


def methods() -> list[str]:
    """Return the public methods of public classes by the class that declares each first, but for the hooks."""
    kinds = [one for name in PUBLIC if inspect.isclass(one := found(name))]
    named = set()
    for kind in kinds:
        for name in (name for name in dir(kind) if not name.startswith("_")):
            owner = first_declared(kind, name)
            declared = vars(owner)[name]
            called = inspect.isfunction(declared) or isinstance(declared, (property, classmethod, staticmethod))
            if called and owner.__module__.startswith("chainrule.") and name not in HOOKS.get(owner.__name__, ()):
                named.add(f"{owner.__module__}.{owner.__qualname__}.{name}")
    return sorted(named)


def parameters_of(thing: object) -> dict[str, inspect.Parameter]:
    takes_none = not callable(thing) or (inspect.isclass(thing) and issubclass(thing, Warning))
    return {} if takes_none else dict(inspect.signature(thing).parameters)


def flaws(path: str, thing: object) -> list[str]:
    """Return what numpydoc finds, but for what is not followed."""
    found_flaws = []
    doc = NumpyDocString(inspect.getdoc(thing) or "")
    fields = {name for entry in doc["Attributes"] for name in entry.name.split(", ")}
    summary = " ".join(doc["Summary"]).lower()
    taken = {name: one for name, one in parameters_of(thing).items() if name not in ("self", "cls")}
    for code, message in validate(path)["errors"]:
        if code in NOT_FOLLOWED:
            continue
        # What the fields of a result are, its attributes say: nobody makes one by hand.
        if code == "PR01" and inspect.isclass(thing) and set(taken) <= fields | {p.name for p in doc["Parameters"]}:
            continue
        # Names that are given by name alone have no order: a class's own come first, those of all like it last.
        if code == "PR03":
            placed = [name for name, one in taken.items() if one.kind is not one.KEYWORD_ONLY]
            order = [n for p in doc["Parameters"] for n in p.name.replace("*", "").split(", ") if n in placed]
            if order == [name for name in placed if name in order]:
                continue
        # Where nothing is to be given, the summary says what returns: "Return the number of threads."
        if code == "RT01" and (("return" in summary and not taken) or doc["Yields"]):
            continue
        found_flaws.append(f"{code} {message}")
    return found_flaws


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_described(name: str) -> None:
    assert flaws(f"chainrule.{name}", found(name)) == []


@pytest.mark.parametrize("path", methods(), ids=lambda path: path.removeprefix("chainrule."))
def test_every_public_method_is_described(path: str) -> None:
    module, owner, name = path.rsplit(".", 2)
    thing = getattr(getattr(importlib.import_module(module), owner), name)
    assert flaws(path, thing) == []


def test_hooks_are_there() -> None:
    """What is left out is named by hand, for a reason: it must exist."""
    kinds = {one.__name__: one for name in PUBLIC if inspect.isclass(found(name)) for one in found(name).__mro__}
    for owner, names in HOOKS.items():
        assert set(names) <= set(vars(kinds[owner])), owner


def test_every_public_name_is_in_the_api_once() -> None:
    assert len(PUBLIC) == len(set(PUBLIC))
    assert {name for name in PUBLIC if "." not in name} == set(cr.__all__) - {"__version__"}
    for module in ("plots", "sklearn"):
        listed = {name.partition(".")[2] for name in PUBLIC if name.startswith(f"{module}.")}
        assert listed == set(importlib.import_module(f"chainrule.{module}").__all__)


# Examples ------------------------------------------------------------------------------------------------------------


def prepared(rows: int = 90) -> dict[str, Any]:
    """Return what examples take for granted: data, a network for them and its trainer, makers of both."""
    X, y = cr.load_digits()
    X, y = X[:rows] / 16, y[:rows]

    def make_network(*given: int) -> cr.Network:
        seed = given[-1] if given else 0
        return cr.Network([cr.Dense(4, activation="tanh"), cr.Dense(10)], inputs=64, seed=seed)

    def make_trainer(given: object = 0.1) -> cr.Trainer:
        settings = given if isinstance(given, dict) else {"lr": given}
        rate = settings.get("rate", settings.get("lr", 0.1))
        return cr.trainer_for({"units": settings.get("units", 4), "learning_rate": rate}, X, y)

    net = make_network()
    names: dict[str, Any] = {name: getattr(cr, name) for name in cr.__all__}
    names |= {"cr": cr, "chainrule": cr, "np": np, "plots": cr.plots, "X": X, "y": y, "net": net, "rows": X}
    names |= {"X_train": X[:60], "X_test": X[60:], "y_test": y[60:], "X_val": X[60:], "y_val": y[60:]}
    names["trainer"] = cr.Trainer(net, loss="cross_entropy", metrics=["accuracy"])
    return {**names, "make_network": make_network, "make_trainer": make_trainer}


def one_output(*given: int) -> cr.Network:
    """Return a network for one number, from a seed, or from its units and a seed."""
    *units, seed = given or (0,)
    return cr.Network([cr.Dense(*units or [4], activation="tanh"), cr.Dense(1)], inputs=64, seed=seed)


def prepare(name: str, names: dict[str, Any]) -> None:
    """Add what the example of one name says beforehand in words, or takes for granted."""
    rng = np.random.default_rng(0)
    if name == "EnsembleSnapshots":
        names["math"] = math
    elif name == "transfer":
        layers = [cr.Dense(8, activation="tanh"), cr.Dropout(rate=0.2), cr.Dense(4, activation="tanh"), cr.Dense(10)]
        names |= {"pretrained": cr.Network(layers, inputs=64, seed=1), "net": cr.Network(layers, inputs=64)}
    elif name == "with_head":
        cr.Network([cr.Dense(8, activation="tanh"), cr.Dense(26)], inputs=64).save("letters.safetensors")
    elif name == "LabelEncoder":
        names["net"] = cr.Network([cr.Dense(2)], inputs=64)
    elif name == "GroupStandardizer":
        names |= {"speakers_train": np.arange(60) % 3, "speakers_test": np.arange(30) % 4}
    elif name in ("cross_validate", "complexity_curve", "bias_variance"):
        y = (names["y"] > 4).astype(int)  # a number to predict, and two classes
        names |= {"y": y, "y_test": y[60:], "make_network": one_output}
        names["make_trainer"] = lambda settings: cr.trainer_for({"units": settings["units"]}, names["X"], y)
    elif name == "plots.bias_variance":
        said = {"a line": [[0.0], [0.2]], "60 units": [[1.0], [3.0]]}
        names["results"] = {model: cr.decomposed(one, y=[0.0], kind="numbers") for model, one in said.items()}
    elif name == "onnx.export":
        names |= {"onnxruntime": pytest.importorskip("onnxruntime"), "rows": names["X"].astype(np.float32)}
    elif name == "sklearn.from_sklearn":
        from joblib import dump
        from sklearn.neural_network import MLPClassifier

        dump(MLPClassifier((4,), max_iter=200, random_state=0).fit(names["X"], names["y"]), "model.joblib")
        names |= {"joblib": pytest.importorskip("joblib"), "from_sklearn": cr.sklearn.from_sklearn}
    elif name == "load_torch_weights":
        from safetensors.numpy import save_file

        shapes = {"0.weight": (64, 784), "0.bias": (64,), "3.weight": (10, 64), "3.bias": (10,)}
        shapes |= {f"1.{part}": (64,) for part in ("weight", "bias", "running_mean", "running_var")}
        save_file({part: np.ones(shape, dtype=np.float32) for part, shape in shapes.items()}, "digits.safetensors")
    elif name == "compare_distributions":
        names |= {"X_train": rng.normal(size=(300, 5)), "X_test": rng.normal(loc=[0, 0, 0, 9, 0], size=(300, 5))}


EXAMPLES = [pytest.param(name, id=name) for name in PUBLIC if ">>>" in (inspect.getdoc(found(name)) or "")]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # of scikit-learn's kind, on so few rows
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_docstrings_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the examples of a docstring; where one shows what comes out, that comes out."""
    monkeypatch.chdir(tmp_path)
    names = prepared()
    prepare(name, names)
    for example in doctest.DocTestParser().get_examples(inspect.getdoc(found(name)) or ""):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(example.source, name, "single"), names)
        if example.want:
            flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
            assert doctest.OutputChecker().check_output(example.want, printed.getvalue(), flags), printed.getvalue()
