"""Modules of users: read from source whenever a file of theirs has changed, with a note of all that they are made of.

Python keeps a module for as long as a process lives, so a rule edited between two runs of one session would run as it
was. Here a rule's module and those of users that it imports make a `World`, which is imported apart from all else, from
source and not from what `__pycache__` holds. It is in place while its rules are made, tried out and asked, and dropped
as a whole once a file of it has changed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

OURS = ("dispatchers", "emulator", "policies")
"""Packages of this software, which its version stands for."""

_OUR_FOLDERS = tuple(f"{Path(__file__).resolve().parent.parent / name}{os.sep}" for name in OURS)
_INSTALLED = tuple(
    f"{os.path.realpath(sysconfig.get_path(name))}{os.sep}" for name in ("purelib", "platlib", "stdlib", "platstdlib")
)
_PARTS_OF_INSTALLED = frozenset(("site-packages", "dist-packages", "__pycache__"))
_NEVER_TAKEN = ("__main__", "__mp_main__")

_lock = threading.RLock()
"""One world at a time is in place: `sys.modules` is everybody's."""
_in_place: list[World] = []
_owner = 0
"""The thread that has the lock, or had it last."""


class World:
    """The module `name`, beside a scenario in `folder` or elsewhere on the path, and the modules of users it imports.

    To be used in a `with` statement, also one inside another. Hashes are by absolute path.
    """

    def __init__(self, name: str, folder: Path | None):
        self.name = name
        self.folder = folder
        self.module = ModuleType(name)
        """The module, once it is loaded."""
        self.sources: dict[str, str] = {}
        """The hash of each file that a module was made of."""
        self._opened: dict[str, str] = {}
        self._written: set[str] = set()
        self._modules: dict[str, ModuleType | None] = {}
        """What stands in `sys.modules` while this is in place; None where a module of others must not be seen."""
        self._displaced: dict[str, ModuleType] = {}
        self._finder = _Finder(self)

    @property
    def opened(self) -> dict[str, str]:
        """The hash of each file beside the modules that they have opened, as it was then; of none that they write."""
        return {path: value for path, value in self._opened.items() if path not in self._written | self.sources.keys()}

    @property
    def is_current(self) -> bool:
        """Whether no file has changed."""
        return all(hash_of(path) == value for path, value in (self.sources | self.opened).items())

    def writes(self, path: str) -> bool:
        """Return whether the modules have written a file, which is then their own affair."""
        return path in self._written

    def label(self, path: str) -> str:
        """Return what a file is called wherever its project stands."""
        for root in self._roots():
            if path.startswith(root):
                return path[len(root) :]
        return Path(path).name

    def load(self) -> None:
        """Import the module. Raises whatever it raises."""
        for name, module in list(sys.modules.items()):
            if name not in _NEVER_TAKEN and self._owns(name, module):
                self._modules[name] = None
        with self:
            importlib.invalidate_caches()
            self.module = self._import()

    def __enter__(self) -> World:
        """Put the modules into place, and listen to what is opened."""
        global _owner
        _lock.acquire()
        _owner = threading.get_ident()
        if self not in _in_place:
            for name, module in self._modules.items():
                if (there := sys.modules.pop(name, None)) is not None:
                    self._displaced[name] = there
                if module is not None:
                    sys.modules[name] = module
            sys.meta_path.insert(0, self._finder)
            if self.folder is not None:
                sys.path.insert(0, str(self.folder))
        _in_place.append(self)
        _listen()
        return self

    def __exit__(self, *error: object) -> None:
        """Put back what was there before, and keep what has been imported meanwhile."""
        _in_place.pop()
        if self not in _in_place:
            if self._finder in sys.meta_path:
                sys.meta_path.remove(self._finder)
            if str(self.folder) in sys.path:
                sys.path.remove(str(self.folder))
            for name in self._modules:
                self._modules[name] = sys.modules.pop(name, None)
            sys.modules.update(self._displaced)
            self._displaced = {}
        _lock.release()

    def note_module(self, name: str, path: str, source: bytes) -> None:
        """Note that a module of users is made of a file."""
        self._modules.setdefault(name, None)
        self.sources[os.path.abspath(path)] = hashlib.sha256(source).hexdigest()

    def note_opened(self, path: str) -> None:
        """Note that a file is opened for reading, if it lies beside a module; hidden ones are left out."""
        places = os.path.abspath(path), os.path.realpath(path)
        place = next(filter(self._is_beside, places), None)
        if place is not None and place not in self._opened and (value := hash_of(place)) is not None:
            self._opened[place] = value

    def note_written(self, path: str) -> None:
        """Note that a file is written, or comes about."""
        self._written |= {os.path.abspath(path), os.path.realpath(path)}

    def _is_beside(self, place: str) -> bool:
        main = getattr(sys.modules["__main__"], "__file__", None)  # which `inspect` opens to say who has called
        if place in self.sources or (main and place == os.path.abspath(main)) or is_installed(place):
            return False
        insides = (place[len(root) :] for root in self._roots() if place.startswith(root))
        return not os.path.join(os.sep, next(insides, ".")).count(f"{os.sep}.")

    def _roots(self) -> list[str]:
        """Return the scenario's folder and those of the modules, which end in a slash."""
        folders = [] if self.folder is None else [os.path.abspath(self.folder), os.path.realpath(self.folder)]
        folders += [os.path.dirname(path) for path in self.sources]
        return [folder + os.sep for folder in dict.fromkeys(folders) if folder != os.sep]

    def _owns(self, name: str, module: Any) -> bool:
        """Return whether a module that somebody has imported is one that this would import itself."""
        if not isinstance(module, ModuleType):
            return False
        known = vars(module)  # not `getattr`, with which some modules import others
        places = [known["__file__"]] if known.get("__file__") else list(known.get("__path__") or [])
        if not places or any(_is_installed(str(place)) for place in places):
            return False
        top = self.name.partition(".")[0]
        folders = [os.curdir, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]  # users', too
        roots = (*self._roots(), *(os.path.realpath(folder) + os.sep for folder in folders))
        return name.partition(".")[0] == top or os.path.realpath(str(places[0])).startswith(roots)

    def _import(self) -> ModuleType:
        name = self.name
        if self.folder is not None and name.partition(".")[0] in sys.modules:
            file = self.folder.joinpath(*name.split(".")).with_suffix(".py")
            if os.path.isfile(file) and not _is_installed(str(file)):
                # A user's `statistics.py`, say: the module of that name stays what it is for everybody.
                alias = f"_beside_scenario_{name.replace('.', '_')}"
                loader = _FromSource(alias, str(file), self)
                spec = importlib.util.spec_from_file_location(alias, file, loader=loader)
                assert spec is not None
                module = sys.modules[alias] = importlib.util.module_from_spec(spec)
                self._modules[alias] = None
                loader.exec_module(module)
                return module
        return importlib.import_module(name)


_worlds: dict[tuple[str, str], World] = {}


def world_of(name: str, folder: Path | None) -> World:
    """Return the world of a module, which is imported unless that was done before and no file has changed since."""
    key = name, str(folder)
    with _lock:
        kept = _worlds.get(key)
        if kept is None or not kept.is_current:
            kept = World(name, folder)
            kept.load()
            _worlds[key] = kept
        return kept


def is_installed(path: str) -> bool:
    """Return whether a file belongs to an installed distribution, whose version stands for it, or to this software."""
    if path.startswith((*_INSTALLED, *_OUR_FOLDERS)) or not _PARTS_OF_INSTALLED.isdisjoint(path.split(os.sep)):
        return True
    folders = (os.path.realpath(folder) + os.sep for folder in sys.path)
    return any(
        path.startswith(folder) and path[len(folder) :].split(os.sep)[0] in _installed_in(folder) for folder in folders
    )


@cache
def _is_installed(path: str) -> bool:
    return is_installed(os.path.realpath(path))


@cache
def _installed_in(folder: str) -> frozenset[str]:
    """Return the files and folders in a folder that belong to distributions, as `pip install --target` leaves them."""
    found = set()
    with suppress(OSError, UnicodeDecodeError):
        for record in Path(folder).glob("*.dist-info/RECORD"):
            found |= {line.split("/")[0].split(",")[0] for line in record.read_text(encoding="utf-8").splitlines()}
    return frozenset(found)


def hash_of(path: str | Path) -> str | None:
    """Return the SHA-256 of a regular file, None if none can be read; see `read_regular` for those that seem empty."""
    if os.path.isfile(path):
        with suppress(OSError), open(path, "rb") as file:
            is_empty = os.fstat(file.fileno()).st_size == 0
            return (hashlib.sha256() if is_empty else hashlib.file_digest(file, "sha256")).hexdigest()
    return None


def files_named_in(value: Any, folder: Path) -> Iterator[str]:
    """Yield the absolute paths of the files that the texts in an option's value name, seen from a folder."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from files_named_in(item, folder)
    elif isinstance(value, str) and value and os.path.isfile(place := os.path.abspath(folder / value)):
        yield place


class _Finder:
    """Finds what the others find, and has users' modules loaded from source."""

    def __init__(self, world: World):
        self.world = world

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder.find_spec`."""
        others = (finder for finder in sys.meta_path if not isinstance(finder, _Finder))
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None:
            return None
        if spec.origin is None:  # a package without a file of its own
            if not any(map(_is_installed, spec.submodule_search_locations or ["/"])):
                self.world._modules.setdefault(name, None)
        elif spec.has_location and not _is_installed(spec.origin):
            if type(spec.loader) is SourceFileLoader:
                spec.loader = _FromSource(spec.name, spec.origin, self.world)
            else:  # of an archive, an extension module, or one that somebody's hook changes as it is loaded
                file = getattr(spec.loader, "archive", spec.origin)
                if os.path.isfile(file):
                    self.world.note_module(name, file, Path(file).read_bytes())
        return spec


class _FromSource(SourceFileLoader):
    """Loads a module from its source: `__pycache__` tells sources apart by their size and the second alone."""

    def __init__(self, name: str, path: str, world: World):
        super().__init__(name, path)
        self.world = world

    def get_code(self, fullname: str) -> CodeType:
        """See `importlib.abc.InspectLoader.get_code`."""
        source = self.get_data(self.path)
        self.world.note_module(fullname, self.path, source)
        return compile(source, self.path, "exec", dont_inherit=True)


@cache
def _listen() -> None:
    """Hear of every file that this process opens from now on; there is no way to stop."""
    sys.addaudithook(_heard)


_is_noting = False


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    """Tell the world in place of files that its thread opens or renames; never disturb whoever does."""
    global _is_noting
    if event not in ("open", "os.rename") or not _in_place or _is_noting or _owner != threading.get_ident():
        return
    _is_noting = True  # to look at a file is to open it
    try:
        with suppress(Exception):
            world = _in_place[-1]
            if event == "os.rename":
                world.note_written(os.fsdecode(arguments[1]))
            elif isinstance(arguments[0], str | bytes | os.PathLike):
                is_written = arguments[2] & (os.O_WRONLY | os.O_RDWR)
                (world.note_written if is_written else world.note_opened)(os.fsdecode(arguments[0]))
    finally:
        _is_noting = False
