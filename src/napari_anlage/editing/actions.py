"""Annotation actions, one for each key: add, delete, accept, reject, link, undo. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from anlage import AddLinks, AddNuclei, AnlageError, Annotations, ChangeNuclei, RemoveLinks, RemoveNuclei, SetDivision
from anlage.wording import plural
from napari_anlage.editing.editor import Editor
from napari_anlage.viewer import camera

__all__ = ["Actions"]

Ids = npt.NDArray[np.int64]


class Actions:
    """What can be done with an editor's document."""

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        self._copied: npt.NDArray[np.float64] = np.zeros((0, 4))

    def follow_meant(self) -> None:
        """Follow the track of the nucleus under the mouse, or of the selected one."""
        ids = _some(self.meant(), "follow")
        self.editor.follow(int(ids[-1]))
        self.editor.said.emit(f"Following track {self.editor.track}: the next click continues it; N ends this.", "info")

    def go_to_current(self) -> None:
        """Show the last nucleus of the followed track."""
        row = None if self.editor.current is None else self.editor.tracks.row(self.editor.current)
        if row is None:
            raise AnlageError("No track is followed; point at a nucleus and press T.")
        rows = np.flatnonzero(self.editor.tracks.track == self.editor.tracks.track[row])
        last = rows[np.argmax(self.editor.document.nuclei.frames[rows])]
        camera.go_to(self.editor.viewer, self.editor.place.grid, tuple(self.editor.document.nuclei.positions[last]))

    def meant(self) -> Ids:
        """What a key acts on: the nucleus that the mouse is over, else those that are selected."""
        over = self.editor.under_cursor()
        if over is not None:
            selected = self.editor.selected()
            return selected if over in selected else np.array([over])
        return self.editor.selected()

    def remove(self, ids: Ids) -> None:
        """Remove nuclei, and the links that touch them."""
        self.editor.document.apply(RemoveNuclei(_some(ids, "delete")))

    def scale_radius(self, factor: float) -> None:
        """Make the meant nuclei larger or smaller; new ones become as large."""
        ids = self.meant()
        if len(ids):
            rows = np.searchsorted(self.editor.document.nuclei.ids, ids)
            known = self.editor.document.nuclei.radius_um[rows]
            radius = factor * np.where(np.isfinite(known), known, self.editor.default_radius_um())
            self.editor.document.apply(ChangeNuclei(ids, radius_um=radius))
            self.editor.radius_um = float(np.median(radius))
        else:
            self.editor.radius_um = factor * (self.editor.radius_um or self.editor.default_radius_um())
        self.editor.said.emit(f"Radius of new nuclei: {self.editor.radius_um:.3g} µm.", "info")

    def copy(self) -> None:
        """Remember where the selected nuclei are."""
        ids = _some(self.editor.selected(), "copy")
        self._copied = self.editor.document.nuclei.positions[np.searchsorted(self.editor.document.nuclei.ids, ids)]
        self.editor.said.emit(
            f"Copied {plural(len(ids), 'nucleus', 'nuclei')}; Ctrl+V puts them into the frame that is shown.", "info"
        )

    def paste(self) -> None:
        """Put what was copied into the shown frame, without links."""
        if not len(self._copied):
            raise AnlageError("Nothing was copied; select nuclei and press Ctrl+C first.")
        positions = self._copied.copy()
        positions[:, 0] = self.editor.place.frame(self.editor.viewer)
        radius = np.nan if self.editor.radius_um is None else self.editor.radius_um
        ids = self.editor.document.new_ids(len(positions))
        self.editor.document.apply(AddNuclei(ids, positions, radius_um=radius))
        if self.editor.nuclei is not None:
            self.editor.nuclei.select(ids)

    def new_label(self) -> None:
        """Paint with a label that no nucleus has."""
        layer = self.editor.show_labels()
        layer.selected_label = self.editor.document.new_label()
        self.editor.said.emit(f"Painting with label {layer.selected_label}.", "info")

    # ---- links ----

    def link(self, ids: Ids) -> None:
        """Link nuclei along time, each to that of the next frame among them."""
        if len(ids) < 2:
            raise AnlageError(
                "Select two nuclei in different frames to link them (Shift+click keeps the first selected)."
            )
        ids, frames = self.in_time(ids)
        if (np.diff(frames) == 0).any():
            raise AnlageError(
                f"Two of the {len(ids)} nuclei are in the same frame; a link goes forward in time. For a division, select the "
                "mother and her two daughters and press D."
            )
        pairs = np.column_stack([ids[:-1], ids[1:]])
        there = {
            (int(a), int(b))
            for a, b in self.editor.document.nuclei.links[np.isin(self.editor.document.nuclei.links[:, 1], ids)]
        }
        new = [pair for pair in map(tuple, pairs.tolist()) if pair not in there]
        if not new:
            raise AnlageError("They are linked already.")
        self.editor.document.apply(AddLinks(new))

    def link_meant(self) -> None:
        """Link the selected nuclei; one alone with that under the mouse, or with the followed one."""
        ids, over = self.editor.selected(), self.editor.under_cursor()
        others = [nucleus for nucleus in (over, self.editor.current) if nucleus is not None and nucleus not in ids]
        if len(ids) < 2:
            ids = np.array([*ids.tolist(), *others][:2], dtype=np.int64)
        self.link(ids)

    def unlink(self, ids: Ids) -> None:
        """Remove the links among nuclei; of one alone, all that it has."""
        ids = _some(ids, "unlink")
        links = self.editor.document.nuclei.links
        among = np.isin(links, ids).all(axis=1) if len(ids) > 1 else np.isin(links, ids).any(axis=1)
        if not among.any():
            raise AnlageError("There is no link to remove here.")
        self.editor.document.apply(RemoveLinks(links[among]))

    def divide(self, mother: int, daughters: list[int]) -> None:
        """Set a division."""
        self.editor.document.apply(SetDivision(mother, daughters))

    def in_time(self, ids: Ids) -> tuple[Ids, Ids]:
        """Nuclei in the order of their frames, and these."""
        frames = self.editor.document.nuclei.frames[np.searchsorted(self.editor.document.nuclei.ids, ids)]
        order = np.argsort(frames, kind="stable")
        return ids[order], frames[order]

    # ---- history ----

    def undo(self) -> None:
        """Take the last step back, and show where."""
        self._say("Undone", self.editor.document.undo_text, self.editor.document.undo)

    def redo(self) -> None:
        """Do again what was undone, and show where."""
        self._say("Done again", self.editor.document.redo_text, self.editor.document.redo)

    def _say(self, what: str, text: str | None, do: Callable[[], str | None]) -> None:
        if text is None:
            self.editor.said.emit(f"Nothing to {'undo' if what == 'Undone' else 'redo'}.", "info")
            return
        self.editor.touched = np.zeros(0, dtype=np.int64)
        before = self.editor.document.nuclei
        do()
        self._show_touched(before, self.editor.touched)
        self.editor.said.emit(f"{what}: {text}.", "info")

    def _show_touched(self, before: Annotations, touched: Ids) -> None:
        """Go to the frame of what changed, unless something of it is in the shown one."""
        tables = (self.editor.document.nuclei, before)
        frames = np.concatenate([table.frames[np.isin(table.ids, touched)] for table in tables])
        if len(frames) and self.editor.place.frame(self.editor.viewer) not in frames:
            self.editor.place.show_frame(self.editor.viewer, int(frames[0]))


def _some(ids: Ids, verb: str) -> Ids:
    if not len(ids):
        raise AnlageError(f"Point at a nucleus or select some to {verb} them.")
    return ids
