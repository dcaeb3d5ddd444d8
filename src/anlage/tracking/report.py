"""The report of a tracking: counts, certainty, cost and bound."""

from __future__ import annotations

from anlage.frozen import Frozen

__all__ = ["TrackingReport"]


class TrackingReport(Frozen):
    """Counts, certainty and cost of one tracking."""

    method: str
    """optimal or greedy."""
    n_nuclei: int
    """Nuclei that were given."""
    n_left_out: int
    """Nuclei that the tracks leave out, because they are rather false ones."""
    n_tracks: int
    """Tracks; one ends where its nucleus divides."""
    n_lineages: int
    """Tracks with all their descendants, counted once."""
    n_links: int
    """Links from frame to frame."""
    n_divisions: int
    """Nuclei with two daughters."""
    n_gaps: int
    """Links over a frame in which the nucleus was missed."""
    n_candidates: int
    """Links that were considered."""
    expected_wrong_links: float
    """How many of the links are wrong, by their own probabilities."""
    objective: float
    """Cost of the tracks: the sum of negative logarithms of odds."""
    bound: float | None
    """No tracks cost less than this; None where nothing was proved."""
    gap: float | None
    """Relative gap: by what part of their cost the tracks may cost more than the best; None where nothing was proved."""
    n_out_of_time: int = 0
    """Searches that met their time limit; where this is not 0, another run may give other tracks."""
    proposal_recall: float | None = None
    """Share of true links among the candidates, as the model of links was measured; None without such a model."""
    seconds: float
    """Time that it took, in seconds."""
    notes: tuple[str, ...] = ()
    """What a user should know, a sentence each."""

    def to_text(self) -> str:
        """Two or three lines for people."""
        left = f", {self.n_left_out} of {self.n_nuclei} nuclei left out" if self.n_left_out else ""
        recall = "" if self.proposal_recall is None else (
            f" Of the true links, {100 * self.proposal_recall:.1f} % were among the candidates where the model was measured."
        )  # fmt: skip
        gap = "not known" if self.gap is None else "0" if self.gap < 1e-6 else f"{self.gap:.2g}"
        return (
            f"{self.n_tracks} tracks in {self.n_lineages} lineages: {self.n_links} links, of which {self.n_gaps} over a missing "
            f"frame and about {self.expected_wrong_links:.1f} wrong; {self.n_divisions} divisions{left}.\n"
            f"Gap to the best possible: {gap}. {self.seconds:.1f} s.{recall}"
        )
