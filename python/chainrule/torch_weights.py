"""Weights that PyTorch has trained, from a safetensors file of a state dictionary. Nothing in it is ever executed.

::

    torch.nn.Linear         weight (out, in), bias (out)                          weight (in, out), bias (out)
    torch.nn.BatchNorm1d    weight, bias, running_mean, running_var (in)          gamma, beta, running_mean,
                                                                                  running_variance (in)

A state dictionary has no activations and no options: that the network is the same otherwise, the reader knows. No
pickles (.pt, .pth) are read, and nothing is written: `Network.save` writes safetensors, too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from . import checks, data
from .affine import Dense, DropConnect
from .layers import BatchNorm
from .storage import HostileError, checked_path, opened, short

if TYPE_CHECKING:
    import numpy.typing as npt

    from .network import Network

    Array = npt.NDArray[Any]

# Tensors of a module by their last names, each with its full name.
Modules: TypeAlias = "dict[str, dict[str, str]]"

# Of a layer's arrays, what PyTorch calls them.
LINEAR = {"weight": "weight", "bias": "bias"}
BATCH_NORM = {"gamma": "weight", "beta": "bias", "running_mean": "running_mean", "running_variance": "running_var"}
# What PyTorch counts along with a BatchNorm1d, and prediction does not need.
COUNTED = "num_batches_tracked"
# safetensors' names of what NumPy can read; it has no bfloat16.
DTYPES = ("F64", "F32", "F16")
# Longer numbers are none of a place in a row of modules, and may take Python long to read.
MOST_DIGITS = 9


def load_torch_weights(
    net: Network, path: str | os.PathLike[str], names: Sequence[str] | None = None
) -> dict[str, str]:
    """Set a network's parameters and running statistics from a state dictionary of PyTorch; all of them, or none.

    `Dense` and `DropConnect` take a `torch.nn.Linear`, `BatchNorm` a `torch.nn.BatchNorm1d`, in this order; other
    layers take nothing, and a `Standardize` keeps its figures. Precision is that of the network. What optimizers have
    gathered for it stays: make a new `Trainer` afterwards.

    Parameters
    ----------
    net : Network
        Changed in place. Its activations, and eps and momentum of `BatchNorm`, must be those of the PyTorch model.
    path : str or path
        Written by `safetensors.torch.save_file(model.state_dict(), path)`.
    names : sequence of str, optional
        Names of modules, such as ["fc1", "norm", "fc2"]: one for each layer that takes one, in their order. Others in
        the file are then left alone. By default all modules are taken, in the order of their numbers, as
        `torch.nn.Sequential` gives them; a file keeps no order of modules with other names.

    Returns
    -------
    dict of str to str
        Names of the network's arrays, each with that of the tensor which it now equals: {"1.gamma": "1.weight"}.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError, TypeError
        If an argument does not suit, the file is none of safetensors, or what is in it does not fit: number of modules,
        their tensors, shapes, NaN or infinity, a weight that is not 0 where nothing is connected, `Maxout` in the
        network, which PyTorch has not. Then nothing has changed.
    ImportError
        If the package safetensors is missing: pip install "chainrule[export]".

    Examples
    --------
    >>> net = Network([Dense(64), BatchNorm(), Activation("relu"), Dense(10)], inputs=784)
    >>> load_torch_weights(net, "digits.safetensors")
    """
    checks.network("net", net)
    takers = parts_of_layers(net)
    if names is not None:
        names = checked_names(names, len(takers))
    new: dict[str, Array] = {}
    taken: dict[str, str] = {}
    with opened(checked_path(path), "chainrule.load_torch_weights", "weights for this network") as file:
        modules = modules_in(file)
        chosen = in_order(modules, len(takers)) if names is None else names
        state = net.state_dict()
        for (number, parts), module in zip(takers.items(), chosen, strict=True):
            tensors = matching(modules, module, parts, f"layers[{number}], a {net.layers[number].label()}")
            for part, last in parts.items():
                name = f"{number}.{part}"
                new[name] = tensor(file, tensors[last], state[name].shape)
                taken[name] = tensors[last]
    net.load_state_dict({**state, **new})
    return taken


def parts_of_layers(net: Network) -> dict[int, dict[str, str]]:
    """Return the numbers of the layers that take a module, each with PyTorch's names of its arrays."""
    found = {}
    for number, layer in enumerate(net.layers):
        if isinstance(layer, (Dense, DropConnect)):
            found[number] = LINEAR if layer.bias else {"weight": "weight"}
        elif isinstance(layer, BatchNorm):
            found[number] = BATCH_NORM
        elif layer.parameter_shapes(1):
            raise ValueError(f"net has layers[{number}], a {layer.label()}, for which PyTorch has no module")
    if not found:
        raise ValueError("net must have a Dense, DropConnect or BatchNorm, which could take weights; it has none")
    return found


def checked_names(names: object, count: int) -> list[str]:
    """Return names of modules, as many as layers take one."""
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"names must be a list of names of modules, such as ['fc1', 'fc2']; got {checks.shown(names)}")
    if len(names) != count:
        raise ValueError(f"names must name a module for each of {count} layers that take one; got {len(names)}")
    if len(set(names)) < count:
        raise ValueError(f"names must name no module twice; got {checks.shown(names)}")
    return list(names)


def modules_in(file: Any) -> Modules:
    """Return the modules of an open file with their tensors."""
    found: Modules = {}
    for name in file.keys():  # noqa: SIM118, an open file is no mapping
        module, _, last = name.rpartition(".")
        if last != COUNTED:
            found.setdefault(module, {})[last] = name
    return found


def in_order(modules: Modules, count: int) -> list[str]:
    """Return all modules in the order of their numbers, as many as layers take one."""
    listed = short(sorted(modules))
    parts = {module: module.rpartition(".") for module in modules}
    numbered = all(last.isdecimal() and len(last) <= MOST_DIGITS for _, _, last in parts.values())
    if len(modules) > 1 and not (numbered and len({before for before, _, _ in parts.values()}) == 1):
        raise HostileError(f"its modules are not numbered in one row, and names= must say their order: {listed}")
    if len(modules) != count:
        raise HostileError(f"{count} layers of the network take a module, and it has {len(modules)}: {listed}")
    return sorted(modules, key=lambda module: int(parts[module][2]) if count > 1 else 0)


def matching(modules: Modules, module: str, parts: dict[str, str], taker: str) -> dict[str, str]:
    """Return the tensors of a module by their last names, which must be those that a layer takes."""
    if module not in modules:
        raise HostileError(f"it has no module {module!r}; it has {short(sorted(modules))}")
    found = modules[module]
    if sorted(found) != sorted(parts.values()):
        raise HostileError(
            f"{taker}, takes the tensors {', '.join(parts.values())}; module {module!r} has {short(sorted(found))}"
        )
    return found


def tensor(file: Any, name: str, shape: tuple[int, ...]) -> Array:
    """Return a tensor for an array of this shape: a matrix is transposed."""
    header = file.get_slice(name)
    kind, found = header.get_dtype(), tuple(header.get_shape())
    if kind not in DTYPES:
        raise HostileError(f"tensor {name!r} must be one of {', '.join(DTYPES)}; it is {kind}")
    if found != shape[::-1]:
        raise HostileError(f"tensor {name!r} must have shape {shape[::-1]}, the network's own turned; it has {found}")
    value: Array = file.get_tensor(name)
    if not data.all_finite(value):
        raise HostileError(f"tensor {name!r} has NaN or infinity")
    return np.ascontiguousarray(value.T)
