"""The suite's results as a Markdown table."""

from __future__ import annotations

from typing import Any

import numpy as np
from suite_kinds import KINDS
from suite_scores import gain

Row = dict[str, Any]

HEAD = (
    "kind",
    "annotated",
    "way",
    "F1",
    "gain over blobs",
    "F1, nearer",
    "F1 ≤ 0.35 d",
    "plausible labels",
    "error µm",
    "CPU s",
)
ORDER = ("blobs", "starter", "trained", "peer")
ENOUGH = 0.95
"""F1 of blobs from which on annotating gains little, unless the networks show otherwise."""
LITTLE = 0.01


def print_table(results: dict[str, Row]) -> None:
    """All that is there, by kind; then what follows for a user who has not annotated anything yet."""
    rows = sorted(results.values(), key=place)
    print("\n| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for row in rows:
        print("| " + " | ".join(cells(row, blobs_of(results, row))) + " |")
    for name in KINDS:
        for part in sorted({row["part"] for row in rows}):
            own = [row for row in rows if row["kind"] == name and row["part"] == part]
            if sentence := verdict(own):
                print(f"\n{name} ({part}): {sentence}")


def place(row: Row) -> tuple[object, ...]:
    n = float("inf") if row["nuclei"] == "all" else int(row["nuclei"])
    return (list(KINDS).index(row["kind"]), row["part"], n, row["recipe"], str(row["seed"]), ORDER.index(row["way"]))


def blobs_of(results: dict[str, Row], row: Row) -> Row | None:
    """The blob detector on the same images."""
    for one in results.values():
        same = one["kind"] == row["kind"] and one["part"] == row["part"] and one["seed"] in ("any", row["seed"])
        if same and one["way"] == "blobs" and "images" in one:
            return one
    return None


def cells(row: Row, blobs: Row | None) -> list[str]:
    seed = "" if row["seed"] == "any" or row["nuclei"] == "0" else f", seed {row['seed']}"
    part = "" if row["part"] == "test" else ", development"
    recipe = f" ({row['recipe']})" if row["way"] == "trained" else ""
    head = [row["kind"] + part, f"{row.get('n_annotated', row['nuclei'])}", row["way"] + recipe + seed]
    if "refused" in row:
        return [*head, f"refused: {row['refused']}", *[""] * (len(HEAD) - 4)]
    (first, far), *nearer = [(r, value) for r, value in row["f1"].items() if float(r) != row["own_radius_um"]]
    own = row["f1"][f"{row['own_radius_um']:g}"]
    over = (
        ""
        if blobs is None or row["way"] == "blobs"
        else signed(gain(np.array(row["images"]), np.array(blobs["images"])))
    )
    return [
        *head,
        f"≤ {first} µm: {with_ends(far)}",
        over,
        "; ".join(f"≤ {r} µm: {value[0]:.3f}" for r, value in nearer),
        f"{own[0]:.3f}",
        " / ".join(f"{value[0]:.3f}" for value in row.get("plausible", {}).values()),
        ""
        if row["error_um"] is None
        else f"{row['error_um'][0]:.2f} ({row['error_um'][1]:.2f}–{row['error_um'][2]:.2f})",
        f"{row['cpu_s']:.0f}" if "cpu_s" in row else f"0 (+ {row['predict_cpu_s']:.0f} to predict)",
    ]


def with_ends(value: list[float]) -> str:
    return f"**{value[0]:.3f}** ({value[1]:.3f}–{value[2]:.3f})"


def signed(value: list[float]) -> str:
    ends = f" ({value[1]:+.3f} to {value[2]:+.3f})" if len(value) > 1 else ""
    return f"{value[0]:+.3f}{ends}"


def verdict(rows: list[Row]) -> str:
    """Whether blobs suffice, by the first radius; on labels of plausible shape where there are any."""
    scored = [row for row in rows if "f1" in row]
    best = {row["way"]: max(headline(one) for one in scored if one["way"] == row["way"]) for row in scored}
    if best.get("blobs", 0.0) < ENOUGH or best.get("trained", 0.0) > best["blobs"] + LITTLE:
        return ""
    trained = f", the best trained network {best['trained']:.3f}" if "trained" in best else ""
    radius = next(iter(scored[0]["f1"]))
    return f"blobs suffice here, as far as finding goes (F1 {best['blobs']:.3f} within {radius} µm{trained})."


def headline(row: Row) -> float:
    return float(next(iter(row.get("plausible", row["f1"]).values()))[0])
