"""Files that are there whole or not at all."""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from emulator.errors import InputError


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that stands at `path` once the block has ended well; until then, what was there stays.

    Raises `InputError` if it cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        aside.unlink(missing_ok=True)


@lru_cache(maxsize=64)
def lasting_file(text: str, name: str) -> str:
    """Return the path of a file of this name that holds a text; it lasts as long as the process."""
    folder = tempfile.TemporaryDirectory(prefix="emulator-")
    atexit.register(folder.cleanup)
    path = Path(folder.name) / name
    path.write_text(text, encoding="utf-8")
    return str(path)
