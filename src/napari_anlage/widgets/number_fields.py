"""Number fields that accept both decimal signs, whatever the computer's language.

Qt reads "0.325" as 325 where the dot groups thousands, and lets "0,5" become 05 where the comma does. Here a comma and a dot
both are the decimal sign, nothing groups, and no key is swallowed: what cannot be read stays to be seen until it is
entered, and is then refused with a sentence.
"""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QLocale, QPoint
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QDoubleSpinBox, QToolTip

from napari_anlage.widgets.escaping import plain

__all__ = ["CountField", "NumberField", "read_number"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DECIMAL = ",.\N{ARABIC DECIMAL SEPARATOR}"
_SIGNS = {**dict.fromkeys(_DECIMAL, "."), "\N{MINUS SIGN}": "-"}
_DIGITS_KEPT = 30
"""Digits behind the point that Qt keeps of a value: enough to change none that has a unit."""
_DIGITS_SHOWN = 10
"""Digits that are written, from the first that is not 0."""
_WRONG = "color:#ff5a5f"


def read_number(text: str) -> float | None:
    """The number that a text is, with a comma or a dot as its decimal sign and digits of any script; None if it is none.

    Nothing groups digits: "1.234,5" and "1 234" are no numbers.
    """
    plain = "".join(_latin(letter) for letter in text.strip())
    value = float(plain) if _NUMBER.fullmatch(plain) else math.nan
    return value if math.isfinite(value) else None


class NumberField(QDoubleSpinBox):
    """A number, written with a dot and no more digits than it has.

    What is set is kept exactly, also where fewer digits are shown; entering it unchanged changes nothing.
    """

    _example = "0.5 or 0,5"

    def __init__(self) -> None:
        super().__init__()
        self._refusal = ""
        self._before: float | None = None  # while somebody types
        self.setLocale(QLocale.c())
        super().setDecimals(_DIGITS_KEPT)
        self.lineEdit().textEdited.connect(self._on_typed)
        self.editingFinished.connect(self._on_entered)

    def take_refusal(self) -> str:
        """Why what was typed last was not taken, asked for once; empty if it was taken."""
        refusal, self._refusal = self._refusal, ""
        return refusal

    def setValue(self, value: float) -> None:
        """Show a number; what somebody was typing is gone."""
        self._before, self._refusal = None, ""
        super().setValue(value)
        self._colour(wrong=False)

    def interpretText(self) -> None:
        """Take or refuse what is typed."""
        super().interpretText()
        self._on_entered()

    # ---- what Qt asks ----

    def stepBy(self, steps: int) -> None:
        """Up or down."""
        super().stepBy(steps)
        self._on_entered()

    def textFromValue(self, value: float) -> str:
        """As many digits as there are."""
        return np.format_float_positional(value + 0.0, precision=_DIGITS_SHOWN, unique=True, fractional=False, trim="-")

    def valueFromText(self, text: str) -> float:
        """The number that is typed; the very number that was shown where nothing was changed."""
        bare = self._bare(text)
        if self.specialValueText() and bare == self.specialValueText():
            return float(self.minimum())
        for known in (self._before, super().value()):
            if known is not None and bare == self.textFromValue(known):
                return float(known)
        number = read_number(bare)
        return float(super().value()) if number is None else number

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Whether it may be entered; nothing is kept from being typed, or the rest would be another number."""
        state = QValidator.State.Intermediate if self._reason(text) else QValidator.State.Acceptable
        return state, text, position

    def fixup(self, text: str) -> str:
        """Refuse what was entered: the number of before comes back."""
        reason = self._reason(text)
        before = super().value() if self._before is None else self._before
        shown = self._written(before)
        if reason:
            self._refusal = f"{reason} {shown} stays."
            QToolTip.showText(self.mapToGlobal(QPoint(0, self.height())), plain(self._refusal), self)
        return shown

    def changeEvent(self, event: Any) -> None:
        """Stay the same when the language changes."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LocaleChange and self.locale() != QLocale.c():
            self.setLocale(QLocale.c())

    # ---- reading ----

    def _reason(self, text: str) -> str:
        """Why a text cannot be entered; empty if it can."""
        bare = self._bare(text)
        if self.specialValueText() and bare == self.specialValueText():
            return ""
        number = self._number(bare)
        if number is None:
            return f"'{bare}' is not a number; write it like {self._example}."
        if bare == self.textFromValue(super().value()):
            return ""
        low, high = super().minimum(), super().maximum()
        if not low <= number <= high:
            return f"{bare} is not possible: it has to lie between {self.textFromValue(low)} and {self.textFromValue(high)}."
        return ""

    def _number(self, bare: str) -> float | None:
        return read_number(bare)

    def _bare(self, text: str) -> str:
        """Without the words before and behind the number."""
        bare = text.strip()
        for words in (self.prefix(), self.suffix()):
            words = words.strip()
            while words and bare.startswith(words):
                bare = bare[len(words) :].strip()
            while words and bare.endswith(words):
                bare = bare[: -len(words)].strip()
        return bare

    def _written(self, value: float) -> str:
        if self.specialValueText() and value == super().minimum():
            return str(self.specialValueText())
        return f"{self.prefix()}{self.textFromValue(value)}{self.suffix()}"

    def _on_typed(self, text: str) -> None:
        if self._before is None:
            self._before = float(super().value())
        self._refusal = ""
        self._colour(wrong=bool(self._reason(text)))

    def _on_entered(self) -> None:
        self._before = None
        self._colour(wrong=False)

    def _colour(self, *, wrong: bool) -> None:
        style = _WRONG if wrong else ""
        if self.lineEdit().styleSheet() != style:
            self.lineEdit().setStyleSheet(style)


class CountField(NumberField):
    """A whole number; one with a decimal sign is refused, for nobody knows whether that was to group thousands."""

    _example = "1200"

    def value(self) -> int:
        """The number."""
        value: float = super().value()
        return round(value)

    def _number(self, bare: str) -> float | None:
        number = read_number(bare)
        fits = number is not None and number.is_integer() and not any(sign in bare for sign in _DECIMAL)
        return number if fits else None


def _latin(letter: str) -> str:
    digit = unicodedata.decimal(letter, None)
    return str(digit) if digit is not None else _SIGNS.get(letter, letter)
