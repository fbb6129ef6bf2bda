"""The paper's claims are held against intervals, and the page of its figures is made by one command."""

import numpy as np
import pandas as pd
import pytest

from policies.paper import Figure, claims, main

DELTA_TS = [float(delta_t) for delta_t in range(1, 11)]


def figure(name, **drops):
    """Return a figure of episodes around `drops[dispatcher](delta_t)`, on common paths of arrival rates."""
    generator = np.random.default_rng(1)
    rows = []
    for delta_t in DELTA_TS:
        paths = generator.normal(0.0, 1.0, 40)
        for dispatcher, mean in drops.items():
            noise = generator.normal(0.0, 0.01, 40)
            rows += [
                {"dispatcher": dispatcher.replace("_", "-"), "delta_t": delta_t, "replication": k, "drops_per_queue": x}
                for k, x in enumerate(mean(delta_t) + paths + noise)
            ]
    return Figure(name, pd.DataFrame(rows))


def verdicts(figure):
    return {claim.text.split(" on the ")[0]: claim.holds for claim in claims({figure.name: figure})}


def paper(delta_t):
    """MF-R as the paper has it: RND's from 8 on."""
    return min(3.5, 1.5 + 0.25 * delta_t) if delta_t < 8 else 3.5


def test_the_papers_curves_bear_out_its_claims():
    found = verdicts(
        figure("07a", MF_R=paper, JSQ=lambda x: 1.2 * x, RND=lambda x: 3.5, OWN=lambda x: 3.5),
    )
    assert found == {
        "JSQ is best at delta_t 1": True,
        "MF-R is best for delta_t 2 to 7": True,
        "MF-R coincides with RND for delta_t 8 to 10": True,
        "RND and OWN are equal": True,
    }


def test_other_curves_do_not():
    found = verdicts(figure("07b", MF_R=lambda x: 2.0, JSQ=lambda x: 2.5, RND=lambda x: 2.2, OWN=lambda x: 2.1))
    assert found == {
        "JSQ is best at delta_t 1": False,
        "MF-R is best for delta_t 2 to 7": True,
        "MF-R coincides with RND for delta_t 8 to 10": False,
        "RND and OWN are equal": False,
    }


def test_unequal_degrees_tell_own_from_random():
    curves = {"MF_R": paper, "JSQ": lambda x: 1.0 * x, "OWN": lambda x: 3.5}
    apart = claims({"07d": figure("07d", RND=lambda x: 3.7, **curves)})[-1]
    alike = claims({"07d": figure("07d", RND=lambda x: 3.5, **curves)})[-1]
    assert (apart.holds, alike.holds) == (True, False)


def test_on_the_bethe_lattice():
    curves = {"JSQ": lambda x: 2.0 * x, "RND": lambda x: 3.7, "OWN": lambda x: 3.5}
    behind = claims({"08": figure("08", MF_R=lambda x: 2.0 + 0.2 * x, **curves)})
    ahead = claims({"08": figure("08", MF_R=lambda x: 3.0, **curves)})
    assert [claim.holds for claim in behind] == [True, True, True]
    assert [claim.holds for claim in ahead] == [True, False, True]
    assert "worse at 8, 9, 10" in behind[1].measured
    assert "never up to 10" in ahead[1].measured


@pytest.mark.slow
def test_the_page_is_made_by_one_command(tmp_path):
    arguments = ["--replications", "3", "--engine", "compiled", "--workers", "1"]
    assert main([*arguments, "--runs", str(tmp_path / "runs"), "--docs", str(tmp_path / "docs")]) == 0
    page = (tmp_path / "docs/paper.md").read_text()
    names = [path.stem for path in sorted((tmp_path / "docs/paper").glob("*.png"))]
    assert names == [f"figure_{number}" for number in ("03a", "06", "07a", "07b", "07c", "07d", "08")]
    for name in names:
        assert f"(paper/{name}.png)" in page
    assert "JSQ is best at delta_t 1 on the cycle" in page
