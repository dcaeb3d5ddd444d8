"""Small embryos whose truth is known: for the demo, the tests and trying things out.

Nuclei are textured ellipsoids that touch, drift, turn and divide inside an ellipsoidal embryo. They are drawn finer
than the planes lie apart, blurred by an anisotropic point spread function, dimmed with depth and read out with photon
and read noise. The same seed gives the same movie.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.timelapse import TimeLapse

__all__ = ["Optics", "SyntheticMovie", "embryo", "pair"]

Vector = npt.NDArray[np.float64]

_DIVISION_RATE = 0.03
"""Chance per frame that a nucleus begins to divide."""
_STEP = 0.09
"""Typical displacement from frame to frame, in diameters."""
_FLOW = 0.02
"""Turning of the whole embryo about its axis, radians per frame."""
_TOUCH = 0.95
"""Centres are pushed apart when closer than this times the sum of their radii."""
_INTERVAL_S = 300.0
_WAVES = 6
"""Plane waves that make up a nucleus's texture."""


@dataclass(frozen=True, slots=True)
class Optics:
    """The imaginary microscope."""

    psf_um_zyx: tuple[float, float, float] = (1.2, 0.3, 0.3)
    """Standard deviation of the point spread function in µm."""
    photons: float = 60.0
    """Photons per voxel from the inside of a typical nucleus at the surface."""
    background: float = 3.0
    """Photons per voxel from the embryo between its nuclei."""
    read_noise: float = 1.5
    """Standard deviation of the camera's noise, in photons."""
    gain: float = 12.0
    """Grey values per photon."""
    offset: float = 100.0
    """Grey value of darkness."""
    dimming_um: float = 70.0
    """Depth (µm along z) over which the light falls to 1/e."""
    n_channels: int = 1
    """1: all nuclei; 2: beside them a marker that about half of the nuclei carry."""


@dataclass(frozen=True, slots=True)
class SyntheticMovie:
    """A rendered movie and what is in it.

    Parameters
    ----------
    image
        uint16 pixels (t, c, z, y, x) with spacing and interval.
    truth
        Every nucleus in every frame, with radius (of the ball, in 2D the disc, of equal size) and links.
    labels
        The same nuclei as painted labels (t, 1, z, y, x), uint16; a nucleus keeps its number until it divides.
    """

    image: TimeLapse
    truth: Annotations
    labels: TimeLapse

    @property
    def spacing(self) -> Spacing:
        assert self.image.spacing is not None  # noqa: S101 - both makers below set it
        return self.image.spacing

    @property
    def labelled_truth(self) -> Annotations:
        """The truth with its painted labels."""
        return replace(self.truth, labels=self.labels)


@dataclass(slots=True)
class _Nucleus:
    """One nucleus as it is now: µm, axes z, y, x."""

    track: int
    centre: Vector
    radius: float
    ratios: Vector
    """Semi-axes over the radius; their product is 1."""
    rotation: Vector
    """(3, 3) from the image's axes to the nucleus's own."""
    velocity: Vector
    light: Vector
    """Brightness in each channel, 1 = typical."""
    waves: Vector
    """(K, 4) texture: wave vectors in units of 1 / radius, and a phase."""
    axis: Vector
    """Direction in which it divides."""
    countdown: int = -1
    """Frames until it divides; −1: it does not (yet)."""
    age: int = 99
    """Frames since it was born."""
    mother: int = 0
    """Track of its mother; 0 where it was there from the start."""

    @property
    def condensation(self) -> float:
        """1 in interphase; below, how flat the chromosomes lie across the division axis."""
        return {1: 0.75, 0: 0.45}.get(self.countdown, {0: 0.5, 1: 0.75}.get(self.age, 1.0))

    @property
    def brightness(self) -> float:
        """Condensed chromosomes hold the same light in less space."""
        return float(1.0 / self.condensation**0.8)

    def to_body(self) -> Vector:
        """(3, 3) matrix from µm around the centre to coordinates in which the surface is the unit sphere."""
        flat = self.condensation
        squash = np.eye(3) + (1.0 / flat - 1.0) * np.outer(self.axis, self.axis)
        matrix: Vector = (self.rotation / (self.ratios * self.radius)[:, None]) @ squash
        return matrix

    def true_radius(self, *, flat: bool) -> float:
        return float(self.radius * self.condensation ** (1 / 2 if flat else 1 / 3))


@dataclass(frozen=True, slots=True)
class _Stage:
    """Where it all happens."""

    shape_zyx: tuple[int, int, int]
    spacing: Spacing
    optics: Optics
    diameter_um: float
    rng: np.random.Generator = field(repr=False)

    @property
    def flat(self) -> bool:
        return self.shape_zyx[0] == 1

    @property
    def middle(self) -> Vector:
        middle: Vector = (np.array(self.shape_zyx) - 1) / 2 * self.spacing.um
        return middle

    @property
    def half_axes(self) -> Vector:
        """Of the ellipsoid in which centres stay, µm."""
        room = np.array(self.shape_zyx) * self.spacing.um / 2 - 0.6 * self.diameter_um
        half: Vector = np.maximum(room, 0.25 * np.array(self.shape_zyx) * self.spacing.um)
        if self.flat:
            half[0] = 1.0
        return half

    def direction(self) -> Vector:
        """A random unit vector; in the plane where there is only one."""
        v = self.rng.normal(size=3)
        if self.flat:
            v[0] = 0.0
        unit: Vector = v / np.linalg.norm(v)
        return unit


def embryo(
    seed: int = 0,
    n_frames: int = 10,
    shape_zyx: tuple[int, int, int] = (24, 160, 160),
    *,
    spacing: Spacing = Spacing(2.0, 0.5, 0.5),  # noqa: B008 - immutable
    n_nuclei: int = 80,
    diameter_um: float = 8.0,
    optics: Optics = Optics(),
) -> SyntheticMovie:
    """Render a crowded embryo that moves and divides.

    Parameters
    ----------
    seed
        The same seed gives the same movie.
    n_frames
        Number of time points, five minutes apart.
    shape_zyx
        Voxels; Z = 1 gives a flat culture with discs for nuclei.
    spacing
        Voxel size in µm.
    n_nuclei
        Nuclei in the first frame; divisions add to them. At least one nucleus divides in movies of three frames or
        more.
    diameter_um
        Mean diameter of a nucleus in µm.
    optics
        Blur, light, noise and channels.

    Raises
    ------
    AnlageError
        If so many nuclei do not fit into the image.
    """
    stage = _Stage(shape_zyx, spacing, optics, diameter_um, np.random.default_rng(seed))
    _check_room(stage, n_nuclei)
    nuclei = [_new_nucleus(stage, track) for track in range(1, n_nuclei + 1)]
    _relax(nuclei, stage, rounds=120)
    if nuclei and n_frames >= 3:
        nuclei[0].countdown = n_frames // 2 - 1
    frames = [nuclei]
    for _ in range(n_frames - 1):
        frames.append(_next_frame(frames[-1], stage))
    return _develop(frames, stage, f"synthetic embryo, seed {seed}")


def pair(
    distance_diameters: float = 0.8,
    *,
    seed: int = 0,
    axis: str = "x",
    shape_zyx: tuple[int, int, int] = (20, 80, 80),
    spacing: Spacing = Spacing(2.0, 0.5, 0.5),  # noqa: B008 - immutable
    diameter_um: float = 8.0,
    optics: Optics = Optics(),
) -> SyntheticMovie:
    """Render two nuclei side by side in the middle of one frame.

    Closer than one diameter they are pressed flat against each other, keeping their volume, so that they touch
    without overlapping.

    Parameters
    ----------
    distance_diameters
        Distance of the centres, in diameters.
    seed
        The same seed gives the same picture.
    axis
        Direction from one to the other: ``z``, ``y`` or ``x``.
    shape_zyx, spacing, diameter_um, optics
        As for `embryo`.
    """
    stage = _Stage(shape_zyx, spacing, optics, diameter_um, np.random.default_rng(seed))
    along = np.array([float(letter == axis) for letter in "zyx"])
    if along.sum() != 1 or (stage.flat and axis == "z"):
        raise AnlageError(f"Two nuclei cannot be set apart along '{axis}' here; choose one of z, y, x (y, x in 2D).")
    press = min(1.0, distance_diameters)
    nuclei = []
    for track, side in ((1, -0.5), (2, 0.5)):
        nucleus = _new_nucleus(stage, track)
        nucleus.centre = stage.middle + side * distance_diameters * diameter_um * along
        nucleus.radius = diameter_um / 2
        nucleus.rotation = np.eye(3)
        nucleus.ratios = np.where(along == 1, press, press ** (-1.0 if stage.flat else -0.5))
        nuclei.append(nucleus)
    return _develop([nuclei], stage, f"two synthetic nuclei {distance_diameters:g} diameters apart")


def _check_room(stage: _Stage, n_nuclei: int) -> None:
    room = stage.half_axes[1:] if stage.flat else stage.half_axes
    filled = n_nuclei * (stage.diameter_um / 2) ** len(room) / float(np.prod(room + stage.diameter_um / 2))
    if filled > 0.6:
        raise AnlageError(
            f"{n_nuclei} nuclei of {stage.diameter_um:g} µm would fill {filled:.0%} of the embryo and cannot be packed; "
            "ask for fewer or smaller nuclei, or a larger image."
        )


def _new_nucleus(stage: _Stage, track: int) -> _Nucleus:
    rng = stage.rng
    point = stage.direction() * rng.random() ** (1 / 2 if stage.flat else 1 / 3)
    ratios = np.exp(rng.normal(0.0, 0.12, 3))
    if stage.flat:
        ratios[0] = 1.0
    waves = np.concatenate([rng.normal(0.0, 3.0, (_WAVES, 3)), rng.uniform(0, 2 * np.pi, (_WAVES, 1))], axis=1)
    marker = 1.0 if rng.random() < 0.5 else 0.1
    return _Nucleus(
        track=track,
        centre=stage.middle + point * stage.half_axes,
        radius=stage.diameter_um / 2 * float(np.clip(rng.normal(1.0, 0.06), 0.85, 1.15)),
        ratios=ratios / np.prod(ratios) ** (1 / 2 if stage.flat else 1 / 3),
        rotation=_turn(stage, rng.uniform(0, np.pi)),
        velocity=stage.direction() * _STEP * stage.diameter_um,
        light=np.array([1.0, marker][: stage.optics.n_channels]) * float(np.exp(rng.normal(0.0, 0.2))),
        waves=waves,
        axis=stage.direction(),
    )


def _turn(stage: _Stage, angle: float) -> Vector:
    """Rotation by an angle about a random axis (the optical axis in 2D), by Rodrigues' formula."""
    k = np.array([1.0, 0.0, 0.0]) if stage.flat else stage.direction()
    cross = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    turned: Vector = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * (cross @ cross)
    return turned


def _next_frame(nuclei: Sequence[_Nucleus], stage: _Stage) -> list[_Nucleus]:
    """Everything one time step later."""
    following: list[_Nucleus] = []
    last = max((n.track for n in nuclei), default=0)
    for nucleus in nuclei:
        if nucleus.countdown == 0:
            following += [_daughter(nucleus, stage, last + 1, -1.0), _daughter(nucleus, stage, last + 2, 1.0)]
            last += 2
        else:
            following.append(_older(nucleus, stage))
    _relax(following, stage, rounds=15)
    return following


def _older(nucleus: _Nucleus, stage: _Stage) -> _Nucleus:
    rng = stage.rng
    countdown = max(nucleus.countdown - 1, -1)
    if countdown < 0 and nucleus.age > 5 and rng.random() < _DIVISION_RATE:
        countdown = 1
    velocity = 0.8 * nucleus.velocity + 0.6 * _STEP * stage.diameter_um * stage.direction()
    _, dy, dx = nucleus.centre - stage.middle
    flow = _FLOW * np.array([0.0, dx, -dy])
    return replace(
        nucleus, centre=nucleus.centre + velocity + flow, velocity=velocity, countdown=countdown, age=nucleus.age + 1,
        rotation=nucleus.rotation @ _turn(stage, 0.1 * rng.normal()),
        radius=nucleus.radius + 0.1 * max(0.0, stage.diameter_um / 2 - nucleus.radius),
    )  # fmt: skip


def _daughter(mother: _Nucleus, stage: _Stage, track: int, side: float) -> _Nucleus:
    """Half of a division: apart along the mother's axis, a little smaller, with a texture of its own."""
    fresh = _new_nucleus(stage, track)
    shift = side * 0.8 * mother.radius * mother.axis
    return replace(
        fresh, centre=mother.centre + shift, radius=0.85 * mother.radius, light=mother.light, axis=mother.axis,
        velocity=0.5 * mother.velocity + 0.5 * _STEP * stage.diameter_um * side * mother.axis, age=0, mother=mother.track,
    )  # fmt: skip


def _relax(nuclei: Sequence[_Nucleus], stage: _Stage, rounds: int) -> None:
    """Push overlapping neighbours apart and strays back into the embryo; moves the nuclei in place."""
    from scipy.spatial import cKDTree

    if not nuclei:
        return
    centres = np.array([n.centre for n in nuclei])
    radii = np.array([n.radius for n in nuclei])
    moving = np.array([0.0, 1.0, 1.0]) if stage.flat else np.ones(3)
    for _ in range(rounds):
        i, j = cKDTree(centres).query_pairs(2 * _TOUCH * radii.max(), output_type="ndarray").T
        apart = centres[j] - centres[i]
        distance = np.maximum(np.linalg.norm(apart, axis=1), 1e-6)
        push = np.clip(_TOUCH * (radii[i] + radii[j]) - distance, 0.0, None) / 2
        shift = (push / distance)[:, None] * apart * moving
        np.add.at(centres, j, shift)
        np.subtract.at(centres, i, shift)
        outside = np.linalg.norm((centres - stage.middle) / stage.half_axes, axis=1, keepdims=True)
        centres = stage.middle + (centres - stage.middle) / np.maximum(outside, 1.0)
    for nucleus, centre in zip(nuclei, centres, strict=True):
        nucleus.centre = centre


def _develop(frames: Sequence[Sequence[_Nucleus]], stage: _Stage, source: str) -> SyntheticMovie:
    """Pictures, labels and the table of what is in them."""
    about = {"spacing": stage.spacing, "interval_s": _INTERVAL_S, "source": source}
    pixels = np.stack([_photograph(nuclei, stage) for nuclei in frames])
    labels = np.stack([_paint(nuclei, stage) for nuclei in frames])[:, None]
    everyone = [(t, nucleus) for t, nuclei in enumerate(frames) for nucleus in nuclei]
    positions = np.array([[t, *(n.centre / stage.spacing.um)] for t, n in everyone]).reshape(-1, 4)
    ids = {(t, n.track): row for row, (t, n) in enumerate(everyone, start=1)}
    earlier = [ids.get((t - 1, n.track)) or ids.get((t - 1, n.mother)) for t, n in everyone]
    links = [(before, row) for row, before in enumerate(earlier, start=1) if before is not None]
    truth = Annotations.of(
        positions,
        links=np.array(links, dtype=np.int64).reshape(-1, 2),
        radius_um=np.array([n.true_radius(flat=stage.flat) for _, n in everyone]),
        label=np.array([n.track for _, n in everyone], dtype=np.int64),
    )
    names = ("nuclei", "marker")[: stage.optics.n_channels]
    image = TimeLapse.of(pixels, "tczyx", channels=names, **about)
    return SyntheticMovie(image, truth, TimeLapse.of(labels, "tczyx", channels=("labels",), **about))


def _photograph(nuclei: Sequence[_Nucleus], stage: _Stage) -> npt.NDArray[np.uint16]:
    """One frame (c, z, y, x) as the camera sees it."""
    from scipy.ndimage import gaussian_filter

    optics, (Z, Y, X) = stage.optics, stage.shape_zyx
    fine = 1 if stage.flat else max(1, round(stage.spacing.z / 1.0))
    voxel = stage.spacing.um / (fine, 1, 1)
    origin = np.array([-(fine - 1) / 2 * voxel[0], 0.0, 0.0])
    scene = np.zeros((optics.n_channels, Z * fine, Y, X), dtype=np.float32)
    for nucleus in nuclei:
        window, body = _window(nucleus, scene.shape[1:], voxel, origin, stage)
        glow = _glow(nucleus, body)
        for channel, light in enumerate(nucleus.light):
            part = scene[channel][window]
            np.maximum(part, np.float32(light) * glow, out=part)
    sigma = [
        0.0 if stage.flat else optics.psf_um_zyx[0] / voxel[0],
        *(s / v for s, v in zip(optics.psf_um_zyx[1:], voxel[1:], strict=True)),
    ]
    blurred = np.stack([gaussian_filter(channel, sigma, mode="nearest", truncate=3.0) for channel in scene])
    planes = blurred.reshape(optics.n_channels, Z, fine, Y, X).mean(axis=2)
    return _expose(planes, stage)


def _window(
    nucleus: _Nucleus, shape: Sequence[int], voxel: Vector, origin: Vector, stage: _Stage
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


def _glow(nucleus: _Nucleus, body: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Light from a nucleus in its own coordinates: a soft edge and a chromatin texture."""
    distance = np.sqrt((body**2).sum(axis=0))
    waves = nucleus.waves.astype(np.float32)
    texture = sum(np.cos(k[0] * body[0] + k[1] * body[1] + k[2] * body[2] + k[3]) for k in waves) / math.sqrt(
        _WAVES / 2
    )
    edge = 1.0 / (1.0 + np.exp(np.clip(14.0 * (distance - 1.0), -30.0, 30.0)))
    glow: npt.NDArray[np.float32] = (
        nucleus.brightness * edge * np.clip(1.0 + 0.22 * np.asarray(texture), 0.3, 2.0)
    ).astype(np.float32)
    return glow


def _expose(planes: npt.NDArray[np.float32], stage: _Stage) -> npt.NDArray[np.uint16]:
    """Light (c, z, y, x) → grey values: dimming with depth, photon noise, read noise."""
    optics, rng = stage.optics, stage.rng
    depth_um = np.arange(stage.shape_zyx[0]) * stage.spacing.z
    dimming = np.exp(-depth_um / optics.dimming_um)[:, None, None]
    photons = (optics.photons * planes + optics.background * _tissue(stage)) * dimming
    grey = optics.offset + optics.gain * (rng.poisson(photons) + rng.normal(0.0, optics.read_noise, photons.shape))
    pixels: npt.NDArray[np.uint16] = np.clip(np.rint(grey), 0, 65535).astype(np.uint16)
    return pixels


def _tissue(stage: _Stage) -> npt.NDArray[np.float32]:
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


def _paint(nuclei: Sequence[_Nucleus], stage: _Stage) -> npt.NDArray[np.uint16]:
    """Labels (z, y, x): each voxel to the nucleus whose surface it lies deepest under."""
    labels = np.zeros(stage.shape_zyx, dtype=np.uint16)
    nearest = np.ones(stage.shape_zyx, dtype=np.float32)
    for nucleus in nuclei:
        window, body = _window(nucleus, stage.shape_zyx, stage.spacing.um, np.zeros(3), stage)
        distance = np.sqrt((body**2).sum(axis=0))
        closer = distance < nearest[window]
        nearest[window][closer] = distance[closer]
        labels[window][closer] = nucleus.track
    return labels
