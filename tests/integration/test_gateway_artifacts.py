"""Bytes of artifacts: all of a run's own, none of anything else, and never as a document."""

import io
import json
import os
import socket
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway_kit import Gateway, gateway
from PIL import Image
from run_kit import Pod, a_run, run_object, write_object
from yarl import URL

SECRET = b"what nobody may read"
MP4 = b"\0\0\0\x14ftypisom\0\0\2\0isom" + b"\0\0\0\x08mdat"


def png(size: int = 300, mode: str = "RGB") -> bytes:
    """A real picture."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize((size, size)).convert(mode).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "workspace"
    path.mkdir()
    (tmp_path / "secret.txt").write_bytes(SECRET)
    return path


@pytest.fixture
def pod(workspace: Path) -> Pod:
    run = a_run()
    write_object(workspace, run_object(run))
    return Pod(run, workspace)


@pytest.fixture
async def serve(workspace: Path, pod: Pod) -> AsyncIterator[Gateway]:
    """Without Redis: the files are enough for what is over."""
    pod.started()
    async with gateway(workspace, None) as gate:
        yield gate


async def get(gate: Gateway, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    async with gate.http.get(URL(f"{gate.url}/{path}", encoded=True), headers=headers) as response:
        return response.status, {k.lower(): v for k, v in response.headers.items()}, await response.read()


async def test_an_image_is_served_as_what_it_is_and_for_ever(workspace: Path, pod: Pod) -> None:
    data = png()
    item = pod.artifact(data, phase="preview", sample_index="0")
    async with gateway(workspace, None) as gate:
        (entry,) = (await gate.json("api/artifacts", run=pod.run.uid))["artifacts"]
        status, headers, body = await get(gate, entry["url"])
        assert (status, body, headers["content-type"]) == (200, data, "image/png")
        assert headers["cache-control"] == "private, max-age=31536000, immutable"
        assert headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in headers["content-security-policy"]
        assert headers["content-disposition"].startswith('inline; filename="cats-preview-000000-sample.png"')
        again = await get(gate, entry["url"], **{"If-None-Match": headers["etag"]})
        assert (again[0], again[2]) == (304, b"")
        part = await get(gate, entry["url"], Range="bytes=8-15")
        assert (part[0], part[2], part[1]["content-range"]) == (206, data[8:16], f"bytes 8-15/{len(data)}")
        tail = await get(gate, entry["url"], Range="bytes=-4")
        assert tail[2] == data[-4:]
        other = await get(gate, entry["url"], Range="bytes=0-3", **{"If-Range": '"another"'})
        assert other[0] == 200
        download = await get(gate, entry["url"] + "&download=1")
        assert download[1]["content-disposition"].startswith("attachment")
        assert entry["sha256"] == item.sha256


async def test_a_thumbnail_is_a_small_webp_made_once(workspace: Path, pod: Pod) -> None:
    pod.artifact(png(600, "RGBA"))
    pod.artifact(png(16), name="digit.png")
    async with gateway(workspace, None) as gate:
        big, small = (await gate.json("api/artifacts", run=pod.run.uid))["artifacts"]
        status, headers, body = await get(gate, big["thumbnailUrl"] + "&size=128")
        assert (status, headers["content-type"]) == (200, "image/webp")
        assert Image.open(io.BytesIO(body)).size == (128, 128)
        assert (await get(gate, big["thumbnailUrl"] + "&size=128", **{"If-None-Match": headers["etag"]}))[0] == 304
        digit = (await get(gate, small["thumbnailUrl"]))[2]
        exact = Image.open(io.BytesIO(digit)).convert("RGB")
        assert exact.tobytes() == Image.open(io.BytesIO(png(16))).convert("RGB").tobytes()
        assert (await gate.refused(f"{big['thumbnailUrl']}&size=99"))[1]["field"] == "size"


async def test_a_video_is_played_in_place_and_sought_in_by_ranges(workspace: Path, pod: Pod) -> None:
    item = pod.artifact(MP4, name="denoising.mp4", content_type="video/mp4")
    async with gateway(workspace, None) as gate:
        (entry,) = (await gate.json("api/artifacts", run=pod.run.uid))["artifacts"]
        assert (entry["id"], "thumbnailUrl" in entry) == (item.id, False)
        status, headers, body = await get(gate, entry["url"], Range="bytes=0-")
        assert (status, body, headers["content-type"]) == (206, MP4, "video/mp4")
        assert headers["content-range"] == f"bytes 0-{len(MP4) - 1}/{len(MP4)}"
        assert headers["accept-ranges"] == "bytes"
        assert headers["content-disposition"].startswith("inline;")
        assert headers["x-content-type-options"] == "nosniff"
        assert "media-src 'self'" in headers["content-security-policy"]
        assert "sandbox" in headers["content-security-policy"]
        assert (await get(gate, entry["url"], Range="bytes=8-11"))[2] == MP4[8:12]
        assert (await get(gate, entry["url"] + "&download=1"))[1]["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("../../../secret.txt", id="39 upwards"),
        pytest.param("runs/{uid}/../../../secret.txt", id="39 upwards from the run"),
        pytest.param("runs/{uid}/%2e%2e/%2e%2e/%2e%2e/secret.txt", id="40 encoded"),
        pytest.param("runs/{uid}/%252e%252e/secret.txt", id="41 encoded twice"),
        pytest.param("{tmp}/secret.txt", id="42 absolute"),
        pytest.param("runs/{uid}/preview\0/../secret.txt", id="43 NUL"),
        pytest.param("runs/{uid}\\..\\secret.txt", id="43 backslash"),
        pytest.param("runs/{uid}/link.png", id="44 symlink outside"),
        pytest.param("runs/{uid}/linked/secret.txt", id="44 symlinked directory"),
        pytest.param("runs/{uid}x/secret.png", id="45 a sibling whose name begins alike"),
        pytest.param("runs/{other}/secret.png", id="45 another run's file"),
        pytest.param("runs/{uid}/fifo.png", id="46 FIFO"),
        pytest.param("runs/{uid}/socket.png", id="46 socket"),
        pytest.param("runs/{uid}/zero.png", id="46 a link to a device"),
        pytest.param("runs/{uid}", id="46 directory"),
        pytest.param("runs/{uid}/./link.png", id="a dot"),
        pytest.param("", id="nothing"),
    ],
)
async def test_a_path_that_leaves_the_run_gives_404_and_no_bytes(
    tmp_path: Path, workspace: Path, pod: Pod, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = workspace / "runs" / pod.run.uid, str(uuid.uuid4())
    for directory in (f"{pod.run.uid}x", other):
        (workspace / "runs" / directory).mkdir()
        (workspace / "runs" / directory / "secret.png").write_bytes(SECRET)
    (own / "link.png").symlink_to(tmp_path / "secret.txt")
    (own / "linked").symlink_to(tmp_path)
    (own / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(own / "fifo.png")
    with socket.socket(socket.AF_UNIX) as endpoint:
        monkeypatch.chdir(own)  # a socket's path has at most 108 bytes
        endpoint.bind("socket.png")
    item = pod.artifact(SECRET, path=path.format(uid=pod.run.uid, tmp=tmp_path, other=other))
    async with gateway(workspace, None) as gate:
        for address in (
            f"api/artifacts/{item.id}?run={pod.run.uid}",
            f"api/artifacts/{item.id}/thumbnail?run={pod.run.uid}",
        ):
            status, headers, body = await get(gate, address)
            assert status == 404
            assert SECRET not in body
            assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "identifier", ["../x", "%2e%2e%2fsecret.txt", "%252e%252e", "/etc/passwd", "a%00b", "a%5Cb", "a" * 65]
)
async def test_an_id_that_is_none_is_not_found(serve: Gateway, pod: Pod, identifier: str) -> None:
    status, _, body = await get(serve, f"api/artifacts/{identifier}?run={pod.run.uid}")
    assert status == 404
    assert SECRET not in body


async def test_one_runs_artifact_is_not_reached_through_another(workspace: Path, pod: Pod) -> None:
    item = pod.artifact(png())
    other = Pod(a_run("dogs"), workspace)
    write_object(workspace, run_object(other.run))
    other.started()
    async with gateway(workspace, None) as gate:
        assert (await gate.refused(f"api/artifacts/{item.id}", run=other.run.uid))[0] == 404
        assert (await gate.refused(f"api/artifacts/{item.id}"))[1]["field"] == "run"


@pytest.mark.parametrize(
    ("data", "name", "content_type"),
    [
        pytest.param(b"<svg onload='alert(1)'/>", "a.svg", "image/svg+xml", id="47 SVG"),
        pytest.param(b"<html><script>alert(1)</script>", "a.html", "text/html", id="47 HTML"),
        pytest.param(b"<html><script>alert(1)</script>", "a.png", "image/png", id="48 HTML named PNG"),
        pytest.param(b"<html><script>alert(1)</script>", "a.mp4", "video/mp4", id="HTML named MP4"),
    ],
)
async def test_what_could_be_a_document_is_a_download(
    workspace: Path, pod: Pod, data: bytes, name: str, content_type: str
) -> None:
    item = pod.artifact(data, name=name, content_type=content_type)
    async with gateway(workspace, None) as gate:
        status, headers, body = await get(gate, f"api/artifacts/{item.id}?run={pod.run.uid}")
        assert (status, body, headers["content-type"]) == (200, data, "application/octet-stream")
        assert headers["content-disposition"].startswith("attachment")
        assert headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in headers["content-security-policy"]
        assert (await get(gate, f"api/artifacts/{item.id}/thumbnail?run={pod.run.uid}"))[0] == 404


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("bytes=" + ",".join(f"{i}-{i}" for i in range(200)), id="49 two hundred ranges"),
        pytest.param("bytes=999999999-", id="beyond the end"),
        pytest.param("bytes=9-3", id="backwards"),
        pytest.param("bytes=-0", id="nothing"),
    ],
)
async def test_ranges_that_make_no_sense_are_416(workspace: Path, pod: Pod, header: str) -> None:
    item = pod.artifact(png())
    async with gateway(workspace, None) as gate:
        status, headers, _ = await get(gate, f"api/artifacts/{item.id}?run={pod.run.uid}", Range=header)
        assert (status, headers["content-range"]) == (416, f"bytes */{item.size}")


@pytest.mark.parametrize("size", ["another size", "the same size"])
async def test_a_file_that_changed_after_it_was_announced_is_not_served(
    workspace: Path, pod: Pod, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffrun_gateway.digests.SETTLED_NS", -1)  # so that what was found once is remembered at once
    data = png()
    item = pod.artifact(data)
    changed = data + SECRET if size == "another size" else data[: -len(SECRET)] + SECRET
    path, times = workspace / item.path, (workspace / item.path).stat()
    address = f"api/artifacts/{item.id}?run={pod.run.uid}"
    async with gateway(workspace, None) as gate:
        assert (await get(gate, address))[2] == data
        while path.stat().st_ctime_ns == times.st_ctime_ns:  # the file system's clock may tick slowly
            path.write_bytes(changed)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        for changed_address in (address, f"api/artifacts/{item.id}/thumbnail?run={pod.run.uid}"):
            status, headers, body = await get(gate, changed_address)
            assert (status, json.loads(body)["code"]) == (404, "FileChanged")
            assert SECRET not in body
            assert headers["cache-control"] == "no-store"
        path.write_bytes(data)
        assert (await get(gate, address))[2] == data


async def test_artifacts_are_filtered_with_counts_and_a_retry_replaces_its_predecessors(
    workspace: Path, pod: Pod
) -> None:
    pod.artifact(png(), phase="preview", sample_index="0")
    pod.artifact(png(), phase="preview", sample_index="1")
    pod.artifact(b"{}", name="report.json", content_type="application/json", schema_type="report")
    again = Pod(pod.run, workspace, retry=1)
    newer = again.artifact(png(), phase="preview", sample_index="1")
    async with gateway(workspace, None) as gate:
        everything = await gate.json("api/artifacts", run=pod.run.uid)
        assert everything["total"] == 3
        assert newer.id in [item["id"] for item in everything["artifacts"]]
        facets = {(f["key"], f["value"]): f["count"] for f in everything["facets"]}
        assert facets["schemaType", "generated_sample"] == 2
        assert facets["phase", "preview"] == 2
        one = await gate.json("api/artifacts", run=pod.run.uid, tag=["sample_index=1", "preview"])
        assert [item["id"] for item in one["artifacts"]] == [newer.id]
        report = await gate.json("api/artifacts", run=pod.run.uid, schemaType="report")
        assert "thumbnailUrl" not in report["artifacts"][0]
