"""Values that make no sound installation are refused in words that name the value and the remedy. Needs helm."""

import pytest
from chart_kit import DIGEST, settings, template

REFUSED: dict[str, tuple[list[str], str]] = {
    "two operators": (["operator.replicas=2"], "at '/operator/replicas': maximum: got 2, want 1"),
    "an unknown key": (["operator.replica=1"], "at '/operator': additional properties 'replica' not allowed"),
    "an unknown group": (["inspector.auth=false"], "at '': additional properties 'inspector' not allowed"),
    "a tag without a digest": (
        [
            "strictImages=true",
            "gateway.enabled=false",
            f"operator.image.digest={DIGEST}",
            f"redis.image.digest={DIGEST}",
            "worker.image.tag=v1",
        ],
        "worker.image.digest: strictImages is on, so every image needs a digest (sha256:…); "
        "the tag v1 may change under you",
    ),
    "a digest that is none": (["redis.image.digest=latest"], "at '/redis/image/digest': 'latest' does not match"),
    "an empty Redis password": (
        ["redis.passwords.worker="],
        "at '/redis/passwords/worker': minLength: got 0, want 16",
    ),
    "a password that breaks a URL": (
        ["redis.passwords.worker=aaaaaaaaaaaaaaaa@b"],
        "at '/redis/passwords/worker': 'aaaaaaaaaaaaaaaa@b' does not match pattern",
    ),
    "a token in values": (
        ["huggingFace.token=hf_x"],
        "huggingFace.token: a token never stands in values, where `helm get values` shows it; put it into a Secret "
        "and name that in huggingFace.tokenSecret.name",
    ),
    "a token in the environment": (
        ["worker.env.HF_TOKEN=hf_x"],
        "worker.env.HF_TOKEN: a token never stands in values, where `helm get values` shows it; put it into a Secret "
        "and name that in huggingFace.tokenSecret.name",
    ),
    "credentials in a URL": (
        ["redis.enabled=false", "redis.external.url=redis://u:p@host:6379"],
        "at '/redis/external/url': 'redis://u:p@host:6379' does not match pattern",
    ),
    "a workspace for one node": (
        ["workspace.accessMode=ReadWriteOnce"],
        "workspace.accessMode: ReadWriteOnce can be mounted by one node only; use ReadWriteMany or workspace.url, "
        "or set singleNode: true where there is one node",
    ),
    "a directory of a node among many": (
        ["workspace.hostPath=/data"],
        "workspace.hostPath: a directory of one node serves only one node; set singleNode: true, or use a "
        "ReadWriteMany claim or workspace.url",
    ),
    "a directory upwards": (["singleNode=true", "workspace.hostPath=/data/../etc"], "at '/workspace/hostPath'"),
    "a store that fenced workers cannot reach": (
        ["workspace.url=s3://a/b"],
        "networkPolicies.workerEgress: with workspace.url every worker must reach the store at s3://a/b; give an "
        "egress rule with its address and port",
    ),
    "keys for a volume": (
        ["gateway.workspaceSecretName=keys"],
        "gateway.workspaceSecretName: a mounted workspace needs no keys; leave it empty, or set workspace.url",
    ),
    "two workspaces": (
        ["workspace.url=s3://a/b", "workspace.existingClaim=c"],
        "workspace.url, workspace.existingClaim: set one of them; a workspace is in one place",
    ),
    "every namespace on a claim": (
        ["clusterWide=true"],
        "clusterWide: a claim belongs to one namespace; serving all of them needs workspace.url, an object store",
    ),
    "every namespace and some": (
        ["clusterWide=true", "workspace.url=s3://a/b", "runNamespaces={x}"],
        "runNamespaces: clusterWide serves every namespace; leave the list empty, or set clusterWide: false",
    ),
    "a namespace that is no label": (["runNamespaces={Team_A}"], "at '/runNamespaces/0': 'Team_A' does not match"),
    "no Redis at all": (
        ["redis.enabled=false"],
        "redis.external: with redis.enabled: false, set redis.external.secretName (URLs with credentials) or "
        "redis.external.url (without)",
    ),
    "two Redis": (
        ["redis.external.url=redis://host:6379"],
        "redis.external: set redis.enabled: false to use another Redis",
    ),
    "one Secret of two": (
        ["redis.existingSecret=mine"],
        "redis.existingSecret, redis.existingWorkerSecret: set both or neither",
    ),
    "root": (["worker.user=0"], "at '/worker/user': minimum: got 0, want 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_values_are_refused_in_words(case: str) -> None:
    pairs, words = REFUSED[case]
    done = template(*settings(*pairs))
    assert done.returncode != 0
    assert words in done.stderr
