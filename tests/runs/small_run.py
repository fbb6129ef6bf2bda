"""A small run, what it leaves, and ways to stop it."""

from emulator.runs.episode_runner import EpisodeRunner

SCENARIO = """
topology: {kind: cycle, nodes: 12}
delta_t: [2, 5]
horizon: 20
dispatchers: [JSQ, RND, {name: JSQ-M, weight: sharing}]
replications: 6
trace: {jobs: 2, epochs: 1, messages: 1}
"""


class Killed(BaseException):
    """What nothing in the software catches."""


def stop_after(monkeypatch, episodes, error):
    """Let a run end with an error when it begins one episode more."""
    run, count = EpisodeRunner.run, iter(range(10**6))

    def stopping(self, task, *rest):
        if next(count) == episodes:
            raise error
        return run(self, task, *rest)

    monkeypatch.setattr(EpisodeRunner, "run", stopping)
