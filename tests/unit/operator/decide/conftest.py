"""Makes the kit of this folder's tests importable, and asks for readable diffs of its assertions."""

import sys
from pathlib import Path

import pytest

pytest.register_assert_rewrite("decide_kit", "decide_cluster", "decide_simulation")
sys.path.insert(0, str(Path(__file__).parent / "kit"))
