"""Which options of a dispatcher sweep: all, unless its class says that an option takes a list itself."""

from __future__ import annotations

import inspect
import types
from collections.abc import Collection, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from emulator.scenario.yaml_tree import Node

OPTION = "dispatchers."
"""What the names of columns begin with that hold an option of dispatchers: they are keys of that section."""

FIXED = ("name", "class", "label")
"""Keys of a dispatcher that are no options of its class."""

ANYTHING = 20
"""How deep lists may be nested in a value of which nothing is said; deeper than a scenario's are."""


class Options(NamedTuple):
    """The options of a class, as its `__init__` says them."""

    parameters: Mapping[str, inspect.Parameter]
    hints: Mapping[str, Any]
    """Their annotations, of those that can be told."""

    @property
    def names(self) -> list[str]:
        """Return the options by name."""
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return [name for name, parameter in self.parameters.items() if parameter.kind not in kinds]

    def is_known(self, option: str) -> bool:
        """Return whether the class takes an option of that name."""
        return option in self.names or any(
            parameter.kind is parameter.VAR_KEYWORD for parameter in self.parameters.values()
        )

    def depth(self, option: str) -> int:
        """Return how deep lists are nested in one value of an option; a deeper list sweeps."""
        kind = self._kind(option)
        return 0 if kind is None else _depth(kind)

    def takes_mappings(self, option: str) -> bool:
        """Return whether a mapping may be a value of an option."""
        kind = self._kind(option)
        return kind is not None and _takes_mappings(kind)

    def _kind(self, option: str) -> Any:
        """Return the annotation of an option, else the type of its default; None if neither says anything."""
        if option in self.hints:
            return self.hints[option]
        default = self.parameters[option].default if option in self.parameters else None
        return None if default is None or default is inspect.Parameter.empty else type(default)


def options_of(spec: Node, folder: Path) -> Options | None:
    """Return the options that a dispatcher's class takes; None if it cannot be found, which is told later."""
    from dispatchers.catalogue import BUILT_IN, SORT  # late, for what is behind it takes its time to import

    name, class_ = (spec.plain.get(key) for key in ("name", "class"))
    if not isinstance(name, str | None) or not isinstance(class_, str | None) or (name is None) == (class_ is None):
        return None
    try:
        rule, world = (BUILT_IN[name], None) if name in BUILT_IN else SORT.find(name, class_, folder.absolute())
        with world or nullcontext():
            return Options(inspect.signature(rule).parameters, _hints(rule))
    except Exception:  # whatever a user's module or class raises
        return None


def _hints(rule: type) -> dict[str, Any]:
    try:
        return get_type_hints(inspect.getattr_static(rule, "__init__"))
    except Exception:  # names that only type checkers import, say
        return {}


def _depth(kind: Any) -> int:
    """Return how deep lists are nested in a value of a type: 0 for a number, 1 for `Sequence[float] | None`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in (Any, object):
        return ANYTHING
    if origin is Annotated:
        return _depth(arguments[0])
    if origin in (Union, types.UnionType):
        return max(map(_depth, arguments))
    if origin is Literal or not isinstance(origin or kind, type):
        return 0
    container = origin or kind
    if issubclass(container, str | bytes | Mapping) or not (
        issubclass(container, Collection | Iterable) or hasattr(container, "__array__")
    ):
        return 0
    inner = [_depth(argument) for argument in arguments if isinstance(argument, type) or get_args(argument)]
    return 1 + max(inner, default=0)


def _takes_mappings(kind: Any) -> bool:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in (Any, object):
        return True
    if origin is Annotated:
        return _takes_mappings(arguments[0])
    if origin in (Union, types.UnionType):
        return any(map(_takes_mappings, arguments))
    return isinstance(origin or kind, type) and issubclass(origin or kind, Mapping)
