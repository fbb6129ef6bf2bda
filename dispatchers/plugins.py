"""Classes of users, found as `module:Class` beside a scenario or installed, or by the entry point of a package."""

from __future__ import annotations

import difflib
import operator
import threading
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

from dispatchers.errors import DispatcherError, describe
from dispatchers.user_modules import World, hash_of, world_of

RUNS_ITSELF = 'it runs a scenario while it is imported: put the call below `if __name__ == "__main__":`'
"""What is wrong with a script that holds a class and calls `emulator.run` as it is imported."""

_importing: set[tuple[int, str, str]] = set()
"""Modules whose import is under way, each with its thread and folder."""


class Files(NamedTuple):
    """What something of a user depends on: files by a name that says nothing of where they stand, and their hashes."""

    files: dict[str, str]
    """Of its code, its options and its declarations."""
    opened: dict[str, str]
    """Of what it has opened so far; it may open less another time."""
    hashes: dict[str, str]
    """Of all of these, by their absolute paths."""


@dataclass(frozen=True)
class Sort:
    """A sort of classes that users write."""

    noun: str
    """What one is called; `nouns` for several."""
    nouns: str
    parent: type
    """The class that all inherit from, and, in messages, where it is."""
    parent_name: str
    group: str
    """The group of entry points in which installed packages offer them."""
    built_in: Collection[str]
    """Names of those that come with this software."""

    def entry_points(self) -> dict[str, EntryPoint]:
        """Return what installed packages offer, by name; what is built in goes before it."""
        return {entry.name: entry for entry in entry_points(group=self.group) if entry.name not in self.built_in}

    def available(self) -> list[str]:
        """Return the names a scenario can use: the built-in ones, then those of installed packages."""
        return [*self.built_in, *self.entry_points()]

    def find(self, name: str | None, path: str | None, folder: Path) -> tuple[Any, World]:
        """Return the class by a name or else by `module:Class`, and its world. Raises `DispatcherError`."""
        return self._by_entry_point(name) if name is not None else self._by_path(path or "", folder)

    def _by_entry_point(self, name: str) -> tuple[Any, World]:
        installed = self.entry_points().get(name)
        if installed is None:
            names = {known.upper(): known for known in self.available()}
            near = difflib.get_close_matches(name.upper(), names, n=1)
            hint = f" (did you mean {names[near[0]]}?)" if near else ""
            raise DispatcherError(f"there is no {self.noun} {name!r}{hint}, known are {', '.join(names.values())}")
        try:
            world = world_of(installed.module, None)
            found = operator.attrgetter(installed.attr)(world.module)
        except (Exception, SystemExit) as error:
            raise DispatcherError(f"{name}: {installed.value} cannot be imported: {describe(error)}") from error
        return self._checked(found, name), world

    def _by_path(self, path: str, folder: Path) -> tuple[Any, World]:
        module_name, _, class_name = path.partition(":")
        if not module_name or not class_name:
            raise DispatcherError(f"class must be module:Class, got {path!r}")
        world = _imported(module_name, folder, path)
        module = world.module
        if not hasattr(module, class_name):
            found = [
                key
                for key, value in vars(module).items()
                if self._is_one(value) and value.__module__ == module.__name__
            ]
            raise DispatcherError(
                f"{path}: {module.__file__ or module_name} has no {class_name}, "
                f"its {self.nouns} are {', '.join(found) or 'none'}"
            )
        return self._checked(getattr(module, class_name), path), world

    def _is_one(self, value: object) -> bool:
        return isinstance(value, type) and issubclass(value, self.parent)

    def _checked(self, found: Any, title: str) -> Any:
        if self._is_one(found):
            return found
        kind = found.__name__ if isinstance(found, type) else type(found).__name__
        raise DispatcherError(f"{title}: must be a subclass of {self.parent_name}, got {kind}")


def _imported(name: str, folder: Path, title: str) -> World:
    me = threading.get_ident(), str(folder), name
    if me in _importing:
        raise DispatcherError(f"{title}: {RUNS_ITSELF}")
    _importing.add(me)
    try:
        return world_of(name, folder)
    except SyntaxError as error:
        raise DispatcherError(f"{title}: {error.filename}:{error.lineno}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name.partition(".")[0]:
            file = folder.joinpath(*name.split(".")).with_suffix(".py")
            raise DispatcherError(f"{title}: there is no module {name}, neither {file} nor an installed one") from None
        told = describe(error)
        told = RUNS_ITSELF if RUNS_ITSELF in told else f"cannot be imported: {told}"
        raise DispatcherError(f"{title}: {told}") from error
    finally:
        _importing.discard(me)


def files_of(named: list[tuple[str, str]], world: World | None) -> Files:
    """Return the files that are named, each a name and a path, and those of a world."""
    if world is not None:
        named = [(label, path) for label, path in named if not world.writes(path)]
    files: dict[str, list[str]] = {}
    hashes = {path: hash_of(path) or "" for _, path in named}
    for label, path in named:
        files.setdefault(label, []).append(hashes[path])
    told = {label: " ".join(values) for label, values in files.items()}
    if world is None:
        return Files(told, {}, hashes)
    sources, opened = world.sources, world.opened
    told |= {world.label(path): value for path, value in sources.items()}
    others = {world.label(path): value for path, value in opened.items() if path not in hashes}
    return Files(told, others, hashes | sources | opened)
