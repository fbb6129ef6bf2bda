"""Where what can be made anew is kept: compiled code, lists of fonts. A container may have no place for it."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

NAME = "load-balancing-emulator"


def first_writable(*folders: Path) -> Path | None:
    """Return the first folder that files can be written to, made if need be: one of these, or a general one.

    A line on standard error says if it is in the temporary folder, or if there is none.
    """
    for folder in (*folders, *_general()):
        if _is_writable(folder):
            return folder
    _say(_temporary(), str(folders[0]))
    return _temporary()


def place_for_matplotlib(last: Path | None = None) -> None:
    """Give matplotlib a folder of ours if it would find none: it would make one anew in every process, or give up.

    `last` is where a folder is made for this process alone if there is no other place.
    """
    if "MPLCONFIGDIR" in os.environ:
        usual = [Path(os.environ["MPLCONFIGDIR"])]
    else:
        homes = (*_homes("XDG_CONFIG_HOME", ".config"), *_homes("XDG_CACHE_HOME", ".cache"))
        usual = [place / "matplotlib" for place in homes]
    if not usual or not all(map(_is_writable, usual)):
        with suppress(OSError):  # if there is no place at all, matplotlib says what it needs
            os.environ["MPLCONFIGDIR"] = str(first_writable(*usual) or _for_this_process(last))


def _general() -> Iterator[Path]:
    yield from (place / NAME for place in _homes("XDG_CACHE_HOME", ".cache"))


def _homes(variable: str, folder: str) -> Iterator[Path]:
    with suppress(RuntimeError):  # a user without a home
        yield Path(os.environ.get(variable) or Path.home() / folder)


@cache
def _temporary() -> Path | None:
    """Return a folder in the temporary one that nobody else can write to: compiled code is run."""
    with suppress(OSError):
        user = os.getuid() if hasattr(os, "getuid") else ""
        folder = Path(tempfile.gettempdir()) / f"{NAME}-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        is_ours = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)
        if is_ours and not folder.is_symlink() and _is_writable(folder):
            return folder
    return None


def _for_this_process(inside: Path | None) -> Path:
    """Return a new folder that goes when the process ends, in the temporary folder or else inside another one."""
    try:
        folder = tempfile.mkdtemp(prefix=f"{NAME}-")
    except OSError:
        folder = tempfile.mkdtemp(prefix=f".{NAME}-", dir=inside)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _is_writable(folder: Path) -> bool:
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    return False


_said = False


def _say(folder: Path | None, refused: str) -> None:
    """Tell once, and not in each of several processes."""
    global _said
    if not _said and multiprocessing.current_process().name == "MainProcess":
        how = "is made anew in every run" if folder is None else f"is kept in {folder}"
        print(f"{refused} cannot be written to: what is compiled {how}", file=sys.stderr)
    _said = True
