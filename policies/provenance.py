"""Where a policy comes from: what its file says of that, by content and never by where files lie.

So a project that was moved, or is reached by another name, is the same one, and a file tells nobody's folders.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dispatchers.errors import DispatcherError
from dispatchers.onnx_files import model as model_file
from emulator.errors import InputError

if TYPE_CHECKING:
    from emulator.scenario.scenario import Scenario

LIBRARIES = ["torch", "stable-baselines3", "sb3-contrib", "cma", "numpy"]
"""What a policy's bits depend on."""

SCENARIOS = ("training_scenario", "score_on")
"""What is told of scenarios, as JSON."""

NETWORK, STATION = ("messages", "decide", "dispatch"), ("server", "classes", "patience", "failures", "retries")
MEASURING = ("warmup", "batches", "measures", "power")
"""Keys of a scenario that are not told: policies are learned and scored with schedulers in step and FIFO queues, by
the drops of whole episodes."""

FILES = (("topology", "path"), ("training", "score"))
"""Keys of a scenario that name files: a graph's, told by its hash, and the scenario whose values are `score_on`."""

_FOLDERS = re.compile(r"""(?:^|(?<=[=:(\[{,\s"']))/(?:[^/,)\]}"']+/)*(?=[^/,)\]}"'])""")
"""The folders of an absolute path, also of one inside a command or a value."""


def is_same(told: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    """Return whether all that is wanted was told, whatever files were called."""
    return all(_content(key, told.get(key)) == _content(key, text) for key, text in wanted.items())


def without_folders(text: str) -> str:
    """Return a text in which of every absolute path only the name is left."""
    return _FOLDERS.sub("", text)


@cache
def libraries() -> str:
    """Return the versions of `LIBRARIES`; each takes a millisecond to look up, and a sweep asks at all its points."""
    return ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)


def metadata_of(path: Path) -> dict[str, str]:
    """Return what a policy's file says of itself. Raises `InputError`."""
    try:
        return model_file.metadata(path)
    except DispatcherError as error:
        raise InputError(str(error)) from None


def values_of(scenario: Scenario) -> str:
    """Return what a file says of a scenario, as JSON: all values that training and scoring depend on."""
    values = scenario.model_dump(
        exclude={
            "folder",
            "dispatchers",
            "replications",
            "engine",
            "compared_points",
            "trace",
            "plot",
            *NETWORK,
            *STATION,
            *MEASURING,
        },
        exclude_none=True,
        mode="json",
    )
    training = values.get("training", {})
    training.pop("seed", None)  # which is told apart
    if training.get("draws") == "job":
        del training["draws"]  # as if it were not said
    for section, key in FILES:
        if key in values.get(section, {}):
            values[section][key] = without_folders(values[section][key])
    return json.dumps(values)


def graph_of(scenario: Scenario, key: str) -> dict[str, str]:
    """Return, by `key`, the hash of a graph that comes from a file."""
    if getattr(scenario.topology, "path", None) is None:
        return {}
    return {key: scenario.topology.build(scenario.seed).graph_hash}


def _content(key: str, text: Any) -> Any:
    """Return what two texts of the same content have in common."""
    if key not in SCENARIOS:
        return text
    try:
        values = json.loads(text)
        for section, name in FILES:
            values.get(section, {}).pop(name, None)
    except (TypeError, ValueError, AttributeError, RecursionError):  # nothing that `values_of` wrote
        return text
    return values
