"""Names, times and advice as the dock says them."""

from __future__ import annotations

import pytest

from anlage import TASKS, TrainingConfig
from anlage.wording import duration, for_the_dock, none_in_words, plural


@pytest.mark.parametrize(
    ("description", "word"),
    [
        ("Runs without improvement. None: never.", "never"),
        ("Steps. None: by time.", "automatic"),
        ("Rate. None: 0.004 from fresh weights.", "automatic"),
        ("Model. None: fresh weights.", "automatic"),
        ("Nothing is said of it.", "automatic"),
    ],
)
def test_what_is_left_unset_is_called_by_a_word_and_never_by_half_a_number(description, word) -> None:
    assert none_in_words(description) == word


def test_every_setting_that_may_be_unset_has_a_word() -> None:
    configs = [TrainingConfig, *(task.config for task in TASKS.values())]
    words = {none_in_words(field.description or "") for config in configs for field in config.model_fields.values()}
    assert words == {"automatic", "never"}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "What helps: annotate more nuclei, train longer (`--set steps=…`), or find them without training: `anlage predict "
            "classical IMAGE -o found.csv`.",
            "What helps: annotate more nuclei, train longer, or find them without training: the classical detector, on the "
            "Predict tab.",
        ),
        ("It ended; `anlage resume runs/a` goes on.", "It ended; Resume goes on."),
        ("Make it smaller with --set batch_size=…", "Make it smaller (batch size, under Advanced)"),
        ("Train with --device cpu.", "Train with the device cpu."),
    ],
)
def test_advice_for_a_terminal_becomes_advice_for_the_dock(said, shown) -> None:
    assert for_the_dock(said) == shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0 s"), (47.6, "48 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"), (3599.7, "1 h 0 min"), (7800, "2 h 10 min")],
)
def test_a_time_is_said_in_the_two_units_that_fit_it(seconds, words) -> None:
    assert duration(seconds) == words


def test_a_count_agrees_with_its_noun() -> None:
    assert [plural(n, "file") for n in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
    assert plural(1, "nucleus", "nuclei") == "1 nucleus"
    assert plural(21, "nucleus", "nuclei") == "21 nuclei"
