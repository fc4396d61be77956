"""What counts as an image: the gateway and the pages read the same examples."""

import json
from pathlib import Path
from typing import Any

import pytest

from diffrun_gateway.images import is_image

EXAMPLES = json.loads((Path(__file__).parents[3] / "inspectors" / "golden" / "images.json").read_text())


@pytest.mark.parametrize("example", EXAMPLES, ids=[example["is"] for example in EXAMPLES])
def test_the_gateway_takes_for_an_image_what_the_pages_do(example: dict[str, Any]) -> None:
    assert is_image(example["contentType"], example["fileName"], example["schemaType"]) is example["image"]
