"""The README's own lines, as they stand there, in the folder that the demo leaves."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from anlage.cli import main
from anlage.cli.demo_movie import synthetic_movie, write_movie
from anlage.io.nuclei_files.nuclei import own_scale

README = Path(__file__).parents[3] / "README.md"
SHORT = {"nuclei": ["--set", "steps=2", "width=16"], "events": ["--set", "steps=80", "members=1", "width=16"]}
"""What is added to trainings, so that a test need not wait for a good network."""


def chain() -> list[list[str]]:
    """The commands of the README, from `build` to the end, without the remarks behind them."""
    text = README.read_text("utf-8").split("## The same from the command line", 1)[1]
    blocks = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("anlage ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_the_readme_goes_from_annotations_to_events() -> None:
    words = [" ".join(command[:2] if command[0] in ("train", "predict") else command[:1]) for command in chain()]
    wanted = [
        "build", "train nuclei", "predict runs/first", "evaluate", "track", "evaluate", "signals", "train events",
        "predict runs/division", "convert",
    ]  # fmt: skip
    rest = iter(words)
    assert all(word in rest for word in wanted), words


def test_every_score_of_the_readme_stands_in_the_benchmarks() -> None:
    """A row of the README is a row of a table in the pages: the same images, and figures that are there."""
    table = README.read_text("utf-8").split("**Few annotations", 1)[1].split("\n\n")[1]
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    measured = [
        line for page in (README.parent / "docs").rglob("*.md") for line in page.read_text("utf-8").splitlines()
    ]
    assert len(rows) >= 5
    for images, *figures in rows:
        beside = " ".join(line for line in measured if line.startswith(f"| {images} |"))
        assert all(figure in beside for figure in figures if figure != "–"), images


@pytest.mark.long
def test_every_line_of_the_readme_works_on_the_files_of_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_movie(tmp_path, synthetic_movie())
    monkeypatch.chdir(tmp_path)
    for command in chain():
        short = SHORT[command[1]] if command[0] == "train" else []
        # two steps make no network: what it would find, the starter finds
        asked = ["starter" if c == "runs/first" and command[0] == "predict" else c for c in command]
        assert main([*asked, *short]) == 0, (command, capsys.readouterr().err)
    events = pd.read_csv("events.csv")
    assert len(events) > 50
    assert (events["class"] == 0).any(), "no event was found"
    assert own_scale("nuclei.csv") == own_scale("tracks.geff") == own_scale("tracks.xml")
