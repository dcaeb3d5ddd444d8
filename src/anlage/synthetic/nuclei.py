"""Synthetic nuclei: how they look, move, divide and push each other away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from anlage.synthetic.stage import Stage, Vector

__all__ = ["N_WAVES", "Nucleus", "begin_divisions", "new_fragment", "new_nucleus", "new_speck", "next_frame", "relax"]

_BEFORE, _AFTER = {1: 0.75, 0: 0.45}, {0: 0.5, 1: 0.75}
"""How flat the chromosomes lie so many frames before the mother's last, and after the daughters' first."""
_VIVID_BEFORE, _VIVID_AFTER = {2: 0.9, 1: 0.65, 0: 0.33}, {0: 0.4, 1: 0.6, 2: 0.8}
_PROPHASE = 2
_SHRINK, _SHRUNK = {0: 0.8, 1: 0.62}, 0.55
"""Radius of a dying nucleus over its former one: in the first frames of its death, and from then on."""
_GLOW = 1.5
"""How a nucleus that shrinks grows brighter: its light over so many powers of its radius."""
_REMAINS = 6
"""Frames from the first of a death to the last in which anything of it is left."""
_STEP = 0.09
"""Typical displacement from frame to frame, in diameters."""
_FLOW = 0.02
"""Turning of the whole embryo about its axis, radians per frame."""
_TOUCH = 0.95
"""Centres are pushed apart when closer than this times the sum of their radii."""
N_WAVES = 6
"""Plane waves that make up a nucleus's texture."""


@dataclass(slots=True)
class Nucleus:
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
    vivid: bool = False
    """Whether its division looks as in a good microscope."""
    dead: int = -1
    """Frames since it began to die; −1: it lives."""

    @property
    def shrinkage(self) -> float:
        """Radius over that of its life: 1 while it lives."""
        return 1.0 if self.dead < 0 else _SHRINK.get(self.dead, _SHRUNK)

    @property
    def condensation(self) -> float:
        """1 in interphase; below, how flat the chromosomes lie across the division axis."""
        before, after = (_VIVID_BEFORE, _VIVID_AFTER) if self.vivid else (_BEFORE, _AFTER)
        return before.get(self.countdown, after.get(self.age, 1.0))

    @property
    def brightness(self) -> float:
        """Condensed chromosomes hold the same light in less space."""
        return float(1.0 / self.condensation**0.8 / self.shrinkage**_GLOW)

    def to_body(self) -> Vector:
        """(3, 3) matrix from µm around the centre to coordinates in which the surface is the unit sphere."""
        flat = self.condensation
        squash = np.eye(3) + (1.0 / flat - 1.0) * np.outer(self.axis, self.axis)
        matrix: Vector = (self.rotation / (self.ratios * self.radius * self.shrinkage)[:, None]) @ squash
        return matrix

    def true_radius(self, *, flat: bool) -> float:
        return float(self.radius * self.shrinkage * self.condensation ** (1 / 2 if flat else 1 / 3))


def new_nucleus(stage: Stage, track: int) -> Nucleus:
    """A nucleus in interphase, somewhere in the embryo."""
    rng = stage.rng
    point = stage.direction() * rng.random() ** (1 / 2 if stage.flat else 1 / 3)
    ratios = np.exp(rng.normal(0.0, stage.elongation, 3))
    if stage.flat:
        ratios[0] = 1.0
    waves = np.concatenate([rng.normal(0.0, 3.0, (N_WAVES, 3)), rng.uniform(0, 2 * np.pi, (N_WAVES, 1))], axis=1)
    marker = 1.0 if rng.random() < 0.5 else 0.1
    return Nucleus(
        track=track,
        centre=stage.middle + point * stage.half_axes,
        radius=stage.diameter_um / 2 * _size(stage),
        ratios=ratios / np.prod(ratios) ** (1 / 2 if stage.flat else 1 / 3),
        rotation=_turn(stage, rng.uniform(0, np.pi)),
        velocity=stage.direction() * _STEP * stage.diameter_um,
        light=np.array([1.0, marker][: stage.optics.n_channels])
        * float(np.exp(rng.normal(0.0, stage.optics.brightness_spread))),
        waves=waves,
        axis=stage.direction(),
        vivid=stage.vivid,
    )


def _size(stage: Stage) -> float:
    """Radius over the typical one."""
    spread = stage.look.size_spread
    return float(np.clip(stage.rng.normal(1.0, spread), 1 - 2.5 * spread, 1 + 2.5 * spread))


def new_fragment(stage: Stage) -> Nucleus:
    """Something bright and small that is no nucleus."""
    size, glow = stage.rng.uniform(0.4, 0.6), stage.rng.uniform(1.5, 3.0)
    shape = new_nucleus(stage, 0)
    return replace(shape, radius=size * shape.radius, light=glow * shape.light)


def new_speck(stage: Stage) -> Nucleus:
    """Something small that is no nucleus, of any size and brightness."""
    size, glow = math.exp(stage.rng.uniform(math.log(0.15), math.log(0.65))), math.exp(stage.rng.normal(0.2, 0.5))
    shape = new_nucleus(stage, 0)
    return replace(shape, radius=size * stage.diameter_um / 2, light=glow * shape.light)


def begin_divisions(nuclei: Sequence[Nucleus], stage: Stage) -> None:
    """Have some of the first frame's nuclei divide in one of the next frames, as many as the tissue's look says."""
    first = _PROPHASE if stage.vivid else 1
    for nucleus in nuclei:
        if stage.rng.random() < stage.look.dividing:
            nucleus.countdown = int(stage.rng.integers(first + 1))


def _turn(stage: Stage, angle: float) -> Vector:
    """Rotation by an angle about a random axis (the optical axis in 2D), by Rodrigues' formula."""
    k = np.array([1.0, 0.0, 0.0]) if stage.flat else stage.direction()
    cross = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    turned: Vector = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * (cross @ cross)
    return turned


def next_frame(nuclei: Sequence[Nucleus], stage: Stage) -> list[Nucleus]:
    """Everything one time step later."""
    following: list[Nucleus] = []
    last = max((n.track for n in nuclei), default=0)
    for nucleus in nuclei:
        if nucleus.dead >= _REMAINS:
            continue
        if nucleus.countdown == 0:
            following += [_daughter(nucleus, stage, last + 1, -1.0), _daughter(nucleus, stage, last + 2, 1.0)]
            last += 2
        else:
            following.append(_older(nucleus, stage))
    relax(following, stage, rounds=15)
    return following


def _older(nucleus: Nucleus, stage: Stage) -> Nucleus:
    rng = stage.rng
    if nucleus.dead >= 0:
        return replace(
            nucleus, centre=nucleus.centre + 0.3 * nucleus.velocity, dead=nucleus.dead + 1, age=nucleus.age + 1
        )
    countdown = max(nucleus.countdown - 1, -1)
    dies = False
    if countdown < 0 and nucleus.age > 5 and rng.random() < stage.division_rate:
        countdown = _PROPHASE if stage.vivid else 1
    elif countdown < 0 and nucleus.age > 5 and stage.death_rate > 0:
        dies = rng.random() < stage.death_rate
    velocity = 0.8 * nucleus.velocity + 0.6 * _STEP * stage.diameter_um * stage.direction()
    _, dy, dx = nucleus.centre - stage.middle
    flow = _FLOW * np.array([0.0, dx, -dy])
    return replace(
        nucleus, centre=nucleus.centre + velocity + flow, velocity=velocity, countdown=countdown, age=nucleus.age + 1,
        dead=0 if dies else -1,
        rotation=nucleus.rotation @ _turn(stage, 0.1 * rng.normal()),
        radius=nucleus.radius + 0.1 * max(0.0, stage.diameter_um / 2 - nucleus.radius),
    )  # fmt: skip


def _daughter(mother: Nucleus, stage: Stage, track: int, side: float) -> Nucleus:
    """Half of a division: apart along the mother's axis, a little smaller, with a texture of its own."""
    fresh = new_nucleus(stage, track)
    # drawn true to size, two balls of half the mother's volume lie just apart
    distance, size = (1.0, 0.5 ** (1 / 2 if stage.flat else 1 / 3)) if stage.vivid else (0.8, 0.85)
    shift = side * distance * mother.radius * mother.axis
    return replace(
        fresh, centre=mother.centre + shift, radius=size * mother.radius, light=mother.light, axis=mother.axis,
        velocity=0.5 * mother.velocity + 0.5 * _STEP * stage.diameter_um * side * mother.axis, age=0, mother=mother.track,
    )  # fmt: skip


def relax(nuclei: Sequence[Nucleus], stage: Stage, rounds: int) -> None:
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
