"""The laws of work: what they say of themselves against scipy, the same bits everywhere, and files of data."""

import hashlib
import math
import os
import pickle

import numpy as np
import pytest
from scipy import stats

from emulator.errors import InputError
from emulator.keys import ScenarioError, checked
from emulator.model.laws import LAWS, Empirical, Gamma, Hyperexponential, Mixture, PhaseType, Weibull
from emulator.model.laws.law import rounded
from emulator.model.laws.single import SINGLE_LAWS
from emulator.randomness import SERVICE, random_words
from emulator.workload.jobs import works_of

BITS = random_words(5, SERVICE, 2000) >> np.uint64(16)

X = np.array([0.0, 0.01, 0.3, 0.9, 1.0, 1.1, 2.5, 7.0, 40.0])

GENERATOR = [[-3.0, 1.0, 0.5], [0.0, -1.0, 0.4], [0.1, 0.0, -0.5]]

EXAMPLES = {
    "exponential": {},
    "deterministic": {},
    "hyperexponential": {"scv": 4.0},
    "uniform": {"spread": 0.5},
    "erlang": {"stages": 3},
    "gamma": {"scv": 4.0},
    "phase_type": {"start": [0.6, 0.4, 0.0], "generator": GENERATOR},
    "lognormal": {"scv": 4.0},
    "weibull": {"scv": 4.0},
    "pareto": {"alpha": 1.5},
    "bounded_pareto": {"alpha": 1.5, "ratio": 1000.0},
    "empirical": {"values": [1.0, 2.0, 4.0, 0.0], "draw": "smooth"},
    "mixture": {"weights": [9.0, 1.0], "parts": ["exponential", {"law": "gamma", "scv": 4.0, "mean": 10}]},
}

HASHES = {
    "exponential": "f79c48615e3a",
    "deterministic": "9c7d87294de0",
    "hyperexponential": "de2c42d990c4",
    "uniform": "1bf259ada9ea",
    "erlang": "378134ba42be",
    "gamma": "639c2c2378e6",
    "phase_type": "8a4c61a41112",
    "lognormal": "6cd76c46bd64",
    "weibull": "98cf116f434d",
    "pareto": "07ff2c5d540c",
    "bounded_pareto": "c9262fcdd56b",
    "empirical": "a5eaadf1fb32",
    "mixture": "06e6c0de6afe",
}
"""Of 2,000 works of each example: the same on every machine, whatever its libraries and processor."""


def example(name):
    return LAWS[name].model_validate(EXAMPLES[name])


@pytest.mark.parametrize("name", LAWS)
def test_works_have_the_same_bits_on_every_machine(name):
    assert hashlib.sha256(works_of(BITS, example(name)).tobytes()).hexdigest()[:12] == HASHES[name]


@pytest.mark.parametrize(
    ("name", "frozen"),
    [
        ("uniform", stats.uniform(0.5, 1.0)),
        ("erlang", stats.gamma(3, scale=1 / 3)),
        ("gamma", stats.gamma(0.25, scale=4.0)),
        ("lognormal", stats.lognorm(math.sqrt(math.log(5)), scale=5**-0.5)),
        ("weibull", stats.weibull_min(1 / 1.8426639157, scale=1 / math.gamma(2.8426639157))),
        ("pareto", stats.pareto(1.5, scale=1 / 3)),
    ],
)
def test_distributions_are_those_of_scipy(name, frozen):
    law = example(name)
    tolerance = 1e-9 if name == "weibull" else 1e-12  # its shape is found by its scv, and rounded
    assert law.cdf(X) == pytest.approx(frozen.cdf(X), abs=tolerance)
    assert frozen.mean() == pytest.approx(1.0)
    assert law.variance() == pytest.approx(frozen.var(), rel=10 * tolerance)


def test_the_moments_of_a_phase_type():
    law = example("phase_type")
    inverse = np.linalg.inv(GENERATOR)
    start, ones = np.array([0.6, 0.4, 0.0]), np.ones(3)
    mean = -start @ inverse @ ones
    assert law.constants["mean"] == pytest.approx(mean)
    assert law.variance() == pytest.approx(2 * (start @ inverse @ inverse @ ones) / mean**2 - 1)
    erlang = PhaseType(start=[1.0, 0.0], generator=[[-1.0, 1.0], [0.0, -1.0]])
    assert erlang.cdf(X) == pytest.approx(LAWS["erlang"].model_validate({"stages": 2}).cdf(X), abs=1e-13)


def test_a_weibull_law_has_the_scv_that_it_is_asked_for():
    for scv in (0.01, 0.5, 1.0, 4.0, 1000.0):
        assert Weibull(scv=scv).variance() == pytest.approx(scv, rel=1e-9)
    assert Weibull(scv=1.0).constants == {"exponent": 1.0, "scale": 1.0}


def test_two_ways_to_say_hyperexponential():
    by_scv = Hyperexponential(scv=4.0)
    (short, mean_short), (long, mean_long) = by_scv.branches()
    by_branches = Hyperexponential(probabilities=[short, long], means=[3 * mean_short, 3 * mean_long])
    assert by_branches.variance() == pytest.approx(4.0)
    assert works_of(BITS, by_branches) == pytest.approx(works_of(BITS, by_scv))


def test_a_mixture_is_made_of_its_parts():
    law = Mixture(weights=[2.0, 0.0, 1.0], parts=["deterministic", "exponential", {"law": "uniform", "mean": 4}])
    assert [part.share for part in law.made] == pytest.approx([2 / 3, 0.0, 1 / 3])
    assert [part.mean for part in law.made] == pytest.approx([0.5, 0.5, 2.0])
    works = works_of(BITS, law)
    is_first = works == 0.5
    assert is_first.mean() == pytest.approx(2 / 3, abs=0.05)
    assert works[~is_first].mean() == pytest.approx(2.0, abs=0.2)
    assert (works[~is_first] < 4.0).all()
    assert law.variance() == pytest.approx(2 / 3 * 0.25 + 1 / 3 * 4.0 * (1 + 1 / 3) - 1.0)


@pytest.mark.parametrize("name", SINGLE_LAWS)
def test_each_law_can_be_a_part(name):
    law = Mixture(weights=[1.0], parts=[{"law": name, **EXAMPLES[name], "mean": 7.0}])
    alone = example(name)
    assert law.variance() == pytest.approx(alone.variance())
    assert works_of(BITS[:50], law) == pytest.approx(works_of(BITS[:50], alone))


def test_constants_are_rounded_and_said():
    law = example("lognormal")
    assert law.constants == {"sigma": 1.26863624118}
    assert law.model_dump(exclude_none=True)["derived"] == {"sigma": 1.26863624118}
    given = LAWS["lognormal"].model_validate({"scv": 4.0, "derived": {"sigma": 1.26863624119}})
    assert given.numbers().sigma == 1.26863624119  # another machine's is taken
    assert pickle.loads(pickle.dumps(given)).numbers() == given.numbers()
    assert [rounded(value) for value in (1 / 3, 2e-300 / 3, 123456789012345.0, 0.0)] == [
        0.333333333333,
        6.66666666667e-301,
        123456789012000.0,
        0.0,
    ]
    with pytest.raises(InputError, match="a constant that follows from its keys is inf"):
        rounded(math.inf)


def empirical(tmp_path, text, name="values.csv", **keys):
    file = tmp_path / name
    file.write_text(text)
    return Empirical(path=str(file), **keys)


def test_values_of_a_file(tmp_path):
    law = empirical(tmp_path, "id;work\na;1\nb;2\nc;6\n", column="work")
    assert law.variance() == pytest.approx(np.var([1, 2, 6]) / 9)
    works = works_of(BITS, law)
    assert np.unique(works) == pytest.approx([1 / 3, 2 / 3, 2.0])
    in_order = empirical(tmp_path, "1\n2\n6\n", draw="in_order")
    assert works_of(BITS[:5], in_order, first=1) == pytest.approx(np.array([2, 6, 1, 2, 6]) / 3)
    smooth = empirical(tmp_path, "6\n1\n2\n", draw="smooth")
    mean = (1.5 + 4.0) / 2
    assert smooth.cdf(np.array([0.9, 1.0, 1.5, 2.0, 4.0, 6.0, 7.0]) / mean) == pytest.approx(
        [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    )
    assert works_of(BITS, smooth).min() >= 1.0 / mean


def test_a_file_that_changes_is_read_again(tmp_path):
    law = empirical(tmp_path, "1\n3\n")
    assert law.scaled().tolist() == [0.5, 1.5]
    (tmp_path / "values.csv").write_text("1\n4\n")
    os.utime(tmp_path / "values.csv", (1, 1))
    assert law.scaled().tolist() == [0.4, 1.6]


@pytest.mark.parametrize(
    ("text", "keys", "told"),
    [
        ("a\n1\n-2\n", {}, r"values.csv:3: a must be a number >= 0, got -2$"),
        ("a\n0\n0\n", {}, r"values.csv: a must have a mean above 0$"),
        ("a\n1\n", {"draw": "smooth"}, r"values.csv: a must hold at least 2 values for draw: smooth, got 1$"),
        ("a,b\n1,2\n", {}, r"values.csv: has 2 columns, so one must be named: a, b$"),
        ("a,b\n1,2\n", {"column": "c"}, r"values.csv: has no column c; its columns are a, b$"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path, text, keys, told):
    with pytest.raises(InputError, match=told):
        empirical(tmp_path, text, **keys).numbers()


def test_gamma_numbers_need_few_attempts():
    """Even at shapes far from 1 all works are finite, and their mean is 1 within five standard deviations."""
    for scv in (1e-4, 0.3, 1.0, 1.5, 100.0):
        works = works_of(BITS, Gamma(scv=scv))
        assert np.isfinite(works).all()
        assert works.mean() == pytest.approx(1.0, abs=5 * math.sqrt(scv / len(BITS)))


@pytest.mark.parametrize(
    ("law", "keys", "told"),
    [
        (PhaseType, {"start": [1.0], "generator": [[-1.0, 0.0]]}, r"^generator must have 1 rows of 1 rates"),
        (Mixture, {"weights": [1.0], "parts": [5]}, r"^parts\.0 must be a law's name or a mapping with law, got 5"),
        (Mixture, {"weights": [1.0], "parts": [{"law": "uniform", "mean": "x"}]}, r"^parts\.0\.mean must be a number"),
        (Mixture, {"weights": [1.0], "parts": [{"law": "exponential", "mean": 0}]}, "^parts must not all have mean 0"),
    ],
)
def test_wrong_keys_are_told_with_their_place(law, keys, told):
    with pytest.raises(ScenarioError, match=told):
        checked(law, keys)
