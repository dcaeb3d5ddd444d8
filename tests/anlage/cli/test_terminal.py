"""No control character of somebody's file reaches the terminal, and what we print ourselves still works."""

import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from anlage.cli import main
from anlage.cli.terminal import guarded_terminal

ESCAPE = "\x1b]0;PWNED\x07\x1b[31mred\x1b[0m\x9b31m\r\u202eevil\U000e0001"
HIDDEN = "\x1b\x07\x9b\r\u202e\U000e0001"


def test_control_characters_are_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    with guarded_terminal():
        sys.stdout.write(ESCAPE)
        sys.stderr.write(ESCAPE)
        sys.stdout.writelines([ESCAPE, "\n", "plain µm × ü\t1\n"])
    out, err = capsys.readouterr()
    assert not set(out + err) & set(HIDDEN)
    assert "\\u001b]0;PWNED\\u0007" in out
    assert "plain µm × ü\t1\n" in out


def test_json_holds_the_same_text(capsys: pytest.CaptureFixture[str]) -> None:
    with guarded_terminal():
        sys.stdout.write(json.dumps({"name": ESCAPE}, ensure_ascii=False))
    assert json.loads(capsys.readouterr().out) == {"name": ESCAPE}


def test_half_characters_of_file_names_do_not_end_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", os.fsdecode(b"a\xff\x1b.csv")]) == 2
    assert "a\\udcff\\u001b.csv" in capsys.readouterr().err


def test_the_streams_are_as_before_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    main(["--version"])
    assert (sys.stdout, sys.stderr) == before
    assert sys.stdout is before[0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("n.csv", f"id,t,z,y,x,origin\n1,0,1,1,1,{ESCAPE.replace(chr(13), '')}\n"),
        ("n.csv", f"id,t,z,y,x\n{ESCAPE.replace(chr(13), '')},0,1,1,1\n"),
        ("n.csv", f"id,t,z,y,{ESCAPE.replace(chr(13), '')}\n1,0,1,1,1\n"),
        ("n\x1b[31m.csv", "id,t,z,y,x\n1,0,1,1,1\n"),
    ],
)
def test_what_a_file_holds_is_shown_and_not_obeyed(
    name: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    main(["info", str(tmp_path / name)])
    out, err = capsys.readouterr()
    assert out + err
    assert not set(out + err) & set(HIDDEN)


def test_a_traceback_quotes_no_control_characters(tmp_path: Path) -> None:
    code = (
        "import anlage.cli as cli\n"
        "def fail(arguments): raise RuntimeError('\\x1b[31m of some file')\n"
        "cli.run_command = fail\n"
        "cli.main(['info'])\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "\\u001b[31m of some file" in ended.stderr
    assert "\x1b" not in ended.stderr


def test_bars_are_drawn_on_a_terminal_and_lines_do_not_tear_them() -> None:
    code = (
        "from anlage.cli.terminal import guarded_terminal\n"
        "from anlage.cli.progress_bar import bar, say\n"
        "with guarded_terminal():\n"
        "    shown = bar(3, 'working')\n"
        "    shown.update(); say('a line \\x1b[31m'); shown.update(); shown.close()\n"
    )
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 80))
    child = subprocess.Popen([sys.executable, "-c", code], stdout=follower, stderr=follower)
    child.wait(60)
    os.close(follower)
    seen = b""
    try:
        while piece := os.read(leader, 4096):
            seen += piece
    except OSError:  # Linux says so at the end of a pseudo-terminal
        pass
    os.close(leader)
    text = seen.decode()
    assert "\rworking" in text
    assert "\ra line \\u001b[31m" in text  # the bar was wiped away first
