"""A volume of 1 Gvoxel outlined on a small machine: memory, time, and whether all is found: a table of docs/lab-book/outlines.md.

    python benchmarks/volume.py WORK [--planes 64 --edge 4096] [--steps 120] [--memory-gb 1.6] [--kill]
    python benchmarks/volume.py WORK --edge 1024 --one-piece

Nuclei of 12 µm at 1 × 0.25 × 0.25 µm are drawn into a field of 1024 × 1024 voxels, which is repeated to fill the volume, a zarr
on disk; a network learns from two small pieces of other fields, and `anlage predict` outlines the volume in a child, whose memory (all its processes together) is
looked at ten times a second. With --kill it is killed (SIGKILL) after half of its tiles and begun again, and no finished
tile may have been computed anew. With --one-piece the same volume is outlined once more in a single tile, and the two
results are compared object by object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
import zarr
from command import anlage
from scipy import ndimage

from anlage.axes import Spacing
from anlage.io.image_writing import zarr_about

SPACING = Spacing(1.0, 0.25, 0.25)
DIAMETER_UM = 12.0
PITCH_UM = 15.5
"""Nuclei stand in a grid so far apart, each moved at random: many touch."""
MOVED_UM = 2.5
UNEVEN = 0.08
"""Standard deviation of the semi-axes, as a logarithm."""
FIELD = 1024
BLOCK = (32, 512, 512)
MARGIN = (4, 8, 8)
BLUR = (0.6, 1.5, 1.5)
BACKGROUND, SIGNAL, READ_NOISE = 100.0, 300.0, 12.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--planes", type=int, default=64)
    parser.add_argument("--edge", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--memory-gb", type=float, default=1.6)
    parser.add_argument("--kill", action="store_true", help="kill the prediction in the middle, and begin it again")
    parser.add_argument("--one-piece", action="store_true", help="compare with the result of a single tile")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    model = trained(options.work, options.steps)
    shape = (options.planes, options.edge, options.edge)
    name = f"{options.planes}x{options.edge}"
    volume, truth, planted = drawn(options.work, options.planes, options.edge)
    found = options.work / f"found-{name}.zarr"
    told = predicted(model, volume, found, options.memory_gb, kill=options.kill)
    result = {
        "voxels": int(np.prod(shape)), "planted": planted, **told,
        "voxels per second": round(np.prod(shape) / told["seconds"]), **compared(truth, found),
    }  # fmt: skip
    if options.one_piece:
        whole = options.work / f"whole-{name}.zarr"
        result["one piece"] = predicted(model, volume, whole, 1000.0, kill=False)
        result["tiles against one piece"] = compared(whole, found)
    print(json.dumps(result, indent=1))
    (options.work / f"result-{name}.json").write_text(json.dumps(result, indent=1))


@dataclass(frozen=True)
class Scene:
    """Nuclei without end: any block of them can be drawn by itself."""

    seed: int
    shape: tuple[int, int, int]

    def block(self, box: tuple[tuple[int, int], ...]) -> tuple[np.ndarray, np.ndarray]:
        """Image (uint16) and labels (uint32) of a part of the volume."""
        low = [a - m for (a, _), m in zip(box, MARGIN, strict=True)]
        high = [b + m for (_, b), m in zip(box, MARGIN, strict=True)]
        labels, bright = self._painted(low, high)
        inner = tuple(slice(m, -m) for m in MARGIN)
        smooth = ndimage.gaussian_filter(bright, BLUR)[inner]
        rng = np.random.default_rng([self.seed, 2, *(a for a, _ in box)])
        light = BACKGROUND + SIGNAL * smooth
        noisy = light + np.sqrt(light + READ_NOISE**2) * rng.standard_normal(light.shape, dtype=np.float32)
        return noisy.clip(0, 65_535).astype(np.uint16), labels[inner]

    def _painted(self, low: list[int], high: list[int]) -> tuple[np.ndarray, np.ndarray]:
        shape = [b - a for a, b in zip(low, high, strict=True)]
        labels, bright = np.zeros(shape, np.uint32), np.zeros(shape, np.float32)
        nearest = np.full(shape, np.inf, np.float32)
        for number, centre, axes, light in self._nuclei(low, high):
            reach = axes.max() / SPACING.um
            first = np.maximum(np.floor(centre / SPACING.um - reach).astype(int), low) - low
            last = np.minimum(np.ceil(centre / SPACING.um + reach).astype(int) + 1, high) - low
            if np.any(last <= first):
                continue
            part = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
            at = [
                ((np.arange(a, b) + start) * um - c) / axis
                for a, b, start, um, c, axis in zip(first, last, low, SPACING.zyx, centre, axes, strict=True)
            ]
            gap = (at[0][:, None, None] ** 2 + at[1][:, None] ** 2 + at[2] ** 2).astype(np.float32)
            mine = (gap <= 1) & (gap < nearest[part])
            nearest[part][mine], labels[part][mine] = gap[mine], number
            bright[part][mine] = light * (1.1 - 0.3 * gap[mine])
        return labels, bright

    def _nuclei(self, low: list[int], high: list[int]) -> Iterator[tuple[int, np.ndarray, np.ndarray, float]]:
        """Number, centre (µm), semi-axes (µm) and brightness of all nuclei that may reach into a block."""
        extent = np.array(self.shape) * SPACING.um
        cells = np.maximum(1, np.floor(extent / PITCH_UM)).astype(int)
        reach = DIAMETER_UM + MOVED_UM
        first = np.maximum(0, np.floor((np.array(low) * SPACING.um - reach) / PITCH_UM)).astype(int)
        last = np.minimum(cells, np.ceil((np.array(high) * SPACING.um + reach) / PITCH_UM).astype(int))
        for cell in itertools.product(*(range(a, b) for a, b in zip(first, last, strict=True))):
            rng = np.random.default_rng([self.seed, 1, *cell])
            centre = (np.array(cell) + 0.5) * PITCH_UM + rng.uniform(-MOVED_UM, MOVED_UM, 3)
            axes = DIAMETER_UM / 2 * np.exp(rng.normal(0, UNEVEN, 3))
            yield 1 + int(np.ravel_multi_index(cell, cells)), centre, axes, float(rng.uniform(0.6, 1.2))


def drawn(work: Path, planes: int, edge: int) -> tuple[Path, Path, int]:
    """Volume, truth, and how many nuclei there are: a field that is drawn once and repeated, chunk by chunk."""
    field = min(FIELD, edge)
    volume, truth = (work / f"{what}-{planes}x{edge}.zarr" for what in ("volume", "truth"))
    counted = truth / "planted.json"
    if counted.exists():
        return volume, truth, int(json.loads(counted.read_text()))
    image = array(volume, (1, 1, planes, edge, edge), "tczyx", np.uint16)
    labels = array(truth, (planes, edge, edge), "zyx", np.uint32)
    if edge == field:
        scene, seen = Scene(1, (planes, edge, edge)), set[int]()
        for box in blocks((planes, edge, edge)):
            pixels, painted = scene.block(box)
            part = tuple(slice(a, b) for a, b in box)
            image[(0, 0, *part)], labels[part] = pixels, painted
            seen.update(np.unique(painted).tolist())
        n = len(seen - {0})
    else:
        small, small_truth, each = drawn(work, planes, field)
        n = each * (edge // field) ** 2
        for source, target in ((small / "0/c/0/0", volume / "0/c/0/0"), (small_truth / "0/c", truth / "0/c")):
            repeated(source, target, field // BLOCK[1], edge // BLOCK[1])
    counted.write_text(json.dumps(n))
    return volume, truth, n


def repeated(source: Path, target: Path, n_source: int, n_target: int) -> None:
    """Copy the chunks z/y/x of one array as often as they fit into a larger one."""
    for z in source.iterdir():
        for y, x in itertools.product(range(n_target), repeat=2):
            place = target / z.name / str(y) / str(x)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(z / str(y % n_source) / str(x % n_source), place)


def array(path: Path, shape: tuple[int, ...], axes: str, dtype: type) -> zarr.Array:
    group = zarr.open_group(path, mode="w", zarr_format=3)
    about = zarr_about(path.name, axes, SPACING, None, np.dtype(dtype), "labels" if dtype == np.uint32 else "image")
    group.attrs.update(about)
    chunks = (*(1 for _ in shape[:-3]), *(min(n, c) for n, c in zip(shape[-3:], BLOCK, strict=True)))
    return group.create_array("0", shape=shape, dtype=dtype, chunks=chunks, dimension_names=list(axes))


def blocks(shape: tuple[int, int, int]) -> Iterator[tuple[tuple[int, int], ...]]:
    """Boxes (low, high along z, y, x) that cover a volume."""
    spans = [[(a, min(n, a + c)) for a in range(0, n, c)] for n, c in zip(shape, BLOCK, strict=True)]
    yield from itertools.product(*spans)


def trained(work: Path, steps: int) -> Path:
    """A model of outlines that learnt from two small pieces of other volumes."""
    run = work / f"run-{steps}"
    if not list(run.glob("*.anlage")):
        stores = []
        for seed in (11, 12):
            shape = (40, 256, 256)
            pixels, painted = Scene(seed, shape).block(tuple((0, n) for n in shape))
            image, labels, store = (work / f"{seed}-{what}" for what in ("image.tif", "labels.tif", "store.zarr"))
            tifffile.imwrite(image, pixels)
            tifffile.imwrite(labels, painted.astype(np.uint16))
            box = "0:1," + ",".join(f"0:{n}" for n in shape)
            spacing = ",".join(f"{um:g}" for um in SPACING.zyx)
            anlage("build", image, labels, "-o", store, "--spacing", spacing, "--cuboid", box, "--overwrite")
            stores.append(store)
        anlage("train", "nuclei", *stores, "-o", run, "--set", "head=instances", "--set", f"steps={steps}")
    return run


def predicted(model: Path, volume: Path, out: Path, memory_gb: float, *, kill: bool) -> dict:
    """Run `anlage predict`, and look at its memory."""
    words = ["predict", model, volume, "-o", out, "--progress", "json", "--memory-gb", memory_gb]
    begun = time.monotonic()
    first = watched(words, kill_at=0.5 if kill else None)
    told: dict = {}
    if kill:
        folder = out.with_name(out.name + ".parts")
        before = {path.name: path.stat().st_mtime_ns for path in folder.glob("frame-*.npz")}
        second = watched(words, parts=(folder, before))
        told = {
            "tiles kept at the kill": len(before), "of those computed again": second["again"],
            "peak before the kill, GB": first["peak_gb"],
        }  # fmt: skip
        first = {**second, "peak_gb": max(first["peak_gb"], second["peak_gb"])}
    return {
        "tiles": first["tiles"], "objects": first["objects"], "peak GB": first["peak_gb"], "said": first["said"],
        "seconds": round(time.monotonic() - begun), **told,
    }  # fmt: skip


def watched(words: list[object], kill_at: float | None = None, parts: tuple[Path, dict] | None = None) -> dict:
    """A command of anlage with the largest memory that all its processes together had, in GB of 2³⁰ bytes."""
    command = [sys.executable, "-m", "anlage", *map(str, words)]
    log = Path(f"{words[4]}.log")
    with log.open("w") as file:
        child = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
    peak, again = 0, set[str]()
    while child.poll() is None:
        peak = max(peak, resident(child.pid))
        done, total = progress(log)
        if parts is not None:
            folder, before = parts
            for path in folder.glob("frame-*.npz"):
                if path.name in before and stamp(path) not in (None, before[path.name]):
                    again.add(path.name)
        if kill_at is not None and total and done >= kill_at * total:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            break
        time.sleep(0.1)
    said = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    if child.returncode and kill_at is None:
        sys.exit(f"{' '.join(command)}\n{log.read_text()}")
    notes = [event["text"] for event in said if event["kind"] == "note" and "memory" in event["text"]]
    return {
        "tiles": max((event.get("total", 0) for event in said), default=0), "said": notes[-1] if notes else "",
        "objects": said[-1].get("nuclei", 0), "peak_gb": round(peak / 2**30, 2), "again": len(again),
    }  # fmt: skip


def stamp(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def progress(log: Path) -> tuple[int, int]:
    """Tiles that are done, and all."""
    lines = [line for line in log.read_text().splitlines()[-3:] if line.startswith("{") and line.endswith("}")]
    last = json.loads(lines[-1]) if lines else {}
    return last.get("done", 0), last.get("total", 0)


def resident(pid: int) -> int:
    """Bytes of memory of a process and all that it started."""
    total, todo = 0, [pid]
    while todo:
        one = todo.pop()
        try:
            status = Path(f"/proc/{one}/status").read_text()
            todo += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
        except OSError:  # it has just ended
            continue
        for line in status.splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total


def compared(truth: Path, found: Path) -> dict:
    """Objects of two label images, matched where they overlap by at least half; block by block."""
    one, other = (zarr.open_group(path, mode="r")["0"] for path in (truth, found))
    shared: dict[tuple[int, int], int] = {}
    repeats = truth.name.startswith("truth")
    for box in blocks(one.shape[-3:]):
        part = tuple(slice(a, b) for a, b in box)
        a, b = (np.asarray(x[(0,) * (x.ndim - 3) + part]).astype(np.int64).ravel() for x in (one, other))
        if repeats:  # the field's numbers, in every repetition others
            a[a > 0] += 100_000 * (100 * (box[1][0] // FIELD) + box[2][0] // FIELD)
        seen = (a > 0) | (b > 0)
        pairs, counts = np.unique(a[seen] << 32 | b[seen], return_counts=True)
        for pair, n in zip(pairs.tolist(), counts.tolist(), strict=True):
            key = (pair >> 32, pair & 0xFFFFFFFF)
            shared[key] = shared.get(key, 0) + n
    sizes: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for pair, n in shared.items():
        for side, value in zip(sizes, pair, strict=True):
            side[value] = side.get(value, 0) + n
    overlaps = [
        n / (sizes[0][a] + sizes[1][b] - n) for (a, b), n in shared.items() if a and b
    ]  # fmt: skip
    n_true, n_found = (len(side) - (0 in side) for side in sizes)
    right = [value for value in overlaps if value >= 0.5]
    return {
        "first": n_true, "second": n_found, "matched": len(right), "AP50": round(len(right) / (n_true + n_found - len(right)), 4),
        "equal": sum(value == 1.0 for value in overlaps), "mean overlap of the matched": round(float(np.mean(right or [0])), 4),
    }  # fmt: skip


if __name__ == "__main__":
    main()
