"""Every composed name, key, label and path, each made in exactly one place."""

import hashlib

GROUP = "diffrun.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "DiffusionRun"
PLURAL = "diffusionruns"
SINGULAR = "diffusionrun"
SHORT_NAME = "dfr"

# Labels of the objects that a run owns. The UID tells a run from its namesake of yesterday.
LABEL_RUN = f"{GROUP}/run"
LABEL_RUN_UID = f"{GROUP}/run-uid"
LABEL_BLOCK = f"{GROUP}/block"
LABEL_BLOCK_TYPE = f"{GROUP}/block-type"
LABEL_EGRESS = f"{GROUP}/egress"  # what a NetworkPolicy selects: only what fetches something leaves the cluster
EGRESS_HUB = "hub"
LABEL_ATTEMPT = f"{GROUP}/attempt"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY = "diffrun"
LABEL_KUEUE_QUEUE = "kueue.x-k8s.io/queue-name"

# Pod annotations that the worker reads through a downward-API volume.
ANNOTATION_TASK = f"{GROUP}/task"
ANNOTATION_PAUSE = f"{GROUP}/pause"
ANNOTATION_INDEX = "batch.kubernetes.io/job-completion-index"
ANNOTATION_INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
ANNOTATION_INDEX_IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"

# Files of that volume, under POD_INFO_DIR.
POD_INFO_DIR = "/etc/diffrun"
FILE_TASK = "task.json"
FILE_PAUSE = "pause"
FILE_INDEX_FAILURES = "index-failures"
FILE_INDEX_IGNORED = "index-ignored-failures"

CONTAINER = "worker"
WORKSPACE_MOUNT = "/workspace"
TERMINATION_LOG = "/dev/termination-log"

# Environment of a worker's container.
ENV_WORKSPACE = "DIFFRUN_WORKSPACE"
ENV_WORKSPACE_SECRET = "DIFFRUN_WORKSPACE_SECRET"  # noqa: S105 - the name of the Secret that opens the store
ENV_REDIS_URL = "DIFFRUN_REDIS_URL"
ENV_POD_UID = "DIFFRUN_POD_UID"
ENV_POD_NAME = "DIFFRUN_POD_NAME"
ENV_GPUS = "DIFFRUN_GPUS"
ENV_SHARD = "JOB_COMPLETION_INDEX"
ENV_ALLOW_USER_CODE = "DIFFRUN_ALLOW_USER_CODE"  # 1 where the installation lets a run bring code of its own
ENV_HF_ENDPOINT = "HF_ENDPOINT"
ENV_HF_TOKEN = "HF_TOKEN"  # noqa: S105 - the variable's name, not a token

# Environment of pods that train together, as torchrun sets it: what torch.distributed's `env://` reads.
ENV_MASTER_ADDR = "MASTER_ADDR"
ENV_MASTER_PORT = "MASTER_PORT"
ENV_WORLD_SIZE = "WORLD_SIZE"
ENV_RANK = "RANK"
ENV_LOCAL_RANK = "LOCAL_RANK"
MASTER_PORT = 29500
ENV_RENDEZVOUS_SECONDS = "DIFFRUN_RENDEZVOUS_SECONDS"  # how long they wait for each other

# A worker's exit codes. 64 and 75 are EX_USAGE and EX_TEMPFAIL of sysexits.h; 143 is 128 + SIGTERM.
EXIT_DONE = 0
EXIT_PERMANENT = 64
EXIT_TEMPORARY = 75
EXIT_TERMINATED = 143
EXIT_KILLED = 137

ENTRY_POINT_GROUP = "diffrun.blocks"

MAX_RUN_NAME = 40
MAX_BLOCK_NAME = 40
# A pod of an Indexed Job is named <job>-<index>-<5 random>: with 1000 shards 10 characters more.
MAX_JOB_NAME = 52
MAX_OUTPUT_BYTES = 1024
MAX_TERMINATION_BYTES = 4096
MAX_EVENT_BYTES = 64 * 1024

STREAM_RUNS = "diffrun:runs"


def job_name(run: str, block: str, uid: str, attempt: int) -> str:
    """`<run>-<block>-<uid8>-<attempt>`, shortened by a hash where it would not fit.

    The first eight hex digits of the run's UID keep a recreated run away from its predecessor's
    Jobs; the hash keeps run `a-b` block `c` apart from run `a` block `b-c`, which the UID does too.
    """
    tail = f"{uid.replace('-', '')[:8]}-{attempt}"
    name = f"{run}-{block}-{tail}"
    if len(name) <= MAX_JOB_NAME:
        return name
    digest = hashlib.sha256(f"{run}/{block}".encode()).hexdigest()[:8]
    head = f"{run}-{block}"[: MAX_JOB_NAME - len(tail) - len(digest) - 2].rstrip("-")
    return f"{head}-{digest}-{tail}"


def peers_name(uid: str, block: str) -> str:
    """The Service, and the NetworkPolicy, by which the pods of one block find and reach each other.

    It begins with a letter, as a Service's name must and a run's need not, and fits 63 characters.
    """
    return f"peers-{uid.replace('-', '')[:8]}-{block}"


def events_key(uid: str) -> str:
    """The Redis stream of one run; the braces keep it in one cluster slot."""
    return f"diffrun:{{{uid}}}:events"


def run_dir(uid: str) -> str:
    """Where a run's files lie, relative to the workspace."""
    return f"runs/{uid}"


def block_dir(uid: str, block: str) -> str:
    """Where a block's files lie, relative to the workspace."""
    return f"{run_dir(uid)}/{block}"


def shard_dir(uid: str, block: str, attempt: int, shard: int) -> str:
    """Where one shard's `result.json` lies, relative to the workspace."""
    return f"{block_dir(uid, block)}/{attempt}/{shard}"


def retry_dir(uid: str, block: str, attempt: int, shard: int, retry: int) -> str:
    """Where one pod's artifacts, `events.jsonl` and `manifest.json` lie, relative to the workspace."""
    return f"{shard_dir(uid, block, attempt, shard)}/{retry}"


RESULT_FILE = "result.json"
EVENTS_FILE = "events.jsonl"
EVENTS_DIR = "events"  # beside it in an object store, where nothing can be appended to: numbered files instead
MANIFEST_FILE = "manifest.json"
RUN_FILE = "run.json"  # the final object of a run, in its directory
HUB_CACHE_DIR = "cache/hub"


def segment_file(number: int) -> str:
    """The `number`-th file of a pod's events in an object store, from 1, relative to the pod's directory."""
    return f"{EVENTS_DIR}/{number:06d}.jsonl"
