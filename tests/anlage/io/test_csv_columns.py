"""Tables of any kind: what a reader of nuclei, signals, events or windows meets alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anlage.errors import AnlageError
from anlage.io import open_annotations
from anlage.io.csv_columns import TextColumns
from anlage.io.signal_files.event_tables import read_events, read_window_table
from anlage.io.signal_files.signals import open_signals

READERS: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "nuclei": (open_annotations, "id,t,y,x", "{i},{i},5,5"),
    "signals": (open_signals, "track_id,t,area,red", "1,{i},5,5"),
    "events": (read_events, "track_id,frame,a,b", "1,{i},5,5"),
    "windows": (read_window_table, "window,probability,a,b", "{i},0.5,5,5"),
}


def table(folder: Path, header: str, row: str, n: int = 4, separator: str = ",") -> Path:
    lines = [header, *(row.format(i=i) for i in range(1, n + 1))]
    (folder / "t.csv").write_text("\n".join(lines).replace(",", separator) + "\n")
    return folder / "t.csv"


@pytest.mark.parametrize("kind", READERS)
def test_a_row_with_more_cells_than_names_is_refused(kind: str, tmp_path: Path) -> None:
    read, header, row = READERS[kind]
    path = table(tmp_path, header, row)
    path.write_text(path.read_text().replace("5,5\n", "5,25,5,5\n"))
    with pytest.raises(AnlageError, match=r"row 2 has 6 cells, but there are 4 columns; are these decimal commas\?"):
        read(path)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("name", ["", "Unnamed: 0", '""', "Unnamed: 0.1"])
def test_row_numbers_without_a_name_are_left_out_and_said(kind: str, name: str, tmp_path: Path) -> None:
    read, header, row = READERS[kind]
    path = table(tmp_path, f"{name},{header}", "{i}," + row)
    found = read(path)
    if kind == "windows":
        return
    assert any("without a name" in note for note in found.notes)
    names = found.names if kind == "signals" else tuple(found.properties)
    assert names == {"nuclei": (), "signals": ("area", "red"), "events": ("a", "b")}[kind]


def test_an_empty_column_at_the_end_of_each_line_says_nothing(tmp_path: Path) -> None:
    found = open_annotations(table(tmp_path, "id,t,y,x,", "{i},{i},5,5,"))
    assert found.notes == ()
    assert len(open_annotations(table(tmp_path, "id,t,y,x", "{i},{i},5,5,"))) == 4  # only in the rows


def test_decimal_commas_between_semicolons_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id;t;y;x\n1;0;5,25;7\n")
    with pytest.raises(AnlageError, match="row 2 has '5,25' for y, which is no number; write decimals with a point"):
        open_annotations(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("9223372036854775807", 2**63 - 1), ("9007199254740993", 2**53 + 1), ("9007199254740993.0", 2**53 + 1),
        ("+7", 7), ("007", 7), ("3e2", 300), ("-9223372036854775807", -(2**63) + 1), ("0e9999", 0),
    ],
)  # fmt: skip
def test_whole_numbers_are_exact(cell: str, value: int, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"a\n{cell}\n")
    assert TextColumns(tmp_path / "t.csv", "").whole("a", least=None).tolist() == [value]


@pytest.mark.parametrize("cell", ["9223372036854775808", "99999999999999999999", "1e19", "9" * 5000, "1e9999"])
def test_larger_ones_are_refused_as_they_stand(cell: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"a\n{cell}\n")
    with pytest.raises(AnlageError, match=rf"row 2 has '{cell[:20]}.*is above 9223372036854775807") as caught:
        TextColumns(tmp_path / "t.csv", "").whole("a")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("cell", ["1.5", "1_000", "0x10", "１", "abc", "nan", "", "1e-9999", "inf"])
def test_what_is_no_whole_number_is_refused(cell: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"a,b\n{cell},1\n")
    with pytest.raises(AnlageError, match="is no whole number"):
        TextColumns(tmp_path / "t.csv", "").whole("a")


def test_numbers_of_other_columns_stay_exact_where_they_are_whole(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"track_id,frame,nucleus,peak\n{2**63 - 1},1.5,{2**53 + 1},0.5\n5,2,{2**62 + 1},\n")
    events = read_events(tmp_path / "t.csv")
    assert events.tracks.tolist() == [2**63 - 1, 5]
    assert events.properties["nucleus"].tolist() == [2**53 + 1, 2**62 + 1]
    np.testing.assert_array_equal(events.properties["peak"], [0.5, np.nan])


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("nuclei", "id,t,y,x,probability\n1,0,5,5,97\n"), ("nuclei", "id,t,y,x,probability\n1,0,5,5,-3\n"),
        ("nuclei", "id,t,y,x,division_probability\n1,0,5,5,1.5\n"),
        ("nuclei", "id,t,y,x,parent_id,link_probability\n1,0,5,5,,\n2,1,5,5,1,99\n"),
        ("events", "track_id,frame,probability\n1,5,50\n"), ("windows", "window,probability\n0,50\n"),
    ],
)  # fmt: skip
def test_probabilities_outside_their_range_are_refused(kind: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(
        AnlageError, match=r"row \d has '[-\d.]+' for \w*probability, which must lie between 0 and 1; percent\?"
    ):
        READERS[kind][0](tmp_path / "t.csv")


@pytest.mark.parametrize("radius", ["-3", "1e308", "1e9"])
def test_radii_that_cannot_be_are_refused(radius: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"id,t,y,x,radius_um\n1,0,5,5,{radius}\n")
    with pytest.raises(AnlageError, match=f"row 2 has '{radius}' for radius_um, which must lie between"):
        open_annotations(tmp_path / "t.csv")


def test_radii_that_stand_for_unknown_ones_are_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,t,y,x,radius_um\n1,0,5,5,0\n2,0,6,6,-1\n3,0,7,7,2.5\n")
    found = open_annotations(tmp_path / "t.csv")
    np.testing.assert_array_equal(found.radius_um, [np.nan, np.nan, 2.5])
    assert found.notes == ("2 radii of 0 or -1 in 't.csv' were taken for unknown.",)


@pytest.mark.parametrize("frame", ["1000001", "1e9", "1e15", "1e300"])
def test_a_frame_that_no_film_has_is_refused_with_its_row(frame: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"id,t,y,x\n1,0,5,5\n2,{frame},5,5\n")
    with pytest.raises(
        AnlageError, match=r"row 3 \(id 2\) lies in frame [\de+]+, and at most 1,000,000 frames are read"
    ):
        open_annotations(tmp_path / "t.csv")


@pytest.mark.parametrize("frames", [(0, 10**8), (0, 10**9), (0, 10**15), (10**15, 10**15 + 1)])
def test_signals_that_would_fill_the_memory_are_refused(frames: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("track_id,t,a\n" + "".join(f"1,{t},1\n" for t in frames))
    with pytest.raises(AnlageError, match="at most"):
        open_signals(tmp_path / "t.csv")
    (tmp_path / "w.csv").write_text(f"track_id,{frames[0]},{frames[1]}\n1,5,6\n2,5,6\n")
    with pytest.raises(AnlageError, match="at most"):
        open_signals(tmp_path / "w.csv")
    (tmp_path / "n.npy").touch()
    tracks = np.empty(1, dtype=object)
    tracks[0] = {"TRACK_ID": np.array([1, 1]), "FRAME": np.array(frames), "a": np.array([1.0, 2.0])}
    np.save(tmp_path / "n.npy", tracks, allow_pickle=True)
    with pytest.raises(AnlageError, match="at most"):
        open_signals(tmp_path / "n.npy")


def test_many_tracks_in_few_of_many_frames_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("track_id,t,a\n" + "".join(f"{i},{i * 400},1\n" for i in range(2000)))
    with pytest.raises(AnlageError, match=r"799,601 frames .* 2,000 tracks and 1 signals at most 5,000 are read"):
        open_signals(tmp_path / "t.csv")


def test_a_late_start_is_no_large_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("track_id,t,a\n" + "".join(f"1,{5_000_000 + i},{i}\n" for i in range(20)))
    assert open_signals(tmp_path / "t.csv").first_frame == 5_000_000
