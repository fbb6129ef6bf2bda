"""A dispatcher as a scenario gives it: its name or class, and options that may refer to other keys."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ConfigDict, Field, PrivateAttr, model_validator

from emulator.keys import OneLine, ScenarioError, Section, check_name_or_class
from emulator.text import show, text_of


class Swept(NamedTuple):
    """One value of an option that sweeps."""

    value: Any
    """What is passed to the dispatcher."""
    told: int | float | str
    """What its column has."""
    text: str
    """What the dispatcher's name has."""


class DispatcherSpec(Section):
    """A dispatcher by name or by class; every other key is an option of it."""

    model_config = ConfigDict(extra="allow")

    name: OneLine | None = None
    """A built-in dispatcher, or one that an installed package brings."""
    class_: str | None = Field(default=None, alias="class")
    """`module:Class`, the module beside the scenario or installed."""
    label: OneLine | None = None
    """What tables and traces call it; the name, or the class, if not given."""

    _folder: Path = PrivateAttr(default=Path())
    _swept: dict[str, int | float | str] = PrivateAttr(default_factory=dict)
    _distinction: str = PrivateAttr(default="")

    @property
    def folder(self) -> Path:
        """Where relative paths and modules of this dispatcher are looked up."""
        return self._folder

    @property
    def options(self) -> dict[str, Any]:
        """What is passed to the dispatcher by name."""
        return dict(self.model_extra or {})

    @property
    def swept(self) -> Mapping[str, int | float | str]:
        """The values of its options that sweep, as tables have them."""
        return self._swept

    @property
    def family(self) -> str:
        """What it is called whatever values its options take."""
        return self.label or self.name or str(self.class_).partition(":")[2]

    @property
    def display(self) -> str:
        """What tables and traces call it: its family, and what tells it from others of it, as `JSQ-M weight=2`."""
        return self.family + self._distinction

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, data: Any) -> Any:
        if not isinstance(data, str | dict):
            raise ScenarioError("", f"must be a name such as JSQ, or a mapping with name or class, got {show(data)}")
        return {"name": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _check(self) -> DispatcherSpec:
        check_name_or_class("name", self.name, self.class_)
        return self

    def resolved(self, values: Mapping[str, int | float | str], folder: Path) -> DispatcherSpec:
        """Return the same with a folder, and with braces in options filled from `values`, by dotted key."""
        spec = self.model_copy()
        spec._folder = folder
        assert spec.model_extra is not None
        spec.model_extra.update({key: filled(value, values, key) for key, value in self.options.items()})
        return spec

    def variant(self, options: Mapping[str, Swept], *, is_told: bool) -> DispatcherSpec:
        """Return the same with values of options that sweep; `is_told` says whether they are a part of its name."""
        spec = self.model_copy()
        assert spec.model_extra is not None
        spec.model_extra.update({option: swept.value for option, swept in options.items()})
        spec._swept = self._swept | {option: swept.told for option, swept in options.items()}
        if is_told:
            spec._distinction += "".join(f" {option}={swept.text}" for option, swept in options.items())
        return spec


def filled(value: Any, values: Mapping[str, int | float | str], key: str) -> Any:
    """Return an option with its braces filled: `torus_{delta_t}` is `torus_5`, `{{` is `{`. Raises `ScenarioError`."""
    if isinstance(value, list):
        return [filled(item, values, f"{key}.{index}") for index, item in enumerate(value)]
    if isinstance(value, dict):
        return {inner: filled(item, values, f"{key}.{inner}") for inner, item in value.items()}
    if not isinstance(value, str):
        return value
    try:
        parts = list(string.Formatter().parse(value))
    except ValueError as error:
        raise ScenarioError(key, f"has braces that do not match ({error}), got {show(value)}") from None
    text = ""
    for plain, name, form, conversion in parts:
        text += plain
        if name is None:
            continue
        if name not in values or form or conversion:
            raise ScenarioError(key, f"may hold in braces {', '.join(values)}, got {show(value)}")
        text += text_of(values[name])
    return text
