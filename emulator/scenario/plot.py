"""The picture of a run, or of trainings, as a scenario asks for it: its axes, its texts, a number to compare with."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from emulator.keys import OneLine, ScenarioError, Section
from emulator.text import text_of

OfTraining = Literal["learning_curve", "training_time"]
KINDS_OF_TRAINING = get_args(OfTraining)
"""Pictures that are drawn from the logs of trainings, not from drops in an emulation."""

OF_LINES = ("differences_within", "together")
"""Keys that say something of lines alone, and only of an emulation's."""


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

    kind: Literal["lines", "bars", "columns", OfTraining] | None = None
    """lines over x; bars, which lie; columns, which stand; of trainings, learning_curve or training_time. By default
    lines if a number is swept, else bars."""
    x: Annotated[str, Field(min_length=1)] | None = None
    """The horizontal axis of lines and training_time: delta_t, nodes (how many there are), or another number that is
    swept; of learning_curve: decisions (the default), iteration or seconds."""
    y: Annotated[str, Field(min_length=1)] | None = None
    """Of an emulation: the measure that is shown, by its name or its short name; drops_per_queue if not given."""
    interval: Literal["band", "bars"] = "band"
    """How lines show the 95 % intervals: as a shaded band or as error bars."""
    x_label: OneLine | None = None
    """Text along the axis of x, or along the dispatchers where there are bars or columns."""
    y_label: OneLine | None = None
    """Text along the axis of the measure, returns or seconds."""
    title: OneLine | None = None
    """Text above the picture, by default the name; braces are filled in with {nodes} and keys of the scenario."""
    log_x: bool | None = None
    """Whether the axis of x is logarithmic; by default if its values are far apart, but not of learning_curve."""
    y_min: float | None = None
    """Where the axis of the measure, returns or seconds begins; by default at 0, returns below the lowest one."""
    y_max: float | None = None
    """Where the axis of the measure, returns or seconds ends."""
    reference: Reference | None = None
    """A number from a policy file to compare with."""
    differences_within: Annotated[float, Field(gt=0)] | None = None
    """Of lines: below each panel a second one shows the differences from the first dispatcher,
    paired by replication; its axis reaches from minus this number to this number."""
    together: dict[OneLine, Annotated[list[str], Field(min_length=2)]] | None = None
    """Of lines: labels of dispatchers that are one thing several times, such as an algorithm trained with several
    seeds, by the name of the one line that shows the mean of their means, shaded from the least to the greatest."""

    @model_validator(mode="after")
    def _check(self) -> Plot:
        for key in OF_LINES:
            if self.kind not in (None, "lines") and getattr(self, key) is not None:
                raise ScenarioError(key, f"must stand beside kind: lines, got {self.kind}")
        for key in ("x", "log_x"):
            if self.kind in ("bars", "columns") and getattr(self, key) is not None:
                raise ScenarioError(key, f"must stand beside kind: lines or one of trainings, got {self.kind}")
        if self.kind in KINDS_OF_TRAINING and self.y is not None:
            raise ScenarioError("y", f"must stand beside kind: lines, bars or columns, got {self.kind}")
        if self.kind in KINDS_OF_TRAINING and self.reference is not None:
            raise ScenarioError("reference", f"must stand beside kind: lines, bars or columns, got {self.kind}")
        if self.y_max is not None and self.bottom is not None and self.y_max <= self.bottom:
            raise ScenarioError("y_max", f"must be > y_min {text_of(self.bottom)}, got {text_of(self.y_max)}")
        return self

    @property
    def ends(self) -> tuple[float | None, float | None]:
        """Where the axis of the measure, returns or seconds begins and ends; None where what is drawn decides."""
        return self.bottom, self.y_max

    @property
    def bottom(self) -> float | None:
        """Where the vertical axis begins; None if what is drawn decides, as of returns, which are negative."""
        return 0.0 if self.y_min is None and self.kind != "learning_curve" else self.y_min

    @property
    def is_broken(self) -> bool:
        """Whether the foot of bars, 0, lies below the axis."""
        return self.y_min is not None and self.y_min > 0.0
