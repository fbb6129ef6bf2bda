"""Executors: the same tasks in, the same outcomes and traces out."""

import pytest
from own_process import content

from emulator.results.columns import TRACES
from emulator.runs.check import check_plan
from emulator.runs.episode_runner import Study
from emulator.runs.executors.here import Here
from emulator.runs.executors.processes import Processes
from emulator.runs.executors.ray import RayCluster
from emulator.runs.executors.workers import executor_for
from emulator.runs.run import load_plan
from emulator.runs.tasks import cells_of, tasks_of


@pytest.fixture
def staging(folder):
    def make(name):
        for kind in TRACES:
            (folder / name / kind).mkdir(parents=True)
        return folder / name

    return make


def study_of(plan):
    return Study(cells_of(plan), plan.resolved_yaml(), check_plan(plan).hashes)


def test_executors_leave_the_same(folder, staging):
    """The tasks that are handed out come from one iterator, which must survive every look at it."""
    study, told = study_of(load_plan("s.yaml")), {}
    rows = []
    for executor in (Here(), Processes(2)):
        name, told[executor] = type(executor).__name__, []
        outcomes = executor.run(study, (task for task in tasks_of(study.cells)), staging(name), told[executor].append)
        rows.append(dict(outcomes))
        assert sum(told[executor]) == pytest.approx(sum(task.seconds for task in tasks_of(study.cells)))
    assert list(rows[0]) == list(tasks_of(study.cells))
    assert rows[0] == rows[1]
    assert content(folder / "Here") == content(folder / "Processes")


FAILS = """
from dispatchers import Dispatcher

class Fails(Dispatcher):
    def route(self, view):
        if view.delta_t == 2.125:  # which the check on random views does not have
            raise ValueError("no answer")
        return view.own()
"""


def test_an_error_is_the_outcome_of_its_episode(folder, staging):
    (folder / "fails.py").write_text(FAILS)
    settings = ['dispatchers=[{class: "fails:Fails"}]', "engine=simpy", "delta_t=2.125"]
    study = study_of(load_plan("s.yaml", settings=settings))
    for executor in (Here(), Processes(2)):
        outcomes = executor.run(study, tasks_of(study.cells), staging(type(executor).__name__), lambda seconds: None)
        assert all("no answer" in str(outcome) for _, outcome in outcomes)


def test_who_runs_tasks_depends_on_their_number_and_length(folder):
    tasks = list(tasks_of(cells_of(load_plan("s.yaml"))))
    assert len(tasks) == 36
    assert executor_for(iter(tasks), None, None) == Here(executor_for(iter(tasks), None, None).threads)
    assert executor_for(iter(tasks), 2, None) == Processes(2, 1)
    assert executor_for(iter(tasks[:1]), 2, None) == Here(2)
    assert executor_for(iter(tasks[:2]), 4, None) == Processes(2, 2)
    assert executor_for(iter(tasks), 3, "local") == RayCluster("local", 3)
