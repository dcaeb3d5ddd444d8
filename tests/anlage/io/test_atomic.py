"""The old file or the new one, never half of one."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from anlage import AnlageError, Writer
from anlage.io.atomic import check_apart, own, replacing


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.txt"
    with replacing(target, Writer()) as temporary:
        temporary.write_text("new")
        assert not target.exists()
        assert temporary.parent == target.parent
        assert temporary.suffix == ".txt"
    assert target.read_text() == "new"


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_was_there_survives_a_failure(tmp_path: Path, is_folder: bool) -> None:
    target = tmp_path / "a"
    inside = target / "x" if is_folder else target
    inside.parent.mkdir(exist_ok=True)
    inside.write_text("old")

    def fail() -> None:
        with replacing(target, lambda folder: True) as temporary:
            half = temporary / "x" if is_folder else temporary
            half.parent.mkdir(exist_ok=True)
            half.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert inside.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"
    target.mkdir()
    (target / "old").touch()
    with replacing(target, lambda folder: (folder / "old").exists()) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert names(target) == ["new"]
    assert names(tmp_path) == ["a.zarr"]


def test_a_folder_that_is_not_ours_is_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "movie.zarr"
    target.mkdir()
    (target / "pixels").write_text("irreplaceable")
    for may in (Writer(), lambda folder: False, Writer(overwrite=True)):
        with pytest.raises(AnlageError, match=r"movie\.zarr' is .*not"):
            replacing(target, may).__enter__()
    assert (target / "pixels").read_text() == "irreplaceable"
    assert names(tmp_path) == ["movie.zarr"]


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    with replacing(tmp_path / "a.zarr", Writer()) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert names(tmp_path / "a.zarr") == ["new"]


@pytest.mark.parametrize(
    ("output", "word"), [("a/b", "is"), ("a/b/c/d", "lies inside"), ("a", "contains"), ("l", "is")]
)
def test_an_output_never_touches_what_is_read(tmp_path: Path, output: str, word: str) -> None:
    source = tmp_path / "a" / "b"
    source.mkdir(parents=True)
    (tmp_path / "l").symlink_to(source)
    with pytest.raises(AnlageError, match=rf"The output '.*' {word} '.*', which is only read"):
        check_apart(tmp_path / output, source)
    check_apart(tmp_path / "a" / "c", source)


def fill(target: Path, error: OSError) -> None:
    with replacing(target, own) as temporary:
        temporary.write_text("half")
        raise error


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(AnlageError, match=r"The disk is full while writing '.*a\.txt'; free some space and try again"):
        fill(target, OSError(errno.ENOSPC, "No space left on device"))
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_trouble_with_another_file_is_not_blamed_on_this_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="input"):
        fill(tmp_path / "a.txt", FileNotFoundError(errno.ENOENT, "No such file", "input.tif"))
    assert names(tmp_path) == []


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(AnlageError, match=r"cannot be written \(.*\); choose another place"),
        replacing(tmp_path / "file" / "a", Writer()),
    ):
        pass
