"""Checkpoints that must not load, each with the words that say why."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DModel

from diffrun_contracts.params import DType
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.sampling.loader import load_model
from diffrun_worker.sampling.weights import INDEX_FILE, SINGLE_FILE

MakeCheckpoint = Callable[..., Path]


def refused(folder: Path, dtype: DType = DType.FLOAT32) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        load_model(folder, dtype=dtype)
    return caught.value


def damaged(why: str) -> str:
    return f"{SINGLE_FILE} is damaged ({why}); delete it and download the checkpoint again"


@pytest.mark.parametrize("folders", [False, True], ids=["root layout", "folder layout"])
def test_both_layouts_load(make_checkpoint: MakeCheckpoint, folders: bool) -> None:
    model = load_model(make_checkpoint(folders=folders))
    assert model.shape == (1, 8, 8)
    assert not model.unet.training


def test_a_checkpoint_in_several_files_loads(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    folder = make_checkpoint()
    whole = load_model(folder)
    (folder / SINGLE_FILE).unlink()
    whole.unet.save_pretrained(tmp_path / "parts", max_shard_size="5KB")
    for file in (tmp_path / "parts").glob("diffusion*"):
        file.rename(folder / file.name)
    parts = load_model(folder)
    for name, parameter in whole.unet.named_parameters():
        assert torch.equal(parameter, parts.unet.get_parameter(name))


def test_the_committed_checkpoint_bears_the_old_attention_names_and_loads(trained: Path) -> None:
    model = load_model(trained)
    assert b".query.weight" in (trained / SINGLE_FILE).read_bytes()[:20_000]
    assert b".to_q." not in (trained / SINGLE_FILE).read_bytes()[:20_000]
    assert sum(one.numel() for one in model.unet.parameters()) == 1_112_801


def test_a_truncated_file_is_corrupt(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    file = folder / SINGLE_FILE
    file.write_bytes(file.read_bytes()[:-100])
    error = refused(folder)
    assert error.code == ErrorCode.CORRUPT_CHECKPOINT
    size = file.stat().st_size - 8 - int.from_bytes(file.read_bytes()[:8], "little")
    assert error.message == damaged(f"it is truncated: the tensors need {size + 100} bytes, {size} are there")


def test_a_header_of_absurd_length_is_corrupt(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    (folder / SINGLE_FILE).write_bytes((2**63).to_bytes(8, "little") + b"{}")
    error = refused(folder)
    why = f"its header claims {2**63} bytes; at most 100000000 are allowed"
    assert (error.code, error.message) == (ErrorCode.CORRUPT_CHECKPOINT, damaged(why))


def test_tensors_that_overlap_are_corrupt(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    header = json.dumps({"a": tensor, "b": tensor}).encode()
    (folder / SINGLE_FILE).write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    error = refused(folder)
    why = "tensor 'b': its bytes overlap those of another tensor"
    assert (error.code, error.message) == (ErrorCode.CORRUPT_CHECKPOINT, damaged(why))


def test_an_empty_file_is_corrupt(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    (folder / SINGLE_FILE).write_bytes(b"")
    error = refused(folder)
    why = "it ends after 0 bytes, before the header's length"
    assert (error.code, error.message) == (ErrorCode.CORRUPT_CHECKPOINT, damaged(why))


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return pytest.fail, ("a pickle was opened",)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_under_a_safetensors_name_is_told_and_not_opened(
    make_checkpoint: MakeCheckpoint, protocol: int
) -> None:
    folder = make_checkpoint()
    (folder / SINGLE_FILE).write_bytes(pickle.dumps(Trap(), protocol=protocol))
    error = refused(folder)
    assert error.code == ErrorCode.CORRUPT_CHECKPOINT
    assert error.message == f"{SINGLE_FILE} is a pickle that bears the name of a safetensors file; it was not opened"


def test_a_torch_zip_under_a_safetensors_name_is_told(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    torch.save({"a": torch.ones(2)}, folder / SINGLE_FILE)
    assert "is a pickle" in refused(folder).message


def test_a_pickle_beside_the_configuration_is_never_a_substitute(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    (folder / SINGLE_FILE).rename(folder / "diffusion_pytorch_model.bin")
    error = refused(folder)
    assert error.code == ErrorCode.NO_SAFETENSORS
    assert "never from a pickle" in error.message


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda tensors: tensors.pop("conv_in.weight"), "conv_in.weight is missing"),
        (lambda tensors: tensors.update(stray=torch.ones(1)), "stray is not part of the model"),
        (
            lambda tensors: tensors.update({"conv_in.weight": torch.ones(8, 3, 3, 3)}),
            "conv_in.weight has shape [8, 3, 3, 3], config.json asks for [8, 1, 3, 3]",
        ),
        (
            lambda tensors: tensors.update({"conv_in.bias": torch.ones(8, dtype=torch.int32)}),
            "conv_in.bias has type I32, weights are floating-point",
        ),
    ],
    ids=["missing", "stray", "shape", "dtype"],
)
def test_weights_that_do_not_fit_are_named(
    make_checkpoint: MakeCheckpoint, edit: Callable[[dict[str, torch.Tensor]], None], words: str
) -> None:
    error = refused(make_checkpoint(edit=edit))
    assert error.code == ErrorCode.INCOMPATIBLE_CHECKPOINT
    assert error.message == f"the weights do not fit config.json: {words}"


def test_a_list_of_misfits_is_cut_short(make_checkpoint: MakeCheckpoint) -> None:
    error = refused(make_checkpoint(config={"block_out_channels": [16]}))
    assert error.message.count("config.json asks for") == 5
    assert " more" in error.message


NON_FINITE = (
    "1 of 104 tensors hold NaN or infinity in {dtype}: conv_out.bias; the model was saved broken, or its weights are "
    "too large for this dtype"
)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_flagged_by_name(make_checkpoint: MakeCheckpoint, value: float) -> None:
    error = refused(make_checkpoint(edit=lambda tensors: tensors["conv_out.bias"].fill_(value)))
    assert error.code == ErrorCode.NON_FINITE_WEIGHTS
    assert error.message == NON_FINITE.format(dtype="float32")


def test_weights_too_large_for_half_precision_are_flagged(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint(edit=lambda tensors: tensors["conv_out.bias"].fill_(1e6))
    load_model(folder)
    error = refused(folder, DType.FLOAT16)
    assert error.code == ErrorCode.NON_FINITE_WEIGHTS
    assert error.message == NON_FINITE.format(dtype="float16")


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        ({"_class_name": "UNet2DConditionModel"}, ErrorCode.UNSUPPORTED_CLASS, "_class_name is 'UNet2DConditionModel'"),
        ({"_class_name": ["evil", "Model"]}, ErrorCode.UNSUPPORTED_CLASS, "_class_name is ['evil', 'Model']"),
        ({"num_class_embeds": 10}, ErrorCode.UNSUPPORTED_CLASS, "the model is class-conditional"),
        ({"out_channels": 2}, ErrorCode.INCOMPATIBLE_CHECKPOINT, "out_channels is 2 for in_channels 1"),
        ({"in_channels": 4, "out_channels": 4}, ErrorCode.INCOMPATIBLE_CHECKPOINT, "an image has 1 or 3 channels"),
        ({"sample_size": None}, ErrorCode.INCOMPATIBLE_CHECKPOINT, "sample_size is None"),
        ({"down_block_types": ["EvilBlock"]}, ErrorCode.INCOMPATIBLE_CHECKPOINT, "no UNet2DModel can be made of it"),
        ({"norm_num_groups": 3}, ErrorCode.INCOMPATIBLE_CHECKPOINT, "no UNet2DModel can be made of it"),
        ({"block_out_channels": [2**40]}, ErrorCode.INCOMPATIBLE_CHECKPOINT, "config.json"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_configuration_that_cannot_be_run_is_told(
    make_checkpoint: MakeCheckpoint, config: dict[str, object], code: str, words: str
) -> None:
    error = refused(make_checkpoint(config=config))
    assert error.code == code
    assert words in error.message


SIZE = "it must be a whole number from 1 to 4096, or such a height and width"
LAYERS = "it must be a whole number from 1 to 64"
UNBOUNDED_NETWORKS: list[tuple[dict[str, object], str]] = [
    ({"sample_size": -8}, f"sample_size is -8; {SIZE}"),
    ({"sample_size": 10**9}, f"sample_size is 1000000000; {SIZE}"),
    ({"sample_size": [8, 4097]}, f"sample_size is [8, 4097]; {SIZE}"),
    ({"layers_per_block": 10**4}, f"layers_per_block is 10000; {LAYERS}"),
    ({"layers_per_block": "2"}, f"layers_per_block is '2'; {LAYERS}"),
]


@pytest.mark.parametrize(("config", "words"), UNBOUNDED_NETWORKS, ids=[str(config) for config, _ in UNBOUNDED_NETWORKS])
def test_a_network_of_absurd_size_is_refused_before_it_costs_memory(
    make_checkpoint: MakeCheckpoint, config: dict[str, object], words: str
) -> None:
    error = refused(make_checkpoint(config=config))
    assert (error.code, error.message) == (ErrorCode.INCOMPATIBLE_CHECKPOINT, f"config.json: {words}")


TIMESTEPS = "it must be a whole number from 1 to 100000"
BETA = "it must be a number from 0 to 1"
BETAS = "it must be null or a list of numbers from 0 to 1"
SPACING = "it must be one of leading, trailing, linspace"
NO_SCHEDULES: list[tuple[dict[str, object], str]] = [
    ({"num_train_timesteps": 10**12}, f"num_train_timesteps is 1000000000000; {TIMESTEPS}"),
    ({"num_train_timesteps": -5}, f"num_train_timesteps is -5; {TIMESTEPS}"),
    ({"num_train_timesteps": 1e3}, f"num_train_timesteps is 1000.0; {TIMESTEPS}"),
    ({"num_train_timesteps": True}, f"num_train_timesteps is True; {TIMESTEPS}"),
    ({"num_train_timesteps": None}, f"num_train_timesteps is None; {TIMESTEPS}"),
    ({"beta_start": "0.1"}, f"beta_start is '0.1'; {BETA}"),
    ({"beta_end": float("nan")}, f"beta_end is nan; {BETA}"),
    ({"beta_end": 2}, f"beta_end is 2; {BETA}"),
    ({"beta_schedule": ["linear"]}, "beta_schedule is ['linear']; it must be a name"),
    ({"trained_betas": [0.1, 0.2, 0.3]}, "trained_betas has 3 values; it must have one for each of 1000 timesteps"),
    ({"trained_betas": [0.1, "x"]}, f"trained_betas is [0.1, 'x']; {BETAS}"),
    ({"trained_betas": ["x" * 90]}, f"trained_betas is ['{'x' * 77}…; {BETAS}"),
    ({"trained_betas": 0.1}, f"trained_betas is 0.1; {BETAS}"),
    ({"prediction_type": 1}, "prediction_type is 1; it must be a name"),
    ({"steps_offset": 100_000}, "steps_offset is 100000; it must be a whole number from 0 to 99999"),
    ({"steps_offset": 1000}, "steps_offset is 1000; it must be a whole number from 0 to 999"),
    ({"steps_offset": -1}, "steps_offset is -1; it must be a whole number from 0 to 99999"),
    ({"timestep_spacing": "x"}, f"timestep_spacing is 'x'; {SPACING}"),
    ({"timestep_spacing": ["leading"]}, f"timestep_spacing is ['leading']; {SPACING}"),
    ({"solver_order": 10**10}, "solver_order is 10000000000; it must be a whole number from 1 to 10"),
    ({"clip_sample_range": 0}, "clip_sample_range is 0; it must be a number above 0"),
]


@pytest.mark.parametrize(("scheduler", "words"), NO_SCHEDULES, ids=[words.split(";")[0] for _, words in NO_SCHEDULES])
def test_a_noise_schedule_out_of_bounds_is_refused_by_its_key(
    make_checkpoint: MakeCheckpoint, scheduler: dict[str, object], words: str
) -> None:
    error = refused(make_checkpoint(scheduler=scheduler))
    assert (error.code, error.message) == (ErrorCode.INCOMPATIBLE_CHECKPOINT, f"scheduler_config.json: {words}")


def test_a_configuration_of_many_megabytes_is_not_read(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    (folder / "config.json").write_text("{}" + " " * 999_999)
    error = refused(folder)
    assert (error.code, error.message) == (
        ErrorCode.CORRUPT_CHECKPOINT,
        "config.json has 1000001 bytes; a configuration has at most 1000000",
    )


def test_a_configuration_that_is_nested_without_end_is_corrupt(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    (folder / "config.json").write_text("[" * 400_000)
    assert refused(folder).message.startswith("config.json is not JSON")


def test_a_configuration_that_is_not_json_is_corrupt(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    (folder / "config.json").write_text("{")
    assert "config.json is not JSON" in refused(folder).message
    (folder / "config.json").write_text("[]")
    assert "config.json is not a JSON object" in refused(folder).message


def test_a_folder_without_a_model_is_told(tmp_path: Path, make_checkpoint: MakeCheckpoint) -> None:
    assert refused(tmp_path).code == ErrorCode.MODEL_NOT_FOUND
    folder = make_checkpoint()
    (folder / "scheduler_config.json").unlink()
    assert "has a config.json but no scheduler_config.json" in refused(folder).message


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ({}, "has no weight_map"),
        ({"weight_map": {"a": "../../secret.safetensors"}}, "which is not there"),
        ({"weight_map": {"a": "gone.safetensors"}}, "names gone.safetensors, which is not there"),
    ],
)
def test_a_broken_index_is_corrupt(make_checkpoint: MakeCheckpoint, index: dict[str, object], words: str) -> None:
    folder = make_checkpoint()
    (folder / SINGLE_FILE).unlink()
    (folder / INDEX_FILE).write_text(json.dumps(index))
    (folder.parent / "secret.safetensors").write_bytes(b"")
    error = refused(folder)
    assert error.code == ErrorCode.CORRUPT_CHECKPOINT
    assert words in error.message


def test_nothing_is_drawn_from_random_weights_when_one_is_missing(make_checkpoint: MakeCheckpoint) -> None:
    """diffusers alone would fill it with random numbers."""
    folder = make_checkpoint(edit=lambda tensors: tensors.pop("conv_out.weight"))
    UNet2DModel.from_pretrained(folder, use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False)
    assert "conv_out.weight is missing" in refused(folder).message


def test_the_weights_of_another_architecture_do_not_load(make_checkpoint: MakeCheckpoint) -> None:
    error = refused(make_checkpoint(config={"_class_name": "UNetCifar32", "sample_size": 8, "block_out_channels": [8]}))
    assert error.code == ErrorCode.INCOMPATIBLE_CHECKPOINT
    assert error.message.startswith("the weights do not fit config.json: time.hidden.weight is missing")


def test_an_architecture_of_ours_that_cannot_be_made_is_told(make_checkpoint: MakeCheckpoint) -> None:
    error = refused(
        make_checkpoint(config={"_class_name": "UNetCifar32", "sample_size": 7, "block_out_channels": [8, 8]})
    )
    assert error.code == ErrorCode.INCOMPATIBLE_CHECKPOINT
    assert error.message == (
        "config.json: no UNetCifar32 can be made of it: sample_size 7 is not divisible by 2, as 2 levels need"
    )
