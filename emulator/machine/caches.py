"""Where what can be made anew is kept: compiled code, lists of fonts. A container may have no place for it."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

NAME = "load-balancing-emulator"


def first_writable(*folders: Path) -> Path | None:
    """Return the first folder that can be written to; a line on standard error says if none but a temporary one can."""
    for folder in (*folders, *_homes("XDG_CACHE_HOME", ".cache", NAME)):
        if _is_writable(folder):
            return folder
    _say(_temporary(), str(folders[0]))
    return _temporary()


def place_for_matplotlib(last: Path | None = None) -> None:
    """Give matplotlib a folder of ours if it would find none, in the end one in `last` for this process alone."""
    if "MPLCONFIGDIR" in os.environ:
        usual = [Path(os.environ["MPLCONFIGDIR"])]
    else:
        homes = (("XDG_CONFIG_HOME", ".config"), ("XDG_CACHE_HOME", ".cache"))
        usual = [folder for home in homes for folder in _homes(*home, "matplotlib")]
    if not usual or not all(map(_is_writable, usual)):
        with suppress(OSError):  # if there is no place at all, matplotlib says what it needs
            os.environ["MPLCONFIGDIR"] = str(first_writable(*usual) or _for_this_process(last))


def _homes(variable: str, folder: str, name: str) -> list[Path]:
    with suppress(RuntimeError):
        return [Path(os.environ.get(variable) or Path.home() / folder) / name]
    return []  # a user without a home


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
