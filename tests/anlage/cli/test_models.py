"""``anlage models``: what there is to predict with, and to train from."""

from __future__ import annotations

import shutil

from anlage import starter_path


def test_models_are_listed_with_how_good_they_are_and_what_to_type(tmp_path, command, monkeypatch):
    shelf, lab = tmp_path / "shelf", tmp_path / "lab"
    for folder, name in ((shelf, "mine"), (lab, "theirs")):
        folder.mkdir()
        shutil.copy(starter_path(flat=True), folder / f"{name}.anlage")
    (lab / "broken.anlage").write_text("no model")
    monkeypatch.setenv("ANLAGE_MODELS", str(shelf))
    code, out, err = command("models", lab)
    assert code == 0, err
    for text in ("starter-outlines-2d (outlines;", "mine (centres;", "theirs (centres;", "broken: "):
        assert text in out
    assert f"anlage predict {shelf / 'mine.anlage'} IMAGE -o found.csv" in out
    assert "anlage info starter-outlines" in out
    assert "F1 0." in out


def test_an_empty_model_folder_and_a_place_that_is_not_there_are_said(tmp_path, command, monkeypatch):
    monkeypatch.setenv("ANLAGE_MODELS", str(tmp_path / "none"))
    code, out, _ = command("models")
    assert code == 0
    assert f"{tmp_path / 'none'}: empty" in out
    code, _, err = command("models", tmp_path / "gone")
    assert code == 2
    assert "There is no model and no folder of models" in err
