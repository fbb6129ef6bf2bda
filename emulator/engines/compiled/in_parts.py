"""What compiled engines have in common: a run yields its traces part by part, and is an episode when it is over."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Protocol

from emulator.engines.engine import Part
from emulator.engines.episode import UNTRACED, Episode, Totals, Traces, joined
from emulator.workload.workload import Workload


class Run(Protocol):
    """One episode on its way."""

    def parts(self, progress: Callable[[float], None] | None = None) -> Iterator[Part]:
        """Run to the horizon and yield the traces that are wanted, of some epochs at a time."""
        ...

    def totals(self) -> Totals:
        """Return the sums, when all has been run."""
        ...

    def accounts(self, totals: Totals) -> dict[str, Any]:
        """Return what is counted beside the sums, by the names in `Episode`."""
        ...


class EngineInParts(ABC):
    """An engine that begins a run for each episode."""

    name: ClassVar[str]

    @abstractmethod
    def begin(self, workload: Workload, traces: Traces) -> Run:
        """Return an episode at its start."""

    def episode(
        self, workload: Workload, traces: Traces = UNTRACED, progress: Callable[[float], None] | None = None
    ) -> Episode:
        """See `Engine.episode`. Raises `DispatcherError` if the dispatcher's answers break the contract."""
        run = self.begin(workload, traces)
        parts = list(run.parts(progress))
        totals = run.totals()
        return Episode(
            engine=self.name,
            totals=totals,
            **run.accounts(totals),
            jobs=joined([jobs for jobs, _ in parts if jobs is not None]) if traces.jobs else None,
            epochs=joined([epochs for _, epochs in parts if epochs is not None]) if traces.epochs else None,
        )

    def parts(self, workload: Workload, traces: Traces) -> Iterator[Part]:
        """See `Engine.parts`; a part's traces are gone before the next."""
        yield from self.begin(workload, traces).parts()
