"""Modules of users: read from source whenever a file of theirs has changed, with a note of all that was read.

Python keeps a module for as long as a process lives, so a rule edited between two runs of one session would run as it
was. Modules that belong to no installed distribution are therefore imported apart: by source, not by what `__pycache__`
holds, and out of everybody else's sight, so that two folders may each have a module of the same name.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

OURS = ("dispatchers", "emulator", "policies")
"""Packages of this software, which its version stands for."""

_OUR_FOLDERS = tuple(f"{Path(__file__).resolve().parent.parent / name}{os.sep}" for name in OURS)
_INSTALLED = tuple({os.path.realpath(path) + os.sep for path in sysconfig.get_paths().values()})
_PARTS_OF_INSTALLED = frozenset(("site-packages", "dist-packages", "__pycache__"))


class Loaded(NamedTuple):
    """A module as it was imported, and the hash of each file of users that it was made of, by its absolute path."""

    module: ModuleType
    hashes: dict[str, str]


class Reading:
    """What a block of code reads: users' modules that it imports, and files beside them that it opens."""

    def __init__(self, folder: Path | None):
        places = {os.path.realpath(place) for place in (folder or os.curdir, os.curdir)}
        self._places = tuple(place + os.sep for place in places if place != os.path.dirname(place))
        self._modules: dict[str, str] = {}
        self._opened: set[str] = set()
        self._written: set[str] = set()

    @property
    def hashes(self) -> dict[str, str]:
        """The hash of each file, by its absolute path."""
        opened = {path: hash_of(path) for path in sorted(self._opened - self._written)}
        return {path: value for path, value in opened.items() if value is not None} | self._modules

    def note_module(self, path: str, source: bytes) -> None:
        """Note that a module was made of a file."""
        self._modules[os.path.realpath(path)] = hashlib.sha256(source).hexdigest()

    def note_open(self, path: Any, flags: int) -> None:
        """Note that a file below the folder, or below the current one, is opened; hidden ones are left out.

        What is written, too, is the code's own affair.
        """
        place = os.path.realpath(os.fsdecode(path))
        inside = next((place[len(start) :] for start in self._places if place.startswith(start)), None)
        if inside is not None and f"{os.sep}." not in os.sep + inside and not is_installed(place):
            (self._written if flags & (os.O_WRONLY | os.O_RDWR) else self._opened).add(place)


_kept: dict[tuple[str, str], Loaded] = {}
_readings: list[Reading] = []
_listens = False


def load(name: str, folder: Path | None) -> Loaded:
    """Import a module that stands in `folder`, if one is given, elsewhere on the path, or in an installed distribution.

    One that was imported before is returned again for as long as no file of it has changed.
    """
    key = name, str(folder)
    kept = _kept.get(key)
    if kept is not None and all(hash_of(path) == value for path, value in kept.hashes.items()):
        return kept
    with reading(folder) as noted:
        module = importlib.import_module(name) if folder is None else _import(name, folder, noted)
    _kept[key] = Loaded(module, noted.hashes)
    return _kept[key]


def _import(name: str, folder: Path, noted: Reading) -> ModuleType:
    file = folder.joinpath(*name.split(".")).with_suffix(".py")
    is_taken = name.partition(".")[0] in sys.modules
    if not is_taken or not os.path.isfile(file) or is_installed(os.path.realpath(file)):
        return importlib.import_module(name)
    # A user's `statistics.py`, say: the module of that name stays what it is for everybody, this one gets another name.
    name = f"_beside_scenario_{name.replace('.', '_')}"
    spec = importlib.util.spec_from_file_location(name, file, loader=_FromSource(name, str(file), noted))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def reading(folder: Path | None) -> Iterator[Reading]:
    """Let a block import users' modules apart, those in `folder` first, and note what it reads."""
    noted = Reading(folder)
    finder = _Finder(noted)
    others = _take_out_users_modules()
    _listen()
    sys.meta_path.insert(0, finder)
    if folder is not None:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    _readings.append(noted)
    try:
        yield noted
    finally:
        _readings.remove(noted)
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        sys.meta_path.remove(finder)
        _take_out_users_modules()
        sys.modules.update(others)


def _take_out_users_modules() -> dict[str, ModuleType]:
    taken = {
        name: module
        for name, module in sys.modules.items()
        if name not in ("__main__", "__mp_main__") and _is_users(module)
    }
    for name in taken:
        del sys.modules[name]
    return taken


def _is_users(module: Any) -> bool:
    if not isinstance(module, ModuleType):
        return False
    known = vars(module)  # not `getattr`, with which some modules import others
    places = [known["__file__"]] if known.get("__file__") else list(known.get("__path__") or [])
    return bool(places) and not any(_is_installed_by_name(str(place)) for place in places)


@cache
def _is_installed_by_name(path: str) -> bool:
    return is_installed(os.path.realpath(path))


def is_installed(path: str) -> bool:
    """Return whether a file belongs to an installed distribution, whose version stands for it, or to this software."""
    return path.startswith((*_INSTALLED, *_OUR_FOLDERS)) or not _PARTS_OF_INSTALLED.isdisjoint(path.split(os.sep))


def hash_of(path: str | Path) -> str | None:
    """Return the SHA-256 of a regular file, None if there is none that can be read.

    Of what calls itself empty, as files of the kernel do, nothing is read: it could make us wait for ever.
    """
    if os.path.isfile(path):
        with suppress(OSError), open(path, "rb") as file:
            is_empty = os.fstat(file.fileno()).st_size == 0
            return (hashlib.sha256() if is_empty else hashlib.file_digest(file, "sha256")).hexdigest()
    return None


def files_named_in(value: Any, folder: Path) -> Iterator[str]:
    """Yield the absolute paths of the files that the texts in an option's value name, seen from `folder`."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from files_named_in(item, folder)
    elif isinstance(value, str) and value:
        place = os.path.join(folder, value)
        if os.path.isfile(place):
            yield os.path.realpath(place)


class _Finder:
    """Finds what the others find, and has users' modules loaded from source."""

    def __init__(self, noted: Reading):
        self.noted = noted

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder.find_spec`."""
        others = (finder for finder in sys.meta_path if not isinstance(finder, _Finder))
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.has_location and spec.origin and not _is_installed_by_name(spec.origin):
            if isinstance(spec.loader, SourceFileLoader):
                spec.loader = _FromSource(spec.name, spec.origin, self.noted)
            else:  # an extension module, say
                self.noted.note_module(spec.origin, Path(spec.origin).read_bytes())
        return spec


class _FromSource(SourceFileLoader):
    """Loads a module from its source: `__pycache__` tells sources apart by their size and the second alone."""

    def __init__(self, name: str, path: str, noted: Reading):
        super().__init__(name, path)
        self.noted = noted

    def get_code(self, fullname: str) -> CodeType:
        """See `importlib.abc.InspectLoader.get_code`."""
        source = self.get_data(self.path)
        self.noted.note_module(self.path, source)
        return compile(source, self.path, "exec", dont_inherit=True)


def _listen() -> None:
    """Hear of every file that this process opens from now on; there is no way to stop."""
    global _listens
    if not _listens:
        _listens = True
        sys.addaudithook(_heard)


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _readings and isinstance(arguments[0], str | bytes | os.PathLike):
        for noted in _readings:
            noted.note_open(arguments[0], arguments[2])
