"""A scripted user tracks a synthetic embryo and reviews its tracks in a real viewer; each step is pictured in ``docs/img``.

    xvfb-run -a -s "-screen 0 1366x768x24" python docs/screenshots/review.py

Errors are planted into the tracks, so that there is something to find. Everything is written to a temporary project; only
the pictures are kept, and what was found is printed.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from movie_user import MovieUser
from qtpy.QtCore import Qt
from tutorial import SIZE, settle, wait

from anlage import AddNuclei, Annotations, State, embryo
from anlage.synthetic.planted_errors import Planted, plant
from napari_anlage.viewer.colouring import Colouring

SEED, FRAMES, EACH, APART_UM = 3, 18, 4, 10.0
KEYS = {"swap": "f", "end": "o", "gap": "i", "missed division": "e", "division": "e"}
"""What a user does about each kind; anything else is looked at and accepted."""


def main() -> None:
    """Track, accept, plant, review."""
    import napari

    movie = embryo(SEED, n_frames=FRAMES, shape_zyx=(24, 160, 160), n_nuclei=60)
    with tempfile.TemporaryDirectory() as folder:
        viewer = napari.Viewer(show=True)
        viewer.window.resize(*SIZE)
        user = Reviewer(viewer, movie, Path(folder), "embryo")
        user.track()
        user.review()
        user.trees()
        user.dock.session.close()
        viewer.close()


class Reviewer(MovieUser):
    """Somebody who tracks and reviews."""

    def track(self) -> None:
        """Mark the nuclei, a tenth of them missing, and track them."""
        found = self._found()
        self.session.need_document().apply(AddNuclei.of(found))
        self.dock.go_to("track")
        tab = self.dock.track
        wait(lambda: tab.run.button.isEnabled())
        self.hand.show(8, 12)
        self.session.colour_by(Colouring.LINEAGE)
        tab.run.button.click()
        wait(lambda: tab.status.kind == "error" or (not tab.busy and tab.preview.tracks is not None))
        print(tab.status.plain)
        self.picture("track")
        tab.accept.button.click()
        print(tab.status.plain)

    def _found(self) -> Annotations:
        """The nuclei as a detector that misses some finds them."""
        truth, rng = self.movie.truth, np.random.default_rng(SEED)
        kept = rng.random(len(truth)) > 0.1
        found = truth.linked(np.zeros((0, 2), dtype=np.int64)).select(kept)
        return replace(
            found, state=np.full(len(found), State.PROPOSED, np.int8), probability=rng.uniform(0.9, 1, len(found))
        )

    def review(self) -> None:
        """Go through the worst of tracks with planted errors, with keys alone."""
        planted = self._plant()
        self.dock.go_to("review")
        panel = self.dock.review.warnings
        inspection = panel.inspection
        inspection.take(())
        panel.look()
        wait(lambda: bool(inspection.warnings))
        named = {nucleus for one in inspection.warnings[:30] for nucleus in one.ids}
        print(
            f"{sum(bool(ids & named) for _, ids in planted)} of {len(planted)} planted errors are among the first 30 warnings."
        )
        self.session.colour_by(Colouring.TRACK)
        self.hand.press(Qt.Key.Key_Period, ".")
        self.picture("review")
        n_first, document = len(inspection.warnings), self.session.document
        for n in range(len(planted)):
            one = inspection.current
            if one is None or one.score < 0.3:
                break
            letter, before = KEYS.get(one.kind, "y"), document.revision
            self.hand.press(getattr(Qt.Key, f"Key_{letter.upper()}"), letter)
            wait(lambda: inspection.current is None and not panel.busy, 60)
            print(
                f"  {one.kind}, {100 * one.score:.0f} %: {document.undo_text if document.revision > before else 'nothing'}"
            )
            if n == 1:
                self.picture("review-fixed")
            self.hand.press(Qt.Key.Key_Period, ".")
        print(f"{n_first} warnings before, {len(inspection.warnings)} after.")

    def _plant(self) -> Planted:
        """The true tracks with planted errors, and the probabilities that distance and motion give the links."""
        from anlage.inference.links import score_links

        spoilt, planted = plant(self.movie.truth, SEED, EACH, self.movie.spacing, APART_UM)
        candidates, probability = score_links(None, spoilt, self.movie.spacing, None)
        rows = np.searchsorted(spoilt.ids, spoilt.links)
        known = {tuple(pair): p for pair, p in zip(candidates.pairs.tolist(), probability, strict=True)}
        chance = np.array([known.get(tuple(pair), 0.01) for pair in rows.tolist()])
        document = self.session.need_document()
        while document.undo() is not None:
            pass
        proposed = np.full(len(spoilt), State.PROPOSED, np.int8)
        document.apply(AddNuclei.of(replace(spoilt, link_properties={"probability": chance}, state=proposed)))
        return planted

    def trees(self) -> None:
        """The lineage tree, and error probabilities as colours."""
        self.session.colour_by(Colouring.ERROR)
        self.dock.review.colours.open_tree()
        settle()
        self.viewer.reset_view()
        self.picture("lineage")


if __name__ == "__main__":
    main()
