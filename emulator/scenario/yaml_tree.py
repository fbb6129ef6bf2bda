"""YAML 1.2 read strictly, only what JSON can say, as a tree in which every value knows its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from dispatchers.errors import one_line
from dispatchers.files import read_regular
from emulator.errors import InputError
from emulator.text import CONSTANTS, show

SIZE_LIMIT = 2**20
"""Bytes of a file."""

DEPTH_LIMIT = 20
"""Mappings and lists inside each other."""

DIGITS_LIMIT = 400
"""Characters of a number; beyond any float, and far below where Python refuses to print an integer."""

_INTEGER = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class Place(NamedTuple):
    """Where a value stands: `file:line:column`, or what the command line said if there is no line."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True)
class Node:
    """A value and its place; a mapping's and a list's values are nodes in turn."""

    value: Any
    place: Place
    key_place: Place | None = None
    """Where the key of this value stands, if it has one."""
    written: str | None = None
    """How a number is written in the file."""

    @property
    def shown(self) -> str:
        """The value as a message shows it: short, and a number as it is written."""
        return show(self.plain) if self.written is None else one_line(self.written, 60)

    @cached_property
    def plain(self) -> Any:
        """The value as plain dictionaries, lists and scalars, shared between callers: not to be changed."""
        if isinstance(self.value, dict):
            return {key: node.plain for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain for node in self.value]
        return self.value

    def child(self, key: str | int) -> Node | None:
        """Return the node below under a key, or an index (text of digits too), or None."""
        if isinstance(self.value, dict):
            return self.value.get(key)
        if isinstance(self.value, list) and re.fullmatch("[0-9]{1,9}", str(key)):
            return self.value[int(key)] if int(key) < len(self.value) else None
        return None


def read_file(path: Path) -> Node:
    """Read one YAML file."""
    try:
        content = read_regular(path, SIZE_LIMIT)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        lines = content[: error.start].split(b"\n")
        place = Place(str(path), len(lines), len(lines[-1]) + 1)
        raise InputError(f"{place}: must be UTF-8 text, but this byte is not") from None
    return read_text(text, lambda line, column: Place(str(path), line, column))


def read_text(text: str, place_of: Callable[[int, int], Place]) -> Node:
    """Read YAML; `place_of` makes a place of a line and a column, both counted from 1."""
    return _Reader(text, place_of).document()


class _Reader:
    """Builds the tree from the parser's events, and refuses early, so that a bomb is never unpacked."""

    def __init__(self, text: str, place_of: Callable[[int, int], Place]):
        self.text = text
        self.place_of = place_of
        self.place = place_of(1, 1)
        self.events = self._safely(YAML(typ="safe", pure=True).parse(text))

    def _safely(self, parsed: Iterator[events.Event]) -> Iterator[events.Event]:
        try:
            for event in parsed:
                self.place = self._place(event.start_mark)
                yield event
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = self.place if mark is None else self._place(mark)
            problem = str(error.problem or error.context)
            hint = "; inside {} and [] braces must be in quotes" if problem.endswith("got '{'") else ""
            raise self._error(place, f"is not YAML: {problem}{hint}") from None
        except ReaderError as error:
            lines = self.text[: error.position].split("\n")
            place = self.place_of(len(lines), len(lines[-1]) + 1)
            raise self._error(place, f"is not YAML: {error.reason}") from None
        except (YAMLError, ValueError, OverflowError) as error:
            # The last two come of escapes that name no character, such as "\U99999999".
            raise self._error(self.place, f"is not YAML: {error}") from None

    def _place(self, mark: Any) -> Place:
        return self.place_of(mark.line + 1, mark.column + 1)

    def _error(self, place: Place, message: str) -> InputError:
        return InputError(f"{place}: {' '.join(message.split())}")

    def document(self) -> Node:
        next(self.events)  # the stream's start
        if isinstance(next(self.events), events.StreamEndEvent):
            return Node(None, self.place)
        node = self._node(next(self.events), 0)
        next(self.events)  # the document's end
        if not isinstance(next(self.events), events.StreamEndEvent):
            raise self._error(self.place, "a second document starts here; only one is read")
        return node

    def _node(self, event: events.Event, depth: int) -> Node:
        place = self.place
        assert isinstance(event, events.NodeEvent)
        if isinstance(event, events.AliasEvent) or event.anchor is not None:
            raise self._error(place, "anchors (&) and aliases (*) are not read; write the value out")
        assert isinstance(event, events.ScalarEvent | events.CollectionStartEvent)
        if event.tag is not None:
            raise self._error(place, f"tags are not read, got {event.tag}")
        if isinstance(event, events.ScalarEvent):
            value = self._scalar(event)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return Node(value, place, written=event.value if is_number else None)
        if depth == DEPTH_LIMIT:
            raise self._error(place, f"is nested deeper than {DEPTH_LIMIT} mappings and lists")
        if isinstance(event, events.SequenceStartEvent):
            items = []
            while not isinstance(event := next(self.events), events.SequenceEndEvent):
                items.append(self._node(event, depth + 1))
            return Node(items, place)
        mapping: dict[str, Node] = {}
        while not isinstance(event := next(self.events), events.MappingEndEvent):
            key = self._node(event, depth + 1)
            self._check_key(key, mapping)
            value = self._node(next(self.events), depth + 1)
            mapping[key.value] = replace(value, key_place=key.place)
        return Node(mapping, place)

    def _check_key(self, key: Node, mapping: Mapping[str, Node]) -> None:
        if not isinstance(key.value, str):
            raise self._error(key.place, f"a key must be text, got {key.shown}")
        if key.value == "<<":
            raise self._error(key.place, "merge keys (<<) are not read; write the values out, or use extends")
        if key.value in mapping:
            first = mapping[key.value].key_place
            raise self._error(key.place, f"{show(key.value)} stands twice, first at {first}")

    def _scalar(self, event: events.ScalarEvent) -> Any:
        text = event.value
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise self._error(self.place, "text must not hold NUL or half a surrogate pair")
        if not event.implicit[0]:  # quoted, or a block of text
            return text
        if text in CONSTANTS:
            return CONSTANTS[text]
        is_integer, has_other_base = _INTEGER.fullmatch(text), _OTHER_BASE.fullmatch(text)
        if is_integer or has_other_base or _FLOAT.fullmatch(text):
            if len(text) > DIGITS_LIMIT:
                raise self._error(self.place, f"a number has at most {DIGITS_LIMIT} characters, got {len(text)}")
            return int(text) if is_integer else int(text, 0) if has_other_base else float(text)
        return float(text.replace(".", "")) if _NOT_FINITE.fullmatch(text) else text
