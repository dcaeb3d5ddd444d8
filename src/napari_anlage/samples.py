"""SampleMovie data for napari's menu: synthetic embryos with known truth, and a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from anlage import SampleMovie, SyntheticMovie

__all__ = ["bare", "embryo", "flat", "real"]

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


def real() -> list[Layer]:
    """A real mouse embryo at three stages, one half of it annotated by hand."""
    from anlage import mouse_embryo

    sample = mouse_embryo()
    image = _image(sample, 0, "mouse embryo")
    image[1]["metadata"] = {"attribution": sample.attribution}
    annotated = sample.truth.positions[:, 3] < sample.image.shape[4] / 2
    return [image, _annotation(sample, "mouse embryo nuclei", annotated)]


def _axes(movie: SyntheticMovie | SampleMovie) -> str:
    return "tyx" if movie.image.is_flat else "tzyx"


def _placed(movie: SyntheticMovie | SampleMovie, *, voxels: bool) -> dict[str, Any]:
    """Scale, units and names of a layer's axes; `voxels`: its data are voxels, else µm along z, y and x."""
    axes, spacing = _axes(movie), movie.spacing
    time = "pixel" if movie.image.interval_s is None else "s"
    sizes = {"t": movie.image.interval_s or 1.0, "z": spacing.z, "y": spacing.y, "x": spacing.x}
    return {
        "scale": [sizes[axis] if voxels or axis == "t" else 1.0 for axis in axes],
        "units": [time if axis == "t" else "µm" for axis in axes],
        "axis_labels": tuple(axes),
    }


def _image(movie: SyntheticMovie | SampleMovie, channel: int, name: str) -> Layer:
    import numpy as np

    pixels = movie.image.read(channels=[channel])[:, 0]
    if movie.image.is_flat:
        pixels = pixels[:, 0]
    limits = tuple(float(v) for v in np.percentile(pixels, (1, 99.8)))
    return pixels, {**_placed(movie, voxels=True), "name": name, "contrast_limits": limits}, "image"


def _annotation(
    movie: SyntheticMovie | SampleMovie, name: str, annotated: npt.NDArray[np.bool_] | None = None
) -> Layer:
    """The nuclei that are annotated, by default those of the first frames, as rings of their size."""
    shown = movie.truth.frames < _ANNOTATED_FRAMES if annotated is None else annotated
    radius = movie.truth.radius_um[shown]
    about = {
        **_placed(movie, voxels=False), "name": name, "size": 2 * radius, "face_color": "transparent",
        "border_color": "#4dd8ff", "border_width": 0.12, "features": {"radius_um": radius},
    }  # fmt: skip
    if not movie.image.is_flat:
        about["projection_mode"] = "rescale_spherical"
    return _world(movie)[shown], about, "points"


def _truth(movie: SyntheticMovie, name: str) -> Layer:
    """Every nucleus of every frame, a track until it divides."""
    import numpy as np

    order = np.lexsort((movie.truth.frames, movie.tracks))
    rows = np.column_stack([movie.tracks, _world(movie)])[order]
    about = {**_placed(movie, voxels=False), "name": name, "tail_length": 3, "head_length": 0, "visible": False}
    return rows, about, "tracks"


def _world(movie: SyntheticMovie | SampleMovie) -> Any:
    """Positions with a column for each axis: frame, and µm along z, y and x."""
    frame_and_um = movie.truth.positions * (1.0, *movie.spacing.zyx)
    return frame_and_um[:, [0, 2, 3]] if movie.image.is_flat else frame_and_um
