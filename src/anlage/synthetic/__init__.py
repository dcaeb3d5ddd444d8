"""Synthetic embryos with known truth, for the demo, tests and first trials.

Nuclei are textured ellipsoids that touch, drift, turn, divide and die inside an ellipsoidal embryo. They are drawn finer
than the planes lie apart, blurred by an anisotropic point spread function, dimmed with depth and read out with photon
and read noise. The same seed gives the same movie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.synthetic.camera import paint, render
from anlage.synthetic.nuclei import Nucleus, begin_divisions, new_nucleus, next_frame, relax
from anlage.synthetic.stage import Look, Optics, Stage
from anlage.timelapse import TimeLapse

__all__ = ["Look", "Optics", "SyntheticMovie", "embryo", "pair"]

_INTERVAL_S = 300.0
_SPACING = Spacing(2.0, 0.5, 0.5)
_OPTICS = Optics()
_LOOK = Look()


@dataclass(frozen=True, slots=True)
class SyntheticMovie:
    """A rendered movie and what is in it.

    Parameters
    ----------
    image
        uint16 pixels (t, c, z, y, x) with spacing and interval.
    truth
        Every nucleus in every frame, with radius (of the ball, in 2D the disc, of equal size) and links.
    tracks
        (N,) number of each nucleus, the same in every frame until it divides.
    labels
        The same nuclei as painted labels (t, 1, z, y, x), uint16: the number in `tracks`.
    """

    image: TimeLapse
    truth: Annotations
    tracks: npt.NDArray[np.int64]
    labels: TimeLapse
    deaths: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """(D,) id in `truth` of each nucleus that begins to die, in the frame in which it does."""

    @property
    def divisions(self) -> npt.NDArray[np.int64]:
        """(D,) id in `truth` of each mother, in her last frame."""
        mothers, daughters = np.unique(self.truth.links[:, 0], return_counts=True)
        return mothers[daughters > 1]

    @property
    def spacing(self) -> Spacing:
        assert self.image.spacing is not None  # noqa: S101 - both makers below set it
        return self.image.spacing

    @property
    def labelled_truth(self) -> Annotations:
        """The truth with its painted labels."""
        return replace(self.truth, label=self.tracks, labels=self.labels)


def embryo(  # noqa: PLR0913 - what an embryo is
    seed: int = 0,
    n_frames: int = 10,
    shape_zyx: tuple[int, int, int] = (24, 160, 160),
    *,
    spacing: Spacing = _SPACING,
    n_nuclei: int = 80,
    diameter_um: float = 8.0,
    elongation: float = 0.12,
    optics: Optics = _OPTICS,
    division_rate: float = 0.03,
    death_rate: float = 0.0,
    vivid: bool = False,
    look: Look = _LOOK,
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
    elongation
        How far nuclei are from round: the standard deviation of their semi-axes, as a logarithm.
    optics
        Blur, light, noise and channels.
    division_rate
        Chance per frame that a nucleus begins to divide; one that did waits six frames.
    death_rate
        Chance per frame that a nucleus begins to die: over two frames it shrinks to a little more than half its diameter and
        grows brighter, hardly moves any more, and is gone six frames after the first.
    vivid
        Divisions as a good microscope shows them: chromosomes condense over two frames into a bright plate a third as thick
        as the nucleus, and two daughters of half its size, condensed too, move apart and swell over three frames.
    look
        Chromatin, surface and spread of sizes; and how far the tissue reaches beyond the image: the truth then holds
        nuclei whose centre lies outside.

    Raises
    ------
    AnlageError
        If so many nuclei do not fit into the image.
    """
    stage = Stage(
        shape_zyx,
        spacing,
        optics,
        diameter_um,
        np.random.default_rng(seed),
        elongation,
        division_rate,
        death_rate,
        vivid,
        look,
    )
    stage.check_room(n_nuclei)
    nuclei = [new_nucleus(stage, track) for track in range(1, n_nuclei + 1)]
    relax(nuclei, stage, rounds=120)
    if nuclei and n_frames >= 3:
        nuclei[0].countdown = n_frames // 2 - 1
    if look.dividing > 0:
        begin_divisions(nuclei, stage)
    frames = [nuclei]
    for _ in range(n_frames - 1):
        frames.append(next_frame(frames[-1], stage))
    return _develop(frames, stage, f"synthetic embryo, seed {seed}")


def pair(
    distance_diameters: float = 0.8,
    *,
    seed: int = 0,
    axis: str = "x",
    shape_zyx: tuple[int, int, int] = (20, 80, 80),
    spacing: Spacing = _SPACING,
    diameter_um: float = 8.0,
    optics: Optics = _OPTICS,
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
    stage = Stage(shape_zyx, spacing, optics, diameter_um, np.random.default_rng(seed))
    along = np.array([float(letter == axis) for letter in "zyx"])
    if along.sum() != 1 or (stage.flat and axis == "z"):
        raise AnlageError(f"Two nuclei cannot be set apart along '{axis}' here; choose one of z, y, x (y, x in 2D).")
    press = min(1.0, distance_diameters)
    nuclei = []
    for track, side in ((1, -0.5), (2, 0.5)):
        nucleus = new_nucleus(stage, track)
        nucleus.centre = stage.middle + side * distance_diameters * diameter_um * along
        nucleus.radius = diameter_um / 2
        nucleus.rotation = np.eye(3)
        nucleus.ratios = np.where(along == 1, press, press ** (-1.0 if stage.flat else -0.5))
        nuclei.append(nucleus)
    return _develop([nuclei], stage, f"two synthetic nuclei {distance_diameters:g} diameters apart")


def _develop(frames: Sequence[Sequence[Nucleus]], stage: Stage, source: str) -> SyntheticMovie:
    """Pictures, labels and the table of what is in them."""
    about = {"spacing": stage.spacing, "interval_s": _INTERVAL_S, "source": source}
    pixels = np.stack([render(nuclei, stage) for nuclei in frames])
    labels = np.stack([paint(nuclei, stage) for nuclei in frames])[:, None]
    everyone = [(t, nucleus) for t, nuclei in enumerate(frames) for nucleus in nuclei]
    positions = np.array([[t, *(n.centre / stage.spacing.um)] for t, n in everyone]).reshape(-1, 4)
    ids = {(t, n.track): row for row, (t, n) in enumerate(everyone, start=1)}
    earlier = [ids.get((t - 1, n.track)) or ids.get((t - 1, n.mother)) for t, n in everyone]
    links = [(before, row) for row, before in enumerate(earlier, start=1) if before is not None]
    truth = Annotations.of(
        positions,
        links=np.array(links, dtype=np.int64).reshape(-1, 2),
        radius_um=np.array([n.true_radius(flat=stage.flat) for _, n in everyone]),
    )
    tracks = np.array([n.track for _, n in everyone], dtype=np.int64)
    deaths = np.array([row for row, (_, n) in enumerate(everyone, start=1) if n.dead == 0], dtype=np.int64)
    names = ("nuclei", "marker")[: stage.optics.n_channels]
    image = TimeLapse.of(pixels, "tczyx", channels=names, **about)
    return SyntheticMovie(image, truth, tracks, TimeLapse.of(labels, "tczyx", channels=("labels",), **about), deaths)
