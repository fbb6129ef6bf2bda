"""What all mappings of a scenario have in common: exact types, finite numbers, no unknown keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from emulator.errors import InputError
from emulator.text import show


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


OneLine = Annotated[str, AfterValidator(_one_line)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
