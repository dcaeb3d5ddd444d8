"""The project folder of one movie: its annotation, stores, runs and models."""

from anlage.project.fingerprint import fingerprint_of
from anlage.project.project import Project
from anlage.project.recent import note_recent, recent_projects
from anlage.project.search import (
    FoundBy,
    ProjectMatch,
    free_project_folder,
    match_project,
    project_of_image,
    project_settings,
)
from anlage.project.settings import ProjectSettings
from anlage.project.summary import project_summary

__all__ = [
    "FoundBy",
    "Project",
    "ProjectMatch",
    "ProjectSettings",
    "fingerprint_of",
    "free_project_folder",
    "match_project",
    "note_recent",
    "project_of_image",
    "project_settings",
    "project_summary",
    "recent_projects",
]
