"""How a scenario's dispatchers are found: built-in names, classes in a user's module, entry points of packages."""

from __future__ import annotations

import difflib
import inspect
import operator
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

from dispatchers.checking import check_declarations
from dispatchers.contract import Dispatcher
from dispatchers.errors import DispatcherError, describe, describe_value, one_line
from dispatchers.rules.actor_critic import ScalableActorCritic
from dispatchers.rules.basic import Random, SendToOwn
from dispatchers.rules.mean_field import (
    MeanFieldGlobal,
    MeanFieldNeighbourhood,
    MeanFieldOwn,
    ParameterSharing,
)
from dispatchers.rules.memory import JoinShortestQueueWithMemory, RoundRobin
from dispatchers.rules.recurrent import MeanFieldRecurrent
from dispatchers.rules.shortest import JoinShortestQueue, ShortestExpectedDelay
from dispatchers.user_modules import World, files_named_in, hash_of, world_of

BUILT_IN: dict[str, type[Dispatcher]] = {
    rule.name: rule
    for rule in (
        SendToOwn,
        Random,
        JoinShortestQueue,
        ShortestExpectedDelay,
        MeanFieldOwn,
        MeanFieldNeighbourhood,
        MeanFieldGlobal,
        MeanFieldRecurrent,
        ParameterSharing,
        ScalableActorCritic,
        RoundRobin,
        JoinShortestQueueWithMemory,
    )
}
"""The dispatchers that come with this software, by name."""

RUNS_ITSELF = 'it runs a scenario while it is imported: put the call below `if __name__ == "__main__":`'
"""What is wrong with a script that holds a rule and calls `emulator.run` as it is imported."""

_importing: set[tuple[int, str, str]] = set()
"""Modules whose import is under way, each with its thread and folder."""

GROUP = "emulator.dispatchers"
"""The group of entry points in which installed packages offer dispatchers."""


def available() -> list[str]:
    """Return the names a scenario can use: the built-in ones, then those of installed packages."""
    return [*BUILT_IN, *(name for name in _entry_points() if name not in BUILT_IN)]


class Made(NamedTuple):
    """A dispatcher, and what it depends on: files by a name that says nothing of where they stand, and their hashes."""

    dispatcher: Dispatcher
    files: dict[str, str]
    """Of its code, its options and its declarations."""
    opened: dict[str, str]
    """Of what it has opened so far; it may open less another time."""
    hashes: dict[str, str]
    """Of all of these, by their absolute paths."""
    world: AbstractContextManager[Any]
    """What must be in place whenever the dispatcher is asked."""


def make(
    *,
    name: str | None = None,
    class_: str | None = None,
    options: Mapping[str, Any] | None = None,
    folder: Path = Path(),
    shipped: Path | None = None,
    try_out: Callable[[Dispatcher], None] = lambda dispatcher: None,
) -> Made:
    """Make a dispatcher by name or by `module:Class`, with options passed to its `__init__`, and have it tried out.

    Modules and files are looked up in `folder`, then among what is installed, or in `shipped`. Raises
    `DispatcherError` with one line.
    """
    title = name or class_ or ""
    folder = Path(os.path.abspath(folder))
    world = None
    if name in BUILT_IN:
        rule = BUILT_IN[name]
    else:
        rule, world = _by_entry_point(name) if name is not None else _by_path(class_ or "", folder)
    with world or nullcontext():
        dispatcher, named = _made(rule, dict(options or {}), title, folder, shipped)
        try_out(dispatcher)
        options_files = {path for _, path in named}
        named += [file for file in _declared(dispatcher, folder, title) if file[1] not in options_files]
    return _with_files(dispatcher, named, world)


def _with_files(dispatcher: Dispatcher, named: list[tuple[str, str]], world: World | None) -> Made:
    """Return a dispatcher with the files that are named, and those of its world."""
    if world is not None:
        named = [(label, path) for label, path in named if not world.writes(path)]
    files: dict[str, list[str]] = {}
    hashes = {path: hash_of(path) or "" for _, path in named}
    for label, path in named:
        files.setdefault(label, []).append(hashes[path])
    told = {label: " ".join(values) for label, values in files.items()}
    if world is None:
        return Made(dispatcher, told, {}, hashes, nullcontext())
    sources, opened = world.sources, world.opened
    told |= {world.label(path): value for path, value in sources.items()}
    others = {world.label(path): value for path, value in opened.items() if path not in hashes}
    return Made(dispatcher, told, others, hashes | sources | opened, world)


def _made(
    rule: type[Dispatcher], options: dict[str, Any], title: str, folder: Path, shipped: Path | None
) -> tuple[Dispatcher, list[tuple[str, str]]]:
    """Return a dispatcher, and the files that its options name, each with the option's name."""
    try:
        parameters = inspect.signature(rule).parameters
        arguments = _checked_options(parameters, options, title)
        named = []
        for option in _file_options(rule, title):
            default = parameters[option].default if option in parameters else None
            if arguments.get(option, default) is not default:
                arguments[option] = str(_find_file(arguments[option], option, folder, shipped, title))
                named.append((option, arguments[option]))
        for option, value in arguments.items():
            if option not in _file_options(rule, title):
                named += [(option, path) for path in files_named_in(value, folder)]
        dispatcher = rule(**arguments)
        if not isinstance(dispatcher, Dispatcher):
            raise DispatcherError(f"makes {describe_value(dispatcher)}, which is no Dispatcher")
        check_declarations(dispatcher, title)
        return dispatcher, named
    except DispatcherError as error:
        told = str(error)
        raise DispatcherError(told if told.startswith(f"{title}:") else f"{title}: {told}") from None
    except (Exception, SystemExit) as error:
        raise DispatcherError(f"{title}: cannot be made: {describe(error)}") from error


def _file_options(rule: type[Dispatcher], title: str) -> Sequence[str]:
    options: Any = rule.file_options
    if not isinstance(options, list | tuple) or not all(isinstance(option, str) for option in options):
        got = describe_value(options)
        raise DispatcherError(f"{title}: file_options must be a tuple of names of options, got {got}")
    return options


def _declared(dispatcher: Dispatcher, folder: Path, title: str) -> list[tuple[str, str]]:
    """Return the files that a rule declares: what it calls them, of whole paths the name alone, and where they are."""
    declared = []
    for file in (os.fspath(each) for each in dispatcher.files):
        place = os.path.abspath(folder / file)
        if not os.path.isfile(place):
            raise DispatcherError(f"{title}: declares the file {place}, but there is none")
        declared.append((os.path.basename(file) if os.path.isabs(file) else file, place))
    return declared


def _entry_points() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


Found = tuple[type[Dispatcher], World]


def _by_entry_point(name: str) -> Found:
    installed = _entry_points().get(name)
    if installed is None:
        near = difflib.get_close_matches(name.upper(), available(), n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise DispatcherError(f"there is no dispatcher {name!r}{hint}, known are {', '.join(available())}")
    try:
        world = world_of(installed.module, None)
        rule = operator.attrgetter(installed.attr)(world.module)
    except (Exception, SystemExit) as error:
        raise DispatcherError(f"{name}: {installed.value} cannot be imported: {describe(error)}") from error
    return _checked_class(rule, name), world


def _by_path(path: str, folder: Path) -> Found:
    module_name, _, class_name = path.partition(":")
    if not module_name or not class_name:
        raise DispatcherError(f"class must be module:Class, got {path!r}")
    world = _world(module_name, folder, path)
    module = world.module
    if not hasattr(module, class_name):
        found = [
            key for key, value in vars(module).items() if _is_dispatcher(value) and value.__module__ == module.__name__
        ]
        raise DispatcherError(
            f"{path}: {module.__file__ or module_name} has no {class_name}, "
            f"its dispatchers are {', '.join(found) or 'none'}"
        )
    return _checked_class(getattr(module, class_name), path), world


def _is_dispatcher(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Dispatcher)


def _checked_class(rule: Any, title: str) -> type[Dispatcher]:
    if not _is_dispatcher(rule):
        kind = rule.__name__ if isinstance(rule, type) else type(rule).__name__
        raise DispatcherError(f"{title}: must be a subclass of dispatchers.Dispatcher, got {kind}")
    return rule


def _world(name: str, folder: Path, title: str) -> World:
    me = threading.get_ident(), str(folder), name
    if me in _importing:
        raise DispatcherError(f"{title}: {RUNS_ITSELF}")
    _importing.add(me)
    try:
        return world_of(name, folder)
    except ModuleNotFoundError as error:
        if error.name == name.partition(".")[0]:
            file = folder.joinpath(*name.split(".")).with_suffix(".py")
            raise DispatcherError(f"{title}: there is no module {name}, neither {file} nor an installed one") from None
        raise DispatcherError(f"{title}: cannot be imported: {describe(error)}") from error
    except SyntaxError as error:
        raise DispatcherError(f"{title}: {error.filename}:{error.lineno}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        told = describe(error)
        told = RUNS_ITSELF if RUNS_ITSELF in told else f"cannot be imported: {told}"
        raise DispatcherError(f"{title}: {told}") from error
    finally:
        _importing.discard(me)


def _checked_options(
    parameters: Mapping[str, inspect.Parameter], options: dict[str, Any], title: str
) -> dict[str, Any]:
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return options
    allowed = [name for name, parameter in parameters.items() if parameter.kind is not parameter.VAR_POSITIONAL]
    for option in options:
        if option not in allowed:
            raise DispatcherError(f"{title}: unknown option {option}, allowed are {', '.join(allowed) or 'none'}")
    for name in allowed:
        if parameters[name].default is inspect.Parameter.empty and name not in options:
            raise DispatcherError(f"{title}: needs the option {name}")
    return options


def _find_file(file: Any, option: str, folder: Path, shipped: Path | None, title: str) -> Path:
    if not isinstance(file, str):
        raise DispatcherError(f"{title}: {option} must be the name of a file, got {file!r}")
    places = [folder / file] + ([shipped / file] if shipped is not None else [])
    for place in places:
        if os.path.isfile(place):
            return place
    for place in filter(os.path.exists, places):
        raise DispatcherError(f"{title}: {option} must be the name of a regular file, got {one_line(str(place), 100)}")
    looked_for = " and ".join(dict.fromkeys(map(str, places)))
    raise DispatcherError(f"{title}: there is no {option} {one_line(file, 60)}, looked for {looked_for}")
