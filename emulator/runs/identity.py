"""What results depend on: the values of the scenario, the content of files, the version of this software.

A cell (a dispatcher at a point of a sweep) has a hash of all that its episodes depend on; by it the episodes of an
earlier run are known again in another one, whatever else that asks for. The identity of a whole run, in texts, says
what differs where some are not.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from dispatchers.user_modules import hash_of
from emulator.results.columns import EPISODES
from emulator.runs.check import Checked, shipped_policies
from emulator.runs.tasks import Cell, Cells
from emulator.scenario.dispatchers import DispatcherSpec
from emulator.scenario.plan import Plan
from emulator.scenario.scenario import Scenario
from emulator.text import show
from emulator.version import __version__

Identity = dict[str, str]
"""Names and texts; of files their hashes."""

OPENED = "opened "
"""How the names of files begin that a dispatcher has opened without being asked to declare them."""

COLUMNS = "columns"
"""The name under which the columns of the episodes stand."""

ASKED = "asked"
"""The name under which stands how many replications were asked for, which may change."""

HOW_MANY = ("replications", "precision", "paired_precision")
"""Keys that say how many."""

NOT_COUNTED = ("replications", "precision", "paired_precision", "measures", "name", "plot", "training", "folder")
"""Keys that may change from one run to the next in the same results folder."""

NOT_OF_EPISODES = (*NOT_COUNTED, "engine", "compared_points", "trace", "dispatchers")
"""Keys that do not change what happens in an episode, or have their own hash."""


def identity_of(plan: Plan, checked: Checked) -> Identity:
    """Return what the episodes of a plan depend on; files count by their content, wherever they stand."""
    resolved = {key: value for key, value in plan.resolved().items() if key not in NOT_COUNTED}
    resolved["dispatchers"] = [_without_files(spec, plan.folder) for spec in resolved["dispatchers"]]
    resolved = _with_paths(resolved, lambda path: "a file")
    texts = {key: _text(value) for key, value in resolved.items()}
    files = {f"file {name}": value for name, value in sorted(checked.files.items())}
    opened = {f"{OPENED}{name}": value for name, value in sorted(checked.opened.items())}
    columns = ", ".join(column.name for column in EPISODES)
    first = plan.points[0].scenario
    asked = _text({key: getattr(first, key) for key in HOW_MANY})
    return {**texts, **files, **opened, "version": __version__, COLUMNS: columns, ASKED: asked}


def hashes_of(cells: Cells, checked: Checked) -> dict[Cell, str]:
    """Return for each cell 16 hexadecimal digits, which are equal where all is equal that its episodes depend on."""
    hashes = {}
    content = cache(lambda path: hash_of(path) or "")
    for row, files, abouts in zip(cells, checked.points, checked.cells, strict=True):
        of_point = _text([_of_scenario(row[0].scenario, content), files])
        for cell, about in zip(row, abouts, strict=True):
            text = f"{of_point}\n{_text([_of_dispatcher(cell.spec, about.defaults), about.files])}"
            hashes[cell] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return hashes


def _of_scenario(scenario: Scenario, content: Callable[[str], str]) -> Any:
    """Return the values of a scenario that change what happens, of files their content."""
    values = scenario.model_dump(exclude=set(NOT_OF_EPISODES), exclude_none=True, by_alias=True)
    return _with_paths(values, content)


def _of_dispatcher(spec: DispatcherSpec, defaults: Mapping[str, Any]) -> Any:
    """Return the values of a dispatcher that change what it does: not what it is called."""
    options = {**defaults, **_without_files(spec.options, spec.folder)}
    return {"name": spec.name, "class": spec.class_, "options": options}


def _text(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True, default=str)


def contradiction(found: Mapping[str, str], wanted: Mapping[str, str]) -> str | None:
    """Return of what the results that were found are if none of them can stand beside those that are wanted, else None.

    They are of another version or by another engine, a file that was opened has changed, or fewer traces are wanted.
    """
    if found.get(COLUMNS) != wanted[COLUMNS]:
        return "results of another version, whose files have other columns"
    for name in ("version", "engine"):
        if found.get(name) != wanted[name]:
            return _told(name, found, wanted)
    for name, value in found.items():
        if name.startswith(OPENED) and not _is_file_part(value, _file(name, wanted)):
            return f"results of another {name.partition(' ')[2]}"
    before, now = (json.loads(identity.get("trace", "{}")) for identity in (found, wanted))
    for key, count in before.items():
        if count > now.get(key, 0):
            return f"results of another scenario (trace.{key}: {count}, now {now.get(key, 0)}); traces are not removed"
    return None


def difference(found: Mapping[str, str], wanted: Mapping[str, str]) -> str | None:
    """Return of what the results that were found are, where that is no part of what is wanted; None if all of it is."""
    for name, before in sorted(found.items(), key=_how_little_it_says):
        if not _matters(name):
            continue
        if name.startswith("file "):
            if not _is_file_part(before, _file(name, wanted)):
                return f"results of another {name.partition(' ')[2]}"
        elif not _is_part(json.loads(before), json.loads(wanted.get(name, "null"))):
            if name == "dispatchers":
                return _told_dispatcher(json.loads(before), json.loads(wanted[name]))
            return _told(name, found, wanted)
    is_new = (name for name in wanted if name not in found and _matters(name) and not name.startswith("file "))
    return next((_told(name, found, wanted) for name in is_new), None)


def _how_little_it_says(item: tuple[str, str]) -> tuple[bool, bool]:
    """Return a key to sort by: numbers before lists and mappings, files last."""
    return item[0].startswith("file "), item[1].startswith(("{", "["))


def is_same(found: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Return whether two runs ask for the same."""
    names = {name for name in {**found, **wanted} if not name.startswith(OPENED)}
    return all(found.get(name) == wanted.get(name) for name in names)


def _matters(name: str) -> bool:
    """Return whether episodes cannot be the same where a name stands for something else."""
    others = (COLUMNS, ASKED, "version", "trace", "zip", "compared_points")
    return name not in others and not name.startswith(OPENED)


def _told(name: str, found: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    texts = (identity.get(name, "none").strip('"') for identity in (found, wanted))
    before, now = (text if len(text) <= 60 else f"{text[:57]}..." for text in texts)
    return f"results of another scenario ({name}: {before}, now {now})"


def _told_dispatcher(before: list[Any], now: list[Any]) -> str:
    """Return which of several dispatchers is no part of those that are wanted."""
    lost = next(each for each in before if not _is_part(each, now))
    alike = [each for each in now if _title(each) == _title(lost)]
    now_told = f"now {_shown(alike[0])}" if alike else "which is not among its dispatchers now"
    return f"results of {_shown(lost)}, {now_told}"


def _shown(spec: Any) -> str:
    """Return a dispatcher as people write it: its name before its options."""
    first = {key: spec[key] for key in ("name", "class", "label") if key in spec} if isinstance(spec, dict) else {}
    return show({**first, **spec} if first else spec)


def _title(spec: Any) -> Any:
    return spec if isinstance(spec, str) else spec.get("label") or spec.get("name") or spec.get("class")


def _is_part(before: Any, now: Any) -> bool:
    """Return whether a key's value, or all of its values, are among those that it has now."""
    if isinstance(before, list):
        return before == now or all(_is_part(value, now) for value in before)
    if isinstance(now, list):
        return any(_is_part(before, value) for value in now)
    if isinstance(before, str) and isinstance(now, dict):
        return {"name": before} == now
    if isinstance(before, dict) and isinstance(now, str):
        return {"name": now} == before
    if isinstance(before, dict) and isinstance(now, dict):
        return all(key in now and _is_part(value, now[key]) for key, value in before.items())
    return bool(before == now)


def _file(name: str, wanted: Mapping[str, str]) -> str | None:
    """Return the hashes of a file, whoever depends on it if a dispatcher is called otherwise now."""
    file = name.partition(" of ")[0]
    others = [value for other, value in wanted.items() if other.partition(" of ")[0] == file]
    return wanted.get(name) or " ".join(others) or None


def _is_file_part(before: str, now: str | None) -> bool:
    """Return whether what a name stood for is among what it stands for; it need not stand for anything every time."""
    return now is None or set(before.split()) <= set(now.split())


def _without_files(value: Any, folder: Path) -> Any:
    """Return a dispatcher's options in which what names a file only says so."""
    if isinstance(value, dict):
        fixed = {key: value[key] for key in ("name", "class", "label") if key in value}
        return {key: _without_files(item, folder) for key, item in value.items()} | fixed
    if isinstance(value, list):
        return [_without_files(item, folder) for item in value]
    places = (folder, shipped_policies() or folder)
    is_file = isinstance(value, str) and value and any(os.path.isfile(place / value) for place in places)
    return "a file" if is_file else value


def _with_paths(value: Any, content: Callable[[str], str]) -> Any:
    """Return plain data in which files that a key `path` names, one or several, are told by `content`."""
    if isinstance(value, list):
        return [_with_paths(item, content) for item in value]
    if not isinstance(value, dict):
        return value
    told = {key: _with_paths(item, content) for key, item in value.items()}
    if "path" in value:
        paths = value["path"]
        told["path"] = [content(path) for path in paths] if isinstance(paths, list) else content(paths)
    return told


def _plain(value: Any) -> Any:
    """Return a value in which 5.0 is 5."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
