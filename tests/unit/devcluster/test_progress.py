"""Steps and times as people read them."""

import io

import pytest

from diffrun_devcluster.progress import Progress, duration


@pytest.mark.parametrize(("seconds", "text"), [(0.42, "0.4 s"), (12.4, "12 s"), (89, "89 s"), (200.9, "3 min 20 s")])
def test_durations_have_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_step_says_what_it_expects_and_what_it_took() -> None:
    out = io.StringIO()
    with Progress(out).step("Build", expected=120):
        pass
    begin, end = out.getvalue().splitlines()
    assert begin == "→ Build (about 2 min 00 s)"
    assert end.startswith("✓ Build  0.0 s")


def test_a_failed_step_is_marked_as_such() -> None:
    out = io.StringIO()
    with pytest.raises(ValueError, match="no"), Progress(out).step("Build"):
        raise ValueError("no")
    assert out.getvalue().splitlines()[-1].startswith("✗ Build")
