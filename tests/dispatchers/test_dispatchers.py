"""Every rule against its definition, the contract's helpers, the checks, and how dispatchers are found."""

import hashlib
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchers import (
    Dispatcher,
    DispatcherError,
    JobView,
    LeastCostDispatcher,
    PerJobDispatcher,
    RecurrentDispatcher,
    View,
    check_dispatcher,
    plugins,
)
from dispatchers import catalogue as catalogue_module
from dispatchers.checking import check_fit
from dispatchers.choice import validate, validate_plan
from dispatchers.contract import name_of
from dispatchers.rules.basic import Random, SendToOwn
from dispatchers.rules.mean_field import MeanFieldOwn
from dispatchers.rules.memory import JoinShortestQueueWithMemory, RoundRobin
from dispatchers.rules.shortest import JoinShortestQueue, ShortestExpectedDelay
from dispatchers.user_modules import hash_of
from dispatchers.view import random_view
from emulator.verification import random_policies as random_networks
from emulator.verification.random_systems import Habitual, Moody, Tracking


def make(**asked):
    return catalogue_module.make(**asked).dispatcher


ROOT = Path(__file__).resolve().parents[2]
SEEDS = st.integers(0, 2**32 - 1)
RULE = [0.0, 0.2, 0.5, 0.9, 1.0, 1.0]


def view_of(seed, **options):
    return random_view(np.random.default_rng(seed), **options)


def columns_of(view, row):
    return np.flatnonzero(view.accessible[row])


def uniform_on(view, row, columns):
    answer = np.zeros(view.accessible.shape[1])
    answer[list(columns)] = 1.0 / len(columns)
    return answer


def own(view, row):
    return uniform_on(view, row, [0])


def uniform(view, row):
    return uniform_on(view, row, columns_of(view, row))


def shortest(view, row):
    lengths = {column: view.queue_lengths[row, column] for column in columns_of(view, row)}
    return uniform_on(view, row, [column for column in lengths if lengths[column] == min(lengths.values())])


def least_delay(view, row):
    delays = {c: (view.queue_lengths[row, c] + 1) / view.service_rates[row, c] for c in columns_of(view, row)}
    return uniform_on(view, row, [column for column in delays if delays[column] == min(delays.values())])


def offloaded(view, row):
    neighbours = columns_of(view, row)[1:]
    share = RULE[view.queue_lengths[row, 0]] if len(neighbours) else 0.0
    kept = (1 - share) * own(view, row)
    return kept + share * uniform_on(view, row, neighbours) if len(neighbours) else kept


DEFINITIONS = {
    "OWN": (SendToOwn(), own, "job"),
    "RND": (Random(), uniform, "job"),
    "JSQ": (JoinShortestQueue(), shortest, "epoch"),
    "JSQ, ties per job": (JoinShortestQueue(ties="job"), shortest, "job"),
    "SED": (ShortestExpectedDelay(), least_delay, "epoch"),
    "SED, ties per job": (ShortestExpectedDelay(ties="job"), least_delay, "job"),
    "MF-R": (MeanFieldOwn(rule=RULE), offloaded, "job"),
}


@pytest.mark.parametrize("case", DEFINITIONS)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=SEEDS)
def test_a_rule_is_its_definition(case, seed):
    dispatcher, definition, draws = DEFINITIONS[case]
    view = view_of(seed)
    expected = [definition(view, row) for row in range(len(view.accessible))]
    assert dispatcher.route(view) == pytest.approx(np.array(expected), abs=1e-12)
    assert dispatcher.draws == draws
    assert view.reusable  # none of them needs what belongs to one scheduler and epoch alone


def sent_by(dispatcher, view, row, jobs):
    """Return the columns that one scheduler's jobs go to, one after the other."""
    columns = columns_of(view, row)
    plan = dispatcher.plan(view)[row, : len(columns)]
    sent = np.zeros(len(columns), dtype=np.int64)
    chosen = []
    for total in range(jobs):
        job = JobView(plan, view.order[row, : len(columns)], sent.copy(), total, 0.5, 0.1 * total)
        chosen.append(int(dispatcher.choose(job)))
        sent[chosen[-1]] += 1
    return chosen


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=SEEDS)
def test_round_robin_goes_round_its_order(seed):
    view = view_of(seed)
    for row in range(len(view.accessible)):
        order = [int(column) for column in view.order[row] if view.accessible[row, column]]
        assert sent_by(RoundRobin(), view, row, 12) == (order * 12)[:12]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=SEEDS, weight=st.sampled_from([1, "sharing", 0, 2.5]), bonus=st.sampled_from([0.9, 0.0, -1.0, 3.0]))
def test_jsq_with_memory_joins_the_least_of_its_definition(seed, weight, bonus):
    view = view_of(seed)
    dispatcher = JoinShortestQueueWithMemory(weight, bonus)
    for row in range(len(view.accessible)):
        order = [int(column) for column in view.order[row] if view.accessible[row, column]]
        sent = dict.fromkeys(order, 0)
        for column in sent_by(dispatcher, view, row, 12):
            costs = {}
            for other in order:
                each = view.sharing[row, other] if weight == "sharing" else weight
                length = view.queue_lengths[row, other] + each * sent[other] - bonus * (other == 0)
                costs[other] = length / view.service_rates[row, other]
            nearly_least = [other for other in order if costs[other] <= min(costs.values()) + 1e-12]
            assert column in nearly_least
            if weight in (1, "sharing") and bonus in (0.0, -1.0, 3.0):  # exact in floating point, ties included
                assert column == nearly_least[0]
            sent[column] += 1


def test_counting_own_jobs_alternates_between_two_equal_servers():
    view = View(
        queue_lengths=np.zeros((1, 2), np.int64),
        service_rates=np.ones((1, 2)),
        accessible=np.ones((1, 2), bool),
        sharing=np.full((1, 2), 2),
        buffer=5,
        delta_t=5.0,
        coins=np.zeros(1),
        order=np.array([[1, 0]]),
        age=np.zeros((1, 2)),
        schedulers=np.zeros(1, np.int64),
    )
    assert sent_by(JoinShortestQueueWithMemory(bonus=0.0), view, 0, 5) == [1, 0, 1, 0, 1]
    assert sent_by(JoinShortestQueueWithMemory(bonus=0.9), view, 0, 5) == [0, 1, 0, 1, 0]


class Rule(Dispatcher):
    """A rule whose answer a test gives it."""

    def __init__(self, route):
        self.answer = route

    def route(self, view):
        return self.answer(view)


class JobRule(PerJobDispatcher):
    """A per-job rule whose plan and choice a test gives it."""

    def __init__(self, choose=lambda job: 0, plan=lambda view: np.zeros((*view.accessible.shape, 1))):
        self.planned = plan
        self.choose = choose

    def plan(self, view):
        return self.planned(view)


class Uninformed(Rule):
    """A rule that declares to know nothing."""

    information = ()


class RoundRobinByLength(RoundRobin):
    """A rule that reads what the one it is made of does not declare."""

    def plan(self, view):
        return view.queue_lengths[:, :, None].astype(float)


class Forgetful(JobRule):
    """A per-job rule that declares to know messages alone."""

    information = ("broadcast",)


class StateRule(RecurrentDispatcher):
    """A recurrent rule whose answer a test gives it."""

    def __init__(self, advance, hidden=2):
        self.answer = advance
        self.hidden = hidden

    def advance(self, view):
        return self.answer(view)


def carrying(hidden):
    """Return what keeps every job and carries what `hidden` makes of a view."""
    return lambda view: (view.own(), hidden(view))


def forgetting_later():
    """Return what answers the same for one epoch and then in another way each time."""
    answers = iter(range(10**6))
    return carrying(lambda view: view.hidden + 1.0 + view.hidden.astype(bool) * next(answers))


def changing():
    answers = iter(range(10**6))
    return lambda view: view.offload(np.full(len(view.accessible), 1 / (2 + next(answers))))


def forgetful():
    answers = iter([0, 1] * 999)
    return lambda job: next(answers) % len(job.order)


def negative(view):
    answer = view.own()
    answer[:, 0] = 2.0
    answer[:, 1] -= 1.0
    return answer


def write_into_view(view):
    view.queue_lengths[0, 0] = 0
    return view.own()


BROKEN = {
    "sums to less": (Rule(lambda v: v.own() * 0.9), "probabilities sum to 0.9, must be 1 .queue lengths"),
    "not a number": (Rule(lambda v: v.own() * np.nan), "probabilities are not finite"),
    "negative": (Rule(negative), "probabilities are negative"),
    "padded": (Rule(lambda v: np.full(v.accessible.shape, 0.2)), "probabilities lead to padded columns"),
    "a list": (Rule(lambda v: v.own().tolist()), "route must return a float64 array, got list"),
    "nothing": (Rule(lambda v: None), "route must return a float64 array, got NoneType"),
    "float32": (Rule(lambda v: v.own().astype(np.float32)), "route must return float64 64 x 5, got float32 64 x 5"),
    "shape": (Rule(lambda v: v.own()[:, :2]), "route must return float64 64 x 5, got float64 64 x 2"),
    "leaves": (Rule(lambda v: sys.exit(5)), r"SystemExit: 5 \(.*test_dispatchers.py:\d+\)"),
    "infinite, of which numpy warns": (Rule(lambda v: v.own() * np.inf), "probabilities are not finite"),
    "raises": (Rule(lambda v: v.nothing), r"AttributeError: .*nothing.* \(.*test_dispatchers.py:\d+\)"),
    "writes": (Rule(write_into_view), "read-only"),
    "forgetful": (Rule(changing()), "asked again, it answered something else"),
    "looks at others": (Rule(lambda v: v.least(v.queue_lengths != v.queue_lengths[0])), "rows reordered"),
    "counts rows": (Rule(lambda v: v.own() if len(v.accessible) > 1 else v.uniform()), "row . asked alone"),
    "no route": (Dispatcher(), r"Dispatcher must define route\(self, view\)"),
    "plan of two dimensions": (JobRule(plan=lambda v: v.own()), "plan must return float64 64 x 5 x fields"),
    "plan not finite": (
        JobRule(plan=lambda v: np.where(v.own() > 0, np.inf, 0.0)[:, :, None]),
        "planned numbers are not finite",
    ),
    "no plan": (PerJobDispatcher(), r"must define plan\(self, view\)"),
    "column too large": (JobRule(lambda job: len(job.order)), r"choose must return a column from 0 to \d, got \d"),
    "reads undeclared rates": (
        Uninformed(lambda v: v.least(v.service_rates)),
        "reads view.service_rates, so its information must include broadcast, got none",
    ),
    "wrong and uninformed": (Uninformed(lambda v: v.own() * 0.9), "probabilities sum to 0.9, must be 1 .queue lengths"),
    "plans by undeclared lengths": (RoundRobinByLength(), "reads view.queue_lengths, so its information must include"),
    "chooses by undeclared sends": (
        Forgetful(lambda job: job.total_sent % len(job.order)),
        "choose depends on job.sent or job.total_sent, so its information must include own sends, got broadcast",
    ),
    "column negative": (JobRule(lambda job: -1), "choose must return a column from 0 to .*, got -1"),
    "a float": (JobRule(lambda job: 0.0), "choose must return a column .* got 0.0"),
    "a truth value": (JobRule(lambda job: False), "choose must return a column .* got False"),
    "choose leaves": (JobRule(lambda job: sys.exit()), "choose raised SystemExit"),
    "choose writes": (JobRule(lambda job: job.sent.fill(1) or 0), "choose raised ValueError: .*read-only"),
    "choose raises": (JobRule(lambda job: 1 // 0), "choose raised ZeroDivisionError"),
    "choose forgets": (JobRule(forgetful()), "for the same job"),
    "no advance": (type("Bare", (RecurrentDispatcher,), {"hidden": 1})(), r"must define advance\(self, view\)"),
    "nothing carried": (StateRule(None, hidden=0), "hidden must be a whole number from 1 to 10000, got 0"),
    "half a number carried": (StateRule(None, hidden=1.5), "hidden must be a whole number from 1 to 10000, got 1.5"),
    "no width of what is carried": (type("Bare", (RecurrentDispatcher,), {})(), "hidden must be .*, got 0"),
    "only probabilities": (
        StateRule(lambda v: v.own()),
        "advance must return two arrays, probabilities and hidden states, got ndarray",
    ),
    "three arrays": (StateRule(lambda v: (v.own(), v.hidden, v.hidden)), "advance must return two arrays"),
    "probabilities of a recurrent rule": (
        StateRule(lambda v: (v.own() * 0.9, v.hidden)),
        "probabilities sum to 0.9, must be 1",
    ),
    "probabilities in float32": (
        StateRule(lambda v: (v.own().astype(np.float32), v.hidden)),
        "advance must return float64 64 x 5, got float32 64 x 5",
    ),
    "a list carried": (StateRule(carrying(lambda v: [0.0])), "hidden states must be a float64 array, got list"),
    "too much carried": (
        StateRule(carrying(lambda v: np.zeros((v.rows, 3)))),
        "hidden states must be float64 64 x 2, got float64 64 x 3",
    ),
    "float32 carried": (
        StateRule(carrying(lambda v: v.hidden.astype(np.float32))),
        "hidden states must be float64 64 x 2, got float32 64 x 2",
    ),
    "no numbers carried": (StateRule(carrying(lambda v: v.hidden / 0.0)), "hidden states are not finite"),
    "infinity carried later": (
        StateRule(carrying(lambda v: 1e300 * (v.hidden + 1.0))),
        "hidden states are not finite: .inf inf.",
    ),
    "what is carried looks at others": (
        StateRule(carrying(lambda v: v.hidden + v.queue_lengths[0, 0] * v.own_lengths[:, None])),
        "rows reordered, it answered something else|asked alone",
    ),
    "what is carried is forgetful later": (StateRule(forgetting_later()), "asked again, it answered something else"),
    "writes into what is carried": (
        StateRule(lambda v: (v.own(), np.add(v.hidden, 1.0, out=v.hidden))),
        "read-only",
    ),
    "advance raises": (StateRule(lambda v: 1 // 0), r"ZeroDivisionError: .* \(.*test_dispatchers.py:\d+\)"),
}


class TestCheckDispatcher:
    @pytest.mark.parametrize("case", list(DEFINITIONS))
    def test_built_in_rules_keep_the_contract(self, case):
        check_dispatcher(DEFINITIONS[case][0])

    @pytest.mark.parametrize(
        "dispatcher",
        [
            RoundRobin(),
            JoinShortestQueueWithMemory("sharing"),
            JobRule(),
            Forgetful(lambda job: int(job.coin * len(job.sent)) if job.elapsed > 1 else 0),
        ],
    )
    def test_per_job_rules_keep_the_contract(self, dispatcher):
        check_dispatcher(dispatcher)

    @pytest.mark.parametrize("dispatcher", [Tracking(), Habitual(), Moody(), StateRule(carrying(lambda v: v.hidden))])
    def test_recurrent_rules_keep_the_contract(self, dispatcher):
        check_dispatcher(dispatcher)

    def test_only_states_that_come_about_are_tried(self):
        """A rule may rely on what it has itself carried: here the number of the decision and a queue length."""
        seen = []

        def counting(view):
            decisions, lengths = np.unique(view.hidden[:, 0]), view.hidden[:, 1]
            assert len(decisions) == 1
            assert set(lengths) <= {0, 1, 2, 3, 4, 5}
            seen.extend(decisions.tolist())
            return view.own(), np.stack([view.hidden[:, 0] + 1.0, view.own_lengths.astype(float)], axis=1)

        check_dispatcher(StateRule(counting))
        assert sorted(set(seen)) == [0.0, 1.0, 2.0]

    @pytest.mark.parametrize("case", BROKEN)
    def test_each_breach_is_told_in_one_line(self, case):
        dispatcher, message = BROKEN[case]
        with pytest.raises(DispatcherError, match=message) as refusal:
            check_dispatcher(dispatcher)
        assert "\n" not in str(refusal.value)
        assert str(refusal.value).startswith(f"{name_of(dispatcher)}: ") or "must define" in str(refusal.value)

    def test_what_a_rule_declares_is_looked_at(self):
        rule = Rule(View.own)
        rule.draws = "second"
        with pytest.raises(DispatcherError, match="draws must be job or epoch, got 'second'"):
            check_dispatcher(rule)
        rule = Rule(View.own)
        rule.observes = "some"
        with pytest.raises(DispatcherError, match="observes must be accessible or all, got 'some'"):
            check_dispatcher(rule)
        for wrong in ("global", ("broadcast", "rumours"), None, [["global"]]):
            rule = Rule(View.own)
            rule.information = wrong
            allowed = "information must be a tuple of names out of broadcast, global, own sends, got "
            with pytest.raises(DispatcherError, match=allowed):
                check_dispatcher(rule)
        with pytest.raises(DispatcherError, match="was made for buffer 5, the scenario has buffer 3"):
            check_dispatcher(MeanFieldOwn(rule=RULE), buffer=3)
        rule = Rule(View.own)
        rule.nodes = 21
        check_dispatcher(rule)
        check_fit(rule, 5, 21)
        check_fit(rule, 5)
        check_fit(Rule(View.own), 5, 101)
        with pytest.raises(DispatcherError, match=r"^Rule: was made for 21 nodes, the scenario has 101$"):
            check_fit(rule, 5, 101)
        with pytest.raises(DispatcherError, match=r"^mine: was made for 21 nodes"):
            check_fit(rule, 5, 101, "mine")
        with pytest.raises(DispatcherError, match="subclass of Dispatcher"):
            check_dispatcher(type("Stranger", (), {"name": "stranger"})())

    def test_only_rules_that_say_so_see_the_distribution(self):
        with pytest.raises(DispatcherError, match=r"^Rule: reads view.distribution, so its information must include"):
            check_dispatcher(Rule(lambda v: v.offload(np.full(len(v.accessible), v.distribution[0]))))

    def test_rounding_is_forgiven_but_no_more(self, view):
        validate(view.own() * (1 + 1e-12), view, "x")
        with pytest.raises(DispatcherError, match="sum to"):
            validate(view.own() * (1 + 1e-6), view, "x")

    def test_a_plan_is_returned_as_it_is(self, view):
        plan = RoundRobin().plan(view)
        assert validate_plan(plan, view, "RR") is plan


class TestReadings:
    """Whether to offload is drawn for each job, or once per epoch for all of them (Algorithm 1, lines 10 to 13)."""

    def test_an_action_holds_for_the_epoch_and_its_neighbours_are_drawn_for_each_job(self, view):
        answer = MeanFieldOwn(rule=RULE, draws="epoch").route(view)
        offloads = view.coins < np.array(RULE)[view.own_lengths]
        assert np.array_equal(answer, np.where(offloads[:, None], view.any_neighbour(), view.own()))
        assert 0 < offloads.sum() < view.rows

    def test_each_job_is_the_default(self, view):
        assert np.array_equal(MeanFieldOwn(rule=RULE).route(view), MeanFieldOwn(rule=RULE, draws="job").route(view))

    @pytest.mark.parametrize("name", ["MF-R", "MF-N", "MF-G", "NA-PS", "MF-RNN"])
    @pytest.mark.parametrize("learned_for", ["job", "epoch"])
    def test_a_policy_is_executed_as_it_was_learned_unless_one_says_otherwise(self, name, learned_for, tmp_path, view):
        if name == "MF-RNN":
            model = random_networks.recurrent(np.random.default_rng(0), 5, 4)
        else:
            model = onnx.load(next((ROOT / "policies" / "trained").glob("torus_5.onnx")))
        if learned_for == "epoch":
            model.metadata_props.add(key="draws", value="epoch")
        (tmp_path / "p.onnx").write_bytes(model.SerializeToString())
        options = {"policy": "p.onnx"}
        assert make(name=name, options=options, folder=tmp_path).acts == learned_for
        for draws in ("job", "epoch"):
            dispatcher = make(name=name, options=options | {"draws": draws}, folder=tmp_path)
            assert dispatcher.acts == draws
            check_dispatcher(dispatcher)
        with pytest.raises(DispatcherError, match="draws must be job or epoch, got 'week'"):
            make(name=name, options=options | {"draws": "week"}, folder=tmp_path)


class TestOptions:
    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("JSQ", {"ties": "never"}, "JSQ: ties must be epoch or job, got 'never'"),
            ("OWN", {"speed": 2}, "OWN: unknown option speed, allowed are none"),
            ("MF-R", {}, "MF-R needs either policy or rule"),
            ("MF-R", {"rule": [0.1, 2]}, "rule must be a list of buffer . 1 numbers from 0 to 1, got .0.1, 2."),
            ("MF-R", {"rule": "high"}, "rule must be a list"),
            ("MF-R", {"rule": [0, float("nan")]}, "rule must be a list"),
            ("MF-N", {}, "MF-N: needs the option policy"),
            ("MF-N", {"policy": 3}, "MF-N: policy must be the name of a file, got 3"),
            ("NA-PS", {}, "NA-PS: needs the option policy"),
            ("NA-PS", {"rule": RULE}, "NA-PS: unknown option rule, allowed are policy"),
            ("NA-PS", {"policy": None}, "NA-PS: policy must be the name of a file, got None"),
            ("MF-RNN", {}, "MF-RNN: needs the option policy"),
            ("MF-RNN", {"policy": 3}, "MF-RNN: policy must be the name of a file, got 3"),
            ("SAC", {"policy": 3}, "SAC: policy must be the name of a file, got 3"),
            ("SAC", {"policy": "none.onnx"}, "SAC: there is no policy none.onnx, looked for"),
            ("MF-R", {"policy": None}, "MF-R: MF-R needs either policy or rule"),
            ("MF-N", {"policy": "none.onnx"}, "MF-N: there is no policy none.onnx, looked for"),
            ("JSQ-M", {"weight": "all"}, "weight must be sharing or a number >= 0, got 'all'"),
            ("JSQ-M", {"weight": -1}, "weight must be"),
            ("JSQ-M", {"weight": True}, "weight must be"),
            ("JSQ-M", {"bonus": float("inf")}, "bonus must be a finite number, got inf"),
            ("RR", {"order": 1}, "RR: unknown option order"),
        ],
    )
    def test_wrong_options_are_refused(self, name, options, message):
        with pytest.raises(DispatcherError, match=message):
            make(name=name, options=options)

    def test_every_name_makes_its_dispatcher(self, tmp_path):
        generator = np.random.default_rng(0)
        made = {
            "rnn.onnx": random_networks.recurrent(generator, 5, 4),
            "sac.onnx": random_networks.per_agent(generator, 5, np.full(21, 2)),
        }
        for name, model in made.items():
            (tmp_path / name).write_bytes(model.SerializeToString())
        policy = next((ROOT / "policies" / "trained").glob("*_5.onnx"))
        needed = {"MF-R": {"rule": RULE}, "MF-RNN": {"policy": "rnn.onnx"}, "SAC": {"policy": "sac.onnx"}}
        needed |= {name: {"policy": policy.name} for name in ("MF-N", "MF-G", "NA-PS")}
        names = ("OWN", "RND", "JSQ", "SED", "MF-R", "MF-N", "MF-G", "MF-RNN", "NA-PS", "SAC", "RR", "JSQ-M")
        assert catalogue_module.SORT.available()[: len(names)] == list(names)
        for name in names:
            dispatcher = make(name=name, options=needed.get(name), folder=tmp_path, shipped=policy.parent)
            assert name_of(dispatcher) == name
            check_dispatcher(dispatcher, degrees=[3] if name == "SAC" else [1, 2, 3, 5])


@pytest.fixture
def folder(tmp_path):
    def write(name, text, under="rules"):
        path = tmp_path / under / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path.parent

    return write


KEEP = """
from dispatchers import Dispatcher

class Keep(Dispatcher):
    def __init__(self, share=0.0):
        self.share = share

    def route(self, view):
        return view.offload([self.share] * len(view.accessible))
"""


class TestFinding:
    def test_a_class_beside_the_scenario(self, folder):
        dispatcher = make(class_="mine:Keep", options={"share": 0.5}, folder=folder("mine.py", KEEP))
        assert dispatcher.share == 0.5
        assert name_of(dispatcher) == "Keep"
        check_dispatcher(dispatcher)

    def test_it_may_import_what_is_beside_it(self, folder):
        folder("sibling_of_mine.py", "SHARE = 0.25\n")
        place = folder(
            "using.py", "from sibling_of_mine import SHARE\n" + KEEP + "\nclass Quarter(Keep):\n    name = str(SHARE)\n"
        )
        assert name_of(make(class_="using:Quarter", folder=place)) == "0.25"

    def test_two_folders_may_have_modules_of_one_name(self, folder):
        first = folder("mine.py", KEEP, "first")
        second = folder("mine.py", KEEP.replace("Dispatcher):", "Dispatcher):\n    name = 'second'"), "second")
        assert name_of(make(class_="mine:Keep", folder=first)) == "Keep"
        assert name_of(make(class_="mine:Keep", folder=second)) == "second"

    def test_a_name_that_an_installed_module_has_too(self, folder):
        assert name_of(make(class_="statistics:Keep", folder=folder("statistics.py", KEEP))) == "Keep"

    def test_an_installed_module(self, tmp_path):
        assert isinstance(make(class_="dispatchers.rules.basic:Random", folder=tmp_path), Random)

    @pytest.mark.parametrize(
        ("path", "text", "message"),
        [
            ("mine:", KEEP, "class must be module:Class, got 'mine:'"),
            ("mine", KEEP, "class must be module:Class"),
            ("absent:Keep", KEEP, "absent:Keep: there is no module absent, neither .*absent.py nor an installed one"),
            ("mine:Kept", KEEP, "mine.py has no Kept, its dispatchers are Keep"),
            ("mine:np", "import numpy as np", "mine:np: must be a subclass of dispatchers.Dispatcher"),
            ("mine:Keep", "class Keep:\n    pass", "must be a subclass of dispatchers.Dispatcher"),
            ("mine:Keep", "def broken(:\n", r"mine:Keep: .*mine.py:1: invalid syntax"),
            ("mine:Keep", "import nothing_of_this_name\n" + KEEP, "cannot be imported: .*nothing_of_this_name"),
            ("mine:Keep", "raise SystemExit(5)", r"cannot be imported: SystemExit: 5 .*mine.py:1"),
            ("mine:Keep", "1 / 0", r"cannot be imported: ZeroDivisionError: division by zero .*mine.py:1"),
            ("mine:Keep", KEEP.replace("share=0.0", "share"), "mine:Keep: needs the option share"),
            ("mine:Keep", KEEP.replace("= share", "= 1 / 0"), "mine:Keep: cannot be made: ZeroDivisionError"),
        ],
    )
    def test_what_cannot_be_found_or_made(self, folder, path, text, message):
        with pytest.raises(DispatcherError, match=message) as refusal:
            make(class_=path, folder=folder("mine.py", text))
        assert "\n" not in str(refusal.value)

    def test_a_failed_import_leaves_nothing_behind(self, folder):
        place = folder("mine.py", "1 / 0")
        with pytest.raises(DispatcherError):
            make(class_="mine:Keep", folder=place)
        folder("mine.py", KEEP)
        assert name_of(make(class_="mine:Keep", folder=place)) == "Keep"

    def test_an_unknown_name(self):
        with pytest.raises(
            DispatcherError, match=r"there is no dispatcher 'jsq' \(did you mean JSQ\?\), known are OWN"
        ):
            make(name="jsq")

    def test_entry_points_of_packages(self, monkeypatch):
        group = catalogue_module.SORT.group
        offered = [
            EntryPoint("Theirs", "dispatchers.rules.basic:SendToOwn", group),
            EntryPoint("RND", "dispatchers.rules.basic:SendToOwn", group),
            EntryPoint("Gone", "no_such_package:Rule", group),
            EntryPoint("Odd", "dispatchers.choice:cumulate", group),
        ]
        monkeypatch.setattr(plugins, "entry_points", lambda group: offered)
        assert isinstance(make(name="Theirs"), SendToOwn)
        assert isinstance(make(name="RND"), Random)
        assert catalogue_module.SORT.available()[-3:] == ["Theirs", "Gone", "Odd"]
        with pytest.raises(
            DispatcherError, match=r"Gone: no_such_package:Rule cannot be imported: ModuleNotFoundError"
        ):
            make(name="Gone")
        with pytest.raises(DispatcherError, match=r"Odd: must be a subclass of dispatchers\.Dispatcher"):
            make(name="Odd")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there are no files of the kernel")
def test_of_a_file_of_the_kernel_which_calls_itself_empty_nothing_is_read():
    assert hash_of("/proc/self/status") == hashlib.sha256().hexdigest()


class Busier(LeastCostDispatcher):
    """Costs that depend on other servers."""

    def cost(self, view):
        """See `LeastCostDispatcher.cost`."""
        return view.queue_lengths - view.queue_lengths.max(axis=1, keepdims=True)


class Planning(RoundRobin):
    """A plan that depends on other servers, and says it does not."""

    plans_one_by_one = True
    information = ("broadcast", "own sends")

    def plan(self, view):
        """See `PerJobDispatcher.plan`."""
        return np.cumsum(view.queue_lengths, axis=1).astype(np.float64)[:, :, None]


class Quiet(Planning):
    """The same, which no longer says so."""

    plans_one_by_one = False

    def plan(self, view):
        """See `PerJobDispatcher.plan`."""
        return super().plan(view)


def test_what_is_said_of_each_server_must_not_depend_on_others():
    with pytest.raises(DispatcherError, match=r"^Busier: cost must depend on what is known of that server alone$"):
        check_dispatcher(Busier())
    with pytest.raises(DispatcherError, match=r"^RR: plan, with plans_one_by_one, must depend on what is known of"):
        check_dispatcher(Planning())
    check_dispatcher(Quiet())
    assert isinstance(JoinShortestQueue(), LeastCostDispatcher)
