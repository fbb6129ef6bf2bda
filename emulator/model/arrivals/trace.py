"""Arrivals of a trace: those that somebody has recorded, replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from emulator.errors import InputError
from emulator.keys import ScenarioError
from emulator.machine.files import lasting_file
from emulator.model.arrivals.process import ArrivalProcess, Arrivals, Setting
from emulator.text import show

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.arrivals.records import Records

UNITS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3, "min": 6e4, "h": 3.6e6}
"""Units of time, in ms."""

Positive = Annotated[float, Field(gt=0)]


def _linear_form(value: Any) -> Any:
    if isinstance(value, str) and value:
        return {value: 1.0}
    if not isinstance(value, dict) or not value:
        raise ScenarioError("", f"must be a column or a mapping of columns to factors, got {show(value)}")
    return value


class Trace(ArrivalProcess):
    """Arrivals of a trace, replayed: at its end it begins anew."""

    kind: Literal["trace"] = "trace"
    path: Annotated[str, Field(min_length=1)]
    """The file: CSV, JSON lines or Parquet, gzipped or not."""
    time: Annotated[str, Field(min_length=1)]
    """The column that says when: dates, or numbers of the `unit`."""
    unit: Literal["ns", "us", "ms", "s", "min", "h"] | None = None
    """Of times that are numbers; without one, `rate` must say how fast it goes."""
    work: Annotated[dict[str, float], BeforeValidator(_linear_form)] | None = None
    """Columns that say how much work a job is, with their factors, or one column; the sum is divided by its mean. If
    not given, the law of work says it."""
    rate: Positive | None = None
    """Arrivals per ms of the mean scheduler, to which time is scaled; with speed, to which `rotate` thins."""
    speed: Positive | None = None
    """How much faster than recorded; 1 if there is no rate either."""
    assign: Literal["round_robin", "random", "column", "rotate"] = "round_robin"
    """Which scheduler meets what: each record one of them, in turn, at random or by the hash of a column, or all of
    them everything, each shifted by an amount of its own around the trace."""
    column: Annotated[str, Field(min_length=1)] | None = None
    """The column by which records are shared out, beside assign: column."""
    spread: Annotated[float, Field(ge=0)] = 0.0
    """Each time is put later by up to as much, ms, where the file's are rounded; before `speed` or `rate`."""

    @model_validator(mode="after")
    def _check(self) -> Trace:
        if self.rate is not None and self.speed is not None and self.assign != "rotate":
            raise ScenarioError("speed", "must not stand beside rate, for both scale time, unless assign is rotate")
        if (self.column is None) == (self.assign == "column"):
            told = "is missing: which column's hash says who meets a record"
            raise ScenarioError("column", told if self.column is None else "must stand beside assign: column")
        if self.weights is not None and self.assign in ("round_robin", "column"):
            raise ScenarioError("weights", f"must stand beside assign: random or rotate, got {self.assign}")
        return self

    @property
    def is_read(self) -> bool:
        """See `ArrivalProcess.is_read`."""
        return True

    @property
    def brings_work(self) -> bool:
        """See `ArrivalProcess.brings_work`."""
        return self.work is not None

    def records(self) -> Records:
        """Read the file. Raises `InputError`."""
        from emulator.model.arrivals.records import read_records

        ms = None if self.unit is None else UNITS[self.unit]
        form = tuple((self.work or {}).items())
        return read_records(self.path, self.time, ms, form, self.column, is_scaled=self.rate is not None)

    def recorded_rate(self, schedulers: int, largest_weight: float) -> float:
        """Return the records per ms as they are replayed, all together. Raises `InputError`."""
        records = self.records()
        if self.speed is not None or self.rate is None:
            return len(records.times) / records.cycle * (self.speed or 1.0)
        return self.rate * (largest_weight if self.assign == "rotate" else schedulers)

    def expected_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.expected_rate`."""
        if self.rate is not None:
            return self.rate
        largest = float(self.weights_of(schedulers, 0).max())
        return self.recorded_rate(schedulers, largest) / (largest if self.assign == "rotate" else schedulers)

    def highest_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.highest_rate`; bursts of the trace are not looked at."""
        return self.expected_rate(schedulers)

    def dispersion(self) -> None:
        """See `ArrivalProcess.dispersion`."""

    def arrivals(self, setting: Setting) -> Arrivals:
        """See `ArrivalProcess.arrivals`."""
        from emulator.model.arrivals.replay import assigned, rotating, scaled

        weights, largest = setting.weights, float(setting.weights.max())
        rate = self.recorded_rate(len(weights), largest)
        records = scaled(self.records(), rate, self.spread, setting)
        if self.assign != "rotate":
            return assigned(records, setting, at_random=self.assign == "random")
        keep = weights / largest
        if self.rate is not None and self.speed is not None:
            keep = self.rate * weights / rate
            if largest * self.rate > rate * (1.0 + 1e-12):
                told = f"at speed {self.speed:g} the trace has {rate:.6g} arrivals per ms, but its busiest scheduler"
                raise InputError(f"{told} is to meet {largest * self.rate:.6g}: raise speed, or lower rate")
        return rotating(records, rate, keep, setting)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Trace:
        """See `ArrivalProcess.sample`: a file of its own in the folder for such, which lasts as long as the process."""
        count = int(generator.integers(2, 60))
        times = generator.integers(0, 40, count).cumsum() // 4
        times[-1] += 1
        rows = zip(times.tolist(), generator.integers(1, 9, count).tolist(), strict=True)
        text = "\n".join(["when,size", *(f"{time},{size}" for time, size in rows), ""])
        assign: Any = generator.choice(["round_robin", "random", "column", "rotate"]).item()
        return cls(
            path=lasting_file(text, "trace.csv"),
            time="when",
            unit="ms",
            work={"size": 1.0} if generator.random() < 0.5 else None,
            rate=float(generator.uniform(0.2, 1.5)),
            assign=assign,
            column="size" if assign == "column" else None,
            spread=float(generator.choice([0.0, 1.0])),
        )
