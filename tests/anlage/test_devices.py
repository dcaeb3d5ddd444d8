"""What this computer computes with, asked of a driver that a test puts in its place, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from anlage.devices import Device, cores, device_advice, find_devices, find_gpus, processor
from anlage.installed import install

pytestmark = pytest.mark.skipif(os.name != "posix", reason="puts a shell script in the place of nvidia-smi")

HEAD = """<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log>
	<timestamp>Thu Jan 30 16:14:43 2025</timestamp>
	<driver_version>550.127.05</driver_version>
	<cuda_version>{cuda}</cuda_version>
	<attached_gpus>2</attached_gpus>
"""
GPU = """	<gpu id="00000000:4F:00.0">
		<product_name>{title}</product_name>
		<product_architecture>{architecture}</product_architecture>
		<uuid>{uuid}</uuid>
		<fb_memory_usage>
			<total>{total}</total>
			<reserved>600 MiB</reserved>
			<used>1 MiB</used>
			<free>{free}</free>
		</fb_memory_usage>
		<bar1_memory_usage>
			<total>256 MiB</total>
			<used>5 MiB</used>
			<free>251 MiB</free>
		</bar1_memory_usage>
	</gpu>
"""
TURING = {
    "title": "NVIDIA T400",
    "architecture": "Turing",
    "uuid": "GPU-aaaa1",
    "total": "2048 MiB",
    "free": "1024 MiB",
}
ADA = {
    "title": "NVIDIA GeForce RTX 4090", "architecture": "Ada Lovelace", "uuid": "GPU-bbbb2", "total": "24564 MiB",
    "free": "20480 MiB",
}  # fmt: skip
PASCAL = {**ADA, "title": "NVIDIA GeForce GTX 1080", "architecture": "Pascal"}
BLACKWELL = {**ADA, "title": "NVIDIA GeForce RTX 5090", "architecture": "Blackwell"}

Driver = Callable[..., None]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Answer like the driver of these cards, with a torch that was built for a CUDA version, or for none."""

    def answer(*gpus: dict[str, str], cuda: str = "12.4", torch: str | None = None, text: str | None = None) -> None:
        said = text or HEAD.format(cuda=cuda) + "".join(GPU.format(**gpu) for gpu in gpus) + "</nvidia_smi_log>\n"
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\ncat << 'END'\n{said}\nEND\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr("anlage.devices.torch_cuda", lambda: torch)

    return answer


def names(found: tuple[Device, ...]) -> list[tuple[str, str]]:
    return [(device.name, device.title) for device in found]


def test_the_processor_is_always_there_with_its_cores_and_free_memory() -> None:
    cpu = processor()
    assert cpu.name == "cpu"
    assert cpu.title.endswith(f"{cores()} core{'s' if cores() > 1 else ''}")
    assert 0 < cpu.free_gb <= cpu.total_gb <= psutil.virtual_memory().total / 2**30
    assert names(find_devices())[-1] == ("cpu", cpu.title)


def test_cards_are_listed_the_largest_first_by_the_names_that_torch_has_for_them(driver: Driver) -> None:
    driver(TURING, ADA, torch="12.6")
    found = find_devices()
    assert names(found)[:2] == [("cuda:1", "NVIDIA GeForce RTX 4090"), ("cuda:0", "NVIDIA T400")]
    assert (found[0].total_gb, found[0].free_gb) == (24564 / 1024, 20.0)
    assert device_advice() is None


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("1", [("cuda:0", "NVIDIA GeForce RTX 4090")]),
        ("1,0", [("cuda:0", "NVIDIA GeForce RTX 4090"), ("cuda:1", "NVIDIA T400")]),
        ("GPU-bbbb", [("cuda:0", "NVIDIA GeForce RTX 4090")]),
        ("0,7,1", [("cuda:0", "NVIDIA T400")]),
        ("", []),
        ("-1", []),
    ],
)
def test_cards_that_are_hidden_from_torch_are_left_out(
    visible: str, expected: list[tuple[str, str]], driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(TURING, ADA, torch="12.6")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert names(find_devices())[:-1] == expected


def test_a_torch_without_cuda_computes_on_the_processor_and_the_command_for_another_is_given(driver: Driver) -> None:
    driver(ADA, cuda="12.4", torch=None)
    assert [device.name for device in find_devices()] == ["cpu"]
    advice = device_advice()
    assert advice is not None
    assert advice.what == (
        "A torch for the NVIDIA card (NVIDIA GeForce RTX 4090, CUDA 12.4): the installed one computes on the CPU only, "
        "many times slower."
    )
    assert advice.command == install(
        ["torch"], "--force-reinstall", "--index-url", "https://download.pytorch.org/whl/cu126"
    )
    assert advice.command.startswith(f"{sys.executable} -m pip install ")


@pytest.mark.parametrize(
    ("gpu", "cuda", "torch", "build"),
    [
        (ADA, "13.0", None, "cu130"),
        (PASCAL, "13.0", None, "cu126"),
        (PASCAL, "13.0", "13.0", "cu126"),
        (BLACKWELL, "13.1", "12.6", "cu130"),
        (ADA, "12.8", "13.0", "cu126"),
    ],
)
def test_the_build_is_one_that_serves_card_and_driver(
    gpu: dict[str, str], cuda: str, torch: str | None, build: str, driver: Driver
) -> None:
    driver(gpu, cuda=cuda, torch=torch)
    assert [device.name for device in find_devices()] == ["cpu"]
    advice = device_advice()
    assert advice is not None
    assert f"/whl/{build} " in advice.command
    assert (f"the installed one is made for CUDA {torch} and computes on" in advice.what) == (torch is not None)


@pytest.mark.parametrize(("gpu", "cuda", "build"), [(BLACKWELL, "12.8", "cu130"), (ADA, "11.4", "cu126")])
def test_a_driver_that_is_too_old_is_said_first(gpu: dict[str, str], cuda: str, build: str, driver: Driver) -> None:
    driver(gpu, cuda=cuda, torch=None)
    advice = device_advice()
    assert advice is not None
    assert advice.what.startswith(
        f"A newer driver for the NVIDIA card ({gpu['title']}, CUDA {cuda}): install the newest"
    )
    assert f"/whl/{build} " in advice.command


def test_a_card_that_no_torch_serves_any_more_brings_no_advice(driver: Driver) -> None:
    driver({**ADA, "architecture": "Kepler"}, cuda="11.4", torch=None)
    assert device_advice() is None


def test_a_card_that_shares_the_computers_memory_has_that(driver: Driver) -> None:
    driver({**ADA, "total": "N/A", "free": "N/A"}, torch="12.6")
    assert find_devices()[0].total_gb == pytest.approx(processor().total_gb)


@pytest.mark.parametrize(
    "text", ["NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", "<a>"]
)
def test_a_driver_that_does_not_answer_is_no_card(text: str, driver: Driver) -> None:
    driver(torch="12.6", text=text)
    assert find_gpus() == ()
    assert [device.name for device in find_devices()] == ["cpu"]
    assert device_advice() is None


@pytest.mark.parametrize(
    ("line", "expected"), [("cuda: Optional[str] = '12.6'", "12.6"), ("cuda: Optional[str] = None", "None")]
)
def test_what_torch_was_built_for_is_read_and_torch_is_not_imported(line: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise RuntimeError('torch was imported')\n")
    (tmp_path / "torch" / "version.py").write_text(f"__version__ = '2.13.0'\n{line}\nhip: Optional[str] = None\n")
    code = "import sys, anlage; anlage.find_devices(); anlage.device_advice(); assert 'torch' not in sys.modules\n"
    code += "from anlage.installed import torch_cuda; print(torch_cuda())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == expected, done.stderr
