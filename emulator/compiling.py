"""Compiled functions, kept on disk until any source changes.

Numba looks at the one file in which a function stands, but a kernel has code of many in it: a change in a dispatcher or
in the workload would leave old kernels alive. So they are kept in a folder that is named after all sources.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba

PACKAGES = ("dispatchers", "emulator", "policies")
"""Whose code can be part of a compiled function."""


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator: `numba.njit` with these options and the compiled code kept on disk."""

    def decorate(function: Callable[..., Any]) -> Any:
        with _kept_for_these_sources():
            return numba.njit(cache=True, **options)(function)

    return decorate


@contextmanager
def _kept_for_these_sources() -> Iterator[None]:
    """Let numba keep what is decorated meanwhile in the folder of these sources, if one can be written."""
    config: Any = numba.config
    usual = config.CACHE_DIR
    config.CACHE_DIR = _folder(usual) or usual
    try:
        yield
    finally:
        config.CACHE_DIR = usual


@cache
def _folder(usual: str) -> str | None:
    parent = Path(usual) if usual else Path(__file__).parent / "__pycache__"
    with suppress(OSError):
        parent.mkdir(parents=True, exist_ok=True)
    return str(parent / f"compiled-{_sources_hash()}") if os.access(parent, os.W_OK) else None


def _sources_hash() -> str:
    digest = hashlib.sha256()
    root = Path(__file__).resolve().parent.parent
    for package in PACKAGES:
        for path in sorted((root / package).glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
