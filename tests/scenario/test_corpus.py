"""The corpus: scenario files with what they mean, and files that are refused with the line that says why.

Another implementation could use it, too: `valid/*.yaml` stand beside the scenario with its defaults filled in, and
`invalid/*.yaml` beside the line that they are refused with.
"""

from pathlib import Path

import pytest

from emulator.errors import InputError
from emulator.scenario.plan import load

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
VALID = sorted(path.stem for path in (CORPUS / "valid").glob("*.yaml") if not path.stem.endswith(".resolved"))
INVALID = sorted(path.stem for path in (CORPUS / "invalid").glob("*.yaml"))


@pytest.mark.parametrize("name", VALID)
def test_a_valid_scenario_means_the_resolved_one(name, monkeypatch):
    monkeypatch.chdir(CORPUS / "valid")
    plan = load(f"{name}.yaml")
    assert plan.resolved_yaml() == Path(f"{name}.resolved.yaml").read_text(encoding="utf-8")
    again = load(f"{name}.resolved.yaml")
    assert again == plan


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_scenario_is_refused_with_its_line(name, monkeypatch):
    monkeypatch.chdir(CORPUS / "invalid")
    with pytest.raises(InputError) as error:
        load(f"{name}.yaml")
    assert f"{error.value}\n" == Path(f"{name}.txt").read_text(encoding="utf-8")


def test_every_file_of_the_corpus_is_used():
    assert {path.stem for path in (CORPUS / "invalid").iterdir()} == set(INVALID)
    resolved = {path.stem for path in (CORPUS / "valid").glob("*.resolved.yaml")}
    assert resolved == {f"{name}.resolved" for name in VALID}
