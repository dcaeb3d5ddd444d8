"""What is offered for copying arrives in a shell as it was meant."""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from anlage.cli import COMMANDS
from anlage.installed import install
from anlage.shell import command, shell_line

ODD = ["my run", "a'b", 'a"b', "[x]", "$(touch hacked)", "a;b", "été", "a&b", "*", "~", "#x", "`x`", "a\\b"]
SOURCES = sorted(Path(__file__).parents[2].glob("src/**/*.py"))
_OFFERED = re.compile(rf"\banlage ({'|'.join(COMMANDS)})\b[^`]*$")


@pytest.mark.parametrize("name", ODD)
def test_a_shell_takes_every_path_as_one_word(name: str) -> None:
    assert shlex.split(command("resume", Path(name))) == ["anlage", "resume", name]
    line = shell_line([sys.executable, "-c", "import sys; print(sys.argv[1])", name])
    assert subprocess.run(line, shell=True, check=True, capture_output=True, text=True).stdout == f"{name}\n"


def test_a_path_is_no_option() -> None:
    assert command("info", Path("-x")) == "anlage info ./-x"


def test_windows_has_its_own_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anlage.shell.os.name", "nt")
    assert shell_line(["anlage", "resume", "C:\\my runs\\a"]) == 'anlage resume "C:\\my runs\\a"'


def test_what_installs_packages_names_the_interpreter_in_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/my python/bin/python (3)")
    assert shlex.split(install(["napari"]))[0] == "/opt/my python/bin/python (3)"


def unquoted(tree: ast.AST) -> Iterator[int]:
    """Lines of f-strings in which something is put into a command without `command` or `shell_line`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        text = ""
        for part in node.values:
            if isinstance(part, ast.Constant):
                text += str(part.value)
            elif isinstance(part, ast.FormattedValue):
                if _OFFERED.search(text):
                    yield node.lineno
                text += "X"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_command_is_put_together_by_hand(path: Path) -> None:
    assert not list(unquoted(ast.parse(path.read_text("utf-8"))))


def test_the_search_finds_such_commands() -> None:
    assert list(unquoted(ast.parse("f'go on with `anlage resume {path}`.'"))) == [1]
    assert not list(unquoted(ast.parse("f'`anlage resume` goes on with {path}.'")))
