"""What a kind of network has to learn from, and what it still needs, in words that come before any store is built."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Readiness"]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a training can begin.

    Parameters
    ----------
    has
        What there is to learn from: "318 nuclei in 2 regions".
    wish
        What would be better: "50 are better"; empty if there is enough.
    lack
        Why it cannot train and what to do, a sentence; empty if it can.
    n
        Examples, where those of several movies can be added up.
    noun
        What one and several of them are called.
    """

    has: str
    wish: str = ""
    lack: str = ""
    n: int = 0
    noun: tuple[str, str] = ("", "")

    @property
    def can_train(self) -> bool:
        return not self.lack

    def __str__(self) -> str:
        return "; ".join(text for text in (self.has, self.wish) if text)
