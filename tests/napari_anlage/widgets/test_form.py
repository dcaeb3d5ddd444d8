"""Generated forms: what they show is what they give back."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, ConfigDict

from anlage import TASKS, AnlageError, TrainingConfig
from napari_anlage.widgets.form import form_for, read


class Inner(BaseModel):
    """A group of its own."""

    model_config = ConfigDict(frozen=True)
    depth: int = 3
    rate: float = 3e-4


class Awkward(BaseModel):
    """Everything that generated forms are known to get wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    tiny: Annotated[float, Gt(0)] = 3e-7
    """A learning rate. In nothing."""
    third: float = 1 / 3
    many: Annotated[int, Ge(1)] = 2_000_000
    negative: int = -5
    word: str = "07"
    flag: bool = True
    kind: Literal["centres", "instances"] = "instances"
    some: Annotated[int, Ge(2), Le(9)] | None = None
    given: float | None = 0.25
    frames: tuple[int, ...] = (0,)
    sizes: tuple[float, float, float] = (16.0, 32.5, 32.0)
    inner: Inner = Inner(depth=4, rate=1e-5)


CONFIGS = [
    Awkward(),
    Awkward(some=4, frames=(-1, 0, 1), given=None),
    TrainingConfig(),
    TrainingConfig(steps=123, minutes=0.7, learning_rate=3e-4, patience=None, precision="float32"),
    *(task.config() for task in TASKS.values()),
    Inner(),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: type(c).__name__)
def test_round_trip(qtbot, config) -> None:
    form = form_for(config)
    qtbot.addWidget(form)
    assert read(form) == config


def test_what_was_edited_is_read(qtbot) -> None:
    form = form_for(Awkward())
    qtbot.addWidget(form)
    for name, value in {"tiny": 5e-4, "some": 7, "frames": (-1, 0, 1), "given": None, "kind": "centres"}.items():
        form.set_value(name, value)
    assert form.read() == Awkward(tiny=5e-4, some=7, frames=(-1, 0, 1), given=None, kind="centres")
    assert set(form.assignments()) == {"tiny=0.0005", "some=7", "frames=-1,0,1", "given=none", "kind=centres"}


def test_a_single_number_typed_for_a_list_is_a_list_of_one(qtbot) -> None:
    form = form_for(Awkward(frames=(-1, 0, 1)))
    qtbot.addWidget(form)
    form._rows["frames"]._editor.value = "2"
    assert form.read().frames == (2,)


def test_bounds_units_and_prose_are_shown(qtbot) -> None:
    form = form_for(Awkward())
    qtbot.addWidget(form)
    tip = form._rows["tiny"].toolTip()
    assert tip == "A learning rate. In nothing. (more than 0)"
    assert form._rows["some"]._editor.max == 9
    form.set_value("tiny", 3e-7)
    assert form._rows["tiny"]._editor.value == 3e-7


def test_an_impossible_value_is_a_sentence_that_names_the_field(qtbot) -> None:
    form = form_for(Awkward())
    qtbot.addWidget(form)
    form._rows["frames"]._editor.value = "a,b"
    with pytest.raises(AnlageError, match=r"^The setting 'frames 0' is not possible"):
        form.read()


def test_assignments_are_those_of_the_command_line(qtbot) -> None:
    form = form_for(TrainingConfig(), skip=("minutes",))
    qtbot.addWidget(form)
    assert form.assignments() == []
    form.set_value("steps", 40)
    form.set_value("learning_rate", 1e-3)
    assert form.assignments() == ["steps=40", "learning_rate=0.001"]
    assert "minutes" not in form.names()
