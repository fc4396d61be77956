"""How soon the page of a run with 200,000 points can be used, in a real Chromium over the real gateway and Redis.

    python benchmarks/pages.py
    python benchmarks/pages.py --repeats 15 --json pages.json --check

Counted from the moment at which the answer with the points has arrived (`responseEnd` of the first request for
series), each repeat in a browser context of its own:

    paint         until the frame that shows the last of the charts
    interactive   until then, or the end of the main thread's last task of more than 50 ms if that is later
    hover         from a pointer's movement over a chart to the frame that shows its values
    busy          the main thread's tasks of more than 50 ms together, since the page began

Exit status 1 where the limit is missed and --check was given. Needs what `make test-browser` needs.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BROWSER = ROOT / "tests" / "browser"
LIMIT_MS = 1000.0
"""Of `interactive`."""
_MARK = "PAINT "


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--check", action="store_true", help="fail where the limit is missed")
    options = parser.parse_args()
    for needed, remedy in (
        (ROOT / "inspectors/web/dist", "make lint"),
        (BROWSER / "node_modules", "make test-browser"),
    ):
        if not needed.exists():
            parser.error(f"{needed.relative_to(ROOT)} is missing: `{remedy}` makes it")
    result = summary(measure(options.repeats))
    print(json.dumps(result, indent=1))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1))
    missed = result["interactive_ms"]["median"] > LIMIT_MS
    print(f"interactive: limit {LIMIT_MS:.0f} ms {'MISSED' if missed else 'met'}", file=sys.stderr)
    return int(missed and options.check)


def measure(repeats: int) -> list[dict[str, float]]:
    """One line of figures a repeat. Raises SystemExit with the browser's own words where it fails."""
    command = ["npx", "playwright", "test", "--config", "paint.config.ts"]
    environment = {**os.environ, "REPEATS": str(repeats), "PYTHON": sys.executable}
    ended = subprocess.run(command, cwd=BROWSER, env=environment, capture_output=True, text=True, check=False)
    lines = [line.partition(_MARK)[2] for line in ended.stdout.splitlines() if _MARK in line]
    if ended.returncode or len(lines) != repeats:
        raise SystemExit(f"the browser did not measure:\n{ended.stdout[-4000:]}{ended.stderr[-2000:]}")
    return [json.loads(line) for line in lines]


def summary(measured: list[dict[str, float]]) -> dict[str, Any]:
    """Median and largest over the repeats."""
    times = {
        f"{name}_ms": {
            "median": round(statistics.median(one[name] for one in measured), 1),
            "largest": round(max(one[name] for one in measured), 1),
        }
        for name in ("paint", "interactive", "hover", "busy")
    }
    return {
        "repeats": len(measured),
        "load": os.getloadavg()[0],
        "answer_bytes": round(statistics.median(one["bytes"] for one in measured)),
        **times,
    }


if __name__ == "__main__":
    sys.exit(main())
