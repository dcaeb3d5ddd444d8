"""The name of the window as writer of files. Knows no Qt and no napari."""

from __future__ import annotations

from anlage import Writer

__all__ = ["CONSENTED", "READ_BEFORE", "WINDOW"]

WINDOW = Writer()
"""Writes a file that nobody was asked about: only an earlier one of its own is replaced."""
CONSENTED = Writer(overwrite=True)
"""Writes a file of which Qt's dialogue asked whether it may be replaced."""
READ_BEFORE = CONSENTED
"""Writes a file whose content was read and goes on here."""
