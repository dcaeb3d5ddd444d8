"""Real images that come with the program, with their truth; where they are from stands in ``CARD.md`` beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.io import open_annotations, open_image
from anlage.timelapse import TimeLapse

__all__ = ["HOME", "SampleMovie", "mouse_embryo"]

HOME = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class SampleMovie:
    """A real movie and what is in it.

    Parameters
    ----------
    image
        Pixels (t, c, z, y, x) with their voxel size, read when wanted.
    truth
        Every nucleus that a human outlined: centre and, in µm, the radius of the ball of the same size.
    attribution
        A sentence that names source and licence; it has to go with every picture of the image.
    """

    image: TimeLapse
    truth: Annotations
    attribution: str

    @property
    def spacing(self) -> Spacing:
        """Voxel size in µm."""
        if self.image.spacing is None:
            raise AnlageError(f"'{self.image.source}' has lost its voxel size; install the program again.")
        return self.image.spacing


def mouse_embryo() -> SampleMovie:
    """A mouse embryo before implantation at three stages (25, 34 and 50 nuclei), hours apart: (3, 1, 51, 124, 127) voxels.

    From the image set BBBC050, licence CC BY 3.0; see ``CARD.md`` in the folder ``anlage/samples``.

    Raises
    ------
    AnlageError
        If the files were changed or are missing.
    """
    image = open_image(HOME / "mouse-embryo.ome.tif")
    truth = open_annotations(HOME / "mouse-embryo.csv")
    return SampleMovie(image, truth, _ATTRIBUTION)


_ATTRIBUTION = (
    "Mouse embryo: image set BBBC050 (Tokuoka et al. 2020), Broad Bioimage Benchmark Collection (Ljosa et al. 2012), "
    "CC BY 3.0; cut and reduced to 8 bit."
)
