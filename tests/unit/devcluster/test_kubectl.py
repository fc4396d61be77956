"""Reading what kubectl answers."""

import pytest

from diffrun_devcluster.kubectl import Manifest, condition


@pytest.mark.parametrize(
    "status", [{}, {"status": {}}, {"status": {"conditions": None}}, {"status": {"conditions": []}}]
)
def test_an_object_without_conditions_yet_has_none_of_any_type(status: Manifest) -> None:
    assert condition(status, "Established") == {}


def test_a_condition_is_found_by_its_type() -> None:
    wanted = {"type": "Established", "status": "True"}
    assert condition({"status": {"conditions": [{"type": "NamesAccepted"}, wanted]}}, "Established") == wanted
