"""`python -m emulator.verification.exact`: print the cases and their exact values, or those of a scenario."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from dispatchers.errors import DispatcherError
from emulator.command_line import BAD_INPUT, Parser
from emulator.errors import InputError
from emulator.machine.starting import start
from emulator.runs.check import make_dispatcher
from emulator.scenario.plan import load
from emulator.text import text_of
from emulator.verification.exact import solve
from emulator.verification.exact.cases import EXACT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = Parser(prog="python -m emulator.verification.exact", description=__doc__)
    parser.add_argument("scenario", nargs="?", metavar="SCENARIO", help="a scenario file of few servers")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="KEY.PATH=VALUE",
        help="instead of the scenario's",
    )
    parser.add_argument("--solve", action="store_true", help="work the cases out again, which takes two minutes")
    options = parser.parse_args(arguments)
    try:
        rows = _cases(options.solve) if options.scenario is None else _solved(Path(options.scenario), options.settings)
        for row in rows:
            print(row, flush=True)
    except (InputError, DispatcherError) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    return 0


def _cases(again: bool) -> Iterator[str]:
    """Return a line for each case."""
    width = max(map(len, EXACT))
    yield f"{'case':{width}}  {'measure':16}  {'exact':>10}{'  solved now' if again else ''}"
    for name, case in EXACT.items():
        solved = f"  {case.solved():10.6f}" if again else ""
        yield f"{name:{width}}  {case.measure:16}  {case.value:10.6f}{solved}"


def _solved(path: Path, settings: Sequence[str]) -> Iterator[str]:
    """Return a line for each measure, dispatcher and point of a sweep."""
    for point in load(path, settings).points:
        title = ", ".join(f"{key} {text_of(value)}" for key, value in point.values.items())
        for index, spec in enumerate(point.scenario.dispatchers):
            yield f"{spec.display}{', ' if title else ''}{title}"
            rule = make_dispatcher(point, index).dispatcher
            for measure, value in solve.measures_of(point.system(), rule).items():
                if not math.isnan(value):
                    yield f"  {measure:18} {value:12.6f}"


if __name__ == "__main__":
    start("dispatchers")
    sys.exit(main())
