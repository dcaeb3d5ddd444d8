"""``anlage doctor``: check the installation, devices and memory, and print the command that repairs what is missing."""

from __future__ import annotations

import argparse
import ctypes.util
import dataclasses
import importlib.util
import json
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

import anlage
from anlage.cli.arguments import Parser
from anlage.devices import Gpu, cores, device_advice, find_gpus, processor
from anlage.installed import TORCH_WHEELS, Advice, install, torch_cuda, versions

__all__ = ["FOR_THE_VIEWER", "NEEDED", "QT", "display", "examine"]

NEEDED = (
    "numpy", "scipy", "scikit-image", "zarr", "torch", "pydantic", "geff", "safetensors", "tifffile", "h5py", "pandas",
    "matplotlib", "tqdm", "filelock", "psutil",
)  # fmt: skip
FOR_THE_VIEWER = ("napari", "magicgui", "npe2", "pyqtgraph", "qtpy", "superqt", "psygnal")
FOR_TIFFS = ("imagecodecs",)
QT = ("PyQt6", "PySide6", "PyQt5", "PySide2")
_SYSTEM_PACKAGES = Path(__file__).with_name("system-packages.txt")
_TOO_LITTLE_GB = 2.0


def configure_doctor(parser: Parser) -> None:
    parser.explain("Run it when something does not work, and send its output along with a question.", "anlage doctor")
    parser.add_argument("--json", action="store_true", help="print everything as JSON, for other programs")


def run_doctor(options: argparse.Namespace) -> int:
    state = examine()
    if options.json:
        print(json.dumps(state, indent=2, ensure_ascii=False))
    else:
        print(_as_text(state))
    return 1 if any(finding["needed"] for finding in state["missing"]) else 0


def examine() -> dict[str, Any]:
    """Everything about this computer that matters here, ready for JSON."""
    found = versions((*NEEDED, *FOR_THE_VIEWER, *FOR_TIFFS, *QT))
    devices, torch_problem = _devices()
    gpus = find_gpus()
    state: dict[str, Any] = {
        "anlage": anlage.__version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
        "cores": cores(),
        **_room(),
        "packages": found,
        "devices": devices,
        "nvidia": f"{gpus[0].title}, CUDA {gpus[0].cuda or 'unknown'}" if gpus else None,
        "display": display(),
    }
    missing = [
        *_missing_packages(found),
        *_missing_codecs(found),
        *_missing_viewer(found, has_display=bool(state["display"])),
    ]
    missing += (
        _missing_gpu(gpus, devices)
        if torch_problem is None
        else [_broken_torch(torch_problem)]
        if "torch" in found
        else []
    )
    state["missing"] = [dataclasses.asdict(finding) for finding in missing]
    return state


def _room() -> dict[str, float]:
    disk_gb = shutil.disk_usage(".").free / 2**30
    if importlib.util.find_spec("psutil") is None:
        return {"disk_free_gb": round(disk_gb, 1)}
    memory = processor()
    return {
        "memory_gb": round(memory.total_gb, 1),
        "memory_free_gb": round(memory.free_gb, 1),
        "disk_free_gb": round(disk_gb, 1),
    }


def _devices() -> tuple[list[dict[str, Any]], str | None]:
    """What torch can compute on, and what is wrong with torch."""
    try:
        from anlage.networks.device import describe_devices, precision

        return [
            {
                "name": device.name, "title": device.title, "memory_gb": round(device.total_gb, 1),
                "memory_free_gb": round(device.free_gb, 1), "precision": str(precision(device.name)).removeprefix("torch."),
            }
            for device in describe_devices()
        ], None  # fmt: skip
    except (ImportError, OSError, RuntimeError) as error:  # a torch that is absent or does not fit its libraries
        return [], str(error).splitlines()[0] if str(error) else type(error).__name__


def display() -> str | None:
    """Where a window would appear; None where there is no screen."""
    if sys.platform != "linux":
        return sys.platform
    return os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")


def _missing_packages(found: dict[str, str]) -> list[Advice]:
    absent = [package for package in NEEDED if package not in found]
    if not absent:
        return []
    return [Advice(f"Packages that everything needs: {', '.join(absent)}.", install(absent), needed=True)]


def _missing_codecs(found: dict[str, str]) -> list[Advice]:
    absent = [package for package in FOR_TIFFS if package not in found]
    what = "The package that reads TIFFs compressed with LZW, JPEG and the like; others are read without it."
    return [Advice(what, install(absent), needed=False)] if absent else []


def _missing_viewer(found: dict[str, str], *, has_display: bool) -> list[Advice]:
    absent = [package for package in FOR_THE_VIEWER if package not in found]
    missing = []
    if absent:
        what = f"Packages for working in napari: {', '.join(absent)}. The command line works without them."
        missing.append(Advice(what, install(absent), needed=False))
    if not any(binding in found for binding in QT):
        missing.append(Advice("A Qt binding, which napari needs to draw windows.", install(["PyQt6"]), needed=False))
    if has_display and sys.platform == "linux" and (lacking := _missing_libraries()):
        what = "System libraries that napari's windows need (names of Debian's and Ubuntu's packages)."
        missing.append(Advice(what, f"sudo apt-get install {' '.join(lacking)}", needed=False))
    return missing


def _missing_libraries() -> list[str]:
    """Packages of the list whose library is not there."""
    rows = [line.split() for line in _SYSTEM_PACKAGES.read_text("utf-8").splitlines() if not line.startswith("#")]
    return [
        names.split("|")[0] for names, library in rows if library != "-" and ctypes.util.find_library(library) is None
    ]


def _missing_gpu(gpus: tuple[Gpu, ...], devices: list[dict[str, Any]]) -> list[Advice]:
    """What keeps torch from using a card that is in the computer."""
    if any(device["name"].startswith("cuda") for device in devices):
        return []
    advice = device_advice()
    if advice is not None:
        return [advice]
    if not gpus or torch_cuda() is None or "CUDA_VISIBLE_DEVICES" in os.environ:
        return []
    what = (
        f"torch is made for the NVIDIA card ({gpus[0].title}) but does not see it: its driver may have stopped. Restart "
        "the computer, then see whether the card answers."
    )
    return [Advice(what, "nvidia-smi", needed=False)]


def _broken_torch(problem: str) -> Advice:
    what = f"torch is installed but does not load: {problem}."
    return Advice(what, install(["torch"], "--force-reinstall", "--index-url", f"{TORCH_WHEELS}/cpu"), needed=True)


def _as_text(state: dict[str, Any]) -> str:
    lines = [
        f"anlage {state['anlage']}, Python {state['python']} ({state['executable']})",
        f"{state['system']}; {state['cores']} cores"
        + (f"; memory {state['memory_gb']} GB, {state['memory_free_gb']} GB free" if "memory_gb" in state else "")
        + f"; disk here {state['disk_free_gb']} GB free",
        "",
        "devices, the one that is used first:",
        *(
            f"  {d['name']:<8} {d['title']}, {d['memory_free_gb']} of {d['memory_gb']} GB free, {d['precision']}"
            for d in state["devices"]
        ),
        f"NVIDIA card: {state['nvidia'] or 'none found'}",
        f"screen: {state['display'] or 'none (napari cannot open here; all commands work)'}",
        "",
        "packages: " + ", ".join(f"{name} {version}" for name, version in state["packages"].items()),
        "",
    ]
    if state["disk_free_gb"] < _TOO_LITTLE_GB:
        lines.append("The disk is nearly full: trainings and predictions may not find room here.")
    if not state["missing"]:
        lines.append("Nothing is missing.")
    for finding in state["missing"]:
        lines += [
            f"{'Missing' if finding['needed'] else 'Could be better'}: {finding['what']}",
            f"  {finding['command']}",
        ]
    return "\n".join(lines)
