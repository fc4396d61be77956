"""The command line: python -m diffrun_devcluster COMMAND."""

from __future__ import annotations

import argparse
import os
import sys

from diffrun_devcluster import cache, cluster, gotools, host, settings
from diffrun_devcluster.errors import DevClusterError
from diffrun_devcluster.progress import Progress


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    progress = Progress()
    try:
        _run(options, settings.layout(), progress)
    except DevClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. What was finished is kept; the same command goes on from there.", file=sys.stderr)
        return 130
    return 0


def _run(options: argparse.Namespace, layout: settings.Layout, progress: Progress) -> None:
    if options.command == "setup":
        host.install_for_the_tests(progress)
        gotools.check_go()
    elif options.command == "up":
        with cache.locked(layout, progress.note):
            cluster.up(layout, progress)
    elif options.command == "images":
        with cache.locked(layout, progress.note):
            for name, reference in cluster.load_images(layout, progress).items():
                print(f"{name}={reference}")
    elif options.command == "down":
        with cache.locked(layout, progress.note):
            cluster.down(layout, progress, purge=options.purge)
    elif options.command == "status":
        for key, value in cluster.status(layout).items():
            print(f"{key:<12}{value}")
    elif options.command == "kubeconfig":
        print(layout.kubeconfig)
    elif options.command == "env":
        print("\n".join(cluster.shell_environment(layout)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m diffrun_devcluster", description="The development and test cluster: kind on this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="install what the tests need, and check the rest")
    commands.add_parser("up", help="bring the cluster up; costs nothing when it is")
    commands.add_parser("images", help="bring the project's images into it, and print their references")
    down = commands.add_parser("down", help="take it away, with everything that it left on the machine")
    down.add_argument("--purge", action="store_true", default=os.environ.get("PURGE") == "1", help="the cache too")
    commands.add_parser("status", help="what is there, and where")
    commands.add_parser("kubeconfig", help="print the path of its kubeconfig")
    commands.add_parser("env", help='print shell lines that lead to it: eval "$(…)"')
    return parser


if __name__ == "__main__":
    sys.exit(main())
