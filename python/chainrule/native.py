"""Functions of native code: where they are in memory, and whether they are what they should be.

Numba's `@cfunc`, a function that Cython exports (`module.__pyx_capi__["name"]`), a function pointer of ctypes, and
`scipy.LowLevelCallable` each know the types of their arguments; what does not, such as a bare address, is not taken.
None of these packages is imported here. What a function computes is looked at in custom_checks.py; that it keeps within
its arrays, and needs no lock of Python, nobody can see from outside.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .checks import shown

# As chainrule/native.h declares them, T being float or double.
SIGNATURES = {
    "forward": "void (ptrdiff_t, const T *, T *, void *)",
    "backward": "void (ptrdiff_t, const T *, const T *, const T *, T *, void *)",
    "function": "double (ptrdiff_t, const T *, const T *, T *, void *)",
}
PRECISIONS = {"float32": "float", "float64": "double"}

# One name for each type, of those that C, Cython and Numba have for it.
SIZES = ("ptrdiff_t", "Py_ssize_t", "ssize_t", "npy_intp", "intptr_t", "int64_t", "int64", "intp", "signedsizeint")
SIZES_OF_C = {"long": ctypes.c_long, "long int": ctypes.c_long, "long long": ctypes.c_longlong}
NAMES = {"none": "void", "float32": "float", "float64": "double", "void*": "void*", "voidptr": "void*"}
NAMES |= dict.fromkeys(SIZES, "ptrdiff_t")
NAMES |= {
    name: "ptrdiff_t" for name, kind in SIZES_OF_C.items() if ctypes.sizeof(kind) == ctypes.sizeof(ctypes.c_ssize_t)
}
# ctypes' flag of functions that must be called with the interpreter's lock.
NEEDS_LOCK = 0x4


@dataclass(frozen=True)
class NativeFunction:
    """A function of native code, for one precision."""

    address: int
    user: int  # what it gets as its last argument; 0 for null
    dtype: str  # "float32", "float64"
    name: str = field(compare=False)
    owner: object = field(compare=False, repr=False)  # keeps the code, and what `user` points to, in memory

    def call(self, kind: str, *arguments: int) -> Any:
        """Call it, `user` added, without the interpreter's lock, as the engine does."""
        returns = None if SIGNATURES[kind].startswith("void") else ctypes.c_double
        types = [ctypes.c_ssize_t] + [ctypes.c_void_p] * len(arguments)
        return ctypes.CFUNCTYPE(returns, *types)(self.address)(*arguments, self.user)


Function = Callable[..., Any] | NativeFunction


def found(argument: str, value: object, kind: str) -> NativeFunction | None:
    """Return the native function that `value` is, or None where it is a Python function.

    Parameters
    ----------
    argument : str
        The name of the argument, for errors.
    value : object
    kind : {"forward", "backward", "function"}
        Which signature it must have.

    Raises
    ------
    TypeError
        If it is no function, or not of this signature.
    """
    for looks_so, read in READERS:
        if looks_so(value):
            name, signature, address, user = read(argument, value)
            return NativeFunction(address, user, precision(argument, signature, kind), name, value)
    if not callable(value):
        raise TypeError(
            f"{argument} must be a function: a Python function, a cfunc of Numba, a scipy.LowLevelCallable, a function "
            f"pointer of ctypes, or what Cython exports in __pyx_capi__; got {shown(value)}"
        )
    return None


def precision(argument: str, signature: str, kind: str) -> str:
    """Return the dtype of a function with this signature; TypeError where it is another than `kind` has."""
    wanted = SIGNATURES[kind]
    given = canonical(signature)
    for dtype, number in PRECISIONS.items():
        if given == canonical(wanted.replace("T", number)):
            return dtype
    raise TypeError(f"{argument} must have the signature {wanted}, T being float or double; it has {signature}")


def canonical(signature: str) -> tuple[str, ...] | None:
    """Return the types of a signature by the names of C, what it returns first; None where it cannot be read."""
    parts = re.fullmatch(r"\s*([^()]+?)\s*\(([^()]*)\)\s*(?:noexcept|nogil|\s)*", signature)
    if parts is None:
        return None
    return tuple(type_name(one) for one in (parts[1], *parts[2].split(",")))


def type_name(text: str) -> str:
    """Return a type of C without its const, by one name."""
    plain = re.sub(r"\s*\*\s*", "*", " ".join(re.sub(r"\bconst\b", " ", text).split()))
    base, stars = plain.rstrip("*"), "*" * plain.count("*")
    return NAMES.get(plain) or NAMES.get(base, base) + stars


# What knows its own types -----------------------------------------------------------------------------------------

Found = tuple[str, str, int, int]  # name, signature, address, user


def of_numba(argument: str, value: Any) -> Found:
    """Read a function made by numba.cfunc."""
    signature = value._sig
    arguments = ", ".join(str(one) for one in signature.args)
    return value.__name__, f"{signature.return_type} ({arguments})", value.address, 0


def of_capsule(argument: str, value: Any, called: str = "") -> Found:
    """Read a capsule whose name is a signature: what Cython exports, and what LowLevelCallable holds."""
    name = capsule_function("PyCapsule_GetName", ctypes.c_char_p)(value)
    if name is None:
        raise TypeError(f"{argument} is a capsule without a name, where the signature of its function should stand")
    address = capsule_function("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.c_char_p)(value, name)
    user = capsule_function("PyCapsule_GetContext", ctypes.c_void_p)(value)
    return called or "a function of a capsule", name.decode(errors="replace"), address, user or 0


def capsule_function(name: str, returns: Any, *more: Any) -> Callable[..., Any]:
    """Return a function of Python's own interface."""
    prototype = ctypes.PYFUNCTYPE(returns, ctypes.py_object, *more)
    function: Callable[..., Any] = prototype((name, ctypes.pythonapi))
    return function


def of_scipy(argument: str, value: Any) -> Found:
    """Read a scipy.LowLevelCallable: a tuple, the first item of which is a capsule (scipy/_lib/src/ccallback.h)."""
    return of_capsule(argument, tuple.__getitem__(value, 0), "a LowLevelCallable")


def of_ctypes(argument: str, value: Any) -> Found:
    """Read a function pointer of ctypes."""
    if value._flags_ & NEEDS_LOCK:
        raise TypeError(f"{argument} must be a function that needs no lock of Python; those of PyDLL and PYFUNCTYPE do")
    if is_python(value):
        raise TypeError(f"{argument} is a Python function that ctypes wraps; give the Python function itself")
    if value.argtypes is None:
        raise TypeError(f"{argument} is a function of ctypes whose argtypes and restype are not set")
    names = [name_of_ctypes(one) for one in value.argtypes]
    signature = f"{name_of_ctypes(value.restype)} ({', '.join(names)})"
    address = ctypes.cast(value, ctypes.c_void_p).value
    if not address:
        raise ValueError(f"{argument} is a null pointer")
    return getattr(value, "__name__", "a function of ctypes"), signature, address, 0


def is_python(value: Any) -> bool:
    """Return whether a function pointer of ctypes leads back to a Python function."""
    return any(type(one).__name__ == "CThunkObject" for one in (value._objects or {}).values())


def name_of_ctypes(kind: Any) -> str:
    """Return the name in C of a type of ctypes."""
    plain: Mapping[Any, str] = {
        None: "void",
        ctypes.c_void_p: "void*",
        ctypes.c_ssize_t: "ptrdiff_t",
        ctypes.c_float: "float",
        ctypes.c_double: "double",
    }
    if kind in plain:
        return plain[kind]
    pointed = getattr(kind, "_type_", None)
    return f"{name_of_ctypes(pointed)}*" if isinstance(pointed, type) else getattr(kind, "__name__", str(kind))


def comes_from(package: str, name: str) -> Callable[[object], bool]:
    """Return a test for objects of a class of a package that need not be there."""

    def test(value: object) -> bool:
        return any(
            kind.__name__ == name and kind.__module__.partition(".")[0] == package for kind in type(value).__mro__
        )

    return test


READERS: tuple[tuple[Callable[[object], bool], Callable[[str, Any], Found]], ...] = (
    (comes_from("numba", "CFunc"), of_numba),
    (comes_from("scipy", "LowLevelCallable"), of_scipy),
    (lambda value: isinstance(value, ctypes._CFuncPtr), of_ctypes),  # type: ignore[attr-defined]
    (lambda value: type(value).__name__ == "PyCapsule", of_capsule),
)
