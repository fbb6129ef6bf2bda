"""What is wrong with a scenario, where it stands, and what is allowed: pydantic's errors in our words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from emulator.keys import ScenarioError, description_of, expected, unknown
from emulator.scenario.scenario import KINDS, SECTIONS, Scenario
from emulator.scenario.yaml_tree import Node, Place
from emulator.text import to_text

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

NEVER_SWEPT = {"name", "folder", "extends", "zip", "dispatchers", "replications", "engine", "trace"} | {
    "compared_points",
    "precision",
    "paired_precision",
    "warmup",
    "batches",
    "measures",
    "power",
    "plot",
}
"""Keys, with all below them, that have one value for the whole file."""


class Problem(NamedTuple):
    """One thing to mend."""

    place: Place
    message: str
    is_missing: bool = False
    """Whether a key is missing, so that only the mapping which lacks it has a place."""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


def problems_in(error: ValidationError, tree: Node) -> Iterator[Problem]:
    """Yield what pydantic found wrong in the scenario that `tree` holds."""
    for details in error.errors(include_url=False):
        yield _problem(details, tree)


def _problem(details: ErrorDetails, tree: Node) -> Problem:
    kind, context, location = details["type"], details.get("ctx", {}), list(details["loc"])
    section = SECTIONS.get(tuple(part for part in location[:-1] if isinstance(part, str)))
    cause = context.get("error")
    if isinstance(cause, ScenarioError):
        inside = [part for part in location if part != "[key]"]  # pydantic's word for a key that is wrong itself
        node, key = locate(tree, [*inside, *filter(None, cause.key.split("."))])
        return Problem(node.place, f"{key} {cause.message}")
    if kind == "union_tag_invalid":
        location.append("kind")
    node, key = locate(tree, location)
    if kind == "missing" and section is not None:
        return Problem(node.place, f"{key} is missing: {description_of(section, str(location[-1]))}", is_missing=True)
    if kind == "union_tag_not_found":
        return Problem(
            node.place, f"{key}.kind is missing: one of {', '.join(KINDS[str(location[0])])}", is_missing=True
        )
    if kind == "extra_forbidden" and section is not None:
        allowed = [*section.model_fields, *(["extends", "zip"] if section is Scenario else [])]
        return Problem(node.key_place or node.place, f"{key} {unknown(str(location[-1]), allowed)}")
    return Problem(node.place, f"{key} {_expectation(kind, context, location, node)}, got {node.shown}")


def _expectation(kind: str, context: dict[str, object], location: Sequence[int | str], node: Node) -> str:
    """Return what a value that is there must be."""
    if kind == "union_tag_invalid":
        return f"must be one of {', '.join(KINDS[str(location[0])])}"
    if node.value == []:
        return "must not be an empty list"
    is_list_for_one = isinstance(node.value, list) and kind not in ("dict_type", "too_short")
    if is_list_for_one and location[0] in NEVER_SWEPT:
        return "takes one value and does not sweep"
    if kind == "float_type" and type(node.value) is int:  # beyond the largest float
        kind = "finite_number"
    return expected(kind, context)


def locate(tree: Node, location: Sequence[int | str]) -> tuple[Node, str]:
    """Return the node at a location, or the last one on the way to it, and the location as a dotted key."""
    node, keys = tree, []
    for depth, part in enumerate(location, 1):
        if depth == 2 and part in KINDS.get(str(location[0]), ()):  # its kind, which pydantic adds
            continue
        keys.append(str(part) if str(part).isdigit() else to_text(part))
        node = node.child(part) or node
    return node, ".".join(keys)
