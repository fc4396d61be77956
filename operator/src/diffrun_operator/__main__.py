"""`python -m diffrun_operator`: the operator, configured by its environment."""

import asyncio
import logging
import sys

from diffrun_operator import app, environment, logs
from diffrun_operator.connection import LoginError

EXIT_FAILED = 1
EXIT_CONFIG = 78
"""EX_CONFIG of sysexits.h: no restart helps before the configuration is put right."""


def main() -> int:
    """Run the operator; the exit code."""
    logs.configure("INFO")
    logger = logging.getLogger("diffrun_operator")
    try:
        configured = environment.load()
    except environment.SettingsError as error:
        logger.critical("%s", error)
        return EXIT_CONFIG
    logs.configure(configured.serve.log_level)
    try:
        asyncio.run(app.run(configured))
    except LoginError as error:
        logger.critical("%s", error)
        return EXIT_CONFIG
    except Exception:
        logger.critical("the operator ends because one of its parts has failed", exc_info=True)
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
