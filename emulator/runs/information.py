"""What a dispatcher may know, in the words of the column `information`."""

from __future__ import annotations

from dispatchers.contract import Dispatcher, PerJobDispatcher


def information_of(dispatcher: Dispatcher) -> str:
    """Return what reaches a scheduler under a dispatcher: broadcasts, its own sends since, global messages."""
    own_sends = ", own sends" if isinstance(dispatcher, PerJobDispatcher) else ""
    return f"broadcast{own_sends}{', global' if dispatcher.observes == 'all' else ''}"
