"""A scripted user finds the divisions of a synthetic embryo by signals in a real viewer; each step is pictured in ``docs/img``.

    xvfb-run -a -s "-screen 0 1366x900x24" python docs/screenshots/signals.py

The true tracks are taken into the project, their signals measured by ``anlage signals``, some scored by hand, the rest
proposed; the training and the finding are real. How far the found divisions are from the true ones is printed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from movie_user import MovieUser
from tutorial import SIZE, wait

from anlage import AddNuclei, SyntheticMovie, embryo
from napari_anlage.signals.rule_panel import ProposePanel
from napari_anlage.signals.rules import Direction, Method
from napari_anlage.signals.scoring import EVENT, NO_EVENT, NOT_YET

SEED, FRAMES, NUCLEI = 3, 40, 40
BY_HAND = 6
"""Tracks that the user scores, before the rest is proposed."""
LATER = 3
"""Every so-manyth track is left for after the training, to judge the network on."""
SIGNAL = "nuclei_p95"


def main() -> None:
    """Measure, score, propose, train, find, look."""
    import napari

    movie = embryo(SEED, n_frames=FRAMES, shape_zyx=(20, 128, 128), n_nuclei=NUCLEI, vivid=True)
    with tempfile.TemporaryDirectory() as folder:
        viewer = napari.Viewer(show=True)
        viewer.window.resize(SIZE[0], 880)
        user = Watcher(viewer, movie, Path(folder))
        user.measure()
        user.score()
        user.propose()
        user.train()
        user.judge()
        user.apply()
        user.dock.session.close()
        viewer.close()


class Watcher(MovieUser):
    """Somebody who wants to know when nuclei divide; as `MovieUser`."""

    def __init__(self, viewer: Any, movie: SyntheticMovie, folder: Path) -> None:
        limits = np.percentile(movie.image.read()[:, 0], (1, 99.8)).tolist()
        super().__init__(viewer, movie, folder, "nuclei", contrast_limits=limits)
        self.session.need_document().apply(AddNuclei.of(movie.truth))
        self.dock.go_to("signals")
        self.tab = self.dock.signals

    @property
    def mothers(self) -> dict[int, int]:
        """The last frame of each track that ends in a division, by the track's number."""
        links, ids = self.movie.truth.links, self.movie.truth.ids
        frames = self.movie.truth.frames
        earlier, counts = np.unique(links[:, 0], return_counts=True)
        divides = set(earlier[counts == 2].tolist())
        signals = self.tab.scoring.signals
        last = {int(track): int(row[row > 0][-1]) for track, row in zip(signals.ids, signals.nuclei, strict=True)}
        frame_of = dict(zip(ids.tolist(), frames.tolist(), strict=True))
        return {track: frame_of[nucleus] for track, nucleus in last.items() if nucleus in divides}

    def measure(self) -> None:
        """Measure along the tracks, by a child process."""
        source = self.tab.source
        source.event.setText("division")
        wait(lambda: source.measure.button.isEnabled())
        source.measure.button.click()
        wait(lambda: self.tab.scoring is not None or source.status.kind == "error")
        print(source.where.text(), source.status.plain)
        self._show(SIGNAL)

    def score(self) -> None:
        """Score the first tracks."""
        mothers, panel = self.mothers, self.tab.panel
        print(f"{len(mothers)} of {len(self.tab.scoring.signals)} tracks end in a division.")
        first = [i for i, track in enumerate(self.tab.scoring.signals.ids) if int(track) in mothers]
        for n, row in enumerate([*first[: BY_HAND // 2], *range(BY_HAND // 2)]):
            self.tab.scoring.go_to(row)
            track = int(self.tab.scoring.signals.ids[row])
            if track in mothers:
                panel.frame_wanted.emit(mothers[track])
                panel.answers[EVENT].click()
            else:
                panel.answers[NO_EVENT].click()
            if n == 0:
                self.picture("signals-score", self.tab.panel)

    def propose(self) -> None:
        """Propose for the rest by steep rises of the brightness, and mend what is wrong."""
        part: ProposePanel = self.tab.propose
        part.fold.expand()
        part.method.setCurrentIndex(part.method.findData(Method.SLOPE))
        part.signal.setCurrentText(SIGNAL)
        part.direction.setCurrentIndex(part.direction.findData(Direction.UP))
        part.event_from.setValue(7.0)
        part.none_below.setValue(5.0)
        part.propose.button.click()
        wait(lambda: part.status.kind in ("good", "warning", "error"))
        print(part.status.plain)
        self.picture("signals-propose", part)
        scoring, truth = self.tab.scoring, self._truth()
        wrong = [row for row in range(len(truth)) if scoring.classes[row] not in (NOT_YET, truth[row][0])]
        print(f"{len(wrong)} proposals are wrong; {int((scoring.classes == NOT_YET).sum())} tracks are unclear.")
        part.fold.collapse()
        scoring.undo()
        self._answer([row for row in range(len(truth)) if row % LATER != LATER - 1])

    def train(self) -> None:
        """Train on the answers; the network is tried on every track when it is done."""
        finder, train = self.tab.finder, self.dock.train
        finder.train.button.click()
        wait(lambda: train.learns_events and train.start.button.isEnabled())
        train.start.button.click()
        wait(lambda: finder.status.kind == "error" or self.tab.scoring.predicted is not None)
        print(self.dock.train.status.plain, finder.status.plain)

    def judge(self) -> None:
        """Score the tracks that were left, and look at what the network said of them."""
        scoring = self.tab.scoring
        self._answer(list(range(LATER - 1, len(scoring.signals), LATER)))
        finder, judging = self.tab.finder, self.tab.judging
        scoring.predicted = None
        finder.find.button.click()
        wait(lambda: scoring.predicted is not None)
        print(judging.tracks.currentText(), judging.numbers.text(), judging.honest.text())
        for kind, name in (
            ("Confusion matrix", "matrix"),
            ("Times of events", "times"),
            ("ROC", "roc"),
            ("Calibration", "calibration"),
        ):
            judging.kind.setCurrentText(kind)
            self.picture(f"signals-{name}", judging)
        self._compare()

    def apply(self) -> None:
        """Look at the events: table, nuclei before and after, mean signal, survival."""
        results = self.tab.results
        results.colour.setChecked(True)
        results.table.clicked.emit(results.table.model().index(1, 0))
        self.picture("signals-table", results)
        results.colour.setChecked(False)
        results.signal.setCurrentText(SIGNAL)
        results.view.setCurrentText("Mean signal")
        self.picture("signals-aligned", results)
        results.view.setCurrentText("Survival")
        self.picture("signals-survival", results)
        print(results.summary.text())

    def _show(self, name: str) -> None:
        """Bring a signal to the top of the plot."""
        choice = self.tab.panel.shown
        choice.setCurrentText(name)

    def _answer(self, rows: list[int]) -> None:
        """Say what is true of the tracks among these that nobody has scored."""
        truth = self._truth()
        classes, times = ([truth[row][i] for row in rows] for i in range(2))
        self.tab.scoring.propose(rows, classes, [np.nan if t is None else t for t in times], "the truth")

    def _truth(self) -> list[tuple[int, float | None]]:
        mothers = self.mothers
        ids = [int(track) for track in self.tab.scoring.signals.ids]
        return [(EVENT, float(mothers[i])) if i in mothers else (NO_EVENT, None) for i in ids]

    def _compare(self) -> None:
        told, mothers = self.tab.scoring.predicted, self.mothers
        found = dict(zip(told.tracks[told.happened].tolist(), told.frames[told.happened].tolist(), strict=True))
        off = [abs(found[track] - frame) for track, frame in mothers.items() if track in found]
        print(
            f"{len(off)} of {len(mothers)} divisions found, {sum(d <= 1 for d in off)} of them within 1 frame, median "
            f"{np.median(off):.2f}, largest {max(off):.2f}; {len(set(found) - set(mothers))} found that are none."
        )


if __name__ == "__main__":
    main()
