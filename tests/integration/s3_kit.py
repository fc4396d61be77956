"""An S3-compatible server on a thread, spoken to over HTTP, that can be told to fail."""

import threading
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = "bucket"
FAILURES = {403: ("403 Forbidden", "AccessDenied", "Access Denied"), 503: ("503 Slow Down", "SlowDown", "Slow Down")}

Fault = Callable[[str, str], int | None]
"""What a request of a method and a path is answered instead; None lets it through."""


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


class S3Server:
    """Keeps `BUCKET` in memory until it is closed."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.fault: Fault = lambda _method, _path: None
        self.requests: list[tuple[str, str, int | None]] = []
        """Method, path and failure of each request so far."""
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(host, 0, self._answer, threaded=True, request_handler=_Quiet)
        self.url = f"http://{host}:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/{BUCKET}", method="PUT")).close()

    def environment(self) -> dict[str, str]:
        """What a client needs to know."""
        return {
            "AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "canary-secret",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "3",
        }  # fmt: skip

    def puts(self, part: str) -> list[str]:
        """The objects that were stored, in order, whose path has this part."""
        return [path for method, path, failure in self.requests if method == "PUT" and failure is None and part in path]

    def close(self) -> None:
        """Ends the thread."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        failure = self.fault(method, path)
        if failure is None:
            answer: Iterable[bytes] = self._app(environ, start_response)
            self.requests.append((method, path, None))
            return answer
        self.requests.append((method, path, failure))
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, code, message = FAILURES[failure]
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [] if method == "HEAD" else [body]
