"""Damaged and dangerous checkpoints are refused by name, without loading a tensor."""

import json
import resource
import struct
from pathlib import Path
from typing import Any

import pytest

from diffrun_testkit import repos
from diffrun_worker.checkpoints import read_config, require_class, require_components, verify_safetensors
from diffrun_worker.errors import PermanentError

GOOD = repos.safetensors({"a": 4, "b": 8})


def with_header(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(begin: Any, end: Any, shape: Any = (4,), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def test_a_sound_file_tells_how_many_tensors_it_holds(file: Path) -> None:
    file.write_bytes(GOOD)
    assert verify_safetensors(file) == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"abc", "it ends after 3 bytes, before the header's length"),
        (b"PK\x03\x04" + bytes(100), "it is a pickle with another name; pickles run code and are never loaded"),
        (b"\x80\x02" + bytes(100), "it is a pickle with another name; pickles run code and are never loaded"),
        (
            struct.pack("<Q", 2**63) + bytes(64),
            "its header claims 9223372036854775808 bytes; at most 100000000 are allowed",
        ),
        (struct.pack("<Q", 4096) + b"{}", "it is truncated: the header needs 4096 bytes, 2 are there"),
        (GOOD[:-1], "it is truncated: the tensors need 48 bytes, 47 are there"),
        (GOOD + b"x", "1 bytes at its end belong to no tensor"),
        (with_header(b"{nonsense"), "its header is not JSON"),
        (with_header(b"[" * 50_000), "its header is not JSON"),
        (with_header([]), "its header is not a JSON object"),
        (
            with_header({"a": tensor(0, 16), "b": tensor(8, 24)}, bytes(24)),
            "tensor 'b': its bytes overlap those of another tensor",
        ),
        (
            with_header({"a": tensor(0, 16), "b": tensor(20, 36)}, bytes(36)),
            "tensor 'b': 4 bytes before it belong to no tensor",
        ),
        (with_header({"a": tensor(16, 0)}, bytes(16)), "tensor 'a': its offsets run from 16 to 0"),
        (with_header({"a": tensor(-4, 12)}, bytes(16)), "tensor 'a': its offsets run from -4 to 12"),
        (
            with_header({"a": tensor(0, 16, shape=[5])}, bytes(16)),
            "tensor 'a': F32 [5] takes 20 bytes, its offsets 16",
        ),
        (
            with_header({"a": tensor(0, 16, dtype="Q7")}, bytes(16)),
            "tensor 'a': its dtype, shape or data_offsets are missing or unknown",
        ),
        (with_header({"a": 1}), "tensor 'a': its dtype, shape or data_offsets are missing or unknown"),
    ],
    ids=[
        "tiny", "zip-pickle", "bare-pickle", "header-2^63", "header-cut", "data-cut", "data-more", "header-no-json",
        "header-deep", "header-list", "overlap", "hole", "backwards", "negative", "shape", "dtype", "no-tensor",
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_with_what_is_wrong(file: Path, data: bytes, message: str) -> None:
    file.write_bytes(data)
    with pytest.raises(PermanentError) as caught:
        verify_safetensors(file)
    assert caught.value.code == "CorruptCheckpoint"
    assert caught.value.message == f"model.safetensors: {message}"


def test_a_large_file_is_checked_without_being_read(file: Path) -> None:
    size = 4 * 1024**3
    header = json.dumps({"a": tensor(0, size, shape=[size // 4])}).encode()
    with file.open("wb") as out:
        out.write(struct.pack("<Q", len(header)) + header)
        out.truncate(8 + len(header) + size)  # sparse: takes no disk
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert verify_safetensors(file) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (b"{", "CorruptCheckpoint", "config.json: it is not JSON"),
        (b"[1]", "CorruptCheckpoint", "config.json: it is not a JSON object"),
        (b" " * 1_000_001, "CorruptCheckpoint", "config.json: a configuration of more than 1000000 bytes"),
        (b'{"auto_map": {}}', "RemoteCode", "config.json has the key 'auto_map', "),
        (b'{"custom_pipeline": "x"}', "RemoteCode", "config.json has the key 'custom_pipeline', "),
        (b'{"_class_name": ["a", "b"]}', "RemoteCode", "config.json has a list as _class_name, "),
    ],
    ids=["no-json", "list", "huge", "auto_map", "custom_pipeline", "class-list"],
)
def test_a_configuration_that_asks_for_code_or_is_none_is_refused(
    tmp_path: Path, text: bytes, code: str, message: str
) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text)
    with pytest.raises(PermanentError) as caught:
        read_config(path)
    suffix = "which asks for code of the repository; diffrun runs none" if code == "RemoteCode" else ""
    assert (caught.value.code, caught.value.message) == (code, message + suffix)


def test_a_class_that_is_not_on_the_list_is_refused() -> None:
    with pytest.raises(PermanentError) as caught:
        require_class(Path("config.json"), {"_class_name": "Evil"}, frozenset({"UNet2DModel"}))
    assert caught.value.code == "UnsupportedClass"
    assert caught.value.message == "config.json: _class_name 'Evil' is not supported; supported are UNet2DModel"


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"_class_name": "EvilPipeline"}, "UnsupportedClass", "_class_name 'EvilPipeline' is not supported"),
        ({"unet": ["my_module", "UNet2DModel"]}, "RemoteCode", "takes component 'unet' from 'my_module'"),
        ({"unet": "UNet2DModel"}, "UnsupportedClass", "component 'unet' is 'UNet2DModel', not [library, class]"),
        ({"vae": ["diffusers", "VQModel"]}, "UnsupportedClass", "component 'vae' of class 'VQModel' is not supported"),
        ({"scheduler": ["diffusers", "RePaintScheduler"]}, "UnsupportedClass", "'RePaintScheduler' is not supported"),
    ],
    ids=["pipeline", "library", "no-pair", "component", "scheduler"],
)
def test_an_index_with_anything_but_one_unet_and_one_known_scheduler_is_refused(
    change: dict[str, Any], code: str, message: str
) -> None:
    path = Path("model_index.json")
    require_components(path, repos.MODEL_INDEX)
    with pytest.raises(PermanentError) as caught:
        require_components(path, {**repos.MODEL_INDEX, **change})
    assert caught.value.code == code
    assert message in caught.value.message
