"""Settings of trainings: Celldetective's ``config_input.json``, and the YAML of PyTorch Connectomics (Anatomics)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import border, printable, read_json, shown
from anlage.io.foreign_projects.movie import ForeignSettings

__all__ = ["is_connectomics", "is_event_settings", "read_connectomics", "read_event_settings"]

_NM = 1e-3
_SOLVER = {
    "ITERATION_TOTAL": "steps",
    "BASE_LR": "learning_rate",
    "SAMPLES_PER_BATCH": "batch_size",
    "ITERATION_STEP": "accumulate",
}
_KEPT = {
    "SOLVER": {*_SOLVER},
    "MODEL": {"INPUT_SIZE", "TARGET_OPT"},
    "DATASET": {"IMAGE_NAME", "LABEL_NAME", "INPUT_PATH"},
}
_CLASSES = "9"
"""Their number of a target of several classes."""
_MOST_BYTES = 2**20


def is_event_settings(path: Path) -> bool:
    """Whether a file is Celldetective's description of what a network of events takes."""
    return path.is_file() and path.name == "config_input.json"


def read_event_settings(path: Path) -> ForeignSettings:
    """The signals, their scales and the event of a network of Celldetective.

    Raises
    ------
    AnlageError
        If it is no such file.
    """
    content = read_json(path, f"The settings '{path}'")
    names = content.get("channels") if isinstance(content, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise AnlageError(
            f"'{path}' names no channels (signals); is it the config_input.json of a network of Celldetective?"
        )
    settings = ["kind=once", f"signals={','.join(printable(name) for name in names)}"]
    lost = list[str]()
    label = content.get("label")
    if isinstance(label, str) and label.strip():
        settings.append(f"event={printable(label.strip())}")
    if content.get("normalize"):
        settings += _scales(content, len(names), lost)
    else:
        settings.append("normalise=none")
    if isinstance(length := content.get("model_signal_length"), int):
        lost.append(f"model_signal_length = {length} is not needed: networks here take tracks of any length.")
    return ForeignSettings("events", tuple(settings), lost=tuple(lost))


def _scales(content: Mapping[str, Any], n: int, lost: list[str]) -> list[str]:
    how, limits, clip = (content.get(f"normalization_{name}") for name in ("percentile", "values", "clip"))
    settings = []
    if isinstance(how, list) and len(how) == n:
        settings.append(f"normalise={','.join('percentile' if one else 'absolute' for one in how)}")
    if (
        isinstance(limits, list)
        and len(limits) == n
        and all(isinstance(pair, list) and len(pair) == 2 for pair in limits)
    ):
        settings.append(f"limits={limits}".replace(" ", ""))
    if isinstance(clip, list) and clip:
        settings.append(f"clip_signals={'true' if all(clip) else 'false'}")
        if any(clip) and not all(clip):
            lost.append("Some of the signals were clipped and some not; here all are, or none: none.")
    return settings


def is_connectomics(path: Path) -> bool:
    """Whether a file is a configuration of PyTorch Connectomics."""
    if not path.is_file() or path.suffix.lower() not in (".yaml", ".yml"):
        return False
    head = path.read_text("utf-8", errors="replace")[:100_000]
    return any(f"\n{word}:" in f"\n{head}" for word in ("MODEL", "SOLVER", "configType"))


def read_connectomics(path: Path) -> ForeignSettings:
    """Window, steps, rate, batch and head of a configuration, with the voxel size of the ``metadata.yaml`` beside it.

    Raises
    ------
    AnlageError
        If it is no YAML.
    """
    config = _yaml(path)
    beside = path.with_name("metadata.yaml")
    metadata = _yaml(beside) if beside.is_file() and beside != path else config
    model, solver, dataset = (
        part if isinstance(part := config.get(name), dict) else {} for name in ("MODEL", "SOLVER", "DATASET")
    )
    settings, notes = list[str](), list[str]()
    if (head := _head(model, metadata)) is not None:
        settings.append(f"head={head}")
    if (
        isinstance(size := model.get("INPUT_SIZE"), list)
        and len(size) in (2, 3)
        and all(isinstance(n, int) for n in size)
    ):
        settings.append(f"patch_voxels={','.join(map(str, [1] * (3 - len(size)) + size))}")
    settings += [f"{name}={solver[key]}" for key, name in _SOLVER.items() if isinstance(solver.get(key), int | float)]
    if "BASE_LR" in solver:
        notes.append(
            "The learning rate was one of SGD; here AdamW is used, whose own is 0.004: leave it out if the training does not learn."
        )
    if "ITERATION_TOTAL" in solver:
        notes.append("Networks here need far fewer steps; leave steps out, or say minutes=10.")
    scale = [metadata.get(f"{axis}_scale") for axis in "zyx"]
    known = [float(n) for n in scale if isinstance(n, int | float) and not isinstance(n, bool) and n > 0]
    spacing = Spacing(*(n * _NM for n in known)) if len(known) == 3 else None
    if spacing is not None:
        notes.append(f"The voxel size of {', '.join(f'{n:g}' for n in known)} nm (z, y, x) is {spacing}.")
    data = tuple(str(dataset[name]) for name in ("IMAGE_NAME", "LABEL_NAME") if isinstance(dataset.get(name), str))
    return ForeignSettings("nuclei", tuple(settings), spacing, data, tuple(notes), tuple(_lost(config)))


def _head(model: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
    targets = (
        [str(target) for target in model.get("TARGET_OPT", [])] if isinstance(model.get("TARGET_OPT"), list) else []
    )
    kind = str(metadata.get("configType", ""))
    if kind.startswith("Semantic") or (targets and (targets[0].startswith(_CLASSES) or targets == ["0"])):
        return "classes"
    return "instances" if kind.startswith("Instance") or targets else None


def _lost(config: Mapping[str, Any]) -> list[str]:
    """Everything else, by its name."""
    rest = []
    for section, content in config.items():
        if isinstance(content, dict):
            rest += [f"{section}.{name}" for name in content if name not in _KEPT.get(section, set())]
        elif section not in ("configType", "x_scale", "y_scale", "z_scale"):
            rest.append(str(section))
    return [f"Not taken over: {shown(', '.join(rest), 400)}."] if rest else []


def _yaml(path: Path) -> dict[str, Any]:
    import yaml  # only for these files

    if path.stat().st_size > _MOST_BYTES:
        raise AnlageError(
            f"'{path}' has {path.stat().st_size:,} bytes, too many for settings; give the configuration of a training."
        )
    with border(f"'{path}'", yaml.YAMLError):
        content = yaml.safe_load(path.read_text("utf-8"))
    if not isinstance(content, dict):
        raise AnlageError(f"'{path}' holds no settings; give the configuration of a training of PyTorch Connectomics.")
    return content
