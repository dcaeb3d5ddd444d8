"""A scripted user goes from the pixels of a synthetic embryo to its divisions and deaths in a real viewer; pictured in ``docs/img``.

    python benchmarks/embryo_events.py WORK
    xvfb-run -a -s "-screen 0 1366x900x24" python docs/screenshots/placed_events.py WORK

Nuclei are those that `anlage predict` found for the benchmark (nothing is known of the truth); they are linked on the Track tab,
accepted, and measured on the Signals tab; two networks that the benchmark trained on other embryos find divisions and deaths. How many of those planted are found
within one frame is printed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from movie_user import MovieUser
from tutorial import SIZE, wait

from anlage import AddNuclei, SyntheticMovie, open_annotations
from anlage.evaluation.event_places import evaluate_placed_events

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from embryo_events import EVENTS, REACH_UM, film, planted

SEED = 101
SIGNAL = "nuclei_p95"
LONG_S = 1800.0


def main() -> None:
    """Track, accept, measure, find both kinds of event, look."""
    import napari

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="where the benchmark left its networks")
    work = parser.parse_args().work
    with tempfile.TemporaryDirectory() as folder:
        viewer = napari.Viewer(show=True)
        viewer.window.resize(SIZE[0], 880)
        user = Onlooker(viewer, film(SEED), Path(folder))
        user.open_nuclei(work / "test0.csv")
        user.track()
        user.measure()
        for event in EVENTS:
            user.find(event, work / event / f"{event}.anlage")
        user.dock.session.close()
        viewer.close()


class Onlooker(MovieUser):
    """Somebody who wants to know which nuclei divide and which die; as `MovieUser`."""

    def __init__(self, viewer: Any, movie: SyntheticMovie, folder: Path) -> None:
        limits = np.percentile(movie.image.read()[:, 0], (1, 99.8)).tolist()
        super().__init__(viewer, movie, folder, "nuclei", contrast_limits=limits)
        self.session.set_diameter(8.0)
        self.dock.go_to("track")

    def open_nuclei(self, path: Path) -> None:
        """Take the nuclei that were found into the project."""
        found = open_annotations(path, spacing=self.movie.spacing)
        self.session.need_document().apply(AddNuclei.of(found))
        self.dock.track.refresh()

    def track(self) -> None:
        """Link the nuclei, and take the tracks into the project."""
        tab = self.dock.track
        wait(lambda: tab.run.button.isEnabled())
        print("nuclei by:", tab.source.chosen.title)
        tab.run.button.click()
        wait(lambda: tab.preview.tracks is not None or tab.status.kind == "error", LONG_S)
        print(tab.status.plain)
        tab.accept.button.click()
        self.picture("embryo-events-tracks", tab.run)

    def measure(self) -> None:
        """Measure along the tracks, by a child process."""
        self.dock.go_to("signals")
        source = self.dock.signals.source
        source.event.setText(EVENTS[0])
        wait(lambda: source.measure.button.isEnabled())
        source.measure.button.click()
        wait(lambda: self.dock.signals.scoring is not None or source.status.kind == "error", LONG_S)
        print(source.where.text(), source.status.plain)

    def find(self, event: str, model: Path) -> None:
        """Find an event with a network from elsewhere, and look at what it found."""
        tab = self.dock.signals
        if tab.source.event_name != event:
            tab.source.event.setText(event)
            before = tab.scoring
            tab.source.event.editingFinished.emit()
            wait(lambda: tab.scoring is not before)
        tab.finder.model.add(model)
        tab.finder.model.choose(model)
        tab.finder.find.button.click()
        wait(lambda: tab.scoring.predicted is not None or tab.finder.status.kind == "error", LONG_S)
        told = tab.scoring.predicted.placed(tab.scoring.signals)
        report = evaluate_placed_events(told, planted(self.movie, event), self.movie.spacing, radius_um=REACH_UM)
        print(
            f"{event}: {report.tp} of {report.n} found within one frame, {report.fp} told that are none; {tab.finder.status.plain}"
        )
        results = tab.results
        results.table.clicked.emit(results.table.model().index(1, 0))
        tab.panel.shown.setCurrentText(SIGNAL)
        self.picture(f"embryo-events-{event}", tab.panel)
        results.colour.setChecked(True)
        self.picture(f"embryo-events-{event}-table", results)
        results.colour.setChecked(False)
        results.signal.setCurrentText(SIGNAL)
        results.view.setCurrentText("Mean signal")
        self.picture(f"embryo-events-{event}-mean", results)
        results.view.setCurrentText("Survival")
        self.picture(f"embryo-events-{event}-survival", results)
        print(results.summary.text())
        results.view.setCurrentText("Table")


if __name__ == "__main__":
    main()
