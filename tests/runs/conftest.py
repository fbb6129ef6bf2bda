"""A folder with a small scenario, and the episodes that are run."""

import pytest
from small_run import SCENARIO

from emulator.runs.episode_runner import EpisodeRunner


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(SCENARIO)
    return tmp_path


@pytest.fixture
def counted(monkeypatch):
    """The episodes that were run in this process."""
    ran = []
    run = EpisodeRunner.run
    monkeypatch.setattr(EpisodeRunner, "run", lambda self, task, *rest: ran.append(task) or run(self, task, *rest))
    return ran
