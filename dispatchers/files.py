"""Files that a user names: only regular ones of bounded size are read."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_regular(path: str | Path, limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes.

    Raises `OSError`, whose `strerror` says why it cannot be read. A pipe or a device is refused before it is opened. Of
    what calls itself empty, as files of the kernel do, nothing is read: it could make us wait for ever.
    """
    try:
        status = os.stat(path)
    except ValueError as error:  # a name with NUL in it
        raise OSError(errno.EINVAL, str(error), path) from None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file", path)
    if status.st_size > limit:
        raise OSError(errno.EFBIG, f"Larger than {limit} bytes, the most that is read", path)
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        return file.read(status.st_size)
