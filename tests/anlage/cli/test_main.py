"""The command line as such: help, exit codes and sentences."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time

import pytest

import anlage
from anlage import AnlageError
from anlage.cli import COMMANDS, main
from anlage.cli.arguments import channel_list, span, spans_zyx, spread_settings


def test_no_command_prints_help_and_fails(capsys):
    assert main([]) == 2
    assert "anlage build movie.ome.zarr" in capsys.readouterr().out


def test_help_lists_every_command_with_what_it_does(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, (_, summary) in COMMANDS.items():
        assert f"  {name} " in shown
        assert summary in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command, capsys):
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"usage: anlage {command}" in shown
    assert f"  anlage {command}" in shown.split("\nexample")[1]


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"anlage {anlage.__version__}\n"


def test_train_help_lists_the_settings_of_the_configs(capsys):
    main(["train", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "learning_rate=none Highest learning rate" in shown
    assert "head=centres" in shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["frain"], "There is no command 'frain'; did you mean 'train'?"),
        (["xyz"], "There is no command 'xyz'; choose one of demo, doctor"),
        (["train", "nuclei"], "The following arguments are required: -o/--output; `anlage train --help`"),
        (["info", "/nowhere/at/all"], "There is nothing at /nowhere/at/all; check the path."),
        (["info", "x", "--bogus"], "--bogus; `anlage info --help` explains the command."),
        (["predict", "m", "i", "-o", "x.png"], "'x.png' can hold neither a table of nuclei nor labels; choose a name that ends in .csv or .geff"),
        (["predict", "m", "i", "-o", "x.csv", "--threshold", "2"], "The threshold '2' is not a probability"),
        (["predict", "m", "i", "-o", "x.csv", "--frames", "5:2"], "The frames '5:2' are not of the form a:b"),
        (["predict", "m", "i", "-o", "x.csv", "--region", "5:2"], "not of the form z0:z1,y0:y1,x0:x1"),
        (["predict", "m", "i", "-o", "x.csv", "--diameter-um", "-3"], "'-3' is not a positive number"),
        (["build", "i", "a", "-o", "s", "--spacing", "1,2,3,4"], "The voxel size '1,2,3,4' is not of the form Z,Y,X in µm"),
        (["build", "i", "a", "-o", "s", "--channels", "a"], "The channels 'a' are not numbers like 0,2"),
        (["build", "i", "a", "-o", "s", "--channels", "0", "--sum-channels", "1"], "not allowed with argument"),
        (["build", "i", "a", "-o", "s", "--cuboid", "1:2"], "The cuboid '1:2' is not of the form t0:t1,z0:z1"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence_on_stderr(arguments, sentence, capsys):
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (AnlageError("It is too dark."), 2, "anlage: It is too dark.\n"),
        (KeyboardInterrupt(), 130, "\nInterrupted.\n"),
        (MemoryError(), 2, "The memory of this computer is too small"),
        (OSError(errno.ENOSPC, "No space left", "/data/x"), 2, "The disk is full while writing '/data/x'"),
        (FileNotFoundError(errno.ENOENT, "none", "/data/x"), 2, "There is no '/data/x'; check the path."),
        (PermissionError(errno.EACCES, "no", "/data/x"), 2, "'/data/x' may not be opened by this user"),
        (OSError(errno.EIO, "Input/output error", "/data/x"), 2, "could not be read or written (Input/output error)"),
    ],
)
def test_what_goes_wrong_below_becomes_a_sentence_and_a_code(error, code, sentence, monkeypatch, capsys):
    def fail(options):
        raise error

    monkeypatch.setattr("anlage.cli.info.run_info", fail)
    assert main(["info", "x"]) == code
    assert sentence in capsys.readouterr().err


def test_a_bug_is_not_dressed_up_as_a_sentence(monkeypatch):
    def fail(options):
        raise KeyError("bug")

    monkeypatch.setattr("anlage.cli.info.run_info", fail)
    with pytest.raises(KeyError):
        main(["info", "x"])


def test_a_reader_that_leaves_early_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(
        [sys.executable, "-m", "anlage", "--help"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert run.returncode == 141
    assert run.stderr == b""


def test_help_is_quick_and_loads_nothing_heavy():
    code = "import sys; from anlage.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    began = time.perf_counter()
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.perf_counter() - began < 2
    assert not {"numpy", "torch", "pydantic", "zarr", "scipy", "tqdm"} & set(run.stderr.split())


@pytest.mark.parametrize(
    ("given", "spread"),
    [
        ("--set a=1 b=2 s.zarr -o r", "--set a=1 --set b=2 s.zarr -o r"),
        ("s.zarr --set a=1 -o r=1", "s.zarr --set a=1 -o r=1"),
        ("--set a=1 --set b=2 c=3", "--set a=1 --set b=2 --set c=3"),
        ("--set=a=1 b=2 s.zarr", "--set a=1 --set b=2 s.zarr"),
        ("--set wrong s.zarr", "--set wrong s.zarr"),
    ],
)
def test_settings_do_not_swallow_what_follows(given, spread):
    assert spread_settings(given.split()) == spread.split()


def test_spans():
    assert span("3:7") == (3, 7)
    assert span(":7") == (None, 7)
    assert span("3:") == (3, None)
    assert span("3") == (3, 4)
    assert spans_zyx("0:1,2:5,7:9") == ((0, 1), (2, 5), (7, 9))
    assert channel_list("2,0") == (2, 0)
    with pytest.raises(AnlageError, match="each named once"):
        channel_list("0,0")


def test_doctor_says_what_is_here(capsys):
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert f"anlage {anlage.__version__}" in shown
    assert "  cpu " in shown
    assert "torch " in shown


def test_doctor_says_what_reads_compressed_tiffs(monkeypatch, capsys):
    from anlage.cli import doctor

    monkeypatch.setattr(doctor, "FOR_TIFFS", ("no-such-codecs",))
    assert main(["doctor"]) == 0
    assert "Could be better: The package that reads TIFFs compressed with LZW" in capsys.readouterr().out


def test_doctor_as_json(capsys):
    assert main(["doctor", "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert {"cores", "devices", "packages", "missing", "display"} <= set(state)
    assert state["devices"][-1]["name"] == "cpu"


def gpu(title):
    from anlage.devices import Gpu

    return (Gpu(title, "GPU-1", "Ampere", 24.0, 20.0, "12.4"),)


def test_doctor_gives_the_command_for_a_card_that_torch_does_not_use(monkeypatch, capsys):
    for module in ("anlage.devices", "anlage.cli.doctor"):
        monkeypatch.setattr(f"{module}.find_gpus", lambda: gpu("NVIDIA RTX A5000"))
        monkeypatch.setattr(f"{module}.torch_cuda", lambda: None)
    monkeypatch.setattr("anlage.cli.doctor._devices", lambda: ([], None))
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "NVIDIA card: NVIDIA RTX A5000, CUDA 12.4" in shown
    assert (
        f"{sys.executable} -m pip install --force-reinstall --index-url https://download.pytorch.org/whl/cu126" in shown
    )
    assert '"torch>=2.10"' in shown


def test_doctor_says_when_the_driver_has_stopped(monkeypatch, capsys):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for module in ("anlage.devices", "anlage.cli.doctor"):
        monkeypatch.setattr(f"{module}.find_gpus", lambda: gpu("NVIDIA RTX A5000"))
        monkeypatch.setattr(f"{module}.torch_cuda", lambda: "12.6")
    monkeypatch.setattr("anlage.cli.doctor._devices", lambda: ([], None))
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert (
        "made for the NVIDIA card (NVIDIA RTX A5000) but does not see it: its driver may have stopped. Restart" in shown
    )


def test_doctor_fails_where_something_needed_is_missing(monkeypatch, capsys):
    monkeypatch.setattr("anlage.cli.doctor.NEEDED", ("numpy", "a-package-that-is-not-there"))
    assert main(["doctor"]) == 1
    assert f'{sys.executable} -m pip install "a-package-that-is-not-there"' in capsys.readouterr().out


def test_doctor_names_the_versions_that_are_needed_and_the_systems_libraries(monkeypatch, capsys):
    import re

    from anlage.cli import doctor

    monkeypatch.setattr(doctor, "versions", lambda packages=(): {"numpy": "1"})
    monkeypatch.setattr(doctor, "display", lambda: ":0")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None if "xcb" in name else name)
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert re.search(r'"geff(>=1\.1,<2|<2,>=1\.1)"', shown)
    assert re.search(r'"napari(>=0\.9,<0\.11|<0\.11,>=0\.9)"', shown)
    assert "anlage[all]" not in shown
    assert "sudo apt-get install libxcb-cursor0 libxcb-icccm4 libxcb-image0" in shown


FAULTS = """
import resource, sys
import numpy as np
from anlage.cli import main
if len(sys.argv) > 1:
    main(["--version"])
layers = lambda: [np.ones(8_000_000, dtype=np.float32) for _ in range(3)]
layers()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    layers()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the allocator of the GNU C library is on Linux alone")
def test_memory_of_one_layer_is_kept_for_the_next():
    """Fifteen arrays of 32 MB, one after the other, are 117,000 pages to map if each is given back at once."""

    def faults(*arguments: str) -> int:
        done = subprocess.run([sys.executable, "-c", FAULTS, *arguments], capture_output=True, text=True, check=True)
        return int(done.stdout.split()[-1])

    assert faults("as the command line does") < faults() / 5
