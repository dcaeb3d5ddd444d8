"""The movie of a demo, real or synthetic: what of it is annotated, and what the network is asked about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.io import write_annotations, write_image
from anlage.io.seals import Writer
from anlage.samples import mouse_embryo
from anlage.synthetic import Optics, embryo
from anlage.timelapse import TimeLapse

__all__ = ["BY", "DIAMETER_UM", "SEED", "DemoMovie", "real_movie", "synthetic_movie", "write_movie"]

SEED = 0
N_FRAMES = 12
ANNOTATED = range(5)
UNSEEN = range(8, 12)
"""Scored frames; those between are left out, because a nucleus looks alike from one frame to the next."""
ANNOTATED_SHARE = 0.65
"""Part of the image, along x, in which the annotated frames are annotated."""
DIAMETER_UM = 8.0
N_FRAGMENTS = 10
"""Bright things in every frame that are no nuclei: what a network learns to leave out."""
PROMISED_F1 = 0.95
"""On frames that the network never saw; the demo fails with less."""
BY = Writer("demo")


@dataclass(frozen=True, slots=True)
class DemoMovie:
    """A movie with its truth.

    Parameters
    ----------
    image, truth, spacing
        Pixels, every nucleus, and the voxel size in µm.
    sentence
        What it shows.
    annotated, share
        The frames that are annotated, and in which part of the image along x.
    unseen
        The frames in which the network finds nuclei at the end; of those that are annotated, the other part of the image.
    radius_um
        A centre that was found counts within so many µm.
    promised_f1
        What the network has to reach; None promises nothing.
    attribution
        Source and licence of real pixels.
    """

    image: TimeLapse
    truth: Annotations
    spacing: Spacing
    sentence: str
    annotated: range
    share: float
    unseen: range
    radius_um: float
    promised_f1: float | None = None
    attribution: str = ""

    @property
    def first_unseen_x(self) -> int:
        """The first voxel along x that the network is asked about."""
        return round(self.share * self.image.shape[4]) if set(self.unseen) & set(self.annotated) else 0

    @property
    def is_annotated(self) -> npt.NDArray[np.bool_]:
        """(N,) which nuclei of the truth the demo annotates."""
        inside = self.truth.positions[:, 3] < round(self.share * self.image.shape[4]) - 0.5
        annotated: npt.NDArray[np.bool_] = np.isin(self.truth.frames, self.annotated) & inside
        return annotated

    @property
    def is_unseen(self) -> npt.NDArray[np.bool_]:
        """(N,) which nuclei of the truth the network is asked about."""
        beyond = self.truth.positions[:, 3] >= self.first_unseen_x - 0.5
        unseen: npt.NDArray[np.bool_] = np.isin(self.truth.frames, self.unseen) & beyond
        return unseen

    @property
    def asked(self) -> list[str]:
        """What the network is asked about, as options of `predict`."""
        options = ["--frames", f"{self.unseen.start}:{self.unseen.stop}"]
        if self.first_unseen_x:
            *_, n_z, n_y, n_x = self.image.shape
            options += ["--region", f"0:{n_z},0:{n_y},{self.first_unseen_x}:{n_x}"]
        return options

    @property
    def unseen_name(self) -> str:
        """What the network never saw, in words."""
        if self.first_unseen_x:
            return f"the other part of the image (x from {self.first_unseen_x} on)"
        return f"frames {self.unseen[0]} to {self.unseen[-1]}"


def synthetic_movie() -> DemoMovie:
    """A rendered embryo whose truth is known exactly."""
    movie = embryo(SEED, N_FRAMES, diameter_um=DIAMETER_UM, optics=Optics(n_fragments=N_FRAGMENTS))
    return DemoMovie(
        movie.image, movie.truth, movie.spacing,
        sentence="A synthetic embryo: crowded, blurred, noisy, moving and dividing nuclei among fragments of dead cells",
        annotated=ANNOTATED, share=ANNOTATED_SHARE, unseen=UNSEEN,
        radius_um=DIAMETER_UM / 2,  # a centre must lie inside its nucleus
        promised_f1=PROMISED_F1,
    )  # fmt: skip


def real_movie() -> DemoMovie:
    """The mouse embryo that comes with the program: one half of it is annotated, at three stages."""
    sample = mouse_embryo()
    return DemoMovie(
        sample.image, sample.truth, sample.spacing,
        sentence="A real mouse embryo at three stages, hours apart",
        annotated=range(3), share=0.55, unseen=range(3), radius_um=5.0, attribution=sample.attribution,
    )  # fmt: skip


def write_movie(folder: Path, movie: DemoMovie) -> None:
    """Write the image, its truth, the truth of the unseen frames and what is annotated."""
    image, truth = movie.image, movie.truth
    scale: dict[str, Any] = {"spacing": movie.spacing, "interval_s": image.interval_s, "by": BY}
    write_image(folder / "image.ome.zarr", image.read(), channels=image.channels, **scale)
    write_annotations(folder / "truth.csv", truth, **scale)
    write_annotations(folder / "truth_unseen.csv", truth.select(movie.is_unseen), **scale)
    write_annotations(folder / "annotations.csv", truth.select(movie.is_annotated), **scale)
    shape = " × ".join(map(str, image.shape_tzyx))
    divisions = f", {len(truth.divisions)} divisions" if len(truth.divisions) else ""
    print(f"{shape} voxels (t, z, y, x) of {movie.spacing}; {len(truth)} nuclei{divisions}.")
    print(f"Annotated: {movie.is_annotated.sum()} nuclei.")
    if movie.attribution:
        print(movie.attribution)
