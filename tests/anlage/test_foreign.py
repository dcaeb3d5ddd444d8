"""Names, texts, sizes and errors that come with files of strangers."""

from __future__ import annotations

import json
import tokenize

import pytest

from anlage.errors import AnlageError
from anlage.foreign import MOST_FRAMES, border, check_size, checked_name, printable


@pytest.mark.parametrize("name", ["first", "2026-11-21-centres-7f3a", "Ö 2 (copy)", "a.b", "naïve:run"])
def test_names_that_people_give_are_names(name: str) -> None:
    assert checked_name(name, "The name") == name


@pytest.mark.parametrize(
    "name",
    ["", "  ", ".", "..", "../x", "a/b", "a\\b", "/etc/passwd", "C:x", "C:\\x", "a\0b", "a\nb", "\x1b[31m", "x" * 201, "ä" * 101],
)  # fmt: skip
def test_whatever_leads_elsewhere_is_no_name(name: str) -> None:
    with pytest.raises(AnlageError, match="cannot be the name of a file") as caught:
        checked_name(name, "The name")
    assert printable(str(caught.value)) == str(caught.value)


def test_control_characters_are_written_out() -> None:
    assert printable("\x1b]0;x\x07\x9b31m") == "\\x1b]0;x\\x07\\x9b31m"
    assert printable("abc\u202edcba\ud800") == "abc\\u202edcba\\ud800"


def test_what_can_be_read_stays() -> None:
    assert printable("µm × 3\n\tzwölf 細胞") == "µm × 3\n\tzwölf 細胞"


@pytest.mark.parametrize("size", [MOST_FRAMES + 1, 1e300, float("nan"), float("inf")])
def test_sizes_have_a_bound(size: float) -> None:
    with pytest.raises(AnlageError, match="The last frame"):
        check_size(size, MOST_FRAMES, "The last frame")


def test_the_bound_itself_is_taken() -> None:
    check_size(MOST_FRAMES, MOST_FRAMES, "The last frame")


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), KeyError("x"), OverflowError(), RecursionError(), SystemError("x"), tokenize.TokenError("x", (1, 1)), OSError("truncated")],
)  # fmt: skip
def test_errors_of_libraries_become_a_sentence(error: Exception) -> None:
    with (
        pytest.raises(AnlageError, match=r"^The file 'a' cannot be read \(.+\); it is damaged"),
        border("The file 'a'"),
    ):
        raise error


def test_deep_nesting_is_said() -> None:
    with pytest.raises(AnlageError, match="nested too deeply"), border("The file"):
        json.loads("[" * 100_000)


def test_sentences_and_missing_rights_pass() -> None:
    with pytest.raises(AnlageError, match=r"^mine$"), border("The file"):
        raise AnlageError("mine")
    with pytest.raises(PermissionError), border("The file"):
        raise PermissionError("no")


def test_an_error_of_a_library_s_own_is_named() -> None:
    class OwnError(Exception):
        pass

    with pytest.raises(OwnError), border("The file"):
        raise OwnError
    with pytest.raises(AnlageError, match="OwnError"), border("The file", OwnError):
        raise OwnError
