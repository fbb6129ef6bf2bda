"""Files in the current folder that have a name of ours, or of a library's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SCENARIO = """\
topology: {kind: cycle, nodes: 5}
delta_t: 2
horizon: 12
engine: simpy
dispatchers: [RND, {class: "dispatchers:Mine"}]
replications: 2
"""

RULES = """\
from dispatchers.contract import Dispatcher

class Mine(Dispatcher):
    def route(self, view):
        return view.own()
"""

CONSOLE_SCRIPT = """\
import sys
from emulator.__main__ import main
if __name__ == "__main__":
    sys.exit(main())
"""

SHADOWING = ["numpy", "queue", "random", "simpy", "statistics", "signal", "typing", "tempfile", "socket", "argparse"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "s.yaml").write_text(SCENARIO)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/load-balancing-emulator").write_text(CONSOLE_SCRIPT)
    return tmp_path


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("file", ["dispatchers.py", "dispatchers/__init__.py"])
@pytest.mark.parametrize("program", ["emulator", "policies", "policies.paper"])
def test_a_file_that_hides_a_package_of_ours_is_named(folder, program, file):
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(RULES)
    result = run(folder, "-m", program, "s.yaml")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"{folder / file}: hides a package of this software")
    assert ("the console script load-balancing-emulator" in result.stderr) == (program == "emulator")


@pytest.mark.parametrize("program", ["policies", "policies.paper"])
def test_so_is_one_that_hides_the_emulator_from_policies(folder, program):
    (folder / "emulator.py").write_text("raise RuntimeError('this was imported')\n")
    result = run(folder, "-m", program, "s.yaml")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"{folder / 'emulator.py'}: hides a package of this software")


def test_the_console_script_survives_it_and_finds_the_class_in_it(folder):
    (folder / "dispatchers.py").write_text(RULES)
    result = run(folder, "bin/load-balancing-emulator", "s.yaml", "--quiet", "--workers", "2")
    assert (result.returncode, result.stderr) == (0, "")
    assert "\nMine " in result.stdout


@pytest.mark.parametrize("how", [["-m", "emulator"], ["bin/load-balancing-emulator"]], ids=" ".join)
def test_other_files_do_no_harm(folder, how):
    for name in SHADOWING:
        (folder / f"{name}.py").write_text("raise RuntimeError('this was imported')\n")
    (folder / "rules.py").write_text(RULES)
    (folder / "s.yaml").write_text(SCENARIO.replace("dispatchers:Mine", "rules:Mine"))
    result = run(folder, *how, "s.yaml", "--quiet", "--workers", "2")
    assert (result.returncode, result.stderr) == (0, "")
    assert "\nMine " in result.stdout


def test_nor_do_they_to_trainings(folder):
    for name in SHADOWING:
        (folder / f"{name}.py").write_text("raise RuntimeError('this was imported')\n")
    result = run(folder, "-m", "policies", "s.yaml", "--set", "delta_t=0")
    assert (result.returncode, result.stdout) == (2, "")
    assert "delta_t must be > 0, got 0" in result.stderr
