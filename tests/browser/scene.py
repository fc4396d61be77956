"""Plays runs on command: one command a line on stdin, one line of answer on stdout. The stack's other half.

`start NAME`                    a run whose download is done and whose preview runs; answers its UID
`branch NAME`                   more blocks, so that the run's graph is no chain
`points NAME METRIC FROM TO`    one event with a point a step, value = step + 1
`value NAME METRIC STEP VALUE`  one point of any value, `NaN` included
`picture NAME INDEX [STEP]`     an image, announced
`video NAME INDEX`              two seconds of moving pictures, announced
`progress NAME DONE TOTAL`      how far the preview's pod is
`gate NAME`                     the preview succeeds, its gate waits
`decided NAME`                  waits until somebody has decided; answers the decision and goes on to the end
`finish NAME`                   all blocks succeed
"""

import argparse
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import imageio_ffmpeg
import redis

from diffrun_contracts.events import BlockFinished, BlockStarted, Metric, MetricPoint, ProgressMade
from diffrun_testkit.demo_pod import Clock, Pod, picture
from diffrun_testkit.demo_run import DemoRun


class Scene:
    """The runs that the tests have asked for, by name."""

    def __init__(self, workspace: Path, url: str) -> None:
        self._workspace, self._client = workspace, redis.Redis.from_url(url)
        self._runs: dict[str, DemoRun] = {}
        self._pods: dict[str, Pod] = {}

    def start(self, name: str) -> str:
        run = DemoRun(self._workspace, self._client, name, live=False, age=0, seed=7)
        run.clock = Clock(datetime.now(UTC), live=True)
        run.start_block("download")
        run.finish_block("download", {"model_path": "cache/hub/x"})
        run.start_block("preview")
        pod = Pod(self._workspace, self._client, run.ref, "preview", run.clock)
        pod.emit(BlockStarted(block_type="generatePreview", device="cpu", versions={}))
        self._runs[name], self._pods[name] = run, pod
        return run.ref.uid

    def branch(self, name: str) -> str:
        """A second block after the preview, and one after both: no chain any more."""
        self._runs[name].add_blocks(
            {"name": "poster", "generateFull": {"samples": 1}, "dependsOn": ["preview"]},
            {"name": "sheet", "generateFull": {"samples": 1}, "dependsOn": ["full", "poster"]},
        )
        return "branched"

    def points(self, name: str, metric: str, first: str, last: str) -> str:
        steps = range(int(first), int(last))
        batch = [MetricPoint(name=metric, value=step + 1, step=step, labels={"sample_index": 0}) for step in steps]
        self._pods[name].emit(Metric(points=tuple(batch)))
        return str(len(batch))

    def value(self, name: str, metric: str, step: str, value: str) -> str:
        point = MetricPoint(name=metric, value=float(value), step=int(step), labels={"sample_index": 0})
        self._pods[name].emit(Metric(points=(point,)))
        return "1"

    def picture(self, name: str, index: str, step: str | None = None) -> str:
        tags = {"phase": "preview", "sample_index": index} | ({"step": step} if step else {})
        self._pods[name].picture(picture(int(index)), tags)
        return index

    def video(self, name: str, index: str) -> str:
        moving = ["-f", "lavfi", "-i", "testsrc=size=128x128:rate=10:duration=2", "-pix_fmt", "yuv420p"]
        with TemporaryDirectory() as folder:
            file = Path(folder, "video.mp4")
            subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *moving, str(file)], check=True)
            tags = {"phase": "preview", "sample_index": index}
            self._pods[name].artifact(file.read_bytes(), "generated_sample", "video/mp4", tags, (128, 128))
        return index

    def progress(self, name: str, done: str, total: str) -> str:
        self._pods[name].emit(ProgressMade(done=int(done), total=int(total)))
        return done

    def gate(self, name: str) -> str:
        run, pod = self._runs[name], self._pods[name]
        pod.emit(BlockFinished(succeeded=True))
        run.finish_block("preview", {})
        run.open_gate(pod.digest)
        return "waiting"

    def decided(self, name: str) -> str:
        run = self._runs[name]
        deadline = time.monotonic() + 20
        while not run.decided():
            if time.monotonic() > deadline:
                return "nobody decided"
            time.sleep(0.1)
        decision = run.close_gate()
        if decision == "Approved":
            run.start_block("full")
            run.finish_block("full", {})
            run.succeed()
        return decision

    def finish(self, name: str) -> str:
        run = self._runs[name]
        self._pods[name].emit(BlockFinished(succeeded=True))
        for block in ("preview", "full"):
            run.finish_block(block, {})
        run.succeed()
        return "over"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--redis", required=True)
    options = parser.parse_args()
    scene = Scene(options.workspace, options.redis)
    for line in sys.stdin:
        command, *arguments = line.split()
        print(getattr(scene, command)(*arguments), flush=True)


if __name__ == "__main__":
    main()
