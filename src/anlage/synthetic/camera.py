"""Render synthetic nuclei to pixels and labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from anlage.synthetic.nuclei import N_WAVES, Nucleus, new_fragment, new_speck
from anlage.synthetic.stage import Look, Stage, Vector

__all__ = ["paint", "render"]

_HAZE_WIDTH = 5.0
"""How many times wider light from out of focus is spread than what is in focus."""


def render(nuclei: Sequence[Nucleus], stage: Stage) -> npt.NDArray[np.uint16]:
    """One frame (c, z, y, x) as the camera sees it."""
    from scipy.ndimage import gaussian_filter

    optics, (Z, Y, X) = stage.optics, stage.shape_zyx
    fine = 1 if stage.flat else max(1, round(stage.spacing.z / 1.0))
    voxel = stage.spacing.um / (fine, 1, 1)
    origin = np.array([-(fine - 1) / 2 * voxel[0], 0.0, 0.0])
    scene = np.zeros((optics.n_channels, Z * fine, Y, X), dtype=np.float32)
    others = [new_fragment(stage) for _ in range(optics.n_fragments)]
    others += [new_speck(stage) for _ in range(optics.n_specks)]
    for nucleus in [*nuclei, *others]:
        window, body = _window(nucleus, scene.shape[1:], voxel, origin, stage)
        glow = _glow(nucleus, body, stage.look)
        for channel, light in enumerate(nucleus.light):
            part = scene[channel][window]
            np.maximum(part, np.float32(light) * glow, out=part)
    sigma = [
        0.0 if stage.flat else optics.psf_um_zyx[0] / voxel[0],
        *(s / v for s, v in zip(optics.psf_um_zyx[1:], voxel[1:], strict=True)),
    ]
    blurred = np.stack([gaussian_filter(channel, sigma, mode="nearest", truncate=3.0) for channel in scene])
    if optics.haze > 0:
        wide = [_HAZE_WIDTH * s for s in sigma]
        haze = np.stack([gaussian_filter(channel, wide, mode="nearest", truncate=2.0) for channel in scene])
        blurred = (1 - optics.haze) * blurred + optics.haze * haze
    planes = blurred.reshape(optics.n_channels, Z, fine, Y, X).mean(axis=2)
    return _expose(planes, stage)


def _window(
    nucleus: Nucleus, shape: Sequence[int], voxel: Vector, origin: Vector, stage: Stage
) -> tuple[tuple[slice, ...], npt.NDArray[np.float32]]:
    """The part of a grid that a nucleus can touch, and its body coordinates there (3, z, y, x)."""
    reach = 1.25 * nucleus.radius * max(1.0, float(nucleus.ratios.max()))
    low = np.clip(np.floor((nucleus.centre - reach - origin) / voxel), 0, shape).astype(int)
    high = np.clip(np.ceil((nucleus.centre + reach - origin) / voxel) + 1, 0, shape).astype(int)
    if stage.flat:
        low[0], high[0] = 0, 1
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    z, y, x = (
        np.arange(a, b) * v + o - c for a, b, v, o, c in zip(low, high, voxel, origin, nucleus.centre, strict=True)
    )
    if stage.flat:
        z = np.zeros(1)
    m = nucleus.to_body()[:, :, None, None, None]
    body = m[:, 0] * z[:, None, None] + m[:, 1] * y[:, None] + m[:, 2] * x
    return window, body.astype(np.float32)


def _glow(nucleus: Nucleus, body: npt.NDArray[np.float32], look: Look) -> npt.NDArray[np.float32]:
    """Light from a nucleus in its own coordinates: a soft edge and a chromatin texture."""
    distance = _depth(nucleus, body, look)
    waves = nucleus.waves.astype(np.float32) * np.array([look.fineness] * 3 + [1.0], dtype=np.float32)
    texture = np.asarray(
        sum(np.cos(k[0] * body[0] + k[1] * body[1] + k[2] * body[2] + k[3]) for k in waves) / math.sqrt(N_WAVES / 2)
    )
    edge = 1.0 / (1.0 + np.exp(np.clip(14.0 * (distance - 1.0), -30.0, 30.0)))
    if look.clumps > 0:
        chromatin = np.minimum(np.exp(look.clumps * texture - look.clumps**2 / 2), 6.0)
    else:
        chromatin = np.clip(1.0 + 0.22 * texture, 0.3, 2.0)
    if look.hollow > 0:
        chromatin = chromatin * (1.0 - look.hollow / (1.0 + np.exp(np.clip(20.0 * (distance - 0.75), -30.0, 30.0))))
    glow: npt.NDArray[np.float32] = (nucleus.brightness * edge * chromatin).astype(np.float32)
    return glow


def _depth(nucleus: Nucleus, body: npt.NDArray[np.float32], look: Look) -> npt.NDArray[np.float32]:
    """Distance from the centre over that of the surface in the same direction: 1 on the surface."""
    distance: npt.NDArray[np.float32] = np.sqrt((body**2).sum(axis=0))
    if look.dents == 0:
        return distance
    z, y, x = body / np.maximum(distance, 0.05)
    # half the frequency of the texture makes a bump or two on each side
    bumps = sum(np.cos(0.5 * (k[0] * z + k[1] * y + k[2] * x) + k[3]) for k in nucleus.waves.astype(np.float32))
    radius = 1.0 + np.clip(look.dents * np.asarray(bumps) / math.sqrt(N_WAVES / 2), -0.35, 0.2)
    return (distance / radius).astype(np.float32)


def _expose(planes: npt.NDArray[np.float32], stage: Stage) -> npt.NDArray[np.uint16]:
    """Light (c, z, y, x) → grey values: dimming with depth, photon noise, read noise."""
    from scipy.ndimage import gaussian_filter

    optics, rng = stage.optics, stage.rng
    depth_um = np.arange(stage.shape_zyx[0]) * stage.spacing.z
    dimming = np.exp(-depth_um / optics.dimming_um)[:, None, None]
    if optics.unevenness > 0:
        dimming = dimming * _illumination(stage)
    photons = (optics.photons * planes + optics.background * _tissue(stage)) * dimming
    grey = optics.offset + optics.gain * (rng.poisson(photons) + rng.normal(0.0, optics.read_noise, photons.shape))
    if optics.smoothing > 0:
        grey = gaussian_filter(grey, (0, 0, optics.smoothing, optics.smoothing), mode="nearest")
    pixels: npt.NDArray[np.uint16] = np.clip(np.rint(grey), 0, 65535).astype(np.uint16)
    return pixels


def _illumination(stage: Stage) -> npt.NDArray[np.float32]:
    """Light that reaches each place (1, y, x): smooth, the same in all planes, different in every frame."""
    from scipy.ndimage import zoom

    _, Y, X = stage.shape_zyx
    coarse = stage.rng.normal(size=(4, 4))
    smooth = zoom(coarse / coarse.std(), (Y / 4, X / 4), order=3, mode="nearest", grid_mode=True)
    light: npt.NDArray[np.float32] = np.exp(stage.optics.unevenness * smooth).astype(np.float32)
    return light[None, :Y, :X]


def _tissue(stage: Stage) -> npt.NDArray[np.float32]:
    """Where the embryo is (z, y, x), with a soft rim: what glows faintly between the nuclei."""
    half = stage.half_axes + 0.6 * stage.diameter_um
    z, y, x = (
        ((np.arange(n) * v - m) / h) ** 2
        for n, v, m, h in zip(stage.shape_zyx, stage.spacing.um, stage.middle, half, strict=True)
    )
    outside = np.sqrt(z[:, None, None] + y[:, None] + x)
    tissue: npt.NDArray[np.float32] = (1.0 / (1.0 + np.exp(np.clip(12.0 * (outside - 1.0), -30, 30)))).astype(
        np.float32
    )
    return tissue


def paint(nuclei: Sequence[Nucleus], stage: Stage) -> npt.NDArray[np.uint16]:
    """Labels (z, y, x): each voxel to the nucleus whose surface it lies deepest under."""
    labels = np.zeros(stage.shape_zyx, dtype=np.uint16)
    nearest = np.ones(stage.shape_zyx, dtype=np.float32)
    for nucleus in nuclei:
        window, body = _window(nucleus, stage.shape_zyx, stage.spacing.um, np.zeros(3), stage)
        distance = _depth(nucleus, body, stage.look)
        closer = distance < nearest[window]
        nearest[window][closer] = distance[closer]
        labels[window][closer] = nucleus.track
    return labels
