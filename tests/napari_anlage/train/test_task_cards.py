"""What is trained, how long, where and from which weights: the parts that the Train tab is made of."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from qtpy.QtCore import Qt

from anlage import KINDS, USUAL, Device, Readiness
from napari_anlage.train.device_choice import DeviceChoice
from napari_anlage.train.task_cards import Lengths, StartChoice, TaskCards
from napari_anlage.widgets.details import Details


@pytest.fixture
def cards(qtbot):
    """Two, one of which does not exist yet."""
    made = TaskCards({"centres": KINDS["centres"], "divisions": SimpleNamespace(title="Divisions")})
    qtbot.addWidget(made)
    return made


def test_a_new_kind_of_network_has_a_card_without_another_line_of_code(cards) -> None:
    assert [card.title.text() for card in cards.cards.values()] == ["Centres", "Divisions"]


def test_each_card_says_what_there_is_and_what_is_missing(cards) -> None:
    ready = {
        "centres": Readiness("12 nuclei in 1 region", "50 are better"),
        "divisions": Readiness("no division", lack="No division is annotated; mark one."),
    }
    assert not cards.known
    cards.show_readiness(ready)
    assert cards.cards["centres"].line.plain == "12 nuclei in 1 region; 50 are better."
    assert cards.cards["divisions"].line.plain == "No division is annotated; mark one."
    assert cards.lack is None
    cards.choose("divisions")
    assert cards.lack == "No division is annotated; mark one."
    assert cards.cards["divisions"].line.plain == "No division."  # why it is grey now stands below the button


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_a_card_is_chosen_by_hand(cards, qtbot, by: str) -> None:
    heard = []
    cards.chosen.connect(heard.append)
    card = cards.cards["divisions"]
    if by == "mouse":
        qtbot.mouseClick(card, Qt.MouseButton.LeftButton)
    else:
        qtbot.keyClick(card, Qt.Key.Key_Space)
    assert (cards.kind, heard) == ("divisions", ["divisions"])
    assert "chosen" in card.accessibleName()
    assert "chosen" not in cards.cards["centres"].accessibleName()


def test_the_lengths_follow_from_the_tasks_own(qtbot) -> None:
    lengths = Lengths()
    qtbot.addWidget(lengths)
    lengths.show_steps(250, 40)
    assert [button.text() for button in lengths.group.buttons()] == [
        "Quick look\n50 steps",
        "Standard\n250 steps",
        "Long\n750 steps",
    ]
    assert lengths.steps is None  # the task's own stands in one place only
    lengths.choose(0)
    assert lengths.steps == 50
    lengths.choose(2)
    assert lengths.steps == 750
    lengths.show_steps(400, 40)
    assert lengths.steps == 1200


def test_a_quick_look_is_not_so_short_that_it_teaches_nothing(qtbot) -> None:
    """Else the verdict on every quick look is that it learnt for too few steps."""
    lengths = Lengths()
    qtbot.addWidget(lengths)
    lengths.show_steps(250, 60)
    lengths.choose(0)
    assert lengths.steps == 60


def test_a_model_to_start_from_stays_chosen_while_others_come(qtbot) -> None:
    choice = StartChoice()
    qtbot.addWidget(choice)
    assert choice.model == USUAL, "nobody has to choose"
    choice.offer([("a", Path("/x/a.anlage"))])
    choice.choose(Path("/x/a.anlage"))
    choice.offer([("b", Path("/x/b.anlage")), ("a", Path("/x/a.anlage"))])
    assert choice.model == Path("/x/a.anlage")
    choice.add(Path("/elsewhere/2026-01-01-c.anlage"))
    assert choice.model == Path("/elsewhere/2026-01-01-c.anlage")
    assert choice.currentText() == "c"
    choice.offer([])
    assert choice.model == Path("/elsewhere/2026-01-01-c.anlage")  # it was opened by hand
    choice.choose(Path("/x/a.anlage"))
    assert choice.model == USUAL  # gone
    choice.choose(None)
    choice.offer([])
    assert choice.model is None
    assert choice.currentText() == "fresh weights"


GPU, CPU = Device("cuda:0", "NVIDIA RTX 4090", 24.0, 21.3), Device("cpu", "EPYC, 8 cores", 64.0, 40.0)


def test_devices_are_listed_with_their_free_memory(qtbot) -> None:
    choice = DeviceChoice()
    qtbot.addWidget(choice)
    choice.choose("cuda:0")
    choice.show_devices((GPU, CPU), None)
    texts = [choice.combo.itemText(i) for i in range(choice.combo.count())]
    assert texts == [
        "automatic – cuda:0, 21.3 GB free",
        "cuda:0 – 21.3 of 24 GB free – NVIDIA RTX 4090",
        "cpu – 40.0 of 64 GB free – EPYC, 8 cores",
    ]
    assert choice.value == "cuda:0"
    assert not choice.advice.isVisibleTo(choice)


def test_several_cards_can_train_together(qtbot) -> None:
    choice = DeviceChoice()
    qtbot.addWidget(choice)
    choice.show_devices((GPU, Device("cuda:1", "NVIDIA RTX 4090", 24.0, 23.0), CPU), None)
    assert choice.settings == []
    choice.combo.setCurrentIndex(choice.combo.findText("2 GPUs – together, as 2 processes"))
    assert choice.settings == ["device=cuda:0", "processes=2"]
    choice.choose("cuda:1")
    assert choice.settings == ["device=cuda:1"]


def test_a_card_that_torch_cannot_use_is_named_with_the_command(qtbot) -> None:
    choice = DeviceChoice()
    qtbot.addWidget(choice)
    finding = SimpleNamespace(what="A torch for the NVIDIA card (RTX 4090).", command="python -m pip install torch")
    choice.show_devices((CPU,), finding)
    assert choice.advice.plain == "A torch for the NVIDIA card (RTX 4090)."
    assert choice.command.text() == "python -m pip install torch"
    assert choice.copy.isVisibleTo(choice)
    choice.show_devices((GPU, CPU), None)
    assert not choice.copy.isVisibleTo(choice)


def test_this_computers_devices_are_asked_in_a_thread(qtbot) -> None:
    choice = DeviceChoice()
    qtbot.addWidget(choice)
    choice.refresh()
    qtbot.waitUntil(lambda: choice.combo.count() > 1, timeout=20000)
    assert choice.combo.findData("cpu") > 0
    assert "GB free" in choice.combo.itemText(0)


def test_details_open_on_demand_and_vanish_with_their_text(qtbot) -> None:
    details = Details()
    qtbot.addWidget(details)
    assert details.isHidden()
    details.show_text("Traceback …")
    assert not details.isHidden()
    assert details.text.isHidden()
    details.toggle.click()
    assert not details.text.isHidden()
    assert details.text.toPlainText() == "Traceback …"
    details.show_text("")
    assert details.isHidden()
