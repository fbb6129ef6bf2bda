"""Servers that are more than a FIFO queue, one node at a time: what the textbook says, and what comes first."""

import numpy as np
import pytest

from emulator.engines.episode import COMPLETED, DROPPED, GAVE_UP, IN_SYSTEM, LOST_JOB, REFUSED
from emulator.engines.service import Times
from emulator.engines.simpy.event_loop import ARRIVAL, SAMPLE, EventLoop, turn
from emulator.engines.simpy.job import Job
from emulator.engines.simpy.server_queue import QueueServer
from emulator.engines.simpy.server_sharing import SharingServer
from emulator.model.network import Duration
from emulator.model.station import Failures, JobClass, Patience, Station

FIRST_LAST = (JobClass("first", 0.5, 0), JobClass("last", 0.5, 1))
WAITING, SOJOURN, UNNOTICED = (
    Patience(Duration(1.0)),
    Patience(Duration(1.0), True),
    Patience(Duration(1.0), True, True),
)


def failing(jobs="resume", **more):
    return Failures(Duration(1.0), Duration(1.0), jobs=jobs, **more)


def served(station, jobs, *, buffer=5, horizon=100.0, cycles=(), looks=()):
    """Let a node of rate 1 take jobs, each (arrival time, work, class, patience), and return the jobs.

    `cycles` are times up and down, and `looks` times at which the queue length is told, which come last in a list.
    """
    loop = EventLoop()
    kind = SharingServer if station.discipline == "ps" else QueueServer
    spent = Times(1.0, np.array([0, int(horizon)]), np.zeros((1, buffer + 1), np.int64), *np.zeros((2, 1), np.int64))
    server = kind(loop, 0, 1.0, buffer, station, iter([*cycles, (1000.0, 1.0)]), spent)
    made = []
    for number, (arrival, work, *marks) in enumerate(jobs):
        class_, patience = [*marks, *(0, np.inf)[len(marks) :]]
        made.append(Job(0, number, arrival, work, 0.5, class_, patience))

    def arrive():
        for job in made:
            yield loop.at(job.arrival_time, turn(ARRIVAL, 0, job.number))
            server.receive(job)

    told = []

    def look():
        for time in looks:
            yield loop.at(time, turn(SAMPLE))
            told.append(server.state(0).queue_length)

    for process in (*server.processes(), arrive(), look()):
        loop.process(process)
    loop.run_to(horizon)
    return [*made, told] if looks else made


def fates(jobs):
    return [(job.outcome, job.start_time, job.departure_time) for job in jobs]


def departures(jobs):
    return [job.departure_time for job in jobs]


NOT = pytest.approx(np.nan, nan_ok=True)


def test_several_servers_take_the_first_of_one_queue():
    jobs = served(Station(servers=2), [(0, 4), (0, 1), (0, 2), (0.5, 1), (3, 9)], buffer=4)
    assert fates(jobs) == [
        (COMPLETED, 0, 4),
        (COMPLETED, 0, 1),
        (COMPLETED, 1, 3),
        (COMPLETED, 3, 4),
        (COMPLETED, 4, 13),
    ]
    assert [job.queue_length_at_arrival for job in jobs] == [0, 1, 2, 3, 2]
    assert served(Station(servers=2), [(0, 4), (0, 4), (1, 1)], buffer=2)[-1].outcome == DROPPED


def test_sharing_gives_each_job_an_equal_part():
    jobs = served(Station(discipline="ps"), [(0, 2), (1, 2), (3, 0.25)])
    # Alone until 1, two until 3, where the first is done; then the second has one left, and shares half of it.
    assert fates(jobs) == [(COMPLETED, 0, 3), (COMPLETED, 1, 4.25), (COMPLETED, 3, 3.5)]


def test_sharing_by_two_servers_slows_no_job_down_until_there_are_three():
    assert departures(served(Station(servers=2, discipline="ps"), [(0, 2), (0, 2)])) == [2, 2]
    assert departures(served(Station(servers=2, discipline="ps"), [(0, 2), (0, 2), (0, 2)])) == [3, 3, 3]


@pytest.mark.parametrize(("preempts", "ends"), [(False, [4, 6, 5]), (True, [5, 6, 2])])
def test_the_first_class_goes_first(preempts, ends):
    station = Station(has_priorities=True, preempts=preempts, classes=FIRST_LAST)
    jobs = served(station, [(0, 4, 1), (0.5, 1, 1), (1, 1, 0)])
    assert departures(jobs) == ends
    assert jobs[0].start_time == 0  # it was interrupted, but had started


def test_of_several_servers_the_one_gives_up_its_job_whose_job_came_last():
    station = Station(servers=2, has_priorities=True, preempts=True, classes=FIRST_LAST)
    jobs = served(station, [(0, 4, 1), (1, 4, 1), (2, 1, 0), (2, 3, 0), (2, 1, 0)])
    # The second stands back at 2 and the first at once after it; the third waits for one of its class.
    assert fates(jobs) == [
        (COMPLETED, 0, 6),
        (COMPLETED, 1, 8),
        (COMPLETED, 2, 3),
        (COMPLETED, 2, 5),
        (COMPLETED, 3, 4),
    ]


def test_the_speed_goes_with_the_number_of_jobs():
    jobs = served(Station(speeds=(1.0, 2.0)), [(0, 4), (1, 1), (1.5, 1)])
    # 1 is done until 1, then 2 a ms; at 2.5 the first departs, two are left, at 3 one, whose last ms is slow.
    assert departures(jobs) == [2.5, 3, 4]
    shared = served(Station(discipline="ps", speeds=(1.0, 3.0)), [(0, 4), (1, 3)])
    assert departures(shared) == [3, 3]


def test_who_waits_gives_up_but_not_who_is_served():
    jobs = served(Station(patience=WAITING), [(0, 3, 0, 1), (1, 1, 0, 1.5), (1, 1, 0, 2), (1, 1, 0, 9)])
    assert fates(jobs) == [(COMPLETED, 0, 3), (GAVE_UP, NOT, 2.5), (COMPLETED, 3, 4), (COMPLETED, 4, 5)]


def test_who_gives_up_makes_room():
    jobs = served(Station(patience=WAITING), [(0, 3), (0, 1, 0, 1), (1, 1), (1, 1)], buffer=2)
    assert [job.outcome for job in jobs] == [COMPLETED, GAVE_UP, COMPLETED, DROPPED]


def test_a_server_stops_work_on_who_gives_up():
    jobs = served(Station(patience=SOJOURN), [(0, 3, 0, 2), (1, 1, 0, 9), (1, 1, 0, 1.5)])
    assert fates(jobs) == [(GAVE_UP, 0, 2), (COMPLETED, 2, 3), (GAVE_UP, NOT, 2.5)]


def test_a_server_goes_on_if_it_does_not_know():
    jobs = served(Station(patience=UNNOTICED), [(0, 3, 0, 2), (1, 1, 0, 9), (1, 1, 0, 1.5)])
    assert fates(jobs) == [(GAVE_UP, 0, 3), (COMPLETED, 3, 4), (GAVE_UP, 4, 5)]
    still_there = served(Station(patience=UNNOTICED), [(0, 3, 0, 2)], horizon=2.5)
    assert fates(still_there) == [(GAVE_UP, 0, NOT)]


def test_at_equal_times_departures_come_before_timeouts_and_patience_last():
    # Done at its deadline; started at its deadline, which ends a service but no wait.
    assert served(Station(patience=SOJOURN), [(0, 2, 0, 2)])[0].outcome == COMPLETED
    assert fates(served(Station(patience=SOJOURN), [(0, 2), (1, 1, 0, 1)]))[1] == (GAVE_UP, 2, 2)
    assert fates(served(Station(patience=WAITING), [(0, 2), (1, 1, 0, 1)]))[1] == (COMPLETED, 2, 3)
    repaired = Station(patience=WAITING, failures=failing())
    assert fates(served(repaired, [(1.5, 1, 0, 0.5)], cycles=[(1, 1)])) == [(COMPLETED, 2, 3)]


def test_what_happens_at_the_horizon_itself():
    assert served(Station(), [(0, 2)], horizon=2.0)[0].outcome == COMPLETED
    assert served(Station(patience=SOJOURN), [(0, 3, 0, 2)], horizon=2.0)[0].outcome == GAVE_UP
    assert served(Station(patience=WAITING), [(0, 3), (0, 1, 0, 2)], horizon=2.0)[1].outcome == IN_SYSTEM
    lossy = Station(failures=failing("lose"))
    assert served(lossy, [(0, 3)], horizon=2.0, cycles=[(2, 1)])[0].outcome == IN_SYSTEM


@pytest.mark.parametrize(
    ("discipline", "at_failure", "ends"),
    [
        ("fifo", "resume", [4, 5]),
        ("fifo", "restart", [5, 6]),
        ("fifo", "lose", [1, 4]),
        ("ps", "resume", [5, 5]),
        ("ps", "restart", [6, 5]),
        ("ps", "lose", [1, 4]),
    ],
)
def test_what_has_started_goes_on_starts_again_or_is_lost(discipline, at_failure, ends):
    station = Station(discipline=discipline, failures=failing(at_failure))
    jobs = served(station, [(0, 2), (2, 1)], cycles=[(1, 2)])
    assert [job.outcome for job in jobs] == [LOST_JOB if at_failure == "lose" else COMPLETED, COMPLETED]
    assert departures(jobs) == ends


def test_no_service_starts_while_a_node_is_down():
    for discipline in ("fifo", "ps"):
        assert fates(served(Station(discipline=discipline, failures=failing()), [(1.5, 1)], cycles=[(1, 2)])) == [
            (COMPLETED, 3, 4)
        ]


def test_what_waits_is_not_lost():
    jobs = served(Station(failures=failing("lose")), [(0, 2), (0, 1)], cycles=[(1, 2)])
    assert fates(jobs) == [(LOST_JOB, 0, 1), (COMPLETED, 3, 4)]


def test_a_job_that_had_to_stand_back_has_started():
    station = Station(has_priorities=True, preempts=True, classes=FIRST_LAST, failures=failing("restart"))
    jobs = served(station, [(0, 4, 1), (1, 4, 0)], cycles=[(2, 1)])
    assert departures(jobs) == [11, 7]
    lossy = Station(has_priorities=True, preempts=True, classes=FIRST_LAST, failures=failing("lose"))
    assert [job.outcome for job in served(lossy, [(0, 4, 1), (1, 4, 0)], cycles=[(2, 1)])] == [LOST_JOB] * 2


def test_a_higher_class_that_came_while_the_node_was_down_goes_first_after_that():
    station = Station(has_priorities=True, preempts=True, classes=FIRST_LAST, failures=failing())
    assert departures(served(station, [(0, 4, 1), (1.5, 1, 0)], cycles=[(1, 1)])) == [6, 3]
    patient = Station(has_priorities=True, classes=FIRST_LAST, failures=failing())
    assert departures(served(patient, [(0, 4, 1), (1.5, 1, 0)], cycles=[(1, 1)])) == [5, 6]


def test_a_node_that_is_down_refuses_if_it_is_so_even_when_it_is_full():
    jobs = [(0, 2), (1.5, 1), (3, 1)]
    outcomes = [job.outcome for job in served(Station(failures=failing(refuses=True)), jobs, buffer=1, cycles=[(1, 1)])]
    assert outcomes == [COMPLETED, REFUSED, COMPLETED]
    outcomes = [job.outcome for job in served(Station(failures=failing()), jobs, buffer=1, cycles=[(1, 1)])]
    assert outcomes == [COMPLETED, DROPPED, COMPLETED]


def test_messages_say_that_a_node_is_down_if_that_is_told():
    looks = [0.5, 1, 1.5, 2]  # a failure comes before a sample of its time, and so does a repair
    assert served(Station(failures=failing(told=True)), [(0, 9)], cycles=[(1, 1)], looks=looks)[-1] == [1, 5, 5, 1]
    assert served(Station(failures=failing()), [(0, 9)], cycles=[(1, 1)], looks=looks)[-1] == [1, 1, 1, 1]


def test_failures_and_patience_go_together():
    station = Station(patience=SOJOURN, failures=failing())
    jobs = served(station, [(0, 2, 0, 1.5), (1.2, 1, 0, 9)], cycles=[(1, 1)])
    assert fates(jobs) == [(GAVE_UP, 0, 1.5), (COMPLETED, 2, 3)]
