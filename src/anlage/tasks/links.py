"""The links task: which nucleus of the next frame is the same nucleus, or its daughter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import model_validator

from anlage.annotations import Annotations, State
from anlage.axes import Box
from anlage.foreign import MOST_DIAMETER_UM
from anlage.frozen import DiameterUm, Finite, Frozen
from anlage.tasks.grid import Channels, CropZyx, Grid, check_whole
from anlage.tasks.material import Stores, check_alike
from anlage.tasks.readiness import Readiness, counted
from anlage.tasks.task import Evidence, FollowedFilm, Setting, Validation

if TYPE_CHECKING:
    import torch

    from anlage.dataset.store import Store
    from anlage.tasks.link_examples import LinkExamples

__all__ = ["LinksConfig", "LinksPlan", "LinksTask", "Look"]

ENOUGH_LINKS = 200
"""With about so many links the network is better than distances alone, by experience."""


class LinksConfig(Finite):
    """Parameters of the links task."""

    image: bool = True
    """Look at the image around each nucleus, where the stores have one; false: at the points alone."""
    most: Annotated[int, Ge(2), Le(32)] = 8
    """Candidates of one nucleus in the next frame."""
    radius: Annotated[float, Gt(0), Le(10)] | None = None
    """Search radius in nearest-neighbour distances; by default so that it holds nearly all links of the training data."""
    strides: Annotated[tuple[Annotated[int, Ge(1), Le(20)], ...], MinLen(1), MaxLen(20)] = (1, 2, 3)
    """Also learn from every so many frames, as if the film had been taken more slowly: 1 means every frame."""
    jitter: Annotated[float, Ge(0), Le(0.5)] = 0.1
    """Positions are varied by up to this standard deviation, in nearest-neighbour distances, as a detector's are."""
    dropped: Annotated[float, Ge(0), Le(0.5)] = 0.15
    """Largest share of nuclei that are left out, and of false points put in, while it learns."""
    window: Annotated[int, Ge(3), Le(20)] = 5
    """Frames of an example."""
    width: Annotated[int, Ge(8), Le(512)] = 64
    """Numbers that the network remembers of each nucleus and each candidate."""
    rounds: Annotated[int, Ge(1), Le(6)] = 2
    """Rounds in which nuclei and candidates tell their neighbours of each other."""


class Look(Finite):
    """How the image around a nucleus is shown to the network."""

    grid: Grid
    """The working grid."""
    crop_zyx: CropZyx
    """Working voxels around a nucleus."""
    n_channels: Channels
    """Image channels."""
    diameter_um: DiameterUm
    """Typical diameter of the training nuclei in µm: a film is brought to the grid by it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_whole(self.crop_zyx, self.grid)
        return self


class LinksPlan(Finite):
    """What the training data decided."""

    radius: Annotated[float, Gt(0), Le(100)]
    """Search radius around the expected place, in nearest-neighbour distances."""
    spread: Annotated[float, Ge(0), Le(100)]
    """Typical distance by which nuclei missed where they were expected, in nearest-neighbour distances: the motion scale."""
    neighbour_um: Annotated[float, Gt(0), Le(100 * MOST_DIAMETER_UM)]
    """Median distance between nearest neighbours in the training data, in µm."""
    look: Look | None
    """How it sees the image; None: it works on points alone."""


class LinkStores(Stores):
    """Stores with links; they may lack an image."""

    has_starter: ClassVar[bool] = False

    def check(self, sources: Sequence[Store], card: Any | None) -> None:
        from anlage.dataset.split import check_uses

        check_uses(sources)
        check_alike(sources, channels=False)

    def remembered(self, sources: Sequence[Store], plan: Frozen) -> dict[str, Any]:
        told = super().remembered(sources, plan)
        learnt = [store for store in sources if store.meta.use != "validation"]
        for entry, store in zip(told["trained_on"], learnt, strict=True):
            sure = store.positives.sure()
            n, n_divisions = len(sure.links), len(sure.divisions)
            frames = counted(len(store.frames), "frame")
            entry |= {
                "n_examples": n,
                "holds": f"{counted(n, 'link')} and {counted(n_divisions, 'division')} in {frames}",
            }
        if isinstance(plan, LinksPlan) and plan.look is None:
            told |= {"channels": (), "combine": "separate", "intensity": None, "diameter_um": None}
        return told


class LinksTask:
    """Links between frames, from points, and from the image where there is one."""

    name: ClassVar[str] = "links"
    title: ClassVar[str] = "Links"
    minutes: ClassVar[float] = 6.0
    least_steps: ClassVar[int] = 60
    use: ClassVar[str] = "anlage track IMAGE -o tracks.geff --nuclei NUCLEI --links {model}"
    config: ClassVar[type[Frozen]] = LinksConfig
    plan: ClassVar[type[Frozen]] = LinksPlan
    inherited: ClassVar[tuple[str, ...]] = ("image", "width", "rounds")
    material: ClassVar[LinkStores] = LinkStores()

    def readiness(self, nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
        return _readiness(nuclei, boxes)

    def prepare(self, stores: Sequence[Store], config: LinksConfig, setting: Setting) -> LinkExamples:
        from anlage.tasks.link_preparation import prepare

        return prepare(stores, config, setting)

    def network(self, plan: LinksPlan, config: LinksConfig) -> torch.nn.Module:
        from anlage.networks.linker import Glance, Linker
        from anlage.tasks.link_graph import N_EDGE, N_NEARBY, N_NODE

        look = plan.look
        glance = None if look is None else Glance(
            look.n_channels, look.crop_zyx, stem=look.grid.stem, strides=look.grid.strides, kernels=look.grid.kernels,
        )  # fmt: skip
        return Linker(N_NEARBY, N_NODE, N_EDGE, glance=glance, width=config.width, rounds=config.rounds)

    def loss(
        self, network: torch.nn.Module, batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        from anlage.tasks.link_loss import batch_loss

        parts = batch_loss(network, batch)
        return sum(parts.values()), {name: part.detach() for name, part in parts.items()}  # type: ignore[return-value]

    def validate(self, network: torch.nn.Module, examples: LinkExamples) -> Validation:
        from anlage.tasks.link_validation import validate

        return validate(network, examples)

    def finish(self, network: torch.nn.Module, examples: LinkExamples) -> Evidence:
        from anlage.tasks.link_validation import finish

        return finish(network, examples)

    def followed(self, network: torch.nn.Module, examples: LinkExamples, evidence: Evidence) -> Sequence[FollowedFilm]:
        from anlage.tasks.link_following import followed

        return followed(network, examples, evidence.calibration)


def _readiness(nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
    """How many links lie in the regions."""
    true = nuclei.select(nuclei.state != State.REJECTED).sure()
    n = len(true.links)
    if not n:
        return Readiness(
            "no link yet",
            lack="Nothing is linked yet; link some nuclei to those of the next frame on the Annotate tab.",
        )
    made = counted(n, "link")
    if not boxes:
        return Readiness(
            f"{made}, no region yet",
            lack=f"{made} made, but not where annotation is complete; put a box around them on the Annotate tab.",
        )
    inside = np.zeros(len(true), dtype=bool)
    for box in boxes:
        inside |= box.contains(true.positions)
    kept = len(true.select(inside).links)
    has = f"{counted(kept, 'link')} in {counted(len(boxes), 'region')}"
    if not kept:
        return Readiness(has, lack="The regions hold no link; move their walls, or link nuclei inside them.")
    return Readiness(has, wish="" if kept >= ENOUGH_LINKS else f"{ENOUGH_LINKS} are better")
