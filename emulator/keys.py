"""What all mappings of a scenario have in common: exact types, finite numbers, no unknown keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from emulator.errors import InputError
from emulator.text import show, text_of

_MUST_BE = {
    "finite_number": "finite",
    "int_type": "an integer",
    "bool_type": "true or false",
    "float_type": "a number",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "greater_than": "> {gt}",
    "greater_than_equal": ">= {ge}",
    "less_than": "< {lt}",
    "less_than_equal": "<= {le}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "literal_error": "{expected}",
}
"""What a value must be, by the type of pydantic's error."""


class ScenarioError(InputError):
    """A value that does not go with the rest; `key` says which, dotted, seen from where it was checked."""

    def __init__(self, key: str, message: str):
        super().__init__(key, message)
        self.key, self.message = key, message

    def __str__(self) -> str:
        return f"{self.key} {self.message}".strip()


class Section(BaseModel):
    """A mapping of a scenario, read once and then fixed."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def _one_line(text: str) -> str:
    if not text.strip() or not text.isprintable() or len(text) > 100:
        raise ScenarioError("", f"must be one line of 1 to 100 characters, got {show(text)}")
    return text


def check_name_or_class(name_key: str, name: object, class_: str | None) -> None:
    """Raise `ScenarioError` unless either a name is given or a class, which is `module:Class`."""
    if (class_ is None) == (name is None):
        raise ScenarioError("", f"needs either {name_key} or class" + (", got both" if name else ""))
    if class_ is not None and not re.fullmatch(r"\w+(\.\w+)*:\w+", class_):
        raise ScenarioError("class", f"must be module:Class, got {show(class_)}")


OneLine = Annotated[str, AfterValidator(_one_line)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]

AnySection = TypeVar("AnySection", bound=Section)


def checked(section: type[AnySection], values: Mapping[str, Any], *, untold: str = "") -> AnySection:
    """Return keys as a section; `ScenarioError` for the first wrong one, where `untold` is not called allowed."""
    try:
        return section.model_validate(dict(values))
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
    key, context = ".".join(map(str, details["loc"])), details.get("ctx", {})
    if isinstance(cause := context.get("error"), ScenarioError):
        raise ScenarioError(".".join(filter(None, [key, cause.key])), cause.message)
    if details["type"] == "missing":
        raise ScenarioError(key, f"is missing: {description_of(section, key)}")
    if details["type"] == "extra_forbidden":
        raise ScenarioError(key, unknown(key, (name for name in section.model_fields if name != untold)))
    raise ScenarioError(key, f"{expected(details['type'], context)}, got {show(details['input'])}")


def expected(kind: str, context: Mapping[str, Any]) -> str:
    """Return what a value must be, by the type and the context of pydantic's error."""
    bounds = {
        name: text_of(bound) if isinstance(bound, float) else str(bound).replace("'", "")
        for name, bound in context.items()
    }
    return f"must be {_MUST_BE[kind].format(**bounds)}" if kind in _MUST_BE else f"cannot be used ({kind})"


def unknown(key: str, allowed: Iterable[str]) -> str:
    """Return what is to be said of a key that is not allowed."""
    allowed = list(allowed)
    close = get_close_matches(key.lower(), allowed, n=1)
    hint = f", did you mean {close[0]}?" if close else ";"
    return f"is unknown{hint} allowed are {', '.join(allowed) or 'none'}"


def description_of(section: type[Section], key: str) -> str:
    """Return what a key of a section says, without the full stop."""
    return str(section.model_fields[key].description).rstrip(".")
