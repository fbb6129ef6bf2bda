"""How far the work has come, on standard error: a bar on a terminal, a line of text now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

Advance = Callable[[float], None]

SECONDS_BETWEEN_LINES = 10.0
"""How often progress is told at most where standard error is not a terminal."""


@contextmanager
def progress_bar(total: float, *, quiet: bool = False, doing: str = "emulating") -> Iterator[Advance]:
    """Show how much of `total` is done, and the time left; yield the function to call with each step.

    The first step is what was done before; the time left is reckoned from the second one on, before which much may have
    been compiled.
    """
    if quiet:
        yield lambda step: None
    elif sys.stderr.isatty():
        with _bar(total, doing) as advance:
            yield advance
    else:
        yield _Lines(total)


@contextmanager
def _bar(total: float, doing: str) -> Iterator[Advance]:
    from rich import progress as rich
    from rich.console import Console

    elapsed, left = (rich.TimeElapsedColumn(), "elapsed,"), (rich.TimeRemainingColumn(), "left")
    columns = (doing, rich.BarColumn(), rich.TaskProgressColumn(), *elapsed, *left)
    console = Console(stderr=True)
    with rich.Progress(*columns, console=console, refresh_per_second=4, speed_estimate_period=600.0) as progress:
        task = progress.add_task("", total=total)
        steps = count()

        def advance(step: float) -> None:
            if next(steps) == 0:
                progress.reset(task, completed=step)  # type: ignore[arg-type]
            else:
                progress.advance(task, step)

        yield advance


class _Lines:
    """Tells progress in lines of text, for logs and pipes."""

    def __init__(self, total: float):
        self.total = total
        self.done = 0.0
        self.steps = 0
        self.reckoned_from = (0.0, 0.0)
        """When the time left is reckoned from, and what was done by then."""
        self.started = self.told = time.monotonic()

    def __call__(self, step: float) -> None:
        self.done += step
        self.steps += 1
        now = time.monotonic()
        if self.steps <= 2:
            self.reckoned_from = now, self.done
        if now - self.told >= SECONDS_BETWEEN_LINES:
            before, done_before = self.reckoned_from
            speed = (self.done - done_before) / (now - before) if now > before else 0.0
            left = f", about {max(0.0, self.total - self.done) / speed:.0f} s left" if speed > 0.0 else ""
            share = min(self.done / self.total, 1.0) if self.total else 1.0
            print(f"{share:.0%} done, {now - self.started:.0f} s elapsed{left}", file=sys.stderr, flush=True)
            self.told = now
