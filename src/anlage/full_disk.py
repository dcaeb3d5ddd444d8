"""A full disk: how it is recognised, and the sentence that says so."""

from __future__ import annotations

import errno

__all__ = ["full_disk_sentence", "is_full"]

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}  # without quotas on Windows


def is_full(error: OSError) -> bool:
    """Whether an error says that a disk, a quota or a file's greatest size is exhausted."""
    return error.errno in _FULL


def full_disk_sentence(what: str, then: str) -> str:
    """What is wrong, and what to do.

    Parameters
    ----------
    what
        Where, or what could not be written; it follows *The disk is full*: ``while writing 'a.csv'``.
    then
        What to do once there is space, and what became of the work; it follows *free some space*: ``, then try again``.
    """
    return f"The disk is full {what}; free some space{then}."
