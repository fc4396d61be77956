"""Who reaches the Hub, and with whose token: only the pods of a block that reads from it."""

import pytest

from diffrun_contracts import names
from diffrun_operator.jobs import build_job
from diffrun_operator.settings import Gates, Hub, SecretKey, Settings, Worker, Workspace

HUB = {"hub": {"repo": "some/pictures"}}
PRIVATE = {"hub": {"repo": "some/pictures", "tokenSecret": {"name": "mine", "key": "k"}}}
MODEL = {"name": "ddpm-64"}
WEIGHTS = {"sha256": "0" * 64}
OTHERS = {"features": "classifier"}

INSTALLATION = {"name": "installation", "optional": True}
MINE = {"name": "mine", "optional": False}
FOLDER = {"imageFolder": {"path": "pictures"}}
FILE = {"reference": {"statistics": "cifar10.npz"}}

NEEDS: dict[str, tuple[dict, bool, dict | None]] = {
    "a download": ({"downloadCheckpoint": {"repo": "a/b"}}, True, INSTALLATION),
    "training on data of the Hub": ({"train": {"model": MODEL, "data": HUB}}, True, INSTALLATION),
    "training on private data": ({"train": {"model": MODEL, "data": PRIVATE}}, True, MINE),
    "training on a folder": ({"train": {"model": MODEL, "data": FOLDER}}, False, None),
    "training on a preset's data": ({"train": {"preset": "digits"}}, False, None),
    "a private reference": ({"evaluate": OTHERS | {"reference": {"data": PRIVATE}}}, True, MINE),
    "weights by URL, with no token": ({"evaluate": FILE | {"weights": WEIGHTS | {"url": "https://w"}}}, True, None),
    "weights by path": ({"evaluate": FILE | {"weights": WEIGHTS | {"path": "w"}}}, False, None),
    "a diagnosis with data of the Hub": ({"diagnose": {"data": HUB}}, True, INSTALLATION),
    "samples": ({"generateFull": {}}, False, None),
    "inference": ({"infer": {}}, False, None),
    "a custom block": ({"custom": {"type": "noop"}}, False, None),
}


@pytest.mark.parametrize("case", NEEDS)
def test_a_block_gets_the_way_out_and_the_token_that_it_needs_and_no_more(case, make_run, create):
    fields, leaves, secret = NEEDS[case]
    settings = Settings(
        worker=Worker(image="w"),
        workspace=Workspace(claim="c"),
        gates=Gates(require_policy=False),
        hub=Hub(token_secret=SecretKey(name="installation")),
    )
    run = make_run({"name": "it", **fields})
    template = build_job(run, create(run, "it"), settings)["spec"]["template"]
    assert (template["metadata"]["labels"].get(names.LABEL_EGRESS) == names.EGRESS_HUB) is leaves
    (container,) = template["spec"]["containers"]
    tokens = [item["valueFrom"]["secretKeyRef"] for item in container["env"] if item["name"] == "HF_TOKEN"]
    assert [{key: token[key] for key in ("name", "optional")} for token in tokens] == ([secret] if secret else [])


@pytest.mark.parametrize(("allowed", "expected"), [(False, []), (True, ["1"])], ids=["off", "on"])
def test_code_of_a_users_own_runs_only_where_the_installation_lets_it(allowed, expected, make_run, create):
    settings = Settings(
        worker=Worker(image="w", allow_user_code=allowed),
        workspace=Workspace(claim="c"),
        gates=Gates(require_policy=False),
    )
    run = make_run({"name": "letters", "infer": {}}, {"name": "other", "generateFull": {}})

    def told(block: str) -> list[str]:
        (container,) = build_job(run, create(run, block), settings)["spec"]["template"]["spec"]["containers"]
        return [item["value"] for item in container["env"] if item["name"] == names.ENV_ALLOW_USER_CODE]

    assert told("letters") == expected
    assert told("other") == []
