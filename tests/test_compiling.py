"""Compiled code is kept for the sources it was made of, and for no others."""

from pathlib import Path

import numba
import pytest

from emulator import compiled_kernels, compiling, randomness
from emulator.compiling import compiled


def folders():
    return [Path(kernel._cache.cache_path) for kernel in (compiled_kernels.draw, randomness.random_uniform)]


def test_all_kernels_are_kept_in_the_folder_of_these_sources():
    for folder in folders():
        assert f"compiled-{compiling._sources_hash()}" in folder.parts


def test_another_source_is_another_folder(monkeypatch, tmp_path):
    before = compiling._sources_hash()
    for package in compiling.PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "rule.py").write_text("one = 1\n")
    monkeypatch.setattr(compiling, "__file__", str(tmp_path / "emulator" / "compiling.py"))
    first = compiling._sources_hash()
    (tmp_path / "dispatchers" / "rule.py").write_text("one = 2\n")
    assert len({before, first, compiling._sources_hash()}) == 3


@pytest.mark.parametrize("usual", ["", "elsewhere"])
def test_where_others_keep_theirs_is_left_as_it_was(monkeypatch, tmp_path, usual):
    usual = str(tmp_path / usual) if usual else ""
    monkeypatch.setattr(numba.config, "CACHE_DIR", usual)

    @compiled(nogil=True)
    def twice(x):
        return 2 * x

    assert usual == numba.config.CACHE_DIR
    assert twice(21) == 42
    assert Path(twice._cache.cache_path).is_relative_to(usual or Path(compiling.__file__).parent)
