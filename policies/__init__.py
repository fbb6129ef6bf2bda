"""Learned policies: `train` learns them on the systems of scenarios, `score` says how good a dispatcher is.

The rooms: `process` is the system as a decision process, by the law of the epochs; `algorithms` learn on it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # that of typing, which is slow to import
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Literal

    from dispatchers.contract import Dispatcher
    from dispatchers.view import Floats
    from emulator.model.system import System

__all__ = ["score", "train"]


def train(
    scenarios: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    logs: str | Path = "runs/training",
    settings: Sequence[str] = (),
    fresh: bool = False,
    preset: Literal["fast", "paper"] | None = None,
    iterations: int | None = None,
    observation: Literal["own", "all"] | None = None,
    seed: int | None = None,
    score_on: str | Path | None = None,
    workers: int | None = 1,
    command: str = "policies.train",
    tell: Callable[[str], None] = lambda line: None,
    progress: Callable[[float], None] | None = None,
    quiet: bool = True,
) -> list[Path]:
    """Learn a policy for each point of training scenarios and return their ONNX files.

    The arguments are those of `python -m policies`: `settings` are its `--set`, `score_on` its `--evaluate`; None
    leaves it to the scenario. `workers=None` takes all cores, and then a script needs `if __name__ == "__main__":`.
    `tell` gets the line of each policy as it is done, `progress`, in place of the bar, the expected seconds of what is
    done, bit by bit; `command` is told in the files. Raises `InputError`, a `ValueError`.
    """
    from contextlib import nullcontext

    from emulator.machine.progress import progress_bar
    from policies.tasks import Overrides
    from policies.training import Trainings, check_libraries

    overrides = Overrides(preset=preset, iterations=iterations, observation=observation, seed=seed, score_on=score_on)
    ordered = Trainings(scenarios, overrides, out=out, logs=logs, settings=settings, fresh=fresh)
    ordered.make_folders()
    check_libraries()
    bar = progress_bar(ordered.seconds, quiet=quiet, doing="training") if progress is None else nullcontext(progress)
    with bar as advance:
        for line in ordered.run(command, workers, advance):
            tell(line)
    return [task.out for task in ordered.tasks]


def score(dispatcher: Dispatcher, system: System, episodes: int = 100, seed: int | None = None) -> Floats:
    """Return a dispatcher's drops per server and 50 ms in each episode of a system, without emulating single jobs.

    They are those that the queues at the epochs' starts let expect, by the exact law of the epochs. Dispatchers that
    are scored with the same seed meet the same arrival rates, so their differences are paired; None is the seed that
    policies are scored with and never learned on. Raises `DispatcherError` for a rule that chooses for each job, which
    has no such law, or does not fit the system; `InputError` for work that is not exponential.
    """
    from policies.process import scoring

    return scoring.score(dispatcher, system, episodes, scoring.EVALUATION_SEED if seed is None else seed)
