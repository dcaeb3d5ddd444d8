"""The tutorial, from the sample to the second network: the same hands as make its pictures, with a few steps of training."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from anlage import Project, State, Store, Use, load_model

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "screenshots" / "tutorial.py"
STEPS = 2
PART = 42


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_screenshots", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
@pytest.mark.viewer
@pytest.mark.timeout(900)
def test_a_user_goes_the_whole_way(make_napari_viewer_proxy, script, tmp_path) -> None:
    viewer = make_napari_viewer_proxy(show=True)
    viewer.window.resize(800, 560)  # a software renderer takes long for a large one
    pictures: list[str] = []

    def picture(name: str) -> None:
        seen = viewer.screenshot(canvas_only=False, flash=False)
        assert seen.std() > 10, f"the picture '{name}' shows nothing"
        pictures.append(name)

    user = script.User(viewer, tmp_path / "loop.anlage", picture, PART)
    user.whole_loop(STEPS)

    # what the user clicked is what is annotated
    document = user.session.document
    nuclei, truth = document.nuclei, user.truth
    marked = nuclei.select(nuclei.origin == "human")
    for t in script.ANNOTATED:
        seen = truth.positions[(truth.frames == t) & (truth.positions[:, 3] < PART)]
        mine = marked.positions[marked.frames == t]
        assert len(mine) == len(seen)
        gap = np.abs(mine[:, None] - seen[None]).max(axis=2).min(axis=1)
        assert gap.max() < 1.0, "a click of the mouse does not land on the voxel under it"
    assert len(marked.links) == 3

    # the box holds all of them, and training learnt from nothing else
    first = document.regions[0]
    assert first.use == Use.AUTO
    assert first.core.contains(marked.positions).all()
    runs = user.session.project.runs()
    assert [run.state for run in runs] == ["finished", "finished"]
    second_run, first_run = runs
    assert Store.open(first_run.config.stores[0].path).meta.n_nuclei == len(marked)

    # proposals were judged, and are what the second network learnt in addition
    proposed = nuclei.select(nuclei.origin != "human")
    assert set(proposed.frames.tolist()) == {script.FAR}
    n_accepted = int((proposed.state == State.ACCEPTED).sum())
    n_rejected = int((proposed.state == State.REJECTED).sum())
    assert n_accepted > 0
    assert n_rejected == int(user.rejected)
    learnt = Store.open(second_run.config.stores[0].path).meta
    assert learnt.n_nuclei == len(marked) + n_accepted
    assert learnt.n_rejected == n_rejected
    assert second_run.config.start_from == str(first_run.model_path)
    assert load_model(second_run.model_path).card.name != load_model(first_run.model_path).card.name

    # everything is on the disk
    user.session.close()
    with_all = Project.open(tmp_path / "loop.anlage")
    assert len(with_all.document.nuclei) == len(nuclei)
    assert with_all.document.regions == document.regions
    with_all.close()
    assert len(pictures) == len(set(pictures)) > 10
