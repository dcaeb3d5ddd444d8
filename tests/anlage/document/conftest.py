"""Random edits, for tests that make many."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def scribble() -> ModuleType:
    """The module `scribble.py`."""
    spec = importlib.util.spec_from_file_location("anlage_test_scribble", Path(__file__).with_name("scribble.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
