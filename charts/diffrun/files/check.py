"""`helm test`: what the operator depends on is there, seen with its own rights."""

import json
import os
import pathlib
import ssl
import urllib.request

import redis

from diffrun_contracts import names

ACCOUNT = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
TRUST = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
ADMISSION = "/apis/admissionregistration.k8s.io/v1"


def get(path: str) -> dict:
    """One object from the API server; raises HTTPError where it is missing or forbidden."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    headers = {"Authorization": "Bearer " + (ACCOUNT / "token").read_text()}
    request = urllib.request.Request(f"https://{host}:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, context=TRUST, timeout=15) as response:  # noqa: S310 - always https
        return json.load(response)


namespace = os.environ["DIFFRUN_RELEASE__NAMESPACE"]
runs = get(f"/apis/{names.API_VERSION}/namespaces/{namespace}/{names.PLURAL}")
print(f"the API serves DiffusionRuns: {len(runs['items'])} in {namespace}")

policy = os.environ["DIFFRUN_GATES__POLICY"]
binding = os.environ["DIFFRUN_GATES__BINDING"]
get(f"{ADMISSION}/validatingadmissionpolicies/{policy}")
actions = get(f"{ADMISSION}/validatingadmissionpolicybindings/{binding}")["spec"]["validationActions"]
if "Deny" not in actions:
    raise SystemExit(f"the binding {binding} denies nothing: {actions}; upgrade the release")
print(f"gates are guarded by {policy}")

client = redis.Redis.from_url(
    os.environ["DIFFRUN_REDIS__URL"],
    username=os.environ.get("DIFFRUN_REDIS__USERNAME"),
    password=os.environ.get("DIFFRUN_REDIS__PASSWORD"),
    socket_timeout=10,
)
client.ping()
print(f"Redis answers; {client.xlen(names.STREAM_RUNS)} runs have been announced")
