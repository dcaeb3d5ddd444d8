"""anlage: train networks that find, follow and time nuclei, from a few annotations.

The names in `__all__` are the public interface; the napari plugin uses nothing else. They load on first use, so
``import anlage`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

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
    "Cuboid": "cuboid",
    "Curve": "training.progress",
    "DescribeNuclei": "document",
    "DenseMap": "prediction",
    "Device": "devices",
    "Document": "document",
    "Doubt": "cuboid",
    "Failure": "training.failure",
    "Edit": "document",
    "FAINTEST": "inference.part",
    "Finding": "document",
    "HUMAN": "annotations",
    "MoveNuclei": "document",
    "LabelFault": "faults",
    "LabelReport": "faults",
    "MeshSettings": "meshes",
    "ObjectMesh": "meshes",
    "ObjectTable": "measure",
    "Optics": "synthetic",
    "Paint": "document",
    "PaintedLabels": "document",
    "PredictEvent": "inference.events",
    "Prediction": "prediction",
    "PredictionParts": "inference.parts",
    "Project": "project",
    "ProjectSettings": "project",
    "Proposal": "inference.least_sure",
    "Readiness": "tasks.readiness",
    "Region": "document",
    "RegionInputs": "document",
    "REVIEWED": "tracking.warnings",
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
    "StoppedError": "tracking.programme",
    "Tracking": "tracking.track",
    "TrackingReport": "tracking.report",
    "TrackingSettings": "tracking.settings",
    "TrackWarning": "tracking.warnings",
    "TrainingConfig": "training.config",
    "USUAL": "training.fitting",
    "Use": "document",
    "build_store": "dataset.build",
    "check_image": "inference.check",
    "decide_around": "tracking.neighbourhood",
    "detect_cuboid": "cuboid",
    "device_advice": "devices",
    "embryo": "synthetic",
    "error_interval": "tracking.sampling",
    "examine_cuboid": "cuboid",
    "find_faults": "faults",
    "find_devices": "devices",
    "find_warnings": "tracking.warnings",
    "least_sure": "inference.least_sure",
    "load_model": "model",
    "mesh_objects": "meshes",
    "object_points": "meshes",
    "open_annotations": "io",
    "measure_objects": "measure",
    "open_image": "io",
    "open_label_image": "io",
    "read_card": "model",
    "region_inputs": "document",
    "safe_links": "tracking.sampling",
    "score_divisions": "inference.divisions",
    "starter_path": "inference.starter",
    "resolve_locally": "tracking.local",
    "track": "tracking.track",
    "write_annotations": "io",
    "write_image": "io",
    "write_mesh": "io",
    "write_objects": "io",
    "write_points": "io",
    "write_tiff": "io",
    "Events": "events",
    "Signals": "signals",
    "open_signals": "io.signals",
    "write_signals": "io.signals",
    "read_events": "io.event_tables",
    "write_events": "io.event_tables",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'anlage' has no attribute '{name}'")
    return getattr(importlib.import_module(f"anlage.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
