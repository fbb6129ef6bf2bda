"""Rule values: what becomes of a dispatcher's answer, and where they send jobs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchers import Dispatcher, DispatcherError, PerJobDispatcher
from dispatchers.choice import Chosen, Drawn, Fixed, ask, checked_choice, cumulate, pick
from dispatchers.rules.memory import RoundRobin

SEEDS = st.integers(0, 2**32 - 1)


class TestPick:
    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(
        st.lists(st.one_of(st.just(0.0), st.floats(1e-12, 1.0)), min_size=1, max_size=8).filter(any),
        st.floats(0.0, 1.0, exclude_max=True),
    )
    def test_only_possible_servers_are_picked(self, weights, coin):
        row = np.array(weights) / sum(weights)
        for draw in (coin, 0.0, np.nextafter(1.0, 0.0)):
            assert row[pick(cumulate(row[None, :])[0], draw)] > 0

    @settings(max_examples=50, deadline=None, derandomize=True)
    @given(SEEDS)
    def test_coins_give_each_server_its_share(self, seed):
        row = np.random.default_rng(seed).dirichlet(np.full(5, 0.5))
        cumulative = cumulate(row[None, :])[0]
        coins = (np.arange(20_000) + 0.5) / 20_000
        counts = np.bincount([pick(cumulative, coin) for coin in coins], minlength=5)
        assert counts / 20_000 == pytest.approx(row, abs=1e-4)

    def test_a_row_does_not_depend_on_its_padding(self):
        row = np.random.default_rng(2).dirichlet(np.ones(4))
        padded = cumulate(np.pad(row, (0, 3))[None, :])[0]
        assert np.array_equal(padded[:4], cumulate(row[None, :])[0])
        assert (padded[3:] == 1.0).all()


class TestRuleValues:
    def test_drawn_by_each_jobs_coin(self):
        rule = Drawn([0.5, 0.5, 1.0], (0,))
        assert [rule.column(0, coin, 0.0) for coin in (0.0, 0.49, 0.5, 0.99)] == [0, 0, 2, 2]
        assert rule.offload_probability == 0.5

    @pytest.mark.parametrize("chosen", [0, 2])
    def test_fixed_for_the_epoch(self, chosen):
        rule = Fixed((chosen,))
        assert {rule.column(number, 0.1 * number, 1.0) for number in range(9)} == {chosen}
        assert rule.offload_probability == (chosen != 0)

    def test_chosen_for_each_job_and_counted(self):
        rule = Chosen(np.zeros((3, 1)), (0,), np.array([2, 0, 1]), np.zeros(3, np.int64), RoundRobin.choose)
        assert np.isnan(rule.offload_probability)
        assert [rule.column(number, 0.5, 0.0) for number in range(4)] == [2, 0, 1, 2]
        assert rule.sent.tolist() == [1, 1, 2]
        assert rule.offload_probability == 0.75

    def test_a_choice_is_looked_at(self):
        class Far(PerJobDispatcher):
            @staticmethod
            def choose(job):
                return len(job.order)

        rule = Chosen(np.zeros((3, 1)), (0,), np.arange(3), np.zeros(3, np.int64), checked_choice(Far()))
        with pytest.raises(DispatcherError, match=r"^Far: choose must return a column from 0 to 2, got 3$"):
            rule.column(0, 0.5, 0.0)


class Nosy(Dispatcher):
    """A rule that reads the distribution of all queues."""

    def route(self, view):
        return view.offload(np.full(view.rows, view.distribution[0]))


class TestAsking:
    def test_a_rule_reads_what_it_declares_and_the_view_is_open_again(self, view):
        rule = Nosy()
        with pytest.raises(DispatcherError, match=r"^Nosy: reads view.distribution, .* include global, got broadcast$"):
            ask(rule, view)
        assert view.reader is None
        rule.information = ("broadcast", "global")
        assert np.array_equal(ask(rule, view).numbers, rule.route(view))

    def test_the_older_way_to_declare_it(self, view):
        class Old(Nosy):
            observes = "all"

        assert ask(Old(), view).hidden.shape == (view.rows, 0)
