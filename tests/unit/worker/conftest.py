"""What the worker's tests share: networks that are made quickly."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

_checked: set[str] = set()


@pytest.fixture
def checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a configuration of a UNet2DModel on the meta device only when it is new.

    That takes longer than making a tiny network; `models/test_unet2d.py` is where it is tested.
    """
    from diffrun_worker.models import unet2d  # not above: most tests of the worker need no torch

    check = unet2d._check_runs

    def once(config: Mapping[str, Any]) -> None:
        key = json.dumps(config, sort_keys=True)
        if key not in _checked:
            check(config)
            _checked.add(key)

    monkeypatch.setattr(unet2d, "_check_runs", once)
