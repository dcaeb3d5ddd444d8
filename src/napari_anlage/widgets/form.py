"""Forms generated from config models: label, bounds, unit and help come from the config.

magicgui makes the editors of choices, boxes and texts; numbers have fields of our own, which read both decimal signs. What
magicgui does not do (optional values, tuples) is added here. The round
trip is exact: ``read(form_for(config)) == config``.
"""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import enum
import json
import math
import types
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from magicgui.widgets import create_widget
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QSizePolicy, QWidget

from anlage import AnlageError
from anlage.wording import in_words, none_in_words
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.number_fields import CountField, NumberField
from napari_anlage.widgets.plain_text import Label

__all__ = ["Form", "form_for", "read"]

Config = TypeVar("Config", bound=BaseModel)
_INT_MAX = 2**31 - 1
_TINY = 1e-12
"""The least of what has to be above 0."""


def form_for(config: BaseModel, skip: Iterable[str] = ()) -> Form:
    """A form that shows a config's values; fields in `skip` keep theirs and are not shown."""
    return Form(config, frozenset(skip))


def read(form: Form) -> BaseModel:
    """The config that a form shows.

    Raises
    ------
    AnlageError
        If a value is not possible, with the field and why.
    """
    return form.read()


class Form(QWidget):
    """One row for each field of a config; see `form_for`."""

    changed = Signal()

    def __init__(self, config: BaseModel, skip: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self._config = config
        self._rows: dict[str, _Row] = {}
        self._labels: dict[str, Label] = {}
        self._shown = frozenset(type(config).model_fields)
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        for name, field in type(config).model_fields.items():
            if name in skip:
                continue
            row = _Row(field, getattr(config, name))
            row.changed.connect(self.changed)
            label = Label(in_words(name))
            label.setToolTip(row.toolTip())
            self._rows[name], self._labels[name] = row, label
            layout.addRow(label, row)

    def read(self) -> BaseModel:
        """The config that is shown."""
        values = {name: getattr(self._config, name) for name in type(self._config).model_fields}
        values |= {name: row.value() for name, row in self._rows.items()}
        try:
            return type(self._config).model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = " ".join(str(part) for part in first["loc"]).replace("_", " ")
            raise AnlageError(f"The setting '{where}' is not possible: {first['msg']}.") from error

    def assignments(self) -> list[str]:
        """What differs from the defaults, each as ``name=value`` of the command line."""
        config = self.read()
        default = type(config)()
        dumped = config.model_dump(mode="json")
        return [
            f"{name}={_as_text(dumped[name])}"
            for name in type(config).model_fields
            if name in self._shown and getattr(config, name) != getattr(default, name)
        ]

    def show_only(self, names: Iterable[str]) -> None:
        """Show the rows of these fields; the others stand as they are by default, whatever was set."""
        self._shown = frozenset(names)
        for name, row in self._rows.items():
            row.setVisible(name in self._shown)
            self._labels[name].setVisible(name in self._shown)

    def set_step(self, name: str, step: float) -> None:
        """Let the arrows of a number go in these steps."""
        self._rows[name].set_step(step)

    def set_value(self, name: str, value: Any) -> None:
        """Show another value in a row."""
        self._rows[name].set_value(value)

    def names(self) -> list[str]:
        """Fields that are shown."""
        return list(self._rows)


class _Row(QWidget):
    """Editor of one field; before one that may be None, a box that is ticked while it is left to the program."""

    changed = Signal()

    def __init__(self, field: FieldInfo, value: Any) -> None:
        super().__init__()
        kind, self._optional = _without_none(field.annotation)
        self._kind, self._shown = kind, value
        bounds = _bounds(field)
        self.setToolTip(plain(_tooltip(field, bounds)))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._tick = QCheckBox(none_in_words(field.description or ""))
        self._tick.setVisible(self._optional)
        self._tick.setToolTip(self.toolTip())
        self._nested = isinstance(kind, type) and issubclass(kind, BaseModel)
        self._editor: Any = Form(value) if self._nested else _editor(kind, value, bounds, _multiple(field))
        native = self._editor if self._nested else self._editor.native
        native.setToolTip(self.toolTip())
        native.setMinimumWidth(60)
        self._native = native
        native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._is_text = not self._nested and not _is_simple(kind)
        layout.addWidget(self._tick)
        layout.addWidget(native, 1)
        if self._optional:
            layout.addStretch(0)
        self.set_value(value)
        self._tick.toggled.connect(self._on_tick)
        self._editor.changed.connect(self._on_edit)

    def value(self) -> Any:
        if self._optional and self._tick.isChecked():
            return None
        if self._shown is not None and self._seen() == self._at_show:
            return self._shown  # untouched: exactly what was given, whatever the editor can show of it
        seen = self._seen()
        if not self._is_text or self._kind is str:
            return seen
        parsed = _parsed(seen)
        return (parsed,) if get_origin(self._kind) is tuple and not isinstance(parsed, tuple | list) else parsed

    def set_step(self, step: float) -> None:
        self._native.setSingleStep(step)

    def set_value(self, value: Any) -> None:
        self._shown = value
        if self._optional:
            self._tick.setChecked(value is None)
            self._native.setVisible(value is not None)
        if value is not None and not self._nested:
            self._editor.value = _as_text(value) if self._is_text else value
        self._at_show = self._seen()

    def _seen(self) -> Any:
        return self._editor.read() if self._nested else self._editor.value

    def _on_tick(self, ticked: bool) -> None:  # noqa: FBT001 - Qt's signal
        self._native.setVisible(not ticked)
        self.changed.emit()

    def _on_edit(self, *_: Any) -> None:
        self.changed.emit()


class _Number:
    """A number field with the names that magicgui's editors have."""

    def __init__(self, field: NumberField, ends: tuple[float, float], step: float, value: float | None) -> None:
        self.native = field
        self.min, self.max = ends
        field.setRange(*ends)
        field.setSingleStep(step)
        field.setValue((0 if ends[0] < 0 else max(ends[0], step)) if value is None else value)
        self.changed = field.valueChanged

    @property
    def value(self) -> Any:
        """The number."""
        return self.native.value()

    @value.setter
    def value(self, value: float) -> None:
        self.native.setValue(value)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """The kind of a field, and whether it may be None."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return _bare(annotation), False
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    return (_bare(kinds[0]) if len(kinds) == 1 else annotation), len(kinds) < len(get_args(annotation))


def _bare(annotation: Any) -> Any:
    # Annotated[int, Ge(1)] inside a union keeps its wrapping
    return get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation


def _constraints(field: FieldInfo) -> list[Any]:
    found = list(field.metadata)
    for kind in (field.annotation, *get_args(field.annotation)):
        for item in getattr(kind, "__metadata__", ()):
            found += list(getattr(item, "metadata", ())) or [item]
    return found


def _bounds(field: FieldInfo) -> tuple[float | None, float | None, bool, bool]:
    """Lowest and highest value, and whether each is itself excluded."""
    low = high = None
    open_low = open_high = False
    for item in _constraints(field):
        if getattr(item, "ge", None) is not None:
            low = item.ge
        if getattr(item, "gt", None) is not None:
            low, open_low = item.gt, True
        if getattr(item, "le", None) is not None:
            high = item.le
        if getattr(item, "lt", None) is not None:
            high, open_high = item.lt, True
    return low, high, open_low, open_high


def _tooltip(field: FieldInfo, bounds: tuple[float | None, float | None, bool, bool]) -> str:
    low, high, open_low, open_high = bounds
    limits = []
    if low is not None:
        limits.append(f"{'more than' if open_low else 'at least'} {low:g}")
    if high is not None:
        limits.append(f"{'less than' if open_high else 'at most'} {high:g}")
    text = " ".join((field.description or "").split())
    return f"{text} ({', '.join(limits)})" if limits else text


def _multiple(field: FieldInfo) -> int:
    """What a whole number has to be a multiple of."""
    found = [item.multiple_of for item in _constraints(field) if getattr(item, "multiple_of", None)]
    return int(found[0]) if found else 1


def _editor(kind: Any, value: Any, bounds: tuple[float | None, float | None, bool, bool], multiple: int) -> Any:
    low, high, open_low, open_high = bounds
    if kind is bool:
        return create_widget(annotation=bool, widget_type="CheckBox")
    if kind is int:
        least = -_INT_MAX if low is None else int(low) + open_low
        most = _INT_MAX if high is None else int(high) - open_high
        return _Number(CountField(), (least, min(most, _INT_MAX)), multiple, value)
    if kind is float:
        step = _step(value, open_low)
        smallest = -1e12 if low is None else low + _TINY * open_low
        largest = 1e12 if high is None else high - _TINY * open_high
        return _Number(NumberField(), (smallest, largest), step, value)
    choices = _choices(kind)
    if choices:
        return create_widget(
            value if value is not None else choices[0], widget_type="ComboBox", options={"choices": choices}
        )
    return create_widget("", widget_type="LineEdit")


def _is_simple(kind: Any) -> bool:
    return kind in (bool, int, float) or bool(_choices(kind))


def _choices(kind: Any) -> list[Any]:
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return list(kind) if isinstance(kind, type) and issubclass(kind, enum.Enum) else []


def _step(value: float | None, positive: bool) -> float:  # noqa: FBT001 - a fact, not an option
    """A step that suits a value's magnitude and shows all its digits."""
    if not value:
        return 0.001 if positive else 0.1
    digits = -int(Decimal(repr(float(value))).normalize().as_tuple().exponent)
    return float(10.0 ** -max(digits, -math.floor(math.log10(abs(value))), 0))


def _as_text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    if isinstance(value, tuple | list) and any(isinstance(item, tuple | list) for item in value):
        return json.dumps(value)
    if isinstance(value, tuple | list):
        return ",".join(_as_text(item) for item in value)
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    return json.dumps(value, default=str)


def _parsed(text: str) -> Any:
    """A text as it is meant: a number, a list of things, JSON, or just text."""
    stripped = text.strip()
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError):
        pass
    if "," in stripped:
        return tuple(_parsed(part) for part in stripped.strip("()[]").split(",") if part.strip())
    return stripped
