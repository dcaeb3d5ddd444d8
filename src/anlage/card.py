"""The model card: what a model finds, its training data, its scores, its calibration, and what it is not for."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from anlage.calibration import TemperatureScaling
from anlage.dataset.intensity import Intensity
from anlage.errors import AnlageError
from anlage.foreign import printable
from anlage.frozen import BareName, DiameterUm, Finite, Frozen, IntervalS, Name, VoxelUm, first_problem
from anlage.scores import Score, interval_of, noun_of
from anlage.shell import command
from anlage.tasks import TASKS, task_named
from anlage.tasks.task import Baseline, Evidence
from anlage.verdict import Verdict, judged
from anlage.wording import plural

__all__ = ["SCHEMA_VERSION", "Card", "TrainedOn"]

SCHEMA_VERSION = 1

_MOST_COUNTED = 1e12
"""Examples that anybody could have held out."""

_FINDS = {
    ("nuclei", "centres"): "the centre of every nucleus, as a point with a probability",
    ("nuclei", "instances"): "every nucleus, as a label of its own",
    ("nuclei", "classes"): "the class of every voxel, as painted in the annotations",
    ("divisions", ""): "the last frame of a nucleus before it divides",
    ("links", ""): "which nucleus of the next frame is the same nucleus",
    ("events", ""): "when an event happens on a signal over time",
}
_METRICS = {
    "f1": "F1 (found and right, together)",
    "precision": "Precision (of what it reports, this much is right)",
    "recall": "Recall (of what is there, this much is found)",
    "tp": "Found",
    "fn": "Missed",
    "fp": "Reported wrongly",
    "median_error_um": "Median distance to the true centre, µm",
    "mean_error_um": "Mean distance to the true centre, µm",
    "match_radius_um": "Distance to the true centre up to which it counts as found, µm",
    "best_f1": "F1 at the threshold that is best for it",
    "centre_error_um": "Median distance to the true centre, µm",
    "in_frame": "Of the divisions found, in the very frame (the others a frame early or late)",
    "n_others": "Nuclei among which the divisions were looked for",
    "average_precision": "Average precision (over all thresholds)",
    "mean_f1": "Mean F1 over overlaps (IoU) of 0.5 to 0.9",
    "ap50": "AP at an overlap (IoU) of 0.5: right, of all that is there or reported",
    "ap75": "AP at an overlap (IoU) of 0.75",
    "seg": "SEG (mean overlap of what is there with what was found)",
    "dice": "Dice, mean over the classes",
    "accuracy": "Voxels whose class is right",
    "auc": "Chance that a right one is held for likelier than a wrong one (AUC)",
    "link_accuracy": "Candidates for links that it tells right from wrong",
    "division_average_precision": "Average precision of divisions",
    "proposal_recall": "True links among the candidates that are looked at",
    "search_radius": "Search radius around the expected place, in nearest-neighbour distances",
    "motion_scale": "Motion scale: typical miss of the expected place, in nearest-neighbour distances",
    "neighbour_distance_um": "Median distance between nearest neighbours in training, µm",
}


_WRITTEN = (
    ("\\", "\\\\"), ("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("[", "\\["), ("`", "'"), ("*", "\\*"), ("~", "\\~"),
)  # fmt: skip
"""How signs that Markdown or HTML act upon are written in foreign text."""
_MARKS = re.compile(r"^[-+#=]|(?<=^\d)[.)](?=\s)|(?<=^\d\d)[.)](?=\s)|(?<!\w)_|_(?!\w)")
"""Marks that begin a heading, list or rule, and underscores at the edge of a word."""


class TrainedOn(Finite):
    """One store of training data, as the card remembers it."""

    name: BareName
    """Name of the store."""
    source: BareName = ""
    """Name of the image it was cut from, without its folders: a card goes to others."""
    store_hash: str = ""
    """Content hash of the store."""
    n_nuclei: Annotated[int, Field(ge=0)] = 0
    """Annotated nuclei in it."""
    n_frames: Annotated[int, Field(ge=0)] = 0
    """Frames in it that hold annotations."""
    holds: str = ""
    """What else than nuclei there was to learn from, in words: '299 windows of 13 recordings'."""
    n_examples: Annotated[int, Field(ge=0)] | None = None
    """Examples in it, where these are not its nuclei."""
    sparse: bool = False
    """Whether only some of the nuclei were marked."""
    spacing_um_zyx: tuple[VoxelUm, VoxelUm, VoxelUm] | None = None
    """Voxel size in µm (z, y, x)."""
    diameter_um: DiameterUm | None = None
    """Typical diameter of its nuclei in µm."""
    noise: Annotated[float, Field(ge=0)] | None = None
    """Noise from voxel to voxel, as a part of the brightness range."""


class Card(Finite):
    """Everything about a model except its weights."""

    schema_version: Annotated[int, Field(ge=1, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    """Version of this record's layout."""
    name: Name
    """What people call it, for example 'centres-7f3a'."""
    task: str
    """Kind of network: nuclei, divisions, links or events."""
    head: str = ""
    """Kind of output where a task has several, for example 'centres'."""
    created: str
    """When training ended, ISO 8601 in UTC."""
    version: str
    """Version of anlage that trained it."""
    channels: Annotated[tuple[str, ...], Field(max_length=1024)]
    """Names of the image channels that it looks at, in order."""
    combine: Literal["separate", "sum"] = "separate"
    """'separate': each channel is an input of its own; 'sum': their sum is the only input."""
    spacing_um_zyx: tuple[VoxelUm, VoxelUm, VoxelUm] | None = None
    """Voxel size of the training images in µm (z, y, x); None where it looks at signals, not at images."""
    interval_s: IntervalS | None = None
    """Time between frames of the training images in seconds; None where unknown."""
    intensity: Intensity | None = None
    """How brightness was normalised, with the values of the training images; None where it looks at signals."""
    diameter_um: DiameterUm | None = None
    """Typical diameter of a nucleus in the training images in µm."""
    plan: dict[str, Any]
    """What the data decided: grid, patch, channels, network size; `typed_plan` has it as the task's own record."""
    config: dict[str, Any]
    """The task's settings; `typed_config` has them as the task's own record."""
    trained_on: Annotated[tuple[TrainedOn, ...], Field(max_length=100_000)]
    """The training data, store by store."""
    evidence: Evidence
    """What held-out data say of it."""
    weights_sha256: str = ""
    """SHA-256 of the weights; filled in when the model is saved."""
    steps: Annotated[int, Field(ge=0)] = 0
    """Optimiser steps behind these weights."""
    steps_done: Annotated[int, Field(ge=0)] | None = None
    """Optimiser steps of the whole training, whose best weights these are; None where unknown."""
    steps_planned: Annotated[int, Field(ge=0)] | None = None
    """Optimiser steps that were planned; None where unknown."""
    least_steps: Annotated[int, Field(ge=0)] | None = None
    """Optimiser steps below which such a network learns nothing of use; None where unknown."""
    seconds: Annotated[float, Field(ge=0)] = 0.0
    """Seconds that the training took."""
    limits: str = ""
    """What it should not be used for, beside what holds for every model."""

    @field_validator("evidence")
    @classmethod
    def _only_numbers(cls, evidence: Evidence) -> Evidence:
        # a median without a single pair is NaN, which JSON cannot hold: an absent metric says the same
        metrics = {name: value for name, value in evidence.metrics.items() if math.isfinite(value)}
        for name in {"tp", "fp", "fn", "n_others"} & set(metrics):
            if not 0 <= metrics[name] <= _MOST_COUNTED:
                raise ValueError(f"the metric {name} is {metrics[name]:g}, which is no count")
        ece = evidence.ece if evidence.ece is not None and math.isfinite(evidence.ece) else None
        if ece is not None and not 0 <= ece <= 1:
            raise ValueError(f"an expected calibration error of {ece:g}; it lies between 0 and 1")
        return evidence.model_copy(update={"metrics": metrics, "ece": ece})

    @property
    def id(self) -> str:
        """Name and the beginning of the weights' hash: the origin of every nucleus that this model proposes."""
        return f"{self.name}-{self.weights_sha256[:8]}" if self.weights_sha256 else self.name

    @property
    def typed_plan(self) -> Any:
        """The plan as its task's own record. Raises AnlageError if it does not hold."""
        return self._typed("plan", self.plan)

    @property
    def typed_config(self) -> Any:
        """The settings as the task's own record. Raises AnlageError if they do not hold."""
        return self._typed("config", self.config)

    def _typed(self, part: Literal["plan", "config"], values: dict[str, Any]) -> Frozen:
        kind: type[Frozen] = getattr(task_named(self.task), part)
        try:
            return kind.model_validate(values)
        except ValidationError as error:
            what = f"The card of the model '{self.name}' does not hold: {part}.{first_problem(error)}"
            raise AnlageError(f"{what}; it is damaged, or of another version of anlage.") from error

    def contradiction(self) -> str | None:
        """What in the card does not go together, so that no network could be made of it; None if all does, or nobody knows."""
        if self.task not in TASKS:
            return None
        part = "plan"
        try:
            plan = TASKS[self.task].plan.model_validate(self.plan)
            part = "config"
            config = TASKS[self.task].config.model_validate(self.config)
        except ValidationError as error:
            return f"{part}.{first_problem(error)}"
        return _inputs(self, plan) or _shape(self, plan, config)

    @property
    def voxel_um_zyx(self) -> tuple[float, float, float]:
        """Voxel size of the training images in µm. Raises AnlageError if it looks at signals, not at images."""
        if self.spacing_um_zyx is None:
            raise self._of_signals()
        return self.spacing_um_zyx

    @property
    def brightness(self) -> Intensity:
        """How brightness was normalised. Raises AnlageError if it looks at signals, not at images."""
        if self.intensity is None:
            raise self._of_signals()
        return self.intensity

    @property
    def verdict(self) -> Verdict:
        """Whether it is worth using, as its own numbers say, and what to do if not."""
        return judged(self.evidence, self.task, self.head, done=self.steps_done, least=self.least_steps)

    def scored(self, name: str) -> Score | None:
        """A metric on held-out data with the number of examples behind it and its interval; None where it is no share."""
        evidence = self.evidence
        return interval_of(name, evidence.metrics, evidence.n_positive, evidence.n_of, noun_of(self.task, self.head))

    @property
    def n_inputs(self) -> int:
        """Channels that the network sees of each frame."""
        return 1 if self.combine == "sum" else len(self.channels)

    def _of_signals(self) -> AnlageError:
        return AnlageError(
            f"The model '{self.name}' looks at signals over time, not at images; give it a table of signals, as "
            "`anlage signals` writes it."
        )

    @property
    def finds(self) -> str:
        """What it finds, in words."""
        return _FINDS.get((self.task, self.head)) or _FINDS.get((self.task, ""), f"{self.task} {self.head}".strip())

    def to_markdown(self) -> str:
        """The card for people to read."""
        sections = {
            "What it looks at": _input(self),
            "What it learnt from": _training(self),
            "How well it does": _performance(self),
            "What its probabilities are worth": _probabilities(self.evidence),
            "What it should not be used for": _limits(self),
        }
        lines = [f"# {_plain(self.name)}", "", f"Finds {_plain(self.finds)}.", ""]
        for title, body in sections.items():
            lines += [f"## {title}", "", *body, ""]
        lines.append(
            f"Made {_plain(self.created)} with anlage {_plain(self.version)}; model `{_plain(self.id)}`. The settings are in card.json."
        )
        return "\n".join(lines) + "\n"


def _inputs(card: Card, plan: Any) -> str | None:
    """Whether the network sees as many inputs as the card's brightness gives."""
    look = getattr(plan, "look", plan)
    wanted: int | None = getattr(look, "n_channels", None)
    if wanted is None:
        return None
    if card.intensity is None or card.spacing_um_zyx is None:
        return "it looks at images, but says nothing of their brightness, or of their voxel size"
    if card.intensity.n_inputs != wanted:
        return f"its network looks at {wanted} inputs, but there is the brightness of {card.intensity.n_inputs}"
    if len(card.channels) not in (card.intensity.n_inputs, len(card.intensity.channels)):
        return f"it names {len(card.channels)} channels, but its network looks at {wanted}"
    return None


def _shape(card: Card, plan: Any, config: Any) -> str | None:
    """Whether plan and settings describe one network, and the card the same."""
    heads = {str(one.head) for one in (card, plan, config) if hasattr(one, "head")}
    if hasattr(plan, "head") and len(heads) > 1:
        return f"it is of several heads at once: {', '.join(sorted(heads))}"
    levels, grid = getattr(config, "levels", None), getattr(plan, "grid", None)
    if levels is not None and grid is not None and len(grid.strides) != levels - 1:
        return f"its network has {levels} levels, but its grid is for {len(grid.strides) + 1}"
    return None


def _input(card: Card) -> list[str]:
    names = ", ".join(_plain(name) for name in card.channels)
    if card.spacing_um_zyx is None:
        rows = [f"- Signals: {names}"]
        return rows if card.interval_s is None else [*rows, f"- Time between samples: {_duration(card.interval_s)}"]
    z, y, x = card.spacing_um_zyx
    summed = ", added up" if card.combine == "sum" and len(card.channels) > 1 else ""
    rows = [f"- Channels: {names}{summed}", f"- Voxel size: {z:.4g} × {y:.4g} × {x:.4g} µm (z, y, x)"]
    if card.diameter_um is not None:
        voxels = " × ".join(f"{card.diameter_um / step:.1f}" for step in card.voxel_um_zyx)
        rows.append(f"- Nucleus diameter: {card.diameter_um:.1f} µm, that is {voxels} voxels (z, y, x)")
    if card.interval_s is not None:
        rows.append(f"- Time between frames: {_duration(card.interval_s)}")
    return rows


def _training(card: Card) -> list[str]:
    rows = []
    for store in card.trained_on:
        source = f" (from {_plain(store.source)})" if store.source else ""
        sparse = "; only some of the nuclei there were marked" if store.sparse else ""
        if store.holds:
            rows.append(f"- {_plain(store.name)}{source}: {_plain(store.holds)}")
            continue
        rows.append(
            f"- {_plain(store.name)}{source}: {_count(store.n_nuclei, 'nucleus', 'nuclei')} in "
            f"{_count(store.n_frames, 'frame', 'frames')}{sparse}"
        )
    return [*rows, "", f"Trained for {_count(card.steps, 'step', 'steps')} in {_duration(card.seconds)}."]


def _performance(card: Card) -> list[str]:
    evidence, verdict = card.evidence, card.verdict
    metrics = evidence.metrics
    judgement = [f"**{verdict.headline}** {' '.join((*verdict.reasons, verdict.advice))}".rstrip(), ""]
    if not metrics:
        return [
            *judgement,
            f"Not known: nothing could be measured. Held out from training for this: {_plain(evidence.held_out)}.",
        ]
    rows = [
        *judgement,
        f"Held out from training for this: {_plain(evidence.held_out)}.",
        "",
        "| measure | value |",
        "|---|---|",
    ]
    rows += [
        _row(card, m) for m in [*(m for m in _METRICS if m in metrics), *(m for m in metrics if m not in _METRICS)]
    ]
    if (radius_um := metrics.get("match_radius_um")) is not None:
        same = command("evaluate", "RESULT", "TRUTH", "--radius-um", f"{radius_um:.3g}")
        rows += ["", f"`{same}` measures by the same rule."]
    if evidence.baseline is not None:
        rows += ["", _beside(evidence.baseline, noun_of(card.task, card.head)[1])]
    rows += ["", "The threshold was chosen on the same data, so expect a little less on new ones."]
    if any(card.scored(name) for name in metrics):
        rows[-1] += (
            " The interval covers the luck of counting so few or so many; another movie may differ by more. "
            "Check it on yours."
        )
    return rows


def _row(card: Card, name: str) -> str:
    value = card.evidence.metrics[name]
    score = card.scored(name)
    extra = "" if score is None else f" (95 % interval {score.interval}, from {plural(score.n, 'example', 'examples')})"
    return f"| {_plain(_METRICS.get(name, name))} | {_metric(name, value)}{extra} |"


def _beside(baseline: Baseline, noun: str) -> str:
    """Network and what needs no training, side by side."""
    if not baseline.n:
        return (
            f"Beside {_plain(baseline.name)}, which needs no training, it could not be measured: nothing was held out."
        )
    return (
        f"Beside what needs no training, by the same rule and on the same {baseline.n} {noun}: {_plain(baseline.measure)}: "
        f"trained {baseline.network:.2f}, {_plain(baseline.name)} {baseline.score:.2f}{_counts(baseline)}."
    )


def _counts(baseline: Baseline) -> str:
    counts = baseline.counts
    return f" ({counts['tp']} found, {counts['fp']} wrong, {counts['fn']} missed)" if len(counts) == 3 else ""


def _metric(name: str, value: float) -> str:
    if name in ("precision", "recall", "in_frame"):
        return f"{value:.1%}"
    return f"{value:.0f}" if name in ("tp", "fp", "fn", "n_others") else f"{value:.3g}"


def _probabilities(evidence: Evidence) -> list[str]:
    reported = f"It reports what reaches a probability of {evidence.threshold:.2f}, unless another threshold is given."
    if evidence.ece is None:
        rows = [f"Not known: there were too few examples to check them. Take them as a ranking. {reported}"]
    else:
        rows = [
            f"On the same data, to which they were fitted, a stated probability was off by {100 * evidence.ece:.1f} percentage points on "
            f"average (expected calibration error {evidence.ece:.3f}). {reported}"
        ]
    return rows if evidence.tracking is None else [*rows, "", *_tracks(evidence.tracking)]


def _tracks(scaling: TemperatureScaling) -> list[str]:
    """What the probabilities of links in tracks are worth."""
    off = "" if scaling.ece is None else (
        f" a stated probability was off by {100 * scaling.ece:.1f} percentage points on average (expected calibration error "
        f"{scaling.ece:.3f})."
    )  # fmt: skip
    rows = [
        f"Links in tracks, of which one knows what competes with them, are scaled by their own rule: fitted to {scaling.n} links of "
        "tracks through the held-out data, from which nuclei were left out and to which false ones were added. There,"
        f"{off or ' it was not measured.'}"
    ]
    if scaling.bins:
        rows += ["", "| stated | links | mean stated | came true |", "|---|---|---|---|"]
        rows += [
            f"| {one.low:.1f} to {one.high:.1f} | {one.n} | {one.mean_probability:.3f} | {one.fraction_true:.3f} |"
            for one in scaling.bins
        ]
    return rows


def _limits(card: Card) -> list[str]:
    rows = []
    if card.diameter_um is not None:
        rows.append(
            f"- Nuclei of a very different size without saying so: images are rescaled so that a nucleus is as large as the "
            f"{card.diameter_um:.1f} µm it knows; check the diameter that the prediction reports, or give it."
        )
    if card.spacing_um_zyx is None:
        rows.append("- Signals that were recorded or measured in another way without looking at the result.")
    else:
        rows.append(
            "- Other stains, tissues or microscopes without looking at the result: it has seen only the images above."
        )
    rows.append("- Counts or measurements that nobody checked on a part of the same movie.")
    if sum(store.n_nuclei if store.n_examples is None else store.n_examples for store in card.trained_on) < 100:
        rows.append("- Anything final: it learnt from fewer than 100 examples. Correct its proposals and train again.")
    if card.limits:
        rows.append(f"- {_plain(card.limits)}")
    return rows


def _count(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}".replace(",", "\N{THIN SPACE}")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def _plain(text: str) -> str:
    """Text of a stranger's file on one line, without anything that a Markdown or HTML viewer would act upon."""
    line = " ".join(printable(text).split())
    for sign, shown in _WRITTEN:
        line = line.replace(sign, shown)
    return _MARKS.sub(r"\\\g<0>", line)
