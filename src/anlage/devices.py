"""The devices of this computer (CPU, CUDA, MPS) and their free memory, without importing torch.

The names are torch's: ``cuda:0`` is the first NVIDIA card in the order of ``nvidia-smi`` (the command line sees to it that
torch counts in the same order) among those that CUDA_VISIBLE_DEVICES leaves. Gigabytes are GiB.
"""

from __future__ import annotations

import math
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from anlage.installed import TORCH_WHEELS, Advice, install, torch_cuda, versions
from anlage.wording import plural

__all__ = ["Device", "Gpu", "cores", "device_advice", "find_devices", "find_gpus", "processor"]

GIB = 2**30
_MIB_PER_GIB = 1024
_ANSWER_S = 20.0
_GONE = {"Fermi", "Kepler"}
"""Architectures that no torch of today serves."""
_OLD = {"Maxwell", "Pascal", "Volta"}
"""Architectures that torch's builds for CUDA 13 no longer serve."""
_NEW = {"Blackwell"}
"""Architectures that torch's builds for CUDA 12.6 do not serve yet."""


@dataclass(frozen=True, slots=True)
class Device:
    """Something that trainings and predictions can run on here."""

    name: str
    """As ``--device`` takes it: cpu, cuda:0, mps."""
    title: str
    """As its maker calls it."""
    total_gb: float
    """Memory, GiB."""
    free_gb: float
    """Memory that nobody uses now, GiB."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """An NVIDIA card, as its driver describes it, whether torch can use it or not."""

    title: str
    uuid: str
    architecture: str
    """For example ``Ampere``; empty where the driver is too old to say."""
    total_gb: float
    free_gb: float
    cuda: str
    """Newest CUDA that the driver can run, for example ``12.4``; empty where it does not say."""


def find_devices() -> tuple[Device, ...]:
    """What the installed torch can compute on here, the one that is used first in front.

    The driver of an NVIDIA card is asked, which can take a second: a window asks from a thread.
    """
    built = torch_cuda()
    gpus = [] if built is None else _visible(find_gpus())
    found = [
        Device(f"cuda:{i}", gpu.title, gpu.total_gb, gpu.free_gb)
        for i, gpu in enumerate(gpus)
        if built is not None and _serves(built, gpu)
    ]
    found.sort(key=lambda device: -device.total_gb)
    cpu = processor()
    if sys.platform == "darwin" and platform.machine() == "arm64" and versions(["torch"]):
        found.append(Device("mps", "Apple GPU", cpu.total_gb, cpu.free_gb))
    return (*found, cpu)


def device_advice() -> Advice | None:
    """What would let torch use the NVIDIA card that is in this computer; None where nothing would, or it can already."""
    gpus, built = find_gpus(), torch_cuda()
    if not gpus or gpus[0].architecture in _GONE or (built and any(_serves(built, gpu) for gpu in gpus)):
        return None
    gpu = gpus[0]
    about = f"{gpu.title}, CUDA {gpu.cuda or 'unknown'}"
    build = "cu126" if gpu.architecture in _OLD or (_major(gpu.cuda) < 13 and gpu.architecture not in _NEW) else "cu130"
    if 0 < _major(gpu.cuda) < int(build[2:4]):
        what = (
            f"A newer driver for the NVIDIA card ({about}): install the newest one from https://www.nvidia.com/drivers, "
            "restart the computer, then run this command."
        )
    else:
        made = "" if built is None else f" is made for CUDA {built} and"
        what = f"A torch for the NVIDIA card ({about}): the installed one{made} computes on the CPU only, many times slower."
    return Advice(what, install(["torch"], "--force-reinstall", "--index-url", f"{TORCH_WHEELS}/{build}"), needed=False)


def find_gpus() -> tuple[Gpu, ...]:
    """The NVIDIA cards in this computer, in the order of ``nvidia-smi``; none where no driver answers."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        said = subprocess.run(
            [program, "-q", "-x"],
            capture_output=True,
            text=True,
            timeout=_ANSWER_S,
            check=False,
            creationflags=0x08000000 if os.name == "nt" else 0,  # no black window
        ).stdout
        root = ElementTree.fromstring(said)  # noqa: S314  the driver's own program
    except (OSError, subprocess.TimeoutExpired, ElementTree.ParseError):
        return ()
    return tuple(_gpu(one, root.findtext("cuda_version") or "") for one in root.iter("gpu"))


def processor() -> Device:
    """The processor, with the memory that this process may use."""
    import psutil

    memory = psutil.virtual_memory()
    total, free = float(memory.total), float(memory.available)
    allowed = _allowance()
    if allowed is not None:
        total, free = min(total, allowed[0]), min(free, allowed[1])
    n = cores()
    return Device("cpu", f"{_processor_title()}, {plural(n, 'core')}", total / GIB, free / GIB)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor_title() -> str:
    if sys.platform.startswith("linux"):
        try:
            named = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
        except OSError:
            named = None
        if named is not None:
            return named[1].strip()
    return platform.processor() or platform.machine() or "CPU"


def _allowance() -> tuple[float, float] | None:
    """Bytes of memory that a cluster or container allows this process's group, and those left of them; None: all."""
    groups = Path("/sys/fs/cgroup")
    try:
        lines = Path("/proc/self/cgroup").read_text("utf-8").splitlines()
        place = next(line.removeprefix("0::").strip("/") for line in lines if line.startswith("0::"))
    except (OSError, StopIteration):
        return None
    found: list[tuple[float, float]] = []
    folder = groups / place
    for group in (folder, *folder.parents):
        if group == groups.parent:
            break
        try:
            limit = int((group / "memory.max").read_text())
            used = int((group / "memory.current").read_text())
            stat = (group / "memory.stat").read_text()
        except (OSError, ValueError):  # no limit ("max") at this level
            continue
        # what was read from files and can be dropped at any time counts as used there, but is free
        dropped = re.search(r"^inactive_file (\d+)$", stat, re.MULTILINE)
        found.append((limit, max(0, limit - used + (int(dropped[1]) if dropped else 0))))
    return (min(limit for limit, _ in found), min(left for _, left in found)) if found else None


def _gpu(said: ElementTree.Element, cuda: str) -> Gpu:
    total, free = (_gib(said.findtext(f"fb_memory_usage/{which}")) for which in ("total", "free"))
    if not math.isfinite(total) or not math.isfinite(free):  # it has none of its own but shares the computer's
        shared = processor()
        total, free = shared.total_gb, shared.free_gb
    return Gpu(
        title=said.findtext("product_name") or "NVIDIA GPU",
        uuid=said.findtext("uuid") or "",
        architecture=(said.findtext("product_architecture") or "").replace("N/A", ""),
        total_gb=total,
        free_gb=free,
        cuda=cuda.replace("N/A", ""),
    )


def _gib(text: str | None) -> float:
    """``24564 MiB`` in GiB; NaN where it says nothing."""
    said = re.match(r"([\d.]+) MiB", text or "")
    return math.nan if said is None else float(said[1]) / _MIB_PER_GIB


def _visible(gpus: Sequence[Gpu]) -> list[Gpu]:
    """Those that CUDA_VISIBLE_DEVICES leaves, in its order; as CUDA does, up to the first that there is not."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return list(gpus)
    found: list[Gpu] = []
    for one in (part.strip() for part in chosen.split(",")):
        if one.isdecimal():
            named = list(gpus[int(one) :][:1])
        else:
            named = [gpu for gpu in gpus if one and gpu.uuid.startswith(one)]
        if len(named) != 1 or named[0] in found:
            break
        found += named
    return found


def _serves(built: str, gpu: Gpu) -> bool:
    """Whether a torch that was built for a CUDA version can use a card, as far as is known."""
    major = _major(built)
    if gpu.architecture in _GONE or 0 < _major(gpu.cuda) < major:
        return False
    if major >= 13:
        return gpu.architecture not in _OLD
    return gpu.architecture not in _NEW or _minor(built) >= 8


def _major(cuda: str) -> int:
    return int(cuda.partition(".")[0] or 0)


def _minor(cuda: str) -> int:
    return int(cuda.partition(".")[2].partition(".")[0] or 0)
