"""Compiled functions, kept on disk until any source changes.

Numba looks at the one file in which a function stands, but a kernel has code of many in it: a change in a dispatcher or
in the workload would leave old kernels alive. So they are kept in a folder that is named after all sources.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numba

from emulator.caches import first_writable

PACKAGES = ("dispatchers", "emulator", "policies")
"""Whose code can be part of a compiled function."""


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator: `numba.njit` with these options and the compiled code kept on disk."""

    def decorate(function: Callable[..., Any]) -> Any:
        config: Any = numba.config
        folder = _folder(config.CACHE_DIR)
        if folder is None:
            return numba.njit(**options)(function)
        with _kept_in(folder):
            return numba.njit(cache=True, **options)(function)

    return decorate


@contextmanager
def _kept_in(folder: str) -> Iterator[None]:
    """Let numba keep in a folder what is decorated meanwhile."""
    config: Any = numba.config
    usual, config.CACHE_DIR = config.CACHE_DIR, folder
    try:
        yield
    finally:
        config.CACHE_DIR = usual


@cache
def _folder(usual: str) -> str | None:
    """Return where the code compiled of these sources is kept, None if there is no place for it."""
    parent = first_writable(Path(usual) if usual else Path(__file__).parent / "__pycache__")
    return None if parent is None else str(parent / f"compiled-{_sources_hash()}")


def _sources_hash() -> str:
    digest = hashlib.sha256()
    root = Path(__file__).resolve().parent.parent
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
