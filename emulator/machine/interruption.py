"""Ctrl-C and SIGTERM, from the first instruction on: one line, status 130, and files that are whole.

This module imports nothing slow, and is imported before anything slow is: a signal in the middle of an import tears the
module that is being imported, and comes out as an error that blames something else. So while a command starts, a signal
ends it on the spot. While it works, a signal raises `KeyboardInterrupt`; should some code turn that into another error,
or swallow it, `raised` and `raise_if_requested` still know. Signals after the first change nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager, suppress

TYPE_CHECKING = False  # that of typing, which is slow to import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

INTERRUPTED = 130
"""The exit status."""


class Requested(KeyboardInterrupt):
    """A signal has come.

    Were it `KeyboardInterrupt` itself, Python would end with another status if it had come while text was executed, by
    numba for instance, though it was dealt with.
    """


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_requested = False
_message: str | None = "interrupted: nothing was written"
"""None once all is said."""


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
    """From now on, let signals change nothing, even while Python ends: all is said."""
    _set(signal.SIG_IGN)


@contextmanager
def raised() -> Iterator[None]:
    """Let the first signal raise `KeyboardInterrupt` in a block; what other errors come of it becomes that, too.

    After the block signals no longer end the process at once: what is left is to tell how it went.
    """
    global _requested, _message
    _requested = False
    with kept():
        before = sys.unraisablehook
        # Quiet about errors that come of a signal where none can be raised, as in `__del__`.
        sys.unraisablehook = lambda unraisable: None if _requested else before(unraisable)
        try:
            _set(_interrupt)
            with as_such():
                yield
        finally:
            _requested, _message = False, None
            sys.unraisablehook = before


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
    """Let a block, in which files are moved into place, come to its end whatever signals come.

    In a `raised` block they have no effect after it either, until `heed`: mostly, nothing is left to do.
    """
    if signal.getsignal(signal.SIGINT) is _interrupt:
        _set(_note)
        yield
    else:
        with deferred():
            yield


def heed() -> None:
    """In a `raised` block, let signals raise `KeyboardInterrupt` again, one that came meanwhile here: more is to do."""
    raise_if_requested()
    if signal.getsignal(signal.SIGINT) is _note:
        _set(_interrupt)


@contextmanager
def deferred() -> Iterator[None]:
    """Let signals that come in a block count at its end."""
    come: list[int] = []
    try:
        with kept():
            _set(lambda number, frame: come.append(number))
            yield
    finally:
        if come:
            signal.raise_signal(come[0])


def raise_if_requested() -> None:
    """Raise `KeyboardInterrupt` if a signal has come that somebody swallowed."""
    if _requested:
        raise Requested


@contextmanager
def not_for_children() -> Iterator[None]:
    """Start processes in a block: signals, which may reach all of them, are not for those that are only starting."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_to_parent() -> None:
    """In a process started by another: let the other one decide what Ctrl-C means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _end(*_: object) -> None:
    _set(_do_nothing)
    if _message is not None:
        os.write(2, f"{line_start()}{_message}\n".encode())
        os._exit(INTERRUPTED)


def _interrupt(*_: object) -> None:
    """Raise `KeyboardInterrupt`, once: while what is finished is written, further signals change nothing."""
    global _requested, _message
    _requested, _message = True, None
    _set(_do_nothing)
    raise Requested


def _note(*_: object) -> None:
    global _requested
    _requested = True


def _do_nothing(*_: object) -> None:
    """Not SIG_IGN: Python would tell of a signal that had come, but was not dealt with yet, when that was set."""


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
    with suppress(ValueError):  # only the main thread may
        for number in numbers or _SIGNALS:
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
