"""How a scenario's dispatchers are found: built-in names, classes in a user's module, entry points of packages."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from dispatchers.checking import describe
from dispatchers.contract import Dispatcher
from dispatchers.errors import DispatcherError
from dispatchers.heuristics import JoinShortestQueue, Random, SendToOwn, ShortestExpectedDelay
from dispatchers.mean_field import (
    MeanFieldGlobal,
    MeanFieldNeighbourhood,
    MeanFieldOwn,
    MeanFieldRule,
    ParameterSharing,
)
from dispatchers.memory import JoinShortestQueueWithMemory, RoundRobin
from dispatchers.recurrent import MeanFieldRecurrent
from dispatchers.scalable_actor_critic import ScalableActorCritic

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

LEARNED = (MeanFieldRule, MeanFieldRecurrent, ScalableActorCritic)
"""Rules whose `policy` is the name of an ONNX file."""

GROUP = "emulator.dispatchers"
"""The group of entry points in which installed packages offer dispatchers."""


def available() -> list[str]:
    """Return the names a scenario can use: the built-in ones, then those of installed packages."""
    return [*BUILT_IN, *(name for name in _entry_points() if name not in BUILT_IN)]


def make(
    *,
    name: str | None = None,
    class_: str | None = None,
    options: Mapping[str, Any] | None = None,
    folder: Path = Path(),
    shipped: Path | None = None,
) -> Dispatcher:
    """Make a dispatcher by name or by `module:Class`, with options passed to its `__init__`.

    Modules and a `policy` are looked up in `folder`, then among what is installed, or in `shipped`. Raises
    `DispatcherError` with one line.
    """
    title = name or class_ or ""
    rule = _by_name(name) if name is not None else _by_path(class_ or "", folder)
    arguments = _checked_options(rule, dict(options or {}), title)
    if "policy" in arguments and issubclass(rule, LEARNED):
        _check_policy_name(arguments, title)
    if isinstance(arguments.get("policy"), str):
        arguments["policy"] = str(_find_policy(arguments["policy"], folder, shipped, title))
    try:
        return rule(**arguments)
    except DispatcherError as error:
        raise DispatcherError(f"{title}: {error}") from None
    except (Exception, SystemExit) as error:
        raise DispatcherError(f"{title}: cannot be made: {describe(error)}") from error


def _check_policy_name(arguments: Mapping[str, Any], title: str) -> None:
    """Refuse what is no name of a file; MF-R takes none beside a rule."""
    policy = arguments["policy"]
    if not isinstance(policy, str) and not (policy is None and arguments.get("rule") is not None):
        raise DispatcherError(f"{title}: policy must be the name of an ONNX file, got {policy!r}")


def _entry_points() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _by_name(name: str) -> type[Dispatcher]:
    if name in BUILT_IN:
        return BUILT_IN[name]
    installed = _entry_points().get(name)
    if installed is None:
        near = difflib.get_close_matches(name.upper(), available(), n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise DispatcherError(f"there is no dispatcher {name!r}{hint}, known are {', '.join(available())}")
    try:
        rule = installed.load()
    except (Exception, SystemExit) as error:
        raise DispatcherError(f"{name}: {installed.value} cannot be imported: {describe(error)}") from error
    return _checked_class(rule, name)


def _by_path(path: str, folder: Path) -> type[Dispatcher]:
    module_name, _, class_name = path.partition(":")
    if not module_name or not class_name:
        raise DispatcherError(f"class must be module:Class, got {path!r}")
    module = _import(module_name, folder.resolve(), path)
    if not hasattr(module, class_name):
        found = [
            key for key, value in vars(module).items() if _is_dispatcher(value) and value.__module__ == module.__name__
        ]
        raise DispatcherError(
            f"{path}: {module.__file__ or module_name} has no {class_name}, "
            f"its dispatchers are {', '.join(found) or 'none'}"
        )
    return _checked_class(getattr(module, class_name), path)


def _is_dispatcher(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Dispatcher)


def _checked_class(rule: Any, title: str) -> type[Dispatcher]:
    if not _is_dispatcher(rule):
        kind = rule.__name__ if isinstance(rule, type) else type(rule).__name__
        raise DispatcherError(f"{title}: must be a subclass of dispatchers.Dispatcher, got {kind}")
    return rule


def _import(name: str, folder: Path, title: str) -> ModuleType:
    """Import a module that stands in `folder`, under a name of its own, or else an installed one."""
    file = folder.joinpath(*name.split(".")).with_suffix(".py")
    try:
        if not file.is_file():
            with _first_on_path(folder):
                return importlib.import_module(name)
        # Two folders may each have a module of this name: each is known by where it is.
        unique = f"_beside_scenario_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}_{file.stem}"
        if unique in sys.modules:
            return sys.modules[unique]
        spec = importlib.util.spec_from_file_location(unique, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[unique] = module
        try:
            with _first_on_path(folder):
                spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[unique]
            raise
        return module
    except ModuleNotFoundError as error:
        if error.name == name.partition(".")[0]:
            raise DispatcherError(f"{title}: there is no module {name}, neither {file} nor an installed one") from None
        raise DispatcherError(f"{title}: cannot be imported: {describe(error)}") from error
    except SyntaxError as error:
        raise DispatcherError(f"{title}: {error.filename}:{error.lineno}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        raise DispatcherError(f"{title}: cannot be imported: {describe(error)}") from error


@contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    """Let a module import those beside it."""
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))


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


def _find_policy(policy: str, folder: Path, shipped: Path | None, title: str) -> Path:
    places = [folder / policy] + ([shipped / policy] if shipped is not None else [])
    for place in places:
        if place.is_file():
            return place
    raise DispatcherError(f"{title}: there is no policy {policy}, looked for {' and '.join(map(str, places))}")
