"""Wording of names, durations, numbers and plurals in messages."""

from __future__ import annotations

import re

__all__ = ["duration", "for_the_dock", "in_words", "none_in_words", "plural", "remaining", "short"]

_UNITS = {"um": "µm", "s": "s", "seconds": "s", "minutes": "min"}


def in_words(name: str) -> str:
    """A parameter's name for people: its unit, which it carries as its last word, in brackets."""
    *words, last = name.split("_")
    return f"{' '.join(words)} ({_UNITS[last]})" if words and last in _UNITS else name.replace("_", " ")


def for_the_dock(sentence: str) -> str:
    """What the command line advises, as the dock has it: a button or a field."""
    text = re.sub(r"`anlage resume [^`]*`", "Resume", sentence)
    text = re.sub(r"`anlage predict classical [^`]*`", "the classical detector, on the Predict tab", text)
    text = re.sub(r"with --set (\w+)=…", lambda option: f"({in_words(option[1])}, under Advanced)", text)
    text = re.sub(r" \(`--set \w+=…`\)", "", text)
    return re.sub(r"with --device (\w+)", r"with the device \1", text)


def none_in_words(description: str) -> str:
    """What a parameter is called that is left unset: the single word that its description has for it, else automatic."""
    found = re.search(r"None: ([a-z]+)\.(?:\s|$)", description)
    return found[1] if found else "automatic"


def short(name: str) -> str:
    """A run's or model's name without the date that it begins with."""
    return re.sub(r"^\d{4}-\d\d-\d\d-", "", name)


def duration(seconds: float) -> str:
    """``48 s``, ``3 min 5 s`` or ``2 h 10 min``."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def remaining(seconds: float | None) -> str:
    """How long something still takes, in words; None while nobody knows."""
    return "measuring the speed" if seconds is None else f"{duration(seconds)} left"


def plural(n: int, one: str, many: str = "") -> str:
    """So many, in words: 1 nucleus, 2 nuclei."""
    return f"{n} {one if n == 1 else many or one + 's'}"
