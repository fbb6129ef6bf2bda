"""Do the engines agree? `python -m emulator.verification.agreement` compares them on random systems.

A system is a function of one number, and so, with `--networks`, is one whose schedulers are out of step, and with
`--stations` one whose servers are more than FIFO queues. The number of any system on which the engines differ is
printed, and `--first NUMBER --count 1` runs it again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from emulator.command_line import Parser
from emulator.engines.comparison import EnginesDifferError, check_equal
from emulator.engines.engine import ENGINES, REFERENCE, Engine
from emulator.engines.episode import Episode, Traces, joined
from emulator.errors import InputError
from emulator.machine.option_numbers import whole
from emulator.machine.progress import progress_bar
from emulator.machine.starting import start
from emulator.verification.random_networks import random_network
from emulator.verification.random_stations import random_station
from emulator.verification.random_systems import Case, random_case
from emulator.workload.workload import Workload

EVERYTHING = Traces(jobs=True, epochs=True)


def check(case: Case) -> None:
    """Raise `EnginesDifferError` unless all engines that can run a case do the same."""
    reference = reference_of(case)
    for name, kind in ENGINES.items():
        engine = kind.load()
        if name != REFERENCE and can_run(engine, case):
            compare(engine, case, reference)


def can_run(engine: type[Engine], case: Case) -> bool:
    """Return whether an engine can run a case."""
    network, has_feedback = case.system.network, case.system.has_feedback
    return engine.obstacle(case.dispatcher, network, has_feedback=has_feedback) is None


def reference_of(case: Case) -> Episode:
    """Return the episode of a case as the reference engine has it."""
    engine = ENGINES[REFERENCE].load()(case.system, case.dispatcher)
    return engine.episode(Workload(case.system, case.replication), EVERYTHING)


def compare(kind: type[Engine], case: Case, reference: Episode) -> None:
    """Raise `EnginesDifferError` unless an engine has the same episode: whole, in parts, without traces, and again."""
    workload = Workload(case.system, case.replication)
    engine = kind(case.system, case.dispatcher, case.threads)
    check_equal(reference, engine.episode(workload, EVERYTHING))
    jobs, epochs = zip(*engine.parts(workload, EVERYTHING), strict=True)
    check_equal(reference, replace(reference, engine="its parts", jobs=joined(jobs), epochs=joined(epochs)))
    check_equal(replace(reference, jobs=None, epochs=None), engine.episode(workload))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 1 if the engines differ somewhere."""
    parser = Parser(prog="python -m emulator.verification.agreement", description=__doc__)
    parser.add_argument(
        "--count", type=whole(1, 10**9), metavar="N", default=1000, help="systems (default: %(default)s)"
    )
    parser.add_argument(
        "--first", type=whole(0, 10**18), metavar="N", default=0, help="number of the first one (default: %(default)s)"
    )
    parser.add_argument("--networks", action="store_true", help="with messages that take time or get lost")
    parser.add_argument("--stations", action="store_true", help="with servers that are more than FIFO queues")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    options = parser.parse_args(arguments)
    draw = random_network if options.networks else random_case
    if options.stations:
        draw = partial(random_station, on_networks=options.networks)
    failures = 0
    with progress_bar(options.count, quiet=options.quiet, doing="comparing") as advance:
        for number in range(options.first, options.first + options.count):
            try:
                check(draw(number))
            except (EnginesDifferError, InputError) as error:
                failures += 1
                print(f"system {number}: {error}")
            advance(1.0)
    print(f"{options.count} random systems, {failures} on which the engines differ")
    return min(failures, 1)


if __name__ == "__main__":
    start("dispatchers")
    sys.exit(main())
