"""CPU time of one thread for the parts that decide how fast the program is, each beside another way of doing it, in the same run.

    python benchmarks/speed.py [--part network target links] [--rounds 5]
    ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/speed.py --part network      # as on a processor without AVX-512 and bfloat16

- `network`: the starter on a batch of one, as the program runs it, beside the same layers by PyTorch's own convolution, and the same
  without keeping freed memory; MONAI's BasicUNet as well, where monai is installed.
- `target`: what a network should say about a frame with many nuclei, beside the table of all cells by all nuclei.
- `links`: `anlage track` on points alone, whole command: seconds of CPU and memory for each nucleus.

Each row is the median of some rounds, in which the ways take turns.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.spatial import cKDTree

from anlage import load_model, starter_path
from anlage.cli import main as anlage_main
from anlage.inference.loading import network_of
from anlage.tasks.nuclei.centre_loss import centre_target

SHAPES = ((16, 64, 64), (32, 128, 128))
CELL = (0.22, 0.22, 0.22)
SIGMA = 0.16
MEASURED = """
import pathlib, sys, time
from anlage.cli import main
main(sys.argv[1:])
# not ru_maxrss, which begins with the memory of whoever started this
(peak,) = [line.split()[1] for line in pathlib.Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(f"{time.process_time():.1f} s of CPU, {int(peak) / 2**20:.2f} GB at most")
"""
NUCLEUS_UM = 8.0
"""Distance between touching nuclei of the made-up tissue."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nuclei", type=int, default=1000, help="in each frame, for 'links'")
    parser.add_argument("--frames", type=int, default=109, help="for 'links'")
    parser.add_argument("--default-memory", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for part in options.part:
        PARTS[part](options)


def network(options: argparse.Namespace) -> None:
    kept = not options.default_memory
    if kept:
        anlage_main(["--version"])  # which sets what the command line sets
    ways = networks() if kept else {"the starter": starter()}
    has_bfloat16 = torch.cpu.get_capabilities().get("avx512_bf16", False) and "ONEDNN_MAX_CPU_ISA" not in os.environ
    for precision in (torch.float32, torch.bfloat16) if has_bfloat16 else (torch.float32,):
        for shape in SHAPES:
            image = torch.randn(1, 1, *shape).contiguous(memory_format=torch.channels_last_3d)
            name = f"{' × '.join(map(str, shape))}, {str(precision).removeprefix('torch.')}"
            report(
                name + ("" if kept else ", memory given back"),
                {key: partial(run, way, image, precision) for key, way in ways.items()},
                options.rounds,
            )
    if kept:
        sys.stdout.flush()
        command = [sys.executable, __file__, "--part", "network", "--default-memory", "--rounds", str(options.rounds)]
        subprocess.run(command, check=True)


def networks() -> dict[str, torch.nn.Module]:
    """The starter, and what it is held against."""
    plain = starter()
    for layer in plain.modules():
        if isinstance(layer, torch.nn.Conv3d):
            layer.__class__ = torch.nn.Conv3d  # without our way round the slow convolution
    ways = {"the starter": starter(), "the same, PyTorch's convolution": plain}
    try:
        from monai.networks.nets import BasicUNet  # a peer that need not be installed
    except ImportError:
        print("monai is not installed: no BasicUNet")
    else:
        ways["BasicUNet"] = BasicUNet(spatial_dims=3, in_channels=1, out_channels=1).eval()
    return ways


def starter() -> torch.nn.Module:
    return network_of(load_model(starter_path()), "cpu")[0]


def run(way: torch.nn.Module, image: torch.Tensor, precision: torch.dtype) -> None:
    with torch.inference_mode(), torch.autocast("cpu", precision, enabled=precision != torch.float32):
        way(image)


def target(options: argparse.Namespace) -> None:
    rng = np.random.default_rng(0)
    for shape, n in (((16, 48, 48), 50), ((16, 48, 48), 1000), ((16, 128, 128), 500)):
        points = [torch.from_numpy(rng.uniform(0, 1, (n, 3)) * shape).float()]
        ways = {
            "centre_target": lambda points=points, shape=shape: centre_target(points, shape, CELL, SIGMA),
            "all cells by all nuclei": lambda points=points, shape=shape: by_table(points[0], shape),
        }
        report(f"{' × '.join(map(str, shape))} cells, {n} nuclei", ways, options.rounds)


def by_table(points: torch.Tensor, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    cell = torch.tensor(CELL)
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in shape), indexing="ij")
    cells = torch.stack(axes, dim=-1).reshape(-1, 3)
    distance = torch.cdist(cells * cell, points * cell, compute_mode="donot_use_mm_for_euclid_dist")
    best, nearest = distance.min(dim=1)
    return torch.exp(-best.square() / (2 * SIGMA**2)), points[nearest] - cells


def links(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table, out = Path(folder, "nuclei.csv"), Path(folder, "tracks.csv")
        n = tissue(table, options.nuclei, options.frames)
        command = ["track", "-", "-o", out, "--nuclei", table, "--spacing", "2,0.5,0.5"]
        print(f"{n} nuclei by their points alone:", flush=True)
        subprocess.run(
            [sys.executable, "-c", MEASURED, *command], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )


def tissue(path: Path, nuclei: int, frames: int) -> int:
    """Touching nuclei that drift, 1.5 µm a frame at most, as a table of voxels."""
    rng = np.random.default_rng(0)
    place = rng.random((nuclei, 3)) * nuclei ** (1 / 3) * 1.1 * NUCLEUS_UM
    for _ in range(30):
        pairs = cKDTree(place).query_pairs(NUCLEUS_UM, output_type="ndarray")
        gap = place[pairs[:, 0]] - place[pairs[:, 1]]
        length = np.linalg.norm(gap, axis=1, keepdims=True) + 1e-9
        push = gap / length * (NUCLEUS_UM - length) / 4
        np.add.at(place, pairs[:, 0], push)
        np.add.at(place, pairs[:, 1], -push)
    speed, rows = rng.normal(0, 0.5, place.shape), []
    for t in range(frames):
        rows.append(np.column_stack([np.full(nuclei, t), (place + rng.normal(0, 0.3, place.shape)) / (2, 0.5, 0.5)]))
        speed = 0.9 * speed + rng.normal(0, 0.3, speed.shape)
        place = place + 0.7 * speed
    every = pd.DataFrame(np.concatenate(rows), columns=["t", "z", "y", "x"]).astype({"t": int})
    every.insert(0, "id", np.arange(1, len(every) + 1))
    every.to_csv(path, index=False)
    return len(every)


def report(name: str, ways: dict[str, Callable[[], object]], rounds: int) -> None:
    """The median CPU time of each way, and how many times as long as the first."""
    times: dict[str, list[float]] = {key: [] for key in ways}
    for number in range(rounds + 1):
        for key, way in ways.items():
            began = time.process_time()
            way()
            if number:  # the first one warms up
                times[key].append(time.process_time() - began)
    medians = {key: float(np.median(values)) for key, values in times.items()}
    first = next(iter(medians.values()))
    print(
        f"{name}: " + "; ".join(f"{key} {1000 * t:.1f} ms ({t / first:.1f} ×)" for key, t in medians.items()),
        flush=True,
    )


PARTS = {"network": network, "target": target, "links": links}

if __name__ == "__main__":
    main()
