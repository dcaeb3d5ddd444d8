"""Step 6, Review: track warnings, the worst first, one key for each fix, then a spot check of the rest."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from napari_anlage.lineage.colour_legend import ColourChoice
from napari_anlage.review.spot_check import SamplePanel
from napari_anlage.review.warning_panel import WarningPanel
from napari_anlage.session.session import Session
from napari_anlage.widgets.basic import Tab, heading

__all__ = ["ReviewTab"]


class ReviewTab(Tab):
    """Warnings and fixes, colours, bulk acceptance and its check."""

    title = "Review"

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.warnings = WarningPanel(session)
        self.colours = ColourChoice(session)
        self.sample = SamplePanel(session)
        self.warnings.verdict = lambda name: bool(self.sample.judge(name))
        self.add(heading("Warnings"), self.warnings, heading("Colours"), self.colours, self.sample)
        self.status = self.warnings.status

    def retire(self) -> None:
        """The dock is closed."""
        self.warnings.retire()
        self.colours.retire()
        self.sample.retire()
