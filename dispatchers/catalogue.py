"""How a scenario's dispatchers are found: built-in names, classes in a user's module, entry points of packages."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from dispatchers.checking import check_declarations
from dispatchers.contract import Dispatcher
from dispatchers.errors import DispatcherError, describe, describe_value, one_line
from dispatchers.plugins import Sort, files_of
from dispatchers.rules.actor_critic import ScalableActorCritic
from dispatchers.rules.basic import Random, SendToOwn
from dispatchers.rules.mean_field import MeanFieldGlobal, MeanFieldNeighbourhood, MeanFieldOwn, ParameterSharing
from dispatchers.rules.memory import JoinShortestQueueWithMemory, RoundRobin
from dispatchers.rules.recurrent import MeanFieldRecurrent
from dispatchers.rules.shortest import JoinShortestQueue, ShortestExpectedDelay
from dispatchers.user_modules import files_named_in

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

SORT = Sort(
    "dispatcher", "dispatchers", Dispatcher, "dispatchers.Dispatcher", group="emulator.dispatchers", built_in=BUILT_IN
)


class Made(NamedTuple):
    """A dispatcher, and what it depends on: its `Files`, and its world."""

    dispatcher: Dispatcher
    files: dict[str, str]
    opened: dict[str, str]
    hashes: dict[str, str]
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
    """Make and try out a dispatcher, its files in `folder`, then among the `shipped`. Raises `DispatcherError`."""
    title = name or class_ or ""
    folder = Path(os.path.abspath(folder))
    rule, world = (BUILT_IN[name], None) if name in BUILT_IN else SORT.find(name, class_, folder)
    with world or nullcontext():
        dispatcher, named = _made(rule, dict(options or {}), title, folder, shipped)
        try_out(dispatcher)
        options_files = {path for _, path in named}
        named += [file for file in _declared(dispatcher, folder, title) if file[1] not in options_files]
    return Made(dispatcher, *files_of(named, world), world or nullcontext())


def _made(
    rule: type[Dispatcher], options: dict[str, Any], title: str, folder: Path, shipped: Path | None
) -> tuple[Dispatcher, list[tuple[str, str]]]:
    """Return a dispatcher, and the files that its options name, each with the option's name."""
    try:
        parameters = inspect.signature(rule).parameters
        _check_options(parameters, options, title)
        file_options, named = _file_options(rule, title), []
        for option in file_options:
            default = parameters[option].default if option in parameters else None
            if options.get(option, default) is not default:
                options[option] = str(_find_file(options[option], option, folder, shipped, title))
                named.append((option, options[option]))
        for option, value in options.items():
            if option not in file_options:
                named += [(option, path) for path in files_named_in(value, folder)]
        dispatcher = rule(**options)
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


def _check_options(parameters: Mapping[str, inspect.Parameter], options: dict[str, Any], title: str) -> None:
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    allowed = [name for name, parameter in parameters.items() if parameter.kind is not parameter.VAR_POSITIONAL]
    for option in options:
        if option not in allowed:
            raise DispatcherError(f"{title}: unknown option {option}, allowed are {', '.join(allowed) or 'none'}")
    for name in allowed:
        if parameters[name].default is inspect.Parameter.empty and name not in options:
            raise DispatcherError(f"{title}: needs the option {name}")


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
