"""``anlage predict`` with a divisions model: how probably each given nucleus is about to divide."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anlage.cli.arguments import check_free, open_with_options, print_painted_labels, writer
from anlage.cli.interruption import until_halted
from anlage.cli.prediction_output import ProgressReporter
from anlage.cli.scale import scaled_by
from anlage.errors import AnlageError
from anlage.inference.divisions import DivisionScorer, with_divisions
from anlage.io import open_annotations, write_annotations
from anlage.io.atomic import check_apart

if TYPE_CHECKING:
    from anlage.model import Model

__all__ = ["predict_divisions"]

_FOREIGN = {
    "region": "--region", "threshold": "--threshold", "all_candidates": "--all-candidates", "heatmap": "--heatmap",
    "frames": "--frames", "resume": "--resume", "parts_only": "--parts-only",
}  # fmt: skip
"""Options of the search for nuclei, which mean nothing here."""


def predict_divisions(model: Model, options: argparse.Namespace, reporter: ProgressReporter) -> int:
    """Write the detections once more, with a column `division_probability`."""
    _check_options(model, options)
    for taken in (options.image, options.nuclei):
        check_apart(options.output, taken)
    check_free(options.output, options, "nuclei")
    image = scaled_by(open_with_options(options.image, options), options.nuclei, options)
    nuclei = open_annotations(options.nuclei, image=image, spacing=image.spacing)
    print_painted_labels(nuclei)
    if not len(nuclei):
        raise AnlageError(f"{options.nuclei} holds no nuclei; find some first, with `anlage predict starter`.")
    scorer = DivisionScorer.of(
        model, image, channels=options.channels, diameter_um=options.diameter_um, device=options.device
    )
    for note in (*nuclei.notes, *scorer.loaded.notes):
        reporter.note(note)
    probability = np.full(len(nuclei), np.nan)
    frames = np.unique(nuclei.frames)
    reporter.start(len(frames), 0)
    stop = options.output.with_name(f"{options.output.name}.stop")

    def say_where() -> None:
        reporter.end("stopped", f"Stopped. {options.written.sentence()}")

    def work() -> None:
        for rows, found in scorer.frames(nuclei):
            probability[rows] = found
            reporter.frame(int(nuclei.frames[rows[0]]), len(rows))
        reporter.end("writing", f"Writing {options.output}.")
        scored = with_divisions(nuclei, probability)
        write_annotations(
            options.output, scored, spacing=image.spacing, interval_s=image.interval_s, by=writer(options)
        )

    try:
        code = until_halted(stop, say_where, work)
    finally:
        stop.unlink(missing_ok=True)
    if code == 0:
        reporter.end("finished", _summary(probability, model, options.output), len(nuclei))
    return code


def _check_options(model: Model, options: argparse.Namespace) -> None:
    """Refuse what is missing, or has no meaning here."""
    name = model.card.name
    if options.nuclei is None:
        raise AnlageError(
            f"The model '{name}' says which nuclei divide, and needs to be told where they are: give them with --nuclei, a "
            "table, GEFF or labels, for example the output of `anlage predict starter`."
        )
    given = [option for field, option in _FOREIGN.items() if getattr(options, field) not in (None, False)]
    if given:
        raise AnlageError(
            f"{given[0]} has no meaning for the divisions model '{name}', which scores every nucleus that it is given: "
            "leave it out."
        )


def _summary(probability: object, model: Model, output: Path) -> str:
    p = np.asarray(probability, dtype=float)
    threshold = model.card.evidence.threshold
    likely, unseen = int((p >= threshold).sum()), int(np.isnan(p).sum())
    rest = f"; {unseen} lie in the last frame, after which nothing is seen, and have none" if unseen else ""
    return (
        f"{likely} of {len(p)} nuclei are about to divide with a probability of {threshold:.2f} or more (a division may count "
        f"in two neighbouring frames){rest}. Written to {output}."
    )
