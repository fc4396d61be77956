"""`python -m diffrun_gateway`: by environment variables in a pod, by arguments on a desk."""

import argparse
import os
import sys
from pathlib import Path

import uvicorn
import uvloop
from prometheus_client import start_http_server

from diffrun_gateway import telemetry
from diffrun_gateway.app import Application
from diffrun_gateway.asgi import LimitedProtocol, Server
from diffrun_gateway.settings import ENV_PREFIX, Settings, SettingsError, load


def main(arguments: list[str] | None = None) -> int:
    """Serves until it is told to stop; 0 then, 2 where the settings are no good."""
    options = _parser().parse_args(arguments)
    os.environ.update(_environment(options))
    try:
        settings = load()
        application = Application(settings)
    except (SettingsError, OSError) as error:
        print(f"diffrun-gateway: {error}", file=sys.stderr)
        return 2
    telemetry.set_up_logging(settings.serve.log_level, plain=options.local)
    uvloop.run(_serve(settings, application))
    return 0


async def _serve(settings: Settings, application: Application) -> None:
    serve = settings.serve

    class Protocol(LimitedProtocol):
        max_head = serve.max_header_bytes

    if serve.metrics_port:
        start_http_server(serve.metrics_port, serve.host, registry=telemetry.REGISTRY)
    config = uvicorn.Config(
        application.asgi,
        host=serve.host, port=serve.port, http=Protocol, loop="none", ws="none", lifespan="on",
        log_config=None, access_log=False, server_header=False, date_header=False,
        timeout_graceful_shutdown=max(1, int(serve.shutdown_seconds)), backlog=4096,
        proxy_headers=False,  # nobody's X-Forwarded-… is believed
    )  # fmt: skip
    server = Server(config, application.stop_streams)
    await server.serve()
    if not server.started:
        raise SystemExit(1)


def _environment(options: argparse.Namespace) -> dict[str, str]:
    """The variables that the arguments stand for."""
    given = {
        "WORKSPACE_URL" if "://" in (options.workspace or "") else "WORKSPACE": options.workspace,
        "REDIS__URL": options.redis,
        "SERVE__STATIC": options.static,
        "SERVE__HOST": options.host,
        "SERVE__PORT": options.port,
        "SERVE__PREFIX": options.prefix,
        "RUNS__KUBECONFIG": options.kubeconfig,
        "AUTH__MODE": "none" if options.no_auth else None,
        "RUNS__SOURCE": "workspace" if options.local else None,
        "SERVE__METRICS_PORT": "0" if options.local else None,
    }
    return {ENV_PREFIX + name: str(value) for name, value in given.items() if value is not None}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="diffrun-gateway", description=__doc__)
    parser.add_argument("--workspace", help="the directory that the workers write to, or its URL: s3://bucket/prefix")
    parser.add_argument("--redis", metavar="URL", help="for example redis://localhost:6379/0")
    parser.add_argument("--static", type=Path, help="the built pages")
    parser.add_argument("--host", help="the address to listen on")
    parser.add_argument("--port", type=int, help="the port to listen on")
    parser.add_argument("--prefix", help="the path under which a proxy serves the pages")
    parser.add_argument("--kubeconfig", type=Path, help="the cluster to show, from outside of it")
    parser.add_argument("--no-auth", action="store_true", help="let everybody look who reaches the port")
    parser.add_argument(
        "--local", action="store_true",
        help="without a cluster: runs are what lies in the workspace and in Redis, gates are decided there",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
