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
from dispatchers.onnx_files.kinds import CONTRACT_VERSION
from emulator.errors import InputError
from emulator.version import __version__

if TYPE_CHECKING:
    from emulator.scenario.scenario import Scenario
    from policies.tasks import Task

LIBRARIES = ["torch", "stable-baselines3", "sb3-contrib", "cma", "numpy"]
"""What a policy's bits depend on."""

version = cache(metadata.version)
"""A library's version, which takes a millisecond to look up; a sweep asks for it at each of its points."""

SCENARIOS = ("training_scenario", "score_on")
"""What is told of scenarios, as JSON."""

FILES = (("topology", "path"), ("training", "score"))
"""Keys of a scenario that name files: a graph's, told by its hash, and the scenario whose values are `score_on`."""

_FOLDERS = re.compile(r"""(?:^|(?<=[=:(\[{,\s"']))/(?:[^/,)\]}"']+/)*(?=[^/,)\]}"'])""")
"""The folders of an absolute path, also of one inside a command or a value."""


def identity_of(task: Task) -> dict[str, str]:
    """Return what a policy's file says of how it came to be; all that its bits depend on."""
    scenario, training = task.scenario, task.training
    return {
        "contract_version": CONTRACT_VERSION,
        "buffer": str(scenario.buffer),
        "delta_t": f"{scenario.delta_t:g}",
        "topology": scenario.topology.kind,
        "algorithm": training.algorithm,
        "executed_as": task.algorithm.executed_as,
        **({"draws": "epoch"} if task.draws == "epoch" else {}),
        "training_scenario": _values(scenario),
        **_graph(scenario, "topology_hash"),
        "preset": training.preset,
        "hyperparameters": str(task.algorithm),
        "seed": str(task.seed),
        "version": __version__,
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    }


def scored_on(task: Task) -> dict[str, str]:
    """Return what a policy's file says of the system that it was scored on."""
    return {"score_on": _values(task.test), **_graph(task.test, "score_topology_hash")}


def is_same(told: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    """Return whether all that is wanted was told, whatever files were called."""
    return all(_content(key, told.get(key)) == _content(key, text) for key, text in wanted.items())


def without_folders(text: str) -> str:
    """Return a text in which of every absolute path only the name is left."""
    return _FOLDERS.sub("", text)


def metadata_of(path: Path) -> dict[str, str]:
    """Return what a policy's file says of itself. Raises `InputError`."""
    try:
        return model_file.metadata(path)
    except DispatcherError as error:
        raise InputError(str(error)) from None


def _values(scenario: Scenario) -> str:
    values = scenario.model_dump(
        exclude={"folder", "dispatchers", "replications", "engine", "compared_points", "trace", "plot"},
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


def _graph(scenario: Scenario, key: str) -> dict[str, str]:
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
    except (TypeError, ValueError, AttributeError, RecursionError):  # nothing that `_values` wrote
        return text
    return values
