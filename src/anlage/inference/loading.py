"""Prepare a model for an image: its weights, channels, and the nucleus diameter that sets the scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from anlage.axes import Spacing
from anlage.blobs import doubt_diameter, match_diameter
from anlage.card import Card
from anlage.dataset.intensity import measure_intensity
from anlage.errors import AnlageError
from anlage.inference.diameter_search import sureness, surest
from anlage.inference.loaded import Loaded
from anlage.inference.region import (
    apparent_diameter,
    chosen_frames,
    comparable_diameter,
    knows_many_sizes,
    leading_channel,
    measured_voxels,
)
from anlage.io.image_doubts import doubt_spacing
from anlage.model import Model
from anlage.tasks import task_named
from anlage.tasks.nuclei.heads import finds_classes
from anlage.tasks.nuclei.task import NucleiTask
from anlage.timelapse import TimeLapse

if TYPE_CHECKING:
    import torch

    from anlage.tasks.grid import Grid

__all__ = ["channels_of", "check_depth", "diameter_for", "load_for", "network_of"]


def load_for(
    model: Model,
    image: TimeLapse,
    frames: Sequence[int] | None,
    *,
    channels: Sequence[int] | None = None,
    diameter_um: float | None = None,
    device: str = "auto",
) -> Loaded:
    """Load a model's network and see how it fits an image.

    Parameters
    ----------
    model
        The model.
    image
        The movie.
    frames
        Those in which the nuclei are measured, where `diameter_um` is None; None: of all.
    channels
        Channels of the image, one for each input; None: those of the card.
    diameter_um
        Nucleus diameter in µm; None: as measured and held against the model's; what was painted as classes has no size
        that could be measured, so there the model's own.
    device
        Where to compute.

    Raises
    ------
    AnlageError
        If channels, planes or weights do not fit.
    """
    from anlage.networks.device import choose_device

    card = model.card
    inputs, notes = channels_of(model, image, channels)
    chosen = choose_device(device)
    network, plan = network_of(model, chosen)
    notes += check_depth(plan.grid, image)
    spacing = image.spacing
    if spacing is None:
        spacing = Spacing(*card.voxel_um_zyx)
        notes.append(f"The voxel size of the image is unknown; the model's was assumed: {spacing}.")
    intensity = measure_intensity(image, inputs, card.brightness.combine, card.brightness.percentiles)
    um = plan.diameter_um if diameter_um is None else diameter_um
    loaded = Loaded(network, plan, chosen, intensity, spacing, um, tuple(notes))
    if diameter_um is None and not finds_classes(card.head):
        loaded = _measured(loaded, card, image, chosen_frames(image, frames))
    doubt = None if doubt_spacing(spacing, flat=image.is_flat) else doubt_diameter(loaded.diameter_um)
    return loaded if doubt is None else replace(loaded, notes=(*loaded.notes, doubt))


def _measured(loaded: Loaded, card: Card, image: TimeLapse, frames: Sequence[int]) -> Loaded:
    """With the nucleus diameter that these frames of the image show."""
    measured = apparent_diameter(image, loaded.intensity, loaded.spacing, frames, leading_channel(card))
    um, note = diameter_for(card, loaded.plan.diameter_um, measured)
    loaded = replace(loaded, diameter_um=um, measured_voxels=measured_voxels(image))
    if card.task == NucleiTask.name:
        um, note = _surest(loaded, card, image, frames[len(frames) // 2], measured) or (um, note)
    return replace(loaded, diameter_um=um, notes=(*loaded.notes, note))


def _surest(loaded: Loaded, card: Card, image: TimeLapse, t: int, measured: float | None) -> tuple[float, str] | None:
    """The diameter in µm with which the network is surest of what it finds in a frame, and a sentence; None where the usual one is."""
    usual, own = loaded.diameter_um, loaded.plan.diameter_um
    here = None if measured is None else comparable_diameter(card, measured)
    um = surest(sureness(loaded, card, image, t), usual if knows_many_sizes(card) else own, here)
    if um is None or um == usual:
        return None
    seen = "nothing could be measured in the image" if measured is None else f"measured in the image: {measured:.1f} µm"
    return um, (
        f"The nuclei were taken to be {um:.1f} µm across, with which the network is surest of what it finds ({seen}; those that "
        f"it was trained on: {own:.1f} µm; --diameter-um sets another diameter)."
    )


def network_of(model: Model, device: str) -> tuple[torch.nn.Module, Any]:
    """The card's network, filled with the model's weights and ready to answer, and its task's plan.

    Raises
    ------
    AnlageError
        If the weights do not fit the network that the card describes.
    """
    import torch

    task = task_named(model.card.task)
    plan, config = model.card.typed_plan, model.card.typed_config
    weights = {name: torch.from_numpy(array) for name, array in model.weights().items()}
    with torch.device("meta"):  # no memory is taken for a network that its weights do not fill
        shapes = {name: tensor.shape for name, tensor in task.network(plan, config).state_dict().items()}
    if shapes != {name: tensor.shape for name, tensor in weights.items()}:
        raise AnlageError(
            f"The weights of '{model.path.name}' do not fit the network that its card describes: the file is damaged "
            "or was made by another version; train it again."
        )
    network = task.network(plan, config)
    network.load_state_dict(weights)
    return network.to(device).eval(), plan


def channels_of(model: Model, image: TimeLapse, chosen: Sequence[int] | None) -> tuple[tuple[int, ...], list[str]]:
    """Which channels of the image the model looks at, and a note where that was not obvious.

    Parameters
    ----------
    model
        Its card says which channels it learnt from.
    image
        The movie.
    chosen
        Channels of the image, one for each input; None: those of the card.

    Raises
    ------
    AnlageError
        If their number does not fit, or the image lacks one.
    """
    card = model.card
    learnt = card.brightness.indices
    wanted = learnt if chosen is None else tuple(int(c) for c in chosen)
    if len(wanted) != len(learnt):
        raise AnlageError(
            f"The model '{card.name}' looks at {len(learnt)} channels ({', '.join(card.channels)}), but {len(wanted)} were "
            "chosen: name one channel of the image for each, in this order."
        )
    if max(wanted) >= image.n_channels:
        raise AnlageError(
            f"The model '{card.name}' looks at channel {', '.join(map(str, wanted))}, but '{image.source}' has "
            f"{image.n_channels} (0 to {image.n_channels - 1}): choose channels of the image with --channels."
        )
    if chosen is None and image.n_channels > len(wanted):
        shown = ", ".join(f"{c} ({image.channels[c]})" for c in wanted)
        return wanted, [
            f"Of {image.n_channels} channels the model looks at {shown}, as in training; --channels chooses."
        ]
    return wanted, []


def check_depth(grid: Grid, image: TimeLapse) -> list[str]:
    """Refuse volumes for a model of single planes; what to say of the contrary.

    Raises
    ------
    AnlageError
        If the model knows single planes only, and the image has more.
    """
    if grid.flat and not image.is_flat:
        raise AnlageError(
            f"The model was trained on single planes, but '{image.source}' has {image.shape_tzyx[1]}: train one on volumes, "
            "or predict a projection."
        )
    if image.is_flat and not grid.flat:
        return ["The model was trained on volumes, and the image is a single plane: expect it to do worse."]
    return []


def diameter_for(card: Card, own_um: float, measured: float | None) -> tuple[float, str]:
    """Which nucleus diameter to predict with, in µm, and a sentence that says so.

    Parameters
    ----------
    card
        The model's.
    own_um
        Diameter of the nuclei that it was trained on, in µm.
    measured
        As measured in the image, in µm; None where that failed.
    """
    if not knows_many_sizes(card) and card.plan.get("apparent_um", own_um) is None:
        return own_um, (
            f"Images like those that the model was trained on do not show how large nuclei are; its own diameter of {own_um:.1f} µm "
            "was assumed (--diameter-um sets another)."
        )
    if measured is None or not knows_many_sizes(card):
        return match_diameter(None if measured is None else comparable_diameter(card, measured), own_um)
    return measured, (
        f"The nuclei were taken to be {measured:.1f} µm across, as measured in the image (--diameter-um sets another "
        "diameter)."
    )
