"""Whatever was done, undoing all of it and redoing all of it leads to the same bytes."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from anlage import Document, History, HistoryMove, Project


def chunks(project: Project) -> dict[str, bytes]:
    """Painted chunks on disk."""
    painted = project.document.painted
    assert painted is not None
    painted.flush()
    folder = project.folder / "labels.zarr" / "c"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("seed", [1, 2])
def test_200_random_edits_undone_and_redone_are_byte_identical(seed: int, scribble: ModuleType, tmp_path: Path) -> None:
    project = Project.create(tmp_path / "a.anlage", shape_tzyx=scribble.SHAPE, spacing=scribble.SPACING)
    document, scribbler = project.document, scribble.Scribbler(seed)
    document.apply(scribble.AddNuclei(document.new_ids(12), [[t % 4, 4, t, 9 * t] for t in range(12)]))
    contents, texts = [contents_of(document, scribble)], []
    for n in range(200):
        scribbler.step(document, n)
        contents.append(contents_of(document, scribble))
        texts.append(document.undo_text)
    assert set(scribbler.done) == {kind.__name__ for kind in scribble.KINDS}, scribbler.done
    assert min(scribbler.done.values()) >= 2, scribbler.done
    on_disk = chunks(project)
    assert len(on_disk) > 4

    for expected, text in zip(reversed(contents[:-1]), reversed(texts), strict=True):
        assert document.undo() == text
        assert contents_of(document, scribble) == expected, f"undoing '{text}'"
    assert document.undo_text == "add 12 nuclei"
    assert chunks(project) == {}

    for expected, text in zip(contents[1:], texts, strict=True):
        assert document.redo_text == text
        assert document.redo() == text
        assert contents_of(document, scribble) == expected, f"redoing '{text}'"
    assert document.redo() is None
    assert chunks(project) == on_disk
    project.close()


def contents_of(document: Document, scribble: ModuleType) -> str:
    """The digest without the stacks, which undoing changes."""
    past, future = document.history.past, document.history.future
    document.history.past, document.history.future = [], []
    found: str = scribble.digest(document)
    document.history.past, document.history.future = past, future
    return found


def test_a_history_of_any_changes_goes_back_and_forth_and_forgets_the_oldest() -> None:
    value, history = 0, History[int](most=3)
    for new in (1, 2, 3, 4):
        history.take("do", value, f"set {new}")
        value = new

    def go(way: HistoryMove) -> None:
        nonlocal value
        step = history.newest(way)
        assert step is not None
        history.take(way, value, step.text)
        value = step.edit

    for before in (3, 2, 1):
        go("undo")
        assert value == before
    assert history.newest("undo") is None
    assert (history.undo_text, history.redo_text) == (None, "set 2")
    go("redo")
    assert value == 2
    history.take("do", value, "set 9")
    assert (history.undo_text, history.redo_text) == ("set 9", None)
