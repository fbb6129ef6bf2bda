"""The view: its fields, what reading them notes and refuses, random views, and that the page tells the table."""

import re
from pathlib import Path

import numpy as np
import pytest

from dispatchers import DispatcherError, View
from dispatchers.choice import validate
from dispatchers.information import KINDS
from dispatchers.view import BY_SERVER, FIELDS, Reader, an_epoch_later, distinct, random_view, select_rows

ROOT = Path(__file__).resolve().parents[2]


def view_of(seed, **options):
    return random_view(np.random.default_rng(seed), **options)


class TestView:
    def test_arrays_cannot_be_written(self, view):
        for name in ("queue_lengths", "service_rates", "accessible", "sharing", "coins", "order", "age", "schedulers"):
            array = getattr(view, name)
            with pytest.raises(ValueError, match="read-only"):
                array[0] = array[0]

    def test_the_callers_array_stays_writable(self):
        lengths = np.zeros((1, 1), np.int64)
        view = View(queue_lengths=lengths, accessible=np.ones((1, 1), bool))
        lengths[0, 0] = 1
        assert view.queue_lengths[0, 0] == 1

    def test_what_is_carried_is_noted_and_does_not_make_the_answer_ones_own(self):
        view = view_of(0, rows=8, hidden=3)
        assert view.hidden.tolist() == [[0.0] * 3] * 8
        assert view.hidden.dtype == np.float64
        assert "hidden" in view.read
        assert view.reusable
        with pytest.raises(ValueError, match="read-only"):
            view.hidden[0] = 1.0
        hidden = np.arange(24.0).reshape(8, 3)
        later = an_epoch_later(np.random.default_rng(1), view, hidden)
        assert np.array_equal(select_rows(later, [5, 2]).hidden, hidden[[5, 2]])
        assert np.array_equal(later.accessible, view.accessible)
        assert not np.array_equal(later.queue_lengths, view.queue_lengths)
        assert view_of(0, rows=8).hidden.shape == (8, 0)

    @pytest.mark.parametrize("name", ["coins", "order", "age"])
    def test_reading_what_is_ones_own_makes_the_answer_ones_own(self, view, name):
        fresh = select_rows(view, slice(None))
        assert fresh.reusable
        _ = fresh.queue_lengths, fresh.service_rates, fresh.sharing, fresh.schedulers, fresh.distribution
        assert fresh.reusable
        getattr(fresh, name)
        assert not fresh.reusable

    def test_what_is_not_told_is_made_when_read_and_once(self):
        made = []
        view = View(lambda name: made.append(name) or np.array([0.25]), accessible=np.ones((1, 1), bool))
        assert made == []
        assert view.coins.tolist() == view.coins.tolist() == [0.25]
        assert made == ["coins"]
        with pytest.raises(ValueError, match="read-only"):
            view.coins[0] = 0.5

    def test_what_nobody_tells_is_not_known(self):
        with pytest.raises(DispatcherError, match=r"^view.distribution is not known here$"):
            _ = View(accessible=np.ones((1, 1), bool)).distribution
        with pytest.raises(TypeError, match="a view has no rumours, its fields are queue_lengths, "):
            View(rumours=1)

    def test_the_own_length_is_column_0_and_less_to_differ_by(self):
        view = view_of(0)
        assert np.array_equal(view.own_lengths, view.value("queue_lengths")[:, 0])
        assert view.read == {"own_lengths"}

    def test_a_rule_reads_what_it_declares(self):
        view = view_of(0)
        for name, field in FIELDS.items():
            view.reader = Reader("mine", frozenset(KINDS) - {field.information})
            if field.information is None:
                getattr(view, name)
                continue
            told = f"^mine: reads view.{name}, so its information must include {field.information}, got "
            with pytest.raises(DispatcherError, match=told):
                getattr(view, name)
            view.reader = Reader("mine", frozenset((field.information,)))
            getattr(view, name)

    def test_a_scheduler_without_neighbours_keeps_its_jobs(self):
        view = view_of(1, degrees=[1, 3])
        alone = view.degrees == 1
        for answer in (view.any_neighbour(), view.offload(np.ones(32)), view.uniform(), view.least(view.queue_lengths)):
            validate(answer, view, "helper")
            assert (answer[alone, 0] == 1.0).all()

    def test_random_views_have_the_shapes_types_and_padding_of_the_table(self):
        view = view_of(3, rows=40, hidden=2)
        sizes = {"rows": 40, "columns": 5, "hidden": 2, "buffer + 1": 6}
        for name, field in FIELDS.items():
            value = np.asarray(getattr(view, name))
            assert value.dtype == field.dtype, name
            assert value.shape == tuple(sizes[word] for word in field.shape.split(" x ") if word), name
            if field.shape == BY_SERVER:
                padding = np.broadcast_to(np.arange(5) if field.padding is None else field.padding, value.shape)
                assert np.array_equal(value[~view.accessible], padding[~view.accessible]), name

    def test_what_lasts_is_the_same_an_epoch_later(self):
        view = view_of(3, hidden=2)
        later = an_epoch_later(np.random.default_rng(4), view, np.ones((32, 2)))
        for name, field in FIELDS.items():
            same = np.array_equal(getattr(view, name), getattr(later, name))
            assert same == field.lasts, name


def test_the_page_tells_the_table():
    page = (ROOT / "docs/dispatchers.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", page, re.MULTILINE)
    kinds = {"int64": "int", "float64": "float"}
    expected = [
        (
            name,
            ", ".join(filter(None, (field.shape, kinds.get(field.dtype.__name__, field.dtype.__name__).rstrip("_")))),
            field.information or "none",
            field.meaning,
        )
        for name, field in FIELDS.items()
    ]
    assert rows == expected


def test_a_field_explains_itself():
    assert View.coins.__doc__.startswith("The decision coin")
    assert all(getattr(View, name) is field and field.meaning.endswith(".") for name, field in FIELDS.items())


def test_rows_are_distinct_by_their_bits():
    rows = np.array([[1.0, 2.0], [0.5, 0.0], [1.0, 2.0], [0.5, -0.0]])
    first, number = distinct(rows)
    assert len(first) == 3
    assert rows[first][number].tobytes() == rows.tobytes()


class TestWithoutOwn:
    def test_what_needs_an_own_server_is_refused_and_the_rest_is_not(self):
        view = view_of(1, has_own=False)
        for ask, what in [
            (lambda: view.own_lengths, "reads view.own_lengths"),
            (view.own, "keeps jobs at the own server"),
            (view.any_neighbour, "sends jobs to any but the own server"),
            (lambda: view.offload(np.full(view.rows, 0.5)), "offloads from the own server"),
        ]:
            with pytest.raises(DispatcherError, match=f"^{what}, but schedulers have no own server here"):
                ask()
        view.reader = Reader("Mine", frozenset({"broadcast"}))
        with pytest.raises(DispatcherError, match=r"^Mine: reads view\.own_lengths, but"):
            _ = view.own_lengths
        view.reader = None
        validate(view.uniform(), view, "uniform")
        validate(view.least(view.queue_lengths), view, "least")

    def test_views_made_of_one_have_none_either(self):
        view = view_of(1, has_own=False)
        assert not select_rows(view, [0, 1]).has_own
        assert not an_epoch_later(np.random.default_rng(1), view, view.hidden).has_own
        assert view_of(1).has_own
