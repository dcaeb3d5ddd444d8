"""Before and after, on the real embryo that comes with the program, in ``docs/img/embryo.png``.

anlage demo --real -o out/demo-real --no-viewer
python docs/screenshots/embryo.py out/demo-real
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from textwrap import wrap

from matplotlib.figure import Figure

from anlage import mouse_embryo, open_annotations
from anlage.cli.demo_movie import real_movie

IMG = Path(__file__).parents[1] / "img"
FRAME = 2
MARKED, FOUND = "#4dd8ff", "#ff4fd8"


def main() -> None:
    folder = Path(sys.argv[1])
    movie, attribution = real_movie(), mouse_embryo().attribution
    flat = movie.image.frame(FRAME)[0].max(axis=0)
    annotated = open_annotations(folder / "annotations.csv")
    found = open_annotations(folder / "found.csv")
    figure = Figure(figsize=(10.4, 5.2), facecolor="black")
    before, after = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.005, right=0.995, top=0.92, bottom=0.07, wspace=0.01)
    for panel in (before, after):
        panel.imshow(flat, cmap="gray", vmin=8, vmax=210, interpolation="bilinear")
        panel.set_axis_off()
    nuclei = annotated.positions[annotated.frames == FRAME]
    before.scatter(nuclei[:, 3], nuclei[:, 2], s=130, facecolors="none", edgecolors=MARKED, linewidths=1.3)
    before.axvline(movie.first_unseen_x - 0.5, color="white", linewidth=1, linestyle=(0, (4, 4)))
    before.set_title(f"you mark one part: {len(annotated)} nuclei at three stages", color=MARKED, fontsize=12)
    nuclei = found.positions[found.frames == FRAME]
    after.scatter(nuclei[:, 3], nuclei[:, 2], s=130, facecolors="none", edgecolors=FOUND, linewidths=1.3)
    after.axvline(movie.first_unseen_x - 0.5, color="white", linewidth=1, linestyle=(0, (4, 4)))
    score = json.loads((folder / "report.json").read_text("utf-8"))["detection"]
    counts = f"{score['tp']} of {score['n_truth']}, {score['fp']} wrong"
    after.set_title(f"the network finds the rest: {counts}", color=FOUND, fontsize=12)
    figure.text(0.5, 0.015, "\n".join(wrap(attribution, 170)), color="0.7", fontsize=7.5, ha="center")
    IMG.mkdir(exist_ok=True)
    figure.savefig(IMG / "embryo.png", dpi=100, facecolor="black")


if __name__ == "__main__":
    main()
