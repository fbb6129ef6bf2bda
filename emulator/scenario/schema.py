"""The JSON Schema (draft 2020-12) of scenario files, with which editors complete and check keys."""

from __future__ import annotations

from typing import Any

from emulator.model.laws import LAWS
from emulator.scenario import arrivals
from emulator.scenario.plugins import PluggedLaw
from emulator.scenario.ranges import POINT_LIMIT
from emulator.scenario.scenario import KINDS, SECTIONS, Scenario, dotted
from emulator.scenario.sweep import LIST_DEPTHS


def json_schema() -> dict[str, Any]:
    """Return the schema: each key with its description, default and bounds, and lists where they sweep."""
    schema = _tidied(Scenario.model_json_schema(by_alias=True))
    definitions = schema["$defs"]
    places = {model: section for section, model in SECTIONS.items()}  # one of those where a model stands
    for model, section in places.items():
        owner = definitions[model.__name__] if section else schema
        if len(section) == 2 and section[0] in KINDS and section[1] != arrivals.DEFAULT:
            owner["required"] = ["kind", *owner.get("required", [])]
            del owner["properties"]["kind"]["default"]
        for key, entry in owner["properties"].items():
            if dotted(section, key) in LIST_DEPTHS:
                is_number = LIST_DEPTHS[dotted(section, key)] == 0 and _is_number(entry)
                owner["properties"][key] = _sweeping(entry, has_ranges=is_number)
    definitions["Law"] = {"allOf": list(map(_keys_of, LAWS))}
    names = {"PluggedLaw"} | {model.__name__ for model in places if issubclass(model, PluggedLaw)}
    for name in names:
        definitions[name]["$ref"] = "#/$defs/Law"
    for model in places:
        if hasattr(model, "short"):
            entry = definitions[model.__name__]
            definitions[model.__name__] = {"anyOf": [model.short, entry]}
    definitions["DispatcherSpec"]["oneOf"] = [{"required": ["name"]}, {"required": ["class"]}]
    schema["properties"]["dispatchers"]["items"] = {
        "anyOf": [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/DispatcherSpec"}]
    }
    law = {"type": "object", "anyOf": [{"required": ["law"]}, {"required": ["class"]}], "$ref": "#/$defs/Law"}
    definitions["Service"]["properties"]["work"]["anyOf"].append(_sweeping(law))
    definitions["Messages"]["properties"]["times"]["anyOf"].append(_sweeping({"enum": list(LAWS)}))
    schema["properties"]["topology"]["anyOf"].append(_sweeping({"type": "object", "required": ["class"]}))
    definitions["Range"] = RANGE
    schema["properties"]["zip"] = ZIP
    schema["properties"]["extends"] = {
        "type": "string",
        "description": "Another scenario file, relative to this one, whose keys hold unless they stand here.",
    }
    # A file that extends another may say any part of a scenario, of its topology, and of its arrivals.
    required = [key for key in schema.pop("required") if key != "name"]
    part = {"type": "object", "not": {"anyOf": [{"required": ["kind"]}, {"required": ["class"]}]}}
    without_kind = {"type": "object", "not": {"required": ["kind"]}}
    schema["properties"]["topology"]["anyOf"].append(part)
    schema["properties"]["arrivals"]["anyOf"].append(without_kind)
    switched = {"if": without_kind, "then": {"$ref": "#/$defs/Switched"}}
    whole = {"required": required, "properties": {"topology": {"not": part}, "arrivals": switched}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Scenario",
        **schema,
        "if": {"not": {"required": ["extends"]}},
        "then": whole,
    }


RANGE = {
    "type": "object",
    "description": "Numbers from one to another, by steps or so many at equal distances or ratios.",
    "properties": {
        "from": {"type": "number", "description": "The first number."},
        "to": {"type": "number", "description": "The last number; with step, none beyond it."},
        "step": {"type": "number", "not": {"const": 0}, "description": "The distance of each number from the next."},
        **{
            form: {
                "type": "integer",
                "minimum": 2,
                "maximum": POINT_LIMIT,
                "description": f"How many numbers, at equal {what}.",
            }
            for form, what in (("linspace", "distances"), ("logspace", "ratios"))
        },
    },
    "additionalProperties": False,
    "minProperties": 1,
}
"""A range, or a part of one in a file that extends another."""

_TOGETHER = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 2, "uniqueItems": True}

ZIP = {
    "description": "Keys that take their values together, the first of one with the first of the others: a list of "
    "dotted keys, such as [delta_t, topology.side], or several such lists.",
    "anyOf": [_TOGETHER, {"type": "array", "items": _TOGETHER}, {"type": "null"}],
}


def _is_number(entry: dict[str, Any]) -> bool:
    """Return whether a key's schema takes a number, itself or in short for a mapping."""
    shorts = {f"#/$defs/{model.__name__}" for model in SECTIONS.values() if _short_type(model) == "number"}
    choices = [entry, *entry.get("anyOf", [])]
    return any(choice.get("type") in ("number", "integer") or choice.get("$ref") in shorts for choice in choices)


def _short_type(model: Any) -> Any:
    return getattr(model, "short", {}).get("type")


def _keys_of(law: str) -> dict[str, Any]:
    """Return what a mapping must hold that names a law which comes with this software."""
    schema = _tidied(LAWS[law].model_json_schema(by_alias=True))
    keys = {key: _sweeping(entry) for key, entry in schema["properties"].items() if key != "law"}
    named = {"properties": {"law": {"const": law}}, "required": ["law"]}
    return {"if": named, "then": {"properties": keys, "required": schema.get("required", [])}}


def _sweeping(entry: dict[str, Any], *, has_ranges: bool = False) -> dict[str, Any]:
    """Return a key's schema that also takes a list of its values, and ranges if it is one number."""
    outside = {name: part for name, part in entry.items() if name in ("description", "default")}
    value = {name: part for name, part in entry.items() if name not in outside}
    ranges = [{"$ref": "#/$defs/Range"}] if has_ranges else []
    items = {"anyOf": [value, *ranges]} if ranges else value
    return {**outside, "anyOf": [value, {"type": "array", "items": items, "minItems": 1}, *ranges]}


def _tidied(schema: Any) -> Any:
    """Return pydantic's schema without titles, discriminators (OpenAPI's), and the null of optional keys."""
    if isinstance(schema, list):
        return [_tidied(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        name: _tidied(part)
        for name, part in schema.items()
        if part is not None and name != "discriminator" and not (name == "title" and isinstance(part, str))
    }
    choices = [choice for choice in kept.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        kept = {**{name: part for name, part in kept.items() if name != "anyOf"}, **choices[0]}
    return kept
