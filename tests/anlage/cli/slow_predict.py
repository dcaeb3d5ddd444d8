"""``anlage predict`` with a detector that takes its time: run as a program, to be stopped and killed.

``SLOW=sleep`` waits before each frame, ``SLOW=one-piece`` computes for long in one call that nothing can interrupt.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time

from anlage.cli import main
from anlage.inference.classical import ClassicalFinder

_real = ClassicalFinder.predictions


def _slow(self, frames):
    for prediction in _real(self, frames):
        if os.environ["SLOW"] == "sleep":
            time.sleep(0.4)
        elif prediction.frame > 0:
            hashlib.pbkdf2_hmac("sha256", b"", b"", 1_000_000_000)  # half an hour of C code
        yield prediction


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and hand that down
    ClassicalFinder.predictions = _slow
    sys.exit(main(sys.argv[1:]))
