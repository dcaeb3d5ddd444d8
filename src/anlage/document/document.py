"""The document of a project: applies edits, keeps undo and redo, and notifies listeners.

It is the truth that layers show. Everything is changed by `apply`, `undo` and `redo`, and by nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.document.compound import together
from anlage.document.edit import Change, Content, Edit, Outcome
from anlage.document.edits import AddNuclei, AddRegion, Several, decode, encode
from anlage.document.fields import after
from anlage.document.findings import findings
from anlage.document.history import DocumentHistory, HistoryMove
from anlage.document.journal import Entry, Journal
from anlage.document.label_statistics import stained
from anlage.document.label_sync import erase, follow
from anlage.document.label_volume import PaintedLabels
from anlage.document.regions import Region
from anlage.document.snapshot import annotations_of
from anlage.document.table import Table
from anlage.errors import AnlageError
from anlage.foreign import LARGEST_ID
from anlage.issues import Issue

__all__ = ["Document"]


class Document:
    """Nuclei, painted labels and regions, with undo, redo and a journal.

    Parameters
    ----------
    shape_tzyx
        Shape of the image; None where it is not known: places are not checked then, and nothing can be painted.
    spacing
        Voxel size in µm; it gives painted nuclei their radius.
    nuclei
        What there is already, without contradictions.
    regions
        What there is already.
    labels_folder
        Where painted labels lie or will lie, as a zarr; None keeps them in memory.
    next_id
        Ids of nuclei below this are never given again.
    """

    def __init__(
        self,
        *,
        shape_tzyx: Sequence[int] | None = None,
        spacing: Spacing | None = None,
        nuclei: Annotations | None = None,
        regions: Iterable[Region] = (),
        labels_folder: Path | None = None,
        next_id: int = 1,
    ) -> None:
        table = Table.of([], []) if nuclei is None else Table.from_annotations(nuclei)
        ordered = tuple(sorted(regions, key=lambda region: region.id))
        self._content = Content(table, ordered, None if shape_tzyx is None else _four(shape_tzyx))
        self.spacing = spacing
        self.revision = 0
        """Grows with every change."""
        self._labels_folder = labels_folder
        self._painted: PaintedLabels | None = None
        if labels_folder is not None and labels_folder.exists():
            self._painted = PaintedLabels.open(labels_folder)
        self._next_id = max(next_id, after(table.ids))
        self._next_region = max((region.id for region in ordered), default=0) + 1
        self.history = DocumentHistory()
        self._listeners: list[Callable[[Change], None]] = []
        self._journal: Journal | None = None
        self._snapshot: tuple[Any, Annotations] | None = None

    # ---- what there is ----

    @property
    def nuclei(self) -> Annotations:
        """All nuclei and links as they are now, in the order of their ids; costs nothing while nothing changes.

        Its painted labels are read when they are asked for, so they are those of that moment.
        """
        key = (self._content.nuclei, self._painted, self.spacing)
        if self._snapshot is None or any(a is not b for a, b in zip(self._snapshot[0], key, strict=True)):
            self._snapshot = key, annotations_of(self._content.nuclei, self._painted, self.spacing)
        return self._snapshot[1]

    @property
    def regions(self) -> tuple[Region, ...]:
        """In the order of their ids."""
        return self._content.regions

    @property
    def painted(self) -> PaintedLabels | None:
        """Painted labels; None until somebody starts painting."""
        return self._painted

    @property
    def shape_tzyx(self) -> tuple[int, int, int, int] | None:
        """Shape of the image, where it is known."""
        return self._content.shape_tzyx

    @property
    def undo_text(self) -> str | None:
        """What `undo` would undo: ``add 3 nuclei``; None if there is nothing."""
        return self.history.undo_text

    @property
    def redo_text(self) -> str | None:
        """What `redo` would do again; None if there is nothing."""
        return self.history.redo_text

    @property
    def next_id(self) -> int:
        """Ids below this were given already."""
        return self._next_id

    def new_ids(self, n: int = 1) -> npt.NDArray[np.int64]:
        """Ids for new nuclei; none is ever given twice."""
        if self._next_id > LARGEST_ID - n:
            raise AnlageError(
                f"There are no ids left above {self._next_id - 1}; give the nuclei of this project smaller ones."
            )
        ids = np.arange(self._next_id, self._next_id + n, dtype=np.int64)
        self._next_id += n
        return ids

    def new_region_id(self) -> int:
        """An id for a new region, never given twice."""
        self._next_region += 1
        return self._next_region - 1

    def new_label(self) -> int:
        """A value for painting that no nucleus has."""
        highest = int(self._content.nuclei.columns["label"].max(initial=0))
        if self._painted is not None:
            highest = max(highest, self._painted.highest)
        return highest + 1

    def problems(self, *, nuclei: Annotations | None = None, diameter_um: float | None = None) -> tuple[Issue, ...]:
        """What looks wrong, the gravest first: contradictions, gaps in tracks, duplicates, regions in each other's way.

        Parameters
        ----------
        nuclei
            The annotation that counts, where it is not the document's own.
        diameter_um
            Typical diameter of a nucleus in µm; None: twice the median of the known radii.
        """
        return findings(
            self.nuclei if nuclei is None else nuclei,
            self.regions,
            shape_tzyx=self.shape_tzyx,
            spacing=self.spacing,
            diameter_um=diameter_um,
        )

    def listen(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call a listener after every change; returns a function that removes it."""
        self._listeners.append(callback)

        def stop() -> None:
            if callback in self._listeners:
                self._listeners.remove(callback)

        return stop

    # ---- what can be done ----

    def apply(self, edit: Edit) -> None:
        """Do something: it is in the journal, can be undone, and listeners know of it when this returns.

        Nuclei follow what is painted, and labels go with their nuclei; see `anlage.document.label_sync`.

        Raises
        ------
        AnlageError
            If it contradicts what there is, or cannot be written down; nothing was changed then.
        """
        outcome = edit.done(self._content)
        if outcome.changes_nothing:
            return
        if outcome.paints:
            edit, outcome = self._with_followers(edit, outcome)
        elif self._painted is not None:
            edit, outcome = self._with_erasures(edit, outcome, self._painted)
        self._commit("do", edit, outcome, edit.text)

    def undo(self) -> str | None:
        """Take the last step back; returns what it was, None if there is nothing to undo."""
        return self._retrace("undo")

    def redo(self) -> str | None:
        """Do again what was undone last; returns what it was, None if there is nothing."""
        return self._retrace("redo")

    def start_painting(self) -> PaintedLabels:
        """The labels to paint on; made empty if there are none yet.

        Raises
        ------
        AnlageError
            If the shape of the image is unknown, or the labels cannot be written.
        """
        if self._painted is None:
            shape = self._content.shape_tzyx
            if shape is None:
                raise AnlageError(
                    "The shape of the image is not known, so nothing can be painted; choose the image first."
                )
            if self._labels_folder is None:
                self._painted = PaintedLabels.in_memory(shape)
            else:
                self._painted = PaintedLabels.create(self._labels_folder, shape)
        return self._painted

    def commit_stroke(self, text: str | None = None) -> bool:
        """Apply what was painted on `painted` since the last commit; returns whether that was anything.

        If it cannot be applied, the stroke is forgotten and the error raised.
        """
        if self._painted is None:
            return False
        try:
            strokes = self._painted.stroke()
            if strokes:
                self.apply(
                    strokes[0] if len(strokes) == 1 and text is None else Several(strokes, text or _said(strokes))
                )
        finally:
            self._painted.forget_stroke()
        return bool(strokes)

    # ---- journal ----

    def write_to(self, journal: Journal) -> None:
        """Journal every step from now on."""
        self._journal = journal

    def replay(self, record: Mapping[str, Any]) -> None:
        """Take in one record of a journal, without listeners.

        Raises
        ------
        AnlageError, ValueError
            If it does not fit.
        """
        entry = Entry.of(record)
        recalled = self.history.recall(entry)
        if recalled is not None:
            self._note_ids(recalled)
            return
        way: HistoryMove = "do" if entry.do is not None else "undo" if entry.undo is not None else "redo"
        edit = decode(record[way])
        outcome = edit.done(self._content)
        self._note_ids(edit)
        if outcome.paints:
            self.start_painting().make_room()
        self._take(way, outcome, entry.text)

    def _with_followers(self, edit: Edit, outcome: Outcome) -> tuple[Edit, Outcome]:
        painted = self.start_painting()
        painted.make_room()
        painted.check(outcome.paints)
        found = stained(outcome.paints, painted.moments)
        steps, outcomes = follow(outcome.content, found, outcome.paints, spacing=self.spacing, new_ids=self.new_ids)
        if not steps:
            return edit, outcome
        return Several((edit, *steps), edit.text), together([outcome, *outcomes], self._content, edit.text)

    def _with_erasures(self, edit: Edit, outcome: Outcome, painted: PaintedLabels) -> tuple[Edit, Outcome]:
        strokes = erase(self._content.nuclei, outcome.content.nuclei, outcome.ids, painted)
        if not strokes:
            return edit, outcome
        content, outcomes = outcome.content, [outcome, *(stroke.done(outcome.content) for stroke in strokes)]
        return Several((edit, *strokes), edit.text), together(outcomes, content, edit.text)

    def _retrace(self, way: HistoryMove) -> str | None:
        step = self.history.newest(way)
        if step is None:
            return None
        self._commit(way, step.edit, step.edit.done(self._content), step.text)
        return step.text

    def _commit(self, way: HistoryMove, edit: Edit, outcome: Outcome, text: str) -> None:
        if outcome.paints and self._painted is not None:
            self._painted.make_room()
        if self._journal is not None:
            self._journal.append({way: encode(edit), "text": text})
        self._note_ids(edit)
        self._take(way, outcome, text)
        change = outcome.change
        for listener in tuple(self._listeners):
            listener(change)

    def _take(self, way: HistoryMove, outcome: Outcome, text: str) -> None:
        self._content = outcome.content
        if self._painted is not None:
            for paint in outcome.paints:
                self._painted.commit(paint)
                with contextlib.suppress(AnlageError):  # the disk is full: saving, or the next stroke, says so
                    self._painted.make_room()
        self.history.take(way, outcome.inverse, text)
        self.revision += 1

    def _note_ids(self, edit: Edit) -> None:
        """Never give again an id that an edit names."""
        for one in edit.edits if isinstance(edit, Several) else (edit,):
            if isinstance(one, Several):
                self._note_ids(one)
            elif isinstance(one, AddNuclei):
                self._next_id = max(self._next_id, after(one.ids))
            elif isinstance(one, AddRegion):
                self._next_region = max(self._next_region, one.region.id + 1)

    def place(self, *, shape_tzyx: Sequence[int] | None, spacing: Spacing | None) -> None:
        """Tell of what image this is the document.

        Raises
        ------
        AnlageError
            If labels were painted on an image of another shape.
        """
        if shape_tzyx is not None and self._painted is not None and self._painted.shape != _four(shape_tzyx):
            raise AnlageError(
                f"Labels were painted on an image of shape {self._painted.shape} (t, z, y, x), but this one has "
                f"{_four(shape_tzyx)}; choose the image that was annotated, or begin a new project."
            )
        self.spacing = spacing
        self._content = replace(self._content, shape_tzyx=None if shape_tzyx is None else _four(shape_tzyx))


def _four(shape: Sequence[int]) -> tuple[int, int, int, int]:
    t, z, y, x = (int(n) for n in shape)
    return (t, z, y, x)


def _said(strokes: Sequence[Any]) -> str:
    frames = sorted({stroke.t for stroke in strokes})
    return f"paint in frame {frames[0]}" if len(frames) == 1 else f"paint in {len(frames)} frames"
