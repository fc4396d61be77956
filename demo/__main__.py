"""`make demo`: the main job, from `helm install` to the approved full batch, with everything it does said aloud."""

import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path

import yaml

from demo.contact_sheet import contact_sheet
from demo.narrator import Narrator
from diffrun_contracts import names
from diffrun_devcluster.kubectl import Kubectl, Manifest, condition
from diffrun_devcluster.release import Images, Release, hub_endpoint, install_crds, install_hub
from diffrun_devcluster.settings import NODE_PORT, host_port, layout

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "manifests" / "samples" / "ddpm-cat.yaml"
NAME = "diffrun"
SMALL_MODEL = "diffrun/ddpm-digits"
APPROVER = "alice"
FORWARDED_PORT = 8080


def main() -> int:
    """Runs the demo; 0 when the run has succeeded (or was rejected by hand)."""
    say = Narrator()
    model = os.environ.get("MODEL", SMALL_MODEL)
    cluster = Kubectl(kubeconfig=Path(os.environ["KUBECONFIG"]))
    images = Images.load()
    name = os.environ.get("DIFFRUN_RELEASE") or NAME
    # With the test kit's blocks, which two of the samples use: its image is that of the small Hub and costs nothing.
    release = Release(cluster, name=name, namespace=name, images=images,
                      hub=hub_endpoint() if model == SMALL_MODEL else None, test_blocks=True, pages=True)  # fmt: skip
    if model == SMALL_MODEL:
        with say.step("Starting a small Hub-compatible server with a digits model", expect=15):
            install_hub(cluster, images)
    with say.step("Installing diffrun by Helm", expect=30):
        install_crds(cluster)
        release.install(**gateway_values(release))
    with say.step("Making a service account that may approve, and nothing else", expect=2):
        person = release.ensure_approver(APPROVER)
        approver = approver_kubectl(release, out(release))
    return follow(release, approver, person, start(release, model, say), say)


def out(release: Release) -> Path:
    """Where the demo's files go: apart for each release, since several may run at once."""
    return ROOT / "out" / ("demo" if release.name == NAME else release.name)


def has_port(release: Release) -> bool:
    """Whether a port of this machine leads to the pages: our own node has one, which is the usual release's."""
    return release.name == NAME and not layout().existing


def gateway_values(release: Release) -> dict[str, str]:
    """The chart's values that bring the pages to this machine, where there is a port for them."""
    if not has_port(release):
        return {}
    return {"gateway.service.type": "NodePort", "gateway.service.nodePort": str(NODE_PORT)}


def start(release: Release, model: str, say: Narrator) -> str:
    """Applies the sample manifest with the model asked for; returns the run's name."""
    manifest: Manifest = yaml.safe_load(SAMPLE.read_text())
    name: str = manifest["metadata"]["name"]
    manifest["spec"]["blocks"][0]["downloadCheckpoint"]["repo"] = model
    release.kubectl.run("delete", "dfr", name, "--ignore-not-found", "--wait=true")
    out(release).mkdir(parents=True, exist_ok=True)
    path = out(release) / "run.yaml"
    path.write_text(yaml.safe_dump(manifest, sort_keys=False))
    say.command(f"kubectl apply -n {release.namespace} -f {path.relative_to(ROOT)}")
    release.kubectl.apply(manifest)
    return name


def follow(release: Release, approver: Kubectl, person: str, name: str, say: Narrator) -> int:
    """Follows the run through its gate to its end."""
    with say.step("Download and preview (10 DDIM steps, 2 samples)", expect=45):
        waiting = until(release, name, "GatePending", limit=1800)
    preview = show_samples(release, waiting, "preview", say)
    gate = waiting["status"]["gates"]["preview"]
    decision = ask(release, say, waiting, preview)
    body = {"decision": decision, "decidedBy": person, "note": "from the demo", "previewDigest": gate["previewDigest"]}
    patch = json.dumps({"status": {"gates": {"preview": body}}})
    say.command(f"kubectl patch dfr {name} --subresource=status --type=merge -p '{patch}'   # as {person}")
    approver.run("patch", "dfr", name, "--subresource=status", "--type=merge", "-p", patch)
    with say.step("The full batch (16 samples)", expect=45):
        ended = until(release, name, "Finished", limit=7200)
    if condition(ended, "Succeeded")["status"] != "True":
        say.line(condition(ended, "Succeeded")["message"])
        return 0 if decision == "Rejected" else 1
    full = show_samples(release, ended, "full", say)
    summary(release, ended, full, say)
    return 0


def until(release: Release, name: str, kind: str, limit: float) -> Manifest:
    """Follows the run until a condition is True, or it has ended."""

    def met(run: Manifest) -> bool:
        return "True" in (condition(run, kind).get("status"), condition(run, "Finished").get("status"))

    run = release.kubectl.watch("dfr", name, met, limit, kind)
    if condition(run, kind).get("status") != "True":
        sys.exit(f"The run has ended early: {condition(run, 'Succeeded')['message']}")
    return run


def ask(release: Release, say: Narrator, run: Manifest, sheet: Path) -> str:
    """Waits for the person at the terminal; without one, approves after a moment and says so."""
    say.line(f"The gate waits: {condition(run, 'GatePending')['message']}")
    if os.environ.get("APPROVE") == "auto" or not sys.stdin.isatty():
        say.line("Nobody is at the terminal (or APPROVE=auto): approving in a moment.")
        time.sleep(1)
        return "Approved"
    show_page("The samples, with their curves", release, run, say)
    answer = say.question(f"Or look at {sheet.relative_to(ROOT)}. Approve? [Y/n] ")
    return "Rejected" if answer.lower().startswith("n") else "Approved"


def approver_kubectl(release: Release, folder: Path) -> Kubectl:
    """kubectl with the approver's own token, in a configuration of its own."""
    token = release.kubectl.run("create", "token", APPROVER, "--duration=2h").strip()
    config = json.loads(release.cluster.run("config", "view", "--minify", "--raw", "--output", "json"))
    config["users"] = [{"name": APPROVER, "user": {"token": token}}]
    config["contexts"][0]["context"] |= {"user": APPROVER, "namespace": release.namespace}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "approver.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return Kubectl(kubeconfig=path, namespace=release.namespace, env=release.cluster.env)


def show_samples(release: Release, run: Manifest, block: str, say: Narrator) -> Path:
    """Fetches a block's PNGs and puts them on one contact sheet."""
    folder = names.block_dir(run["metadata"]["uid"], block)
    pictures = [file for file in release.workspace.fetch(folder, out(release)) if file.suffix == ".png"]
    sheet = out(release) / f"{block}.png"
    contact_sheet(pictures, sheet)
    place = (out(release) / folder).relative_to(ROOT)
    say.line(f"{len(pictures)} PNGs in {place}; all on one sheet: {sheet.relative_to(ROOT)}")
    return sheet


def summary(release: Release, run: Manifest, sheet: Path, say: Narrator) -> None:
    """What happened, by whom, how fast, and where to look further."""
    name = run["metadata"]["name"]
    gate = run["status"]["gates"]["preview"]
    say.line("")
    say.line(release.kubectl.run("get", "dfr", name).rstrip())
    say.line(f"\nApproved: gate 'preview' (artifacts {gate['previewDigest'][:19]}…) by {gate['decidedBy']},")
    say.line(f"          by a patch of status.gates.preview at {gate['closedAt']}")
    for earlier, later, seconds in step_times(release.kubectl.run("logs", release.operator, "--tail=2000"), run):
        say.line(f"Step to step: {earlier} complete → Job of {later} created: {seconds:.3f} s")
    say.line(f"Contact sheet: {sheet.relative_to(ROOT)}")
    say.line("")
    show_page("The run's page", release, run, say)
    say.line("\nLook further:")
    if not layout().existing:
        say.line("  eval $(.venv/bin/python -m diffrun_devcluster env)")
    for words in (
        "describe dfr " + name,
        "get jobs,pods",
        "explain dfr.spec.blocks",
        f"logs -l {names.LABEL_RUN}={name}",
    ):
        say.line(f"  kubectl -n {release.namespace} {words}")


def show_page(what: str, release: Release, run: Manifest, say: Narrator) -> None:
    """The URL of a run's page on this machine, what must run for it, and how to sign in."""
    kubectl = f"kubectl -n {release.namespace}"
    port = host_port() if has_port(release) else FORWARDED_PORT
    say.line(f"{what}: http://127.0.0.1:{port}/runs/{release.namespace}/{run['metadata']['name']}")
    if not has_port(release):
        say.line(f"  as long as this runs: {kubectl} port-forward service/{release.name}-gateway {port}:80")
    say.line(f"  sign in with the token that this prints: {kubectl} create token {APPROVER}")


def step_times(log: str, run: Manifest) -> list[tuple[str, str, float]]:
    """From a block's completion to the next Job's creation, as the operator has logged it of this run, in seconds."""
    jobs = {line["jobRef"]["name"] for line in run["status"]["blocks"] if line.get("jobRef")}
    found = []
    for text in log.splitlines():
        entry = json.loads(text) if text.startswith("{") else {}
        if entry.get("step_latency_seconds") is not None and entry["job"] in jobs:
            found.append((entry["after"], entry["block"], float(entry["step_latency_seconds"])))
    return found


if __name__ == "__main__":
    started = datetime.now().astimezone()
    code = main()
    print(f"\nThe demo took {(datetime.now().astimezone() - started).total_seconds():.0f} s.")
    sys.exit(code)
