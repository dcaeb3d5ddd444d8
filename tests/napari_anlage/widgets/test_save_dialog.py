"""What the dialogue's answer allows."""

from pathlib import Path

import pytest
from qtpy.QtWidgets import QFileDialog, QWidget

from anlage import AnlageError, Annotations, write_annotations
from napari_anlage.widgets.save_dialog import ask_where

NUCLEI = Annotations.of([[0, 1, 2, 3]])


@pytest.mark.parametrize(
    ("typed", "kind", "written", "consented"),
    [
        ("mine.csv", "Table (*.csv)", "mine.csv", True),
        ("mine", "Table (*.csv)", "mine.csv", False),
        ("mine", "Signals (*.csv *.npy)", "mine.csv", False),
        ("mine", "", "mine.ome.zarr", False),
    ],
)
def test_consent_holds_for_the_name_that_was_asked_about(
    qtbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, kind: str, written: str, consented: bool
) -> None:
    widget = QWidget()
    qtbot.addWidget(widget)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / typed), kind))
    chosen = ask_where(widget, "Save", "a.csv", "OME-Zarr (*.ome.zarr);;Table (*.csv)")
    assert chosen is not None
    path, by = chosen
    assert path == tmp_path / written
    if path.suffix != ".csv":
        return
    path.write_text("my own notes\n", encoding="utf-8")
    if consented:
        write_annotations(path, NUCLEI, by=by)
        assert "my own" not in path.read_text("utf-8")
    else:
        with pytest.raises(AnlageError, match="is not replaced"):
            write_annotations(path, NUCLEI, by=by)


def test_a_dialogue_that_was_closed_writes_nothing(qtbot, monkeypatch: pytest.MonkeyPatch) -> None:
    widget = QWidget()
    qtbot.addWidget(widget)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    assert ask_where(widget, "Save", "a.csv", "Table (*.csv)") is None
