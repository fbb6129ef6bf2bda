"""Cells and tasks: their order, their keys, and what they cost."""

import pickle

import pytest

from emulator.runs.episode_runner import Study
from emulator.runs.run import load_plan
from emulator.runs.tasks import Task, cells_of, extent_of, tasks_of


@pytest.fixture
def cells(folder):
    return cells_of(load_plan("s.yaml", settings=["buffer=[3, 4]"]))


def test_cells_know_their_scenario_dispatcher_and_keys(cells):
    assert [[cell.place for cell in row] for row in cells] == [
        [(point, number) for number in range(3)] for point in range(4)
    ]
    last = cells[3][2]
    assert (last.scenario.delta_t, last.scenario.buffer, last.spec.options) == (5.0, 4, {"weight": "sharing"})
    assert last.keys == {"dispatcher": "JSQ-M", "delta_t": 5.0, "buffer": 4}
    assert Task(last, 1).part == "JSQ-M_delta_t=5_buffer=4_r001.parquet"
    assert list(Task(last, 1).keys) == ["replication", "dispatcher", "delta_t", "buffer"]


def test_tasks_come_by_point_then_replication_then_dispatcher_and_sort_by_cell(cells):
    tasks = list(tasks_of(cells))
    addresses = [task.address for task in tasks]
    expected = [(point, number, replication) for point in range(4) for replication in range(6) for number in range(3)]
    assert addresses == expected
    assert [task.address for task in sorted(tasks)] == sorted(expected)


def test_an_address_leads_back_to_its_task_in_another_process(cells):
    study = pickle.loads(pickle.dumps(Study(cells, "")))
    for task in tasks_of(cells):
        there = study.task(task.address)
        assert there == task
        assert there.keys == task.keys


def test_the_cost_of_a_cell_is_that_of_its_jobs_and_its_engine(cells):
    cell = cells[0][0]
    rate = (0.5 * 0.9 + 0.2 * 0.6) / 0.7
    assert cell.jobs == pytest.approx(rate * 20 * 12)
    assert [cell.engines(number) for number in (0, 1)] == [("simpy", "compiled"), ("compiled",)]
    assert cell.seconds(0) > cell.seconds(1)
    assert cell.engines(1, "no numba") == ("simpy",)
    assert cell.kinds() == [(0, 1), (1, 5)]


def test_the_extent_is_the_sum_over_all_tasks(cells):
    tasks = list(tasks_of(cells))
    extent = extent_of(cells)
    assert extent.episodes == len(tasks)
    assert extent.jobs == pytest.approx(sum(task.cell.jobs for task in tasks))
    assert extent.seconds == pytest.approx(sum(task.seconds for task in tasks))
