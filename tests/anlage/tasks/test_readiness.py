"""What a task says it has and needs, before anything is built."""

from __future__ import annotations

import numpy as np

from anlage.annotations import Annotations, State
from anlage.axes import Box
from anlage.tasks import TASKS
from anlage.timelapse import TimeLapse

LEFT, RIGHT = Box((0, 2), (0, 4), (0, 10), (0, 10)), Box((0, 2), (0, 4), (0, 10), (20, 30))


def nuclei(n: int, **columns) -> Annotations:
    rng = np.random.default_rng(0)
    positions = np.column_stack([rng.integers(0, 2, n), *(rng.uniform(0, high, n) for high in (3, 9, 9))])
    return Annotations.of(positions, **columns)


def test_few_nuclei_train_but_more_are_wished_for() -> None:
    ready = TASKS["nuclei"].readiness(nuclei(12), [LEFT, RIGHT])
    assert ready.can_train
    assert str(ready) == "12 nuclei in 2 regions; 50 are better"


def test_enough_is_enough() -> None:
    assert str(TASKS["nuclei"].readiness(nuclei(60), [LEFT])) == "60 nuclei in 1 region"


def test_a_nucleus_in_two_overlapping_regions_counts_once() -> None:
    assert TASKS["nuclei"].readiness(nuclei(60), [LEFT, LEFT]).has == "60 nuclei in 2 regions"


def test_rejected_ones_are_told_apart_and_unchecked_ones_too() -> None:
    state = [State.REJECTED] * 3 + [State.PROPOSED] * 2 + [State.ACCEPTED] * 5
    ready = TASKS["nuclei"].readiness(nuclei(10, state=state), [LEFT])
    assert ready.has == "7 nuclei in 1 region, 3 rejected (2 proposed, not checked)"


def test_each_thing_that_is_missing_is_said_with_what_to_do() -> None:
    task = TASKS["nuclei"]
    assert "mark some nuclei" in task.readiness(nuclei(0), [LEFT]).lack
    assert "mark some nuclei" in task.readiness(nuclei(3, state=State.REJECTED), [LEFT]).lack
    assert "put a box around them" in task.readiness(nuclei(3), []).lack
    assert "3 nuclei marked" in task.readiness(nuclei(3), []).lack
    assert "move their walls" in task.readiness(nuclei(3), [RIGHT]).lack


def painted(values: list[int], **columns) -> Annotations:
    """Nuclei in a row with these numbers in painted labels."""
    labels = TimeLapse.of(np.zeros((1, 1, 4, 40), np.uint16), "tzyx")
    return Annotations.of([(0, 0, 1, x) for x in range(len(values))], label=values, labels=labels, **columns)


def test_masks_are_what_outlines_are_learnt_from() -> None:
    everywhere, nowhere = Box((0, 1), (0, 1), (0, 4), (0, 40)), Box((0, 1), (0, 1), (3, 4), (0, 40))
    task, some = TASKS["nuclei"], painted([0, 5, 6])
    assert "No nucleus is painted" in task.readiness_of("outlines", nuclei(3), [everywhere]).lack
    assert "put a box around them" in task.readiness_of("outlines", some, []).lack
    assert str(task.readiness_of("outlines", some, [everywhere])) == "2 masks in 1 region; 50 are better"
    assert "The regions hold no mask" in task.readiness_of("outlines", some, [nowhere]).lack
    rejected = painted([5, 6], state=[State.ACCEPTED, State.REJECTED])
    assert task.readiness_of("outlines", rejected, [everywhere]).has == "1 mask in 1 region"
    assert task.readiness_of("centres", some, [everywhere]).has == "3 nuclei in 1 region"


def test_classes_are_few_painted_numbers() -> None:
    everywhere = Box((0, 1), (0, 1), (0, 4), (0, 40))
    task = TASKS["nuclei"]
    assert "No class is painted" in task.readiness_of("classes", nuclei(3), [everywhere]).lack
    assert task.readiness_of("classes", painted([1, 2, 2]), [everywhere]).has == "2 painted classes; 1 region"
    assert "put a box" in task.readiness_of("classes", painted([1, 2]), []).lack
    assert (
        "33 numbers are painted, which are objects"
        in task.readiness_of("classes", painted(list(range(1, 34))), []).lack
    )
