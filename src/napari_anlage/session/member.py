"""What belongs to a session and does not keep it alive. Knows no Qt."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from anlage import AnlageError

if TYPE_CHECKING:
    from napari_anlage.session.session import Session

__all__ = ["SessionMember"]


class SessionMember:
    """Something of one session.

    Parameters
    ----------
    session
        What is shared about the viewer; it may go before this does.
    """

    def __init__(self, session: Session) -> None:
        self._session = weakref.ref(session)

    @property
    def session(self) -> Session:
        """The session. Raises AnlageError once the viewer is closed."""
        session = self._session()
        if session is None:
            raise AnlageError("The viewer is closed.")
        return session
