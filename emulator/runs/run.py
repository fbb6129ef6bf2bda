"""One run from a scenario file to its folder of results; what `emulator.run` and the command line share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from emulator.machine import interruption
from emulator.machine.caches import place_for_matplotlib
from emulator.machine.progress import Advance
from emulator.results.folder import ResultsFolder
from emulator.results.reader import Results
from emulator.runs.check import Checked, check_plan
from emulator.runs.episode_runner import Study
from emulator.runs.executors.workers import executor_for, workers_for
from emulator.runs.identity import hashes_of, identity_of
from emulator.runs.journal import Journal
from emulator.runs.publication import publish
from emulator.runs.remarks import failure_line, line_of_addition
from emulator.runs.stopping import next_round
from emulator.runs.tasks import cells_of, extent_of, tasks_of
from emulator.scenario.plan import Plan, load
from emulator.scenario.tree import Override

if TYPE_CHECKING:
    import pandas as pd


NEEDED = (
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "pandas",
    "pyarrow.parquet",
    "rich.progress",
    "scipy.special",
    "emulator.engines.compiled.windows",
    "emulator.report.plots",
)
"""What a run imports late."""


class Finished(NamedTuple):
    """What a run leaves: its results, and a line for each cell that failed."""

    results: Results
    failures: list[str]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C came; what was finished by then is in the folder, whole."""

    def __init__(self, finished: int, total: int, results: Results | None):
        super().__init__(f"interrupted: {finished} of {total} episodes are kept")
        self.results = results
        """The results of the finished episodes, None if there were none and no file was written."""


def run(
    scenario: str | Path,
    *,
    out: str | Path | None = None,
    engine: str | None = None,
    seed: int | None = None,
    replications: int | None = None,
    workers: int | None = 1,
    settings: Sequence[str] = (),
    fresh: bool = False,
    cluster: str | None = None,
) -> pd.DataFrame:
    """Run a scenario file and return its summary, one row per dispatcher and swept value.

    The arguments are those of the command line (`settings` are its `--set`); `workers=None` takes all cores, and then
    a script needs the usual `if __name__ == "__main__":`. The frame's `attrs["folder"]` is where the files are, which
    `emulator.Results.open` reads; `attrs["added"]` says what was added to earlier results. Raises `InputError` or
    `DispatcherError`, both a `ValueError`, with one line that says what to mend.
    """
    plan = load_plan(scenario, engine=engine, seed=seed, replications=replications, settings=settings)
    added: list[str] = []
    how: dict[str, Any] = {"out": out, "workers": workers, "fresh": fresh, "cluster": cluster}
    results, failures = execute(plan, tell=added.append, **how)
    for failure in failures:
        warnings.warn(failure, RuntimeWarning, stacklevel=2)
    summary = results.summary
    summary.attrs |= {"folder": str(results.path), "engines": results.engines, "failures": failures, "added": added}
    return summary


def load_plan(
    scenario: str | Path,
    *,
    engine: str | None = None,
    seed: int | None = None,
    replications: int | None = None,
    settings: Sequence[str] = (),
) -> Plan:
    """Read a scenario file with what the command line says instead of it."""
    chosen = {"engine": engine, "seed": seed, "replications": replications}
    said = [Override(f"{key}={value}", f"--{key} {value}") for key, value in chosen.items() if value is not None]
    return load(scenario, [*settings, *said])


def results_folder(plan: Plan, out: str | Path | None) -> Path:
    """Return the folder of a run's results."""
    return Path(out) if out is not None else Path("runs") / plan.name


def import_all(out: Path) -> None:
    """Import what a run into a folder will need, so that nothing interrupts an import: one that is torn stays so."""
    place_for_matplotlib(next((place for place in (out, *out.parents) if place.is_dir()), None))
    for name in NEEDED:
        import_module(name)


def execute(
    plan: Plan,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    fresh: bool = False,
    cluster: str | None = None,
    advance: Advance = lambda seconds: None,
    tell: Callable[[str], None] = lambda line: None,
    checked: Checked | None = None,
) -> Finished:
    """Run what is not finished of a plan, and write its folder; a cell that fails does not stop the others.

    `advance` is told of the expected seconds of work dealt with, `tell` in a line what is added to the results of an
    earlier run that asked for less; `checked` is what `check_plan` has said, if it was
    asked. Raises `Interrupted` after Ctrl-C, with whole files.
    """
    cells = cells_of(plan)
    workers_for(tasks_of(cells), workers)  # which may be wrong
    checked = check_plan(plan) if checked is None else checked
    study = Study(cells, plan.resolved_yaml(), checked.hashes)
    with ResultsFolder(results_folder(plan, out)) as folder:
        journal = Journal(folder, identity_of(plan, checked), cells, hashes_of(cells, checked), fresh=fresh)
        if line := line_of_addition(journal):
            tell(line)
        advance(sum(task.seconds for task in journal.rows))
        try:
            with journal.recording(), interruption.as_such():
                _run_rounds(study, journal, workers, cluster, advance)
            if not journal.rows:
                raise next(iter(journal.failures.values())).error
            publish(plan, journal, checked)
        except KeyboardInterrupt:
            if journal.rows:
                publish(plan, journal, checked)
            asked_for = sum(task.replication < task.cell.scenario.replications for task in journal.rows)
            results = Results(folder.path) if journal.rows else None
            raise Interrupted(asked_for, extent_of(cells).episodes, results) from None
        finally:
            if not journal.rows:
                folder.clear_staging()
    failures = [failure_line(cell, failure.error) for cell, failure in sorted(journal.failures.items())]
    return Finished(Results(folder.path), failures)


def _run_rounds(study: Study, journal: Journal, workers: int | None, cluster: str | None, advance: Advance) -> None:
    """Run round after round until nothing is missing."""
    while True:
        wanted = next_round(study.cells, journal.rows, journal.failures)
        if next(wanted.missing(journal.rows), None) is None:
            return
        executor = executor_for(wanted.missing(journal.rows), workers, cluster)
        tasks = (task for task in wanted.missing(journal.rows) if journal.counts(task))
        # Closed at the end, or processes that go on would write where files are moved.
        with closing(executor.run(study, tasks, journal.folder.staging, advance)) as outcomes:
            for task, outcome in outcomes:
                interruption.raise_if_requested()
                if isinstance(outcome, Exception):
                    journal.fail(task, outcome)
                else:
                    journal.add(task, outcome)
        # Those that other processes were quick to do would make the results depend on how many there are.
        journal.keep_what_counts()
