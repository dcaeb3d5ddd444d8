"""Data augmentation of a batch on its device: one in-plane warp for image and points, then brightness and noise.

Microscopy is coarser along z than in the plane, so rotation out of the plane is not a symmetry of the data. In-plane
rotation, scale and flips are the same for every plane: one 2D `grid_sample` with planes and channels side by side,
about ten times faster than a 3D one. Centres are moved as points by exactly the same matrix, and targets drawn after.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch.nn import functional

from anlage.frozen import Finite

__all__ = ["Augmentation", "Warp", "draw", "shade", "warp", "warp_image", "warp_points"]

_QUARTER = math.pi / 2


class Augmentation(Finite):
    """How far training examples are varied; zero or False everywhere leaves them as they are."""

    flip: bool = True
    """Mirror along y and x, each with probability one half."""
    flip_z: bool = True
    """Mirror along z with probability one half; which way dimming goes is drawn too."""
    rotate_degrees: Annotated[float, Ge(0), Le(180)] = 180.0
    """Largest rotation in the plane, in degrees, either way; by quarters where sizes are not varied (scale 0)."""
    scale: Annotated[float, Ge(0), Le(1)] = 0.25
    """Largest change of size in the plane: 0.25 means between 1/1.25 and 1.25 times."""
    gamma: Annotated[float, Ge(0), Le(2)] = 0.3
    """Largest change of the brightness curve: the exponent lies between 1/(1 + gamma) and 1 + gamma."""
    gain: Annotated[float, Ge(0), Le(2)] = 1.0
    """Largest change of contrast: 1 means between half and twice, for each channel."""
    offset: Annotated[float, Ge(0), Le(1)] = 0.05
    """Largest brightness added or taken, in units of the normalised image (0 dark, 1 bright)."""
    noise: Annotated[float, Ge(0), Le(1)] = 0.1
    """Largest standard deviation of added noise, in units of the normalised image."""
    dimming: Annotated[float, Ge(0), Le(5)] = 1.0
    """Largest dimming with depth: brightness falls by up to exp(−dimming) from one side to the other."""

    def scaled(self, by: float) -> Augmentation:
        """The same with every change of brightness and size so many times as large; turning and mirroring stay."""
        changes = ("scale", "gamma", "gain", "offset", "noise", "dimming")
        return Augmentation.model_validate({**self.model_dump(), **{n: by * getattr(self, n) for n in changes}})

    @classmethod
    def none(cls) -> Augmentation:
        """Leave every example as it is."""
        return cls(
            flip=False, flip_z=False, rotate_degrees=0, scale=0, gamma=0, gain=0, offset=0, noise=0, dimming=0,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Warp:
    """One in-plane map for each of B examples.

    Parameters
    ----------
    matrix
        (B, 2, 2) step from the output's centre → step from the input's centre, (y, x) in voxels.
    flip_z
        (B,) which examples are mirrored along z.
    """

    matrix: torch.Tensor
    flip_z: torch.Tensor

    @property
    def is_identity(self) -> bool:
        """Whether nothing moves."""
        same = bool((self.matrix == torch.eye(2, device=self.matrix.device)).all())
        return same and not bool(self.flip_z.any())


def draw(
    generator: torch.Generator,
    batch_size: int,
    augmentation: Augmentation,
    *,
    spacing_yx: tuple[float, float] = (1.0, 1.0),
) -> Warp:
    """Draw a warp for each example of a batch: a pure function of the generator's state.

    Parameters
    ----------
    generator
        Source of chance, on any device.
    batch_size
        Number of examples, B.
    augmentation
        How far to go.
    spacing_yx
        Voxel edges of the images along y and x in any common unit, so that a rotation is one in µm.
    """
    a = augmentation
    uniform = torch.rand((batch_size, 5), generator=generator, device=generator.device).cpu()
    angle = (2 * uniform[:, 0] - 1) * math.radians(a.rotate_degrees)
    if a.scale == 0:
        # nothing has to be interpolated then, which would smooth away the noise that the network will meet
        angle = (angle / _QUARTER).round() * _QUARTER
    size = torch.exp((2 * uniform[:, 1] - 1) * math.log1p(a.scale))
    mirror = torch.where((uniform[:, 2:4] < 0.5) & a.flip, -1.0, 1.0)
    cos, sin = torch.cos(angle), torch.sin(angle)
    rotation = torch.stack([cos, -sin, sin, cos], dim=1).reshape(-1, 2, 2)
    um = torch.tensor(spacing_yx)
    # a voxel step of the output in µm, mirrored, turned and scaled, then in voxels of the input
    matrix = rotation * mirror[:, None, :] / size[:, None, None] * um[None, None, :] / um[None, :, None]
    return Warp(matrix, (uniform[:, 4] < 0.5) & a.flip_z)


def warp(
    image_BCZYX: torch.Tensor,
    points_N3: torch.Tensor,
    example_N: torch.Tensor,
    by: Warp,
    shape_yx: tuple[int, int] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Warp images and the points in them together; see `warp_image` and `warp_points`."""
    shape_in = (image_BCZYX.shape[2], image_BCZYX.shape[3], image_BCZYX.shape[4])
    return warp_image(image_BCZYX, by, shape_yx), warp_points(points_N3, example_N, by, shape_in, shape_yx)


def warp_image(
    image_BCZYX: torch.Tensor,
    by: Warp,
    shape_yx: tuple[int, int] | None = None,
    *,
    mode: Literal["bilinear", "nearest"] = "bilinear",
    outside: Literal["reflection", "border", "zeros"] = "reflection",
) -> torch.Tensor:
    """Warp images about their centres.

    Parameters
    ----------
    image_BCZYX
        float32 images (or weights and labels as floats), on any device.
    by
        One map for each example.
    shape_yx
        Size of the result; None for the input's. Cut smaller than the input, the corners of a rotated crop stay
        filled with real pixels.
    mode
        ``"nearest"`` for weights and labels.
    outside
        What lies beyond the input: its mirror image, its rim, or 0 (for weights: unknown).

    Returns
    -------
    torch.Tensor
        (B, C, Z, *shape_yx), float32.
    """
    b, c, z, y, x = image_BCZYX.shape
    shape = shape_yx or (y, x)
    if by.is_identity and shape[0] <= y and shape[1] <= x and (y - shape[0]) % 2 == 0 and (x - shape[1]) % 2 == 0:
        top, left = (y - shape[0]) // 2, (x - shape[1]) // 2
        return image_BCZYX[:, :, :, top : top + shape[0], left : left + shape[1]]
    device = image_BCZYX.device
    flat = image_BCZYX.reshape(b, c * z, y, x)
    steps_y, steps_x = (torch.arange(n, device=device, dtype=torch.float32) - (n - 1) / 2 for n in shape)
    steps = torch.stack(torch.meshgrid(steps_y, steps_x, indexing="ij"), dim=-1)
    source_yx = torch.einsum("bij,yxj->byxi", by.matrix.to(device), steps)
    # grid_sample wants (x, y) as −1 … 1 between the centres of the first and last voxel
    half_extent = torch.tensor([max(x - 1, 1) / 2, max(y - 1, 1) / 2], device=device)
    moved = functional.grid_sample(
        flat, source_yx.flip(-1) / half_extent, mode=mode, padding_mode=outside, align_corners=True
    ).reshape(b, c, z, *shape)
    flip = by.flip_z.to(device)
    return torch.where(flip[:, None, None, None, None], moved.flip(2), moved) if bool(flip.any()) else moved


def warp_points(
    points_N3: torch.Tensor,
    example_N: torch.Tensor,
    by: Warp,
    shape_zyx: tuple[int, int, int],
    shape_yx: tuple[int, int] | None = None,
) -> torch.Tensor:
    """Move points exactly as `warp_image` moves the pixels under them.

    Parameters
    ----------
    points_N3
        (z, y, x) in voxels of the input images.
    example_N
        Which example of the batch each point lies in.
    by
        One map for each example.
    shape_zyx
        Size of the input images.
    shape_yx
        Size of the warped images; None for the input's.

    Returns
    -------
    torch.Tensor
        (N, 3) in voxels of the warped images; points may have left them.
    """
    points = points_N3.to(torch.float32)
    example = example_N.long()
    shape = shape_yx or shape_zyx[1:]
    centre_in, centre_out = (
        torch.tensor([(n - 1) / 2 for n in yx], device=points.device) for yx in (shape_zyx[1:], shape)
    )
    inverse = torch.linalg.inv(by.matrix).to(points.device)[example]
    yx = torch.einsum("nij,nj->ni", inverse, points[:, 1:] - centre_in) + centre_out
    flip = by.flip_z.to(points.device)[example]
    z = torch.where(flip, shape_zyx[0] - 1 - points[:, 0], points[:, 0])
    return torch.cat([z[:, None], yx], dim=1)


def shade(image_BCZYX: torch.Tensor, generator: torch.Generator, augmentation: Augmentation) -> torch.Tensor:
    """Vary brightness: curve, contrast, offset, dimming with depth, noise; a pure function of the generator's state.

    Parameters
    ----------
    image_BCZYX
        Normalised float32 images (0 dark, 1 bright), on any device; not touched.
    generator
        Source of chance, on any device.
    augmentation
        How far to go.
    """
    a = augmentation
    b, c, z = image_BCZYX.shape[:3]
    device = image_BCZYX.device
    uniform = torch.rand((b, c, 4), generator=generator, device=generator.device).to(device)[..., None, None, None]
    per_image = torch.rand((b, 3), generator=generator, device=generator.device).to(device)[..., None, None, None, None]
    seed = torch.randint(2**62, (1,), generator=generator, device=generator.device)
    # in place on one copy: on a CPU most of the time would go into fresh memory
    if a.gamma > 0:
        exponent = torch.exp((2 * uniform[:, :, 0] - 1) * math.log1p(a.gamma))
        image = image_BCZYX.abs().pow_(exponent).copysign_(image_BCZYX)
    else:
        image = image_BCZYX.clone()
    if a.gain > 0 or a.offset > 0:
        gain = torch.exp((2 * uniform[:, :, 1] - 1) * math.log1p(a.gain))
        image.mul_(gain).add_((2 * uniform[:, :, 2] - 1) * a.offset)
    if a.dimming > 0 and z > 1:
        depth = torch.linspace(0, 1, z, device=device)[None, None, :, None, None]
        # which side faces the objective is not known
        depth = torch.where(per_image[:, 0] < 0.5, depth, 1 - depth)
        image.mul_(torch.exp(-a.dimming * per_image[:, 1] * depth))
    if a.noise > 0:
        local = torch.Generator(device=device).manual_seed(int(seed))
        noise = torch.randn(image.shape, generator=local, device=device)
        image.add_(noise.mul_(a.noise * per_image[:, 2]))
    return image
