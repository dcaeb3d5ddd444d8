"""How large nuclei are in the training data: what all stores are scaled by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anlage.blobs import estimate_diameter, is_alike, match_diameter
from anlage.dataset.store import Store
from anlage.neighbours import typical_gap_um

__all__ = ["apparent_diameter_of_stores", "neighbour_distance_of_stores", "pooled_diameter", "scaling_diameter"]


def pooled_diameter(stores: Sequence[Store]) -> float:
    """Median over stores, each counting as often as it has nuclei."""
    values = np.concatenate([np.full(len(store.positives), store.meta.diameter_um) for store in stores])
    # one that some store really has: between two species lies a diameter that suits neither
    return float(np.quantile(values, 0.5, method="nearest"))


def neighbour_distance_of_stores(stores: Sequence[Store]) -> float | None:
    """Distance in µm from a nucleus to the next one, typical of the store where they lie nearest; None where none has another."""
    found = [typical_gap_um(n.frames, n.positions[:, 1:] * s.spacing.um) for s in stores for n in [s.positives]]
    return min((um for um in found if um is not None), default=None)


def apparent_diameter_of_stores(stores: Sequence[Store], channel: int | None = None) -> float | None:
    """Diameter in µm as it is measured in the pixels alone, of a channel or of their mean, in the middle annotated frame of each store.

    None where nothing could be measured, or where the annotation contradicts what was: the images of such stores do not show the
    size of their nuclei (dark ones, coarse chromatin).
    """
    ratios = []
    for store in stores:
        pixels = store.frame(store.frames[len(store.frames) // 2])
        size = estimate_diameter(pixels.mean(axis=0) if channel is None else pixels[channel], store.spacing)
        if size is not None:
            ratios.append((size, size / store.meta.diameter_um))
    if not ratios:
        return None
    size, ratio = np.median(ratios, axis=0)
    return float(size) if is_alike(ratio) else None


def scaling_diameter(store: Store, pooled: float, given_um: float | None) -> tuple[float, str]:
    """Nucleus diameter (µm) by which this store is scaled, and a note where it is not the pooled one."""
    if given_um is not None:
        return given_um, ""
    diameter, _ = match_diameter(store.meta.diameter_um, pooled)
    if diameter == pooled:
        return pooled, ""
    return (
        diameter,
        f"Nuclei of '{store.name}' measure {diameter:.1f} µm, the others {pooled:.1f} µm: it is scaled to match.",
    )
