"""HDF5 of strangers: nothing outside the file, nothing that was never written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from anlage import AnlageError
from anlage.io.signal_files.signals import open_signals


def _external_raw(file: h5py.File, folder: Path) -> None:
    (folder / "secret").write_bytes(bytes(800))
    file.create_dataset("v", shape=(100,), dtype="f8", external=[(str(folder / "secret"), 0, 800)])


def _external_link(file: h5py.File, folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["v"] = np.arange(100.0)
    file["v"] = h5py.ExternalLink("other.h5", "/v")


def _virtual(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((100,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "v", shape=(100,))
    file.create_virtual_dataset("v", layout)


def _never_written(file: h5py.File, folder: Path) -> None:
    file.create_dataset("v", shape=(25 * 10**7,), dtype="f8", chunks=(10**6,))


def _huge(file: h5py.File, folder: Path) -> None:
    file.create_dataset("events", shape=(10**6, 10**6), dtype="f8", chunks=(10, 1000))


def _loop(file: h5py.File, folder: Path) -> None:
    file["v"] = h5py.SoftLink("/v")


def _no_time(file: h5py.File, folder: Path) -> None:
    file["v"] = np.arange(30.0)
    file.attrs["interval_s"] = "abc"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_external_raw, "lies in another file"),
        (_external_link, "lies in another file"),
        (_virtual, "lies in another file"),
        (_never_written, "hardly any were written"),
        (_huge, "at most 268,435,456 is read"),
        (_loop, r"a\.h5"),
        (_no_time, "not a number of seconds"),
    ],
)
def test_what_is_not_in_the_file_is_refused(tmp_path: Path, make: Callable[[h5py.File, Path], None], said: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        make(file, tmp_path)
    with pytest.raises(AnlageError, match=said):
        open_signals(tmp_path / "a.h5")
