"""``anlage predict`` into labels, by the oracle and tile by tile, so slowly that it can be killed between two tiles."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path

from anlage.cli import main
from anlage.inference import label_image, loading

_spec = importlib.util.spec_from_file_location("oracle", Path(__file__).parents[1] / "inference" / "oracle.py")
tell = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tell)


def network_of(model, device):
    from anlage.tasks.nuclei.config import NucleiPlan

    return tell.OracleNetwork().eval(), NucleiPlan.model_validate(model.card.plan)


_real = label_image.Labeller.piece


def _slow(self, t, tile):
    time.sleep(0.3)
    return _real(self, t, tile)


if __name__ == "__main__":
    loading.network_of, label_image.Labeller.piece, label_image._CORES = network_of, _slow, (24,)
    sys.exit(main(sys.argv[1:]))
