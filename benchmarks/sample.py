"""Cut the real sample that comes with the program out of BBBC050: `python benchmarks/sample.py ../shared/data/bbbc050-mouse-embryo`.

Three volumes of one embryo, 50 frames apart, become three frames; the grey values (90 to 600, 0.1 % lie above) become 8 bit, and
the hand-drawn nuclei become their centres.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tifffile

from anlage import Annotations, Spacing, write_annotations
from anlage.labels import measure_labels, radius
from anlage.samples import HOME

EMBRYO = "train_Emb01"
FRAMES = ("t401", "t451", "t501")
SPACING = Spacing(1.75, 0.8, 0.8)
DARK, STEP = 90, 2


def main() -> None:
    data = Path(sys.argv[1])
    frames, rows, radii = [], [], []
    for t, name in enumerate(FRAMES):
        pixels = tifffile.imread(data / "images" / f"{EMBRYO}_{name}.tif").astype(np.int64)
        frames.append(np.clip((pixels - DARK) // STEP, 0, 255).astype(np.uint8))
        labels = tifffile.imread(data / "labels" / f"{EMBRYO}_{name}.tif")
        _, sizes, centres = measure_labels(labels, name)
        rows.append(np.column_stack([np.full(len(centres), t), centres]))
        radii.append(radius(sizes, SPACING, is_flat=False))
    tifffile.imwrite(
        HOME / "mouse-embryo.ome.tif",
        np.stack(frames),
        ome=True,
        compression="zlib",
        metadata={
            "axes": "TZYX",
            **{f"PhysicalSize{axis.upper()}": size for axis, size in zip("zyx", SPACING.zyx, strict=True)},
            **{f"PhysicalSize{axis}Unit": "µm" for axis in "XYZ"},
        },
    )
    nuclei = Annotations.of(np.concatenate(rows), radius_um=np.concatenate(radii))
    write_annotations(HOME / "mouse-embryo.csv", nuclei, spacing=SPACING)


if __name__ == "__main__":
    main()
