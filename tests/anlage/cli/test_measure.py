"""``anlage measure`` on real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from anlage.axes import Spacing
from anlage.cli import main
from anlage.evaluation import evaluate
from anlage.io import write_image


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    image = np.zeros((8, 30, 40), np.uint16)
    image[2:6, 4:14, 4:14] = 300
    image[2:6, 4:14, 20:26] = 5
    tifffile.imwrite(tmp_path / "labels.tif", image, photometric="minisblack")
    return tmp_path / "labels.tif"


@pytest.fixture
def image(tmp_path: Path, labels: Path) -> Path:
    pixels = np.zeros((1, 2, 8, 30, 40), np.uint16)
    pixels[0, 1] = 7 * (tifffile.imread(labels) == 300)
    pixels[0, 0] = 3
    write_image(tmp_path / "movie.zarr", pixels, spacing=Spacing(2, 0.5, 0.5), channels=("DAPI", "GFP-2 (um)"))
    return tmp_path / "movie.zarr"


def test_a_table_in_micrometres(tmp_path, labels, image, capsys):
    out = tmp_path / "new" / "objects.csv"
    assert main(["measure", str(labels), "--image", str(image), "-o", str(out)]) == 0
    table = pd.read_csv(out)
    assert table["label"].tolist() == [5, 300]
    assert table["volume_um3"].tolist() == [4 * 10 * 6 * 0.5, 4 * 10 * 10 * 0.5]
    assert table["z_um"].tolist() == [7, 7]
    assert table["DAPI_mean"].tolist() == [3, 3]
    assert table["GFP_2_um_sum"].tolist() == [0, 7 * 400]
    assert "2 objects measured, 0 of them cut by the border" in capsys.readouterr().out


def test_the_table_serves_as_a_table_of_nuclei(tmp_path, labels):
    out = tmp_path / "objects.csv"
    main(["measure", str(labels), "--spacing", "2,0.5,0.5", "--no-surface", "-o", str(out)])
    assert "surface_um2" not in pd.read_csv(out)
    assert evaluate(out, labels, spacing=Spacing(2, 0.5, 0.5)).detection.f1 == 1


def test_bad_input_is_one_sentence(tmp_path, labels, image, capsys):
    other = tmp_path / "float.tif"
    tifffile.imwrite(other, np.full((8, 30, 40), 0.5, np.float32), photometric="minisblack")
    for arguments, sentence in (
        ([labels, "-o", tmp_path / "a.csv"], "voxel size of"),
        ([labels, "--spacing", "1,1,1", "-o", tmp_path / "a.txt"], "end the name in .csv"),
        ([tmp_path / "none.tif", "-o", tmp_path / "a.csv"], "There is no file"),
        ([other, "--spacing", "1,1,1", "-o", tmp_path / "a.csv"], "must be whole numbers"),
        ([labels, "--image", image, "--channels", "5", "-o", tmp_path / "a.csv"], "Channel 5"),
    ):
        assert main(["measure", *map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count("\n") == 1
    assert not (tmp_path / "a.csv").exists()
