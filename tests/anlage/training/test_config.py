from __future__ import annotations

from types import ModuleType
from typing import Literal

import pytest

from anlage.errors import AnlageError
from anlage.frozen import Frozen
from anlage.tasks import TASKS
from anlage.training.config import RunConfig, TrainingConfig, assign


class Settings(Frozen):
    head: Literal["centres", "instances"] = "centres"
    """Kind of output."""
    frames: tuple[int, ...] = (0,)
    diameter_um: float | None = None
    label: str = "a"
    nothing: tuple[float, ...] = ()


class Kind:
    config = Settings

    def with_defaults(self, config: Settings) -> Settings:
        return config


TOY = {"toy": Kind()}


def assigned(*texts: str) -> tuple[TrainingConfig, Settings]:
    training, settings = assign("toy", texts, TOY)
    assert isinstance(settings, Settings)
    return training, settings


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("head=instances", "head", "instances"),
        ("frames=-1,0,1", "frames", (-1, 0, 1)),
        ("frames=[0, 1]", "frames", (0, 1)),
        ("frames=2", "frames", (2,)),
        ("diameter_um=6.5", "diameter_um", 6.5),
        ("diameter_um=none", "diameter_um", None),
        ("label=5", "label", "5"),
        ("label=a=b", "label", "a=b"),
        (" label = x ", "label", "x"),
    ],
)
def test_texts_become_settings_of_the_task(text: str, name: str, value: object) -> None:
    assert getattr(assigned(text)[1], name) == value


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("steps=500", "steps", 500),
        ("minutes=0.5", "minutes", 0.5),
        ("augment=false", "augment", False),
        ("learning_rate=1e-3", "learning_rate", 1e-3),
        ("device=cuda:0", "device", "cuda:0"),
        ("patience=none", "patience", None),
    ],
)
def test_texts_become_settings_of_every_training(text: str, name: str, value: object) -> None:
    assert getattr(assigned(text)[0], name) == value


def test_the_last_of_two_assignments_counts() -> None:
    assert assigned("steps=5", "steps=7")[0].steps == 7


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("stepz=5", r"There is no setting 'stepz' for training toy; did you mean steps\?"),
        ("steps", r"'steps' is not of the form name=value, for example steps=500"),
        ("steps=-3", r"steps=-3 is not possible: input should be greater than or equal to 1\. steps: Optimiser steps"),
        ("steps=many", r"steps=many is not possible: input should be a valid integer"),
        ("head=heads", r"head=heads is not possible: input should be 'centres' or 'instances'"),
        ("learning_rate=nan", r"learning_rate=nan is not possible"),
    ],
)
def test_an_impossible_setting_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(AnlageError, match=sentence):
        assigned(text)


def test_an_unknown_task_names_those_there_are() -> None:
    with pytest.raises(AnlageError, match="no task 'neclei'; there is toy"):
        assign("neclei", (), TOY)


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_no_task_has_a_setting_that_every_training_has(task: object) -> None:
    """Names are flat, so one must not hide the other."""
    assert not task.config.model_fields.keys() & TrainingConfig.model_fields.keys()  # type: ignore[attr-defined]


@pytest.mark.parametrize("model", [TrainingConfig, RunConfig])
def test_every_number_is_explained(model: type[Frozen]) -> None:
    plain = {"task", "stores", "training", "schema_version"}  # said by their names
    assert [n for n, field in model.model_fields.items() if not field.description and n not in plain] == []


def test_defaults_survive_the_disk(toy: ModuleType) -> None:
    training, settings = assign("toy", ["scores=0.5,0.6"], toy.TASKS)
    assert TrainingConfig.model_validate_json(training.model_dump_json()) == training
    assert toy.ToyConfig.model_validate(settings.model_dump(mode="json")) == settings
