"""From finished episodes to the files of a results folder: episodes, summary, scenario, picture, traces."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from emulator.machine import interruption
from emulator.results.statistics import summarise
from emulator.runs.check import Checked
from emulator.runs.journal import Journal
from emulator.runs.remarks import engine_lines
from emulator.runs.stopping import next_round
from emulator.runs.tasks import Row, Task, types_of
from emulator.scenario.plan import Plan
from emulator.version import __version__

if TYPE_CHECKING:
    import pandas as pd


@interruption.undisturbed()
def publish(plan: Plan, journal: Journal, checked: Checked) -> None:
    """Put the files of the finished episodes into place; the summary is of those asked for, which may be fewer."""
    import pandas as pd

    from emulator.report.plots import summary_picture

    folder, tasks = journal.folder, sorted(journal.rows)
    rows = [journal.rows[task] for task in tasks]
    wanted = next_round(journal.cells, journal.rows, journal.failures)
    summarised = [journal.rows[task] for task in tasks if wanted.holds(task)]
    summary = summarise(pd.DataFrame(summarised), plan.swept, plan.first_dispatcher)
    _add_options(summary, summarised, plan)
    metadata = {
        "scenario": plan.name,
        "resolved_scenario": plan.resolved_yaml(),
        "seed": str(plan.points[0].scenario.seed),
        "version": __version__,
    }
    failures = [Task(cell, failure.replication).keys for cell, failure in sorted(journal.failures.items())]
    told = {
        "swept": json.dumps(types_of(journal.swept)),
        "fingerprint": combined_fingerprint(rows),
        "identity": json.dumps(journal.identity),
        "engines": json.dumps(engine_lines(journal.cells, checked.obstacles)),
        "remarks": json.dumps(checked.remarks),
        "failures": json.dumps(failures),
    }
    folder.write_episodes(rows, metadata | told, journal.swept)
    folder.write_summary(summary, metadata | {"fingerprint": combined_fingerprint(summarised)}, journal.swept)
    folder.write_scenario(plan.resolved_yaml(folder.path, uses_folder=checked.uses_folder))
    summary_picture(summary, plan.swept, folder.picture, *checked.picture)
    folder.commit({name for task in tasks for name in task.trace_files})


def _add_options(summary: pd.DataFrame, rows: Iterable[Row], plan: Plan) -> None:
    """Add to a summary what tells dispatchers apart whose options sweep; None where one has no such option."""
    if plan.options:
        import pandas as pd

        names = ["dispatcher", *dict.fromkeys(["delta_t", *plan.swept])]
        known = {tuple(row[name] for name in names): row for row in rows}
        alike = [known[tuple(values)] for values in zip(*(summary[name].tolist() for name in names), strict=True)]
        for column in plan.options:
            summary[column] = pd.Series([row[column] for row in alike], index=summary.index, dtype=object)


def combined_fingerprint(rows: Iterable[Row]) -> str:
    """Return 16 hexadecimal digits that stand for all episodes of a run."""
    return hashlib.sha256("".join(row["fingerprint"] for row in rows).encode()).hexdigest()[:16]
