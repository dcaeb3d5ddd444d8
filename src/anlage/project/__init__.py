"""A project folder: one movie's annotation, its stores, runs and models."""

from anlage.project.project import Project
from anlage.project.settings import ProjectSettings
from anlage.project.summary import project_summary

__all__ = ["Project", "ProjectSettings", "project_summary"]
