"""After Ctrl-C a command says truly what it has written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from anlage.cli.written import Written

RunCommand = Callable[..., tuple[int, str, str]]


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_what_is_complete_and_what_is_not(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("a.csv", "b.csv", "c.csv")]
    places[1].write_text("before", encoding="utf-8")
    places[2].write_text("before", encoding="utf-8")
    written = Written(places)
    assert written.sentence() == f"{places[0]} was not written; {places[1]} is as it was; {places[2]} is as it was."
    places[0].write_text("new", encoding="utf-8")
    (tmp_path / "new").write_text("after!", encoding="utf-8")
    (tmp_path / "new").replace(places[2])
    assert written.sentence() == f"{places[0]} is complete; {places[2]} is complete; {places[1]} is as it was."
    assert Written().sentence() == ""


def test_files_of_a_folder_are_counted(tmp_path: Path) -> None:
    written = Written(folders=[tmp_path / "out"])
    assert written.sentence() == ""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "1.ply").touch()
    (tmp_path / "out" / ".part-1-2.ply").touch()
    assert written.sentence() == f"1 file in {tmp_path / 'out'} is complete."


@pytest.mark.parametrize(
    ("words", "broken", "said"),
    [
        (["measure", "image.ome.zarr", "-o", "a.csv"], "anlage.objects.measure.measure_objects", "a.csv was not written."),
        (["signals", "-", "truth.csv", "-o", "a.csv", "--spacing", "2,1,1"], "anlage.signals.track_signals.measure_signals", "a.csv was not written."),
        (["convert", "truth.csv", "a", "--format", "xml"], "anlage.io.write_annotations", "a.xml was not written."),
        (["build", "image.ome.zarr", "truth.csv", "-o", "s.zarr"], "anlage.dataset.build.build_store", "s.zarr was not written."),
        (
            ["track", "-", "--nuclei", "truth.csv", "--spacing", "2,1,1", "-o", "t.csv", "--json", "r.json"],
            "anlage.cli.track._write_report", "t.csv is complete; r.json was not written.",
        ),
        (
            ["predict", "classical", "image.ome.zarr", "-o", "f.csv"], "anlage.cli.predict._write",
            "f.csv was not written. The same command goes on with what is finished.",
        ),
    ],
    ids=["measure", "signals", "convert", "build", "track", "predict"],
)  # fmt: skip
def test_the_end_is_told_as_it_is(
    words: list[str], broken: str, said: str, folder: Path, command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broken, interrupted)
    code, _, err = command(*words)
    assert code == 130
    assert said in err.splitlines()[-1]


def test_frames_that_are_finished_are_told_with_the_way_to_go_on(
    folder: Path, command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anlage.cli.predict._write", interrupted)
    code, out, _ = command("predict", "classical", "image.ome.zarr", "-o", "f.csv", "--frames", "0:2")
    assert code == 130
    assert "2 of 2 frames are kept in f.csv.parts. f.csv was not written. The same command goes on" in out
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert command("predict", "classical", "image.ome.zarr", "-o", "f.csv", "--frames", "0:2")[0] == 0
    assert not Path("f.csv.parts").exists()
