"""What a user gets from the wheel: both packages, the manifest's text, the licence, the command."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
LINK = ROOT / "src" / "napari_anlage" / "napari.yaml"
MANIFEST = ROOT / "napari.yaml"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution, built from this tree without the network."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--sdist", "--outdir", str(out), str(ROOT)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert run.returncode == 0, run.stdout + run.stderr
    return out


def test_the_manifest_in_the_package_is_a_relative_link_to_the_one_at_the_top() -> None:
    if sys.platform == "win32" and not LINK.is_symlink():
        pytest.skip("git made no links here: git config --global core.symlinks true, and clone again")
    assert LINK.is_symlink(), "src/napari_anlage/napari.yaml must be a link to ../../napari.yaml"
    assert not LINK.readlink().is_absolute()
    assert LINK.resolve() == MANIFEST


def test_the_wheel_holds_both_packages_and_the_manifest_as_text(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert archive.read("napari_anlage/napari.yaml").decode() == MANIFEST.read_text("utf-8")
        entry_points = next(archive.read(n).decode() for n in names if n.endswith("entry_points.txt"))
    wanted = {str(p.relative_to(ROOT / "src")) for p in (ROOT / "src").rglob("*.py")}
    wanted |= {str(p.relative_to(ROOT / "src")) for p in (ROOT / "src" / "anlage" / "models").iterdir()}
    assert "anlage/models/starter.anlage" in wanted
    assert wanted <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"anlage", "napari_anlage"}
    assert "anlage = anlage.cli:main" in entry_points
    assert "anlage = napari_anlage:napari.yaml" in entry_points


def test_the_source_distribution_can_be_built_and_tested_again(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        top = archive.getnames()[0].partition("/")[0]
        link = archive.getmember(f"{top}/src/napari_anlage/napari.yaml")
        link_text = archive.extractfile(link)
        assert link_text is not None
        assert link_text.read().decode() == MANIFEST.read_text("utf-8")
    wanted = {"pyproject.toml", "napari.yaml", "Makefile", "LICENSE", "README.md", ".ci/setup", "tests/constraints.txt"}
    assert wanted <= names


def test_what_cites_and_packages_the_project_says_the_same_as_pyproject() -> None:
    about = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (citation["version"], citation["license"]) == (about["version"], about["license"])
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in about["authors"]]
    recipe = yaml.safe_load((ROOT / "conda-recipe" / "recipe.yaml").read_text("utf-8"))
    assert (recipe["context"]["version"], recipe["about"]["summary"]) == (about["version"], about["description"])
    elsewhere = {"torch": "pytorch", "matplotlib": "matplotlib-base"}  # names of conda-forge
    wanted = [Requirement(one) for one in (*about["dependencies"], *about["optional-dependencies"]["napari"])]
    assert {(elsewhere.get(one.name, one.name), one.specifier) for one in wanted} == {
        (name, SpecifierSet(limits)) for name, limits in (line.split(" ") for line in recipe["requirements"]["run"][1:])
    }
    for form in (ROOT / ".github").rglob("*.yml"):
        assert yaml.safe_load(form.read_text("utf-8")), form


def test_napari_accepts_the_manifest() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "npe2", "validate", "anlage"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_manifest_is_named_after_the_distribution() -> None:
    """npe2 finds nothing where the two differ."""
    from npe2 import PluginManifest

    assert PluginManifest.from_distribution("anlage").name == metadata.metadata("anlage")["Name"] == "anlage"


def test_qt_comes_only_with_all() -> None:
    """A base that brings Qt fights with the Qt that a user already has."""
    with_qt = [
        text for text in metadata.requires("anlage") or [] if re.search(r"(pyqt|pyside)[56]", text, re.IGNORECASE)
    ]
    assert with_qt
    assert all(re.search(r"extra == .all.", text) for text in with_qt), with_qt
