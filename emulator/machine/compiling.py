"""Compiled functions, kept on disk until a source that they are made of changes.

Numba looks at the one file in which a function stands, but a kernel has code of many in it: a change in a dispatcher or
in the workload would leave old kernels alive. So they are kept in a folder named after all modules that hold kernels.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba

from emulator.machine.caches import first_writable

PACKAGES = ("dispatchers", "emulator", "policies")
"""Whose code can be part of a compiled function."""

KEPT = 4
"""Folders of compiled code that are left."""

USED = (
    "dispatchers/choice.py",
    "dispatchers/contract.py",
    "emulator/engines/compiled/world.py",
    "emulator/engines/news.py",
    "emulator/model/timetable.py",
)
"""Modules that compile nothing, but whose functions and numbers are part of what others compile."""

_COMPILES = re.compile(r"^@compiled|njit\(|^    def (choose\(job|compiled_)", re.MULTILINE)
"""What stands in a module that holds kernels, or a per-job rule, a law or a process, which engines compile."""


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator: `numba.njit` with these options and the compiled code kept on disk."""

    def decorate(function: Callable[..., Any]) -> Any:
        jit = numba.njit
        config: Any = numba.config
        folder = _folder(config.CACHE_DIR)
        if folder is None:
            return jit(**options)(function)
        with _kept_in(folder):
            return jit(cache=True, **options)(function)

    return decorate


def is_ours(*things: object) -> bool:
    """Return whether all things are of classes of this software: what is compiled of a user's must not be kept."""
    return all(type(thing).__module__.partition(".")[0] in PACKAGES for thing in things)


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
    if parent is None:
        return None
    folder = parent / f"compiled-{sources_hash(Path(__file__).resolve().parents[2])}"
    with suppress(OSError):
        folder.mkdir(exist_ok=True)
        folder.touch()
        _remove_old(parent)
    return str(folder)


def _remove_old(parent: Path) -> None:
    """Remove what was compiled of other sources, the latest ones excepted: two versions may be at work in turn."""
    folders = sorted(parent.glob("compiled-*"), key=lambda folder: folder.stat().st_mtime)
    for folder in folders[:-KEPT]:
        shutil.rmtree(folder, ignore_errors=True)


def sources_hash(root: Path) -> str:
    """Return a hash of the modules below `root` that hold what is compiled."""
    digest = hashlib.sha256()
    for path in holders(root):
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.read_text(encoding='utf-8')}\0".encode())
    return digest.hexdigest()[:16]


def holders(root: Path) -> list[Path]:
    """Return the modules that hold functions to compile, and those whose names such functions use."""
    files = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    return [
        path
        for path in files
        if path.relative_to(root).as_posix() in USED or _COMPILES.search(path.read_text(encoding="utf-8"))
    ]
