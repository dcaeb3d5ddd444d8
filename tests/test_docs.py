"""The pages say what the code does: generated tables are current, links lead somewhere, commands exist."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_tables_are_current(generator: ModuleType) -> None:
    stale = [_name(path) for path, text in generator.pages().items() if path.read_text("utf-8") != text]
    assert not stale, f"run `make docs`, which writes {stale} anew"


def test_every_parameter_is_explained(generator: ModuleType) -> None:
    unexplained = [row for row in generator.parameters().splitlines() if row.startswith("| `") and row.endswith("|  |")]
    assert not unexplained, "write a sentence under these fields: " + "\n".join(unexplained)


@pytest.mark.long
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", ROOT / "docs", tmp_path / "site"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.stem for path in (tmp_path / "site").glob("*.html")}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    missing = [t for t in targets if not t.startswith(("http://", "https://")) and not (page.parent / t).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_in_the_pages_exist(page: Path) -> None:
    from anlage.cli import COMMANDS

    text = page.read_text("utf-8")
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL))
    named = set(re.findall(r"(?:^|[`\s])(?<!from )anlage ([a-z]+)", code))
    assert named <= set(COMMANDS), f"{_name(page)} speaks of {sorted(named - set(COMMANDS))}"


def test_the_tests_that_pages_name_exist() -> None:
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", (ROOT / "docs" / "instances.md").read_text(encoding="utf-8"))
    assert len(named) > 20
    for file, test in named:
        text = (ROOT / "tests" / "anlage" / file).read_text(encoding="utf-8")
        assert f"def {test}(" in text, f"{file}::{test}"
