"""What holds the code together: who may import what, and how large things may grow."""

from __future__ import annotations

import ast
import functools
import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Literal

import mypy.api
import pytest

import anlage
from anlage.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
MAX_LINES = 450

HEAVY = {"torch", "napari", "qtpy", "PyQt6", "PySide6", "magicgui", "superqt", "pyqtgraph", "vispy"}
BACKEND_OF_THE_DOCK = [
    "anlage.annotations",
    "anlage.blobs",
    "anlage.card",
    "anlage.cuboid",
    "anlage.dataset.build",
    "anlage.dataset.store",
    "anlage.document",
    "anlage.io",
    "anlage.model",
    "anlage.prediction",
    "anlage.project",
    "anlage.training.config",
    "anlage.training.progress",
    "anlage.training.run",
    "anlage.training.schedule",
    "anlage.training.summary",
]
TRAINER = "anlage.training.process"
"""It reports that a training has begun before torch is loaded, which takes seconds."""


_IMPORTS = """
import importlib, json, sys
loaded = {}
for name in sys.argv[1:]:
    importlib.import_module(name)
    loaded[name] = sorted({module.partition(".")[0] for module in sys.modules})
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """Top-level packages that a fresh interpreter has loaded after each import, made one after the other, the dock's last."""
    names = ["anlage", "napari_anlage", *BACKEND_OF_THE_DOCK, TRAINER, "napari_anlage.dock"]
    run = subprocess.run([sys.executable, "-c", _IMPORTS, *names], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return {name: set(packages) for name, packages in json.loads(run.stdout).items()}


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("package", ["anlage", "napari_anlage"])
def test_importing_a_package_loads_neither_torch_nor_qt_nor_napari(package: str, loaded: dict[str, set[str]]) -> None:
    assert not loaded[package] & HEAVY


def test_import_anlage_defines_names_only(loaded: dict[str, set[str]]) -> None:
    assert not loaded["anlage"] & {"numpy", "scipy", "zarr", "pandas", "pydantic", "skimage"}


@pytest.mark.parametrize("module", [*BACKEND_OF_THE_DOCK, TRAINER])
def test_what_the_dock_uses_loads_no_torch(module: str, loaded: dict[str, set[str]]) -> None:
    assert not loaded[module] & HEAVY


def test_no_module_of_the_training_imports_one_that_imports_it_back() -> None:
    """Not even for a type: whoever reads one needs to have read only those below it."""
    imports: dict[str, set[str]] = {}
    for path in (ROOT / "src" / "anlage" / "training").glob("*.py"):
        nodes = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
        modules = {str(node.module) for node in nodes if str(node.module).startswith("anlage.training.")}
        imports[f"anlage.training.{path.stem}"] = modules
    assert sum(map(len, imports.values())) > 30
    while lowest := [module for module, others in imports.items() if not others & imports.keys()]:
        for module in lowest:
            del imports[module]
    assert not imports, f"among these is a circle: {sorted(imports)}"


def test_importing_the_dock_loads_no_torch(loaded: dict[str, set[str]]) -> None:
    assert "torch" not in loaded["napari_anlage.dock"]


@pytest.mark.parametrize("name", anlage.__all__)
def test_public_names_resolve(name: str) -> None:
    assert getattr(anlage, name) is not None
    assert name in dir(anlage)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nucleus'"):
        _ = anlage.nucleus


def test_no_public_name_is_any_to_a_type_checker(tmp_path: Path) -> None:
    """Otherwise "strict" would hold for nothing that the plugin takes from the backend."""
    names = tmp_path / "names.py"
    names.write_text("import anlage\n" + "".join(f"reveal_type(anlage.{name})\n" for name in anlage.__all__))
    settings = tmp_path / "mypy.ini"
    # other packages are left out and functions unread: only what each name is has to be found
    settings.write_text(
        f"[mypy]\nmypy_path = {ROOT / 'src'}\nignore_missing_imports = True\n[mypy-anlage.*]\nignore_errors = True\n"
    )
    told, _, _ = mypy.api.run([
        f"--config-file={settings}", f"--cache-dir={tmp_path}", "--no-site-packages", "--no-error-summary", str(names),
    ])  # fmt: skip
    kinds = [kind for line in told.splitlines() if (kind := line.partition("Revealed type is ")[2])]
    unknown = [name for name, kind in zip(anlage.__all__, kinds, strict=True) if kind == '"Any"']
    assert not unknown, f"these are Any, and so is all that is done with them: {unknown}"


FOR_THE_DOCK = ("anlage.project", "anlage.tracking.track_fixes", "anlage.wording")
"""What the backend does for the dock alone: the files of a project folder, fixes of warnings, words."""


def test_the_frontend_knows_only_the_public_names() -> None:
    """Besides `anlage.__all__` it may import the modules that exist for it."""
    offenders = []
    for path in (ROOT / "src" / "napari_anlage").rglob("*.py"):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names if alias.name.startswith("anlage.")]
            elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "anlage":
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [name for name in names if name.removeprefix("anlage.") not in anlage.__all__]
            else:
                names = []
            names = [
                name for name in names if not f"{name}.".startswith(tuple(f"{module}." for module in FOR_THE_DOCK))
            ]
            offenders += [f"{_relative(path)}:{node.lineno} {name}" for name in names]
    assert not offenders, "these are not in anlage.__all__: " + ", ".join(offenders)


WRITTEN_OTHERWISE = {
    "anlage/document/journal.py": "begun under a name that counts only after the fold; then appended to",
    "anlage/io/locking.py": "a lock holds who has it, for a message",
    "anlage/io/mask_records.py": "a file in a folder that is put in place as a whole",
    "anlage/io/nuclei_files/ctc.py": "a file in a folder that is put in place as a whole",
    "anlage/model.py": "given a temporary name by its caller",
    "anlage/project/lock.py": "a lock holds who has it, for a message",
    "anlage/sharing/claims.py": "has no content before it has its name; what is written first gets its name at the end",
    "anlage/training/progress.py": "appended to, line by line",
    "anlage/training/run.py": "a log",
    "napari_anlage/jobs/child.py": "a log",
}


def _written_by_hand(path: Path) -> list[str]:
    found = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            mode = next((str(one.value) for one in node.args if isinstance(one, ast.Constant)), "r")
            writes = node.func.attr in {"write_text", "write_bytes"} or (node.func.attr == "open" and mode[:1] in "wxa")
            if writes and ast.unparse(node.func.value) != "temporary":
                found.append(f"{_relative(path)}:{node.lineno} {ast.unparse(node)}")
    return found


def test_no_file_can_be_left_half_written() -> None:
    """Whatever is written has the temporary name that `io.atomic.replacing` gave it, or a reason not to."""
    others = [path for path in SOURCES if str(path.relative_to(ROOT / "src")) not in WRITTEN_OTHERWISE]
    found = [line for path in others for line in _written_by_hand(path)]
    assert not found, f"write these through `io.atomic.replacing`: {found}"


def test_classes_of_different_modules_have_different_names() -> None:
    """Nobody should have to look at the imports to know which of two is meant."""
    homes: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in _tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(_relative(path))
    shared = {name: paths for name, paths in homes.items() if len(paths) > 1}
    assert not shared, f"rename all but one of each: {shared}"


QT, NAPARI = {"qtpy", "PyQt6", "PySide6", "magicgui", "superqt", "pyqtgraph"}, {"napari", "vispy"}
CLAIMS = {"Knows no Qt and no napari.": QT | NAPARI, "Knows no Qt.": QT}


def _is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _imported(node: ast.AST) -> set[str]:
    """Every module that is imported below a node, in functions too, save for type checkers alone."""
    found: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            found.update(alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            found.update([str(child.module), *(f"{child.module}.{alias.name}" for alias in child.names)])
        elif not _is_for_type_checkers(child):
            found |= _imported(child)
    return found


def test_who_claims_to_know_no_qt_does_not_reach_it_by_imports() -> None:
    """The claim stands in a module's docstring, and holds for all that the module imports."""
    base = ROOT / "src"
    trees = {
        ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__"): ast.parse(path.read_text("utf-8"))
        for path in SOURCES if "napari_anlage" in path.parts
    }  # fmt: skip
    imported = {name: _imported(tree) for name, tree in trees.items()}

    def reached(name: str) -> dict[str, list[str]]:
        """Packages outside the plugin, each with the way to it."""
        ways, waiting = {name: [name]}, [name]
        for module in waiting:
            for other in sorted(imported.get(module, ())):
                place = other if other in trees else other.partition(".")[0]
                if place not in ways:
                    ways[place] = [*ways[module], place]
                    waiting += [place] if place in trees else []
        return ways

    claims = {
        name: next((claim for claim in CLAIMS if claim in (ast.get_docstring(tree) or "")), None)
        for name, tree in trees.items()
    }
    assert sum(claim is not None for claim in claims.values()) > 30
    wrong = [
        f"{name} says '{claim}', but: {' → '.join(way)}"
        for name, claim in claims.items() if claim is not None
        for package, way in reached(name).items() if package in CLAIMS[claim]
    ]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def test_no_file_is_a_giant() -> None:
    giants = {_relative(p): n for p in SOURCES if (n := len(p.read_text("utf-8").splitlines())) > MAX_LINES}
    assert not giants, f"split these (more than {MAX_LINES} lines): {giants}"


def test_no_module_has_a_name_that_says_nothing() -> None:
    empty_words = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "handler", "tools"}
    assert not [_relative(p) for p in SOURCES if p.stem in empty_words]


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_house_rules(path: Path) -> None:
    """No print outside the command line, no pickle, no relative import, no work at import but names."""
    tree = _tree(path)
    found: list[str] = []
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.ImportFrom) and node.level:
            found.append(f"{line}: relative import")
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            if names & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve"}:
                found.append(f"{line}: pickle")
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and getattr(node.value, "value", True):
            found.append(f"{line}: allow_pickle")
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"torch.save", "torch.load"}:
            found.append(f"{line}: torch.save and torch.load are pickle")
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print" and "cli" not in path.parts:
            found.append(f"{line}: print")
    assert not found, f"{_relative(path)}: {found}"


OURS = ("anlage", "napari_anlage")
SLOW_OF_OURS = "anlage.tasks"
"""The records of all kinds of networks: 0.15 s."""
PARTED = ("scipy", "skimage")
"""Their parts load when they are named, each for itself."""


@dataclass(frozen=True)
class Imported:
    """One import statement: what it names, where it stands, and what it loads."""

    line: int
    text: str
    where: Literal["module", "function", "types"]
    targets: frozenset[str]
    reasoned: bool
    """Whether a comment stands at it, or above the imports that it is one of."""


def _module_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module_of(path): path for path in SOURCES}


def _targets(node: ast.Import | ast.ImportFrom) -> frozenset[str]:
    """Modules that a statement names; a public name stands for the module that it comes from."""
    if isinstance(node, ast.Import):
        return frozenset(alias.name for alias in node.names)
    module = str(node.module)
    found = set()
    for alias in node.names:
        below = f"{module}.{alias.name}"
        home = anlage._HOME.get(alias.name) if module == "anlage" else None
        found.add(f"anlage.{home}" if home else below if below in MODULES or module in PARTED else module)
    return frozenset(found)


@cache
def _imports(module: str) -> tuple[Imported, ...]:
    text = MODULES[module].read_text("utf-8")
    lines = text.splitlines()
    found: list[tuple[Literal["module", "function", "types"], ast.Import | ast.ImportFrom]] = []

    def visit(node: ast.AST, where: Literal["module", "function", "types"]) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append((where, node))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                visit(child, "types")
            for child in node.orelse:
                visit(child, where)
        else:
            inner = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and where == "module"
            for child in ast.iter_child_nodes(node):
                visit(child, "function" if inner else where)

    def has_reason(node: ast.Import | ast.ImportFrom) -> bool:
        above = node.lineno - 1
        while above in ends:
            above = ends[above] - 1
        line_above = lines[above - 1].strip()
        comments = [line.partition("#")[2].strip() for line in lines[node.lineno - 1 : node.end_lineno]]
        comments += [line_above.removeprefix("#").strip()] if line_above.startswith("#") else []
        return any(comment and not comment.startswith(("noqa", "type:", "fmt:")) for comment in comments)

    visit(ast.parse(text), "module")
    ends = {int(node.end_lineno or node.lineno): node.lineno for _, node in found}
    return tuple(
        Imported(node.lineno, ast.unparse(node), where, _targets(node), has_reason(node)) for where, node in found
    )


def _slow(targets: frozenset[str]) -> set[str]:
    """What is slow of all that is loaded, directly or not, with these modules: packages of others, and records of tasks."""
    found: set[str] = set()
    seen: set[str] = set()
    todo = list(targets)
    while todo:
        target = todo.pop()
        if target in seen:
            continue
        seen.add(target)
        package, *parts = target.split(".")
        if package in OURS:
            todo += [target.rpartition(".")[0]] if parts else []
            todo += [name for one in _imports_of(target) if one.where == "module" for name in one.targets]
            found |= {target} & {SLOW_OF_OURS}
        elif package not in sys.stdlib_module_names:
            found.add(".".join([package, *parts][: 1 + (package in PARTED)]))
    return found


def _imports_of(module: str) -> tuple[Imported, ...]:
    return _imports(module) if module in MODULES else ()


def test_an_import_in_a_function_has_its_reason() -> None:
    """It loads something slow that its module does not load anyway, or a comment beside it says why it stands there."""
    idle = []
    for module, path in MODULES.items():
        inner = [one for one in _imports(module) if one.where == "function" and not one.reasoned]
        anyway = _slow(frozenset({module})) if inner else set()
        idle += [f"{_relative(path)}:{one.line} {one.text}" for one in inner if not _slow(one.targets) - anyway]
    assert not idle, "these belong to the top of their module, or need their reason beside them:\n" + "\n".join(idle)


@pytest.mark.parametrize("module", ["napari_anlage.dock", *sorted({home for home, _ in COMMANDS.values()})])
def test_start_up_loads_neither_torch_nor_scipy(module: str) -> None:
    """They take a second, and only a computation needs them."""
    assert not {name for name in _slow(frozenset({module})) if name.startswith(("torch", "scipy", "skimage"))}


PARTS_OF_THE_SESSION = [
    f"napari_anlage.session.{name}" for name in ("channels", "member", "project_choice", "workbench")
]
"""They name the type of the session, which makes them; at run time they do not import it."""


def test_no_modules_import_each_other() -> None:
    """Neither when they load, nor in functions, nor for a type checker alone."""
    known = {
        module: {name for one in _imports(module) for name in one.targets if name in MODULES and name != module}
        for module in MODULES
        if module != "anlage"  # names of the whole package, which are followed to where they come from
    }
    for part in PARTS_OF_THE_SESSION:
        known[part].discard("napari_anlage.session.session")
    TopologicalSorter(known).prepare()  # raises CycleError, which shows the circle
