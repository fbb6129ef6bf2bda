"""Single queues: the solvers reproduce known values to all digits, and agree where two of them solve the same."""

import math
from functools import partial

import numpy as np
import pytest

from emulator.errors import InputError
from emulator.model.laws import (
    BoundedPareto,
    Deterministic,
    Empirical,
    Erlang,
    Exponential,
    Gamma,
    Hyperexponential,
    Lognormal,
    Mixture,
    PhaseType,
    Uniform,
)
from emulator.verification.exact.arrival_cases import ARRIVAL_CASES
from emulator.verification.exact.arrivals import MarkovArrivals, modulated, poisson, renewal
from emulator.verification.exact.clocks import clock_of, general_gaps, general_work
from emulator.verification.exact.markov import Move, explored
from emulator.verification.exact.phase_type import Phases, exponential, phases_of
from emulator.verification.exact.queue import stationary_loss
from emulator.verification.exact.sojourn import exceeded, quantiles, sojourn_law
from emulator.verification.exact.station import Clients, JobClass, Station, in_the_long_run
from emulator.verification.exact.station_cases import STATION_CASES
from emulator.verification.exact.transforms import inverted

known = partial(pytest.approx, abs=6e-7)
"""To the digits that are given."""

POISSON = poisson(0.9)
BALANCED = Hyperexponential(scv=4.0)
TRIPLE = PhaseType(start=[0.6, 0.4, 0.0], generator=[[-3.0, 1.0, 0.5], [0.0, -1.0, 0.4], [0.1, 0.0, -0.5]])
MMPP = modulated([1.5, 0.3], [[-0.1, 0.1], [0.05, -0.05]])
MAP = MarkovArrivals(np.array([[-2.0, 0.1], [0.05, -0.4]]), np.array([[1.8, 0.1], [0.05, 0.3]]))


def of_work(law, **keys):
    return in_the_long_run(Station(**{"arrivals": POISSON, "classes": (JobClass(work=phases_of(law)),)} | keys))


def plain(**keys):
    return of_work(Exponential(), **keys)


def loss_of(flows):
    return flows["drops"] / flows["arrivals"]


def sojourn_of(flows):
    return flows["presence"] / (flows["arrivals"] - flows["drops"])


def test_exponential_work():
    found = plain()
    assert (found.loss, found.sojourn) == (known(0.126023), known(2.790286))
    assert found.loss == pytest.approx(stationary_loss(0.9, 5))
    law = sojourn_law(Station(arrivals=POISSON))
    assert law.mean == known(2.790286)
    assert quantiles(law, [0.5, 0.9, 0.99, 0.999]) == known([2.322986, 5.795780, 9.516304, 12.761367])


def test_other_work():
    deterministic = general_work(Deterministic(), POISSON).long_run()
    assert (loss_of(deterministic), sojourn_of(deterministic)) == (known(0.0643619, abs=6e-8), known(2.523175))
    assert of_work(Erlang(stages=2)).loss == known(0.0981291, abs=6e-8)
    assert of_work(BALANCED).loss == known(0.204430)
    assert of_work(TRIPLE).loss == known(0.150952)
    assert loss_of(general_work(Lognormal(scv=4.0), POISSON).long_run()) == known(0.188745)
    assert loss_of(general_work(BoundedPareto(alpha=1.5, ratio=1000.0), POISSON).long_run()) == known(0.175849)


def test_other_gaps():
    for law, loss in ((Deterministic(), 0.0519173), (BALANCED, 0.237317), (Gamma(scv=4.0), 0.282121)):
        assert loss_of(general_gaps(law, 0.9).long_run()) == known(loss)
    assert plain(arrivals=renewal(phases_of(BALANCED, 1 / 0.9))).loss == known(0.237317)


def test_modulated_arrivals():
    assert MMPP.rate() == pytest.approx(0.7)
    assert (plain(arrivals=MMPP).loss, MMPP.index_of_dispersion()) == (known(0.196697), known(7.095238))
    assert (plain(arrivals=MAP).loss, *MAP.gap()) == (known(0.249754), *map(known, (1.153846, 2.343117, 0.192875)))


def test_a_profile():
    chain = Station(arrivals=poisson(0.75)).chain()
    flows, law = chain.under(lambda time: 1.0 + 0.8 * math.sin(2.0 * math.pi * time / 20.0), 50.0)
    assert flows["drops"] == known(5.132203)
    assert law @ [len(state.jobs) for state in chain.states] == known(2.623880)


def test_batches_and_unequal_schedulers():
    assert plain(arrivals=poisson(0.45), batch=((2, 1.0),)).loss == known(0.200006)
    rates = 0.6 * np.array([1.0, 1 / 2, 1 / 3]) * 18 / 11  # Zipf's law, mean 0.6
    lost = [rate * plain(arrivals=poisson(rate)).loss for rate in rates]
    assert sum(lost) / sum(rates) == known(0.0912649, abs=6e-8)


def test_several_servers():
    two = plain(arrivals=poisson(1.8), servers=2)
    assert (two.loss, two.length) == (known(0.141077), known(2.456965))
    assert plain(arrivals=poisson(9.0), servers=10, buffer=10).loss == known(0.167963)
    shared = plain(arrivals=poisson(1.8), servers=2, discipline="ps")
    assert (shared.loss, shared.length) == (known(0.141077), known(2.456965))


@pytest.mark.parametrize("law", [Exponential(), BALANCED, Erlang(stages=3), TRIPLE], ids=lambda law: law.law)
def test_processor_sharing_does_not_depend_on_the_law(law):
    found = of_work(law, discipline="ps")
    assert (found.loss, found.sojourn) == (known(0.126023), known(2.790286))


def test_priority():
    classes = JobClass(share=1 / 3, priority=0), JobClass(share=2 / 3, priority=1)
    first, second = (in_the_long_run(Station(arrivals=POISSON, classes=classes), sort) for sort in (0, 1))
    assert (first.sojourn, second.sojourn) == (known(1.920752), known(3.225053))
    assert (first.loss, second.loss) == (known(0.126023), known(0.126023))


def test_failures():
    found = plain(arrivals=poisson(0.7), up=exponential(50.0), down=exponential(5.0))
    assert (found.loss, found.sojourn) == (known(0.110861, abs=1e-6), known(2.970878))


def test_patience():
    found = plain(patience=4.0)
    assert (found.loss, found.gave_up) == (known(0.0278856, abs=6e-8), known(0.205349))


def test_clients():
    found = plain(arrivals=Clients(count=8, think=8.0), buffer=8)
    assert (found.throughput, found.sojourn) == (known(0.764430), known(2.465318))


@pytest.mark.parametrize("law", [Exponential(), BALANCED, Erlang(stages=3), TRIPLE], ids=lambda law: law.law)
@pytest.mark.parametrize("arrivals", [poisson(1.3), MarkovArrivals(MAP.d0, MAP.d1, np.array([0.0, 1.0]))])
def test_a_clock_and_phases_agree(law, arrivals):
    """In the long run, and from empty until 20 ms, which neither reaches by the other's way."""
    station = Station(arrivals=arrivals, classes=(JobClass(work=phases_of(law)),), buffer=4, rate=1.2)
    queue = general_work(law, arrivals, 4, 1.2)
    for one, other in (
        (queue.long_run(), station.chain().long_run()),
        (queue.until(20.0), station.chain().until(20.0)),
    ):
        assert one == pytest.approx({name: other[name] for name in one}, rel=1e-6)


@pytest.mark.parametrize("law", [Exponential(), BALANCED, Erlang(stages=3)], ids=lambda law: law.law)
@pytest.mark.parametrize(
    ("work", "servers"), [(exponential(), 1), (exponential(), 3), (phases_of(TRIPLE), 1)], ids=["M/1", "M/3", "PH/1"]
)
def test_a_clock_of_gaps_and_phases_agree(law, work, servers):
    gaps = renewal(phases_of(law, 1 / 2.4))
    station = Station(arrivals=gaps, classes=(JobClass(work=work),), servers=servers, rate=0.9)
    queue = general_gaps(law, 2.4, work, 5, servers, 0.9)
    for one, other in (
        (queue.long_run(), station.chain().long_run()),
        (queue.until(20.0), station.chain().until(20.0)),
    ):
        assert one == pytest.approx({name: other[name] for name in one}, rel=1e-6)


def test_laws_of_no_phases_are_near_those_that_have_many():
    """Jobs that an Erlang law of ever more stages brings are ever more alike."""
    limit = loss_of(general_work(Deterministic(), POISSON).long_run())
    gaps = [loss_of(general_work(Erlang(stages=stages), POISSON).long_run()) - limit for stages in (50, 100, 200)]
    assert gaps[0] > gaps[1] > gaps[2] > 0.0
    assert gaps[1] / gaps[2] == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize(
    "law",
    [
        Deterministic(),
        Uniform(spread=0.5),
        Empirical(values=[1.0, 2.0, 5.0]),
        Lognormal(scv=16.0),
        Mixture(weights=[3.0, 1.0], parts=["deterministic", {"law": "pareto", "alpha": 2.5, "mean": 4}]),
    ],
    ids=lambda law: law.law,
)
def test_a_clock_has_the_moments_of_its_law(law):
    clock = clock_of(law, 2.0)
    assert clock.weights @ clock.left == pytest.approx(2.0, rel=1e-5)
    assert 2.0 * (clock.weights @ (clock.left * clock.times)) == pytest.approx(4.0 * (1.0 + law.variance()), rel=1e-3)


def test_phase_types():
    law = Mixture(weights=[1.0, 2.0], parts=["exponential", {"law": "erlang", "stages": 2, "mean": 3.0}])
    for each in (BALANCED, Erlang(stages=4), TRIPLE, law):
        found = phases_of(each, 3.0)
        assert found.mean == pytest.approx(3.0)
        assert found.moment(2) / 9.0 - 1.0 == pytest.approx(each.variance())
        assert exceeded(found, 2.0) == pytest.approx(1.0 - each.cdf(np.array([2.0 / 3.0]))[0])
    with pytest.raises(InputError, match=r"must be a phase type to be solved: exponential, .* got lognormal"):
        phases_of(Lognormal(scv=1.0))


def test_arrivals():
    assert renewal(phases_of(BALANCED, 2.0)).gap() == pytest.approx((2.0, 4.0, 0.0))
    assert renewal(phases_of(BALANCED)).index_of_dispersion() == pytest.approx(4.0)
    assert poisson(3.0).index_of_dispersion() == pytest.approx(1.0)
    assert MAP.scaled(0.5).rate() == pytest.approx(0.5)
    assert MAP.scaled(0.5).gap()[1:] == pytest.approx(MAP.gap()[1:])
    assert modulated([0.7, 0.7], [[-1.0, 1.0], [1.0, -1.0]]).gap() == pytest.approx((1 / 0.7, 1.0, 0.0), abs=1e-9)


def test_a_profile_of_steps_is_the_chain_in_two_times():
    chain = Station(arrivals=poisson(1.0)).chain()
    flows, _ = chain.under(lambda time: 0.5 if time < 7.0 else 2.0, 20.0, breaks=[7.0])
    one, other = (Station(arrivals=poisson(rate)).chain() for rate in (0.5, 2.0))
    assert one.states == other.states == chain.states
    from scipy.linalg import expm

    between = one.start @ expm(one.generator * 7.0)
    later = type(other)(other.states, between, *list(vars(other).values())[2:6])
    assert flows["drops"] == pytest.approx(one.until(7.0)["drops"] + later.until(13.0)["drops"], abs=1e-8)
    same, _ = chain.under(lambda time: 1.0, 20.0)
    assert same == pytest.approx(chain.until(20.0), abs=1e-8)


def two_classes(**keys):
    short, long = Phases(np.ones(1), np.array([[-2.0]])), exponential(3.0)
    classes = JobClass(share=0.8, work=short, priority=0), JobClass(share=0.2, work=long, priority=1)
    return Station(arrivals=poisson(0.8), classes=classes, **keys)


def test_what_interrupts_nobody_changes_nothing():
    """No jobs are lost but by full buffers, and all that are accepted are completed: in the long run flows balance."""
    for keys in ({}, {"preempts": True}, {"discipline": "ps"}, {"servers": 2}, {"speeds": (1.0, 1.5)}):
        flows = two_classes(**keys).chain().long_run()
        assert flows["arrivals"] == pytest.approx(0.8)
        assert flows["completions"] == pytest.approx(flows["arrivals"] - flows["drops"])


def test_the_first_class_preempts_and_sees_no_other():
    """With a buffer that is never full, it has a queue of its own: M/M/1 at its rate and mean."""
    found = in_the_long_run(two_classes(preempts=True, buffer=30), 0)
    load = 0.8 * 0.8 * 0.5
    assert found.sojourn == pytest.approx(0.5 / (1.0 - load), rel=1e-4)


def test_failures_of_every_kind():
    failing = {"up": phases_of(Erlang(stages=2), 20.0), "down": exponential(4.0)}
    keys = {"arrivals": poisson(0.7), **failing}
    for others in ({}, {"jobs": "lose"}, {"refuses_while_down": True}, {"jobs": "lose", "refuses_while_down": True}):
        flows = Station(**keys, **others).chain().long_run()
        left = (flows.get(name, 0.0) for name in ("drops", "refused", "lost", "completions"))
        assert sum(left) == pytest.approx(0.7)
        assert flows["busy"] == pytest.approx(flows["completions"])
        if "refuses_while_down" in others:
            assert flows["refused"] == pytest.approx(0.7 * 4 / 24)
        if "jobs" in others:
            assert 0.0 < flows["lost"] < 1 / 24


def test_a_server_that_never_fails_has_no_failures():
    found = plain(up=exponential(1e9), down=exponential(1e-3), patience=1e9)
    assert (found.loss, found.sojourn) == pytest.approx((plain().loss, plain().sojourn), abs=1e-6)


def test_a_server_that_is_down_starts_nobody():
    """So whoever finds it down and empty waits, and gives up."""
    failing = {"up": exponential(1000.0), "down": exponential(1000.0)}
    flows = Station(arrivals=POISSON, buffer=1, patience=0.1, jobs="lose", **failing).chain().long_run()
    assert flows["gave_up"] == pytest.approx(0.45 * 10.0 / 10.9, rel=0.01)


def test_patience_of_every_kind():
    for keys in ({}, {"patience_of": "sojourn"}, {"patience_of": "sojourn", "goes_on": True}):
        flows = Station(arrivals=POISSON, patience=4.0, **keys).chain().long_run()
        assert flows["drops"] + flows["gave_up"] + flows["completions"] == pytest.approx(0.9)
    wasted = Station(arrivals=POISSON, patience=4.0, patience_of="sojourn", goes_on=True).chain().long_run()
    stopped = Station(arrivals=POISSON, patience=4.0, patience_of="sojourn").chain().long_run()
    assert wasted["completions"] < stopped["completions"]


def test_several_servers_of_any_law_and_speeds():
    """With as many servers as places the loss does not depend on the law of work (A. K. Erlang)."""
    keys = {"arrivals": poisson(3.0), "servers": 4, "buffer": 4}
    assert of_work(TRIPLE, **keys).loss == pytest.approx(plain(**keys).loss)
    # Two servers are one whose speed doubles when a second job comes.
    one = plain(arrivals=poisson(1.8), speeds=(1.0, 2.0))
    assert (one.loss, one.length) == (known(0.141077), known(2.456965))


def test_sojourn_laws_have_the_means_of_little():
    for station in (
        Station(arrivals=poisson(1.8), servers=2),
        Station(arrivals=MAP, classes=(JobClass(work=phases_of(TRIPLE)),), rate=1.3),
    ):
        assert sojourn_law(station).mean == pytest.approx(in_the_long_run(station).sojourn)
    with pytest.raises(InputError, match="plain queues in order of arrival alone"):
        sojourn_law(Station(arrivals=POISSON, patience=4.0))


def test_deterministic_gaps_in_steps():
    """Between two arrivals nothing jumps, so the transform says the same; at one it does not, and none is taken."""
    queue = general_gaps(Deterministic(), 0.9)
    by_transform = inverted(lambda s: queue._transform_of_sums(s, ["drops", "presence"]), 20.5)
    flows = queue.until(20.5)
    assert flows["arrivals"] == 18.0
    assert [flows["drops"], flows["presence"]] == pytest.approx(by_transform, abs=0.02)
    assert queue.until(2.0 / 0.9)["arrivals"] == 1.0
    with pytest.raises(InputError, match="gaps of some values alone are solved in the long run only"):
        general_gaps(Empirical(values=[1.0, 2.0]), 0.9).until(20.0)


def test_retries_bring_jobs_back():
    """All jobs end somewhere: a job that is dropped for good has been dropped three times."""
    station = Station(arrivals=poisson(0.9), buffer=2, retried=frozenset({"drop"}), attempts=2, backoff=2.0)
    flows = station.chain().long_run()
    assert flows["arrivals"] == pytest.approx(0.9 + flows["retries"])
    assert flows["arrivals"] == pytest.approx(flows["drops"] + flows["completions"])
    none = Station(arrivals=poisson(0.9), buffer=2, retried=frozenset({"drop"}), attempts=0).chain().long_run()
    assert none["drops"] / none["arrivals"] == pytest.approx(stationary_loss(0.9, 2))
    # Who comes back late enough finds a queue like any other: a Poisson process of more jobs.
    late = Station(arrivals=poisson(0.5), buffer=2, retried=frozenset({"drop"}), attempts=1, backoff=100.0, room=60)
    found = late.chain().long_run()
    assert found["drops"] / found["arrivals"] == pytest.approx(stationary_loss(found["arrivals"], 2), rel=0.01)


@pytest.mark.parametrize("name", STATION_CASES | ARRIVAL_CASES)
def test_a_case_of_a_queue_holds_its_solution(name):
    case = (STATION_CASES | ARRIVAL_CASES)[name]
    assert case.solved() == pytest.approx(case.value, abs=6e-7)


def test_transforms():
    """Of exp(-t), t**2 and sin t."""
    found = inverted(lambda s: np.array([1 / (1 + s), 2 / s**3, 1 / (1 + s * s)]), 3.0)
    assert found == pytest.approx([math.exp(-3.0), 9.0, math.sin(3.0)], abs=1e-8)


def test_a_chain_must_have_one_law_and_few_states():
    with pytest.raises(InputError, match="must have one law in the long run"):
        explored({0: 0.5, 1: 0.5}, lambda state: [], lambda state: {}).stationary()
    with pytest.raises(InputError, match="at most 20000 states can be solved exactly"):
        explored({0: 1.0}, lambda state: [Move(1.0, state + 1)], lambda state: {})
