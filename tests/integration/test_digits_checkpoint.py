"""The examples' class-conditional checkpoint draws what it is asked for, as a classifier of real digits sees it."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from diffrun_worker.inference import load_checkpoint

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits-conditional"
STEPS = 5
EACH = 4


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("digits_study", EXAMPLE / "study.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def study(example: ModuleType) -> Any:
    torch.set_num_threads(1)
    made = example.Study(load_checkpoint(EXAMPLE / "checkpoint"))
    assert made.classifier.accuracy > 0.95
    return made


def test_guidance_at_its_default_gives_the_asked_digit(example: ModuleType, study: Any) -> None:
    parts = [
        example.share(study.draw(EACH, character=digit, num_inference_steps=STEPS), digit) for digit in "0123456789"
    ]
    assert sum(parts) / len(parts) >= 0.95


@pytest.mark.parametrize(("wanted", "unwanted"), [("8", "1"), ("9", "3")])
def test_subtract_does_not_draw_more_of_what_it_subtracts(
    example: ModuleType, study: Any, wanted: str, unwanted: str
) -> None:
    guided = study.draw(16, character=wanted, force={"guidance_scale": 1.0}, num_inference_steps=STEPS)
    arguments = {"pos_class": wanted, "neg_class": unwanted, "w_pos": 1.0, "w_neg": 1.0}
    against = study.draw(16, character=wanted, preset="subtract", preset_args=arguments, num_inference_steps=STEPS)
    assert example.share(against, unwanted) <= example.share(guided, unwanted)


def test_the_study_ends_with_1_where_a_limit_is_missed(
    example: ModuleType, study: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(example, "Study", lambda _checkpoint: study)
    monkeypatch.setattr(study, "draw", lambda samples, **_config: torch.eye(11)[[0] * samples])
    for options, code in ((["--check"], 1), ([], 0)):
        monkeypatch.setattr("sys.argv", ["study.py", "--samples", "20", *options])
        assert example.main() == code
    assert "missed: attract_class: the asked digit in 95% of all samples" in capsys.readouterr().out
