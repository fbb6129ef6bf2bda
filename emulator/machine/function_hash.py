"""A hash of a function and of all that it names: equal ones compile to the same code, in any process."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic)
"""Types whose values say all in their `repr`."""

KNOWN = ("numpy", "math", "builtins")
"""Modules of which another version is another Python, or another numba."""


def hash_of_function(function: Callable[..., Any]) -> str | None:
    """Return the hash, None if the function names something of which the hash would not tell all."""
    digest = hashlib.sha256()
    try:
        for part in _parts(function, ()):
            digest.update(part + b"\0")
    except _UnknownError:
        return None
    return digest.hexdigest()[:32]


class _UnknownError(Exception):
    """A value of which it is not known what compiled code makes of it."""


def _parts(value: Any, callers: tuple[Any, ...]) -> Iterator[bytes]:
    """Yield what stands for a value that the last of some functions names."""
    value = getattr(value, "py_func", value)  # of a compiled function
    if isinstance(value, types.FunctionType):
        yield value.__name__.encode()
        if value not in callers:
            yield from _parts_of_function(value, (*callers, value))
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        yield f"{value.dtype} {value.shape}".encode() + value.tobytes()
    elif isinstance(value, tuple):
        yield f"{type(value).__name__} of {len(value)}".encode()
        for item in value:
            yield from _parts(item, callers)
    elif isinstance(value, PLAIN):
        yield f"{type(value).__name__} {value!r}".encode()
    elif _home(value).partition(".")[0] in KNOWN:
        yield f"{_home(value)} {getattr(value, '__name__', '')}".encode()
    else:
        raise _UnknownError


def _home(value: Any) -> str:
    """Return the name of a module, or of that in which something is defined."""
    return str(value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", ""))


def _parts_of_function(function: types.FunctionType, callers: tuple[Any, ...]) -> Iterator[bytes]:
    code = function.__code__
    yield from _parts_of_code(code)
    yield from _parts(function.__defaults__, callers)
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    named = function.__globals__ | {name: cell.cell_contents for name, cell in cells}
    for name in sorted({*code.co_names, *code.co_freevars} & named.keys()):
        yield name.encode()
        yield from _parts(named[name], callers)


def _parts_of_code(code: types.CodeType) -> Iterator[bytes]:
    """Yield what code is made of, but for its place in a file."""
    yield code.co_code + repr((code.co_names, code.co_varnames, code.co_freevars, code.co_argcount)).encode()
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            raise _UnknownError  # a function in a function, whose names are not looked at
        yield repr(constant).encode()
