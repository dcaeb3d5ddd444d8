"""What every head of the nuclei task must keep, whichever there are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anlage.axes import Spacing
from anlage.tasks import TASKS
from anlage.tasks.grid import plan_grid
from anlage.tasks.nuclei.config import NucleiConfig, NucleiPlan
from anlage.tasks.nuclei.heads import HEADS, head_with_targets
from anlage.tasks.nuclei.working_frames import Patches

TASK = TASKS["nuclei"]
every_head = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)


def plan_of(head):
    grid = plan_grid(Spacing(2.0, 0.5, 0.5), 8.0, flat=False, cells=4.5, n_levels=2)
    classes = (0, 1, 5) if head.name == "classes" else ()
    return NucleiPlan(
        grid=grid, diameter_um=8.0, apparent_um=None, n_channels=1, frames=(0,), patch_zyx=(4, 16, 16), sigma=0.16,
        match_radius_um=4.0, head=head.name, classes=classes,
    )  # fmt: skip


def patches_of(plan):
    """A nucleus in each of two patches, painted as a block."""
    known = torch.ones(2, 1, *plan.patch_zyx)
    block = torch.zeros_like(known)
    block[..., 1:3, 4:10, 4:10] = 1
    return Patches(plan, [torch.tensor([[1.5, 6.5, 6.5]])] * 2, known, values=block, inside=block, painted=known)


@every_head
def test_a_batch_shows_by_its_targets_which_head_it_is_of(head):
    target = head.target(patches_of(plan_of(head)))
    assert set(target) == head.targets
    assert head_with_targets({"image": None, **target}) is head


@every_head
def test_the_network_says_what_the_loss_takes_and_begins_with_what_is_commonest(head):
    plan, config = plan_of(head), NucleiConfig(head=head.name, width=8, levels=2)
    batch = {"image": torch.rand(2, 1, *plan.patch_zyx), **head.target(patches_of(plan))}
    network = TASK.network(plan, config)
    output = network(batch["image"])
    assert output.shape[1] == head.n_outputs(plan) == head.n_coarse + head.n_fine(plan) * np.prod(plan.grid.stem)
    assert output.detach().mean(dim=(0, 2, 3, 4)).numpy() == pytest.approx(head.first_outputs(plan), abs=0.5)
    total, parts = TASK.loss(network, batch)
    total.backward()
    assert torch.isfinite(total)
    assert all(torch.isfinite(part) for part in parts.values())


@every_head
def test_what_the_user_sets_wins_over_the_head(head):
    asked = NucleiConfig(head=head.name, cells=7.0, variation=0.3, orientation="fixed")
    assert TASK.with_defaults(asked) == asked
    filled = TASK.with_defaults(NucleiConfig(head=head.name))
    assert (filled.cells, filled.variation) == (head.cells, head.variation)


def test_the_setting_offers_every_head():
    assert set(NucleiConfig.model_json_schema()["properties"]["head"]["enum"]) == set(HEADS)


def test_points_are_learnt_sooner_than_labels():
    usual = {
        name: tuple(TASK.steps_for(NucleiConfig(head=name), from_model=from_model) for from_model in (False, True))
        for name in HEADS
    }
    assert usual == {"centres": (400, 250), "instances": (700, 700), "classes": (300, 300)}
    steps = {name: TASK.least_steps_for(NucleiConfig(head=name), from_model=True) for name in HEADS}
    assert steps == {"centres": 60, "instances": 120, "classes": 120}
    assert {TASK.least_steps_for(NucleiConfig(head=name), from_model=False) for name in HEADS} == {120}
