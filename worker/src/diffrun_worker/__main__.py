"""`python -m diffrun_worker`."""

import sys

from diffrun_worker import cli


def main() -> None:
    """Runs the command line and exits with its code."""
    sys.exit(cli.main())


if __name__ == "__main__":
    main()
