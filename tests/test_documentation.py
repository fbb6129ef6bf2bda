"""The code in README and docs runs as it stands there: files are written, Python is executed, commands are called."""

import re

import pytest
from own_process import ROOT, python

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# file: (\S+)\n")
LONG = ("extending.md", "policies.md", "running.md", "scenarios.md", "workloads.md")
"""Pages whose code takes 10 s or more."""
SLOW_COMMANDS = ("scenarios/torus70.yaml", "python -m policies", "pip install", "pytest", "git clone")


def blocks(page):
    return FENCE.findall(page.read_text(encoding="utf-8"))


def run(arguments, folder):
    done = python(*arguments, folder=folder, path=[folder])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=page.name, marks=[pytest.mark.slow] * (page.name in LONG)) for page in PAGES]
)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHON_CPU_COUNT", "1")  # to start several processes takes longer than any example
    monkeypatch.setenv("MPLBACKEND", "Agg")
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    (tmp_path / "policies").symlink_to(ROOT / "policies")
    program: list[str] = []
    for language, text in blocks(page):
        file = FILE.match(text)
        if file:
            (tmp_path / file[1]).write_text(text[file.end() :], encoding="utf-8")
        elif language == "python":
            program.append(text)
        elif language == "console":
            for line in text.splitlines():
                if line.startswith("$ python ") and not any(slow in line for slow in SLOW_COMMANDS):
                    run(line.split()[2:], tmp_path)
    if program:
        (tmp_path / "page.py").write_text("\n".join(program), encoding="utf-8")
        run(["-W", "error", "page.py"], tmp_path)


def test_there_is_code_to_run():
    assert sum(len(blocks(page)) for page in PAGES) > 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
