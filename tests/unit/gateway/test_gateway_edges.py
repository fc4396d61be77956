"""Small rules at the edges: hosts, positions, ranges, types of bytes, settings."""

import pytest

from diffrun_gateway.asgi import Hosts
from diffrun_gateway.media import NotSatisfiable, byte_range, content_type
from diffrun_gateway.position import Position, StreamId, parse_positions
from diffrun_gateway.services import redis_url
from diffrun_gateway.settings import Redis, SettingsError, load


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("localhost", True), ("localhost:8080", True), ("LOCALHOST", True), ("[::1]:80", True), ("[::1]", True),
        ("runs.example.org", True), ("a.lab.example", True), ("a.b.lab.example", True),
        ("lab.example", False), ("evil-lab.example", False), ("x/.lab.example", False), (".lab.example", False),
        ("localhost.", False), ("localhost:", True), ("localhost:80x", False), ("localhost:123456", False),
        ("example.org", False), ("", False), ("null", False), ("localhost@evil", False),
    ],
)  # fmt: skip
def test_only_listed_names_are_hosts(header: str, allowed: bool) -> None:
    hosts = Hosts(("localhost", "[::1]", "runs.example.org", "*.lab.example"))
    assert hosts(header) is allowed


def test_positions_come_back_as_they_were_written() -> None:
    positions = [Position(StreamId(17, 0), "abc"), Position(StreamId(18, 3), "def")]
    assert parse_positions(",".join(map(str, positions)), 2) == positions


def test_stream_ids_are_ordered_as_numbers() -> None:
    assert StreamId.decode(b"9-10") > StreamId.decode(b"9-9")
    assert StreamId.decode(b"10-0") > StreamId.decode(b"9-99")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None), ("bytes=0-0", (0, 0)), ("bytes=90-", (90, 99)), ("bytes=90-500", (90, 99)),
        ("bytes=-5", (95, 99)),        ("bytes=-500", (0, 99)), ("items=0-1", None), ("bytes=a-b", None),
    ],
)  # fmt: skip
def test_a_range_is_cut_to_the_file(header: str | None, expected: tuple[int, int] | None) -> None:
    assert byte_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=5-4", "bytes=-0", "bytes=0-1,3-4", "bytes=" + "0" * 500 + "-"])
def test_a_range_outside_of_the_file_or_in_pieces_is_refused(header: str) -> None:
    with pytest.raises(NotSatisfiable):
        byte_range(header, 100)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg"), (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"), (b"\0\0\0\x1cftypavif", "image/avif"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "video/mp4"), (b"\0\0\0\x18ftypmp42", "video/mp4"),
        (b"\0\0\0\x14ftypqt  ", "application/octet-stream"), (b"ftypisom", "application/octet-stream"),
        (b"<svg xmlns=", "application/octet-stream"), (b"<!doctype html>", "application/octet-stream"),
        (b"", "application/octet-stream"), (b"RIFF\0\0\0\0WAVE", "application/octet-stream"),
    ],
)  # fmt: skip
def test_bytes_say_what_they_are(head: bytes, kind: str) -> None:
    assert content_type(head) == kind


def test_a_password_gets_into_the_url_as_it_is_meant() -> None:
    settings = Redis(url="redis://there:6379/0", username="reader", password="p@ss/word")  # type: ignore[arg-type]
    assert redis_url(settings) == "redis://reader:p%40ss%2Fword@there:6379/0"
    assert "p@ss" not in repr(settings)


def test_a_misspelt_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="DIFFRUN_GATEWAY_REDIS__ULR"):
        load({"DIFFRUN_GATEWAY_REDIS__ULR": "x"})
