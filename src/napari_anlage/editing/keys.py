"""The keyboard shortcuts of annotation in one table, for key bindings, the dock's help and the docs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from napari_anlage.editing.editor import Editor
from napari_anlage.editing.follow_and_divide import Gestures

__all__ = ["KEYS", "Bound", "Key"]

Action = Callable[[Gestures], Any]


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and what it does.

    Parameters
    ----------
    keys
        As napari writes them; all do the same.
    shown
        As people write them.
    does
        What happens, one sentence.
    press
        Called when it is pressed.
    release
        Called when it is released; None: nothing happens then.
    on_labels
        Whether it works on the layer of painted labels too, where napari has its own meanings for many keys.
    """

    keys: tuple[str, ...]
    shown: str
    does: str
    press: Action
    release: Action | None = None
    on_labels: bool = True


KEYS = (
    Key(("a",), "A", "Marks the nucleus under the mouse, links it to the followed track and shows the next frame. Hold it and click "
        "for one frame after the other, or hold it, move to where the nucleus went, and let go.",
        lambda g: g.grab(), lambda g: g.release()),
    Key(("n", "Escape"), "N or Esc", "Follows no track: the next nucleus begins one.", lambda g: g.leave(), on_labels=False),
    Key(("t",), "T", "Follows the track of the nucleus under the mouse: the next click continues it.", lambda g: g.actions.follow_meant()),
    Key(("d",), "D", "Sets a division: with mother and daughters selected at once; otherwise point at the mother, press it, and click "
        "her two daughters in the next frame.", lambda g: g.divide()),
    Key(("l",), "L", "Links the selected nuclei along time; one alone with that under the mouse.", lambda g: g.actions.link_meant(),
        on_labels=False),
    Key(("u",), "U", "Removes the links among the selected nuclei; all links of the one under the mouse.",
        lambda g: g.actions.unlink(g.actions.meant())),
    Key(("r",), "R", "Deletes the nucleus under the mouse, else the selected ones (these also with Delete).",
        lambda g: g.actions.remove(g.actions.meant())),
    Key(("q",), "Q", "Makes the nucleus under the mouse smaller, and those to come.", lambda g: g.actions.scale_radius(1 / 1.1)),
    Key(("w",), "W", "Makes the nucleus under the mouse larger, and those to come.", lambda g: g.actions.scale_radius(1.1)),
    Key(("g",), "G", "Goes to the last nucleus of the followed track.", lambda g: g.actions.go_to_current()),
    Key(("j",), "J", "Goes to the next problem of the list.", lambda g: g.editor.next_problem.emit()),
    Key(("m",), "M", "Paints with a label that no nucleus has.", lambda g: g.actions.new_label()),
    Key(("Control-c",), "Ctrl+C", "Copies the selected nuclei.", lambda g: g.actions.copy(), on_labels=False),
    Key(("Control-v",), "Ctrl+V", "Puts the copied nuclei into the frame that is shown.", lambda g: g.actions.paste(), on_labels=False),
    Key(("Control-z",), "Ctrl+Z", "Takes the last edit back, whatever it was: nuclei, paint, links, divisions, regions.",
        lambda g: g.actions.undo()),
    Key(("Control-Shift-z",), "Ctrl+Shift+Z", "Does again what was taken back.", lambda g: g.actions.redo()),
)  # fmt: skip
"""All keys, in the order in which they are listed."""


class Bound:
    """The keys bound on a viewer and on the layers of one editor, those that come later too."""

    def __init__(self, viewer: Any, editor: Editor) -> None:
        self._viewer, self._editor = viewer, editor
        self.gestures = Gestures(editor)
        self._bind(viewer, labels=False)
        for layer in editor.layers:
            self._bind_layer(layer)
        editor.layer_made.connect(self._bind_layer)

    def release(self) -> None:
        """Give the viewer's keys back."""
        self._editor.layer_made.disconnect(self._bind_layer)
        self.gestures.close()
        for key in KEYS:
            for name in key.keys:
                self._viewer.bind_key(name, None)

    def _bind_layer(self, layer: Any) -> None:
        labels = self._editor.labels
        self._bind(layer, labels=labels is not None and layer is labels.layer)

    def _bind(self, target: Any, *, labels: bool) -> None:
        for key in KEYS:
            if key.on_labels or not labels:
                for name in key.keys:
                    target.bind_key(name, self._held(key) if key.release else self._pressed(key), overwrite=True)

    def _pressed(self, key: Key) -> Callable[[Any], None]:
        def press(_: Any) -> None:
            self._editor.attempt(lambda: key.press(self.gestures))

        press.__doc__ = key.does
        return press

    def _held(self, key: Key) -> Callable[[Any], Iterator[None]]:
        def hold(_: Any) -> Iterator[None]:
            self._editor.attempt(lambda: key.press(self.gestures))
            yield
            release = key.release
            if release is not None:
                self._editor.attempt(lambda: release(self.gestures))

        hold.__doc__ = key.does
        return hold
