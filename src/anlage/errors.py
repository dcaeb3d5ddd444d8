"""`AnlageError`: the one exception whose message is meant for the user."""

from __future__ import annotations


class AnlageError(Exception):
    """A problem that the user can fix.

    The message is one sentence: what is wrong, the value seen, and what to do. The command line prints it on stderr
    and exits with a non-zero code; the dock shows it. Anything else that is raised is a bug of ours.
    """
