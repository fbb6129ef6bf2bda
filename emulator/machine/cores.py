"""How many cores this process may use: the least of what the machine, the scheduler, a container and the user say."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def cores_at_hand(root: Path = Path("/")) -> int:
    """Return how many cores this process may use; the files of the kernel stand below `root`."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("PYTHON_CPU_COUNT", "")  # which Python itself heeds from 3.13 on
    limits = [int(wanted)] if wanted.isdecimal() and int(wanted) > 0 else []
    return min([available, *limits, *(max(1, math.ceil(quota)) for quota in _quotas(root))])


def _quotas(root: Path) -> Iterator[float]:
    """Yield the quota of each control group that this process is in, in cores."""
    for folder, is_old in _control_groups(root):
        with suppress(OSError, ValueError, ArithmeticError):
            if is_old:
                quota, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
            else:
                quota, period = (folder / "cpu.max").read_text().split()
            if quota not in ("max", "-1"):
                yield int(quota) / int(period)


def _control_groups(root: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the folder of each control group that can limit the processor, and whether it is of the old kind.

    Inside a container the path in `/proc/self/cgroup` may be one of the host's, so all folders above it are tried, too.
    """
    groups = ""
    with suppress(OSError, UnicodeDecodeError):
        groups = (root / "proc/self/cgroup").read_text()
    for controllers, path in re.findall(r"^\d+:([^:]*):(/.*)$", groups, re.MULTILINE):
        is_old = "cpu" in controllers.split(",")
        if is_old or not controllers:
            folder = root / "sys/fs/cgroup" / ("cpu" if is_old else "")
            for part in path.split("/"):  # the first of which is empty
                folder /= part
                yield folder, is_old
