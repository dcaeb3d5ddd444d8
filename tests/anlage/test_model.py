from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import pickle
import random
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save

import anlage.model
from anlage.calibration import Calibration
from anlage.card import Card, TrainedOn
from anlage.dataset.intensity import ChannelIntensity, Intensity
from anlage.errors import AnlageError
from anlage.model import load_model, read_card, save_model
from anlage.tasks.task import Evidence

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


PLAN: dict[str, Any] = {
    "grid": {"voxel_diameters_zyx": [0.25, 0.1, 0.1], "stem": [1, 2, 2], "strides": [[1, 2, 2], [2, 2, 2]]},
    "diameter_um": 8.0, "apparent_um": None, "n_channels": 1, "frames": [0], "patch_zyx": [8, 32, 32], "sigma": 0.16,
    "match_radius_um": 3.0,
}  # fmt: skip


def a_card(**about: Any) -> Card:
    evidence = Evidence(
        held_out="31 nuclei in 1 of 4 movies",
        n_positive=31,
        metrics={"f1": 0.9},
        threshold=0.5,
        calibration=Calibration(),
        ece=None,
    )
    return Card(
        **{
            "name": "centres-7f3a",
            "task": "nuclei",
            "head": "centres",
            "created": "2026-11-21T10:00:00Z",
            "version": "0.1.0",
            "channels": ("GFP",),
            "spacing_um_zyx": (2.0, 0.5, 0.5),
            "intensity": Intensity(channels=(ChannelIntensity(name="GFP", index=0, low=0.0, high=1.0),)),
            "plan": PLAN,
            "config": {},
            "trained_on": (TrainedOn(name="embryo1", n_nuclei=120, n_frames=3),),
            "evidence": evidence,
            **about,
        }
    )


def weights() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "stem.weight": rng.normal(size=(8, 4, 3, 3, 3)).astype(np.float32),
        "count": np.array(7, dtype=np.int64),
        "head.bias": np.zeros(4, dtype=np.float32),
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save_model(tmp_path / "good.anlage", a_card(), weights(), PNG).path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(path: Path, changes: dict[str, bytes | None], compression: int = zipfile.ZIP_STORED) -> Path:
    """The same archive with members changed, added or (None) left out, as a stranger might make it."""
    content = {**members(path), **changes}
    new = path.with_name("bad.anlage")
    with zipfile.ZipFile(new, "w", compression) as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(name, data)
    return new


def with_card(path: Path, **changes: Any) -> Path:
    record = json.loads(members(path)["card.json"])
    return rewritten(path, {"card.json": json.dumps({**record, **changes}).encode()})


def retold(content: bytes, name: str, offset: int, told: bytes) -> bytes:
    """The archive with other bytes in a member's entry of the central directory, which is what `zipfile` believes."""
    changed = bytearray(content)
    entry = changed.rindex(b"PK\x01\x02", 0, changed.rindex(name.encode()))
    changed[entry + offset : entry + offset + len(told)] = told
    return bytes(changed)


def refuses(path: Path, why: str) -> None:
    with pytest.raises(AnlageError, match=why) as caught:
        load_model(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message


class TestRoundTrip:
    def test_everything_comes_back(self, path):
        model = load_model(path, task="nuclei", head="centres")
        assert model.card.model_copy(update={"weights_sha256": ""}) == a_card()
        assert model.id == model.card.id == f"centres-7f3a-{model.card.weights_sha256[:8]}"
        assert model.preview() == PNG
        found = model.weights()
        assert found.keys() == weights().keys()
        for name, array in weights().items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype
            assert found[name].shape == array.shape

    def test_weights_go_straight_into_a_network(self, tmp_path):
        network = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3), torch.nn.BatchNorm3d(2))
        saved = save_model(tmp_path / "m.anlage", a_card(), network.state_dict())
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # torch warns of arrays that cannot be written to
            state = {name: torch.from_numpy(array) for name, array in load_model(saved.path).weights().items()}
        again = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3), torch.nn.BatchNorm3d(2))
        again.load_state_dict(state)
        for name, tensor in network.state_dict().items():
            assert torch.equal(again.state_dict()[name], tensor)

    def test_half_precision_strided_and_shared_tensors_are_kept(self, tmp_path):
        shared = torch.arange(6, dtype=torch.bfloat16).reshape(2, 3) / 3
        tensors = {"a": shared, "b": shared.T, "c": shared.half()}
        found = save_model(tmp_path / "m.anlage", a_card(), tensors).weights()
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(found[name], tensor.float().numpy())

    def test_without_preview(self, tmp_path):
        assert save_model(tmp_path / "m.anlage", a_card(), weights()).preview() is None

    def test_a_person_finds_text_inside(self, path):
        assert members(path)["card.md"].decode() == load_model(path).card.to_markdown()

    def test_the_same_content_gives_the_same_bytes(self, tmp_path):
        as_tensors = {name: torch.as_tensor(array) for name, array in reversed(weights().items())}
        first = save_model(tmp_path / "deep" / "er" / "a.anlage", a_card(), weights(), PNG)
        second = save_model(tmp_path / "b.anlage", a_card(), as_tensors, PNG)
        assert first.path.read_bytes() == second.path.read_bytes()
        with zipfile.ZipFile(first.path) as archive:  # neither the clock nor the computer shows
            assert {(member.date_time, member.create_system) for member in archive.infolist()} == {
                ((1980, 1, 1, 0, 0, 0), 3)
            }

    def test_nothing_is_compressed_and_weights_carry_no_metadata(self, path):
        with zipfile.ZipFile(path) as archive:
            assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
        content = members(path)["weights.safetensors"]
        (length,) = struct.unpack("<Q", content[:8])
        assert "__metadata__" not in json.loads(content[8 : 8 + length])

    def test_the_file_is_as_it_is_described(self, path):
        with zipfile.ZipFile(path) as archive:
            assert {member.external_attr for member in archive.infolist()} == {0o644 << 16}
        card = load_model(path).card
        assert members(path)["card.json"].decode() == card.model_dump_json(indent=2)

    def test_an_open_model_stays_what_it_is(self, path):
        model = load_model(path)
        with pytest.raises(dataclasses.FrozenInstanceError):
            model.path = path
        assert not hasattr(model, "__dict__")

    def test_the_disk_has_all_of_it_before_it_appears(self, path, monkeypatch):
        sizes = []
        monkeypatch.setattr(anlage.model.os, "fsync", lambda handle: sizes.append(os.fstat(handle).st_size))
        save_model(path, a_card(), weights(), PNG)
        assert sizes == [path.stat().st_size]


class TestSaving:
    @pytest.mark.parametrize(("largest", "taken"), [(1e6, True), (-1e6, True), (1.01e6, False), (-1.01e6, False)])
    def test_weights_have_a_size(self, path, largest, taken):
        told = {**weights(), "head.bias": np.array([0, largest], np.float32)}
        if taken:
            assert save_model(path, a_card(), told).weights()["head.bias"][1] == np.float32(largest)
        else:
            with pytest.raises(
                AnlageError, match=r"'head.bias' reach 1.01e\+06, which no trained network does.*diverged"
            ):
                save_model(path, a_card(), told)

    @pytest.mark.parametrize("dtype", [np.float64, np.int8, np.uint8, np.bool_, np.int32])
    def test_numbers_of_another_type_are_no_weights(self, path, dtype):
        with pytest.raises(AnlageError, match=r"its weights 'head.bias' are \w+ numbers, which no network of ours has"):
            save_model(path, a_card(), {**weights(), "head.bias": np.zeros(4, dtype)})

    def test_diverged_weights_are_refused_and_the_old_model_stays(self, path):
        before = path.read_bytes()
        with pytest.raises(AnlageError, match=r"'head.bias' hold values that are not finite.*lower learning rate"):
            save_model(path, a_card(), {**weights(), "head.bias": np.array([1.0, np.nan])})
        assert path.read_bytes() == before

    def test_no_weights_are_refused(self, tmp_path):
        with pytest.raises(AnlageError, match="no weights"):
            save_model(tmp_path / "m.anlage", a_card(), {})

    def test_a_full_disk_is_one_sentence_and_loses_nothing(self, path, monkeypatch):
        before = path.read_bytes()

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(anlage.model.os, "fsync", full)
        with pytest.raises(AnlageError, match="The disk is full while writing"):
            save_model(path, a_card(name="newer"), weights())
        assert path.read_bytes() == before
        assert [p.name for p in path.parent.iterdir()] == ["good.anlage"]

    def test_what_could_not_be_read_back_never_appears(self, tmp_path):
        with pytest.raises(AnlageError, match=r"preview.png is not a PNG"):
            save_model(tmp_path / "m.anlage", a_card(), weights(), b"a gif")
        assert not list(tmp_path.iterdir())


class TestStrangersFiles:
    def test_missing(self, tmp_path):
        refuses(tmp_path / "none.anlage", "There is no model .* check the path")

    def test_a_folder(self, tmp_path):
        refuses(tmp_path, "is a folder, not a model; name the .anlage file")

    @pytest.mark.parametrize("content", [b"", b"PK", b"hello", pickle.dumps({"weights": 1}), PNG])
    def test_not_a_zip(self, tmp_path, content):
        (tmp_path / "x.anlage").write_bytes(content)
        refuses(tmp_path / "x.anlage", "is not a model: an .anlage file is a zip")

    @pytest.mark.parametrize("part", [0.01, 0.3, 0.7, 0.99])
    def test_truncated(self, path, part):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * part)])
        refuses(path, "damaged or cut off")

    def test_a_torch_archive(self, tmp_path):
        torch.save({"a": torch.zeros(2)}, tmp_path / "x.anlage")
        refuses(tmp_path / "x.anlage", r"data.pkl' is a pickle, which can run any program")

    @pytest.mark.parametrize("name", ["data.pkl", "archive/data.pkl", "weights.pt", "x.PICKLE", "m.bin"])
    def test_a_pickle_beside_good_members(self, path, name):
        class Bomb:
            def __reduce__(self):
                return (pytest.fail, ("the pickle was opened",))

        refuses(rewritten(path, {name: pickle.dumps(Bomb())}), "is a pickle, which can run any program")

    @pytest.mark.parametrize(
        "name",
        ["../x", "../../etc/cron.d/x", "/etc/passwd", "a/../../card.json", "..\\x", "C:\\x", "\\\\server\\x", "C:x"],
    )
    def test_a_path_that_escapes(self, path, name):
        refuses(rewritten(path, {name: b"x"}), "points outside the file")
        assert not (path.parent.parent / "x").exists()

    @pytest.mark.parametrize("name", ["extra.txt", "sub/card.json", "CARD.JSON", "card.json ", "folder/"])
    def test_an_unknown_member(self, path, name):
        refuses(rewritten(path, {name: b""}), "does not belong in a model")

    def test_a_name_that_is_cut_at_a_zero_byte(self, path):
        # zipfile shows 'card.json\\0.pkl' as 'card.json'; the true name counts
        bad = rewritten(path, {"card.jsonXevil": b"{}"})
        bad.write_bytes(bad.read_bytes().replace(b"card.jsonXevil", b"card.json\0evil"))
        refuses(bad, "does not belong in a model")

    @pytest.mark.parametrize("name", ["card.json", "weights.safetensors"])
    def test_a_member_twice(self, path, name):
        bad = path.with_name("bad.anlage")
        bad.write_bytes(path.read_bytes())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # zipfile warns of what is done here on purpose
            with zipfile.ZipFile(bad, "a") as archive:
                archive.writestr(name, members(path)[name])
        refuses(bad, f"it holds {name} 2 times")

    @pytest.mark.parametrize("name", ["card.json", "weights.safetensors"])
    def test_a_member_missing(self, path, name):
        refuses(rewritten(path, {name: None}), f"it has no {name}")

    @pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_a_zip_bomb(self, path, compression):
        refuses(rewritten(path, {"card.md": bytes(3 * 2**20)}, compression), "is compressed, which a model never is")

    def test_an_oversized_card(self, path):
        refuses(rewritten(path, {"card.json": b" " * (4 * 2**20 + 1)}), "card.json has 4 MiB, at most 4 are allowed")

    def test_a_member_that_claims_more_than_the_file_has(self, path):
        # sizes in the central directory are what zipfile believes
        content = bytearray(path.read_bytes())
        entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"preview.png"))
        content[entry + 20 : entry + 28] = struct.pack("<II", 30 * 2**20, 30 * 2**20)
        path.write_bytes(content)
        refuses(path, "claim more bytes than the file has")

    @pytest.mark.parametrize(
        ("name", "most"), [("card.json", 4), ("card.md", 4), ("weights.safetensors", 2048), ("preview.png", 32)]
    )
    def test_every_member_has_a_largest_size(self, path, name, most):
        whole = path.read_bytes()
        for size, why in (
            (most * 2**20 + 1, f"{name} has {most} MiB, at most {most} are allowed"),
            (most * 2**20, "claim more bytes than the file has"),
        ):
            path.write_bytes(retold(whole, name, 20, struct.pack("<II", size, size)))
            refuses(path, why)

    def test_a_compression_or_another_length_alone_is_compression(self, path):
        whole, size = path.read_bytes(), len(members(path)["card.md"])
        for offset, told in ((10, struct.pack("<H", zipfile.ZIP_DEFLATED)), (20, struct.pack("<II", size - 1, size))):
            path.write_bytes(retold(whole, "card.md", offset, told))
            refuses(path, "card.md is compressed, which a model never is")

    @pytest.mark.parametrize(
        ("tensor", "why"),
        [
            (np.array([1, np.nan], np.float32), "hold values that are not finite"),
            (np.array([1, -np.inf], np.float16), "hold values that are not finite"),
            (np.array([1, 1e30], np.float32), "reach 1e.30, which no trained network does"),
            (np.array([1, 2], np.float64), "are float64 numbers, which no network of ours has"),
            (np.array([1, 2], np.int8), "are int8 numbers, which no network of ours has"),
        ],
    )
    def test_weights_that_no_training_gives(self, path, tensor, why):
        content = save({**weights(), "\x1b[31mw": tensor})
        bad = rewritten(path, {"weights.safetensors": content})
        record = json.loads(members(bad)["card.json"]) | {"weights_sha256": hashlib.sha256(content).hexdigest()}
        refuses(rewritten(bad, {"card.json": json.dumps(record).encode()}), rf"its weights '\\x1b\[31mw' {why}")

    def test_an_encrypted_member(self, path):
        content = bytearray(path.read_bytes())
        entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"card.md"))
        content[entry + 8] |= 1
        path.write_bytes(content)
        refuses(path, "card.md is encrypted")

    @pytest.mark.parametrize(
        ("offset", "value"),
        [(6, struct.pack("<H", 99)), (8, struct.pack("<HH", 0x800, 0)), (8, struct.pack("<HH", 0x20, 0))],
        ids=["a future zip version", "a name that is no UTF-8", "a patch"],
    )
    def test_a_zip_of_a_kind_that_cannot_be_read(self, path, offset, value):
        content = bytearray(path.read_bytes())
        entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"card.json"))
        content[entry + offset : entry + offset + len(value)] = value
        content[entry + 46] = 0xFF if value[1:2] == b"\x08" else content[entry + 46]
        path.write_bytes(content)
        refuses(path, "damaged or cut off")

    @pytest.mark.parametrize(
        "content", [b"", b"{", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b"null1"], ids=lambda c: repr(c[:8])
    )
    def test_a_card_that_is_not_json(self, path, content):
        refuses(rewritten(path, {"card.json": content}), "The card of the model .* is not JSON")

    @pytest.mark.parametrize("content", [b"[]", b"null", b"3"])
    def test_a_card_that_is_no_record(self, path, content):
        refuses(rewritten(path, {"card.json": content}), "its card.json is not a record")

    def test_a_card_of_a_newer_schema(self, path):
        bad = with_card(path, schema_version=2, news="unknown here")
        refuses(bad, r"newer anlage \(its card has schema 2, this version reads up to 1\); update anlage")

    def test_a_card_with_unknown_keys(self, path):
        refuses(with_card(path, on_load="os.system('x')"), "on_load: Extra inputs are not permitted")

    @pytest.mark.parametrize(
        ("key", "value"), [("spacing_um_zyx", [1, 2]), ("name", ""), ("diameter_um", -1), ("schema_version", "x")]
    )
    def test_a_card_with_an_impossible_value(self, path, key, value):
        refuses(with_card(path, **{key: value}), f"its card does not hold: {key}")

    def test_other_weights_than_the_cards(self, path, tmp_path):
        other = save_model(tmp_path / "o.anlage", a_card(), {"a": np.ones(3, np.float32)})
        bad = rewritten(path, {"weights.safetensors": members(other.path)["weights.safetensors"]})
        refuses(bad, "its weights are not those of its card")

    def test_no_hash(self, path):
        refuses(with_card(path, weights_sha256=""), "its weights are not those of its card")

    def test_weights_that_are_not_safetensors(self, path):
        content = pickle.dumps([1, 2, 3])
        bad = rewritten(path, {"weights.safetensors": content})
        record = json.loads(members(bad)["card.json"])
        record["weights_sha256"] = hashlib.sha256(content).hexdigest()
        refuses(rewritten(bad, {"card.json": json.dumps(record).encode()}), "its weights cannot be read")

    def test_a_preview_that_is_no_picture(self, path):
        refuses(rewritten(path, {"preview.png": b"<svg onload=...>"}), "preview.png is not a PNG")

    @pytest.mark.parametrize(
        ("wanted", "sentence"),
        [
            ({"task": "divisions"}, r"is for nuclei \(centres\), but one for divisions is needed"),
            ({"task": "nuclei", "head": "instances"}, r"but one for nuclei \(instances\) is needed"),
        ],
    )
    def test_a_model_of_another_task(self, path, wanted, sentence):
        with pytest.raises(AnlageError, match=sentence):
            load_model(path, **wanted)

    def test_weights_exchanged_after_opening_are_noticed(self, path, tmp_path):
        model = load_model(path)
        path.write_bytes(save_model(tmp_path / "o.anlage", a_card(), {"a": np.ones(3, np.float32)}).path.read_bytes())
        with pytest.raises(AnlageError, match="not those of its card"):
            model.weights()

    def test_the_card_alone_opens_without_touching_the_weights(self, path):
        content = bytearray(path.read_bytes())
        where = content.index(b"stem.weight") + 500
        content[where] ^= 0xFF
        path.write_bytes(content)
        assert read_card(path).name == "centres-7f3a"
        refuses(path, "damaged or cut off")

    def test_damage_anywhere_is_a_sentence_or_harmless(self, path):
        """Bytes flipped, cut out or doubled at random: an AnlageError, or the very same model."""
        good, expected = path.read_bytes(), load_model(path)
        rng = random.Random(0)
        for _ in range(250):
            content = bytearray(good)
            # half of the damage where it hurts: the card and the directory at the end
            near = rng.choice([(0, len(good)), (len(good) - 400, len(good)), (0, 60)])
            where = rng.randrange(*near)
            change = rng.choice(["flip", "cut", "double"])
            if change == "flip":
                content[where] ^= 1 << rng.randrange(8)
            elif change == "cut":
                del content[where : where + rng.randrange(1, 200)]
            else:
                content[where:where] = content[where : where + rng.randrange(1, 200)]
            path.write_bytes(content)
            with contextlib.suppress(AnlageError):  # anything else that is raised fails the test
                found = load_model(path)
                assert found == expected
                assert found.weights().keys() == weights().keys()


def test_opening_cards_loads_no_torch():
    code = "import sys, anlage.model, anlage.card; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
