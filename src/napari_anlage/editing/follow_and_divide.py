"""Annotation gestures of several clicks: follow a nucleus through time, and mark a division."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage import AddLinks, AnlageError
from napari_anlage.editing.actions import Actions
from napari_anlage.editing.editor import Editor

__all__ = ["Gestures"]

_MOVED_PX = 5
"""Pixels that a mouse may move between press and release and still have clicked."""


class Gestures:
    """Mouse and key gestures of one editor.

    *Hold A*: the nucleus under the mouse is followed; where there is none, one is added and linked to the followed
    track's last. The next frame comes. A click while A is held, or another press, marks it there, and so on. When A is
    released after the mouse has moved, the nucleus is marked there too.

    *D*: three selected nuclei become a mother and her daughters; otherwise the one under the mouse (or selected, or
    followed last) is the mother, the next frame comes, and the next two clicks are the daughters.
    """

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        self.actions = Actions(editor)
        self._held: npt.NDArray[np.float64] | None = None
        self._clicked = False
        self._mother: int | None = None
        self._daughters: list[int] = []
        self._mode: str | None = None
        editor.viewer.mouse_drag_callbacks.append(self._on_press)

    def close(self) -> None:
        """Listen to the mouse no more."""
        self._let_mouse_go()
        if self._on_press in self.editor.viewer.mouse_drag_callbacks:
            self.editor.viewer.mouse_drag_callbacks.remove(self._on_press)

    @property
    def waits(self) -> bool:
        """Whether clicks are for a gesture."""
        return self._held is not None or self._mother is not None

    # ---- follow through time ----

    def grab(self) -> None:
        """A was pressed."""
        self.editor.show_nuclei()
        if self._mother is not None:
            self._choose_daughter()
            return
        self._held, self._clicked = self.editor.place.cursor(self.editor.viewer), False
        try:
            self._step()
        except AnlageError:
            self._held = None
            raise
        self._take_mouse()

    def release(self) -> None:
        """A was released."""
        held, self._held = self._held, None
        if self._mother is None:
            self._let_mouse_go()
        if held is None or self._clicked:
            return
        here = self.editor.place.cursor(self.editor.viewer)
        if here[0] != held[0] and self._far(held, here):
            self._mark(here)

    def _far(self, one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> bool:
        """Whether the mouse was moved by more than half a radius."""
        place = self.editor.place
        points = place.to_points(np.stack([one, other]))
        apart = float(
            np.linalg.norm([points[1, i] - points[0, i] for i, a in enumerate(place.grid.axes) if a in "zyx"])
        )
        return apart > 0.5 * self.editor.default_radius_um() * place.um

    def _step(self) -> None:
        """Mark the nucleus at the mouse, and show the next frame."""
        editor = self.editor
        here = editor.place.cursor(editor.viewer)
        self._mark(here)
        frame = int(here[0]) + 1
        if frame < editor.place.shape_tzyx[0]:
            editor.place.show_frame(editor.viewer, frame)
        else:
            editor.said.emit(f"Frame {frame - 1} is the last one; press N to begin another track.", "info")

    def _mark(self, here: npt.NDArray[np.float64]) -> None:
        """The nucleus at the mouse continues the followed track; where there is none it is added."""
        editor = self.editor
        there = editor.under_cursor()
        if there is not None:
            self._continue(there)
            return
        if (
            editor.track is not None
            and (editor.document.nuclei.frames[editor.tracks.track == editor.track] == here[0]).any()
        ):
            editor.follow(None)  # this track has its nucleus here: another one begins
        new = editor.add(here)
        editor.follow(new)

    def _continue(self, there: int) -> None:
        """Follow a nucleus that is there; it is linked to the followed one where that was just before and goes nowhere else."""
        editor, current = self.editor, self.editor.current
        tracks, frames = editor.tracks, editor.document.nuclei.frames
        row = tracks.row(there)
        before = None if current is None else tracks.row(current)
        next_to = row is not None and before is not None and frames[row] - frames[before] == 1
        if next_to and tracks.mother[row] < 0 and tracks.n_daughters[before] == 0:
            editor.document.apply(AddLinks([(current, there)]))
        editor.follow(there)

    # ---- divide ----

    def divide(self) -> None:
        """D was pressed."""
        editor = self.editor
        if self._mother is not None:
            self._choose_daughter()
            return
        chosen = editor.selected()
        if len(chosen) == 3:
            ids, frames = self.actions.in_time(chosen)
            if frames[0] == frames[1]:
                raise AnlageError(
                    f"Two of the three nuclei are in the first frame ({frames[0]}); a division has one mother, before her daughters."
                )
            self.actions.divide(int(ids[0]), [int(i) for i in ids[1:]])
            return
        over = editor.under_cursor()
        mother = over if over is not None else int(chosen[0]) if len(chosen) == 1 else editor.current
        row = None if mother is None else editor.tracks.row(mother)
        if mother is None or row is None:
            raise AnlageError(
                "Point at the mother and press D, then click her two daughters in the next frame; or select mother and "
                "daughters (Shift+click) and press D."
            )
        frame = int(editor.document.nuclei.frames[row]) + 1
        if frame >= editor.place.shape_tzyx[0]:
            raise AnlageError(
                f"Nucleus {mother} is in the last frame, {frame - 1}; there is no frame for its daughters."
            )
        self._mother, self._daughters = mother, []
        editor.place.show_frame(editor.viewer, frame)
        self._take_mouse()
        editor.said.emit(f"Division of nucleus {mother}: click its first daughter (Esc ends this).", "info")

    def _choose_daughter(self) -> None:
        editor = self.editor
        assert self._mother is not None  # noqa: S101  only called with one
        there = editor.under_cursor()
        if there is None:
            there = editor.add(editor.place.cursor(editor.viewer), links=[])
        if there == self._mother or there in self._daughters:
            raise AnlageError("That nucleus is chosen already; click the other daughter, or press Esc.")
        self._daughters.append(there)
        if len(self._daughters) < 2:
            editor.said.emit(f"Division of nucleus {self._mother}: now the second daughter.", "info")
            return
        mother, daughters = self._mother, self._daughters
        self.leave()
        self.actions.divide(mother, daughters)
        editor.said.emit(f"Nucleus {mother} divides into {daughters[0]} and {daughters[1]}.", "good")

    def leave(self) -> None:
        """End what was begun, and follow no track."""
        begun = self._mother is not None
        self._mother, self._daughters, self._held = None, [], None
        self._let_mouse_go()
        self.editor.follow(None)
        if not begun:
            self.editor.said.emit("The next nucleus begins a track.", "info")

    # ---- the mouse ----

    def _take_mouse(self) -> None:
        """While clicks are for a gesture, napari's own tools rest."""
        layer = self.editor.show_nuclei()
        if self._mode is None:
            self._mode = str(layer.mode)
            layer.mode = "pan_zoom"

    def _let_mouse_go(self) -> None:
        if self._mode is not None and self.editor.nuclei is not None:
            self.editor.nuclei.layer.mode = self._mode
        self._mode = None

    def _on_press(self, viewer: Any, event: Any) -> Iterator[None]:
        if not self.waits or event.button != 1:
            return
        start, frame = np.array(event.pos, dtype=float), self.editor.place.frame(viewer)
        yield
        moved = 0.0
        while event.type == "mouse_move":
            moved = max(moved, float(np.linalg.norm(np.array(event.pos, dtype=float) - start)))
            yield
        if moved > _MOVED_PX or frame != self.editor.place.frame(viewer):
            return
        self._clicked = True
        self.editor.attempt(self._choose_daughter if self._mother is not None else self._step)
