"""Which optional packages are installed, and the commands that install the others; nothing is imported for that."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from anlage.shell import shell_line

__all__ = ["TORCH_WHEELS", "Advice", "install", "torch_cuda", "versions"]

TORCH_WHEELS = "https://download.pytorch.org/whl"


@dataclass(frozen=True, slots=True)
class Advice:
    """Something that this computer lacks, and the command that fixes it."""

    what: str
    """What is missing and what cannot be done without it."""
    command: str
    """The command that fixes it."""
    needed: bool
    """Whether nothing works without it."""


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of those of the packages that are installed."""
    found = {}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def install(packages: Iterable[str], *more: str) -> str:
    """The command that installs packages, in the versions that anlage needs, for the interpreter that runs this."""
    ranges = _ranges()
    wanted = [f'"{package}{ranges.get(_plain(package), "")}"' for package in packages]
    return " ".join([shell_line([sys.executable]), "-m pip install", *more, *wanted])


def torch_cuda() -> str | None:
    """The CUDA version that the installed torch was built for, for example ``12.6``; None without torch or without CUDA.

    torch is not imported for that.
    """
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return None
    try:
        text = (Path(found.origin).parent / "version.py").read_text("utf-8")
    except OSError:
        return None
    built = re.search(r"^cuda\b[^=\n]*=\s*['\"]([\d.]+)['\"]", text, re.MULTILINE)
    return None if built is None else built[1]


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
