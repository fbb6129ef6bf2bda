"""`python -m emulator`: run a scenario, or print the JSON Schema of scenario files."""

from __future__ import annotations

import argparse
import io
import os
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from dispatchers.errors import DispatcherError, one_line, shortened
from emulator.errors import InputError
from emulator.machine import interruption
from emulator.machine.interruption import INTERRUPTED
from emulator.version import __version__

if TYPE_CHECKING:
    from emulator.results.measures import Measure
    from emulator.results.reader import Results
    from emulator.scenario.plan import Plan

BAD_INPUT = 2
FAILED = 1

DESCRIPTION = """\
Emulate the system that a scenario file describes: every server, scheduler and message of every episode.
The result goes to standard output as a table, and to a folder as Parquet files and a picture.
"""

EXAMPLES = """\
examples:
  python -m emulator scenarios/torus70.yaml
  python -m emulator scenarios/quick.yaml --set delta_t=[1,3,5] --set dispatchers=[JSQ,JSQ-M] --out runs/memory
  python -m emulator scenarios/quick.yaml --set "delta_t={from: 1, to: 9, step: 2}" --set seed=[1,2] --dry-run
  python -m emulator scenarios/quick.yaml --measures loss,p99
  python -m emulator scenarios/quick.yaml --dry-run
  python -m emulator schema > scenario.schema.json      JSON Schema of scenario files, for editors

exit status: 0 done, 2 bad input, 130 interrupted (finished episodes are kept, in whole files), 1 anything else
"""


class Parser(argparse.ArgumentParser):
    """A parser that tells a wrong command line in one line."""

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser.error`."""
        self.exit(BAD_INPUT, f"{one_line(f'{self.prog}: {message}', 250)} (see {self.prog} --help)\n")


class _WithMeasures(Parser):
    """A parser whose help ends with the names of all measures, which take a second to import."""

    def format_help(self) -> str:
        """See `argparse.ArgumentParser.format_help`."""
        from emulator.results.measures import names_of_all

        measures = textwrap.fill(f"measures: {names_of_all()}", 110, subsequent_indent="  ", break_on_hyphens=False)
        return f"{super().format_help()}\n{measures}\n"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    style = argparse.RawDescriptionHelpFormatter
    result = _WithMeasures(prog="python -m emulator", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=style)
    result.add_argument("scenario", metavar="SCENARIO", help="a scenario file (YAML), or the word schema")
    result.add_argument(
        "--out",
        metavar="DIR",
        help="folder of the results (default: runs/<scenario name>); what is finished there is kept, and more is added",
    )
    result.add_argument("--engine", choices=["auto", "simpy", "compiled", "ordered"], help="instead of the scenario's")
    result.add_argument("--seed", type=int, metavar="N", help="instead of the scenario's")
    result.add_argument("--replications", type=int, metavar="N", help="instead of the scenario's")
    result.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="cores to use, as processes or threads (default: all, one if the work is small)",
    )
    result.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="KEY.PATH=VALUE",
        help="instead of the scenario's value, e.g. topology.side=11; a list or a range sweeps; may be repeated",
    )
    result.add_argument(
        "--measures",
        metavar="A,B",
        help="what the table shows, with intervals and differences: any of those below; by default plot.y, or drops",
    )
    result.add_argument(
        "--cluster", metavar="local|ADDRESS", help="run on a Ray cluster: one started here, or that at an address"
    )
    result.add_argument("--fresh", action="store_true", help="start over, whatever the output folder holds")
    result.add_argument("--dry-run", action="store_true", help="check everything, print what would run, and stop")
    result.add_argument("--quiet", action="store_true", help="no progress on standard error")
    result.add_argument("--version", action="version", version=f"emulator {__version__}")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return _print_schema() if options.scenario == "schema" else _run(options)
    except OSError as error:
        # Whoever read standard output has gone, or it cannot be written: errors of files have their name.
        if error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"standard output cannot be written: {error.strerror}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt as error:
        print(f"{interruption.line_start()}{str(error) or 'interrupted: nothing was written'}", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, RuntimeError) as error:
        from emulator.engines.comparison import EnginesDifferError

        if not isinstance(error, InputError | DispatcherError | EnginesDifferError):
            raise
        print(one_line(str(error)), file=sys.stderr)
        return FAILED if isinstance(error, EnginesDifferError) else BAD_INPUT


def _print_schema() -> int:
    import json

    from emulator.scenario.schema import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0


def _run(options: argparse.Namespace) -> int:
    from emulator.machine.progress import progress_bar
    from emulator.runs.check import check_plan
    from emulator.runs.run import Interrupted, execute, import_all, load_plan, results_folder
    from emulator.runs.tasks import cells_of, extent_of

    measures = _measures_of(options)
    if any(measure.is_on_request for measure in measures):
        options.settings.append("measures=all")
    chosen = {name: getattr(options, name) for name in ("engine", "seed", "replications", "settings")}
    plan = load_plan(options.scenario, **chosen)
    if options.dry_run:
        _print_plan(plan, options)
        return 0
    checked = check_plan(plan)
    import_all(results_folder(plan, options.out))
    try:
        with interruption.raised(), progress_bar(extent_of(cells_of(plan)).seconds, quiet=options.quiet) as advance:
            how = {name: getattr(options, name) for name in ("out", "workers", "fresh", "cluster")}
            results, failures = execute(plan, advance=advance, tell=_tell, checked=checked, **how)
    except Interrupted as interrupted:
        if interrupted.results is not None:
            _print_results(plan, interrupted.results, measures)
        raise
    _print_results(plan, results, measures)
    for failure in failures:
        print(failure, file=sys.stderr)
    return FAILED if failures else 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print_plan(plan: Plan, options: argparse.Namespace) -> None:
    """Say what would run, having checked all that can be checked without running."""
    from emulator.model.timetable import Timetable
    from emulator.runs.check import check_plan
    from emulator.runs.executors.workers import workers_for
    from emulator.runs.run import results_folder
    from emulator.runs.tasks import cells_of, extent_of, tasks_of
    from emulator.text import setting_text

    cells = cells_of(plan)
    workers = workers_for(tasks_of(cells), options.workers)
    checked = check_plan(plan)
    print(_title(plan))
    for cell, *_ in cells:
        point, scenario = cell.point, cell.scenario
        epochs = Timetable(scenario.delta_t, scenario.horizon).epochs
        values = shortened(", ".join(map(setting_text, point.values, point.values.values())), 180)
        size = f"{values + ': ' if values else ''}{point.size()}, {epochs} epochs"
        episodes = f"{scenario.replications:,} x {len(scenario.dispatchers)} episodes"
        print(f"  {size}, about {cell.jobs:,.0f} jobs in each of {episodes}")
    extent = extent_of(cells)
    threads = f" with {workers.threads} threads each" if workers.threads > 1 else ""
    processes = f"{workers.processes} process{'es' * (workers.processes > 1)}{threads}"
    print(f"in all {extent.episodes:,} episodes, about {extent.jobs:,.0f} jobs, on {processes}")
    for line in checked.remarks:
        print(line)
    print(shortened(f"results would go to {results_folder(plan, options.out)}"))


def _title(plan: Plan) -> str:
    from emulator.text import setting_text

    scenario = plan.points[0].scenario
    names = ", ".join(spec.display for spec in scenario.dispatchers)
    kinds = " and ".join(dict.fromkeys(point.scenario.topology.kind for point in plan.points))
    sizes = [point.size() for point in sorted(plan.points, key=lambda point: point.node_count())]
    size = sizes[0] if sizes[0] == sizes[-1] else f"{sizes[0].removesuffix(' nodes')} to {sizes[-1]}"
    delta_t, horizon = (setting_text(key, getattr(scenario, key)).replace(" =", "") for key in ("delta_t", "horizon"))
    what = [f"swept over {' and '.join(plan.axes)}" if plan.axes else delta_t]
    fixed = {"horizon": horizon, "seed": f"seed {scenario.seed}"}
    what += [text for key, text in fixed.items() if key not in plan.swept]
    title = f"{plan.name}: {kinds} of {size}, {', '.join(what)}, engine {scenario.engine}"
    return f"{shortened(title)}\n{shortened(f'  dispatchers: {names}')}"


def _measures_of(options: argparse.Namespace) -> list[Measure]:
    """Return the measures that the table is to show, none for the usual ones."""
    from emulator.results.measures import measure_named

    words = [] if options.measures is None else options.measures.split(",")
    try:
        return [measure_named(word.strip()) for word in words]
    except InputError as error:
        raise InputError(f"--measures {error}") from None


def _print_results(plan: Plan, results: Results, measures: Sequence[Measure]) -> None:
    """Print the table of the measures; if none are asked for, that of the picture's."""
    from emulator.results.measures import measure_named
    from emulator.results.table import summary_table

    pictured = plan.points[0].scenario.plot.y or "drops"
    if not measures and measure_named(pictured).name != "drops_per_queue":
        measures = [measure_named(pictured)]
    print(_title(plan))
    print()
    print(summary_table(results.summary, plan.swept, plan.first_dispatcher, measures))
    for line in [*results.engines, *results.remarks]:
        print(line)
    print()
    print(shortened(f"files: {results.path}"))
