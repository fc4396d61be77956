"""A made-up run of three blocks, with its object in `run.json` as an operator would have written it."""

import json
import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis

from diffrun_contracts import names
from diffrun_contracts.events import BlockFinished, BlockStarted, Metric, ProgressMade
from diffrun_contracts.task import RunRef
from diffrun_testkit.demo_pod import Clock, Pod, picture, points

STEPS = {"preview": 10, "full": 40}
SAMPLES = {"preview": 2, "full": 16}


class DemoRun:
    """A run of the three blocks, with its object."""

    def __init__(
        self, workspace: Path, client: "redis.Redis | None", name: str, *, live: bool, age: float, seed: int = 0
    ) -> None:
        """`age`: how many seconds ago it began."""
        self._workspace, self._client, self._seed = workspace, client, seed
        self.clock = Clock(datetime.now(UTC) - timedelta(seconds=age), live=live)
        self.ref = RunRef(namespace="demo", name=name, uid=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{time.time()}")))
        created = _iso(self.clock.now())
        gate = {"prompt": "Review the preview samples before the full batch runs."}
        blocks = [
            {"name": "download", "downloadCheckpoint": {"repo": "google/ddpm-cat-256", "revision": "main"}},
            {"name": "preview", "generatePreview": {"samples": 2, "sampler": {"name": "DDIM", "steps": 10}},
             "gate": gate},
            {"name": "full", "generateFull": {"samples": 16, "batchSize": 4}},
        ]  # fmt: skip
        self._object: dict[str, Any] = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"namespace": "demo", "name": name, "uid": self.ref.uid, "creationTimestamp": created},
            "spec": {"seed": seed, "blocks": blocks},
            "status": {
                "observedGeneration": 1, "startTime": created, "conditions": [], "gates": {},
                "blocks": [{"name": block["name"], "attempt": 0} for block in blocks],
            },
        }  # fmt: skip
        self._file = workspace / names.run_dir(self.ref.uid) / names.RUN_FILE
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._running("Running")

    def play(self, *, until: str | None = None) -> None:
        """Runs the blocks; stops early at the gate where `until` says so, or where it is rejected."""
        self._download()
        self.open_gate(self._generate("preview"))
        if until != "gate":
            self.decide()

    def open_gate(self, digest: str) -> None:
        """The preview waits for a decision on these samples."""
        gate = {"state": "Waiting", "openedAt": _iso(self.clock.now()), "previewDigest": digest}
        self._object["status"]["gates"]["preview"] = gate
        self._running("GatePending", gate=True)

    def decide(self, decision: str = "Approved", user: str = "alice") -> None:
        """Closes the gate and goes on, or not."""
        if self.close_gate(decision, user) == "Approved":
            self._generate("full")
            self.succeed()

    def close_gate(self, decision: str = "Approved", user: str = "alice") -> str:
        """Takes somebody's decision, or this one where nobody has decided; a rejected run is over. The decision."""
        gate = self._object["status"]["gates"]["preview"]
        gate.setdefault("decision", decision)
        gate.setdefault("decidedBy", user)
        gate.update(state=gate["decision"], closedAt=_iso(self.clock.now()))
        if gate["decision"] == "Rejected":
            self._block("full", state="Skipped", reason="GateRejected")
            self._end("False", "GateRejected", f"the gate of preview was rejected by {gate['decidedBy']}")
        else:
            self._running("Running")
        return str(gate["decision"])

    def decided(self) -> bool:
        """Whether somebody has decided on the page, and nothing has come of it yet. Writes nothing: who waits would
        otherwise overwrite the decision that comes between its reading and its writing.
        """
        self._look()
        gate = self._object["status"]["gates"].get("preview", {})
        return "decision" in gate and "closedAt" not in gate

    def add_blocks(self, *blocks: dict[str, Any]) -> None:
        """More blocks, behind those that there are."""
        self._look()
        self._object["spec"]["blocks"] += blocks
        self._object["status"]["blocks"] += [{"name": block["name"], "attempt": 0} for block in blocks]
        self._write()

    def start_block(self, block: str) -> None:
        """The block has a Job that runs."""
        now = _iso(self.clock.now())
        job = {"name": names.job_name(self.ref.name, block, self.ref.uid, 1)}
        self._object["status"]["currentBlock"] = block
        self._block(block, state="Running", reason="Running", attempt=1, startTime=now, jobRef=job)

    def finish_block(self, block: str, outputs: dict[str, Any]) -> None:
        """The block has succeeded."""
        now = _iso(self.clock.now())
        self._block(block, state="Succeeded", reason="Completed", completionTime=now, outputs=outputs)

    def succeed(self) -> None:
        """The run is over, and all is well."""
        self._end("True", "AllBlocksSucceeded", "all blocks succeeded")

    def _download(self) -> None:
        self.start_block("download")
        pod = Pod(self._workspace, self._client, self.ref, "download", self.clock)
        pod.emit(BlockStarted(block_type="downloadCheckpoint", device="cpu", versions={"diffrun": "0.1.0"}))
        for done in range(0, 455, 65):
            pod.emit(ProgressMade(done=done, total=455))
            self._progress("download", done, 455)
            self.clock.pass_(0.3)
        outputs: dict[str, str | int | float | bool] = {"model_path": "cache/hub/models--google--ddpm-cat-256"}
        pod.emit(BlockFinished(succeeded=True, outputs=outputs))
        self.finish_block("download", outputs)

    def _generate(self, block: str) -> str:
        self.start_block(block)
        rng = random.Random(self._seed)  # noqa: S311 - a demonstration
        pod = Pod(self._workspace, self._client, self.ref, block, self.clock)
        pod.emit(BlockStarted(block_type=f"generate{block.title()}", device="cpu", versions={"torch": "2.15.0"}))
        steps, samples = STEPS[block], SAMPLES[block]
        for first in range(0, samples, 4):
            batch = range(first, min(first + 4, samples))
            for step in range(steps):
                batched = [point for sample in batch for point in points(step, steps, sample, rng)]
                pod.emit(
                    Metric(points=tuple(batched)), ProgressMade(done=first * steps + step * 4, total=samples * steps)
                )
                self._progress(block, first * steps + (step + 1) * len(batch), samples * steps)
                self.clock.pass_(0.25)
            for sample in batch:
                seed = self._seed + sample + (1000 if block == "full" else 0)
                pod.picture(picture(seed), {"phase": block, "sample_index": str(sample), "seed": str(seed)})
        pod.emit(BlockFinished(succeeded=True))
        self.finish_block(block, {})
        return pod.digest

    def _progress(self, block: str, done: int, total: int) -> None:
        self._block(block, progress={"done": done, "total": total})

    def _block(self, name: str, **fields: Any) -> None:
        entry = next(entry for entry in self._object["status"]["blocks"] if entry["name"] == name)
        entry.update(fields)
        blocks = self._object["status"]["blocks"]
        done = sum(block.get("state") == "Succeeded" for block in blocks)
        self._object["status"]["done"] = f"{done}/{len(blocks)}"
        self._save()

    def _running(self, reason: str, *, gate: bool = False) -> None:
        self._conditions(Finished=("False", reason), Succeeded=("Unknown", reason),
                         GatePending=(str(gate), "Waiting" if gate else "NoGateWaiting"))  # fmt: skip

    def _end(self, succeeded: str, reason: str, message: str) -> None:
        self._object["status"]["completionTime"] = _iso(self.clock.now())
        self._conditions(message, Finished=("True", reason), Succeeded=(succeeded, reason),
                         GatePending=("False", "NoGateWaiting"))  # fmt: skip

    def _conditions(self, message: str = "", **states: tuple[str, str]) -> None:
        now = _iso(self.clock.now())
        self._object["status"]["conditions"] = [
            {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now,
             "observedGeneration": 1}
            for kind, (status, reason) in {"SpecValid": ("True", "Valid"), **states}.items()
        ]  # fmt: skip
        self._save()

    def _save(self) -> None:
        """Writes the object, keeping what a person has changed in it meanwhile."""
        self._look()
        self._write()

    def _look(self) -> None:
        """Takes over what a person has changed in the file."""
        if not self._file.exists():
            return
        there = json.loads(self._file.read_text())
        self._object["spec"] = there["spec"]
        for block, gate in there["status"]["gates"].items():
            mine = self._object["status"]["gates"].setdefault(block, gate)
            mine.update({key: gate[key] for key in ("decision", "decidedBy", "note") if key in gate})

    def _write(self) -> None:
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._object, indent=1))
        temporary.replace(self._file)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
