"""Step through track warnings and fix them: the current warning, and the fixes behind the keys. Knows no Qt."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from psygnal import Signal

from anlage import (
    AddLinks,
    AnlageError,
    Annotations,
    ChangeLinks,
    Document,
    RemoveLinks,
    Several,
    TrackScores,
    TrackWarning,
    decide_around,
    find_warnings,
    read_track_scores,
)
from anlage.project.trackings import adopted_scores, load_broken_links, save_broken_links
from anlage.tracking import track_fixes
from anlage.wording import plural
from napari_anlage.editing.editor import Editor
from napari_anlage.session.member import SessionMember
from napari_anlage.session.session import Session
from napari_anlage.viewer import camera

__all__ = ["Inspection", "unjudged"]

_INSPECTIONS: weakref.WeakKeyDictionary[Session, Inspection] = weakref.WeakKeyDictionary()
_SHARE = 12.0
"""A warning's place fills the canvas with so many nucleus diameters."""


class Inspection(SessionMember):
    """The warnings, the current one, and what can be done about it.

    Use `Inspection.of`; there is one for each session.
    """

    changed = Signal()
    """Other warnings, or another current one."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.warnings: tuple[TrackWarning, ...] = ()
        self.place = -1
        """Number of the current warning; -1: none."""
        self.current: TrackWarning | None = None
        """The current warning; it stays when it is fixed, until the user goes to another one."""
        self._scores: tuple[tuple[Path, int], TrackScores] | None = None
        self.broken_links: set[tuple[int, int]] = set()
        """Links that the user broke in this project: they are not proposed again."""
        self._folder: Path | None = None

    @classmethod
    def of(cls, session: Session) -> Inspection:
        """The inspection of a session, made on first use."""
        if session not in _INSPECTIONS:
            _INSPECTIONS[session] = cls(session)
        return _INSPECTIONS[session]

    @property
    def document(self) -> Document:
        """The document under review. Raises AnlageError where there is none."""
        document = self.session.document
        if document is None:
            raise AnlageError("There are no tracks yet: track on the Track tab and accept the tracks into the project.")
        return document

    # ---- the warnings ----

    def question(self) -> Callable[[], tuple[TrackWarning, ...]]:
        """What finds the warnings; can be called in a thread.

        Raises
        ------
        AnlageError
            If there is nothing to look through, or the voxel size is unknown.
        """
        document, image = self.document, self.session.scaled_image()
        nuclei, shape, spacing = document.nuclei, image.shape_tzyx, image.spacing
        if spacing is None:
            raise AnlageError("The voxel size is unknown; type it in µm on the Data tab.")
        return lambda: find_warnings(nuclei, shape, spacing)

    def take(self, warnings: Sequence[TrackWarning]) -> None:
        """Go through these; the current one stays current if it is still there."""
        self.warnings = tuple(warnings)
        same = [i for i, one in enumerate(self.warnings) if self.current is not None and _same(one, self.current)]
        if same:
            self.place, self.current = same[0], self.warnings[same[0]]
        else:
            self.current = None
            self.place = min(self.place, len(self.warnings)) - (self.place >= 0) if self.warnings else -1
        self.changed.emit()

    def go(self, step: int) -> None:
        """Go to the next warning (1) or the one before (-1)."""
        if not self.warnings:
            raise AnlageError("There is no warning left; take a random sample to check the rest.")
        self.go_to((self.place + step) % len(self.warnings) if self.place >= 0 or step > 0 else len(self.warnings) - 1)

    def go_to(self, place: int) -> None:
        """Look at a warning: its nuclei are selected, the viewer is there and near."""
        self.place, self.current = place, self.warnings[place]
        self.show(self.current.position, self.current.ids)
        self.changed.emit()

    def show(self, position: tuple[float, float, float, float], ids: Sequence[int]) -> None:
        """Look at a place, with these nuclei selected."""
        session, editor = self.session, self.session.editor
        if editor is None:
            return
        camera.go_to(session.viewer, editor.place.grid, position)
        self._zoom(editor)
        editor.show_nuclei()
        if editor.nuclei is not None:
            editor.nuclei.select(ids)
            session.viewer.layers.selection.active = editor.nuclei.layer

    def _zoom(self, editor: Editor) -> None:
        """Come so near that single nuclei are seen; who is nearer already stays."""
        viewer = self.session.viewer
        width = _SHARE * 2 * editor.default_radius_um() * editor.place.um
        zoom = min(viewer.canvas.size) / max(width, 1e-9)
        viewer.scene.camera.zoom = max(viewer.scene.camera.zoom, zoom)

    # ---- the surroundings of a fix ----

    def surroundings(self, before: Annotations) -> Callable[[], tuple[int, Any]] | None:
        """What decides the proposed links around the last fix anew; can be called in a thread. None: nothing to decide.

        Parameters
        ----------
        before
            The tracks before the fix.
        """
        document, spacing = self.document, self.session.scaled_image().spacing
        nuclei, revision = document.nuclei, document.revision
        one, other = (set(map(tuple, table.links.tolist())) for table in (before, nuclei))
        self._remember(one - other, other)
        ids, forbidden = {nucleus for pair in one ^ other for nucleus in pair}, tuple(self.broken_links)
        if spacing is None or not ids or not unjudged(nuclei):
            return None
        kept = adopted_scores(self.session.folder)
        return lambda: (revision, decide_around(nuclei, spacing, ids, forbidden, self._read(kept)))

    def _remember(self, gone: set[tuple[int, int]], there: set[tuple[int, int]]) -> None:
        """Links that are gone were broken, also in a later session; those that are there again were not."""
        folder = self.session.folder
        if folder != self._folder:
            self._folder, self.broken_links = folder, load_broken_links(folder)
        broken = (self.broken_links | gone) - there
        if broken != self.broken_links:
            self.broken_links = broken
            save_broken_links(folder, broken)

    @property
    def decides_by(self) -> str:
        """By what the links around a fix are decided anew, for people."""
        session = self.session
        if session.document is not None and adopted_scores(session.folder) is not None:
            return "by the probabilities that the tracks were made with"
        return "by distance and motion, as nothing was kept of what made these tracks (track again, and accept)"

    def _read(self, kept: Path | None) -> TrackScores | None:
        """What the tracking knew, read once."""
        if kept is None:
            return None
        key = (kept, kept.stat().st_mtime_ns)
        if self._scores is None or self._scores[0] != key:
            self._scores = key, read_track_scores(kept)
        return self._scores[1]

    def take_decision(self, found: tuple[int, Any]) -> None:
        """Bring what was decided into the document, as a step of its own, unless that was changed meanwhile."""
        revision, decision = found
        document = self.document
        if document.revision != revision or not len(decision):
            return
        edits: list[Any] = [RemoveLinks(decision.removed)] if len(decision.removed) else []
        edits += [AddLinks(decision.added, decision.probability)] if len(decision.added) else []
        edits += [ChangeLinks(decision.revised, decision.revised_probability)] if len(decision.revised) else []
        n = len(decision.added) + len(decision.revised)
        document.apply(Several(edits, f"decide {plural(n, 'link')} around the fix anew"))
        self.session.say(
            f"Done: {document.undo_text}, {self.decides_by}. Ctrl+Z takes that back, and once more the fix."
        )

    # ---- what the keys do ----

    def fix(self, name: str) -> None:
        """Do one of the fixes: join, break, insert, divide, swap or accept.

        Where other nuclei are selected than those of the warning, it is done to them.

        Raises
        ------
        AnlageError
            If it does not apply.
        """
        document, selected = self.document, self._selected()
        edit = getattr(self, f"_{name}")(document, selected)
        if edit is not None:
            document.apply(edit)
        if name != "accept" and self.current is not None:
            self.session.say(f"Done: {document.undo_text}. Ctrl+Z takes it back.")

    def why_not(self, name: str) -> str | None:
        """Why a fix cannot be done now; None if it can."""
        try:
            getattr(self, f"_{name}")(self.document, self._selected(), dry=True)
        except AnlageError as error:
            return str(error)
        return None

    def _selected(self) -> list[int]:
        """Nuclei that the user selected instead of those of the warning, in the order of their frames."""
        editor = self.session.editor
        if editor is None:
            return []
        chosen = editor.selected()
        if self.current is not None and set(chosen.tolist()) <= set(self.current.ids):
            return []
        nuclei = self.document.nuclei
        chosen = chosen[np.isin(chosen, nuclei.ids)]
        order = np.argsort(nuclei.frames[np.searchsorted(nuclei.ids, chosen)], kind="stable")
        found: list[int] = chosen[order].tolist()
        return found

    def _warning(self) -> TrackWarning:
        if self.current is None:
            raise AnlageError("No warning is looked at, and nothing is selected; go to the next warning.")
        return self.current

    def _join(self, document: Document, selected: list[int], *, dry: bool = False) -> Any:
        if len(selected) == 2:
            return None if dry else track_fixes.joined(document, *selected)
        one = self._warning()
        if one.kind == "swap" or len(one.instead) != 1:
            raise AnlageError("This warning proposes no link; select the two nuclei to link.")
        return None if dry else track_fixes.joined(document, *one.instead[0])

    def _break(self, document: Document, selected: list[int], *, dry: bool = False) -> Any:
        if len(selected) == 2:
            return None if dry else track_fixes.unlinked(document, [(selected[0], selected[1])])
        links = [pair for pair in self._warning().links if track_fixes.mother_of(document.nuclei, pair[1]) == pair[0]]
        if not links:
            raise AnlageError("This warning is about no link; select the two nuclei whose link is wrong.")
        kept = 1 if self._warning().kind in ("division", "cycle") else len(links)
        return None if dry else track_fixes.unlinked(document, links[:kept])

    def _insert(self, document: Document, selected: list[int], *, dry: bool = False) -> Any:
        if len(selected) == 2:
            return None if dry else track_fixes.inserted(document, *selected)
        one = self._warning()
        if one.missing is None:
            raise AnlageError("No nucleus seems to be missing here; select the two between which one is missing.")
        return None if dry else track_fixes.inserted(document, *one.instead[0])

    def _divide(self, document: Document, selected: list[int], *, dry: bool = False) -> Any:
        if len(selected) == 2:
            return None if dry else track_fixes.divided(document, *selected)
        one = self._warning()
        pair = one.instead if one.kind == "missed division" else one.links if one.kind in ("division", "cycle") else ()
        if not pair:
            raise AnlageError("This warning is about no division; select a mother and the daughter to set or unset.")
        return None if dry else track_fixes.divided(document, *pair[0])

    def _swap(self, document: Document, selected: list[int], *, dry: bool = False) -> Any:
        if len(selected) == 2:
            mothers = [track_fixes.mother_of(document.nuclei, nucleus) for nucleus in selected]
            if not all(mothers):
                raise AnlageError("Both nuclei need a link from an earlier frame to exchange them.")
            return None if dry else track_fixes.swapped(document, (mothers[0], selected[0]), (mothers[1], selected[1]))
        one = self._warning()
        if one.kind != "swap":
            raise AnlageError("No two tracks seem to be swapped here; select the two nuclei whose tracks to exchange.")
        return None if dry else track_fixes.swapped(document, *one.links)

    def _accept(self, document: Document, selected: list[int], *, dry: bool = False) -> Any:
        one = self._warning()
        return None if dry else track_fixes.reviewed(document, one)


def _same(one: TrackWarning, other: TrackWarning) -> bool:
    return (one.kind, one.ids) == (other.kind, other.ids)


def unjudged(nuclei: Annotations) -> int:
    """How many links nobody has accepted."""
    probability = nuclei.link_properties.get("probability")
    return 0 if probability is None else int(np.isfinite(probability).sum())
