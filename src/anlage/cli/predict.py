"""``predict``: nuclei in an image, by a trained model or by the classical detector."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anlage.cli.arguments import (
    Parser,
    add_reading,
    channel_list,
    device_option,
    heatmap_path,
    open_as_told,
    positive,
    probability,
    span,
    spans_zyx,
    table_path,
)
from anlage.errors import AnlageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from anlage.annotations import Annotations
    from anlage.axes import Box
    from anlage.card import Card
    from anlage.prediction import DenseMap, Prediction
    from anlage.timelapse import TimeLapse

__all__ = ["Found", "on_image_grid"]

CLASSICAL = "classical"
_HEATMAP = "heat-map"


def configure_predict(parser: Parser) -> None:
    parser.explain(
        "Writes a table id,t,z,y,x,probability in voxels of the image. The image may have another voxel size, and other\n"
        "nuclei, than the model's training images: it is rescaled so that its nuclei are as large as those.",
        "anlage predict run/run.anlage movie.ome.zarr -o found.csv",
        "anlage predict run/run.anlage movie.ome.zarr -o found.csv --frames 0:10 --heatmap heat.zarr",
        "anlage predict classical movie.tif -o found.csv --spacing 2,0.5,0.5 --diameter-um 8",
    )
    parser.add_argument(
        "model", metavar="MODEL", help="a model file, the run folder that holds it, or `classical`: no training needed"
    )
    parser.add_argument("image", metavar="IMAGE", help="OME-Zarr, TIFF, or a folder with one TIFF a frame")
    parser.add_argument(
        "-o", "--output", type=table_path, metavar="OUT", required=True, help="table to write, .csv or .geff"
    )
    parser.add_argument(
        "--frames", type=span, metavar="a:b", help="from frame a up to, not including, b (default: all)"
    )
    parser.add_argument("--region", type=spans_zyx, metavar="z0:z1,y0:y1,x0:x1", help="part of the image, in voxels")
    parser.add_argument(
        "--diameter-um", type=positive, metavar="D", help="nucleus diameter here in µm (default: measured in the image)"
    )
    parser.add_argument(
        "--threshold", type=probability, metavar="P", help="report from this probability on (default: the model's own)"
    )
    parser.add_argument(
        "--heatmap", type=heatmap_path, metavar="OUT.zarr",
        help="also write the network's map, on the image's own voxels; an earlier heat-map there is replaced",
    )  # fmt: skip
    parser.add_argument(
        "--channels", type=channel_list, metavar="0,2",
        help="channels of the image to look at, one for each input of the model and in its order (default: as in training)",
    )  # fmt: skip
    device_option(parser)
    add_reading(parser)


def run_predict(options: argparse.Namespace) -> int:
    _check_places(options)
    image = open_as_told(options.image, options)
    frames, region = _part(image, options)
    common = {
        "frames": frames, "region": region, "diameter_um": options.diameter_um, "threshold": options.threshold,
        "heatmap": options.heatmap is not None,
    }  # fmt: skip
    if options.model == CLASSICAL:
        image, predictions = _classical(image, options, common)
    else:
        image, predictions = _by_model(image, options, common)
    found = Found(predictions, len(frames))
    problem = None
    try:
        if options.heatmap is not None:
            _write_heatmap(options.heatmap, found, image, fades=region is not None)
    except (AnlageError, OSError, MemoryError) as error:
        problem = error  # the table, which is what matters, is written all the same
    found.finish()
    if problem is not None and not found.is_complete:
        raise problem  # it was the prediction itself that failed
    _write(options.output, found.nuclei(), image)
    print(found.summary(options.output))
    if problem is not None:
        raise problem
    return 0


def _check_places(options: argparse.Namespace) -> None:
    """Refuse, before anything is computed, outputs that would replace what is not theirs to replace."""
    from anlage.io.atomic import check_apart, check_replaceable
    from anlage.io.nuclei import is_bare_geff
    from anlage.io.writing import image_of_ours

    outputs = [options.output, *([] if options.heatmap is None else [options.heatmap])]
    for output in outputs:
        check_apart(output, options.image)
    check_replaceable(options.output, is_bare_geff if options.output.suffix.lower() == ".geff" else None)
    if options.heatmap is not None:
        check_apart(options.heatmap, options.output)
        check_replaceable(options.heatmap, image_of_ours(_HEATMAP))


class Found:
    """The predictions of a movie as they come: shows progress, says notes once, keeps the nuclei.

    Parameters
    ----------
    predictions
        One a frame.
    n_frames
        How many there will be.
    """

    def __init__(self, predictions: Iterable[Prediction], n_frames: int) -> None:
        self._predictions = predictions
        self._n_frames = n_frames
        self._parts: list[Annotations] = []

    def __iter__(self) -> Iterator[Prediction]:
        from anlage.cli.bars import bar, say

        said: set[str] = set()
        with bar(self._n_frames, "predicting", initial=len(self._parts)) as shown:
            for prediction in self._predictions:
                for note in prediction.notes:
                    if note not in said:
                        say(note)
                        said.add(note)
                self._parts.append(prediction.nuclei)
                shown.update()
                yield prediction

    def finish(self) -> None:
        """Take in the predictions that nobody asked for yet."""
        if not self.is_complete:
            for _ in self:
                pass

    @property
    def is_complete(self) -> bool:
        return len(self._parts) >= self._n_frames

    def nuclei(self) -> Annotations:
        """All nuclei so far as one table, numbered from 1."""
        import numpy as np

        from anlage.annotations import Annotations

        parts = self._parts or [Annotations.of([])]
        names = ("positions", "radius_um", "label", "probability", "state", "origin")
        columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return Annotations.of(columns.pop("positions"), **columns)

    def summary(self, output: Path) -> str:
        counts = [len(part) for part in self._parts]
        middle = sorted(counts)[len(counts) // 2] if counts else 0
        frames = f"{len(counts)} frame{'s' if len(counts) != 1 else ''}"
        return f"{sum(counts)} nuclei in {frames} (typically {middle} a frame), written to {output}."


def _part(image: TimeLapse, options: argparse.Namespace) -> tuple[range, Box | None]:
    """Frames and region that were asked for, checked against the image."""
    from anlage.axes import Box

    low, high = options.frames or (0, None)
    frames = range(low or 0, image.n_frames if high is None else high)
    if frames.stop > image.n_frames or not frames:
        raise AnlageError(
            f"Frames {frames.start}:{frames.stop} were asked for, but {image.source} has the frames 0:{image.n_frames}."
        )
    if options.region is None:
        return frames, None
    box = Box((frames.start, frames.stop), *options.region)
    if box.intersection(Box.whole(image.shape_tzyx)) != box:
        shown = ",".join(f"0:{n}" for n in image.shape_tzyx[1:])
        raise AnlageError(f"The region reaches outside {image.source}, which has {shown} voxels (z, y, x).")
    return frames, box


def _classical(
    image: TimeLapse, options: argparse.Namespace, common: dict[str, Any]
) -> tuple[TimeLapse, Iterable[Prediction]]:
    from anlage.cli.build import require_spacing
    from anlage.inference import predict_classical

    require_spacing(image, options.image)
    print("Classical detector: bright blobs of one size; a trained model is better, this one is at once.")
    return image, predict_classical(image, channels=options.channels, **common)


def _by_model(
    image: TimeLapse, options: argparse.Namespace, common: dict[str, Any]
) -> tuple[TimeLapse, Iterable[Prediction]]:
    from anlage.cli.runs import model_of
    from anlage.model import load_model

    model = load_model(model_of(options.model), task="nuclei", head="centres")
    print(f"Model {model.card.name}: finds {model.card.finds}.")
    image = _with_spacing(image, model.card)
    from anlage.inference import predict

    return image, predict(model, image, channels=options.channels, device=options.device, **common)


def _with_spacing(image: TimeLapse, card: Card) -> TimeLapse:
    """The image with a voxel size: its own, else the model's, which is said."""
    from anlage.axes import Spacing

    if image.spacing is not None:
        return image
    assumed = Spacing(*card.spacing_um_zyx)
    print(
        f"The image's voxel size is unknown; the model's is assumed: {assumed}. If it is wrong, give --spacing Z,Y,X."
    )
    return image.with_scale(assumed)


def on_image_grid(heatmap: DenseMap, shape_zyx: tuple[int, int, int], *, fades: bool) -> npt.NDArray[np.float32]:
    """A map on the image's own voxels, by linear interpolation.

    Parameters
    ----------
    heatmap
        The map on the network's grid.
    shape_zyx
        The image's voxels.
    fades
        Whether the map is 0 outside its grid (a region was predicted) or goes on as at its rim.
    """
    import numpy as np
    from scipy.ndimage import affine_transform

    step = np.array(heatmap.step_zyx)
    result: npt.NDArray[np.float32] = affine_transform(
        np.asarray(heatmap.data, dtype=np.float32), 1 / step, -np.array(heatmap.origin_zyx) / step,
        output_shape=shape_zyx, order=1, mode="grid-constant" if fades else "nearest", prefilter=False,
    )  # fmt: skip
    return result


def _write_heatmap(path: Path, found: Found, image: TimeLapse, *, fades: bool) -> None:
    """Write the maps as they come, frame by frame; frames that were not asked for are 0."""
    import numpy as np

    from anlage.io import write_image

    shape_zyx = image.shape_tzyx[1:]

    def frames() -> Iterator[npt.NDArray[np.float32]]:
        t = 0
        for prediction in found:
            while t < prediction.frame:
                yield np.zeros((1, *shape_zyx), np.float32)
                t += 1
            assert prediction.heatmap is not None  # noqa: S101 - it was asked for
            yield on_image_grid(prediction.heatmap, shape_zyx, fades=fades)[None]
            t += 1
        while t < image.n_frames:
            yield np.zeros((1, *shape_zyx), np.float32)
            t += 1

    write_image(path, frames(), spacing=image.spacing, interval_s=image.interval_s, channels=(_HEATMAP,), kind=_HEATMAP)


def _write(path: Path, nuclei: Annotations, image: TimeLapse) -> None:
    """Write a GEFF with all that is known; a CSV with the columns id, t, z, y, x and probability."""
    from anlage.annotations import Annotations
    from anlage.io import write_annotations

    if path.suffix.lower() == ".csv":
        nuclei = Annotations.of(
            nuclei.positions, ids=nuclei.ids, probability=nuclei.probability, state=nuclei.state, origin=nuclei.origin
        )
    write_annotations(path, nuclei, spacing=image.spacing, interval_s=image.interval_s)
