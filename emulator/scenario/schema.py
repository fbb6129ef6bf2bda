"""The JSON Schema (draft 2020-12) of scenario files, with which editors complete and check keys."""

from __future__ import annotations

from typing import Any

from emulator.model.laws import LAWS
from emulator.scenario.plugins import PluggedLaw
from emulator.scenario.scenario import SECTIONS, Scenario, dotted
from emulator.scenario.sweep import LIST_DEPTHS


def json_schema() -> dict[str, Any]:
    """Return the schema: each key with its description, default and bounds, and lists where they sweep."""
    schema = _tidied(Scenario.model_json_schema(by_alias=True))
    definitions = schema["$defs"]
    places = {model: section for section, model in SECTIONS.items()}  # one of those where a model stands
    for model, section in places.items():
        owner = definitions[model.__name__] if section else schema
        if section[:1] == ("topology",) and len(section) == 2:
            owner["required"] = ["kind", *owner.get("required", [])]
            del owner["properties"]["kind"]["default"]
        for key, entry in owner["properties"].items():
            if dotted(section, key) in LIST_DEPTHS:
                owner["properties"][key] = _sweeping(entry)
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
    schema["properties"]["extends"] = {
        "type": "string",
        "description": "Another scenario file, relative to this one, whose keys hold unless they stand here.",
    }
    # A file that extends another may say any part of a scenario, and of its topology.
    required = [key for key in schema.pop("required") if key != "name"]
    part = {"type": "object", "not": {"anyOf": [{"required": ["kind"]}, {"required": ["class"]}]}}
    schema["properties"]["topology"]["anyOf"].append(part)
    whole = {"required": required, "properties": {"topology": {"not": part}}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Scenario",
        **schema,
        "if": {"not": {"required": ["extends"]}},
        "then": whole,
    }


def _keys_of(law: str) -> dict[str, Any]:
    """Return what a mapping must hold that names a law which comes with this software."""
    schema = _tidied(LAWS[law].model_json_schema(by_alias=True))
    keys = {key: _sweeping(entry) for key, entry in schema["properties"].items() if key != "law"}
    named = {"properties": {"law": {"const": law}}, "required": ["law"]}
    return {"if": named, "then": {"properties": keys, "required": schema.get("required", [])}}


def _sweeping(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a key's schema that also takes a list of its values."""
    outside = {name: part for name, part in entry.items() if name in ("description", "default")}
    value = {name: part for name, part in entry.items() if name not in outside}
    values = {"type": "array", "items": value, "minItems": 1, "uniqueItems": True}
    return {**outside, "anyOf": [value, values]}


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
