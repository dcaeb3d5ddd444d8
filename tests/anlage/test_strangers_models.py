"""Models of strangers: whatever number stands in a card, it is refused at loading, or the network can be used."""

from __future__ import annotations

import contextlib
import copy
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.calibration import Calibration, TemperatureScaling
from anlage.card import Card, TrainedOn
from anlage.dataset.intensity import ChannelIntensity, Intensity
from anlage.errors import AnlageError
from anlage.inference import predict
from anlage.inference.divisions import score_divisions
from anlage.inference.label_image import prepare_labeller
from anlage.inference.links import link_scores
from anlage.inference.loading import network_of
from anlage.inference.signal_events import probability_along, score_windows, signals_for, track_events
from anlage.model import Model, load_model, read_card, save_model
from anlage.signals.signals import Signals
from anlage.tasks import TASKS
from anlage.tasks.task import Evidence
from anlage.timelapse import TimeLapse

GRID = {"voxel_diameters_zyx": [0.25, 0.1, 0.1], "stem": [1, 2, 2], "strides": [[2, 2, 2]]}
MEASURED = {"grid": GRID, "diameter_um": 8.0, "apparent_um": 8.5, "n_channels": 1, "match_radius_um": 3.0}
NUCLEI = {**MEASURED, "frames": [0], "patch_zyx": [4, 16, 16], "sigma": 0.16}
EVENTS = {"event": "", "longest": 24, "interval_s": 60.0, "dilations": [1, 2]}
SCALE = {"name": "a", "how": "percentile", "low": 0.0, "high": 2.0}

KINDS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "centres": ("nuclei", {**NUCLEI, "head": "centres"}, {"head": "centres", "width": 8, "levels": 2}),
    "instances": ("nuclei", {**NUCLEI, "head": "instances"}, {"head": "instances", "width": 8, "levels": 2, "diameter_um": 8.0}),
    "classes": ("nuclei", {**NUCLEI, "head": "classes", "classes": [0, 3]}, {"head": "classes", "width": 8, "levels": 2}),
    "divisions": ("divisions", {**MEASURED, "frames": [-1, 0, 1], "crop_zyx": [4, 12, 12]}, {"width": 8, "levels": 2}),
    "links": (
        "links",
        {
            "radius": 2.0, "spread": 0.3, "neighbour_um": 8.0,
            "look": {"grid": GRID, "crop_zyx": [4, 12, 12], "n_channels": 1, "diameter_um": 8.0},
        },
        {"most": 4, "width": 8, "rounds": 1},
    ),
    "points": ("links", {"radius": 2.0, "spread": 0.3, "neighbour_um": 8.0, "look": None}, {"most": 4, "width": 8, "rounds": 1}),
    "once": (
        "events",
        {**EVENTS, "kind": "once", "scales": [SCALE], "window": 0, "stride": 1, "onset": 0.0, "direction": 0},
        {"width": 4, "members": 1, "kernel": 3, "depth": 2},
    ),
    "repeated": (
        "events",
        {**EVENTS, "kind": "repeated", "scales": [{**SCALE, "how": "noise"}], "window": 16, "stride": 2, "onset": 0.2, "direction": 1},
        {"width": 4, "members": 1, "kernel": 3, "depth": 2},
    ),
}  # fmt: skip


def a_card(kind: str) -> Card:
    task, plan, config = KINDS[kind]
    sees_image = task != "events" and kind != "points"
    bins = [{"low": 0.1, "high": 0.2, "n": 5, "mean_probability": 0.15, "fraction_true": 0.2}]
    evidence = Evidence(
        held_out="31 nuclei", n_positive=31, metrics={"f1": 0.9, "tp": 9.0, "fp": 1.0, "fn": 1.0}, threshold=0.5,
        thresholds={"inside": 0.5}, calibration=Calibration(slope=0.8, intercept=0.1), ece=0.02,
        tracking=TemperatureScaling(temperature=1.5, calibration=Calibration(), n=20, ece=0.1, bins=tuple(bins)),
    )  # fmt: skip
    channel = ChannelIntensity(name="GFP", index=0, low=0.0, high=100.0)
    return Card(
        name="some", task=task, head=config.get("head", ""), created="2026-11-21T10:00:00Z", version="0.1.0",
        channels=("GFP",) if sees_image else ("a",), spacing_um_zyx=(2.0, 0.8, 0.8) if sees_image else None, interval_s=60.0,
        intensity=Intensity(channels=(channel,)) if sees_image else None, diameter_um=8.0 if sees_image else None,
        plan=plan, config=config, evidence=evidence, steps=100, seconds=20.0,
        trained_on=(TrainedOn(name="a", n_nuclei=120, n_frames=3, spacing_um_zyx=(2.0, 0.8, 0.8), diameter_um=8.0, noise=0.02),),
    )  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("models")

    def model(kind: str) -> Path:
        path = folder / f"{kind}.anlage"
        if not path.exists():
            card = a_card(kind)
            torch.manual_seed(0)
            network = TASKS[card.task].network(card.typed_plan, card.typed_config)
            save_model(path, card, network.state_dict())
        return path

    return model


@pytest.fixture(scope="module")
def movie() -> TimeLapse:
    data = np.random.default_rng(0).integers(90, 110, (3, 4, 24, 24)).astype(np.uint16)
    data[:, 1:3, 6:15, 6:15] += 200
    return TimeLapse.of(data, "tzyx", spacing=Spacing(2, 0.8, 0.8), interval_s=60.0, source="tiny")


def use(model: Model, movie: TimeLapse) -> None:
    """What the commands do with a model."""
    card = model.card
    card.to_markdown()
    if card.task == "events":
        values = np.random.default_rng(0).normal(size=(3, 1, 24))
        signals = signals_for(
            model, Signals.of(values, ("a",), kind="once" if card.plan["kind"] == "once" else "repeated")
        )
        if card.plan["kind"] == "once":
            assert len(track_events(model, signals)) == 3
        else:
            assert len(score_windows(model, signals)) == 3
            assert np.isfinite(probability_along(model, np.tile(values[0], 3)).probability).all()
        return
    points = Annotations.of([(t, 1, 10, x) for t in range(3) for x in (6, 18)], radius_um=4.0)
    if card.task == "divisions":
        assert len(score_divisions(model, points, movie, device="cpu")) == 6
    elif card.task == "links":
        assert len(link_scores(model, points, Spacing(2, 0.8, 0.8), movie, device="cpu").links) > 0
    elif card.head == "centres":
        assert len(list(predict(model, movie, frames=[1], device="cpu"))) == 1
    else:
        labeller = prepare_labeller(model, movie, frames=[1], device="cpu")
        assert all(labeller.piece(1, tile).labels.size for tile in labeller.tiles)


def deep(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


LIES = [-1, 0, 0.5, 1e308, -1e308, "NaN", "Infinity", 10**30, 1e-300, 10**9, "x", None, [], deep(150)]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Places of all numbers in a record."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from leaves(inner, (*path, key))
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def with_lie(record: dict[str, Any], place: tuple[Any, ...], lie: Any) -> dict[str, Any]:
    told = copy.deepcopy(record)
    inner: Any = told
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = lie
    return told


def retold(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], folder: Path) -> Path:
    """The same model with another card, as a stranger may write it."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    card = json.dumps(change(json.loads(members["card.json"])))
    members["card.json"] = card.replace('"NaN"', "1e999").replace('"Infinity"', "1e400").encode()
    new = folder / "stranger.anlage"
    with zipfile.ZipFile(new, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return new


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_this_kind_works(kind: str, models: Any, movie: TimeLapse) -> None:
    use(load_model(models(kind)), movie)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("default::RuntimeWarning")
def test_any_number_of_a_card_is_refused_at_loading_or_of_use(
    kind: str, models: Any, movie: TimeLapse, tmp_path: Path
) -> None:
    path = models(kind)
    with zipfile.ZipFile(path) as archive:
        record = json.loads(archive.read("card.json"))
    taken: dict[str, list[Any]] = {}
    # what all kinds of card have in common is tried with one
    places = [place for place in leaves(record) if kind == "centres" or place[0] in ("plan", "config")]
    for place in places:
        for lie in LIES:
            new = retold(path, lambda card, place=place, lie=lie: with_lie(card, place, lie), tmp_path)
            with contextlib.suppress(AnlageError):  # anything else that is raised fails the test
                model = Model(read_card(new), new)
                taken.setdefault(".".join(map(str, place)), []).append(lie)
                model.card.to_markdown()
                # nuclei of half a micrometre: the movie is magnified 16 times, which works and takes a quarter of a minute
                large = (place, lie) == (("plan", "diameter_um"), 0.5)
                if place[0] not in ("trained_on", "steps", "seconds") and "metrics" not in place and not large:
                    use(model, movie)
    for name, lies in taken.items():
        if "metrics" not in name and name != "evidence.ece":  # of which those that are no numbers are left out
            assert not {"NaN", "Infinity"} & {lie for lie in lies if isinstance(lie, str)}, name
        if name.startswith(("plan", "config", "intensity.percentiles", "evidence.threshold")) and "scales" not in name:
            assert not {-1e308, 1e308, 10**30} & {lie for lie in lies if isinstance(lie, int | float)}, name


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("centres", {"plan.grid.strides": [[1, 2, 2]] * 60}),
        ("centres", {"plan.grid.strides": [[2, 2, 2], [2, 2, 2]]}),
        ("centres", {"plan.grid.strides": []}),
        ("centres", {"plan.n_channels": 2}),
        ("centres", {"plan.head": "instances"}),
        ("centres", {"head": "instances"}),
        ("centres", {"config.head": "instances"}),
        ("centres", {"plan.evil": 1}),
        ("centres", {"config.evil": 1}),
        ("centres", {"intensity": None}),
        ("centres", {"spacing_um_zyx": None}),
        ("centres", {"channels": []}),
        ("centres", {"channels": [], "intensity.channels": []}),
        ("centres", {"channels": ["a", "b"]}),
        ("centres", {"intensity.percentiles": [50, 50]}),
        ("centres", {"combine": "difference"}),
        ("centres", {"evidence.metrics.tp": -5.0}),
        ("centres", {"evidence.metrics.fn": 1e300}),
        ("classes", {"plan.classes": []}),
        ("centres", {"plan.classes": [1]}),
        ("divisions", {"plan.crop_zyx": [4, 13, 12]}),
        ("divisions", {"plan.crop_zyx": [4000, 4000, 4000]}),
        ("links", {"plan.look.crop_zyx": [4, 12, 13]}),
        ("links", {"plan.look.n_channels": 3}),
        ("once", {"plan.kind": "repeated"}),
        ("once", {"plan.window": 16}),
        ("once", {"plan.stride": 2}),
        ("once", {"config.kernel": 4}),
        ("once", {"plan.scales": []}),
        ("once", {"plan.scales.0.high": 0.0}),
        ("once", {"plan.scales.0.low": -1e308, "plan.scales.0.high": 1e308}),
        ("repeated", {"plan.stride": 17}),
        ("repeated", {"plan.window": 9_000_000, "plan.stride": 1}),
        ("repeated", {"plan.dilations": [1] * 11}),
        ("repeated", {"plan.direction": 2}),
        ("repeated", {"name": "../../elsewhere"}),
        ("repeated", {"name": "\x1b[31m"}),
    ],
)
def test_what_does_not_go_together_is_refused_at_loading(
    kind: str, changes: dict[str, Any], models: Any, tmp_path: Path
) -> None:
    def change(card: dict[str, Any]) -> dict[str, Any]:
        for place, lie in changes.items():
            inner: Any = card
            *way, last = place.split(".")
            for key in way:
                inner = inner[int(key) if key.isdigit() else key]
            inner[last] = lie
        return card

    new = retold(models(kind), change, tmp_path)
    with pytest.raises(AnlageError, match=r"stranger\.anlage' is refused: its card does not hold: ") as caught:
        load_model(new)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_network_that_its_weights_do_not_fill_takes_no_memory(models: Any, tmp_path: Path) -> None:
    def wider(card: dict[str, Any]) -> dict[str, Any]:
        card["config"] |= {"width": 256}
        card["plan"]["grid"] |= {"stem": [4, 4, 4]}
        return card

    with pytest.raises(AnlageError, match="do not fit the network that its card describes"):
        network_of(load_model(retold(models("centres"), wider, tmp_path)), "cpu")


def test_nuclei_that_no_image_has_are_refused_before_the_grid_is_laid(models: Any, movie: TimeLapse) -> None:
    model = load_model(models("centres"))
    for diameter_um in (0.02, 1e-6, 9000.0, 1e12):
        tiny = replace(movie, spacing=Spacing(1e-4, 1e-4, 1e-4)) if diameter_um == 9000 else movie
        with pytest.raises(AnlageError, match=r"of .* µm"):
            list(predict(model, tiny, frames=[0], diameter_um=diameter_um, device="cpu"))


def test_a_model_tells_nobody_where_its_author_keeps_images(models: Any, tmp_path: Path) -> None:
    def told(card: dict[str, Any]) -> dict[str, Any]:
        card["trained_on"][0] |= {"name": "C:\\Users\\jo\\a", "source": "/home/jo/secret project/embryo.tif"}
        return card

    old = retold(models("centres"), told, tmp_path)
    card = load_model(old).card
    assert (card.trained_on[0].name, card.trained_on[0].source) == ("a", "embryo.tif")
    assert "embryo.tif" in card.to_markdown()
    again = save_model(tmp_path / "again.anlage", card, load_model(old).weights()).path.read_bytes()
    assert not any(word in again for word in (b"home", b"secret", b"Users", b"jo/"))
