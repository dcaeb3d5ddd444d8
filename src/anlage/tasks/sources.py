"""What a kind of network learns from: stores cut out of images, unless the task brings its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from anlage.dataset.split import check_uses
from anlage.dataset.store import Store
from anlage.errors import AnlageError
from anlage.frozen import Frozen
from anlage.io.kinds import FileKind, check_kind

__all__ = ["Material", "Source", "Stores", "check_alike", "check_some", "fits_inputs"]


class Source(Protocol):
    """Training data, opened; what a run remembers of it is its path and its hash."""

    @property
    def path(self) -> Path: ...

    @property
    def name(self) -> str: ...

    @property
    def hash(self) -> str:
        """Hash of the content, hexadecimal; the same for every copy."""
        ...


class Material(Protocol):
    """How a task's training data are opened, checked and described in the card. Stateless; loads no torch."""

    noun: ClassVar[str]
    """What one of them is called: 'store'."""
    has_starter: ClassVar[bool]
    """Whether the network that comes with the program may have seen the like."""
    widens: ClassVar[bool]
    """Whether a training may start from a model that looks at a single channel, though its data have several."""

    def files(self, path: Path) -> list[Path]:
        """The sources that something given stands for: itself, or the files of a folder."""
        ...

    def open(self, path: Path, config: Any) -> Any:
        """Open one `Source`, with the task's configuration. Raises AnlageError if it is none."""
        ...

    def check(self, sources: Sequence[Any], card: Any | None) -> None:
        """Refuse, with AnlageError, sources that no single network can learn from, or a model (its card) that does not fit."""
        ...

    def card_fields(self, sources: Sequence[Any], plan: Frozen) -> dict[str, Any]:
        """The fields of the card that describe the training data: channels, voxel size, trained on what."""
        ...

    def limits(self, sources: Sequence[Any]) -> str:
        """What a network that learnt from these should not be used for, a sentence; empty if nothing is special."""
        ...


def fits_inputs(model: int, data: int, *, widens: bool) -> bool:
    """Whether a model of so many input channels can be started from with data of so many; `widens`: one may become several."""
    return model == data or (widens and model == 1)


class Stores:
    """Stores made by ``anlage build``."""

    noun: ClassVar[str] = "store"
    has_starter: ClassVar[bool] = True
    widens: ClassVar[bool] = False

    def files(self, path: Path) -> list[Path]:
        check_kind(
            path,
            [FileKind.STORE],
            "a training needs a store of training data: `anlage build` makes one from an image and its nuclei",
        )
        return [path]

    def open(self, path: Path, config: Any) -> Store:
        return Store.open(path)

    def check(self, sources: Sequence[Store], card: Any | None) -> None:
        check_uses(sources)
        without = next((store for store in sources if not store.has_image), None)
        if without is not None:
            raise AnlageError(
                f"The store '{without.path}' holds points without an image, from which only links can be learnt: train links "
                "on it, or build a store with the image."
            )
        check_alike(sources)
        first = sources[0]
        if card is not None and not fits_inputs(card.n_inputs, first.shape[1], widens=self.widens):
            raise AnlageError(
                f"The model to start from sees {card.n_inputs} channels ({', '.join(card.channels)}), but the store "
                f"'{first.path}' has {first.shape[1]}: choose the same channels, or train without --from."
            )

    def card_fields(self, sources: Sequence[Store], plan: Frozen) -> dict[str, Any]:
        first = sources[0].meta
        return {
            "channels": first.channels,
            "combine": first.combine,
            "spacing_um_zyx": first.spacing_um_zyx,
            "interval_s": first.interval_s,
            "intensity": first.intensity,
            "diameter_um": getattr(plan, "diameter_um", first.diameter_um),
            "trained_on": [_store(store) for store in _learnt(sources)],
        }

    def limits(self, sources: Sequence[Store]) -> str:
        if len({store.meta.source.movie for store in _learnt(sources)}) == 1:
            return "Movies of other embryos or days without a look at the result: it has seen a single one."
        return ""


def check_some(stores: Sequence[Store]) -> None:
    """Refuse, with AnlageError, to train from nothing."""
    if not stores:
        raise AnlageError("There is nothing to train from: give at least one store.")


def check_alike(stores: Sequence[Store], *, channels: bool = True) -> None:
    """Refuse, with AnlageError, stores that differ in what a network sees: planes or volumes, and channels unless these may differ."""
    check_some(stores)
    first = stores[0]
    for store in stores[1:]:
        if channels and store.shape[1] != first.shape[1]:
            raise AnlageError(
                f"The store '{store.path}' has {store.shape[1]} channels but '{first.path}' has {first.shape[1]}: "
                "build both with the same choice of channels."
            )
        if (store.shape_tzyx[1] == 1) != (first.shape_tzyx[1] == 1):
            raise AnlageError(
                f"'{store.path}' and '{first.path}' cannot train one network: one is a single plane, the other is not."
            )


def _learnt(stores: Sequence[Store]) -> list[Store]:
    return [store for store in stores if store.meta.use != "validation"]


def _store(store: Store) -> dict[str, Any]:
    return {
        "name": store.name,
        "source": store.meta.source.image,
        "store_hash": store.hash,
        "n_nuclei": len(store.positives),
        "n_frames": len(store.frames),
        "sparse": store.meta.sparse,
        "spacing_um_zyx": store.meta.spacing_um_zyx,
        "diameter_um": store.meta.diameter_um,
        "noise": round(store.noise, 4),
    }
