"""The network for links: one code for each nucleus, then messages along the graph of candidate links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from anlage.networks.convolution import Conv3d
from anlage.networks.unet import ChannelNorm, space_to_depth

__all__ = ["Glance", "Linker"]

Zyx = tuple[int, int, int]


class Linker(nn.Module):
    """Log-odds of candidates to be links, and of nuclei to divide.

    What points alone say without training is an input, and added to the answer: fresh weights answer as if untrained.

    Parameters
    ----------
    n_nearby, n_node, n_edge
        Numbers of each point around a nucleus, of each nucleus, and of each candidate.
    glance
        What looks at the image around each nucleus; None: the network works on points alone.
    width
        Width of all codes.
    rounds
        Rounds of messages between nuclei and candidates.
    """

    def __init__(
        self, n_nearby: int, n_node: int, n_edge: int, *, glance: Glance | None, width: int, rounds: int
    ) -> None:
        super().__init__()
        self.glance = glance
        n_look = 0 if glance is None else glance.n_out
        self.point = nn.Sequential(nn.Linear(n_nearby, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.nucleus = _mixing(2 * width + n_node + n_look, width)
        self.enter = nn.Linear(n_edge + 1, width)
        self.earlier = nn.Linear(width, width, bias=False)
        self.later = nn.Linear(width, width, bias=False)
        self.rounds = nn.ModuleList(_Round(width) for _ in range(rounds))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))
        self.parting = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))
        for last in (self.leave[-1], self.parting[-1]):
            nn.init.zeros_(last.weight)  # type: ignore[arg-type]
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, graph: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Score all candidates of a graph; each nucleus is encoded once.

        Parameters
        ----------
        graph
            nearby (N, K, F), node (N, F), pairs (E, 2), edge (E, F), prior (E,), prior_divides (N,), and, where the network
            sees the image, either crops (N, C, Z, Y, X) or look (N, F), what `glance` said of them.

        Returns
        -------
        links, divides
            (E,) log-odds of the candidates and (N,) of the nuclei to divide.
        """
        i, j = graph["pairs"][:, 0], graph["pairs"][:, 1]
        prior, prior_divides = graph["prior"], graph["prior_divides"]
        node = self._encoded(graph)
        given = self.enter(torch.cat([graph["edge"], prior[:, None] / 5], dim=1))
        edge = functional.silu(given + self.earlier(node).index_select(0, i) + self.later(node).index_select(0, j))
        for one in self.rounds:
            node, edge = one(node, edge, i, j)
        return prior + self.leave(edge)[:, 0].float(), prior_divides + self.parting(node)[:, 0].float()

    def _encoded(self, graph: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(N, width) code of each nucleus."""
        there = graph["nearby"][..., -1:]
        points = self.point(graph["nearby"]) * there
        parts = [points.sum(dim=1) / there.sum(dim=1).clamp(min=1), points.amax(dim=1), graph["node"]]
        if self.glance is not None:
            parts.append(graph["look"] if "look" in graph else self.glance(graph["crops"]))
        code: torch.Tensor = self.nucleus(torch.cat(parts, dim=1))
        return code


class Glance(nn.Module):
    """(N, C, Z, Y, X) crops around nuclei → (N, F) what they look like.

    Parameters
    ----------
    n_in
        Channels of a crop.
    shape_zyx
        Its voxels, a multiple of `stem`.
    stem
        Voxels (z, y, x) folded into one cell.
    strides
        Downsampling (z, y, x) from each level to the next.
    kernels
        Convolution kernel (z, y, x) of each level, one more than `strides`.
    width
        Channels of the finest level; each coarser one has twice as many.
    n_out
        Numbers that come out.
    """

    def __init__(
        self,
        n_in: int,
        shape_zyx: Zyx,
        *,
        stem: Zyx,
        strides: Sequence[Zyx],
        kernels: Sequence[Zyx],
        width: int = 16,
        n_out: int = 32,
    ) -> None:
        super().__init__()
        self.stem, self.n_out = stem, n_out
        widths = [width * 2**level for level in range(len(kernels))]
        pads = [(k[0] // 2, k[1] // 2, k[2] // 2) for k in kernels]
        self.enter = Conv3d(n_in * stem[0] * stem[1] * stem[2], widths[0], kernels[0], padding=pads[0])
        self.down = nn.ModuleList(
            nn.Sequential(ChannelNorm(a), nn.SiLU(), Conv3d(a, b, k, stride=s, padding=pad))
            for a, b, k, s, pad in zip(widths[:-1], widths[1:], kernels[1:], strides, pads[1:], strict=True)
        )
        cells = [n // s for n, s in zip(shape_zyx, stem, strict=True)]
        for stride in strides:
            cells = [-(-n // s) for n, s in zip(cells, stride, strict=True)]
        self.norm = ChannelNorm(widths[-1])
        self.leave = nn.Sequential(nn.Linear(widths[-1] * cells[0] * cells[1] * cells[2], n_out), nn.LayerNorm(n_out))
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def forward(self, crops_NCZYX: torch.Tensor) -> torch.Tensor:
        # channels last: the norms are views then, and convolutions faster
        x = self.enter(space_to_depth(crops_NCZYX, self.stem).contiguous(memory_format=torch.channels_last_3d))
        for down in self.down:
            x = down(x)
        seen: torch.Tensor = self.leave(functional.silu(self.norm(x)).flatten(1))
        return seen


class _Round(nn.Module):
    """Candidates tell their two nuclei of themselves, and are told what else these are candidates of."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.weigh = nn.Linear(width, 2)
        self.tell = nn.Linear(width, width)
        self.node = _mixing(3 * width, width)
        self.hear = nn.Linear(width, 2 * width)
        self.edge = _mixing(width, width)

    def forward(
        self, node: torch.Tensor, edge: torch.Tensor, i: torch.Tensor, j: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        seen = self.norm(edge)
        weight, told = torch.sigmoid(self.weigh(seen)), self.tell(seen)
        empty = torch.zeros_like(node)
        onwards = empty.index_add(0, i, (weight[:, :1] * told).to(empty.dtype))
        before = empty.index_add(0, j, (weight[:, 1:] * told).to(empty.dtype))
        node = node + self.node(torch.cat([node, onwards, before], dim=1))
        as_earlier, as_later = self.hear(node).chunk(2, dim=1)
        return node, edge + self.edge(seen + as_earlier.index_select(0, i) + as_later.index_select(0, j))


def _mixing(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, n_out), nn.SiLU(), nn.LayerNorm(n_out), nn.Linear(n_out, n_out))
