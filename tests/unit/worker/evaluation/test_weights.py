"""Nothing is unpickled before its checksum is right, and nothing but tensors after."""

import hashlib
import io
import os
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import torch

from diffrun_contracts.params.evaluate import InceptionWeights
from diffrun_worker.errors import BlockError, ErrorCode, PermanentError, Stopped, TemporaryError
from diffrun_worker.evaluation import weights
from diffrun_worker.evaluation.weights import load_weights
from diffrun_worker.workspace import Workspace

URL = "https://weights.example/inception.pth"
TENSORS = {"fc.bias": torch.arange(3.0)}


def saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def by_path(workspace: Workspace, data: bytes, sha256: str | None = None) -> InceptionWeights:
    workspace.write("weights.pth", data)
    return InceptionWeights(path="weights.pth", sha256=sha256 or digest(data))


def answer(respond: Callable[[httpx2.Request], httpx2.Response]) -> tuple[httpx2.MockTransport, list[str]]:
    asked: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return respond(request)

    return httpx2.MockTransport(handler), asked


def nothing() -> None:
    """Nobody wants to stop."""


def test_a_file_of_the_workspace_gives_its_tensors(workspace: Workspace) -> None:
    found = load_weights(by_path(workspace, saved(TENSORS)), workspace, nothing)
    assert torch.equal(found["fc.bias"], TENSORS["fc.bias"])


class Payload:
    """A pickle that leaves a mark where it is loaded by anything that runs it."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.mark,)


@pytest.mark.parametrize("known", [True, False], ids=["checksum right", "checksum wrong"])
def test_a_pickle_runs_nothing_whatever_its_checksum(workspace: Workspace, known: bool) -> None:
    mark = workspace.root / "pwned"
    given = by_path(workspace, saved({"fc.bias": Payload(str(mark))}), None if known else "0" * 64)
    with pytest.raises(PermanentError) as caught:
        load_weights(given, workspace, nothing)
    assert caught.value.code == (ErrorCode.INVALID_FEATURE_WEIGHTS if known else ErrorCode.CHECKSUM_MISMATCH)
    assert not mark.exists()


def test_a_wrong_checksum_is_refused_before_torch_sees_a_byte(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights.torch, "load", lambda *_args, **_options: pytest.fail("it was loaded"))
    data = saved(TENSORS)
    with pytest.raises(PermanentError, match=digest(data)) as caught:
        load_weights(by_path(workspace, data, "0" * 64), workspace, nothing)
    assert caught.value.code == ErrorCode.CHECKSUM_MISMATCH
    assert "weights.sha256" in caught.value.message


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"not torch", id="text"),
        pytest.param(b"", id="empty"),
        pytest.param(saved(TENSORS)[:-100], id="truncated"),
        pytest.param(saved([1, 2]), id="a list"),
        pytest.param(saved({"a": {"b": torch.zeros(1)}}), id="nested"),
    ],
)
def test_what_is_no_state_dictionary_is_refused(workspace: Workspace, data: bytes) -> None:
    with pytest.raises(PermanentError, match=r"^InvalidFeatureWeights: weights: "):
        load_weights(by_path(workspace, data), workspace, nothing)


def test_a_file_that_is_not_there_is_named(workspace: Workspace) -> None:
    given = InceptionWeights(path="cache/none.pth", sha256="0" * 64)
    with pytest.raises(PermanentError, match=r"weights.path: cache/none.pth is no file") as caught:
        load_weights(given, workspace, nothing)
    assert caught.value.code == ErrorCode.FEATURE_WEIGHTS_NOT_FOUND


def test_a_url_is_fetched_once_and_then_comes_from_the_cache(workspace: Workspace) -> None:
    data = saved(TENSORS)
    given = InceptionWeights(url=URL, sha256=digest(data))
    transport, asked = answer(lambda _: httpx2.Response(200, content=data))
    for _ in range(2):
        assert torch.equal(load_weights(given, workspace, nothing, transport)["fc.bias"], TENSORS["fc.bias"])
    assert asked == [URL]


def test_what_a_url_gives_is_not_kept_where_its_checksum_is_wrong(workspace: Workspace) -> None:
    given = InceptionWeights(url=URL, sha256="0" * 64)
    transport, _ = answer(lambda _: httpx2.Response(200, content=b"an error page"))
    with pytest.raises(PermanentError) as caught:
        load_weights(given, workspace, nothing, transport)
    assert caught.value.code == ErrorCode.CHECKSUM_MISMATCH
    assert not list(workspace.root.rglob("*.pth"))


def test_a_damaged_copy_in_the_cache_is_named(workspace: Workspace) -> None:
    workspace.write(f"cache/inception/{'0' * 64}.pth", b"damaged")
    with pytest.raises(PermanentError, match=f"the copy in cache/inception/{'0' * 64}.pth, which may be deleted"):
        load_weights(InceptionWeights(url=URL, sha256="0" * 64), workspace, nothing)


def test_a_body_without_end_is_cut_off(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "MAX_BYTES", 1000)
    transport, _ = answer(lambda _: httpx2.Response(200, content=iter([b"x" * 400] * 5)))
    with pytest.raises(PermanentError, match="larger than 1000 bytes"):
        load_weights(InceptionWeights(url=URL, sha256="0" * 64), workspace, nothing, transport)
    with pytest.raises(PermanentError, match="larger than 1000 bytes"):
        load_weights(by_path(workspace, b"x" * 1001), workspace, nothing)


def _refused(_: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("refused")


@pytest.mark.parametrize(
    ("respond", "kind", "names"),
    [
        pytest.param(lambda _: httpx2.Response(404), PermanentError, "HTTP 404", id="404"),
        pytest.param(lambda _: httpx2.Response(503), TemporaryError, "HTTP 503", id="503"),
        pytest.param(lambda _: httpx2.Response(429), TemporaryError, "HTTP 429", id="429"),
        pytest.param(_refused, TemporaryError, "ConnectError", id="nobody there"),
    ],
)
def test_a_server_without_the_file_is_a_typed_error(
    workspace: Workspace, respond: Callable[[httpx2.Request], httpx2.Response], kind: type[BlockError], names: str
) -> None:
    transport, _ = answer(respond)
    with pytest.raises(kind, match=names) as caught:
        load_weights(InceptionWeights(url=URL, sha256="0" * 64), workspace, nothing, transport)
    assert caught.value.message.startswith(f"weights.url: {URL}")


def test_a_download_can_be_stopped(workspace: Workspace) -> None:
    def stop() -> None:
        raise Stopped

    transport, _ = answer(lambda _: httpx2.Response(200, content=b"x"))
    with pytest.raises(Stopped):
        load_weights(InceptionWeights(url=URL, sha256="0" * 64), workspace, stop, transport)
