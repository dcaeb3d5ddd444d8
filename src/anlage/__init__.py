"""anlage: train networks that find, follow and time nuclei, from a few annotations.

The names in `__all__` are the public interface; the napari plugin uses nothing else. They load on first use, so
``import anlage`` costs nothing. A public name is a line in `_HOME`; `make docs` writes what type checkers read of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOME = {
    "AddLinks": "document",
    "AddNuclei": "document",
    "AddRegion": "document",
    "AnlageError": "errors",
    "Annotations": "annotations",
    "Box": "axes",
    "CLASSICAL": "inference.classical",
    "Card": "card",
    "Change": "document",
    "ChangeLinks": "document",
    "ChangeNuclei": "document",
    "ChangeRegion": "document",
    "Combine": "dataset.intensity",
    "Cuboid": "cuboid",
    "Curve": "training.progress",
    "DescribeNuclei": "document",
    "DenseMap": "prediction",
    "Device": "devices",
    "Document": "document",
    "Failure": "training.failure",
    "Edit": "document",
    "FAINTEST": "inference.region",
    "HUMAN": "annotations",
    "History": "document",
    "HistoryMove": "document",
    "MoveNuclei": "document",
    "Issue": "issues",
    "LabelReport": "objects.label_faults",
    "MeshSettings": "objects.meshes",
    "ObjectMesh": "objects.meshes",
    "ObjectTable": "objects.measure",
    "Optics": "synthetic",
    "KINDS": "tasks",
    "Kind": "tasks.task",
    "LabelMaps": "inference.maps",
    "LabelledPart": "inference.maps",
    "Paint": "document",
    "PaintedLabels": "document",
    "PredictEvent": "inference.events",
    "Prediction": "prediction",
    "PredictionParts": "inference.frame_store",
    "Project": "project",
    "ProjectSettings": "project",
    "FoundBy": "project",
    "ProjectMatch": "project",
    "fingerprint_of": "project",
    "free_project_folder": "project",
    "match_project": "project",
    "mouse_embryo": "samples",
    "SampleMovie": "samples",
    "note_recent": "project",
    "project_of_image": "project",
    "project_settings": "project",
    "recent_projects": "project",
    "Proposal": "inference.annotate_next",
    "Readiness": "tasks.readiness",
    "Region": "document",
    "RegionInputs": "document",
    "REVIEWED": "tracking.track_warning",
    "RemoveLinks": "document",
    "RemoveNuclei": "document",
    "RemoveRegion": "document",
    "Run": "training.run",
    "RunSummary": "training.summary",
    "STARTER": "inference.starter",
    "SetDivision": "document",
    "Several": "document",
    "Spacing": "axes",
    "State": "annotations",
    "Store": "dataset.store",
    "SyntheticMovie": "synthetic",
    "TASKS": "tasks",
    "TimeLapse": "timelapse",
    "StoppedError": "tracking.linear_program",
    "Tracking": "tracking.track",
    "TrackingReport": "tracking.report",
    "TrackingSettings": "tracking.settings",
    "TrackScores": "tracking.scores",
    "TrackWarning": "tracking.track_warning",
    "TrainingConfig": "training.config",
    "USUAL": "training.initial_model",
    "usual_steps": "training.initial_model",
    "Score": "scores",
    "Verdict": "verdict",
    "Use": "document",
    "build_store": "dataset.build",
    "class_sites": "dataset.classes",
    "class_values": "dataset.classes",
    "show_classes": "dataset.classes",
    "check_image": "inference.image_check",
    "doubt_image": "io.image_doubts",
    "doubt_reading": "io.image_doubts",
    "decide_around": "tracking.redecide",
    "detect_cuboid": "cuboid",
    "device_advice": "devices",
    "estimate_diameter": "blobs",
    "embryo": "synthetic",
    "error_interval": "tracking.spot_check",
    "examine_cuboid": "cuboid",
    "find_faults": "objects.label_faults",
    "find_devices": "devices",
    "find_warnings": "tracking.warnings",
    "labels_of": "inference.maps",
    "kind_of_model": "tasks",
    "least_sure": "inference.annotate_next",
    "load_model": "model",
    "mesh_objects": "objects.meshes",
    "object_points": "objects.meshes",
    "open_annotations": "io",
    "measure_objects": "objects.measure",
    "image_paths": "io",
    "open_image": "io",
    "open_label_image": "io",
    "open_maps": "inference.maps",
    "read_card": "model",
    "region_inputs": "document",
    "rescaled_links": "tracking.spot_check",
    "safe_links": "tracking.spot_check",
    "score_divisions": "inference.divisions",
    "command": "shell",
    "shell_line": "shell",
    "starter_path": "inference.starter",
    "resolve_locally": "tracking.resolve",
    "track": "tracking.track",
    "WorstObject": "evaluation.worst",
    "Writer": "io.seals",
    "worst_objects": "evaluation.worst",
    "worst_picture": "evaluation.worst_pictures",
    "headline_score": "scores",
    "printable": "foreign",
    "write_annotations": "io",
    "write_image": "io",
    "write_mesh": "io",
    "write_objects": "io",
    "write_points": "io",
    "write_tiff": "io",
    "write_track_scores": "tracking.scores",
    "Events": "signals.events",
    "Signals": "signals.signals",
    "read_track_scores": "tracking.scores",
    "open_signals": "io.signal_files.signals",
    "write_signals": "io.signal_files.signals",
    "read_events": "io.signal_files.event_tables",
    "write_events": "io.signal_files.event_tables",
    "EventReport": "evaluation.events",
    "is_event_table": "io.signal_files.event_tables",
    "HELD_OUT": "io.signal_files.held_out",
    "HeldOut": "io.signal_files.held_out",
    "aligned_mean": "evaluation.event_statistics",
    "average_event": "evaluation.average_event",
    "read_held_out": "io.signal_files.held_out",
    "evaluate_events": "evaluation.events",
    "event_rate": "evaluation.event_statistics",
    "precision_recall": "evaluation.events",
    "roc": "evaluation.events",
    "windows_around": "signals.event_proposals",
    "seen_window": "signals.windows",
    "filter_samples": "signals.traces",
    "hann_filtered": "signals.traces",
    "looks_upside_down": "signals.traces",
    "with_event_at": "inference.trace_events",
    "survival": "evaluation.event_statistics",
    "propose_by_slope": "signals.event_proposals",
    "propose_by_step": "signals.event_proposals",
    "propose_by_template": "signals.event_proposals",
}

__all__ = ["__version__", *sorted(_HOME)]

if TYPE_CHECKING:  # written by `make docs`
    from anlage.annotations import HUMAN as HUMAN
    from anlage.annotations import Annotations as Annotations
    from anlage.annotations import State as State
    from anlage.axes import Box as Box
    from anlage.axes import Spacing as Spacing
    from anlage.blobs import estimate_diameter as estimate_diameter
    from anlage.card import Card as Card
    from anlage.cuboid import Cuboid as Cuboid
    from anlage.cuboid import detect_cuboid as detect_cuboid
    from anlage.cuboid import examine_cuboid as examine_cuboid
    from anlage.dataset.build import build_store as build_store
    from anlage.dataset.classes import class_sites as class_sites
    from anlage.dataset.classes import class_values as class_values
    from anlage.dataset.classes import show_classes as show_classes
    from anlage.dataset.intensity import Combine as Combine
    from anlage.dataset.store import Store as Store
    from anlage.devices import Device as Device
    from anlage.devices import device_advice as device_advice
    from anlage.devices import find_devices as find_devices
    from anlage.document import AddLinks as AddLinks
    from anlage.document import AddNuclei as AddNuclei
    from anlage.document import AddRegion as AddRegion
    from anlage.document import Change as Change
    from anlage.document import ChangeLinks as ChangeLinks
    from anlage.document import ChangeNuclei as ChangeNuclei
    from anlage.document import ChangeRegion as ChangeRegion
    from anlage.document import DescribeNuclei as DescribeNuclei
    from anlage.document import Document as Document
    from anlage.document import Edit as Edit
    from anlage.document import History as History
    from anlage.document import HistoryMove as HistoryMove
    from anlage.document import MoveNuclei as MoveNuclei
    from anlage.document import Paint as Paint
    from anlage.document import PaintedLabels as PaintedLabels
    from anlage.document import Region as Region
    from anlage.document import RegionInputs as RegionInputs
    from anlage.document import RemoveLinks as RemoveLinks
    from anlage.document import RemoveNuclei as RemoveNuclei
    from anlage.document import RemoveRegion as RemoveRegion
    from anlage.document import SetDivision as SetDivision
    from anlage.document import Several as Several
    from anlage.document import Use as Use
    from anlage.document import region_inputs as region_inputs
    from anlage.errors import AnlageError as AnlageError
    from anlage.evaluation.average_event import average_event as average_event
    from anlage.evaluation.event_statistics import aligned_mean as aligned_mean
    from anlage.evaluation.event_statistics import event_rate as event_rate
    from anlage.evaluation.event_statistics import survival as survival
    from anlage.evaluation.events import EventReport as EventReport
    from anlage.evaluation.events import evaluate_events as evaluate_events
    from anlage.evaluation.events import precision_recall as precision_recall
    from anlage.evaluation.events import roc as roc
    from anlage.evaluation.worst import WorstObject as WorstObject
    from anlage.evaluation.worst import worst_objects as worst_objects
    from anlage.evaluation.worst_pictures import worst_picture as worst_picture
    from anlage.foreign import printable as printable
    from anlage.inference.annotate_next import Proposal as Proposal
    from anlage.inference.annotate_next import least_sure as least_sure
    from anlage.inference.classical import CLASSICAL as CLASSICAL
    from anlage.inference.divisions import score_divisions as score_divisions
    from anlage.inference.events import PredictEvent as PredictEvent
    from anlage.inference.frame_store import PredictionParts as PredictionParts
    from anlage.inference.image_check import check_image as check_image
    from anlage.inference.maps import LabelledPart as LabelledPart
    from anlage.inference.maps import LabelMaps as LabelMaps
    from anlage.inference.maps import labels_of as labels_of
    from anlage.inference.maps import open_maps as open_maps
    from anlage.inference.region import FAINTEST as FAINTEST
    from anlage.inference.starter import STARTER as STARTER
    from anlage.inference.starter import starter_path as starter_path
    from anlage.inference.trace_events import with_event_at as with_event_at
    from anlage.io import image_paths as image_paths
    from anlage.io import open_annotations as open_annotations
    from anlage.io import open_image as open_image
    from anlage.io import open_label_image as open_label_image
    from anlage.io import write_annotations as write_annotations
    from anlage.io import write_image as write_image
    from anlage.io import write_mesh as write_mesh
    from anlage.io import write_objects as write_objects
    from anlage.io import write_points as write_points
    from anlage.io import write_tiff as write_tiff
    from anlage.io.image_doubts import doubt_image as doubt_image
    from anlage.io.image_doubts import doubt_reading as doubt_reading
    from anlage.io.seals import Writer as Writer
    from anlage.io.signal_files.event_tables import is_event_table as is_event_table
    from anlage.io.signal_files.event_tables import read_events as read_events
    from anlage.io.signal_files.event_tables import write_events as write_events
    from anlage.io.signal_files.held_out import HELD_OUT as HELD_OUT
    from anlage.io.signal_files.held_out import HeldOut as HeldOut
    from anlage.io.signal_files.held_out import read_held_out as read_held_out
    from anlage.io.signal_files.signals import open_signals as open_signals
    from anlage.io.signal_files.signals import write_signals as write_signals
    from anlage.issues import Issue as Issue
    from anlage.model import load_model as load_model
    from anlage.model import read_card as read_card
    from anlage.objects.label_faults import LabelReport as LabelReport
    from anlage.objects.label_faults import find_faults as find_faults
    from anlage.objects.measure import ObjectTable as ObjectTable
    from anlage.objects.measure import measure_objects as measure_objects
    from anlage.objects.meshes import MeshSettings as MeshSettings
    from anlage.objects.meshes import ObjectMesh as ObjectMesh
    from anlage.objects.meshes import mesh_objects as mesh_objects
    from anlage.objects.meshes import object_points as object_points
    from anlage.prediction import DenseMap as DenseMap
    from anlage.prediction import Prediction as Prediction
    from anlage.project import FoundBy as FoundBy
    from anlage.project import Project as Project
    from anlage.project import ProjectMatch as ProjectMatch
    from anlage.project import ProjectSettings as ProjectSettings
    from anlage.project import fingerprint_of as fingerprint_of
    from anlage.project import free_project_folder as free_project_folder
    from anlage.project import match_project as match_project
    from anlage.project import note_recent as note_recent
    from anlage.project import project_of_image as project_of_image
    from anlage.project import project_settings as project_settings
    from anlage.project import recent_projects as recent_projects
    from anlage.samples import SampleMovie as SampleMovie
    from anlage.samples import mouse_embryo as mouse_embryo
    from anlage.scores import Score as Score
    from anlage.scores import headline_score as headline_score
    from anlage.shell import command as command
    from anlage.shell import shell_line as shell_line
    from anlage.signals.event_proposals import propose_by_slope as propose_by_slope
    from anlage.signals.event_proposals import propose_by_step as propose_by_step
    from anlage.signals.event_proposals import propose_by_template as propose_by_template
    from anlage.signals.event_proposals import windows_around as windows_around
    from anlage.signals.events import Events as Events
    from anlage.signals.signals import Signals as Signals
    from anlage.signals.traces import filter_samples as filter_samples
    from anlage.signals.traces import hann_filtered as hann_filtered
    from anlage.signals.traces import looks_upside_down as looks_upside_down
    from anlage.signals.windows import seen_window as seen_window
    from anlage.synthetic import Optics as Optics
    from anlage.synthetic import SyntheticMovie as SyntheticMovie
    from anlage.synthetic import embryo as embryo
    from anlage.tasks import KINDS as KINDS
    from anlage.tasks import TASKS as TASKS
    from anlage.tasks import kind_of_model as kind_of_model
    from anlage.tasks.readiness import Readiness as Readiness
    from anlage.tasks.task import Kind as Kind
    from anlage.timelapse import TimeLapse as TimeLapse
    from anlage.tracking.linear_program import StoppedError as StoppedError
    from anlage.tracking.redecide import decide_around as decide_around
    from anlage.tracking.report import TrackingReport as TrackingReport
    from anlage.tracking.resolve import resolve_locally as resolve_locally
    from anlage.tracking.scores import TrackScores as TrackScores
    from anlage.tracking.scores import read_track_scores as read_track_scores
    from anlage.tracking.scores import write_track_scores as write_track_scores
    from anlage.tracking.settings import TrackingSettings as TrackingSettings
    from anlage.tracking.spot_check import error_interval as error_interval
    from anlage.tracking.spot_check import rescaled_links as rescaled_links
    from anlage.tracking.spot_check import safe_links as safe_links
    from anlage.tracking.track import Tracking as Tracking
    from anlage.tracking.track import track as track
    from anlage.tracking.track_warning import REVIEWED as REVIEWED
    from anlage.tracking.track_warning import TrackWarning as TrackWarning
    from anlage.tracking.warnings import find_warnings as find_warnings
    from anlage.training.config import TrainingConfig as TrainingConfig
    from anlage.training.failure import Failure as Failure
    from anlage.training.initial_model import USUAL as USUAL
    from anlage.training.initial_model import usual_steps as usual_steps
    from anlage.training.progress import Curve as Curve
    from anlage.training.run import Run as Run
    from anlage.training.summary import RunSummary as RunSummary
    from anlage.verdict import Verdict as Verdict
else:

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module 'anlage' has no attribute '{name}'")
        return getattr(importlib.import_module(f"anlage.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
