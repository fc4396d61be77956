"""Where a shard runs: its machine, what computes there, and its names in Kubernetes or SLURM."""

import os
import socket
from collections.abc import Mapping

import torch
from pydantic import JsonValue

from diffrun_contracts import names
from diffrun_worker.device import versions

_SLURM = ("SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_PROCID")


def describe_environment(device: str, environment: Mapping[str, str] = os.environ) -> dict[str, JsonValue]:
    """`environment` of metadata.json: always the host, the device and versions; a scheduler's names where it set them.

    `gpu` and `cuda_version` are None on the CPU.
    """
    found = versions()
    cuda = torch.device(device).type == "cuda"
    described: dict[str, JsonValue] = {
        "hostname": socket.gethostname(),
        "device": device,
        "gpu": torch.cuda.get_device_name(device) if cuda else None,
        "cuda_version": torch.version.cuda if cuda else None,
        "torch_version": found["torch"],
        "diffusers_version": found["diffusers"],
        "python_version": found["python"],
        "diffrun_version": found["diffrun"],
    }
    return described | _kubernetes(environment) | _slurm(environment)


def _kubernetes(environment: Mapping[str, str]) -> dict[str, JsonValue]:
    pod = environment.get(names.ENV_POD_NAME)
    if not pod:
        return {}
    index = environment.get(names.ENV_SHARD)
    # Pods of an Indexed Job are named <job>-<index>-<five letters>.
    job, _, _ = pod.rpartition("-")
    if index is not None and job.endswith(f"-{index}"):
        job = job.removesuffix(f"-{index}")
    described: dict[str, JsonValue] = {"pod_name": pod, "job_name": job or None}
    if index is not None:
        described["job_completion_index"] = index
    return described


def _slurm(environment: Mapping[str, str]) -> dict[str, JsonValue]:
    return {name.lower(): environment[name] for name in _SLURM if environment.get(name)}
