"""One run from a scenario file to its folder of results; what `emulator.run` and the command line share."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dispatchers.checking import describe
from dispatchers.errors import DispatcherError, one_line
from emulator.engines.auto import COMPARED_JOBS
from emulator.engines.engine import REFERENCE
from emulator.machine import interruption
from emulator.machine.caches import place_for_matplotlib
from emulator.results.folder import ResultsFolder
from emulator.results.statistics import summarise
from emulator.runs.check import Checked, check_plan
from emulator.runs.executors.here import run_tasks, workers_for
from emulator.runs.executors.ray import run_on_cluster
from emulator.runs.journal import Finished
from emulator.runs.stopping import next_round
from emulator.runs.tasks import Cell, Row, Task, expected_mode, expected_seconds, extent_of, like_replications, tasks_of
from emulator.scenario.plan import Plan, load
from emulator.scenario.tree import Override
from emulator.text import setting_text
from emulator.version import __version__

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


class Failure(NamedTuple):
    """The first replication of a cell that has failed, and why."""

    replication: int
    error: Exception


class Interrupted(KeyboardInterrupt):
    """Ctrl-C came; what was finished by then is in the folder, whole."""

    def __init__(self, finished: int, total: int, summary: pd.DataFrame | None):
        super().__init__(f"interrupted: {finished} of {total} episodes are kept")
        self.summary = summary
        """The summary of the finished episodes, None if there were none and no file was written."""


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
    a script needs the usual `if __name__ == "__main__":`. The frame's `attrs["folder"]` is where the files are.
    Raises `InputError` or `DispatcherError`, both a `ValueError`, with one line that says what to mend.
    """
    plan = load_plan(scenario, engine=engine, seed=seed, replications=replications, settings=settings)
    summary = execute(plan, out=out, workers=workers, fresh=fresh, cluster=cluster)
    for failure in summary.attrs["failures"]:
        warnings.warn(failure, RuntimeWarning, stacklevel=2)
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


def execute(
    plan: Plan,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    fresh: bool = False,
    cluster: str | None = None,
    advance: Callable[[float], None] = lambda seconds: None,
    checked: Checked | None = None,
) -> pd.DataFrame:
    """Run what is not finished of a plan, write its folder, and return its summary.

    `attrs["failures"]` has an error for each cell that failed, a dispatcher at a point of the sweep; the others are
    run all the same. `cluster` is the address of a Ray cluster, or `local`. `advance` is told of the expected seconds
    of work dealt with. `checked` is what `check_plan` has said, if it was asked. Raises `Interrupted` after Ctrl-C,
    with whole files.
    """
    workers_for(plan, tasks_of(plan), workers)  # which may be wrong
    checked = check_plan(plan) if checked is None else checked
    with ResultsFolder(results_folder(plan, out)) as folder:
        finished = Finished(plan, folder, checked, fresh=fresh)
        failures: dict[Cell, Failure] = {}
        advance(sum(expected_seconds(plan, task) for task in finished.rows))
        try:
            with finished.recording(), interruption.as_such():
                _run_rounds(plan, finished, failures, checked, workers, cluster, advance)
            if not finished.rows:
                raise next(iter(failures.values())).error
            summary = _write(plan, folder, finished, failures, checked)
        except KeyboardInterrupt:
            kept = _write(plan, folder, finished, failures, checked) if finished.rows else None
            asked_for = sum(task.replication < plan.points[task.point].scenario.replications for task in finished.rows)
            raise Interrupted(asked_for, extent_of(plan).episodes, kept) from None
        finally:
            if not finished.rows:
                folder.clear_staging()
    summary.attrs["failures"] = [_failure(plan, cell, failures[cell].error) for cell in sorted(failures)]
    return summary


def results_folder(plan: Plan, out: str | Path | None) -> Path:
    """Return the folder of a run's results."""
    return Path(out) if out is not None else Path("runs") / plan.name


def import_all(out: Path) -> None:
    """Import what a run into a folder will need, so that nothing interrupts an import: one that is torn stays so."""
    place_for_matplotlib(next((place for place in (out, *out.parents) if place.is_dir()), None))
    for name in NEEDED:
        import_module(name)


def _run_rounds(
    plan: Plan,
    finished: Finished,
    failures: dict[Cell, Failure],
    checked: Checked,
    workers: int | None,
    cluster: str | None,
    advance: Callable[[float], None],
) -> None:
    staging = finished.folder.staging
    while next((wanted := next_round(plan, finished.rows, failures)).missing(finished.rows), None) is not None:
        tasks = (task for task in wanted.missing(finished.rows) if _is_before_failure(task, failures))
        if cluster is not None:
            outcomes = run_on_cluster(plan, tasks, staging, cluster, workers, advance, checked.hashes)
        else:
            how = workers_for(plan, wanted.missing(finished.rows), workers)
            outcomes = run_tasks(plan, tasks, staging, how, advance, checked.hashes)
        with closing(outcomes):  # processes that go on would write where files are moved
            for task, outcome in outcomes:
                interruption.raise_if_requested()
                if not isinstance(outcome, Exception):
                    finished.add(task, outcome)
                elif _is_before_failure(task, failures):
                    failures[task.cell] = Failure(task.replication, outcome)
        # Those that other processes were quick to do would make the results depend on how many there are.
        finished.keep(lambda task: _is_before_failure(task, failures))


def _is_before_failure(task: Task, failures: Mapping[Cell, Failure]) -> bool:
    """Return whether an episode comes before the first one of its cell that is known to fail."""
    failure = failures.get(task.cell)
    return failure is None or task.replication < failure.replication


def _failure(plan: Plan, cell: Cell, error: Exception) -> str:
    point = plan.points[cell[0]]
    settings = ", ".join(map(setting_text, point.values, point.values.values()))
    text = str(error) if isinstance(error, DispatcherError) else describe(error)
    where = f" at {one_line(settings, 100)}" if settings else ""
    return one_line(f"{point.scenario.dispatchers[cell[1]].display}{where} failed: {text}")


def first_dispatcher(plan: Plan) -> str:
    """Return the name of the dispatcher with which all others are compared."""
    return plan.points[0].scenario.dispatchers[0].display


def _write(
    plan: Plan, folder: ResultsFolder, finished: Finished, failures: Collection[Cell], checked: Checked
) -> pd.DataFrame:
    """Write the folder of the finished episodes; return the summary of those that are asked for, which may be fewer."""
    with interruption.undisturbed():
        return _written(plan, folder, finished, failures, checked)


def _written(
    plan: Plan, folder: ResultsFolder, finished: Finished, failures: Collection[Cell], checked: Checked
) -> pd.DataFrame:
    import pandas as pd

    from emulator.report.plots import summary_picture

    order = sorted(finished.rows, key=lambda task: (task.point, task.dispatcher, task.replication))
    wanted = next_round(plan, finished.rows, failures)
    rows = [finished.rows[task] for task in order]
    summarised = [finished.rows[task] for task in order if wanted.holds(task)]
    summary = summarise(pd.DataFrame(summarised), plan.swept, first_dispatcher(plan))
    metadata = {
        "scenario": plan.name,
        "resolved_scenario": plan.resolved_yaml(),
        "seed": str(plan.points[0].scenario.seed),
        "version": __version__,
    }
    folder.write_episodes(
        rows,
        metadata | {"fingerprint": combined_fingerprint(rows), "identity": json.dumps(finished.identity)},
    )
    folder.write_summary(summary, metadata | {"fingerprint": combined_fingerprint(summarised)})
    folder.write_scenario(plan.resolved_yaml(folder.path, uses_folder=checked.uses_folder))
    summary_picture(summary, plan.swept, folder.picture, *checked.picture)
    folder.commit(finished.trace_files(order))
    summary.attrs["folder"] = str(folder.path)
    summary.attrs["engines"] = engine_lines(plan, checked.obstacles)
    return summary


def engine_lines(plan: Plan, obstacles: Mapping[str, str]) -> list[str]:
    """Return lines that say which engine emulates what, and why; one, unless a dispatcher asks for SimPy.

    `obstacles` says why some dispatchers cannot be compiled.
    """
    first = plan.points[0].scenario
    others = [one_line(f"engine: SimPy emulated {name}, for {why}") for name, why in obstacles.items()]
    modes = {
        expected_mode(plan, Task(place, 0, replication))
        for place, point in enumerate(plan.points)
        for replication, _ in like_replications(point)
    }
    if modes == {(REFERENCE,)}:
        return ["engine: SimPy emulated all"]
    limit = f"{COMPARED_JOBS:,} jobs an episode"
    if all(len(names) == 1 for names in modes):
        why = f"; more than {limit} are too many for SimPy to compare" if first.engine == "auto" else ""
        return [f"engine: the compiled engine emulated all{why}", *others]
    compared = [len(expected_mode(plan, Task(place, 0, 0))) > 1 for place in range(len(plan.points))]
    last = max(first.trace.messages, 1) - 1
    simpy = (
        "replication 0, the compiled engine repeated it"
        if last == 0
        else (f"replications 0 to {last}, the compiled engine repeated the first")
    )
    where = ""
    if len(plan.compared) < len(compared):
        where = f", at {sum(compared)} of {len(compared)} points,"
    elif not all(compared):
        where = f", except above {limit},"
    return [f"engine: SimPy emulated {simpy} bit for bit{where} and did the rest", *others]


def combined_fingerprint(rows: list[Row]) -> str:
    """Return 16 hexadecimal digits that stand for all episodes of a run."""
    digest = hashlib.sha256("".join(row["fingerprint"] for row in rows).encode())
    return digest.hexdigest()[:16]
