"""The suite's results as Markdown tables: one line a kind, then everything."""

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
COLUMNS = (
    ("blobs", "0"),
    ("starter", "0"),
    *((way, n) for n in ("12", "60", "all") for way in ("trained", "peer")),
)
ENOUGH = 0.95
"""F1 of blobs from which on annotating gains little, unless the networks show otherwise."""
LITTLE = 0.01


def print_table(results: dict[str, Row]) -> None:
    """All that is there, by kind; then what follows for a user who has not annotated anything yet."""
    rows = sorted(results.values(), key=place)
    for part, seed, recipe in sorted({(r["part"], str(r["seed"]), r["recipe"]) for r in rows if r["nuclei"] != "0"}):
        print(f"\n{part} images, seed {seed}, {recipe}:\n")
        print_summary([r for r in rows if r["part"] == part and belongs(r, seed, recipe)])
    print("\n| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for row in rows:
        print("| " + " | ".join(cells(row, blobs_of(results, row))) + " |")
    for name in KINDS:
        for part in sorted({row["part"] for row in rows}):
            own = [row for row in rows if row["kind"] == name and row["part"] == part]
            if sentence := verdict(own):
                print(f"\n{name} ({part}): {sentence}")


def belongs(row: Row, seed: str, recipe: str) -> bool:
    """Whether a row stands beside the trainings of a seed and recipe."""
    return str(row["seed"]) in ("any", seed) and (row["nuclei"] == "0" or row["recipe"] == recipe)


def print_summary(rows: list[Row]) -> None:
    """A line for each kind, with F1 in all columns; what has not been run is left out."""
    columns = [c for c in COLUMNS if any((r["way"], r["nuclei"]) == c for r in rows)]
    names = [f"{way}, {n}" if n != "0" else way for way, n in columns]
    print("| " + " | ".join(["images", "within", "nuclei", *names]) + " |\n|" + "---|" * (3 + len(columns)))
    for name, kind in KINDS.items():
        own = {(r["way"], r["nuclei"]): r for r in rows if r["kind"] == name}
        scored = [r for r in own.values() if "f1" in r]
        if not scored:
            continue
        for what, radius, n in lines(name, scored[0]):
            said = [summed(own.get(c), what, radius) for c in columns]
            shaped = ", labels of plausible shape" if what == "plausible" else ""
            print("| " + " | ".join([f"{kind.what}{shaped}", f"{radius} µm", str(n), *said]) + " |")


def lines(name: str, row: Row) -> list[tuple[str, str, int]]:
    """What is told of a kind: F1 at the first radius; of the embryos as they are at all, and on labels of plausible shape."""
    if name != "bbbc050":
        return [("f1", next(iter(row["f1"])), row["n_truth"])]
    right_missed = np.array(row["plausible_images"])[:, [0, 2]]
    return [("plausible", radius, int(right_missed.sum())) for radius in row["plausible"]]


def summed(row: Row | None, what: str, radius: str) -> str:
    if row is None:
        return ""
    return "refused" if "refused" in row else with_ends(row[what][radius])


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
