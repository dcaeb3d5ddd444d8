"""The pages of the documentation, opened from where they help."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from pathlib import Path

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices

__all__ = ["open_page", "page_url"]


@cache
def page_url(page: str) -> str:
    """Where a page such as ``train`` is: in the checkout that runs, else on the project's site; empty: nowhere known."""
    here = Path(__file__).resolve().parents[3] / "docs" / f"{page}.md"
    if here.is_file():
        return here.as_uri()
    urls = dict(line.split(", ", 1) for line in metadata.metadata("anlage").get_all("Project-URL") or [])
    site = urls.get("Documentation", "")
    return f"{site.rstrip('/')}/{page}.html" if site else ""


def open_page(page: str) -> None:
    """Show a page in the user's browser or reader."""
    QDesktopServices.openUrl(QUrl(page_url(page)))
