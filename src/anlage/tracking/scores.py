"""The scores file beside the tracks: the probabilities of every candidate, so that a correction can be solved with them.

::

    NAME.npz    version, settings, spacing_um_zyx   its parameters
                positions                           (N, 4) nuclei, t, z, y, x in voxels
                pairs, edge, clamp                  (E, 2), (E,), (E,) candidates: rows, cost, accepted or forbidden
                node, appear, end, division, must   (N,) costs of each nucleus
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError
from scipy.spatial import cKDTree

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.candidates import neighbour_distances_um
from anlage.errors import AnlageError
from anlage.io.atomic import replacing
from anlage.io.seals import LIBRARY, Writer
from anlage.tracking.problem import Floats, LinkingProblem, Rows
from anlage.tracking.settings import TrackingSettings
from anlage.tracking.track import Tracking

__all__ = ["TrackScores", "read_track_scores", "write_track_scores"]

_VERSION = 1
_COLUMNS = ("pairs", "edge", "clamp", "node", "appear", "end", "division", "must")
_SAME = 0.5
"""Nuclei nearer to each other than so many nearest-neighbour distances are the same one."""


@dataclass(frozen=True, slots=True)
class TrackScores:
    """The costs of a tracking's nuclei and candidates, by place.

    Parameters
    ----------
    positions
        (N, 4) t, z, y, x in voxels of the image.
    spacing
        Voxel size in µm.
    problem
        The costs: negative logarithms of the odds of what the networks said.
    settings
        With the temperature and the scaling of the probabilities.
    """

    positions: npt.NDArray[np.float64]
    spacing: Spacing
    problem: LinkingProblem
    settings: TrackingSettings

    @classmethod
    def of(cls, tracking: Tracking) -> TrackScores:
        """Those of a tracking."""
        return cls(tracking.nuclei.positions, tracking.spacing, tracking.problem, tracking.settings)

    def rows_of(self, nuclei: Annotations) -> Rows:
        """(M,) row of each of these nuclei, −1 where the tracking knew none there: the nearest of each other in the same frame."""
        found = np.full(len(nuclei), -1, dtype=np.int64)
        frames = self.problem.frames
        present = np.flatnonzero(np.isin(frames, np.unique(nuclei.frames)))
        if not len(present) or not len(nuclei):
            return found
        um = self.positions[present, 1:] * self.spacing.um
        reach = _SAME * float(np.nan_to_num(np.nanmedian(neighbour_distances_um(frames[present], um)), nan=1.0))
        apart = 10.0 * reach + 1.0  # frames so far apart that nothing reaches over
        theirs = cKDTree(np.column_stack([frames[present] * apart, um]))
        ours = cKDTree(np.column_stack([nuclei.frames * apart, nuclei.positions[:, 1:] * self.spacing.um]))
        far, there = (np.asarray(one) for one in theirs.query(ours.data, distance_upper_bound=reach))
        near = np.flatnonzero(np.isfinite(far))
        mutual = near[np.asarray(ours.query(theirs.data[there[near]])[1]) == near]
        found[mutual] = present[there[mutual]]
        return found


def write_track_scores(path: str | Path, tracking: Tracking, by: Writer = LIBRARY) -> None:
    """Write what a tracking knew to an ``.npz`` file, whole or not at all.

    Raises
    ------
    AnlageError
        If the name does not end in ``.npz``, or the place cannot be written to.
    """
    target = Path(path)
    if target.suffix.lower() != ".npz":
        raise AnlageError(f"Scores are written to an .npz file, and '{target.name}' is none: choose another name.")
    by = by.of("scores")
    scores = TrackScores.of(tracking)
    columns: dict[str, Any] = {name: getattr(scores.problem, name) for name in _COLUMNS}
    with replacing(target, by) as temporary:
        np.savez_compressed(
            temporary, version=_VERSION, settings=scores.settings.model_dump_json(), spacing_um_zyx=scores.spacing.um,
            positions=scores.positions, **columns,
        )  # fmt: skip
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.comment = by.mark.encode()


def read_track_scores(path: str | Path) -> TrackScores:
    """Read what a tracking knew.

    Raises
    ------
    AnlageError
        If there is no such file, it is damaged, or a newer version wrote it.
    """
    try:
        with Path(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            columns = {name: file[name] for name in file.files}
        if int(columns["version"]) > _VERSION:
            raise AnlageError(
                f"The scores '{path}' were written by a newer version of anlage: update it, or track again."
            )
        positions: Floats = columns["positions"]
        problem = LinkingProblem(
            frames=np.rint(positions[:, 0]).astype(np.int64), **{name: columns[name] for name in _COLUMNS}
        )  # fmt: skip
        settings = TrackingSettings.model_validate_json(str(columns["settings"]))
        return TrackScores(positions, Spacing(*columns["spacing_um_zyx"].tolist()), problem, settings)
    except (OSError, KeyError, ValueError, IndexError, zipfile.BadZipFile, ValidationError) as error:
        raise AnlageError(f"The scores '{path}' cannot be read ({error}): track again.") from error
