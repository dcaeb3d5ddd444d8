"""Records of a project that came from somebody else: what they ask for is run only as this program asks."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from anlage import AnlageError
from anlage.project.predictions import Record, Result
from anlage.project.records import keep_record, own_arguments, records
from anlage.project.thresholds import Thresholds, thresholds_of
from anlage.project.trackings import TrackRecord

ASKED = [
    "predict",
    "m.anlage",
    "image.tif",
    "-o",
    "/home/jo/a.anlage/predictions/x.geff",
    "--frames",
    "0:3",
    "--all-candidates",
]
RECORD = {
    "created": "2026-11-30T10:00:00+00:00", "model": "m", "model_id": "m-1", "threshold": 0.5, "frames": [0, 3], "arguments": ASKED,
}  # fmt: skip


def test_a_prediction_goes_on_where_its_project_lies_now(tmp_path: Path) -> None:
    result = Result.of(tmp_path / "x.geff", Record.model_validate(RECORD))
    assert result.arguments == [*ASKED[:4], str(tmp_path / "x.geff"), *ASKED[5:]]


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["predict"], ["convert", "a", "-o", "b"], [*ASKED, "-o", "/home/jo/.bashrc"], [*ASKED, "--heatmap", "/home/jo/.bashrc"],
        [*ASKED, "-o/home/jo/.bashrc"], [*ASKED, "--output=/home/jo/.bashrc"], [*ASKED, "--heatm", "x"], [*ASKED[:3], "-o"],
    ],
)  # fmt: skip
def test_what_this_program_does_not_ask_is_not_run(arguments: list[str], tmp_path: Path) -> None:
    result = Result.of(tmp_path / "x.geff", Record.model_validate({**RECORD, "arguments": arguments}))
    with pytest.raises(AnlageError, match="is not what this program asks"):
        _ = result.arguments


def test_options_are_those_that_are_named(tmp_path: Path) -> None:
    asked = ["track", "image.tif", "-o", "x", "--greedy"]
    assert own_arguments(asked, "track", frozenset({"--greedy"}), tmp_path)[3] == str(tmp_path)
    with pytest.raises(AnlageError, match="--greedy"):
        own_arguments(asked, "track", frozenset(), tmp_path)


@pytest.mark.parametrize(
    "lie",
    [
        {"created": "yesterday"}, {"frames": [0, 10**12]}, {"frames": [-1, 2]}, {"threshold": -5}, {"threshold": "NaN"}, {"paints": "../x"},
        {"arguments": 3}, {"evil": 1}, {"model": None},
    ],
)  # fmt: skip
def test_records_that_cannot_be_are_passed_over(lie: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(json.dumps(RECORD))
    (tmp_path / "bad.json").write_text(json.dumps({**RECORD, **lie}))
    (tmp_path / "deep.json").write_text("[" * 100_000 + "]" * 100_000)
    (tmp_path / "large.json").write_text(" " * 2**21 + json.dumps(RECORD))
    (tmp_path / "folder.json").mkdir()
    assert [path.name for path, _ in records(tmp_path, Record)] == ["good.geff"]
    assert list(records(tmp_path, TrackRecord)) == []


@pytest.mark.parametrize(
    "lie", [{"threshold": -5}, {"inside": 0}, {"inside": 1}, {"smallest": 1e300}, {"threshold": [[]]}]
)
def test_thresholds_that_cannot_be_are_those_of_the_model(lie: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions" / "thresholds.json").write_text(json.dumps({"m": lie}))
    assert thresholds_of(tmp_path, "m") == Thresholds()


def test_a_record_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch) -> None:
    keep_record(Record.model_validate(RECORD), tmp_path / "x.geff")
    before = (tmp_path / "x.json").read_bytes()

    def full(path: Path, text: str, **_: object) -> None:
        path.write_bytes(text[:20].encode())
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(AnlageError, match="The disk is full while writing"):
        keep_record(Record.model_validate(RECORD | {"model": "other"}), tmp_path / "x.geff")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x.json": before}
