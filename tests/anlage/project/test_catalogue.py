"""The catalogue of models."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from anlage import AnlageError, starter_path
from anlage.project.catalogue import listed_models, model_folder
from anlage.project.models import project_models


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder with one model."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    shutil.copy(starter_path(flat=True), folder / "mine.anlage")
    monkeypatch.setenv("ANLAGE_MODELS", str(folder))
    return folder


def test_the_users_own_models_are_offered_in_every_project_after_its_own(shelf, tmp_path) -> None:
    project = tmp_path / "movie.anlage"
    (project / "models").mkdir(parents=True)
    shutil.copy(starter_path(flat=True), project / "models" / "here.anlage")
    assert [path.stem for path in project_models(project)] == ["here", "mine"]
    assert model_folder() == shelf


def test_folders_files_and_lists_are_places_of_models(shelf, tmp_path) -> None:
    assert listed_models([shelf, shelf / "mine.anlage"]) == [shelf / "mine.anlage"]
    (tmp_path / "lab.txt").write_text("# ours\nshelf   # all of them\n\n")
    assert listed_models([tmp_path / "lab.txt"]) == [shelf / "mine.anlage"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gone.anlage", "There is no model"),
        ("other.txt", "names another list"),
        ("https://x.org/a.anlage", "nothing is fetched"),
    ],
)
def test_what_a_list_cannot_name_is_said(tmp_path, text: str, said: str) -> None:
    (tmp_path / "lab.txt").write_text(text)
    with pytest.raises(AnlageError, match=said):
        listed_models([tmp_path / "lab.txt"])
