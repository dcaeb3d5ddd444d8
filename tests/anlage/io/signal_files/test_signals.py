"""Signals in files: what comes back is what was written, and nothing in a stranger's file is run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from anlage.errors import AnlageError
from anlage.io.signal_files import npy
from anlage.io.signal_files.npy import read_npy
from anlage.io.signal_files.signals import event_names, open_signals, write_signals
from anlage.signals.signals import Signals


@pytest.fixture
def tracks():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 2, 12))
    values[0, :, :3] = np.nan  # begins late
    values[1, 0, 5] = np.nan  # a gap in one signal
    values[2, :, 8:] = np.nan  # ends early
    return Signals.of(
        values, ("mean_0", "volume_um3"), interval_s=300.0, ids=[7, 8, 9, 12], group=["a", "a", "b", "b"],
        scores=[0, 1, 2, -1], times=[6.25, np.nan, np.nan, np.nan],
    )  # fmt: skip


@pytest.mark.parametrize("name", ["s.csv", "s.tsv", "s.npy"])
def test_tracks_come_back_as_they_were_written(tracks, tmp_path, name):
    write_signals(tmp_path / name, tracks)
    again = open_signals(tmp_path / name, interval_s=300.0 if name == "s.npy" else None)
    np.testing.assert_allclose(again.values, tracks.values)
    assert again.names == tracks.names
    assert again.units == ("", "µm³")
    assert again.ids.tolist() == [7, 8, 9, 12]
    assert again.interval_s == pytest.approx(300.0)
    assert again.scores.tolist() == [0, 1, 2, -1]
    assert again.group.tolist() == ["a", "a", "b", "b"]
    np.testing.assert_array_equal(again.times, tracks.times)


def test_windows_come_back_from_hdf5(tmp_path):
    windows = Signals.of(
        np.arange(12.0).reshape(3, 4), kind="repeated", scores=[0, 1, 2], group=["3", "3", "11"], interval_s=2e-5
    )
    write_signals(tmp_path / "w.h5", windows)
    with h5py.File(tmp_path / "w.h5") as file:
        assert file["recording"][:].tolist() == [3, 3, 11]
    again = open_signals(tmp_path / "w.h5")
    np.testing.assert_array_equal(again.values, windows.values)
    assert (again.kind, again.scores.tolist(), again.group.tolist()) == ("repeated", [0, 1, 2], ["3", "3", "11"])
    assert again.interval_s == pytest.approx(2e-5)


@pytest.mark.data
def test_the_scored_windows_of_a_real_recording(shared_data):
    folder = shared_data("miniml") / "human_L23_scored"
    windows = open_signals(next((folder / "nice_events").glob("2_*.h5")))
    assert windows.values.shape == (46, 1, 750)
    assert windows.kind == "repeated"
    assert windows.scores.tolist() == [1] * 46
    unscored = open_signals(shared_data("miniml") / "gc_example" / "B_2020-06-09_002_example_training_data.h5")
    assert np.bincount(unscored.scores).tolist() == [86, 86, 358]


def test_a_trace_of_samples_has_no_image_and_an_interval(tmp_path):
    (tmp_path / "trace.csv").write_text("time_ms,current_pA\n" + "".join(f"{i * 0.02:.2f},{-i}\n" for i in range(50)))
    trace = open_signals(tmp_path / "trace.csv")
    assert (len(trace), trace.n_frames, trace.names) == (1, 50, ("current_pA",))
    assert trace.interval_s == pytest.approx(2e-5)
    np.save(tmp_path / "trace.npy", np.arange(9.0))
    assert open_signals(tmp_path / "trace.npy", interval_s=0.5).values.shape == (1, 1, 9)
    with h5py.File(tmp_path / "trace.h5", "w") as file:
        file["mini_data"] = np.zeros(20)
    assert open_signals(tmp_path / "trace.h5").names == ("mini_data",)


def test_a_row_for_each_track(tmp_path):
    (tmp_path / "wide.csv").write_text("track_id,class,t_event,0,1,2,3\n4,0,1.5,1,2,,4\n9,1,,5,6,7,8\n")
    wide = open_signals(tmp_path / "wide.csv")
    np.testing.assert_array_equal(wide.values[:, 0], [[1, 2, np.nan, 4], [5, 6, 7, 8]])
    assert (wide.ids.tolist(), wide.scores.tolist()) == ([4, 9], [0, 1])
    (tmp_path / "two.csv").write_text("track_id,area [µm²]@5,area [µm²]@6,red@5,red@6\n1,10,11,2,3\n")
    two = open_signals(tmp_path / "two.csv")
    assert (two.names, two.units, two.first_frame) == (("area", "red"), ("µm²", ""), 5)


def test_odd_tables_are_mended_and_said(tmp_path):
    (tmp_path / "odd.csv").write_text(
        "TRACK_ID,FRAME,area [µm²],nothing,name\n1,2,5,,a\n1,0,3,nan,b\n1,2,5,,a\n2,0,,,c\n2,1,7,,d\n\n"
    )
    odd = open_signals(tmp_path / "odd.csv")
    assert (odd.names, odd.units) == (("area",), ("µm²",))
    np.testing.assert_array_equal(odd.values[:, 0], [[3, np.nan, 5], [np.nan, 7, np.nan]])
    assert odd.notes == (
        "Without any value, so left out: nothing.", "1 rows say the same twice; each is taken once."
    )  # fmt: skip


def test_the_same_number_in_two_movies_is_two_tracks(tmp_path):
    (tmp_path / "m.csv").write_text("movie,track_id,t,v\na,1,0,5\na,1,1,5\nb,1,0,6\nb,1,1,6\n")
    movies = open_signals(tmp_path / "m.csv")
    assert (len(movies), movies.group.tolist()) == (2, ["a", "b"])
    assert "counted anew" in movies.notes[0]


def test_of_several_events_one_is_chosen(tmp_path):
    (tmp_path / "e.csv").write_text(
        "track_id,t,v,class_death,t_death,class_split,t_split\n1,0,5,0,3,1,\n1,1,5,0,3,1,\n"
    )
    death = open_signals(tmp_path / "e.csv", event="death")
    assert (death.scores.tolist(), death.times.tolist(), death.names) == ([0], [3.0], ("v",))
    with pytest.raises(AnlageError, match=r"holds several events \(death, split\); choose one with --set event=…"):
        open_signals(tmp_path / "e.csv")
    with pytest.raises(AnlageError, match=r"no classes of the event 'mitosis' .*; it has death, split\."):
        open_signals(tmp_path / "e.csv", event="mitosis")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("track_id,t,v\n1,0,5\n1,0,6\n", r"rows 2 and 3 tell different values of the same track in frame 0; keep one of them\."),
        ("track_id,t,v,class\n1,0,5,dead\n", r"row 2 has 'dead' for class, which is no number\."),
        ("track_id,t,v,class\n1,0,5,0.5\n", r"row 2 has '0.5' for class, which is none of 0 \(event\), 1 \(no event\), 2 \(other\)"),
        ("track_id,t,v,score\n1,0,5,3\n", r"row 2 has '3' for score, which is none of 0 \(no event\), 1 \(event\) and 2 \(unclear\)\."),
        ("track_id,t,v,class\n1,0,5,0\n1,1,5,1\n", r"row 2 has '0' for class, which contradicts another row of its track\."),
        ("track_id,t,v\n1,0.5,5\n", r"row 2 has '0.5' for t, which is no whole number\."),
        ("track_id,t,v\n1,-1,5\n", r"row 2 has '-1' for t, which is below 0\."),
        ("track_id,t,name\n1,0,a\n", r"holds no signal: it has the columns track_id, t, name"),
        ("track_id,v\n1,0\n", r"has no column for the frame \(t\) or the time \(time_s\); it has track_id, v\."),
        ("time_s,v\n0,1\n1,2\n2.4,3\n3,4\n", r"row 4 has '2.4' for time_s, which is no multiple of the 1 s between samples"),
        ("", r"is empty; a table of signals has track_id, t and a column for each signal\."),
        ("track_id,t,v\n", r"has no rows below its line of names"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_is_one_sentence(tmp_path, text, sentence):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(AnlageError, match=sentence):
        open_signals(tmp_path / "bad.csv")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"events": np.zeros((3, 5)), "scores": np.array([0, 1, 3])}, r"Window 2 in '.*' has the score 3; scores are 0"),
        ({"events": np.zeros((3, 5)), "scores": np.zeros(2)}, r"`scores` in '.*' has the shape \(2,\), but there are 3 windows"),
        ({"events": np.zeros(5)}, r"`events` in '.*' is float64 of shape \(5,\); windows are numbers \(N, T\)\."),
        ({"a": np.zeros(5), "b": np.zeros(5)}, r"holds a \(5,\), b \(5,\); windows need `events`"),
    ],
)  # fmt: skip
def test_an_hdf5_that_cannot_be_is_one_sentence(tmp_path, content, sentence):
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        for name, array in content.items():
            file[name] = array
    with pytest.raises(AnlageError, match=sentence):
        open_signals(tmp_path / "bad.h5")


# --- lists of tracks as Celldetective writes them --------------------------------------------------------------------


def celldetective(path: Path, protocol: int) -> None:
    """A list of dicts with columns of several kinds, and numpy scalars as pandas gives them."""
    tracks = [
        {
            "TRACK_ID": np.full(3, i), "FRAME": np.array([0, 1, 3], dtype=">i4"), "area": np.array([1.0, 2.0, np.nan]) + i,
            "red": np.array([5, 6, 7], dtype=np.float32), "well_name": np.array(["W1"] * 3, dtype=object),
            "POSITION_X": np.arange(3.0), "POSITION_Y": np.arange(3.0), "class": np.int64(0 if i == 1 else 1),
            "time_of_interest": np.float64(1.75 if i == 1 else -1.0), "cclass": 0, "ok": True, "nothing": None,
        }
        for i in (1, 2)
    ]  # fmt: skip
    array = np.empty(2, dtype=object)
    array[:] = tracks
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (2,)})
        file.write(pickle.dumps(array, protocol=protocol))


@pytest.mark.parametrize("protocol", range(6))
def test_a_list_of_tracks_is_read_whatever_wrote_it(tmp_path, protocol):
    path = tmp_path / "tracks.npy"
    celldetective(path, protocol)
    tracks = open_signals(path, interval_s=60)
    assert tracks.names == ("area", "red")
    np.testing.assert_array_equal(tracks.values[0, 0], [2, 3, np.nan, np.nan])
    np.testing.assert_array_equal(tracks.values[1, 1], [5, 6, np.nan, 7])
    assert (tracks.scores.tolist(), tracks.ids.tolist()) == ([0, 1], [1, 2])
    np.testing.assert_array_equal(tracks.times, [1.75, np.nan])
    assert tracks.group.tolist() == ["W1", "W1"]
    assert tracks.places is not None


class Harm:
    """Unpickled, it would run a command."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


class HarmByState(dict):
    def __reduce__(self):
        return eval, ("open('/dev/null')",)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_file_that_would_run_a_program_is_refused_and_nothing_runs(tmp_path, protocol):
    mark = tmp_path / "ran"
    for i, harm in enumerate((Harm(mark), [{"FRAME": np.arange(2)}, Harm(mark)], HarmByState(a=1))):
        path = tmp_path / f"{i}.npy"
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (1,)})
            file.write(pickle.dumps(harm, protocol=protocol))
        with pytest.raises(AnlageError, match=r"is refused: it holds .*(system|eval).*nothing was run"):
            open_signals(path)
    assert not mark.exists()
    np.load(tmp_path / "0.npy", allow_pickle=True)  # and this is what would have happened
    assert mark.exists()


@pytest.mark.parametrize(
    "instructions",
    [
        b"cnumpy\nload\n(S'x'\ntR.",  # a function of numpy that is not needed
        b"cnumpy.core.multiarray\n_reconstruct\n(cos\nsystem\ntR.",
        b"ibuiltins\neval\n.",
        b"(cnumpy\nndarray\no.",
        b"]cnumpy\nndarray\n}b.",
    ],
)
def test_no_other_instruction_is_carried_out(tmp_path, instructions):
    path = tmp_path / "x.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (1,)})
        file.write(instructions)
    with pytest.raises(AnlageError, match=r"is refused|cannot be read"):
        read_npy(path)


def test_a_cut_off_file_is_damaged(tmp_path):
    path = tmp_path / "tracks.npy"
    celldetective(path, 4)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(AnlageError, match="cannot be read"):
        open_signals(path)


def pickled(path: Path, instructions: bytes) -> Path:
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (1,)})
        file.write(instructions)
    return path


def test_lists_that_hold_one_another_many_times_are_refused(tmp_path):
    text = b"\x80\x04]\x94(" + b"K\x01" * 10 + b"e"
    for i in range(9):
        text += b"0]\x94(" + (b"j" + i.to_bytes(4, "little")) * 10 + b"e"
    with pytest.raises(AnlageError, match="hold each other again and again"):
        read_npy(pickled(tmp_path / "a.npy", text + b"."))
    with pytest.raises(AnlageError, match="hold each other again and again"):
        read_npy(pickled(tmp_path / "b.npy", b"\x80\x04]\x94h\x00a."))  # itself


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (
            b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }",
            "claims .* 8,000,000,000,000 bytes",
        ),
        (b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }", "cannot be read|claims|export it again"),
        (b"{'descr': '|S0', 'fortran_order': False, 'shape': (99999999999,), }", "signals are numbers"),
        (b"(" * 5000, "cannot be read"),
        (b"{'descr': '(', 'fortran_order': False, 'shape': (1,), }", "cannot be read"),
    ],
)
def test_headers_that_claim_more_than_there_is_are_refused(tmp_path, header, sentence):
    text = header + b"\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + b"x" * 100)
    with pytest.raises(AnlageError, match=sentence):
        open_signals(tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["s.csv", "s.npy"])
def test_numbers_of_tracks_and_nuclei_are_exact(tmp_path, name):
    ids = [2**53, 2**53 + 1, 2**63 - 1]
    signals = Signals.of(np.ones((3, 4)), ids=ids, nuclei=np.array(ids)[:, None] - np.arange(4), interval_s=60)
    write_signals(tmp_path / name, signals)
    again = open_signals(tmp_path / name)
    assert again.ids.tolist() == ids
    if name == "s.csv":
        np.testing.assert_array_equal(again.nuclei, signals.nuclei)


def test_recordings_with_long_numbers_are_kept(tmp_path):
    windows = Signals.of(np.zeros((2, 4)), kind="repeated", group=["99999999999999999999", "1"], scores=[0, 1])
    write_signals(tmp_path / "w.h5", windows)
    assert open_signals(tmp_path / "w.h5").group.tolist() == ["99999999999999999999", "1"]


def test_parts_that_lie_far_apart_are_not_joined():
    parts = [Signals.of(np.ones((30, 5)), first_frame=first) for first in (0, 10**9)]
    with pytest.raises(AnlageError, match="The table of all signals has 1,000,000,005 frames"):
        Signals.joined(parts)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_content_comes_back_whatever_wrote_it(tmp_path, protocol):
    content = [
        {"true": True, "false": False, "nothing": None, "whole": [0, 1, 255, 256, 70000, -1, 2**40], "real": 1.5},
        [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)], "text µ", b"\x00\xff", {}, [], np.float32(2.5), np.int16(-3),
    ]  # fmt: skip
    expected = [
        content[0], [[], [1], [1, 2], [1, 2, 3], [1, 2, 3, 4]], "text µ", b"\x00\xff", {}, [], np.float32(2.5), np.int16(-3),
    ]  # fmt: skip
    array = np.empty(len(content), dtype=object)
    array[:] = content
    found = read_npy(pickled(tmp_path / "a.npy", pickle.dumps(array, protocol=protocol)))
    assert found == expected
    assert found[0]["true"] is True
    assert found[0]["false"] is False


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_within_come_back_with_type_order_and_shape(tmp_path, protocol):
    content = {
        "big": np.arange(3, dtype=">i4"), "small": np.arange(3, dtype="<u2"), "byte": np.arange(3, dtype="u1"),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "text": np.array(["a", "bc"]),
        "objects": np.array([["a", 1, None], ["b", 2, None]], dtype=object, order="F"), "one": np.array(None, dtype=object),
        "date": np.array(["2020-01-01"], dtype="M8[D]"), "delay": np.array([7], dtype=">m8[25s]"),
        "truth": np.array([True, False]), "complex": np.array([1j]),
    }  # fmt: skip
    found = read_npy(pickled(tmp_path / "a.npy", pickle.dumps(content, protocol=protocol)))
    for name in ("big", "small", "byte", "columns", "text", "date", "delay", "truth", "complex"):
        np.testing.assert_array_equal(found[name], content[name], err_msg=name)
        assert found[name].dtype == content[name].dtype
    assert found["objects"] == [["a", 1, None], ["b", 2, None]]
    assert found["one"] is None


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        (b"NN0.", None),  # POP
        (b"(I1\nN0I5\n2l.", [1, 5, 5]),  # POP, DUP
        (b"(S'a'\nI1\nd.", {"a": 1}),
        (b"(dS'a'\nI1\ns.", {"a": 1}),
        (b"(lp3\nI7\na0g3\n.", [7]),  # PUT, APPEND, GET
        (b"]q\x03K\x07ah\x03\x86.", [[7], [7]]),  # BINPUT, BINGET, TUPLE2
        (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR.", None),  # no content follows
        (b"c_codecs\nencode\n(V\xff\nS'latin1'\ntR.", b"\xff"),
        (b"c_codecs\nencode\n(V\xff\nS'latin-1'\ntR.", b"\xff"),
    ],
)
def test_instructions_do_what_a_pickle_says(tmp_path, instructions, expected):
    assert read_npy(pickled(tmp_path / "a.npy", instructions)) == expected


_RECONSTRUCTED = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
_OBJECTS = b"cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR"


@pytest.mark.parametrize(
    ("instructions", "sentence"),
    [
        (b"(S'a'\nd.", "cannot be read"),  # a key without its value
        (b"NN.", "cannot be read"),
        (b"NI1\na.", "refused: it holds an addition to something that is no list"),
        (b"NI1\nI1\ns.", "refused: it holds an entry in something that is no dict"),
        (b"NNb.", "refused: it holds a state for something that is no array"),
        (b"cnumpy\ndtype x\n.", "refused: it holds numpy.dtype x, which could run a program"),
        (b"N\x82\x01.", "refused: it holds the instruction EXT1"),
        (b"c_codecs\nencode\n(S'x'\nS'utf-8'\ntR.", "refused: it holds a call"),
        (b"cnumpy\nndarray\n(S'x'\nS'latin1'\ntR.", "refused: it holds a call"),
        (b"N(S'x'\nS'latin1'\ntR.", "refused: it holds a call"),
        (b"cnumpy\ndtype\n(S'V8'\ntR.", r"refused: it holds the type \|V8"),
        (b"cnumpy\ndtype\n(S'i4,f8'\ntR.", "refused: it holds the type"),
        (_RECONSTRUCTED + b"(I1\n(I2\nt" + _OBJECTS + b"I00\n(NltbN.", "refused: it holds an array of another size"),
        (_RECONSTRUCTED + b"(I1\n(I1\nt" + _OBJECTS + b"I00\nS'a'\ntb.", "refused: it holds an array of another size"),
    ],
)
def test_what_is_no_plain_content_is_refused(tmp_path, instructions, sentence):
    with pytest.raises(AnlageError, match=sentence):
        read_npy(pickled(tmp_path / "a.npy", instructions))


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format_is_read(tmp_path, version):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.lib.format.write_array(file, array, version=version)
    np.testing.assert_array_equal(read_npy(path), array)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AnlageError, match=r"claims \(2, 3\) numbers, 24 bytes, but holds 23; copy or export it again"):
        read_npy(path)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ({"descr": "|O", "fortran_order": True, "shape": (1,)}, r"objects in the shape \(1,\); a list of tracks"),
        ({"descr": "|O", "fortran_order": False, "shape": (1, 1)}, r"objects in the shape \(1, 1\); a list of tracks"),
        (
            {"descr": [("a", "|O")], "fortran_order": False, "shape": (1,)},
            r"objects in the shape \(1,\); a list of tracks",
        ),
        (
            {"descr": "<c16", "fortran_order": False, "shape": (1,)},
            r"holds complex128; signals are numbers \(tracks, frames\)",
        ),
        ({"descr": "<U1", "fortran_order": False, "shape": (4,)}, "holds <U1; signals are numbers"),
    ],
)
def test_a_header_of_something_else_is_refused(tmp_path, header, sentence):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b"N.".ljust(16))
    with pytest.raises(AnlageError, match=sentence):
        read_npy(path)


def test_a_single_object_is_read_too(tmp_path):
    np.save(tmp_path / "a.npy", np.array({"a": [1, 2]}, dtype=object), allow_pickle=True)
    assert read_npy(tmp_path / "a.npy") == {"a": [1, 2]}


def sparse(path, n_bytes, header=b""):
    """A file with a header and zeros that take no room on the disk."""
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + n_bytes)
    return path


def test_files_of_up_to_two_gib_are_read(tmp_path):
    with pytest.raises(AnlageError, match="cannot be read"):  # zeros are no numpy file
        read_npy(sparse(tmp_path / "a.npy", 2 * 2**30))
    with pytest.raises(AnlageError, match=r"has 2\.0 GiB; files of signals up to 2 GiB are read"):
        read_npy(sparse(tmp_path / "a.npy", 2 * 2**30 + 1))


def test_more_numbers_than_memory_should_take_are_refused(tmp_path):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|b1", "fortran_order": False, "shape": (2**28 + 1,)})
        file.truncate(file.tell() + 2**28 + 1)
    with pytest.raises(AnlageError, match=r"values in '.*' is 268,?435,?457, and at most 268,?435,?456 is read"):
        read_npy(path)


@pytest.mark.parametrize(("opening", "closing"), [(b"(", b"l"), (b"(S'a'\n", b"d"), (b"(", b"t")])
def test_lists_may_be_fifty_deep(tmp_path, opening, closing):
    def nested(depth):
        return pickled(tmp_path / "a.npy", opening * depth + b"N" + closing * depth + b".")

    found = read_npy(nested(50))
    for _ in range(50):
        found = next(iter(found.values())) if isinstance(found, dict) else found[0]
    assert found is None
    with pytest.raises(AnlageError, match="again and again, more than 1,000,000 values or 50 levels; export it again"):
        read_npy(nested(51))


def test_objects_in_arrays_count_as_lists(tmp_path):
    deep = None
    for _ in range(51):
        array = np.empty((), dtype=object)
        array[()] = deep
        deep = array
    np.save(tmp_path / "a.npy", deep, allow_pickle=True)
    with pytest.raises(AnlageError, match="50 levels"):
        read_npy(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", deep[()], allow_pickle=True)
    assert read_npy(tmp_path / "a.npy") is None


def test_a_file_may_hold_as_many_values_as_it_has_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(npy, "_FEW_ITEMS", 0)
    assert read_npy(pickled(tmp_path / "a.npy", b"((Nl222l.")) == [[None]] * 4  # 9 values, 9 bytes
    with pytest.raises(AnlageError, match="more than 10 values"):
        read_npy(pickled(tmp_path / "b.npy", b"((Nl2222l."))  # 11 values, 10 bytes


GOOD_TRACK = {
    "TRACK_ID": [1, 1],
    "FRAME": [0, 1],
    "a": [1.0, 2.0],
    "b": [3.0, 4.0],
    "POSITION_X": [5.0, 6.0],
    "movie": "m",
}


def spoilt(path: Path, **columns: object) -> Path:
    tracks = np.empty(1, dtype=object)
    tracks[0] = GOOD_TRACK | columns
    np.save(path, tracks, allow_pickle=True)
    return path


@pytest.mark.parametrize(
    "columns",
    [
        {"a": [1.0, [2.0, 3.0]]}, {"TRACK_ID": [[1], [2, 3]]}, {"movie": []}, {"movie": [[1], [2, 3]]}, {"class": [0, [1]]},
        {"POSITION_X": [1.0]}, {"POSITION_X": "left"}, {"TRACK_ID": [10**30]}, {"time_of_interest": "late"},
        {"date": np.array(["2020-01-01", "2020-01-02"], dtype="M8[D]")}, {"delay": np.array([1, 2], dtype="m8[25s]")},
    ],
)  # fmt: skip
def test_lists_where_numbers_belong_are_left_out(tmp_path, columns):
    found = open_signals(spoilt(tmp_path / "t.npy", **columns))
    assert found.names == (("b",) if "a" in columns else ("a", "b"))


@pytest.mark.parametrize("frames", [["a", "b"], [[0], [1, 2]], None, [0.5, 1], [-1, 0], [10**30, 0]])
def test_frames_that_are_none_are_refused(tmp_path, frames):
    with pytest.raises(AnlageError, match=r"whole numbers|at most"):
        open_signals(spoilt(tmp_path / "t.npy", FRAME=frames))


def test_celldetectives_bookkeeping_is_no_event(tmp_path):
    path = tmp_path / "tracks.csv"
    path.write_text("TRACK_ID,FRAME,area,class_id,class_color,class_death,t_death\n1,0,5,7,red,0,1\n1,1,6,7,red,0,1\n")
    assert event_names(path) == ["death"]
    assert open_signals(path).scores.tolist() == [0]  # not refused for holding several events
