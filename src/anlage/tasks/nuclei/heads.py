"""The heads of the nuclei task, by the name that the setting ``head`` gives them. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterable

from anlage.tasks.nuclei.centres import CentresHead
from anlage.tasks.nuclei.classes import ClassesHead
from anlage.tasks.nuclei.head import Head
from anlage.tasks.nuclei.outlines import OutlinesHead

__all__ = ["HEADS", "finds_classes", "head_with_targets", "paints_labels"]

HEADS: dict[str, Head] = {one.name: one for one in (CentresHead(), OutlinesHead(), ClassesHead())}

_BY_TARGETS = {one.targets: one for one in HEADS.values()}


def head_with_targets(names: Iterable[str]) -> Head:
    """The head whose targets a batch holds; its images may be among them."""
    return _BY_TARGETS[frozenset(names) - {"image"}]


def paints_labels(head: str) -> bool:
    """Whether networks of this head give every voxel a label, of a nucleus or of a class; other tasks' networks do not."""
    found = HEADS.get(head)
    return found is not None and found.paints_labels


def finds_classes(head: str) -> bool:
    """Whether networks of this head give every voxel a class, and find no nuclei one by one."""
    found = HEADS.get(head)
    return found is not None and not found.finds_nuclei
