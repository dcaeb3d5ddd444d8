"""MONAI's BasicUNet, trained the plain way: a peer for the suite. Needs monai (see suite.py) and what the program itself needs.

Heat-map of Gaussian spots (0.15 nucleus diameters wide), binary cross-entropy within the annotated box, Adam at 1e-3, random crops
about three diameters wide, flips and quarter turns; then local maxima half a diameter apart, above the threshold that does best in
the annotated box. It is told the nucleus diameter, and sees the image on its own voxels, its percentiles 1 and 99.8 as 0 and 1.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import tifffile
import torch
from monai.networks.nets import BasicUNet
from scipy import ndimage
from torch.nn.functional import binary_cross_entropy_with_logits

from anlage.matching import MATCH_DIAMETERS, match

Image = npt.NDArray[np.float32]
"""(t, c, z, y, x)"""

SPOT = 0.15
PATCH = 3.0
APART = 0.5
STRIDE = 16
"""The network halves each axis four times."""
RATE = 1e-3
THRESHOLDS = np.arange(0.05, 0.95, 0.05)
TILE = 128
MARGIN = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    learn = commands.add_parser("train")
    for name in ("image", "nuclei", "weights"):
        learn.add_argument(name, type=Path)
    learn.add_argument("--box", type=int, nargs=8, required=True, help="frames, then low and high corner")
    learn.add_argument("--diameter-um", type=float, required=True)
    learn.add_argument("--spacing", type=float, nargs=3, required=True)
    learn.add_argument("--seconds", type=float, required=True)
    learn.add_argument("--seed", type=int, default=0)
    apply = commands.add_parser("predict")
    for name in ("weights", "image", "out"):
        apply.add_argument(name, type=Path)
    apply.add_argument("--spacing", type=float, nargs=3, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    (train if options.command == "train" else predict)(options)


def network(n_channels: int, *, flat: bool) -> BasicUNet:
    return BasicUNet(spatial_dims=2 if flat else 3, in_channels=n_channels, out_channels=1)


def opened(path: Path, *, flat: bool) -> Image:
    """Pixels (t, c, z, y, x), each channel's percentiles 1 and 99.8 at 0 and 1."""
    pixels = tifffile.imread(path).astype(np.float32)
    if flat:
        pixels = pixels[..., None, :, :]
    if pixels.ndim == 4:
        pixels = pixels[:, None]
    low, high = np.percentile(pixels, [1, 99.8], axis=(0, 2, 3, 4), keepdims=True)
    return ((pixels - low) / (high - low)).astype(np.float32)


def train(options: argparse.Namespace) -> None:
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    um = np.array(options.spacing)
    flat = is_flat(options.image, um)
    image = opened(options.image, flat=flat)
    t0, t1, *corners = options.box
    low, high = np.array(corners[:3]), np.array(corners[3:])
    nuclei = pd.read_csv(options.nuclei)[["t", "z", "y", "x"]].to_numpy(float)
    target, inside = np.zeros(image[:, 0].shape, np.float32), np.zeros(image[:, 0].shape, np.float32)
    inside[t0:t1, low[0] : high[0], low[1] : high[1], low[2] : high[2]] = 1
    for t in range(t0, t1):
        target[t] = spots(image.shape[2:], nuclei[nuclei[:, 0] == t, 1:], um, SPOT * options.diameter_um)
    model = network(image.shape[1], flat=flat)
    adam = torch.optim.Adam(model.parameters(), lr=RATE)
    step = 0
    while time.process_time() < 0.85 * options.seconds:
        t = int(rng.integers(t0, t1))
        here = crop(image.shape[2:], low, high, um, options.diameter_um, rng)
        x, y, w = (
            varied(a[t][(..., *here)], np.random.default_rng([options.seed, step])) for a in (image, target, inside)
        )
        logits = model(x[:, :, 0] if flat else x)
        loss = binary_cross_entropy_with_logits(logits.reshape(y.shape), y, w, reduction="sum") / w.sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        step += 1
    kept = {"weights": model.state_dict(), "flat": flat, "channels": image.shape[1], "diameter_um": options.diameter_um}
    kept["threshold"] = best_threshold(model, image, nuclei, options, flat=flat)
    print(f"{step} steps, threshold {kept['threshold']:.2f}")
    torch.save(kept, options.weights)


def is_flat(path: Path, um: npt.NDArray[np.float64]) -> bool:
    """Films of single planes are written without an axis z, with 1 µm for it."""
    with tifffile.TiffFile(path) as file:
        shape = file.series[0].shape
    return bool(um[0] == 1.0) and (len(shape) == 3 or shape[1] <= 4)


def spots(shape: tuple[int, ...], points: npt.NDArray[np.float64], um: npt.NDArray[np.float64], sigma: float) -> Image:
    """The highest of the nuclei's Gaussians in every voxel."""
    made = np.zeros(shape, np.float32)
    grid = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij", sparse=True)
    for point in points:
        squared = sum(((g - p) * u) ** 2 for g, p, u in zip(grid, point, um, strict=True))
        np.maximum(made, np.exp(-squared / (2 * sigma**2)), out=made, casting="unsafe")
    return made


def crop(
    shape: tuple[int, ...],
    low: npt.NDArray[np.intp],
    high: npt.NDArray[np.intp],
    um: npt.NDArray[np.float64],
    diameter_um: float,
    rng: np.random.Generator,
) -> tuple[slice, ...]:
    """A random crop that overlaps the box; its edges are multiples of the network's stride where the image allows."""
    size = np.maximum(1, np.round(PATCH * diameter_um / um / STRIDE)) * STRIDE
    size[1:] = size[1:].max()
    size = np.minimum(size, shape).astype(int)
    start = np.round(low + rng.random(3) * (high - low) - size / 2).astype(int)
    start = np.clip(start, 0, np.array(shape) - size)
    return tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))


def varied(part: Image, draw: np.random.Generator) -> torch.Tensor:
    """Padded, flipped and turned by quarters, as a batch of one; the same draws turn it the same way."""
    part = padded(part)
    for axis in (-3, -2, -1):
        if draw.random() < 0.5:
            part = np.flip(part, axis)
    if part.shape[-1] == part.shape[-2]:
        part = np.rot90(part, int(draw.integers(4)), (-2, -1))
    part = part if part.ndim == 4 else part[None]
    return torch.from_numpy(part.copy())[None]


def padded(part: Image) -> Image:
    """To multiples of the stride, by zeros, except along an axis of one."""
    more = [(0, -n % STRIDE if n > 1 else 0) for n in part.shape[-3:]]
    return np.pad(part, [*[(0, 0)] * (part.ndim - 3), *more])


def heat(model: BasicUNet, frame: Image, *, flat: bool) -> Image:
    """What the network says of a frame (c, z, y, x), by overlapping tiles in the plane."""
    model.eval()
    _, depth, height, width = frame.shape
    out = np.zeros((depth, height, width), np.float32)
    with torch.no_grad():
        for y in range(0, height, TILE):
            for x in range(0, width, TILE):
                a, b = max(0, y - MARGIN), max(0, x - MARGIN)
                part = frame[:, :, a : y + TILE + MARGIN, b : x + TILE + MARGIN]
                given = torch.from_numpy(padded(part))[None]
                said = torch.sigmoid(model(given[:, :, 0] if flat else given)).numpy()
                said = said.reshape(-1, *said.shape[-2:])[:depth, y - a :, x - b :][:, :TILE, :TILE]
                h, w = min(said.shape[1], height - y), min(said.shape[2], width - x)
                out[:, y : y + h, x : x + w] = said[:, :h, :w]
    return out


def peaks(
    map_zyx: Image, um: npt.NDArray[np.float64], diameter_um: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """Local maxima, half a diameter apart: places and heights."""
    reach = np.maximum(1, np.round(APART * diameter_um / um)).astype(int)
    reach[0] = 1 if map_zyx.shape[0] == 1 else reach[0]
    grid = np.meshgrid(*[np.arange(-r, r + 1) * u for r, u in zip(reach, um, strict=True)], indexing="ij", sparse=True)
    ball = sum(g**2 for g in grid) <= (APART * diameter_um) ** 2
    if map_zyx.shape[0] == 1:
        ball = ball[len(ball) // 2][None]
    top = (ndimage.maximum_filter(map_zyx, footprint=ball) == map_zyx) & (map_zyx > THRESHOLDS[0])
    at = np.argwhere(top)
    return at.astype(float), map_zyx[top]


def best_threshold(
    model: BasicUNet, image: Image, nuclei: npt.NDArray[np.float64], options: argparse.Namespace, *, flat: bool
) -> float:
    """The one with the best F1 in the annotated box."""
    um = np.array(options.spacing)
    t0, t1, *corners = options.box
    low, high = np.array(corners[:3]), np.array(corners[3:])
    right, told, n = np.zeros(len(THRESHOLDS)), np.zeros(len(THRESHOLDS)), 0
    for t in range(t0, t1):
        at, height = peaks(heat(model, image[t], flat=flat), um, options.diameter_um)
        here = ((at >= low) & (at < high)).all(axis=1)
        at, height = at[here], height[here]
        truth = nuclei[nuclei[:, 0] == t, 1:] * um
        n += len(truth)
        for i, threshold in enumerate(THRESHOLDS):
            chosen = at[height >= threshold] * um
            told[i] += len(chosen)
            right[i] += len(match(chosen, truth, MATCH_DIAMETERS * options.diameter_um)[0])
    return float(THRESHOLDS[int(np.argmax(2 * right / np.maximum(told + n, 1)))])


def predict(options: argparse.Namespace) -> None:
    kept = torch.load(options.weights, weights_only=True)
    model = network(kept["channels"], flat=kept["flat"])
    model.load_state_dict(kept["weights"])
    um = np.array(options.spacing)
    rows = []
    for t, frame in enumerate(opened(options.image, flat=kept["flat"])):
        at, height = peaks(heat(model, frame, flat=kept["flat"]), um, kept["diameter_um"])
        rows += [(t, *point) for point in at[height >= kept["threshold"]]]
    table = pd.DataFrame(rows, columns=["t", "z", "y", "x"])
    table.insert(0, "id", np.arange(1, len(table) + 1))
    table.to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
