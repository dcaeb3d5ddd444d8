"""``anlage report``: pictures of how a training went and how good its network is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from anlage.cli.arguments import Parser
from anlage.errors import AnlageError
from anlage.wording import plural

if TYPE_CHECKING:
    from anlage.card import Card
    from anlage.training.run import Run

__all__ = ["write_report"]


def configure_report(parser: Parser) -> None:
    parser.explain(
        "Every training writes these pictures at its end: its curves and, on held-out data, the confusion matrix, the times of events,\n"
        "ROC, precision and recall, and the calibration. This draws them again, or for a run from before.",
        "anlage report run",
    )
    parser.add_argument("run", metavar="RUN", help="folder made by `anlage train`")


def run_report(options: argparse.Namespace) -> int:
    from anlage.training.run import Run

    run = Run.open(options.run)
    drawn = write_report(run)
    if not drawn:
        raise AnlageError(f"The run {options.run} has nothing to draw yet (it is {run.state}); train it first.")
    print(f"{plural(len(drawn), 'picture')} in {run.report_path}: {', '.join(path.name for path in drawn)}.")
    return 0


def write_report(run: Run) -> list[Path]:
    """Draw whatever the run has the data of, into its folder ``report``."""
    from anlage.model import read_card
    from anlage.pictures.results import draw_training
    from anlage.training.progress import Step, Validated

    folder, events = run.report_path, run.events()[0]
    drawn = []
    if any(isinstance(event, Step | Validated) for event in events):
        draw_training(folder / "curves.png", events)
        drawn.append(folder / "curves.png")
    return drawn if run.model_path is None else [*drawn, *_held_out(run, folder, read_card(run.model_path))]


def _held_out(run: Run, folder: Path, card: Card) -> list[Path]:
    from anlage.io.signal_files.held_out import HELD_OUT, read_held_out
    from anlage.pictures.held_out import Subject, draw_answers, draw_events
    from anlage.tasks import TASKS
    from anlage.tasks.nuclei.heads import finds_classes

    evidence = card.evidence
    noun = (
        card.task if card.task in TASKS else "objects"
    )  # the kinds that come with the program are called by what they find
    subject = Subject(noun, evidence.threshold, evidence.held_out, finds=not finds_classes(card.head))
    if card.task == "events" and (run.path / HELD_OUT).is_file():
        return draw_events(folder, read_held_out(run.path / HELD_OUT), subject)
    return [] if evidence.answers is None else draw_answers(folder, evidence.answers, subject)
