"""What can be made anew is kept where there is a place for it; where there is none, one line says so."""

import os
import tempfile
from pathlib import Path

import pytest
from own_process import python

from emulator.machine import caches


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A temporary folder and a home; `refuse` lets files below others than these be refused."""
    for name in ("tmp", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(caches, "_said", False)
    caches._temporary.cache_clear()
    yield tmp_path
    caches._temporary.cache_clear()


def only(monkeypatch, *folders):
    """Let nothing but what stands below some folders be writable."""
    is_writable = caches._is_writable
    monkeypatch.setattr(
        caches, "_is_writable", lambda folder: any(map(folder.is_relative_to, folders)) and is_writable(folder)
    )


def temporary(place):
    return place / "tmp" / f"load-balancing-emulator-{os.getuid()}"


def test_the_usual_folder_is_made_and_taken(place, capsys):
    assert caches.first_writable(place / "usual/deep") == place / "usual/deep"
    assert (place / "usual/deep").is_dir()
    assert capsys.readouterr().err == ""


def test_next_comes_the_home(place, monkeypatch, capsys):
    only(monkeypatch, place / "home", place / "tmp")
    assert caches.first_writable(place / "usual") == place / "home/.cache/load-balancing-emulator"
    assert capsys.readouterr().err == ""


def test_then_the_temporary_folder_which_is_told_once(place, monkeypatch, capsys):
    only(monkeypatch, place / "tmp")
    assert caches.first_writable(place / "usual") == temporary(place)
    assert caches.first_writable(place / "other") == temporary(place)
    caches.place_for_matplotlib()
    assert os.environ["MPLCONFIGDIR"] == str(temporary(place))
    told = f"{place / 'usual'} cannot be written to: what is compiled is kept in {temporary(place)}\n"
    assert capsys.readouterr().err == told
    assert temporary(place).stat().st_mode & 0o777 == 0o700


def test_where_there_is_none_nothing_is_kept(place, monkeypatch, capsys):
    only(monkeypatch)
    assert caches.first_writable(place / "usual") is None
    caches.place_for_matplotlib()  # which must have one, but may lose it
    assert Path(os.environ["MPLCONFIGDIR"]).parent == place / "tmp"
    assert Path(os.environ["MPLCONFIGDIR"]) != temporary(place)
    told = f"{place / 'usual'} cannot be written to: what is compiled is made anew in every run\n"
    assert capsys.readouterr().err == told


def test_where_there_is_not_even_a_temporary_folder_matplotlib_tells(place, monkeypatch):
    only(monkeypatch)
    monkeypatch.setattr(tempfile, "tempdir", str(place / "nowhere"))
    assert caches.first_writable(place / "usual") is None
    caches.place_for_matplotlib()
    assert "MPLCONFIGDIR" not in os.environ


def test_a_process_started_by_another_leaves_the_telling_to_it(place, monkeypatch, capsys):
    only(monkeypatch)
    monkeypatch.setattr(caches.multiprocessing.current_process(), "_name", "SpawnProcess-1")
    assert caches.first_writable(place / "usual") is None
    assert capsys.readouterr().err == ""


def link(folder):
    (folder.parent / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "elsewhere")


def of_somebody_else(folder):
    folder.mkdir(mode=0o700)
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(folder, 12345, 12345)


def for_all(folder):
    folder.mkdir()
    folder.chmod(0o777)


def a_file(folder):
    folder.touch()


def a_loop(folder):
    folder.symlink_to(folder)


@pytest.mark.parametrize("put", [link, of_somebody_else, for_all, a_file, a_loop])
def test_a_folder_that_others_may_have_filled_is_not_taken(place, monkeypatch, put):
    put(temporary(place))
    only(monkeypatch, place / "tmp")
    assert caches.first_writable(place / "usual") is None
    assert not list((place / "tmp").glob("*/*"))


def test_a_user_without_a_home(place, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    only(monkeypatch, place / "tmp")
    assert caches.first_writable(place / "usual") == temporary(place)


def test_matplotlib_keeps_its_own_place_where_it_has_one(place, monkeypatch):
    caches.place_for_matplotlib()
    assert "MPLCONFIGDIR" not in os.environ
    monkeypatch.setenv("MPLCONFIGDIR", str(place / "mine"))
    only(monkeypatch, place / "mine")
    caches.place_for_matplotlib()
    assert os.environ["MPLCONFIGDIR"] == str(place / "mine")
    only(monkeypatch)
    caches.place_for_matplotlib()  # it would complain, and make a place anew in every process
    assert os.environ["MPLCONFIGDIR"] != str(place / "mine")


SCENARIO = """\
topology: {kind: cycle, nodes: 5}
delta_t: 2
horizon: 4
dispatchers: [RND]
replications: 4
"""

REFUSED = "from emulator.machine import caches; caches._is_writable = lambda folder: False"


@pytest.mark.slow
def test_a_run_without_any_place_says_one_line(tmp_path):
    (tmp_path / "s.yaml").write_text(SCENARIO)
    (tmp_path / "sitecustomize.py").write_text(REFUSED)  # in all processes
    result = python("-m", "emulator", "s.yaml", "--quiet", "--workers", "2", folder=tmp_path, path=[tmp_path])
    assert result.returncode == 0
    assert result.stderr.count("\n") == 1
    assert result.stderr.endswith("cannot be written to: what is compiled is made anew in every run\n")
    assert "\nRND " in result.stdout
