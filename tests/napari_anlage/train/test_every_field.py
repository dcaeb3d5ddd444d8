"""Every field of the cards that learn from images, walked one after the other, reaches the run that is made."""

from __future__ import annotations

import itertools
import json

import pytest
from qtpy.QtWidgets import QAbstractSpinBox, QCheckBox, QComboBox, QLineEdit, QWidget

from anlage import AnlageError, Run
from anlage.tasks import KINDS

pytestmark = pytest.mark.viewer
OF_A_MODEL = ("freeze_encoder=true", "fresh_weights=true")
"""Refused without a model to start from; what they do with one is tested beside the training loop."""
TYPED = ("{0}1", "1", "8,32,32")
"""What may be typed into a field of text, one of which it takes."""


def changes(widget: QWidget):
    """Set it otherwise, as a user might, in one way after the other."""
    if isinstance(widget, QAbstractSpinBox):
        first = widget.value()
        for way in (1, -1):
            widget.setValue(first + way * widget.singleStep())
            if widget.value() != first:
                yield
    elif isinstance(widget, QComboBox):
        for i in range(widget.count()):
            if i != widget.currentIndex():
                widget.setCurrentIndex(i)
                yield
    elif isinstance(widget, QLineEdit):
        first = widget.text()
        for text in TYPED:
            widget.setText(text.format(first))
            yield
    else:
        widget.click()
        yield


@pytest.mark.parametrize("kind", [name for name in KINDS if name != "events"])
def test_every_field_of_a_card_reaches_the_run(train, controls, run, tmp_path, kind) -> None:
    train.cards.choose(kind)
    train.advanced.expand(animate=False)
    store = run.config.stores[0].place(run.path)
    number = itertools.count()

    def now() -> dict:
        made = Run.create(tmp_path / f"run{next(number)}", KINDS[kind].task, [store], train.settings())
        said = json.loads((made.path / "run.json").read_text())
        return {key: said[key] for key in ("training", "settings")}

    def reaches(widget: QWidget, before: dict) -> dict | None:
        """What is in run.json after it was set in one of the possible ways; None if none of them changes anything."""
        for _ in changes(widget):
            try:
                after = now()
            except AnlageError as error:
                if any(one in str(error) for one in OF_A_MODEL):
                    widget.click()
                    return before
                continue
            if after != before:
                return after
        return None

    seen = {id(train.begin_with)}
    before = now()
    while new := [widget for widget in controls(train) if id(widget) not in seen]:
        widget = new[0]
        seen.add(id(widget))
        after = reaches(widget, before)
        # a tick may have opened an empty line, which is walked next and has to reach it
        opened = isinstance(widget, QCheckBox) and len([one for one in controls(train) if id(one) not in seen]) >= len(
            new
        )
        assert after is not None or opened, f"{type(widget).__name__} does nothing: {widget.toolTip()[:80]}"
        before = after or before
    assert len(seen) > 30
