"""How a scenario's dispatchers are found: built-in names, classes in a user's module, entry points of packages."""

from __future__ import annotations

import difflib
import inspect
import operator
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

from dispatchers.checking import check_declarations, describe
from dispatchers.contract import Dispatcher
from dispatchers.errors import DispatcherError, one_line
from dispatchers.heuristics import JoinShortestQueue, Random, SendToOwn, ShortestExpectedDelay
from dispatchers.mean_field import (
    MeanFieldGlobal,
    MeanFieldNeighbourhood,
    MeanFieldOwn,
    ParameterSharing,
)
from dispatchers.memory import JoinShortestQueueWithMemory, RoundRobin
from dispatchers.recurrent import MeanFieldRecurrent
from dispatchers.scalable_actor_critic import ScalableActorCritic
from dispatchers.user_modules import Loaded, files_named_in, hash_of, load, reading

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

GROUP = "emulator.dispatchers"
"""The group of entry points in which installed packages offer dispatchers."""


def available() -> list[str]:
    """Return the names a scenario can use: the built-in ones, then those of installed packages."""
    return [*BUILT_IN, *(name for name in _entry_points() if name not in BUILT_IN)]


class Made(NamedTuple):
    """A dispatcher, and the hash of each file that it depends on, by its absolute path."""

    dispatcher: Dispatcher
    hashes: dict[str, str]


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

    Modules and files are looked up in `folder`, then among what is installed, or in `shipped`. The files that a rule
    depends on are those that its options name, that it declares, and, of a user's, its modules that are not installed
    and what these open while they are imported, made and tried out. Raises `DispatcherError` with one line.
    """
    title = name or class_ or ""
    folder = folder.resolve()
    rule, hashes = _by_name(name) if name is not None else _by_path(class_ or "", folder)
    arguments = _checked_options(rule, dict(options or {}), title)
    for option in _file_options(rule, title):
        default = inspect.signature(rule).parameters[option].default
        if arguments.get(option, default) is not default:
            arguments[option] = str(_find_file(arguments[option], option, folder, shipped, title))
    named = {path for value in arguments.values() for path in files_named_in(value, folder)}
    if BUILT_IN.get(name or "") is rule:
        dispatcher = _made(rule, arguments, title)
        try_out(dispatcher)
    else:
        with reading(folder) as noted:
            dispatcher = _made(rule, arguments, title)
            try_out(dispatcher)
        hashes = hashes | noted.hashes
    named |= _declared(dispatcher, folder, title)
    return Made(dispatcher, hashes | {path: hash_of(path) or "" for path in sorted(named)})


def _file_options(rule: type[Dispatcher], title: str) -> Sequence[str]:
    options: Any = rule.file_options
    if not isinstance(options, list | tuple) or not all(isinstance(option, str) for option in options):
        raise DispatcherError(f"{title}: file_options must be a tuple of names of options, got {options!r}")
    return options


def _made(rule: type[Dispatcher], arguments: dict[str, Any], title: str) -> Dispatcher:
    try:
        dispatcher = rule(**arguments)
    except DispatcherError as error:
        raise DispatcherError(f"{title}: {error}") from None
    except (Exception, SystemExit) as error:
        raise DispatcherError(f"{title}: cannot be made: {describe(error)}") from error
    check_declarations(dispatcher, title)
    return dispatcher


def _declared(dispatcher: Dispatcher, folder: Path, title: str) -> set[str]:
    """Return the absolute paths of the files that a rule declares."""
    places = [folder / file for file in dispatcher.files]
    for place in places:
        if not os.path.isfile(place):
            raise DispatcherError(f"{title}: declares the file {place}, but there is none")
    return {os.path.realpath(place) for place in places}


def _entry_points() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


Found = tuple[type[Dispatcher], dict[str, str]]
"""A class, and the hash of each file of users that it was made of."""


def _by_name(name: str) -> Found:
    if name in BUILT_IN:
        return BUILT_IN[name], {}
    installed = _entry_points().get(name)
    if installed is None:
        near = difflib.get_close_matches(name.upper(), available(), n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise DispatcherError(f"there is no dispatcher {name!r}{hint}, known are {', '.join(available())}")
    try:
        module, hashes = load(installed.module, None)
        rule = operator.attrgetter(installed.attr)(module)
    except (Exception, SystemExit) as error:
        raise DispatcherError(f"{name}: {installed.value} cannot be imported: {describe(error)}") from error
    return _checked_class(rule, name), hashes


def _by_path(path: str, folder: Path) -> Found:
    module_name, _, class_name = path.partition(":")
    if not module_name or not class_name:
        raise DispatcherError(f"class must be module:Class, got {path!r}")
    module, hashes = _import(module_name, folder, path)
    if not hasattr(module, class_name):
        found = [
            key for key, value in vars(module).items() if _is_dispatcher(value) and value.__module__ == module.__name__
        ]
        raise DispatcherError(
            f"{path}: {module.__file__ or module_name} has no {class_name}, "
            f"its dispatchers are {', '.join(found) or 'none'}"
        )
    return _checked_class(getattr(module, class_name), path), hashes


def _is_dispatcher(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Dispatcher)


def _checked_class(rule: Any, title: str) -> type[Dispatcher]:
    if not _is_dispatcher(rule):
        kind = rule.__name__ if isinstance(rule, type) else type(rule).__name__
        raise DispatcherError(f"{title}: must be a subclass of dispatchers.Dispatcher, got {kind}")
    return rule


def _import(name: str, folder: Path, title: str) -> Loaded:
    try:
        return load(name, folder)
    except ModuleNotFoundError as error:
        if error.name == name.partition(".")[0]:
            file = folder.joinpath(*name.split(".")).with_suffix(".py")
            raise DispatcherError(f"{title}: there is no module {name}, neither {file} nor an installed one") from None
        raise DispatcherError(f"{title}: cannot be imported: {describe(error)}") from error
    except SyntaxError as error:
        raise DispatcherError(f"{title}: {error.filename}:{error.lineno}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        raise DispatcherError(f"{title}: cannot be imported: {describe(error)}") from error


def _checked_options(rule: type[Dispatcher], options: dict[str, Any], title: str) -> dict[str, Any]:
    parameters = list(inspect.signature(rule).parameters.values())
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return options
    allowed = [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_POSITIONAL]
    for option in options:
        if option not in allowed:
            raise DispatcherError(f"{title}: unknown option {option}, allowed are {', '.join(allowed) or 'none'}")
    for parameter in parameters:
        if parameter.default is parameter.empty and parameter.name in allowed and parameter.name not in options:
            raise DispatcherError(f"{title}: needs the option {parameter.name}")
    return options


def _find_file(file: Any, option: str, folder: Path, shipped: Path | None, title: str) -> Path:
    if not isinstance(file, str):
        raise DispatcherError(f"{title}: {option} must be the name of a file, got {file!r}")
    places = [folder / file] + ([shipped / file] if shipped is not None else [])
    for place in places:
        if os.path.isfile(place):
            return place
    looked_for = " and ".join(str(place) for place in places)
    raise DispatcherError(f"{title}: there is no {option} {one_line(file, 60)}, looked for {looked_for}")
