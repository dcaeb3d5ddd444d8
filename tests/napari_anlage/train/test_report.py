"""The report of a run: its pictures in a window."""

from __future__ import annotations

from pathlib import Path

import pytest
from qtpy.QtGui import QColor, QPixmap

from anlage import Run
from napari_anlage.session.session import Session
from napari_anlage.train.report import report_pictures
from napari_anlage.train.run_view import RunView
from napari_anlage.widgets.basic import StatusLine


@pytest.fixture
def view(qtbot, run: Run):
    from napari.components import ViewerModel

    made = RunView(Session.of(ViewerModel()), StatusLine())
    qtbot.addWidget(made)
    made.watch(run)
    yield made
    made.leave()


def draw(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        picture = QPixmap(50, 40)
        picture.fill(QColor("red"))
        picture.save(str(folder / name))


def test_the_pictures_of_a_run_are_shown_one_at_a_time(view, run: Run) -> None:
    assert not view.report.isEnabled()
    draw(run.path / "report", "roc.png", "curves.png", "confusion.png", "else.png")
    view.refresh()
    assert view.report.isEnabled()
    view.report.click()
    dialog = view.report_window
    titles = [dialog.kind.itemText(i) for i in range(dialog.kind.count())]
    assert titles == ["Confusion matrix", "ROC", "Curves"] == [title for title, _ in report_pictures(run)]
    dialog.kind.setCurrentIndex(1)
    shown = dialog.picture.pixmap()
    assert shown.width() / shown.height() == pytest.approx(50 / 40, abs=0.02)
    (run.path / "report" / "curves.png").write_bytes(b"no picture")
    dialog.kind.setCurrentIndex(2)
    assert dialog.picture.text() == "This picture cannot be read."
