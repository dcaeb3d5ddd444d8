"""What every kind of network must keep, whichever there are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anlage.annotations import Annotations
from anlage.axes import Box, Spacing
from anlage.dataset.build import build_store
from anlage.frozen import Frozen
from anlage.io.signal_files.signals import write_signals
from anlage.synthetic.signals import stepped_tracks
from anlage.tasks import TASKS
from anlage.tasks.sources import Stores
from anlage.tasks.task import Evidence, Setting, Validation
from anlage.timelapse import TimeLapse
from anlage.training.config import TrainingConfig

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    rng = np.random.default_rng(0)
    made = []
    for i in range(2):
        image = rng.integers(90, 110, (6, 6, 40, 40)).astype(np.uint16)
        rows, links = [], []
        latest: dict[str, int] = {}
        for t in range(6):
            # one of three squares divides after the second frame, the next after the fourth
            squares = {"a": (10, 10), "b": (10, 28), "c": (28, 20)}
            mother = {2: "c", 4: "b"}.get(t)
            for name in "cb"[: t // 2]:
                y, x = squares.pop(name)
                squares |= {f"{name}1": (y, x - 6), f"{name}2": (y, x + 6)}
            for name, (y, x) in squares.items():
                image[t, 2:5, y - 4 : y + 5, x - 4 : x + 5] += 150
                rows.append((t, 3, y, x))
                before = latest.get(name) or (latest[mother] if mother and name[0] == mother else None)
                links += [] if before is None else [(before, len(rows))]
                latest[name] = len(rows)
        movie = TimeLapse.of(image, "tzyx", spacing=Spacing(2, 1, 1), source=f"squares {i}")
        folder = tmp_path_factory.mktemp("stores") / f"{i}.zarr"
        truth = Annotations.of(rows, radius_um=4.5, links=links)
        assert len(truth.divisions) == 2
        made.append(build_store(folder, movie, truth, cuboid=Box.whole(movie.shape_tzyx)))
    return made


@pytest.fixture(scope="module")
def signals(tmp_path_factory):
    file = tmp_path_factory.mktemp("signals") / "tracks.csv"
    write_signals(file, stepped_tracks(40, n_movies=3))
    return [file]


@pytest.fixture
def prepared(task, request, tmp_path):
    config = task.config()
    setting = Setting(cache=tmp_path, seed=3, device="cpu", batch_size=2, augment=True)
    material = task.material
    if isinstance(material, Stores):
        sources = request.getfixturevalue("stores")
    else:
        sources = [material.open(path, config) for path in request.getfixturevalue("signals")]
    material.check(sources, None)
    return config, task.prepare(sources, config, setting)


@every_task
def test_its_parameters_are_written_once_with_their_meaning(task):
    assert issubclass(task.config, Frozen)
    assert issubclass(task.plan, Frozen)
    for record in (task.config, TrainingConfig):
        assert [name for name, field in record.model_fields.items() if not field.description] == []
    shared = set(task.config.model_fields) & set(TrainingConfig.model_fields)
    assert shared == set()  # --set takes both by their bare names


@every_task
def test_it_has_a_title_and_a_number_of_steps_that_teaches_something(task):
    assert task.title
    for from_model in (False, True):
        usual = task.steps_for(task.config(), from_model=from_model)
        assert usual >= task.least_steps_for(task.config(), from_model=from_model)


@every_task
def test_it_says_how_its_model_is_used(task):
    assert task.use.format(model="run/m.anlage").startswith("anlage ")
    assert "run/m.anlage" in task.use.format(model="run/m.anlage")


@every_task
def test_it_says_what_it_needs_before_there_is_anything(task):
    nothing = task.readiness(Annotations.of(np.zeros((0, 4))), [])
    assert not nothing.can_train
    assert nothing.lack.endswith(".")
    assert nothing.has


@every_task
def test_plan_and_config_survive_the_card(task, prepared):
    config, examples = prepared
    assert task.plan.model_validate_json(examples.plan.model_dump_json()) == examples.plan
    assert task.config.model_validate_json(config.model_dump_json()) == config


@every_task
def test_batches_depend_on_seed_and_step_alone(task, prepared):
    config, examples = prepared
    first, again = examples.batch(5, 2), examples.batch(5, 2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    n_networks = getattr(config, "members", 1)  # each gets as many
    assert {len(tensor) for tensor in examples.batch(5, 1).values()} == {n_networks}


@every_task
def test_loss_validation_and_evidence(task, prepared):
    config, examples = prepared
    torch.manual_seed(0)
    network = task.network(examples.plan, config)
    loss, parts = task.loss(network, examples.batch(0, 2))
    loss.backward()
    assert torch.isfinite(loss)
    assert not any(part.requires_grad for part in parts.values())
    network.eval()
    seen = task.validate(network, examples)
    assert isinstance(seen, Validation)
    assert np.isfinite([seen.loss, seen.score]).all()
    evidence = task.finish(network, examples)
    assert isinstance(evidence, Evidence)
    assert 0 <= evidence.threshold <= 1
    assert Evidence.model_validate_json(evidence.model_dump_json()) == evidence


@every_task
def test_the_same_seed_makes_the_same_network(task, prepared):
    config, examples = prepared
    states = []
    for _ in range(2):
        torch.manual_seed(1)
        states.append(task.network(examples.plan, config).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
