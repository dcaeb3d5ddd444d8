"""How large nuclei are in the training data: what all stores are scaled by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anlage.blobs import estimate_diameter, match_diameter
from anlage.dataset.store import Store

__all__ = ["apparent_diameter_of_stores", "pooled_diameter", "scaling_diameter"]


def pooled_diameter(stores: Sequence[Store]) -> float:
    """Median over stores, each counting as often as it has nuclei."""
    values = np.concatenate([np.full(len(store.positives), store.meta.diameter_um) for store in stores])
    # one that some store really has: between two species lies a diameter that suits neither
    return float(np.quantile(values, 0.5, method="nearest"))


def apparent_diameter_of_stores(stores: Sequence[Store]) -> float | None:
    """Diameter in µm as it is measured in the pixels alone, in the middle annotated frame of each store."""
    found = [
        estimate_diameter(store.frame(store.frames[len(store.frames) // 2]).mean(axis=0), store.spacing)
        for store in stores
    ]
    sizes = [size for size in found if size is not None]
    return float(np.median(sizes)) if sizes else None


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
