"""Networks in files: safetensors, with the layers in the metadata. Nothing in a file is ever executed.

The metadata has one key, "chainrule", with a JSON document::

    {"format": 1, "version": "0.1.0", "inputs": 64, "dtype": "float32", "seed": 0, "steps": 0, "frozen": [],
     "layers": [{"kind": "Dense", "options": {"units": 10, "activation": "relu", "bias": true, ...}}, ...]}

The tensors have the names of `Network.state_dict()`. A file is believed only after all of it has been checked; what
the document asks for must be there in tensors before any memory is taken for it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from . import activations, checks, constraints, data, initializers, layers
from ._engine import build_info
from .activations import ActivationFunction
from .constraints import Constraint
from .custom import OfFunctions
from .initializers import Initializer
from .layers import Layer
from .network import Network, rebuild
from .network_options import MOST_LAYERS, checked_device

FORMAT = 1
KEY = "chainrule"
# safetensors' names of our dtypes.
DTYPES = {"float32": "F32", "float64": "F64"}
# Steps are counted in 64 bits, one of them the sign.
MOST_STEPS = 2**63 - 1


def needs_safetensors(user: str) -> Any:
    """Return the package safetensors, or raise ImportError naming the extra."""
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(f'{user} needs safetensors: pip install "chainrule[export]"') from error
    return safetensors


# Writing -------------------------------------------------------------------------------------------------------------


def save(net: Network, path: str | os.PathLike[str]) -> None:
    """Write `net` to `path`; see `Network.save`. The file is replaced in one go, or not at all."""
    safetensors = needs_safetensors("net.save")
    target = checked_path(path)
    state = net.state_dict()
    data.check_finite(state, "saved")
    content = safetensors.numpy.save(state, metadata={KEY: json.dumps(description(net))})
    write_whole(target, content, part_of(target))


def part_of(target: str) -> str:
    """Return a name beside a file's that no other process or thread uses, for what becomes the file."""
    return f"{target}.{os.getpid()}.{threading.get_ident()}.part"


def write_whole(target: str, content: bytes, beside: str) -> None:
    """Write a file in one go or not at all, by way of one `beside` it, which takes its place when it is whole."""
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException as error:
        if os.path.exists(beside):
            os.remove(beside)
        if isinstance(error, OSError) and error.errno is not None:
            # The same error, naming the file that was asked for.
            raise OSError(error.errno, error.strerror, target) from None
        raise


def check_folder(argument: str, target: str) -> None:
    """Raise FileNotFoundError where the folder of a file that is to be written does not exist."""
    if not os.path.isdir(os.path.dirname(os.path.abspath(target))):
        raise FileNotFoundError(f"the folder of {argument}={target!r} does not exist")


def description(net: Network) -> dict[str, Any]:
    """Return the document of a network."""
    return {
        "format": FORMAT,
        "version": build_info()["version"],
        "inputs": net.inputs,
        "dtype": net.dtype.name,
        "seed": net.seed,
        "steps": net.core.steps,
        "frozen": list(net.frozen),
        "layers": [plain(layer) for layer in net.layers],
    }


def plain(value: Any) -> Any:
    """Return a description as plain JSON: its class as "kind", and its options."""
    if isinstance(value, OfFunctions):
        raise ValueError(
            f"{value.title()} cannot be saved: nothing in a file is ever executed, and a function is not data. Save "
            "net.state_dict(), and load it into a network made with the function"
        )
    if not dataclasses.is_dataclass(value):
        return value
    return {
        "kind": type(value).__name__,
        "options": {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)},
    }


# Reading -------------------------------------------------------------------------------------------------------------


def load(path: str | os.PathLike[str], *, device: str = "cpu") -> Network:
    """Read a network that `Network.save` wrote.

    Parameters
    ----------
    path : str or path
        The file.
    device : {"cpu", "cuda", "auto"}
        Where it is to run.

    Returns
    -------
    Network
        With the parameters, the statistics and what was frozen.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a whole and sound file of a network.
    RuntimeError
        If the device is "cuda" and no GPU can be used.
    ImportError
        If the package safetensors is missing: pip install "chainrule[export]".
    """
    device = checked_device(device)
    with opened(checked_path(path), "chainrule.load", "a network") as file:
        return read(file, device)


class HostileError(Exception):
    """What is wrong with a file; becomes a ValueError that names the file."""


@contextmanager
def opened(target: str, user: str, what: str) -> Iterator[Any]:
    """Open a safetensors file that should hold `what`; a HostileError within becomes a ValueError about the file."""
    safetensors = needs_safetensors(user)
    if not os.path.exists(target):
        raise FileNotFoundError(f"path {target!r} does not exist")
    if not os.path.isfile(target):
        raise ValueError(f"path {target!r} is not a file")
    try:
        with safetensors.safe_open(target, framework="numpy") as file:
            yield file
    except safetensors.SafetensorError as error:
        raise ValueError(f"path {target!r} is not a whole safetensors file: {error}") from None
    except HostileError as error:
        raise ValueError(f"path {target!r} does not hold {what} that can be read: {error}") from None


def read(file: Any, device: str) -> Network:
    """Return the network in an open file."""
    document = checked_document((file.metadata() or {}).get(KEY))
    described = [checked_layer(number, layer) for number, layer in enumerate(document["layers"])]
    try:
        found = layers.shapes(described, document["inputs"])
    except ValueError as error:
        raise HostileError(str(error)) from None
    state = checked_tensors(file, {**found.parameters, **found.statistics}, document["dtype"])
    options = {name: document[name] for name in ("inputs", "seed", "dtype")}
    try:
        return rebuild(
            tuple(described), {**options, "device": device}, state, document["steps"], True, document["frozen"]
        )
    except ValueError as error:
        raise HostileError(str(error)) from None


def checked_tensors(file: Any, shapes: Mapping[str, tuple[int, ...]], dtype: str) -> dict[str, Any]:
    """Return the tensors of an open file, which must have these shapes and be finite."""
    names = sorted(file.keys())
    if names != sorted(shapes):
        raise HostileError(f"its layers need the tensors {short(sorted(shapes))}, it has {short(names)}")
    for name, shape in shapes.items():
        header = file.get_slice(name)
        found = f"{header.get_dtype()} of shape {tuple(header.get_shape())}"
        expected = f"{DTYPES[dtype]} of shape {shape}"
        if found != expected:
            raise HostileError(f"tensor {name!r} must be {expected}; it is {found}")
    state = {name: file.get_tensor(name) for name in names}
    for name, value in state.items():
        if not data.all_finite(value):
            raise HostileError(f"tensor {name!r} has NaN or infinity")
    return state


def checked_document(text: str | None) -> dict[str, Any]:
    """Return the document, its fields checked; layers only as far as being a list."""
    if text is None:
        raise HostileError(f"its metadata has no {KEY!r}")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HostileError(f"its metadata is not JSON: {type(error).__name__}") from None
    fields = ["format", "version", "inputs", "dtype", "seed", "steps", "frozen", "layers"]
    if not isinstance(document, dict) or sorted(document) != sorted(fields):
        raise HostileError(f"its metadata must have the fields {', '.join(fields)}")
    if document["format"] != FORMAT:
        raise HostileError(f"its format is {checks.shown(document['format'])}; this chainrule reads format {FORMAT}")
    if not isinstance(document["version"], str):
        raise HostileError(f"version must be a string; got {checks.shown(document['version'])}")
    try:
        checks.whole("inputs", document["inputs"])
        checks.seed("seed", document["seed"])
        checks.whole("steps", document["steps"], least=0, most=MOST_STEPS)
        checks.word("dtype", document["dtype"], tuple(DTYPES))
    except (TypeError, ValueError) as error:
        raise HostileError(str(error)) from None
    if not isinstance(document["layers"], list) or not 1 <= len(document["layers"]) <= MOST_LAYERS:
        raise HostileError(f"layers must be a list of 1 to {MOST_LAYERS}")
    check_frozen(document["frozen"], len(document["layers"]))
    return document


def check_frozen(frozen: object, count: int) -> None:
    """Raise HostileError unless `frozen` lists numbers of `count` layers, each once, in ascending order."""
    if not isinstance(frozen, list):
        raise HostileError(f"frozen must be a list of layer numbers; got {checks.shown(frozen)}")
    try:
        numbers = [checks.whole("a number in frozen", number, least=0, most=count - 1) for number in frozen]
    except (TypeError, ValueError) as error:
        raise HostileError(str(error)) from None
    if numbers != sorted(set(numbers)):
        raise HostileError(f"frozen must list each layer once, in ascending order; got {checks.shown(frozen)}")


def checked_layer(number: int, value: object) -> Layer:
    """Return the layer that the document describes."""
    try:
        layer = described(value, layers.KNOWN, depth=0)
    except (TypeError, ValueError) as error:
        raise HostileError(f"layer {number}: {error}") from None
    assert isinstance(layer, Layer)
    return layer


def described(value: object, known: Mapping[str, type[Any]], depth: int) -> Any:
    """Return the object of one of the `known` classes that {"kind": ..., "options": {...}} describes."""
    if not isinstance(value, dict) or sorted(value) != ["kind", "options"] or not isinstance(value["options"], dict):
        raise ValueError(f"it must be a kind with options; got {checks.shown(value)}")
    kind = known[checks.word("kind", value["kind"], known)]
    options = {}
    for name, given in value["options"].items():
        option = given
        # Options of a layer may be objects themselves; theirs are plain.
        if isinstance(option, dict) and depth == 0:
            option = described(option, NESTED, depth + 1)
        # JSON knows no tuples.
        options[name] = tuple(option) if isinstance(option, list) else option
    return kind(**options)


def by_class_name(kinds: Mapping[str, type[Any]]) -> dict[str, type[Any]]:
    """Return classes by their names instead of their words."""
    return {kind.__name__: kind for kind in kinds.values()}


NESTED: dict[str, type[ActivationFunction] | type[Initializer] | type[Constraint]] = {
    **by_class_name(activations.KNOWN),
    **by_class_name(initializers.KNOWN),
    **by_class_name(constraints.KNOWN),
}


def short(names: list[str]) -> str:
    """Return names for a message, a few of them."""
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "") if names else "none"


def checked_path(path: object) -> str:
    """Return the path as a string."""
    return checks.path("path", path)
