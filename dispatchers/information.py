"""Information: what a rule may know when it decides, declared by the rule, enforced by the view, read by engines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

KINDS = {
    "broadcast": "the queue lengths and service rates that accessible servers broadcast, and how old they are",
    "global": "the distribution of all queue lengths, which a monitor gathers and tells every scheduler",
    "own sends": "the jobs that the scheduler has itself sent since it decided",
}
"""What a rule can declare. Its place in the system, its buffer and its coins are known to every rule."""


class Declaring(Protocol):
    """A rule that declares what it may know."""

    @property
    def information(self) -> Iterable[str]:
        """Kinds of information."""
        ...


def declared(dispatcher: Declaring) -> frozenset[str]:
    """Return the kinds of information that a rule declares; `observes = "all"` is an older way to declare global."""
    observes: Any = getattr(dispatcher, "observes", "accessible")
    return frozenset(dispatcher.information) | ({"global"} if observes == "all" else frozenset())


def text_of(information: frozenset[str]) -> str:
    """Return kinds of information as sorted text: `broadcast, global`; `none` for the empty set."""
    return ", ".join(sorted(information)) or "none"


def information_of(dispatcher: Declaring) -> str:
    """Return what a rule may know, as tables show it."""
    return text_of(declared(dispatcher))
