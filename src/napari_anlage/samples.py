"""Sample data: a synthetic embryo whose truth is known."""

from __future__ import annotations

from typing import Any

__all__ = ["embryo"]


def embryo() -> list[tuple[Any, dict[str, Any], str]]:
    """A small embryo over time, with every nucleus of its first frames marked."""
    import numpy as np

    from anlage import embryo as synthetic_embryo

    movie = synthetic_embryo(n_frames=6, shape_zyx=(24, 128, 128), n_nuclei=50)
    z, y, x = movie.spacing.zyx
    at = {
        "scale": (movie.image.interval_s or 1.0, z, y, x), "units": ("s", "µm", "µm", "µm"), "axis_labels": tuple("tzyx"),
    }  # fmt: skip
    pixels = movie.image.read()[:, 0]
    limits = tuple(float(v) for v in np.percentile(pixels, (1, 99.8)))
    early = movie.truth.frames < 3
    world = movie.truth.positions[early] * (1.0, z, y, x)
    points = {
        **at, "scale": (at["scale"][0], 1.0, 1.0, 1.0), "name": "embryo nuclei", "size": 2 * movie.truth.radius_um[early],
        "face_color": "transparent", "border_color": "#4dd8ff", "border_width": 0.12, "projection_mode": "rescale_spherical",
        "features": {"radius_um": movie.truth.radius_um[early]},
    }  # fmt: skip
    image = {**at, "name": "embryo", "contrast_limits": limits}
    return [(pixels, image, "image"), (world, points, "points")]
