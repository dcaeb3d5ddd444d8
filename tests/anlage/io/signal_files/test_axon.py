"""Recordings of pCLAMP: read through pyabf, written here by pyabf itself."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from anlage import AnlageError
from anlage.io.kinds import FileKind, kind_of
from anlage.io.signal_files.signals import open_signals


@pytest.fixture
def recording(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """Two sweeps of 0.1 s at 20 kHz, in pA."""
    writer = pytest.importorskip("pyabf.abfWriter", reason="pyabf, the extra 'axon', is not installed")
    sweeps = np.random.default_rng(0).normal(-20, 5, (2, 2000))
    path = tmp_path / "cell.abf"
    writer.writeABF1(sweeps, str(path), 20_000, units="pA")
    return path, sweeps


def test_sweeps_become_one_trace_with_rate_and_unit(recording):
    path, sweeps = recording
    assert kind_of(path) is FileKind.TRACE
    signals = open_signals(path)
    assert signals.values.shape == (1, 1, 4000)
    # the format keeps 16 bits
    assert np.abs(signals.values[0, 0] - sweeps.reshape(-1)).max() < 0.01
    assert signals.interval_s == pytest.approx(5e-5)
    assert (signals.kind, signals.units, signals.group.tolist()) == ("repeated", ("pA",), ["cell"])
    assert "2 sweeps were put one after the other" in signals.notes[0]
    assert open_signals(path, interval_s=1e-4).interval_s == 1e-4


def test_a_damaged_recording_is_one_sentence(recording):
    path, _ = recording
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(AnlageError, match=r"cell\.abf.* cannot be read"):
        open_signals(path)


def test_without_the_package_its_command_is_said(tmp_path, monkeypatch):
    path = tmp_path / "cell.abf"
    path.write_bytes(b"ABF2" + bytes(600))
    monkeypatch.setitem(sys.modules, "pyabf", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AnlageError, match=r"needs the package pyabf: .*pip install"):
        open_signals(path)
