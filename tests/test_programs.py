"""Every module that can be run tells how, and refuses in one line what it does not know."""

import pytest
from own_process import ROOT, python

from benchmarks import simpy_engine
from emulator.verification import agreement


def programs():
    """Return the modules that can be run, as `python -m` names them."""
    found = []
    for folder in ("benchmarks", "dispatchers", "emulator", "policies"):
        for path in (ROOT / folder).rglob("*.py"):
            if '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8"):
                parts = path.relative_to(ROOT).with_suffix("").parts
                found.append(".".join(parts[:-1] if parts[-1] == "__main__" else parts))
    return sorted(found)


def test_the_programs_are_known():
    assert {"emulator", "emulator.verification.agreement", "policies", "policies.card", "policies.paper"} < set(
        programs()
    )
    assert {"benchmarks", "benchmarks.simpy_engine"} < set(programs())


@pytest.mark.parametrize("program", programs())
def test_a_program_tells_how_it_is_run(program):
    help_ = python("-m", program, "--help")
    assert (help_.returncode, help_.stderr) == (0, "")
    assert help_.stdout.startswith(f"usage: python -m {program} ")


@pytest.mark.parametrize("program", programs())
def test_a_program_refuses_what_it_does_not_know(program):
    refused = python("-m", program, "--nonsense")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.count("\n") == 1
    assert refused.stderr.startswith(f"python -m {program}: ")


@pytest.mark.parametrize(
    ("main", "option", "value", "allowed"),
    [
        (agreement.main, "--count", "-1", "a whole number from 1 to 1,000,000,000"),
        (agreement.main, "--count", "0", "a whole number from 1 to 1,000,000,000"),
        (agreement.main, "--first", "-5", "a whole number from 0 to 1,000,000,000,000,000,000"),
        (agreement.main, "--first", "many", "a whole number from 0 to 1,000,000,000,000,000,000"),
        (simpy_engine.main, "--side", "2", "a whole number from 3 to 1,000"),
        (simpy_engine.main, "--delta-t", "0", "a number from 0.01 to 1,000.0"),
        (simpy_engine.main, "--delta-t", "nan", "a number from 0.01 to 1,000.0"),
        (simpy_engine.main, "--runs", "0", "a whole number from 1 to 1,000"),
    ],
)
def test_a_number_that_will_not_do_is_told_with_what_is_allowed(capsys, main, option, value, allowed):
    with pytest.raises(SystemExit) as stop:
        main([option, value])
    out, err = capsys.readouterr()
    assert (stop.value.code, out, err.count("\n")) == (2, "", 1)
    assert f"argument {option}: must be {allowed}, got {value} (see" in err


def test_a_number_of_any_length_is_told_in_a_short_line(capsys):
    with pytest.raises(SystemExit):
        agreement.main(["--first", "9" * 6000])
    assert len(capsys.readouterr().err) < 300


COMMANDS = ("policies.command_line", "policies.paper.command_line")


@pytest.mark.parametrize("module", COMMANDS)
def test_nothing_slow_is_imported_before_a_command_can_look_after_signals(module):
    code = f"import sys, {module}; {module}.parser().format_help(); print(*sys.modules)"
    loaded = python("-c", code).stdout.split()
    assert module in loaded
    assert not {"numpy", "numba", "pandas", "pydantic", "ruamel.yaml", "torch"} & set(loaded)
