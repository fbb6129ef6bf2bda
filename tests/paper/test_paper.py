"""The page of the paper's figures is made by one command, from runs that can be stopped and taken up again."""

import ast
import importlib.util
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from test_paper_claims import PAPERS, emulated, flat, grown, rising, rooted, trained

from emulator.errors import InputError
from emulator.scenario.plan import load
from policies.paper import claims, command_line, growth, root, tables
from policies.paper.figure import READINGS, Figure
from policies.paper.making import chosen, make, scenarios
from policies.paper.page import GROUPS, held, page, stem_of
from policies.paper.reasons import REASONS, reason_for
from policies.paper.verdict import Verdict

ROOT = Path(__file__).resolve().parents[2]


def test_distributions_of_a_trace():
    lengths = np.array([[0, 0, 0], [2, 1, 1], [1, 0, 2]])  # epochs x nodes
    epoch = np.repeat(np.arange(3), 3)
    table = pa.table({"epoch": epoch, "queue_length": lengths.ravel()})
    for cut in (9, 4, 2):  # rows come in pieces
        found = growth.distributions((table.slice(start, cut) for start in range(0, 9, cut)), 3)
        np.testing.assert_allclose(found, [[1, 0, 0], [0, 2 / 3, 1 / 3], [1 / 3, 1 / 3, 1 / 3]])


def test_distance_in_total_variation():
    assert growth.distance(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1.0
    assert growth.distance(np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25])) == 0.25


def test_the_root_by_the_law_is_the_root_of_an_emulation(tmp_path):
    """A star of four under RND: the middle receives more than the leaves, by how much is known for the first epoch."""
    (tmp_path / "star.yaml").write_text(
        "topology: {kind: bethe, depth: 1, degree: 3}\ndelta_t: 5\nhorizon: 10\nreplications: 6000\n"
        "dispatchers: [RND, {name: MF-R, rule: [0, 0, 0, 0, 0, 0]}]\n"
    )
    told = []
    rows = root.root(load(tmp_path / "star.yaml"), told.append)
    assert sum(told) == pytest.approx(1.0)
    random, own = rows.to_dict("records")
    # After one epoch of 0.9 or 0.6 jobs per ms: the middle is sent a quarter of its own and half of each leaf's.
    received = np.array([0.25 + 3 * 0.5, 0.5 + 0.25])
    expected = [sum(growth_of(rate * share) for rate in (0.9, 0.6)) / 2.0 for share in (received[0], received[1])]
    average = (expected[0] + 3.0 * expected[1]) / 4.0
    assert random["length"] == pytest.approx(expected[0] - average, abs=0.06)
    assert random["length_low"] < expected[0] - average < random["length_high"]
    assert random["chance"] < 1e-6
    assert own["length"] == pytest.approx(0.0, abs=0.06)
    assert own["chance"] > 1e-4


def growth_of(rate):
    """The mean length of a queue of 5 after 5 ms of a rate, from empty."""
    from policies.process.epoch_law import evolve

    law, _ = evolve(np.eye(6)[0], rate, 1.0, 5.0)
    return float(law @ np.arange(6))


def alike(**drops):
    """A figure whose episodes are all alike."""
    figure = emulated("07a", (1.0, 4.0, 5.0, 7.0, 8.0, 9.0, 10.0), **{name: flat(x) for name, x in drops.items()})
    means = figure.rows["dispatcher"].str.replace("-", "_").map(drops)
    return Figure("07a", figure.rows.assign(drops_per_queue=means), episodes=40)


@pytest.mark.parametrize("drops", [0.0, 2.0])
def test_a_page_of_episodes_that_are_alike_shows_no_nan(drops):
    whole = {delta_t: alike(MF_R=drops, JSQ=drops, RND=drops, OWN=drops) for delta_t in (1.0,)}[1.0]
    more = [whole.rows.assign(delta_t=value).iloc[: len(whole.rows) // 7] for value in (2.0, 3.0, 6.0)]
    written = page({"07a": Figure("07a", pd.concat([whole.rows, *more]), episodes=40)})
    assert "nan" not in written


def test_a_page_of_few_episodes_and_iterations_shows_no_nan():
    few = Figure("09a", trained("09a", {"MF-R": 2.7, "MF-RNN": 2.6}, seeds=(1,)).rows.query("iteration == 1"))
    written = page({"09a": few, "bethe_root": rooted(float("nan")), "theorem_1_bethe": grown(-0.5, -0.2)})
    assert "nan" not in written
    assert "by chance with probability unknown" in written


def test_claims_and_reasons_name_the_same_reasons():
    folder = Path(claims.__file__).parent
    sources = [*folder.glob("*.py"), Path(growth.__file__), Path(root.__file__)]
    calls = [
        node
        for path in sources
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Claim"
    ]
    assert {call.args[4].value for call in calls if len(call.args) > 4} - {""} == set(REASONS)


def test_the_reason_for_slow_networks_counts_iterations():
    drops = {"[128, 128]": 2.7, "[256, 256]": 3.0}
    told = reason_for("sizes", {"03b": trained("03b", drops, "training.hidden")})
    assert "-3.000" in told
    assert re.search(r": \d+ with 128, 128, (37|38|39|40) with 256, 256 \(means of 4", told)


def both(**curves):
    """Figure 7a with MF-R under both readings: drawn once per epoch it is as in the paper."""
    epoch = {"MF_R_per_epoch": PAPERS["MF_R"]}
    return emulated("07a", **(PAPERS | epoch | curves))


def test_the_page_says_under_which_reading_a_claim_holds():
    figures = {"07a": both(MF_R=rising(0.1, 1.1)), "why_late": late()}
    rows = {row.first.text: row for some in held(figures).values() for row in some}
    coincides = rows["MF-R coincides with RND for delta_t 8 to 10 on the cycle"]
    assert [coincides.verdict(reading) for reading in READINGS] == [Verdict.NO, Verdict.YES]
    jsq = rows["JSQ gets worse as delta_t grows on the cycle"]
    assert len(jsq.claims) == 1
    written = page(figures, ["Not asked for: 08."])
    (line,) = [line for line in written.splitlines() if line.startswith("| MF-R coincides")]
    assert re.search(r"\| \*per job\*: .*<br>\*per epoch\*: .* \| .* % \| \*\*no\*\* \| yes \|$", line)
    assert "- MF-R coincides with RND for delta_t 8 to 10 on the cycle (7a): **no** per job\n" in written
    assert "[the model](model.md). Not asked for: 08." in written
    assert "40 episodes for each point" in written
    why = written.partition("## Where the paper is contradicted")[2]
    assert reason_for("late", figures) in why
    assert "no reason was looked for" in page({"07a": figures["07a"]})


def late():
    curves = {"MF_R": rising(0.1, 2.0), "a_tenth": rising(0.1, 2.1), "RND": flat(3.5)}
    parts = [emulated("why_late", (8.0, 10.0), **curves).rows.assign(horizon=horizon) for horizon in (50, 500)]
    rows = pd.concat(parts)
    return Figure("why_late", rows.assign(dispatcher=rows["dispatcher"].str.replace("a-tenth", "a tenth")))


def test_the_page_counts_its_claims():
    figures = {"07a": both(MF_R=rising(0.1, 1.1))}
    rows = [row for some in held(figures).values() for row in some]
    verdicts = [tuple(row.verdict(reading) is Verdict.YES for reading in READINGS) for row in rows]
    expected = [verdicts.count(kind) for kind in ((True, True), (False, True), (True, False), (False, False))]
    found = re.search(
        r"Of (\d+) claims (\d+) hold under both readings, (\d+) per epoch only, (\d+) per job only and (\d+) under",
        page(figures),
    )
    assert [int(number) for number in found.groups()] == [len(rows), *expected]
    assert expected[1] > 0


def test_a_page_tells_what_is_not_decided():
    written = page({"07a": emulated("07a", spread=2.0, **PAPERS)})
    part = written.partition("## What is not decided")[2]
    assert "- MF-R coincides with RND for delta_t 8 to 10 on the cycle (7a): not decided" in part


def test_what_drawing_for_each_job_is_worth():
    told = tables.worth({"07a": both(MF_R=flat(2.625), MF_R_per_epoch=flat(3.15))})
    assert "| cycle | per job | 25.0 |" in told
    assert "| cycle | per epoch | 10.0 |" in told
    assert tables.worth({"07a": emulated("07a", **PAPERS)}) == ""


def test_the_points_that_simpy_emulated_are_told():
    rows = emulated("07a", (1.0, 2.0, 3.0), **PAPERS).rows
    engine = np.where((rows["replication"] == 0) & (rows["delta_t"] != 2.0), "simpy", "compiled")
    told = tables.checked({"07a": Figure("07a", rows.assign(engine=engine))})
    assert "- 7a, 2 of 3 points: 5,001 nodes at 1, 5,001 nodes at 3\n" in told


def test_the_figures_of_all_claims_and_reasons_have_scenarios():
    names = scenarios(ROOT / "scenarios" / "paper")
    assert next(iter(names)) == "03a"
    needed = {name for checks in GROUPS.values() for check in checks for name in check.figures}
    needed |= {"theorem_1_bethe"} | {name for reason in REASONS.values() for name in reason.figures}
    assert needed == set(names)
    assert all(names[name].stem == stem_of(name) for name in names)


def small(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / f"{stem_of(name)}.yaml").write_text(text, encoding="utf-8")


def made_in(folder, *arguments):
    """What is made of the scenarios in a folder, and what is left out."""
    (folder / "docs/paper").mkdir(parents=True, exist_ok=True)
    places = [word for place in ("scenarios", "runs", "docs") for word in (f"--{place}", str(folder / place))]
    return make(command_line.parser().parse_args([*places, *arguments]), "python -m policies.paper")


def test_figures_are_made_one_by_one_and_not_again(tmp_path, capsys):
    common = "topology: {kind: cycle, nodes: 9}\nhorizon: 10\nreplications: 3\ndelta_t: [1, 5]\n"
    small(tmp_path / "scenarios", "08", common + "dispatchers: [RND, OWN]\n")
    small(tmp_path / "scenarios", "03a", common + "dispatchers: [JSQ]\n")
    made, missing = made_in(tmp_path, "--only", "03a", "--engine", "simpy")
    assert list(made) == ["03a"]
    assert missing == ["Not asked for: 8."]
    assert made["03a"].episodes == 3
    assert (tmp_path / "docs/paper/figure_03a.png").exists()
    assert not (tmp_path / "runs/figure_08").exists()
    assert re.fullmatch(r"figure_03a: emulating, 1 of 1\n(\d+% .*\n)*figure_03a: \d+ s\n", capsys.readouterr().err)
    before = (tmp_path / "runs/figure_03a/episodes.parquet").read_bytes()
    more, _ = made_in(tmp_path, "--only", "03a", "--engine", "simpy", "--replications", "4")
    assert more["03a"].episodes == 4
    pd.testing.assert_frame_equal(
        more["03a"].rows[more["03a"].rows["replication"] < 3].reset_index(drop=True), made["03a"].rows
    )
    assert before != (tmp_path / "runs/figure_03a/episodes.parquet").read_bytes()


def test_an_unknown_figure_is_told_of(tmp_path, capsys):
    arguments = ["--only", "11", "--docs", str(tmp_path / "docs"), "--runs", str(tmp_path / "runs")]
    assert command_line.main(arguments) == 2
    assert capsys.readouterr().err.strip().startswith("--only must name figures, 3a, 3b,")
    assert not (tmp_path / "docs/paper.md").exists()


def test_folders_that_will_not_do_are_told_of_in_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for option, what in (("--docs", "that can be written to"), ("--scenarios", "with scenarios of figures")):
        arguments = ["--only", "03a", "--runs", str(tmp_path / "runs"), option, str(tmp_path / "file")]
        assert command_line.main(arguments) == 2
        assert capsys.readouterr().err == f"{option} must be a folder {what}, got {tmp_path / 'file'}\n"
    (tmp_path / "runs/figure_09a").write_text("")
    for runs, wrong in (("file", "file"), ("runs", "runs/figure_09a")):
        places = ["--runs", str(tmp_path / runs), "--docs", str(tmp_path / "docs")]
        assert command_line.main(["--only", "9a", *places]) == 2
        told = f"--runs must lead to folders that can be written to, got {tmp_path / wrong}\n"
        assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("key", "allowed"),
    [("replications", "2 to 1,000,000"), ("iterations", "1 to 10,000,000"), ("workers", "1 to 10,000")],
)
def test_numbers_that_will_not_do_are_told_of_before_anything_is_made(tmp_path, capsys, key, allowed):
    least, most = (int(number.replace(",", "")) for number in allowed.split(" to "))
    for number in (least - 1, most + 1):
        with pytest.raises(SystemExit) as stop:
            command_line.main(["--only", "03a", "--runs", str(tmp_path / "runs"), f"--{key}", str(number)])
        assert stop.value.code == 2
        told = f"argument --{key}: must be a whole number from {allowed}, got {number} (see"
        err = capsys.readouterr().err
        assert told in err
        assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["5"], ["05"]),
        (["05"], ["05"]),
        (["7A", "7b"], ["07a", "07b"]),
        (["7"], ["07a", "07b", "07c", "07d"]),
        (["10b,3a"], ["03a", "10b"]),
        (["figure_08"], ["08"]),
        (["scenarios/paper/figure_08.yaml"], ["08"]),
        (["theorem 1 torus"], ["theorem_1_torus"]),
        (["Bethe_root"], ["bethe_root"]),
        (["why"], ["why_delay", "why_late", "why_leaves", "why_levels", "why_ties"]),
    ],
)
def test_figures_are_named_as_one_would(words, names):
    assert chosen(scenarios(ROOT / "scenarios" / "paper"), words) == names


@pytest.mark.parametrize("word", ["1", "11", "b", "7e", ""])
def test_a_word_that_is_no_figure_is_refused_with_all_that_are(word):
    names = list(scenarios(ROOT / "scenarios" / "paper"))
    with pytest.raises(InputError, match=r"^--only must name figures, 3a, .*7d, .*theorem_1, .*why; got") as refused:
        chosen(names, [word])
    assert "..." not in str(refused.value)


def test_progress_is_told_from_the_beginning(tmp_path, capsys, monkeypatch):
    small(
        tmp_path / "scenarios", "03a", "topology: {kind: cycle, nodes: 9}\ndelta_t: [1, 5]\ndispatchers: [JSQ, RND]\n"
    )
    monkeypatch.setattr("emulator.machine.progress.SECONDS_BETWEEN_LINES", 0.0)
    made_in(tmp_path, "--only", "3a", "--replications", "2", "--workers", "1")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "figure_03a: emulating, 1 of 1"
    assert re.fullmatch(r"\d% done, \d+ s elapsed(, about \d+ s left)?", lines[1])
    assert lines[-2].startswith("100% done")
    made_in(tmp_path, "--only", "3a", "--replications", "2", "--quiet")
    assert "% done" not in capsys.readouterr().err


def test_a_page_of_some_figures_does_not_take_the_place_of_the_shipped_one(tmp_path):
    few = ["--only", "03a", "--replications", "2", "--engine", "compiled", "--runs", str(tmp_path / "runs")]
    shipped = (ROOT / "docs/paper.md").read_bytes()
    assert command_line.main(few) == 0
    assert (ROOT / "docs/paper.md").read_bytes() == shipped
    assert "Figure 3a" in (tmp_path / "runs/paper.md").read_text(encoding="utf-8")


TRAINING = """\
topology: {kind: torus, side: 3}
delta_t: 5
dispatchers: [RND]
training: {algorithm: [MF-R, MF-RNN]}
plot: {kind: learning_curve}
"""


def test_without_torch_figures_of_trainings_are_left_out(tmp_path, capsys, monkeypatch):
    small(tmp_path / "scenarios", "09a", TRAINING)
    small(tmp_path / "scenarios", "03a", "topology: {kind: cycle, nodes: 5}\ndelta_t: 5\ndispatchers: [JSQ]\n")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name, *rest))
    made, missing = made_in(tmp_path, "--engine", "simpy", "--replications", "2")
    assert list(made) == ["03a"]
    assert missing == ["Not here: 9a, whose trainings need torch, which was not installed."]
    assert "figure_09a: left out, as trainings need torch, which is not installed\n" in capsys.readouterr().err


@pytest.mark.slow
def test_the_page_is_made_by_one_command(tmp_path):
    pytest.importorskip("torch")
    arguments = ["--replications", "2", "--iterations", "1", "--engine", "compiled"]
    assert command_line.main([*arguments, "--runs", str(tmp_path / "runs"), "--docs", str(tmp_path / "docs")]) == 0
    written = (tmp_path / "docs/paper.md").read_text(encoding="utf-8")
    names = {path.stem for path in (tmp_path / "docs/paper").glob("*.png")}
    assert names == {stem_of(name) for name in scenarios(ROOT / "scenarios" / "paper")}
    for name in names:
        assert f"(paper/{name}.png)" in written
    ends = tuple(f"| {verdict.value} |" for verdict in Verdict)
    rows = [line for line in written.splitlines() if line.endswith(ends)]
    checks = [check for some in GROUPS.values() for check in some]
    assert len(rows) == len(checks) + 3  # one more of figure 8, two of the root
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 6
        assert all(cells)
    assert f"Of {len(rows)} claims" in written
    assert written.count("### ") > len(names)
