"""Show trainings and jobs in napari's own activity dock, beside those of other plugins."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from napari.utils import progress

from napari_anlage.session.session import Session

__all__ = ["Activity"]

_WHOLE = 100


class Activity:
    """A bar in napari's activity dock for each thing that is under way; one for all widgets of a viewer."""

    _known: ClassVar[WeakKeyDictionary[Session, Activity]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self._bars: dict[object, Any] = {}

    @classmethod
    def of(cls, session: Session) -> Activity:
        """The one of a viewer's session."""
        return cls._known.setdefault(session, cls())

    def show(self, under_way: Mapping[object, tuple[str, float | None]]) -> None:
        """Show these and no others: what each is, in words, and how much of it is done (None: unknown)."""
        for key in [key for key in self._bars if key not in under_way]:
            self._bars.pop(key).close()
        for key, (text, fraction) in under_way.items():
            bar = self._bars.get(key)
            if bar is None:
                # nothing is written to the terminal
                bar = self._bars[key] = progress(total=_WHOLE, desc=text, file=StringIO())
            elif bar.desc.removesuffix(": ") != text:
                bar.set_description(text)
            done = round(_WHOLE * (fraction or 0.0))
            if done > bar.n:
                bar.update(done - bar.n)

    def close(self) -> None:
        """Take all bars away."""
        self.show({})
