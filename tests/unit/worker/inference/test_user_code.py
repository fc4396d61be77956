"""Functions out of the user's files: only where they are allowed, and with file and line where they fail."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import BaseModel, ConfigDict

from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.inference import DRIFT_REGISTRY, FORCE_REGISTRY, UserCode, declare
from diffrun_worker.inference.registry import Registry

GOOD = """
def push(model_output, force_cfg, **kwargs):
    return 0 * model_output + force_cfg["by"]

def shift(x, drift_cfg, **kwargs):
    return x + drift_cfg["by"]

def fails(model_output, t_index, **kwargs):
    def inner():
        return 1 / (t_index - 2)      # line 10
    return model_output * inner()

def wrong_shape(model_output, **kwargs):
    return model_output.mean()

def nothing(**kwargs):
    pass

def leaves(**kwargs):
    raise SystemExit(0)      # line 20

def needed(force_cfg, moment, known):
    yield force_cfg["absent"]      # line 23

@declare(classes=needed)
def declares_wrongly(model_output, **kwargs):
    return model_output

@declare(classes=lambda force_cfg, moment, known: None)
def declares_nothing(model_output, **kwargs):
    return model_output
"""

WITH_A_DATACLASS = """
from __future__ import annotations
from dataclasses import dataclass

@dataclass
class Settings:
    by: float = 2.0

def push(model_output, **kwargs):
    return 0 * model_output + Settings().by
"""


@pytest.fixture
def allowed(tmp_path: Path) -> UserCode:
    (tmp_path / "mine.py").write_text(f"from diffrun_worker.inference import declare{GOOD}")
    (tmp_path / "broken.py").write_text("def force(**kwargs:\n")
    (tmp_path / "raises.py").write_text("x = 1\nraise RuntimeError('at import')\n")
    (tmp_path / "null.py").write_bytes(b"def force(**kwargs):\n    pass\0\n")
    (tmp_path / "exits.py").write_text("import sys\nsys.exit()\n")
    return UserCode(True, tmp_path)


def custom(fn: Any, **rest: Any) -> dict[str, Any]:
    return {"force": {"guidance_scale": 0, "force_stack": [{"name": "force_user_custom", "fn": fn, **rest}]}}


def test_a_function_of_a_file_acts_as_a_force_and_as_a_drift(run: Any, noise: Any, allowed: UserCode) -> None:
    frame = run(user_code=allowed, **custom("mine.py:push", by=2.0))[0][0]
    torch.testing.assert_close(frame.model_output, noise(frame.previous, frame.t, 3) + 2.0, rtol=0, atol=1e-12)
    drift = {"enabled": True, "function_name": "drift_user_custom", "params": {"fn": "mine.py:shift", "by": 0.5}}
    moved, plain = run(user_code=allowed, drift=drift)[0][0], run()[0][0]
    torch.testing.assert_close(moved.latent, plain.latent + 0.5, rtol=0, atol=1e-12)


def test_a_file_may_define_dataclasses_whose_annotations_are_strings(run: Any, allowed: UserCode) -> None:
    (allowed.root / "settings.py").write_text(WITH_A_DATACLASS)
    frame, plain = run(user_code=allowed, **custom("settings.py:push"))[0][0], run(force={"guidance_scale": 0})[0][0]
    torch.testing.assert_close(frame.model_output, plain.model_output + 2.0, rtol=0, atol=1e-12)


def test_a_file_that_fails_leaves_no_half_made_module_behind(run: Any, allowed: UserCode) -> None:
    before = set(sys.modules)
    with pytest.raises(PermanentError):
        run(user_code=allowed, **custom("raises.py:force"))
    assert not [name for name in set(sys.modules) - before if name.startswith("diffrun_user_")]


def test_a_file_does_not_run_where_it_is_not_allowed_and_the_error_says_what_allows_it(
    run: Any, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text("raise SystemExit('it ran')\n")
    with pytest.raises(PermanentError) as caught:
        run(user_code=UserCode(False, tmp_path), **custom("mine.py:push"))
    assert caught.value.code == ErrorCode.USER_CODE_FORBIDDEN
    assert caught.value.message == (
        "force.forceStack[0] force_user_custom: fn: mine.py:push is code of your own, which this installation does not "
        "run; its administrator allows it by the chart's worker.allowUserCode: true, which sets "
        "DIFFRUN_ALLOW_USER_CODE=1 in the pods, and on the command line --allow-user-code does"
    )


def test_a_drift_that_is_off_runs_no_file(run: Any, tmp_path: Path) -> None:
    off = {"function_name": "drift_user_custom", "params": {"fn": "absent.py:shift"}}
    assert torch.equal(run(user_code=UserCode(False, tmp_path), drift=off)[0][-1].latent, run()[0][-1].latent)


@pytest.mark.parametrize(("value", "allowed"), [("1", True), ("0", False), ("true", False), (None, False)])
def test_an_installation_allows_it_by_its_environment(tmp_path: Path, value: str | None, allowed: bool) -> None:
    environment = {} if value is None else {"DIFFRUN_ALLOW_USER_CODE": value}
    assert UserCode.from_environment(tmp_path, environment).allowed is allowed


@pytest.mark.parametrize(
    ("fn", "words"),
    [
        ("absent.py:push", ["fn: there is no file absent.py"]),
        ("mine.py:pusch", ["fn: mine.py has no function 'pusch'", "push, shift, fails"]),
        ("mine.py", ["a file and its function as path/to/file.py:name; got 'mine.py'"]),
        (3, ["a file and its function as path/to/file.py:name; got 3"]),
        ("notes.txt:push", ["notes.txt is no Python file"]),
    ],
    ids=str,
)
def test_what_is_not_there_is_named(run: Any, allowed: UserCode, fn: Any, words: list[str]) -> None:
    (allowed.root / "notes.txt").write_text("")
    with pytest.raises(PermanentError) as caught:
        run(user_code=allowed, **custom(fn))
    assert caught.value.code == ErrorCode.INVALID_PARAMS
    for word in words:
        assert word in caught.value.message


@pytest.mark.parametrize(
    ("fn", "words"),
    [
        ("mine.py:fails", ["mine.py:10 in inner: ZeroDivisionError: division by zero"]),
        ("broken.py:force", ["broken.py:1: SyntaxError"]),
        ("null.py:force", ["null.py: SyntaxError: ", "null bytes"]),
        ("raises.py:force", ["raises.py:2 in <module>: RuntimeError: at import"]),
        ("mine.py:leaves", ["mine.py:20 in leaves: SystemExit: 0"]),
        ("mine.py:declares_wrongly", ["mine.py:23 in needed: KeyError: 'absent'"]),
        ("mine.py:declares_nothing", ["the classes that it declares", "TypeError: 'NoneType' object is not iterable"]),
        ("exits.py:force", ["exits.py:2 in <module>: SystemExit"]),
        ("mine.py:wrong_shape", ["it must return a tensor of shape [1, 1, 4, 4]; got []"]),
        ("mine.py:nothing", ["it must return a tensor of shape [1, 1, 4, 4]; got NoneType"]),
    ],
    ids=str,
)
def test_what_the_users_code_does_wrong_names_file_and_line(
    run: Any, allowed: UserCode, fn: str, words: list[str]
) -> None:
    with pytest.raises(PermanentError) as caught:
        run(user_code=allowed, **custom(fn))
    assert caught.value.code == ErrorCode.USER_CODE_FAILED
    assert "force.forceStack[0] force_user_custom" in caught.value.message
    assert "None:" not in caught.value.message
    for word in words:
        assert word in caught.value.message


def test_in_a_pod_a_file_must_lie_in_the_workspace(run: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(GOOD)
    inside = tmp_path / "workspace"
    inside.mkdir()
    with pytest.raises(PermanentError) as caught:
        run(user_code=UserCode(True, inside, confined=True), **custom("../mine.py:push", by=1))
    assert caught.value.code == ErrorCode.PATH_OUTSIDE_WORKSPACE


def test_memory_that_a_users_code_runs_out_of_is_left_to_a_smaller_batch(run: Any) -> None:
    def greedy(**kwargs: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.cuda.OutOfMemoryError):
        run(**custom(greedy))


def test_a_function_that_writes_into_what_it_gets_changes_nobody_elses(run: Any) -> None:
    def writes(model_output, x_t, predict, **kwargs):  # type: ignore[no-untyped-def]
        for tensor in (model_output, x_t, predict("B"), predict(None)):
            tensor.fill_(7.0)
        return 0 * model_output

    attract = {"name": "force_attract_class", "target_class": "B"}
    stack = [{"name": "force_user_custom", "fn": writes}, attract]
    frames, plain = (run(force={"force_stack": one})[0] for one in (stack, [attract]))
    for frame, expected in zip(frames, plain, strict=True):
        assert torch.equal(frame.previous, expected.previous)
        assert torch.equal(frame.model_output, expected.model_output)
        assert torch.equal(frame.guided_difference, expected.guided_difference)


def test_a_drift_that_writes_into_the_state_changes_neither_the_step_before_nor_other_samples(run: Any) -> None:
    def writes(x, sample_index, **kwargs):  # type: ignore[no-untyped-def]
        return x.mul_(0.5) if sample_index else x

    def returns(x, sample_index, **kwargs):  # type: ignore[no-untyped-def]
        return 0.5 * x if sample_index else x

    frames, expected = (
        run(drift={"enabled": True, "function_name": "drift_user_custom", "params": {"fn": fn}})[0]
        for fn in (writes, returns)
    )
    for frame, other in zip(frames, expected, strict=True):
        assert torch.equal(frame.previous, other.previous)
        assert torch.equal(frame.latent, other.latent)


def test_a_force_that_takes_batches_says_so_and_is_called_once_a_step(run: Any, noise: Any) -> None:
    seen: list[int] = []

    @declare(batched=True, classes=lambda force_cfg, moment, known: ["B"] if moment.t_index < 2 else [])
    def force(model_output, predict, t_index, **kwargs):  # type: ignore[no-untyped-def]
        seen.append(len(model_output))
        return predict("B") if t_index < 2 else torch.zeros_like(model_output)

    frames, stub = run(indexes=range(3), steps=4, dtype=torch.float32, **custom(force))
    assert seen == [3] * 4
    assert stub.calls == [[3] * 3 + [1] * 3] * 2 + [[3] * 3] * 2
    expected = noise(frames[0].previous, frames[0].t, 3) + noise(frames[0].previous, frames[0].t, 1)
    torch.testing.assert_close(frames[0].model_output, expected, rtol=0, atol=1e-5)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: float = 0.0


@declare(params=Strict)
def push(model_output, params, **kwargs):  # type: ignore[no-untyped-def]
    return 0 * model_output + params.by


@declare(params=Strict)
def shift(x, params, drift_cfg, **kwargs):  # type: ignore[no-untyped-def]
    assert (drift_cfg["scale"], drift_cfg["decay"]) == (1.0, 0.99)
    return x + params.by


def shifted(**drift: Any) -> dict[str, Any]:
    return {"drift": {"enabled": True, "function_name": "drift_user_custom", **drift}}


def test_a_strict_model_of_parameters_is_not_held_to_keys_that_are_diffruns_own(run: Any) -> None:
    pushed, plain = (run(**custom(push, by=by))[0][0].model_output for by in (2.0, 0.0))
    torch.testing.assert_close(pushed, plain + 2.0, rtol=0, atol=1e-12)
    moved, still = (run(**shifted(params={"fn": shift, "by": by}))[0][0].latent for by in (0.5, 0.0))
    torch.testing.assert_close(moved, still + 0.5, rtol=0, atol=1e-12)


@pytest.mark.parametrize("key", ["scale", "decay"])
def test_a_scale_or_decay_that_a_drifts_strict_model_does_not_have_is_refused_where_it_is_set(
    run: Any, key: str
) -> None:
    with pytest.raises(PermanentError, match=f"drift_user_custom: {key}: Extra inputs.*its parameters are by"):
        run(**shifted(params={"fn": shift, "by": 0.5}, **{key: 0.5}))


def test_a_misspelt_parameter_of_a_strict_model_is_refused(run: Any) -> None:
    with pytest.raises(PermanentError, match="force_user_custom: bye: Extra inputs"):
        run(**custom(push, bye=1))
    with pytest.raises(PermanentError, match="drift_user_custom: bye: Extra inputs"):
        run(**shifted(params={"fn": shift, "bye": 1}))


def test_other_packages_bring_forces_and_drifts_behind_entry_points() -> None:
    assert FORCE_REGISTRY.group == "diffrun.forces"
    assert DRIFT_REGISTRY.group == "diffrun.drifts"
    registry = Registry("force", "diffrun.forces", ErrorCode.UNKNOWN_FORCE, {"force_none": len})
    points = [
        EntryPoint("force_theirs", "operator:add", "diffrun.forces"),
        EntryPoint("force_absent", "no_such_package:force", "diffrun.forces"),
        EntryPoint("force_number", "math:pi", "diffrun.forces"),
    ]
    assert registry.find("force_theirs", "where", points)(1, 2) == 3
    with pytest.raises(PermanentError, match="force_absent, force_none, force_number, force_theirs"):
        registry.find("force_other", "where", points)
    with pytest.raises(PermanentError, match=r"'force_absent'.*cannot be loaded: ModuleNotFoundError"):
        registry.find("force_absent", "where", points)
    with pytest.raises(PermanentError, match=r"'force_number'.*is no function"):
        registry.find("force_number", "where", points)
