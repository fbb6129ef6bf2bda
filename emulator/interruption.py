"""Ctrl-C and SIGTERM, from the first instruction on: one line, status 130, and files that are whole.

This module imports nothing slow, and is imported before anything slow is: a signal in the middle of an import tears the
module that is being imported, and comes out as an error that blames something else. So while a command starts, a signal
ends it on the spot. While it works, a signal raises `KeyboardInterrupt`; should some code turn that into another error,
or swallow it, `raised` and `raise_if_requested` still know.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

INTERRUPTED = 130
"""The exit status."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_requested = False
_message = "interrupted: nothing was written"


def end_at_once() -> None:
    """From now on, let a signal end the process with one line on standard error."""
    _set(_end)


def say(message: str) -> None:
    """From now on, let this be the line with which a signal ends the process."""
    global _message
    _message = message


def line_start() -> str:
    """Return what a message must begin with to stand on a line of its own: a terminal shows ^C."""
    return "\n" if sys.stderr is not None and sys.stderr.isatty() else ""


def ignore() -> None:
    """From now on, let signals change nothing: all is said."""
    _set(signal.SIG_IGN)


@contextmanager
def raised() -> Iterator[None]:
    """Let the first signal raise `KeyboardInterrupt` in a block; what other errors come of it becomes that, too."""
    global _requested
    _requested = False
    try:
        with kept(), as_such():
            _set(_interrupt)
            yield
    finally:
        _requested = False


@contextmanager
def as_such() -> Iterator[None]:
    """Let an error in a block be `KeyboardInterrupt` if it comes of one."""
    try:
        yield
    except Exception:
        raise_if_requested()
        raise


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let a block, in which files are moved into place, come to its end whatever signals come."""
    with kept():
        _set(signal.SIG_IGN)
        yield


def raise_if_requested() -> None:
    """Raise `KeyboardInterrupt` if a signal has come that somebody swallowed."""
    if _requested:
        raise KeyboardInterrupt


@contextmanager
def not_for_children() -> Iterator[None]:
    """Start processes in a block: Ctrl-C, which reaches all of them, is not for those that are only starting."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_to_parent() -> None:
    """In a process started by another: let the other one decide what Ctrl-C means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def _end(*_: object) -> None:
    os.write(2, f"{line_start()}{_message}\n".encode())
    os._exit(INTERRUPTED)


def _interrupt(*_: object) -> None:
    """Raise `KeyboardInterrupt`, once: while what is finished is written, further signals change nothing."""
    global _requested
    _requested = True
    _set(signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def kept() -> Iterator[None]:
    """Restore at the end of a block what signals do now."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            _set(handler, number)


def _set(handler: Callable[..., Any] | int | None, *numbers: int) -> None:
    if threading.current_thread() is threading.main_thread():  # nobody else may
        for number in numbers or _SIGNALS:
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
