"""Escape text for places where Qt guesses whether it is HTML, or takes nothing else. Knows no Qt and no napari."""

from __future__ import annotations

import html

from anlage import printable

__all__ = ["as_html", "plain"]

_APART = "\N{WORD JOINER}"
"""Takes no room, and keeps a letter from being read together with the next one."""


def plain(text: object) -> str:
    """The text for a place where Qt guesses what it is (tooltips, notifications, messages): it is never taken for HTML."""
    shown = str(text)
    for sign in "<&":  # what went through here before stays the same
        shown = shown.replace(f"{sign}{_APART}", sign)
    shown = str(printable(shown))
    for sign in "<&":
        shown = shown.replace(sign, f"{sign}{_APART}")
    return shown


def as_html(text: object) -> str:
    """The text for a place that takes HTML and nothing else, such as the titles and axes of plots."""
    return html.escape(printable(str(text)))
