"""What is seldom right in an annotation is found, each with its place and in words."""

from __future__ import annotations

import numpy as np

from anlage import Annotations, Spacing, State
from anlage.document.findings import findings

UM = Spacing(2, 0.5, 0.5)


def tracks(n: int = 3, frames: int = 4, **columns) -> Annotations:
    """Tracks side by side, ids counting along time: 1 … frames, then the next track."""
    positions = [(t, 5, 20 * k, 10 + t) for k in range(n) for t in range(frames)]
    ids = np.arange(1, n * frames + 1).reshape(n, frames)
    links = np.column_stack([ids[:, :-1].ravel(), ids[:, 1:].ravel()])
    return Annotations.of(positions, links=links, **columns)


def found(annotations: Annotations, kind: str) -> list:
    return [one for one in findings(annotations, spacing=UM) if one.kind == kind]


def test_a_tidy_annotation_has_nothing_odd() -> None:
    assert findings(tracks(radius_um=3.0), spacing=UM) == ()


def test_a_link_that_jumps() -> None:
    nuclei = tracks(radius_um=3.0)
    nuclei.positions[2, 2] += 60  # nucleus 3, in frame 2
    jumps = found(nuclei, "jump")
    assert [one.ids for one in jumps] == [(2, 3), (3, 4)]
    assert jumps[0].position == tuple(nuclei.positions[2])
    assert "from nucleus 2 to nucleus 3 of frame 2 is 30.0 µm long, where 0.5 µm are usual" in jumps[0].text


def test_a_fast_nucleus_among_slow_ones_is_no_jump_while_it_moves_less_than_it_is_wide() -> None:
    nuclei = tracks(radius_um=3.0)
    nuclei.positions[2, 2] += 10  # 5 µm, ten times the usual
    assert found(nuclei, "jump") == []


def test_an_odd_size_and_a_shared_label() -> None:
    radius = np.full(12, 3.0)
    radius[4] = 30.0
    label = np.zeros(12, int)
    label[[0, 4]] = 7
    nuclei = tracks(radius_um=radius, label=label)
    (size,) = found(nuclei, "size")
    assert size.ids == (5,)
    assert "Nucleus 5 of frame 0 has a radius of 30.0 µm, where 3.0 µm are usual" in size.text
    (shared,) = found(nuclei, "label")
    assert shared.ids == (1, 5)
    assert "2 nuclei of frame 0 share the painted label 7" in shared.text


def test_loose_ends_are_told_where_annotation_goes_on() -> None:
    nuclei = tracks()
    cut = nuclei.links.tolist()
    cut.remove([2, 3])
    ends = found(Annotations.of(nuclei.positions, links=cut), "end")
    assert [(one.ids, one.position[0]) for one in ends] == [((2,), 1.0), ((3,), 2.0)]
    assert "A track ends with nucleus 2 in frame 1, though the next is annotated" in ends[0].text
    assert "A track begins with nucleus 3 in frame 2" in ends[1].text


def test_whoever_links_nothing_hears_nothing_of_tracks() -> None:
    assert findings(Annotations.of(tracks().positions), spacing=UM) == ()


def test_rejected_nuclei_do_not_count() -> None:
    label = np.zeros(12, int)
    label[[0, 4]] = 7
    state = np.full(12, State.ACCEPTED)
    state[4] = State.REJECTED
    assert found(tracks(label=label, state=state), "label") == []
