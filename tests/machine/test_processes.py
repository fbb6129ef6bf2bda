"""Scripts that start several processes: one without the usual guard is refused in one line before anything runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import emulator
from emulator import InputError
from emulator.machine.processes import check_main_module
from policies.training import run_all

ROOT = Path(__file__).resolve().parents[2]

SCENARIO = """\
topology: {kind: cycle, nodes: 5}
delta_t: 2
horizon: 12
engine: simpy
dispatchers: [RND, OWN]
replications: 2
"""

CALL = 'emulator.run("s.yaml", workers=2)'

GUARDED = f"""\
import emulator

if __name__ == "__main__":
    print(len({CALL}))
"""

IN_A_FUNCTION = f"""\
import emulator

def study():
    return {CALL}

def main():
    print(len(study()))

if __name__ == "__main__":
    main()
"""

TRAINING = """\
from policies.training import run_all

def prepare():
    return work

def work(task, report):
    report(1.0)
    return task

def main():
    print(len(sorted(run_all(["one", "two"], prepare, 2, lambda done: None))))

"""

GUARD = 'if __name__ == "__main__":\n    '


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(SCENARIO)
    return tmp_path


def python(*arguments, text=None):
    """Run Python and return what it ended with."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, input=text, capture_output=True, text=True, timeout=60
    )


def check_refusal(result, place):
    """Check for the traceback of one script, whose last line says what to mend."""
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("Traceback") == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"emulator.errors.InputError: {place}: ")
    assert 'below `if __name__ == "__main__":`' in last


@pytest.mark.parametrize("how", [["study.py"], ["-m", "study"]], ids=" ".join)
@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"import emulator; {CALL}\n", 1),
        (f"import emulator\n\ndef f():\n    {CALL}\n\nf()\n", 6),
        (f'import emulator\nif __name__ == "__main__":\n    pass\n{CALL}\n', 4),
        (f"import emulator\nif __name__:\n    {CALL}\n", 3),
    ],
)
def test_a_script_without_a_guard_is_refused(folder, how, text, line):
    (folder / "study.py").write_text(text)
    result = python(*how)
    check_refusal(result, f"{folder / 'study.py'}:{line}")
    assert not (folder / "runs").exists()


def test_so_is_one_whose_work_takes_all_cores(folder):
    """Where the number is left open, it is refused if processes would be started."""
    big = SCENARIO.replace("nodes: 5", "nodes: 1000").replace("replications: 2", "replications: 10000")
    (folder / "s.yaml").write_text(big)
    (folder / "study.py").write_text('import emulator; emulator.run("s.yaml", workers=None)\n')
    result = python("study.py")
    if "PYTHON_CPU_COUNT" not in os.environ and (os.cpu_count() or 1) > 1:
        check_refusal(result, f"{folder / 'study.py'}:1")
        assert not (folder / "runs").exists()


@pytest.mark.parametrize("workers", ["1", "None"])
def test_a_script_needs_no_guard_for_one_process(folder, workers):
    (folder / "study.py").write_text(f'import emulator; print(len(emulator.run("s.yaml", workers={workers})))\n')
    result = python("study.py")
    assert (result.returncode, result.stdout, result.stderr) == (0, "2\n", "")


@pytest.mark.parametrize(
    ("text", "how"),
    [
        (GUARDED, ["study.py"]),
        (GUARDED, ["-m", "study"]),
        (IN_A_FUNCTION, ["study.py"]),
        (f"import emulator; print(len({CALL}))\n", ["-m", "package"]),
        (f"import emulator; print(len({CALL}))\n", ["package"]),
        (f"import emulator\nprint(len({CALL}))\n", ["-"]),
        (f"import emulator\nprint(len({CALL}))\n", ["-c"]),
        (f"import emulator\nprint(len({CALL}))\n", ["-i", "-q"]),
    ],
    ids=["script", "module", "function", "package", "folder", "standard input", "command", "prompt"],
)
def test_where_no_process_would_run_it_once_more_it_works(folder, text, how):
    (folder / "package").mkdir()
    for name in ("study.py", "package/__main__.py"):
        (folder / name).write_text(text)
    result = python(*how, *([text] if how == ["-c"] else []), text=text)
    assert (result.returncode, result.stdout) == (0, "2\n")
    assert "Traceback" not in result.stderr


def test_it_works_in_a_test(folder):
    assert len(emulator.run("s.yaml", workers=2)) == 2


def test_it_works_in_a_notebook(monkeypatch):
    """There the main module has no file."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    exec("check_main_module()", vars(sys.modules["__main__"]) | {"check_main_module": check_main_module})


def test_trainings_in_several_processes_need_a_guard_too(folder):
    (folder / "study.py").write_text(f"{TRAINING}main()\n")
    check_refusal(python("study.py"), f"{folder / 'study.py'}:13")
    (folder / "study.py").write_text(f"{TRAINING}{GUARD}main()\n")
    result = python("study.py")
    assert (result.returncode, result.stdout, result.stderr) == (0, "2\n", "")


def test_one_training_needs_none(folder):
    assert list(run_all(["one"], lambda: lambda task, report: task, 2, print)) == ["one"]


def test_what_is_no_script_of_pythons_is_let_be(tmp_path, monkeypatch):
    """Such as a program that holds Python, or a script that has been changed since."""
    main = sys.modules["__main__"]
    call = compile("check_main_module()", "study.py", "exec")
    space = vars(main)
    monkeypatch.setitem(space, "check_main_module", check_main_module)
    for text in ("no (python", None):
        file = tmp_path / "study.py"
        file.write_text(text) if text is not None else file.unlink()
        monkeypatch.setattr(main, "__file__", str(file), raising=False)
        exec(call, space)
    file.write_text("check_main_module()\n")
    with pytest.raises(InputError, match="several workers need this call below"):
        exec(call, space)
