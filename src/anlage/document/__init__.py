"""The document: nuclei, painted labels and regions of a project, with undo, redo and a journal."""

from anlage.document.document import Document
from anlage.document.edit import Change, Edit
from anlage.document.edits import (
    AddLinks,
    AddNuclei,
    AddRegion,
    ChangeLinks,
    ChangeNuclei,
    ChangeRegion,
    DescribeNuclei,
    MoveNuclei,
    Paint,
    RemoveLinks,
    RemoveNuclei,
    RemoveRegion,
    SetDivision,
    Several,
)
from anlage.document.history import History, HistoryMove
from anlage.document.label_volume import PaintedLabels
from anlage.document.regions import Region, Use
from anlage.document.training_regions import RegionInputs, region_inputs

__all__ = [
    "AddLinks",
    "AddNuclei",
    "AddRegion",
    "Change",
    "ChangeLinks",
    "ChangeNuclei",
    "ChangeRegion",
    "DescribeNuclei",
    "Document",
    "Edit",
    "History",
    "HistoryMove",
    "MoveNuclei",
    "Paint",
    "PaintedLabels",
    "Region",
    "RegionInputs",
    "RemoveLinks",
    "RemoveNuclei",
    "RemoveRegion",
    "SetDivision",
    "Several",
    "Use",
    "region_inputs",
]
