"""The parameters of tracking."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from annotated_types import Ge, Gt, Le, Lt

from anlage.calibration import Calibration, TemperatureScaling
from anlage.frozen import Frozen

__all__ = ["TRAINED", "UNTRAINED", "TrackingSettings"]

Chance = Annotated[float, Gt(0), Lt(1)]

UNTRAINED = TemperatureScaling(temperature=3.0, calibration=Calibration(slope=1.34, intercept=-0.32))
"""Where distance and motion alone judge the links: fitted to synthetic embryos with one nucleus in ten missed and one in ten false."""
TRAINED = TemperatureScaling(temperature=2.0, calibration=Calibration(slope=1.56, intercept=-1.73))
"""Where a network judges them whose card holds none of its own, because too little was held out: fitted to the tracks of one that
had learnt from two such embryos, through a third."""


class TrackingSettings(Frozen):
    """Parameters of tracking; the defaults hold for nuclei that a detector found with few errors."""

    method: Literal["optimal", "greedy"] = "optimal"
    """optimal: the most probable tracks of all; greedy: the best link first, a preview within seconds."""
    gaps: bool = True
    """Whether a track may go on over one frame in which its nucleus was missed."""
    radius_um: Annotated[float, Gt(0)] | None = None
    """Greatest distance in µm between where a nucleus is expected and where it is; by default that of the model of links, or from
    the distances between neighbours."""
    most_candidates: Annotated[int, Ge(1), Le(50)] = 8
    """Nuclei of the next frame that are considered for each nucleus."""
    appear_probability: Chance = 0.02
    """How probable it is that a track begins with a given nucleus inside the image: it was missed before, or came into focus."""
    end_probability: Chance = 0.02
    """How probable it is that a track ends with a given nucleus inside the image."""
    division_probability: Chance = 0.05
    """How probable it is that a given nucleus divides before the next frame, where neither a model of divisions nor one of links says it."""
    border_probability: Chance = 0.1
    """How probable a beginning or an end is right on the image's border, where nuclei come and go."""
    border_distances: Annotated[float, Ge(0)] = 1.0
    """Depth of the image's rim, in distances between neighbours, over which these chances fall to those inside."""
    temperature: Annotated[float, Gt(0), Le(20)] | None = None
    """Above 1, single probabilities claim to know more than they do, as they rest on the same evidence: logarithms of odds are
    divided by it where errors are reported. By default what the model of links needed on its held-out films, as its card says."""
    calibration: Calibration | None = None
    """Scaling of the links' final probabilities, fitted to links whose truth is known. By default that of the model of links, from
    its held-out films with one nucleus in ten missed and one in ten false; without a model that of synthetic embryos."""
    search_seconds: Annotated[float, Gt(0)] = 30.0
    """Longest search in seconds around one place where the linear programme gives no whole numbers; it hardly ever takes one."""

    def with_scaling(self, by: TemperatureScaling) -> Self:
        """With a temperature and a calibration, those given here before others."""
        return self.model_copy(
            update={
                "temperature": by.temperature if self.temperature is None else self.temperature,
                "calibration": by.calibration if self.calibration is None else self.calibration,
            }
        )

    @property
    def scaling(self) -> TemperatureScaling:
        """How probabilities are scaled; without a word of it, as for links that distance and motion alone judge."""
        scaled = self.with_scaling(UNTRAINED)
        assert scaled.temperature is not None  # noqa: S101  `with_scaling` gives both
        assert scaled.calibration is not None  # noqa: S101
        return TemperatureScaling(temperature=scaled.temperature, calibration=scaled.calibration)
