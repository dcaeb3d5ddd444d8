"""`SessionMember`: an object of a session that does not keep the session alive. Knows no Qt and no napari."""

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
