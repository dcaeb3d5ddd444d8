"""Sample data for napari's menu: synthetic embryos with known truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anlage import SyntheticMovie

__all__ = ["bare", "embryo", "flat"]

Layer = tuple[Any, dict[str, Any], str]
_ANNOTATED_FRAMES = 3


def embryo() -> list[Layer]:
    """A small embryo over time: its first frames annotated, and, hidden, the truth of all frames as tracks."""
    from anlage import embryo as synthetic_embryo

    movie = synthetic_embryo(n_frames=6, shape_zyx=(24, 128, 128), n_nuclei=50)
    return [_image(movie, 0, "embryo"), _annotation(movie, "embryo nuclei"), _truth(movie, "embryo truth")]


def bare() -> list[Layer]:
    """Another embryo, of which nothing is known yet: nuclei, and a marker that some of them carry, as two layers."""
    from anlage import Optics
    from anlage import embryo as synthetic_embryo

    movie = synthetic_embryo(1, n_frames=6, shape_zyx=(24, 128, 128), n_nuclei=40, optics=Optics(n_channels=2))
    first, second = _image(movie, 0, "embryo 2 nuclei"), _image(movie, 1, "embryo 2 marker")
    second[1].update(colormap="magenta", blending="additive")
    return [first, second]


def flat() -> list[Layer]:
    """A flat culture over time, its first frames annotated."""
    from anlage import embryo as synthetic_embryo

    movie = synthetic_embryo(2, n_frames=6, shape_zyx=(1, 192, 192), n_nuclei=40)
    return [_image(movie, 0, "culture"), _annotation(movie, "culture nuclei")]


def _axes(movie: SyntheticMovie) -> str:
    return "tyx" if movie.image.is_flat else "tzyx"


def _placed(movie: SyntheticMovie, *, voxels: bool) -> dict[str, Any]:
    """Scale, units and names of a layer's axes; `voxels`: its data are voxels, else µm along z, y and x."""
    axes, spacing = _axes(movie), movie.spacing
    sizes = {"t": movie.image.interval_s or 1.0, "z": spacing.z, "y": spacing.y, "x": spacing.x}
    return {
        "scale": [sizes[axis] if voxels or axis == "t" else 1.0 for axis in axes],
        "units": ["s" if axis == "t" else "µm" for axis in axes],
        "axis_labels": tuple(axes),
    }


def _image(movie: SyntheticMovie, channel: int, name: str) -> Layer:
    import numpy as np

    pixels = movie.image.read(channels=[channel])[:, 0]
    if movie.image.is_flat:
        pixels = pixels[:, 0]
    limits = tuple(float(v) for v in np.percentile(pixels, (1, 99.8)))
    return pixels, {**_placed(movie, voxels=True), "name": name, "contrast_limits": limits}, "image"


def _annotation(movie: SyntheticMovie, name: str) -> Layer:
    """The nuclei of the first frames, as rings of their size."""
    early = movie.truth.frames < _ANNOTATED_FRAMES
    radius = movie.truth.radius_um[early]
    about = {
        **_placed(movie, voxels=False), "name": name, "size": 2 * radius, "face_color": "transparent",
        "border_color": "#4dd8ff", "border_width": 0.12, "features": {"radius_um": radius},
    }  # fmt: skip
    if not movie.image.is_flat:
        about["projection_mode"] = "rescale_spherical"
    return _world(movie)[early], about, "points"


def _truth(movie: SyntheticMovie, name: str) -> Layer:
    """Every nucleus of every frame, a track until it divides."""
    import numpy as np

    order = np.lexsort((movie.truth.frames, movie.tracks))
    rows = np.column_stack([movie.tracks, _world(movie)])[order]
    about = {**_placed(movie, voxels=False), "name": name, "tail_length": 3, "head_length": 0, "visible": False}
    return rows, about, "tracks"


def _world(movie: SyntheticMovie) -> Any:
    """Positions with a column for each axis: frame, and µm along z, y and x."""
    frame_and_um = movie.truth.positions * (1.0, *movie.spacing.zyx)
    return frame_and_um[:, [0, 2, 3]] if movie.image.is_flat else frame_and_um
