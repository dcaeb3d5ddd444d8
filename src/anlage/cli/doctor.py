"""``doctor``: what this computer offers, what is missing and the command that mends it."""

from __future__ import annotations

import argparse
import contextlib
import ctypes.util
import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anlage
from anlage.cli.arguments import Parser

__all__ = ["FOR_THE_VIEWER", "QT", "Finding", "display", "examine", "install", "versions"]

NEEDED = (
    "numpy", "scipy", "scikit-image", "zarr", "torch", "pydantic", "geff", "safetensors", "tifffile", "h5py", "pandas",
    "matplotlib", "tqdm", "filelock", "psutil",
)  # fmt: skip
FOR_THE_VIEWER = ("napari", "magicgui", "npe2", "pyqtgraph", "qtpy", "superqt", "psygnal")
QT = ("PyQt6", "PySide6", "PyQt5", "PySide2")
_SYSTEM_PACKAGES = Path(__file__).with_name("system-packages.txt")
_WHEELS = "https://download.pytorch.org/whl"
_TOO_LITTLE_GB = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """Something missing."""

    what: str
    """What is missing and what cannot be done without it."""
    command: str
    """The command that mends it."""
    needed: bool
    """Whether nothing works without it."""


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
    found = versions((*NEEDED, *FOR_THE_VIEWER, *QT))
    devices, torch_problem = _devices()
    card = _nvidia()
    state: dict[str, Any] = {
        "anlage": anlage.__version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
        "cores": _cores(),
        **_room(),
        "packages": found,
        "devices": devices,
        "nvidia": card,
        "display": display(),
    }
    missing = [*_missing_packages(found), *_missing_viewer(found, has_display=bool(state["display"]))]
    missing += (
        _missing_gpu(card, devices)
        if torch_problem is None
        else [_broken_torch(torch_problem)]
        if "torch" in found
        else []
    )
    state["missing"] = [dataclasses.asdict(finding) for finding in missing]
    return state


def versions(packages: tuple[str, ...] = NEEDED) -> dict[str, str]:
    """Versions of the packages that are installed."""
    found = {}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def install(packages: Iterable[str], *more: str) -> str:
    """The command that installs packages, in the versions that anlage needs, for the interpreter that runs this."""
    ranges = _ranges()
    wanted = [f'"{package}{ranges.get(_plain(package), "")}"' for package in packages]
    return " ".join([_quoted(sys.executable), "-m pip install", *more, *wanted])


def _ranges() -> dict[str, str]:
    """Version ranges of anlage's own requirements, by plain name."""
    found = {}
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for line in importlib.metadata.requires("anlage") or ():
            match = re.match(r"([\w.-]+)(\[[^]]*\])?\s*([^;]*)", line)
            if match is not None and (match[3] or _plain(match[1]) not in found):
                found[_plain(match[1])] = match[3].strip()
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _quoted(path: str) -> str:
    return f'"{path}"' if " " in path else path


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _room() -> dict[str, float]:
    disk_gb = shutil.disk_usage(".").free / 2**30
    if importlib.util.find_spec("psutil") is None:
        return {"disk_free_gb": round(disk_gb, 1)}
    import psutil

    memory = psutil.virtual_memory()
    return {
        "memory_gb": round(memory.total / 2**30, 1),
        "memory_free_gb": round(memory.available / 2**30, 1),
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


def _nvidia() -> str | None:
    """What the driver says of the first NVIDIA card and the newest CUDA it can run; None without a card."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        shown = subprocess.run([program], capture_output=True, text=True, timeout=20, check=False).stdout
        names = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    name = re.search(r"GPU 0: (.+?) \(UUID", names)
    cuda = re.search(r"CUDA Version:\s*([\d.]+)", shown)
    return f"{name[1]}, CUDA {cuda[1] if cuda else 'unknown'}" if name else None


def display() -> str | None:
    """Where a window would appear; None where there is no screen."""
    if sys.platform != "linux":
        return sys.platform
    return os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")


def _missing_packages(found: dict[str, str]) -> list[Finding]:
    absent = [package for package in NEEDED if package not in found]
    if not absent:
        return []
    return [Finding(f"Packages that everything needs: {', '.join(absent)}.", install(absent), needed=True)]


def _missing_viewer(found: dict[str, str], *, has_display: bool) -> list[Finding]:
    absent = [package for package in FOR_THE_VIEWER if package not in found]
    missing = []
    if absent:
        what = f"Packages for working in napari: {', '.join(absent)}. The command line works without them."
        missing.append(Finding(what, install(absent), needed=False))
    if not any(binding in found for binding in QT):
        missing.append(Finding("A Qt binding, which napari needs to draw windows.", install(["PyQt6"]), needed=False))
    if has_display and sys.platform == "linux" and (lacking := _missing_libraries()):
        what = "System libraries that napari's windows need (names of Debian's and Ubuntu's packages)."
        missing.append(Finding(what, f"sudo apt-get install {' '.join(lacking)}", needed=False))
    return missing


def _missing_libraries() -> list[str]:
    """Packages of the list whose library is not there."""
    rows = [line.split() for line in _SYSTEM_PACKAGES.read_text("utf-8").splitlines() if not line.startswith("#")]
    return [
        names.split("|")[0] for names, library in rows if library != "-" and ctypes.util.find_library(library) is None
    ]


def _missing_gpu(card: str | None, devices: list[dict[str, Any]]) -> list[Finding]:
    """A card in the computer that torch cannot use."""
    if card is None or any(device["name"].startswith("cuda") for device in devices):
        return []
    version = re.search(r"CUDA (\d+)", card)
    wheels = "cu130" if version is not None and int(version[1]) >= 13 else "cu126"
    what = f"A torch for the NVIDIA card ({card}): the installed one computes on the CPU only, many times slower."
    return [Finding(what, install(["torch"], "--force-reinstall", "--index-url", f"{_WHEELS}/{wheels}"), needed=False)]


def _broken_torch(problem: str) -> Finding:
    what = f"torch is installed but does not load: {problem}."
    return Finding(what, install(["torch"], "--force-reinstall", "--index-url", f"{_WHEELS}/cpu"), needed=True)


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
