"""Paths in files, whichever system wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from anlage.stored_paths import resolve_stored_path, stored_path, stored_relative_path


def test_paths_are_kept_with_slashes(tmp_path: Path) -> None:
    assert stored_path(tmp_path / "a" / ".." / "b.tif") == f"{tmp_path.as_posix()}/b.tif"
    assert stored_relative_path(tmp_path / "x" / "b.tif", tmp_path / "y" / "m.anlage") == "../../x/b.tif"


@pytest.mark.parametrize("relative", ["../b.tif", "..\\b.tif", ".\\..\\b.tif"])
def test_what_lies_there_as_seen_from_the_folder_comes_first(tmp_path: Path, relative: str) -> None:
    (tmp_path / "m.anlage").mkdir()
    (tmp_path / "elsewhere").mkdir()
    for place in (tmp_path / "b.tif", tmp_path / "elsewhere" / "b.tif"):
        place.touch()
    absolute = str(tmp_path / "elsewhere" / "b.tif")
    assert resolve_stored_path(tmp_path / "m.anlage", absolute, relative) == tmp_path / "b.tif"
    (tmp_path / "b.tif").unlink()
    assert resolve_stored_path(tmp_path / "m.anlage", absolute, relative) == tmp_path / "elsewhere" / "b.tif"


@pytest.mark.parametrize("absolute", ["Z:\\lab\\b.tif", "b.tif", "", None, "/x\0y", "/" + "long" * 5000])
def test_what_is_no_path_of_this_system_is_not_looked_for_in_the_current_folder(
    tmp_path: Path, absolute: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.tif").touch()
    assert resolve_stored_path(tmp_path / "m.anlage", absolute, None) is None
