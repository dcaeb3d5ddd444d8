"""Projects and runs of strangers: whatever stands in them, it is a sentence, and nothing that was there before is lost."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anlage.document import AddNuclei, Several
from anlage.document.blocks import Block
from anlage.document.edits import encode
from anlage.errors import AnlageError
from anlage.foreign import LARGEST_ID
from anlage.project import Project, project_summary
from anlage.training.run import Run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "a.anlage"
    project = Project.create(folder, shape_tzyx=(3, 4, 32, 32))
    project.document.apply(AddNuclei(project.document.new_ids(2), [(0, 1, 5, 5), (1, 1, 5, 6)]))
    project.document.apply(AddNuclei(project.document.new_ids(1), [(2, 1, 5, 7)]))
    project.abandon()
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "a.anlage"))


def added(place: Path, line: Any) -> Path:
    """The project with a line more in its journal."""
    text = line if isinstance(line, bytes) else json.dumps(line).encode()
    with (place / "journal.jsonl").open("ab") as file:
        file.write(text + b"\n")
    return place


def block(shape: list[int], packed: bytes) -> dict[str, Any]:
    return {"shape": shape, "zstd": base64.b64encode(packed).decode()}


SMALL = Block.of(np.ones((1, 2, 2), np.uint32)).packed
PAINT = {"edit": "paint", "t": 0, "start_zyx": [0, 0, 0]}
ADD = {"edit": "add_nuclei", "ids": [9], "positions": [[0, 1, 2, 3]]}


@pytest.mark.parametrize(
    "line",
    [
        {"do": {"edit": "nonsense"}, "text": "x"},
        {"do": {"edit": ["paint"]}, "text": "x"},
        {"do": {"edit": "remove_nuclei", "ids": []}},
        {"do": None, "text": "x"},
        {"do": 5, "text": "x"},
        {"past": 5, "text": "x"},
        {"future": [1], "text": "x"},
        {"text": "x"},
        {"do": ADD, "undo": ADD, "text": "x"},
        {"do": ADD, "text": 5},
        {"do": ADD, "text": "x", "evil": 1},
        {"do": {**ADD, "ids": ["a"]}, "text": "x"},
        {"do": {**ADD, "ids": [1.5]}, "text": "x"},
        {"do": {**ADD, "ids": [10**30]}, "text": "x"},
        {"do": {**ADD, "ids": {"a": 1}}, "text": "x"},
        {"do": {**ADD, "ids": [[1], [2, 3]]}, "text": "x"},
        {"do": {**ADD, "positions": [[0, 1, 2]]}, "text": "x"},
        {"do": {**ADD, "positions": [[1e308, 1, 2, 3]]}, "text": "x"},
        {"do": {**ADD, "positions": "here"}, "text": "x"},
        {"do": {**ADD, "state": 77}, "text": "x"},
        {"do": {**ADD, "probability": 97}, "text": "x"},
        {"do": {**ADD, "radius_um": 1e300}, "text": "x"},
        {"do": {**ADD, "label": -1}, "text": "x"},
        {"do": {**ADD, "label": {"a": 1}}, "text": "x"},
        {"do": {**ADD, "properties": [1]}, "text": "x"},
        {"do": {**ADD, "properties": {"a": [[1, 2]]}}, "text": "x"},
        {"do": {**ADD, "properties": {"a": [{"b": 1}]}}, "text": "x"},
        {"do": {**ADD, "links": [[1]]}, "text": "x"},
        {"do": {"edit": "several", "edits": 5, "text": "x"}, "text": "x"},
        {"do": {"edit": "several", "edits": [5], "text": "x"}, "text": "x"},
        {"do": {"edit": "set_division", "mother": 10**40, "daughters": [1, 2]}, "text": "x"},
        {"do": {"edit": "add_region", "region": {"id": 1, "name": "a", "box": "0:9" * 99, "core": "x"}}, "text": "x"},
        {"do": {"edit": "add_region", "region": {"id": 1, "name": "a", "box": f"0:1,0:{10**30},0:1,0:1", "core": "x"}}, "text": "x"},
        {"do": {**PAINT, "before": block([1000, 10**5, 10**5], SMALL), "after": block([1000, 10**5, 10**5], SMALL)}, "text": "x"},
        {"do": {**PAINT, "before": block([1, 9, 9], SMALL), "after": block([1, 9, 9], SMALL)}, "text": "x"},
        {"do": {**PAINT, "before": block([1, 2, 2], SMALL[:-1]), "after": block([1, 2, 2], SMALL[:-1])}, "text": "x"},
        {"do": {**PAINT, "before": block([1, 2, 2], b"x"), "after": block([1, 2, 2], b"x")}, "text": "x"},
        {"do": {**PAINT, "before": block([-1, 2, 2], SMALL), "after": block([-1, 2, 2], SMALL)}, "text": "x"},
        {"do": {**PAINT, "t": 10**30, "before": block([1, 2, 2], SMALL), "after": block([1, 2, 2], SMALL)}, "text": "x"},
        {"do": {**PAINT, "before": [[["a"]]], "after": None}, "text": "x"},
    ],
)  # fmt: skip
def test_a_line_that_does_not_fit_is_a_sentence_and_stays(place: Path, line: Any) -> None:
    content = added(place, line).joinpath("journal.jsonl").read_bytes()
    for read in (project_summary, Project.open):
        with pytest.raises(AnlageError, match=r"Change 3 of 3 in the journal .* does not fit what was saved") as caught:
            read(place)
        assert "\n" not in str(caught.value)
    assert (place / "journal.jsonl").read_bytes() == content


@pytest.mark.parametrize(
    "line", [b'{"do":{"edit"', b"\xff\xfe\x00", b"[" * 100_000 + b"]" * 100_000, b"[]", b'{"do": NaN}']
)
def test_a_line_that_cannot_be_read_costs_nothing_before_it(place: Path, line: bytes) -> None:
    with Project.open(added(place, line)) as project:
        assert len(project.document.nuclei) == 3
        assert len(project.notes) == 1


def test_edits_nest_as_deep_as_json_may(place: Path) -> None:
    edit: Any = AddNuclei([9], [(0, 1, 2, 3)])
    for _ in range(40):
        edit = Several([edit], "deep")
    with Project.open(added(place, {"do": encode(edit), "text": "deep"})) as project:
        assert len(project.document.nuclei) == 4


@pytest.mark.parametrize(
    "lie",
    [
        {"settings": {"shape_tzyx": [-1, -1, -1, -1]}}, {"settings": {"shape_tzyx": [10**6, 10**6, 10**30, 1]}},
        {"settings": {"spacing_um_zyx": [0, 0, 0]}}, {"settings": {"spacing_um_zyx": [1, 1, 1e308]}}, {"settings": {"diameter_um": 1e9}},
        {"settings": {"diameter_um": 1e-6}}, {"settings": {"interval_s": -1}}, {"settings": {"channels": [-1]}}, {"settings": 5},
        {"next_id": 2**70}, {"fold": -1}, {"regions": [{"id": 1, "name": "a", "box": "0:1,0:1,0:1,0:1", "core": "0:2,0:1,0:1,0:1"}]},
        {"regions": [{"id": 2**70, "name": "a", "box": "0:1,0:1,0:1,0:1", "core": "0:1,0:1,0:1,0:1"}]}, {"created": None}, {"evil": 1},
    ],
)  # fmt: skip
def test_a_project_file_that_cannot_be_is_a_sentence(place: Path, lie: dict[str, Any]) -> None:
    file = place / "project.json"
    record = json.loads(file.read_text())
    for name, value in lie.items():
        record[name] = {**record[name], **value} if isinstance(value, dict) else value
    file.write_text(json.dumps(record))
    with pytest.raises(AnlageError, match="damaged") as caught:
        Project.open(place)
    assert "\n" not in str(caught.value)


def test_a_project_without_ids_left_says_so(place: Path) -> None:
    file = place / "project.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "next_id": LARGEST_ID}))
    with Project.open(place) as project, pytest.raises(AnlageError, match="no ids left"):
        project.document.new_ids(1)


def test_painted_labels_of_another_image_are_a_sentence(place: Path) -> None:
    with Project.open(place) as project:
        project.document.start_painting()[0, 0, :2, :2] = 1
        project.document.commit_stroke()
    file = place / "project.json"
    record = json.loads(file.read_text())
    record["settings"]["shape_tzyx"] = [3, 4, 64, 64]
    file.write_text(json.dumps(record))
    with pytest.raises(AnlageError, match="do not belong together"):
        Project.open(place)


RUN: dict[str, Any] = {
    "name": "run", "created": "2026-11-30T10:00:00+00:00", "versions": {}, "task": "nuclei", "stores": [], "training": {}, "settings": {},
}  # fmt: skip


@pytest.mark.parametrize(
    "lie",
    [
        *({"name": name} for name in ("../../x", "/tmp/x", "C:\\x", "", ".", "a\nb", "\x1b[31m", "x" * 300, None)),
        {"training": {"threads": 10**9}}, {"training": {"batch_size": 10**30}}, {"training": {"steps": 10**30}},
        {"training": {"minutes": 1e308}}, {"training": {"weight_decay": 1e308}}, {"stores": [{"path": 1}]}, {"schema_version": 0},
    ],
)  # fmt: skip
def test_a_run_leads_nowhere_else_and_its_numbers_have_bounds(tmp_path: Path, lie: dict[str, Any]) -> None:
    (tmp_path / "run.json").write_text(json.dumps({**RUN, **lie}))
    with pytest.raises(AnlageError, match=r"The run .* cannot be read") as caught:
        Run.open(tmp_path)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_run_is_not_made_in_a_folder_whose_name_no_model_can_have(tmp_path: Path) -> None:
    with pytest.raises(AnlageError, match="The name of the run"):
        Run.create(tmp_path / "a\nb", "nuclei", [tmp_path / "s.zarr"])


def test_events_of_a_stranger_name_no_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(RUN))
    told = {"event": "finished", "step": 1, "model": "../../x.anlage", "metrics": {}, "seconds": 1.0}
    (tmp_path / "events.jsonl").write_text(json.dumps(told) + "\n" + "[" * 100_000 + "\n")
    assert Run.open(tmp_path).events()[0] == []
    (tmp_path / "events.jsonl").unlink()
    (tmp_path / "events.jsonl").mkdir()
    run = Run.open(tmp_path)
    assert run.events()[0] == []
    assert run.summary().step == 0
