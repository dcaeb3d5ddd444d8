"""The links task: which nucleus of the next frame is the same nucleus, or its daughter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from anlage.annotations import Annotations
from anlage.axes import Box
from anlage.dataset.split import check_uses
from anlage.frozen import Frozen
from anlage.tasks.links.config import LinksConfig, LinksPlan
from anlage.tasks.links.readiness import readiness
from anlage.tasks.readiness import Readiness
from anlage.tasks.sources import Material, Stores, check_alike
from anlage.tasks.task import Evidence, HeldOutFilm, Setting, Task, Validation
from anlage.wording import plural

if TYPE_CHECKING:
    import torch

    from anlage.dataset.store import Store
    from anlage.tasks.links.examples import LinkExamples

__all__ = ["LinksTask"]


class LinkStores(Stores):
    """Stores with links; they may lack an image."""

    has_starter: ClassVar[bool] = False

    def check(self, sources: Sequence[Store], card: Any | None) -> None:
        check_uses(sources)
        check_alike(sources, channels=False)

    def card_fields(self, sources: Sequence[Store], plan: Frozen) -> dict[str, Any]:
        fields = super().card_fields(sources, plan)
        learnt = [store for store in sources if store.meta.use != "validation"]
        for entry, store in zip(fields["trained_on"], learnt, strict=True):
            sure = store.positives.sure()
            n, n_divisions = len(sure.links), len(sure.divisions)
            frames = plural(len(store.frames), "frame")
            entry |= {
                "n_examples": n,
                "holds": f"{plural(n, 'link')} and {plural(n_divisions, 'division')} in {frames}",
            }
        if isinstance(plan, LinksPlan) and plan.look is None:
            fields |= {"channels": (), "combine": "separate", "intensity": None, "diameter_um": None}
        return fields


class LinksTask(Task):
    """Links between frames, from points, and from the image where there is one."""

    name: ClassVar[str] = "links"
    title: ClassVar[str] = "Links"
    steps: ClassVar[int] = 350
    least_steps: ClassVar[int] = 60
    use: ClassVar[str] = "anlage track IMAGE -o tracks.geff --nuclei NUCLEI --links {model}"
    config: ClassVar[type[Frozen]] = LinksConfig
    plan: ClassVar[type[Frozen]] = LinksPlan
    inherited: ClassVar[tuple[str, ...]] = ("image", "width", "rounds")
    material: ClassVar[Material] = LinkStores()

    def readiness(self, nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
        return readiness(nuclei, boxes)

    def prepare(self, stores: Sequence[Store], config: LinksConfig, setting: Setting) -> LinkExamples:
        from anlage.tasks.links.preparation import prepare

        return prepare(stores, config, setting)

    def network(self, plan: LinksPlan, config: LinksConfig) -> torch.nn.Module:
        from anlage.networks.linker import Glance, Linker
        from anlage.tasks.links.graph import N_NEARBY, n_edge, n_node

        crops = plan.look
        glance = None if crops is None else Glance(
            crops.n_channels, crops.crop_zyx, stem=crops.grid.stem, strides=crops.grid.strides, kernels=crops.grid.kernels,
        )  # fmt: skip
        n_nodes, n_edges = n_node(history=plan.history), n_edge(history=plan.history)
        return Linker(N_NEARBY, n_nodes, n_edges, glance=glance, width=config.width, rounds=config.rounds)

    def loss(
        self, network: torch.nn.Module, batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        from anlage.tasks.links.loss import batch_loss

        parts = batch_loss(network, batch)
        return sum(parts.values()), {name: part.detach() for name, part in parts.items()}  # type: ignore[return-value]

    def validate(self, network: torch.nn.Module, examples: LinkExamples) -> Validation:
        from anlage.tasks.links.validation import validate

        return validate(network, examples)

    def finish(self, network: torch.nn.Module, examples: LinkExamples) -> Evidence:
        from anlage.tasks.links.validation import finish

        return finish(network, examples)

    def held_out_films(
        self, network: torch.nn.Module, examples: LinkExamples, evidence: Evidence
    ) -> Sequence[HeldOutFilm]:
        from anlage.tasks.links.held_out_films import held_out_films

        return held_out_films(network, examples, evidence.calibration)
