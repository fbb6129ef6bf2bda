"""The picture of a run as a scenario asks for it: its axes, its texts, and a number to compare with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from emulator.section import OneLine, ScenarioError, Section
from emulator.yaml_tree import number_text


class Reference(Section):
    """A number in the metadata of a policy file, drawn as a line across the picture."""

    policy: Annotated[str, Field(min_length=1)]
    """The ONNX file, found like a dispatcher's policy; braces are filled in like in its options."""
    key: Annotated[str, Field(min_length=1)]
    """The number's key in the file's metadata; the ends of its interval, if there, end in _low and _high."""
    label: OneLine | None = None
    """What the legend calls it; the key, if not given."""


class Plot(Section):
    """What the picture shows; every key is optional, and none changes the results."""

    kind: Literal["lines", "bars", "columns"] | None = None
    """lines over x; bars, which lie; columns, which stand. By default lines if a number is swept, else bars."""
    x: Annotated[str, Field(min_length=1)] | None = None
    """The horizontal axis of lines: delta_t, nodes (how many there are), or another number that is swept."""
    interval: Literal["band", "bars"] = "band"
    """How lines show the 95 % intervals: as a shaded band or as error bars."""
    x_label: OneLine | None = None
    """Text along the axis of x, or along the dispatchers where there are bars or columns."""
    y_label: OneLine | None = None
    """Text along the axis of the drops."""
    title: OneLine | None = None
    """Text above the picture, by default the name; braces are filled in with {nodes} and keys of the scenario."""
    log_x: bool | None = None
    """Whether the axis of x is logarithmic; by default if its values are far apart."""
    y_min: float = 0.0
    """Where the axis of the drops begins."""
    y_max: float | None = None
    """Where the axis of the drops ends."""
    reference: Reference | None = None
    """A number from a policy file to compare with."""

    @model_validator(mode="after")
    def _check(self) -> Plot:
        for key in ("x", "log_x"):
            if self.kind in ("bars", "columns") and getattr(self, key) is not None:
                raise ScenarioError(key, f"must stand beside kind: lines, got {self.kind}")
        if self.y_max is not None and self.y_max <= self.y_min:
            raise ScenarioError("y_max", f"must be > y_min {number_text(self.y_min)}, got {number_text(self.y_max)}")
        return self
