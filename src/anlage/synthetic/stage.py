"""The synthetic embryo and microscope: size, voxels, blur and noise."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.errors import AnlageError

__all__ = ["Look", "Optics", "Stage", "Vector"]

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Optics:
    """The imaginary microscope, and what it sees beside nuclei."""

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
    n_fragments: int = 0
    """Bright fragments (of dead cells, dust) in every frame, half as wide as a nucleus and no nuclei."""
    brightness_spread: float = 0.2
    """Standard deviation of the nuclei's brightness, as a logarithm: 0.2 means that most lie within 20 % of the typical."""
    haze: float = 0.0
    """Share of the light that arrives out of focus, spread five times as wide as the rest."""
    n_specks: int = 0
    """Specks in every frame that are no nuclei, a seventh to two thirds as wide as one, fainter or brighter."""
    unevenness: float = 0.0
    """Standard deviation of the illumination over the image, as a logarithm."""
    smoothing: float = 0.0
    """Standard deviation (voxels, in the plane) of a smoothing of what the camera read, noise and all."""


@dataclass(frozen=True, slots=True)
class Look:
    """How the nuclei of a tissue look, beside their size and shape."""

    clumps: float = 0.0
    """Standard deviation of the chromatin's brightness, as a logarithm; 0: the smooth texture of most nuclei."""
    fineness: float = 1.0
    """How fine the chromatin's pattern is: 1 means lumps about half as wide as the nucleus."""
    hollow: float = 0.0
    """Part of the light that is missing inside: near 1 only the rim glows, as of a lamina."""
    dents: float = 0.0
    """Standard deviation of the surface's bumps, in radii; up to 0.15."""
    size_spread: float = 0.06
    """Standard deviation of the radii, as a part of the typical one."""
    dividing: float = 0.0
    """Share of the first frame's nuclei that are about to divide."""
    beyond: float = 0.0
    """How far the tissue reaches beyond the image on either side, as a part of half its extent; 0: all of it is inside."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where it all happens."""

    shape_zyx: tuple[int, int, int]
    spacing: Spacing
    optics: Optics
    diameter_um: float
    rng: np.random.Generator = field(repr=False)
    elongation: float = 0.12
    """Standard deviation of the nuclei's semi-axes, as a logarithm."""
    division_rate: float = 0.03
    """Chance per frame that a nucleus begins to divide."""
    death_rate: float = 0.0
    """Chance per frame that a nucleus begins to die."""
    vivid: bool = False
    """Whether divisions look as in a good microscope; see `anlage.synthetic.embryo`."""
    look: Look = field(default_factory=Look)

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
        room = (1 + self.look.beyond) * np.array(self.shape_zyx) * self.spacing.um / 2 - 0.6 * self.diameter_um
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

    def check_room(self, n_nuclei: int) -> None:
        """Raise AnlageError if so many nuclei cannot be packed into the embryo."""
        room = self.half_axes[1:] if self.flat else self.half_axes
        filled = n_nuclei * (self.diameter_um / 2) ** len(room) / float(np.prod(room + self.diameter_um / 2))
        if filled > 0.6:
            raise AnlageError(
                f"{n_nuclei} nuclei of {self.diameter_um:g} µm would fill {filled:.0%} of the embryo and cannot be packed; "
                "ask for fewer or smaller nuclei, or a larger image."
            )
