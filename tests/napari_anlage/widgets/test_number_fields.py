"""Numbers are typed with a comma or a dot, in every language, and are what they seem; what is none is refused in words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from qtpy.QtCore import QLocale, Qt
from qtpy.QtTest import QTest

from napari_anlage.data.axis_chips import _Fields
from napari_anlage.widgets.box_sliders import BoxSliders
from napari_anlage.widgets.number_fields import CountField, NumberField, read_number

LANGUAGES = ("en_US", "de_DE", "fr_FR", "da_DK", "nl_NL", "it_IT", "es_ES", "pt_BR", "de_CH", "ar_EG", "fa_IR", "hi_IN")


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    """Qt as it is on a computer of that language."""
    before = QLocale()
    QLocale.setDefault(QLocale(request.param))
    yield request.param
    QLocale.setDefault(before)


def enter(field, text: str) -> None:
    """Type over what is there, key by key, and press Enter."""
    put(field, text)
    QTest.keyClick(field.lineEdit(), Qt.Key.Key_Return)


def put(field, text: str) -> None:
    """Type over what is there. Qt's own keyClicks knows no letters beyond Latin."""
    field.lineEdit().selectAll()
    for letter in text:
        field.lineEdit().insert(letter)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.325", 0.325), ("0,325", 0.325), (" .5 ", 0.5), (",5", 0.5), ("12", 12.0), ("-3", -3.0), ("\N{MINUS SIGN}3", -3.0),
        ("1e-3", 1e-3), ("1,5E3", 1500.0), ("٠٫٣٢٥", 0.325), ("۰٫۳۲۵", 0.325), ("०.३२५", 0.325), ("2.", 2.0),
        ("1.234,5", None), ("1,234.5", None), ("1.234.567", None), ("1 234", None), ("1\u202f234", None), ("1'234", None),
        ("", None), (",", None), ("0x1f", None), ("1_000", None), ("nan", None), ("inf", None), ("1e999", None), ("5 nm", None),
        ("١٬٢٣٤", None),
    ],
)  # fmt: skip
def test_a_comma_and_a_dot_are_the_decimal_sign_and_nothing_groups(text, number) -> None:
    assert read_number(text) == number


def test_both_signs_are_typed_in_every_language(qtbot, language) -> None:
    field = NumberField()
    qtbot.addWidget(field)
    field.setRange(0.0, 100.0)
    field.setSuffix(" µm")
    for text, value in (("0,325", 0.325), ("0.5", 0.5), ("٠٫٢٥", 0.25), ("0,125 µm", 0.125)):
        enter(field, text)
        assert field.value() == value
        assert field.text() == f"{value} µm"
        assert not field.take_refusal()


@pytest.mark.parametrize("text", ["1.234,5", "1,234.5", "12 3", "5000", "abc", "-1"])
def test_what_cannot_be_is_refused_whole_and_said(qtbot, language, text) -> None:
    """Were a single key swallowed, the rest would be another number."""
    field = NumberField()
    qtbot.addWidget(field)
    field.setRange(0.0, 1000.0)
    field.setValue(0.325)
    put(field, text)
    assert field.lineEdit().text() == text
    assert "color" in field.lineEdit().styleSheet()
    QTest.keyClick(field.lineEdit(), Qt.Key.Key_Return)
    assert (field.value(), field.text()) == (0.325, "0.325")
    refusal = field.take_refusal()
    assert text in refusal
    assert refusal.endswith("0.325 stays.")
    assert "color" not in field.lineEdit().styleSheet()
    assert not field.take_refusal()


def test_looking_at_a_number_does_not_change_it(qtbot, language) -> None:
    field = NumberField()
    qtbot.addWidget(field)
    field.setRange(0.0, 1e9)
    for value in (1 / 3, 0.1 + 0.2, 123456.789012345, 1e-7):
        field.setValue(value)
        heard = []
        field.valueChanged.connect(heard.append)
        field.interpretText()
        QTest.keyClick(field.lineEdit(), Qt.Key.Key_Return)
        enter(field, field.text())
        assert field.value() == value
        field.valueChanged.disconnect(heard.append)


def test_a_count_takes_no_decimal_sign_for_nobody_knows_what_it_means(qtbot, language) -> None:
    field = CountField()
    qtbot.addWidget(field)
    field.setRange(0, 10**6)
    field.setSuffix(" frames")
    field.setValue(7)
    for text in ("1.234", "1,234", "0,5", "1.5", "1 000", "٠٫٥"):
        enter(field, text)
        assert field.value() == 7
        assert text in field.take_refusal()
    for text, value in (("1234", 1234), ("١٢", 12), ("15 frames", 15)):
        enter(field, text)
        assert field.value() == value
        assert isinstance(field.value(), int)


def test_the_word_for_the_least_value_can_be_kept_and_typed_over(qtbot, language) -> None:
    field = NumberField()
    qtbot.addWidget(field)
    field.setRange(0.0, 100.0)
    field.setSuffix(" µm")
    field.setSpecialValueText("measured by itself")
    QTest.keyClick(field.lineEdit(), Qt.Key.Key_Return)
    assert (field.value(), field.text()) == (0.0, "measured by itself")
    enter(field, "7,5")
    assert (field.value(), field.text()) == (7.5, "7.5 µm")
    enter(field, "0")
    assert field.text() == "measured by itself"


def test_an_arrow_after_typing_goes_on_from_what_was_typed(qtbot) -> None:
    field = NumberField()
    qtbot.addWidget(field)
    field.setSingleStep(0.5)
    put(field, "1,5")
    QTest.keyClick(field, Qt.Key.Key_Up)
    assert field.text() == "2"
    enter(field, "x")
    assert field.value() == 2.0


# ---- fields with a Set button ----


@pytest.fixture
def voxel(qtbot) -> tuple[_Fields, list]:
    fields = _Fields(("z", "y", "x"), {"µm": 1.0, "nm": 1e-3, "mm": 1e3}, 4, "size along {}")
    qtbot.addWidget(fields)
    heard: list = []
    fields.set_to.connect(heard.append)
    return fields, heard


def test_set_gives_exactly_what_is_shown_whatever_its_digits_and_unit(voxel, language) -> None:
    fields, heard = voxel
    for unit in ("µm", "nm", "mm"):
        fields.unit.setCurrentText(unit)
        for values in ((2.0, 0.325, 0.325), (1 / 3, 0.16250000001, 5e-5)):
            fields.show_values(None, typed=False)
            fields.show_values(values, typed=False)
            fields.apply.click()
            assert heard.pop() == values


def test_another_unit_means_other_numbers(voxel) -> None:
    fields, heard = voxel
    fields.show_values((2000.0, 325.0, 325.0), typed=False)
    fields.unit.setCurrentText("nm")
    fields.apply.click()
    assert heard == [pytest.approx((2.0, 0.325, 0.325))]


def test_set_says_what_it_does_not_take_and_sets_nothing(voxel, language) -> None:
    fields, heard = voxel
    fields.show_values((2.0, 0.325, 0.325), typed=False)
    fields.spins[2].lineEdit().setText("x 1.234,5")
    fields.apply.click()
    assert heard == []
    assert not fields._reason.isHidden()
    assert "1.234,5" in fields._reason.text()
    assert fields.spins[2].text() == "x 0.325"
    fields.apply.click()  # what is shown now
    assert heard == [(2.0, 0.325, 0.325)]
    assert fields._reason.isHidden()


# ---- the walls of a region ----


def test_the_ends_of_a_region_can_be_typed(qtbot, language) -> None:
    from anlage import Box

    sliders = BoxSliders()
    qtbot.addWidget(sliders)
    sliders.show_box(Box.of((0, 0, 0, 0), (5, 10, 1500, 1500)), (5, 10, 2000, 2000))
    first, last = sliders.fields["x"]
    assert (first.text(), last.text()) == ("0", "1499")
    enter(last, "1200")
    enter(first, "1.000")
    assert first.value() == 0
    enter(first, "1000")
    assert sliders.box() == Box.of((0, 0, 0, 1000), (5, 10, 1500, 1201))
    assert tuple(sliders.sliders["x"].value()) == (1000, 1200)
    with qtbot.waitSignal(sliders.change_finished, timeout=5000) as settled:
        sliders.sliders["x"].setValue((900, 1200))
    assert settled.args[0].ranges[3] == (900, 1201)
    assert first.text() == "900"
    enter(first, "1300")  # behind the last one
    assert first.value() == 900
