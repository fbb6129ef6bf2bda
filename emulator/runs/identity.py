"""What results depend on: the values of the scenario, the content of files, the version of this software."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulator.results.columns import EPISODES
from emulator.runs.check import Checked, shipped_policies
from emulator.scenario.plan import Plan
from emulator.version import __version__

Identity = dict[str, str]
"""Names and texts; of files their hashes."""

OPENED = "opened "
"""How the names of files begin that a dispatcher has opened without being asked to declare them."""

COLUMNS = "columns"
"""The name under which the columns of the episodes stand."""

NOT_COUNTED = ("replications", "precision", "paired_precision", "measures", "name", "plot", "training", "folder")
"""Keys that may change from one run to the next in the same results folder."""


def identity_of(plan: Plan, checked: Checked) -> Identity:
    """Return what the episodes of a plan depend on; files count by their content, wherever they stand."""
    resolved = {key: value for key, value in plan.resolved().items() if key not in NOT_COUNTED}
    resolved["dispatchers"] = [_without_files(spec, plan.folder) for spec in resolved["dispatchers"]]
    resolved["topology"] = _without_path(resolved["topology"])
    texts = {key: json.dumps(_plain(value), sort_keys=True, default=str) for key, value in resolved.items()}
    files = {f"file {name}": value for name, value in sorted(checked.files.items())}
    opened = {f"{OPENED}{name}": value for name, value in sorted(checked.opened.items())}
    columns = ", ".join(column.name for column in EPISODES)
    return {**texts, **files, **opened, "version": __version__, COLUMNS: columns}


def difference(found: Mapping[str, str], wanted: Mapping[str, str]) -> str | None:
    """Return of what the results that were found are, where they are not those that are wanted; else None."""
    changed = next((name for name in {**wanted, **found} if not _is_alike(found, wanted, name)), None)
    if changed is None:
        return None
    if changed == COLUMNS:
        return "results of another version, whose files have other columns"
    if changed.startswith(("file ", OPENED)):
        return f"results of another {changed.partition(' ')[2]}"
    texts = (identity.get(changed, "none").strip('"') for identity in (found, wanted))
    before, now = (text if len(text) <= 60 else f"{text[:57]}..." for text in texts)
    return f"results of another scenario ({changed}: {before}, now {now})"


def _is_alike(found: Mapping[str, str], wanted: Mapping[str, str], name: str) -> bool:
    """Return whether two identities agree in a name; a file that is opened need not be so every time."""
    before, now = found.get(name), wanted.get(name)
    return before == now or (name.startswith(OPENED) and None in (before, now))


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


def _without_path(topology: Any) -> Any:
    """Return a topology, or several, in which a file of edges only says that it is one."""
    if isinstance(topology, list):
        return [_without_path(item) for item in topology]
    if isinstance(topology, dict) and "path" in topology:
        paths = topology["path"]
        return topology | {"path": ["a file"] * len(paths) if isinstance(paths, list) else "a file"}
    return topology


def _plain(value: Any) -> Any:
    """Return a value in which 5.0 is 5."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
